package storetest

import (
	"reflect"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func health(t *testing.T, w *World) {
	ctx := t.Context()
	target, paused := w.webhook("active"), w.webhook("paused")
	if h, err := w.Health(ctx, w.ws, target); err != nil || !reflect.DeepEqual(h, hook.Health{Target: target, Workspace: w.ws, Breaker: hook.Breaker{State: "closed"}}) {
		t.Errorf("health before anything was sent = %+v, %v", h, err)
	}
	at := func(s int) *time.Time { x := w.now.Add(time.Duration(s) * time.Second); return &x }
	full := hook.Health{Target: target, Workspace: w.ws, ConsecutiveFailures: 12, FailingSince: at(-90), LastSuccessAt: at(-100), LastFailureAt: at(-1),
		LastStatus: 503, LastErrorClass: hook.ClassStatus, Breaker: hook.Breaker{State: "half_open", OpenedAt: at(-60), NextProbeAt: at(30), Wait: 2 * time.Minute},
		LatencyP50: 41 * time.Millisecond, LatencyP99: 230 * time.Millisecond}
	rows := []hook.Health{full}
	for range 1200 {
		rows = append(rows, hook.Health{Target: w.idAt(w.now), Workspace: w.ws, ConsecutiveFailures: len(rows)})
	}
	if err := w.FlushHealth(ctx, rows); err != nil {
		t.Fatal(err)
	}
	var targets []hook.ID
	for _, h := range rows {
		targets = append(targets, h.Target)
	}
	loaded, err := w.LoadHealth(ctx, append(targets, paused))
	if err != nil || len(loaded) != len(rows) {
		t.Fatalf("loaded %d, %v; want %d", len(loaded), err, len(rows))
	}
	for _, h := range loaded {
		if h.Target == target && !reflect.DeepEqual(h, full) {
			t.Errorf("loaded %+v\nwant %+v", h, full)
		}
	}
	// Another node has an older view of success, and knows no failure.
	second := hook.Health{Target: target, Workspace: w.ws, LastSuccessAt: at(-200), LastStatus: 200}
	if err := w.FlushHealth(ctx, []hook.Health{second, {Target: paused, Workspace: w.ws, LastSuccessAt: at(-3)}}); err != nil {
		t.Fatal(err)
	}
	want := second
	want.LastSuccessAt, want.LastFailureAt, want.Breaker.State = full.LastSuccessAt, full.LastFailureAt, "closed"
	event := w.event(w.now, "")
	oldest := w.now.Add(-50 * time.Second)
	w.delivery(w.now.Add(-55*time.Second), event, target, rowBorn)
	w.delivery(w.now.Add(-54*time.Second), event, target, rowClaimed)
	w.delivery(oldest, event, target, rowWaits)
	w.delivery(w.now, event, target, rowWaits)
	w.delivery(w.now, event, target, rowSucceeded)
	w.delivery(w.now, event, target, rowFailed)
	want.Pending, want.Running, want.OldestPending = 2, 2, &oldest
	if h, err := w.Health(ctx, w.ws, target); err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("health = %+v, %v\nwant %+v", h, err, want)
	}
	w.delivery(oldest, event, paused, rowWaits)
	if h, err := w.Health(ctx, w.ws, paused); err != nil || h.Held != 1 || h.Pending != 0 || h.Running != 0 || !h.LastSuccessAt.Equal(*at(-3)) {
		t.Errorf("health of a paused one = %+v, %v", h, err)
	}
	if h, err := w.Health(ctx, w.workspace("other", 0), target); err != nil || h.Pending != 0 || h.Running != 0 || h.LastSuccessAt != nil {
		t.Errorf("health from another workspace = %+v, %v", h, err)
	}
}
