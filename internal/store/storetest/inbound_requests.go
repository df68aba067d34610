package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func requestWhole(t *testing.T, w *inboundWorld) {
	ctx := t.Context()
	offset := -30 * time.Second
	door := w.door("active")
	r := w.newRequest(w.now, door, hook.VerdictRefused, func(r *hook.Request) {
		r.Code, r.Path, r.RawQuery, r.Duration = "ERP-Stock", "/in/ERP-Stock", "hash="+hook.HiddenMark+"&x=\xff", 3100*time.Microsecond
		r.Headers = []hook.HeaderField{{Name: "X-Two", Value: "shown-value"}, {Name: "Authorization", Redacted: true}, {Name: "X-Two", Value: "\xe9\x00"}}
		r.Body = hook.Body{Bytes: []byte("\xff\x00body"), Size: 6}
		r.ClientAddress, r.PeerAddress, r.ForwardedBy, r.ClockOffset, r.Hops = "203.0.113.9", "10.0.0.2", "X-Forwarded-For", &offset, 2
		r.Checks = []hook.Check{{Name: "method", Result: hook.CheckPassed}, {Name: "hash", Result: hook.CheckFailed, Detail: "no instant within 30s matched"}}
		r.Hidden = []hook.HiddenValue{{In: "query", Name: "hash", Value: "planted-hash"}, {In: "header", Name: "Authorization", Value: "Basic planted"}}
		r.ReplayOf, r.DuplicateOf = w.requestIDAt(w.now.Add(-time.Hour)), w.requestIDAt(w.now.Add(-time.Minute))
	})
	nowhere := w.newRequest(w.now, hook.NoID, hook.VerdictRefused, func(r *hook.Request) { r.Code, r.Reason = "no\x00such\xff", "unknown_code" })
	w.store(r, nowhere)
	again := *r
	again.Status, again.Body = 500, hook.Body{}
	w.store(&again)

	whole, err := w.RequestForRun(ctx, w.ws, r.ID)
	if err != nil || !reflect.DeepEqual(whole, r) {
		t.Errorf("for a run: %+v, %v\nwant %+v", whole, err, r)
	}
	view, err := w.Request(ctx, w.ws, r.ID)
	want := *r
	want.Hidden = nil
	if err != nil || !reflect.DeepEqual(view.Request, want) {
		t.Errorf("shown: %+v, %v\nwant %+v", view.Request, err, want)
	}
	if view.IncomingName != "Name of "+view.IncomingCode || view.IncomingCode == "" || view.EventIDs != nil || view.Expansion != nil {
		t.Errorf("shown: %+v", view)
	}
	lost, err := w.Request(ctx, w.ws, nowhere.ID)
	if err != nil || lost.Code != "no\uFFFDsuch\uFFFD" || lost.Incoming != hook.NoID || lost.IncomingCode != "" || lost.Body.Bytes != nil {
		t.Errorf("at no door: %+v, %v", lost, err)
	}
	views, more, err := w.Requests(ctx, hook.RequestFilter{Workspace: w.ws}, hook.Page{Limit: 10})
	if err != nil || more || len(views) != 2 {
		t.Fatalf("list: %+v, %v, %v", views, more, err)
	}
	want.Headers, want.Body.Bytes = nil, nil
	if i := slices.IndexFunc(views, func(v hook.RequestView) bool { return v.ID == r.ID }); i < 0 || !reflect.DeepEqual(views[i].Request, want) || views[i].IncomingCode != view.IncomingCode {
		t.Errorf("in a list: %+v\nwant %+v", views, want)
	}
	if views, _, err := w.Requests(ctx, hook.RequestFilter{Workspace: w.ws, Codes: []string{"no\x00such\xff"}}, hook.Page{Limit: 10}); err != nil || len(views) != 1 || views[0].ID != nowhere.ID {
		t.Errorf("by the code it was called with: %+v, %v", views, err)
	}
	rowHidesCredentials(t, w, r.ID)
	other := w.workspace("other", 0)
	if _, err := w.Request(ctx, other, r.ID); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("in another workspace: %v", err)
	}
	if _, err := w.RequestForRun(ctx, other, r.ID); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("for a run in another workspace: %v", err)
	}
	if err := w.InsertRequests(ctx, nil); err != nil {
		t.Errorf("storing none: %v", err)
	}
}

