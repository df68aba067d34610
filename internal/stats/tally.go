package stats

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/hook"
)

// flushEvery is how often counts are written down: rates lag by that much, and a crash loses
// as much of them.
const flushEvery = 2 * time.Second

// Tally counts by workspace what this node does, and writes it down with what the others
// did. Counting takes no lock. The zero value is ready.
type Tally struct {
	m sync.Map // hook.ID -> *counts
}

type counts struct {
	accepted, created, attempts, finished, failed, requestsAccepted, requestsRefused atomic.Int64
}

func (t *Tally) of(workspace hook.ID) *counts {
	if c, ok := t.m.Load(workspace); ok {
		return c.(*counts)
	}
	c, _ := t.m.LoadOrStore(workspace, new(counts))
	return c.(*counts)
}

// Published counts events that were committed, and the deliveries they made.
func (t *Tally) Published(workspace hook.ID, events, deliveries int) {
	c := t.of(workspace)
	c.accepted.Add(int64(events))
	c.created.Add(int64(deliveries))
}

// Tried counts an attempt that ended.
func (t *Tally) Tried(workspace hook.ID) { t.of(workspace).attempts.Add(1) }

// Ended counts a delivery that came to an end.
func (t *Tally) Ended(workspace hook.ID, state hook.State) {
	c := t.of(workspace)
	c.finished.Add(1)
	if state == hook.StateFailed {
		c.failed.Add(1)
	}
}

// Called counts a call of an incoming webhook.
func (t *Tally) Called(workspace hook.ID, verdict hook.Verdict) {
	if verdict == hook.VerdictRefused {
		t.of(workspace).requestsRefused.Add(1)
		return
	}
	t.of(workspace).requestsAccepted.Add(1)
}

// take returns what was counted since the last time.
func (t *Tally) take() map[hook.ID]hook.Counts {
	out := make(map[hook.ID]hook.Counts)
	t.m.Range(func(id, v any) bool {
		c := v.(*counts)
		n := hook.Counts{
			Accepted: c.accepted.Swap(0), Created: c.created.Swap(0), Attempts: c.attempts.Swap(0), Finished: c.finished.Swap(0),
			Failed: c.failed.Swap(0), RequestsAccepted: c.requestsAccepted.Swap(0), RequestsRefused: c.requestsRefused.Swap(0),
		}
		if n != (hook.Counts{}) {
			out[id.(hook.ID)] = n
		}
		return true
	})
	return out
}

// giveBack counts again what could not be written down.
func (t *Tally) giveBack(taken map[hook.ID]hook.Counts) {
	for id, n := range taken {
		c := t.of(id)
		c.accepted.Add(n.Accepted)
		c.created.Add(n.Created)
		c.attempts.Add(n.Attempts)
		c.finished.Add(n.Finished)
		c.failed.Add(n.Failed)
		c.requestsAccepted.Add(n.RequestsAccepted)
		c.requestsRefused.Add(n.RequestsRefused)
	}
}

// Recorder writes down what nodes count.
type Recorder interface {
	// AddCounts adds to what all nodes did in the present slot of time.
	AddCounts(ctx context.Context, counts map[hook.ID]hook.Counts) error
	// NoteRunning says how many deliveries of each workspace the node has in hand, in place
	// of what it said before.
	NoteRunning(ctx context.Context, node hook.NodeID, running map[hook.ID]int) error
}

// Worker is what has deliveries in hand.
type Worker interface {
	Node() hook.NodeID
	InHand() map[hook.ID]int
}

// Run writes down every other second what was counted and what the node has in hand, until
// ctx ends, and then once more.
func (t *Tally) Run(ctx context.Context, r Recorder, w Worker, log *slog.Logger) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var said hands
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushEvery)
			defer cancel()
			t.flush(last, r, log)
			return nil
		case <-tick.C:
			t.flush(ctx, r, log)
			said = said.say(ctx, r, w, log)
		}
	}
}

func (t *Tally) flush(ctx context.Context, r Recorder, log *slog.Logger) {
	taken := t.take()
	if len(taken) == 0 {
		return
	}
	if err := r.AddCounts(ctx, taken); err != nil {
		t.giveBack(taken)
		if ctx.Err() == nil {
			log.WarnContext(ctx, "stats.flush", "error", err)
		}
	}
}

// hands is what a node said last that it has in hand.
type hands struct {
	node    hook.NodeID
	running map[hook.ID]int
}

// say writes it down if it has changed.
func (h hands) say(ctx context.Context, r Recorder, w Worker, log *slog.Logger) hands {
	now := hands{w.Node(), w.InHand()}
	if now.node == 0 || now.node == h.node && maps.Equal(now.running, h.running) {
		return h
	}
	if err := r.NoteRunning(ctx, now.node, now.running); err != nil {
		if ctx.Err() == nil {
			log.WarnContext(ctx, "stats.running", "error", err)
		}
		return h
	}
	return now
}
