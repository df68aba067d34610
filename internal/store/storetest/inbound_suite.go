package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// Inside is what the suite needs of the store that nobody else does.
type Inside struct {
	// ApplyRecord makes one change of a record in a transaction of its own.
	ApplyRecord func(ctx context.Context, s *store.Store, c *hook.RecordChange, now time.Time) (fresh bool, err error)
	// SetUnacceptedBytes sets how much the bodies of what was not accepted take at most.
	SetUnacceptedBytes func(s *store.Store, n int64)
}

// Inbound runs the suite of requests at doors, their expansion, and records.
func Inbound(t *testing.T, open WorldOpener, inside Inside) {
	for name, test := range map[string]func(*testing.T, *inboundWorld){
		"a request comes back whole":                           requestWhole,
		"a body is found in the request's first event":         requestBodyInEvent,
		"an accepted request is stored once, with its body":    requestAccepted,
		"repeats are recognised in one batch and in several":   repeatsInBatches,
		"a key that has expired is free":                       expiredKeys,
		"requests whose outcome was unknown are stored once":   requestsAgain,
		"a dead or outdated node stores no request":            requestsRefused,
		"requests are listed by filter and page":               requestsListed,
		"a request shows what it led to":                       requestConsequences,
		"deliveries are found by the request":                  deliveriesOfRequest,
		"a request is answered later":                          requestAnswered,
		"an expansion is worked on by one living node":         expansions,
		"records are read by key and prefix":                   recordsRead,
		"a record changes only as it was expected to be":       recordsChanged,
		"of two who change a record one wins":                  recordRaces,
		"a record made anew is another one":                    recordsMadeAnew,
		"retention of requests keeps the last of a door":       requestRetention,
		"retention bounds what was not accepted":               refusedRetention,
		"bodies of what was not accepted are bounded":          refusedBytes,
		"retention leaves requests that something still needs": requestNeeded,
		"a deleted door stays as long as what hit it":          doorOutlivesDeletion,
		"a deleted workspace takes its requests with it":       inboundSwept,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &inboundWorld{World: newWorld(t, open), Inside: inside}
			w.SetSealer(newSealer(t))
			test(t, w)
		})
	}
}

type inboundWorld struct {
	*World
	Inside
}

// door lays an incoming webhook: active or deleted.
func (w *inboundWorld) door(state string) hook.ID {
	w.t.Helper()
	id := w.idAt(w.now.Add(-50 * day))
	code := fmt.Sprintf("door-%d", w.ctr)
	row := map[string]any{"id": w.id(id), "workspace_id": w.id(w.ws), "code": code, "code_key": code, "name": "Name of " + code, "enabled": true,
		"config": "{}", "metadata": "{}", "version": 1, "created_at": 1, "updated_at": 1, "deleted_at": nil}
	if state == "deleted" {
		row["deleted_at"] = w.now.Add(-time.Hour).UnixMicro()
	}
	w.insert("incoming_webhooks", row)
	return id
}

// request stores a request at a door.
func (w *inboundWorld) request(at time.Time, door hook.ID, verdict hook.Verdict, change ...func(r *hook.Request)) hook.ID {
	w.t.Helper()
	r := w.newRequest(at, door, verdict, change...)
	w.store(r)
	return r.ID
}

func (w *inboundWorld) newRequest(at time.Time, door hook.ID, verdict hook.Verdict, change ...func(r *hook.Request)) *hook.Request {
	r := &hook.Request{ID: w.requestIDAt(at), Workspace: w.ws, Incoming: door, Code: "erp-stock", Method: "POST", Path: "/in/erp-stock", Verdict: verdict, Status: 202}
	if verdict == hook.VerdictRefused {
		r.Reason, r.Status = "hash_mismatch", 403
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func (w *inboundWorld) store(rs ...*hook.Request) {
	w.t.Helper()
	if err := w.InsertRequests(w.t.Context(), rs); err != nil {
		w.t.Fatal(err)
	}
}

// requestIDAt makes an id that differs from others before its last three bytes, as real
// ones do.
func (w *inboundWorld) requestIDAt(at time.Time) hook.ID {
	id := w.idAt(at)
	copy(id[9:13], id[12:16])
	return id
}

// item lays the event made of a request's item.
func (w *inboundWorld) item(request hook.ID, index int, entity string) hook.ID {
	w.t.Helper()
	key := hook.RequestEventKey(request, index)
	w.insert("events", map[string]any{"workspace_id": w.id(w.ws), "key": w.id(key), "type": "incoming.erp-stock", "occurred_at": w.now.UnixMicro(),
		"source_kind": 1, "request_id": w.id(request), "hops": 0, "matched": 1, "entity_id_number": false, "entity": []byte(entity)})
	return key
}
