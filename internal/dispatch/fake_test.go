package dispatch

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

// row is a delivery as the store has it.
type row struct {
	delivery hook.Delivery
	event    *hook.Event
	node     hook.NodeID // born claimed by
	waits    bool        // it has a due row
	due      time.Time
	heldBy   hook.NodeID
	claims   int
	trigger  hook.Trigger
}

// store is one in memory that keeps the promises of the real one for one node: guarded
// finishes, claims by due time, rescue.
type fakeStore struct {
	mu       sync.Mutex
	last     hook.NodeID
	nodes    map[hook.NodeID]bool
	rows     map[hook.ID]*row
	attempts []hook.Attempt // with what became of them
	homes    map[hook.ID]hook.NodeID
	health   map[hook.ID]hook.Health
	fail     func(call string) error // nil: none fails
	answer   func()                  // holds answers to heartbeats back, under the lock; nil: none
	rescues  int                     // calls of RescueDead
	wants    []hook.LaneWant         // of the last claim
	stale    int                     // so many finishes with effects are told to run anew
	told     []*hook.PlannedEvent    // stored as effects
	hold     hook.Hold
	looks    int // calls of Hold
}

func newFakeStore() *fakeStore {
	return &fakeStore{nodes: map[hook.NodeID]bool{}, rows: map[hook.ID]*row{}, homes: map[hook.ID]hook.NodeID{}, health: map[hook.ID]hook.Health{}}
}

// enter locks the store, unless the call fails.
func (s *fakeStore) enter(call string) (func(), error) {
	s.mu.Lock()
	if s.fail != nil {
		if err := s.fail(call); err != nil {
			s.mu.Unlock()
			return nil, err
		}
	}
	return s.mu.Unlock, nil
}

func (s *fakeStore) Register(context.Context, string, string, hook.ID) (hook.NodeID, time.Time, error) {
	leave, err := s.enter("register")
	if err != nil {
		return 0, time.Time{}, err
	}
	defer leave()
	s.last++
	s.nodes[s.last] = true
	return s.last, time.Now(), nil
}

func (s *fakeStore) Beat(_ context.Context, n hook.NodeID, _ hook.ID) (bool, time.Time, error) {
	leave, err := s.enter("beat")
	if err != nil {
		return false, time.Time{}, err
	}
	defer leave()
	alive, now := s.nodes[n], time.Now()
	if s.answer != nil {
		s.answer()
	}
	return alive, now, nil
}

// bury is what another node does to one that it takes for dead.
func (s *fakeStore) bury(n hook.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.nodes, n)
	for _, r := range s.rows {
		s.release(r, n)
	}
}

func (s *fakeStore) release(r *row, n hook.NodeID) {
	if r.node == n && r.delivery.State == hook.StateRunning {
		r.delivery.State, r.node, r.waits, r.due, r.claims, r.trigger = hook.StatePending, 0, true, time.Now(), 1, hook.TriggerRetry
	} else if r.waits && r.heldBy == n {
		r.heldBy, r.claims = 0, r.claims+1
	}
}

func (s *fakeStore) RescueDead(_ context.Context, _ hook.NodeID, _, _ time.Duration) (int, error) {
	leave, err := s.enter("rescue")
	if err != nil {
		return 0, err
	}
	defer leave()
	s.rescues++
	return 0, nil
}

func (s *fakeStore) BuryPredecessor(context.Context, hook.NodeID, string) (int, error) { return 0, nil }

func (s *fakeStore) Deregister(_ context.Context, n hook.NodeID) error {
	s.bury(n)
	return nil
}

