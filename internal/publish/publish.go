// Package publish accepts events: it checks them against the catalogue, matches them
// to targets and stores event and deliveries in one transaction, many requests at a
// time. A receipt means committed.
package publish

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// Store is the part of the store that accepts events.
type Store interface {
	// Accept stores a batch in one transaction, see hook.AcceptResult.
	Accept(ctx context.Context, b *hook.AcceptBatch) (hook.AcceptResult, error)
	// ForgetEventIDs lets client ids be used again whose event is older than before.
	ForgetEventIDs(ctx context.Context, workspace hook.ID, ids []string, before time.Time) error
	// AddEventTypes adds names to the catalogue that are not there.
	AddEventTypes(ctx context.Context, workspace hook.ID, names []string) error
	// TouchTypes remembers when event types, by id, were published last.
	TouchTypes(ctx context.Context, published map[hook.ID]time.Time) error
}

// Catalog gives the configuration to match against.
type Catalog interface {
	View(ctx context.Context, workspace hook.ID) (*hook.View, error)
	Refresh(ctx context.Context, workspace hook.ID) error
	// Current returns the view of a workspace as the store has it now.
	Current(ctx context.Context, workspace hook.ID) (*hook.View, error)
	InstallVersion() int64
	Valid(ctx context.Context, p hook.Principal) (bool, error)
}

// Dispatcher takes deliveries that were born claimed by this node.
type Dispatcher interface {
	// Pace returns when outcomes are stored about as fast as they come, or after a few
	// milliseconds: accepting more meanwhile would only lengthen the queue.
	Pace()
	// Node is the id to claim under.
	Node() hook.NodeID
	// Reserve makes room for a delivery of that many bytes in the target's lane and
	// registers an id for it. Without room, ok is false and the id is not registered:
	// the delivery must wait in the store.
	Reserve(t *hook.Target, bytes int) (id hook.ID, ok bool)
	// Cancel gives back what Reserve made room for.
	Cancel(target, id hook.ID, bytes int)
	// HandOver starts a reserved delivery that is committed.
	HandOver(j *hook.Job)
	// Watch tells of the outcomes of a delivery on this node, until Unwatch.
	Watch(id hook.ID, told func(*hook.Finish))
	Unwatch(id hook.ID)
	// Waiting tells that deliveries of a target were stored to wait.
	Waiting(t *hook.Target)
	// Fenced tells that the store declared this node dead; it returns once the node
	// is registered again, under a new id.
	Fenced(ctx context.Context, node hook.NodeID) error
}

// Metrics counts what publishing does.
type Metrics interface {
	Accepted(events, deliveries int)
	// Published counts the same by workspace.
	Published(workspace hook.ID, events, deliveries int)
	AcceptBatch(events int, took time.Duration)
}

// Config bounds publishing.
type Config struct {
	Window      time.Duration // how long a client's event id is remembered
	QueueBytes  int64         // waiting to be stored; more answers queue_full
	BatchBytes  int           // of one transaction; a larger event goes alone
	BatchEvents int
	Patience    time.Duration // how long a caller waits for the store
	IsDataError func(error) bool
	// Room reports that there is room on the disk; nil: always.
	Room func() error
	// Backlog is how many deliveries of a workspace wait, nil: not known.
	Backlog func(workspace hook.ID) int
	// Conditions evaluates the filters of targets. Nil lets none of them pass.
	Conditions Conditions
}

// DefaultConfig is what pipeline measurements suggest: batches of 4 MB keep one
// tenant's large events from delaying the others for long.
func DefaultConfig() Config {
	return Config{Window: 7 * 24 * time.Hour, QueueBytes: 64 << 20, BatchBytes: 4 << 20, BatchEvents: 512, Patience: 20 * time.Second}
}

// Publisher accepts events. Use New, and Run its writer.
type Publisher struct {
	cfg      Config
	store    Store
	catalog  Catalog
	dispatch Dispatcher
	metrics  Metrics
	ids      *hook.IDs
	log      *slog.Logger
	schemas  *schemas
	rates    rates
	queue    *queue
	types    typeTimes
	adding   sync.Map // of types to the catalogue: workspace -> *sync.Mutex
}

// New joins the parts.
func New(cfg Config, s Store, c Catalog, d Dispatcher, m Metrics, ids *hook.IDs, log *slog.Logger) *Publisher {
	return &Publisher{
		cfg: cfg, store: s, catalog: c, dispatch: d, metrics: m, ids: ids, log: log,
		schemas: newSchemas(), queue: newQueue(cfg.QueueBytes),
	}
}

// Origin says who publishes and from where.
type Origin struct {
	Principal hook.Principal // zero for events of our own
	Source    hook.Source
	Hops      int
}

