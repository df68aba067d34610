package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// requestsLeft lists the ids that are still there, newest first.
func (w *inboundWorld) requestsLeft(f hook.RequestFilter) []hook.ID {
	w.t.Helper()
	f.Workspace = w.ws
	return w.walkRequests(f, hook.Page{Limit: 500})
}

// lay stores n requests, the first at a time and the others a second apart, and returns
// their ids, newest first.
func (w *inboundWorld) lay(n int, from time.Time, door hook.ID, verdict hook.Verdict) []hook.ID {
	w.t.Helper()
	rs := make([]*hook.Request, n)
	ids := make([]hook.ID, n)
	for i := range rs {
		rs[i] = w.newRequest(from.Add(time.Duration(i)*time.Second), door, verdict)
		ids[n-1-i] = rs[i].ID
	}
	w.store(rs...)
	return ids
}

func requestRetention(t *testing.T, w *inboundWorld) {
	old, young := w.now.Add(-40*day), w.now.Add(-29*day)
	busy, quiet, deleted := w.door("active"), w.door("active"), w.door("deleted")
	busyOld := w.lay(130, old, busy, hook.VerdictAccepted)
	busyYoung := w.lay(30, young, busy, hook.VerdictAccepted)
	quietOld := w.lay(3, old, quiet, hook.VerdictAccepted)
	w.lay(5, old, deleted, hook.VerdictAccepted)
	deletedYoung := w.lay(2, young, deleted, hook.VerdictAccepted)
	w.lay(2, old, hook.ID{15: 3}, hook.VerdictAccepted) // of a door that was swept
	if p := w.purge(); p != (hook.Purged{Requests: 60 + 5 + 2}) {
		t.Errorf("purged %+v; want 60 of the busy door, 5 of the deleted one, 2 of the swept one", p)
	}
	equalIDs(t, "left at the busy door", w.requestsLeft(hook.RequestFilter{Incoming: busy}), append(busyYoung, busyOld[:70]...))
	equalIDs(t, "left at the quiet door", w.requestsLeft(hook.RequestFilter{Incoming: quiet}), quietOld)
	equalIDs(t, "left at the deleted door", w.requestsLeft(hook.RequestFilter{Incoming: deleted}), deletedYoung)
	if p := w.purge(); p != (hook.Purged{}) {
		t.Errorf("a second pass removed %+v", p)
	}
	if p, err := w.Purge(t.Context(), 0); err != nil || p != (hook.Purged{}) {
		t.Errorf("without a retention %+v was purged, %v", p, err)
	}
}

func refusedRetention(t *testing.T, w *inboundWorld) {
	a, b := w.door("active"), w.door("deleted")
	hour := w.now.Add(-time.Hour)
	w.lay(10, w.now.Add(-8*day), a, hook.VerdictRefused)
	w.lay(10, w.now.Add(-8*day), hook.ID{15: 3}, hook.VerdictHandshake) // of a door that was swept
	flood := w.lay(2300, hour, a, hook.VerdictRefused)
	repeats := w.lay(5, hour, a, hook.VerdictDuplicate)
	greeting := w.lay(1, w.now.Add(-6*day), a, hook.VerdictHandshake)
	other := w.lay(4, w.now.Add(-6*day), b, hook.VerdictRefused)
	lost := w.lay(1005, hour, hook.NoID, hook.VerdictRefused)
	good := w.lay(3, w.now.Add(-20*day), a, hook.VerdictAccepted)
	if p, err := w.Purge(t.Context(), 0); err != nil || p != (hook.Purged{Requests: 10 + 10 + 1300 + 5}) {
		t.Errorf("purged %+v, %v; want 10, 10, 1300 and 5", p, err)
	}
	equalIDs(t, "refused", w.requestsLeft(hook.RequestFilter{Incoming: a, Verdicts: []hook.Verdict{hook.VerdictRefused}}), flood[:1000])
	equalIDs(t, "duplicates", w.requestsLeft(hook.RequestFilter{Incoming: a, Verdicts: []hook.Verdict{hook.VerdictDuplicate}}), repeats)
	equalIDs(t, "handshakes", w.requestsLeft(hook.RequestFilter{Verdicts: []hook.Verdict{hook.VerdictHandshake}}), greeting)
	equalIDs(t, "of another door", w.requestsLeft(hook.RequestFilter{Incoming: b}), other)
	equalIDs(t, "accepted", w.requestsLeft(hook.RequestFilter{Incoming: a, Verdicts: []hook.Verdict{hook.VerdictAccepted}}), good)
	all := slices.DeleteFunc(w.requestsLeft(hook.RequestFilter{Reasons: []string{"hash_mismatch"}}), func(id hook.ID) bool { return !slices.Contains(lost, id) })
	equalIDs(t, "at no door", all, lost[:1000])
	// A workspace's retention that is shorter counts, too.
	w.exec("UPDATE workspaces SET retention = ?", int64(5*day))
	if p := w.purge(); p != (hook.Purged{Requests: 1 + 4}) {
		t.Errorf("purged %+v; want the greeting and four of another door", p)
	}
	// Bodies are removed in pieces, too.
	body := make([]byte, 9<<20)
	for range 3 {
		w.request(w.now.Add(-6*day), a, hook.VerdictHandshake, func(r *hook.Request) { r.Body.Bytes = body })
	}
	if p := w.purge(); p != (hook.Purged{Requests: 3}) {
		t.Errorf("purged %+v; want three large ones", p)
	}
}

