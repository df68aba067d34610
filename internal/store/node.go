package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// The life of a node. All comparisons of time use the database's clock on one row; no
// node's clock takes part. On SQLite there is one process, and its clock is the
// database's.

// On SQLite it is the bare clock: the ids' offset is worked out from what this
// returns, and would drift if it went in again.
func (s *Store) nodeNow() any {
	if s.engine == Postgres {
		return gorm.Expr("clock_timestamp()")
	}
	return micros(time.Now())
}

// databaseNow is the database's time.
func (s *Store) databaseNow(tx *gorm.DB) (time.Time, error) {
	if s.engine == SQLite {
		return s.ids.Now().UTC().Truncate(time.Microsecond), nil
	}
	now, err := list(tx, func(rows *sql.Rows, at *int64) error { return rows.Scan(at) }, "SELECT "+s.clock("clock_timestamp()"))
	if err != nil {
		return time.Time{}, err
	}
	return fromMicros(now[0]), nil
}

// clock turns a timestamp column into microseconds on both engines.
func (s *Store) clock(column string) string {
	if s.engine == Postgres {
		return "(extract(epoch FROM " + column + ") * 1000000)::bigint"
	}
	return column
}

// hotTx runs fn in a transaction on the connections of the pipeline, where plans are
// pinned and the API cannot take the last connection.
func (s *Store) hotTx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	db := s.w
	if s.engine == Postgres {
		db = s.hotGorm
	}
	for try := 1; ; try++ {
		err := db.WithContext(ctx).Transaction(fn)
		if err == nil || try == writeTries || !lostRace(err) {
			return translate(err)
		}
	}
}

// newNodeID is of the time and of chance, not from the table's sequence: a standby promoted
// without the last of the log would give the number of a node that still runs a second time.
func newNodeID() hook.NodeID {
	const chance = 10 // bits: what is left beside microseconds until the year 2262
	return hook.NodeID(time.Now().UnixMicro()<<chance | rand.Int64N(1<<chance))
}

// Register starts a node: a fresh id, never used before. instance is the id kept in
// the data directory. now is the database's time.
func (s *Store) Register(ctx context.Context, instance, name string, floor hook.ID) (node hook.NodeID, now time.Time, err error) {
	node = newNodeID()
	overriding := ""
	if s.engine == Postgres {
		overriding = "OVERRIDING SYSTEM VALUE "
	}
	var beat int64
	err = s.hotTx(ctx, func(tx *gorm.DB) error {
		at := s.nodeNow()
		return tx.Raw("INSERT INTO nodes (id, instance, name, started_at, beat_at, floor_id) "+overriding+"VALUES (?, ?, ?, ?, ?, ?) RETURNING "+s.clock("beat_at"),
			int64(node), instance, name, at, at, rowID(floor)).Scan(&beat).Error
	})
	if err != nil {
		return 0, time.Time{}, err
	}
	return node, fromMicros(beat), nil
}

// Beat says that a node lives and that no born-claimed delivery in its hands has an id
// below floor. alive is false if it was declared dead meanwhile.
func (s *Store) Beat(ctx context.Context, node hook.NodeID, floor hook.ID) (alive bool, now time.Time, err error) {
	var at []int64
	err = s.hotTx(ctx, func(tx *gorm.DB) error {
		return tx.Raw("UPDATE nodes SET beat_at = ?, floor_id = ? WHERE id = ? RETURNING "+s.clock("beat_at"),
			s.nodeNow(), rowID(floor), int64(node)).Scan(&at).Error
	})
	if err != nil || len(at) == 0 {
		return false, time.Time{}, err
	}
	return true, fromMicros(at[0]), nil
}

