package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sallyport/api/apitest"
	"sallyport/internal/testkit"
)

// told are rows of the audit log in few words, oldest first.
func (w *world) told(query string) []string {
	w.t.Helper()
	a := w.admin.get("/v1/audit-log?order=asc&limit=500&" + query).want(http.StatusOK)
	out := []string{}
	for i := range a.list("id") {
		row := "data." + strconv.Itoa(i) + "."
		line := a.text(row+"action") + " " + a.text(row+"resource.kind") + " " + a.text(row+"resource.code")
		if changed, _ := a.at(row + "changed").([]any); len(changed) > 0 {
			line += " " + strings.Trim(a.text(row+"changed"), "[]")
		}
		out = append(out, strings.ReplaceAll(line, `"`, ""))
	}
	return out
}

func (w *world) tells(query string, want ...string) {
	w.t.Helper()
	if got := w.told(query); !slices.Equal(got, want) {
		w.t.Errorf("the audit log with %s tells\n\t%s\nwant\n\t%s", query, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// run runs a command on the server's host.
func (s *server) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), testkit.Binary(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "SALLYPORT_DATA_DIR=" + filepath.Join(s.dir, "data")}
	if s.database != "" {
		cmd.Env = append(cmd.Env, "SALLYPORT_DATABASE_URL="+s.database)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sallyport %s: %v", args[0], err)
	}
	return strings.TrimSpace(string(out))
}

var _ = suite("audit", map[string]func(*world){
	"the log tells a webhook's story": func(w *world) {
		r := w.receiver()
		first, second := w.planted.given("audit-header-one-"+random(16)), w.planted.given("audit-header-two-"+random(16))
		body := func(url, header string) doc {
			return doc{"url": url, "headers": []doc{{"name": "X-Team", "value": "erp"}, {"name": "X-Token", "value": header}}}
		}
		w.admin.put("/v1/webhooks/erp", body(r.URL+"/a", first)).want(http.StatusCreated)
		w.admin.put("/v1/webhooks/erp", body(r.URL+"/a", first)).want(http.StatusOK).heads("Sallyport-Result", "unchanged")
		w.admin.put("/v1/webhooks/erp?dryRun=true", body(r.URL+"/b", first)).want(http.StatusOK).heads("Sallyport-Result", "updated")
		w.admin.put("/v1/webhooks/erp", body(r.URL+"/b", second), "If-Match", `"7"`).problem(http.StatusPreconditionFailed, "precondition_failed")
		w.admin.put("/v1/webhooks/erp", body("ftp://x", second)).fault("/url", "invalid_url")
		w.viewer.put("/v1/webhooks/erp", body(r.URL+"/b", second)).problem(http.StatusForbidden, "forbidden")
		changed := w.admin.put("/v1/webhooks/erp", body(r.URL+"/b", second)).want(http.StatusOK)
		w.admin.post("/v1/webhooks/erp/secret/rotate", nil).want(http.StatusOK)
		w.operator.post("/v1/webhooks/erp/pause", nil).want(http.StatusOK)
		w.operator.post("/v1/webhooks/erp/pause", nil).want(http.StatusOK) // changes nothing
		w.operator.post("/v1/webhooks/erp/resume", nil).want(http.StatusOK)
		r.Then(statusAnswer(http.StatusGone))
		w.deliver(doc{"type": "a.b"}, "failed")
		eventually(w.t, "the webhook to be suspended", func() bool {
			return w.viewer.get("/v1/webhooks/erp").want(http.StatusOK).text("state") == "suspended"
		})
		w.admin.patch("/v1/webhooks/erp", doc{"enabled": true}).want(http.StatusOK)
		w.admin.delete("/v1/webhooks/erp/secret").want(http.StatusNoContent)
		w.admin.delete("/v1/webhooks/erp").want(http.StatusNoContent)
		w.tells("resource=erp", "create webhook erp", "update webhook erp url,headers[1].value", "rotate_secret webhook erp secret",
			"pause webhook erp state", "resume webhook erp state", "suspend webhook erp state", "update webhook erp state",
			"delete_secret webhook erp secret", "delete webhook erp")

		a := w.admin.get("/v1/audit-log?requestId="+changed.header.Get("X-Request-Id")).want(http.StatusOK).
			has("data.1", "", "data.0.actor.kind", "apiKey", "data.0.actor.id", w.admin.id, "data.0.actor.role", "admin", "data.0.clientAddress", "127.0.0.1",
				"data.0.workspace.code", w.workspace, "data.0.before.url", r.URL+"/a", "data.0.after.url", r.URL+"/b", "data.0.versionBefore", "1", "data.0.versionAfter", "2",
				"data.0.after.headers.1.value", "", "data.0.after.headers.0.value", "erp", "data.0.resource.name", "erp")
		if name := w.admin.get("/v1/api-keys/" + w.admin.id).want(http.StatusOK); a.text("data.0.actor.code") != name.text("code") || a.text("data.0.actor.name") != name.text("name") {
			w.t.Errorf("the actor is %s, its key %s", a.text("data.0.actor"), name.body)
		}
		w.admin.get("/v1/audit-log?resource=erp&action=suspend").want(http.StatusOK).has("data.0.actor.kind", "system", "data.0.actor.id", "", "data.0.clientAddress", "",
			"data.0.requestId", "", "data.0.before.state", "active", "data.0.after.state", "suspended", "data.0.after.stateReason", "gone", "data.0.after.enabled", "true")
		w.admin.get("/v1/audit-log?resource=erp&limit=1").want(http.StatusOK).has("data.0.action", "delete", "data.0.after", "", "data.0.versionAfter", "", "data.0.before.code", "erp")
		w.tells("actor="+w.operator.id, "pause webhook erp state", "resume webhook erp state")
	},
	"thirty files of a script, applied twice, make thirty rows": func(w *world) {
		for range 2 {
			for i := range 30 {
				w.admin.put("/v1/webhooks/ci-"+strconv.Itoa(i), doc{"url": "https://hooks.example.com/" + strconv.Itoa(i), "metadata": doc{"managed-by": "ci"}})
			}
		}
		if got := w.told("kind=webhook"); len(got) != 30 {
			w.t.Errorf("%d rows: %v", len(got), got)
		}
		var pages int
		seen := map[string]bool{}
		for cursor := ""; ; pages++ {
			a := w.admin.get("/v1/audit-log?kind=webhook&limit=7" + cursor).want(http.StatusOK)
			for _, id := range a.list("id") {
				seen[id] = true
			}
			if a.text("nextCursor") == "" {
				break
			}
			cursor = "&cursor=" + a.text("nextCursor")
		}
		if len(seen) != 30 || pages != 4 {
			w.t.Errorf("%d rows on %d pages and the last", len(seen), pages)
		}
	},
	"what it shows is what GET showed, and can be put back": auditShows,
	"verbs of operators": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "one", "maxAttempts": 1})
		r.Then(statusAnswer(http.StatusInternalServerError))
		failed := w.deliver(doc{"type": "a.b"}, "failed").text("id")
		w.operator.post("/v1/deliveries/"+failed+"/retry", nil).want(http.StatusAccepted)
		w.await(failed, "succeeded")
		w.operator.post("/v1/webhooks/one/pause", nil).want(http.StatusOK)
		held := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		w.operator.post("/v1/deliveries/"+held+"/skip", nil).want(http.StatusOK)
		w.operator.post("/v1/deliveries/"+held+"/skip", nil).problem(http.StatusConflict, "invalid_state")
		w.door("again", nil)
		call := w.noted(w.nobody.post(w.in("again"), `{}`).want(http.StatusAccepted)).text("id")
		replayed := w.operator.post("/v1/requests/"+call+"/replay", nil).want(http.StatusAccepted)
		a := w.admin.get("/v1/audit-log?order=asc&kind=delivery&kind=request&actor="+w.operator.id).want(http.StatusOK).
			has("data.0.action", "retry", "data.0.resource.kind", "delivery", "data.0.resource.id", failed, "data.1.action", "skip", "data.1.resource.id", held,
				"data.2.action", "replay", "data.2.resource.kind", "request", "data.2.resource.id", call, "data.2.resource.code", "again", "data.3", "")
		if a.text("data.2.requestId") != replayed.header.Get("X-Request-Id") {
			w.t.Errorf("%s", a.body)
		}
		w.tells("action=skip&resource="+held, "skip delivery ")
	},
	"records by hand, and what of them": func(w *world) {
		one, person := "/v1/collections/stock/records/A-7", "audit-person-"+random(12)
		w.admin.put(one, doc{"owner": person}).want(http.StatusCreated)
		w.admin.put(one, doc{"owner": person}).want(http.StatusOK).heads("Sallyport-Result", "unchanged")
		w.admin.put(one+"?dryRun=true", doc{"owner": "x"}).want(http.StatusOK).heads("Sallyport-Result", "updated")
		w.admin.put(one, doc{"owner": person, "n": 1}, "If-Match", `"7"`).problem(http.StatusPreconditionFailed, "precondition_failed")
		w.admin.put(one, doc{"owner": person, "n": 1}).want(http.StatusOK)
		w.admin.delete(one).want(http.StatusNoContent)
		w.admin.delete(one).problem(http.StatusNotFound, "not_found")
		w.tells("kind=record", "create record stock/A-7", "update record stock/A-7 document", "delete record stock/A-7")
		a := w.admin.get("/v1/audit-log?resource=stock/a-7").want(http.StatusOK).has("data.1.versionBefore", "1", "data.1.versionAfter", "2", "data.0.before.collection", "stock", "data.0.before.key", "A-7")
		if strings.Contains(string(a.body), person) {
			w.t.Errorf("deleted data stay in the log: %s", a.body)
		}
		// What an action keeps is no change of configuration.
		w.action("keep", "upsertRecord", doc{"collection": "stock", "key": "B-1", "document": doc{"n": 1}})
		w.door("keep", doc{"routes": to("keep")})
		w.ran(w.nobody.post(w.in("keep"), `{}`).want(http.StatusAccepted), doc{"succeeded": 1})
		w.viewer.get("/v1/collections/stock/records/B-1").want(http.StatusOK)
		w.tells("resource=stock/B-1")
	},
	"whose rows": func(w *world) {
		other := newWorld(w.t, w.server)
		other.admin.put("/v1/event-types/other.only", doc{}).want(http.StatusCreated)
		w.admin.put("/v1/event-types/mine.only", doc{}).want(http.StatusCreated)
		w.tells("kind=eventType", "create eventType mine.only")
		w.tells("kind=workspace", "create workspace "+w.workspace)
		for _, c := range []*caller{w.operator, w.viewer, w.publisher} {
			c.get("/v1/audit-log").problem(http.StatusForbidden, "forbidden")
		}
		w.admin.get("/v1/audit-log?scope=installation").problem(http.StatusForbidden, "forbidden").says("platform")
		w.admin.get("/v1/audit-log", "Sallyport-Workspace", other.workspace).problem(http.StatusForbidden, "workspace_forbidden")
		w.admin.get("/v1/audit-log?resorce=a").problem(http.StatusBadRequest, "unknown_parameter").says("resource")
		w.admin.get("/v1/audit-log?kind=hook").problem(http.StatusBadRequest, "invalid_parameter")

		// Somebody on the host makes and revokes a key: that is on record, too.
		key := w.planted.given(w.run(w.t, "keys", "create", "--name", "host "+w.workspace, "--role", "viewer", "--workspace", w.workspace))
		w.run(w.t, "keys", "revoke", "host-"+w.workspace, "--workspace", w.workspace)
		w.admin.get("/v1/audit-log?order=asc&actorKind=cli").want(http.StatusOK).has("data.0.action", "create", "data.0.resource.code", "host-"+w.workspace,
			"data.0.after.prefix", key[:len(w.admin.get("/v1/api-keys/"+w.admin.id).want(http.StatusOK).text("prefix"))], "data.0.actor.command", "sallyport keys create",
			"data.1.action", "delete", "data.1.actor.command", "sallyport keys revoke", "data.2", "")

		// A platform key sees what is the installation's beside it; a workspace that is deleted
		// takes its rows along, and stays on record there.
		root := "root-" + random(8)
		w.platform.put("/v1/api-keys/"+root, doc{"role": "admin", "platform": true}).want(http.StatusCreated)
		w.platform.delete("/v1/api-keys/" + root).want(http.StatusNoContent)
		w.platform.get("/v1/audit-log?resource="+root).want(http.StatusOK).has("data.0.action", "delete", "data.1.action", "create", "data.1.workspace", "", "data.2", "")
		w.platform.get("/v1/audit-log?scope=workspace&resource="+root).want(http.StatusOK).has("data.0", "")
		w.platform.get("/v1/audit-log?scope=all&resource=other.only").want(http.StatusOK).has("data.0.workspace.code", other.workspace, "data.1", "")
		w.platform.patch("/v1/workspaces/"+other.workspace, doc{"auditRetention": "6d"}).fault("/auditRetention", "out_of_range")
		w.platform.patch("/v1/workspaces/"+other.workspace, doc{"auditRetention": "730d"}).want(http.StatusOK).has("auditRetention", "730d").heads("Sallyport-Changed", "auditRetention")
		w.platform.delete("/v1/workspaces/" + other.workspace + "?confirm=" + other.workspace).want(http.StatusAccepted)
		w.platform.get("/v1/audit-log?scope=installation&resource="+other.workspace).want(http.StatusOK).has("data.0.action", "delete", "data.0.before.code", other.workspace,
			"data.0.before.auditRetention", "730d", "data.1.action", "update", "data.2.action", "create", "data.3", "")
	},
})

