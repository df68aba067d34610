package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// fakeStore answers batches as a test wants and remembers them.
type fakeStore struct {
	mu      sync.Mutex
	batches []*hook.AcceptBatch // as they were given
	accept  func(n int, b *hook.AcceptBatch) (hook.AcceptResult, error)
	added   [][]string
	forgot  []string
}

// Accept copies the batch: the publisher goes on using its own.
func (s *fakeStore) Accept(_ context.Context, b *hook.AcceptBatch) (hook.AcceptResult, error) {
	c := *b
	c.Events = nil
	for _, e := range b.Events {
		pe := *e
		pe.Deliveries = append([]hook.PlannedDelivery(nil), e.Deliveries...)
		c.Events = append(c.Events, &pe)
	}
	s.mu.Lock()
	s.batches = append(s.batches, &c)
	n := len(s.batches)
	s.mu.Unlock()
	if s.accept == nil {
		return hook.AcceptResult{}, nil
	}
	return s.accept(n, b)
}

func (s *fakeStore) ForgetEventIDs(_ context.Context, _ hook.ID, ids []string, _ time.Time) error {
	s.forgot = append(s.forgot, ids...)
	return nil
}

func (s *fakeStore) AddEventTypes(_ context.Context, _ hook.ID, names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added = append(s.added, names)
	return nil
}

func (s *fakeStore) TouchTypes(context.Context, map[hook.ID]time.Time) error { return nil }

// fakeDispatch has room for everything, or nothing.
type fakeDispatch struct {
	mu       sync.Mutex
	ids      *hook.IDs
	node     hook.NodeID
	full     bool
	reserved map[hook.ID]bool
	watched  map[hook.ID]bool
	handed   []*hook.Job
	waiting  int
	fenced   int
}

func (d *fakeDispatch) Pace() {}

func (d *fakeDispatch) Watch(id hook.ID, _ func(*hook.Finish)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched[id] = true
}

func (d *fakeDispatch) Unwatch(id hook.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.watched, id)
}

func (d *fakeDispatch) Node() hook.NodeID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.node
}

func (d *fakeDispatch) Reserve(*hook.Target, int) (hook.ID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return hook.NoID, false
	}
	id := d.ids.New()
	d.reserved[id] = true
	return id, true
}

func (d *fakeDispatch) Cancel(_, id hook.ID, _ int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.reserved, id)
}

func (d *fakeDispatch) HandOver(j *hook.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.reserved, j.Delivery.ID)
	d.handed = append(d.handed, j)
}

func (d *fakeDispatch) Waiting(*hook.Target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting++
}

func (d *fakeDispatch) Fenced(context.Context, hook.NodeID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fenced++
	d.node++
	return nil
}

// fakeCatalog holds a view for every workspace; stored is what a reload finds.
type fakeCatalog struct {
	mu      sync.Mutex
	copied  map[hook.ID]*hook.View
	stored  map[hook.ID]*hook.View
	revoked bool
}

func (c *fakeCatalog) View(_ context.Context, ws hook.ID) (*hook.View, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.copied[ws]; v != nil {
		return v, nil
	}
	return nil, hook.NotFound("workspace", ws.String())
}

func (c *fakeCatalog) Refresh(_ context.Context, ws hook.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.stored[ws]; v != nil {
		c.copied[ws] = v
	}
	return nil
}

func (c *fakeCatalog) Current(ctx context.Context, ws hook.ID) (*hook.View, error) {
	if err := c.Refresh(ctx, ws); err != nil {
		return nil, err
	}
	return c.View(ctx, ws)
}

func (c *fakeCatalog) InstallVersion() int64 { return 1 }

func (c *fakeCatalog) Valid(context.Context, hook.Principal) (bool, error) { return !c.revoked, nil }

type noMetrics struct{}

func (noMetrics) Accepted(int, int)              {}
func (noMetrics) Published(hook.ID, int, int)    {}
func (noMetrics) AcceptBatch(int, time.Duration) {}

// bench is a publisher with fakes around it and one workspace with one webhook for
// everything. It lives in a synctest bubble.
type bench struct {
	t         *testing.T
	p         *Publisher
	store     *fakeStore
	dispatch  *fakeDispatch
	catalog   *fakeCatalog
	workspace hook.ID
	ids       *hook.IDs
}

var errData = errors.New("a data error")

func start(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	ids := hook.NewIDs()
	b := &bench{t: t, ids: ids, store: &fakeStore{}, workspace: ids.New(),
		dispatch: &fakeDispatch{ids: ids, node: 1, reserved: map[hook.ID]bool{}, watched: map[hook.ID]bool{}},
		catalog:  &fakeCatalog{copied: map[hook.ID]*hook.View{}, stored: map[hook.ID]*hook.View{}}}
	b.catalog.copied[b.workspace] = b.view(b.workspace, 1, "thing")
	cfg := DefaultConfig()
	cfg.IsDataError = func(err error) bool { return errors.Is(err, errData) }
	if change != nil {
		change(&cfg)
	}
	b.p = New(cfg, b.store, b.catalog, b.dispatch, noMetrics{}, ids, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := len(b.dispatch.reserved); n > 0 {
			t.Errorf("%d reservations were neither used nor given back", n)
		}
	})
	return b
}

// view is a workspace with a webhook for each of these types, which are in its
// catalogue.
func (b *bench) view(ws hook.ID, version int64, types ...string) *hook.View {
	s := hook.Snapshot{Workspace: hook.Workspace{ID: ws, Strict: true}, Version: version, Types: map[string]*hook.EventType{}}
	for _, typ := range types {
		w := &hook.Webhook{ID: b.ids.New(), Workspace: ws}
		w.Enabled, w.EventTypes = true, []string{typ}
		s.Webhooks = append(s.Webhooks, w)
		s.Types[typ] = &hook.EventType{ID: b.ids.New(), Name: typ}
	}
	return hook.NewView(s)
}

func things(n int) []hook.NewEvent {
	out := make([]hook.NewEvent, n)
	for i := range out {
		out[i] = hook.NewEvent{Type: "thing", Entity: []byte(`{"n":1}`)}
	}
	return out
}

func (b *bench) publish(events []hook.NewEvent) ([]hook.Receipt, error) {
	return b.p.Publish(b.t.Context(), b.workspace, Origin{Principal: hook.Principal{Key: b.ids.New()}}, events)
}
