package store

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// What an operator does to one delivery must win or lose cleanly against claims, finishes
// and rescues on any node. All of those lock the row in due before the one in
// deliveries; so does this. On SQLite the only writer is lock enough.

// fromWhere is the member of a set at which a finished delivery goes on, given the code of
// what succeeded: that has run all of them, and begins again. Others go on where they ended.
const fromWhere = "CASE state WHEN ? THEN 0 ELSE step END"

// RetryDelivery makes a delivery due now, by the database's clock, and returns its
// target. A finished one gets a fresh budget of attempts, whose numbers go on; of a set
// that succeeded all members run again. One that waits keeps its budget. It is an error if the delivery is being sent
// (KindDeliveryRunning) or its target was deleted (KindInvalidState).
func (s *Store) RetryDelivery(ctx context.Context, workspace, id hook.ID) (target hook.ID, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		d, err := s.lockDelivery(tx, workspace, id)
		if err != nil {
			return err
		}
		target = d.target
		if d.running() {
			return hook.Errorf(hook.KindDeliveryRunning, "the delivery is being sent; wait for its outcome")
		}
		gone, err := s.lockTombstone(tx, d.target)
		if err != nil {
			return err
		}
		if gone {
			return hook.Errorf(hook.KindInvalidState, "the delivery's target was deleted")
		}
		if err := s.audit(tx, &hook.AuditEntry{Workspace: workspace, Action: hook.AuditRetry, Kind: hook.AuditDelivery, Resource: id}); err != nil {
			return err
		}
		manual := triggerCodes.of(hook.TriggerManual)
		if d.waits {
			return tx.Exec("UPDATE due SET trigger_kind = ?, due_at = CASE WHEN due_at < ? THEN due_at ELSE ? END WHERE delivery_id = ?",
				manual, s.nodeNow(), s.nodeNow(), rowID(id)).Error
		}
		if err := tx.Exec("UPDATE deliveries SET state = ?, reason = ?, base = attempts, step = "+fromWhere+", node = NULL, finished_at = NULL WHERE id = ?",
			stateCodes.of(hook.StatePending), reasonCodes.of(hook.ReasonNone), stateCodes.of(hook.StateSucceeded), rowID(id)).Error; err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM dead WHERE target_id = ? AND delivery_id = ?", rowID(d.target), rowID(id)).Error; err != nil {
			return err
		}
		return tx.Exec("INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind) VALUES (?, ?, ?, ?, ?)",
			rowID(d.target), s.nodeNow(), rowID(id), rowID(workspace), manual).Error
	})
	if err != nil {
		return hook.NoID, err
	}
	return target, nil
}

// SkipDelivery gives a waiting delivery up, held or not. It is an error if the delivery
// is being sent (KindDeliveryRunning) or finished (KindInvalidState).
func (s *Store) SkipDelivery(ctx context.Context, workspace, id hook.ID) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		d, err := s.lockDelivery(tx, workspace, id)
		if err != nil {
			return err
		}
		if d.running() {
			return hook.Errorf(hook.KindDeliveryRunning, "the delivery is being sent; an attempt under way cannot be skipped")
		}
		if d.state.Final() {
			return hook.Errorf(hook.KindInvalidState, "the delivery has %s; only one that waits can be skipped", d.state)
		}
		if err := s.audit(tx, &hook.AuditEntry{Workspace: workspace, Action: hook.AuditSkip, Kind: hook.AuditDelivery, Resource: id}); err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM due WHERE delivery_id = ?", rowID(id)).Error; err != nil {
			return err
		}
		return tx.Exec("UPDATE deliveries SET state = ?, reason = ?, node = NULL, finished_at = ? WHERE id = ?",
			stateCodes.of(hook.StateSkipped), reasonCodes.of(hook.ReasonByOperator), micros(s.ids.Now()), rowID(id)).Error
	})
}

// lockedDelivery is a delivery that nobody else changes until the transaction ends.
type lockedDelivery struct {
	target hook.ID
	state  hook.State // of its row
	waits  bool       // has a row in due
	heldBy *int64
}

func (d *lockedDelivery) running() bool { return d.state == hook.StateRunning || d.heldBy != nil }

func (s *Store) lockDelivery(tx *gorm.DB, workspace, id hook.ID) (*lockedDelivery, error) {
	d := &lockedDelivery{}
	if err := s.lockDue(tx, id, d); err != nil {
		return nil, err
	}
	type row struct {
		target hook.ID
		state  int16
	}
	found, err := list(tx, func(rows *sql.Rows, r *row) error { return rows.Scan((*rowID)(&r.target), &r.state) },
		"SELECT target_id, state FROM deliveries WHERE id = ? AND workspace_id = ?"+s.forUpdate(), rowID(id), rowID(workspace))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, hook.NotFound("delivery", id.String())
	}
	d.target, d.state = found[0].target, stateCodes.from(found[0].state)
	if d.state == hook.StatePending && !d.waits {
		// It came back from an attempt between the two statements. Locked in the wrong
		// order now: a deadlock, should there be one, is run again.
		if err := s.lockDue(tx, id, d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (s *Store) lockDue(tx *gorm.DB, id hook.ID, d *lockedDelivery) error {
	found, err := list(tx, func(rows *sql.Rows, heldBy **int64) error { return rows.Scan(heldBy) },
		"SELECT held_by FROM due WHERE delivery_id = ?"+s.forUpdate(), rowID(id))
	if len(found) > 0 {
		d.waits, d.heldBy = true, found[0]
	}
	return err
}

// lockTombstone reports whether the target was deleted, and keeps it from being
// deleted until the transaction ends.
func (s *Store) lockTombstone(tx *gorm.DB, target hook.ID) (bool, error) {
	share := ""
	if s.engine == Postgres {
		share = " FOR SHARE"
	}
	for _, t := range targetTables {
		found, err := list(tx, func(rows *sql.Rows, at **int64) error { return rows.Scan(at) },
			"SELECT deleted_at FROM "+t.table+" WHERE id = ?"+share, rowID(target))
		if err != nil || len(found) > 0 {
			return len(found) > 0 && found[0] != nil, err
		}
	}
	return false, nil
}

func (s *Store) forUpdate() string {
	if s.engine == Postgres {
		return " FOR UPDATE"
	}
	return ""
}
