package publish

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

var (
	away    = &hook.Error{Kind: hook.KindUnavailable, Detail: "the database does not answer", RetryAfter: time.Second}
	unknown = errors.Join(hook.ErrUnknownOutcome, away)
)

// A receipt means committed, and what was handed over is what was stored.
func TestReceiptAfterCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		commit := make(chan struct{})
		b.store.accept = func(int, *hook.AcceptBatch) (hook.AcceptResult, error) {
			<-commit
			return hook.AcceptResult{}, nil
		}
		answered := false
		go func() {
			defer func() { answered = true }()
			got, err := b.publish(things(1))
			if err != nil || got[0].Problem != nil || got[0].Matched != 1 {
				t.Errorf("answered %+v, %v", got, err)
			}
		}()
		synctest.Wait()
		if answered || len(b.dispatch.handed) > 0 {
			t.Error("answered or handed over before the commit")
		}
		close(commit)
		synctest.Wait()
		if !answered || len(b.dispatch.handed) != 1 {
			t.Error("not answered or not handed over after the commit")
		}
	})
}

// While the outcome of a commit is unknown the same batch runs again with the same ids,
// until the store knows; only what it says is still ours is handed over.
func TestUnknownOutcomeRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.store.accept = func(n int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
			switch n {
			case 1:
				return hook.AcceptResult{}, unknown
			case 2, 3: // no connection to ask with: that is no refusal
				return hook.AcceptResult{}, away
			}
			return hook.AcceptResult{Mine: map[hook.ID]bool{batch.Events[0].Deliveries[0].ID: true}}, nil
		}
		got, err := b.publish(things(2))
		if err != nil || got[0].Problem != nil || got[1].Problem != nil {
			t.Fatalf("answered %+v, %v", got, err)
		}
		synctest.Wait()
		if len(b.store.batches) != 4 {
			t.Fatalf("%d runs, want 4", len(b.store.batches))
		}
		for i, batch := range b.store.batches {
			if batch.Rerun != (i > 0) {
				t.Errorf("run %d has Rerun %v", i+1, batch.Rerun)
			}
			for j, e := range batch.Events {
				first := b.store.batches[0].Events[j]
				if e.Event.Key != first.Event.Key || e.Deliveries[0].ID != first.Deliveries[0].ID {
					t.Errorf("run %d has other ids", i+1)
				}
			}
		}
		if len(b.dispatch.handed) != 1 || b.dispatch.handed[0].Delivery.ID != b.store.batches[0].Events[0].Deliveries[0].ID {
			t.Errorf("%d handed over, want the one that is still ours", len(b.dispatch.handed))
		}
	})
}

// Callers wait for an unknown outcome as long as their patience, and are told to come
// back; what queues behind it in an outage is told soon. The batch is settled in the
// end all the same.
func TestOutageTellsPublishersToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		back := make(chan struct{})
		b.store.accept = func(n int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
			select {
			case <-back:
				mine := map[hook.ID]bool{}
				for _, e := range batch.Events {
					mine[e.Deliveries[0].ID] = true
				}
				return hook.AcceptResult{Mine: mine}, nil
			default:
			}
			if n == 1 {
				return hook.AcceptResult{}, unknown
			}
			return hook.AcceptResult{}, away
		}
		began := time.Now()
		var calls sync.WaitGroup
		refused := func(what string, least, most time.Duration) {
			defer calls.Done()
			_, err := b.publish(things(1))
			var problem *hook.Error
			if !errors.As(err, &problem) || problem.Kind != hook.KindUnavailable || problem.RetryAfter == 0 {
				t.Errorf("%s answered %v", what, err)
			}
			if took := time.Since(began); took < least || took > most {
				t.Errorf("%s answered after %s, want %s to %s", what, took, least, most)
			}
		}
		calls.Add(2)
		go refused("the caller whose outcome is unknown is", b.p.cfg.Patience, b.p.cfg.Patience)
		synctest.Wait()
		go refused("a caller behind it is", 0, 4*time.Second)
		calls.Wait()
		close(back)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(b.dispatch.handed) != 1 {
			t.Errorf("%d handed over once the database was back, want the one of the unknown outcome", len(b.dispatch.handed))
		}
	})
}

