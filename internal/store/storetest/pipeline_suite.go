package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// Pipeline runs the suite of the pipeline's statements.
func Pipeline(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, *pipelineWorld){
		"a stored batch comes back by claim, byte for byte":     storedBytes,
		"what was skipped at birth is stored and never claimed": bornSkipped,
		"a stale batch stores nothing":                          staleBatch,
		"a node declared dead stores and claims nothing":        fencedNode,
		"a repeated event id is reported, not stored":           repeatedID,
		"a rerun stores only what is missing":                   rerun,
		"an ordinary success is two writes":                     ordinaryFinish,
		"a retry waits and is claimed when due":                 retryWaits,
		"a failure lies in the dead letter":                     deadLetter,
		"a late attempt is recorded as superseded":              superseded,
		"a finish may run twice":                                finishTwice,
		"a finish run late leaves a later claim alone":          finishLate,
		"what a dead node held waits again":                     rescued,
		"what a node does not know is released":                 released,
		"a start that is noted shows at the next claim":         noteStart,
		"claims keep to their limits and lanes":                 claimLimits,
		"claims are bounded in bytes":                           claimBytes,
		"the due page lists each target once":                   duePage,
		"a limited target has one home":                         homes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newPipelineWorld(t, open(t)))
		})
	}
}

func storedBytes(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	e := w.event(false, target)
	if res := w.accept(t, e); res.Fenced || len(res.Stale) > 0 || len(res.First) > 0 {
		t.Fatalf("accept = %+v", res)
	}
	jobs := w.claim(t, w.node, 5, target)
	if len(jobs) != 1 {
		t.Fatalf("claimed %d; want 1", len(jobs))
	}
	got, want := jobs[0].Event, &e.Event
	if !bytes.Equal(got.Entity, want.Entity) || got.EntityID != want.EntityID || got.EntityURL != want.EntityURL || got.Type != want.Type ||
		!got.Timestamp.Equal(want.Timestamp) || got.Source != want.Source || got.Hops != 2 || got.Matched != 1 || got.ID != want.ID {
		t.Errorf("event = %+v\nwant    %+v", got, want)
	}
	if d := jobs[0].Delivery; d.ID != e.Deliveries[0].ID || d.Target != target || d.Workspace != w.ws || d.Attempts != 0 || d.TargetKind != hook.TargetWebhook {
		t.Errorf("delivery = %+v", d)
	}
	if again := w.claim(t, w.node, 5, target); len(again) != 0 {
		t.Errorf("claimed %d a second time", len(again))
	}
}

func staleBatch(t *testing.T, w *pipelineWorld) {
	w.ver--
	target := w.ids.New()
	if res := w.accept(t, w.event(false, target)); len(res.Stale) != 1 || res.Stale[0] != w.ws {
		t.Fatalf("stale = %v; want the workspace", res.Stale)
	}
	if jobs := w.claim(t, w.node, 5, target); len(jobs) != 0 {
		t.Errorf("%d deliveries were stored", len(jobs))
	}
}

func fencedNode(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	w.accept(t, w.event(false, target))
	if err := w.Deregister(w.ctx, w.node); err != nil {
		t.Fatal(err)
	}
	if res := w.accept(t, w.event(true, target)); !res.Fenced {
		t.Error("a node without a row accepted")
	}
	if _, _, err := w.Claim(w.ctx, w.node, []hook.LaneWant{{Target: target, N: 1}}, 1<<30); err == nil {
		t.Error("a node without a row claimed")
	}
	if alive, _, err := w.Beat(w.ctx, w.node, w.ids.New()); err != nil || alive {
		t.Errorf("beat of a node without a row = %v, %v", alive, err)
	}
	if _, err := w.TakeHome(w.ctx, w.node, target); err == nil {
		t.Error("a node without a row took a home")
	}
	w.node = w.register(t, "two")
	if jobs := w.claim(t, w.node, 5, target); len(jobs) != 1 {
		t.Errorf("claimed %d after registering again; want the one stored before", len(jobs))
	}
}

func keyed(e *hook.PlannedEvent, id string) *hook.PlannedEvent {
	e.ClientID, e.Event.ID, e.Hash = true, id, sha256.Sum256([]byte(id))
	return e
}

