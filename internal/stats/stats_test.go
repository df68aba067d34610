package stats_test

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/stats"
)

// fakeStore measures a queue in a given time, and remembers what it was told.
type fakeStore struct {
	mu         sync.Mutex
	queue      hook.Queue
	takes      time.Duration
	err        error
	passes     int
	counts     map[hook.ID]hook.Counts
	running    []map[hook.ID]int
	workspaces []*hook.Workspace // newest first
}

func (f *fakeStore) Queue(context.Context) (hook.Queue, error) {
	time.Sleep(f.takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passes++
	f.queue.At = time.Now()
	return f.queue, f.err
}

func (f *fakeStore) AddCounts(_ context.Context, counts map[hook.ID]hook.Counts) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	for id, n := range counts {
		sum := f.counts[id]
		sum.Accepted += n.Accepted
		sum.Created += n.Created
		sum.Attempts += n.Attempts
		sum.Finished += n.Finished
		sum.Failed += n.Failed
		sum.RequestsAccepted += n.RequestsAccepted
		sum.RequestsRefused += n.RequestsRefused
		f.counts[id] = sum
	}
	return nil
}

func (f *fakeStore) NoteRunning(_ context.Context, _ hook.NodeID, running map[hook.ID]int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = append(f.running, running)
	return f.err
}

func (f *fakeStore) Node() hook.NodeID       { return 1 }
func (f *fakeStore) InHand() map[hook.ID]int { return map[hook.ID]int{{1}: 4} }

func (f *fakeStore) Rates(context.Context, []hook.ID) (map[hook.ID]hook.Rates, error) {
	return map[hook.ID]hook.Rates{{1}: {Accepted: 3}}, nil
}

func (f *fakeStore) Running(context.Context, []hook.ID) (map[hook.ID]int, error) {
	return map[hook.ID]int{{1}: 1}, nil
}

func (f *fakeStore) FailedCount(context.Context, hook.ID, int) (int, error) { return 6, nil }

func (f *fakeStore) TargetStats(_ context.Context, queues []hook.TargetQueue) (out []hook.TargetStat, err error) {
	for _, q := range queues {
		out = append(out, hook.TargetStat{TargetQueue: q})
	}
	return out, nil
}

func (f *fakeStore) Workspaces(_ context.Context, w hook.WorkspaceFilter, p hook.Page) (out []*hook.Workspace, more bool, err error) {
	after := p.After == hook.NoID
	for _, x := range f.workspaces {
		if after && (w.IDs == nil || slices.Contains(w.IDs, x.ID)) && x.Metadata["hidden"] == "" {
			if len(out) == p.Limit {
				return out, true, nil
			}
			out = append(out, x)
		}
		after = after || x.ID == p.After
	}
	return out, false, nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestTallyWritesDownEverythingOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tally stats.Tally
		store := &fakeStore{counts: map[hook.ID]hook.Counts{}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- tally.Run(ctx, store, store, quiet()) }()
		a, b := hook.ID{1}, hook.ID{2}
		tally.Published(a, 2, 5)
		tally.Tried(a)
		tally.Ended(a, hook.StateSucceeded)
		store.mu.Lock()
		store.err = errors.New("the database is away") // what is not written down is kept
		store.mu.Unlock()
		time.Sleep(5 * time.Second)
		tally.Ended(a, hook.StateFailed)
		tally.Called(b, hook.VerdictRefused)
		tally.Called(b, hook.VerdictDuplicate)
		store.mu.Lock()
		store.err = nil
		store.mu.Unlock()
		time.Sleep(5 * time.Second)
		tally.Published(b, 1, 0) // and what comes last, too
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := map[hook.ID]hook.Counts{
			a: {Accepted: 2, Created: 5, Attempts: 1, Finished: 2, Failed: 1}, b: {Accepted: 1, RequestsAccepted: 1, RequestsRefused: 1},
		}
		if !reflect.DeepEqual(store.counts, want) {
			t.Errorf("counts = %+v, want %+v", store.counts, want)
		}
		// Twice in vain, and once more: what has not changed since is not said again.
		if len(store.running) != 3 {
			t.Errorf("what is in hand was written down %d times", len(store.running))
		}
	})
}

func TestTallyFromManyGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tally stats.Tally
		store := &fakeStore{counts: map[hook.ID]hook.Counts{}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- tally.Run(ctx, store, store, quiet()) }()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for n := range 1000 {
					tally.Tried(hook.ID{byte(n % 3)})
					if n%100 == 0 {
						time.Sleep(time.Second)
					}
				}
			})
		}
		all.Wait()
		cancel()
		<-done
		sum := int64(0)
		for _, n := range store.counts {
			sum += n.Attempts
		}
		if sum != 8000 {
			t.Errorf("%d attempts of 8,000", sum)
		}
	})
}

func TestNobodyWaitsForALongPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{takes: time.Second}
		g := stats.NewGauge(store)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		for n := range 300 {
			began := time.Now()
			q, _, err := g.Queue(t.Context())
			if waited := time.Since(began); err != nil || waited > 0 && n > 0 {
				t.Errorf("waited %v, %v", waited, err)
			}
			if age := time.Since(q.At); age > 15*time.Second {
				t.Errorf("the figures are %v old", age)
			}
			time.Sleep(300 * time.Millisecond)
		}
		cancel()
		<-done
		if store.passes < 7 || store.passes > 10 { // every ten seconds or so, in ninety
			t.Errorf("%d passes", store.passes)
		}
	})
}

func TestGaugeSharesPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{takes: 300 * time.Millisecond, queue: hook.Queue{Targets: []hook.TargetQueue{{Workspace: hook.ID{1}, Waiting: 5, Claimed: 2, Active: true, Exact: true}}}}
		g := stats.NewGauge(store)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, by, err := g.Queue(t.Context()); err != nil || by[hook.ID{1}].Pending != 5 {
					t.Errorf("%v, %v", by, err)
				}
			})
		}
		all.Wait()
		if store.passes != 1 {
			t.Errorf("%d passes for 20 at once", store.passes)
		}
		if g.Waiting(hook.ID{1}) != 7 || g.Waiting(hook.ID{9}) != 0 {
			t.Errorf("%d wait", g.Waiting(hook.ID{1}))
		}
		// A pass of 0.3 s is good for 3 s: measuring takes a tenth of the time.
		for range 600 {
			if _, _, err := g.Queue(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if store.passes < 17 || store.passes > 20 {
			t.Errorf("%d passes in a minute", store.passes)
		}
		// While the store is away there are older figures.
		store.err = errors.New("the database is away")
		time.Sleep(time.Minute)
		if q, _, err := g.Queue(t.Context()); err != nil || time.Since(q.At) < time.Minute {
			t.Errorf("figures of %v, %v", q.At, err)
		}
		if _, _, err := stats.NewGauge(store).Queue(t.Context()); err == nil {
			t.Error("figures out of nowhere")
		}
	})
}

// world has six workspaces, of which the second to the fourth wait for something.
func world() (*fakeStore, *stats.Service) {
	f := &fakeStore{}
	for n := 6; n >= 1; n-- {
		f.workspaces = append(f.workspaces, &hook.Workspace{ID: hook.ID{byte(n)}, Code: "w" + strconv.Itoa(n)})
	}
	at := func(ago time.Duration) *time.Time { t := time.Now().Add(-ago); return &t }
	f.queue.Targets = []hook.TargetQueue{
		{Workspace: hook.ID{2}, Target: hook.ID{1}, Waiting: 5, Exact: true, Active: true, OldestDue: at(time.Hour)},
		{Workspace: hook.ID{3}, Target: hook.ID{2}, Waiting: 30, Exact: true, Active: true, OldestDue: at(time.Minute)},
		{Workspace: hook.ID{3}, Target: hook.ID{3}, Waiting: 90, Exact: false, OldestDue: at(24 * time.Hour)},
		{Workspace: hook.ID{4}, Target: hook.ID{4}, Waiting: 20, Exact: true, Active: true},
		{Workspace: hook.ID{5}, Target: hook.ID{5}, Claimed: 3, Exact: true, Active: true},
	}
	return f, stats.New(f, stats.NewGauge(f))
}

func TestRanking(t *testing.T) {
	t.Parallel()
	f, s := world()
	for name, c := range map[string]struct {
		sort  hook.WorkspaceSort
		asc   bool
		limit int
		want  string
	}{
		"the most first":                {hook.SortPending, false, 10, "w3 w4 w2 w6 w5 w1"},
		"no more than asked for":        {hook.SortPending, false, 2, "w3 w4"},
		"into those without":            {hook.SortPending, false, 4, "w3 w4 w2 w6"},
		"the least first":               {hook.SortPending, true, 10, "w6 w5 w1 w2 w4 w3"},
		"the least first, no more":      {hook.SortPending, true, 4, "w6 w5 w1 w2"},
		"due for longest first":         {hook.SortOldestPending, false, 10, "w2 w3 w6 w5 w4 w1"},
		"due for longest, the last one": {hook.SortOldestPending, true, 10, "w6 w5 w4 w1 w3 w2"},
	} {
		rows, err := s.Ranked(t.Context(), hook.WorkspaceFilter{Sort: c.sort}, hook.Page{Limit: c.limit, Asc: c.asc})
		got := ""
		for _, w := range rows {
			got += " " + w.Code
		}
		if err != nil || got != " "+c.want {
			t.Errorf("%s:%s, %v; want %s", name, got, err, c.want)
		}
	}
	f.workspaces[3].Metadata = map[string]string{"hidden": "by a filter"} // w3
	if rows, err := s.Ranked(t.Context(), hook.WorkspaceFilter{Sort: hook.SortPending}, hook.Page{Limit: 1}); err != nil || len(rows) != 1 || rows[0].Code != "w4" {
		t.Errorf("with a filter: %+v, %v", rows, err)
	}
}

func TestOfOneWorkspace(t *testing.T) {
	t.Parallel()
	_, s := world()
	st, err := s.Of(t.Context(), hook.ID{3})
	if err != nil || st.Pending != 30 || st.Held != 90 || st.Exact || st.Failed != 6 || st.AsOf.IsZero() || st.OldestDue == nil || time.Since(*st.OldestDue) > time.Hour {
		t.Errorf("%+v, %v", st, err)
	}
	// What is sent to comes before what is held, however much that is.
	if len(st.Top) != 2 || st.Top[0].Target != (hook.ID{2}) || st.Top[1].Target != (hook.ID{3}) {
		t.Errorf("top = %+v", st.Top)
	}
	if st, err := s.Of(t.Context(), hook.ID{1}); err != nil || st.Pending != 0 || !st.Exact || st.Running != 1 || st.Accepted != 3 || st.Top != nil {
		t.Errorf("of one in which nothing waits: %+v, %v", st, err)
	}
	if st, err := s.Of(t.Context(), hook.ID{5}); err != nil || st.Running != 3 || st.Top != nil {
		t.Errorf("of one in which all is claimed: %+v, %v", st, err)
	}
}
