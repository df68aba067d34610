package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// How replays look through history. A read takes so many rows along an index, whether they
// are wanted or not, so that it ends; what is wanted is decided elsewhere. Windows are
// ranges of ids.

// deliveryDelay is how much younger than its event a delivery may be: an event has its key
// before it waits for its transaction.
const deliveryDelay = 10 * time.Minute

// replaySpan is the range of events' keys of a replay.
func replaySpan(r *hook.ReplaySpec) span {
	out := span{to: hook.FirstID(r.Until)}
	if !r.Since.IsZero() {
		out.from = hook.FirstID(r.Since)
	}
	return out
}

// ReplayDeliveries reads, in the order of their ids, at most limit deliveries of a target
// from an id on, and says where to go on if there are more; those of events out of the
// replay's window are left out. Where only failed ones are asked for it reads those.
func (s *Store) ReplayDeliveries(ctx context.Context, r *hook.ReplaySpec, target, at hook.ID, limit int) (out []hook.ReplayDelivery, next hook.ID, more bool, err error) {
	window := replaySpan(r)
	ids := span{from: maxID(window.from, at), to: hook.FirstID(r.Until.Add(deliveryDelay))}
	columns := "d.id, d.event_key, d.target_id, d.target_kind, d.state, d.test, "
	if r.EventTypes != nil {
		columns += "(SELECT e.type FROM events e WHERE e.workspace_id = d.workspace_id AND e.key = d.event_key)"
	} else {
		columns += "''"
	}
	from, id, join := "deliveries d", "d", ""
	if slices.Equal(r.States, []hook.State{hook.StateFailed}) {
		from, id, join = "dead x CROSS JOIN deliveries d", "x", " AND d.id = x.delivery_id"
	}
	key := id + ".id"
	if id == "x" {
		key = "x.delivery_id"
	}
	in, order := s.along(id+".target_id", key, clauseOf{"?", []any{rowID(target)}}, ids, "ASC")
	var rows []hook.ReplayDelivery
	err = s.search(ctx, func(tx *gorm.DB) (err error) {
		rows, err = list(tx, scanReplayDelivery, "SELECT "+columns+" FROM "+from+" WHERE "+in.sql+join+" ORDER BY "+order+" LIMIT ?", append(in.args, limit)...)
		return err
	})
	if err != nil {
		return nil, hook.NoID, false, err
	}
	if more = len(rows) == limit; more {
		next = nextID(rows[limit-1].ID)
	}
	for _, d := range rows {
		if compareIDs(d.Event, window.from) >= 0 && compareIDs(d.Event, window.to) < 0 {
			out = append(out, d)
		}
	}
	return out, next, more, nil
}

func scanReplayDelivery(rows *sql.Rows, d *hook.ReplayDelivery) error {
	var kind, state int16
	var eventType sql.NullString
	err := rows.Scan((*rowID)(&d.ID), (*rowID)(&d.Event), (*rowID)(&d.Target), &kind, &state, &d.Test, &eventType)
	d.Kind, d.State, d.Type = targetKindCodes.from(kind), stateCodes.from(state), eventType.String
	return err
}

