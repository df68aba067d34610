package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// duePageSize bounds one look at who has work: 1.7 ms on Postgres at 10,000 targets.
const duePageSize = 500

// duePageSQL jumps from target to target through the primary key, so that a target
// with a million waiting rows costs as much as one with a single row.
const duePageSQL = `
WITH RECURSIVE t AS (
	(SELECT target_id, due_at, workspace_id, 1 AS k FROM due WHERE target_id > $1 AND held_by IS NULL ORDER BY target_id, due_at LIMIT 1)
	UNION ALL
	SELECT n.target_id, n.due_at, n.workspace_id, k + 1 FROM t CROSS JOIN LATERAL
		(SELECT target_id, due_at, workspace_id FROM due WHERE target_id > t.target_id AND held_by IS NULL
		 ORDER BY target_id, due_at LIMIT 1) n
	WHERE k < 500)
SELECT target_id, due_at, workspace_id, now() FROM t`

// DuePage lists, in the order of their ids, targets after the given one which have
// unclaimed deliveries waiting, with the earliest of each and the database's time. A
// page shorter than 500 is the last.
func (s *Store) DuePage(ctx context.Context, after hook.ID) (page []hook.DueTarget, last bool, now time.Time, err error) {
	if s.engine == Postgres {
		err = s.hotDo(ctx, func(conn *pgxpool.Conn) error {
			page = page[:0]
			return s.hotQuery(ctx, conn, "due_page", duePageSQL, func(v [][]byte) error {
				page = append(page, hook.DueTarget{Target: readUUID(v[0]), DueAt: fromPgStamp(v[1]), Workspace: readUUID(v[2])})
				now = fromPgStamp(v[3])
				return nil
			}, nil, pgUUID(after))
		})
		return page, len(page) < duePageSize, now, translate(err)
	}
	now = s.ids.Now()
	for len(page) < duePageSize {
		var target, ws []byte
		var at int64
		err := s.sqlr.QueryRowContext(ctx, `SELECT target_id, due_at, workspace_id FROM due
			WHERE target_id > ? AND held_by IS NULL ORDER BY target_id, due_at LIMIT 1`, after[:]).Scan(&target, &at, &ws)
		if errors.Is(err, sql.ErrNoRows) {
			return page, true, now, nil
		}
		if err != nil {
			return nil, false, now, translate(err)
		}
		after = readUUID(target)
		page = append(page, hook.DueTarget{Target: after, DueAt: fromMicros(at), Workspace: readUUID(ws)})
	}
	return page, false, now, nil
}

// The statements of the pipeline go from what they were given to the table, one look into one
// index for each row, whatever Postgres thinks of the sizes: a plan made while a table was
// empty, or looked so, is kept until it is analysed again, and may begin with the whole of an
// index. Which way round a plain join goes is the planner's choice; LATERAL with a LIMIT, ANY
// (ARRAY[column]) and ctid leave it none.

// dueOfU is the row in due of each u.id. The interval and the order name the index: for an empty
// table the primary key, whose last column the id is, costs the same.
const dueOfU = `CROSS JOIN LATERAL (
	SELECT ctid FROM due WHERE delivery_id >= u.id AND delivery_id <= u.id ORDER BY delivery_id LIMIT 1) x`

// claimSQL takes due rows lane by lane, each with its own limit and with the last
// claimed time as floor: without it an open snapshot elsewhere makes every claim walk
// over the dead entries of all before it.
const claimSQL = `
WITH fence AS MATERIALIZED (SELECT 1 FROM nodes WHERE id = $1 FOR KEY SHARE),
w AS MATERIALIZED (SELECT * FROM unnest($2::uuid[], $3::int[], $4::timestamptz[]) w(t, n, floor) WHERE EXISTS (SELECT 1 FROM fence)),
c AS MATERIALIZED (SELECT x.* FROM w CROSS JOIN LATERAL (
	SELECT ctid FROM due
	WHERE target_id = w.t AND due_at >= w.floor AND due_at <= now() AND held_by IS NULL
	ORDER BY due_at, delivery_id LIMIT w.n FOR UPDATE SKIP LOCKED) x),
u AS (UPDATE due d SET held_by = $1 WHERE d.ctid = ANY (ARRAY (SELECT ctid FROM c))
	RETURNING d.delivery_id, d.due_at, d.claims, d.trigger_kind)
SELECT EXISTS (SELECT 1 FROM fence), u.delivery_id, u.due_at, u.claims, u.trigger_kind FROM (SELECT 1) one LEFT JOIN u ON true`

