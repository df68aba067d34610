// Package dispatch is the worker: it holds deliveries in lanes, one per target, sends
// them, decides what is next and records it. What it holds it holds by the store's
// leave: a node that stops beating loses its claims to the others.
package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// Store is the part of the store that the worker needs.
type Store interface {
	// Claim takes due deliveries for a node, at most N of each target and about as many bytes,
	// but at least one if any is due. full: some were left for the bytes' sake.
	Claim(ctx context.Context, node hook.NodeID, wants []hook.LaneWant, bytes int64) (jobs []*hook.Job, full bool, err error)
	// DuePage lists targets with unclaimed waiting deliveries, in the order of ids.
	DuePage(ctx context.Context, after hook.ID) (page []hook.DueTarget, last bool, now time.Time, err error)
	// Finish records attempts and next states; held tells which deliveries the node
	// still held.
	Finish(ctx context.Context, node hook.NodeID, batch []*hook.Finish) (held []bool, err error)
	// FinishEffects is Finish for actions that do something in the store, with it.
	FinishEffects(ctx context.Context, node hook.NodeID, batch []*hook.Finish) ([]hook.Effect, error)
	// Accept stores events with their deliveries; used for test sends.
	Accept(ctx context.Context, b *hook.AcceptBatch) (hook.AcceptResult, error)

	Register(ctx context.Context, instance, name string, floor hook.ID) (hook.NodeID, time.Time, error)
	Beat(ctx context.Context, node hook.NodeID, floor hook.ID) (alive bool, now time.Time, err error)
	RescueDead(ctx context.Context, me hook.NodeID, deadAfter, fresh time.Duration) (int, error)
	BuryPredecessor(ctx context.Context, me hook.NodeID, instance string) (int, error)
	Deregister(ctx context.Context, node hook.NodeID) error
	Claims(ctx context.Context, node hook.NodeID, floor hook.ID) ([]hook.ID, error)
	Release(ctx context.Context, node hook.NodeID, ids []hook.ID) error
	// NoteStart adds hook.StartNoted to the claims of a delivery that the node holds.
	NoteStart(ctx context.Context, node hook.NodeID, id hook.ID) error
	TakeHome(ctx context.Context, node hook.NodeID, target hook.ID) (hook.NodeID, error)
	LeaveHome(ctx context.Context, node hook.NodeID, target hook.ID) error
	// Homes lists the targets whose home the node is.
	Homes(ctx context.Context, node hook.NodeID) ([]hook.ID, error)

	// Hold tells whether the installation sends.
	Hold(ctx context.Context) (hook.Hold, error)

	// FlushHealth writes the health of targets; LoadHealth reads it.
	FlushHealth(ctx context.Context, health []hook.Health) error
	LoadHealth(ctx context.Context, targets []hook.ID) ([]hook.Health, error)
}

// Catalog gives targets as they are configured now.
type Catalog interface {
	View(ctx context.Context, workspace hook.ID) (*hook.View, error)
	Cached(workspace hook.ID) *hook.View
	// Current returns the view of a workspace as the store has it now.
	Current(ctx context.Context, workspace hook.ID) (*hook.View, error)
}

// Sender makes one attempt. It returns when the exchange ended, at the latest at the
// target's timeout or when ctx ends.
type Sender interface {
	Send(ctx context.Context, t *hook.Target, j *hook.Job, number int) hook.Attempt
}

// Owner acts on what the worker finds out about targets.
type Owner interface {
	// Suspend stops sending to a webhook and publishes Webhook.Suspended, both or neither; it
	// reports whether it was active before.
	Suspend(ctx context.Context, workspace, webhook hook.ID, reason string, t hook.Trouble) (bool, error)
	// Announce publishes an operational event.
	Announce(ctx context.Context, workspace hook.ID, n hook.Notice)
	// Holds evaluates the filter of a webhook.
	Holds(filter string, e *hook.Event) (bool, error)
}

// Metrics counts what the worker does.
type Metrics interface {
	Attempt(outcome hook.Outcome, took time.Duration)
	// Accepted counts events that actions published, and their deliveries.
	Accepted(events, deliveries int)
	// Published, Tried and Ended count by workspace: what actions published, attempts, and
	// deliveries that came to an end.
	Published(workspace hook.ID, events, deliveries int)
	Tried(workspace hook.ID)
	Ended(workspace hook.ID, state hook.State)
	Delivered(sinceAccept time.Duration)
	FinishBatch(deliveries int, took time.Duration)
	InFlight(sending, held int)
	Rescued(n int)
	Hold(on bool)
}

// Config of the worker.
type Config struct {
	Instance     string        // id kept in the data directory
	Name         string        // of the node, shown with attempts
	Exclusive    bool          // the data directory's lock is held: a predecessor is dead
	Heartbeat    time.Duration // how often the node says that it lives
	DeadAfter    time.Duration // without a heartbeat, by the database's clock
	MaxSlots     int           // requests under way, all targets together
	HandOver     int64         // bytes of deliveries in memory; more wait in the store
	Grace        time.Duration // for attempts under way when stopping
	SuspendAfter time.Duration // of failure without a success
	BreakAfter   int           // failures in a row
	Stopping     error         // cause with which attempts are cut off at the end of the grace
}

