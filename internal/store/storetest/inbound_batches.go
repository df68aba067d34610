package storetest

import (
	"maps"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// planned is a request of one item, for a target; key names its dedupe key, 0 is none.
func (w *inboundWorld) planned(door hook.ID, key byte) *hook.PlannedRequest {
	body := []byte(`{"n":1}`)
	p := &hook.PlannedRequest{Request: w.newRequest(w.now, door, hook.VerdictAccepted, func(r *hook.Request) {
		r.Body, r.Events = hook.Body{Bytes: body, Size: int64(len(body))}, 1
	})}
	if key != 0 {
		p.Dedupe = &hook.DedupeKey{Hash: [32]byte{key}, Until: time.Now().Add(time.Hour)}
	}
	return p
}

// batch is what stores requests with an event of each and its delivery to target, born on
// the node.
func (w *inboundWorld) batch(target hook.ID, requests ...*hook.PlannedRequest) *hook.AcceptBatch {
	b := &hook.AcceptBatch{Node: hook.NodeID(w.node), Versions: map[hook.ID]int64{w.ws: 1}, Requests: requests}
	for _, p := range requests {
		r := p.Request
		if p.Expand > 0 {
			continue
		}
		key := hook.RequestEventKey(r.ID, 0)
		b.Events = append(b.Events, &hook.PlannedEvent{Inbound: true,
			Event: hook.Event{
				Key: key, ID: key.String(), Workspace: w.ws, Type: "incoming.erp-stock", Entity: r.Body.Bytes, Timestamp: r.ReceivedAt(),
				Source: hook.Source{Kind: hook.SourceIncoming, ID: r.Incoming, RequestID: r.ID}, Matched: 1,
			},
			Deliveries: []hook.PlannedDelivery{{ID: w.idAt(w.now), TargetKind: hook.TargetAction, Target: target, Born: true}},
		})
	}
	return b
}

// take stores a batch.
func (w *inboundWorld) take(b *hook.AcceptBatch) hook.AcceptResult {
	w.t.Helper()
	res, err := w.Accept(w.t.Context(), b)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

// stored fails the test unless so many rows are there: a delivery for each event.
func (w *inboundWorld) stored(what string, requests, events, expansions, keys int) {
	w.t.Helper()
	for table, want := range map[string]int{"requests": requests, "events": events, "deliveries": events, "expansions": expansions, "dedupe_keys": keys} {
		if n := w.count("SELECT count(*) FROM " + table); n != want {
			w.t.Errorf("%s: %d rows in %s, want %d", what, n, table, want)
		}
	}
}

func (w *inboundWorld) versioned() {
	w.insert("config_versions", map[string]any{"scope_id": w.id(w.ws), "version": 1})
}

// Of requests with one key the first is stored, in one batch, in several, and beside others;
// nothing of its repeats is.
func repeatsInBatches(t *testing.T, w *inboundWorld) {
	w.versioned()
	door, other, target := w.door("active"), w.door("active"), w.idAt(w.now)
	first := w.planned(door, 1)
	large, largeRepeat := w.planned(door, 2), w.planned(door, 2)
	large.Expand, largeRepeat.Expand = 1000, 1000
	res := w.take(w.batch(target, w.planned(door, 0), first, w.planned(door, 1), large, w.planned(other, 1), largeRepeat, w.planned(door, 1)))
	id := first.Request.ID
	if want := map[int]hook.ID{2: id, 5: large.Request.ID, 6: id}; !maps.Equal(res.Repeats, want) {
		t.Errorf("repeats %v, want %v", res.Repeats, want)
	}
	w.stored("one batch", 4, 3, 1, 3)
	if res := w.take(w.batch(target, w.planned(door, 1), w.planned(door, 3), w.planned(door, 0))); !maps.Equal(res.Repeats, map[int]hook.ID{0: id}) {
		t.Errorf("repeats %v, want the first", res.Repeats)
	}
	w.stored("another batch", 6, 5, 1, 4)
}

// A key that has expired is free for the next request, and bound again.
func expiredKeys(t *testing.T, w *inboundWorld) {
	w.versioned()
	door, target := w.door("active"), w.idAt(w.now)
	w.take(w.batch(target, w.planned(door, 1)))
	w.exec("UPDATE dedupe_keys SET expires_at = ?", time.Now().Add(-time.Second).UnixMicro())
	second := w.planned(door, 1)
	b := w.batch(target, second)
	res := w.take(b)
	if first, again := res.Repeats[0]; again { // asked to be stored once more
		if first != hook.NoID {
			t.Fatalf("a repeat of %v, whose key has expired", first)
		}
		w.stored("not yet", 1, 1, 0, 0)
		res = w.take(b)
	}
	if len(res.Repeats) != 0 {
		t.Errorf("repeats %v of an expired key", res.Repeats)
	}
	w.stored("the second", 2, 2, 0, 1)
	if res := w.take(w.batch(target, w.planned(door, 1))); !maps.Equal(res.Repeats, map[int]hook.ID{0: second.Request.ID}) {
		t.Errorf("repeats %v, want the second", res.Repeats)
	}
}

// A batch whose outcome was unknown is stored once, whether or not it was before, and its
// own keys make it no repeat.
func requestsAgain(t *testing.T, w *inboundWorld) {
	w.versioned()
	door, target := w.door("active"), w.idAt(w.now)
	large := w.planned(door, 2)
	large.Expand = 1000
	b := w.batch(target, w.planned(door, 1), large, w.planned(door, 0))
	again := *b
	again.Rerun = true
	w.take(b)
	for range 2 {
		res := w.take(&again)
		if res.Fenced || len(res.Stale)+len(res.Repeats) > 0 || len(res.Mine) != 2 {
			t.Errorf("rerun of what was stored: %+v", res)
		}
	}
	w.stored("stored before", 3, 2, 1, 2)
	// Nor does it matter what has changed since.
	w.exec("UPDATE config_versions SET version = 2")
	if res := w.take(&again); res.Fenced || len(res.Stale)+len(res.Repeats) > 0 || len(res.Mine) != 2 {
		t.Errorf("rerun after a change: %+v", res)
	}
	w.exec("UPDATE config_versions SET version = 1")
	never := w.batch(target, w.planned(door, 3), w.planned(door, 1))
	never.Rerun = true
	if res := w.take(never); !maps.Equal(res.Repeats, map[int]hook.ID{1: b.Requests[0].Request.ID}) || len(res.Mine) != 1 {
		t.Errorf("rerun of what was not stored: %+v", res)
	}
	w.stored("not stored before", 4, 3, 1, 3)
}

// Nothing is stored by a node declared dead, or of what was judged by an old configuration;
// a rerun that finds nothing from before is no different.
func requestsRefused(t *testing.T, w *inboundWorld) {
	w.versioned()
	door, target := w.door("active"), w.idAt(w.now)
	large := w.planned(door, 2)
	large.Expand = 1000
	b := w.batch(target, w.planned(door, 1), large, w.planned(door, 0))
	for _, rerun := range []bool{false, true} {
		b.Rerun = rerun
		w.exec("UPDATE config_versions SET version = 2")
		if res := w.take(b); res.Fenced || len(res.Stale) != 1 || res.Stale[0] != w.ws {
			t.Errorf("rerun %v of an old configuration: %+v", rerun, res)
		}
		w.exec("UPDATE config_versions SET version = 1")
		node := b.Node
		b.Node = 1 << 40
		if res := w.take(b); !res.Fenced {
			t.Errorf("rerun %v on a dead node: %+v", rerun, res)
		}
		b.Node = node
		w.stored("refused", 0, 0, 0, 0)
	}
	b.Rerun = false
	if res := w.take(b); res.Fenced || len(res.Stale)+len(res.Repeats) > 0 {
		t.Errorf("accepted: %+v", res)
	}
	w.stored("accepted", 3, 2, 1, 2)
}