// auditShows: of every kind the row of a change has, member by member, what GET answers a
// viewer; and what was before can be put back.
func auditShows(w *world) {
	w.admin.put("/v1/actions/store", doc{"type": "createRecord", "config": doc{"collection": "a", "key": "b", "document": doc{"n": 1}}}).want(http.StatusCreated)
	named := []doc{{"name": "gh", "value": w.planted.given("audit-named-" + random(20))}}
	url := "https://hooks.example.com/in/audit-url-" + random(20)
	for path, body := range map[string]doc{
		"/v1/webhooks/full": {
			"url": "https://hooks.example.com/full", "secret": w.planted.given("audit-secret-" + random(24)), "description": "one", "eventTypes": []string{"order.*"},
			"basicAuth": doc{"username": "erp", "password": w.planted.given("audit-password-" + random(12))}, "filter": "event.entity.total > 1",
			"headers":   []doc{{"name": "X-Team", "value": "erp"}, {"name": "X-Key", "value": w.planted.given("audit-key-" + random(12))}},
			"signature": doc{"algorithm": "hmac-sha1", "header": "X-Sig"}, "maxInFlight": 3, "rateLimit": doc{"requests": 5, "per": "1m"},
			"retry": doc{"exponential": doc{"initial": "1s", "factor": 2, "max": "1h"}}, "metadata": doc{"a": "b"},
		},
		"/v1/webhooks/hidden": {"url": url, "urlSecret": true, "description": "one"},
		"/v1/incoming-webhooks/full": {
			"description": "one", "secrets": named, "methods": []string{"POST", "PUT"}, "ipAllowList": []string{"203.0.113.0/24"}, "rateLimit": doc{"requests": 5, "per": "1m"},
			"hash":          w.planted.given("audit-hash-" + random(20)),
			"preProcessors": []doc{{"type": "signature", "preset": "github", "secrets": []string{"gh"}}, {"type": "header", "header": "X-A", "equals": "a"}},
			"parser":        doc{"type": "csv", "delimiter": ";", "columns": []string{"a"}}, "routes": []doc{{"action": "store", "condition": "item.a", "parser": doc{"type": "json"}}},
			"dedupe": doc{"key": "{{ request.rawBody }}"}, "response": doc{"status": 201, "body": "ok", "headers": []doc{{"name": "X-B", "value": "c"}}},
			"postProcessors": []doc{{"type": "publishEvent", "config": doc{"type": "x.y"}}},
		},
		"/v1/actions/full": {
			"type": "httpRequest", "description": "one", "condition": "item.a", "secrets": named, "retry": doc{"linear": doc{"interval": "1s"}},
			"config": doc{"url": "https://hooks.example.com/a", "body": "{{ item }}"},
		},
		"/v1/event-types/full.type":        {"description": "one", "schema": doc{"type": "object"}, "sample": doc{"n": 1}, "metadata": doc{"a": "b"}},
		"/v1/api-keys/full":                {"name": "one", "role": "viewer", "expiresAt": "2099-01-01T00:00:00.123456Z"},
		"/v1/workspaces/full-" + random(8): {"name": "one", "strict": true, "retention": "14d", "limits": doc{"eventsPerSecond": 5, "pendingDeliveries": 7}},
	} {
		c := w.platform
		field, hidden := "description", body["hash"] != nil
		if _, there := body["description"]; !there {
			field = "name"
		}
		if hidden { // the admin who set a hash is shown it
			c = w.quiet()
		}
		reader := w.viewer
		if strings.HasPrefix(path, "/v1/api-keys") {
			reader = w.admin
		} else if strings.HasPrefix(path, "/v1/workspaces") {
			reader = w.platform
		}
		c.put(path, body).want(http.StatusCreated)
		first := reader.get(path).want(http.StatusOK)
		second := doc{}
		for k, v := range first.at0() {
			second[k] = v
		}
		second[field] = "two"
		if path == "/v1/webhooks/hidden" {
			second["url"] = url
		}
		edited := c.put(path, second).want(http.StatusOK)
		now := reader.get(path).want(http.StatusOK)
		row := w.platform.get("/v1/audit-log?requestId="+edited.header.Get("X-Request-Id")).want(http.StatusOK).has("data.0.changed", `["`+field+`"]`, "data.1", "")
		before := w.shows(path, row.at("data.0.before"), first)
		w.shows(path, row.at("data.0.after"), now)
		if strings.Contains(string(row.body), url) {
			w.t.Errorf("the log has a URL that is a credential: %s", row.body)
		}
		restored := c.put(path, before)
		if path == "/v1/webhooks/hidden" {
			restored.fault("/url", "required")
			before["url"] = url
			restored = c.put(path, before)
		}
		restored.want(http.StatusOK).heads("Sallyport-Result", "updated", "Sallyport-Changed", field)
	}
}

