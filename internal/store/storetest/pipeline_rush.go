package storetest

import (
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// Rush runs every statement of the pipeline while Postgres thinks its tables empty, which
// thinkEmpty brings about, and then has a backlog of so many deliveries. What it does after full
// was called takes 512 of them.
func Rush(t *testing.T, s *store.Store, thinkEmpty func(), backlog int, full func()) {
	w := newPipelineWorld(t, s)
	target := w.ids.New()
	fill := func() {
		for left := backlog; left > 0; left -= 500 {
			w.accept(t, w.events(500, target)...)
		}
	}
	fill() // so that all tables have pages
	thinkEmpty()
	w.round(t, target, 2)
	fill()
	full()
	for range 4 {
		w.round(t, target, 128)
	}
}

func (w *pipelineWorld) events(n int, target hook.ID) []*hook.PlannedEvent {
	events := make([]*hook.PlannedEvent, n)
	for i := range events {
		events[i] = w.event(false, target)
	}
	return events
}

// round stores n events with ids of their own and repeats of them, n that are born claimed, and
// takes n that waited. It finishes both twice; of those that waited one in three fails and one
// in three waits again.
func (w *pipelineWorld) round(t *testing.T, target hook.ID, n int) {
	t.Helper()
	firsts, repeats := w.events(n, target), w.events(n, target)
	for i := range firsts {
		id := firsts[i].Event.Key.String()
		keyed(firsts[i], id)
		keyed(repeats[i], id)
	}
	w.accept(t, firsts...)
	if res := w.accept(t, repeats...); len(res.First) != n {
		t.Fatalf("%d of %d repeats were known", len(res.First), n)
	}
	var finishes []*hook.Finish
	var born []*hook.PlannedEvent
	for range n {
		e := w.event(true, target)
		born = append(born, e)
		j := w.born(e)
		finishes = append(finishes, succeeded(j, w.attempt(j, hook.OutcomeSucceeded)))
	}
	w.accept(t, born...)
	jobs, full, err := w.Claim(w.ctx, w.node, []hook.LaneWant{{Target: target, N: n}}, 1)
	if err != nil || !full || len(jobs) != 1 {
		t.Fatalf("claimed %d of %d with room for one, full %v: %v", len(jobs), n, full, err)
	}
	jobs = append(jobs, w.claim(t, w.node, n, target)...)
	if len(jobs) < n {
		t.Fatalf("claimed %d of %d", len(jobs), n)
	}
	for i, j := range jobs {
		a := w.attempt(j, hook.OutcomeFailed)
		f := &hook.Finish{Job: j, Attempt: a, State: hook.StateFailed, Reason: hook.ReasonAttemptsExhausted, Attempts: a.Number}
		switch i % 3 {
		case 0:
			a.Outcome = hook.OutcomeSucceeded
			f = succeeded(j, a)
		case 1:
			f.State, f.Reason, f.Wait, f.Trigger = hook.StatePending, hook.ReasonNone, time.Hour, hook.TriggerRetry
		}
		finishes = append(finishes, f)
	}
	for _, held := range w.finish(t, w.node, finishes...) {
		if !held {
			t.Fatal("a finish was lost")
		}
	}
	w.finish(t, w.node, finishes...) // as after an outcome that was unknown
}
