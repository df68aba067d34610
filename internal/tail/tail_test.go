package tail

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

var ws = hook.ID{1}

func TestHorizon(t *testing.T) {
	t.Parallel()
	type step struct {
		last     int64
		writers  string // one letter each
		settled  int64  // -1: not known
		settling bool
	}
	for name, steps := range map[string][]step{
		"nobody writes": {{last: 5, settled: 5}, {last: 9, settled: 9}},
		"what was seen while somebody wrote is settled when he has ended": {
			{5, "a", -1, true}, {8, "b", 5, true}, {9, "c", 8, true}, {9, "", 9, false},
		},
		"one that hangs holds back what came before him, and what came after": {
			{5, "a", -1, true}, {8, "ab", -1, true}, {9, "ac", -1, true}, {9, "c", 5, true}, {9, "d", 9, false},
		},
		"writers that come and go do not hold back what was settled": {
			{last: 5, settled: 5}, {5, "a", 5, false}, {6, "ab", 5, true}, {6, "b", 5, true}, {7, "c", 6, true}, {7, "", 7, false},
		},
		"when the database's time was turned back": {
			{last: 9, settled: 9}, {last: 4, settled: 4}, {6, "a", 4, true}, {6, "", 6, false},
		},
		"turned back while something was pending": {
			{last: 9, settled: 9}, {12, "a", 9, true}, {4, "b", 4, false}, {5, "c", 4, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h horizon
			for i, s := range steps {
				seen := hook.LogHeads{Last: map[hook.ID]int64{ws: s.last}}
				for _, w := range s.writers {
					seen.Writers = append(seen.Writers, string(w))
				}
				settling := h.look(seen)
				got, known := h.settled[ws]
				if !known {
					got = -1
				}
				if got != s.settled || settling != s.settling {
					t.Fatalf("step %d: settled %d (settling %v), want %d (%v)", i, got, settling, s.settled, s.settling)
				}
			}
		})
	}
}

// fakeLog has one event a row.
type fakeLog struct {
	logged chan struct{}

	mu      sync.Mutex
	types   []string // row n+1 has the n-th
	writers []string
	err     error
	checks  int
	bad     error
}

func (l *fakeLog) Logged() <-chan struct{} { return l.logged }

func (l *fakeLog) add(types ...string) {
	l.mu.Lock()
	l.types = append(l.types, types...)
	l.mu.Unlock()
	select {
	case l.logged <- struct{}{}:
	default:
	}
}

func (l *fakeLog) LogHeads(context.Context, []hook.ID) (hook.LogHeads, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return hook.LogHeads{Last: map[hook.ID]int64{ws: int64(len(l.types))}, Writers: slices.Clone(l.writers)}, l.err
}

func at(seq int64) hook.Position {
	if seq == 0 {
		return hook.Position{}
	}
	return hook.Position{Seq: seq, Index: 1, Key: hook.ID{15: byte(seq)}}
}

func (l *fakeLog) LogPage(_ context.Context, _ hook.ID, after hook.Position, upTo int64, limit, _ int, want func(string) bool) (hook.LogPage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := hook.LogPage{Next: after}
	for seq := after.Seq + 1; seq <= upTo && p.Read < limit; seq++ {
		p.Read++
		p.Next = at(seq)
		if typ := l.types[seq-1]; want(typ) {
			e := hook.Event{Type: typ, Key: hook.ID{15: byte(seq)}}
			if strings.HasPrefix(typ, "incoming.") {
				e.Source.Kind = hook.SourceIncoming
			}
			p.Events = append(p.Events, hook.LoggedEvent{Event: e, At: at(seq), Logged: time.Unix(seq, 0)})
		}
	}
	return p, l.err
}

func (l *fakeLog) LogStart(context.Context, hook.ID, time.Time, int64) (hook.Position, error) {
	return hook.Position{}, nil
}

func (l *fakeLog) LogEnd(_ context.Context, _ hook.ID, upTo int64) (hook.Position, error) {
	return at(upTo), nil
}

func (l *fakeLog) CheckPosition(context.Context, hook.ID, hook.Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checks++
	return l.bad
}

type fakeCatalog struct {
	mu   sync.Mutex
	view *hook.View
}

func (c *fakeCatalog) View(context.Context, hook.ID) (*hook.View, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view, nil
}

func (c *fakeCatalog) set(webhooks ...*hook.Webhook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view = hook.NewView(hook.Snapshot{Webhooks: webhooks})
}

func webhook(id hook.ID, code, filter string, types ...string) *hook.Webhook {
	return &hook.Webhook{ID: id, WebhookSpec: hook.WebhookSpec{Code: code, Filter: filter, EventTypes: types}}
}

type world struct {
	*Tail
	log     *fakeLog
	catalog *fakeCatalog
}

