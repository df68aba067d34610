package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

var schedule = hook.Retry{Schedule: []time.Duration{time.Minute, time.Hour}}

// A panic in rendering or sending is that delivery's failed attempt; the node, and the
// deliveries beside it, go on.
func TestPanicFailsOneDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var poisoned atomic.Pointer[hook.ID]
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			if id := poisoned.Load(); id != nil && j.Delivery.ID == *id {
				panic("assignment to entry in nil map") // what a fault in rendering may look like
			}
			return success(ctx, target, j, n)
		}, nil)
		poison := b.ids.New()
		poisoned.Store(&poison)
		b.store.waiting(poison, b.target, 0)
		b.d.Waiting(b.target)
		synctest.Wait()
		good, _ := b.publish()
		time.Sleep(2 * time.Second)
		if state, reason := b.store.state(poison); state != hook.StateFailed || reason != hook.ReasonPermanentError {
			t.Errorf("the delivery that panics is %s (%s)", state, reason)
		}
		if got := b.store.outcomes(poison); !slices.Equal(got, []hook.Outcome{hook.OutcomeFailed}) {
			t.Errorf("its attempts: %v", got)
		}
		if a := b.store.recorded(); a[0].ErrorClass != hook.ClassInternal {
			t.Errorf("its attempt is of class %q", a[0].ErrorClass)
		}
		if state, _ := b.store.state(good); state != hook.StateSucceeded {
			t.Errorf("the delivery beside it is %s", state)
		}
	})
}

// What was started five times although it was suspected, and rescued each time, is taken to
// be what kills the nodes. What was only in their memory is not, however often.
func TestStartsThatCrashEndADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var noted []int
		var b *bench
		b = start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, func(_ context.Context, _ *hook.Target, j *hook.Job, _ int) hook.Attempt {
			b.store.mu.Lock()
			defer b.store.mu.Unlock()
			noted = append(noted, b.store.rows[j.Delivery.ID].claims)
			return done(hook.Attempt{})
		}, nil)
		for _, claims := range []int{1, 50, 4*hook.StartNoted + 50} {
			id := b.ids.New()
			b.store.waiting(id, b.target, claims)
			time.Sleep(2 * time.Second)
			if state, _ := b.store.state(id); state != hook.StateSucceeded {
				t.Errorf("after claims %d: %s", claims, state)
			}
		}
		if want := []int{1, hook.StartNoted + 50, 5*hook.StartNoted + 50}; !slices.Equal(noted, want) {
			t.Errorf("noted at the start: %v, want %v", noted, want)
		}
		id := b.ids.New()
		b.store.waiting(id, b.target, 5*hook.StartNoted+5)
		time.Sleep(2 * time.Second)
		if state, reason := b.store.state(id); state != hook.StateFailed || reason != hook.ReasonWorkerCrashed {
			t.Errorf("after five starts: %s (%s)", state, reason)
		}
		if n := len(b.sends()); n != 3 {
			t.Errorf("%d were sent, want 3", n)
		}
	})
}

// What may have crashed its node starts alone in its lane, so that a crash tells of it alone.
func TestSuspectsStartAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		open, beside := 0, 0
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, func(_ context.Context, _ *hook.Target, j *hook.Job, _ int) hook.Attempt {
			suspect := j.Claims == 0 && j.Claimed // noted
			mu.Lock()
			if open++; suspect && open > 1 {
				beside++
			}
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			open--
			mu.Unlock()
			return done(hook.Attempt{})
		}, nil)
		for i := range 20 {
			b.store.waiting(b.ids.New(), b.target, 1+i%2*suspectAfter)
		}
		time.Sleep(time.Minute)
		if n := len(b.sends()); n != 20 || beside > 0 {
			t.Errorf("%d of 20 were sent, %d suspects beside others", n, beside)
		}
	})
}

// A node that was stopped, taken for dead, and goes on, may claim again what it is
// still sending. Both stays count, and nothing of either is left behind.
func TestClaimedAgainWhileTheLateAttemptRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 4}, func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			if calls.Add(1) == 1 {
				<-release
			}
			return success(ctx, target, j, n)
		}, nil)
		id, ok := b.publish()
		if !ok {
			t.Fatal("no room for the first delivery")
		}
		synctest.Wait()
		b.store.bury(b.d.Node())
		time.Sleep(5 * time.Second) // a heartbeat finds it out; the node registers and claims
		if n := calls.Load(); n != 2 {
			t.Fatalf("%d attempts, want the late one and the new one", n)
		}
		close(release)
		time.Sleep(time.Second)
		got := b.store.outcomes(id)
		slices.Sort(got)
		if want := []hook.Outcome{hook.OutcomeSucceeded, hook.OutcomeSuperseded}; !slices.Equal(got, want) {
			t.Errorf("attempts %v, want %v", got, want)
		}
		if held, inHand, bytes := lookup(b.d, b.target.ID); held != 0 || inHand != 0 || bytes != 0 {
			t.Errorf("left in hand: %d of the lane, %d of the node, %d bytes", held, inHand, bytes)
		}
	})
}

