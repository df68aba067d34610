package store

import (
	"context"
	"database/sql"
	"errors"

	"sallyport/internal/hook"
)

func (s *Store) finishSQLite(ctx context.Context, node hook.NodeID, batch []*hook.Finish) ([]bool, error) {
	held := make([]bool, len(batch))
	err := s.sqliteTx(ctx, func(tx *sqliteTx) error {
		now := micros(s.ids.Now())
		for i, f := range batch {
			ok, err := tx.finishOne(node, f, now)
			if err != nil {
				return err
			}
			held[i] = ok
		}
		return tx.insertAttempts(batch, held)
	})
	return held, err
}

// insertAttempts records the attempts of a batch; those of deliveries that were not held
// as superseded.
func (t *sqliteTx) insertAttempts(batch []*hook.Finish, held []bool) error {
	var attempts []any
	for i, f := range batch {
		a := f.Attempt
		if a == nil {
			continue
		}
		outcome := a.Outcome
		if !held[i] {
			outcome = hook.OutcomeSuperseded
		}
		head, tail := splitBody(a.Request, len(f.Job.Event.Entity))
		attempts = append(attempts, f.Job.Delivery.ID[:], a.ID[:], int64(a.Number), int64(outcomeCodes.of(outcome)),
			int64(classCodes.of(a.ErrorClass)), int64(attemptStatus(a)), micros(a.StartedAt), a.Timings.Total.Microseconds(),
			appendDetail(make([]byte, 0, 1024), a), blob(head), blob(tail), blob(responseBytes(a)))
	}
	return t.insertRows(`INSERT INTO attempts (delivery_id, id, n, outcome, error_class, status, started_at, duration,
		detail, req_head, req_tail, resp_body) VALUES `, 12, attempts)
}

// finishOne writes the next state if the node holds the delivery.
func (t *sqliteTx) finishOne(node hook.NodeID, f *hook.Finish, now int64) (bool, error) {
	d := &f.Job.Delivery
	var finished any
	if f.State.Final() {
		finished = now
	}
	step, base := f.Progress()
	var n int64
	var err error
	if f.Job.Claimed {
		n, err = t.exec(`DELETE FROM due WHERE delivery_id = ? AND held_by = ?
			AND (SELECT attempts FROM deliveries WHERE id = due.delivery_id) = ?`, d.ID[:], int64(node), int64(d.Attempts))
		if err == nil && n == 1 {
			_, err = t.exec("UPDATE deliveries SET state = ?, reason = ?, attempts = ?, node = NULL, finished_at = ?, step = ?, base = ? WHERE id = ?",
				int64(stateCodes.of(f.State)), int64(reasonCodes.of(f.Reason)), int64(f.Attempts), finished, int64(step), int64(base), d.ID[:])
		}
	} else {
		n, err = t.exec(`UPDATE deliveries SET state = ?, reason = ?, attempts = ?, node = NULL, finished_at = ?, step = ?, base = ?
			WHERE id = ? AND state = 0 AND node = ? AND attempts = ?`,
			int64(stateCodes.of(f.State)), int64(reasonCodes.of(f.Reason)), int64(f.Attempts), finished, int64(step), int64(base),
			d.ID[:], int64(node), int64(d.Attempts))
	}
	if err != nil {
		return false, err
	}
	if n == 0 {
		return t.finishedBefore(f)
	}
	switch f.State { //nolint:exhaustive // the others need nothing but the row itself
	case hook.StatePending:
		_, err = t.exec("INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind) VALUES (?,?,?,?,?)",
			d.Target[:], now+f.Wait.Microseconds(), d.ID[:], d.Workspace[:], int64(triggerCodes.of(f.Trigger)))
	case hook.StateFailed:
		_, err = t.exec("INSERT INTO dead (target_id, delivery_id) VALUES (?,?) ON CONFLICT DO NOTHING", d.Target[:], d.ID[:])
	}
	return true, err
}

// finishedBefore reports that this very attempt was recorded and counted already.
func (t *sqliteTx) finishedBefore(f *hook.Finish) (bool, error) {
	if f.Attempt == nil {
		return false, nil
	}
	var outcome int16
	err := t.one("SELECT outcome FROM attempts WHERE delivery_id = ? AND id = ?", []any{f.Job.Delivery.ID[:], f.Attempt.ID[:]}, &outcome)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && outcomeCodes.from(outcome) != hook.OutcomeSuperseded, err
}

func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
