package preset_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
	"sallyport/internal/signature"
)

// The signatures were computed with openssl dgst and python3's hmac.
const (
	helloKey    = "shared-secret-of-the-tests"
	helloBody   = `{"hello":"world"}`
	helloSHA256 = "a94b033a953e9035430bc7519cdfe0f1acb0e185dec68d569052aca03270814e"
	helloTimed  = "c9219eaf23e3f5decb08facb535515d1460e02b4232844eda8ae63d1034aa676" // 1795294619.{"hello":"world"}
	helloID     = "b592ab1fe14798cd04933f64cb55a4dcc99581cc0d67c2b3f748d286c1b6d85f" // m1.1795294619.{"hello":"world"}
)

func custom(t testing.TB, description string, secrets ...string) *preset.Verifier {
	t.Helper()
	v, faults := preset.Builtin().Compile(hook.PreProcessor{Type: "signature", Signature: []byte(description), Secrets: secrets}, asNamed)
	if len(faults) > 0 {
		t.Fatalf("%s: %v", description, faults)
	}
	return v
}

func hello(headers ...string) *preset.Request {
	r := &preset.Request{Method: "POST", URL: "https://hooks.example.com/in/door", Header: http.Header{}, Body: []byte(helloBody), Now: time.Unix(handshakeTime, 0)}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestVerifyCustom(t *testing.T) {
	t.Parallel()
	const plain = `{"header":"X-Sig"}`
	const timed = `{"header":"X-Sig","content":"{timestamp}.{body}","timestampHeader":"X-Time"}`
	const inline = `{"header":"X-Sig","prefix":"v1=","separator":",","content":"{timestamp}.{body}","timestampPrefix":"t="}`
	const withID = `{"header":"X-Sig","content":"{id}.{timestamp}.{body}"}`
	at := func(offset time.Duration, r *preset.Request) *preset.Request {
		r.Now = r.Now.Add(offset)
		return r
	}
	query := func(raw string, r *preset.Request) *preset.Request {
		r.RawQuery, r.URL = raw, r.URL+"?"+raw
		return r
	}
	for name, c := range map[string]struct {
		description string
		request     *preset.Request
		want        error
	}{
		"defaults: hex HMAC-SHA256 of the body":  {plain, hello("X-Sig", helloSHA256), nil},
		"hex in upper case":                      {plain, hello("X-Sig", strings.ToUpper(helloSHA256)), nil},
		"header names in any case":               {`{"header":"x-sIG"}`, hello("X-Sig", helloSHA256), nil},
		"no header":                              {plain, hello(), signature.ErrMissing},
		"an empty header":                        {plain, hello("X-Sig", ""), signature.ErrMismatch},
		"half a signature":                       {plain, hello("X-Sig", helloSHA256[:32]), signature.ErrMismatch},
		"more than a signature":                  {plain, hello("X-Sig", helloSHA256+"00"), signature.ErrMismatch},
		"two in one header without a separator":  {plain, hello("X-Sig", helloSHA256+","+helloSHA256), signature.ErrMismatch},
		"two lines, the second matches":          {plain, hello("X-Sig", "00", "X-Sig", helloSHA256), nil},
		"two lines, the first matches":           {plain, hello("X-Sig", helloSHA256, "X-Sig", "00"), nil},
		"no line matches":                        {plain, hello("X-Sig", "00", "X-Sig", "11"), signature.ErrMismatch},
		"the fifth line is not looked at":        {plain, hello("X-Sig", "0", "X-Sig", "0", "X-Sig", "0", "X-Sig", "0", "X-Sig", helloSHA256), signature.ErrMismatch},
		"a missing prefix":                       {`{"header":"X-Sig","prefix":"sha256="}`, hello("X-Sig", helloSHA256), signature.ErrMissing},
		"another case of the prefix":             {`{"header":"X-Sig","prefix":"sha256="}`, hello("X-Sig", "SHA256="+helloSHA256), signature.ErrMissing},
		"in a query parameter":                   {`{"query":"sig"}`, query("sig="+helloSHA256, hello()), nil},
		"in a query parameter, absent":           {`{"query":"sig"}`, query("sg="+helloSHA256, hello()), signature.ErrMissing},
		"in a query parameter with a broken one": {`{"query":"sig"}`, query("%zz&a;b=1&sig="+helloSHA256, hello()), nil},

		"a signed time":                        {timed, hello("X-Sig", helloTimed, "X-Time", "1795294619"), nil},
		"at the edge":                          {timed, at(5*time.Minute, hello("X-Sig", helloTimed, "X-Time", "1795294619")), nil},
		"beyond the edge":                      {timed, at(5*time.Minute+time.Nanosecond, hello("X-Sig", helloTimed, "X-Time", "1795294619")), signature.ErrExpired},
		"at the other edge":                    {timed, at(-5*time.Minute, hello("X-Sig", helloTimed, "X-Time", "1795294619")), nil},
		"beyond the other edge":                {timed, at(-5*time.Minute-time.Nanosecond, hello("X-Sig", helloTimed, "X-Time", "1795294619")), signature.ErrExpired},
		"another time than the signed":         {timed, hello("X-Sig", helloTimed, "X-Time", "1795294620"), signature.ErrMismatch},
		"the signed time spelled otherwise":    {timed, hello("X-Sig", helloTimed, "X-Time", "01795294619"), signature.ErrMismatch},
		"no time":                              {timed, hello("X-Sig", helloTimed), signature.ErrMissing},
		"two times, one of them signed":        {timed, hello("X-Sig", helloTimed, "X-Time", "1795294619", "X-Time", "1"), signature.ErrMissing},
		"two times, the other one signed":      {timed, hello("X-Sig", helloTimed, "X-Time", "1", "X-Time", "1795294619"), signature.ErrMissing},
		"the same time twice":                  {timed, hello("X-Sig", helloTimed, "X-Time", "1795294619", "X-Time", "1795294619"), nil},
		"old and wrong is wrong":               {timed, at(time.Hour, hello("X-Sig", helloSHA256, "X-Time", "1795294619")), signature.ErrMismatch},
		"a time beside the signature":          {inline, hello("X-Sig", "t=1795294619,v1="+helloTimed), nil},
		"in another order, with blanks":        {inline, hello("X-Sig", "v0=1, v1="+helloTimed+" , t=1795294619"), nil},
		"two times in one value":               {inline, hello("X-Sig", "t=1795294619,v1="+helloTimed+",t=1795294620"), signature.ErrMismatch},
		"no time in the value":                 {inline, hello("X-Sig", "v1="+helloTimed), signature.ErrMissing},
		"no signature in the value":            {inline, hello("X-Sig", "t=1795294619"), signature.ErrMissing},
		"the time of one line for the other":   {inline, hello("X-Sig", "t=1795294619", "X-Sig", "v1="+helloTimed), signature.ErrMissing},
		"a fresh time with an old signature":   {inline, at(time.Hour, hello("X-Sig", "t=1795298219,v1="+helloTimed)), signature.ErrMismatch},
		"two lines with times of their own":    {inline, hello("X-Sig", "t=1,v1=00", "X-Sig", "t=1795294619,v1="+helloTimed), nil},
		"more entries than are looked at":      {inline, hello("X-Sig", "t=1795294619"+strings.Repeat(",v1=00", 16)+",v1="+helloTimed), signature.ErrMismatch},
		"id and time from the usual headers":   {withID, hello("X-Sig", helloID, "webhook-id", "m1", "webhook-timestamp", "1795294619"), nil},
		"a missing id":                         {withID, hello("X-Sig", helloID, "webhook-timestamp", "1795294619"), signature.ErrMissing},
		"two ids, one of them signed":          {withID, hello("X-Sig", helloID, "webhook-id", "m1", "webhook-id", "m2", "webhook-timestamp", "1795294619"), signature.ErrMissing},
		"an id that is not the signed one":     {withID, hello("X-Sig", helloID, "webhook-id", "m2", "webhook-timestamp", "1795294619"), signature.ErrMismatch},
		"a token":                              {`{"header":"Authorization","algorithm":"token","prefix":"Bearer "}`, hello("Authorization", "Bearer "+helloKey), nil},
		"a longer token":                       {`{"header":"Authorization","algorithm":"token"}`, hello("Authorization", helloKey+"x"), signature.ErrMismatch},
		"a token in another case":              {`{"header":"Authorization","algorithm":"token"}`, hello("Authorization", strings.ToUpper(helloKey)), signature.ErrMismatch},
		"an empty token":                       {`{"header":"Authorization","algorithm":"token"}`, hello("Authorization", ""), signature.ErrMismatch},
		"a field that two parameters disagree": {`{"header":"X-Sig","content":"{query:a}{body}"}`, query("a=1&a=2", hello("X-Sig", helloSHA256)), signature.ErrMissing},
		"a form that is none":                  {`{"header":"X-Sig","content":"{url}{form}"}`, hello("X-Sig", helloSHA256), signature.ErrMissing},
	} {
		err := custom(t, c.description, helloKey).Verify(c.request)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), helloSHA256[:16]) || strings.Contains(err.Error(), helloTimed[:16]) || strings.Contains(err.Error(), helloKey)) {
			t.Errorf("%s: the detail shows too much: %v", name, err)
		}
	}
}

