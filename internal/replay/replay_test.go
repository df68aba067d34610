package replay_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/replay"
)

// run lets the runner work in fake time, so long at most, and stops it.
func (w *world) run(t *testing.T, long time.Duration, meanwhile ...func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	for _, m := range meanwhile {
		time.Sleep(long)
		w.mu.Lock()
		m()
		w.mu.Unlock()
	}
	time.Sleep(long)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func missed(target hook.ID) hook.ReplaySpec {
	return hook.ReplaySpec{Target: target, Include: hook.ReplayMissed}
}

func TestWhatIsMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, filtered, other := webhook(1), webhook(2, func(w *hook.Webhook) { w.Filter = "yes" }), webhook(3, func(w *hook.Webhook) { w.EventTypes = []string{"a.b"} })
		suspended := webhook(4, func(w *hook.Webhook) { w.Suspended = hook.SuspendedGone })
		w := newWorld(t, missed(hook.NoID), a, filtered, other, suspended)
		ids := hook.NewIDs()
		time.Sleep(40 * 24 * time.Hour)
		old := hook.NewIDs()
		old.SetOffset(-31 * 24 * time.Hour)
		to := func(target hook.ID, state hook.State, test bool) func(*hook.ReplayEvent) {
			return func(e *hook.ReplayEvent) {
				e.Deliveries = append(e.Deliveries, hook.ReplayDelivery{ID: ids.New(), Event: e.Key, Target: target, State: state, Test: test})
			}
		}
		entity := func(text string) func(*hook.ReplayEvent) {
			return func(e *hook.ReplayEvent) { e.Entity, e.EntityBytes = []byte(text), 3<<20 }
		}
		kind := func(k hook.SourceKind) func(*hook.ReplayEvent) {
			return func(e *hook.ReplayEvent) { e.Source.Kind = k }
		}
		w.events = []hook.ReplayEvent{
			event(old),                                          // its deliveries may have been removed
			event(ids, entity("yes")),                           // a and filtered
			event(ids, entity("no")),                            // a
			event(ids, entity("broken")),                        // a, and a skipped one
			event(ids, to(a.ID, hook.StateFailed, false)),       // filtered says no
			event(ids, to(other.ID, hook.StateSucceeded, true)), // a test
			event(ids, kind(hook.SourceIncoming)), event(ids, kind(hook.SourceSystem)),
			event(ids, func(e *hook.ReplayEvent) { e.Type = "invoice.paid" }),
			event(ids, func(e *hook.ReplayEvent) { e.Type = hook.TypeWebhookSuspended }),
		}
		w.run(t, time.Minute)
		if w.rp.State != hook.ReplaySucceeded || w.rp.Done != 4 || w.rp.Skipped != 1 || *w.rp.Total != 5 {
			t.Fatalf("the replay: %+v, counted %v", w.rp, *w.rp.Total)
		}
		var made []hook.ReplayNew
		for _, p := range w.pieces {
			made = append(made, p.New...)
			if len(p.Again) > 0 {
				t.Errorf("repeated %v", p.Again)
			}
		}
		want := []hook.ReplayNew{
			{Event: w.events[1].Key, Target: a.ID}, {Event: w.events[1].Key, Target: filtered.ID}, {Event: w.events[2].Key, Target: a.ID},
			{Event: w.events[3].Key, Target: a.ID}, {Event: w.events[3].Key, Target: filtered.ID, Skipped: hook.ReasonConditionError},
		}
		for i := range want {
			want[i].ID = hook.ReplayDeliveryID(want[i].Event, want[i].Target)
		}
		if !slices.Equal(made, want) {
			t.Errorf("made\n%v\nwant\n%v", made, want)
		}
		if !slices.Equal(w.states, []string{"started", "succeeded"}) || w.woken[a.ID] == 0 {
			t.Errorf("told %v, woke %v", w.states, w.woken)
		}
		// Three have 3 MB each: one of them at a time is in memory, counting and working.
		if w.loads != 6 {
			t.Errorf("entities were read %d times", w.loads)
		}
	})
}

func TestAllRepeatsToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := webhook(1)
		w := newWorld(t, hook.ReplaySpec{Target: a.ID, Include: hook.ReplayAll, States: []hook.State{hook.StateFailed, hook.StateSucceeded}, FreshIDs: true}, a)
		ids := hook.NewIDs()
		var again []hook.ID
		for i, st := range []hook.State{hook.StateFailed, hook.StateSucceeded, hook.StateSkipped, hook.StatePending, hook.StateRunning} {
			w.events = append(w.events, event(ids, func(e *hook.ReplayEvent) {
				e.Deliveries = []hook.ReplayDelivery{{ID: ids.New(), Event: e.Key, Target: a.ID, State: st}}
				if i < 2 {
					again = append(again, e.Deliveries[0].ID)
				}
			}))
		}
		w.events = append(w.events, event(ids, func(e *hook.ReplayEvent) { // its webhook was deleted
			e.Deliveries = []hook.ReplayDelivery{{ID: ids.New(), Target: hook.ID{8}, State: hook.StateFailed}}
		}))
		n, err := w.Count(t.Context(), w.rp.Workspace, &w.rp.ReplaySpec)
		if err != nil || n.Total != 5 || n.Skipped != 2 || !n.Complete || !n.UpTo.IsZero() {
			t.Errorf("counted %+v, %v", n, err)
		}
		w.run(t, time.Minute)
		if p := w.pieces[0]; len(w.pieces) != 1 || !slices.Equal(p.Again, again) || len(p.New) != 1 || p.Skipped != 2 || !p.Fresh || !p.Last || p.Version != 1 {
			t.Errorf("pieces: %+v", w.pieces)
		}
	})
}

func TestWalkFromTargetToTarget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hooks := []*hook.Webhook{webhook(3), webhook(1), webhook(2)}
		w := newWorld(t, hook.ReplaySpec{Include: hook.ReplayFailed, States: []hook.State{hook.StateFailed}, EventTypes: []string{"order.*"}}, hooks...)
		ids := hook.NewIDs()
		var want []hook.ID
		for _, target := range []byte{1, 3, 8} { // 8 was deleted
			for i := range 1100 {
				d := hook.ReplayDelivery{ID: ids.New(), Target: hook.ID{target}, State: hook.StateFailed, Type: "order.paid", Test: i == 4}
				if i == 5 {
					d.Type = "a.b"
				}
				w.failed = append(w.failed, d)
				if target != 8 && i != 4 && i != 5 {
					want = append(want, d.ID)
				}
			}
		}
		w.run(t, time.Minute)
		var got []hook.ID
		for _, p := range w.pieces {
			if got = append(got, p.Again...); len(p.Again) > 500 {
				t.Errorf("a piece of %d", len(p.Again))
			}
		}
		if !slices.Equal(got, want) || w.rp.State != hook.ReplaySucceeded || w.rp.Done != len(want) {
			t.Errorf("repeated %d, want %d; %+v", len(got), len(want), w.rp)
		}
	})
}

// many has a webhook miss so many events.
func many(t *testing.T, n int, change ...func(*hook.ReplaySpec)) *world {
	t.Helper()
	spec := missed(hook.ID{1})
	for _, c := range change {
		c(&spec)
	}
	w := newWorld(t, spec, webhook(1))
	ids := hook.NewIDs()
	for range n {
		w.events = append(w.events, event(ids))
	}
	return w
}

func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := many(t, 400, func(s *hook.ReplaySpec) { s.Rate = 40 })
		w.run(t, time.Minute)
		took := w.at[len(w.at)-1].Sub(w.at[0])
		if len(w.pieces) != 40 && len(w.pieces) != 41 || took < 9*time.Second || took > 11*time.Second || w.rp.Done != 400 {
			t.Errorf("%d pieces took %s for %d", len(w.pieces), took, w.rp.Done)
		}
	})
}

func TestWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hold, goOn func(w *world)
		noted      hook.ReplayReason
	}{
		"while much waits for the target": {func(w *world) { w.backlog = 5000 }, func(w *world) { w.backlog = 0 }, hook.ReplayBacklog},
		"while half of the workspace's limit is used": {
			func(w *world) { w.view.Workspace.Limits.PendingDeliveries, w.waiting = 100, 50 }, func(w *world) { w.waiting = 0 }, hook.ReplayPendingLimit,
		},
		"while its webhook is suspended": {
			func(w *world) { w.view = suspendedView(w.view) }, func(w *world) {
				w.view = hook.NewView(hook.Snapshot{Workspace: w.view.Workspace, Version: 3, Webhooks: []*hook.Webhook{webhook(1)}})
			},
			hook.ReplaySuspended,
		},
		"until all of before is visible": {func(w *world) { w.settled = time.Now().Add(10 * time.Second) }, func(*world) {}, hook.ReplaySettling},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := many(t, 30)
				c.hold(w)
				w.run(t, 9*time.Second, func() {
					if len(w.pieces) != 0 || !slices.Contains(w.noted, c.noted) {
						t.Errorf("it did %d pieces, and said %q", len(w.pieces), w.noted)
					}
					c.goOn(w)
				}, func() {})
				if w.rp.State != hook.ReplaySucceeded || w.rp.Done != 30 {
					t.Errorf("afterwards: %+v", w.rp)
				}
			})
		})
	}
}

