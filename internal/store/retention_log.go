package store

import (
	"context"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// log removes what was logged before the retention of a workspace, whose ids are below old,
// and notes how far. It goes with the events: who reads the log that far behind is told.
func (p *purge) log(ctx context.Context, workspace, old hook.ID) error {
	s := p.s
	limit := micros(hook.TimeOf(old))
	return p.steps(ctx, func() (more bool, err error) {
		err = s.write(ctx, func(tx *gorm.DB) error {
			more = false
			if err := s.onIndexes(tx); err != nil {
				return err
			}
			rows, err := list(tx, scanSwept, "SELECT seq, "+s.logCount()+", "+s.logLast()+`, at FROM event_log
				WHERE workspace_id = ? ORDER BY seq LIMIT ?`, rowID(workspace), purgeRows)
			if err != nil {
				return err
			}
			n := 0
			for n < len(rows) && rows[n].logged < limit {
				n++
			}
			if n == 0 {
				return nil
			}
			more = n == purgeRows
			last := rows[n-1]
			if err := tx.Exec(`INSERT INTO event_log_swept (workspace_id, seq, count, key, at) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (workspace_id) DO UPDATE SET seq = excluded.seq, count = excluded.count, key = excluded.key, at = excluded.at
				WHERE event_log_swept.seq < excluded.seq`, rowID(workspace), last.at.Seq, last.at.Index, rowID(last.at.Key), last.logged).Error; err != nil {
				return err
			}
			return tx.Exec("DELETE FROM event_log WHERE workspace_id = ? AND seq <= ?", rowID(workspace), last.at.Seq).Error
		})
		return more, err
	})
}
