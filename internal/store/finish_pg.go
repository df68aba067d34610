package store

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// Both statements begin with u, the batch, and end with the deliveries that were held.
// Attempts are inserted whether or not the guard held. The subqueries are uncorrelated and
// IS TRUE on purpose: they are hashed, and never made a join of every row with every other.
const (
	finishHead = `
WITH u AS MATERIALIZED (SELECT * FROM unnest($2::pipeline_finish[])),`

	finishAttempts = `
a AS (INSERT INTO attempts (delivery_id, id, n, outcome, error_class, status, started_at, duration, detail, req_head, req_tail, resp_body)
	SELECT u.id, u.attempt, u.n, CASE WHEN u.id IN (SELECT id FROM g) THEN u.outcome ELSE 3 END, u.error_class, u.status,
		u.started_at, u.duration, u.detail, u.req_head, u.req_tail, u.resp_body
	FROM u WHERE u.attempt IS NOT NULL {{again}})
SELECT id FROM g`

	// The path nearly every delivery takes: born here, one attempt, succeeded.
	finishOrdinary = finishHead + `
g AS (UPDATE deliveries d SET state = u.state, reason = u.reason, attempts = u.after, node = NULL, finished_at = u.finished_at
	FROM u WHERE d.id = ANY (ARRAY[u.id]) AND d.state = 0 AND d.node = $1 AND d.attempts = u.before
	RETURNING d.id),` + finishAttempts

	finishGeneral = finishHead + `
c AS MATERIALIZED (SELECT x.ctid FROM u ` + dueOfU + `
	CROSS JOIN LATERAL (SELECT 1 FROM deliveries d WHERE d.id = u.id AND d.attempts = u.before LIMIT 1) d
	WHERE u.claimed),
h AS (DELETE FROM due WHERE due.ctid = ANY (ARRAY (SELECT ctid FROM c)) AND due.held_by IS NOT DISTINCT FROM $1 RETURNING due.delivery_id),
g AS (UPDATE deliveries d SET state = u.state, reason = u.reason, attempts = u.after, node = NULL, finished_at = u.finished_at,
		step = u.step, base = u.base
	FROM u WHERE d.id = ANY (ARRAY[u.id]) AND CASE WHEN u.claimed THEN d.id IN (SELECT delivery_id FROM h)
		ELSE d.state = 0 AND d.node = $1 AND d.attempts = u.before END
	RETURNING d.id),
w AS (INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind)
	SELECT u.target_id, now() + u.wait * interval '1 microsecond', u.id, u.workspace_id, u.trigger_kind FROM u
	WHERE u.state = 1 AND (u.id IN (SELECT id FROM g)) IS TRUE),
x AS (INSERT INTO dead (target_id, delivery_id)
	SELECT u.target_id, u.id FROM u WHERE u.state = 3 AND (u.id IN (SELECT id FROM g)) IS TRUE
	ON CONFLICT DO NOTHING),` + finishAttempts
)

var finishGeneralAgain = finishAgain(finishGeneral, "ON CONFLICT DO NOTHING")

// finishAgain is a finish statement for a batch whose attempts may be there, or not.
func finishAgain(query, conflict string) string {
	return strings.Replace(query, "{{again}}", conflict, 1)
}

func (s *Store) finishPostgres(ctx context.Context, node hook.NodeID, batch []*hook.Finish) ([]bool, error) {
	held := make([]bool, len(batch))
	var plain, general []int
	for i, f := range batch {
		if ordinary(f) {
			plain = append(plain, i)
		} else {
			general = append(general, i)
		}
	}
	// Two transactions when both kinds are there: each delivery is one row's business.
	if err := s.finishPart(ctx, node, batch, plain, held, "finish_ordinary", finishOrdinary); err != nil {
		return nil, err
	}
	if err := s.finishPart(ctx, node, batch, general, held, "finish_general", finishGeneral); err != nil {
		return nil, err
	}
	return held, s.finishedBefore(ctx, batch, held)
}

