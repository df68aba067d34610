package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

// Draining a large backlog while somebody holds an old snapshot (a dump, a forgotten
// psql) costs the same for the last rows as for the first: the dead index entries of
// what was claimed before lie below the floor. Buffers are counted, not time.
func TestDrainWithAnOpenSnapshot(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := migratedPostgres(t)
	connect := func() *pgx.Conn {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} { // as on the pipeline's pool
			config.RuntimeParams[p] = "off"
		}
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(ctx) })
		return conn
	}
	conn := connect()
	exec := func(c *pgx.Conn, query string, args ...any) {
		t.Helper()
		if _, err := c.Exec(ctx, query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	const rows, each = 50_000, 256
	const target = "00000000-0000-0000-0000-000000000001"
	exec(conn, `INSERT INTO nodes (instance, name, floor_id) VALUES ('i', 'n', $1)`, target)
	exec(conn, `INSERT INTO due (target_id, due_at, delivery_id, workspace_id)
		SELECT $1::uuid, now() - interval '1 hour' + n * interval '1 ms', gen_random_uuid(), $1::uuid FROM generate_series(1, $2::int) n`, target, rows)
	exec(conn, `ANALYZE due`)

	snapshot := connect()
	exec(snapshot, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	exec(snapshot, "SELECT count(*) FROM due")

	// claim takes rows from floor up and returns the buffers that it touched.
	claim := func(floor string) int {
		t.Helper()
		var plan []byte
		if err := conn.QueryRow(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+store.ClaimSQL,
			int64(1), []string{target}, []int32{each}, []string{floor}).Scan(&plan); err != nil {
			t.Fatal(err)
		}
		var explained []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
			}
		}
		if err := json.Unmarshal(plan, &explained); err != nil {
			t.Fatal(err)
		}
		return explained[0].Plan.Hit + explained[0].Plan.Read
	}
	// finish removes what is claimed and returns how many, and the next floor.
	finish := func() (n int, floor string) {
		t.Helper()
		var latest *time.Time
		if err := conn.QueryRow(ctx, `SELECT count(*), max(due_at) FROM due WHERE held_by = 1`).Scan(&n, &latest); err != nil {
			t.Fatal(err)
		}
		if latest != nil {
			floor = latest.UTC().Format(time.RFC3339Nano)
		}
		exec(conn, `DELETE FROM due WHERE held_by = 1`)
		return n, floor
	}

	first := claim("-infinity")
	left, last := rows, first
	n, floor := finish()
	for left -= n; left >= 2*each; left -= n {
		last = claim(floor)
		if n, floor = finish(); n != each {
			t.Fatalf("claimed %d rows, want %d", n, each)
		}
	}
	t.Logf("buffers: first claim %d, last %d", first, last)
	if last > 2*first {
		t.Errorf("the last claim touched %d buffers, the first %d", last, first)
	}
	blind := claim("-infinity")
	t.Logf("without a floor the last one touches %d", blind)
	if blind < 4*last {
		t.Errorf("without a floor it touches %d: the snapshot keeps nothing, so this shows nothing", blind)
	}
}

// What was planned while Postgres thought the tables empty costs as much, once they are not, as
// what is planned knowing them: a prepared statement keeps its plan until Postgres looks at the
// tables again, which may take minutes. Blocks are counted, not time.
func TestPlansOfEmptyTables(t *testing.T) {
	t.Parallel()
	tables := []string{"events", "event_keys", "deliveries", "due", "attempts", "dead"}
	blocks := func(t *testing.T, known bool) map[string]int {
		ctx, url := t.Context(), migratedPostgres(t)
		db := plain(t, "pgx", url)
		each := func(queries ...string) {
			for _, name := range tables {
				for _, query := range queries {
					if _, err := db.ExecContext(ctx, fmt.Sprintf(query, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		s := open(t, store.Config{DatabaseURL: url})
		count := func() map[string]int {
			// Else what a connection did within the last second would be counted later; and what db
			// did here is no part of the pipeline.
			const flush = "SELECT pg_stat_force_next_flush()"
			if _, err := db.ExecContext(ctx, flush); err != nil {
				t.Fatal(err)
			}
			if err := s.OnHot(ctx, flush); err != nil {
				t.Fatal(err)
			}
			rows, err := db.QueryContext(ctx, `SELECT relname, coalesce(idx_blks_hit + idx_blks_read + heap_blks_hit + heap_blks_read, 0)
				FROM pg_statio_user_tables WHERE relname = ANY($1)`, tables)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			out := make(map[string]int)
			for rows.Next() {
				var name string
				var n int
				if err := rows.Scan(&name, &n); err != nil {
					t.Fatal(err)
				}
				out[name] = n
			}
			if err := rows.Err(); err != nil || len(out) != len(tables) {
				t.Fatal(out, err)
			}
			return out
		}
		var before map[string]int
		storetest.Rush(t, s, func() {
			each("ALTER TABLE %s SET (autovacuum_enabled = off)", "DELETE FROM %s", "VACUUM ANALYZE %s")
		}, 20_000, func() {
			if known {
				each("ANALYZE %s")
			}
			before = count()
		})
		after := count()
		for name, n := range before {
			after[name] -= n
		}
		return after
	}
	known, empty := blocks(t, true), blocks(t, false)
	for _, name := range tables {
		t.Logf("%s: %d blocks, %d had its size been known", name, empty[name], known[name])
		if empty[name] > 2*known[name] {
			t.Errorf("%s was planned badly", name)
		}
	}
}