// Dispatcher is the worker of one node. Use New, then Start before anything is
// published, then Run.
type Dispatcher struct {
	cfg     Config
	store   Store
	catalog Catalog
	sender  Sender
	owner   Owner
	metrics Metrics
	ids     *hook.IDs
	log     *slog.Logger
	chance  func() float64

	kick   chan struct{}    // claim loop: a lane has room and work
	beaten chan hook.NodeID // watch loop: a heartbeat came through
	finish *finisher

	attempts sync.WaitGroup
	start    func(l *lane, j *hook.Job, slow bool) // an attempt
	ctx      context.Context                       // of attempts
	cut      context.CancelCauseFunc

	mu          sync.Mutex
	node        hook.NodeID // 0: not registered
	lanes       map[hook.ID]*lane
	held        map[hook.ID]holding            // every delivery in our hands, from before it is stored until its outcome is
	watched     map[hook.ID]func(*hook.Finish) // who waits for outcomes of deliveries
	bytes       int64
	sending     int
	sendingSlow int     // of them, to targets with recent timeouts
	starved     []*lane // want to send but the node's slots are taken; next first
	starvedSlow []*lane // likewise, those with recent timeouts
	stopping    bool
	endBy       time.Time // of the grace; zero: Grace after the stop
	beats       beats
	halt        holdWatch
	registering chan struct{}
	strangers   map[hook.ID]bool // claims seen by the last audit that we do not know
	floors      floors           // of born-claimed rows of ours
	clockSet    bool             // we know the database's time
}

// New joins the parts.
func New(cfg Config, s Store, c Catalog, snd Sender, o Owner, m Metrics, ids *hook.IDs, chance func() float64, log *slog.Logger) *Dispatcher {
	d := &Dispatcher{
		cfg: cfg, store: s, catalog: c, sender: snd, owner: o, metrics: m, ids: ids, log: log, chance: chance,
		kick: make(chan struct{}, 1), beaten: make(chan hook.NodeID), lanes: map[hook.ID]*lane{}, held: map[hook.ID]holding{}, watched: map[hook.ID]func(*hook.Finish){},
	}
	d.ctx, d.cut = context.WithCancelCause(context.Background())
	d.finish = newFinisher(d)
	d.start = func(l *lane, j *hook.Job, slow bool) {
		d.attempts.Go(func() { d.attempt(l, j, slow) })
	}
	return d
}

// Start registers the node.
func (d *Dispatcher) Start(ctx context.Context) error {
	if err := d.LookAtHold(ctx); err != nil {
		return fmt.Errorf("asking whether the installation is on hold: %w", err)
	}
	if err := d.register(ctx); err != nil {
		return err
	}
	if !d.cfg.Exclusive {
		return nil
	}
	n, err := d.store.BuryPredecessor(ctx, d.Node(), d.cfg.Instance)
	if n > 0 {
		d.metrics.Rescued(n)
		d.log.InfoContext(ctx, "node.predecessor_buried", "deliveries", n)
	}
	return err
}

// Run works until ctx ends, then stops in order: nothing new is taken, what waits in
// memory is given back, attempts under way may end within the grace, their outcomes
// are stored, and the node leaves.
func (d *Dispatcher) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var loops sync.WaitGroup
	loops.Go(func() { d.claimLoop(work) })
	loops.Go(func() { d.beatLoop(work) })
	loops.Go(func() { d.watchLoop(work) })
	loops.Go(func() { d.holdLoop(work) })
	loops.Go(func() { d.healthLoop(work) })
	var finishing sync.WaitGroup
	finishing.Go(d.finish.run)

	<-ctx.Done()
	d.mu.Lock()
	d.stopping = true
	for _, l := range d.lanes {
		d.giveBack(l)
	}
	d.mu.Unlock()

	done := make(chan struct{})
	go func() {
		d.attempts.Wait()
		close(done)
	}()
	grace := time.NewTimer(d.graceLeft())
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		d.cut(d.cfg.Stopping)
		<-done
	}
	d.finish.close()
	finishing.Wait()
	stop()
	loops.Wait()
	d.flushHealth(context.WithoutCancel(ctx))
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return d.store.Deregister(leave, d.Node())
}

// EndBy sets when attempts under way are cut off at the latest, for a stop whose grace
// began before Run's context ended.
func (d *Dispatcher) EndBy(t time.Time) {
	d.mu.Lock()
	d.endBy = t
	d.mu.Unlock()
}

func (d *Dispatcher) graceLeft() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.endBy.IsZero() {
		return d.cfg.Grace
	}
	return max(0, time.Until(d.endBy))
}

// Node is the id to claim under, 0 if the node is not registered.
func (d *Dispatcher) Node() hook.NodeID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.node
}

// InHand counts by workspace the deliveries in this node's hands: being sent, or about to be.
func (d *Dispatcher) InHand() map[hook.ID]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[hook.ID]int)
	for _, l := range d.lanes {
		if l.held > 0 {
			out[l.workspace] += l.held
		}
	}
	return out
}

func (d *Dispatcher) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}