// ReplayEvents reads, in the order of their keys, at most limit events of a replay's window
// from a key on, with their deliveries to its target, or to all webhooks if it names none,
// and says where to go on if there are more.
func (s *Store) ReplayEvents(ctx context.Context, workspace hook.ID, r *hook.ReplaySpec, at hook.ID, limit int) (out []hook.ReplayEvent, next hook.ID, more bool, err error) {
	window := replaySpan(r)
	window.from = maxID(window.from, at)
	leading, values := []string{"e.workspace_id"}, []clauseOf{{"?", []any{rowID(workspace)}}}
	if r.EntityID != "" {
		leading, values = append(leading, "e.entity_id"), append(values, clauseOf{"?", []any{r.EntityID}})
	}
	in, order := s.alongAll(leading, "e.key", values, window, "ASC")
	err = s.search(ctx, func(tx *gorm.DB) (err error) {
		out, err = list(tx, scanReplayEvent, `SELECT e.workspace_id, e.key, e.id, e.type, e.entity_id, e.entity_id_number, e.entity_url, e.occurred_at,
			e.source_kind, coalesce(length(e.entity), 0) FROM events e WHERE `+in.sql+" ORDER BY "+order+" LIMIT ?", append(in.args, limit)...)
		if err != nil || len(out) == 0 {
			return err
		}
		keys := make([]hook.ID, len(out))
		index := make(map[hook.ID]int, len(out))
		for i := range out {
			keys[i], index[out[i].Key] = out[i].Key, i
		}
		among := s.among("d.event_key", keys)
		mine, of := "d.target_kind = ?", any(targetKindCodes.of(r.TargetKind))
		if r.Target != hook.NoID {
			mine, of = "d.target_id = ?", rowID(r.Target)
		}
		deliveries, err := list(tx, scanReplayDelivery, "SELECT d.id, d.event_key, d.target_id, d.target_kind, d.state, d.test, '' FROM deliveries d WHERE "+
			among.sql+" AND ("+mine+" OR d.test)", append(among.args, of)...)
		for _, d := range deliveries {
			e := &out[index[d.Event]]
			e.Deliveries = append(e.Deliveries, d)
		}
		return err
	})
	if err != nil {
		return nil, hook.NoID, false, err
	}
	if more = len(out) == limit; more {
		next = nextID(out[limit-1].Key)
	}
	return out, next, more, nil
}

func scanReplayEvent(rows *sql.Rows, e *hook.ReplayEvent) error {
	var id, entityID, entityURL sql.NullString
	var at int64
	var source int16
	err := rows.Scan((*rowID)(&e.Workspace), (*rowID)(&e.Key), &id, &e.Type, &entityID, &e.EntityID.Number, &entityURL, &at, &source, &e.EntityBytes)
	e.ID, e.EntityID.Text, e.EntityURL, e.Timestamp, e.Source.Kind = id.String, entityID.String, entityURL.String, fromMicros(at), sourceCodes.from(source)
	if !id.Valid {
		e.ID = e.Key.String()
	}
	return err
}

// ReplayEntities reads the entities of events, for filters; events without one are left out.
func (s *Store) ReplayEntities(ctx context.Context, workspace hook.ID, keys []hook.ID) (map[hook.ID][]byte, error) {
	type row struct {
		key    hook.ID
		entity []byte
	}
	var rows []row
	in := s.among("e.key", keys)
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		rows, err = list(tx, func(rows *sql.Rows, r *row) error { return rows.Scan((*rowID)(&r.key), &r.entity) },
			"SELECT e.key, e.entity FROM events e WHERE e.workspace_id = ? AND "+in.sql, append([]any{rowID(workspace)}, in.args...)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make(map[hook.ID][]byte, len(rows))
	for _, r := range rows {
		if r.entity != nil {
			out[r.key] = r.entity
		}
	}
	return out, nil
}

// Backlog is the greatest number of deliveries, up to most, that are due and unclaimed at
// one of these targets. Targets whose breaker is open do not count: nothing gets through
// there anyway.
func (s *Store) Backlog(ctx context.Context, targets []hook.ID, most int) (greatest int, err error) {
	err = s.search(ctx, func(tx *gorm.DB) error {
		for _, t := range targets {
			n, err := list(tx, scanCount, `SELECT count(*) FROM (SELECT 1 FROM due u WHERE u.target_id = ? AND u.due_at <= ? AND u.held_by IS NULL
				AND coalesce((SELECT h.breaker FROM target_health h WHERE h.target_id = ?), 0) = 0 LIMIT ?) n`,
				rowID(t), s.nodeNow(), rowID(t), most)
			if err != nil {
				return err
			}
			if greatest = max(greatest, n[0]); greatest >= most {
				return nil
			}
		}
		return nil
	})
	return greatest, err
}