func repeatedID(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	first := keyed(w.event(false, target), "a")
	// Twice in one batch, among others.
	if res := w.accept(t, first, keyed(w.event(false, target), "a"), keyed(w.event(false, target), "b"), w.event(false, target)); len(res.First) != 1 || res.First[1].Key != first.Event.Key ||
		res.First[1].Type != "order.paid" || res.First[1].Matched != 1 {
		t.Fatalf("first = %v; want item 1 to be the repeat of item 0", res.First)
	}
	res := w.accept(t, keyed(w.event(false, target), "a"))
	if r := res.First[0]; r.Key != first.Event.Key || r.Hash != first.Hash || r.Type != "order.paid" || r.Matched != 1 {
		t.Errorf("first receipt = %+v", r)
	}
	if jobs := w.claim(t, w.node, 10, target); len(jobs) != 3 {
		t.Errorf("%d deliveries; want 3", len(jobs))
	}
	if err := w.ForgetEventIDs(w.ctx, w.ws, []string{"a"}, hook.TimeOf(first.Event.Key).Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if res := w.accept(t, keyed(w.event(false, target), "a")); len(res.First) != 0 {
		t.Error("a forgotten id was not free")
	}
}

func rerun(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	a, b := keyed(w.event(true, target), "a"), w.event(true, target)
	w.accept(t, a)
	batch := w.batch(a, b)
	batch.Rerun = true
	res, err := w.Accept(w.ctx, batch)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.First) != 0 {
		t.Errorf("the batch's own event was taken for a repeat: %v", res.First)
	}
	if !res.Mine[a.Deliveries[0].ID] || !res.Mine[b.Deliveries[0].ID] {
		t.Errorf("mine = %v; want both", res.Mine)
	}
	// Rescued in between: it is not ours to hand over.
	if err := w.Release(w.ctx, w.node, []hook.ID{a.Deliveries[0].ID}); err != nil {
		t.Fatal(err)
	}
	if res, err = w.Accept(w.ctx, batch); err != nil || res.Mine[a.Deliveries[0].ID] || !res.Mine[b.Deliveries[0].ID] {
		t.Errorf("mine = %v, %v; want only the second", res.Mine, err)
	}
}

func rescued(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	born, waiting, done := w.event(true, target), w.event(false, target), w.event(true, target)
	w.accept(t, born, waiting, done)
	w.finish(t, w.node, succeeded(w.born(done), w.attempt(w.born(done), hook.OutcomeSucceeded)))
	w.claim(t, w.node, 5, target)
	if _, err := w.TakeHome(w.ctx, w.node, target); err != nil {
		t.Fatal(err)
	}
	other := w.register(t, "two")
	if n, err := w.RescueDead(w.ctx, other, time.Hour, time.Hour); err != nil || n != 0 {
		t.Fatalf("rescued %d from the living, %v", n, err)
	}
	time.Sleep(2 * time.Millisecond) // the age of the heartbeat must show
	// As when the database hung while this was asked: nobody's heartbeat came through.
	if n, err := w.RescueDead(w.ctx, other, time.Millisecond, time.Microsecond); err != nil || n != 0 {
		t.Fatalf("one whose own heartbeat is old rescued %d, %v", n, err)
	}
	if alive, _, err := w.Beat(w.ctx, w.node, hook.ID{}); err != nil || !alive {
		t.Fatalf("it buried another: %v, %v", alive, err)
	}
	time.Sleep(2 * time.Millisecond)
	if n, err := w.RescueDead(w.ctx, other, time.Millisecond, time.Hour); err != nil || n != 2 {
		t.Fatalf("rescued %d, %v; want 2", n, err)
	}
	if alive, _, _ := w.Beat(w.ctx, w.node, w.ids.New()); alive {
		t.Error("the dead node still beats")
	}
	jobs := w.claim(t, other, 5, target)
	if len(jobs) != 2 || jobs[0].Claims != 1 || jobs[1].Claims != 1 {
		t.Fatalf("claimed %+v; want 2 with one rescue each", jobs)
	}
	if home, err := w.TakeHome(w.ctx, other, target); err != nil || home != other {
		t.Errorf("home = %d, %v; want %d", home, err, other)
	}
	// A restart on the same data directory buries its predecessor at once.
	third := w.register(t, "two")
	if n, err := w.BuryPredecessor(w.ctx, third, "two"); err != nil || n != 2 {
		t.Errorf("buried with %d deliveries, %v; want 2", n, err)
	}
	if jobs = w.claim(t, third, 5, target); len(jobs) != 2 || jobs[0].Claims != 2 {
		t.Errorf("claimed %+v", jobs)
	}
}