const loadJobsSQL = `
SELECT d.id, d.workspace_id, d.event_key, d.target_kind, d.target_id, d.attempts, d.base, d.test, d.replay_id, d.step,
	e.id, e.type, e.entity_id, e.entity_id_number, e.entity, e.entity_url, e.occurred_at, e.source_kind, e.source_id, e.request_id, e.hops, e.matched, d.fresh
FROM deliveries d CROSS JOIN LATERAL (SELECT * FROM events WHERE workspace_id = d.workspace_id AND key = d.event_key LIMIT 1) e
WHERE d.id = ANY($1::uuid[])`

// Claim takes due deliveries for a node, at most N of each target and as many as have
// entities of so many bytes together, but at least one, and returns them with their events,
// in no promised order. full: some were left for the bytes' sake. What is due the database's
// clock decides. ErrFenced: the node was declared dead and took nothing. What was taken but
// could not be returned, because of an error, the audit finds and gives back.
func (s *Store) Claim(ctx context.Context, node hook.NodeID, wants []hook.LaneWant, bytes int64) (jobs []*hook.Job, full bool, err error) {
	if len(wants) == 0 {
		return nil, false, nil
	}
	if s.engine == Postgres {
		jobs, full, err = s.claimPostgres(ctx, node, wants, bytes)
	} else {
		jobs, full, err = s.claimSQLite(ctx, node, wants, bytes)
	}
	return jobs, full, translate(err)
}

// unclaimSQL gives back what was claimed a moment ago and is too much.
const unclaimSQL = `UPDATE due SET held_by = NULL WHERE ctid = ANY (ARRAY (
	SELECT x.ctid FROM unnest($2::uuid[]) u(id) ` + dueOfU + `)) AND held_by IS NOT DISTINCT FROM $1`

func (s *Store) claimPostgres(ctx context.Context, node hook.NodeID, wants []hook.LaneWant, room int64) (jobs []*hook.Job, full bool, err error) {
	params, load, left := newPgParams(), newPgParams(), newPgParams()
	defer params.free()
	defer load.free()
	defer left.free()
	t, n, floor := params.uuids(), params.int4s(), params.stamps()
	for _, w := range wants {
		t.uuid(w.Target)
		n.int4(int32(w.N))
		floor.stamp(w.Floor)
	}
	err = s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		fenced, bytes := false, int64(0)
		taken := make(map[hook.ID]*hook.Job)
		jobs, full = nil, false
		load.used, left.used = 0, 0
		ids, tooMuch := load.uuids(), left.uuids()
		if err := s.hotQuery(ctx, conn, "claim", claimSQL, func(v [][]byte) error {
			fenced = !readBool(v[0])
			if v[1] == nil {
				return nil
			}
			j := &hook.Job{Claimed: true, DueAt: fromPgStamp(v[2]), Claims: int(readInt2(v[3])), Trigger: triggerCodes.from(readInt2(v[4]))}
			j.Delivery.ID = readUUID(v[1])
			taken[j.Delivery.ID] = j
			ids.uuid(j.Delivery.ID)
			return nil
		}, params, pgInt8(int64(node))); err != nil {
			return err
		}
		if fenced {
			return hook.ErrFenced
		}
		if len(taken) == 0 {
			return nil
		}
		if err := s.hotQuery(ctx, conn, "load_jobs", loadJobsSQL, func(v [][]byte) error {
			if bytes += int64(len(v[14])); bytes > room && len(jobs) > 0 {
				full = true
				tooMuch.uuid(readUUID(v[0]))
				return nil
			}
			j := taken[readUUID(v[0])]
			d := &j.Delivery
			d.Workspace, d.EventKey, d.TargetKind, d.Target = readUUID(v[1]), readUUID(v[2]), targetKindCodes.from(readInt2(v[3])), readUUID(v[4])
			d.State, d.Attempts, d.Base, d.Test = hook.StatePending, int(readInt2(v[5])), int(readInt2(v[6])), readBool(v[7])
			d.ReplayID, d.Step, d.Fresh = readUUID(v[8]), int(readInt2(v[9])), int(readInt2(v[22]))
			e := &hook.Event{Key: d.EventKey, Workspace: d.Workspace, ID: string(v[10]), Type: string(v[11]), EntityURL: string(v[15])}
			e.EntityID = hook.EntityID{Text: string(v[12]), Number: readBool(v[13])}
			if v[14] != nil {
				e.Entity = append(make([]byte, 0, len(v[14])), v[14]...)
			}
			e.Timestamp, e.Hops, e.Matched = fromMicros(readInt8(v[16])), int(readInt2(v[20])), int(readInt4(v[21]))
			e.Source = hook.Source{Kind: sourceCodes.from(readInt2(v[17])), ID: readUUID(v[18]), RequestID: readUUID(v[19])}
			d.RequestID = e.Source.RequestID
			if e.ID == "" {
				e.ID = e.Key.String()
			}
			j.Event = e
			jobs = append(jobs, j)
			return nil
		}, load); err != nil || !full {
			return err
		}
		if err := s.hotQuery(ctx, conn, "unclaim", unclaimSQL, nil, left, pgInt8(int64(node))); err != nil {
			s.log.WarnContext(ctx, "claim.give_back", "error", err) // the audit does
		}
		return nil
	})
	return jobs, full, err
}

