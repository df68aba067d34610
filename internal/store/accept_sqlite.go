package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"sallyport/internal/hook"
)

const (
	insertEvents = `INSERT INTO events (workspace_id, key, id, type, entity_id, entity_id_number, entity, entity_url, occurred_at,
		source_kind, source_id, request_id, hops, matched) VALUES `
	insertDeliveries = `INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, test, node) VALUES `
	insertSkipped    = `INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, test, reason, finished_at) VALUES `
	insertDue        = `INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind) VALUES `
)

// acceptSQLite does on the one writer connection what acceptSQL does in Postgres.
func (s *Store) acceptSQLite(ctx context.Context, b *hook.AcceptBatch) (hook.AcceptResult, error) {
	var res hook.AcceptResult
	err := s.sqliteTx(ctx, func(tx *sqliteTx) error {
		res = hook.AcceptResult{}
		if stored, err := tx.storedBefore(b); err != nil {
			return err
		} else if stored { // whatever changed since, see its namesake for Postgres
			return s.acceptRows(tx, b, &res)
		}
		if err := tx.fence(b.Node); errors.Is(err, hook.ErrFenced) {
			res.Fenced = true
			return nil
		} else if err != nil {
			return err
		}
		for scope, version := range b.Versions {
			now, err := tx.version(scope)
			if err != nil {
				return err
			}
			if now != version {
				res.Stale = append(res.Stale, scope)
			}
		}
		if len(res.Stale) > 0 {
			return nil
		}
		return s.acceptRows(tx, b, &res)
	})
	return res, err
}

// version is the present version of a scope's configuration, 0 if it is gone.
func (t *sqliteTx) version(scope hook.ID) (int64, error) {
	var now int64
	err := t.one("SELECT version FROM config_versions WHERE scope_id = ?", []any{scope[:]}, &now)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return now, err
}

func (t *sqliteTx) storedBefore(b *hook.AcceptBatch) (bool, error) {
	if !b.Rerun {
		return false, nil
	}
	for _, e := range b.Events {
		var n int
		err := t.one("SELECT count(*) FROM events WHERE workspace_id = ? AND key = ?", []any{e.Event.Workspace[:], e.Event.Key[:]}, &n)
		if err != nil || n > 0 {
			return n > 0, err
		}
	}
	for _, r := range b.Requests {
		var n int
		err := t.one("SELECT count(*) FROM requests WHERE workspace_id = ? AND id = ?", []any{r.Request.Workspace[:], r.Request.ID[:]}, &n)
		if err != nil || n > 0 {
			return n > 0, err
		}
	}
	return false, nil
}

func (s *Store) acceptRows(tx *sqliteTx, b *hook.AcceptBatch, res *hook.AcceptResult) error {
	now := micros(s.ids.Now())
	rows := eventRows{now: now}
	lost := make(map[hook.ID]bool)
	var err error
	if res.Repeats, err = s.acceptRequests(tx, b, now); err != nil {
		return err
	}
	for i := range res.Repeats {
		lost[b.Requests[i].Request.ID] = true
	}
	for i, e := range b.Events {
		ev := &e.Event
		if e.Inbound && lost[ev.Source.RequestID] {
			continue
		}
		var id any
		if e.ClientID {
			id = ev.ID
			first, taken, err := tx.takeEventID(e)
			if err != nil {
				return err
			}
			if taken {
				if first.Key != ev.Key {
					if first.Type == "" { // its event is in this batch, not in its table yet
						first.Type, first.Matched = inBatch(b.Events[:i], first.Key)
					}
					if res.First == nil {
						res.First = make(map[int]hook.FirstReceipt)
					}
					res.First[i] = first
				}
				continue
			}
		}
		there := false
		if b.Rerun {
			var n int
			if err := tx.one("SELECT count(*) FROM events WHERE workspace_id = ? AND key = ?", []any{ev.Workspace[:], ev.Key[:]}, &n); err != nil {
				return err
			}
			there = n > 0
		}
		rows.event(ev, id)
		if !there { // else it is in the log
			rows.logged = append(rows.logged, ev)
		}
		for j := range e.Deliveries {
			d := &e.Deliveries[j]
			if b.Rerun { // one that is there may have been sent meanwhile: it must not wait again
				var n int
				if err := tx.one("SELECT count(*) FROM deliveries WHERE id = ?", []any{d.ID[:]}, &n); err != nil {
					return err
				}
				if n > 0 {
					continue
				}
			}
			rows.delivery(ev, d, b.Node)
		}
	}
	// A rerun after an unknown outcome finds its rows there; on one connection either
	// all of them or none.
	if err := tx.insertEvents(&rows); err != nil {
		return err
	}
	if !b.Rerun {
		return nil
	}
	res.Mine = make(map[hook.ID]bool)
	for _, e := range b.Events {
		for j := range e.Deliveries {
			d := &e.Deliveries[j]
			var n int
			if err := tx.one("SELECT count(*) FROM deliveries WHERE id = ? AND state = 0 AND node = ?", []any{d.ID[:], int64(b.Node)}, &n); err != nil {
				return err
			}
			if n == 1 {
				res.Mine[d.ID] = true
			}
		}
	}
	return nil
}

