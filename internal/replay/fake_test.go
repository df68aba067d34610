package replay_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/replay"
)

// world is a runner over a store in memory that keeps one replay.
type world struct {
	*replay.Runner
	mu sync.Mutex

	view    *hook.View
	rp      *hook.Replay
	node    hook.NodeID // that holds the replay
	events  []hook.ReplayEvent
	failed  []hook.ReplayDelivery
	fails   int // so many pieces
	panics  bool
	stale   bool // the next piece is of an older configuration
	backlog int
	waiting int
	settled time.Time

	pieces    []hook.ReplayPiece
	at        []time.Time // of pieces
	noted     []hook.ReplayReason
	refreshed int
	states    []string
	woken     map[hook.ID]int
	loads     int // of entities
}

var errStore = errors.New("the store is away")

func newWorld(t *testing.T, spec hook.ReplaySpec, hooks ...*hook.Webhook) *world {
	t.Helper()
	w := &world{woken: map[hook.ID]int{}}
	ws := hook.Workspace{ID: hook.ID{9}}
	w.view = hook.NewView(hook.Snapshot{Workspace: ws, Version: 1, Webhooks: hooks})
	spec.TargetKind = cmp.Or(spec.TargetKind, hook.TargetWebhook)
	w.rp = &hook.Replay{ID: hook.ID{1}, Workspace: ws.ID, State: hook.ReplayRunning, ReplaySpec: spec}
	w.Runner = replay.New(replay.Config{
		Retention: 30 * 24 * time.Hour, Now: time.Now,
		Waiting: func(hook.ID) int { w.mu.Lock(); defer w.mu.Unlock(); return w.waiting },
	}, w, w, w, w, w, slog.New(slog.DiscardHandler))
	return w
}

func webhook(n byte, change ...func(*hook.Webhook)) *hook.Webhook {
	w := &hook.Webhook{ID: hook.ID{n}, Workspace: hook.ID{9}, WebhookSpec: hook.WebhookSpec{Enabled: true, EventTypes: []string{"order.*"}}}
	for _, c := range change {
		c(w)
	}
	return w
}

// event is one that was accepted some time ago.
func event(ids *hook.IDs, change ...func(*hook.ReplayEvent)) hook.ReplayEvent {
	e := hook.ReplayEvent{Event: hook.Event{Key: ids.New(), Type: "order.paid", Source: hook.Source{Kind: hook.SourceAPI}}}
	for _, c := range change {
		c(&e)
	}
	return e
}

func (w *world) View(context.Context, hook.ID) (*hook.View, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.view, nil
}

func (w *world) Refresh(context.Context, hook.ID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refreshed++
	return nil
}

func (w *world) Passing(targets []*hook.Target, e *hook.Event) (passed []*hook.Target, failed []bool) {
	for _, t := range targets {
		if t.Filter == "" || string(e.Entity) == t.Filter {
			passed, failed = append(passed, t), append(failed, false)
		} else if string(e.Entity) == "broken" {
			passed, failed = append(passed, t), append(failed, true)
		}
	}
	return passed, failed
}

func (w *world) Node() hook.NodeID { return 7 }

func (w *world) Waiting(t *hook.Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.woken[t.ID]++
}

func (w *world) Replayed(int, int) {}

func (w *world) ReplayState(state string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states = append(w.states, state)
}

func (w *world) TakeReplay(_ context.Context, node hook.NodeID, except []hook.ID) (*hook.Replay, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rp.State != hook.ReplayRunning || w.node != 0 || slices.Contains(except, w.rp.ID) {
		return nil, nil
	}
	w.node = node
	if w.rp.StartedAt == nil {
		now := time.Now()
		w.rp.StartedAt = &now
	}
	taken := *w.rp
	return &taken, nil
}

// mine runs change if the replay is the node's.
func (w *world) mine(node hook.NodeID, change func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.node != node || w.rp.State != hook.ReplayRunning {
		return hook.ErrFenced
	}
	change()
	return nil
}

func (w *world) ReplaySettled(_ context.Context, _ time.Time) (bool, error) {
	return !time.Now().Before(w.settled), nil
}

func (w *world) ReplayPiece(_ context.Context, node hook.NodeID, p *hook.ReplayPiece) (done hook.ReplayDone, err error) {
	ours := w.mine(node, func() {
		switch {
		case w.stale:
			w.stale = false
			err = hook.ErrChanged
			return
		case w.fails > 0:
			w.fails--
			err = errStore
			return
		}
		done = hook.ReplayDone{Again: len(p.Again), Skipped: p.Skipped}
		for _, n := range p.New {
			if n.Skipped != "" {
				done.Skipped++
				continue
			}
			done.New++
			if !slices.Contains(done.Woken, n.Target) {
				done.Woken = append(done.Woken, n.Target)
			}
		}
		w.pieces, w.at = append(w.pieces, *p), append(w.at, time.Now())
		w.rp.Cursor, w.rp.Failures = p.Cursor, 0
		w.rp.Done += done.Again + done.New
		w.rp.Skipped += done.Skipped
		if p.Last {
			w.rp.State = hook.ReplaySucceeded
		}
	})
	return done, errors.Join(ours, err)
}

func (w *world) NoteReplay(_ context.Context, node hook.NodeID, _ hook.ID, reason hook.ReplayReason) error {
	return w.mine(node, func() { w.noted = append(w.noted, reason) })
}

func (w *world) CountedReplay(_ context.Context, node hook.NodeID, _ hook.ID, total int) error {
	return w.mine(node, func() { w.rp.Total = &total })
}

func (w *world) EndReplay(_ context.Context, node hook.NodeID, _ hook.ID, state hook.ReplayState, reason hook.ReplayReason) error {
	return w.mine(node, func() { w.rp.State, w.rp.Reason = state, reason })
}

func (w *world) LeaveReplay(_ context.Context, node hook.NodeID, _ hook.ID, _ time.Duration) error {
	return w.mine(node, func() { w.node, w.rp.Failures = 0, w.rp.Failures+1 })
}

func below(a, b hook.ID) bool { return slices.Compare(a[:], b[:]) < 0 }

func (w *world) ReplayDeliveries(_ context.Context, _ *hook.ReplaySpec, target, at hook.ID, limit int) (out []hook.ReplayDelivery, next hook.ID, more bool, err error) {
	for _, d := range w.failed {
		if d.Target == target && !below(d.ID, at) {
			if len(out) == limit {
				return out, d.ID, true, nil
			}
			out = append(out, d)
		}
	}
	return out, hook.NoID, false, nil
}

func (w *world) ReplayEvents(_ context.Context, _ hook.ID, _ *hook.ReplaySpec, at hook.ID, limit int) (out []hook.ReplayEvent, next hook.ID, more bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.panics {
		panic("a row that nobody can read")
	}
	for _, e := range w.events {
		if below(e.Key, at) {
			continue
		}
		if len(out) == limit {
			return out, e.Key, true, nil
		}
		e.Entity = nil
		out = append(out, e)
	}
	return out, hook.NoID, false, nil
}

func (w *world) ReplayEntities(_ context.Context, _ hook.ID, keys []hook.ID) (map[hook.ID][]byte, error) {
	w.loads++
	out := map[hook.ID][]byte{}
	for _, e := range w.events {
		if slices.Contains(keys, e.Key) {
			out[e.Key] = e.Entity
		}
	}
	return out, nil
}

func (w *world) Backlog(_ context.Context, _ []hook.ID, most int) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return min(w.backlog, most), nil
}
