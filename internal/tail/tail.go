// Package tail follows the log of accepted events: streams begin at any position of it and
// lose nothing, whatever node stored an event and however late its transaction committed.
package tail

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// Log is the part of the store that is followed.
type Log interface {
	// Logged is signalled when this node has stored events.
	Logged() <-chan struct{}
	LogHeads(ctx context.Context, workspaces []hook.ID) (hook.LogHeads, error)
	LogPage(ctx context.Context, workspace hook.ID, after hook.Position, upTo int64, limit, maxBytes int, want func(eventType string) bool) (hook.LogPage, error)
	LogStart(ctx context.Context, workspace hook.ID, since time.Time, upTo int64) (hook.Position, error)
	LogEnd(ctx context.Context, workspace hook.ID, upTo int64) (hook.Position, error)
	CheckPosition(ctx context.Context, workspace hook.ID, p hook.Position) error
}

// Catalog knows how a workspace is configured now.
type Catalog interface {
	View(ctx context.Context, workspace hook.ID) (*hook.View, error)
}

// Config says how much is followed. Holds is required.
type Config struct {
	// MaxStreams at once. Beyond it the workspace with the most gives way to one that has fewer,
	// and who has the most is told to come back.
	MaxStreams int
	// Holds evaluates a webhook's filter.
	Holds func(filter string, e *hook.Event) (bool, error)
}

const (
	// lookEvery is how soon what other nodes store is seen; what this one stores is seen at
	// once.
	lookEvery = time.Second
	// lookGap is how often it is looked under load: each look serves all that came since.
	lookGap = 10 * time.Millisecond
	// What is unsettled waits for transactions that take milliseconds, unless one hangs.
	settleFirst = 2 * time.Millisecond
	settleMost  = 250 * time.Millisecond
	// lookTime bounds one look.
	lookTime = 10 * time.Second
)

// Tail looks for all streams of this node at once how far the logs are settled. Use New;
// nothing moves until Run runs.
type Tail struct {
	cfg     Config
	log     Log
	catalog Catalog
	logger  *slog.Logger

	poke    chan struct{} // somebody new is watching
	stopped chan struct{}
	stop    sync.Once
	failing bool // Run's own

	mu      sync.Mutex
	streams int // of all watched
	watched map[hook.ID]*watched
}

// watched is a workspace that is followed.
type watched struct {
	workspace hook.ID
	streams   []*Stream     // in the order in which they were opened
	settled   int64         // up to this row nothing can come any more; unknown until known
	known     bool          //
	changed   chan struct{} // closed when settled changes
}

// New makes a tail.
func New(cfg Config, log Log, catalog Catalog, logger *slog.Logger) *Tail {
	return &Tail{
		cfg: cfg, log: log, catalog: catalog, logger: logger,
		poke: make(chan struct{}, 1), stopped: make(chan struct{}), watched: map[hook.ID]*watched{},
	}
}

// Stop ends all streams, and refuses new ones.
func (t *Tail) Stop() { t.stop.Do(func() { close(t.stopped) }) }

// Run looks as long as anybody follows, until ctx ends.
func (t *Tail) Run(ctx context.Context) error {
	var h horizon
	var looked time.Time
	wait := settleFirst
	for ctx.Err() == nil {
		workspaces := t.followed()
		if len(workspaces) == 0 {
			h = horizon{}
			select {
			case <-ctx.Done():
			case <-t.poke:
			}
			continue
		}
		rest(ctx, lookGap-time.Since(looked))
		looked = time.Now()
		next := lookEvery
		if t.look(ctx, &h, workspaces) {
			next, wait = wait, min(2*wait, settleMost)
		} else {
			wait = settleFirst
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-t.poke:
		case <-t.log.Logged():
		}
		timer.Stop()
	}
	return nil
}

// look tells who follows how far their logs are settled now, and reports whether there is
// more that will be soon.
func (t *Tail) look(ctx context.Context, h *horizon, workspaces []hook.ID) (settling bool) {
	limited, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	heads, err := t.log.LogHeads(limited, workspaces)
	if err != nil {
		if ctx.Err() == nil && !t.failing {
			t.logger.WarnContext(ctx, "tail.look", "error", err) // once for each outage
		}
		t.failing = true
		return false
	}
	t.failing = false
	settling = h.look(heads)
	t.settle(h.settled)
	return settling
}

