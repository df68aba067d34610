package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// effectTx runs fn in a transaction on a connection of the pipeline. Like hotQuery it never
// cancels what was sent, and tells an unknown outcome.
func (s *Store) effectTx(ctx context.Context, conn *pgxpool.Conn, fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx = context.WithoutCancel(ctx)
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	if err := fn(ctx, tx); err != nil {
		if rerr := tx.Rollback(ctx); rerr != nil && !errors.Is(rerr, pgx.ErrTxClosed) {
			return errors.Join(err, rerr)
		}
		return err
	}
	pg := conn.Conn().PgConn()
	warnings.take(pg)
	if err := tx.Commit(ctx); err != nil {
		if refused(err) || errors.Is(err, pgx.ErrTxCommitRollback) {
			return err
		}
		return fmt.Errorf("%w: %w", hook.ErrUnknownOutcome, err)
	}
	if warned := warnings.take(pg); warned != "" {
		return fmt.Errorf("%w: Postgres warned: %s", hook.ErrUnknownOutcome, warned)
	}
	return nil
}

func (s *Store) finishEffectsPostgres(ctx context.Context, node hook.NodeID, batch []*hook.Finish) ([]hook.Effect, error) {
	fates := make([]hook.Effect, len(batch))
	err := s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return s.effectTx(ctx, conn, func(ctx context.Context, tx pgx.Tx) error {
			return s.effectsTx(ctx, conn, tx, node, batch, fates)
		})
	})
	if err != nil {
		return nil, err
	}
	return fates, s.effectsBefore(ctx, batch, fates)
}

// effectsTx stores a batch: first the guard of each delivery with its attempt, then what
// the held ones do.
func (s *Store) effectsTx(ctx context.Context, conn *pgxpool.Conn, tx pgx.Tx, node hook.NodeID, batch []*hook.Finish, fates []hook.Effect) error {
	versions := make(map[hook.ID]int64)
	for i, f := range batch {
		fates[i] = hook.EffectLost
		for scope, v := range f.Effects.Versions {
			versions[scope] = max(v, versions[scope])
		}
	}
	stale, err := staleVersions(ctx, tx, versions)
	if err != nil {
		return err
	}
	held := make([]bool, len(batch))
	var plain []int
	var events []*hook.Effects
	for _, i := range byRecord(batch) {
		f := batch[i]
		switch {
		case isStale(f.Effects, versions, stale):
			fates[i] = hook.EffectStale
		case len(f.Effects.Records) == 0:
			plain = append(plain, i)
		default:
			if err := s.recordFinish(ctx, conn, tx, node, batch, i, held, fates); err != nil {
				return err
			}
		}
	}
	if len(plain) > 0 {
		if err := s.guardEffects(ctx, conn, node, batch, plain, held); err != nil {
			return err
		}
	}
	for i, f := range batch {
		if held[i] {
			fates[i] = hook.EffectDone
			events = append(events, f.Effects)
		}
	}
	return s.insertEffectEvents(ctx, conn, tx, events)
}

// byRecord are the batch's indexes in the order of the first record that each changes:
// locked in one order everywhere, records of several nodes do not wait in a circle.
func byRecord(batch []*hook.Finish) []int {
	order := make([]int, len(batch))
	for i := range order {
		order[i] = i
	}
	first := func(i int) hook.RecordChange {
		if r := batch[i].Effects.Records; len(r) > 0 {
			return r[0]
		}
		return hook.RecordChange{}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := first(a), first(b)
		return cmp.Or(compareIDs(x.Workspace, y.Workspace), cmp.Compare(x.Collection, y.Collection), cmp.Compare(x.Key, y.Key))
	})
	return order
}

// recordFinish stores one finish that changes records, or takes it back as stale.
func (s *Store) recordFinish(ctx context.Context, conn *pgxpool.Conn, tx pgx.Tx, node hook.NodeID, batch []*hook.Finish, i int, held []bool, fates []hook.Effect) error {
	inner, err := tx.Begin(ctx) // a savepoint
	if err != nil {
		return err
	}
	if err := s.guardEffects(ctx, conn, node, batch, []int{i}, held); err != nil {
		return err
	}
	if !held[i] {
		return inner.Commit(ctx)
	}
	fresh, err := s.applyRecordsPG(ctx, inner, batch[i].Effects)
	if err != nil {
		return err
	}
	if !fresh {
		held[i], fates[i] = false, hook.EffectStale
		return inner.Rollback(ctx)
	}
	return inner.Commit(ctx)
}

func (s *Store) applyRecordsPG(ctx context.Context, tx pgx.Tx, e *hook.Effects) (bool, error) {
	now := micros(s.ids.Now())
	for i := range e.Records {
		if fresh, err := applyRecordPG(ctx, tx, &e.Records[i], now); err != nil || !fresh {
			return false, err
		}
	}
	return true, nil
}