func (s *fakeStore) Claims(_ context.Context, n hook.NodeID, floor hook.ID) (ids []hook.ID, err error) {
	leave, err := s.enter("claims")
	if err != nil {
		return nil, err
	}
	defer leave()
	for id, r := range s.rows {
		if r.node == n && r.delivery.State == hook.StateRunning && compareIDs(id, floor) >= 0 || r.waits && r.heldBy == n {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (s *fakeStore) NoteStart(_ context.Context, n hook.NodeID, id hook.ID) error {
	leave, err := s.enter("note")
	if err != nil {
		return err
	}
	defer leave()
	if r := s.rows[id]; r != nil && r.waits && r.heldBy == n {
		r.claims += hook.StartNoted
		return nil
	}
	return hook.ErrFenced
}

func (s *fakeStore) Release(_ context.Context, n hook.NodeID, ids []hook.ID) error {
	leave, err := s.enter("release")
	if err != nil {
		return err
	}
	defer leave()
	for _, id := range ids {
		s.release(s.rows[id], n)
	}
	return nil
}

func (s *fakeStore) TakeHome(_ context.Context, n hook.NodeID, target hook.ID) (hook.NodeID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.homes[target] == 0 {
		s.homes[target] = n
	}
	return s.homes[target], nil
}

func (s *fakeStore) Hold(context.Context) (hook.Hold, error) {
	leave, err := s.enter("hold")
	if err != nil {
		return hook.Hold{}, err
	}
	defer leave()
	s.looks++
	return s.hold, nil
}

func (s *fakeStore) LeaveHome(_ context.Context, n hook.NodeID, target hook.ID) error {
	leave, err := s.enter("leave home")
	if err != nil {
		return err
	}
	defer leave()
	if s.homes[target] == n {
		delete(s.homes, target)
	}
	return nil
}

func (s *fakeStore) Homes(_ context.Context, n hook.NodeID) (ids []hook.ID, err error) {
	leave, err := s.enter("homes")
	if err != nil {
		return nil, err
	}
	defer leave()
	for target, node := range s.homes {
		if node == n {
			ids = append(ids, target)
		}
	}
	return ids, nil
}

func (s *fakeStore) FlushHealth(_ context.Context, health []hook.Health) error {
	leave, err := s.enter("health")
	if err != nil {
		return err
	}
	defer leave()
	for _, h := range health {
		s.health[h.Target] = h
	}
	return nil
}

func (s *fakeStore) LoadHealth(_ context.Context, targets []hook.ID) (out []hook.Health, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range targets {
		if h, ok := s.health[t]; ok {
			out = append(out, h)
		}
	}
	return out, nil
}

func (s *fakeStore) Accept(_ context.Context, b *hook.AcceptBatch) (hook.AcceptResult, error) {
	leave, err := s.enter("accept")
	if err != nil {
		return hook.AcceptResult{}, err
	}
	defer leave()
	if !s.nodes[b.Node] {
		return hook.AcceptResult{Fenced: true}, nil
	}
	for _, e := range b.Events {
		for _, d := range e.Deliveries {
			r := &row{event: &e.Event, delivery: hook.Delivery{ID: d.ID, Workspace: e.Event.Workspace, Target: d.Target, EventKey: e.Event.Key, State: hook.StatePending, Test: d.Test}}
			if d.Born {
				r.delivery.State, r.node = hook.StateRunning, b.Node
			} else {
				r.waits, r.due = true, time.Now()
			}
			s.rows[d.ID] = r
		}
	}
	return hook.AcceptResult{}, nil
}

func (s *fakeStore) DuePage(context.Context, hook.ID) (page []hook.DueTarget, last bool, now time.Time, err error) {
	leave, err := s.enter("page")
	if err != nil {
		return nil, false, time.Time{}, err
	}
	defer leave()
	first := map[hook.ID]hook.DueTarget{}
	for _, r := range s.rows {
		if !r.waits || r.heldBy != 0 {
			continue
		}
		if t, ok := first[r.delivery.Target]; !ok || r.due.Before(t.DueAt) {
			first[r.delivery.Target] = hook.DueTarget{Target: r.delivery.Target, Workspace: r.delivery.Workspace, DueAt: r.due}
		}
	}
	for _, t := range first {
		page = append(page, t)
	}
	return page, true, time.Now(), nil
}

func (s *fakeStore) Claim(_ context.Context, n hook.NodeID, wants []hook.LaneWant, room int64) (jobs []*hook.Job, full bool, err error) {
	leave, err := s.enter("claim")
	if err != nil {
		return nil, false, err
	}
	defer leave()
	if !s.nodes[n] {
		return nil, false, hook.ErrFenced
	}
	s.wants = wants
	bytes := int64(0)
	for _, w := range wants {
		var due []*row
		for _, r := range s.rows {
			if r.delivery.Target == w.Target && r.waits && r.heldBy == 0 && !r.due.After(time.Now()) && !r.due.Before(w.Floor) {
				due = append(due, r)
			}
		}
		slices.SortFunc(due, func(a, b *row) int { return a.due.Compare(b.due) })
		for _, r := range due[:min(len(due), w.N)] {
			if bytes += int64(len(r.event.Entity)); bytes > room && len(jobs) > 0 {
				return jobs, true, nil
			}
			r.heldBy = n
			jobs = append(jobs, &hook.Job{Node: n, Delivery: r.delivery, Event: r.event, Claimed: true, Claims: r.claims, DueAt: r.due, Trigger: r.trigger})
		}
	}
	return jobs, false, nil
}

func (s *fakeStore) Finish(_ context.Context, n hook.NodeID, batch []*hook.Finish) ([]bool, error) {
	leave, err := s.enter("finish")
	if err != nil {
		return nil, err
	}
	defer leave()
	held := make([]bool, len(batch))
	for i, f := range batch {
		r := s.rows[f.Job.Delivery.ID]
		if f.Job.Claimed {
			held[i] = r.waits && r.heldBy == n
		} else {
			held[i] = r.delivery.State == hook.StateRunning && r.node == n
		}
		if f.Attempt != nil {
			a := *f.Attempt
			if !held[i] {
				a.Outcome = hook.OutcomeSuperseded
			}
			s.attempts = append(s.attempts, a)
		}
		if !held[i] {
			continue
		}
		r.delivery.State, r.delivery.Reason, r.delivery.Attempts, r.node, r.heldBy = f.State, f.Reason, f.Attempts, 0, 0
		r.delivery.Step, r.delivery.Base = f.Progress()
		if r.waits = f.State == hook.StatePending; r.waits {
			r.due, r.trigger, r.claims = time.Now().Add(f.Wait), f.Trigger, 0
		}
	}
	return held, nil
}

// FinishEffects keeps the events of effects, and nothing else of them.
func (s *fakeStore) FinishEffects(ctx context.Context, n hook.NodeID, batch []*hook.Finish) ([]hook.Effect, error) {
	fates := make([]hook.Effect, len(batch))
	var fresh []*hook.Finish
	var index []int
	for i, f := range batch {
		s.mu.Lock()
		stale := s.stale > 0
		if stale {
			s.stale--
		}
		s.mu.Unlock()
		if stale {
			fates[i] = hook.EffectStale
			continue
		}
		fresh, index = append(fresh, f), append(index, i)
	}
	held, err := s.Finish(ctx, n, fresh)
	for i, h := range held {
		if !h {
			fates[index[i]] = hook.EffectLost
			continue
		}
		s.mu.Lock()
		s.told = append(s.told, fresh[i].Effects.Events...)
		s.mu.Unlock()
	}
	return fates, err
}

// outcomes lists what the attempts of a delivery ended with.
func (s *fakeStore) outcomes(id hook.ID) (all []hook.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.attempts {
		if a.Delivery == id {
			all = append(all, a.Outcome)
		}
	}
	return all
}

// recorded lists all attempts.
func (s *fakeStore) recorded() []hook.Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts)
}

// state is a delivery's state and reason.
func (s *fakeStore) state(id hook.ID) (hook.State, hook.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.rows[id].delivery
	return d.State, d.Reason
}

// waiting stores a delivery that is due now and was rescued so often.
func (s *fakeStore) waiting(id hook.ID, t *hook.Target, claims int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[id] = &row{
		event:    &hook.Event{Key: id, Workspace: t.Workspace, ID: id.String(), Type: "thing"},
		delivery: hook.Delivery{ID: id, Workspace: t.Workspace, Target: t.ID, EventKey: id, State: hook.StatePending},
		waits:    true, due: time.Now(), claims: claims, trigger: hook.TriggerRetry,
	}
}

type senderFunc func(ctx context.Context, t *hook.Target, j *hook.Job, number int) hook.Attempt

func (f senderFunc) Send(ctx context.Context, t *hook.Target, j *hook.Job, number int) hook.Attempt {
	return f(ctx, t, j, number)
}

// fakeOwner remembers what it was told.
type fakeOwner struct {
	mu        sync.Mutex
	suspended map[hook.ID]string
	trouble   hook.Trouble // of the last suspension
	unable    int          // how many suspensions fail first
	announced []hook.Notice
}

func (o *fakeOwner) Suspend(_ context.Context, _, webhook hook.ID, reason string, t hook.Trouble) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unable > 0 {
		o.unable--
		return false, hook.Errorf(hook.KindUnavailable, "the database is away")
	}
	_, already := o.suspended[webhook]
	o.suspended[webhook], o.trouble = reason, t
	return !already, nil
}

