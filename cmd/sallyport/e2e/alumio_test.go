package e2e

import (
	"net/http"
	"slices"
	"strings"
)

var _ = suite("alumio", map[string]func(*world){
	"U1 and U2: signatures described as data": func(w *world) {
		const body = `{"products":[{"sku":"A-1","qty":3}]}`
		const sha256Hex, sha256Base64 = "3da2b46e822524ada173226e99ea16853588a900ecfae569ccd8cefac7774e0b", "PaK0boIlJK2hcyJumeoWhTWIqQDs+uVpzNjO+sd3Tgs="
		for code, c := range map[string]struct{ signature, header, value string }{
			"github":  {`{"algorithm":"hmac-sha256","header":"X-Hub-Signature-256","encoding":"hex","prefix":"sha256="}`, "X-Hub-Signature-256", "sha256=" + sha256Hex},
			"shopify": {`{"algorithm":"hmac-sha256","header":"X-Shopify-Hmac-Sha256","encoding":"base64"}`, "X-Shopify-Hmac-Sha256", sha256Base64},
			"preset":  {`"github"`, "X-Hub-Signature-256", "sha256=" + sha256Hex},
		} {
			field := "verification"
			if code == "preset" {
				field = "preset"
			}
			w.admin.post("/v1/incoming-webhooks", `{"code":"`+code+`","profile":"alumio","secrets":[{"name":"s","value":"alumio-shared"}],
				"preProcessors":[{"type":"signature","`+field+`":`+c.signature+`,"secrets":["s"]}]}`).want(http.StatusCreated).has("preProcessors.0.name", "signature")
			path := "/w/" + w.workspace + "/api/v1/webhook/" + code
			w.nobody.post(path, body, c.header, c.value).want(http.StatusAccepted)
			w.nobody.post(path, body+" ", c.header, c.value).problem(http.StatusForbidden, "signature_mismatch")
			w.nobody.post(path, body, c.header, c.value[:len(c.value)-4]+"0000").problem(http.StatusForbidden, "signature_mismatch")
			w.nobody.post(path, body).problem(http.StatusForbidden, "signature_missing")
		}
	},
	"U3: identifiers from names": func(w *world) {
		base := w.url + "/w/" + w.workspace + "/api/v1/webhook/"
		named := func() *answer {
			return w.admin.post("/v1/incoming-webhooks", doc{"name": "ERP Stock", "profile": "alumio"}).want(http.StatusCreated).has("name", "ERP Stock")
		}
		named().has("code", "erp-stock", "url", base+"erp-stock")
		named().has("code", "erp-stock-2", "url", base+"erp-stock-2")
		w.nobody.post("/w/"+w.workspace+"/api/v1/webhook/erp-stock-2/", `{}`).want(http.StatusAccepted)
		w.nobody.post(w.in("erp-stock"), `{}`).problem(http.StatusNotFound, "not_found")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "ERP-stock"}).problem(http.StatusConflict, "code_taken")
	},
	"U4: one request, three entities, a task per route": func(w *world) {
		one, two := w.sink("one"), w.sink("two")
		w.door("products", doc{"profile": "alumio", "parser": doc{"type": "json", "items": "products[*]"}, "routes": to("one", "two")})
		a := w.nobody.post("/w/"+w.workspace+"/api/v1/webhook/products", `{"products":[{"sku":"A"},{"sku":"B"},{"sku":"C"}]}`).want(http.StatusAccepted).has("events", "3", "deliveries", "6")
		w.ran(a, doc{"succeeded": 6})
		want := []string{`{"sku":"A"}`, `{"sku":"B"}`, `{"sku":"C"}`}
		for name, got := range map[string][]string{"one": bodies(one.Wait(3)), "two": bodies(two.Wait(3))} {
			if slices.Sort(got); !slices.Equal(got, want) {
				w.t.Errorf("%s got %q", name, got)
			}
		}
	},
	"U5: additional configurations read the same bytes on their own": func(w *world) {
		primary, rows, none := w.sink("primary"), w.sink("rows"), w.sink("none")
		w.sink("xml")
		w.door("fan", doc{"profile": "alumio", "parser": doc{"type": "json"}, "routes": []doc{
			{"action": "primary"}, {"name": "by-row", "action": "rows", "parser": doc{"type": "json", "items": "rows[*]"}},
			{"name": "broken", "action": "xml", "parser": doc{"type": "xml"}}, {"name": "nothing", "action": "none", "condition": "item.kind == 'other'"},
		}})
		a := w.nobody.post("/w/"+w.workspace+"/api/v1/webhook/fan", `{"kind":"stock","rows":[{"n":1},{"n":2}]}`).want(http.StatusAccepted).has("events", "3", "deliveries", "3")
		n := w.ran(a, doc{"succeeded": 3})
		if got := bodies(primary.Wait(1)); got[0] != `{"kind":"stock","rows":[{"n":1},{"n":2}]}` {
			w.t.Errorf("the primary route got %q", got)
		}
		got := bodies(rows.Wait(2))
		if slices.Sort(got); !slices.Equal(got, []string{`{"n":1}`, `{"n":2}`}) {
			w.t.Errorf("the route by row got %q", got)
		}
		if len(none.Received()) != 0 || !strings.HasPrefix(check(n, "route:broken"), "failed") {
			w.t.Errorf("the others: %q, %s", bodies(none.Received()), n.body)
		}
	},
	"U6: a header must match": func(w *world) {
		r := w.sink("a")
		w.door("token", doc{"preProcessors": []doc{{"name": "token", "type": "header", "header": "X-Token", "matches": "^abc$"}}, "routes": to("a")})
		w.nobody.post(w.in("token"), `{"n":1}`, "X-Token", "abc").want(http.StatusAccepted)
		for _, value := range []string{"", "abcd", "ABC"} {
			a := w.nobody.post(w.in("token"), `{"n":2}`, "X-Token", value).problem(http.StatusForbidden, "pre_processor_refused")
			n := w.noted(a).has("verdict", "refused", "reason", "pre_processor_refused", "body", `{"n":2}`, "eventCount", "0", "deliveryCount", "0")
			if !strings.HasPrefix(check(n, "token"), "failed") {
				w.t.Errorf("with %q: %s", value, n.body)
			}
		}
		if r.Wait(1); len(r.Received()) != 1 {
			w.t.Errorf("the action got %q", bodies(r.Received()))
		}
	},
	"U7: query token, body token and address, alone and together": func(w *world) {
		query := doc{"name": "q", "type": "query", "matches": `[?&]token=abc(&|$)`}
		body := doc{"name": "b", "type": "body", "path": "auth.token", "equals": "xyz"}
		raw := doc{"name": "r", "type": "body", "matches": `"token":\s*"xyz"`}
		near, far := doc{"name": "ip", "type": "ip", "allow": []string{"127.0.0.0/8"}}, doc{"name": "ip", "type": "ip", "allow": []string{"203.0.113.0/24"}}
		const good, bad = `{"auth":{"token":"xyz"}}`, `{"auth":{"token":"xy"}}`
		for _, c := range []struct {
			code, query, body string
			checks            []doc
			refused           string
		}{
			{"q1", "?token=abc", bad, []doc{query}, ""}, {"q2", "?token=abcd", good, []doc{query}, "pre_processor_refused"}, {"q3", "", good, []doc{query}, "pre_processor_refused"},
			{"p1", "?token=abc", bad, []doc{{"type": "query", "parameter": "token", "equals": "abc"}}, ""},
			{"p2", "?token=abc&token=abc", bad, []doc{{"type": "query", "parameter": "token", "equals": "abc"}}, "pre_processor_refused"},
			{"b1", "", good, []doc{body}, ""}, {"b2", "", bad, []doc{body}, "pre_processor_refused"}, {"b3", "", "no JSON", []doc{body}, "pre_processor_refused"},
			{"r1", "", good, []doc{raw}, ""}, {"r2", "", bad, []doc{raw}, "pre_processor_refused"},
			{"i1", "", bad, []doc{near}, ""}, {"i2", "", good, []doc{far}, "ip_not_allowed"},
			{"all1", "?token=abc", good, []doc{query, body, raw, near}, ""}, {"all2", "?token=abc", bad, []doc{query, body, raw, near}, "pre_processor_refused"},
			{"all3", "", good, []doc{query, body, raw, near}, "pre_processor_refused"}, {"all4", "?token=abc", good, []doc{query, body, raw, far}, "ip_not_allowed"},
		} {
			w.door(c.code, doc{"preProcessors": c.checks})
			if a := w.nobody.post(w.in(c.code)+c.query, c.body); c.refused == "" {
				a.want(http.StatusAccepted)
			} else {
				a.problem(http.StatusForbidden, c.refused)
			}
		}
	},
	"U8: CSV with a header row": func(w *world) {
		r := w.sink("a")
		w.door("csv", doc{"parser": doc{"type": "csv", "delimiter": ";"}, "routes": to("a")})
		w.nobody.post(w.in("csv"), "sku;qty\r\nA-1;3\r\n\"B;2\";4\r\n", "Content-Type", "text/csv").want(http.StatusAccepted).has("events", "2", "deliveries", "2")
		got := bodies(r.Wait(2))
		if slices.Sort(got); !slices.Equal(got, []string{`{"sku":"A-1","qty":"3"}`, `{"sku":"B;2","qty":"4"}`}) {
			w.t.Errorf("the action got %q", got)
		}
	},
	"U9 and U10: post-processors follow what was taken, and nothing else": func(w *world) {
		r, after := w.sink("a"), w.sink("after")
		hooked := w.receiver()
		w.webhook(hooked, doc{"code": "told", "eventTypes": []string{"stock.received"}})
		w.door("post", doc{"preProcessors": []doc{{"type": "header", "header": "X-Token", "equals": "abc"}}, "routes": to("a"), "postProcessors": []doc{
			{"type": "publishEvent", "config": doc{"type": "stock.received", "entityId": "{{ request.id }}", "entity": doc{"n": "{{ request.body.n }}"}}},
			{"type": "action", "action": "after"},
		}})
		w.nobody.post(w.in("post"), `{"n":1}`).problem(http.StatusForbidden, "pre_processor_refused")
		a := w.nobody.post(w.in("post"), `{"n":2}`, "X-Token", "abc").want(http.StatusAccepted)
		r.Wait(1)
		told := hooked.Wait(1)[0]
		after.Wait(1)
		if !strings.Contains(string(told.Body), a.text("requestId")) || !strings.Contains(string(told.Body), `{"n":2}`) {
			w.t.Errorf("told of %s", told.Body)
		}
		w.admin.patch("/v1/incoming-webhooks/post", doc{"enabled": false}).want(http.StatusOK)
		w.nobody.post(w.in("post"), `{"n":3}`, "X-Token", "abc").problem(http.StatusNotFound, "not_found")
		if len(r.Received()) != 1 || len(hooked.Received()) != 1 || len(after.Received()) != 1 {
			w.t.Errorf("more than one was taken: %d, %d, %d", len(r.Received()), len(hooked.Received()), len(after.Received()))
		}
	},
})
