package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// notFound74 is what AtroCore answers whatever the matter is.
const notFound74 = "<h1>404 Not Found</h1>The page that you have requested could not be found."

// ok200 wants AtroCore's answer to what it took.
func (a *answer) ok200() *answer {
	a.t.Helper()
	a.want(http.StatusOK).heads("Content-Type", "text/plain;charset=UTF-8")
	if string(a.body) != "OK" {
		a.t.Errorf("%s answered %q, want OK", a.asked, a.body)
	}
	return a
}

// refused404 wants AtroCore's answer to all else.
func (a *answer) refused404() *answer {
	a.t.Helper()
	a.want(http.StatusNotFound)
	if got := a.header.Get("Content-Type"); !strings.HasPrefix(a.asked, "HEAD ") && (string(a.body) != notFound74 || got != "text/html; charset=UTF-8") {
		a.t.Errorf("%s answered %s %q", a.asked, got, a.body)
	}
	return a
}

// testAtroCore holds doors of the profile atrocore against the facts A1 to A10 of AtroCore 2.3.
func testAtroCore(t *testing.T, s *server) {
	address := testkit.FreeAddr(t)
	s.launch("SALLYPORT_ADDR="+address, "SALLYPORT_BASE_URL=https://pim.example.com", "SALLYPORT_TRUSTED_PROXIES=127.0.0.1,10.0.0.1", "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8")
	s.url = "http://" + address
	s.awaitReady()
	root := &caller{t: t, s: s, key: s.adminKey}
	w := &world{server: s, t: t, workspace: "default", admin: root, operator: root, viewer: root, nobody: &caller{t: t, s: s}}
	entry := func(code string) string { return "/?entryPoint=webhook&code=" + code }
	atro := func(code string, more doc) *answer { return w.door(code, doc{"profile": "atrocore"}.with(more)) }
	post := func(path string, headers ...string) *answer { return w.nobody.post(path, `{"a":1}`, headers...) }

	// A1, A2
	atro("erp-sync", nil).has("url", "https://pim.example.com?entryPoint=webhook&code=erp-sync")
	if n := len(notFound74); n != 74 {
		t.Fatalf("the test's own text has %d bytes", n)
	}
	post(entry("erp-sync")).ok200()
	post("/?code=other&entryPoint=webhook&code=erp-sync").ok200() // of repeated parameters PHP takes the last
	// A3
	hash := s.planted.given("s3cr3t-" + random(16))
	broken := w.receiver()
	broken.Respond(testkit.Answer{Status: 500})
	w.action("broken", "httpRequest", doc{"url": broken.URL})
	atro("inactive", doc{"enabled": false})
	atro("elsewhere", doc{"ipAllowList": []string{"198.51.100.1"}})
	atro("hashed", doc{"hash": " " + hash + "\n"})
	atro("throws", doc{"routes": to("broken")})
	for _, path := range []string{entry("unknown"), entry(""), "/?entryPoint=webhook", entry("inactive"), entry("elsewhere"), entry("hashed"), entry("hashed") + "&hash=wrong", entry("throws")} {
		post(path).refused404()
	}
	w.nobody.get(entry("erp-sync")).refused404()
	w.nobody.call(http.MethodHead, entry("erp-sync"), nil).refused404()
	// A4
	post(entry("hashed"), "hash", hash, "X-Hash", hash).refused404()
	w.nobody.post(entry("hashed"), doc{"hash": hash}).refused404()
	w.nobody.post(entry("hashed"), "hash="+hash, "Content-Type", "application/x-www-form-urlencoded").refused404()
	// A5
	post(entry("hashed") + "&hash=" + hash).ok200()
	post(entry("hashed") + "&hash=" + strings.ToUpper(hash)).refused404()
	post(entry("hashed") + "&hash=wrong&hash=" + hash).ok200()
	post(entry("hashed") + "&hash=" + hash + "&hash=wrong").refused404()
	post(entry("hashed") + "&hash[]=" + hash).refused404()
	// A6
	w.action("never", "publishEvent", doc{"type": "never.happens"}, doc{"condition": "false"})
	atro("conditional", doc{"routes": to("never")})
	n := w.ran(post(entry("conditional")).ok200(), doc{"skipped": 1})
	w.viewer.get("/v1/deliveries/"+n.text("deliveries.0.id")).want(http.StatusOK).has("state", "skipped", "stateReason", "condition_false", "attemptCount", "0", "attempts", "[]")
	// A7
	r := w.receiver()
	w.action("capture", "httpRequest", doc{"url": r.URL, "body": doc{"body": "{{ request.rawBody }}", "query": "{{ request.query }}", "ip": "{{ request.ip }}", "header": "{{ request.headers['x-erp'] }}"}})
	atro("captured", doc{"hash": hash, "routes": to("capture")})
	captured := post(entry("captured")+"&hash="+hash+"&ref=7", "X-Erp", "yes").ok200()
	if got, want := string(r.Wait(1)[0].Body), `{"body":"{\"a\":1}","header":"yes","ip":"127.0.0.1","query":{"entryPoint":"webhook","code":"captured","ref":"7"}}`; got != want {
		t.Errorf("the action saw\n%s, want\n%s", got, want)
	}
	n = w.noted(captured).has("body", `{"a":1}`, "url", "/?entryPoint=webhook&code=captured&hash=[redacted]&ref=7", "clientAddress", "127.0.0.1")
	if !strings.Contains(string(n.body), `"X-Erp"`) {
		t.Errorf("the headers are not on record: %s", n.body)
	}
	// A8
	atro("listed", doc{"ipAllowList": []string{"203.0.113.7"}})
	w.noted(post(entry("listed"), "X-Forwarded-For", "203.0.113.7, 10.0.0.1").ok200()).has("clientAddress", "203.0.113.7", "peerAddress", "127.0.0.1", "forwardedBy", "X-Forwarded-For")
	post(entry("listed"), "X-Forwarded-For", "::ffff:203.0.113.7, 10.0.0.1").ok200()
	post(entry("listed"), "X-Forwarded-For", "203.0.113.7, 10.0.0.2").refused404() // of which only 10.0.0.2 can be believed
	post(entry("listed"), "Client-Ip", "203.0.113.7").refused404()
	w.door("mapped", doc{"ipAllowList": []string{"::ffff:203.0.113.7"}})
	post("/in/mapped", "X-Forwarded-For", "203.0.113.7").want(http.StatusAccepted)
	post("/in/mapped", "X-Forwarded-For", "203.0.113.8").problem(http.StatusForbidden, "ip_not_allowed")
	// A9, A10
	for _, bad := range []string{"10.0.0.0/8", "203.0.113.7:80", "pim.example.com"} {
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "profile": "atrocore", "ipAllowList": []string{"203.0.113.7", bad}}).
			fault("/ipAllowList/1", "invalid_cidr").says(bad)
	}
	w.admin.post("/v1/incoming-webhooks", doc{"code": "bad code!", "profile": "atrocore"}).fault("/code", "invalid_format")
	w.admin.put("/v1/incoming-webhooks/bad%20code!", doc{"profile": "atrocore"}).fault("/code", "invalid_format")
	// The minute's hash, whose clock is the server's own. A minute that ends meanwhile does not count.
	secret := s.planted.given("your-string-here-" + random(12))
	atro("minute", doc{"secrets": []doc{{"name": "erp", "value": secret}}, "hash": "{{ (secrets.erp ~ 'now'|date('Y-m-d_H-i'))|md5 }}"}).has("hashTolerance", "0s")
	eventually(t, "a whole minute", func() bool {
		at := time.Now()
		a := post(entry("minute") + "&hash=" + s.planted.given(minuteHash(secret, at)))
		whole := at.Minute() == time.Now().Minute()
		if whole {
			a.ok200()
		}
		return whole
	})
	post(entry("minute") + "&hash=" + minuteHash(secret, time.Now().Add(-2*time.Minute))).refused404()
	// A door answers at its profile's URL only.
	post("/in/erp-sync").problem(http.StatusNotFound, "not_found")
	post(entry("mapped")).refused404()
	s.stop()
}

