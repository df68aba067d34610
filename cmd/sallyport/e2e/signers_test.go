package e2e

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// signer is a library of clients/sign.mjs and the preset that takes what it signs.
type signer struct {
	library, preset string
	header          string // that carries the signature
	timed           string // header with the time that is signed too, the same if it is in there, "" if there is none
	url             bool   // the URL is signed
	repeats         bool   // its requests carry an id, by which a repeat is known
	form            bool
	key             func() (private, public string) // nil: a shared secret
}

var signers = []signer{
	{library: "octokit", preset: "github", header: "X-Hub-Signature-256", repeats: true},
	{library: "stripe", preset: "stripe", header: "Stripe-Signature", timed: "Stripe-Signature", repeats: true},
	{library: "svix", preset: "svix", header: "Svix-Signature", timed: "Svix-Timestamp", repeats: true},
	{library: "standardwebhooks", preset: "standard-webhooks", header: "Webhook-Signature", timed: "Webhook-Timestamp", repeats: true},
	{library: "standardwebhooks", preset: "sallyport", header: "Webhook-Signature", timed: "Webhook-Timestamp", repeats: true},
	{library: "twilio", preset: "twilio", header: "X-Twilio-Signature", url: true, form: true},
	{library: "twilio-json", preset: "twilio", header: "X-Twilio-Signature", url: true},
	{library: "hubspot", preset: "hubspot", header: "X-HubSpot-Signature-v3", timed: "X-HubSpot-Request-Timestamp", url: true},
	{library: "square", preset: "square", header: "X-Square-HmacSha256-Signature", url: true},
	{library: "workos", preset: "workos", header: "WorkOS-Signature", timed: "WorkOS-Signature", repeats: true},
	{library: "pusher", preset: "pusher", header: "X-Pusher-Signature"},
	{library: "razorpay", preset: "razorpay", header: "X-Razorpay-Signature", repeats: true},
	{library: "gocardless", preset: "gocardless", header: "Webhook-Signature"},
	{library: "discord", preset: "discord", header: "X-Signature-Ed25519", timed: "X-Signature-Timestamp", key: ed25519Keys},
	{library: "sendgrid", preset: "sendgrid", header: "X-Twilio-Email-Event-Webhook-Signature", timed: "X-Twilio-Email-Event-Webhook-Timestamp", key: p256Keys},
	{library: "slack", preset: "slack", header: "X-Slack-Signature", timed: "X-Slack-Request-Timestamp"},
	{library: "zoom", preset: "zoom", header: "X-Zm-Signature", timed: "X-Zm-Request-Timestamp"},
	{library: "shopify", preset: "shopify", header: "X-Shopify-Hmac-Sha256", repeats: true},
}

func ed25519Keys() (private, public string) {
	open, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return pemOf(secret), hex.EncodeToString(open)
}

func p256Keys() (private, public string) {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	open, err := x509.MarshalPKIXPublicKey(&secret.PublicKey)
	if err != nil {
		panic(err)
	}
	return pemOf(secret), base64.StdEncoding.EncodeToString(open)
}

func pemOf(private any) string {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// order is a request that a library is to sign.
type order struct {
	Library string `json:"library"`
	Secret  string `json:"secret"`
	URL     string `json:"url"`
	ID      string `json:"id"`
	At      int64  `json:"at"`
	Body    []byte `json:"body"`
}

// signedRequest is one that it signed.
type signedRequest struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	body    string
}

// with is the request with another value of a header, "" for none.
func (q signedRequest) with(name, value string) signedRequest {
	headers := map[string]string{name: value}
	for n, v := range q.Headers {
		if !strings.EqualFold(n, name) {
			headers[n] = v
		}
	}
	q.Headers = headers
	return q
}

func (q signedRequest) header(name string) string {
	for n, v := range q.Headers {
		if strings.EqualFold(n, name) {
			return v
		}
	}
	return ""
}

// sign has requests signed.
func (w *world) sign(orders []order) []signedRequest {
	w.t.Helper()
	var signed []signedRequest
	w.node("sign.mjs", orders, &signed)
	if len(signed) != len(orders) {
		w.t.Fatalf("%d of %d requests came back", len(signed), len(orders))
	}
	for i := range signed {
		signed[i].body = string(orders[i].Body)
	}
	return signed
}

