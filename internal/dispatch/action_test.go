package dispatch

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

func done(a hook.Attempt) hook.Attempt {
	a.Outcome = hook.OutcomeSucceeded
	return a
}

// What an action was about to do with a record that has changed meanwhile is not done:
// the action runs anew, and only the run that counts is recorded.
func TestStaleEffectsRunTheActionAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{Kind: hook.TargetAction, MaxAttempts: 3, Retry: schedule},
			func(context.Context, *hook.Target, *hook.Job, int) hook.Attempt {
				return done(hook.Attempt{Effects: &hook.Effects{}})
			}, nil)
		b.store.stale = 3
		id, _ := b.publish()
		synctest.Wait()
		if n := len(b.sends()); n != 4 {
			t.Errorf("the action ran %d times, want three times in vain and once more", n)
		}
		if got := b.store.outcomes(id); !slices.Equal(got, []hook.Outcome{hook.OutcomeSucceeded}) {
			t.Errorf("recorded: %v", got)
		}
		if held, inHand, bytes := lookup(b.d, b.target.ID); held+inHand != 0 || bytes != 0 {
			t.Errorf("left in hand: %d, %d, %d bytes", held, inHand, bytes)
		}
	})
}

// The members of a set run one after the other, each with attempts of its own.
func TestSetAdvancesMemberByMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var steps []int
		b := start(t, &hook.Target{Kind: hook.TargetAction, MaxAttempts: 2, Retry: schedule},
			func(_ context.Context, _ *hook.Target, j *hook.Job, _ int) hook.Attempt {
				mu.Lock()
				defer mu.Unlock()
				steps = append(steps, j.Delivery.Step)
				if j.Delivery.Step == 1 && len(steps) == 2 { // the second member fails once
					return hook.Attempt{Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassStatus}
				}
				return done(hook.Attempt{More: j.Delivery.Step < 2})
			}, nil)
		var told []hook.State
		j := b.reserved(t)
		id := j.Delivery.ID
		b.d.Watch(id, func(f *hook.Finish) { // as publishing does: before it may begin
			mu.Lock()
			defer mu.Unlock()
			told = append(told, f.State)
		})
		b.d.HandOver(j)
		time.Sleep(2 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(steps, []int{0, 1, 1, 2}) {
			t.Errorf("members run: %v", steps)
		}
		if state, _ := b.store.state(id); state != hook.StateSucceeded {
			t.Errorf("the delivery is %s", state)
		}
		if !slices.Equal(told, []hook.State{hook.StatePending, hook.StatePending, hook.StatePending, hook.StateSucceeded}) {
			t.Errorf("who watched was told of %v", told)
		}
	})
}

// An action's condition that says no ends the delivery without an attempt.
func TestConditionEndsADeliveryWithoutAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{Kind: hook.TargetAction, MaxAttempts: 3, Retry: schedule},
			func(context.Context, *hook.Target, *hook.Job, int) hook.Attempt {
				return hook.Attempt{Skip: hook.ReasonConditionFalse}
			}, nil)
		id, _ := b.publish()
		synctest.Wait()
		if state, reason := b.store.state(id); state != hook.StateSkipped || reason != hook.ReasonConditionFalse {
			t.Errorf("the delivery is %s (%s)", state, reason)
		}
		if n := len(b.store.recorded()); n != 0 {
			t.Errorf("%d attempts recorded", n)
		}
	})
}

// Items that do not fit an action's templates are no reason to stop the others.
func TestItemsThatDoNotFitLeaveTheBreakerClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{Kind: hook.TargetAction, MaxAttempts: 3, Retry: schedule},
			func(context.Context, *hook.Target, *hook.Job, int) hook.Attempt {
				return hook.Attempt{Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassTemplate, Permanent: true}
			}, nil)
		for range 30 {
			b.publish()
		}
		synctest.Wait()
		if n := len(b.sends()); n != 30 {
			t.Errorf("%d of 30 were run", n)
		}
		if len(b.owner.suspended) > 0 {
			t.Error("an action cannot be suspended")
		}
	})
}

// Runs that change one record are in vain but for one: the lane runs fewer at a time, and
// more again once they stay out of each other's way.
func TestLanesThatContend(t *testing.T) {
	t.Parallel()
	target := &hook.Target{Kind: hook.TargetAction}
	l := &lane{slots: 4}
	l.contend(target, false)
	if l.contended || l.slots != 4 {
		t.Fatalf("a lane without contention: %+v", l)
	}
	for _, want := range []int{2, 1, 1} {
		if l.contend(target, true); !l.contended || l.slots != want {
			t.Errorf("%d slots, contended %v; want %d", l.slots, l.contended, want)
		}
	}
	done := done(hook.Attempt{Effects: &hook.Effects{}})
	if l.learn(target, &done); l.slots != 1 {
		t.Errorf("%d slots after a run that is not stored yet", l.slots)
	}
	for l.slots < maxSlots(target) {
		before := l.slots
		if l.contend(target, false); !l.contended || l.slots != before+1 {
			t.Fatalf("%d slots after %d, contended %v", l.slots, before, l.contended)
		}
	}
	if l.contend(target, false); l.contended {
		t.Error("it contends for good")
	}
}
