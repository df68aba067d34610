package store_test

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestReplaysSQLite(t *testing.T) {
	t.Parallel()
	storetest.Replays(t, worldSQLite)
}

func TestReplaysPostgres(t *testing.T) {
	t.Parallel()
	storetest.Replays(t, worldPostgres)
}

// No step of a replay scans a table that grows, nor reads more of it than it looks at,
// whether Postgres knows the tables or not.
func TestReplaysStayOnIndexes(t *testing.T) {
	t.Parallel()
	for _, analysed := range []bool{false, true} {
		t.Run(fmt.Sprintf("analysed=%v", analysed), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			url := migratedPostgres(t)
			db := plain(t, "pgx", url)
			laid := searchedRows + `; INSERT INTO config_versions VALUES ('00000000-0000-0000-0000-00000000000a', 1)`
			if analysed {
				laid += "; ANALYZE"
			}
			if _, err := db.ExecContext(ctx, laid); err != nil {
				t.Fatal(err)
			}
			before := settledScans(t, db, "events", "deliveries")
			s, err := store.Open(ctx, store.Config{DatabaseURL: url})
			if err != nil {
				t.Fatal(err)
			}
			s.Patience(time.Minute)
			steps := replayMuch(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for table, a := range settledScans(t, db, "events", "deliveries") {
				b := before[table]
				t.Logf("%s: %d sequential scans, %d rows by index in %d steps", table, a.seq-b.seq, a.rows-b.rows, steps)
				if a.seq != b.seq {
					t.Errorf("%s was scanned %d times", table, a.seq-b.seq)
				}
				// A piece reads each of its rows some times.
				if perStep := (a.rows - b.rows) / steps; perStep > 4*replayStep {
					t.Errorf("a step read %d rows of %s on average", perStep, table)
				}
			}
		})
	}
}

const replayStep = 200

// replayMuch walks all ways that replays have, and repeats what it comes by; it returns how
// many steps that took.
func replayMuch(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	ctx := t.Context()
	ws, target := hook.ID{15: 0xa}, hook.ID{15: 1}
	node, _, err := s.Register(ctx, "i", "n", hook.NoID)
	if err != nil {
		t.Fatal(err)
	}
	failed, final := []hook.State{hook.StateFailed}, []hook.State{hook.StateFailed, hook.StateSucceeded}
	at := time.UnixMilli(1790000000000)
	for _, spec := range []hook.ReplaySpec{
		{Include: hook.ReplayFailed, States: failed, Target: target}, {Include: hook.ReplayFailed, States: failed, Target: target, EventTypes: []string{"type.1"}},
		{Include: hook.ReplayFailed, States: final, Target: target, Since: at.Add(100 * time.Second)},
		{Include: hook.ReplayAll, States: final, Target: target}, {Include: hook.ReplayMissed}, {Include: hook.ReplayFailed, States: final, EntityID: "7"},
	} {
		spec.TargetKind, spec.Until = hook.TargetWebhook, at.Add(300*time.Second)
		r := &hook.Replay{Workspace: ws, ReplaySpec: spec}
		if err := s.AddReplay(ctx, r); err != nil {
			t.Fatal(err)
		}
		if r, err = s.TakeReplay(ctx, node, nil); err != nil {
			t.Fatal(err)
		}
		p := hook.ReplayPiece{Replay: r.ID, Version: 1, States: spec.States}
		for !p.Last {
			p.Again = nil
			if spec.ByEvent() {
				rows, next, more, err := s.ReplayEvents(ctx, ws, &spec, p.Cursor.At, replayStep)
				if err != nil {
					t.Fatal(err)
				}
				for i, e := range rows {
					for _, d := range e.Deliveries {
						if i%10 == 0 {
							p.Again = append(p.Again, d.ID)
						}
					}
				}
				p.Cursor.At, p.Last = next, !more
			} else {
				rows, next, more, err := s.ReplayDeliveries(ctx, &spec, target, p.Cursor.At, replayStep)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range rows {
					p.Again = append(p.Again, d.ID)
				}
				p.Cursor.At, p.Last = next, !more
			}
			if _, err := s.ReplayPiece(ctx, node, &p); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Backlog(ctx, []hook.ID{target}, replayStep); err != nil {
				t.Fatal(err)
			}
			n++
		}
		for _, asc := range []bool{false, true} {
			if _, _, err := s.Deliveries(ctx, hook.DeliveryFilter{Workspace: ws, Replays: []hook.ID{r.ID}}, hook.Page{Limit: 20, Asc: asc}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}
