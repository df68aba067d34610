package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

// A limited lane asks for deliveries in the same round in which another target is seen
// for the first time: what it asked for must be asked for, or taken back.
func TestNewTargetDoesNotStrandAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 1, Limited: true}, success, nil)
		b.store.waiting(b.ids.New(), b.target, 0)
		time.Sleep(3 * time.Second)
		other := &hook.Target{ID: b.ids.New(), Workspace: b.target.Workspace, State: hook.TargetActive, MaxAttempts: 3, Retry: schedule}
		b.d.mu.Lock() // a round may be under way at this very moment
		b.view.Targets[other.ID] = other
		b.d.mu.Unlock()
		limited, newcomer := b.ids.New(), b.ids.New()
		b.store.waiting(limited, b.target, 0)
		b.store.waiting(newcomer, other, 0)
		time.Sleep(time.Minute)
		for name, id := range map[string]hook.ID{"the limited target's": limited, "the new target's": newcomer} {
			if state, _ := b.store.state(id); state != hook.StateSucceeded {
				t.Errorf("%s delivery is %s", name, state)
			}
		}
	})
}

// While a node that was declared dead cannot register again, it asks for nothing.
func TestNothingIsAskedForWithoutANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 3, Retry: schedule, MaxInFlight: 1, Limited: true}, success, nil)
		time.Sleep(time.Second)
		away := func(call string) error {
			if call == "register" {
				return errors.New("away")
			}
			return nil
		}
		b.store.mu.Lock()
		b.store.fail = away
		b.store.mu.Unlock()
		b.store.bury(b.d.Node())
		time.Sleep(3 * time.Second)
		id := b.ids.New()
		b.store.waiting(id, b.target, 0)
		time.Sleep(3 * time.Second)
		b.store.mu.Lock()
		b.store.fail = nil
		b.store.homes = map[hook.ID]hook.NodeID{}
		b.store.mu.Unlock()
		time.Sleep(time.Minute)
		if state, _ := b.store.state(id); state != hook.StateSucceeded {
			t.Errorf("the delivery is %s", state)
		}
	})
}

func TestClaimsAreBoundedByBytes(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	l := &lane{slots: 64}
	d := &Dispatcher{cfg: Config{HandOver: 8 * mib}, held: map[hook.ID]holding{}}
	if l.size() != unseen {
		t.Errorf("size of an unseen delivery = %d", l.size())
	}
	ids := hook.NewIDs()
	for range 100 {
		id := ids.New()
		d.hold(l, id, mib)
		d.drop(id, mib)
	}
	if size := l.size(); size != mib {
		t.Errorf("size after a hundred of 1 MiB = %d", size)
	}
	if d.bytes != 0 || l.held != 0 {
		t.Errorf("%d bytes in %d deliveries are held", d.bytes, l.held)
	}
}

// With all slots of the node taken, lanes in line get the free ones in turn, however
// much the lane that freed one still has to send.
func TestFreedSlotsGoToThoseInLine(t *testing.T) {
	t.Parallel()
	ids := hook.NewIDs()
	ws := ids.New()
	v := &hook.View{Targets: map[hook.ID]*hook.Target{}}
	d := New(Config{MaxSlots: 1, HandOver: 1 << 30, Stopping: errors.New("stopping")}, nil, views{v}, nil, nil, noMetrics{}, ids, func() float64 { return 0 }, nil)
	var lanes []*lane
	for range 3 {
		target := &hook.Target{ID: ids.New(), Workspace: ws, State: hook.TargetActive}
		v.Targets[target.ID] = target
		l := d.laneOf(ws, target.ID)
		l.slots = 64
		lanes = append(lanes, l)
	}
	d.sending = 1 // the only slot, taken by the first
	lanes[0].sending = 1
	var order []*lane
	d.start = func(l *lane, _ *hook.Job, _ bool) { order = append(order, l) }
	for _, l := range lanes {
		for range 4 {
			l.queue = append(l.queue, &hook.Job{})
		}
		d.pump(l)
	}
	for range 6 {
		d.sent(lanes[0], nil, nil, false)
		lanes[0].sending++ // whoever ended, the accounts of the first lane stand for all
	}
	got := map[*lane]int{}
	for _, l := range order {
		got[l]++
	}
	if len(order) != 6 || got[lanes[0]] != 2 || got[lanes[1]] != 2 || got[lanes[2]] != 2 {
		t.Errorf("slots went %d, %d, %d of %d; want two each", got[lanes[0]], got[lanes[1]], got[lanes[2]], len(order))
	}
}

// What waits may be larger than what was sent lately: it is bounded all the same how much of
// it is in memory, and all of it is sent.
func TestClaimsAreBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		most := int64(0)
		b = start(t, &hook.Target{MaxAttempts: 3, Retry: schedule}, func(ctx context.Context, target *hook.Target, j *hook.Job, n int) hook.Attempt {
			_, _, bytes := lookup(b.d, b.target.ID)
			b.mu.Lock()
			most = max(most, bytes)
			b.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			return success(ctx, target, j, n)
		}, nil)
		for range 200 { // small ones, with which the lane grows
			b.publish()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		const size, waiting = 64 << 10, 200
		for range waiting {
			id := b.ids.New()
			b.store.waiting(id, b.target, 0)
			b.store.mu.Lock()
			b.store.rows[id].event.Entity = make([]byte, size)
			b.store.mu.Unlock()
		}
		b.d.Waiting(b.target)
		time.Sleep(time.Minute)
		if n := len(b.sends()); n != 200+waiting {
			t.Errorf("%d of %d were sent", n, 200+waiting)
		}
		if limit := b.d.cfg.HandOver + 2*size; most > limit {
			t.Errorf("%d bytes were in hand at a time, the limit is %d", most, limit)
		}
	})
}
