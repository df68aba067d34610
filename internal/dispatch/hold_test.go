package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

// hold is what another node does to the store.
func (s *fakeStore) setHold(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = hook.Hold{On: on, Since: time.Now()}
}

func TestHoldOfAnotherNodeIsObeyedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			time.Sleep(100 * time.Millisecond)
			return success(ctx, target, j, n)
		}, nil)
		// More than it sends in a second: some wait in its memory, some in the store.
		for range 400 {
			b.publish()
		}
		time.Sleep(50 * time.Millisecond)
		b.store.setHold(true)
		held := time.Now()
		time.Sleep(time.Minute)
		early := b.sends()
		for _, s := range early {
			if s.at.Sub(held) > time.Second {
				t.Fatalf("one was sent %s after the hold", s.at.Sub(held))
			}
		}
		if !b.d.Held() || len(early) == 0 || len(early) == 400 {
			t.Fatalf("held %v, %d of 400 were sent before", b.d.Held(), len(early))
		}
		if _, inHand, _ := lookup(b.d, b.target.ID); inHand != 0 {
			t.Errorf("%d are still in hand", inHand)
		}
		if _, ok := b.publish(); ok {
			t.Error("a delivery was handed over while on hold")
		}
		_, err := b.d.Test(t.Context(), b.target, hook.NewEvent{Type: "thing"}, hook.Source{})
		if hook.KindOf(err) != hook.KindInvalidState {
			t.Errorf("a test while on hold: %v", err)
		}
		b.store.setHold(false)
		time.Sleep(2 * time.Minute)
		if n := len(b.sends()); n != 401 {
			t.Errorf("%d were sent after the release, want 401", n)
		}
	})
}

// Who changed the hold obeys before it answers, whatever an earlier look brings in later.
func TestAnEarlierLookDoesNotUndoTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, success, nil)
		early := time.Now()
		time.Sleep(time.Millisecond)
		b.store.setHold(true)
		if err := b.d.LookAtHold(t.Context()); err != nil || !b.d.Held() {
			t.Fatalf("held %v, %v", b.d.Held(), err)
		}
		b.d.obey(t.Context(), hook.Hold{}, early)
		if !b.d.Held() {
			t.Error("a look that began before let it go")
		}
	})
}

// A node that cannot ask starts nothing: it may be on hold.
func TestWithoutAnAnswerNothingStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, success, nil)
		b.store.mu.Lock()
		b.store.fail = func(call string) error {
			if call == "hold" {
				return errors.New("no answer")
			}
			return nil
		}
		b.store.mu.Unlock()
		time.Sleep(2 * time.Second)
		id, _ := b.publish()
		time.Sleep(10 * time.Second)
		if n := len(b.sends()); n != 0 {
			t.Errorf("%d were sent without knowing", n)
		}
		_, err := b.d.Test(t.Context(), b.target, hook.NewEvent{Type: "thing"}, hook.Source{})
		if hook.KindOf(err) != hook.KindUnavailable {
			t.Errorf("a test without knowing: %v", err)
		}
		b.store.mu.Lock()
		b.store.fail = nil
		b.store.mu.Unlock()
		time.Sleep(5 * time.Second)
		if state, _ := b.store.state(id); state != hook.StateSucceeded {
			t.Errorf("afterwards it is %s", state)
		}
	})
}

func TestANodeThatStartsObeysBeforeItSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		s.hold.On = true
		d := New(Config{DeadAfter: time.Second}, s, views{}, nil, nil, noMetrics{}, hook.NewIDs(), nil, discard)
		if err := d.Start(t.Context()); err != nil || !d.Held() {
			t.Errorf("held %v, %v", d.Held(), err)
		}
		s.fail = func(string) error { return errors.New("no answer") }
		if err := d.Start(t.Context()); err == nil {
			t.Error("a node starts without knowing")
		}
	})
}
