package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
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
{{keys}}{{requests}}
ev AS (
	INSERT INTO events (workspace_id, key, id, type, entity_id, entity_id_number, entity, entity_url, occurred_at,
		source_kind, source_id, request_id, hops, matched)
	SELECT e.* FROM unnest($4::pipeline_event[]) e WHERE EXISTS (SELECT 1 FROM go) {{event}} {{kept_event}} {{again}}),
dl AS (
	INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, test, node, reason, finished_at)
	SELECT d.id, d.workspace_id, d.event_key, d.target_kind, d.target_id, d.state, d.test, CASE WHEN d.state = 0 THEN $1 END,
		CASE WHEN d.state = 4 THEN 8 ELSE 0 END, CASE WHEN d.state = 4 THEN (extract(epoch FROM now()) * 1000000)::bigint END
	FROM unnest($5::pipeline_delivery[]) d WHERE EXISTS (SELECT 1 FROM go) {{delivery}} {{kept_delivery}} {{again}} -- 4 is skipped, and born so only for 8, condition_error
	RETURNING id, workspace_id, target_id, state),
du AS (
	INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind)
	SELECT target_id, now(), id, workspace_id, 0 FROM dl WHERE state = 1 {{again}})
SELECT EXISTS (SELECT 1 FROM fence), ARRAY(SELECT scope FROM stale), {{won}}, {{lost}}`

// A first run inserts plainly: ON CONFLICT would cost 4 us a row for what cannot be. Only
// client ids and repeats of requests may be there before, and after an unknown outcome
// everything.
var (
	acceptPlain   = acceptVariant("", noKeys, noRequests)
	acceptKeyed   = acceptVariant("", keyParts(6), noRequests)
	acceptInbound = acceptVariant("", noKeys, requestParts, noDedupe)
	acceptFull    = acceptVariant("", keyParts(7), requestParts, dedupeParts)
	acceptAgain   = acceptVariant("ON CONFLICT DO NOTHING", keyParts(7), requestParts, dedupeParts)

	noKeys     = []string{"{{keys}}", "", "{{event}}", "", "{{delivery}}", "", "{{won}}", "ARRAY[]::uuid[]"}
	noRequests = append([]string{"{{requests}}", ""}, noDedupe...)
	noDedupe   = []string{"{{dedupe}}", "", "{{kept}}", "", "{{kept_event}}", "", "{{kept_delivery}}", "", "{{lost}}", "ARRAY[]::uuid[]"}

	// Requests are stored before their events, and large ones noted to be expanded later.
	requestParts = []string{"{{requests}}", `
rq AS MATERIALIZED (SELECT r.* FROM unnest($6::pipeline_request[]) r WHERE EXISTS (SELECT 1 FROM go)),
{{dedupe}}ri AS (
	INSERT INTO requests (workspace_id, id, incoming_id, code, verdict, reason, status, duration, events, deliveries,
		duplicate_of, replay_of, detail, body, body_in_event, sealed)
	SELECT workspace_id, id, incoming_id, code, verdict, reason, status, duration, events, deliveries,
		duplicate_of, replay_of, detail, body, body_in_event, sealed FROM rq {{kept}} {{again}}),
ex AS (
	INSERT INTO expansions (request_id, workspace_id, incoming_id, total, done)
	SELECT id, workspace_id, incoming_id, expand, 0 FROM (SELECT * FROM rq {{kept}}) r WHERE expand > 0 {{again}}),`}

	// A repeat of a request that was accepted before is left out with all its events.
	dedupeParts = []string{
		"{{dedupe}}", `dk AS (
	INSERT INTO dedupe_keys (incoming_id, hash, request_id, expires_at)
	SELECT incoming_id, dedupe, id, dedupe_until FROM rq WHERE dedupe IS NOT NULL ORDER BY incoming_id, dedupe
	ON CONFLICT DO NOTHING RETURNING request_id),
