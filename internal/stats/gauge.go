package stats

import (
	"context"
	"sync"
	"time"

	"sallyport/internal/hook"
)

const (
	// fresh is how old the queue's figures may be when nobody has to hurry.
	fresh = time.Second
	// quick is a pass that whoever asks may wait for; longer ones Run makes ahead of them.
	quick = 100 * time.Millisecond
	// rests is how many times as long as a pass took its figures are taken for fresh, so
	// that measuring a long queue takes at most a tenth of one connection.
	rests = 10
)

// Measurer counts what waits.
type Measurer interface {
	Queue(ctx context.Context) (hook.Queue, error)
}

// Gauge remembers what waits in the store. All who ask share its passes.
type Gauge struct {
	store Measurer
	pass  chan struct{} // taken by whoever measures

	mu      sync.Mutex
	queue   hook.Queue
	by      map[hook.ID]*hook.Backlog
	until   time.Time // the figures are fresh
	took    time.Duration
	running bool
}

// NewGauge measures the queue of a store.
func NewGauge(s Measurer) *Gauge { return &Gauge{store: s, pass: make(chan struct{}, 1)} }

// Queue returns figures of a second ago, or of a longer queue of some ten times as long
// ago as it takes to measure it. While the store is away it returns older ones, whose time
// says so; only before the first there is an error. The answer is shared: do not change it.
func (g *Gauge) Queue(ctx context.Context) (hook.Queue, map[hook.ID]*hook.Backlog, error) {
	if g.isFresh(true) {
		return g.last()
	}
	return g.measure(ctx)
}

// measure makes a pass, unless somebody else just did.
func (g *Gauge) measure(ctx context.Context) (hook.Queue, map[hook.ID]*hook.Backlog, error) {
	select {
	case g.pass <- struct{}{}:
		defer func() { <-g.pass }()
	case <-ctx.Done():
		return hook.Queue{}, nil, ctx.Err()
	}
	if g.isFresh(false) { // somebody else measured
		return g.last()
	}
	started := time.Now()
	q, err := g.store.Queue(ctx)
	if err != nil {
		if old, by, _ := g.last(); by != nil {
			return old, by, nil
		}
		return hook.Queue{}, nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue, g.by = q, q.Backlogs()
	g.took = time.Since(started)
	g.until = time.Now().Add(max(fresh, rests*g.took))
	return g.queue, g.by, nil
}

// isFresh reports that the figures are good enough; for who would have to wait for a long
// pass they are until Run has made it.
func (g *Gauge) isFresh(waits bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.until) || waits && g.running && g.took > quick
}

func (g *Gauge) last() (hook.Queue, map[hook.ID]*hook.Backlog, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.queue, g.by, nil
}

// Waiting is how many deliveries of a workspace wait or are claimed, as last measured.
func (g *Gauge) Waiting(workspace hook.ID) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.by[workspace]; b != nil {
		return b.Pending + b.Held + b.Claimed
	}
	return 0
}

// Run measures every other second, or as seldom as a long queue asks for, until ctx ends.
func (g *Gauge) Run(ctx context.Context) error {
	g.runs(true)
	defer g.runs(false)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		if !g.isFresh(false) {
			_, _, _ = g.measure(ctx) // what is not known is not limited; the worker reports the outage
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *Gauge) runs(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = yes
}
