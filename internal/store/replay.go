package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// openReplays is how many replays of a workspace may be under way or paused: each has a
// loop of its own.
const openReplays = 20

// replayOverlap is how long after a replay was first taken transactions that had begun
// before may still write: their snapshot may be older than what made it.
const replayOverlap = time.Second

// replayText is what has no column.
type replayText struct {
	EventTypes []string           `json:"eventTypes,omitempty"`
	States     []hook.State       `json:"states,omitempty"`
	EntityID   string             `json:"entityId,omitempty"`
	Include    hook.ReplayInclude `json:"include"`
	Rate       int                `json:"rate,omitempty"`
	FreshIDs   bool               `json:"freshIds,omitempty"`
	UntilOpen  bool               `json:"untilOpen,omitempty"`
}

const replayColumns = `x.id, x.workspace_id, x.target_kind, x.target_id, x.spec, x.since, x.until, x.state, x.reason, x.total, x.done,
	x.skipped, x.created_by, x.cursor_target, x.cursor_id, x.started_at, x.finished_at, x.failures`

func replayFields(r *hook.Replay) (fields []any, fill func() error) {
	var kind int16
	var spec string
	var since, started, finished *int64
	var until int64
	fields = []any{(*rowID)(&r.ID), (*rowID)(&r.Workspace), &kind, (*rowID)(&r.Target), &spec, &since, &until, (*string)(&r.State), (*string)(&r.Reason),
		&r.Total, &r.Done, &r.Skipped, (*rowID)(&r.CreatedBy), (*rowID)(&r.Cursor.Target), (*rowID)(&r.Cursor.At), &started, &finished, &r.Failures}
	return fields, func() error {
		var t replayText
		if err := json.Unmarshal([]byte(spec), &t); err != nil {
			return err
		}
		r.TargetKind, r.Until = targetKindCodes.from(kind), fromMicros(until)
		r.EventTypes, r.States, r.EntityID, r.Include, r.Rate, r.FreshIDs, r.UntilOpen = t.EventTypes, t.States, t.EntityID, t.Include, t.Rate, t.FreshIDs, t.UntilOpen
		if since != nil {
			r.Since = fromMicros(*since)
		}
		r.StartedAt, r.FinishedAt = fromMicrosPtr(started), fromMicrosPtr(finished)
		return nil
	}
}

func scanReplay(rows *sql.Rows, r *hook.Replay) error {
	fields, fill := replayFields(r)
	if err := rows.Scan(fields...); err != nil {
		return err
	}
	return fill()
}

func scanReplayView(rows *sql.Rows, v *hook.ReplayView) error {
	fields, fill := replayFields(&v.Replay)
	if err := rows.Scan(append(fields, &v.TargetCode, &v.TargetName, &v.KeyCode, &v.KeyName)...); err != nil {
		return err
	}
	return fill()
}

// replayViewSQL joins what is shown beside a replay.
var replayViewSQL = "SELECT " + replayColumns + `, coalesce(w.code, a.code, ''), coalesce(w.name, a.name, ''), coalesce(k.code, ''), coalesce(k.name, '')
	FROM replays x LEFT JOIN webhooks w ON w.id = x.target_id LEFT JOIN actions a ON a.id = x.target_id LEFT JOIN api_keys k ON k.id = x.created_by WHERE `

// AddReplay stores a replay, which any node then takes, and gives it its id. It is an error
// (KindInvalidState) if the workspace has as many under way as it may.
func (s *Store) AddReplay(ctx context.Context, r *hook.Replay) error {
	return s.write(ctx, func(tx *gorm.DB) error { return s.addReplay(tx, r) })
}