// A delivery of ours that we do not know is given back by the audit, however old it is
// compared with what we hold.
func TestAuditFindsWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, success, nil)
		// Stored as ours and then forgotten, as after a commit that looked like a failure.
		id, ok := b.d.Reserve(b.target, 512)
		if !ok {
			t.Fatal("no room")
		}
		time.Sleep(25 * time.Second) // audits go by while its outcome is open
		if _, err := b.store.Accept(t.Context(), &hook.AcceptBatch{Node: b.d.Node(), Events: []*hook.PlannedEvent{{
			Event:      hook.Event{Key: id, Workspace: b.target.Workspace, Type: "thing"},
			Deliveries: []hook.PlannedDelivery{{ID: id, Target: b.target.ID, Born: true}},
		}}}); err != nil {
			t.Fatal(err)
		}
		b.d.Cancel(b.target.ID, id, 512)
		for range 3 { // life goes on with younger ids
			time.Sleep(10 * time.Second)
			b.publish()
		}
		time.Sleep(10 * time.Second)
		if state, _ := b.store.state(id); state != hook.StateSucceeded {
			t.Errorf("the lost delivery is %s", state)
		}
	})
}

// While the database is away a node goes on with nothing new: what was sent waits in
// its slots for its outcome to be stored, and nobody is declared dead on return.
func TestOutageStopsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, success, nil)
		var ids []hook.ID
		for range 5 {
			id, _ := b.publish()
			ids = append(ids, id)
		}
		time.Sleep(30 * time.Second)
		away := &hook.Error{Kind: hook.KindUnavailable, Err: errors.New("connection refused")}
		b.store.mu.Lock()
		b.store.fail = func(string) error { return away }
		b.store.mu.Unlock()
		before := len(b.sends())
		reserved := 0
		for {
			id, ok := b.d.Reserve(b.target, 512)
			if !ok {
				break
			}
			reserved++
			b.d.Cancel(b.target.ID, id, 512)
			if reserved > 10 {
				break
			}
		}
		time.Sleep(time.Minute)
		b.store.mu.Lock()
		b.store.fail, b.store.rescues = nil, 0
		b.store.mu.Unlock()
		time.Sleep(9 * time.Second)
		b.store.mu.Lock()
		early := b.store.rescues
		b.store.mu.Unlock()
		if early > 0 {
			t.Errorf("%d times it looked for dead nodes within nine seconds of the return", early)
		}
		time.Sleep(10 * time.Second)
		b.store.mu.Lock()
		later := b.store.rescues
		b.store.mu.Unlock()
		if later == 0 {
			t.Error("it never looks for dead nodes again")
		}
		if n := len(b.sends()); n != before {
			t.Errorf("%d were sent during the outage", n-before)
		}
		for _, id := range ids {
			if got := b.store.outcomes(id); !slices.Equal(got, []hook.Outcome{hook.OutcomeSucceeded}) {
				t.Errorf("attempts %v", got)
			}
		}
	})
}

// A database that hangs, instead of refusing, makes the heartbeats of all nodes old at
// once; who is answered first must not bury the others, who had no chance to beat.
func TestHangingDatabaseBuriesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, success, nil)
		time.Sleep(31 * time.Second)
		var beaten, rescued []time.Time
		resume := time.Now().Add(9 * time.Second)
		b.store.mu.Lock()
		b.store.fail = func(call string) error {
			if wait := time.Until(resume); wait > 0 {
				b.store.mu.Unlock()
				time.Sleep(wait)
				b.store.mu.Lock()
			}
			switch call {
			case "beat":
				beaten = append(beaten, time.Now())
			case "rescue":
				rescued = append(rescued, time.Now())
			}
			return nil
		}
		b.store.mu.Unlock()
		time.Sleep(30 * time.Second)
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		if len(rescued) == 0 || len(beaten) == 0 {
			t.Fatal("it neither beats nor rescues any more")
		}
		// Two heartbeats of the others must have been possible before.
		if after := rescued[0].Sub(resume); after < 4*time.Second {
			t.Errorf("it looked for dead nodes %s after the database answered again", after)
		}
	})
}

// startFailing starts a dispatcher of a target that fails until it is said to be healthy.
func startFailing(t *testing.T) (*bench, *atomic.Bool) {
	t.Helper()
	var healthy atomic.Bool
	return start(t, &hook.Target{MaxAttempts: 100, Retry: hook.Retry{Schedule: []time.Duration{100 * time.Millisecond}}},
		func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			if healthy.Load() {
				return success(ctx, target, j, n)
			}
			return failure(ctx, target, j, n)
		}, nil), &healthy
}

