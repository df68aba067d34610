package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

const (
	// rateSlot is what counts are kept by, and rateKept for how long.
	rateSlot = 10 * time.Second
	rateKept = time.Hour
	// rateWindow is the time that rates are of.
	rateWindow = time.Minute
	// statsChunk is how many workspaces one statement writes: SQLite takes 32,766 values.
	statsChunk = 500
)

// rateRow is a row of workspace_rates; gorm writes it.
type rateRow struct {
	Slot             int64 `gorm:"primaryKey;autoIncrement:false"`
	WorkspaceID      rowID `gorm:"primaryKey"`
	Accepted         int64
	Created          int64
	Attempts         int64
	Finished         int64
	Failed           int64
	RequestsAccepted int64
	RequestsRefused  int64
}

func (rateRow) TableName() string { return "workspace_rates" }

// rateColumns are what is counted, in the order of rateRow.
var rateColumns = []string{"accepted", "created", "attempts", "finished", "failed", "requests_accepted", "requests_refused"}

// AddCounts adds what this node counted to what all of them did in this slot, and forgets
// slots of more than an hour ago.
func (s *Store) AddCounts(ctx context.Context, counts map[hook.ID]hook.Counts) error {
	if len(counts) == 0 {
		return nil
	}
	now := s.ids.Now()
	slot := now.Truncate(rateSlot).Unix()
	var rows []rateRow
	// Sorted, so that two nodes do not deadlock.
	for _, id := range slices.SortedFunc(maps.Keys(counts), compareIDs) {
		c := counts[id]
		rows = append(rows, rateRow{slot, rowID(id), c.Accepted, c.Created, c.Attempts, c.Finished, c.Failed, c.RequestsAccepted, c.RequestsRefused})
	}
	return s.write(ctx, func(tx *gorm.DB) error {
		for part := range slices.Chunk(rows, statsChunk) {
			if err := tx.Clauses(adding("workspace_rates", []string{"slot", "workspace_id"}, rateColumns)).Create(&part).Error; err != nil {
				return err
			}
		}
		return tx.Exec("DELETE FROM workspace_rates WHERE slot < ?", now.Add(-rateKept).Unix()).Error
	})
}

// Rates returns what happened in workspaces during the last minute; those in which nothing
// did are left out. A minute is six whole slots, with what is missing of the present one
// taken from the seventh before.
func (s *Store) Rates(ctx context.Context, workspaces []hook.ID) (map[hook.ID]hook.Rates, error) {
	out := make(map[hook.ID]hook.Rates)
	if len(workspaces) == 0 {
		return out, nil
	}
	now := s.ids.Now()
	slot := now.Truncate(rateSlot)
	oldest := slot.Add(-rateWindow)
	share := 1 - float64(now.Sub(slot))/float64(rateSlot)
	err := s.read(ctx, func(tx *gorm.DB) error {
		in := s.among("r.workspace_id", workspaces)
		rows, err := list(tx, func(rows *sql.Rows, r *rateRow) error {
			return rows.Scan(&r.Slot, &r.WorkspaceID, &r.Accepted, &r.Created, &r.Attempts, &r.Finished, &r.Failed, &r.RequestsAccepted, &r.RequestsRefused)
		}, `SELECT r.slot, r.workspace_id, r.accepted, r.created, r.attempts, r.finished, r.failed, r.requests_accepted, r.requests_refused
			FROM workspace_rates r WHERE r.slot >= ? AND r.slot <= ? AND `+in.sql, append([]any{oldest.Unix(), slot.Unix()}, in.args...)...)
		if err != nil {
			return err
		}
		for _, r := range rows {
			weight := 1 / rateWindow.Seconds()
			if r.Slot == oldest.Unix() {
				weight *= share
			}
			sum := out[hook.ID(r.WorkspaceID)]
			sum.Accepted += weight * float64(r.Accepted)
			sum.Created += weight * float64(r.Created)
			sum.Attempts += weight * float64(r.Attempts)
			sum.Finished += weight * float64(r.Finished)
			sum.Failed += weight * float64(r.Failed)
			sum.RequestsAccepted += weight * float64(r.RequestsAccepted)
			sum.RequestsRefused += weight * float64(r.RequestsRefused)
			out[hook.ID(r.WorkspaceID)] = sum
		}
		return nil
	})
	return out, err
}

// NoteRunning says how many deliveries of each workspace a node has in hand, in place of
// what it said before, and forgets what nodes said that are gone.
func (s *Store) NoteRunning(ctx context.Context, node hook.NodeID, running map[hook.ID]int) error {
	type row struct {
		NodeID      int64
		WorkspaceID rowID
		Running     int
	}
	var rows []row
	for _, id := range slices.SortedFunc(maps.Keys(running), compareIDs) {
		rows = append(rows, row{int64(node), rowID(id), running[id]})
	}
	return s.write(ctx, func(tx *gorm.DB) error {
		err := tx.Exec("DELETE FROM node_running WHERE node_id = ? OR node_id NOT IN (SELECT n.id FROM nodes n)", int64(node)).Error
		if err != nil {
			return err
		}
		for part := range slices.Chunk(rows, statsChunk) {
			if err := tx.Table("node_running").Create(&part).Error; err != nil {
				return err
			}
		}
		return nil
	})
}

// Running returns how many deliveries of workspaces living nodes have in hand, as of when
// they last said so.
func (s *Store) Running(ctx context.Context, workspaces []hook.ID) (map[hook.ID]int, error) {
	type count struct {
		workspace hook.ID
		n         int
	}
	out := make(map[hook.ID]int)
	if len(workspaces) == 0 {
		return out, nil
	}
	err := s.read(ctx, func(tx *gorm.DB) error {
		in := s.among("r.workspace_id", workspaces)
		rows, err := list(tx, func(rows *sql.Rows, c *count) error { return rows.Scan((*rowID)(&c.workspace), &c.n) },
			"SELECT r.workspace_id, sum(r.running) FROM node_running r JOIN nodes n ON n.id = r.node_id WHERE "+in.sql+" GROUP BY r.workspace_id", in.args...)
		for _, c := range rows {
			out[c.workspace] = c.n
		}
		return err
	})
	return out, err
}

// FailedCount counts the dead letters of a workspace, up to most.
func (s *Store) FailedCount(ctx context.Context, workspace hook.ID, most int) (int, error) {
	var n []int
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		n, err = list(tx, func(rows *sql.Rows, n *int) error { return rows.Scan(n) },
			"SELECT count(*) FROM (SELECT 1 FROM ("+ofTargets("", "SELECT id, workspace_id FROM %t")+`) t CROSS JOIN dead x
				WHERE t.workspace_id = ? AND x.target_id = t.id LIMIT ?) c`, rowID(workspace), most)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n[0], nil
}
