package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// Events lists events of a workspace in the order of acceptance, newest first unless
// asked otherwise, and reports whether more follow. Entities and delivery counts are
// left out: a page of entities could be half a gigabyte.
func (s *Store) Events(ctx context.Context, f hook.EventFilter, p hook.Page) ([]hook.EventView, bool, error) {
	var out []hook.EventView
	err := s.search(ctx, func(tx *gorm.DB) error {
		where := conditions{}
		r, order := spanOf(f.Since, f.Until, p), "e.key "+direction(p)
		if len(f.IDs) > 0 {
			keys, err := s.eventKeys(tx, f.Workspace, f.IDs)
			if err != nil || len(keys) == 0 {
				return err
			}
			where.addClause(s.among("e.key", keys))
		}
		switch {
		case len(f.EntityIDs) == 1 && len(f.IDs) == 0:
			var in clauseOf
			in, order = s.alongAll([]string{"e.workspace_id", "e.entity_id"}, "e.key",
				[]clauseOf{{"?", []any{rowID(f.Workspace)}}, {"?", []any{f.EntityIDs[0]}}}, r, direction(p))
			where.addClause(in)
			where.add("e.entity_id IS NOT NULL") // so that the index on entities applies
		case len(f.EntityIDs) > 0:
			order = hidden("e.key") + " " + direction(p)
			where.add("e.workspace_id = ? AND e.entity_id IN ? AND "+hidden("e.key")+" >= ? AND "+hidden("e.key")+" < ?",
				rowID(f.Workspace), f.EntityIDs, rowID(r.from), rowID(r.to))
		default:
			where.add("e.workspace_id = ? AND e.key >= ? AND e.key < ?", rowID(f.Workspace), rowID(r.from), rowID(r.to))
		}
		if len(f.Types) > 0 {
			where.add("e.type IN ?", f.Types)
		}
		if f.SourceID != hook.NoID {
			where.add("e.source_id = ?", rowID(f.SourceID))
		}
		events, err := list(tx, scanEvent, "SELECT "+eventColumns+", NULL FROM events e WHERE "+where.String()+
			" ORDER BY "+order+" LIMIT ?", append(where.args, p.Limit+1)...)
		for i := range events {
			out = append(out, hook.EventView{Event: events[i]})
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	out, more := paged(out, p)
	return out, more, nil
}

// Event returns an event by its public id, with its entity and how many of its
// deliveries are in which state.
func (s *Store) Event(ctx context.Context, workspace hook.ID, id string) (hook.EventView, error) {
	var view hook.EventView
	err := s.search(ctx, func(tx *gorm.DB) error {
		event, err := s.findEvent(tx, workspace, id)
		if err != nil {
			return err
		}
		view.Event = event
		view.Deliveries, err = s.deliveryCounts(tx, clauseOf{"d.event_key = ?", []any{rowID(event.Key)}})
		return err
	})
	return view, err
}

// eventColumns are read by scanEvent; the entity, or NULL, comes after them.
const eventColumns = `e.workspace_id, e.key, e.id, e.type, e.entity_id, e.entity_id_number, e.entity_url, e.occurred_at,
	e.source_kind, e.source_id, e.request_id, e.hops, e.matched`

func scanEvent(rows *sql.Rows, e *hook.Event) error {
	var id, entityID, url sql.NullString
	var at int64
	var kind int16
	err := rows.Scan((*rowID)(&e.Workspace), (*rowID)(&e.Key), &id, &e.Type, &entityID, &e.EntityID.Number, &url, &at,
		&kind, (*rowID)(&e.Source.ID), (*rowID)(&e.Source.RequestID), &e.Hops, &e.Matched, &e.Entity)
	if err != nil {
		return err
	}
	e.ID = id.String
	if !id.Valid {
		e.ID = e.Key.String()
	}
	e.EntityID.Text, e.EntityURL = entityID.String, url.String
	e.Timestamp, e.Source.Kind = fromMicros(at), sourceCodes.from(kind)
	return nil
}

// findEvent returns an event with its entity.
func (s *Store) findEvent(tx *gorm.DB, workspace hook.ID, id string) (hook.Event, error) {
	keys, err := s.eventKeys(tx, workspace, []string{id})
	if err != nil {
		return hook.Event{}, err
	}
	for _, key := range keys {
		events, err := s.eventsByKey(tx, workspace, []hook.ID{key}, "e.entity")
		if err != nil || len(events) > 0 {
			return events[key], err
		}
	}
	return hook.Event{}, hook.NotFound("event", id)
}

// eventKeys finds the internal keys of public ids. A client may have chosen an id that
// looks like one of ours: what it chose comes first.
func (s *Store) eventKeys(tx *gorm.DB, workspace hook.ID, ids []string) ([]hook.ID, error) {
	keys, err := list(tx, scanID, "SELECT event_key FROM event_keys WHERE workspace_id = ? AND id IN ?", rowID(workspace), ids)
	if err != nil {
		return nil, err
	}
	var own []hook.ID
	for _, id := range ids {
		if !hook.IsID(id) {
			continue
		}
		if key, err := hook.ParseID(id); err == nil && key.String() == id && !slices.Contains(keys, key) {
			own = append(own, key)
		}
	}
	if len(own) == 0 {
		return keys, nil
	}
	in := s.among("key", own)
	found, err := list(tx, scanID, "SELECT key FROM events WHERE workspace_id = ? AND id IS NULL AND "+in.sql,
		append([]any{rowID(workspace)}, in.args...)...)
	return append(keys, found...), err
}

// eventsByKey returns events by internal key. entity is e.entity, or NULL to leave the
// entities out.
func (s *Store) eventsByKey(tx *gorm.DB, workspace hook.ID, keys []hook.ID, entity string) (map[hook.ID]hook.Event, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	in := s.among("e.key", keys)
	events, err := list(tx, scanEvent, "SELECT "+eventColumns+", "+entity+" FROM events e WHERE e.workspace_id = ? AND "+in.sql,
		append([]any{rowID(workspace)}, in.args...)...)
	if err != nil {
		return nil, err
	}
	out := make(map[hook.ID]hook.Event, len(events))
	for _, e := range events {
		out[e.Key] = e
	}
	return out, nil
}

// countedDeliveries is how many deliveries of a request or an event are looked at to count
// their states: some 0.1 s.
const countedDeliveries = 50_000

// deliveryCounts counts deliveries of events by the state the API shows. Those of one target
// and state are counted before it is asked whether the target is active.
func (s *Store) deliveryCounts(tx *gorm.DB, events clauseOf) (map[hook.State]int, error) {
	type count struct {
		state  int16
		facts  stateFacts
		number int
	}
	counts, err := list(tx, func(rows *sql.Rows, c *count) error {
		return rows.Scan(&c.state, &c.facts.claimed, &c.facts.active, &c.number)
	}, fmt.Sprintf(`SELECT x.state, x.claimed, %s, x.number FROM (
		SELECT y.state, y.target_id, y.claimed, count(*) AS number FROM (
			SELECT d.state, d.target_id, CASE WHEN d.state = %d THEN coalesce((SELECT u.held_by IS NOT NULL FROM due u WHERE u.delivery_id = d.id), false)
				ELSE false END AS claimed
			FROM deliveries d WHERE %s LIMIT %d) y
		GROUP BY y.state, y.target_id, y.claimed) x`,
		activeSQL("x.target_id"), stateCodes.of(hook.StatePending), events.sql, countedDeliveries), events.args...)
	if err != nil {
		return nil, err
	}
	out := make(map[hook.State]int)
	for _, c := range counts {
		out[c.facts.state(stateCodes.from(c.state))] += c.number
	}
	return out, nil
}