// shows fails the test unless every member of a document is what GET answered, and all that
// can be written is there.
func (w *world) shows(path string, document any, got *answer) doc {
	w.t.Helper()
	shown, _ := document.(map[string]any)
	for name, value := range shown {
		if answered := got.at(name); !reflect.DeepEqual(clean(value), clean(answered)) {
			w.t.Errorf("%s: the log has %s = %v, GET answered %v", path, name, value, answered)
		}
	}
	derived := []string{"id", "number", "url", "example", "warnings", "version", "createdAt", "updatedAt", "stateSince", "lastUsedAt", "lastPublishedAt", "operational", "state"}
	for name, value := range got.at0() {
		if _, there := shown[name]; !there && value != nil && !slices.Contains(derived, name) {
			w.t.Errorf("%s: the log leaves out %s = %v", path, name, value)
		}
	}
	return doc(shown)
}

// clean leaves nulls out, which say as much as nothing, and empty lists.
func clean(v any) any {
	switch c := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range c {
			if x != nil {
				out[k] = clean(x)
			}
		}
		return out
	case []any:
		out := make([]any, len(c))
		for i := range c {
			out[i] = clean(c[i])
		}
		return out
	case json.Number:
		return c.String()
	}
	return v
}

// unrecorded are the operations that change neither configuration nor what an operator moves;
// and one that has nothing to do where nothing is on hold, see testHold.
var unrecorded = []string{"PublishEvent", "PublishEvents", "TestWebhook", "TestAction", "VerifyRequest", "RenderTemplate", "ReleaseDispatch"}