// eventRows collects what is stored of events.
type eventRows struct {
	now                              int64
	events, deliveries, skipped, due []any
	logged                           []*hook.Event // that are new
}

// event adds an event; id is the client's or nil.
func (r *eventRows) event(ev *hook.Event, id any) {
	var entityID, entity any // NULL unless there is one
	if !ev.EntityID.IsZero() {
		entityID = ev.EntityID.Text
	}
	if ev.Entity != nil {
		entity = ev.Entity
	}
	r.events = append(r.events, ev.Workspace[:], ev.Key[:], id, ev.Type, entityID, flag(ev.EntityID.Number), entity,
		textOrNil(ev.EntityURL), micros(ev.Timestamp), sourceCodes.of(ev.Source.Kind), idOrNil(ev.Source.ID),
		idOrNil(ev.Source.RequestID), ev.Hops, ev.Matched)
}

func (r *eventRows) delivery(ev *hook.Event, d *hook.PlannedDelivery, node hook.NodeID) {
	kind := int64(targetKindCodes.of(d.TargetKind))
	if d.Skipped != hook.ReasonNone {
		r.skipped = append(r.skipped, d.ID[:], ev.Workspace[:], ev.Key[:], kind, d.Target[:],
			int64(stateCodes.of(hook.StateSkipped)), flag(d.Test), int64(reasonCodes.of(d.Skipped)), r.now)
		return
	}
	var holder any
	if d.Born {
		holder = int64(node)
	} else {
		r.due = append(r.due, d.Target[:], r.now, d.ID[:], ev.Workspace[:], int64(0))
	}
	r.deliveries = append(r.deliveries, d.ID[:], ev.Workspace[:], ev.Key[:], kind, d.Target[:],
		int64(stateCodes.of(bornState(d))), flag(d.Test), holder)
}

func (t *sqliteTx) insertEvents(r *eventRows) error {
	if err := t.insertRows(insertEvents, 14, r.events); err != nil {
		return err
	}
	if err := t.insertRows(insertDeliveries, 8, r.deliveries); err != nil {
		return err
	}
	if err := t.insertRows(insertSkipped, 9, r.skipped); err != nil {
		return err
	}
	if err := t.insertRows(insertDue, 5, r.due); err != nil {
		return err
	}
	return t.insertLog(r)
}

const insertLog = `INSERT INTO event_log (workspace_id, at, keys) VALUES `

// insertLog adds what the trigger of Postgres adds: one row for each workspace. There is no
// trigger here, since those of SQLite run for each event and cost as much as its row.
func (t *sqliteTx) insertLog(r *eventRows) error {
	slices.SortStableFunc(r.logged, func(a, b *hook.Event) int {
		return cmp.Or(compareIDs(a.Workspace, b.Workspace), compareIDs(a.Key, b.Key))
	})
	var rows []any
	for rest := r.logged; len(rest) > 0; {
		workspace := rest[0].Workspace
		var keys []byte
		for len(rest) > 0 && rest[0].Workspace == workspace {
			keys = append(keys, rest[0].Key[:]...)
			rest = rest[1:]
		}
		rows = append(rows, workspace[:], r.now, keys)
	}
	return t.insertRows(insertLog, 3, rows)
}

// inBatch is what the receipt says of an earlier event of the same batch; nothing of one whose
// retention has ended.
func inBatch(earlier []*hook.PlannedEvent, key hook.ID) (eventType string, matched int) {
	for _, e := range earlier {
		if e.Event.Key == key {
			return e.Event.Type, e.Event.Matched
		}
	}
	return "", 0
}

// takeEventID claims a client's event id, or reports what holds it.
func (t *sqliteTx) takeEventID(e *hook.PlannedEvent) (first hook.FirstReceipt, taken bool, err error) {
	ev := &e.Event
	n, err := t.exec("INSERT INTO event_keys (workspace_id, id, event_key, content_hash) VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
		ev.Workspace[:], ev.ID, ev.Key[:], e.Hash[:])
	if err != nil || n == 1 {
		return first, false, err
	}
	var key, hash []byte
	var typ sql.NullString
	var matched sql.NullInt64
	if err := t.one(`SELECT k.event_key, k.content_hash, e.type, e.matched FROM event_keys k
		LEFT JOIN events e ON e.workspace_id = k.workspace_id AND e.key = k.event_key
		WHERE k.workspace_id = ? AND k.id = ?`, []any{ev.Workspace[:], ev.ID}, &key, &hash, &typ, &matched); err != nil {
		return first, false, err
	}
	copy(first.Key[:], key)
	copy(first.Hash[:], hash)
	first.Type, first.Matched = typ.String, int(matched.Int64)
	return first, true, nil
}

// fence fails with ErrFenced if the node has no row any more.
func (t *sqliteTx) fence(node hook.NodeID) error {
	var n int
	if err := t.one("SELECT count(*) FROM nodes WHERE id = ?", []any{int64(node)}, &n); err != nil {
		return err
	}
	if n == 0 {
		return hook.ErrFenced
	}
	return nil
}

// one reads one row; sql.ErrNoRows if there is none.
func (t *sqliteTx) one(query string, args []any, dest ...any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, args...).Scan(dest...)
}

func idOrNil(id hook.ID) any {
	if id == hook.NoID {
		return nil
	}
	return id[:]
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
