package store

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// Both statements begin with u, the batch, and end with the deliveries that were held.
// attempts are inserted whether or not the guard held; what was recorded before (the
// batch runs again) is left as it is. The subqueries are uncorrelated on purpose: they
// are hashed whatever the planner may join.
const (
	finishHead = `
WITH u AS MATERIALIZED (
	SELECT * FROM unnest($2::uuid[], $3::smallint[], $4::smallint[], $5::smallint[], $6::smallint[], $7::bigint[],
		$8::uuid[], $9::smallint[], $10::smallint[], $11::smallint[], $12::smallint[], $13::bigint[], $14::bigint[],
		$15::bytea[], $16::bytea[], $17::bytea[], $18::bytea[], $19::bool[], $20::bigint[], $21::smallint[], $22::uuid[], $23::uuid[])
		u(id, before, state, reason, after, finished, attempt, n, outcome, class, status, started, duration,
			detail, head, tail, resp, claimed, wait, trigger, target, ws)),`

	finishAttempts = `
a AS (INSERT INTO attempts (delivery_id, id, n, outcome, error_class, status, started_at, duration, detail, req_head, req_tail, resp_body)
	SELECT u.id, u.attempt, u.n, CASE WHEN u.id IN (SELECT id FROM g) THEN u.outcome ELSE 3 END, u.class, u.status, u.started, u.duration,
		u.detail, u.head, u.tail, u.resp
	FROM u WHERE u.attempt IS NOT NULL
	ON CONFLICT DO NOTHING)
SELECT id FROM g`

	// The path nearly every delivery takes: born here, one attempt, succeeded.
	finishOrdinary = finishHead + `
g AS (UPDATE deliveries d SET state = u.state, reason = u.reason, attempts = u.after, node = NULL, finished_at = u.finished
	FROM u WHERE d.id = u.id AND d.state = 0 AND d.node = $1 AND d.attempts = u.before
	RETURNING d.id),` + finishAttempts

	finishGeneral = finishHead + `
h AS (DELETE FROM due USING u WHERE u.claimed AND due.delivery_id = u.id AND due.held_by = $1 RETURNING due.delivery_id),
g AS (UPDATE deliveries d SET state = u.state, reason = u.reason, attempts = u.after, node = NULL, finished_at = u.finished
	FROM u WHERE d.id = u.id AND CASE WHEN u.claimed THEN d.id IN (SELECT delivery_id FROM h)
		ELSE d.state = 0 AND d.node = $1 AND d.attempts = u.before END
	RETURNING d.id),
w AS (INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind)
	SELECT u.target, now() + u.wait * interval '1 microsecond', u.id, u.ws, u.trigger FROM u
	WHERE u.state = 1 AND u.id IN (SELECT id FROM g)),
x AS (INSERT INTO dead (target_id, delivery_id)
	SELECT u.target, u.id FROM u WHERE u.state = 3 AND u.id IN (SELECT id FROM g)
	ON CONFLICT DO NOTHING),` + finishAttempts
)

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
	values := s.finishParams(params, node, batch, part)
	return s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return hotQuery(ctx, conn, name, query, func(v [][]byte) error {
			held[index[readUUID(v[0])]] = true
			return nil
		}, values...)
	})
}

func (s *Store) finishParams(p *pgParams, node hook.NodeID, batch []*hook.Finish, part []int) [][]byte {
	id, before, state, reason, after, finished := p.uuids(), p.int2s(), p.int2s(), p.int2s(), p.int2s(), p.int8s()
	attempt, number, outcome, class, status, started, duration := p.uuids(), p.int2s(), p.int2s(), p.int2s(), p.int2s(), p.int8s(), p.int8s()
	detail, head, tail, resp := p.byteas(), p.byteas(), p.byteas(), p.byteas()
	claimed, wait, trigger, target, ws := p.bools(), p.int8s(), p.int2s(), p.uuids(), p.uuids()
	now := micros(s.ids.Now())
	for _, i := range part {
		f := batch[i]
		d := &f.Job.Delivery
		id.uuid(d.ID)
		before.int2(int16(d.Attempts))
		state.int2(stateCodes.of(f.State))
		reason.int2(reasonCodes.of(f.Reason))
		after.int2(int16(f.Attempts))
		if f.State.Final() {
			finished.int8(now)
		} else {
			finished.addNull()
		}
		if a := f.Attempt; a != nil {
			attempt.uuid(a.ID)
			number.int2(int16(a.Number))
			outcome.int2(outcomeCodes.of(a.Outcome))
			class.int2(classCodes.of(a.ErrorClass))
			status.int2(attemptStatus(a))
			started.int8(micros(a.StartedAt))
			duration.int8(a.Timings.Total.Microseconds())
			detail.append(func(b []byte) []byte { return appendDetail(b, a) })
			h, t := splitBody(a.Request, len(f.Job.Event.Entity))
			head.bytes(nilIfEmpty(h))
			tail.bytes(nilIfEmpty(t))
			resp.bytes(responseBytes(a))
		} else {
			for _, c := range []*pgArray{attempt, number, outcome, class, status, started, duration, detail, head, tail, resp} {
				c.addNull()
			}
		}
		claimed.bool(f.Job.Claimed)
		wait.int8(f.Wait.Microseconds())
		if f.State == hook.StatePending {
			trigger.int2(triggerCodes.of(f.Trigger))
		} else {
			trigger.int2(0)
		}
		target.uuid(d.Target)
		ws.uuid(d.Workspace)
	}
	return p.values(pgInt8(int64(node)))
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
		return hotQuery(ctx, conn, "finished_before", `SELECT a.id FROM unnest($1::uuid[], $2::uuid[]) u(d, a)
			JOIN attempts a ON a.delivery_id = u.d AND a.id = u.a WHERE a.outcome <> 3`, func(v [][]byte) error {
			held[index[readUUID(v[0])]] = true
			return nil
		}, params.values()...)
	})
}