// readAuditLog holds all that the suite's tests did against the log: what changed something is
// on record, also when a new operation forgets it, and what failed or changed nothing is not.
// That all rows are read has them looked through for secrets with all other answers.
func readAuditLog(t *testing.T, s *server) {
	answers := map[string]apitest.Answer{}
	for _, a := range s.validator.Answers() {
		answers[a.Header.Get("X-Request-Id")] = a
	}
	c := &caller{t: t, s: s, key: s.adminKey}
	recorded, rows := map[string]bool{}, 0
	for cursor, more := "", true; more; more = cursor != "" {
		var page struct {
			Data       []struct{ RequestID string }
			NextCursor string
		}
		if err := json.Unmarshal(c.get("/v1/audit-log?scope=all&limit=500"+cursor).want(http.StatusOK).body, &page); err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Data {
			rows++
			a, known := answers[row.RequestID]
			if !known {
				continue // of a call that is no business of the validator
			}
			recorded[a.Operation] = true
			if a.Status >= 300 || a.Header.Get("Sallyport-Result") == "unchanged" {
				t.Errorf("%s %s is on record, and was answered %d, %s", a.Method, a.Path, a.Status, a.Header.Get("Sallyport-Result"))
			}
		}
		if cursor = page.NextCursor; cursor != "" {
			cursor = "&cursor=" + cursor
		}
	}
	if rows < 100 {
		t.Errorf("there are %d rows, too few to prove anything", rows)
	}
	for _, a := range answers {
		if a.Method == http.MethodGet || a.Operation == "" || a.Status >= 300 || !strings.HasPrefix(a.Path, "/v1/") || recorded[a.Operation] || slices.Contains(unrecorded, a.Operation) {
			continue
		}
		recorded[a.Operation] = true // once is enough
		t.Errorf("%s succeeds and leaves no row in the audit log", a.Operation)
	}
}
