package e2e

import (
	"net/http"
	"strings"
)

var _ = suite("http", map[string]func(*world){
	"a key is needed, and it must exist": func(w *world) {
		for _, header := range []string{"", "Basic YTpi", "Bearer", "Bearer ", "sp_x", "Bearer sp_" + random(40), "Bearer " + random(40), "Bearer short"} {
			for _, path := range []string{"/v1/info", "/v1/webhooks", "/v1/events"} {
				a := w.nobody.get(path, "Authorization", header).problem(http.StatusUnauthorized, "unauthorized")
				if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
					w.t.Errorf("WWW-Authenticate is %q", a.header.Get("WWW-Authenticate"))
				}
			}
			w.nobody.post("/v1/events", doc{"type": "a.b"}, "Authorization", header).problem(http.StatusUnauthorized, "unauthorized")
		}
		w.nobody.get("/v1/info", "Authorization", "bearer "+w.viewer.key).want(http.StatusOK)
	},
	"what is not there": func(w *world) {
		for _, path := range []string{"/v1/nothing", "/v1/webhooks/none", "/v1/events/none", "/v1/events/a.b", "/v1/deliveries/none", "/v1/event-types/none", "/v2/events", "/v1/webhooks/", "/v1"} {
			w.admin.get(path).problem(http.StatusNotFound, "not_found")
		}
		w.platform.get("/v1/workspaces/none").problem(http.StatusNotFound, "not_found")
		w.platform.get("/v1/info", "Sallyport-Workspace", "none").problem(http.StatusNotFound, "not_found")
		w.admin.delete("/v1/webhooks/none").problem(http.StatusNotFound, "not_found")
		w.admin.put("/v1/webhooks/019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e", doc{"url": "https://a.example"}).problem(http.StatusNotFound, "not_found")
		w.admin.patch("/v1/webhooks/none", doc{"enabled": false}).problem(http.StatusNotFound, "not_found")
	},
	"a method that does not work says which do": func(w *world) {
		for path, allowed := range map[string][]string{
			"/v1/webhooks": {"GET", "POST"}, "/v1/webhooks/a": {"GET", "PUT", "PATCH", "DELETE"}, "/v1/events": {"GET", "POST"},
			"/v1/events/batch": {"POST"}, "/v1/deliveries/a/retry": {"POST"}, "/healthz": {"GET"},
		} {
			for _, method := range []string{"PUT", "PATCH", "DELETE", "GET", "POST"} {
				works := path == "/v1/events/batch" && method == "GET" // an event may be called batch
				for _, m := range allowed {
					works = works || m == method
				}
				if works {
					continue
				}
				a := w.admin.call(method, path, nil).problem(http.StatusMethodNotAllowed, "method_not_allowed")
				for _, m := range allowed {
					if !strings.Contains(a.header.Get("Allow"), m) {
						w.t.Errorf("%s %s allows %q, not %s", method, path, a.header.Get("Allow"), m)
					}
				}
			}
		}
	},
	"every answer has a name": func(w *world) {
		ids := map[string]bool{}
		for _, a := range []*answer{
			w.viewer.get("/v1/info"), w.viewer.get("/v1/nothing"), w.nobody.get("/healthz"), w.nobody.get("/v1/info"), w.nobody.get("/docs"),
			w.publisher.post("/v1/events", doc{"type": "a.b"}), w.admin.call(http.MethodPut, "/v1/events", nil), w.nobody.get("/metrics"),
			w.admin.call(http.MethodOptions, "/v1/events", nil), w.admin.call(http.MethodHead, "/v1/info", nil),
		} {
			id := a.header.Get("X-Request-Id")
			if len(id) != 36 || ids[id] {
				w.t.Errorf("%s: X-Request-Id is %q", a.asked, id)
			}
			ids[id] = true
		}
		// The event remembers the call it came with.
		a := w.publisher.post("/v1/events", doc{"type": "a.b", "id": "named"}).want(http.StatusAccepted)
		w.viewer.get("/v1/events/named").want(http.StatusOK).has("source.requestId", a.header.Get("X-Request-Id"), "source.kind", "api", "source.id", w.publisher.id)
	},
	"a created thing has a location, and is there": func(w *world) {
		for path, body := range map[string]doc{
			"/v1/webhooks": {"code": "loc", "url": "https://a.example"}, "/v1/api-keys": {"code": "loc", "role": "viewer"}, "/v1/event-types": {"name": "loc.a"},
			"/v1/workspaces": {"code": "loc-" + random(8)},
		} {
			a := w.platform.post(path, body).want(http.StatusCreated).heads("ETag", `"1"`).has("version", "1")
			id := a.text("id")
			w.platform.get(a.header.Get("Location")).want(http.StatusOK).has("id", id)
		}
		a := w.publisher.post("/v1/events", doc{"type": "a.b"}).want(http.StatusAccepted)
		w.viewer.get(a.header.Get("Location")).want(http.StatusOK).has("id", a.text("id"))
		b := w.admin.put("/v1/webhooks/loc2", doc{"url": "https://a.example"}).want(http.StatusCreated)
		w.viewer.get(b.header.Get("Location")).want(http.StatusOK).has("code", "loc2")
	},
	"preconditions": func(w *world) {
		w.admin.put("/v1/event-types/pre.a", doc{}).want(http.StatusCreated)
		w.webhook(w.receiver(), doc{"code": "pre", "eventTypes": []string{"none.such"}})
		w.admin.put("/v1/api-keys/pre", doc{"role": "viewer"}).want(http.StatusCreated)
		other := "pre-" + random(8)
		w.platform.put("/v1/workspaces/"+other, doc{}).want(http.StatusCreated)
		changes := map[string]doc{
			"/v1/event-types/pre.a": {"description": "x"}, "/v1/webhooks/pre": {"description": "x"}, "/v1/api-keys/pre": {"name": "x"}, "/v1/workspaces/" + other: {"name": "x"},
		}
		for path, change := range changes {
			got := w.platform.get(path).want(http.StatusOK).heads("ETag", `"1"`)
			for _, match := range []string{`"1"`, `W/"1"`, `*`, `"0", "1"`} {
				a := w.platform.get(path, "If-None-Match", match).want(http.StatusNotModified).heads("ETag", `"1"`)
				if len(a.body) != 0 {
					w.t.Errorf("304 with a body: %s", a.body)
				}
			}
			w.platform.get(path, "If-None-Match", `"2"`).want(http.StatusOK)
			w.platform.patch(path, change, "If-Match", `"2"`).problem(http.StatusPreconditionFailed, "precondition_failed")
			w.platform.put(path, got.body, "If-Match", `"2"`).problem(http.StatusPreconditionFailed, "precondition_failed")
			w.platform.put(path, got.body, "If-None-Match", `*`).problem(http.StatusPreconditionFailed, "precondition_failed")
			suffix := ""
			if strings.HasPrefix(path, "/v1/workspaces/") {
				suffix = "?confirm=" + other
			}
			w.platform.delete(path+suffix, "If-Match", `"2"`).problem(http.StatusPreconditionFailed, "precondition_failed")
			w.platform.patch(path, change, "If-Match", `"1"`).want(http.StatusOK).heads("ETag", `"2"`).has("version", "2")
			w.platform.patch(path, change, "If-Match", `"2"`).want(http.StatusOK).heads("ETag", `"2"`, "Sallyport-Result", "unchanged")
			w.platform.patch(path, change, "Content-Type", "application/json").want(http.StatusOK)
			if a := w.platform.delete(path+suffix, "If-Match", `"2"`); a.status != http.StatusNoContent && a.status != http.StatusAccepted {
				w.t.Errorf("%s answered %d: %s", a.asked, a.status, a.body)
			}
			w.platform.delete(path+suffix).problem(http.StatusNotFound, "not_found")
		}
		w.admin.put("/v1/webhooks/fresh", doc{"url": "https://a.example"}, "If-Match", `"1"`).problem(http.StatusPreconditionFailed, "precondition_failed")
		w.admin.put("/v1/webhooks/fresh", doc{"url": "https://a.example"}, "If-None-Match", `*`).want(http.StatusCreated)
	},
})