var _ = suite("atrocore", map[string]func(*world){
	"without trusted proxies nobody is believed, and it is the workspace's": func(w *world) {
		w.door("listed", doc{"profile": "atrocore", "ipAllowList": []string{"203.0.113.7"}}).has("url", w.url+"/w/"+w.workspace+"?entryPoint=webhook&code=listed")
		w.door("open", doc{"profile": "atrocore", "methods": []string{"POST", "GET"}})
		for _, root := range []string{"/w/" + w.workspace, "/w/" + w.workspace + "/"} {
			w.nobody.post(root+"?entryPoint=webhook&code=listed", `{}`, "X-Forwarded-For", "203.0.113.7, 10.0.0.1").refused404()
			w.nobody.post(root+"?entryPoint=webhook&code=open", `{}`).ok200()
			w.nobody.get(root + "?entryPoint=webhook&code=open").ok200()
		}
		w.nobody.post("/?entryPoint=webhook&code=open", `{}`).refused404()
	},
	"templates of hashes, by the clock they are given": func(w *world) {
		const at = "2026-11-21T20:56:59Z"
		for _, v := range []struct{ now, template, output string }{
			{"2026-11-21T20:56:00Z", seedHash, "42258c7070df515e22fb9912cfae6a80"}, {at, seedHash, "42258c7070df515e22fb9912cfae6a80"},
			{"2026-11-21T20:57:00Z", seedHash, "994ef995720b7e2c2408bb9407bfcdcf"}, {"2024-02-29T23:59:59Z", seedHash, "3e31af54a3d88fb6de0183bb707a75a8"},
			{"2024-03-01T00:00:00Z", seedHash, "e7d12dbb1e1dc96a82df4c968337ec00"},
			{at, "{{ 'your-string-here' ~ 'now'|date('Y-m-d_H-i')|md5 }}", "your-string-here83562b760f3d1db58960ba7dc2c94751"},
			{at, "{# " + seedHash + " #}", ""}, {at, "{{ null }}", ""}, {at, "{{ undefinedVar }}", ""},
			{at, "{{ md5('abc') }}", "900150983cd24fb0d6963f7d28e17f72"}, {at, "{{ (5 ~ '')|md5 }}", "e4da3b7fbbce2345d7772b0674a318d5"},
			{at, "{% set t = 'now'|date('U') %}{{ ('k' ~ (t // 300))|md5 }}", "70292601204837e83ff006f5b22707eb"},
			{at, "{{ 'now'|date('Y-m-d_H-i', 'Europe/Paris') }}", "2026-11-21_21-56"},
			{at, "{{ 'now'|date_modify('+1 minute')|date('Y-m-d_H-i') }}", "2026-11-21_20-57"}, {at, "{{ 'a&b' }}", "a&b"}, {at, `{{ {a:1}|json_encode|raw }}`, `{"a":1}`},
			{at, "{{ 'now'|date('D, d M Y H:i:s N jS z t L B G g h A v e T P O c r U') }}",
				"Sat, 21 Nov 2026 20:56:59 6 21st 324 30 0 914 20 8 08 PM 000 UTC UTC +00:00 +0000 2026-11-21T20:56:59+00:00 Sat, 21 Nov 2026 20:56:59 +0000 1795294619"},
		} {
			w.operator.post("/v1/templates/render", doc{"template": v.template, "now": v.now}).want(http.StatusOK).has("output", v.output)
		}
		w.operator.post("/v1/templates/render", doc{"template": "{{ 'a'|nosuchfilter }}"}).problem(http.StatusUnprocessableEntity, "template_syntax").has("line", "1")
	},
	"a hash that renders nothing is not saved": func(w *world) {
		for _, hash := range []string{"{{ null }}", "{{ undefinedVar }}", "{# " + seedHash + " #}", "0", "null", "NULL", "  ", "{{ 'nul' ~ 'l' }}", "{{ secrets.none }}", "{{ (secrets.none ~ 'now'|date('i'))|md5 }}"} {
			a := w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "profile": "atrocore", "hash": hash})
			a.problem(http.StatusUnprocessableEntity, "validation_failed").has("errors.0.pointer", "/hash")
		}
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "hash": "{{ null }}"}).fault("/hash", "template_renders_empty")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "hash": "{{ 'a'|nosuchfilter }}"}).fault("/hash", "template_syntax")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "hash": "{{ request.ip }}"}).problem(http.StatusUnprocessableEntity, "validation_failed")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "hash": ""}).fault("/hash", "empty_secret")
		w.admin.post("/v1/incoming-webhooks", `{"code":"bad","hash":null}`).fault("/hash", "empty_secret")
	},
})

// seedHash is the hash of AtroCore's documentation.
const seedHash = "{{ ('your-string-here' ~ 'now'|date('Y-m-d_H-i'))|md5 }}"
