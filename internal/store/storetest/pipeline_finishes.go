package storetest

import (
	"bytes"
	"testing"
	"time"

	"sallyport/internal/hook"
)

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
