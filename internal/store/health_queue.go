package store

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// QueueStats counts what waits in each workspace where something does. It goes through
// all of due once, 0.2 s for a million rows, so ask when metrics are collected and not
// more often. Whether something is overdue it finds by the head of each target's queue.
func (s *Store) QueueStats(ctx context.Context) ([]hook.QueueStat, error) {
	var out []hook.QueueStat
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		out, err = list(tx, func(rows *sql.Rows, q *hook.QueueStat) error {
			return rows.Scan((*rowID)(&q.Workspace), &q.WorkspaceCode, &q.Waiting, &q.Claimed)
		}, `SELECT g.workspace_id, coalesce(w.code, ''), g.n - g.claimed, g.claimed
			FROM (SELECT workspace_id, count(*) AS n, count(held_by) AS claimed FROM due GROUP BY workspace_id) g
			LEFT JOIN workspaces w ON w.id = g.workspace_id ORDER BY g.workspace_id`)
		if err != nil || len(out) == 0 {
			return err
		}
		type head struct {
			workspace hook.ID
			at        int64
		}
		heads, err := list(tx, func(rows *sql.Rows, h *head) error { return rows.Scan((*rowID)(&h.workspace), &h.at) }, s.headsSQL(), s.nodeNow())
		if err != nil {
			return err
		}
		oldest := make(map[hook.ID]int64, len(heads))
		for _, h := range heads {
			if at, ok := oldest[h.workspace]; !ok || h.at < at {
				oldest[h.workspace] = h.at
			}
		}
		for i := range out {
			if at, ok := oldest[out[i].Workspace]; ok {
				t := fromMicros(at)
				out[i].OldestDue = &t
			}
		}
		return nil
	})
	return out, err
}

// headsSQL finds, for every target that is sent to, the delivery that has been due for
// longest and that nobody has claimed. It jumps from target to target through due's
// key, so that backlogs are not read.
func (s *Store) headsSQL() string {
	jump := `(SELECT n.target_id FROM due n WHERE n.target_id > t.target_id ORDER BY n.target_id LIMIT 1)`
	head := `(SELECT u.due_at FROM due u WHERE u.target_id = t.target_id AND u.held_by IS NULL ORDER BY u.due_at LIMIT 1)`
	return `WITH RECURSIVE t(target_id) AS (
			SELECT * FROM (SELECT f.target_id FROM due f ORDER BY f.target_id LIMIT 1) first
			UNION ALL SELECT ` + jump + ` FROM t WHERE t.target_id IS NOT NULL),
		h AS MATERIALIZED (SELECT t.target_id, ` + head + ` AS due_at FROM t WHERE t.target_id IS NOT NULL)
		SELECT coalesce(` + eachTarget(", ", "(SELECT w.workspace_id FROM %t w WHERE w.id = h.target_id AND %s)") + `),
			` + s.clock("h.due_at") + ` FROM h WHERE h.due_at <= ?`
}
