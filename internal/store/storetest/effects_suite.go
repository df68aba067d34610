package storetest

import (
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// Effects runs the suite of what actions do in the store.
func Effects(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, *effectsWorld){
		"what an action does is stored with its attempt":       effectsDone,
		"what was taken from the node has no effects":          effectsLost,
		"effects made of another configuration are not stored": effectsOfOldConfiguration,
		"effects made of another record are not stored":        effectsOfOldRecord,
		"of two that change a record in one batch one is done": effectsInOneBatch,
		"changes of one action are all made or none":           effectsWhole,
		"a member of a set has effects and the next follows":   effectsOfMembers,
		"effects without a delivery are all stored or none":    effectsApplied,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &effectsWorld{pipelineWorld: newPipelineWorld(t, open(t))})
		})
	}
}

type effectsWorld struct {
	*pipelineWorld
}

// running stores an event with a delivery that runs on the node.
func (w *effectsWorld) running(t *testing.T) *hook.Job {
	t.Helper()
	e := w.event(true, w.ids.New())
	w.accept(t, e)
	return w.born(e)
}

// effects are an event for some targets, and changes of records.
func (w *effectsWorld) effects(targets []hook.ID, changes ...hook.RecordChange) *hook.Effects {
	for i := range changes {
		changes[i].Workspace, changes[i].Collection = w.ws, "stock"
		if r, err := w.Record(w.ctx, w.ws, "stock", changes[i].Key); err == nil && r != nil && changes[i].Expect > 0 {
			changes[i].Made = r.CreatedAt
		}
	}
	return &hook.Effects{Versions: map[hook.ID]int64{w.ws: w.ver}, Events: []*hook.PlannedEvent{w.event(false, targets...)}, Records: changes}
}

func change(key string, expect int64, document string) hook.RecordChange {
	c := hook.RecordChange{Key: key, Expect: expect}
	if document != "" {
		c.Document = []byte(document)
	}
	return c
}

// acting is the successful end of a run with effects.
func (w *effectsWorld) acting(j *hook.Job, e *hook.Effects) *hook.Finish {
	f := succeeded(j, w.attempt(j, hook.OutcomeSucceeded))
	f.Effects = e
	return f
}

// fates finishes a batch, and then again, as after an unknown outcome: nothing is different.
func (w *effectsWorld) fates(t *testing.T, want []hook.Effect, batch ...*hook.Finish) {
	t.Helper()
	for _, run := range []string{"first", "second"} {
		got, err := w.FinishEffects(w.ctx, w.node, batch)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s run: fates %v, %v; want %v", run, got, err, want)
		}
	}
}

// record fails the test unless a record has this document and version; 0: there is none.
func (w *effectsWorld) record(t *testing.T, key, document string, version int64) {
	t.Helper()
	r, err := w.Record(w.ctx, w.ws, "stock", key)
	if err != nil || (r == nil) != (version == 0) || r != nil && (r.Version != version || string(r.Document) != document) {
		t.Errorf("record %s is %+v, %v; want %s, version %d", key, r, err, document, version)
	}
}

// is fails the test unless a delivery is in a state, with these outcomes on record.
func (w *effectsWorld) is(t *testing.T, j *hook.Job, state hook.State, outcomes ...hook.Outcome) {
	t.Helper()
	d, attempts := w.delivery(t, j.Delivery.ID)
	var got []hook.Outcome
	for _, a := range attempts {
		got = append(got, a.Outcome)
	}
	if d.State != state || !slices.Equal(got, outcomes) {
		t.Errorf("the delivery is %s with attempts %v; want %s, %v", d.State, got, state, outcomes)
	}
}

func effectsDone(t *testing.T, w *effectsWorld) {
	wait, skip := w.ids.New(), w.ids.New()
	j := w.running(t)
	e := w.effects([]hook.ID{wait, skip}, change("a", 0, `{"n":1.10}`))
	told := e.Events[0]
	told.Deliveries[1].Skipped = hook.ReasonConditionError
	w.fates(t, []hook.Effect{hook.EffectDone}, w.acting(j, e))
	w.is(t, j, hook.StateSucceeded, hook.OutcomeSucceeded)
	w.record(t, "a", `{"n":1.10}`, 1)
	jobs := w.claim(t, w.node, 10, wait, skip)
	if len(jobs) != 1 || jobs[0].Delivery.ID != told.Deliveries[0].ID || string(jobs[0].Event.Entity) != string(told.Event.Entity) ||
		jobs[0].Event.Source != told.Event.Source || jobs[0].Event.Hops != told.Event.Hops || jobs[0].Event.Matched != 2 {
		t.Errorf("claimed %+v", jobs)
	}
	d, attempts, err := w.Delivery(w.ctx, w.ws, told.Deliveries[1].ID)
	if err != nil || d.State != hook.StateSkipped || d.Reason != hook.ReasonConditionError || len(attempts) != 0 || d.FinishedAt.IsZero() {
		t.Errorf("what was skipped is %+v, %v", d, err)
	}
	// A claimed delivery changes what the first one made, and a third takes it away.
	e = w.effects(nil, change("a", 1, `{"n":2}`))
	w.fates(t, []hook.Effect{hook.EffectDone}, w.acting(jobs[0], e))
	w.is(t, jobs[0], hook.StateSucceeded, hook.OutcomeSucceeded)
	w.record(t, "a", `{"n":2}`, 2)
	w.fates(t, []hook.Effect{hook.EffectDone}, w.acting(w.running(t), w.effects(nil, change("a", 2, ""))))
	w.record(t, "a", "", 0)
}

