package e2e

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var _ = suite("doors", map[string]func(*world){
	"a call becomes an event, runs the action and is on record": func(w *world) {
		r := w.sink("stock")
		made := w.door("erp-stock", doc{"name": "ERP Stock", "routes": to("stock")}).heads("ETag", `"1"`).
			has("url", w.url+w.in("erp-stock"), "state", "active", "hashConfigured", "false", "methods.0", "POST", "warnings.0", "no_check")
		a := w.nobody.post(w.in("erp-stock"), `{"sku":"A-7","qty":3}`).want(http.StatusAccepted).has("events", "1", "deliveries", "1").heads("Cache-Control", "no-store")
		if a.text("requestId") != a.header.Get("X-Request-Id") {
			w.t.Errorf("the receipt names %s, the header %s", a.text("requestId"), a.header.Get("X-Request-Id"))
		}
		if got := r.Wait(1)[0]; string(got.Body) != `{"sku":"A-7","qty":3}` || got.Method != "POST" || got.Header.Get("Content-Type") != "application/json" {
			w.t.Errorf("the action sent %s %s", got.Method, got.Body)
		}
		n := w.ran(a, doc{"succeeded": 1}).has("verdict", "accepted", "reason", "", "code", "erp-stock", "incomingWebhook.id", made.text("id"), "incomingWebhook.name", "ERP Stock",
			"method", "POST", "body", `{"sku":"A-7","qty":3}`, "bodyEncoding", "utf8", "bodyBytes", "21", "clientAddress", "127.0.0.1", "peerAddress", "127.0.0.1",
			"forwardedBy", "", "response.status", "202", "eventCount", "1", "deliveryCount", "1", "deliveries.0.target.code", "stock", "deliveries.0.target.kind", "action")
		for _, name := range []string{"known", "active", "method", "parse"} {
			if check(n, name) != "passed" {
				w.t.Errorf("the check %s: %q", name, check(n, name))
			}
		}
		w.viewer.get("/v1/events/"+n.text("events.0")).want(http.StatusOK).has("type", "incoming.erp-stock", "source.kind", "incomingWebhook", "source.id", made.text("id"), "entity.sku", "A-7")
		d := w.viewer.get("/v1/deliveries/"+n.text("deliveries.0.id")).want(http.StatusOK).has("requestId", a.text("requestId"), "state", "succeeded", "attempts.0.response.status", "200")
		if got := w.viewer.get("/v1/actions/stock/deliveries").want(http.StatusOK).list("id"); !slices.Equal(got, []string{d.text("id")}) {
			w.t.Errorf("the action's runs are %v", got)
		}
	},
	"methods, and what asks for them": func(w *world) {
		r := w.sink("a")
		w.door("m", doc{"methods": []string{"POST", "PUT"}, "routes": to("a")})
		path := w.in("m")
		w.nobody.put(path, `{"m":"put"}`).want(http.StatusAccepted)
		w.nobody.post(path+"/", `{"m":"slash"}`).want(http.StatusAccepted)
		for _, method := range []string{"GET", "DELETE", "PATCH"} {
			w.nobody.call(method, path, nil).problem(http.StatusMethodNotAllowed, "method_not_allowed").heads("Allow", "POST, PUT")
		}
		if a := w.nobody.call(http.MethodHead, path, nil).want(http.StatusMethodNotAllowed).heads("Allow", "POST, PUT"); len(a.body) != 0 {
			w.t.Errorf("HEAD with a body: %s", a.body)
		}
		if a := w.nobody.call(http.MethodOptions, path, nil).want(http.StatusNoContent); !strings.Contains(a.header.Get("Allow"), "POST") {
			w.t.Errorf("OPTIONS allows %q", a.header.Get("Allow"))
		}
		w.nobody.get(w.in("none")).problem(http.StatusNotFound, "not_found")
		if got := bodies(r.Wait(2)); !slices.Contains(got, `{"m":"put"}`) || !slices.Contains(got, `{"m":"slash"}`) {
			w.t.Errorf("the action got %q", got)
		}
	},
	"a machine with GET and HTTP/1.0": func(w *world) {
		r := w.sink("press")
		secret := w.planted.given("plc-" + random(20))
		w.door("press7", doc{"methods": []string{"GET"}, "routes": to("press"), "hash": secret, "response": doc{"status": 200, "body": "OK"}})
		a := w.raw([]string{"GET " + w.in("press7") + "?temp=81&hash=" + secret + " HTTP/1.0"}, "").want(http.StatusOK)
		if string(a.body) != "OK" {
			w.t.Errorf("answered %q", a.body)
		}
		if got := r.Wait(1)[0]; string(got.Body) != `{"temp":"81"}` {
			w.t.Errorf("the action got %s", got.Body)
		}
		if n := w.noted(a); strings.Contains(n.text("url"), secret) || !strings.HasSuffix(n.text("url"), "/in/press7?temp=81&hash=[redacted]") {
			w.t.Errorf("the URL on record is %s", n.text("url"))
		}
	},
	"unknown and disabled doors look alike and leave a trace": func(w *world) {
		r := w.sink("a")
		w.door("off", doc{"enabled": false, "routes": to("a")}).has("state", "disabled")
		off := w.nobody.post(w.in("off"), `{"off":1}`).problem(http.StatusNotFound, "not_found")
		unknown := w.nobody.post(w.in("typo"), `{"typo":1}`).problem(http.StatusNotFound, "not_found")
		if off.text("detail") != unknown.text("detail") || off.text("title") != unknown.text("title") {
			w.t.Errorf("%s and %s can be told apart", off.body, unknown.body)
		}
		w.noted(off).has("verdict", "refused", "reason", "not_found", "incomingWebhook.code", "off", "response.status", "404", "body", `{"off":1}`)
		w.noted(unknown).has("verdict", "refused", "reason", "not_found", "incomingWebhook", "", "code", "typo", "body", "")
		if got := w.viewer.get("/v1/requests?code=typo").want(http.StatusOK).list("id"); !slices.Equal(got, []string{unknown.header.Get("X-Request-Id")}) {
			w.t.Errorf("calls of the unknown code: %v", got)
		}
		w.admin.patch("/v1/incoming-webhooks/off", doc{"enabled": true}).want(http.StatusOK).has("state", "active")
		w.nobody.post(w.in("off"), `{"off":2}`).want(http.StatusAccepted)
		if got := bodies(r.Wait(1)); got[0] != `{"off":2}` || len(got) != 1 {
			w.t.Errorf("the action got %v", got)
		}
		w.admin.delete("/v1/incoming-webhooks/off").want(http.StatusNoContent)
		w.nobody.post(w.in("off"), `{"off":3}`).problem(http.StatusNotFound, "not_found")
		w.admin.delete("/v1/incoming-webhooks/off").problem(http.StatusNotFound, "not_found")
	},
	"each workspace has its own doors": func(w *world) {
		other := newWorld(w.t, w.server)
		mine, theirs := w.sink("a"), other.sink("a")
		w.door("same", doc{"routes": to("a")})
		other.door("same", doc{"routes": to("a")})
		mineCall := w.nobody.post(w.in("same"), `"mine"`).want(http.StatusAccepted)
		other.nobody.post(other.in("same"), `"theirs"`).want(http.StatusAccepted)
		w.nobody.post("/w/nowhere-"+random(8)+"/in/same", `1`).problem(http.StatusNotFound, "not_found")
		if got := bodies(mine.Wait(1)); got[0] != `"mine"` || len(mine.Received()) != 1 {
			w.t.Errorf("mine got %v", got)
		}
		if got := bodies(theirs.Wait(1)); got[0] != `"theirs"` || len(theirs.Received()) != 1 {
			w.t.Errorf("theirs got %v", got)
		}
		other.viewer.get("/v1/requests/"+mineCall.text("requestId")).problem(http.StatusNotFound, "not_found")
		w.admin.get("/v1/info").want(http.StatusOK).has("baseUrl", w.url+"/w/"+w.workspace)
	},
	"the workspace default has its doors at the root": func(w *world) {
		root := &caller{t: w.t, s: w.server, key: w.adminKey}
		code := "root-" + random(10)
		root.post("/v1/incoming-webhooks", doc{"code": code, "response": doc{"status": 200, "body": "{{ webhook.code }}"}}).want(http.StatusCreated).has("url", w.url+"/in/"+code)
		for _, path := range []string{"/in/" + code, "/w/default/in/" + code, "/in/" + code + "/"} {
			if a := w.nobody.post(path, `{}`).want(http.StatusOK); string(a.body) != code {
				w.t.Errorf("%s answered %s", path, a.body)
			}
		}
		w.nobody.post(w.in(code), `{}`).problem(http.StatusNotFound, "not_found")
	},
	"a rate limit": func(w *world) {
		w.door("slow", doc{"rateLimit": doc{"requests": 2, "per": "1m"}})
		for range 2 {
			w.nobody.post(w.in("slow"), `{}`).want(http.StatusAccepted)
		}
		a := w.nobody.post(w.in("slow"), `{}`).problem(http.StatusTooManyRequests, "rate_limited")
		if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 || after > 60 {
			w.t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
		w.noted(a).has("verdict", "refused", "reason", "rate_limited", "response.status", "429")
	},
	"who it is told by": func(w *world) {
		// The shared server trusts no proxy: what the caller says of its address says nothing.
		w.door("near", doc{"ipAllowList": []string{"127.0.0.0/8"}})
		w.door("far", doc{"ipAllowList": []string{"203.0.113.7", "2001:db8::/32"}})
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Client-Ip", "True-Client-Ip"} {
			value := "203.0.113.7"
			if name == "Forwarded" {
				value = "for=203.0.113.7"
			}
			a := w.nobody.post(w.in("far"), `{}`, name, value).problem(http.StatusForbidden, "ip_not_allowed")
			w.noted(a).has("clientAddress", "127.0.0.1", "forwardedBy", "", "reason", "ip_not_allowed")
			w.nobody.post(w.in("near"), `{}`, name, value).want(http.StatusAccepted)
		}
	},
})