func (s *Store) addReplay(tx *gorm.DB, r *hook.Replay) error {
	under, err := list(tx, scanCount, "SELECT count(*) FROM replays WHERE workspace_id = ? AND finished_at IS NULL", rowID(r.Workspace))
	if err != nil {
		return err
	}
	if under[0] >= openReplays {
		return hook.Errorf(hook.KindInvalidState, "%d replays of the workspace have not ended, as many as there may be; cancel one, or wait for one to end", under[0])
	}
	spec, err := json.Marshal(replayText{r.EventTypes, r.States, r.EntityID, r.Include, r.Rate, r.FreshIDs, r.UntilOpen})
	if err != nil {
		return err
	}
	r.ID, r.State = s.ids.New(), hook.ReplayRunning
	if r.UntilOpen {
		r.Until = s.now()
	}
	var since *int64
	if !r.Since.IsZero() {
		since = microsPtr(&r.Since)
	}
	err = tx.Exec(`INSERT INTO replays (id, workspace_id, target_kind, target_id, spec, since, until, state, created_by) VALUES (?,?,?,?,?,?,?,?,?)`,
		rowID(r.ID), rowID(r.Workspace), targetKindCodes.of(r.TargetKind), orNULL(r.Target), string(spec), since, micros(r.Until),
		string(r.State), orNULL(r.CreatedBy)).Error
	if err != nil {
		return err
	}
	return s.audit(tx, &hook.AuditEntry{Workspace: r.Workspace, Action: hook.AuditCreate, Kind: hook.AuditOfReplay, Resource: r.ID})
}

func scanCount(rows *sql.Rows, n *int) error { return rows.Scan(n) }

// Replay finds a replay of a workspace.
func (s *Store) Replay(ctx context.Context, workspace, id hook.ID) (hook.ReplayView, error) {
	var found []hook.ReplayView
	err := s.read(ctx, func(tx *gorm.DB) (err error) {
		found, err = list(tx, scanReplayView, replayViewSQL+"x.workspace_id = ? AND x.id = ?", rowID(workspace), rowID(id))
		return err
	})
	if err == nil && len(found) == 0 {
		err = hook.NotFound("replay", id.String())
	}
	if err != nil {
		return hook.ReplayView{}, err
	}
	return found[0], nil
}

// Replays lists replays in the order they were asked for, and reports whether more follow.
func (s *Store) Replays(ctx context.Context, f hook.ReplayFilter, p hook.Page) ([]hook.ReplayView, bool, error) {
	var where conditions
	within := spanOf(f.Since, f.Until, p)
	where.add("x.workspace_id = ? AND x.id >= ? AND x.id < ?", rowID(f.Workspace), rowID(within.from), rowID(within.to))
	if len(f.States) > 0 {
		where.add("x.state IN ?", f.States)
	}
	if len(f.Targets) > 0 {
		where.addClause(s.among("x.target_id", f.Targets))
	}
	var out []hook.ReplayView
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		out, err = list(tx, scanReplayView, replayViewSQL+where.String()+" ORDER BY x.id "+direction(p)+" LIMIT ?", append(where.args, p.Limit+1)...)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	out, more := paged(out, p)
	return out, more, nil
}

// replayVerbs are what brings a replay into a state by hand.
var replayVerbs = map[hook.ReplayState]hook.AuditAction{
	hook.ReplayRunning: hook.AuditResume, hook.ReplayPaused: hook.AuditPause, hook.ReplayCancelled: hook.AuditCancel,
}

// EditReplay lets decide say what the state of a replay is from now on; a piece of its work
// that is being stored comes before or not at all. Deciding nothing ("") leaves it.
func (s *Store) EditReplay(ctx context.Context, workspace, id hook.ID, decide func(hook.ReplayState) (hook.ReplayState, hook.ReplayReason, error)) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		found, err := list(tx, func(rows *sql.Rows, state *hook.ReplayState) error { return rows.Scan((*string)(state)) },
			"SELECT state FROM replays WHERE workspace_id = ? AND id = ?"+s.forUpdate(), rowID(workspace), rowID(id))
		if err == nil && len(found) == 0 {
			err = hook.NotFound("replay", id.String())
		}
		if err != nil {
			return err
		}
		state, reason, err := decide(found[0])
		if err != nil || state == "" {
			return err
		}
		if err := s.audit(tx, &hook.AuditEntry{Workspace: workspace, Action: replayVerbs[state], Kind: hook.AuditOfReplay, Resource: id}); err != nil {
			return err
		}
		var finished *int64
		if state.Final() {
			now := s.ids.Now()
			finished = microsPtr(&now)
		}
		// Whoever works on it finds so with its next piece.
		return tx.Exec("UPDATE replays SET state = ?, reason = ?, finished_at = ?, node = NULL, retry_at = 0, failures = 0 WHERE id = ?",
			string(state), string(reason), finished, rowID(id)).Error
	})
}