func TestUnreadableTimes(t *testing.T) {
	t.Parallel()
	// Each is signed as it stands, so only the reading of the time can refuse it.
	signed := map[string]string{}
	if err := json.Unmarshal([]byte(unreadable), &signed); err != nil {
		t.Fatal(err)
	}
	if len(signed) < 8 {
		t.Fatalf("%d times", len(signed))
	}
	v := custom(t, `{"header":"X-Sig","content":"{timestamp}.{body}","timestampHeader":"X-Time"}`, helloKey)
	for stamp, sum := range signed {
		r := hello("X-Sig", sum)
		r.Header["X-Time"] = []string{stamp}
		if err := v.Verify(r); !errors.Is(err, signature.ErrMissing) && !errors.Is(err, signature.ErrExpired) {
			t.Errorf("time %q: %v, want a refusal for the time", stamp, err)
		}
	}
}

// unreadable are times with the signatures of "{time}.{body}".
const unreadable = `{
 "": "87557690fbbfcb45f92235e4c029bd6b6b0df56e00551cb22954e97cdef10e3c",
 " 1795294619": "30b87ce7d8e6e5c9c3deee50b6f58283341f28a946edf8588093d697a0949ebe",
 "+1795294619": "8b9691bd892b959426458563ef91da8a9e3de9c33a33b805098791dc2db07270",
 "-1795294619": "0059782e9da51974468e6892a524925d61eefcd5fc7bb1e92383157941375d47",
 "1795294619.0": "19973d99723c12e076b5398e666c835580c068c6cc43aa5818cc8a49fb85e3bb",
 "0x6b026b9b": "31e6c28268745456073420f6bfe0fdb2ad9b4b823cb204f23b5623ba88f04634",
 "1.795294619e9": "a86ff734a5e86960b42db9b0d7876ebdc475a3de29b7bf01ecaecf9cbb33f204",
 "1795294619250": "c75342b3618dbed3c5d4287236e41f0141107e33e1cc27df7c409b470b70957e",
 "999999999999999": "5134e3f8ef1b4b821e814ab5d0b82a0d9e97134a8aa391961e8d43933701ca54",
 "9999999999999999": "fa1845c184b03ccaacbe3f87735e8a50bc10958621e6b83dae388f2a30305cec",
 "9999999999999999999999999999999999999999": "082403dee6119efa038d633aacab0f3b7710ac3542cf45990139741b38d74f35",
 "2026-11-21T20:56:59Z": "6ddfb783e85edccc1f13cb7bdcc64ffcbb82720c56cb25cae6d778a7dfeb5095",
 "now": "b0a7afda80be44c2454f2fdb00038d4c9fdd6555bd57d2647bea71843b41999a",
 "１７９５": "fc7141c6b9172857984738ec80e6ef1e0f3e3ac99499606296bec5f19a00665a"
}`

