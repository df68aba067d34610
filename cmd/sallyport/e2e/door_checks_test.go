package e2e

import (
	"encoding/base64"
	"net/http"
	"strings"
)

var _ = suite("checks", map[string]func(*world){
	"credentials of callers: basic, bearer and keys": func(w *world) {
		password, token, key := w.planted.given("basic-"+random(20)), w.planted.given("bearer-"+random(20)), w.planted.given("apikey-"+random(20))
		old := w.planted.given("older-" + random(20))
		secrets := []doc{{"name": "p", "value": password}, {"name": "t", "value": token}, {"name": "k", "value": key}, {"name": "old", "value": old}}
		w.door("basic", doc{"secrets": secrets, "preProcessors": []doc{{"type": "basicAuth", "username": "erp", "secrets": []string{"p", "old"}}}})
		w.door("bearer", doc{"secrets": secrets, "preProcessors": []doc{{"type": "bearer", "secrets": []string{"t"}}}})
		w.door("header", doc{"secrets": secrets, "preProcessors": []doc{{"type": "apiKey", "header": "X-Key", "secrets": []string{"k"}}}})
		w.door("query", doc{"secrets": secrets, "preProcessors": []doc{{"type": "apiKey", "parameter": "key", "secrets": []string{"k"}}}})
		basic := func(user, password string) string {
			return "Basic " + w.planted.given(base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
		}
		for _, c := range []struct{ path, header, value, challenge string }{
			{"basic", "Authorization", basic("erp", password), ""}, {"basic", "Authorization", basic("erp", old), ""},
			{"basic", "Authorization", basic("other", password), `Basic realm="basic"`}, {"basic", "Authorization", "Bearer " + password, `Basic realm="basic"`},
			{"basic", "X-None", "", `Basic realm="basic"`}, {"basic", "Authorization", basic("erp", token), `Basic realm="basic"`},
			{"bearer", "Authorization", "Bearer " + token, ""}, {"bearer", "Authorization", "Bearer " + key, "Bearer"}, {"bearer", "X-None", "", "Bearer"},
			{"header", "X-Key", key, ""}, {"header", "X-Key", token, "Bearer"}, {"query?key=" + key, "X-None", "", ""}, {"query?key=" + token, "X-None", "", "Bearer"},
		} {
			a := w.nobody.post(w.in(c.path), `{"n":1}`, c.header, c.value)
			if c.challenge == "" {
				a.want(http.StatusAccepted)
				continue
			}
			a.problem(http.StatusUnauthorized, "credentials_refused").heads("WWW-Authenticate", c.challenge)
			w.noted(a).has("verdict", "refused", "reason", "credentials_refused", "response.status", "401")
		}
	},
	"a schema and a condition": func(w *world) {
		w.door("schema", doc{"parser": doc{"items": "rows[*]"}, "preProcessors": []doc{{"type": "schema", "schema": doc{"type": "object", "required": []string{"sku"}}}}})
		w.nobody.post(w.in("schema"), `{"rows":[{"sku":"a"},{"sku":"b"}]}`).want(http.StatusAccepted)
		a := w.nobody.post(w.in("schema"), `{"rows":[{"sku":"a"},{"qty":1}]}`).problem(http.StatusForbidden, "pre_processor_refused")
		if got := check(w.noted(a), "schema"); !strings.HasPrefix(got, "failed") || !strings.Contains(got, "sku") {
			w.t.Errorf("the check says %q", got)
		}
		w.door("condition", doc{"preProcessors": []doc{
			{"name": "big", "type": "condition", "condition": "request.body.total > 100"}, {"name": "json", "type": "condition", "condition": "request.headers['content-type'] starts with 'application/'"},
		}})
		w.nobody.post(w.in("condition"), `{"total":101}`).want(http.StatusAccepted)
		n := w.noted(w.nobody.post(w.in("condition"), `{"total":100}`).problem(http.StatusForbidden, "pre_processor_refused"))
		if check(n, "big") == "passed" || check(n, "json") != "" {
			w.t.Errorf("checks after the one that failed were made: %s", n.body)
		}
		w.nobody.post(w.in("condition"), `{"total":101}`, "Content-Type", "text/json").problem(http.StatusForbidden, "pre_processor_refused")
	},
	"refusals that look alike": func(w *world) {
		hash := w.planted.given("uniform-" + random(20))
		uniform := doc{"refusal": "uniform"}
		w.door("u-hash", uniform.with(doc{"hash": hash}))
		w.door("u-ip", uniform.with(doc{"ipAllowList": []string{"203.0.113.7"}}))
		w.door("u-pre", uniform.with(doc{"preProcessors": []doc{{"type": "header", "header": "X-A", "equals": "a"}}}))
		w.door("u-basic", uniform.with(doc{"secrets": []doc{{"name": "s", "value": hash}}, "preProcessors": []doc{{"type": "bearer", "secrets": []string{"s"}}}}))
		w.door("u-small", uniform.with(doc{"maxBodyBytes": 1}))
		w.door("u-rate", uniform.with(doc{"rateLimit": doc{"requests": 1, "per": "1m"}}))
		unknown := w.nobody.post(w.in("u-none"), `{}`).problem(http.StatusNotFound, "not_found")
		alike := func(a *answer) {
			a.problem(http.StatusNotFound, "not_found").heads("WWW-Authenticate", "", "Allow", "")
			id := strings.NewReplacer(a.header.Get("X-Request-Id"), "", unknown.header.Get("X-Request-Id"), "")
			if id.Replace(string(a.body)) != id.Replace(string(unknown.body)) {
				w.t.Errorf("%s answered\n%s, not\n%s", a.asked, a.body, unknown.body)
			}
		}
		for _, code := range []string{"u-hash", "u-ip", "u-pre", "u-basic"} {
			alike(w.nobody.post(w.in(code), `{}`))
			alike(w.nobody.get(w.in(code)))
		}
		w.noted(w.nobody.post(w.in("u-ip"), `{}`)).has("reason", "ip_not_allowed", "response.status", "404")
		// What a sender must be able to act on is told.
		w.nobody.post(w.in("u-small"), `{}`).problem(http.StatusRequestEntityTooLarge, "payload_too_large")
		w.nobody.post(w.in("u-rate"), `{}`).want(http.StatusAccepted)
		w.nobody.post(w.in("u-rate"), `{}`).problem(http.StatusTooManyRequests, "rate_limited")
	},
	"what a door keeps of calls": func(w *world) {
		w.door("meta", doc{"logging": "metadata", "preProcessors": []doc{{"type": "header", "header": "X-A", "equals": "a"}}})
		for _, a := range []*answer{
			w.nobody.post(w.in("meta"), `{"n":1}`, "X-A", "a").want(http.StatusAccepted), w.nobody.post(w.in("meta"), `{"n":1}`).want(http.StatusForbidden),
		} {
			w.noted(a).has("headers", "[]", "body", "", "bodyBytes", "7", "bodyTruncated", "true", "method", "POST", "clientAddress", "127.0.0.1")
			if raw := w.viewer.get("/v1/requests/" + a.header.Get("X-Request-Id") + "/body").want(http.StatusOK); len(raw.body) != 0 {
				w.t.Errorf("the body is kept: %s", raw.body)
			}
			w.operator.post("/v1/requests/"+a.header.Get("X-Request-Id")+"/verify", nil).problem(http.StatusConflict, "invalid_state")
		}
		// Names that carry credentials are not kept in clear, whatever the door checks.
		w.door("all", nil)
		cookie := w.planted.given("session-" + random(20))
		n := w.noted(w.nobody.post(w.in("all"), `{}`, "Cookie", "a="+cookie, "Authorization", "Bearer "+cookie, "X-Plain", "seen").want(http.StatusAccepted))
		if !strings.Contains(string(n.body), `"value":"seen"`) || strings.Contains(string(n.body), cookie) {
			w.t.Errorf("on record is %s", n.body)
		}
	},
})
