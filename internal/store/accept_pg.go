package store

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// acceptSQL stores a batch in one statement, which is one transaction and one round
// trip: the fence (this node is not declared dead), the freshness (no workspace has a
// newer configuration than the batch was matched against) and then, only if both
// hold, keys, events, deliveries and what waits. In READ COMMITTED the statement sees
// what was committed before it began, so a publish sees every configuration change
// that returned before it. Run again with the same ids it stores only what is missing.
const acceptSQL = `
WITH fence AS MATERIALIZED (SELECT 1 FROM nodes WHERE id = $1 FOR KEY SHARE),
stale AS MATERIALIZED (
	SELECT v.scope FROM unnest($2::uuid[], $3::bigint[]) v(scope, version)
	LEFT JOIN config_versions c ON c.scope_id = v.scope WHERE c.version IS DISTINCT FROM v.version),
go AS MATERIALIZED (SELECT 1 WHERE EXISTS (SELECT 1 FROM fence) AND NOT EXISTS (SELECT 1 FROM stale)),
{{keys}}
ev AS (
	INSERT INTO events (workspace_id, key, id, type, entity_id, entity_id_number, entity, entity_url, occurred_at,
		source_kind, source_id, request_id, hops, matched)
	SELECT e.* FROM unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::bool[], $10::bytea[], $11::text[],
		$12::bigint[], $13::smallint[], $14::uuid[], $15::uuid[], $16::smallint[], $17::int[])
		e(ws, key, id, type, entity_id, entity_id_number, entity, url, at, sk, sid, rid, hops, matched)
	WHERE EXISTS (SELECT 1 FROM go) {{event}}
	ON CONFLICT DO NOTHING),
dl AS (
	INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, test, node)
	SELECT d.id, d.ws, d.event_key, d.kind, d.target, d.state, d.test, CASE WHEN d.state = 0 THEN $1 END
	FROM unnest($18::uuid[], $19::uuid[], $20::uuid[], $21::smallint[], $22::uuid[], $23::smallint[], $24::bool[], $25::bool[])
		d(id, ws, event_key, kind, target, state, test, keyed)
	WHERE EXISTS (SELECT 1 FROM go) {{delivery}}
	ON CONFLICT DO NOTHING
	RETURNING id, workspace_id, event_key, target_id, state),
du AS (
	INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind)
	SELECT target_id, now(), id, workspace_id, 0 FROM dl WHERE state = 1
	ON CONFLICT DO NOTHING)
SELECT EXISTS (SELECT 1 FROM fence), ARRAY(SELECT scope FROM stale), {{won}}`

var (
	acceptPlain = strings.NewReplacer("{{keys}}", "", "{{event}}", "", "{{delivery}}", "", "{{won}}", "ARRAY[]::uuid[]").Replace(acceptSQL)
	acceptKeyed = strings.NewReplacer(
		"{{keys}}", `keys AS (
	INSERT INTO event_keys (workspace_id, id, event_key, content_hash)
	SELECT k.* FROM unnest($26::uuid[], $27::text[], $28::uuid[], $29::bytea[]) k(ws, id, event_key, hash)
	WHERE EXISTS (SELECT 1 FROM go)
	ON CONFLICT DO NOTHING RETURNING event_key),`,
		"{{event}}", `AND (e.id IS NULL OR e.key IN (SELECT event_key FROM keys))`,
		"{{delivery}}", `AND (NOT d.keyed OR d.event_key IN (SELECT event_key FROM keys))`,
		"{{won}}", "ARRAY(SELECT event_key FROM keys)",
	).Replace(acceptSQL)
)

func (s *Store) acceptPostgres(ctx context.Context, b *hook.AcceptBatch) (hook.AcceptResult, error) {
	params := newPgParams()
	defer params.free()
	values, keyed := acceptParams(params, b)
	name, query := "accept", acceptPlain
	if keyed > 0 {
		name, query = "accept_keyed", acceptKeyed
	}
	var res hook.AcceptResult
	var won []hook.ID
	err := s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return hotQuery(ctx, conn, name, query, func(v [][]byte) error {
			res.Fenced, res.Stale, won = !readBool(v[0]), readUUIDs(v[1]), readUUIDs(v[2])
			return nil
		}, values...)
	})
	if err != nil || res.Fenced || len(res.Stale) > 0 {
		return res, err
	}
	if keyed > len(won) {
		if res.First, err = s.firstReceipts(ctx, b, won); err != nil {
			return res, err
		}
	}
	if b.Rerun {
		res.Mine, err = s.stillMine(ctx, b)
	}
	return res, err
}

