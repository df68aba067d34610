package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/hook"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
	"sallyport/internal/testkit"
)

func TestLogSQLite(t *testing.T) {
	t.Parallel()
	storetest.Log(t, func(t *testing.T) *store.Store { return open(t, store.Config{DataDir: t.TempDir()}) })
}

func TestLogPostgres(t *testing.T) {
	t.Parallel()
	storetest.Log(t, openPostgres)
}

// The statement of a node that is older than the log stands for every other way to store
// events: all of them are logged, and a transaction that is still open is seen to be writing.
func TestLogOfTransactionsThatEndInAnotherOrder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := testkit.EmptyPostgres(t)
	s := open(t, store.Config{DatabaseURL: url})
	connect := func() *pgx.Conn {
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(ctx) })
		return c
	}
	ws, ids := hook.NewIDs().New(), hook.NewIDs()
	insert := func(tx pgx.Tx) hook.ID {
		key := ids.New()
		if _, err := tx.Exec(ctx, "INSERT INTO events (workspace_id, key, type, occurred_at, source_kind, matched) VALUES ($1, $2, 'a', 0, 0, 0)", ws, key); err != nil {
			t.Fatal(err)
		}
		return key
	}
	begin := func(c *pgx.Conn) pgx.Tx {
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	heads := func() hook.LogHeads {
		h, err := s.LogHeads(ctx, []hook.ID{ws})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	slow, quick, idle := begin(connect()), begin(connect()), begin(connect())
	// Neither a reader, nor a writer of something else, is waited for.
	if _, err := idle.Exec(ctx, "INSERT INTO homes SELECT gen_random_uuid(), count(*) FROM event_log"); err != nil {
		t.Fatal(err)
	}
	if h := heads(); len(h.Writers) != 0 || h.Last[ws] != 0 {
		t.Errorf("before anybody wrote: %+v", h)
	}
	first := insert(slow)
	second := insert(quick)
	if err := quick.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	h := heads()
	if len(h.Writers) != 1 || h.Last[ws] == 0 {
		t.Errorf("while the first is open: %+v", h)
	}
	if err := slow.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	after := heads()
	if len(after.Writers) != 0 || after.Last[ws] != h.Last[ws] {
		t.Errorf("when both have ended: %+v", after)
	}
	page, err := s.LogPage(ctx, ws, hook.Position{}, after.Last[ws], 10, 1<<20, func(string) bool { return true })
	if err != nil || len(page.Events) != 2 || page.Events[0].Key != first || page.Events[1].Key != second {
		t.Errorf("%+v, %v", page, err)
	}
}
