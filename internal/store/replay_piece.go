package store

import (
	"bytes"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// ReplayPiece does a part of a replay's work and moves its cursor, in one transaction: after
// a crash, or if its outcome is not heard of, the replay itself says whether it was done. It
// fails with hook.ErrFenced if the node has no business with the replay any more, be it that
// somebody paused or ended it, and with hook.ErrChanged if the workspace's configuration is
// not that by which the piece was decided.
func (s *Store) ReplayPiece(ctx context.Context, node hook.NodeID, p *hook.ReplayPiece) (hook.ReplayDone, error) {
	var done hook.ReplayDone
	err := s.hotTx(ctx, func(tx *gorm.DB) error {
		w := replaying{s: s, tx: tx, p: p}
		if err := w.run(node); err != nil {
			return err
		}
		done = w.done
		return nil
	})
	return done, err
}

// replaying is a piece's transaction.
type replaying struct {
	s         *Store
	tx        *gorm.DB
	p         *hook.ReplayPiece
	workspace hook.ID
	done      hook.ReplayDone
	waits     []hook.ID // deliveries that get a row in due
}

func (w *replaying) run(node hook.NodeID) error {
	if err := w.s.fence(w.tx, node); err != nil {
		return err
	}
	mine, err := list(w.tx, scanID, "SELECT workspace_id FROM replays WHERE id = ? AND node = ? AND state = ?"+w.s.forUpdate(),
		rowID(w.p.Replay), int64(node), string(hook.ReplayRunning))
	if err != nil {
		return err
	}
	if len(mine) == 0 {
		return hook.ErrFenced
	}
	w.workspace = mine[0]
	// Also of a piece that is about nothing: by another configuration it might have been
	// about something, which the cursor would pass over.
	version, err := list(w.tx, func(rows *sql.Rows, v *int64) error { return rows.Scan(v) },
		"SELECT version FROM config_versions WHERE scope_id = ?", rowID(w.workspace))
	if err != nil {
		return err
	}
	if len(version) == 0 || version[0] != w.p.Version {
		return hook.ErrChanged
	}
	if err := w.again(); err != nil {
		return err
	}
	if err := w.missing(); err != nil {
		return err
	}
	if err := w.wait(); err != nil {
		return err
	}
	return w.advance()
}

type repeated struct {
	id, target hook.ID
	state      int16
}

// again makes finished deliveries wait as an operator's retry does. What somebody else made
// wait meanwhile is left to that.
func (w *replaying) again() error {
	ids := slices.Clone(w.p.Again)
	if len(ids) == 0 {
		return nil
	}
	slices.SortFunc(ids, compareIDs) // two replays lock in one order
	in := w.s.among("id", ids)
	rows, err := list(w.tx, func(rows *sql.Rows, r *repeated) error {
		return rows.Scan((*rowID)(&r.id), (*rowID)(&r.target), &r.state)
	}, "SELECT id, target_id, state FROM deliveries WHERE workspace_id = ? AND "+in.sql+" ORDER BY id"+w.s.forUpdate(),
		append([]any{rowID(w.workspace)}, in.args...)...)
	if err != nil {
		return err
	}
	var failed, targets []hook.ID
	ids = ids[:0]
	for _, r := range rows {
		state := stateCodes.from(r.state)
		if !slices.Contains(w.p.States, state) {
			w.done.Skipped++ // it waits, or has ended otherwise since
			continue
		}
		ids = append(ids, r.id)
		w.woken(r.target)
		if state == hook.StateFailed {
			failed, targets = append(failed, r.id), append(targets, r.target)
		}
	}
	if w.done.Again = len(ids); len(ids) == 0 {
		return nil
	}
	w.waits = append(w.waits, ids...)
	fresh := "fresh"
	if w.p.Fresh {
		fresh = "CASE fresh WHEN 0 THEN 2 WHEN 32767 THEN fresh ELSE fresh + 1 END"
	}
	in = w.s.among("id", ids)
	err = w.tx.Exec("UPDATE deliveries SET state = ?, reason = ?, base = attempts, step = "+fromWhere+", node = NULL, finished_at = NULL, replay_id = ?, fresh = "+fresh+" WHERE "+in.sql,
		append([]any{stateCodes.of(hook.StatePending), reasonCodes.of(hook.ReasonNone), stateCodes.of(hook.StateSucceeded), rowID(w.p.Replay)}, in.args...)...).Error
	if err != nil || len(failed) == 0 {
		return err
	}
	of, dead := w.s.among("target_id", distinct(targets)), w.s.among("delivery_id", failed)
	return w.tx.Exec("DELETE FROM dead WHERE "+of.sql+" AND "+dead.sql, append(of.args, dead.args...)...).Error
}

// missing makes deliveries of events that are still there, and stay: retention passes over
// what is locked, and looks for deliveries once more before it removes an event.
func (w *replaying) missing() error {
	if len(w.p.New) == 0 {
		return nil
	}
	rows := slices.Clone(w.p.New)
	slices.SortFunc(rows, func(a, b hook.ReplayNew) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	fresh := 0
	if w.p.Fresh {
		fresh = 2
	}
	with, args := w.newRows(rows)
	made, err := list(w.tx, func(rows *sql.Rows, r *repeated) error {
		return rows.Scan((*rowID)(&r.id), (*rowID)(&r.target), &r.state)
	}, "WITH n AS ("+with+`)
		INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, reason, finished_at, replay_id, fresh)
		SELECT n.id, e.workspace_id, e.key, CAST(? AS smallint), n.target, CASE WHEN n.reason = 0 THEN 1 ELSE 4 END, n.reason,
			CASE WHEN n.reason = 0 THEN NULL ELSE CAST(? AS bigint) END, ?, CAST(? AS smallint)
		FROM n JOIN events e ON e.workspace_id = ? AND e.key = n.event WHERE true`+w.s.forKeyShareOf("e")+`
		ON CONFLICT DO NOTHING RETURNING id, target_id, state`,
		append(args, targetKindCodes.of(hook.TargetWebhook), micros(w.s.ids.Now()), rowID(w.p.Replay), fresh, rowID(w.workspace))...)
	if err != nil {
		return err
	}
	for _, r := range made {
		if stateCodes.from(r.state) == hook.StateSkipped {
			w.done.Skipped++
			continue
		}
		w.done.New++
		w.woken(r.target)
		w.waits = append(w.waits, r.id)
	}
	return nil
}

// newRows is a query of id, event, target and reason.
func (w *replaying) newRows(rows []hook.ReplayNew) (string, []any) {
	if w.s.engine == Postgres {
		ids, events, targets, reasons := make(pgUUIDs, len(rows)), make(pgUUIDs, len(rows)), make(pgUUIDs, len(rows)), make([]string, len(rows))
		for i, r := range rows {
			ids[i], events[i], targets[i] = r.ID, r.Event, r.Target
			reasons[i] = strconv.Itoa(int(reasonCodes.of(r.Skipped)))
		}
		return "SELECT * FROM unnest(?::uuid[], ?::uuid[], ?::uuid[], ?::smallint[]) u(id, event, target, reason)",
			[]any{ids, events, targets, "{" + strings.Join(reasons, ",") + "}"}
	}
	rows = padded(rows) // twice the same is once
	args := make([]any, 0, 4*len(rows))
	for _, r := range rows {
		args = append(args, rowID(r.ID), rowID(r.Event), rowID(r.Target), reasonCodes.of(r.Skipped))
	}
	return "SELECT column1 AS id, column2 AS event, column3 AS target, column4 AS reason FROM (VALUES (?,?,?,?)" +
		strings.Repeat(",(?,?,?,?)", len(rows)-1) + ")", args
}

func (w *replaying) woken(target hook.ID) {
	if !slices.Contains(w.done.Woken, target) {
		w.done.Woken = append(w.done.Woken, target)
	}
}

// wait puts deliveries into due, unless their target was deleted meanwhile: then they are
// skipped as its others are. The targets stay as they are until the transaction ends.
func (w *replaying) wait() error {
	if len(w.waits) == 0 {
		return nil
	}
	slices.SortFunc(w.done.Woken, compareIDs)
	for _, t := range w.done.Woken {
		gone, err := w.s.lockTombstone(w.tx, t)
		if err != nil {
			return err
		}
		if gone { // after the version was read: with the new one the replay finds out
			return hook.ErrChanged
		}
	}
	in := w.s.among("d.id", w.waits)
	return w.tx.Exec(`INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind)
		SELECT d.target_id, ?, d.id, d.workspace_id, ? FROM deliveries d WHERE `+in.sql+" ORDER BY d.target_id, d.id",
		append([]any{w.s.nodeNow(), triggerCodes.of(hook.TriggerReplay)}, in.args...)...).Error
}

// advance moves the cursor and counts.
func (w *replaying) advance() error {
	p := w.p
	w.done.Skipped += p.Skipped
	set, args := "", []any{}
	if p.Last {
		set = ", state = ?, finished_at = ?, node = NULL, total = done + skipped + ?"
		args = append(args, string(hook.ReplaySucceeded), micros(w.s.ids.Now()), w.done.Again+w.done.New+w.done.Skipped)
	}
	return w.tx.Exec("UPDATE replays SET cursor_target = ?, cursor_id = ?, done = done + ?, skipped = skipped + ?, reason = '', failures = 0"+set+" WHERE id = ?",
		append(append([]any{orNULL(p.Cursor.Target), orNULL(p.Cursor.At), w.done.Again + w.done.New, w.done.Skipped}, args...), rowID(p.Replay))...).Error
}