// refusedBytes: bodies are bounded by their size, oldest first, whatever the verdict; and
// the bounds hold without a pass of retention.
func refusedBytes(t *testing.T, w *inboundWorld) {
	door := w.door("active")
	w.SetUnacceptedBytes(w.Store, 256<<10)
	body := make([]byte, 60<<10)
	var ids []hook.ID // newest first
	for i, v := range []hook.Verdict{hook.VerdictRefused, hook.VerdictHandshake, hook.VerdictRefused, hook.VerdictDuplicate, hook.VerdictRefused, hook.VerdictRefused} {
		id := w.request(w.now.Add(time.Duration(i-10)*time.Minute), door, v, func(r *hook.Request) {
			if i != 1 {
				r.Body.Bytes = body
			}
		})
		ids = append([]hook.ID{id}, ids...)
	}
	good := w.request(w.now, door, hook.VerdictAccepted, func(r *hook.Request) { r.Body.Bytes = body })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.RunBounds(ctx, time.Millisecond, 30*day) }()
	for began := time.Now(); w.count("SELECT count(*) FROM requests") > 6; {
		if time.Since(began) > time.Minute {
			t.Fatal("nothing was bounded in a minute")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("RunBounds: %v", err)
	}
	if p := w.purge(); p != (hook.Purged{}) {
		t.Errorf("purged %+v after the bounds were kept", p)
	}
	equalIDs(t, "left", w.requestsLeft(hook.RequestFilter{}), append([]hook.ID{good}, ids[:5]...))
}