func suspendedView(v *hook.View) *hook.View {
	gone := webhook(1, func(w *hook.Webhook) { w.Suspended = hook.SuspendedGone })
	return hook.NewView(hook.Snapshot{Workspace: v.Workspace, Version: 2, Webhooks: []*hook.Webhook{gone}})
}

func TestPendingLimitIsNotOverrun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := many(t, 300)
		w.view.Workspace.Limits.PendingDeliveries = 100
		w.run(t, 3*time.Second, func() { // the gauge has not moved yet
			if w.rp.Done != 50 {
				t.Errorf("%d were let loose, want half of the limit", w.rp.Done)
			}
		}, func() {})
	})
}

func TestPausedAndTakenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := many(t, 100, func(s *hook.ReplaySpec) { s.Rate = 4 })
		at := 0
		w.run(t, 5*time.Second, func() {
			at = w.rp.Done
			w.rp.State, w.node = hook.ReplayPaused, 0
		}, func() {
			if w.rp.Done != at || at == 0 {
				t.Errorf("paused at %d, it went on to %d", at, w.rp.Done)
			}
			w.rp.State = hook.ReplayRunning
			w.Kick()
		}, func() {}, func() {}, func() {}, func() {})
		seen := map[hook.ID]bool{}
		for _, p := range w.pieces {
			for _, n := range p.New {
				if seen[n.ID] {
					t.Errorf("%v was made twice", n.ID)
				}
				seen[n.ID] = true
			}
		}
		if len(seen) != 100 || w.rp.State != hook.ReplaySucceeded {
			t.Errorf("%d were made, it is %s", len(seen), w.rp.State)
		}
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hold  func(w *world)
		state hook.ReplayState
		why   hook.ReplayReason
	}{
		"a configuration that changed is read again": {func(w *world) { w.stale = true }, hook.ReplaySucceeded, ""},
		"a store that was away":                      {func(w *world) { w.fails = 3 }, hook.ReplaySucceeded, ""},
		"a store that always refuses":                {func(w *world) { w.fails = 1 << 20 }, hook.ReplayErrored, hook.ReplayInternalFailure},
		"a panic":                                    {func(w *world) { w.panics = true }, hook.ReplayErrored, hook.ReplayInternalFailure},
		"a webhook that was deleted": {
			func(w *world) { w.view = hook.NewView(hook.Snapshot{Workspace: w.view.Workspace, Version: 2}) }, hook.ReplayCancelled, hook.ReplayWebhookDeleted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := many(t, 30)
				c.hold(w)
				w.run(t, 10*time.Minute)
				if w.rp.State != c.state || w.rp.Reason != c.why {
					t.Errorf("it is %s, %s; want %s, %s", w.rp.State, w.rp.Reason, c.state, c.why)
				}
			})
		})
	}
}

// crowd is a store with many replays, whose pieces take a while.
type crowd struct {
	*world
	left, open, most, stored int
}

func (c *crowd) TakeReplay(context.Context, hook.NodeID, []hook.ID) (*hook.Replay, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return nil, nil
	}
	rp, now := *c.rp, time.Now()
	rp.ID, rp.StartedAt = hook.ID{byte(c.left)}, &now
	c.left--
	return &rp, nil
}

func (*crowd) CountedReplay(context.Context, hook.NodeID, hook.ID, int) error { return nil }

func (c *crowd) ReplayPiece(context.Context, hook.NodeID, *hook.ReplayPiece) (hook.ReplayDone, error) {
	c.mu.Lock()
	c.open++
	c.most, c.stored = max(c.most, c.open), c.stored+1
	c.mu.Unlock()
	time.Sleep(time.Second)
	c.mu.Lock()
	c.open--
	c.mu.Unlock()
	return hook.ReplayDone{}, nil
}

// However many replays there are, they leave connections to those who accept and send.
func TestManyReplaysTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := webhook(1)
		c := &crowd{world: newWorld(t, missed(a.ID), a), left: 20}
		c.Runner = replay.New(replay.Config{Now: time.Now}, c, c.world, c.world, c.world, c.world, slog.New(slog.DiscardHandler))
		c.run(t, time.Minute)
		if c.stored != 20 || c.most != 2 {
			t.Errorf("%d pieces were stored, %d at a time", c.stored, c.most)
		}
	})
}
