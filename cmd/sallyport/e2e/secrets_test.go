package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"sallyport/internal/testkit"
)

// hexMAC is the lowercase hex HMAC-SHA256, worked out apart from the code under test.
func hexMAC(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// v1 is the Standard Webhooks signature of a request as received.
func v1(secret string, q testkit.Received) string {
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		key, _ = base64.StdEncoding.DecodeString(encoded) // a wrong key is a wrong signature
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(q.Header.Get("webhook-id") + "." + q.Header.Get("webhook-timestamp") + "."))
	mac.Write(q.Body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signed fails the test unless the request of the default profile is signed with these secrets,
// oldest first.
func (w *world) signed(q testkit.Received, secrets ...string) {
	w.t.Helper()
	plain, next, standard := "", "", ""
	for i, s := range secrets {
		if i == 0 {
			plain = hexMAC(s, q.Body)
		} else {
			next = hexMAC(s, q.Body)
		}
		standard = strings.TrimSuffix(v1(s, q)+" "+standard, " ")
	}
	for name, want := range map[string]string{"X-Signature": plain, "X-Signature-Next": next, "Webhook-Signature": standard} {
		if got := strings.Join(q.Header.Values(name), "|"); got != want {
			w.t.Errorf("%s is %q, want %q", name, got, want)
		}
		if _, there := q.Header[name]; there && want == "" {
			w.t.Errorf("%s is there, and empty", name)
		}
	}
}

// next publishes an event and returns the request that comes of it.
func (w *world) next(r *testkit.Receiver, event doc) testkit.Received {
	w.t.Helper()
	n := len(r.Received())
	w.publish(event)
	return r.Wait(n + 1)[n]
}

var _ = suite("secrets", map[string]func(*world){
	"rotation as the receiver sees it": func(w *world) {
		r := w.receiver()
		old := w.planted.given("first-plain-secret-" + random(16))
		w.webhook(r, doc{"code": "rot", "secret": old}).has("warnings", "[]", "secrets.0.hint", "…"+old[len(old)-4:], "secrets.0.expiresAt", "")
		w.signed(w.next(r, doc{"type": "a.b", "entity": doc{"n": 1}}), old)

		a := w.admin.post("/v1/webhooks/rot/secret/rotate", doc{"overlap": "48h"}).want(http.StatusOK).heads("ETag", `"2"`)
		made := a.text("secret")
		if !strings.HasPrefix(made, "whsec_") || a.text("previousExpiresAt") == "" {
			w.t.Fatalf("rotation answered %s", a.body)
		}
		w.signed(w.next(r, doc{"type": "a.b", "entity": doc{"n": 2}}), old, made)
		got := w.viewer.get("/v1/webhooks/rot").want(http.StatusOK).has("secrets.1.id", a.text("id"), "secrets.1.expiresAt", "", "secrets.0.expiresAt", a.text("previousExpiresAt"), "secrets.2", "")

		third := w.planted.given("third-plain-secret-" + random(16))
		w.admin.put("/v1/webhooks/rot", got.at0().with(doc{"secret": third, "secrets": nil})).want(http.StatusOK).heads("Sallyport-Changed", "secret")
		q := w.next(r, doc{"type": "a.b", "entity": doc{"n": 3}})
		w.signed(testkit.Received{Header: q.Header.Clone(), Body: q.Body}, old, made, third)

		// One that is no longer needed ends early; a rotation without overlap ends all others at once.
		w.admin.delete("/v1/webhooks/rot/secret?id=" + got.text("secrets.0.id")).want(http.StatusNoContent)
		w.signed(w.next(r, doc{"type": "a.b"}), made, third)
		last := w.planted.given("last-plain-secret-" + random(16))
		w.admin.post("/v1/webhooks/rot/secret/rotate", doc{"secret": last, "overlap": "0s"}).want(http.StatusOK).has("secret", "", "hint", "…"+last[len(last)-4:])
		w.signed(w.next(r, doc{"type": "a.b"}), last)
		w.admin.delete("/v1/webhooks/rot/secret").want(http.StatusNoContent)
		w.signed(w.next(r, doc{"type": "a.b"}))
		w.admin.delete("/v1/webhooks/rot/secret").problem(http.StatusNotFound, "not_found")
		w.viewer.get("/v1/webhooks/rot").want(http.StatusOK).has("secrets", "[]", "warnings", `["no_secret"]`)
	},
	"a fourth secret ends the oldest": func(w *world) {
		r := w.receiver()
		live := []string{w.webhook(r, doc{"code": "four", "generateSecret": true}).text("secret")}
		for range 3 {
			live = append(live, w.admin.post("/v1/webhooks/four/secret/rotate", doc{"overlap": "30d"}).want(http.StatusOK).text("secret"))
		}
		got := w.viewer.get("/v1/webhooks/four").want(http.StatusOK).has("secrets.3", "", "secrets.2.expiresAt", "")
		for n, secret := range live[1:] {
			got.has("secrets."+strconv.Itoa(n)+".hint", "…"+secret[len(secret)-4:])
		}
		// Three sign, and what has room for one has that of the oldest of them.
		q := w.next(r, doc{"type": "a.b"})
		if got := strings.Fields(q.Header.Get("webhook-signature")); len(got) != 3 || got[0] != v1(live[3], q) || got[1] != v1(live[2], q) || got[2] != v1(live[1], q) {
			w.t.Errorf("signatures are %q", got)
		}
		if q.Header.Get("X-Signature") != hexMAC(live[1], q.Body) || q.Header.Get("X-Signature-Next") != hexMAC(live[3], q.Body) {
			w.t.Errorf("X-Signature is %s, the next %s", q.Header.Get("X-Signature"), q.Header.Get("X-Signature-Next"))
		}
	},
	"a later rotation does not shorten what was promised": func(w *world) {
		w.webhook(w.receiver(), doc{"code": "promise", "generateSecret": true})
		promised := w.admin.post("/v1/webhooks/promise/secret/rotate", doc{"overlap": "10d"}).want(http.StatusOK).text("previousExpiresAt")
		w.admin.post("/v1/webhooks/promise/secret/rotate", nil).want(http.StatusOK)
		w.viewer.get("/v1/webhooks/promise").want(http.StatusOK).has("secrets.0.expiresAt", promised)
	},
	"an overlap ends by itself": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "brief", "generateSecret": true})
		made := w.admin.post("/v1/webhooks/brief/secret/rotate", doc{"overlap": "1s"}).want(http.StatusOK).text("secret")
		eventually(w.t, "the old secret to end", func() bool {
			return w.next(r, doc{"type": "a.b"}).Header.Get("X-Signature-Next") == ""
		})
		w.signed(w.next(r, doc{"type": "a.b"}), made)
	},
	"a generated secret is shown once": func(w *world) {
		r := w.receiver()
		body := doc{"url": r.URL, "generateSecret": true}
		made := w.admin.put("/v1/webhooks/gen", body).want(http.StatusCreated).text("secret")
		if key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(made, "whsec_")); err != nil || len(key) < 24 {
			w.t.Errorf("the secret is %q", made)
		}
		w.admin.put("/v1/webhooks/gen", body).want(http.StatusOK).heads("Sallyport-Result", "unchanged").has("secret", "")
		w.admin.put("/v1/webhooks/dry?dryRun=true", body).want(http.StatusCreated).has("secret", "")
		w.signed(w.next(r, doc{"type": "a.b"}), made)
	},
	"an unset variable opens nothing": func(w *world) {
		r := w.receiver()
		secret := w.planted.given("stays-as-it-is-" + random(16))
		w.webhook(r, doc{"code": "ci", "secret": secret, "basicAuth": doc{"username": "u", "password": w.planted.given("stays-too-" + random(16))}})
		for _, value := range []string{"null", `""`} {
			w.admin.put("/v1/webhooks/ci", `{"url":"https://a.example","secret":`+value+`}`).fault("/secret", "empty_secret")
			w.admin.patch("/v1/webhooks/ci", `{"secret":`+value+`}`).fault("/secret", "empty_secret")
			w.admin.patch("/v1/webhooks/ci", `{"basicAuth":{"password":`+value+`}}`).problem(http.StatusUnprocessableEntity, "validation_failed")
			w.admin.post("/v1/webhooks/ci/secret/rotate", `{"secret":`+value+`}`).fault("/secret", "empty_secret")
			w.admin.patch("/v1/webhooks/ci", `{"headers":[{"name":"X-Key","value":`+value+`}]}`).problem(http.StatusUnprocessableEntity, "validation_failed")
		}
		w.signed(w.next(r, doc{"type": "a.b"}), secret)
	},
	"how long a secret must be": func(w *world) {
		w.admin.post("/v1/webhooks", doc{"code": "s", "url": "https://a.example", "secret": strings.Repeat("x", 23)}).fault("/secret", "too_short")
		w.admin.post("/v1/webhooks", doc{"code": "s", "url": "https://a.example", "secret": strings.Repeat("x", 257)}).fault("/secret", "too_long")
		w.admin.post("/v1/webhooks", doc{"code": "s", "url": "https://a.example", "secret": "whsec_not*base64*at*all****"}).fault("/secret", "invalid_format")
		w.admin.post("/v1/webhooks", doc{"code": "s", "url": "https://a.example", "profile": "mixpost", "secret": w.planted.given("old8" + random(4))}).want(http.StatusCreated).has("warnings", `["short_secret"]`)
		w.admin.post("/v1/webhooks/s/secret/rotate", doc{"overlap": "31d"}).fault("/overlap", "out_of_range")
	},
	"basic authentication and secret headers": func(w *world) {
		r := w.receiver()
		password, token, key := w.planted.given("basic-password-"+random(16)), w.planted.given("bearer-token-"+random(16)), w.planted.given("header-key-"+random(16))
		w.webhook(r, doc{"code": "basic", "basicAuth": doc{"username": "erp", "password": password}, "headers": []doc{{"name": "X-Api-Key", "value": key}, {"name": "x-TEAM", "value": "erp"}}, "eventTypes": []string{"basic.*"}}).
			has("basicAuth", `{"username":"erp"}`, "headers.0.name", "X-Api-Key", "headers.0.secret", "true", "headers.0.value", "", "headers.1.value", "erp", "headers.1.secret", "false")
		q := w.next(r, doc{"type": "basic.a"})
		if user, got, _ := basicAuth(q.Header); user != "erp" || got != password {
			w.t.Errorf("basic authentication was %s:%s", user, got)
		}
		if line, _ := q.HeaderLine("x-TEAM"); line != "erp" || q.Header.Get("X-Api-Key") != key {
			w.t.Errorf("custom headers are\n%s", q.Head)
		}
		w.webhook(r, doc{"code": "bearer", "headers": []doc{{"name": "Authorization", "value": "Bearer " + token}, {"name": "X-Plain", "value": "seen", "secret": true}}, "eventTypes": []string{"bearer.*"}}).has("headers.1.value", "")
		if got := w.next(r, doc{"type": "bearer.a"}).Header.Get("Authorization"); got != "Bearer "+token {
			w.t.Errorf("Authorization is %q", got)
		}
		// A secret header left without its value keeps it; one that stops being secret needs it anew.
		w.admin.patch("/v1/webhooks/bearer", doc{"headers": []doc{{"name": "authorization"}}}).want(http.StatusOK)
		if got := w.next(r, doc{"type": "bearer.a"}).Header.Get("Authorization"); got != "Bearer "+token {
			w.t.Errorf("Authorization is %q", got)
		}
		w.admin.patch("/v1/webhooks/bearer", doc{"headers": []doc{{"name": "Authorization", "secret": false}}}).fault("/headers/0/value", "required")
		w.admin.patch("/v1/webhooks/basic", doc{"basicAuth": nil}).want(http.StatusOK).has("basicAuth", "")
		if q := w.next(r, doc{"type": "basic.a"}); q.Header.Get("Authorization") != "" {
			w.t.Error("basic authentication was not removed")
		}
	},
})