lost AS MATERIALIZED (SELECT id FROM rq WHERE dedupe IS NOT NULL AND id NOT IN (SELECT request_id FROM dk)),
lost_events AS MATERIALIZED (SELECT e.key FROM unnest($4::pipeline_event[]) e WHERE (e.request_id IN (SELECT id FROM lost)) IS TRUE),
`,
		"{{kept}}", "WHERE id NOT IN (SELECT id FROM lost)",
		"{{kept_event}}", "AND e.key NOT IN (SELECT key FROM lost_events)",
		"{{kept_delivery}}", "AND d.event_key NOT IN (SELECT key FROM lost_events)",
		"{{lost}}", "ARRAY(SELECT id FROM lost)",
	}
)

// keyParts takes the ids of clients from four arrays, of which the first has that number.
func keyParts(first int) []string {
	return []string{
		"{{keys}}", fmt.Sprintf(`keys AS (
	INSERT INTO event_keys (workspace_id, id, event_key, content_hash)
	SELECT k.* FROM unnest($%d::uuid[], $%d::text[], $%d::uuid[], $%d::bytea[]) k(ws, id, event_key, hash)
	WHERE EXISTS (SELECT 1 FROM go)
	ON CONFLICT DO NOTHING RETURNING event_key),`, first, first+1, first+2, first+3),
		"{{event}}", `AND (e.id IS NULL OR e.key IN (SELECT event_key FROM keys))`,
		"{{delivery}}", `AND (NOT d.keyed OR d.event_key IN (SELECT event_key FROM keys))`,
		"{{won}}", "ARRAY(SELECT event_key FROM keys)",
	}
}

// acceptVariant fills the statement's places in the order of the parts, since some bring
// places of their own.
func acceptVariant(again string, parts ...[]string) string {
	text := acceptSQL
	for _, p := range parts {
		text = strings.NewReplacer(p...).Replace(text)
	}
	return strings.ReplaceAll(text, "{{again}}", again)
}

func (s *Store) acceptPostgres(ctx context.Context, b *hook.AcceptBatch) (hook.AcceptResult, error) {
	params := newPgParams()
	defer params.free()
	name, query, shape := "accept", acceptPlain, acceptShape(b)
	switch {
	case b.Rerun:
		name, query = "accept_again", acceptAgain
	case len(b.Requests) > 0 && (shape.keyed > 0 || shape.deduped > 0):
		name, query = "accept_full", acceptFull
	case len(b.Requests) > 0:
		name, query = "accept_inbound", acceptInbound
	case shape.keyed > 0:
		name, query = "accept_keyed", acceptKeyed
	}
	full := name == "accept_full" || name == "accept_again"
	if err := s.acceptParams(params, b, full || len(b.Requests) > 0, full || shape.keyed > 0); err != nil {
		return hook.AcceptResult{}, err
	}
	var res hook.AcceptResult
	var won, lost []hook.ID
	err := s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return s.hotQuery(ctx, conn, name, query, func(v [][]byte) error {
			res.Fenced, res.Stale, won, lost = !readBool(v[0]), readUUIDs(v[1]), readUUIDs(v[2]), readUUIDs(v[3])
			return nil
		}, params, pgInt8(int64(b.Node)))
	})
	if err != nil {
		return res, err
	}
	if res.Fenced || len(res.Stale) > 0 {
		if !b.Rerun {
			return res, nil
		}
		stored, err := s.storedBefore(ctx, b)
		if err != nil || !stored {
			return res, committed(err)
		}
		res.Fenced, res.Stale = false, nil
	}
	if len(lost) > 0 {
		if res.Repeats, err = s.repeats(ctx, b, lost); err != nil {
			return res, committed(err)
		}
	}
	if shape.keyed > len(won) {
		if res.First, err = s.firstReceipts(ctx, b, won); err != nil {
			return res, committed(err)
		}
	}
	if b.Rerun {
		if res.Mine, err = s.stillMine(ctx, b); err != nil {
			return res, committed(err)
		}
	}
	return res, nil
}

// committed marks an error that came after the batch was, or may have been, stored: the
// caller must not take it for a refusal, and asks again.
func committed(err error) error {
	if err == nil || errors.Is(err, hook.ErrUnknownOutcome) {
		return err
	}
	return fmt.Errorf("%w: %w", hook.ErrUnknownOutcome, err)
}

const storedBeforeSQL = `
INSERT INTO events (workspace_id, key, type, occurred_at, source_kind, matched)
SELECT u.ws, u.key, '', 0, 0, 0 FROM unnest($1::uuid[], $2::uuid[]) u(ws, key) ON CONFLICT DO NOTHING`

const requestedBeforeSQL = `
INSERT INTO requests (workspace_id, id, code, verdict, status, duration, events, deliveries, detail, body_in_event)
SELECT u.ws, u.id, '', 0, 0, 0, 0, 0, '', false FROM unnest($1::uuid[], $2::uuid[]) u(ws, id) ON CONFLICT DO NOTHING`

// storedBefore reports that an earlier run of the batch was committed, after which its
// node may have been declared dead or the configuration changed: planning it anew would
// double its events. It tries to insert them, which waits for a run still under way, and
// takes that back.
func (s *Store) storedBefore(ctx context.Context, b *hook.AcceptBatch) (stored bool, err error) {
	ws, keys := make([]hook.ID, len(b.Events)), make([]hook.ID, len(b.Events))
	for i, e := range b.Events {
		ws[i], keys[i] = e.Event.Workspace, e.Event.Key
	}
	requests := make([]hook.ID, len(b.Requests))
	owners := make([]hook.ID, len(b.Requests))
	for i, r := range b.Requests {
		owners[i], requests[i] = r.Request.Workspace, r.Request.ID
	}
	err = s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, storedBeforeSQL, ws, keys)
		fresh := tag.RowsAffected()
		if err == nil {
			tag, err = tx.Exec(ctx, requestedBeforeSQL, owners, requests)
			fresh += tag.RowsAffected()
		}
		stored = int(fresh) < len(b.Events)+len(b.Requests)
		return errors.Join(err, tx.Rollback(ctx))
	})
	return stored, err
}

// shape is what decides on the statement that stores a batch.
type shape struct {
	keyed   int // events with an id of the client's
	deduped int // requests of which repeats are recognised
}

func acceptShape(b *hook.AcceptBatch) (s shape) {
	for _, e := range b.Events {
		if e.ClientID {
			s.keyed++
		}
	}
	for _, r := range b.Requests {
		if r.Dedupe != nil {
			s.deduped++
		}
	}
	return s
}

// acceptParams fills the parameters.
func (s *Store) acceptParams(p *pgParams, b *hook.AcceptBatch, withRequests, withKeys bool) error {
	scopes, versions := p.uuids(), p.int8s()
	for scope, v := range b.Versions {
		scopes.uuid(scope)
		versions.int8(v)
	}
	events, deliveries := p.rows(typeEvent), p.rows(typeDelivery)
	for _, e := range b.Events {
		addEvent(events, e)
		for i := range e.Deliveries {
			addDelivery(deliveries, e, &e.Deliveries[i])
		}
	}
	if withRequests {
		requests, first := p.rows(typeRequest), firstEvents(b)
		for _, r := range b.Requests {
			if err := s.addRequest(requests, r, first[r.Request.ID]); err != nil {
				return err
			}
		}
	}
	if withKeys {
		addKeys(p, b)
	}
	return nil
}

func addKeys(p *pgParams, b *hook.AcceptBatch) {
	// Sorted, so that two nodes with the same ids in opposite order do not deadlock.
	var byKey []*hook.PlannedEvent
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
	ws, id, event, hash := p.uuids(), p.texts(), p.uuids(), p.byteas()
	for _, e := range byKey {
		ws.uuid(e.Event.Workspace)
		id.text(e.Event.ID)
		event.uuid(e.Event.Key)
		hash.bytes(e.Hash[:])
	}
}

func addEvent(r *pgRows, e *hook.PlannedEvent) {
	ev := &e.Event
	r.begin(14)
	r.uuid(ev.Workspace)
	r.uuid(ev.Key)
	if e.ClientID {
		r.text(ev.ID)
	} else {
		r.null(pgtype.TextOID)
	}
	r.text(ev.Type)
	if ev.EntityID.IsZero() {
		r.null(pgtype.TextOID)
	} else {
		r.text(ev.EntityID.Text)
	}
	r.bool(ev.EntityID.Number)
	r.bytes(ev.Entity)
	r.textOrNull(ev.EntityURL)
	r.int8(micros(ev.Timestamp))
	r.int2(sourceCodes.of(ev.Source.Kind))
	r.uuidOrNull(ev.Source.ID)
	r.uuidOrNull(ev.Source.RequestID)
	r.int2(int16(ev.Hops))
	r.int4(int32(ev.Matched))
	r.end()
}

func addDelivery(r *pgRows, e *hook.PlannedEvent, d *hook.PlannedDelivery) {
	r.begin(8)
	r.uuid(d.ID)
	r.uuid(e.Event.Workspace)
	r.uuid(e.Event.Key)
	r.int2(targetKindCodes.of(d.TargetKind))
	r.uuid(d.Target)
	r.int2(stateCodes.of(bornState(d)))
	r.bool(d.Test)
	r.bool(e.ClientID)
	r.end()
}

func bornState(d *hook.PlannedDelivery) hook.State {
	switch {
	case d.Skipped != hook.ReasonNone:
		return hook.StateSkipped
	case d.Born:
		return hook.StateRunning
	}
	return hook.StatePending
}

const firstReceiptSQL = `
SELECT k.i, ek.event_key, ek.content_hash, e.type, e.matched
FROM unnest($1::uuid[], $2::text[], $3::int[]) k(ws, id, i)
CROSS JOIN LATERAL (SELECT * FROM event_keys WHERE workspace_id = k.ws AND id = k.id LIMIT 1) ek
LEFT JOIN LATERAL (SELECT type, matched FROM events WHERE workspace_id = ek.workspace_id AND key = ek.event_key LIMIT 1) e ON true`

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
		return s.hotQuery(ctx, conn, "first_receipt", firstReceiptSQL, func(v [][]byte) error {
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
		}, params)
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
		return s.hotQuery(ctx, conn, "still_mine", `SELECT id FROM deliveries WHERE id = ANY($2::uuid[]) AND state = 0 AND node = $1`,
			func(v [][]byte) error {
				mine[readUUID(v[0])] = true
				return nil
			}, params, pgInt8(int64(b.Node)))
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