// Who resumes a target wants to see it tried, and not when the breaker's next probe is due.
func TestResumedTargetIsProbedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, healthy := startFailing(t)
		become := func(state hook.TargetState) {
			changed := *b.target
			changed.State = state
			b.d.mu.Lock()
			b.view.Targets[b.target.ID] = &changed
			b.d.mu.Unlock()
			b.d.TargetsChanged(b.target.Workspace)
		}
		id, _ := b.publish()
		time.Sleep(100 * time.Second) // the breaker has opened, and the second probe failed
		n := len(b.sends())
		healthy.Store(true)
		become(hook.TargetPaused)
		time.Sleep(time.Second)
		if len(b.sends()) != n {
			t.Error("it was sent to while it was paused")
		}
		become(hook.TargetActive)
		time.Sleep(5 * time.Second) // the next probe would have come after another half a minute
		if state, _ := b.store.state(id); state != hook.StateSucceeded || len(b.sends()) != n+1 {
			t.Errorf("after the resume the delivery is %s, %d attempts", state, len(b.sends())-n)
		}
	})
}

// The breaker opens after ten failures in a row, keeps what waits in the store, and
// lets one through after 30 s, then after twice as long.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, healthy := startFailing(t)
		id, _ := b.publish()
		time.Sleep(20 * time.Second)
		all := b.sends()
		if len(all) != 10 {
			t.Fatalf("%d attempts before the breaker opened, want 10", len(all))
		}
		opened := all[9].at
		if _, ok := b.publish(); ok {
			t.Error("a new delivery was handed over to an open breaker")
		}
		time.Sleep(100 * time.Second)
		if all = b.sends(); len(all) != 12 {
			t.Fatalf("%d attempts within two minutes, want two probes after the ten", len(all))
		}
		for i, want := range []time.Duration{30 * time.Second, 90 * time.Second} {
			if got := all[10+i].at.Sub(opened); got < want || got > want+2*time.Second {
				t.Errorf("probe %d came %s after the breaker opened, want about %s", i+1, got, want)
			}
		}
		// A restart remembers it.
		b.stop()
		healthy.Store(true)
		again := New(b.d.cfg, b.store, b.d.catalog, b.d.sender, b.owner, noMetrics{}, b.ids, func() float64 { return 0.5 }, b.d.log)
		if err := again.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		if _, ok := again.Reserve(b.target, 512); ok {
			t.Error("a delivery was handed over before the state of the breaker was known")
		}
		go func() { ended <- again.Run(ctx) }()
		time.Sleep(60 * time.Second)
		if n := len(b.sends()); n != 12 {
			t.Errorf("%d attempts in the first minute after the restart", n-12)
		}
		time.Sleep(3 * time.Minute)
		if state, _ := b.store.state(id); state != hook.StateSucceeded {
			t.Errorf("with the receiver back the delivery is %s", state)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// slowMetrics has whoever counts an attempt wait before it goes on.
type slowMetrics struct{ noMetrics }

func (slowMetrics) Attempt(hook.Outcome, time.Duration) { time.Sleep(time.Second) }

// One at a time goes through an open breaker, however soon its failure is stored.
func TestProbesWaitForTheVerdictOnTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := startFailing(t)
		b.d.mu.Lock()
		b.d.metrics = slowMetrics{}
		b.d.mu.Unlock()
		b.publish()
		time.Sleep(25 * time.Second)
		if n := len(b.sends()); n != 10 {
			t.Fatalf("%d attempts before the breaker opened, want 10", n)
		}
		for range 5 {
			b.publish()
		}
		time.Sleep(20 * time.Second)
		if n := len(b.sends()); n != 11 {
			t.Errorf("%d went through with the first probe, want one", n-10)
		}
	})
}

// At the end of the grace an attempt under way is cut off. It spends nothing, and its
// delivery waits for the next node; so does what was only queued.
func TestStopGivesBackWhatItCannotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 1}, func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			<-ctx.Done()
			return hook.Attempt{Outcome: hook.OutcomeAborted, ErrorClass: hook.ClassAborted}
		}, nil)
		var ids []hook.ID
		for range 3 {
			id, ok := b.publish()
			if !ok {
				t.Fatal("no room")
			}
			ids = append(ids, id)
		}
		synctest.Wait()
		began := time.Now()
		b.stop()
		if took := time.Since(began); took != b.d.cfg.Grace {
			t.Errorf("stopping took %s, want the grace of %s", took, b.d.cfg.Grace)
		}
		for i, id := range ids {
			if state, _ := b.store.state(id); state != hook.StatePending {
				t.Errorf("delivery %d is %s", i, state)
			}
			if n := b.store.rows[id].delivery.Attempts; n != 0 {
				t.Errorf("delivery %d has %d attempts counted", i, n)
			}
		}
		if got := b.store.outcomes(ids[0]); !slices.Equal(got, []hook.Outcome{hook.OutcomeAborted}) {
			t.Errorf("attempts of the one under way: %v", got)
		}
		if got := b.store.outcomes(ids[1]); len(got) != 0 {
			t.Errorf("attempts of one that was queued: %v", got)
		}
	})
}

