package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
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
		"the due page lists each target once":                   duePage,
		"a limited target has one home":                         homes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newPipelineWorld(t, open(t)))
		})
	}
}

type pipelineWorld struct {
	*store.Store
	ctx  context.Context
	ids  *hook.IDs
	ws   hook.ID
	node hook.NodeID
	ver  int64
}

func newPipelineWorld(t *testing.T, s *store.Store) *pipelineWorld {
	t.Helper()
	w := &pipelineWorld{Store: s, ctx: t.Context(), ids: hook.NewIDs()}
	def, err := s.EnsureDefaultWorkspace(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.ws = def.ID
	versions, err := s.ConfigVersions(w.ctx, []hook.ID{w.ws})
	if err != nil {
		t.Fatal(err)
	}
	w.ver = versions[w.ws]
	w.node = w.register(t, "one")
	return w
}

func (w *pipelineWorld) register(t *testing.T, instance string) hook.NodeID {
	t.Helper()
	node, now, err := w.Register(w.ctx, instance, "test", w.ids.New())
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(now); d > time.Minute || d < -time.Minute {
		t.Fatalf("the database says it is %s", now)
	}
	return node
}

// event plans an event with a delivery for each target; born ones are this node's.
func (w *pipelineWorld) event(born bool, targets ...hook.ID) *hook.PlannedEvent {
	e := &hook.PlannedEvent{Event: hook.Event{
		Key: w.ids.New(), Workspace: w.ws, Type: "order.paid", EntityID: hook.EntityID{Text: "12345678901234567890", Number: true},
		Entity: []byte("{\"a\":1.10,\"a\":\"<\\u0000\", \"n\":12345678901234567890}"), EntityURL: "https://example.com/1",
		Timestamp: time.UnixMilli(1795294619123).UTC(), Source: hook.Source{Kind: hook.SourceAPI, ID: w.ids.New(), RequestID: w.ids.New()},
		Hops: 2, Matched: len(targets),
	}}
	e.Event.ID = e.Event.Key.String()
	for _, target := range targets {
		e.Deliveries = append(e.Deliveries, hook.PlannedDelivery{ID: w.ids.New(), TargetKind: hook.TargetWebhook, Target: target, Born: born, Trigger: hook.TriggerFirst})
	}
	return e
}

func (w *pipelineWorld) accept(t *testing.T, events ...*hook.PlannedEvent) hook.AcceptResult {
	t.Helper()
	res, err := w.Accept(w.ctx, w.batch(events...))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (w *pipelineWorld) batch(events ...*hook.PlannedEvent) *hook.AcceptBatch {
	return &hook.AcceptBatch{Node: w.node, Versions: map[hook.ID]int64{w.ws: w.ver}, Events: events, Window: time.Hour}
}

func (w *pipelineWorld) claim(t *testing.T, node hook.NodeID, n int, targets ...hook.ID) []*hook.Job {
	t.Helper()
	wants := make([]hook.LaneWant, len(targets))
	for i, target := range targets {
		wants[i] = hook.LaneWant{Target: target, N: n}
	}
	jobs, err := w.Claim(w.ctx, node, wants)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		j.Node = node
	}
	return jobs
}

// born is the job of an event's first delivery, as handed over at birth.
func (w *pipelineWorld) born(e *hook.PlannedEvent) *hook.Job {
	return &hook.Job{Node: w.node, Event: &e.Event, Trigger: hook.TriggerFirst, Delivery: hook.Delivery{
		ID: e.Deliveries[0].ID, Workspace: w.ws, EventKey: e.Event.Key, TargetKind: hook.TargetWebhook, Target: e.Deliveries[0].Target, State: hook.StateRunning}}
}

func (w *pipelineWorld) attempt(j *hook.Job, outcome hook.Outcome) *hook.Attempt {
	body := append(append([]byte(`{"entity":`), j.Event.Entity...), '}')
	return &hook.Attempt{
		ID: w.ids.New(), Delivery: j.Delivery.ID, Number: j.Delivery.Attempts + 1, Trigger: j.Trigger, StartedAt: w.ids.Now(), Outcome: outcome,
		Request: &hook.SentRequest{Method: "POST", URL: "https://example.com", Headers: []hook.HeaderField{{Name: "X-A", Value: "é\""}, {Name: "Authorization", Redacted: true}},
			Body: hook.Body{Bytes: body, Size: int64(len(body))}, EntityAt: 10},
		Response: &hook.ReceivedResponse{Status: 200, Headers: []hook.HeaderField{{Name: "X-B", Value: "b"}}, Body: hook.Body{Bytes: []byte{0xff, 0, 'x'}, Size: 3}},
		Timings:  hook.Timings{Total: 1500 * time.Microsecond, FirstByte: time.Millisecond},
	}
}

func (w *pipelineWorld) finish(t *testing.T, node hook.NodeID, fs ...*hook.Finish) []bool {
	t.Helper()
	held, err := w.Finish(w.ctx, node, fs)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func succeeded(j *hook.Job, a *hook.Attempt) *hook.Finish {
	return &hook.Finish{Job: j, Attempt: a, State: hook.StateSucceeded, Attempts: a.Number}
}

func (w *pipelineWorld) delivery(t *testing.T, id hook.ID) (hook.DeliveryView, []hook.Attempt) {
	t.Helper()
	d, attempts, err := w.Delivery(w.ctx, w.ws, id)
	if err != nil {
		t.Fatal(err)
	}
	return d, attempts
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
	if _, err := w.Claim(w.ctx, w.node, []hook.LaneWant{{Target: target, N: 1}}); err == nil {
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

func ordinaryFinish(t *testing.T, w *pipelineWorld) {
	e := w.event(true, w.ids.New())
	w.accept(t, e)
	j := w.born(e)
	a := w.attempt(j, hook.OutcomeSucceeded)
	if held := w.finish(t, w.node, succeeded(j, a)); !held[0] {
		t.Fatal("not held")
	}
	d, attempts := w.delivery(t, j.Delivery.ID)
	if d.State != hook.StateSucceeded || d.Attempts != 1 || d.FinishedAt.IsZero() || len(attempts) != 1 {
		t.Fatalf("delivery = %+v, %d attempts", d, len(attempts))
	}
	got := attempts[0]
	if !bytes.Equal(got.Request.Body.Bytes, a.Request.Body.Bytes) || !bytes.Equal(got.Response.Body.Bytes, a.Response.Body.Bytes) ||
		got.Request.Headers[0] != a.Request.Headers[0] || !got.Request.Headers[1].Redacted || got.Response.Status != 200 || got.Timings != a.Timings {
		t.Errorf("attempt = %+v\nrequest %+v\nresponse %+v", got, got.Request, got.Response)
	}
}

func retryWaits(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	e := w.event(true, target)
	w.accept(t, e)
	j := w.born(e)
	a := w.attempt(j, hook.OutcomeFailed)
	w.finish(t, w.node, &hook.Finish{Job: j, Attempt: a, State: hook.StatePending, Attempts: 1, Wait: time.Hour, Trigger: hook.TriggerRetry})
	if jobs := w.claim(t, w.node, 5, target); len(jobs) != 0 {
		t.Fatalf("claimed %d before its time", len(jobs))
	}
	d, _ := w.delivery(t, j.Delivery.ID)
	if d.State != hook.StatePending || d.NextAttemptAt == nil || time.Until(*d.NextAttemptAt) < 59*time.Minute {
		t.Fatalf("delivery = %+v", d)
	}
	if _, err := w.RetryDelivery(w.ctx, w.ws, j.Delivery.ID); err != nil {
		t.Fatal(err)
	}
	jobs := w.claim(t, w.node, 5, target)
	if len(jobs) != 1 || jobs[0].Delivery.Attempts != 1 {
		t.Fatalf("claimed %v", jobs)
	}
	// A claimed one may be put off again, in the same transaction that lets it go.
	a = w.attempt(jobs[0], hook.OutcomeFailed)
	if a.Number != 2 {
		t.Errorf("number = %d", a.Number)
	}
	if held := w.finish(t, w.node, &hook.Finish{Job: jobs[0], Attempt: a, State: hook.StatePending, Attempts: 2, Trigger: hook.TriggerRetry}); !held[0] {
		t.Fatal("a claimed delivery was not held")
	}
	if jobs = w.claim(t, w.node, 5, target); len(jobs) != 1 || jobs[0].Delivery.Attempts != 2 || jobs[0].Trigger != hook.TriggerRetry {
		t.Fatalf("claimed %+v", jobs)
	}
	if held := w.finish(t, w.node, succeeded(jobs[0], w.attempt(jobs[0], hook.OutcomeSucceeded))); !held[0] {
		t.Fatal("not held")
	}
	if d, attempts := w.delivery(t, j.Delivery.ID); d.State != hook.StateSucceeded || len(attempts) != 3 {
		t.Errorf("delivery = %+v with %d attempts", d, len(attempts))
	}
}

func deadLetter(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	e := w.event(true, target)
	w.accept(t, e)
	j := w.born(e)
	w.finish(t, w.node, &hook.Finish{Job: j, Attempt: w.attempt(j, hook.OutcomeFailed), State: hook.StateFailed, Reason: hook.ReasonAttemptsExhausted, Attempts: 1})
	list, _, err := w.Deliveries(w.ctx, hook.DeliveryFilter{Workspace: w.ws, Targets: []hook.ID{target}, States: []hook.State{hook.StateFailed}}, hook.Page{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Reason != hook.ReasonAttemptsExhausted {
		t.Errorf("failed deliveries = %+v, %v", list, err)
	}
}

func superseded(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	e := w.event(true, target)
	w.accept(t, e)
	j := w.born(e)
	a := w.attempt(j, hook.OutcomeSucceeded)
	if err := w.Release(w.ctx, w.node, []hook.ID{j.Delivery.ID}); err != nil { // another has it
		t.Fatal(err)
	}
	if held := w.finish(t, w.node, succeeded(j, a)); held[0] {
		t.Error("held what was taken")
	}
	d, attempts := w.delivery(t, j.Delivery.ID)
	if d.State != hook.StatePending || len(attempts) != 1 || attempts[0].Outcome != hook.OutcomeSuperseded {
		t.Errorf("state %s, attempts %+v; want pending and superseded", d.State, attempts)
	}
	// The same for a claimed one.
	other := w.register(t, "two")
	jobs := w.claim(t, other, 1, target)
	if len(jobs) != 1 {
		t.Fatalf("claimed %d", len(jobs))
	}
	late := *jobs[0]
	if held := w.finish(t, w.node, succeeded(&late, w.attempt(&late, hook.OutcomeSucceeded))); held[0] {
		t.Error("finished what another node holds")
	}
	if held := w.finish(t, other, succeeded(jobs[0], w.attempt(jobs[0], hook.OutcomeSucceeded))); !held[0] {
		t.Error("the holder could not finish")
	}
}

func finishTwice(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	for _, state := range []hook.State{hook.StateSucceeded, hook.StatePending} {
		e := w.event(true, target)
		w.accept(t, e)
		j := w.born(e)
		f := succeeded(j, w.attempt(j, hook.OutcomeFailed))
		f.State, f.Wait = state, time.Hour
		if state == hook.StatePending {
			f.Trigger = hook.TriggerRetry
		}
		for range 2 {
			if held := w.finish(t, w.node, f); !held[0] {
				t.Errorf("%s: not held", state)
			}
		}
		if _, attempts := w.delivery(t, j.Delivery.ID); len(attempts) != 1 {
			t.Errorf("%s: %d attempts", state, len(attempts))
		}
	}
}

func finishLate(t *testing.T, w *pipelineWorld) {
	target := w.ids.New()
	w.accept(t, w.event(false, target))
	first := w.claim(t, w.node, 1, target)[0]
	retry := &hook.Finish{Job: first, Attempt: w.attempt(first, hook.OutcomeFailed), State: hook.StatePending, Attempts: 1, Trigger: hook.TriggerRetry}
	w.finish(t, w.node, retry)
	second := w.claim(t, w.node, 1, target)[0] // by the same node, before it learns of the commit
	if held := w.finish(t, w.node, retry); !held[0] {
		t.Error("the first finish did not know that it had been stored")
	}
	if held := w.finish(t, w.node, succeeded(second, w.attempt(second, hook.OutcomeSucceeded))); !held[0] {
		t.Error("the later claim was taken away")
	}
	if d, attempts := w.delivery(t, first.Delivery.ID); d.State != hook.StateSucceeded || d.Attempts != 2 || len(attempts) != 2 {
		t.Errorf("delivery is %s after %d attempts, %d recorded", d.State, d.Attempts, len(attempts))
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
	if n, err := w.RescueDead(w.ctx, other, time.Hour); err != nil || n != 0 {
		t.Fatalf("rescued %d from the living, %v", n, err)
	}
	time.Sleep(2 * time.Millisecond) // the age of the heartbeat must show
	if n, err := w.RescueDead(w.ctx, other, time.Millisecond); err != nil || n != 2 {
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
	if jobs, err := w.Claim(w.ctx, w.node, []hook.LaneWant{{Target: big, N: 100, Floor: floor.Add(time.Hour)}}); err != nil || len(jobs) != 0 {
		t.Errorf("claimed %d below the floor, %v", len(jobs), err)
	}
	if jobs, err := w.Claim(w.ctx, w.node, []hook.LaneWant{{Target: big, N: 100}}); err != nil || len(jobs) != 17 {
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
	if err := w.LeaveHome(w.ctx, w.node, target); err != nil {
		t.Fatal(err)
	}
	if home, err := w.TakeHome(w.ctx, other, target); err != nil || home != other {
		t.Errorf("home = %d, %v; want %d", home, err, other)
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
