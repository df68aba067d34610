package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
	"sallyport/internal/testkit"
)

// searchedRows lays 40,000 events with a delivery and an attempt each, of which a
// quarter belongs to another workspace, to three targets, and 2,000 waiting ones; a
// fourth target got one of the oldest only. Ids are 10 ms apart. Nothing is analysed,
// as after a sudden rush.
const searchedRows = `
INSERT INTO workspaces VALUES ('00000000-0000-0000-0000-00000000000a', 'main', 'main', 'main', false, 0, 0, 0, '{}', 1, 1, 1, NULL);
INSERT INTO webhooks SELECT lpad(n::text, 32, '0')::uuid, '00000000-0000-0000-0000-00000000000a', n, 'w' || n, 'w' || n, 'w' || n,
	true, n = 3, '', 0, '{}', '{}', 1, 0, 0, NULL FROM generate_series(1, 4) n;
CREATE TABLE laid AS SELECT n, (lpad(to_hex(1790000000000 + n * 10), 12, '0') || '7000a' || lpad(to_hex(n), 15, '0'))::uuid AS id,
	(CASE WHEN n % 4 = 0 THEN '00000000-0000-0000-0000-00000000000b' ELSE '00000000-0000-0000-0000-00000000000a' END)::uuid AS ws,
	lpad((CASE WHEN n = 1 THEN 4 ELSE 1 + n % 3 END)::text, 32, '0')::uuid AS target,
	CASE WHEN n > 38000 THEN 1 WHEN n % 50 = 0 THEN 3 ELSE 2 END AS state FROM generate_series(1, 40000) n;
INSERT INTO events (workspace_id, key, type, entity_id, occurred_at, source_kind, matched)
	SELECT ws, id, 'type.' || n % 5, (n % 1000)::text, 0, 0, 1 FROM laid;
INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, attempts) SELECT id, ws, id, 0, target, state, 1 FROM laid;
INSERT INTO due (target_id, due_at, delivery_id, workspace_id) SELECT target, now(), id, ws FROM laid WHERE state = 1;
INSERT INTO dead SELECT target, id FROM laid WHERE state = 3;
INSERT INTO attempts SELECT id, id, 1, 0, 0, 200, 0, 0, '{"t":0}', NULL, NULL, NULL FROM laid;
DROP TABLE laid`

// No search scans a table that grows, nor walks far along an index, whether Postgres
// knows the tables or not.
func TestSearchesStayOnIndexes(t *testing.T) {
	t.Parallel()
	for _, analysed := range []bool{false, true} {
		t.Run(fmt.Sprintf("analysed=%v", analysed), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			url := migratedPostgres(t)
			db := plain(t, "pgx", url)
			if _, err := db.ExecContext(ctx, searchedRows); err != nil {
				t.Fatal(err)
			}
			if analysed {
				if _, err := db.ExecContext(ctx, "ANALYZE"); err != nil {
					t.Fatal(err)
				}
			}
			before := settledScans(t, db, "events", "deliveries", "attempts")
			s, err := store.Open(ctx, store.Config{DatabaseURL: url})
			if err != nil {
				t.Fatal(err)
			}
			s.Patience(time.Minute)
			searches := searchMuch(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			after := settledScans(t, db, "events", "deliveries", "attempts")
			for table, b := range before {
				a := after[table]
				t.Logf("%s: %d sequential scans, %d rows by index in %d searches", table, a.seq-b.seq, a.rows-b.rows, searches)
				if a.seq != b.seq {
					t.Errorf("%s was scanned %d times", table, a.seq-b.seq)
				}
				if perSearch := (a.rows - b.rows) / searches; perSearch > 300 {
					t.Errorf("a search read %d rows of %s on average", perSearch, table)
				}
			}
		})
	}
}

// searchMuch makes every kind of search, often enough that plans become generic ones.
func searchMuch(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	ctx := t.Context()
	ws, target := hook.ID{15: 0xa}, hook.ID{15: 1}
	at := time.UnixMilli(1790000000000 + 200_000)
	for range 7 {
		for _, states := range [][]hook.State{nil, {hook.StateFailed}, {hook.StatePending}, {hook.StateHeld}, {hook.StateRunning, hook.StateFailed}, {hook.StateSucceeded}} {
			for _, f := range []hook.DeliveryFilter{
				{}, {Targets: []hook.ID{target}}, {Targets: []hook.ID{{15: 4}}}, {Since: at, Until: at.Add(time.Minute)}, {EntityIDs: []string{"7"}},
				{EventTypes: []string{"type.1"}}, {Targets: []hook.ID{target}, EventTypes: []string{"type.1"}, Since: at},
			} {
				for _, asc := range []bool{false, true} {
					f.Workspace, f.States = ws, states
					if _, _, err := s.Deliveries(ctx, f, hook.Page{Limit: 20, Asc: asc}); err != nil {
						t.Fatal(err)
					}
					n++
				}
			}
		}
		for _, f := range []hook.EventFilter{{}, {Types: []string{"type.1"}}, {EntityIDs: []string{"7"}}, {Since: at}, {Until: at, SourceID: hook.NoID}} {
			f.Workspace = ws
			views, _, err := s.Events(ctx, f, hook.Page{Limit: 20})
			if err != nil || len(views) != 20 {
				t.Fatalf("%+v: %d events, %v", f, len(views), err)
			}
			v := views[3]
			if _, err := s.Event(ctx, ws, v.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Matches(ctx, ws, v.ID); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Delivery(ctx, ws, v.Key); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.EventDeliveries(ctx, ws, v.ID, nil, hook.Page{Limit: 20}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Health(ctx, ws, target); err != nil {
				t.Fatal(err)
			}
			n += 6
		}
	}
	return n
}

type scans struct{ seq, rows int }

// settledScans reads how often tables were scanned, once everybody else has left: only
// then has everything been counted.
func settledScans(t *testing.T, db *sql.DB, tables ...string) map[string]scans {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for others := 1; others > 0; {
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&others); err != nil {
			t.Fatalf("waiting for the others to leave: %v", err)
		}
	}
	rows, err := db.QueryContext(ctx, `SELECT relname, seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables
		WHERE relname = ANY($1) AND pg_stat_force_next_flush() IS NOT NULL`, tables)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := make(map[string]scans)
	for rows.Next() {
		var name string
		var s scans
		if err := rows.Scan(&name, &s.seq, &s.rows); err != nil {
			t.Fatal(err)
		}
		out[name] = s
	}
	if err := rows.Err(); err != nil || len(out) != len(tables) {
		t.Fatalf("scans = %v, %v", out, err)
	}
	return out
}

// A search that takes too long is ended, and says how to ask for less.
func TestSlowSearchIsEnded(t *testing.T) {
	t.Parallel()
	s, db := worldPostgres(t)
	s.Patience(100 * time.Millisecond)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// Waiting for a lock takes as long as reading much.
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE events"); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Events(t.Context(), hook.EventFilter{}, hook.Page{Limit: 1})
	var e *hook.Error
	if !errors.As(err, &e) || e.Kind != hook.KindUnavailable || e.RetryAfter == 0 || e.Detail != "the search took longer than 100ms; narrow it with since and until, a webhook or an event" {
		t.Errorf("a search that takes too long: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
}

func migratedPostgres(t *testing.T) string {
	t.Helper()
	return testkit.PostgresTemplate(t, "schema", func(url string) error {
		s, err := store.Open(context.Background(), store.Config{DatabaseURL: url})
		if err != nil {
			return err
		}
		_, err = s.Prepare(context.Background(), false)
		return errors.Join(err, s.Close())
	})
}
