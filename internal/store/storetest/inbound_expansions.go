package storetest

import (
	"errors"
	"testing"

	"sallyport/internal/hook"
)

func expansions(t *testing.T, w *inboundWorld) {
	ctx := t.Context()
	me := hook.NodeID(w.node)
	other, _, err := w.Register(ctx, "other", "n2", w.idAt(w.now))
	if err != nil {
		t.Fatal(err)
	}
	if x, err := w.TakeExpansion(ctx, me); x != nil || err != nil {
		t.Fatalf("taken from none: %+v, %v", x, err)
	}
	door := w.door("active")
	lay := func() hook.ID {
		id := w.request(w.now, door, hook.VerdictAccepted, func(r *hook.Request) { r.Events = 1000 })
		w.insert("expansions", map[string]any{"request_id": w.id(id), "workspace_id": w.id(w.ws), "incoming_id": w.id(door), "total": 1000, "done": 500})
		return id
	}
	take := func(node hook.NodeID, want hook.ID, done int) {
		t.Helper()
		x, err := w.TakeExpansion(ctx, node)
		if err != nil || (x == nil) != (want == hook.NoID) || (x != nil && *x != hook.Expansion{Request: want, Workspace: w.ws, Incoming: door, Total: 1000, Done: done, Working: true}) {
			t.Fatalf("node %d took %+v, %v; want %v at %d", node, x, err, want, done)
		}
	}
	advance := func(node hook.NodeID, id hook.ID, done int, want error) {
		t.Helper()
		if err := w.AdvanceExpansion(ctx, node, id, done); !errors.Is(err, want) {
			t.Fatalf("node %d advanced %v to %d: %v, want %v", node, id, done, err, want)
		}
	}
	counts := func(id hook.ID) (events, deliveries int) {
		return w.count("SELECT events FROM requests WHERE id = ?", w.id(id)), w.count("SELECT deliveries FROM requests WHERE id = ?", w.id(id))
	}
	shown := func(id hook.ID, working bool, reason string) {
		t.Helper()
		v, err := w.Request(ctx, w.ws, id)
		if x := v.Expansion; err != nil || x == nil || x.Working != working || x.Reason != reason || x.RetryAt.IsZero() != (reason == "") {
			t.Fatalf("expansion of %v is shown as %+v, %v", id, x, err)
		}
	}
	first, second := lay(), lay()
	shown(first, false, "")
	take(me, first, 500)
	shown(first, true, "")
	take(other, second, 500)
	take(me, first, 500) // again: it may never have heard of it
	advance(me, first, 700, nil)
	advance(other, first, 900, hook.ErrFenced)
	take(me, first, 700)
	if err := w.LeaveExpansion(ctx, other, first, 0, "internal"); err != nil { // not its own: changes nothing
		t.Fatal(err)
	}
	take(other, second, 500)
	if err := w.LeaveExpansion(ctx, me, first, 0, "unavailable"); err != nil {
		t.Fatal(err)
	}
	shown(first, false, "unavailable")
	advance(me, first, 800, hook.ErrFenced)
	take(other, first, 700)
	shown(first, true, "")
	if events, deliveries := counts(first); events == 0 {
		t.Fatalf("before it is over: %d events, %d deliveries", events, deliveries)
	}
	advance(other, first, 1000, nil)
	if events, deliveries := counts(first); events != 0 || deliveries != 0 { // there are none
		t.Errorf("it became %d events and %d deliveries", events, deliveries)
	}
	advance(other, first, 1000, nil) // said again
	take(other, second, 500)
	take(me, hook.NoID, 0)
	// Another node takes over what a dead one had.
	w.exec("DELETE FROM nodes WHERE id = ?", int64(other))
	shown(second, false, "")
	if _, err := w.TakeExpansion(ctx, other); !errors.Is(err, hook.ErrFenced) {
		t.Errorf("a dead node took: %v", err)
	}
	take(me, second, 500)
	advance(other, second, 600, hook.ErrFenced)
	advance(me, second, 1000, nil)
	if n := w.count("SELECT count(*) FROM expansions"); n != 0 {
		t.Errorf("%d expansions are left", n)
	}
}
