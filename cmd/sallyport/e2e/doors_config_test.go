package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
)

// idle makes an action that nothing comes to.
func (w *world) idle(code string) *answer {
	w.t.Helper()
	return w.action(code, "httpRequest", doc{"url": "https://erp.example.com/stock", "body": "{{ item|json_encode|raw }}"})
}

// putBack reads a resource and puts what it shows.
func (w *world) putBack(path string) {
	w.t.Helper()
	w.admin.put(path, json.RawMessage(w.admin.get(path).want(http.StatusOK).body)).want(http.StatusOK).
		heads("Sallyport-Result", "unchanged", "Sallyport-Changed", "")
}

var _ = suite("configuration of doors", map[string]func(*world){
	"what is left out has its default": func(w *world) {
		w.admin.post("/v1/incoming-webhooks", doc{"name": "ERP Stock"}).want(http.StatusCreated).has(
			"code", "erp-stock", "name", "ERP Stock", "enabled", "true", "methods", `["POST"]`, "profile", "default", "ipAllowList", "[]",
			"hashConfigured", "false", "hashTimezone", "UTC", "hashTolerance", "30s", "hashIn.in", "query", "hashIn.name", "hash", "secrets", "[]",
			"preProcessors", "[]", "parser.type", "auto", "parser.split", "true", "parser.maxItems", "10000", "parser.onItemError", "refuse",
			"routes", "[]", "postProcessors", "[]", "dedupe", "", "rateLimit", "", "maxBodyBytes", "1048576", "bodyTimeout", "1m", "logging", "all",
			"response.mode", "accepted", "response.status", "202", "response.timeout", "5s", "refusal", "precise", "metadata", "{}",
			"state", "active", "warnings", `["no_check","no_route"]`, "version", "1")
		w.admin.post("/v1/incoming-webhooks", doc{"name": "ERP Stock", "profile": "alumio"}).want(http.StatusCreated).has("code", "erp-stock-2", "name", "ERP Stock")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "atro", "profile": "atrocore"}).want(http.StatusCreated).has(
			"hashTolerance", "0s", "response.mode", "wait", "response.status", "200", "refusal", "uniform", "methods", `["POST"]`)
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad code!"}).problem(http.StatusUnprocessableEntity, "validation_failed")
		for _, entry := range []string{"10.0.0.0/8", "203.0.113.7:80"} {
			a := w.admin.post("/v1/incoming-webhooks", doc{"code": "a9", "profile": "atrocore", "ipAllowList": []string{entry}}).fault("/ipAllowList/0", "invalid_cidr")
			if !strings.Contains(a.text("detail"), entry) {
				w.t.Errorf("the offending value is not named: %s", a.body)
			}
		}
	},
	"what is shown can be put back": func(w *world) {
		w.idle("book-stock")
		secret := w.planted.given("door-secret-" + random(24))
		w.admin.put("/v1/actions/all", doc{"type": "set", "config": doc{"actions": []string{"book-stock"}}, "secrets": []doc{{"name": "a", "value": secret}}}).want(http.StatusCreated)
		whole := doc{
			"name": "Whole", "hash": "{{ (secrets.erp ~ 'now'|date('Y-m-d_H-i'))|md5 }}", "hashTimezone": "Europe/Berlin", "hashTolerance": "1m",
			"secrets": []doc{{"name": "erp", "value": secret}}, "ipAllowList": []string{"127.0.0.0/8"}, "methods": []string{"GET", "POST"},
			"preProcessors": []doc{
				{"type": "header", "header": "X-A", "equals": ""}, {"type": "query", "matches": "token=a"}, {"type": "body", "path": "a.b", "matches": "^x$"},
				{"type": "basicAuth", "username": "u", "secrets": []string{"erp"}}, {"type": "bearer", "secrets": []string{"erp"}},
				{"type": "apiKey", "parameter": "k", "secrets": []string{"erp"}}, {"type": "ip", "allow": []string{"127.0.0.1"}},
				{"type": "schema", "schema": doc{"type": "object"}}, {"type": "condition", "condition": "request.method == 'POST'"},
				{"type": "signature", "preset": "github", "secrets": []string{"erp"}},
				{"type": "signature", "verification": doc{"header": "X-S", "prefix": "sha256="}, "secrets": []string{"erp"}},
			},
			"parser":         doc{"type": "csv", "delimiter": ";", "columns": []string{"sku"}},
			"routes":         []doc{{"action": "book-stock", "condition": "item.a", "parser": doc{"items": "rows[*]"}, "transform": "{{ item|json_encode|raw }}"}, {"action": "all"}},
			"postProcessors": []doc{{"type": "publishEvent", "config": doc{"type": "stock.received", "entityId": "{{ request.id }}"}}, {"type": "action", "action": "book-stock"}},
			"rateLimit":      doc{"requests": 5}, "response": doc{"mode": "wait", "status": 200, "headers": []doc{{"name": "Content-Type", "value": "text/plain"}}, "body": "OK"},
			"metadata": doc{"managed-by": "ci"},
		}
		w.admin.put("/v1/incoming-webhooks/whole", whole).want(http.StatusCreated).heads("Sallyport-Result", "created").has(
			"secrets.0.name", "erp", "secrets.0.hint", "…"+secret[len(secret)-4:], "warnings", `["hash_md5"]`, "routes.0.name", "primary", "routes.1.name", "route-2",
			"preProcessors.9.name", "signature", "preProcessors.10.name", "signature-2", "dedupe.window", "1d", "rateLimit.per", "1s", "hashConfigured", "true")
		w.admin.put("/v1/incoming-webhooks/whole", whole).want(http.StatusOK).heads("Sallyport-Result", "unchanged", "ETag", `"1"`)
		for _, path := range []string{"/v1/incoming-webhooks/whole", "/v1/actions/all", "/v1/actions/book-stock"} {
			w.putBack(path)
		}
		w.admin.patch("/v1/incoming-webhooks/whole", doc{"parser": doc{"split": false}, "dedupe": nil, "hashTolerance": "0s"}).want(http.StatusOK).
			heads("Sallyport-Changed", "hashTolerance,parser,dedupe").has("parser.delimiter", ";", "parser.split", "false", "dedupe", "")
		w.putBack("/v1/incoming-webhooks/whole")
		w.admin.get("/v1/incoming-webhooks?metadata=managed-by:ci").want(http.StatusOK).has("data.0.code", "whole", "data.1.code", "")
	},
	"a hash is shown to admins, and dropped on purpose only": func(w *world) {
		const path = "/v1/incoming-webhooks/d"
		w.admin.put(path, doc{"hash": "static-hash"}).want(http.StatusCreated).has("hash", "static-hash", "warnings", `["no_route"]`)
		w.viewer.get(path).want(http.StatusOK).has("hash", "", "hashConfigured", "true")
		w.operator.get(path).want(http.StatusOK).has("hash", "", "hashConfigured", "true")
		w.admin.put(path, doc{}).want(http.StatusOK).heads("Sallyport-Result", "unchanged")
		w.admin.put(path, `{"hash":null}`).fault("/hash", "empty_secret")
		w.admin.put(path, `{"hash":""}`).fault("/hash", "empty_secret")
		w.admin.patch(path, `{"hash":null}`).fault("/hash", "empty_secret")
		for hash, code := range map[string]string{
			"{# {{ ('x' ~ 'now'|date('Y-m-d_H-i'))|md5 }} #}": "template_renders_empty", "{{ undefinedVar }}": "template_renders_empty",
			"null": "template_renders_empty", "{{ 'a'|nosuchfilter }}": "template_syntax", "{{ 'a'|date( }}": "template_syntax",
		} {
			w.admin.put(path, doc{"hash": hash}).fault("/hash", code)
		}
		w.operator.delete(path+"/hash").problem(http.StatusForbidden, "forbidden")
		w.admin.delete(path + "/hash").want(http.StatusNoContent)
		w.admin.get(path).want(http.StatusOK).has("hash", "", "hashConfigured", "false", "warnings", `["no_check","no_route"]`)
		w.admin.delete(path+"/hash").problem(http.StatusNotFound, "not_found")
	},
	"an action in use stays": func(w *world) {
		w.idle("book-stock")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "d", "routes": []doc{{"action": "bok-stock"}}}).fault("/routes/0/action", "unknown_action")
		w.admin.post("/v1/incoming-webhooks", doc{"code": "d", "routes": []doc{{"action": "book-stock"}}}).want(http.StatusCreated)
		w.admin.delete("/v1/actions/book-stock").problem(http.StatusConflict, "in_use").has("usedBy", `["incoming webhook d, route primary"]`)
		w.admin.delete("/v1/incoming-webhooks/d").want(http.StatusNoContent)
		w.admin.delete("/v1/actions/book-stock").want(http.StatusNoContent)
		w.admin.get("/v1/actions/book-stock").problem(http.StatusNotFound, "not_found")
		w.idle("book-stock") // the code is free
		w.admin.put("/v1/actions/book-stock", doc{"type": "set", "config": doc{"actions": []string{"book-stock"}}}).fault("/type", "invalid_format")
	},
	"secrets of doors are kept, and those in use stay": func(w *world) {
		const path = "/v1/incoming-webhooks/d"
		one, two := w.planted.given("named-one-"+random(24)), w.planted.given("named-two-"+random(24))
		bearer := []doc{{"type": "bearer", "secrets": []string{"gh"}}}
		w.admin.put(path, doc{"preProcessors": bearer}).fault("/preProcessors/0/secrets/0", "invalid_format")
		w.admin.put(path, doc{"preProcessors": bearer, "secrets": []doc{{"name": "gh"}}}).fault("/secrets/0/value", "required")
		w.admin.put(path, `{"secrets":[{"name":"gh","value":null}]}`).fault("/secrets/0/value", "empty_secret")
		w.admin.put(path, doc{"preProcessors": []doc{{"type": "bearer", "secrets": []string{}}}}).problem(http.StatusUnprocessableEntity, "validation_failed")
		w.admin.put(path, doc{"preProcessors": bearer, "secrets": []doc{{"name": "gh", "value": one}, {"name": "x", "value": two}}}).want(http.StatusCreated)
		w.admin.put(path, doc{"preProcessors": bearer}).want(http.StatusOK).heads("Sallyport-Result", "unchanged")
		w.admin.put(path, doc{"preProcessors": bearer, "secrets": []doc{{"name": "x"}}}).fault("/preProcessors/0/secrets/0", "invalid_format")
		w.admin.put(path, doc{"preProcessors": bearer, "secrets": []doc{{"name": "gh"}}}).want(http.StatusOK).heads("Sallyport-Changed", "secrets").has("secrets.1.name", "")
	},
})