func TestVerifyConcurrently(t *testing.T) {
	t.Parallel()
	v := custom(t, `{"header":"X-Sig","content":"{timestamp}.{body}","timestampHeader":"X-Time"}`, "another", helloKey)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if err := v.Verify(hello("X-Sig", helloTimed, "X-Time", "1795294619")); err != nil {
					t.Errorf("right: %v", err)
				}
				if err := v.Verify(hello("X-Sig", helloSHA256, "X-Time", "1795294619")); !errors.Is(err, signature.ErrMismatch) {
					t.Errorf("wrong: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCarriers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check hook.PreProcessor
		want  preset.Carriers
	}{
		"gitlab":          {hook.PreProcessor{Preset: "gitlab", Secrets: []string{"s"}}, preset.Carriers{Headers: []string{"X-Gitlab-Token"}}},
		"github":          {hook.PreProcessor{Preset: "github", Secrets: []string{"s"}}, preset.Carriers{}},
		"meta":            {hook.PreProcessor{Preset: "meta", Secrets: []string{"s"}}, preset.Carriers{Query: []string{"hub.verify_token"}}},
		"microsoft-graph": {hook.PreProcessor{Preset: "microsoft-graph", Secrets: []string{"s"}}, preset.Carriers{BodyFields: []string{"value.0.clientState"}}},
	} {
		got, err1 := json.Marshal(compile(t, c.check).Carriers())
		want, err2 := json.Marshal(c.want)
		if err1 != nil || err2 != nil || string(got) != string(want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	var none *preset.Verifier
	if c := none.Carriers(); len(c.Headers) != 0 {
		t.Errorf("no verifier: %v", c)
	}
	if _, err := none.Handshake(hello()); err != nil || none.HandshakeMethods() != nil {
		t.Error("no verifier has a handshake")
	}
}

func BenchmarkVerify(b *testing.B) {
	body := strings.Repeat("x", 1024)
	for _, name := range []string{"github", "stripe", "standard-webhooks", "gitlab", "slack"} {
		b.Run(name, func(b *testing.B) {
			v := compile(b, hook.PreProcessor{Preset: name, Secrets: []string{helloKey}})
			r := hello("X-Hub-Signature-256", "sha256="+helloSHA256, "Stripe-Signature", "t=1795294619,v1="+helloTimed,
				"webhook-id", "m1", "webhook-timestamp", "1795294619", "webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
				"X-Gitlab-Token", helloKey, "X-Slack-Signature", "v0="+helloTimed, "X-Slack-Request-Timestamp", "1795294619")
			r.Body = []byte(body)
			b.ReportAllocs()
			for b.Loop() {
				_ = v.Verify(r) // refusals cost no less
			}
		})
	}
}
