package storetest

import (
	"crypto/rand"
	"math"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func queueMeasured(t *testing.T, w *World) {
	ctx := t.Context()
	if q, err := w.Queue(ctx); err != nil || len(q.Targets) != 0 {
		t.Fatalf("of an empty queue: %+v, %v", q, err)
	}
	event := w.event(w.now, "")
	first := w.ws
	a, b, paused, broken := w.webhook("active"), w.webhook("active"), w.webhook("paused"), w.webhook("active")
	late, later := w.now.Add(-40*time.Second), w.now.Add(-time.Hour)
	w.delivery(w.now.Add(-time.Minute), event, a, rowClaimed)
	w.delivery(w.now.Add(time.Hour), event, a, rowWaits)
	w.delivery(w.now.Add(-30*time.Second), event, b, rowWaits)
	w.delivery(late, event, b, rowWaits)
	w.delivery(later, event, paused, rowWaits)
	w.delivery(later, event, broken, rowWaits)
	w.delivery(later, event, broken, rowBorn)
	if err := w.FlushHealth(ctx, []hook.Health{{Target: broken, Workspace: w.ws, Breaker: hook.Breaker{State: "open", NextProbeAt: &w.now}}}); err != nil {
		t.Fatal(err)
	}
	w.ws = w.workspace("second", 0)
	other := w.webhook("active")
	w.delivery(w.now.Add(time.Hour), event, other, rowWaits)

	q, err := w.Queue(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[hook.ID]hook.TargetQueue)
	for _, x := range q.Targets {
		got[x.Target] = x
	}
	want := map[hook.ID]hook.TargetQueue{
		a:      {Workspace: first, WorkspaceCode: "main", Target: a, Waiting: 1, Claimed: 1, Exact: true, Active: true},
		b:      {Workspace: first, WorkspaceCode: "main", Target: b, Waiting: 2, Exact: true, OldestDue: &late, Active: true},
		paused: {Workspace: first, WorkspaceCode: "main", Target: paused, Waiting: 1, Exact: true, OldestDue: &later},
		broken: {Workspace: first, WorkspaceCode: "main", Target: broken, Waiting: 1, Exact: true, OldestDue: &later, Active: true, Broken: true},
		other:  {Workspace: w.ws, WorkspaceCode: "second", Target: other, Waiting: 1, Exact: true, Active: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("queue = %+v\nwant %+v", got, want)
	}
	sum := *q.Backlogs()[first]
	if want := (hook.Backlog{Workspace: first, WorkspaceCode: "main", Pending: 4, Held: 1, Claimed: 1, Exact: true, OldestDue: &later, OldestMoving: &late}); !reflect.DeepEqual(sum, want) {
		t.Errorf("backlog = %+v\nwant %+v", sum, want)
	}

	top, err := w.TargetStats(ctx, []hook.TargetQueue{got[broken], got[a], got[b], got[paused]})
	if err != nil || len(top) != 4 {
		t.Fatalf("%+v, %v", top, err)
	}
	for i, want := range []struct {
		target hook.ID
		state  hook.TargetState
		reason hook.Reason
	}{
		{broken, hook.TargetActive, hook.ReasonBreakerOpen}, {a, hook.TargetActive, hook.ReasonRetryScheduled},
		{b, hook.TargetActive, hook.ReasonQueued}, {paused, hook.TargetPaused, hook.ReasonPaused},
	} {
		if x := top[i]; x.Target != want.target || x.Kind != hook.TargetWebhook || x.Code == "" || x.State != want.state || x.Reason != want.reason {
			t.Errorf("target %d = %+v, want %+v", i, x, want)
		}
	}
}

// holdShows says of what would move that the installation holds it.
func holdShows(t *testing.T, w *World) {
	if _, err := w.SetHold(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	active, paused := w.webhook("active"), w.webhook("paused")
	top, err := w.TargetStats(t.Context(), []hook.TargetQueue{{Target: active}, {Target: w.idAt(w.now)}, {Target: paused}})
	if err != nil || len(top) != 2 || top[0].Reason != hook.ReasonHold || top[1].Reason != hook.ReasonPaused {
		t.Errorf("%+v, %v", top, err)
	}
}

// queuePages has more targets than one statement counts.
func queuePages(t *testing.T, w *World) {
	event := w.event(w.now, "")
	const targets = 230
	for n := range targets {
		target := w.webhook("active")
		for range 1 + n%3 {
			w.delivery(w.now.Add(-time.Minute), event, target, rowWaits)
		}
	}
	q, err := w.Queue(t.Context())
	if err != nil || len(q.Targets) != targets {
		t.Fatalf("%d targets, %v", len(q.Targets), err)
	}
	if got, want := q.Backlogs()[w.ws].Pending, w.count("SELECT count(*) FROM due"); got != want {
		t.Errorf("%d wait, want %d", got, want)
	}
}

func ratesCounted(t *testing.T, w *World) {
	ctx := t.Context()
	other, idle := w.workspace("other", 0), w.workspace("idle", 0)
	// What an earlier node left: within the minute, and before it.
	row := func(ago time.Duration, n int) map[string]any {
		return map[string]any{"slot": time.Now().Add(-ago).Truncate(10 * time.Second).Unix(), "workspace_id": w.id(other), "accepted": n, "created": n,
			"attempts": n, "finished": n, "failed": n, "requests_accepted": n, "requests_refused": n}
	}
	w.insert("workspace_rates", row(30*time.Second, 600))
	w.insert("workspace_rates", row(90*time.Second, 6000))
	w.insert("workspace_rates", row(2*time.Hour, 6000))
	for range 2 { // two nodes add to the same slot, or its neighbour
		err := w.AddCounts(ctx, map[hook.ID]hook.Counts{
			w.ws: {Accepted: 30, Created: 60, Attempts: 90, Finished: 54, Failed: 6, RequestsAccepted: 3, RequestsRefused: 9}, other: {Created: 60},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rates, err := w.Rates(ctx, []hook.ID{w.ws, other, idle})
	if err != nil || len(rates) != 2 {
		t.Fatalf("rates = %+v, %v", rates, err)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v a second, want %v", what, got, want)
		}
	}
	r := rates[w.ws]
	near("accepted", r.Accepted, 1)
	near("created", r.Created, 2)
	near("attempts", r.Attempts, 3)
	near("finished", r.Finished, 1.8)
	near("failed", r.Failed, 0.2)
	near("requests accepted", r.RequestsAccepted, 0.1)
	near("requests refused", r.RequestsRefused, 0.3)
	near("another workspace's", rates[other].Accepted, 10)
	near("both together", rates[other].Created, 12)
	if n := w.count("SELECT count(*) FROM workspace_rates WHERE slot < ?", time.Now().Add(-time.Hour-time.Minute).Unix()); n != 0 {
		t.Errorf("%d slots of more than an hour ago are kept", n)
	}
}

func runningNoted(t *testing.T, w *World) {
	ctx := t.Context()
	other := w.workspace("other", 0)
	mate, _, err := w.Register(ctx, "second instance", "n2", w.idAt(w.now))
	if err != nil {
		t.Fatal(err)
	}
	dead := mate + 1000
	for _, say := range []struct {
		node hook.NodeID
		in   map[hook.ID]int
	}{
		{hook.NodeID(w.node), map[hook.ID]int{w.ws: 7, other: 5}}, {mate, map[hook.ID]int{w.ws: 2}},
		{dead, map[hook.ID]int{w.ws: 100}}, {hook.NodeID(w.node), map[hook.ID]int{w.ws: 3}},
	} {
		if err := w.NoteRunning(ctx, say.node, say.in); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Running(ctx, []hook.ID{w.ws, other})
	if want := map[hook.ID]int{w.ws: 5}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("running = %v, %v; want %v", got, err, want)
	}
	if err := w.NoteRunning(ctx, mate, nil); err != nil {
		t.Fatal(err)
	}
	if n := w.count("SELECT count(*) FROM node_running"); n != 1 {
		t.Errorf("%d rows are left, want the first node's one", n)
	}
}

func databaseSized(t *testing.T, w *World) {
	before, err := w.Size(t.Context())
	if err != nil || before <= 0 {
		t.Fatalf("%d bytes, %v", before, err)
	}
	noise := make([]byte, 4<<20) // what is all alike is compressed
	_, _ = rand.Read(noise)
	w.event(w.now, "", set("entity", noise))
	if after, err := w.Size(t.Context()); err != nil || after < before+1<<20 {
		t.Errorf("%d bytes after %d, %v", after, before, err)
	}
}

func failedCounted(t *testing.T, w *World) {
	event := w.event(w.now, "")
	first := w.ws
	for range 3 {
		target := w.webhook("active")
		w.delivery(w.now, event, target, rowFailed)
		w.delivery(w.now, event, target, rowSucceeded)
	}
	w.ws = w.workspace("other", 0)
	w.delivery(w.now, event, w.webhook("active"), rowFailed)
	for most, want := range map[int]int{10: 3, 2: 2} {
		if n, err := w.FailedCount(t.Context(), first, most); err != nil || n != want {
			t.Errorf("up to %d: %d, %v; want %d", most, n, err, want)
		}
	}
}
