package store

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

const (
	// queuePage is how many targets one statement counts.
	queuePage = 100
	// queueFar is how far the queue of a target is counted, and queueNear when time runs
	// out: a backlog of that size is known to be one.
	queueFar  = 1_000_000
	queueNear = 1_000
	// queueBudget is how long a pass counts far.
	queueBudget = 2 * time.Second
)

// Queue counts what waits for each target for which something does. It goes through due
// once, 0.2 to 0.4 s for a million rows; beyond two seconds it counts no further than a
// thousand of each target that is left. Whether something is due it sees at the head of
// each queue. The figures of different targets may be some moments apart.
func (s *Store) Queue(ctx context.Context) (hook.Queue, error) {
	q := hook.Queue{At: s.ids.Now()}
	claimed, err := s.claimedByTarget(ctx)
	if err != nil {
		return hook.Queue{}, err
	}
	far := queueFar
	var after hook.ID
	for {
		page, err := s.queuePage(ctx, after, far)
		if hook.KindOf(err) == hook.KindUnavailable && far > queueNear && ctx.Err() == nil {
			far = queueNear // it took too long: once more, not so far
			continue
		}
		if err != nil {
			return hook.Queue{}, err
		}
		for i := range page {
			t := &page[i]
			t.Claimed = min(claimed[t.Target], t.Waiting)
			t.Waiting -= t.Claimed
		}
		q.Targets = append(q.Targets, page...)
		if len(page) < queuePage {
			return q, nil
		}
		after = page[len(page)-1].Target
		if s.ids.Now().Sub(q.At) > queueBudget {
			far = queueNear
		}
	}
}

// claimedByTarget counts what nodes have claimed, from an index of its own.
func (s *Store) claimedByTarget(ctx context.Context) (map[hook.ID]int, error) {
	type count struct {
		target hook.ID
		n      int
	}
	var rows []count
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		rows, err = list(tx, func(rows *sql.Rows, c *count) error { return rows.Scan((*rowID)(&c.target), &c.n) },
			"SELECT u.target_id, count(*) FROM due u WHERE u.held_by IS NOT NULL GROUP BY u.target_id")
		return err
	})
	out := make(map[hook.ID]int, len(rows))
	for _, c := range rows {
		out[c.target] = c.n
	}
	return out, err
}

// queuePage counts the queues of the next targets after an id, claimed ones included, in
// the order of ids.
func (s *Store) queuePage(ctx context.Context, after hook.ID, far int) ([]hook.TargetQueue, error) {
	var out []hook.TargetQueue
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		now := s.ids.Now()
		out, err = list(tx, func(rows *sql.Rows, q *hook.TargetQueue) error {
			var due *int64
			if err := rows.Scan((*rowID)(&q.Target), (*rowID)(&q.Workspace), &q.WorkspaceCode, &q.Waiting, &due, &q.Active, &q.Broken); err != nil {
				return err
			}
			q.Exact = q.Waiting <= far
			q.Waiting = min(q.Waiting, far)
			if at := fromMicrosPtr(due); at != nil && !at.After(now) {
				q.OldestDue = at
			}
			return nil
		}, s.queueSQL(far), rowID(after))
		return err
	})
	return out, err
}

// queueSQL jumps from target to target through due's key, in which the queues are counted.
func (s *Store) queueSQL(far int) string {
	jump := `(SELECT n.target_id FROM due n WHERE n.target_id > t.target_id ORDER BY n.target_id LIMIT 1)`
	return `WITH RECURSIVE t(target_id, n) AS (
			SELECT first.target_id, 1 FROM (SELECT f.target_id FROM due f WHERE f.target_id > ? ORDER BY f.target_id LIMIT 1) first
			UNION ALL SELECT ` + jump + `, t.n + 1 FROM t WHERE t.target_id IS NOT NULL AND t.n < ` + strconv.Itoa(queuePage) + `),
		q AS MATERIALIZED (SELECT t.target_id,
			(SELECT u.workspace_id FROM due u WHERE u.target_id = t.target_id LIMIT 1) AS workspace_id,
			(SELECT count(*) FROM (SELECT u.target_id FROM due u WHERE u.target_id = t.target_id LIMIT ` + strconv.Itoa(far+1) + `) c) AS everything,
			(SELECT u.due_at FROM due u WHERE u.target_id = t.target_id AND u.held_by IS NULL ORDER BY u.due_at LIMIT 1) AS due_at
			FROM t WHERE t.target_id IS NOT NULL)
		SELECT q.target_id, q.workspace_id, coalesce((SELECT w.code FROM workspaces w WHERE w.id = q.workspace_id), ''), q.everything, ` + s.clock("q.due_at") + `, ` + activeSQL("q.target_id") + `,
			coalesce((SELECT h.breaker <> ` + strconv.Itoa(breakerClosed) + ` FROM target_health h WHERE h.target_id = q.target_id), false)
		FROM q WHERE q.workspace_id IS NOT NULL ORDER BY q.target_id`
}