func (s *Store) claimSQLite(ctx context.Context, node hook.NodeID, wants []hook.LaneWant, room int64) (jobs []*hook.Job, full bool, err error) {
	err = s.sqliteTx(ctx, func(tx *sqliteTx) error {
		jobs, full = nil, false
		bytes := int64(0)
		if err := tx.fence(node); err != nil {
			return err
		}
		now := micros(s.ids.Now())
		for _, w := range wants {
			var floor int64
			if !w.Floor.IsZero() {
				floor = micros(w.Floor)
			}
			var lane []*hook.Job
			if err := tx.query(func(rows *sql.Rows) error {
				var id []byte
				var at int64
				var claims, trigger int16
				if err := rows.Scan(&id, &at, &claims, &trigger); err != nil {
					return err
				}
				j := &hook.Job{Claimed: true, DueAt: fromMicros(at), Claims: int(claims), Trigger: triggerCodes.from(trigger)}
				j.Delivery.ID = readUUID(id)
				lane = append(lane, j)
				return nil
			}, `SELECT delivery_id, due_at, claims, trigger_kind FROM due
				WHERE target_id = ? AND due_at >= ? AND due_at <= ? AND held_by IS NULL ORDER BY due_at, delivery_id LIMIT ?`,
				w.Target[:], floor, now, int64(w.N)); err != nil {
				return err
			}
			for _, j := range lane {
				if full = bytes > room && len(jobs) > 0; full {
					return nil
				}
				if _, err := tx.exec("UPDATE due SET held_by = ? WHERE target_id = ? AND due_at = ? AND delivery_id = ?",
					int64(node), w.Target[:], micros(j.DueAt), j.Delivery.ID[:]); err != nil {
					return err
				}
				if err := tx.loadJob(j); err != nil {
					return err
				}
				bytes += int64(len(j.Event.Entity))
				jobs = append(jobs, j)
			}
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return jobs, full, nil
}

func (t *sqliteTx) loadJob(j *hook.Job) error {
	d, e := &j.Delivery, &hook.Event{}
	var ws, key, target, replay, source, sourceRequest []byte
	var kind, sourceKind int16
	var id, entityID, url sql.NullString
	var at int64
	if err := t.one(`SELECT d.workspace_id, d.event_key, d.target_kind, d.target_id, d.attempts, d.base, d.test, d.replay_id, d.step,
			e.id, e.type, e.entity_id, e.entity_id_number, e.entity, e.entity_url, e.occurred_at, e.source_kind, e.source_id, e.request_id, e.hops, e.matched, d.fresh
		FROM deliveries d JOIN events e ON e.workspace_id = d.workspace_id AND e.key = d.event_key WHERE d.id = ?`,
		[]any{d.ID[:]}, &ws, &key, &kind, &target, &d.Attempts, &d.Base, &d.Test, &replay, &d.Step,
		&id, &e.Type, &entityID, &e.EntityID.Number, &e.Entity, &url, &at, &sourceKind, &source, &sourceRequest, &e.Hops, &e.Matched, &d.Fresh); err != nil {
		return err
	}
	d.Workspace, d.EventKey, d.Target, d.ReplayID = readUUID(ws), readUUID(key), readUUID(target), readUUID(replay)
	d.TargetKind, d.State = targetKindCodes.from(kind), hook.StatePending
	e.Key, e.Workspace, e.ID, e.EntityID.Text, e.EntityURL = d.EventKey, d.Workspace, id.String, entityID.String, url.String
	if e.ID == "" {
		e.ID = e.Key.String()
	}
	e.Timestamp = fromMicros(at)
	e.Source = hook.Source{Kind: sourceCodes.from(sourceKind), ID: readUUID(source), RequestID: readUUID(sourceRequest)}
	d.RequestID = e.Source.RequestID
	j.Event = e
	return nil
}