// run runs a test in a bubble with a tail that runs.
func run(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{log: &fakeLog{logged: make(chan struct{}, 1)}, catalog: &fakeCatalog{}}
		w.catalog.set()
		w.Tail = New(Config{MaxStreams: 2, Holds: func(filter string, e *hook.Event) (bool, error) {
			if filter == "broken" {
				return true, errors.New("broken")
			}
			return filter == e.Type, nil
		}}, w.log, w.catalog, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		test(t, w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) open(t *testing.T, q hook.StreamQuery) *Stream {
	t.Helper()
	q.Workspace = ws
	s, err := w.Open(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// next returns the types of the next page.
func next(t *testing.T, s *Stream, wait time.Duration) []string {
	t.Helper()
	page, err := s.Next(t.Context(), wait, 100, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range page.Events {
		types = append(types, e.Type)
	}
	return types
}

func TestWhatComesIsSeenAtOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.log.add("old")
		s := w.open(t, hook.StreamQuery{})
		defer s.Close()
		if got := next(t, s, time.Minute); got != nil {
			t.Errorf("within a minute came %q, though it began after that", got)
		}
		began := time.Now()
		time.AfterFunc(time.Hour, func() { w.log.add("new") })
		if got := next(t, s, 2*time.Hour); !slices.Equal(got, []string{"new"}) || time.Since(began) > time.Hour+lookGap {
			t.Errorf("got %q after %s", got, time.Since(began))
		}
	})
}

func TestNothingPassesATransactionThatIsOpen(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		first := hook.Position{}
		s := w.open(t, hook.StreamQuery{From: &first})
		defer s.Close()
		w.log.mu.Lock()
		w.log.writers = []string{"1/7"}
		w.log.mu.Unlock()
		w.log.add("committed while 1/7 is open")
		if got := next(t, s, time.Minute); got != nil {
			t.Errorf("got %q", got)
		}
		w.log.mu.Lock()
		w.log.writers = []string{"1/8"}
		w.log.mu.Unlock()
		began := time.Now()
		if got := next(t, s, time.Minute); len(got) != 1 || time.Since(began) > 2*settleMost {
			t.Errorf("got %q after %s", got, time.Since(began))
		}
	})
}

func TestNowIsWaitedForAndATimeIsNot(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.log.add("a", "b")
		w.log.writers = []string{"1/7"}
		s := w.open(t, hook.StreamQuery{Since: time.Unix(2, 0)})
		defer s.Close()
		if _, err := w.Open(t.Context(), hook.StreamQuery{Workspace: ws}); hook.KindOf(err) != hook.KindUnavailable {
			t.Error(err)
		}
		time.AfterFunc(time.Second, func() {
			w.log.mu.Lock()
			defer w.log.mu.Unlock()
			w.log.writers = nil
		})
		now := w.open(t, hook.StreamQuery{})
		defer now.Close()
		if now.At() != at(2) {
			t.Errorf("now is at %+v", now.At())
		}
		if got := next(t, s, time.Minute); !slices.Equal(got, []string{"b"}) {
			t.Errorf("since then came %q", got)
		}
	})
}

func TestFilters(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.log.add("order.paid", "stock.moved", hook.TypeWebhookSuspended, "order.sent", "incoming.erp")
		w.catalog.set(webhook(hook.ID{9}, "erp", "", "order.*"),
			webhook(hook.ID{8}, "picky", "order.sent", "*"),
			webhook(hook.ID{7}, "broken", "broken", "*"), webhook(hook.ID{6}, "all", "", "*"))
		for name, c := range map[string]struct {
			q    hook.StreamQuery
			want []string
		}{
			"nothing asked for":    {hook.StreamQuery{}, []string{"order.paid", "stock.moved", hook.TypeWebhookSuspended, "order.sent", "incoming.erp"}},
			"all but operational":  {hook.StreamQuery{EventTypes: []string{"*"}}, []string{"order.paid", "stock.moved", "order.sent", "incoming.erp"}},
			"no items of doors":    {hook.StreamQuery{Webhook: "all"}, []string{"order.paid", "stock.moved", "order.sent"}},
			"named":                {hook.StreamQuery{EventTypes: []string{hook.TypeWebhookSuspended, "order.paid"}}, []string{"order.paid", hook.TypeWebhookSuspended}},
			"a webhook by code":    {hook.StreamQuery{Webhook: "ERP"}, []string{"order.paid", "order.sent"}},
			"a webhook by id":      {hook.StreamQuery{Webhook: hook.ID{9}.String()}, []string{"order.paid", "order.sent"}},
			"its filter":           {hook.StreamQuery{Webhook: "picky"}, []string{"order.sent"}},
			"a filter that breaks": {hook.StreamQuery{Webhook: "broken"}, nil},
			"both":                 {hook.StreamQuery{Webhook: "erp", EventTypes: []string{"order.sent"}}, []string{"order.sent"}},
			"a time":               {hook.StreamQuery{Since: time.Unix(3, 0)}, []string{hook.TypeWebhookSuspended, "order.sent", "incoming.erp"}},
		} {
			c.q.Workspace = ws
			if c.q.Since.IsZero() {
				c.q.From = &hook.Position{}
			}
			s := w.open(t, c.q)
			if got := next(t, s, 0); !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
			if s.At().Seq != 5 && c.want == nil {
				t.Errorf("%s: the position stays at %+v", name, s.At())
			}
			s.Close()
		}
		_, err := w.Open(t.Context(), hook.StreamQuery{Workspace: ws, Webhook: "unknown"})
		if hook.KindOf(err) != hook.KindNotFound {
			t.Error(err)
		}
	})
}

