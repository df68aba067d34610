package store

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// oldDelivery is a finished delivery that may go.
type oldDelivery struct {
	id       hook.ID
	attempts int
	final    bool
}

// deliveries removes finished deliveries of a target with ids from cursor up to, but
// not including, old; with their attempts and their place in the dead letter. It returns
// where to go on, if there is more. What is not finished is passed over.
func (p *purge) deliveries(ctx context.Context, target, cursor, old hook.ID) (next hook.ID, more bool, err error) {
	s := p.s
	var removed []hook.ID
	var attempts int64
	in, order := s.along("d.target_id", "d.id", clauseOf{"?", []any{rowID(target)}}, span{from: cursor, to: old}, "ASC")
	err = s.write(ctx, func(tx *gorm.DB) error {
		next, more, removed, attempts = cursor, false, nil, 0
		if err := s.onIndexes(tx); err != nil {
			return err
		}
		rows, err := list(tx, func(rows *sql.Rows, d *oldDelivery) error {
			var state int16
			err := rows.Scan((*rowID)(&d.id), &d.attempts, &state)
			d.final = stateCodes.from(state).Final()
			return err
		}, "SELECT d.id, d.attempts, d.state FROM deliveries d WHERE "+in.sql+" ORDER BY "+order+" LIMIT ?"+s.forUpdateSkip(),
			append(in.args, purgeRows)...)
		if err != nil {
			return err
		}
		size := 0
		for _, d := range rows {
			next = nextID(d.id)
			if !d.final {
				continue
			}
			removed = append(removed, d.id)
			if size += 1 + d.attempts; size >= purgeRows {
				break
			}
		}
		more = len(rows) == purgeRows || (len(rows) > 0 && next != nextID(rows[len(rows)-1].id))
		if len(removed) == 0 {
			return nil
		}
		in := s.among("delivery_id", removed)
		done := tx.Exec("DELETE FROM attempts WHERE "+in.sql, in.args...)
		if done.Error != nil {
			return done.Error
		}
		attempts = done.RowsAffected
		if err := tx.Exec("DELETE FROM dead WHERE target_id = ? AND "+in.sql, append([]any{rowID(target)}, in.args...)...).Error; err != nil {
			return err
		}
		in = s.among("id", removed)
		return tx.Exec("DELETE FROM deliveries WHERE "+in.sql, in.args...).Error
	})
	if err != nil {
		return cursor, false, err
	}
	p.done.Deliveries += len(removed)
	p.done.Attempts += int(attempts)
	return next, more, nil
}

// events removes events of a workspace with keys from cursor up to, but not including,
// old, that have no delivery and no request's body, and what remembers their ids. It
// returns where to go on, if there is more.
func (p *purge) events(ctx context.Context, workspace, cursor, old hook.ID) (next hook.ID, more bool, err error) {
	s := p.s
	remembered := hook.FirstID(s.ids.Now().Add(-s.idWindow))
	removed := 0
	err = s.write(ctx, func(tx *gorm.DB) error {
		next, more, removed = cursor, false, 0
		if err := s.onIndexes(tx); err != nil {
			return err
		}
		// A thousand are looked at, whether they may go or not, so that a step ends. No
		// EXISTS: Postgres might answer it from a hash of all deliveries.
		type event struct {
			key, request hook.ID
			id           sql.NullString
			free         bool
			body         sql.NullBool // of its request, which is there still, lies in its first event
		}
		rows, err := list(tx, func(rows *sql.Rows, e *event) error {
			return rows.Scan((*rowID)(&e.key), (*rowID)(&e.request), &e.id, &e.free, &e.body)
		},
			`SELECT e.key, e.request_id, e.id, (SELECT d.id FROM deliveries d WHERE d.event_key = e.key LIMIT 1) IS NULL,
				(SELECT r.body_in_event FROM requests r WHERE r.workspace_id = e.workspace_id AND r.id = e.request_id) FROM events e
			WHERE e.workspace_id = ? AND e.key >= ? AND e.key < ? ORDER BY e.key LIMIT ?`+s.forUpdateSkip(),
			rowID(workspace), rowID(cursor), rowID(old), purgeRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		next, more = nextID(rows[len(rows)-1].key), len(rows) == purgeRows
		var keys []hook.ID
		ids := make(map[hook.ID]string)
		for _, e := range rows {
			// What remembers a client's id stays as long as the id must not be used again.
			if !e.free || (e.id.Valid && compareIDs(e.key, remembered) >= 0) {
				continue
			}
			if e.body.Bool && e.key == hook.RequestEventKey(e.request, 0) {
				continue
			}
			keys = append(keys, e.key)
			if e.id.Valid {
				ids[e.key] = e.id.String
			}
		}
		if len(keys) == 0 {
			return nil
		}
		// Looked at again, now that they are locked: a replay may have made a delivery of one
		// between the look and the lock.
		in := s.among("key", keys)
		gone, err := list(tx, scanID, "DELETE FROM events WHERE workspace_id = ? AND "+in.sql+` AND
			(SELECT d.id FROM deliveries d WHERE d.event_key = events.key LIMIT 1) IS NULL RETURNING key`, append([]any{rowID(workspace)}, in.args...)...)
		if removed = len(gone); err != nil {
			return err
		}
		return s.forgetIDs(tx, workspace, gone, ids)
	})
	if err != nil {
		return cursor, false, err
	}
	p.done.Events += removed
	return next, more, nil
}

// forgetIDs forgets the ids that clients gave to events, but not a later event's that took
// one over when the window had passed.
func (s *Store) forgetIDs(tx *gorm.DB, workspace hook.ID, events []hook.ID, of map[hook.ID]string) error {
	var keys []hook.ID
	var ids []string
	for _, key := range events {
		if id, has := of[key]; has {
			keys, ids = append(keys, key), append(ids, id)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	in := s.among("event_key", keys)
	return tx.Exec("DELETE FROM event_keys WHERE workspace_id = ? AND id IN ? AND "+in.sql,
		append([]any{rowID(workspace), padded(ids)}, in.args...)...).Error
}

// replays removes those that ended long ago: a workspace has few.
func (p *purge) replays(ctx context.Context, workspace, old hook.ID) error {
	return p.s.write(ctx, func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM replays WHERE workspace_id = ? AND id < ? AND finished_at < ?",
			rowID(workspace), rowID(old), micros(hook.TimeOf(old))).Error
	})
}

// onIndexes pins plans as those of searches are.
func (s *Store) onIndexes(tx *gorm.DB) error {
	if s.engine != Postgres {
		return nil
	}
	return tx.Exec("SELECT " + onIndexes).Error
}

// forUpdateSkip leaves out rows that somebody else works on; they are there next time.
func (s *Store) forUpdateSkip() string {
	if s.engine == Postgres {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}
