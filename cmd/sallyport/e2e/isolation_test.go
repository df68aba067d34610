package e2e

import (
	"net/http"
	"strconv"
	"strings"
)

var _ = suite("isolation", map[string]func(*world){
	"another workspace's things are as unknown as what never was": func(w *world) {
		other := newWorld(w.t, w.server)
		r := other.receiver()
		hook := other.webhook(r, doc{"code": "theirs", "eventTypes": []string{"their.type"}}).text("id")
		event := other.publish(doc{"type": "their.type"})
		delivery := other.await(other.deliveryOf(event), "succeeded").text("id")
		key := other.viewer.id
		act := other.action("their-action", "publishEvent", doc{"type": "their.other"}).text("id")
		door := other.door("their-door", doc{"routes": to("their-action")}).text("id")
		call := other.nobody.post(other.in("their-door"), `{}`).want(http.StatusAccepted).text("requestId")
		other.admin.put("/v1/collections/theirs/records/one", doc{}).want(http.StatusCreated)
		const never = "019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e"
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/v1/webhooks/" + hook, ""}, {"PUT", "/v1/webhooks/" + hook, `{"url":"https://a.example"}`}, {"PATCH", "/v1/webhooks/" + hook, `{}`},
			{"DELETE", "/v1/webhooks/" + hook, ""}, {"POST", "/v1/webhooks/" + hook + "/pause", ""}, {"POST", "/v1/webhooks/" + hook + "/resume", ""},
			{"POST", "/v1/webhooks/" + hook + "/test", ""}, {"POST", "/v1/webhooks/" + hook + "/secret/rotate", ""}, {"DELETE", "/v1/webhooks/" + hook + "/secret", ""},
			{"GET", "/v1/webhooks/" + hook + "/health", ""}, {"GET", "/v1/webhooks/" + hook + "/deliveries", ""},
			{"GET", "/v1/events/" + event, ""}, {"GET", "/v1/events/" + event + "/deliveries", ""}, {"GET", "/v1/events/" + event + "/matches", ""},
			{"GET", "/v1/deliveries/" + delivery, ""}, {"POST", "/v1/deliveries/" + delivery + "/retry", ""}, {"POST", "/v1/deliveries/" + delivery + "/skip", ""},
			{"GET", "/v1/deliveries/" + delivery + "/attempts/1/request/body", ""}, {"GET", "/v1/deliveries/" + delivery + "/attempts/1/response/body", ""},
			{"GET", "/v1/api-keys/" + key, ""}, {"PATCH", "/v1/api-keys/" + key, `{}`}, {"DELETE", "/v1/api-keys/" + key, ""},
			{"GET", "/v1/webhooks/theirs", ""}, {"GET", "/v1/event-types/their.type", ""},
			{"GET", "/v1/incoming-webhooks/" + door, ""}, {"PUT", "/v1/incoming-webhooks/" + door, `{}`}, {"PATCH", "/v1/incoming-webhooks/" + door, `{}`},
			{"DELETE", "/v1/incoming-webhooks/" + door, ""}, {"DELETE", "/v1/incoming-webhooks/" + door + "/hash", ""}, {"GET", "/v1/incoming-webhooks/" + door + "/requests", ""},
			{"GET", "/v1/actions/" + act, ""}, {"PUT", "/v1/actions/" + act, `{"type":"publishEvent","config":{"type":"a.b"}}`}, {"PATCH", "/v1/actions/" + act, `{}`},
			{"DELETE", "/v1/actions/" + act, ""}, {"POST", "/v1/actions/" + act + "/test", ""}, {"GET", "/v1/actions/" + act + "/deliveries", ""},
			{"GET", "/v1/requests/" + call, ""}, {"GET", "/v1/requests/" + call + "/body", ""}, {"POST", "/v1/requests/" + call + "/replay", ""}, {"POST", "/v1/requests/" + call + "/verify", ""},
			{"GET", "/v1/collections/theirs/records/one", ""}, {"DELETE", "/v1/collections/theirs/records/one", ""},
		} {
			var body any
			if c.body != "" {
				body = c.body
			}
			theirs := w.admin.call(c.method, c.path, body).problem(http.StatusNotFound, "not_found")
			unknown := c.path
			for _, id := range []string{hook, event, delivery, key, door, act, call} {
				unknown = strings.Replace(unknown, id, never, 1)
			}
			unknown = strings.NewReplacer("/webhooks/theirs", "/webhooks/nobodys", "their.type", "no.type", "theirs/records/one", "nobodys/records/one").Replace(unknown)
			nobodys := w.admin.call(c.method, unknown, body).problem(http.StatusNotFound, "not_found")
			if a, b := alike(theirs, c.path), alike(nobodys, unknown); a != b {
				w.t.Errorf("%s %s tells that it exists elsewhere:\n%s\n%s", c.method, c.path, a, b)
			}
		}
		for _, path := range []string{"/v1/webhooks", "/v1/events", "/v1/deliveries", "/v1/deliveries?webhook=" + hook, "/v1/events?id=" + event,
			"/v1/incoming-webhooks", "/v1/actions", "/v1/requests", "/v1/requests?code=their-door", "/v1/collections", "/v1/collections/theirs/records", "/v1/audit-log", "/v1/audit-log?resource=theirs", "/v1/audit-log?resource=" + hook} {
			a := w.admin.get(path).want(http.StatusOK)
			if said := string(a.body); strings.Contains(said, hook) || strings.Contains(said, event) || strings.Contains(said, door) || strings.Contains(said, act) ||
				strings.Contains(said, call) || strings.Contains(said, "theirs") {
				w.t.Errorf("%s lists another workspace's: %s", path, a.body)
			}
		}
		if r.Wait(1); len(r.Received()) != 1 {
			w.t.Errorf("the other workspace's receiver got %d requests", len(r.Received()))
		}
	},
	"codes, names, ids and idempotency are each workspace's own": func(w *world) {
		other := newWorld(w.t, w.server)
		for _, x := range []*world{w, other} {
			x.webhook(x.receiver(), doc{"code": "same", "name": "Same", "eventTypes": []string{"none.such"}}).has("number", "1")
			x.publisher.post("/v1/events", doc{"id": "same", "type": "a.b"}).want(http.StatusAccepted).has("duplicate", "false", "matched", "0")
			x.admin.put("/v1/event-types/same.a", doc{}).want(http.StatusCreated)
			x.admin.put("/v1/api-keys/same", doc{"role": "viewer"}).want(http.StatusCreated)
		}
	},
	"a workspace key names no other, a platform key any": func(w *world) {
		other := newWorld(w.t, w.server)
		for _, path := range []string{"/v1/info", "/v1/webhooks", "/v1/events"} {
			w.admin.get(path, "Sallyport-Workspace", other.workspace).problem(http.StatusForbidden, "workspace_forbidden")
			w.admin.get(path, "Sallyport-Workspace", "default").problem(http.StatusForbidden, "workspace_forbidden")
			w.admin.get(path, "Sallyport-Workspace", w.workspace).want(http.StatusOK)
		}
		w.publisher.post("/v1/events", doc{"type": "a.b"}, "Sallyport-Workspace", other.workspace).problem(http.StatusForbidden, "workspace_forbidden")
		w.publisher.post("/v1/events/batch", doc{"data": []doc{{"type": "a.b"}}}, "Sallyport-Workspace", other.workspace).problem(http.StatusForbidden, "workspace_forbidden")
		id := w.platform.get("/v1/workspaces/" + other.workspace).want(http.StatusOK).text("id")
		for _, name := range []string{other.workspace, id} {
			w.platform.get("/v1/info", "Sallyport-Workspace", name).want(http.StatusOK).has("workspace", other.workspace)
		}
		event := w.platform.post("/v1/events", doc{"type": "a.b"}, "Sallyport-Workspace", other.workspace).want(http.StatusAccepted).text("id")
		other.viewer.get("/v1/events/" + event).want(http.StatusOK)
		w.viewer.get("/v1/events/"+event).problem(http.StatusNotFound, "not_found")
	},
})

// alike is a problem without what differs from call to call.
func alike(a *answer, path string) string {
	text := a.text("title") + a.text("field") + a.text("type") + a.text("detail")
	steps := strings.Split(path, "/")
	if steps[2] == "collections" { // a record is named with its collection
		steps[3] += "/" + steps[5]
	}
	return strings.ReplaceAll(text, strconv.Quote(steps[3]), "…")
}