func requestNeeded(t *testing.T, w *inboundWorld) {
	door := w.door("deleted") // so that the newest hundred do not count
	target := w.webhook("deleted")
	old, young := w.now.Add(-40*day), w.now.Add(-time.Hour)
	waiting := w.request(old, door, hook.VerdictAccepted)
	w.delivery(old, w.item(waiting, 5, "{}"), target, rowWaits)
	replayed := w.request(old, door, hook.VerdictAccepted)
	w.delivery(young, w.item(replayed, 0, "{}"), target, rowSucceeded)
	growing := w.request(old, door, hook.VerdictAccepted)
	w.insert("expansions", map[string]any{"request_id": w.id(growing), "workspace_id": w.id(w.ws), "incoming_id": w.id(door), "total": 40000, "done": 120})
	for range 3 {
		w.delivery(old, w.item(w.request(old, door, hook.VerdictAccepted), 0, "{}"), target, rowSucceeded)
	}
	// An event without deliveries stays while the body of a request lies in it.
	keeps := w.door("active")
	shown := w.request(old, keeps, hook.VerdictAccepted, func(r *hook.Request) { r.Body.Size = 7 })
	w.exec("UPDATE requests SET body_in_event = ? WHERE id = ?", true, w.id(shown))
	w.item(shown, 0, `{"a":1}`)
	w.item(shown, 1, `{"a":2}`)
	for i, want := range []hook.Purged{{Deliveries: 3, Requests: 3, Events: 4}, {}} {
		if p := w.purge(); p != want {
			t.Errorf("pass %d purged %+v, want %+v", i, p, want)
		}
	}
	equalIDs(t, "left", w.requestsLeft(hook.RequestFilter{Incoming: door}), []hook.ID{growing, replayed, waiting})
	if v, err := w.Request(t.Context(), w.ws, shown); err != nil || string(v.Body.Bytes) != `{"a":1}` || len(v.EventIDs) != 1 {
		t.Errorf("the body in an event = %+v, %v", v, err)
	}
	// Once its needs are over, each goes.
	w.exec("DELETE FROM expansions")
	w.exec("DELETE FROM due")
	w.exec("UPDATE deliveries SET state = ?", rowSucceeded)
	w.exec("UPDATE incoming_webhooks SET deleted_at = ?", w.now.UnixMicro())
	if p := w.purge(); p != (hook.Purged{Deliveries: 1, Requests: 3, Events: 2}) {
		t.Errorf("at last purged %+v", p)
	}
	equalIDs(t, "left at last", w.requestsLeft(hook.RequestFilter{}), []hook.ID{replayed})
	w.exec("INSERT INTO dedupe_keys (incoming_id, hash, request_id, expires_at) VALUES (?, ?, ?, ?)", w.id(door), []byte("old"), w.id(replayed), w.now.Add(-time.Second).UnixMicro())
	w.exec("INSERT INTO dedupe_keys (incoming_id, hash, request_id, expires_at) VALUES (?, ?, ?, ?)", w.id(door), []byte("new"), w.id(replayed), w.now.Add(time.Hour).UnixMicro())
	if p := w.purge(); p != (hook.Purged{Swept: 1}) {
		t.Errorf("purged %+v; want a dedupe key", p)
	}
	if n := w.count("SELECT count(*) FROM dedupe_keys WHERE expires_at > ?", w.now.UnixMicro()); n != 1 {
		t.Error("a dedupe key is gone before its time")
	}
}

func inboundSwept(t *testing.T, w *inboundWorld) {
	door := w.door("active")
	id := w.request(w.now, door, hook.VerdictAccepted)
	w.lay(3, w.now, door, hook.VerdictRefused)
	w.insert("expansions", map[string]any{"request_id": w.id(id), "workspace_id": w.id(w.ws), "incoming_id": w.id(door), "total": 2, "done": 1})
	w.change("stock", "k", 0, `{}`, w.now)
	main := w.ws
	w.ws = w.workspace("other", 0)
	w.request(w.now, w.door("active"), hook.VerdictAccepted)
	w.change("stock", "k", 0, `{}`, w.now)
	w.exec("UPDATE workspaces SET deleted_at = ? WHERE id = ?", w.now.UnixMicro(), w.id(main))
	w.ws = main
	late := w.newRequest(w.now, door, hook.VerdictRefused)
	w.ws = w.workspace("third", 0)
	w.store(late, w.newRequest(w.now, hook.NoID, hook.VerdictRefused))
	w.purge()
	for table, want := range map[string]int{"requests": 2, "expansions": 0, "records": 1, "incoming_webhooks": 1} {
		if n := w.count("SELECT count(*) FROM " + table); n != want {
			t.Errorf("%d rows of %s are left, want %d", n, table, want)
		}
	}
	if n := w.count("SELECT count(*) FROM requests WHERE workspace_id = ?", w.id(main)); n != 0 {
		t.Errorf("%d requests of the deleted workspace are left", n)
	}
}

// doorOutlivesDeletion: what hit a deleted door can be read as long as it is kept.
func doorOutlivesDeletion(t *testing.T, w *inboundWorld) {
	ctx := t.Context()
	used, unused := w.door("deleted"), w.door("deleted")
	w.exec("UPDATE incoming_webhooks SET deleted_at = ?", w.now.Add(-25*time.Hour).UnixMicro())
	id := w.request(w.now, used, hook.VerdictAccepted)
	if n, err := w.Sweep(ctx, 100); err != nil || n != 1 {
		t.Errorf("swept %d, %v; want 1", n, err)
	}
	if _, err := w.LoadIncoming(ctx, w.ws, unused); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("one that nothing hit: %v", err)
	}
	if v, err := w.Request(ctx, w.ws, id); err != nil || v.IncomingName == "" {
		t.Errorf("the request: %+v, %v", v, err)
	}
}