// A database that refuses before anything was sent is an answer at once.
func TestRefusalIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.store.accept = func(int, *hook.AcceptBatch) (hook.AcceptResult, error) { return hook.AcceptResult{}, away }
		began := time.Now()
		if _, err := b.publish(things(1)); hook.KindOf(err) != hook.KindUnavailable {
			t.Errorf("answered %v", err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("answered after %s", took)
		}
		synctest.Wait()
		if len(b.store.batches) != 1 {
			t.Errorf("%d tries", len(b.store.batches))
		}
	})
}

// A row that the database refuses does not take the others of its batch with it.
func TestDataErrorHitsItsOwnEventOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.store.accept = func(_ int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
			for _, e := range batch.Events {
				if bytes.Contains(e.Event.Entity, []byte("poison")) {
					return hook.AcceptResult{}, errData
				}
			}
			return hook.AcceptResult{}, nil
		}
		events := things(5)
		events[3].Entity = []byte(`"poison"`)
		got, err := b.publish(events)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for i, r := range got {
			if (r.Problem != nil) != (i == 3) {
				t.Errorf("event %d: %v", i, r.Problem)
			}
		}
		if len(b.dispatch.handed) != 4 {
			t.Errorf("%d handed over, want 4", len(b.dispatch.handed))
		}
	})
}

// A node that was declared dead joins again and stores the batch under its new id.
func TestFencedBatchIsStoredUnderTheNewNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.store.accept = func(n int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
			return hook.AcceptResult{Fenced: n == 1}, nil
		}
		if got, err := b.publish(things(1)); err != nil || got[0].Problem != nil {
			t.Fatalf("answered %+v, %v", got, err)
		}
		synctest.Wait()
		if b.dispatch.fenced != 1 || len(b.store.batches) != 2 || b.store.batches[1].Node != 2 {
			t.Errorf("fenced %d times, %d batches", b.dispatch.fenced, len(b.store.batches))
		}
		if len(b.dispatch.handed) != 1 || b.dispatch.handed[0].Node != 2 {
			t.Errorf("handed over: %v", b.dispatch.handed)
		}
	})
}

// A batch that was matched against an old configuration is matched again; a key that
// the change revoked is refused, and so is a type that is not allowed any more.
func TestStaleBatchIsMatchedAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		types   []string // of the new configuration
		revoked bool
		kind    hook.Kind
	}{
		{name: "new webhook", types: []string{"thing", "thing*"}},
		{name: "revoked key", types: []string{"thing"}, revoked: true, kind: hook.KindUnauthorized},
		{name: "removed type", types: []string{"other"}, kind: hook.KindInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, nil)
				b.catalog.stored[b.workspace] = b.view(b.workspace, 2, c.types...)
				b.catalog.revoked = c.revoked
				b.store.accept = func(_ int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
					if batch.Versions[b.workspace] < 2 {
						return hook.AcceptResult{Stale: []hook.ID{b.workspace}}, nil
					}
					return hook.AcceptResult{}, nil
				}
				got, err := b.publish(things(1))
				if c.kind != "" {
					if err == nil && len(got) > 0 {
						err = got[0].Problem
					}
					if hook.KindOf(err) != c.kind {
						t.Errorf("answered %v, want %s", err, c.kind)
					}
					return
				}
				if err != nil || got[0].Problem != nil {
					t.Fatalf("answered %+v, %v", got, err)
				}
				if want := len(b.catalog.stored[b.workspace].Match("thing")); got[0].Matched != want {
					t.Errorf("matched %d, want %d", got[0].Matched, want)
				}
			})
		})
	}
}

// What an old copy refuses is looked up before the answer: it may have been created
// through another node a moment ago.
func TestRefusalIsCheckedAgainstTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		events := []hook.NewEvent{{Type: "new"}}
		if got, err := b.publish(events); err != nil || hook.KindOf(got[0].Problem) != hook.KindInvalid {
			t.Fatalf("a type that is not there answered %+v, %v", got, err)
		}
		b.catalog.stored[b.workspace] = b.view(b.workspace, 2, "thing", "new")
		if got, err := b.publish(events); err != nil || got[0].Problem != nil {
			t.Errorf("a type that is there by now answered %+v, %v", got, err)
		}
	})
}