func TestAWebhookThatIsDeletedEndsItsStream(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.catalog.set(webhook(hook.ID{9}, "erp", "", "*"))
		s := w.open(t, hook.StreamQuery{Webhook: "erp"})
		defer s.Close()
		w.catalog.set()
		w.log.add("a")
		if _, err := s.Next(t.Context(), time.Minute, 10, 1000); hook.KindOf(err) != hook.KindNotFound {
			t.Error(err)
		}
	})
}

func TestBoundsAndEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.open(t, hook.StreamQuery{}), w.open(t, hook.StreamQuery{})
		defer b.Close()
		if _, err := w.Open(t.Context(), hook.StreamQuery{Workspace: ws}); hook.KindOf(err) != hook.KindUnavailable {
			t.Error(err)
		}
		a.Close()
		a = w.open(t, hook.StreamQuery{})
		defer a.Close()
		time.AfterFunc(time.Second, w.Stop)
		began := time.Now()
		if _, err := a.Next(t.Context(), time.Hour, 10, 1000); hook.KindOf(err) != hook.KindShuttingDown || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if _, err := w.Open(t.Context(), hook.StreamQuery{Workspace: ws}); hook.KindOf(err) != hook.KindShuttingDown {
			t.Error(err)
		}
	})
}

func TestAStreamAheadOfItsLogFindsOut(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.log.add("a", "b")
		from := at(2)
		s := w.open(t, hook.StreamQuery{From: &from})
		defer s.Close()
		if got := next(t, s, time.Second); got != nil {
			t.Errorf("got %q", got)
		}
		w.log.mu.Lock()
		w.log.types, w.log.bad = w.log.types[:1], hook.Errorf(hook.KindInvalidCursor, "restored")
		w.log.mu.Unlock()
		if _, err := s.Next(t.Context(), time.Minute, 10, 1000); hook.KindOf(err) != hook.KindInvalidCursor {
			t.Error(err)
		}
	})
}

// A workspace that has all streams does not keep another from following.
func TestWhoHasTheMostGivesWay(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.cfg.MaxStreams = 4
		open := func(workspace hook.ID) (*Stream, error) {
			return w.Open(t.Context(), hook.StreamQuery{Workspace: workspace, From: &hook.Position{}})
		}
		var mine []*Stream
		for range 4 {
			s, err := open(ws)
			if err != nil {
				t.Fatal(err)
			}
			mine = append(mine, s)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := mine[3].Next(t.Context(), time.Hour, 100, 1<<20)
			ended <- err
		}()
		synctest.Wait()
		theirs, err := open(hook.ID{2})
		if err != nil {
			t.Fatalf("another workspace: %v", err)
		}
		if err := <-ended; hook.KindOf(err) != hook.KindUnavailable || !strings.Contains(err.Error(), "go on from your cursor") {
			t.Errorf("the newest of those with the most ended with %v", err)
		}
		mine[3].Close() // it is not counted twice
		if _, err := open(ws); hook.KindOf(err) != hook.KindUnavailable {
			t.Errorf("who has the most comes back at once: %v", err)
		}
		again, err := open(hook.ID{2})
		if err != nil {
			t.Fatalf("half of the streams: %v", err)
		}
		if _, err := open(hook.ID{2}); hook.KindOf(err) != hook.KindUnavailable {
			t.Errorf("more than half of the streams: %v", err)
		}
		if got := next(t, mine[0], time.Second); got != nil {
			t.Errorf("the oldest got %q", got)
		}
		for _, s := range []*Stream{mine[0], mine[1], mine[2], theirs, again} {
			s.Close()
		}
		if w.streams != 0 || len(w.watched) != 0 {
			t.Errorf("%d streams of %d workspaces are left", w.streams, len(w.watched))
		}
	})
}
