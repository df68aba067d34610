package store

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// expansionColumns are read by scanExpansion.
const expansionColumns = `x.request_id, x.workspace_id, x.incoming_id, x.total, x.done,
	(SELECT n.id FROM nodes n WHERE n.id = x.node) IS NOT NULL, coalesce(x.reason, ''), x.retry_at`

func scanExpansion(rows *sql.Rows, x *hook.Expansion) error {
	var retry int64
	err := rows.Scan((*rowID)(&x.Request), (*rowID)(&x.Workspace), (*rowID)(&x.Incoming), &x.Total, &x.Done, &x.Working, &x.Reason, &retry)
	if retry > 0 && !x.Working {
		x.RetryAt = fromMicros(retry)
	}
	return err
}

// findExpansion returns how far a large request is, nil if all its items are events.
func findExpansion(tx *gorm.DB, request hook.ID) (*hook.Expansion, error) {
	rows, err := list(tx, scanExpansion, "SELECT "+expansionColumns+" FROM expansions x WHERE x.request_id = ?", rowID(request))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// TakeExpansion gives the node a large request to make events of: the oldest that no
// other living node works on, nil if there is none. A node works on one at a time: what it
// holds it gets again, also if it never heard that it had taken it. It fails with
// hook.ErrFenced if the node was declared dead.
func (s *Store) TakeExpansion(ctx context.Context, node hook.NodeID) (*hook.Expansion, error) {
	var taken *hook.Expansion
	err := s.hotTx(ctx, func(tx *gorm.DB) error {
		taken = nil
		if err := s.fence(tx, node); err != nil {
			return err
		}
		rows, err := list(tx, scanExpansion, "SELECT "+expansionColumns+` FROM expansions x
			WHERE (x.node IS NULL OR x.node = ? OR (SELECT n.id FROM nodes n WHERE n.id = x.node) IS NULL) AND x.retry_at <= ?
			ORDER BY x.request_id LIMIT 1`+s.forUpdateSkip(), int64(node), micros(s.ids.Now()))
		if err != nil || len(rows) == 0 {
			return err
		}
		taken = &rows[0]
		taken.Working, taken.Reason, taken.RetryAt = true, "", time.Time{}
		return tx.Exec("UPDATE expansions SET node = ?, reason = NULL WHERE request_id = ?", int64(node), rowID(taken.Request)).Error
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// AdvanceExpansion records that the first done items of a request are events; when that
// is all of them the expansion is over. Saying so again changes nothing. It fails with
// hook.ErrFenced if another node works on the request by now.
func (s *Store) AdvanceExpansion(ctx context.Context, node hook.NodeID, request hook.ID, done int) error {
	return s.hotTx(ctx, func(tx *gorm.DB) error {
		over, err := list(tx, scanID, "DELETE FROM expansions WHERE request_id = ? AND node = ? AND total <= ? RETURNING workspace_id", rowID(request), int64(node), done)
		if err != nil {
			return err
		}
		if len(over) > 0 {
			return countConsequences(tx, over[0], request)
		}
		q := tx.Exec("UPDATE expansions SET done = ? WHERE request_id = ? AND node = ?", done, rowID(request), int64(node))
		if q.Error != nil || q.RowsAffected > 0 {
			return q.Error
		}
		left, err := findExpansion(tx, request)
		if err != nil || left == nil { // it was over before
			return err
		}
		return hook.ErrFenced
	})
}

// countConsequences writes down how much a large request became, which was not known when it
// was accepted.
func countConsequences(tx *gorm.DB, workspace, request hook.ID) error {
	made := requestEvents(request)
	from, to := rowID(made.from), rowID(made.to)
	return tx.Exec(`UPDATE requests SET events = (SELECT count(*) FROM events e WHERE e.workspace_id = ? AND e.key >= ? AND e.key < ?),
		deliveries = (SELECT count(*) FROM deliveries d WHERE d.event_key >= ? AND d.event_key < ?)
		WHERE workspace_id = ? AND id = ?`, rowID(workspace), from, to, from, to, rowID(workspace), rowID(request)).Error
}

// LeaveExpansion lets any node go on with the request after a while; others come first.
// reason is the code of the problem that stopped it, for people to see.
func (s *Store) LeaveExpansion(ctx context.Context, node hook.NodeID, request hook.ID, wait time.Duration, reason string) error {
	return s.hotTx(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE expansions SET node = NULL, retry_at = ?, reason = ? WHERE request_id = ? AND node = ?",
			micros(s.ids.Now().Add(wait)), reason, rowID(request), int64(node)).Error
	})
}
