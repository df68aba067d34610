package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// breakerCodes are the states of a breaker as they lie in rows.
var breakerCodes = newCodes("closed", "open", "half_open")

const breakerClosed = 0

// healthChunk is how many targets one transaction writes, so that a flush of thousands
// does not hold SQLite's only writer for long, nor pass its 32,766 values.
const healthChunk = 500

// FlushHealth stores how targets fare as this node knows it, all of them or, on an
// error, some. LastSuccessAt and LastFailureAt never go back: another node may have
// seen later ones. Queue counts are not stored. Rows of deleted targets are harmless.
func (s *Store) FlushHealth(ctx context.Context, rows []hook.Health) error {
	// Sorted, so that two nodes that flush the same targets do not deadlock.
	rows = slices.SortedFunc(slices.Values(rows), func(a, b hook.Health) int { return compareIDs(a.Target, b.Target) })
	rows = slices.CompactFunc(rows, func(a, b hook.Health) bool { return a.Target == b.Target })
	for part := range slices.Chunk(rows, healthChunk) {
		if err := s.flushHealth(ctx, part); err != nil {
			return translate(err)
		}
	}
	return nil
}

const healthColumns = `failures, failing_since, last_success_at, last_failure_at, last_status, last_class, breaker,
	opened_at, next_probe_at, probe_wait, latency_p50, latency_p99`

const healthConflict = ` ON CONFLICT (target_id) DO UPDATE SET failures = excluded.failures, failing_since = excluded.failing_since,
	last_success_at = CASE WHEN target_health.last_success_at >= coalesce(excluded.last_success_at, 0)
		THEN target_health.last_success_at ELSE excluded.last_success_at END,
	last_failure_at = CASE WHEN target_health.last_failure_at >= coalesce(excluded.last_failure_at, 0)
		THEN target_health.last_failure_at ELSE excluded.last_failure_at END,
	last_status = excluded.last_status, last_class = excluded.last_class, breaker = excluded.breaker,
	opened_at = excluded.opened_at, next_probe_at = excluded.next_probe_at, probe_wait = excluded.probe_wait,
	latency_p50 = excluded.latency_p50, latency_p99 = excluded.latency_p99`

const healthInsert = "INSERT INTO target_health (target_id, workspace_id, " + healthColumns + ") "

