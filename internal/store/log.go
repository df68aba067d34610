package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// The log of accepted events. Who reads it up to a row must be sure that no row below it is
// committed later. On SQLite that is so, there is one writer. On Postgres a row's seq is
// given under a lock on the table that is held until its transaction has ended and what it
// wrote can be seen. So: look how high the log is, then who holds such a lock; when none of
// them does any more, everything up to that height is there. (CREATE INDEX CONCURRENTLY
// waits for writers in this way.) Comparing transaction ids instead would make every stream
// wait for the longest transaction in the whole cluster, whoever's it is, and the ids would
// mean nothing in another cluster.

// Logged is signalled when this node has stored events.
func (s *Store) Logged() <-chan struct{} { return s.logged }

func (s *Store) signalLogged() {
	select {
	case s.logged <- struct{}{}:
	default:
	}
}

const (
	logLastSQL = `SELECT w.id, coalesce((SELECT max(l.seq) FROM event_log l WHERE l.workspace_id = w.id), 0) FROM unnest($1::uuid[]) w(id)`
	// A transaction has a virtual id of its own. Modes that go with writing, of whatever kind.
	logWritersSQL = `SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND relation = 'event_log'::regclass
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`
)

// LogHeads looks how far the logs of workspaces go, and then who is writing to any.
func (s *Store) LogHeads(ctx context.Context, workspaces []hook.ID) (hook.LogHeads, error) {
	heads := hook.LogHeads{Last: make(map[hook.ID]int64, len(workspaces))}
	if s.engine == SQLite {
		for _, ws := range workspaces {
			var last int64
			if err := s.r.WithContext(ctx).Raw("SELECT coalesce(max(seq), 0) FROM event_log WHERE workspace_id = ?", rowID(ws)).Scan(&last).Error; err != nil {
				return heads, translate(err)
			}
			heads.Last[ws] = last
		}
		return heads, nil
	}
	// One after the other in one round trip, each with a snapshot of its own.
	batch := &pgx.Batch{}
	batch.Queue(logLastSQL, workspaces).Query(func(rows pgx.Rows) error {
		var id hook.ID
		var last int64
		_, err := pgx.ForEachRow(rows, []any{&id, &last}, func() error {
			heads.Last[id] = last
			return nil
		})
		return err
	})
	batch.Queue(logWritersSQL).Query(func(rows pgx.Rows) (err error) {
		heads.Writers, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return heads, translate(s.api.SendBatch(ctx, batch).Close())
}

// LogPage reads a workspace's log behind a position, up to a row, of whose predecessors none
// may be missing: at most limit events, of which it returns those of a wanted type, entities
// and all, as many as have at most maxBytes together, but at least one. Errors are those of
// CheckPosition: also whoever followed the log so far may find that it was turned back, and
// has gone on differently.
func (s *Store) LogPage(ctx context.Context, workspace hook.ID, after hook.Position, upTo int64, limit, maxBytes int, want func(eventType string) bool) (hook.LogPage, error) {
	page := hook.LogPage{Next: after}
	err := s.search(ctx, func(tx *gorm.DB) error {
		keys, err := s.logKeysBehind(tx, workspace, after, upTo, limit)
		if err != nil || len(keys) == 0 {
			return err
		}
		return s.logEvents(tx, workspace, keys, maxBytes, want, &page)
	})
	return page, err
}

// logKeysBehind is logKeys, if the log has the position.
func (s *Store) logKeysBehind(tx *gorm.DB, workspace hook.ID, p hook.Position, upTo int64, limit int) ([]loggedKey, error) {
	gone, err := swept(tx, workspace)
	if err == nil {
		err = gone.includes(p)
	}
	if err != nil {
		return nil, err
	}
	if p.Seq == 0 || p == gone.at || p.Seq > upTo {
		return s.logKeys(tx, workspace, p, upTo, limit)
	}
	keys, err := s.logKeys(tx, workspace, hook.Position{Seq: p.Seq, Index: p.Index - 1}, upTo, limit+1)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 || keys[0].at != p {
		return nil, noSuchPlace(p)
	}
	return keys[1:], nil
}

// loggedKey is one event of the log.
type loggedKey struct {
	at     hook.Position
	logged int64
}

type logRow struct {
	seq, at int64
	from    int // events left out at its beginning
	keys    []hook.ID
}

// logKeys reads at most limit keys.
func (s *Store) logKeys(tx *gorm.DB, workspace hook.ID, after hook.Position, upTo int64, limit int) ([]loggedKey, error) {
	from := "CASE WHEN l.seq = ? THEN ? ELSE 0 END"
	piece := "substr(l.keys, 16 * (" + from + ") + 1, 16 * ?)"
	args := []any{after.Seq, after.Index, limit}
	if s.engine == Postgres {
		piece = "array_to_string(l.keys[" + from + " + 1 : " + from + " + ?], '')"
		args = []any{after.Seq, after.Index, after.Seq, after.Index, limit}
	}
	// One more: the first may have been read.
	rows, err := list(tx, func(rows *sql.Rows, r *logRow) error {
		var b []byte
		if err := rows.Scan(&r.seq, &r.at, &b); err != nil {
			return err
		}
		if r.seq == after.Seq {
			r.from = after.Index
		}
		return s.readLogKeys(b, &r.keys)
	}, "SELECT l.seq, l.at, "+piece+` FROM event_log l
		WHERE l.workspace_id = ? AND l.seq >= ? AND l.seq <= ? ORDER BY l.seq LIMIT ?`,
		append(args, rowID(workspace), after.Seq, upTo, limit+1)...)
	if err != nil {
		return nil, err
	}
	var out []loggedKey
	for _, r := range rows {
		for i, key := range r.keys {
			if len(out) == limit {
				return out, nil
			}
			out = append(out, loggedKey{hook.Position{Seq: r.seq, Index: r.from + i + 1, Key: key}, r.at})
		}
	}
	return out, nil
}

// readLogKeys reads keys one after the other, as text on Postgres.
func (s *Store) readLogKeys(b []byte, to *[]hook.ID) error {
	size := len(hook.NoID)
	if s.engine == Postgres {
		size = len(hook.NoID.String())
	}
	for ; len(b) >= size; b = b[size:] {
		var id rowID
		if err := id.Scan(b[:size]); err != nil {
			return fmt.Errorf("reading the log of events: %w", err)
		}
		*to = append(*to, hook.ID(id))
	}
	return nil
}

// logEvents looks the events up, first without their entities, which may be large.
func (s *Store) logEvents(tx *gorm.DB, workspace hook.ID, keys []loggedKey, maxBytes int, want func(string) bool, page *hook.LogPage) error {
	ids := make([]hook.ID, len(keys))
	for i, k := range keys {
		ids[i] = k.at.Key
	}
	type fact struct {
		key  hook.ID
		typ  string
		size int
	}
	in := s.among("e.key", ids)
	facts, err := list(tx, func(rows *sql.Rows, f *fact) error { return rows.Scan((*rowID)(&f.key), &f.typ, &f.size) },
		"SELECT e.key, e.type, coalesce(length(e.entity), 0) FROM events e WHERE e.workspace_id = ? AND "+in.sql, append([]any{rowID(workspace)}, in.args...)...)
	if err != nil {
		return err
	}
	byKey := make(map[hook.ID]fact, len(facts))
	for _, f := range facts {
		byKey[f.key] = f
	}
	var wanted []hook.ID
	bytes := 0
	for i, k := range keys {
		// One that is not there has passed its retention, which goes by its acceptance.
		if f, there := byKey[k.at.Key]; there && want(f.typ) {
			if bytes += f.size; bytes > maxBytes && len(wanted) > 0 {
				keys = keys[:i]
				break
			}
			wanted = append(wanted, f.key)
		}
	}
	page.Next, page.Read = keys[len(keys)-1].at, len(keys)
	events, err := s.eventsByKey(tx, workspace, wanted, "e.entity")
	if err != nil {
		return err
	}
	for _, k := range keys {
		if e, there := events[k.at.Key]; there {
			page.Events = append(page.Events, hook.LoggedEvent{Event: e, At: k.at, Logged: fromMicros(k.logged)})
		}
	}
	return nil
}

// sweptRow is the last row of a log that retention removed.
type sweptRow struct {
	at     hook.Position
	logged int64
}

const sweptSQL = "SELECT seq, count, key, at FROM event_log_swept WHERE workspace_id = ?"

func scanSwept(rows *sql.Rows, r *sweptRow) error {
	return rows.Scan(&r.at.Seq, &r.at.Index, (*rowID)(&r.at.Key), &r.logged)
}

// swept returns it, zero if none was.
func swept(tx *gorm.DB, workspace hook.ID) (sweptRow, error) {
	rows, err := list(tx, scanSwept, sweptSQL, rowID(workspace))
	if err != nil || len(rows) == 0 {
		return sweptRow{}, err
	}
	return rows[0], nil
}

// includes fails if something behind the position is gone.
func (r sweptRow) includes(p hook.Position) error {
	if !p.Before(r.at) {
		return nil
	}
	lost := "everything"
	if p.Key != hook.NoID {
		lost = "what was accepted after " + hook.TimeOf(p.Key).Format(time.RFC3339)
	}
	e := hook.Errorf(hook.KindCursorExpired, "the retention of the workspace has passed over this cursor: %s and stored by %s may be missing; begin again with since=%[2]s",
		lost, fromMicros(r.logged).Format(time.RFC3339))
	e.Field = "cursor"
	return e
}

// CheckPosition fails with KindInvalidCursor if the log never had the position, and with
// KindCursorExpired if retention has removed something behind it.
func (s *Store) CheckPosition(ctx context.Context, workspace hook.ID, p hook.Position) error {
	return s.search(ctx, func(tx *gorm.DB) error {
		_, err := s.logKeysBehind(tx, workspace, p, p.Seq, 0)
		return err
	})
}

func noSuchPlace(p hook.Position) error {
	e := hook.Errorf(hook.KindInvalidCursor, "this database has no such place: it was probably restored from an older copy, "+
		"and what was accepted about %s may be missing or come again; begin again with since", hook.TimeOf(p.Key).Format(time.RFC3339))
	e.Field = "cursor"
	return e
}

// LogStart returns the position from which everything follows that was committed at or after
// a time, and maybe something of the minute before: rows are not quite in the order of
// their times. upTo is as LogPage's.
func (s *Store) LogStart(ctx context.Context, workspace hook.ID, since time.Time, upTo int64) (p hook.Position, err error) {
	err = s.search(ctx, func(tx *gorm.DB) error {
		from := micros(since.Add(-time.Minute))
		low, high := int64(0), upTo+1 // what is at low or below is earlier, what is at high or above is not
		for high-low > 1 {
			middle := low + (high-low)/2
			rows, err := list(tx, func(rows *sql.Rows, r *logRow) error { return rows.Scan(&r.seq, &r.at) },
				"SELECT seq, at FROM event_log WHERE workspace_id = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT 1", rowID(workspace), middle, high)
			switch {
			case err != nil:
				return err
			case len(rows) == 1 && rows[0].at < from:
				low = rows[0].seq
			default:
				high = middle
			}
		}
		p, err = s.logBefore(tx, workspace, high)
		return err
	})
	return p, err
}

// LogEnd returns the position behind all rows up to one.
func (s *Store) LogEnd(ctx context.Context, workspace hook.ID, upTo int64) (p hook.Position, err error) {
	err = s.search(ctx, func(tx *gorm.DB) error {
		p, err = s.logBefore(tx, workspace, upTo+1)
		return err
	})
	return p, err
}

// logBefore is the position behind the last row below seq.
func (s *Store) logBefore(tx *gorm.DB, workspace hook.ID, seq int64) (hook.Position, error) {
	rows, err := list(tx, scanSwept, "SELECT seq, "+s.logCount()+", "+s.logLast()+`, at FROM event_log
		WHERE workspace_id = ? AND seq < ? ORDER BY seq DESC LIMIT 1`, rowID(workspace), seq)
	if err != nil || len(rows) == 1 {
		return append(rows, sweptRow{})[0].at, err
	}
	gone, err := swept(tx, workspace)
	return gone.at, err
}

// logCount is how many events a row of the log has.
func (s *Store) logCount() string {
	if s.engine == Postgres {
		return "cardinality(keys)"
	}
	return "length(keys) / 16"
}

// logLast is the key of the last of them.
func (s *Store) logLast() string {
	if s.engine == Postgres {
		return "keys[cardinality(keys)]"
	}
	return "substr(keys, length(keys) - 15)"
}