func acceptParams(p *pgParams, b *hook.AcceptBatch) (values [][]byte, keyed int) {
	scopes, versions := p.uuids(), p.int8s()
	for scope, v := range b.Versions {
		scopes.uuid(scope)
		versions.int8(v)
	}
	ws, key, id, typ, entityID, number, entity, url := p.uuids(), p.uuids(), p.texts(), p.texts(), p.texts(), p.bools(), p.byteas(), p.texts()
	at, kind, source, request, hops, matched := p.int8s(), p.int2s(), p.uuids(), p.uuids(), p.int2s(), p.int4s()
	dID, dWs, dEvent, dKind, dTarget, dState, dTest, dKeyed := p.uuids(), p.uuids(), p.uuids(), p.int2s(), p.uuids(), p.int2s(), p.bools(), p.bools()
	for _, e := range b.Events {
		ev := &e.Event
		ws.uuid(ev.Workspace)
		key.uuid(ev.Key)
		if e.ClientID {
			keyed++
			id.text(ev.ID)
		} else {
			id.addNull()
		}
		typ.text(ev.Type)
		if ev.EntityID.IsZero() {
			entityID.addNull()
		} else {
			entityID.text(ev.EntityID.Text)
		}
		number.bool(ev.EntityID.Number)
		entity.bytes(ev.Entity)
		url.textOrNull(ev.EntityURL)
		at.int8(micros(ev.Timestamp))
		kind.int2(sourceCodes.of(ev.Source.Kind))
		source.uuidOrNull(ev.Source.ID)
		request.uuidOrNull(ev.Source.RequestID)
		hops.int2(int16(ev.Hops))
		matched.int4(int32(ev.Matched))
		for i := range e.Deliveries {
			d := &e.Deliveries[i]
			dID.uuid(d.ID)
			dWs.uuid(ev.Workspace)
			dEvent.uuid(ev.Key)
			dKind.int2(targetKindCodes.of(d.TargetKind))
			dTarget.uuid(d.Target)
			dState.int2(stateCodes.of(bornState(d)))
			dTest.bool(d.Test)
			dKeyed.bool(e.ClientID)
		}
	}
	if keyed == 0 {
		return p.values(pgInt8(int64(b.Node))), 0
	}
	// Sorted, so that two nodes with the same ids in opposite order do not deadlock.
	byKey := make([]*hook.PlannedEvent, 0, keyed)
	for _, e := range b.Events {
		if e.ClientID {
			byKey = append(byKey, e)
		}
	}
	slices.SortFunc(byKey, func(x, y *hook.PlannedEvent) int {
		if c := bytes.Compare(x.Event.Workspace[:], y.Event.Workspace[:]); c != 0 {
			return c
		}
		return strings.Compare(x.Event.ID, y.Event.ID)
	})
	kWs, kID, kEvent, kHash := p.uuids(), p.texts(), p.uuids(), p.byteas()
	for _, e := range byKey {
		kWs.uuid(e.Event.Workspace)
		kID.text(e.Event.ID)
		kEvent.uuid(e.Event.Key)
		kHash.bytes(e.Hash[:])
	}
	return p.values(pgInt8(int64(b.Node))), keyed
}

func bornState(d *hook.PlannedDelivery) hook.State {
	if d.Born {
		return hook.StateRunning
	}
	return hook.StatePending
}

const firstReceiptSQL = `
SELECT k.i, ek.event_key, ek.content_hash, e.type, e.matched
FROM unnest($1::uuid[], $2::text[], $3::int[]) k(ws, id, i)
JOIN event_keys ek ON ek.workspace_id = k.ws AND ek.id = k.id
LEFT JOIN events e ON e.workspace_id = ek.workspace_id AND e.key = ek.event_key`

// firstReceipts looks up, in a new statement, what was there before for the events
// whose id was taken. An id older than the window is forgotten first, so that the
// caller's next try stores it. A batch's own key is no repeat: it was stored by a run
// whose outcome was unknown.
func (s *Store) firstReceipts(ctx context.Context, b *hook.AcceptBatch, won []hook.ID) (map[int]hook.FirstReceipt, error) {
	wonSet := make(map[hook.ID]bool, len(won))
	for _, id := range won {
		wonSet[id] = true
	}
	params := newPgParams()
	defer params.free()
	ws, ids, index := params.uuids(), params.texts(), params.int4s()
	for i, e := range b.Events {
		if e.ClientID && !wonSet[e.Event.Key] {
			ws.uuid(e.Event.Workspace)
			ids.text(e.Event.ID)
			index.int4(int32(i))
		}
	}
	first := make(map[int]hook.FirstReceipt)
	err := s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return hotQuery(ctx, conn, "first_receipt", firstReceiptSQL, func(v [][]byte) error {
			i := int(readInt4(v[0]))
			r := hook.FirstReceipt{Key: readUUID(v[1])}
			copy(r.Hash[:], v[2])
			if v[3] != nil {
				r.Type, r.Matched = string(v[3]), int(readInt4(v[4]))
			}
			if r.Key != b.Events[i].Event.Key {
				first[i] = r
			}
			return nil
		}, params.values()...)
	})
	return first, err
}

// stillMine asks which born deliveries of a batch are running on its node.
func (s *Store) stillMine(ctx context.Context, b *hook.AcceptBatch) (map[hook.ID]bool, error) {
	params := newPgParams()
	defer params.free()
	ids := params.uuids()
	for _, e := range b.Events {
		for i := range e.Deliveries {
			if e.Deliveries[i].Born {
				ids.uuid(e.Deliveries[i].ID)
			}
		}
	}
	mine := make(map[hook.ID]bool)
	err := s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return hotQuery(ctx, conn, "still_mine", `SELECT id FROM deliveries WHERE id = ANY($2::uuid[]) AND state = 0 AND node = $1`,
			func(v [][]byte) error {
				mine[readUUID(v[0])] = true
				return nil
			}, params.values(pgInt8(int64(b.Node)))...)
	})
	return mine, err
}

// ForgetEventIDs removes ids whose first event is older than the window, so that they
// can be used again. Receipts of events within it stay.
func (s *Store) ForgetEventIDs(ctx context.Context, workspace hook.ID, ids []string, before time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return translate(s.w.WithContext(ctx).Exec(
		"DELETE FROM event_keys WHERE workspace_id = ? AND id IN ? AND event_key < ?",
		rowID(workspace), ids, rowID(hook.FirstID(before))).Error)
}
