package e2e

import (
	"net/http"
	"strings"
	"time"
)

var _ = suite("hashes", map[string]func(*world){
	"the minute's hash, by the real clock, a little off as well": func(w *world) {
		secret := w.planted.given("clock-" + random(20))
		w.door("clock", doc{"secrets": []doc{{"name": "erp", "value": secret}}, "hash": "{{ (secrets.erp ~ 'now'|date('Y-m-d_H-i'))|md5 }}"}).
			has("hashTolerance", "30s", "warnings.0", "hash_md5")
		call := func(at time.Time) *answer {
			return w.nobody.post(w.in("clock")+"?hash="+w.planted.given(minuteHash(secret, at)), `{"n":1}`)
		}
		a := call(time.Now()).want(http.StatusAccepted) // the end of a minute is within the tolerance
		n := w.noted(a).has("url", w.in("clock")+"?hash=[redacted]")
		if check(n, "hash") != "passed" || n.at("clockOffset") == nil {
			w.t.Errorf("on record is %s", n.body)
		}
		wrong := call(time.Now().Add(-3*time.Minute)).problem(http.StatusForbidden, "hash_mismatch")
		n = w.noted(wrong).has("verdict", "refused", "reason", "hash_mismatch", "clockOffset", "")
		if got := check(n, "hash"); got != "failed no instant within 30s matched" {
			w.t.Errorf("the check says %q", got)
		}
		inMoscow := call(time.Now().Add(3*time.Hour)).problem(http.StatusForbidden, "hash_mismatch")
		// For what it seems to be instead a second is spent, in which a busy machine may not find it.
		id := w.noted(inMoscow).text("id")
		eventually(w.t, "the check to say what is wrong", func() bool {
			got := check(w.operator.post("/v1/requests/"+id+"/verify", nil).has("reason", "hash_mismatch"), "hash")
			return strings.Contains(got, "time 3h later") && strings.Contains(got, "hashTimezone, UTC")
		})
		w.nobody.post(w.in("clock"), `{}`).problem(http.StatusForbidden, "hash_missing")
		for _, query := range []string{"?hash[]=x", "?hash=", "?hash=a&hash=b", "?HASH=x", "?hash=%"} {
			a := w.nobody.post(w.in("clock")+query, `{}`).want(http.StatusForbidden)
			if code := a.text("code"); code != "hash_missing" && code != "hash_mismatch" {
				w.t.Errorf("%s is %s", query, code)
			}
		}
	},
	"how far a clock is off is on record": func(w *world) {
		secret := w.planted.given("drift-" + random(20))
		// Quarters of a minute, so that half a minute late is two steps away.
		w.door("drift", doc{"hashTolerance": "1m", "secrets": []doc{{"name": "k", "value": secret}}, "hash": "{{ secrets.k ~ ('now'|date('U') // 15) }}"})
		for _, off := range []time.Duration{-45 * time.Second, 45 * time.Second} {
			step := time.Now().Add(off).Unix() / 15
			hash := w.planted.given(secret + itoa(step))
			n := w.noted(w.nobody.post(w.in("drift")+"?hash="+hash, `{}`).want(http.StatusAccepted))
			got, err := time.ParseDuration(n.text("clockOffset"))
			if err != nil || (got-off).Abs() > 15*time.Second {
				w.t.Errorf("%s off is on record as %q", off, n.text("clockOffset"))
			}
		}
		w.nobody.post(w.in("drift")+"?hash="+secret+itoa(time.Now().Add(-2*time.Minute).Unix()/15), `{}`).problem(http.StatusForbidden, "hash_mismatch")
	},
	"a zone of its own": func(w *world) {
		w.door("zoned", doc{"hash": "{{ 'now'|date('Z e') }}", "hashTimezone": "Asia/Kolkata"})
		w.nobody.post(w.in("zoned")+"?hash=19800+Asia/Kolkata", `{}`).want(http.StatusAccepted)
		w.nobody.post(w.in("zoned")+"?hash=0+UTC", `{}`).problem(http.StatusForbidden, "hash_mismatch")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "hash": "x", "hashTimezone": "Mars/Olympus"}).problem(http.StatusUnprocessableEntity, "validation_failed").has("errors.0.pointer", "/hashTimezone")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "hash": "x", "hashTolerance": "6m"}).fault("/hashTolerance", "out_of_range")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "hash": "{{ secrets.erp|md5 }}"}).fault("/hash", "invalid_format")
	},
	"a static hash, where it is looked for, and nothing shows it": func(w *world) {
		hash := w.planted.given("static=&+ü" + random(16))
		r := w.receiver()
		w.action("show", "httpRequest", doc{"url": r.URL, "body": doc{"query": "{{ request.query }}", "headers": "{{ request.headers }}", "item": "{{ item }}"}})
		door := doc{"code": "static", "hash": "\n " + hash + "  ", "methods": []string{"POST", "GET"}, "routes": to("show"), "logging": "all"}
		w.operator.post("/v1/incoming-webhooks", door).problem(http.StatusForbidden, "forbidden")
		w.door("static", door)
		encoded := strings.NewReplacer("=", "%3D", "&", "%26", "+", "%2B", "ü", "%C3%BC").Replace(hash)
		w.planted.given(encoded)
		w.nobody.get(w.in("static") + "?hash=" + encoded + "&ref=7").want(http.StatusAccepted)
		got := string(r.Wait(1)[0].Body)
		if strings.Contains(got, hash[len(hash)-16:]) || !strings.Contains(got, `"ref":"7"`) || !strings.Contains(got, `"item":{"ref":"7"}`) {
			w.t.Errorf("the action saw %s", got)
		}
		w.nobody.get(w.in("static")+"?ref=7", "hash", hash).problem(http.StatusForbidden, "hash_missing")
		w.nobody.get(w.in("static")+"?hash="+strings.ToUpper(encoded)).problem(http.StatusForbidden, "hash_mismatch")
		for _, c := range []*caller{w.viewer, w.operator} {
			c.get("/v1/incoming-webhooks/static").want(http.StatusOK).has("hash", "", "hashConfigured", "true")
		}
		if got := w.viewer.get("/v1/requests?code=static").want(http.StatusOK).list("url"); len(got) == 0 || !strings.Contains(strings.Join(got, " "), "?hash=[redacted]&ref=7") {
			w.t.Errorf("listed are %q", got)
		}
		// Dropped on purpose only.
		w.admin.delete("/v1/incoming-webhooks/static/hash").want(http.StatusNoContent)
		w.nobody.get(w.in("static") + "?ref=8").want(http.StatusAccepted)
		w.admin.get("/v1/incoming-webhooks/static").want(http.StatusOK).has("hashConfigured", "false", "warnings.0", "no_check")
	},
})