func (o *fakeOwner) Announce(_ context.Context, _ hook.ID, n hook.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.announced = append(o.announced, n)
}

func (*fakeOwner) Holds(filter string, _ *hook.Event) (bool, error) { return filter == "yes", nil }

type noMetrics struct{}

func (noMetrics) Attempt(hook.Outcome, time.Duration) {}
func (noMetrics) Accepted(int, int)                   {}
func (noMetrics) Published(hook.ID, int, int)         {}
func (noMetrics) Tried(hook.ID)                       {}
func (noMetrics) Ended(hook.ID, hook.State)           {}
func (noMetrics) Delivered(time.Duration)             {}
func (noMetrics) FinishBatch(int, time.Duration)      {}
func (noMetrics) InFlight(int, int)                   {}
func (noMetrics) Rescued(int)                         {}
func (noMetrics) Hold(bool)                           {}

// views is a catalog of one workspace.
type views struct{ v *hook.View }

func (c views) View(context.Context, hook.ID) (*hook.View, error) { return c.v, nil }
func (c views) Cached(hook.ID) *hook.View                         { return c.v }

func (c views) Current(context.Context, hook.ID) (*hook.View, error) { return c.v, nil }

// bench is a dispatcher with fakes around it. It lives in a synctest bubble.
type bench struct {
	t      *testing.T
	d      *Dispatcher
	store  *fakeStore
	owner  *fakeOwner
	target *hook.Target
	view   *hook.View
	ids    *hook.IDs
	stop   func()

	mu    sync.Mutex
	calls []sent
}