func (s *Store) finishPart(ctx context.Context, node hook.NodeID, batch []*hook.Finish, part []int, held []bool, name, query string) error {
	if len(part) == 0 {
		return nil
	}
	index := make(map[hook.ID]int, len(part))
	for _, i := range part {
		index[batch[i].Job.Delivery.ID] = i
	}
	params := newPgParams()
	defer params.free()
	s.finishParams(params, batch, part)
	run := func(name, conflict string) error {
		text := finishAgain(query, conflict)
		return s.hotDo(ctx, func(conn *pgxpool.Conn) error {
			return s.hotQuery(ctx, conn, name, text, func(v [][]byte) error {
				held[index[readUUID(v[0])]] = true
				return nil
			}, params, pgInt8(int64(node)))
		})
	}
	err := run(name, "")
	if duplicate(err) { // recorded before, by a run whose outcome was unknown
		err = run(name+"_again", "ON CONFLICT DO NOTHING")
	}
	return err
}

func (s *Store) finishParams(p *pgParams, batch []*hook.Finish, part []int) {
	now := micros(s.ids.Now())
	r := p.rows(typeFinish)
	for _, i := range part {
		f := batch[i]
		d := &f.Job.Delivery
		r.begin(24)
		r.uuid(d.ID)
		r.uuid(d.Workspace)
		r.uuid(d.Target)
		r.int2(int16(d.Attempts))
		r.int2(stateCodes.of(f.State))
		r.int2(reasonCodes.of(f.Reason))
		r.int2(int16(f.Attempts))
		if f.State.Final() {
			r.int8(now)
		} else {
			r.null(pgtype.Int8OID)
		}
		r.bool(f.Job.Claimed)
		r.int8(f.Wait.Microseconds())
		if f.State == hook.StatePending {
			r.int2(triggerCodes.of(f.Trigger))
		} else {
			r.int2(0)
		}
		step, base := f.Progress()
		r.int2(int16(step))
		r.int2(int16(base))
		addAttempt(r, f)
		r.end()
	}
}

func addAttempt(r *pgRows, f *hook.Finish) {
	a := f.Attempt
	if a == nil {
		for _, oid := range [...]uint32{pgtype.UUIDOID, pgtype.Int2OID, pgtype.Int2OID, pgtype.Int2OID, pgtype.Int2OID, pgtype.Int8OID, pgtype.Int8OID,
			pgtype.ByteaOID, pgtype.ByteaOID, pgtype.ByteaOID, pgtype.ByteaOID} {
			r.null(oid)
		}
		return
	}
	r.uuid(a.ID)
	r.int2(int16(a.Number))
	r.int2(outcomeCodes.of(a.Outcome))
	r.int2(classCodes.of(a.ErrorClass))
	r.int2(attemptStatus(a))
	r.int8(micros(a.StartedAt))
	r.int8(a.Timings.Total.Microseconds())
	r.append(pgtype.ByteaOID, func(b []byte) []byte { return appendDetail(b, a) })
	head, tail := splitBody(a.Request, len(f.Job.Event.Entity))
	r.bytes(nilIfEmpty(head))
	r.bytes(nilIfEmpty(tail))
	r.bytes(responseBytes(a))
}

// finishedBefore marks as held those whose attempt is recorded as counted already: an
// earlier run of this batch was committed without our knowing.
func (s *Store) finishedBefore(ctx context.Context, batch []*hook.Finish, held []bool) error {
	params := newPgParams()
	defer params.free()
	ds, as := params.uuids(), params.uuids()
	index := make(map[hook.ID]int)
	for i, f := range batch {
		if !held[i] && f.Attempt != nil {
			ds.uuid(f.Job.Delivery.ID)
			as.uuid(f.Attempt.ID)
			index[f.Attempt.ID] = i
		}
	}
	if len(index) == 0 {
		return nil
	}
	return s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return s.hotQuery(ctx, conn, "finished_before", `SELECT a.id FROM unnest($1::uuid[], $2::uuid[]) u(d, a)
			CROSS JOIN LATERAL (SELECT id, outcome FROM attempts WHERE delivery_id = u.d AND id = u.a LIMIT 1) a WHERE a.outcome <> 3`, func(v [][]byte) error {
			held[index[readUUID(v[0])]] = true
			return nil
		}, params)
	})
}