// knock sends a request as its sender does, to the path that its URL has below base: what is
// before that is a proxy's.
func (w *world) knock(method, base string, q signedRequest) *answer {
	w.t.Helper()
	path, ok := strings.CutPrefix(q.URL, base)
	if !ok {
		w.t.Fatalf("%s is not below %s", q.URL, base)
	}
	var headers []string
	for n, v := range q.Headers {
		headers = append(headers, n, v)
	}
	var body any
	if q.body != "" {
		body = q.body
	}
	return w.nobody.call(method, path, body, headers...)
}

// signedDoor makes a door that takes what is signed with a secret and leads to an action.
func (w *world) signedDoor(code, preset, secret string, more doc) (url string) {
	w.t.Helper()
	check := doc{"type": "signature", "preset": preset, "secrets": []any{"current"}}.with(more)
	secrets := []any{doc{"name": "current", "value": secret}}
	if token, ok := more["handshake"].([]any); ok {
		secrets = append(secrets, doc{"name": token[0], "value": w.planted.given(secret + "-of-the-handshake")})
	}
	return w.admin.post("/v1/incoming-webhooks", doc{
		"code": code, "secrets": secrets, "preProcessors": []any{check}, "routes": []any{doc{"action": "announce"}},
	}).want(http.StatusCreated).text("url")
}

// announce makes the action that the doors lead to.
func (w *world) announce() {
	w.t.Helper()
	w.admin.post("/v1/actions", doc{
		"code": "announce", "type": "publishEvent", "config": doc{"type": "signed.{{ webhook.code }}", "entity": "{{ item|json_encode|raw }}"},
	}).want(http.StatusCreated)
}

// takeSigned has each signer sign requests and sends them, as they are and changed. base is
// what the URLs of the installation begin with.
func (w *world) takeSigned(base string, signers []signer) {
	w.t.Helper()
	w.announce()
	now := time.Now()
	var orders []order
	for _, s := range signers {
		var secret, key string
		if s.key != nil {
			secret, key = s.key()
		} else {
			secret = w.planted.given("whsec_" + base64.StdEncoding.EncodeToString([]byte(random(32))))
			key = secret
		}
		o := order{Library: s.library, Secret: secret, ID: "msg_" + random(16), At: now.Unix()}
		o.URL = w.signedDoor(s.library+"-"+s.preset, s.preset, key, nil)
		o.Body = []byte(`{"id":"` + random(8) + `","name":"Ä/<é>","total":1.5}`)
		if s.form {
			o.Body = []byte("id=" + random(8) + "&name=%C3%84%2F%3C%C3%A9%3E+x&total=1.5&empty=")
		}
		old := o
		old.At = now.Add(-10 * time.Minute).Unix()
		orders = append(orders, o, old)
	}
	signed := w.sign(orders)
	for i, s := range signers {
		q, old := signed[2*i], signed[2*i+1]
		name := s.library + " for " + s.preset
		refused := func(what, code string, q signedRequest) {
			w.t.Helper()
			if a := w.knock(http.MethodPost, base, q); a.status != http.StatusForbidden || a.text("code") != code {
				w.t.Errorf("%s, %s: answered %d %s, want 403 %s", name, what, a.status, a.body, code)
			}
		}
		changed := q
		changed.body = strings.Replace(q.body, "1.5", "1.6", 1)
		refused("another body", "signature_mismatch", changed)
		signature := q.header(s.header)
		middle, other := len(signature)/2, "a"
		if signature[middle] == 'a' {
			other = "b"
		}
		refused("another signature", "signature_mismatch", q.with(s.header, signature[:middle]+other+signature[middle+1:]))
		refused("no signature", "signature_missing", q.with(s.header, ""))
		if s.timed != "" {
			refused("too old", "signature_expired", old)
		}
		if s.timed != "" && s.timed != s.header {
			refused("another time", "signature_mismatch", old.with(s.timed, q.header(s.timed)))
		}
		if s.url {
			elsewhere := q
			if elsewhere.URL += "?x=1"; strings.Contains(q.URL, "?") {
				elsewhere.URL = q.URL + "&x=1"
			}
			refused("another URL", "signature_mismatch", elsewhere)
		}
		w.takeOne(name, base, s, q)
	}
}

