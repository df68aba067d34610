package e2e

import (
	"net/http"
	"strings"
	"time"
)

var _ = suite("keys", map[string]func(*world){
	"a key is shown once": func(w *world) {
		a := w.admin.post("/v1/api-keys", doc{"name": "CI Billing", "role": "publisher"}).want(http.StatusCreated).
			has("code", "ci-billing", "name", "CI Billing", "role", "publisher", "platform", "false", "expiresAt", "", "lastUsedAt", "")
		if key := a.text("key"); !strings.HasPrefix(key, "sp_") || !strings.HasPrefix(key, a.text("prefix")) || len(key) < 40 {
			w.t.Errorf("key %q with prefix %q", key, a.text("prefix"))
		}
		w.admin.get("/v1/api-keys/ci-billing").want(http.StatusOK).has("key", "", "id", a.text("id"))
		w.admin.get("/v1/api-keys").want(http.StatusOK).has("data.0.code", "ci-billing", "data.0.key", "")
		w.admin.post("/v1/api-keys", doc{"name": "CI Billing", "role": "viewer"}).want(http.StatusCreated).has("code", "ci-billing-2")
	},
	"a key from a vault, put twice": func(w *world) {
		key := w.planted.given("from-the-vault-" + random(30))
		body := doc{"role": "viewer", "key": key}
		w.admin.put("/v1/api-keys/vault", body).want(http.StatusCreated).heads("Sallyport-Result", "created").has("key", "", "name", "vault")
		w.admin.put("/v1/api-keys/vault", body).want(http.StatusOK).heads("Sallyport-Result", "unchanged", "ETag", `"1"`)
		caller := &caller{t: w.t, s: w.server, key: key}
		caller.get("/v1/info").want(http.StatusOK).has("role", "viewer", "workspace", w.workspace)
		// Left out it is kept; another one takes its place.
		w.admin.put("/v1/api-keys/vault", doc{"role": "operator"}).want(http.StatusOK).heads("Sallyport-Changed", "role").has("key", "")
		caller.get("/v1/info").want(http.StatusOK).has("role", "operator")
		next := w.planted.given("from-the-vault-" + random(30))
		w.admin.put("/v1/api-keys/vault", doc{"role": "operator", "key": next}).want(http.StatusOK).heads("Sallyport-Changed", "key")
		caller.get("/v1/info").problem(http.StatusUnauthorized, "unauthorized")
		caller.key = next
		caller.get("/v1/info").want(http.StatusOK)
		// Generated where none is given.
		w.admin.put("/v1/api-keys/made", doc{"role": "viewer"}).want(http.StatusCreated)
		w.admin.put("/v1/api-keys/made", doc{"role": "viewer"}).want(http.StatusOK).heads("Sallyport-Result", "unchanged").has("key", "")
		for value, code := range map[string]string{"": "empty_secret", "short": "too_short", strings.Repeat("x", 257): "too_long", "with blanks in it, which no header carries": "invalid_format"} {
			w.admin.put("/v1/api-keys/bad", doc{"role": "viewer", "key": value}).fault("/key", code)
		}
		w.admin.put("/v1/api-keys/bad", `{"role":"viewer","key":null}`).fault("/key", "empty_secret")
		w.admin.put("/v1/api-keys/bad", doc{"role": "viewer", "key": next}).fault("/key", "invalid_format")
	},
	"revoked and expired keys do not work": func(w *world) {
		revoked := w.as("viewer")
		revoked.get("/v1/info").want(http.StatusOK)
		w.admin.delete("/v1/api-keys/" + revoked.id).want(http.StatusNoContent)
		revoked.get("/v1/info").problem(http.StatusUnauthorized, "unauthorized")
		w.admin.get("/v1/api-keys/"+revoked.id).problem(http.StatusNotFound, "not_found")

		expiring := w.as("publisher")
		w.admin.patch("/v1/api-keys/"+expiring.id, doc{"expiresAt": time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)}).want(http.StatusOK)
		expiring.post("/v1/events", doc{"type": "a.b"}).problem(http.StatusUnauthorized, "key_expired")
		expiring.get("/v1/info").problem(http.StatusUnauthorized, "key_expired")
		w.admin.patch("/v1/api-keys/"+expiring.id, doc{"expiresAt": nil}).want(http.StatusOK).has("expiresAt", "")
		expiring.get("/v1/info").want(http.StatusOK)
	},
	"roles and names": func(w *world) {
		w.admin.post("/v1/api-keys", doc{"name": "a", "role": "owner"}).fault("/role", "invalid_format").says("viewer")
		w.admin.post("/v1/api-keys", doc{"role": "viewer"}).fault("/name", "required")
		w.admin.post("/v1/api-keys", doc{"code": "Twice", "role": "viewer"}).want(http.StatusCreated)
		w.admin.post("/v1/api-keys", doc{"code": "twice", "role": "viewer"}).problem(http.StatusConflict, "code_taken")
		w.admin.post("/v1/api-keys", doc{"code": "no code", "role": "viewer"}).fault("/code", "invalid_format")
	},
	"platform keys are made by platform keys": func(w *world) {
		w.admin.post("/v1/api-keys", doc{"name": "p", "role": "viewer", "platform": true}).problem(http.StatusForbidden, "forbidden")
		a := w.platform.post("/v1/api-keys", doc{"code": "p-" + random(8), "role": "viewer", "platform": true}).want(http.StatusCreated).has("platform", "true")
		p := &caller{t: w.t, s: w.server, key: a.text("key"), workspace: w.workspace}
		p.get("/v1/workspaces").want(http.StatusOK)
		p.post("/v1/workspaces", doc{"name": "x"}).problem(http.StatusForbidden, "forbidden")
		w.admin.get("/v1/api-keys/"+a.text("id")).problem(http.StatusNotFound, "not_found")
		w.admin.delete("/v1/api-keys/"+a.text("id")).problem(http.StatusNotFound, "not_found")
		w.platform.delete("/v1/api-keys/" + a.text("id")).want(http.StatusNoContent)
		p.get("/v1/workspaces").problem(http.StatusUnauthorized, "unauthorized")
	},
})
