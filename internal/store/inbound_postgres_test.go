package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// laidRequests lays 40,000 requests of two workspaces, 10 ms apart: a quarter is another
// workspace's; the others are of two doors, each fiftieth refused, and each hundredth of
// an unknown code. A third door got three of the oldest. Every accepted one has an event
// with a delivery. Nothing is analysed, as after a sudden rush.
const laidRequests = `
INSERT INTO workspaces VALUES ('00000000-0000-0000-0000-00000000000a', 'main', 'main', 'main', false, 0, 0, 0, '{}', 1, 1, 1, NULL);
INSERT INTO incoming_webhooks SELECT lpad(n::text, 32, '0')::uuid, '00000000-0000-0000-0000-00000000000a', 'd' || n, 'd' || n, 'd' || n,
	true, '{}', '{}', 1, 0, 0, NULL FROM generate_series(1, 3) n;
CREATE TABLE laid AS SELECT n, (lpad(to_hex(1790000000000 + n * 10), 12, '0') || '7000a' || lpad(to_hex(n), 9, '0') || '000000')::uuid AS id,
	(CASE WHEN n % 4 = 0 THEN '00000000-0000-0000-0000-00000000000b' ELSE '00000000-0000-0000-0000-00000000000a' END)::uuid AS ws,
	CASE WHEN n % 100 = 7 THEN NULL ELSE lpad((CASE WHEN n < 4 THEN 3 ELSE 1 + n % 2 END)::text, 32, '0')::uuid END AS door,
	CASE WHEN n % 50 = 7 THEN 3 WHEN n % 200 = 1 THEN 1 WHEN n % 1000 = 2 THEN 2 ELSE 0 END AS verdict FROM generate_series(1, 40000) n;
INSERT INTO requests SELECT ws, id, door, 'code-' || n % 7, verdict, CASE WHEN verdict = 3 THEN 'hash_mismatch' END, 202, 0, 1, 1, NULL, NULL,
	'{"m":"POST"}', NULL, false, NULL FROM laid;
INSERT INTO events (workspace_id, key, type, occurred_at, source_kind, request_id, matched) SELECT ws, id, 'incoming.d', 0, 1, id, 1 FROM laid WHERE verdict = 0;
INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, attempts) SELECT id, ws, id, 1, door, 2, 0 FROM laid WHERE verdict = 0;
DROP TABLE laid`

// A page of requests costs about as much as there is on it, however many there are and
// whether Postgres knows the table or not.
func TestRequestSearchesStayOnIndexes(t *testing.T) {
	t.Parallel()
	ws, door := hook.ID{15: 0xa}, hook.ID{15: 1}
	at := time.UnixMilli(1790000000000 + 200_000)
	refused, accepted := []hook.Verdict{hook.VerdictRefused}, []hook.Verdict{hook.VerdictAccepted}
	few := []hook.Verdict{hook.VerdictHandshake, hook.VerdictDuplicate}
	one := hook.ID{0: 0x01, 1: 0xa0} // found below
	searches := map[string]func(ctx context.Context, s *store.Store) (int, error){
		"one": func(ctx context.Context, s *store.Store) (int, error) {
			v, err := s.Request(ctx, ws, one)
			return len(v.DeliveryViews) + 19, err
		},
		"for a run": func(ctx context.Context, s *store.Store) (int, error) {
			_, err := s.RequestForRun(ctx, ws, one)
			return 20, err
		},
		"deliveries of one": func(ctx context.Context, s *store.Store) (int, error) {
			vs, _, err := s.Deliveries(ctx, hook.DeliveryFilter{Workspace: ws, Requests: []hook.ID{one}}, hook.Page{Limit: 20})
			return len(vs) + 19, err
		},
	}
	for name, f := range map[string]hook.RequestFilter{
		"all": {}, "a door": {Incoming: door}, "a door's accepted": {Incoming: door, Verdicts: accepted}, "accepted": {Verdicts: accepted},
		"a door's refused": {Incoming: hook.ID{15: 2}, Verdicts: refused}, "refused": {Verdicts: refused}, "few": {Verdicts: few},
		"a reason": {Reasons: []string{"hash_mismatch"}}, "since": {Since: at}, "until": {Incoming: door, Until: at}, "refused since": {Verdicts: refused, Since: at},
		"a code": {Codes: []string{"code-3"}},
	} {
		f.Workspace = ws
		for _, asc := range []bool{false, true} {
			searches[fmt.Sprintf("%s, upwards %v", name, asc)] = func(ctx context.Context, s *store.Store) (int, error) {
				vs, _, err := s.Requests(ctx, f, hook.Page{Limit: 20, Asc: asc})
				return len(vs), err
			}
		}
	}
	url := migratedPostgres(t)
	db := plain(t, "pgx", url)
	if _, err := db.ExecContext(t.Context(), laidRequests); err != nil {
		t.Fatal(err)
	}
	var text string
	if err := db.QueryRowContext(t.Context(), "SELECT id FROM requests WHERE workspace_id = $1 AND verdict = 0 ORDER BY id DESC OFFSET 5000 LIMIT 1", ws).Scan(&text); err != nil {
		t.Fatal(err)
	}
	var err error
	if one, err = hook.ParseID(text); err != nil {
		t.Fatal(err)
	}
	settledScans(t, db, "requests") // so that what this connection read is counted
	for _, analysed := range []bool{false, true} {
		if analysed {
			if _, err := db.ExecContext(t.Context(), "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		for name, search := range searches {
			before := settledScans(t, db, "requests", "events", "deliveries")
			s, err := store.Open(t.Context(), store.Config{DatabaseURL: url})
			if err != nil {
				t.Fatal(err)
			}
			s.Patience(time.Minute)
			const times = 7 // so that plans become generic ones
			for range times {
				if n, err := search(t.Context(), s); err != nil || n != 20 {
					t.Fatalf("%s: %d, %v", name, n, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for table, a := range settledScans(t, db, "requests", "events", "deliveries") {
				b := before[table]
				if a.seq != b.seq {
					t.Errorf("%s, analysed %v: %s was scanned", name, analysed, table)
				}
				if rows := (a.rows - b.rows) / times; rows > 300 {
					t.Errorf("%s, analysed %v: %d rows of %s were read for 20", name, analysed, rows, table)
				}
			}
		}
	}
}