// takeOne sends a request that is as it was signed, and looks at what it led to.
func (w *world) takeOne(name, base string, s signer, q signedRequest) {
	w.t.Helper()
	a := w.knock(http.MethodPost, base, q)
	if a.status != http.StatusAccepted {
		w.t.Errorf("%s: answered %d %s", name, a.status, a.body)
		return
	}
	a.has("events", "1", "deliveries", "1")
	if s.repeats {
		w.knock(http.MethodPost, base, q).want(http.StatusAccepted).has("duplicate", "true", "requestId", a.text("requestId"))
	}
	w.viewer.get("/v1/requests/"+a.text("requestId")).want(http.StatusOK).has("verdict", "accepted", "body", q.body)
	kind := "signed." + s.library + "-" + s.preset
	var events *answer
	eventually(w.t, "the event of "+name, func() bool {
		events = w.viewer.get("/v1/events?type=" + kind).want(http.StatusOK)
		return len(events.list("id")) > 0
	})
	if n := len(events.list("id")); n != 1 {
		w.t.Errorf("%s: %d events", name, n)
	}
	event := w.viewer.get("/v1/events/"+events.text("data.0.id")).want(http.StatusOK).has("source.requestId", a.text("requestId"))
	if got := event.text("entity.total"); got != "1.5" {
		w.t.Errorf("%s: the event has %s", name, event.body)
	}
}

var _ = suite("signers", map[string]func(*world){
	"what the libraries of senders sign is taken, what was changed on the way is not": func(w *world) { w.takeSigned(w.url, signers) },
	"handshakes of Slack, Zoom, Meta and Trello": func(w *world) {
		w.announce()
		secret := w.planted.given("of-the-handshakes-" + random(16))
		challenge := `{"type":"url_verification","challenge":"x <é>"}`
		validation := `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680}`
		now := time.Now().Unix()
		slack, zoom := w.signedDoor("slack", "slack", secret, nil), w.signedDoor("zoom", "zoom", secret, nil)
		signed := w.sign([]order{
			{Library: "slack", Secret: secret, URL: slack, At: now, Body: []byte(challenge)},
			{Library: "zoom", Secret: secret, URL: zoom, At: now, Body: []byte(validation)},
		})
		if got := w.knock(http.MethodPost, w.url, signed[0]).want(http.StatusOK).body; string(got) != "x <é>" {
			w.t.Errorf("Slack is answered %q", got)
		}
		w.knock(http.MethodPost, w.url, signed[0].with("X-Slack-Signature", "v0=00")).problem(http.StatusForbidden, "signature_mismatch")
		w.knock(http.MethodPost, w.url, signed[1]).want(http.StatusOK).has("plainToken", "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken", hexMAC(secret, []byte("qgg8vlvZRS6UYooatFL8Aw")))
		w.knock(http.MethodPost, w.url, signed[1].with("x-zm-signature", "")).problem(http.StatusForbidden, "signature_missing")

		meta := w.signedDoor("meta", "meta", secret, doc{"handshake": []any{"verify"}})
		ask := "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
		if got := w.knock(http.MethodGet, w.url, signedRequest{URL: meta + ask + secret + "-of-the-handshake"}).want(http.StatusOK).body; string(got) != "1158201444" {
			w.t.Errorf("Meta is answered %q", got)
		}
		w.knock(http.MethodGet, w.url, signedRequest{URL: meta + ask + "another"}).want(http.StatusForbidden)
		w.knock(http.MethodGet, w.url, signedRequest{URL: meta}).problem(http.StatusMethodNotAllowed, "method_not_allowed")
		trello := w.signedDoor("trello", "trello", secret, nil)
		w.knock(http.MethodHead, w.url, signedRequest{URL: trello}).want(http.StatusOK)

		for _, code := range []string{"slack", "zoom", "meta", "trello"} {
			var shaken *answer
			eventually(w.t, "the record of the handshake with "+code, func() bool {
				shaken = w.viewer.get("/v1/requests?verdict=handshake&incomingWebhook=" + code).want(http.StatusOK)
				return len(shaken.list("id")) > 0
			})
			shaken.has("data.0.eventCount", "0", "data.1", "")
			w.viewer.get("/v1/events?type=incoming."+code).want(http.StatusOK).has("data.0", "")
		}
	},
})

// testSignedURLs: senders sign the URL that they know, which is that of the setting and not
// the one that a proxy calls.
func testSignedURLs(t *testing.T, s *server) {
	const base = "https://hooks.example.com/sallyport"
	address := testkit.FreeAddr(t)
	s.launch("SALLYPORT_ADDR="+address, "SALLYPORT_BASE_URL="+base+"/")
	s.url = "http://" + address
	s.awaitReady()
	var all []signer
	for _, x := range signers {
		if x.url {
			all = append(all, x)
		}
	}
	newWorld(t, s).takeSigned(base, all)
	s.stop()
}