// RescueDead buries every other node whose last heartbeat is older than deadAfter and
// makes what it held wait again. It returns how many deliveries that were. It buries nobody
// unless the last heartbeat of me is younger than fresh at the moment of the burial: a
// statement that was under way while the database hung finds every heartbeat old.
func (s *Store) RescueDead(ctx context.Context, me hook.NodeID, deadAfter, fresh time.Duration) (int, error) {
	ago, staleAt, freshAt := "?", any(micros(time.Now().Add(-deadAfter))), any(micros(time.Now().Add(-fresh)))
	if s.engine == Postgres {
		ago = "clock_timestamp() - ? * interval '1 microsecond'"
		staleAt, freshAt = deadAfter.Microseconds(), fresh.Microseconds()
	}
	stale := "beat_at < " + ago + " AND EXISTS (SELECT 1 FROM nodes me WHERE me.id = ? AND me.beat_at >= " + ago + ")"
	args := []any{staleAt, int64(me), freshAt}
	var dead []int64
	if err := s.hotTx(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT id FROM nodes WHERE id <> ? AND "+stale, append([]any{int64(me)}, args...)...).Scan(&dead).Error
	}); err != nil {
		return 0, err
	}
	rescued := 0
	for _, id := range dead {
		n, err := s.bury(ctx, hook.NodeID(id), 1, " AND "+stale, args...)
		if err != nil {
			return rescued, fmt.Errorf("rescuing from node %d: %w", id, err)
		}
		rescued += n
	}
	return rescued, nil
}

// BuryPredecessor buries every other node of the same data directory, whose file lock
// the caller holds: they are certainly dead.
func (s *Store) BuryPredecessor(ctx context.Context, me hook.NodeID, instance string) (int, error) {
	var dead []int64
	if err := s.hotTx(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT id FROM nodes WHERE id <> ? AND instance = ?", int64(me), instance).Scan(&dead).Error
	}); err != nil {
		return 0, err
	}
	rescued := 0
	for _, id := range dead {
		n, err := s.bury(ctx, hook.NodeID(id), 1, "")
		if err != nil {
			return rescued, err
		}
		rescued += n
	}
	return rescued, nil
}

// Deregister ends a node in good order: what it still holds waits again.
func (s *Store) Deregister(ctx context.Context, node hook.NodeID) error {
	_, err := s.bury(ctx, node, 0, "")
	return err
}

// bury deletes a node and sweeps its claims in the same transaction: the delete waits
// for transactions that create claims (they hold the row FOR KEY SHARE), and none can
// begin after it. claims is added to the number of rescues.
func (s *Store) bury(ctx context.Context, node hook.NodeID, claims int, condition string, args ...any) (int, error) {
	rescued := 0
	err := s.hotTx(ctx, func(tx *gorm.DB) error {
		rescued = 0
		var floors []rowID
		if err := tx.Raw("DELETE FROM nodes WHERE id = ?"+condition+" RETURNING floor_id", append([]any{int64(node)}, args...)...).Scan(&floors).Error; err != nil {
			return err
		}
		if len(floors) == 0 {
			return nil
		}
		res := tx.Exec("UPDATE due SET held_by = NULL, claims = claims + ? WHERE held_by = ?", claims, int64(node))
		if res.Error != nil {
			return res.Error
		}
		rescued += int(res.RowsAffected)
		n, err := s.unclaimBorn(tx, claims, "id >= ? AND node = ? AND state = 0", floors[0], int64(node))
		if err != nil {
			return err
		}
		rescued += n
		return tx.Exec("DELETE FROM homes WHERE node_id = ?", int64(node)).Error
	})
	return rescued, err
}

// unclaimBorn makes born-claimed deliveries wait.
func (s *Store) unclaimBorn(tx *gorm.DB, claims int, where string, args ...any) (int, error) {
	var rows []struct{ ID, TargetID, WorkspaceID rowID }
	if err := tx.Raw("UPDATE deliveries SET state = 1, node = NULL WHERE "+where+" RETURNING id, target_id, workspace_id", args...).Scan(&rows).Error; err != nil {
		return 0, err
	}
	now, n := s.nodeNow(), len(rows)
	for len(rows) > 0 {
		part := rows[:min(len(rows), 500)]
		rows = rows[len(part):]
		query, vals := "INSERT INTO due (target_id, due_at, delivery_id, workspace_id, claims, trigger_kind) VALUES ", make([]any, 0, len(part)*5)
		for i, r := range part {
			if i > 0 {
				query += ","
			}
			query += "(?, ?, ?, ?, ?, 1)"
			vals = append(vals, r.TargetID, now, r.ID, r.WorkspaceID, claims)
		}
		if err := tx.Exec(query+" ON CONFLICT DO NOTHING", vals...).Error; err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Claims lists what the store says a node holds: born-claimed deliveries from floor up,
// and claimed ones.
func (s *Store) Claims(ctx context.Context, node hook.NodeID, floor hook.ID) ([]hook.ID, error) {
	var born, held []rowID
	tx := s.hotTx
	if s.engine == SQLite {
		tx = s.read // the rows since the last audit are many: the only writer must not wait
	}
	err := tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Raw("SELECT id FROM deliveries WHERE id >= ? AND node = ? AND state = 0", rowID(floor), int64(node)).Scan(&born).Error; err != nil {
			return err
		}
		return tx.Raw("SELECT delivery_id FROM due WHERE held_by = ?", int64(node)).Scan(&held).Error
	})
	ids := make([]hook.ID, 0, len(born)+len(held))
	for _, id := range append(born, held...) {
		ids = append(ids, hook.ID(id))
	}
	return ids, err
}