// rowHidesCredentials looks for the planted values in the row.
func rowHidesCredentials(t *testing.T, w *inboundWorld, id hook.ID) {
	t.Helper()
	var detail, sealed, body []byte
	if err := w.DB.QueryRowContext(t.Context(), w.bind("SELECT detail, sealed, body FROM requests WHERE id = ?"), w.id(id)).Scan(&detail, &sealed, &body); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(detail, []byte("shown-value")) || len(sealed) == 0 {
		t.Fatalf("the row does not show what it should, and proves nothing: %s", detail)
	}
	for _, column := range [][]byte{detail, sealed, body} {
		if bytes.Contains(column, []byte("planted")) {
			t.Errorf("a credential lies in clear: %q", column)
		}
	}
}

func requestBodyInEvent(t *testing.T, w *inboundWorld) {
	const body = `{"a":1.10,"a":"<"}`
	id := w.request(w.now, w.door("active"), hook.VerdictAccepted, func(r *hook.Request) { r.Body.Size = int64(len(body)) })
	w.exec("UPDATE requests SET body_in_event = ? WHERE id = ?", true, w.id(id))
	w.item(id, 0, body)
	w.item(id, 1, `{"a":2}`)
	view, err := w.Request(t.Context(), w.ws, id)
	if err != nil || string(view.Body.Bytes) != body || view.Body.Size != int64(len(body)) {
		t.Errorf("shown: %+v, %v", view.Body, err)
	}
	if r, err := w.RequestForRun(t.Context(), w.ws, id); err != nil || string(r.Body.Bytes) != body {
		t.Errorf("for a run: %+v, %v", r, err)
	}
}

func requestsListed(t *testing.T, w *inboundWorld) {
	a, b := w.door("active"), w.door("deleted")
	verdicts := []hook.Verdict{hook.VerdictAccepted, hook.VerdictRefused, hook.VerdictAccepted, hook.VerdictDuplicate, hook.VerdictHandshake, hook.VerdictRefused}
	var all []*hook.Request // newest first
	for i := range 48 {
		r := w.newRequest(w.now.Add(time.Duration(i-48)*time.Minute), []hook.ID{a, b, a, hook.NoID}[i%4], verdicts[i%len(verdicts)])
		if r.Incoming == hook.NoID {
			r.Verdict, r.Reason = hook.VerdictRefused, "unknown_code"
		}
		r.Code = fmt.Sprintf("code-%d", i%3)
		all = slices.Insert(all, 0, r)
	}
	w.store(all...)
	main := w.ws
	w.ws = w.workspace("other", 0)
	w.request(w.now, w.door("active"), hook.VerdictRefused)
	w.ws = main
	at := func(i int) time.Time { return all[i].ReceivedAt() }
	unaccepted := []hook.Verdict{hook.VerdictRefused, hook.VerdictDuplicate, hook.VerdictHandshake}
	for name, c := range map[string]struct {
		f    hook.RequestFilter
		want func(r *hook.Request) bool
	}{
		"all":                    {want: func(*hook.Request) bool { return true }},
		"a door":                 {hook.RequestFilter{Incoming: a}, func(r *hook.Request) bool { return r.Incoming == a }},
		"a door's accepted":      {hook.RequestFilter{Incoming: a, Verdicts: []hook.Verdict{hook.VerdictAccepted}}, func(r *hook.Request) bool { return r.Incoming == a && r.Verdict == hook.VerdictAccepted }},
		"a door's refused":       {hook.RequestFilter{Incoming: b, Verdicts: []hook.Verdict{hook.VerdictRefused}}, func(r *hook.Request) bool { return r.Incoming == b && r.Verdict == hook.VerdictRefused }},
		"a door's, not accepted": {hook.RequestFilter{Incoming: a, Verdicts: unaccepted}, func(r *hook.Request) bool { return r.Incoming == a && r.Verdict != hook.VerdictAccepted }},
		"not accepted":           {hook.RequestFilter{Verdicts: unaccepted}, func(r *hook.Request) bool { return r.Verdict != hook.VerdictAccepted }},
		"refused and accepted": {hook.RequestFilter{Verdicts: []hook.Verdict{hook.VerdictRefused, hook.VerdictAccepted}}, func(r *hook.Request) bool {
			return r.Verdict == hook.VerdictRefused || r.Verdict == hook.VerdictAccepted
		}},
		"a reason":          {hook.RequestFilter{Reasons: []string{"unknown_code"}}, func(r *hook.Request) bool { return r.Reason == "unknown_code" }},
		"reasons at a door": {hook.RequestFilter{Incoming: a, Reasons: []string{"unknown_code", "hash_mismatch"}}, func(r *hook.Request) bool { return r.Incoming == a && r.Reason == "hash_mismatch" }},
		"codes":             {hook.RequestFilter{Codes: []string{"code-1", "code-9"}}, func(r *hook.Request) bool { return r.Code == "code-1" }},
		"a refused code":    {hook.RequestFilter{Codes: []string{"code-1"}, Verdicts: []hook.Verdict{hook.VerdictRefused}}, func(r *hook.Request) bool { return r.Code == "code-1" && r.Verdict == hook.VerdictRefused }},
		"since, until":      {hook.RequestFilter{Since: at(30), Until: at(10)}, func(r *hook.Request) bool { return !r.ReceivedAt().Before(at(30)) && r.ReceivedAt().Before(at(10)) }},
		"since, until, door": {hook.RequestFilter{Incoming: a, Since: at(30), Until: at(10)}, func(r *hook.Request) bool {
			return r.Incoming == a && !r.ReceivedAt().Before(at(30)) && r.ReceivedAt().Before(at(10))
		}},
		"since, not accepted":        {hook.RequestFilter{Since: at(20), Verdicts: unaccepted}, func(r *hook.Request) bool { return r.Verdict != hook.VerdictAccepted && !r.ReceivedAt().Before(at(20)) }},
		"a door of nobody":           {hook.RequestFilter{Incoming: hook.ID{15: 9}}, func(*hook.Request) bool { return false }},
		"another workspace's":        {hook.RequestFilter{Workspace: w.workspace("empty", 0), Incoming: a}, func(*hook.Request) bool { return false }},
		"refused at another's door":  {hook.RequestFilter{Workspace: w.workspace("empty2", 0), Incoming: a, Verdicts: unaccepted}, func(*hook.Request) bool { return false }},
		"an accepted one's reason":   {hook.RequestFilter{Verdicts: []hook.Verdict{hook.VerdictAccepted}, Reasons: []string{"hash_mismatch"}}, func(*hook.Request) bool { return false }},
		"of no workspace in a range": {hook.RequestFilter{Workspace: hook.ID{15: 8}, Since: at(20)}, func(*hook.Request) bool { return false }},
	} {
		var want []hook.ID
		for _, r := range all {
			if c.want(r) {
				want = append(want, r.ID)
			}
		}
		if c.f.Workspace == hook.NoID {
			c.f.Workspace = w.ws
		}
		equalIDs(t, name, w.walkRequests(c.f, hook.Page{Limit: 5}), want)
		slices.Reverse(want)
		equalIDs(t, name+" upwards", w.walkRequests(c.f, hook.Page{Limit: 7, Asc: true}), want)
	}
}