// sent is one call of the sender.
type sent struct {
	delivery hook.ID
	at       time.Time
}

// sends lists the calls of the sender so far.
func (b *bench) sends() []sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// start runs a dispatcher of one target until the test ends.
func start(t *testing.T, target *hook.Target, send senderFunc, change func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, store: newFakeStore(), owner: &fakeOwner{suspended: map[hook.ID]string{}}, target: target, ids: hook.NewIDs()}
	target.ID, target.Workspace = b.ids.New(), b.ids.New()
	if target.Kind == "" {
		target.Kind = hook.TargetWebhook
	}
	if target.State == "" {
		target.State = hook.TargetActive
	}
	view := hook.NewView(hook.Snapshot{Workspace: hook.Workspace{ID: target.Workspace}, Version: 1})
	view.Targets[target.ID] = target
	b.view = view
	cfg := Config{
		Instance: "i", Name: "n", Heartbeat: 2 * time.Second, DeadAfter: 10 * time.Second, MaxSlots: 100, HandOver: 1 << 20,
		Grace: 5 * time.Second, SuspendAfter: 120 * time.Hour, BreakAfter: 10, Stopping: context.Canceled,
	}
	if change != nil {
		change(&cfg)
	}
	recorded := senderFunc(func(ctx context.Context, t *hook.Target, j *hook.Job, n int) hook.Attempt {
		b.mu.Lock()
		b.calls = append(b.calls, sent{j.Delivery.ID, time.Now()})
		b.mu.Unlock()
		return send(ctx, t, j, n)
	})
	b.d = New(cfg, b.store, views{view}, recorded, b.owner, noMetrics{}, b.ids, func() float64 { return 0.5 },
		discard)
	if err := b.d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.d.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(b.stop)
	b.d.Waiting(target) // the first delivery to a target asks for its health
	synctest.Wait()
	return b
}

// publish stores a delivery as publishing does and hands it over; ok is false if the
// dispatcher had no room, and the delivery waits.
func (b *bench) publish() (id hook.ID, ok bool) {
	b.t.Helper()
	node := b.d.Node()
	id, ok = b.d.Reserve(b.target, 512)
	if !ok {
		id = b.ids.New()
	}
	e := hook.Event{Key: id, Workspace: b.target.Workspace, ID: id.String(), Type: "thing"}
	res, err := b.store.Accept(b.t.Context(), &hook.AcceptBatch{Node: node, Events: []*hook.PlannedEvent{{
		Event: e, Deliveries: []hook.PlannedDelivery{{ID: id, Target: b.target.ID, Born: ok, Trigger: hook.TriggerFirst}},
	}}})
	if err != nil || res.Fenced {
		b.t.Fatalf("accept: %v, fenced %v", err, res.Fenced)
	}
	if !ok {
		b.d.Waiting(b.target)
		return id, false
	}
	b.d.HandOver(&hook.Job{Node: node, Event: &e, Trigger: hook.TriggerFirst,
		Delivery: hook.Delivery{ID: id, Workspace: e.Workspace, EventKey: e.Key, Target: b.target.ID, State: hook.StateRunning}})
	return id, true
}

func success(context.Context, *hook.Target, *hook.Job, int) hook.Attempt {
	return hook.Attempt{Outcome: hook.OutcomeSucceeded, Response: &hook.ReceivedResponse{Status: 200}}
}

func failure(context.Context, *hook.Target, *hook.Job, int) hook.Attempt {
	return hook.Attempt{Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassStatus, Response: &hook.ReceivedResponse{Status: 503}}
}

func lookup(d *Dispatcher, target hook.ID) (held, inHand int, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.lanes[target]; l != nil {
		held = l.held
	}
	return held, len(d.held), d.bytes
}

var discard = slog.New(slog.DiscardHandler)
