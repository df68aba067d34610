package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

const (
	// keptPerDoor accepted requests, the newest, survive whatever their age.
	keptPerDoor = 100
	// keptUnaccepted is how many of one verdict a door keeps at most, and how many calls of
	// unknown codes a workspace keeps.
	keptUnaccepted = 1000
	// unacceptedBytes is how much the bodies of those that a workspace keeps take at most.
	unacceptedBytes = 256 << 20
	// unacceptedAge is how long they are kept at most.
	unacceptedAge = 7 * 24 * time.Hour
	// purgeBytes is about how many bytes of bodies one transaction removes.
	purgeBytes = 16 << 20
)

// newest is the id of the oldest of the n newest requests, NoID if there are fewer.
func (p *purge) newest(ctx context.Context, by requestsBy, n int) (hook.ID, error) {
	var ids []hook.ID
	from, order := by.along(p.s, span{to: lastID}, "DESC")
	err := p.s.search(ctx, func(tx *gorm.DB) (err error) {
		ids, err = list(tx, scanID, "SELECT r.id"+from.sql+" ORDER BY "+order+" LIMIT 1 OFFSET ?", append(from.args, n-1)...)
		return err
	})
	if err != nil || len(ids) == 0 {
		return hook.NoID, err
	}
	return ids[0], nil
}

// unaccepted bounds what a workspace keeps of requests that were not accepted, in number
// and age: a flood of them must fill nothing.
func (p *purge) unaccepted(ctx context.Context, workspace, old hook.ID) error {
	doors, err := p.doors(ctx, workspace)
	if err != nil {
		return err
	}
	old = maxID(old, hook.FirstID(p.s.now().Add(-unacceptedAge)))
	for _, v := range unaccepted {
		if err := p.requestsBelow(ctx, workspace, refusedInWorkspace(workspace, v), old); err != nil {
			return err
		}
	}
	ways := []requestsBy{requestsOfNoDoor(workspace)}
	for door := range doors {
		for _, v := range unaccepted {
			ways = append(ways, refusedAtDoor(door, v))
		}
	}
	for _, by := range ways {
		kept, err := p.newest(ctx, by, keptUnaccepted)
		if err == nil {
			err = p.requestsBelow(ctx, workspace, by, kept)
		}
		if err != nil {
			return err
		}
	}
	return p.bodiesBelow(ctx, workspace)
}

