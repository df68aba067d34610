package store

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// skipLimit is how many deliveries one transaction skips at most: enough to be done with
// a million in a minute, few enough not to hold up the other writers.
const skipLimit = 5000

// DeletedTargets lists targets which were deleted and still have deliveries that wait
// and that no node holds: SkipTarget has work there.
func (s *Store) DeletedTargets(ctx context.Context) ([]hook.ID, error) {
	var out []hook.ID
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		out, err = list(tx, scanID, eachTarget(" UNION ALL ", `SELECT w.id FROM %t w WHERE w.deleted_at IS NOT NULL
			AND (SELECT u.delivery_id FROM due u WHERE u.target_id = w.id AND u.held_by IS NULL LIMIT 1) IS NOT NULL`)+" ORDER BY 1")
		return err
	})
	return out, err
}

// SkipTarget skips deliveries that wait for a deleted target, oldest first, at most
// limit and at most 5,000 of them, and returns how many; call it until it returns 0.
// Those held by a node are left to their attempt. A target that was not deleted is left
// alone.
func (s *Store) SkipTarget(ctx context.Context, target hook.ID, limit int) (n int, err error) {
	limit = min(limit, skipLimit)
	skipped := stateCodes.of(hook.StateSkipped)
	err = s.write(ctx, func(tx *gorm.DB) error {
		n = 0
		var reason hook.Reason
		for _, t := range targetTables {
			dead, err := list(tx, scanID, "SELECT id FROM "+t.table+" WHERE id = ? AND deleted_at IS NOT NULL", rowID(target))
			if err != nil {
				return err
			}
			if len(dead) > 0 {
				reason = t.deleted
				break
			}
		}
		if reason == hook.ReasonNone {
			return nil
		}
		ids, err := list(tx, scanID, `SELECT u.delivery_id FROM due u WHERE u.target_id = ? AND u.held_by IS NULL
			ORDER BY u.due_at, u.delivery_id LIMIT ?`+s.forUpdateOf("u"), rowID(target), limit)
		if err != nil || len(ids) == 0 {
			return err
		}
		in := s.among("delivery_id", ids)
		if err := tx.Exec("DELETE FROM due WHERE "+in.sql, in.args...).Error; err != nil {
			return err
		}
		in = s.among("id", ids)
		done := tx.Exec("UPDATE deliveries SET state = ?, reason = ?, node = NULL, finished_at = ? WHERE "+in.sql,
			append([]any{skipped, reasonCodes.of(reason), micros(s.ids.Now())}, in.args...)...)
		n = len(ids)
		return done.Error
	})
	return n, err
}

// HeldCount counts the deliveries that wait for a target and that no node has claimed.
func (s *Store) HeldCount(ctx context.Context, target hook.ID) (int, error) {
	var n []int
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		n, err = list(tx, func(rows *sql.Rows, n *int) error { return rows.Scan(n) },
			"SELECT count(*) FROM due u WHERE u.target_id = ? AND u.held_by IS NULL", rowID(target))
		return err
	})
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

func (s *Store) forUpdateOf(table string) string {
	if s.engine == Postgres {
		return " FOR UPDATE OF " + table
	}
	return ""
}

func (s *Store) forKeyShareOf(table string) string {
	if s.engine == Postgres {
		return " FOR KEY SHARE OF " + table
	}
	return ""
}
