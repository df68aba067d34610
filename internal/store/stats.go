package store

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sallyport/internal/hook"
)

// adding is an upsert that adds to what is there.
func adding(table string, key, columns []string) clause.OnConflict {
	c := clause.OnConflict{}
	for _, k := range key {
		c.Columns = append(c.Columns, clause.Column{Name: k})
	}
	for _, name := range columns {
		c.DoUpdates = append(c.DoUpdates, clause.Assignment{
			Column: clause.Column{Name: name},
			Value:  clause.Expr{SQL: "? + ?", Vars: []any{clause.Column{Table: table, Name: name}, clause.Column{Table: "excluded", Name: name}}},
		})
	}
	return c
}

// TargetStats completes queues of targets, those that are gone for good left out: how they
// are called, their state, and why what waits for them does not move.
func (s *Store) TargetStats(ctx context.Context, queues []hook.TargetQueue) ([]hook.TargetStat, error) {
	var out []hook.TargetStat
	err := s.search(ctx, func(tx *gorm.DB) error {
		var ids []hook.ID
		for _, q := range queues {
			ids = append(ids, q.Target)
		}
		targets, err := s.historyTargets(tx, ids)
		if err != nil {
			return err
		}
		hold, err := holdOf(tx)
		if err != nil {
			return err
		}
		for _, q := range queues {
			t, known := targets[q.Target]
			if !known { // gone for good meanwhile
				continue
			}
			st := hook.TargetStat{TargetQueue: q, Kind: t.kind, Code: t.Code, Name: t.Name, State: t.State()}
			switch {
			case st.State != hook.TargetActive:
				st.Reason = heldFor[st.State]
			case hold.On:
				st.Reason = hook.ReasonHold
			default:
				st.Reason = t.waitsFor(q.OldestDue != nil)
			}
			out = append(out, st)
		}
		return nil
	})
	return out, err
}