// A lane's slots grow with success and fall to one on a timeout; targets that time out
// take no more than half of the node's slots, whatever waits for them.
func TestHangingTargetShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		b := start(t, &hook.Target{MaxAttempts: 1, Retry: schedule}, func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			if hang.Load() {
				time.Sleep(15 * time.Second)
				return hook.Attempt{Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassTimeout}
			}
			time.Sleep(10 * time.Millisecond)
			return success(ctx, target, j, n)
		}, nil)
		slots := func() (slots, sending int) {
			b.d.mu.Lock()
			defer b.d.mu.Unlock()
			l := b.d.lanes[b.target.ID]
			return l.slots, l.sending
		}
		for range 500 {
			b.publish()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		if n, _ := slots(); n != hook.DefaultInFlight {
			t.Errorf("%d slots after 500 successes, want %d", n, hook.DefaultInFlight)
		}
		hang.Store(true)
		for range 50 {
			b.publish()
		}
		time.Sleep(16 * time.Second)
		if n, sending := slots(); n != 1 || sending > 1 {
			t.Errorf("%d slots and %d under way after timeouts, want 1", n, sending)
		}
	})
}

// New deliveries do not overtake those that wait in the store: without room, or while
// older ones are due, they wait behind them.
func TestHandOverDoesNotOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 1}, func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			time.Sleep(50 * time.Millisecond)
			return success(ctx, target, j, n)
		}, nil)
		var ids []hook.ID
		waited := 0
		for range 200 {
			id, born := b.publish()
			if !born {
				waited++
			}
			ids = append(ids, id)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(20 * time.Second)
		if waited == 0 {
			t.Fatal("none had to wait: this shows nothing")
		}
		all := b.sends()
		if len(all) != len(ids) {
			t.Fatalf("%d sends for %d deliveries", len(all), len(ids))
		}
		// One at a time and first come first served, but for what the lane had in hand
		// when the first one had to wait.
		for i, s := range all {
			if at := slices.Index(ids, s.delivery); at > i+holdPerSlot || at < i-holdPerSlot {
				t.Fatalf("delivery %d was sent as number %d", at, i)
			}
		}
	})
}

// Each lane remembers the last due time it claimed, and looks below it again before
// long: what was rescued may have come back there.
func TestClaimsBeginAtTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 1}, func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			time.Sleep(100 * time.Millisecond)
			return success(ctx, target, j, n)
		}, nil)
		time.Sleep(time.Minute)
		floors := map[bool]int{}
		b.store.mu.Lock()
		b.store.fail = func(call string) error {
			if call == "page" && len(b.store.wants) > 0 {
				floors[b.store.wants[0].Floor.IsZero()]++
			}
			return nil
		}
		b.store.mu.Unlock()
		for range 300 {
			b.store.waiting(b.ids.New(), b.target, 0)
			time.Sleep(time.Microsecond)
		}
		b.d.Waiting(b.target)
		time.Sleep(15 * time.Second)
		below := b.ids.New()
		b.store.waiting(below, b.target, 1)
		b.store.mu.Lock()
		b.store.rows[below].due = time.Now().Add(-20 * time.Second)
		b.store.mu.Unlock()
		time.Sleep(12 * time.Second)
		if state, _ := b.store.state(below); state != hook.StateSucceeded {
			t.Errorf("what came back below the floor is %s", state)
		}
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		if floors[false] == 0 {
			t.Error("no claim had a floor")
		}
	})
}

// A rate limit is a bucket that starts with one token: a restart is no burst.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, RateLimit: &hook.RateLimit{Requests: 10, Per: time.Second}, Limited: true}, success, nil)
		for range 60 {
			b.publish()
		}
		time.Sleep(30 * time.Second)
		all := b.sends()
		if len(all) != 60 {
			t.Fatalf("%d sends, want 60", len(all))
		}
		for i := range all {
			for j := i; j < len(all); j++ {
				if took := all[j].at.Sub(all[i].at); float64(j-i+1) > 11+took.Seconds()*10 {
					t.Fatalf("%d sends within %s", j-i+1, took)
				}
			}
		}
		if second := all[20].at.Sub(all[0].at); second < time.Second {
			t.Errorf("the first 20 took %s", second)
		}
	})
}
