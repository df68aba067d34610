package store

import (
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/testkit"
)

// Effects are decided by a version that their transaction reads first, and written later:
// if its process was stopped in between, after the configuration has changed. A replay waits.
func TestReplaysWaitForWhoReadTheConfiguration(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, Config{DatabaseURL: testkit.EmptyPostgres(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Prepare(ctx, true); err != nil {
		t.Fatal(err)
	}
	w, err := s.EnsureDefaultWorkspace(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := s.hot.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := staleVersions(ctx, tx, map[hook.ID]int64{w.ID: 1}); err != nil {
		t.Fatal(err)
	}
	var now time.Time
	if err := s.api.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		t.Fatal(err)
	}
	time.Sleep(replayOverlap + 10*time.Millisecond) // by then what began before must be known
	if settled, err := s.ReplaySettled(ctx, now); err != nil || settled {
		t.Errorf("settled = %v, %v, although a transaction that read the configuration before goes on", settled, err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	// Postgres itself may be at work in the database, as autovacuum is for moments.
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		settled, err := s.ReplaySettled(ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		if settled {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatal("nobody else is there, and it does not settle")
		}
	}
}
