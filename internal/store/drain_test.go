package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/store"
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