// rest waits, unless ctx ends first.
func rest(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (t *Tail) followed() []hook.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]hook.ID, 0, len(t.watched))
	for id := range t.watched {
		ids = append(ids, id)
	}
	return ids
}

// settle tells who follows.
func (t *Tail) settle(settled map[hook.ID]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, w := range t.watched {
		seq, known := settled[id]
		if !known || (w.known && w.settled == seq) {
			continue
		}
		w.settled, w.known = seq, true
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// follow counts one more stream of its workspace.
func (t *Tail) follow(s *Stream) error {
	select {
	case <-t.stopped:
		return errStopping()
	default:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	workspace := s.query.Workspace
	if t.streams >= t.cfg.MaxStreams && !t.makeRoom(workspace) {
		return errFull("as many streams are open on this node as SALLYPORT_MAX_STREAMS allows; close some, or try again later")
	}
	w := t.watched[workspace]
	if w == nil {
		w = &watched{workspace: workspace, changed: make(chan struct{})}
		t.watched[workspace] = w
	}
	t.streams++
	s.w, w.streams = w, append(w.streams, s)
	select {
	case t.poke <- struct{}{}:
	default:
	}
	return nil
}

// makeRoom has the newest stream of the workspace with the most give way, if that workspace still
// has as many afterwards as the one that asks: it goes on from its cursor when there is room, and
// nobody takes a place back and forth. The lock is held.
func (t *Tail) makeRoom(asking hook.ID) bool {
	var most *watched
	for _, w := range t.watched {
		if most == nil || len(w.streams) > len(most.streams) {
			most = w
		}
	}
	own := 0
	if w := t.watched[asking]; w != nil {
		own = len(w.streams)
	}
	if most == nil || len(most.streams) <= own+1 {
		return false
	}
	last := most.streams[len(most.streams)-1]
	close(last.displaced)
	t.remove(last)
	return true
}

func (t *Tail) leave(s *Stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(s)
}

// remove counts a stream no longer, at most once. The lock is held.
func (t *Tail) remove(s *Stream) {
	at := slices.Index(s.w.streams, s)
	if at < 0 {
		return
	}
	t.streams--
	if s.w.streams = slices.Delete(s.w.streams, at, at+1); len(s.w.streams) == 0 {
		delete(t.watched, s.w.workspace)
	}
}

// state is how far the log is settled, and what is closed when that changes.
func (t *Tail) state(w *watched) (settled int64, known bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return w.settled, w.known, w.changed
}

func errFull(detail string) error {
	return &hook.Error{Kind: hook.KindUnavailable, Detail: detail, RetryAfter: 5 * time.Second}
}

func errDisplaced() error {
	return errFull("as many streams are open on this node as SALLYPORT_MAX_STREAMS allows, and this workspace had the most; go on from your cursor later")
}

func errStopping() error {
	return &hook.Error{Kind: hook.KindShuttingDown, Detail: "this node is stopping; go on from your cursor", RetryAfter: time.Second}
}

// horizon works out up to which row a log can have no gap any more. A row below the highest
// that can be seen may yet be committed by a transaction that was writing when that was
// looked at; when all of those have ended there is none.
type horizon struct {
	settled map[hook.ID]int64
	pending map[hook.ID]int64 // heights that wait for writers
	writers []string
}

// look takes in what was just seen, and reports whether something seen is not settled yet.
func (h *horizon) look(seen hook.LogHeads) (settling bool) {
	if h.settled == nil {
		h.settled = map[hook.ID]int64{}
	}
	for id := range h.settled {
		if last, followed := seen.Last[id]; !followed {
			delete(h.settled, id)
		} else if last < h.settled[id] {
			// The database's time was turned back. Streams that are ahead find out.
			h.settled[id] = last
			h.pending, h.writers = nil, nil
		}
	}
	h.writers = slices.DeleteFunc(h.writers, func(w string) bool { return !slices.Contains(seen.Writers, w) })
	if len(h.writers) == 0 {
		for id, height := range h.pending {
			if _, followed := seen.Last[id]; followed {
				h.settled[id] = max(height, h.settled[id])
			}
		}
		h.pending, h.writers = seen.Last, slices.Clone(seen.Writers)
	}
	for id, last := range seen.Last {
		settled, known := h.settled[id]
		if len(seen.Writers) == 0 {
			h.settled[id] = last
		} else if !known || settled < last {
			settling = true
		}
	}
	return settling
}