// guardEffects writes next states and attempts within the open transaction.
func (s *Store) guardEffects(ctx context.Context, conn *pgxpool.Conn, node hook.NodeID, batch []*hook.Finish, part []int, held []bool) error {
	index := make(map[hook.ID]int, len(part))
	for _, i := range part {
		index[batch[i].Job.Delivery.ID] = i
	}
	params := newPgParams()
	defer params.free()
	s.finishParams(params, batch, part)
	return s.hotQuery(ctx, conn, "finish_general_again", finishGeneralAgain, func(v [][]byte) error {
		held[index[readUUID(v[0])]] = true
		return nil
	}, params, pgInt8(int64(node)))
}

const effectEventsSQL = `
WITH ev AS (
	INSERT INTO events (workspace_id, key, id, type, entity_id, entity_id_number, entity, entity_url, occurred_at,
		source_kind, source_id, request_id, hops, matched)
	SELECT e.* FROM unnest($1::pipeline_event[]) e),
dl AS (
	INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, test, reason, finished_at)
	SELECT d.id, d.workspace_id, d.event_key, d.target_kind, d.target_id, d.state, d.test,
		CASE WHEN d.state = 4 THEN 8 ELSE 0 END, CASE WHEN d.state = 4 THEN (extract(epoch FROM now()) * 1000000)::bigint END
	FROM unnest($2::pipeline_delivery[]) d
	RETURNING id, workspace_id, target_id, state)
INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind)
SELECT target_id, now(), id, workspace_id, 0 FROM dl WHERE state = 1`

// insertEffectEvents stores events with their deliveries, none of them born claimed,
// within the open transaction, as far as their marks can be taken.
func (s *Store) insertEffectEvents(ctx context.Context, conn *pgxpool.Conn, tx pgx.Tx, effects []*hook.Effects) error {
	planned, err := s.withMarksPG(ctx, tx, effects)
	if err != nil || len(planned) == 0 {
		return err
	}
	params := newPgParams()
	defer params.free()
	events, deliveries := params.rows(typeEvent), params.rows(typeDelivery)
	for _, e := range planned {
		addEvent(events, e)
		for i := range e.Deliveries {
			addDelivery(deliveries, e, &e.Deliveries[i])
		}
	}
	return s.hotQuery(ctx, conn, "effect_events", effectEventsSQL, nil, params)
}

// staleVersions returns the present version of each scope for which it is another. The
// transaction has a number from then on: however long it takes to write what it decided by
// them, a replay sees that it is under way.
func staleVersions(ctx context.Context, tx pgx.Tx, versions map[hook.ID]int64) (map[hook.ID]int64, error) {
	if len(versions) == 0 {
		return nil, nil
	}
	scopes := sortedIDs(versions)
	rows, err := tx.Query(ctx, "SELECT scope_id, version, txid_current() FROM config_versions WHERE scope_id = ANY($1)", scopes)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	now := make(map[hook.ID]int64, len(scopes))
	for rows.Next() {
		var scope hook.ID
		var v, number int64
		if err := rows.Scan(&scope, &v, &number); err != nil {
			return nil, err
		}
		now[scope] = v
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	stale := make(map[hook.ID]int64)
	for scope, v := range versions {
		if now[scope] != v {
			stale[scope] = now[scope]
		}
	}
	return stale, nil
}

// isStale reports that effects were made against another configuration than the present.
// versions is what staleVersions was asked for, stale what it answered.
func isStale(e *hook.Effects, versions, stale map[hook.ID]int64) bool {
	for scope, v := range e.Versions {
		now, differs := stale[scope]
		if !differs {
			now = versions[scope]
		}
		if v != now {
			return true
		}
	}
	return false
}

// effectsBefore marks as done those whose attempt is recorded as counted already: an
// earlier run of this batch was committed without our knowing. The configuration may have
// changed since.
func (s *Store) effectsBefore(ctx context.Context, batch []*hook.Finish, fates []hook.Effect) error {
	before := make([]bool, len(batch))
	var stale []hook.ID
	for i, fate := range fates {
		before[i] = fate == hook.EffectDone // no need to look
		if fate == hook.EffectStale {
			stale = append(stale, batch[i].Job.Delivery.ID)
		}
	}
	if len(stale) > 0 { // an earlier run may still be under way: the guard, which waits for it, was not reached
		if _, err := s.hot.Exec(ctx, "SELECT 1 FROM deliveries WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", stale); err != nil {
			return committed(err)
		}
	}
	if err := s.finishedBefore(ctx, batch, before); err != nil {
		return committed(err)
	}
	for i, fate := range fates {
		if before[i] && fate != hook.EffectDone {
			fates[i] = hook.EffectDone
		}
	}
	return nil
}