func effectsLost(t *testing.T, w *effectsWorld) {
	target := w.ids.New()
	j := w.running(t)
	if err := w.Release(w.ctx, w.node, []hook.ID{j.Delivery.ID}); err != nil {
		t.Fatal(err)
	}
	w.fates(t, []hook.Effect{hook.EffectLost, hook.EffectLost},
		w.acting(j, w.effects([]hook.ID{target}, change("a", 0, `{}`))), w.acting(j, w.effects([]hook.ID{target})))
	w.is(t, j, hook.StatePending, hook.OutcomeSuperseded, hook.OutcomeSuperseded)
	w.record(t, "a", "", 0)
	if jobs := w.claim(t, w.node, 10, target); len(jobs) != 0 {
		t.Errorf("%d deliveries of events that were not published", len(jobs))
	}
	// Who holds it now does it.
	other := w.register(t, "two")
	jobs := w.claim(t, other, 1, j.Delivery.Target)
	got, err := w.FinishEffects(w.ctx, other, []*hook.Finish{w.acting(jobs[0], w.effects([]hook.ID{target}, change("a", 0, `{}`)))})
	if err != nil || got[0] != hook.EffectDone {
		t.Fatalf("fates %v, %v", got, err)
	}
	w.record(t, "a", `{}`, 1)
	if jobs := w.claim(t, w.node, 10, target); len(jobs) != 1 {
		t.Errorf("%d deliveries of one event", len(jobs))
	}
}

func effectsOfOldConfiguration(t *testing.T, w *effectsWorld) {
	target := w.ids.New()
	with, without := w.running(t), w.running(t)
	old := func(e *hook.Effects) *hook.Effects {
		e.Versions = map[hook.ID]int64{w.ws: w.ver - 1}
		return e
	}
	batch := []*hook.Finish{
		w.acting(with, old(w.effects([]hook.ID{target}, change("a", 0, `{}`)))), w.acting(without, old(w.effects([]hook.ID{target}))),
		w.acting(w.running(t), w.effects([]hook.ID{target})), // is not held up by the others
	}
	w.fates(t, []hook.Effect{hook.EffectStale, hook.EffectStale, hook.EffectDone}, batch...)
	w.is(t, with, hook.StateRunning)
	w.is(t, without, hook.StateRunning)
	w.record(t, "a", "", 0)
	if jobs := w.claim(t, w.node, 10, target); len(jobs) != 1 {
		t.Errorf("%d deliveries of one event", len(jobs))
	}
	// What was stored is done, also if the configuration changes before that is known.
	for _, f := range batch[:2] {
		f.Effects.Versions = map[hook.ID]int64{w.ws: w.ver}
	}
	w.fates(t, []hook.Effect{hook.EffectDone, hook.EffectDone}, batch[:2]...)
	for _, f := range batch[:2] {
		old(f.Effects)
	}
	w.fates(t, []hook.Effect{hook.EffectDone, hook.EffectDone}, batch[:2]...)
	w.record(t, "a", `{}`, 1)
	w.is(t, with, hook.StateSucceeded, hook.OutcomeSucceeded)
	w.is(t, without, hook.StateSucceeded, hook.OutcomeSucceeded)
	if jobs := w.claim(t, w.node, 10, target); len(jobs) != 2 {
		t.Errorf("%d deliveries of two events", len(jobs))
	}
}

func effectsOfOldRecord(t *testing.T, w *effectsWorld) {
	target := w.ids.New()
	w.fates(t, []hook.Effect{hook.EffectDone}, w.acting(w.running(t), w.effects(nil, change("a", 0, `{"n":1}`))))
	j := w.running(t)
	for _, c := range []hook.RecordChange{change("a", 0, `{}`), change("a", 2, `{}`), change("a", 2, ""), change("a", 0, ""), change("b", 1, `{}`), change("b", 1, "")} {
		w.fates(t, []hook.Effect{hook.EffectStale}, w.acting(j, w.effects([]hook.ID{target}, c)))
	}
	w.is(t, j, hook.StateRunning)
	w.record(t, "a", `{"n":1}`, 1)
	w.record(t, "b", "", 0)
	if jobs := w.claim(t, w.node, 10, target); len(jobs) != 0 {
		t.Errorf("%d deliveries of events that were not published", len(jobs))
	}
	w.fates(t, []hook.Effect{hook.EffectDone}, w.acting(j, w.effects([]hook.ID{target}, change("a", 1, `{"n":2}`))))
	w.record(t, "a", `{"n":2}`, 2)
	w.is(t, j, hook.StateSucceeded, hook.OutcomeSucceeded)
}