// Publish stores events and answers each: with a receipt, or with its own problem. The
// items' bytes must not change afterwards. The error is for all of them; when it is
// unavailable the events may still be stored, and the same ids sent again find out.
func (p *Publisher) Publish(ctx context.Context, workspace hook.ID, o Origin, items []hook.NewEvent) ([]hook.Receipt, error) {
	if p.cfg.Room != nil {
		if err := p.cfg.Room(); err != nil {
			return nil, err
		}
	}
	view, err := p.catalog.View(ctx, workspace)
	if err != nil {
		return nil, err
	}
	if err := p.limits(view, len(items)); err != nil {
		return nil, err
	}
	if view, err = p.addTypes(ctx, view, items); err != nil {
		return nil, err
	}
	r := &request{workspace: workspace, origin: o, receipts: make([]hook.Receipt, len(items)), done: make(chan struct{})}
	pending := make([]*item, 0, len(items))
	current := false // view is no older than this call
	for i := range items {
		it := &item{request: r, index: i, event: items[i]}
		if it.event.Timestamp.IsZero() {
			it.event.Timestamp = p.ids.Now()
			it.stamped = true
		}
		it.event.Timestamp = it.event.Timestamp.UTC().Truncate(time.Millisecond)
		err := p.check(ctx, view, it)
		if err != nil && !current {
			// What a copy refuses may be allowed since a change through another node.
			fresh, ferr := p.catalog.Current(ctx, workspace)
			if ferr != nil {
				return nil, ferr
			}
			if fresh.Version != view.Version {
				view = fresh
				err = p.check(ctx, view, it)
			}
			current = true
		}
		if err != nil {
			r.receipts[i] = hook.Receipt{ID: it.event.ID, Type: it.event.Type, Problem: err}
			continue
		}
		p.judgeEarly(view, it)
		it.version = view.Version
		it.size = len(it.event.Entity) + len(it.event.EntityURL) + 512
		if it.event.ID != "" {
			it.hash = contentHash(it)
		}
		pending = append(pending, it)
	}
	if len(pending) == 0 {
		return r.receipts, nil
	}
	r.left = len(pending)
	if err := p.queue.put(workspace, pending); err != nil {
		return nil, err
	}
	timer := time.NewTimer(p.cfg.Patience)
	defer timer.Stop()
	select {
	case <-r.done:
		for _, it := range pending {
			if x := &r.receipts[it.index]; x.Problem == nil {
				x.Warnings = it.warnings
			}
		}
		return r.receipts, r.err
	case <-ctx.Done():
		return nil, &hook.Error{Kind: hook.KindUnavailable, Detail: "the caller left before the store answered", RetryAfter: time.Second, Err: ctx.Err()}
	case <-timer.C:
		return nil, &hook.Error{Kind: hook.KindUnavailable, Detail: "the store did not answer in time; the event may still be accepted, so send it again with the same id", RetryAfter: 2 * time.Second}
	}
}

// check looks the type up and holds the entity against its schema. A type that is not in the
// catalogue of a workspace that is not strict has none.
func (p *Publisher) check(ctx context.Context, v *hook.View, it *item) error {
	name := it.event.Type
	if hook.IsOperational(name) {
		if it.request.origin.Source.Kind == hook.SourceSystem {
			return nil
		}
		return hook.Invalid([]hook.Fault{{Field: "type", Code: "invalid_format", Detail: name + " is published by Sallyport itself; choose another name"}})
	}
	t := v.Types[name]
	if t == nil {
		if v.Workspace.Strict {
			return hook.Invalid([]hook.Fault{{Field: "type", Code: "unknown_event_type",
				Detail: name + " is not in the catalogue of this strict workspace; create it with PUT /v1/event-types/" + name}})
		}
		return nil
	}
	warnings, first, err := p.schemas.check(t, it.event.Entity)
	it.warnings = warnings
	if first { // not what: an entity, with the names of its fields, is nothing for the log
		p.log.WarnContext(ctx, "publish.schema_mismatch", "workspace_id", v.Workspace.ID, "event_type", name)
	}
	return err
}

// maxTypes is up to how many types publishing adds to a catalogue. Each node has them all in
// memory and reads them anew with every change; who has a type for each order has no
// catalogue.
const maxTypes = 10_000

// addTypes puts the new types of a call into the catalogue, unless the workspace is strict,
// and returns the view that has them. One call of a workspace at a time: many publishers
// begin with the same new type at once, and all but the first would only wait for a lock in
// the store to find it there.
func (p *Publisher) addTypes(ctx context.Context, v *hook.View, items []hook.NewEvent) (*hook.View, error) {
	if len(newTypes(v, items)) == 0 {
		return v, nil
	}
	workspace := v.Workspace.ID
	lock, _ := p.adding.LoadOrStore(workspace, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	v, err := p.catalog.View(ctx, workspace)
	if err != nil {
		return nil, err
	}
	names := newTypes(v, items)
	if len(names) == 0 {
		return v, nil
	}
	if err := p.store.AddEventTypes(ctx, workspace, names); err != nil {
		return nil, err
	}
	if err := p.catalog.Refresh(ctx, workspace); err != nil {
		return nil, err
	}
	return p.catalog.View(ctx, workspace)
}

// newTypes are the types of events that publishing adds to a catalogue.
func newTypes(v *hook.View, items []hook.NewEvent) (names []string) {
	if v.Workspace.Strict {
		return nil
	}
	room := maxTypes - len(v.Types)
	for i := range items {
		name := items[i].Type
		if len(names) < room && v.Types[name] == nil && !hook.IsOperational(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// contentHash tells a repeat of an event from another one with its id. A timestamp
// that the publisher left out is no content.
func contentHash(it *item) (sum [32]byte) {
	h := sha256.New()
	e := &it.event
	field := func(b string) {
		h.Write(strconv.AppendInt(nil, int64(len(b)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(b))
	}
	field(e.Type)
	field(e.EntityID.Text)
	field(strconv.FormatBool(e.EntityID.Number))
	field(strconv.FormatBool(e.Entity != nil))
	h.Write(strconv.AppendInt(nil, int64(len(e.Entity)), 10))
	h.Write([]byte{':'})
	h.Write(e.Entity)
	field(e.EntityURL)
	if !it.stamped {
		field(strconv.FormatInt(e.Timestamp.UnixMilli(), 10))
	}
	h.Sum(sum[:0])
	return sum
}