func (s *Store) flushHealth(ctx context.Context, rows []hook.Health) error {
	if s.engine == Postgres {
		return s.flushHealthPostgres(ctx, rows)
	}
	return s.sqliteTx(ctx, func(tx *sqliteTx) error {
		for i := range rows {
			h := &rows[i]
			_, err := tx.exec(healthInsert+"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"+healthConflict, h.Target[:], h.Workspace[:],
				int64(h.ConsecutiveFailures), microsPtr(h.FailingSince), microsPtr(h.LastSuccessAt), microsPtr(h.LastFailureAt),
				int64(h.LastStatus), int64(classCodes.of(h.LastErrorClass)), int64(breakerCodes.of(breakerState(h))),
				microsPtr(h.Breaker.OpenedAt), microsPtr(h.Breaker.NextProbeAt), h.Breaker.Wait.Microseconds(),
				h.LatencyP50.Microseconds(), h.LatencyP99.Microseconds())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// flushHealthPostgres takes the pipeline's way of one statement over arrays: it is run
// every second.
func (s *Store) flushHealthPostgres(ctx context.Context, rows []hook.Health) error {
	p := newPgParams()
	defer p.free()
	target, ws, failures := p.uuids(), p.uuids(), p.int4s()
	failing, success, failure := p.int8s(), p.int8s(), p.int8s()
	status, class, breaker := p.int2s(), p.int2s(), p.int2s()
	opened, probe, wait, p50, p99 := p.int8s(), p.int8s(), p.int8s(), p.int8s(), p.int8s()
	at := func(a *pgArray, t *time.Time) {
		if t == nil {
			a.addNull()
			return
		}
		a.int8(micros(*t))
	}
	for i := range rows {
		h := &rows[i]
		target.uuid(h.Target)
		ws.uuid(h.Workspace)
		failures.int4(int32(h.ConsecutiveFailures))
		at(failing, h.FailingSince)
		at(success, h.LastSuccessAt)
		at(failure, h.LastFailureAt)
		status.int2(int16(h.LastStatus))
		class.int2(classCodes.of(h.LastErrorClass))
		breaker.int2(breakerCodes.of(breakerState(h)))
		at(opened, h.Breaker.OpenedAt)
		at(probe, h.Breaker.NextProbeAt)
		wait.int8(h.Breaker.Wait.Microseconds())
		p50.int8(h.LatencyP50.Microseconds())
		p99.int8(h.LatencyP99.Microseconds())
	}
	return s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return s.hotQuery(ctx, conn, "flush_health", healthInsert+`SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[],
			$5::bigint[], $6::bigint[], $7::smallint[], $8::smallint[], $9::smallint[], $10::bigint[], $11::bigint[], $12::bigint[],
			$13::bigint[], $14::bigint[])`+healthConflict, nil, p)
	})
}

func breakerState(h *hook.Health) string {
	if h.Breaker.State == "" {
		return breakerCodes.from(breakerClosed)
	}
	return h.Breaker.State
}

// LoadHealth returns what was stored of targets, for a node that starts. Targets that
// nothing was stored of are left out; queue counts are zero.
func (s *Store) LoadHealth(ctx context.Context, targets []hook.ID) ([]hook.Health, error) {
	var out []hook.Health
	for part := range slices.Chunk(targets, healthChunk) {
		err := s.pipelineRead(ctx, func(tx *gorm.DB) error {
			in := s.among("target_id", part)
			rows, err := list(tx, scanHealth, "SELECT target_id, workspace_id, "+healthColumns+" FROM target_health WHERE "+in.sql, in.args...)
			out = append(out, rows...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func scanHealth(rows *sql.Rows, h *hook.Health) error {
	var failing, success, failure, opened, probe *int64
	var class, breaker int16
	var wait, p50, p99 int64
	err := rows.Scan((*rowID)(&h.Target), (*rowID)(&h.Workspace), &h.ConsecutiveFailures, &failing, &success, &failure,
		&h.LastStatus, &class, &breaker, &opened, &probe, &wait, &p50, &p99)
	if err != nil {
		return err
	}
	h.FailingSince, h.LastSuccessAt, h.LastFailureAt = fromMicrosPtr(failing), fromMicrosPtr(success), fromMicrosPtr(failure)
	h.LastErrorClass = classCodes.from(class)
	h.Breaker = hook.Breaker{
		State: breakerCodes.from(breaker), OpenedAt: fromMicrosPtr(opened), NextProbeAt: fromMicrosPtr(probe),
		Wait: time.Duration(wait) * time.Microsecond,
	}
	h.LatencyP50, h.LatencyP99 = time.Duration(p50)*time.Microsecond, time.Duration(p99)*time.Microsecond
	return nil
}

// Health returns how a target fares, with its queue as it is now: what waits is Held
// if the target is not sent to, else Pending. It is zero, with a closed breaker, for a
// target that nothing was sent to yet.
func (s *Store) Health(ctx context.Context, workspace, target hook.ID) (hook.Health, error) {
	h := hook.Health{Target: target, Workspace: workspace, Breaker: hook.Breaker{State: breakerCodes.from(breakerClosed)}}
	err := s.search(ctx, func(tx *gorm.DB) error {
		stored, err := list(tx, scanHealth, "SELECT target_id, workspace_id, "+healthColumns+
			" FROM target_health WHERE target_id = ? AND workspace_id = ?", rowID(target), rowID(workspace))
		if err != nil {
			return err
		}
		if len(stored) > 0 {
			h = stored[0]
		}
		return s.queueOf(tx, &h)
	})
	return h, err
}

// queueOf counts what waits for a target and what is being sent.
func (s *Store) queueOf(tx *gorm.DB, h *hook.Health) error {
	type counts struct {
		waiting, claimed int
		active           bool
	}
	// The oldest by id: due is in the order of when the next attempt is due.
	rows, err := list(tx, func(rows *sql.Rows, c *counts) error { return rows.Scan(&c.waiting, &c.claimed, &c.active) },
		"SELECT count(*) - count(u.held_by), count(u.held_by), "+activeSQL("?")+" FROM due u WHERE u.target_id = ? AND u.workspace_id = ?",
		append(slices.Repeat([]any{rowID(h.Target)}, len(targetTables)+1), rowID(h.Workspace))...)
	if err != nil {
		return err
	}
	c := rows[0]
	h.Running = c.claimed
	if c.active {
		h.Pending = c.waiting
	} else {
		h.Held = c.waiting
	}
	oldest, err := list(tx, scanID, `SELECT u.delivery_id FROM due u WHERE u.target_id = ? AND u.workspace_id = ? AND u.held_by IS NULL
		ORDER BY u.delivery_id LIMIT 1`, rowID(h.Target), rowID(h.Workspace))
	if err != nil {
		return err
	}
	if len(oldest) > 0 {
		t := hook.TimeOf(oldest[0])
		h.OldestPending = &t
	}
	floor, err := bornFloor(tx)
	if err != nil {
		return err
	}
	born, err := list(tx, func(rows *sql.Rows, n *int) error { return rows.Scan(n) },
		"SELECT count(*) FROM deliveries d WHERE d.target_id = ? AND d.id >= ? AND d.workspace_id = ? AND "+bornSQL,
		rowID(h.Target), rowID(floor), rowID(h.Workspace))
	if err != nil {
		return err
	}
	h.Running += born[0]
	return nil
}