func noteStart(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	w.accept(t, w.event(false, target))
	id := w.claim(t, w.node, 1, target)[0].Delivery.ID
	other := w.register(t, "two")
	if err := w.NoteStart(w.ctx, other, id); !errors.Is(err, hook.ErrFenced) {
		t.Errorf("another node noted a start: %v", err)
	}
	for range 2 {
		if err := w.NoteStart(w.ctx, w.node, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Release(w.ctx, w.node, []hook.ID{id}); err != nil {
		t.Fatal(err)
	}
	jobs := w.claim(t, other, 1, target)
	if len(jobs) != 1 || jobs[0].Claims != 2*hook.StartNoted+1 {
		t.Fatalf("claimed %+v", jobs)
	}
	// What was tried and waits for its next attempt begins anew.
	w.finish(t, other, &hook.Finish{Job: jobs[0], Attempt: w.attempt(jobs[0], hook.OutcomeFailed), State: hook.StatePending, Attempts: 1, Trigger: hook.TriggerRetry})
	if jobs := w.claim(t, other, 1, target); len(jobs) != 1 || jobs[0].Claims != 0 {
		t.Errorf("claimed %+v", jobs)
	}
}

func released(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	floor := w.ids.New()
	a, b := w.event(true, target), w.event(false, target)
	w.accept(t, a, b)
	w.claim(t, w.node, 5, target)
	claims, err := w.Claims(w.ctx, w.node, floor)
	if err != nil || len(claims) != 2 {
		t.Fatalf("claims = %v, %v; want both", claims, err)
	}
	if err := w.Release(w.ctx, w.node, claims); err != nil {
		t.Fatal(err)
	}
	if jobs := w.claim(t, w.node, 5, target); len(jobs) != 2 {
		t.Errorf("claimed %d; want both", len(jobs))
	}
}

func claimLimits(t *testing.T, w *pipelineWorld) {
	big, small := w.ids.New(), w.ids.New()
	for range 20 {
		w.accept(t, w.event(false, big))
	}
	w.accept(t, w.event(false, small))
	jobs := w.claim(t, w.node, 3, big, small)
	per := map[hook.ID]int{}
	for _, j := range jobs {
		per[j.Delivery.Target]++
	}
	if per[big] != 3 || per[small] != 1 {
		t.Errorf("claimed %v; want 3 and 1", per)
	}
	floor := jobs[0].DueAt
	for _, j := range jobs {
		if j.DueAt.After(floor) {
			floor = j.DueAt
		}
	}
	if jobs, _, err := w.Claim(w.ctx, w.node, []hook.LaneWant{{Target: big, N: 100, Floor: floor.Add(time.Hour)}}, 1<<30); err != nil || len(jobs) != 0 {
		t.Errorf("claimed %d below the floor, %v", len(jobs), err)
	}
	if jobs, _, err := w.Claim(w.ctx, w.node, []hook.LaneWant{{Target: big, N: 100}}, 1<<30); err != nil || len(jobs) != 17 {
		t.Errorf("claimed %d, %v; want the remaining 17", len(jobs), err)
	}
}

func duePage(t *testing.T, w *pipelineWorld) {
	targets := map[hook.ID]bool{}
	for range 30 {
		target := w.ids.New()
		targets[target] = true
		w.accept(t, w.event(false, target), w.event(false, target))
	}
	page, last, now, err := w.DuePage(w.ctx, hook.NoID)
	if err != nil || !last || len(page) != 30 || now.IsZero() {
		t.Fatalf("page of %d, last %v, %v", len(page), last, err)
	}
	for _, p := range page {
		if !targets[p.Target] || p.Workspace != w.ws || p.DueAt.After(now) {
			t.Errorf("page has %+v", p)
		}
		delete(targets, p.Target)
	}
	// What is claimed does not wait.
	w.claim(t, w.node, 5, page[0].Target)
	if rest, _, _, err := w.DuePage(w.ctx, hook.NoID); err != nil || len(rest) != 29 {
		t.Errorf("page of %d, %v; want 29", len(rest), err)
	}
	if rest, _, _, err := w.DuePage(w.ctx, page[9].Target); err != nil || len(rest) != 20 {
		t.Errorf("page of %d after the tenth, %v; want 20", len(rest), err)
	}
}

func homes(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	other := w.register(t, "two")
	for _, node := range []hook.NodeID{w.node, other, w.node} {
		if home, err := w.TakeHome(w.ctx, node, target); err != nil || home != w.node {
			t.Errorf("home asked by %d = %d, %v; want %d", node, home, err, w.node)
		}
	}
	for node, want := range map[hook.NodeID]int{w.node: 1, other: 0} {
		if ours, err := w.Homes(w.ctx, node); err != nil || len(ours) != want || want > 0 && ours[0] != target {
			t.Errorf("homes of %d = %v, %v; want %d", node, ours, err, want)
		}
	}
	if err := w.LeaveHome(w.ctx, w.node, target); err != nil {
		t.Fatal(err)
	}
	if home, err := w.TakeHome(w.ctx, other, target); err != nil || home != other {
		t.Errorf("home = %d, %v; want %d", home, err, other)
	}
}

// What is too much at once stays free for the next claim, of whichever node, and does not
// count as rescued.
func claimBytes(t *testing.T, w *pipelineWorld) {
	one, two := w.ids.New(), w.ids.New()
	const size = 100 << 10
	for range 4 {
		e := w.event(false, one, two)
		e.Event.Entity = append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, size-2)...), '"')
		w.accept(t, e)
	}
	other := w.register(t, "two")
	seen := make(map[hook.ID]bool)
	for i, c := range []struct {
		node  hook.NodeID
		bytes int64
		least int
		full  bool
	}{{w.node, -1, 1, true}, {other, 3 * size, 3, true}, {other, 10 * size, 2, false}} {
		jobs, full, err := w.Claim(w.ctx, c.node, []hook.LaneWant{{Target: one, N: 4}, {Target: two, N: 4}}, c.bytes)
		if err != nil || full != c.full || len(jobs) < c.least || int64(len(jobs)) > max(1, c.bytes/size+1) {
			t.Fatalf("claim %d: %d, full %v, %v", i, len(jobs), full, err)
		}
		for _, j := range jobs {
			if seen[j.Delivery.ID] || j.Claims != 0 || len(j.Event.Entity) != size {
				t.Errorf("claim %d: %+v", i, j)
			}
			seen[j.Delivery.ID] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("claimed %d of 8", len(seen))
	}
}

