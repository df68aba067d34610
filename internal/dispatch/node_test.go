package dispatch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

// slow makes calls of the store hang for a while, from now on, without its lock.
func (s *fakeStore) slow(call string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = func(c string) error {
		if wait := time.Until(until); c == call && wait > 0 {
			s.mu.Unlock()
			time.Sleep(wait)
			s.mu.Lock()
		}
		return nil
	}
}

// An asynchronous standby takes over and has not heard of the last outcomes: a delivery that
// had ended, in our memory and in the store, and that the audit has passed since, is running
// in our hands again.
func TestOutcomeLostByAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, success, nil)
		time.Sleep(time.Minute)
		id, ok := b.publish()
		if !ok {
			t.Fatal("no room")
		}
		time.Sleep(2 * auditEvery)
		b.store.mu.Lock()
		b.store.rows[id].delivery.State, b.store.rows[id].node = hook.StateRunning, b.d.Node()
		b.store.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if state, _ := b.store.state(id); state != hook.StateSucceeded {
			t.Errorf("the delivery is %s", state)
		}
	})
}

// The far floor is never more than two ages behind, or the audits would read more and more.
func TestFloorsRise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, success, nil)
		time.Sleep(5 * time.Minute)
		b.d.mu.Lock()
		near, far := hook.TimeOf(b.d.floors.near), hook.TimeOf(b.d.floors.far)
		b.d.mu.Unlock()
		if age := time.Since(near); age > 2*auditEvery {
			t.Errorf("the near floor is %s old", age)
		}
		if age := time.Since(far); age < floorAge || age > 2*floorAge+2*auditEvery {
			t.Errorf("the far floor is %s old", age)
		}
	})
}

// Burying others and auditing may take long, or hang: the node says that it lives all the same.
func TestHeartbeatsWaitForNothing(t *testing.T) {
	for _, call := range []string{"rescue", "claims"} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, success, nil)
			time.Sleep(15 * time.Second)
			b.store.slow(call, time.Now().Add(time.Minute))
			time.Sleep(15 * time.Second)
			b.d.mu.Lock()
			age := time.Since(b.d.beats.asked)
			b.d.mu.Unlock()
			if age > b.d.cfg.Heartbeat {
				t.Errorf("while %s hangs the last heartbeat is %s old", call, age)
			}
			time.Sleep(time.Minute) // let it end
		})
	}
}

// A limited target has one sender. A heartbeat whose answer took long is as old as its
// question: others may have declared us dead since.
func TestLimitedTargetWaitsForAFreshHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 1, Limited: true}, success, nil)
		b.store.waiting(b.ids.New(), b.target, 0)
		time.Sleep(31 * time.Second)
		node := b.d.Node()
		// The store answers at once, and the answers are on their way for nine seconds and more.
		arrive := time.Now().Add(10 * time.Second)
		b.store.mu.Lock()
		b.store.answer = func() {
			wait := time.Until(arrive)
			arrive = arrive.Add(10 * time.Second)
			b.store.mu.Unlock()
			time.Sleep(wait)
			b.store.mu.Lock()
		}
		b.store.mu.Unlock()
		time.Sleep(10*time.Second + time.Millisecond)
		b.store.mu.Lock()
		delete(b.store.nodes, node)
		b.store.mu.Unlock()
		if b.d.surelyAlive(node) {
			t.Error("it is sure to be alive by a heartbeat of nine seconds ago")
		}
		synctest.Wait()
	})
}

// A home that the store lost, or gave to another node, is not ours for long.
func TestHomeIsAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 1, Limited: true}, success, nil)
		first := b.ids.New()
		b.store.waiting(first, b.target, 0)
		time.Sleep(3 * time.Second)
		if state, _ := b.store.state(first); state != hook.StateSucceeded {
			t.Fatalf("at home the delivery is %s", state)
		}
		b.store.mu.Lock()
		b.store.homes[b.target.ID] = 99
		b.store.mu.Unlock()
		time.Sleep(2 * auditEvery)
		second := b.ids.New()
		b.store.waiting(second, b.target, 0)
		time.Sleep(5 * time.Second)
		if n := len(b.sends()); n != 1 {
			t.Errorf("%d were sent although another node is the target's home", n-1)
		}
		b.store.mu.Lock()
		delete(b.store.homes, b.target.ID)
		b.store.mu.Unlock()
		time.Sleep(5 * time.Second)
		if !slices.ContainsFunc(b.sends(), func(s sent) bool { return s.delivery == second }) {
			t.Error("it did not move in again")
		}
	})
}

// A home is not taken again while the store is still being told that we leave it.
func TestHomeIsNotTakenWhileItIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 1, Limited: true}, success, nil)
		b.store.waiting(b.ids.New(), b.target, 0)
		time.Sleep(3 * time.Second)
		b.store.slow("leave home", time.Now().Add(laneIdle+5*time.Second))
		time.Sleep(laneIdle)
		b.store.waiting(b.ids.New(), b.target, 0) // while it is being left
		time.Sleep(4 * time.Second)
		if n := len(b.sends()); n != 1 {
			t.Errorf("%d were sent by a home that is being left", n-1)
		}
		time.Sleep(5 * time.Second)
		b.store.mu.Lock()
		home := b.store.homes[b.target.ID]
		b.store.mu.Unlock()
		if n := len(b.sends()); n != 2 || home != b.d.Node() {
			t.Errorf("%d were sent, and the home is of node %d", n-1, home)
		}
	})
}