// TakeReplay gives the node a replay to work on: the oldest that is running and that no
// other living node works on, except those; nil if there is none. It fails with
// hook.ErrFenced if the node was declared dead.
func (s *Store) TakeReplay(ctx context.Context, node hook.NodeID, except []hook.ID) (*hook.Replay, error) {
	var taken *hook.Replay
	err := s.hotTx(ctx, func(tx *gorm.DB) error {
		taken = nil
		if err := s.fence(tx, node); err != nil {
			return err
		}
		now, err := s.databaseNow(tx) // transactions are held against it
		if err != nil {
			return err
		}
		var where conditions
		where.add("x.finished_at IS NULL AND x.state = ? AND x.retry_at <= ?", string(hook.ReplayRunning), micros(now))
		where.add("(x.node IS NULL OR x.node = ? OR (SELECT n.id FROM nodes n WHERE n.id = x.node) IS NULL)", int64(node))
		if len(except) > 0 {
			in := s.among("x.id", except)
			where.add("NOT ("+in.sql+")", in.args...)
		}
		rows, err := list(tx, scanReplay, "SELECT "+replayColumns+" FROM replays x WHERE "+where.String()+" ORDER BY x.id LIMIT 1"+s.forUpdateSkip(), where.args...)
		if err != nil || len(rows) == 0 {
			return err
		}
		r := &rows[0]
		if r.StartedAt == nil {
			r.StartedAt = &now
			if r.UntilOpen && r.Missed() {
				r.Until = now.Add(replayOverlap)
			}
		}
		taken = r
		return tx.Exec("UPDATE replays SET node = ?, started_at = ?, until = ? WHERE id = ?", int64(node), micros(*r.StartedAt), micros(r.Until), rowID(r.ID)).Error
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// ReplaySettled reports whether every event is visible that was accepted by a configuration
// older than the moment a replay was first taken. Accepting reads the configuration's
// version and commits a little later; on Postgres a replay that looked in between would
// pass over an event that is not there yet and that nobody made a delivery of.
func (s *Store) ReplaySettled(ctx context.Context, taken time.Time) (bool, error) {
	if s.engine == SQLite {
		return true, nil // it has one writer
	}
	end := micros(taken.Add(replayOverlap))
	var settled []bool
	err := s.read(ctx, func(tx *gorm.DB) (err error) {
		// Whoever decides by a version has the number of a transaction before, see staleVersions.
		settled, err = list(tx, func(rows *sql.Rows, yes *bool) error { return rows.Scan(yes) }, `SELECT clock_timestamp() >= t.at AND NOT EXISTS (
			SELECT 1 FROM pg_stat_activity a WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL AND a.xact_start < t.at)
			FROM (SELECT to_timestamp(?::bigint / 1000000.0) AS at) t`, end)
		return err
	})
	return err == nil && settled[0], err
}

// NoteReplay says how it stands with a replay in the node's hands: why it does not move.
// It fails with hook.ErrFenced if the node has no business with it any more.
func (s *Store) NoteReplay(ctx context.Context, node hook.NodeID, id hook.ID, reason hook.ReplayReason) error {
	return s.replayOf(ctx, node, id, "reason = ?", string(reason))
}

// CountedReplay notes how many deliveries a replay in the node's hands is about.
func (s *Store) CountedReplay(ctx context.Context, node hook.NodeID, id hook.ID, total int) error {
	return s.replayOf(ctx, node, id, "total = ?", total)
}

// EndReplay ends a replay in the node's hands before its work is done.
func (s *Store) EndReplay(ctx context.Context, node hook.NodeID, id hook.ID, state hook.ReplayState, reason hook.ReplayReason) error {
	return s.replayOf(ctx, node, id, "state = ?, reason = ?, finished_at = ?, node = NULL", string(state), string(reason), micros(s.ids.Now()))
}

// LeaveReplay lets any node go on with a replay after a while, since it failed here.
func (s *Store) LeaveReplay(ctx context.Context, node hook.NodeID, id hook.ID, wait time.Duration) error {
	return s.replayOf(ctx, node, id, "failures = failures + 1, retry_at = ?, node = NULL", micros(s.ids.Now().Add(wait)))
}

func (s *Store) replayOf(ctx context.Context, node hook.NodeID, id hook.ID, set string, args ...any) error {
	return s.hotTx(ctx, func(tx *gorm.DB) error {
		q := tx.Exec("UPDATE replays SET "+set+" WHERE id = ? AND node = ? AND state = ?",
			append(args, rowID(id), int64(node), string(hook.ReplayRunning))...)
		if q.Error == nil && q.RowsAffected == 0 {
			return hook.ErrFenced
		}
		return q.Error
	})
}