func effectsInOneBatch(t *testing.T, w *effectsWorld) {
	target := w.ids.New()
	to := []hook.ID{target}
	first, second, other, publishes, lost := w.running(t), w.running(t), w.running(t), w.running(t), w.running(t)
	if err := w.Release(w.ctx, w.node, []hook.ID{lost.Delivery.ID}); err != nil {
		t.Fatal(err)
	}
	w.fates(t, []hook.Effect{hook.EffectDone, hook.EffectStale, hook.EffectDone, hook.EffectDone, hook.EffectLost},
		w.acting(first, w.effects(to, change("b", 0, `{"n":1}`))), w.acting(second, w.effects(to, change("b", 0, `{"n":2}`))),
		w.acting(other, w.effects(to, change("a", 0, `{"n":3}`))), w.acting(publishes, w.effects(to)),
		w.acting(lost, w.effects(to, change("b", 1, `{"n":4}`))))
	w.record(t, "b", `{"n":1}`, 1)
	w.record(t, "a", `{"n":3}`, 1)
	w.is(t, second, hook.StateRunning)
	w.is(t, lost, hook.StatePending, hook.OutcomeSuperseded)
	if jobs := w.claim(t, w.node, 10, target); len(jobs) != 3 {
		t.Errorf("%d deliveries of three events", len(jobs))
	}
	w.fates(t, []hook.Effect{hook.EffectDone}, w.acting(second, w.effects(to, change("b", 1, `{"n":2}`))))
	w.record(t, "b", `{"n":2}`, 2)
}

func effectsWhole(t *testing.T, w *effectsWorld) {
	j := w.running(t)
	w.fates(t, []hook.Effect{hook.EffectStale}, w.acting(j, w.effects(nil, change("a", 0, `{}`), change("b", 1, `{}`))))
	w.record(t, "a", "", 0)
	w.fates(t, []hook.Effect{hook.EffectDone}, w.acting(j, w.effects(nil, change("a", 0, `{}`), change("b", 0, `{}`))))
	w.record(t, "a", `{}`, 1)
	w.record(t, "b", `{}`, 1)
}

func effectsOfMembers(t *testing.T, w *effectsWorld) {
	j := w.running(t)
	f := w.acting(j, w.effects(nil, change("a", 0, `{}`)))
	f.State, f.Advance, f.Trigger = hook.StatePending, true, hook.TriggerFirst
	w.fates(t, []hook.Effect{hook.EffectDone}, f)
	w.record(t, "a", `{}`, 1)
	jobs := w.claim(t, w.node, 5, j.Delivery.Target)
	if len(jobs) != 1 || jobs[0].Delivery.Step != 1 || jobs[0].Delivery.Attempts != 1 || jobs[0].Delivery.Base != 1 {
		t.Fatalf("claimed %+v", jobs)
	}
	// The first member's end, heard of late, leaves the second alone.
	w.fates(t, []hook.Effect{hook.EffectDone}, f)
	w.fates(t, []hook.Effect{hook.EffectDone}, w.acting(jobs[0], w.effects(nil, change("a", 1, `{"n":2}`))))
	w.record(t, "a", `{"n":2}`, 2)
	w.is(t, j, hook.StateSucceeded, hook.OutcomeSucceeded, hook.OutcomeSucceeded)
}

func effectsApplied(t *testing.T, w *effectsWorld) {
	target := w.ids.New()
	to := []hook.ID{target}
	apply := func(e *hook.Effects, want hook.Effect) {
		t.Helper()
		if got, err := w.ApplyEffects(w.ctx, e); err != nil || got != want {
			t.Fatalf("fate %v, %v; want %v", got, err, want)
		}
	}
	byHand := w.effects(to, change("a", 0, `{}`))
	byHand.Audit = &hook.AuditEntry{Workspace: w.ws, Action: hook.AuditCreate, Kind: hook.AuditRecord, Code: "stock/a"}
	apply(byHand, hook.EffectDone)
	apply(byHand, hook.EffectStale)
	if got := story(t, w.AuditLog, hook.AuditFilter{Scope: hook.AuditOfWorkspace, Workspace: w.ws, Resource: "stock/a"}); len(got) != 1 {
		t.Errorf("on record are %q; want what was done, and only that", got)
	}
	apply(w.effects(to, change("a", 0, `{"n":2}`)), hook.EffectStale)
	apply(w.effects(to, change("b", 0, `{}`), change("a", 2, `{}`)), hook.EffectStale)
	old := w.effects(to, change("a", 1, `{"n":2}`))
	old.Versions[w.ws]--
	apply(old, hook.EffectStale)
	w.record(t, "a", `{}`, 1)
	w.record(t, "b", "", 0)
	apply(w.effects(to, change("a", 1, `{"n":3}`)), hook.EffectDone)
	w.record(t, "a", `{"n":3}`, 2)
	apply(w.effects(to, change("a", 2, "")), hook.EffectDone)
	w.record(t, "a", "", 0)
	if jobs := w.claim(t, w.node, 10, target); len(jobs) != 3 {
		t.Errorf("%d deliveries of three events", len(jobs))
	} else if d := jobs[0].DueAt; time.Since(d).Abs() > time.Minute {
		t.Errorf("due at %s", d)
	}
}