// bodiesBelow removes the oldest of a workspace's requests that were not accepted, as many
// as have more than unacceptedBytes of bodies after them.
func (p *purge) bodiesBelow(ctx context.Context, workspace hook.ID) error {
	var ids []hook.ID
	err := p.s.search(ctx, func(tx *gorm.DB) (err error) {
		ids, err = list(tx, scanID, `SELECT z.id FROM (SELECT r.id, sum(length(r.body)) OVER (ORDER BY r.id DESC) AS bytes FROM requests r
			WHERE r.workspace_id = ? AND r.verdict <> 0 AND r.body IS NOT NULL) z WHERE z.bytes > ? ORDER BY z.id DESC LIMIT 1`, rowID(workspace), p.s.unacceptedBytes)
		return err
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	for _, v := range unaccepted {
		if err := p.requestsBelow(ctx, workspace, refusedInWorkspace(workspace, v), nextID(ids[0])); err != nil {
			return err
		}
	}
	return nil
}

// doors tells which doors a workspace has, and whether they are there still.
func (p *purge) doors(ctx context.Context, workspace hook.ID) (map[hook.ID]bool, error) {
	out := make(map[hook.ID]bool)
	err := p.s.read(ctx, func(tx *gorm.DB) error {
		rows, err := list(tx, func(rows *sql.Rows, t *purgeTarget) error { return rows.Scan((*rowID)(&t.id), &t.deleted) },
			"SELECT id, deleted_at FROM incoming_webhooks WHERE workspace_id = ?", rowID(workspace))
		for _, t := range rows {
			out[t.id] = t.deleted == nil
		}
		return err
	})
	return out, err
}

// oldRequest is a request that may go.
type oldRequest struct {
	id, door hook.ID
	bytes    int
	expanded bool // no item of it is yet to become an event
}

func scanOldRequest(rows *sql.Rows, r *oldRequest) error {
	return rows.Scan((*rowID)(&r.id), (*rowID)(&r.door), &r.bytes, &r.expanded)
}

const oldRequestColumns = `r.id, r.incoming_id, coalesce(length(r.body), 0), (SELECT x.request_id FROM expansions x WHERE x.request_id = r.id) IS NULL`

// requestsBelow removes the requests on a way whose id is below bound.
func (p *purge) requestsBelow(ctx context.Context, workspace hook.ID, by requestsBy, bound hook.ID) error {
	if bound == hook.NoID {
		return nil
	}
	from, order := by.along(p.s, span{to: bound}, "ASC")
	return p.steps(ctx, func() (more bool, err error) {
		var removed int64
		err = p.s.write(ctx, func(tx *gorm.DB) error {
			more, removed = false, 0
			if err := p.s.onIndexes(tx); err != nil {
				return err
			}
			rows, err := list(tx, scanOldRequest, "SELECT "+oldRequestColumns+from.sql+" ORDER BY "+order+" LIMIT ?"+p.s.forUpdateSkip(), append(from.args, purgeRows)...)
			if err != nil {
				return err
			}
			var ids []hook.ID
			size := 0
			for _, r := range rows {
				ids = append(ids, r.id)
				if size += r.bytes; size >= purgeBytes {
					break
				}
			}
			more = len(rows) == purgeRows || len(ids) < len(rows)
			removed, err = p.removeRequests(tx, workspace, ids)
			return err
		})
		if err == nil {
			p.done.Requests += int(removed)
		}
		return more, err
	})
}

func (p *purge) removeRequests(tx *gorm.DB, workspace hook.ID, ids []hook.ID) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	in := p.s.among("id", ids)
	done := tx.Exec("DELETE FROM requests WHERE workspace_id = ? AND "+in.sql, append([]any{rowID(workspace)}, in.args...)...)
	return done.RowsAffected, done.Error
}

// requests removes accepted requests of a workspace with ids below old: none of the newest
// hundred of a door that is not deleted, and none that a delivery or an expansion needs.
func (p *purge) requests(ctx context.Context, workspace, old hook.ID) error {
	doors, err := p.doors(ctx, workspace)
	if err != nil {
		return err
	}
	kept := make(map[hook.ID]hook.ID) // by door: the oldest that it keeps in any case
	for door, there := range doors {
		kept[door] = lastID
		if there {
			if kept[door], err = p.newest(ctx, acceptedAtDoor(door), keptPerDoor); err != nil {
				return err
			}
		}
	}
	var cursor hook.ID
	return p.steps(ctx, func() (more bool, err error) {
		cursor, more, err = p.someRequests(ctx, workspace, cursor, old, func(r oldRequest) bool {
			bound, known := kept[r.door]
			return r.expanded && (!known || compareIDs(r.id, bound) < 0)
		})
		return more, err
	})
}

// someRequests removes accepted requests with ids from cursor up to, but not including,
// old, if they may go and have no deliveries. It returns where to go on, if there is more.
func (p *purge) someRequests(ctx context.Context, workspace, cursor, old hook.ID, mayGo func(r oldRequest) bool) (next hook.ID, more bool, err error) {
	s := p.s
	var removed int64
	err = s.write(ctx, func(tx *gorm.DB) error {
		next, more, removed = cursor, false, 0
		if err := s.onIndexes(tx); err != nil {
			return err
		}
		rows, err := list(tx, scanOldRequest, "SELECT "+oldRequestColumns+` FROM requests r
			WHERE r.workspace_id = ? AND r.id >= ? AND r.id < ? AND r.verdict = 0 ORDER BY r.id LIMIT ?`+s.forUpdateSkip(),
			rowID(workspace), rowID(cursor), rowID(old), purgeRows)
		if err != nil {
			return err
		}
		var ids []hook.ID
		size := 0
		for _, r := range rows {
			next = nextID(r.id)
			if !mayGo(r) {
				continue
			}
			ids = append(ids, r.id)
			if size += r.bytes; size >= purgeBytes {
				break
			}
		}
		more = len(rows) == purgeRows || (len(rows) > 0 && next != nextID(rows[len(rows)-1].id))
		// After the expansions were looked at: what one of them made until then is there.
		if ids, err = s.withoutDeliveries(tx, ids); err != nil {
			return err
		}
		removed, err = p.removeRequests(tx, workspace, ids)
		return err
	})
	if err != nil {
		return cursor, false, err
	}
	p.done.Requests += int(removed)
	return next, more, nil
}

// withoutDeliveries returns those of the requests that no delivery is left of.
func (s *Store) withoutDeliveries(tx *gorm.DB, requests []hook.ID) ([]hook.ID, error) {
	const free = "(SELECT d.id FROM deliveries d WHERE d.event_key >= %s AND d.event_key < %s LIMIT 1) IS NULL"
	if s.engine == Postgres {
		from, to := make(pgUUIDs, len(requests)), make(pgUUIDs, len(requests))
		for i, id := range requests {
			events := requestEvents(id)
			from[i], to[i] = events.from, events.to
		}
		return list(tx, scanID, "SELECT t.id FROM unnest(?::uuid[], ?::uuid[], ?::uuid[]) t(id, a, b) WHERE "+fmt.Sprintf(free, "t.a", "t.b"),
			pgUUIDs(requests), from, to)
	}
	var out []hook.ID
	for _, id := range requests {
		events := requestEvents(id)
		ok, err := list(tx, func(rows *sql.Rows, ok *bool) error { return rows.Scan(ok) }, "SELECT "+fmt.Sprintf(free, "?", "?"), rowID(events.from), rowID(events.to))
		if err != nil {
			return nil, err
		}
		if ok[0] {
			out = append(out, id)
		}
	}
	return out, nil
}