// walkRequests reads a list page by page.
func (w *inboundWorld) walkRequests(f hook.RequestFilter, p hook.Page) (ids []hook.ID) {
	w.t.Helper()
	for {
		views, more, err := w.Requests(w.t.Context(), f, p)
		if err != nil {
			w.t.Fatalf("%+v: %v", f, err)
		}
		for _, v := range views {
			ids = append(ids, v.ID)
			if (v.IncomingName == "") != (v.Incoming == hook.NoID) {
				w.t.Fatalf("%s has the door %q", v.ID, v.IncomingName)
			}
		}
		if !more {
			return ids
		}
		if len(views) != p.Limit {
			w.t.Fatalf("%+v: a page of %d with more to come, want %d", f, len(views), p.Limit)
		}
		p.After = ids[len(ids)-1]
	}
}

func requestConsequences(t *testing.T, w *inboundWorld) {
	ctx := t.Context()
	target := w.webhook("active")
	door := w.door("active")
	before := w.request(w.now, door, hook.VerdictAccepted)
	id := w.request(w.now, door, hook.VerdictAccepted, func(r *hook.Request) { r.Events, r.Deliveries = 120, 120 })
	after := w.request(w.now, door, hook.VerdictAccepted)
	w.delivery(w.now, w.item(before, 7, "{}"), target, rowFailed)
	w.delivery(w.now, w.item(after, 0, "{}"), target, rowFailed)
	var keys []hook.ID
	for i := range 120 {
		key := w.item(id, i*1000, "{}")
		keys = append(keys, key)
		w.delivery(w.now, key, target, []int{rowSucceeded, rowFailed, rowWaits}[i%3])
	}
	w.insert("expansions", map[string]any{"request_id": w.id(id), "workspace_id": w.id(w.ws), "incoming_id": w.id(door), "total": 40000, "done": 120})
	v, err := w.Request(ctx, w.ws, id)
	if err != nil {
		t.Fatal(err)
	}
	equalIDs(t, "events", v.EventIDs, keys[:100])
	if len(v.DeliveryViews) != 100 {
		t.Fatalf("%d deliveries are shown, want 100", len(v.DeliveryViews))
	}
	for i, d := range v.DeliveryViews {
		if d.EventKey != keys[i] || d.RequestID != id || d.TargetName == "" {
			t.Errorf("delivery %d = %+v", i, d)
		}
	}
	if want := map[hook.State]int{hook.StateSucceeded: 40, hook.StateFailed: 40, hook.StatePending: 40}; !reflect.DeepEqual(v.States, want) {
		t.Errorf("states = %v, want %v", v.States, want)
	}
	if want := (&hook.Expansion{Request: id, Workspace: w.ws, Incoming: door, Total: 40000, Done: 120}); !reflect.DeepEqual(v.Expansion, want) {
		t.Errorf("expansion = %+v, want %+v", v.Expansion, want)
	}
	listed, _, err := w.Requests(ctx, hook.RequestFilter{Workspace: w.ws}, hook.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listed {
		if (l.Expansion != nil) != (l.ID == id) || l.Expansion != nil && !reflect.DeepEqual(l.Expansion, v.Expansion) {
			t.Errorf("listed, the expansion of %s = %+v", l.ID, l.Expansion)
		}
	}
	empty, err := w.Request(ctx, w.ws, w.request(w.now, door, hook.VerdictAccepted))
	if err != nil || empty.EventIDs != nil || empty.DeliveryViews != nil || len(empty.States) != 0 || empty.Expansion != nil {
		t.Errorf("a request that led to nothing = %+v, %v", empty, err)
	}
}

func deliveriesOfRequest(t *testing.T, w *inboundWorld) {
	target, other := w.webhook("active"), w.webhook("paused")
	door := w.door("active")
	requests := []hook.ID{w.request(w.now, door, hook.VerdictAccepted), w.request(w.now, door, hook.VerdictAccepted), w.request(w.now, door, hook.VerdictAccepted)}
	made := make(map[hook.ID][]hook.ID) // newest first
	var failed []hook.ID
	for i := range 30 {
		r := requests[i%3]
		key := w.item(r, i, "{}")
		id := w.delivery(w.now, key, target, rowSucceeded)
		waits := w.delivery(w.now, key, other, rowFailed)
		made[r] = append([]hook.ID{waits, id}, made[r]...)
		if i%3 == 1 {
			failed = append([]hook.ID{waits}, failed...)
		}
	}
	equalIDs(t, "one request", idsOf(w.walk(hook.DeliveryFilter{Requests: requests[1:2]}, hook.Page{Limit: 7})), made[requests[1]])
	two := slices.Concat(made[requests[0]], made[requests[2]])
	slices.SortFunc(two, func(a, b hook.ID) int { return bytes.Compare(b[:], a[:]) })
	equalIDs(t, "two requests", idsOf(w.walk(hook.DeliveryFilter{Requests: []hook.ID{requests[0], requests[2]}}, hook.Page{Limit: 100})), two)
	equalIDs(t, "one request, failed", idsOf(w.walk(hook.DeliveryFilter{Requests: requests[1:2], States: []hook.State{hook.StateFailed}}, hook.Page{Limit: 3})), failed)
	key := hook.RequestEventKey(requests[0], 0).String()
	equalIDs(t, "one request and its event", idsOf(w.walk(hook.DeliveryFilter{Requests: requests[:1], EventIDs: []string{key}}, hook.Page{Limit: 3})), made[requests[0]][18:])
	equalIDs(t, "one request and another's event", idsOf(w.walk(hook.DeliveryFilter{Requests: requests[1:2], EventIDs: []string{key}}, hook.Page{Limit: 3})), nil)
	equalIDs(t, "an unknown request", idsOf(w.walk(hook.DeliveryFilter{Requests: []hook.ID{w.requestIDAt(w.now)}}, hook.Page{Limit: 3})), nil)
	w.ws = w.workspace("other", 0)
	equalIDs(t, "another workspace's request", idsOf(w.walk(hook.DeliveryFilter{Requests: requests}, hook.Page{Limit: 3})), nil)
}

func requestAnswered(t *testing.T, w *inboundWorld) {
	ctx := t.Context()
	id := w.request(w.now, w.door("active"), hook.VerdictAccepted)
	if err := w.AnswerRequest(ctx, w.ws, id, 201, 4700*time.Microsecond); err != nil {
		t.Fatal(err)
	}
	if r, err := w.RequestForRun(ctx, w.ws, id); err != nil || r.Status != 201 || r.Duration != 4700*time.Microsecond {
		t.Errorf("request = %+v, %v", r, err)
	}
	if err := w.AnswerRequest(ctx, w.workspace("other", 0), id, 500, 0); err != nil {
		t.Errorf("answering what is not there: %v", err)
	}
	if r, err := w.RequestForRun(ctx, w.ws, id); err != nil || r.Status != 201 {
		t.Errorf("request = %+v, %v", r, err)
	}
}
