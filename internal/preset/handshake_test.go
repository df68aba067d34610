package preset_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
	"sallyport/internal/signature"
)

// Signatures and answers were computed with python3's hmac.
const (
	handshakeSecret = "a-secret-of-more-than-24-characters"
	handshakeTime   = 1795294619
	discordKey      = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
)

func TestHandshakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		preset      string
		method      string
		query       string
		body        string
		contentType string
		header      map[string]string
		own         []string // secrets of the handshake
		status      int      // 0: no handshake
		answer      string
		answerType  string
		answerHead  map[string]string
		err         error
	}{
		"slack": {preset: "slack", method: "POST", body: `{"token":"t","challenge":"x","type":"url_verification"}`,
			header: map[string]string{"X-Slack-Request-Timestamp": "1795294619", "X-Slack-Signature": "v0=24b93f3aaa0d19954283723183c6ed10f10b04ee3133fc2fb66c6504e7d802c2"},
			status: 200, answer: "x", answerType: "text/plain; charset=utf-8"},
		"slack, not signed": {preset: "slack", method: "POST", body: `{"token":"t","challenge":"x","type":"url_verification"}`, err: signature.ErrMissing},
		"slack, wrongly signed": {preset: "slack", method: "POST", body: `{"token":"t","challenge":"y","type":"url_verification"}`,
			header: map[string]string{"X-Slack-Request-Timestamp": "1795294619", "X-Slack-Signature": "v0=24b93f3aaa0d19954283723183c6ed10f10b04ee3133fc2fb66c6504e7d802c2"}, err: signature.ErrMismatch},
		"slack, an event":                       {preset: "slack", method: "POST", body: `{"type":"event_callback","event":{"text":"url_verification"}}`},
		"slack, the word in another field":      {preset: "slack", method: "POST", body: `{"kind":"url_verification","challenge":"x"}`},
		"slack, a form":                         {preset: "slack", method: "POST", contentType: "application/x-www-form-urlencoded", body: "command=%2Fdeploy&type=other"},
		"slack, no JSON at all":                 {preset: "slack", method: "POST", body: "url_verification"},
		"zoom":                                  {preset: "zoom", method: "POST", body: `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}`, header: map[string]string{"x-zm-request-timestamp": "1795294619", "x-zm-signature": "v0=aa4323b07beb69258217389438ddedb10e1fab60c238def53a4e24afa64eab87"}, status: 200, answer: `{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"110e53a35049e8159158d2ded57f3c5a5aa7a944c325ca910d9697adaf3e0a54"}`, answerType: "application/json"},
		"meta":                                  {preset: "meta", method: "GET", query: "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock", own: []string{"meatyhamhock"}, status: 200, answer: "1158201444", answerType: "text/plain; charset=utf-8"},
		"meta, the second of two tokens":        {preset: "meta", method: "GET", query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock", own: []string{"older", "meatyhamhock"}, status: 200, answer: "1", answerType: "text/plain; charset=utf-8"},
		"meta, wrong token":                     {preset: "meta", method: "GET", query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhocK", own: []string{"meatyhamhock"}, err: signature.ErrMismatch},
		"meta, no token":                        {preset: "meta", method: "GET", query: "hub.mode=subscribe&hub.challenge=1", own: []string{"meatyhamhock"}, err: signature.ErrMissing},
		"meta, two tokens":                      {preset: "meta", method: "GET", query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock&hub.verify_token=b", own: []string{"meatyhamhock"}, err: signature.ErrMissing},
		"meta, none configured":                 {preset: "meta", method: "GET", query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=", err: signature.ErrMismatch},
		"meta, the app secret is not the token": {preset: "meta", method: "GET", query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=" + handshakeSecret, own: []string{"meatyhamhock"}, err: signature.ErrMismatch},
		"meta, another mode":                    {preset: "meta", method: "GET", query: "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=meatyhamhock", own: []string{"meatyhamhock"}},
		"meta, a notification":                  {preset: "meta", method: "POST", query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock", own: []string{"meatyhamhock"}},
		"trello":                                {preset: "trello", method: "HEAD", status: 200, answerType: "text/plain; charset=utf-8"},
		"mandrill":                              {preset: "mandrill", method: "HEAD", status: 200, answerType: "text/plain; charset=utf-8"},
		"intercom":                              {preset: "intercom", method: "HEAD", status: 200, answerType: "text/plain; charset=utf-8"},
		"twitter":                               {preset: "twitter", method: "GET", query: "crc_token=NmFjYjQ5ZjAtNTg4Yy00NTc5&nonce=1", status: 200, answer: `{"response_token":"sha256=7QZs9i5J5XzJCSEJhScoqGYmj0ME/0aJ4xpEkMApKc8="}`, answerType: "application/json"},
		"dropbox":                               {preset: "dropbox", method: "GET", query: "challenge=%3Cscript%3E", status: 200, answer: "<script>", answerType: "text/plain; charset=utf-8"},
		"dropbox, without a challenge":          {preset: "dropbox", method: "GET", query: "x=1"},
		"dropbox, more than is repeated":        {preset: "dropbox", method: "GET", query: "challenge=" + strings.Repeat("x", 5000), err: signature.ErrMismatch},
		"nylas":                                 {preset: "nylas", method: "GET", query: "challenge=bc609b38", status: 200, answer: "bc609b38", answerType: "text/plain; charset=utf-8"},
		"microsoft-graph":                       {preset: "microsoft-graph", method: "POST", query: "validationToken=Validation%3A+Testing+a%2Bb", contentType: "text/plain; charset=utf-8", status: 200, answer: "Validation: Testing a+b", answerType: "text/plain; charset=utf-8"},
		"okta":                                  {preset: "okta", method: "GET", header: map[string]string{"X-Okta-Verification-Challenge": `a"b\`}, status: 200, answer: `{"verification":"a\"b\\"}`, answerType: "application/json"},
		"smartsheet":                            {preset: "smartsheet", method: "POST", body: `{"challenge":"c1","webhookId":1}`, header: map[string]string{"Smartsheet-Hook-Challenge": "c1"}, status: 200, answer: `{"smartsheetHookResponse":"c1"}`, answerType: "application/json", answerHead: map[string]string{"Smartsheet-Hook-Response": "c1"}},
		"twitch": {preset: "twitch", method: "POST", body: `{"challenge":"pogchamp","subscription":{}}`, status: 200, answer: "pogchamp", answerType: "text/plain; charset=utf-8",
			header: map[string]string{"Twitch-Eventsub-Message-Type": "webhook_callback_verification", "Twitch-Eventsub-Message-Id": "m", "Twitch-Eventsub-Message-Timestamp": "2026-11-21T20:56:59Z", "Twitch-Eventsub-Message-Signature": "sha256=e050a114431409b9eb011b6766be74daff58d6c182fa2af74d3d35710c806aae"}},
		"discord, interactions":     {preset: "discord", method: "POST", body: `{"type":1}`, status: 200, answer: `{"type":1}`, answerType: "application/json", header: map[string]string{"X-Signature-Timestamp": "1795294619", "X-Signature-Ed25519": "d3f5333fe3824c8e9c62187a5b24212684de4aa589d77b954704cc867f6f12dc22ea71e6e871891c0b70eb1bc3bf64d840060fd4eeb068ddbd18821797d25902"}},
		"discord, events":           {preset: "discord", method: "POST", body: `{"type":0}`, status: 204, answerType: "text/plain; charset=utf-8", header: map[string]string{"X-Signature-Timestamp": "1795294619", "X-Signature-Ed25519": "984c81a5385e729ed2105569d18f9597c845e680de9774de9a9856d56023381a6a2bf5d4c45811fd50f32e7df68e1576c8dd2615378950b2fd86da8bfcadd60d"}},
		"discord, an event":         {preset: "discord", method: "POST", body: `{"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}`},
		"discord, wrongly signed":   {preset: "discord", method: "POST", body: `{"type":1} `, header: map[string]string{"X-Signature-Timestamp": "1795294619", "X-Signature-Ed25519": "d3f5333fe3824c8e9c62187a5b24212684de4aa589d77b954704cc867f6f12dc22ea71e6e871891c0b70eb1bc3bf64d840060fd4eeb068ddbd18821797d25902"}, err: signature.ErrMismatch},
		"woocommerce":               {preset: "woocommerce", method: "POST", contentType: "application/x-www-form-urlencoded", body: "webhook_id=12", status: 200, answerType: "text/plain; charset=utf-8"},
		"woocommerce, a signed one": {preset: "woocommerce", method: "POST", contentType: "application/x-www-form-urlencoded", body: "webhook_id=12", header: map[string]string{"X-WC-Webhook-Signature": "x"}},
		"notion":                    {preset: "notion", method: "POST", body: `{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}`, status: 200, answerType: "text/plain; charset=utf-8"},
		"github has none":           {preset: "github", method: "POST", body: `{"type":"url_verification","challenge":"x"}`},
	} {
		secret := handshakeSecret
		if c.preset == "discord" {
			secret = discordKey
		}
		v := compile(t, hook.PreProcessor{Preset: c.preset, Secrets: []string{secret}, Handshake: c.own})
		r := &preset.Request{Method: c.method, URL: "https://hooks.example.com/in/door?" + c.query, RawQuery: c.query, Header: http.Header{},
			Body: []byte(c.body), Now: time.Unix(handshakeTime, 0)}
		r.Header.Set("Content-Type", "application/json")
		if c.contentType != "" {
			r.Header.Set("Content-Type", c.contentType)
		}
		for k, value := range c.header {
			r.Header.Set(k, value)
		}
		a, err := v.Handshake(r)
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
			continue
		}
		if a == nil {
			if c.status != 0 {
				t.Errorf("%s: no handshake", name)
			}
			continue
		}
		if a.Status != c.status || string(a.Body) != c.answer || a.ContentType != c.answerType {
			t.Errorf("%s: %d %s %q, want %d %s %q", name, a.Status, a.ContentType, a.Body, c.status, c.answerType, c.answer)
		}
		if a.Headers.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: browsers may guess what the answer is", name)
		}
		for k, want := range c.answerHead {
			if got := a.Headers.Get(k); got != want {
				t.Errorf("%s: %s: %q, want %q", name, k, got, want)
			}
		}
		if !slices.Contains(v.HandshakeMethods(), c.method) {
			t.Errorf("%s: HandshakeMethods has no %s", name, c.method)
		}
	}
}

func TestEveryHandshakeIsTested(t *testing.T) {
	t.Parallel()
	tested := strings.Fields("slack zoom meta trello mandrill intercom twitter dropbox nylas microsoft-graph okta smartsheet twitch discord woocommerce notion")
	for _, p := range preset.Builtin().All() {
		if has := len(p.Handshakes) > 0; has != slices.Contains(tested, p.Name) {
			t.Errorf("%s: handshakes %v, tested %v", p.Name, has, !has)
		}
	}
}

// X signs webhooks and answers to challenges with one secret in one way, and anybody may
// send a challenge: one that would be a request's signature gets no answer.
func TestHandshakesSignNoRequests(t *testing.T) {
	t.Parallel()
	v := compile(t, hook.PreProcessor{Preset: "twitter", Secrets: []string{handshakeSecret}})
	for _, forged := range []string{`{"tweet_create_events":[]}`, `[1]`, "a=1", "a b", "", " 1", "1.5", "a%3D", strings.Repeat("a", 600), "=", "a=b="} {
		query := "crc_token=" + url.QueryEscape(forged)
		r := &preset.Request{Method: "GET", URL: "https://hooks.example.com/in/door?" + query, RawQuery: query, Header: http.Header{}, Now: time.Unix(handshakeTime, 0)}
		if a, err := v.Handshake(r); !errors.Is(err, signature.ErrMismatch) {
			t.Errorf("%q was signed for a stranger: %s, %v", forged, a.Body, err)
		}
	}
	// What was signed for a stranger is no request.
	mac := hmac.New(sha256.New, []byte(handshakeSecret))
	mac.Write([]byte("12345"))
	r := &preset.Request{Method: "POST", Header: http.Header{}, Body: []byte("12345"), Now: time.Unix(handshakeTime, 0)}
	r.Header.Set("X-Twitter-Webhooks-Signature", "sha256="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if err := v.Verify(r); !errors.Is(err, signature.ErrMismatch) {
		t.Errorf("the answer to a challenge was taken for a signature: %v", err)
	}
}
