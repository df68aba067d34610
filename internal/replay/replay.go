// Package replay works replays off: it walks a window of history piece by piece, and each
// piece makes deliveries wait again, or makes those that are missing, in the transaction
// that moves the replay's cursor. Whatever ends a node in between, a piece is done once or
// not at all, and another node goes on where the store says.
package replay

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// Store is the part of the store that replays need.
type Store interface {
	// TakeReplay gives the node a running replay that no other living node works on.
	TakeReplay(ctx context.Context, node hook.NodeID, except []hook.ID) (*hook.Replay, error)
	// ReplaySettled reports whether what was accepted before a replay was taken is visible.
	ReplaySettled(ctx context.Context, taken time.Time) (bool, error)
	// ReplayPiece does a piece of the work and moves the cursor, or neither.
	ReplayPiece(ctx context.Context, node hook.NodeID, p *hook.ReplayPiece) (hook.ReplayDone, error)
	NoteReplay(ctx context.Context, node hook.NodeID, id hook.ID, reason hook.ReplayReason) error
	CountedReplay(ctx context.Context, node hook.NodeID, id hook.ID, total int) error
	EndReplay(ctx context.Context, node hook.NodeID, id hook.ID, state hook.ReplayState, reason hook.ReplayReason) error
	LeaveReplay(ctx context.Context, node hook.NodeID, id hook.ID, wait time.Duration) error

	// ReplayDeliveries and ReplayEvents read a few rows of a window.
	ReplayDeliveries(ctx context.Context, r *hook.ReplaySpec, target, at hook.ID, limit int) (rows []hook.ReplayDelivery, next hook.ID, more bool, err error)
	ReplayEvents(ctx context.Context, workspace hook.ID, r *hook.ReplaySpec, at hook.ID, limit int) (rows []hook.ReplayEvent, next hook.ID, more bool, err error)
	ReplayEntities(ctx context.Context, workspace hook.ID, keys []hook.ID) (map[hook.ID][]byte, error)
	// Backlog is how much is due and unclaimed at the target where that is most.
	Backlog(ctx context.Context, targets []hook.ID, most int) (int, error)
}

// Catalog gives the configuration to match against.
type Catalog interface {
	View(ctx context.Context, workspace hook.ID) (*hook.View, error)
	Refresh(ctx context.Context, workspace hook.ID) error
}

// Matcher judges filters as publishing does.
type Matcher interface {
	Passing(targets []*hook.Target, e *hook.Event) (passed []*hook.Target, failed []bool)
}

// Worker sends what waits.
type Worker interface {
	// Node is the id to work under, 0 if the node is not registered.
	Node() hook.NodeID
	// Waiting tells that deliveries of a target were stored to wait.
	Waiting(t *hook.Target)
}

// Metrics counts what replays do.
type Metrics interface {
	// Replayed counts deliveries that wait again, and those that were made.
	Replayed(again, made int)
	// ReplayState counts replays that began or ended.
	ReplayState(state string)
}

// Config says how replays work.
type Config struct {
	Retention time.Duration // of workspaces without one of their own; 0: for ever
	// Waiting is about how many deliveries of a workspace wait, for its limit.
	Waiting func(workspace hook.ID) int
	Now     func() time.Time // the database's time
}

const (
	// lookEvery is how often a node looks for replays that others left.
	lookEvery = 2 * time.Second
	// pieceMost is how many deliveries a piece is about: some milliseconds, for which other
	// writers wait on SQLite.
	pieceMost = 500
	// countMost is how many deliveries are counted in one go.
	countMost = 10 * pieceMost
	// backlogMost is how much may be due and unclaimed at a target before a replay adds to
	// it: some slots' worth, so that what is published meanwhile waits for a second at most.
	backlogMost = 1000
	// piecesMost are stored at a time, of all replays here: they share the connections of
	// the pipeline, on which the node also accepts, sends and says that it lives.
	piecesMost = 2
	// failuresMost in a row end a replay.
	failuresMost = 10
	// countFor bounds the counting before the work, dryFor that of a dry run.
	countFor = 10 * time.Second
	dryFor   = 4 * time.Second
)

// Runner works replays off. Use New, and Run it.
type Runner struct {
	cfg     Config
	store   Store
	catalog Catalog
	match   Matcher
	worker  Worker
	metrics Metrics
	log     *slog.Logger
	kick    chan struct{}
	storing chan struct{} // has one for each piece that is being stored

	mu    sync.Mutex
	hands map[hook.ID]bool // in work here
}

// New joins the parts.
func New(cfg Config, s Store, c Catalog, m Matcher, w Worker, x Metrics, log *slog.Logger) *Runner {
	return &Runner{
		cfg: cfg, store: s, catalog: c, match: m, worker: w, metrics: x, log: log,
		kick: make(chan struct{}, 1), storing: make(chan struct{}, piecesMost), hands: map[hook.ID]bool{},
	}
}

// Kick has the runner look for replays at once.
func (r *Runner) Kick() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. Each replay has a loop of its own, so that one which is paced,
// or whose target is stuck, keeps no other waiting.
func (r *Runner) Run(ctx context.Context) error {
	var works sync.WaitGroup
	defer works.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for r.take(ctx, &works) {
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.kick:
		}
	}
}

// take takes one replay, and reports whether there was one.
func (r *Runner) take(ctx context.Context, works *sync.WaitGroup) bool {
	node := r.worker.Node()
	if node == 0 || ctx.Err() != nil {
		return false
	}
	r.mu.Lock()
	var except []hook.ID
	for id := range r.hands {
		except = append(except, id)
	}
	r.mu.Unlock()
	rp, err := r.store.TakeReplay(ctx, node, except)
	if err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "replay.take", "error", err)
	}
	if err != nil || rp == nil {
		return false
	}
	r.mu.Lock()
	r.hands[rp.ID] = true
	r.mu.Unlock()
	works.Go(func() {
		w := &work{Runner: r, rp: rp, node: node}
		w.run(ctx)
		r.mu.Lock()
		delete(r.hands, rp.ID)
		r.mu.Unlock()
	})
	return true
}

// Count says what a replay would be about now. It takes four seconds at most, and says how
// far it came.
func (r *Runner) Count(ctx context.Context, workspace hook.ID, spec *hook.ReplaySpec) (hook.ReplayCount, error) {
	return r.count(ctx, workspace, spec, dryFor)
}

func (r *Runner) count(ctx context.Context, workspace hook.ID, spec *hook.ReplaySpec, within time.Duration) (hook.ReplayCount, error) {
	var out hook.ReplayCount
	end := time.Now().Add(within)
	if spec.UntilOpen {
		open := *spec
		open.Until = r.cfg.Now()
		spec = &open
	}
	s := scanner{Runner: r, workspace: workspace, spec: spec}
	var at hook.ReplayCursor
	for {
		v, err := r.catalog.View(ctx, workspace)
		if err != nil {
			return out, err
		}
		p, err := s.next(ctx, v, at, countMost)
		if err != nil {
			return out, err
		}
		out.Total += p.Deliveries() + p.Skipped
		out.Skipped += p.Skipped
		for _, n := range p.New {
			if n.Skipped != hook.ReasonNone {
				out.Skipped++
			}
		}
		if out.Complete = p.Last; out.Complete {
			return out, nil
		}
		at = p.Cursor
		if time.Now().After(end) {
			if spec.ByEvent() || spec.Target != hook.NoID {
				out.UpTo = hook.TimeOf(at.At)
			}
			return out, nil
		}
	}
}