// NoteStart adds hook.StartNoted to the claims of a delivery that the node holds: should
// this start be the node's last, its rescuers see so. It fails with hook.ErrFenced if the
// node does not hold it.
func (s *Store) NoteStart(ctx context.Context, node hook.NodeID, id hook.ID) error {
	return s.hotTx(ctx, func(tx *gorm.DB) error {
		q := tx.Exec("UPDATE due SET claims = claims + ? WHERE delivery_id = ? AND held_by = ?", hook.StartNoted, rowID(id), int64(node))
		if q.Error == nil && q.RowsAffected == 0 {
			return hook.ErrFenced
		}
		return q.Error
	})
}

// Release gives deliveries back that a node holds in the store but does not know.
func (s *Store) Release(ctx context.Context, node hook.NodeID, ids []hook.ID) error {
	return s.hotTx(ctx, func(tx *gorm.DB) error {
		for rest := ids; len(rest) > 0; {
			part := rowIDs(rest[:min(len(rest), 500)])
			rest = rest[len(part):]
			if err := tx.Exec("UPDATE due SET held_by = NULL, claims = claims + 1 WHERE delivery_id IN ? AND held_by = ?", part, int64(node)).Error; err != nil {
				return err
			}
			if _, err := s.unclaimBorn(tx, 1, "id IN ? AND node = ? AND state = 0", part, int64(node)); err != nil {
				return err
			}
		}
		return nil
	})
}

// TakeHome makes the node the only one that sends to a limited target, unless another
// one is. It returns whose it is. ErrFenced if the node was declared dead.
func (s *Store) TakeHome(ctx context.Context, node hook.NodeID, target hook.ID) (hook.NodeID, error) {
	var owner []int64
	err := s.hotTx(ctx, func(tx *gorm.DB) error {
		if err := s.fence(tx, node); err != nil {
			return err
		}
		if err := tx.Exec("INSERT INTO homes (target_id, node_id) VALUES (?, ?) ON CONFLICT DO NOTHING", rowID(target), int64(node)).Error; err != nil {
			return err
		}
		owner = nil
		return tx.Raw("SELECT node_id FROM homes WHERE target_id = ?", rowID(target)).Scan(&owner).Error
	})
	if err != nil || len(owner) == 0 {
		return 0, err
	}
	return hook.NodeID(owner[0]), nil
}

// Homes lists the targets whose home the node is.
func (s *Store) Homes(ctx context.Context, node hook.NodeID) ([]hook.ID, error) {
	var ids []rowID
	err := s.hotTx(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT target_id FROM homes WHERE node_id = ?", int64(node)).Scan(&ids).Error
	})
	out := make([]hook.ID, len(ids))
	for i, id := range ids {
		out[i] = hook.ID(id)
	}
	return out, err
}

// LeaveHome lets another node take the target.
func (s *Store) LeaveHome(ctx context.Context, node hook.NodeID, target hook.ID) error {
	return s.hotTx(ctx, func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM homes WHERE target_id = ? AND node_id = ?", rowID(target), int64(node)).Error
	})
}

// fence fails with ErrFenced if the node has no row any more, and keeps it until the
// transaction ends.
func (s *Store) fence(tx *gorm.DB, node hook.NodeID) error {
	lock := ""
	if s.engine == Postgres {
		lock = " FOR KEY SHARE"
	}
	var me []int64
	if err := tx.Raw("SELECT id FROM nodes WHERE id = ?"+lock, int64(node)).Scan(&me).Error; err != nil {
		return err
	}
	if len(me) == 0 {
		return hook.ErrFenced
	}
	return nil
}
