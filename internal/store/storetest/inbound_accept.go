package storetest

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// accept stores requests with the event made of each one's body.
func (w *inboundWorld) accept(rerun bool, planned ...*hook.PlannedRequest) hook.AcceptResult {
	w.t.Helper()
	b := &hook.AcceptBatch{Node: hook.NodeID(w.node), Versions: map[hook.ID]int64{w.ws: 1}, Requests: planned, Rerun: rerun}
	for _, p := range planned {
		r := p.Request
		if p.Expand > 0 {
			continue
		}
		key := hook.RequestEventKey(r.ID, 0)
		b.Events = append(b.Events, &hook.PlannedEvent{Inbound: true, Event: hook.Event{
			Key: key, ID: key.String(), Workspace: w.ws, Type: "incoming.erp-stock", Entity: r.Body.Bytes, Timestamp: r.ReceivedAt(),
			Source: hook.Source{Kind: hook.SourceIncoming, ID: r.Incoming, RequestID: r.ID},
		}})
	}
	res, err := w.Accept(w.t.Context(), b)
	if err != nil || res.Fenced || len(res.Stale) > 0 {
		w.t.Fatalf("accept: %+v, %v", res, err)
	}
	return res
}

func requestAccepted(t *testing.T, w *inboundWorld) {
	ctx := t.Context()
	w.insert("config_versions", map[string]any{"scope_id": w.id(w.ws), "version": 1})
	door := w.door("active")
	offset := 30 * time.Second
	plan := func(body string) *hook.PlannedRequest {
		return &hook.PlannedRequest{Request: w.newRequest(w.now, door, hook.VerdictAccepted, func(r *hook.Request) {
			r.RawQuery, r.Headers, r.ClockOffset = "hash="+hook.HiddenMark, []hook.HeaderField{{Name: "X-A", Value: "\xe9"}}, &offset
			r.Body, r.Events = hook.Body{Bytes: []byte(body), Size: int64(len(body))}, 1
			r.Hidden = []hook.HiddenValue{{In: "query", Name: "hash", Value: "planted"}}
			r.Checks = []hook.Check{{Name: "hash", Result: hook.CheckPassed}}
		})}
	}
	is := func(what string, want *hook.Request) {
		t.Helper()
		if got, err := w.RequestForRun(ctx, w.ws, want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %+v, %v\nwant %+v", what, got, err, want)
		}
	}
	single := plan(`{"a":1.10,"a":"<\u0000"}`)
	first, repeat := plan(`{"b":1}`), plan(`{"b":1}`)
	until := time.Now().Add(time.Hour)
	first.Dedupe, repeat.Dedupe = &hook.DedupeKey{Hash: [32]byte{1}, Until: until}, &hook.DedupeKey{Hash: [32]byte{1}, Until: until}
	large := plan("a;b\n" + string(bytes.Repeat([]byte("1;2\n"), 1000)))
	large.Expand = 1000
	batch := []*hook.PlannedRequest{single, first, large}
	for _, rerun := range []bool{false, true} {
		if res := w.accept(rerun, batch...); len(res.Repeats) != 0 {
			t.Errorf("rerun %v: repeats %v", rerun, res.Repeats)
		}
	}
	if res := w.accept(false, repeat); !reflect.DeepEqual(res.Repeats, map[int]hook.ID{0: first.Request.ID}) {
		t.Errorf("repeats = %v, want %v", res.Repeats, first.Request.ID)
	}
	is("a single one", single.Request)
	is("the first of two", first.Request)
	is("a large one", large.Request)
	if _, err := w.RequestForRun(ctx, w.ws, repeat.Request.ID); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("the repeat is stored: %v", err)
	}
	// What is an event's entity is not stored twice.
	if n := w.count("SELECT count(*) FROM requests WHERE body IS NULL AND body_in_event"); n != 2 {
		t.Errorf("%d bodies lie in events, want 2", n)
	}
	if n := w.count("SELECT count(*) FROM events"); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	if x, err := w.TakeExpansion(ctx, hook.NodeID(w.node)); err != nil || x == nil || *x != (hook.Expansion{Request: large.Request.ID, Workspace: w.ws, Incoming: door, Total: 1000, Working: true}) {
		t.Errorf("expansion = %+v, %v", x, err)
	}
	v, err := w.Request(ctx, w.ws, single.Request.ID)
	if err != nil || len(v.EventIDs) != 1 || v.Hidden != nil || !bytes.Equal(v.Body.Bytes, single.Request.Body.Bytes) {
		t.Errorf("shown = %+v, %v", v, err)
	}
	// Once the key has expired the same request is accepted again.
	w.exec("UPDATE dedupe_keys SET expires_at = ?", w.now.Add(-time.Minute).UnixMicro())
	if p := w.purge(); p != (hook.Purged{Swept: 1}) {
		t.Errorf("purged %+v, want the key", p)
	}
	if res := w.accept(false, repeat); len(res.Repeats) != 0 {
		t.Errorf("repeats of an expired key = %v", res.Repeats)
	}
	is("accepted again", repeat.Request)
}