// A delivery whose filter could not be evaluated is over before it began, beside others of
// its event that are not; a rerun changes nothing.
func bornSkipped(t *testing.T, w *pipelineWorld) {
	skip, wait, born := w.ids.New(), w.ids.New(), w.ids.New()
	e := w.event(false, skip, wait, born)
	e.Deliveries[0].Skipped = hook.ReasonConditionError
	e.Deliveries[2].Born = true
	w.accept(t, e)
	again := w.batch(e)
	again.Rerun = true
	if res, err := w.Accept(w.ctx, again); err != nil || !res.Mine[e.Deliveries[2].ID] || res.Mine[e.Deliveries[0].ID] {
		t.Fatalf("rerun: %+v, %v", res, err)
	}
	d, attempts, err := w.Delivery(w.ctx, w.ws, e.Deliveries[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if d.State != hook.StateSkipped || d.Reason != hook.ReasonConditionError || len(attempts) != 0 || time.Since(d.FinishedAt).Abs() > time.Minute {
		t.Errorf("skipped delivery = %+v with %d attempts", d, len(attempts))
	}
	for i, want := range []hook.State{hook.StateSkipped, hook.StatePending, hook.StateRunning} {
		if d, _, err := w.Delivery(w.ctx, w.ws, e.Deliveries[i].ID); err != nil || d.State != want && (d.State != hook.StateHeld || want != hook.StatePending) {
			t.Errorf("delivery %d is %s, %v; want %s", i, d.State, err, want)
		}
	}
	if jobs := w.claim(t, w.node, 10, skip, wait, born); len(jobs) != 1 || jobs[0].Delivery.Target != wait {
		t.Errorf("claimed %d", len(jobs))
	}
}