// A client's id used before is answered with the first receipt, other content with a
// clash, and an id past its window is forgotten and used again.
func TestRepeatedIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.Window = 10 * time.Minute })
		events := things(1)
		events[0].ID = "mine"
		var hash [32]byte
		first := hook.FirstReceipt{Key: b.ids.New(), Type: "thing", Matched: 7}
		b.store.accept = func(_ int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
			hash = batch.Events[0].Hash
			return hook.AcceptResult{First: map[int]hook.FirstReceipt{0: first}}, nil
		}
		if got, _ := b.publish(events); hook.KindOf(got[0].Problem) != hook.KindEventIDReused {
			t.Errorf("other content answered %+v", got[0])
		}
		first.Hash = hash
		got, _ := b.publish(events)
		if r := got[0]; !r.Duplicate || r.Matched != 7 || r.Problem != nil {
			t.Errorf("a repeat answered %+v", r)
		}
		time.Sleep(11 * time.Minute)
		b.store.accept = func(int, *hook.AcceptBatch) (hook.AcceptResult, error) {
			if len(b.store.forgot) == 0 {
				return hook.AcceptResult{First: map[int]hook.FirstReceipt{0: first}}, nil
			}
			return hook.AcceptResult{}, nil
		}
		got, _ = b.publish(events)
		if r := got[0]; r.Duplicate || r.Problem != nil || !slices.Equal(b.store.forgot, []string{"mine"}) {
			t.Errorf("after the window answered %+v, forgot %v", r, b.store.forgot)
		}
	})
}

// One tenant's thousand events do not keep another's one waiting: workspaces take turns
// in every transaction, which stays below its bounds; a larger event goes alone.
func TestWorkspacesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.BatchEvents, c.BatchBytes = 40, 100_000 })
		other := b.ids.New()
		b.catalog.copied[other] = b.view(other, 1, "thing")
		hold := make(chan struct{})
		b.store.accept = func(n int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
			if n == 1 {
				<-hold
			}
			return hook.AcceptResult{}, nil
		}
		go b.publish(things(1)) // only there to keep the writer busy
		synctest.Wait()
		many := things(500)
		many[400].Entity = bytes.Repeat([]byte("9"), 300_000)
		go b.publish(many) // its answer is not what this looks at
		synctest.Wait()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			if _, err := b.p.Publish(t.Context(), other, Origin{}, things(1)); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		close(hold)
		<-answered
		synctest.Wait()
		b.store.mu.Lock()
		in := slices.IndexFunc(b.store.batches, func(a *hook.AcceptBatch) bool {
			return slices.ContainsFunc(a.Events, func(e *hook.PlannedEvent) bool { return e.Event.Workspace == other })
		})
		b.store.mu.Unlock()
		if in != 1 {
			t.Errorf("the other workspace's event went with batch %d after it was queued, want the first", in)
		}
		synctest.Wait()
		total := 0
		for i, batch := range b.store.batches {
			bytes := 0
			for _, e := range batch.Events {
				bytes += len(e.Event.Entity) + 512
			}
			total += len(batch.Events)
			if len(batch.Events) > 40 || bytes > 100_000 && len(batch.Events) > 1 {
				t.Errorf("batch %d has %d events and %d bytes", i, len(batch.Events), bytes)
			}
		}
		if total != 502 {
			t.Errorf("%d events were stored, want 502", total)
		}
	})
}

// The queue is bounded in bytes; beyond it publishers are told to come back.
func TestFullQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.QueueBytes = 10_000 })
		hold := make(chan struct{})
		b.store.accept = func(int, *hook.AcceptBatch) (hook.AcceptResult, error) {
			<-hold
			return hook.AcceptResult{}, nil
		}
		var calls sync.WaitGroup
		for range 2 { // one is being stored, one fills the queue
			calls.Go(func() {
				if _, err := b.publish(things(15)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		_, err := b.publish(things(15))
		var problem *hook.Error
		if !errors.As(err, &problem) || problem.Kind != hook.KindQueueFull || problem.RetryAfter == 0 {
			t.Errorf("answered %v", err)
		}
		close(hold)
		calls.Wait()
		synctest.Wait()
	})
}
