package e2e

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// random is n characters that no other test has.
func random(n int) string { return strings.ToLower(rand.Text() + rand.Text())[:n] }

// world is a workspace of its own with a key of each role, so that tests run side by side on
// one server.
type world struct {
	*server
	t         *testing.T
	workspace string // its code
	platform  *caller
	admin     *caller
	operator  *caller
	publisher *caller
	viewer    *caller
	nobody    *caller // without a key
}

func newWorld(t *testing.T, s *server) *world {
	t.Helper()
	w := &world{server: s, t: t, workspace: "w-" + random(12)}
	w.platform = &caller{t: t, s: s, key: s.adminKey, workspace: w.workspace}
	w.nobody = &caller{t: t, s: s}
	root := &caller{t: t, s: s, key: s.adminKey}
	root.post("/v1/workspaces", map[string]any{"code": w.workspace}).want(http.StatusCreated)
	w.admin, w.operator = w.as("admin"), w.as("operator")
	w.publisher, w.viewer = w.as("publisher"), w.as("viewer")
	return w
}

// as makes a key of a role.
func (w *world) as(role string) *caller {
	w.t.Helper()
	a := w.platform.post("/v1/api-keys", map[string]any{"name": role + " " + random(6), "role": role}).want(http.StatusCreated)
	return &caller{t: w.t, s: w.server, key: a.text("key"), id: a.text("id")}
}

// receiver starts a receiver.
func (w *world) receiver() *testkit.Receiver {
	w.t.Helper()
	return testkit.NewReceiver(w.t)
}

// doc is a JSON object in the making.
type doc map[string]any

// with is the document with more in it.
func (d doc) with(more doc) doc {
	out := doc{}
	for k, v := range d {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// webhook makes a webhook to the receiver with quick retries; more replaces and adds fields.
func (w *world) webhook(r *testkit.Receiver, more doc) *answer {
	w.t.Helper()
	body := doc{"code": "hook-" + random(8), "url": r.URL + "/hooks", "retry": doc{"schedule": []string{"100ms"}, "jitter": 0}}.with(more)
	return w.admin.post("/v1/webhooks", body).want(http.StatusCreated)
}

// publish publishes an event and returns its id.
func (w *world) publish(event doc) string {
	w.t.Helper()
	return w.publisher.post("/v1/events", event).want(http.StatusAccepted).text("id")
}

// deliveryOf is the one delivery of an event.
func (w *world) deliveryOf(event string) string {
	w.t.Helper()
	a := w.viewer.get("/v1/events/" + event + "/deliveries").want(http.StatusOK)
	if ids := a.list("id"); len(ids) == 1 {
		return ids[0]
	}
	w.t.Fatalf("event %s has not one delivery: %s", event, a.body)
	return ""
}

// await waits until a delivery has a state, and returns it.
func (w *world) await(delivery, state string) *answer {
	w.t.Helper()
	var last *answer
	eventually(w.t, "delivery "+delivery+" to be "+state, func() bool {
		last = w.viewer.get("/v1/deliveries/" + delivery).want(http.StatusOK)
		return last.text("state") == state
	})
	return last
}

// deliver publishes an event that one webhook wants, and returns its delivery once that has
// the state.
func (w *world) deliver(event doc, state string) *answer {
	w.t.Helper()
	return w.await(w.deliveryOf(w.publish(event)), state)
}
