package e2e

import (
	"net/http"
	"strings"

	"sallyport/api"
)

var _ = suite("info", map[string]func(*world){
	"tells who asks and from where": func(w *world) {
		for role, c := range map[string]*caller{"admin": w.admin, "operator": w.operator, "publisher": w.publisher, "viewer": w.viewer} {
			c.get("/v1/info").want(http.StatusOK).has("role", role, "workspace", w.workspace, "platform", "false",
				"baseUrl", w.url+"/w/"+w.workspace, "yourAddress", "127.0.0.1", "peerAddress", "127.0.0.1", "forwardedBy", "", "hold", "false")
		}
		w.platform.get("/v1/info").want(http.StatusOK).has("role", "admin", "platform", "true", "workspace", w.workspace)
		root := &caller{t: w.t, s: w.server, key: w.adminKey}
		root.get("/v1/info").want(http.StatusOK).has("workspace", "default", "baseUrl", w.url)
	},
	"an untrusted peer cannot forward": func(w *world) {
		w.viewer.get("/v1/info", "X-Forwarded-For", "203.0.113.9", "Forwarded", "for=203.0.113.9").want(http.StatusOK).
			has("yourAddress", "127.0.0.1", "forwardedBy", "")
	},
	"beside the API": func(w *world) {
		w.nobody.get("/").want(http.StatusOK).has("name", "sallyport", "docs", "/docs", "openapi", "/openapi.yaml")
		w.nobody.get("/healthz").want(http.StatusOK).has("status", "ok")
		w.nobody.get("/readyz").want(http.StatusOK).has("status", "ok")
		w.nobody.get("/openapi.json").want(http.StatusOK).has("openapi", "3.1.0")
		if a := w.nobody.get("/openapi.yaml").want(http.StatusOK); !strings.HasPrefix(string(a.body), "openapi: 3.1.0") {
			w.t.Errorf("openapi.yaml begins %.40q", a.body)
		}
		if a := w.nobody.get("/docs").want(http.StatusOK); strings.Contains(string(a.body), "//cdn") || !strings.Contains(string(a.body), "/openapi.yaml") {
			w.t.Errorf("/docs is not the embedded reference:\n%.2000s", a.body)
		}
	},
	"every problem is explained where its type leads": func(w *world) {
		a := w.nobody.get("/v1/info").problem(http.StatusUnauthorized, "unauthorized")
		page, ok := strings.CutPrefix(a.text("type"), w.url)
		if !ok {
			w.t.Fatalf("type is %s, not below %s", a.text("type"), w.url)
		}
		page, anchor, _ := strings.Cut(page, "#")
		if anchor != "unauthorized" {
			w.t.Errorf("type is %s", a.text("type"))
		}
		docs := w.nobody.get(page).want(http.StatusOK)
		for _, p := range api.Problems() {
			if !strings.Contains(string(docs.body), `id="`+string(p.Code)+`"`) {
				w.t.Errorf("%s does not explain %s", page, p.Code)
			}
		}
	},
	"metrics are for the machine itself, else for platform keys": func(w *world) {
		if a := w.nobody.get("/metrics").want(http.StatusOK); !strings.Contains(string(a.body), "sallyport_") {
			w.t.Errorf("metrics without ours:\n%.500s", a.body)
		}
		w.nobody.get("/metrics", "X-Forwarded-For", "203.0.113.9").problem(http.StatusUnauthorized, "unauthorized")
		w.viewer.get("/metrics", "X-Forwarded-For", "203.0.113.9").problem(http.StatusForbidden, "forbidden")
		w.platform.get("/metrics", "X-Forwarded-For", "203.0.113.9").want(http.StatusOK)
	},
})
