package store

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// DeleteWorkspace hides the workspace and all that is in it at once, unless check
// objects: its keys and secrets are gone, its webhooks, actions and incoming webhooks are
// tombstones, its code is free. It returns its id and the targets that it had. Sweep
// removes the rows.
func (s *Store) DeleteWorkspace(ctx context.Context, ref string, check func(*hook.Workspace) error) (id hook.ID, targets []hook.ID, err error) {
	err = s.changing(ctx, hook.NoID, false, func(tx *gorm.DB) (bool, error) {
		id, targets = hook.NoID, nil
		w, err := present(findWorkspace(tx, ref))(hook.NoWorkspace(ref))
		if err == nil {
			err = check(w)
		}
		if err != nil {
			return false, err
		}
		id = w.ID
		if err := s.lockScope(tx, id); err != nil {
			return false, err
		}
		if err := bump(tx, id); err != nil {
			return false, err
		}
		now := micros(s.now())
		mine := func(model any) *gorm.DB { return tx.Model(model).Where("workspace_id = ?", rowID(id)) }
		for _, model := range []any{&webhookRow{}, &actionRow{}, &incomingRow{}} {
			var ids []rowID
			if err := mine(model).Where("deleted_at IS NULL").Order("id").Pluck("id", &ids).Error; err != nil {
				return false, err
			}
			for _, x := range ids {
				targets = append(targets, hook.ID(x))
			}
			if err := mine(model).Where("deleted_at IS NULL").Updates(map[string]any{"deleted_at": now, "version": gorm.Expr("version + 1")}).Error; err != nil {
				return false, err
			}
		}
		for _, step := range []*gorm.DB{
			mine(&keyRow{}).Delete(nil),
			mine(&secretRow{}).Delete(nil),
			tx.Model(&workspaceRow{}).Where("id = ?", rowID(id)).Update("deleted_at", now),
		} {
			if step.Error != nil {
				return false, step.Error
			}
		}
		return true, s.auditEdit(tx, hook.NoID, w, nil)
	})
	return id, targets, err
}

// Sweep removes at most limit rows that nobody can see any more, and returns how many
// it removed: answers, secrets and dedupe keys past their time, tombstones without history,
// and everything of deleted workspaces. Call it again until it returns 0.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	now := micros(s.now())
	done := 0
	for _, step := range []struct {
		table, where string
		args         []any
	}{
		{"idempotency", "expires_at <= ?", []any{now}},
		{"secrets", "expires_at <= ?", []any{now}},
		{"dedupe_keys", "expires_at <= ?", []any{now}},
		{"marks", "taken_at <= ?", []any{now - 24*60*60*1e6}}, // none lasts longer than an hour
		// A day, so that what was under way when it was deleted finds it. One look at an
		// index for each: of NOT EXISTS Postgres may make an anti-join with all deliveries.
		{"webhooks", "deleted_at <= ? AND (SELECT 1 FROM deliveries d WHERE d.target_id = webhooks.id LIMIT 1) IS NULL", []any{now - 24*60*60*1e6}},
		{"actions", "deleted_at <= ? AND (SELECT 1 FROM deliveries d WHERE d.target_id = actions.id LIMIT 1) IS NULL", []any{now - 24*60*60*1e6}},
		{"incoming_webhooks", `deleted_at <= ? AND (SELECT 1 FROM deliveries d WHERE d.target_id = incoming_webhooks.id LIMIT 1) IS NULL
			AND (SELECT 1 FROM requests r WHERE r.incoming_id = incoming_webhooks.id LIMIT 1) IS NULL`, []any{now - 24*60*60*1e6}},
	} {
		n, err := s.deleteSome(ctx, step.table, limit-done, s.forUpdateSkip(), step.where, step.args...)
		if done += n; err != nil || done >= limit {
			return done, err
		}
	}
	var dead []rowID
	err := s.r.WithContext(ctx).Model(&workspaceRow{}).Where("deleted_at IS NOT NULL").Order("id").Pluck("id", &dead).Error
	if err != nil {
		return done, translate(err)
	}
	for _, id := range dead {
		n, err := s.sweepWorkspace(ctx, id, limit-done)
		if done += n; err != nil || done >= limit {
			return done, err
		}
	}
	return done, nil
}

// sweepWorkspace removes rows of a deleted workspace, itself last.
func (s *Store) sweepWorkspace(ctx context.Context, id rowID, limit int) (int, error) {
	tables, err := s.workspaceTables(ctx)
	if err != nil {
		return 0, err
	}
	type step struct{ table, where string }
	// Along the indexes first: history is found by target. What is left then is found by
	// workspace.
	mine := "SELECT t.id FROM (" + ofTargets("", "SELECT id, workspace_id FROM %t") + ") t WHERE t.workspace_id = ?"
	sent := "SELECT id FROM deliveries WHERE target_id IN (" + mine + ")"
	steps := []step{
		{"attempts", "delivery_id IN (" + sent + ")"},
		{"dead", "target_id IN (" + mine + ")"},
		{"due", "target_id IN (" + mine + ")"},
		{"homes", "target_id IN (" + mine + ")"},
		{"deliveries", "target_id IN (" + mine + ")"},
	}
	for _, table := range tables {
		steps = append(steps, step{table, "workspace_id = ?"})
	}
	done := 0
	for _, x := range steps {
		n, err := s.deleteSome(ctx, x.table, limit-done, "", x.where, id)
		if done += n; err != nil || done >= limit {
			return done, err
		}
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("scope_id = ?", id).Delete(&versionRow{}).Error; err != nil {
			return err
		}
		return tx.Where("id = ?", id).Delete(&workspaceRow{}).Error
	})
	if err != nil {
		return done, err
	}
	return done + 1, nil
}

// workspaceTables lists the tables whose rows belong to a workspace, found in the
// schema so that a new one cannot be forgotten.
func (s *Store) workspaceTables(ctx context.Context) ([]string, error) {
	q := `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'workspace_id'
		WHERE m.type = 'table' ORDER BY m.name`
	if s.engine == Postgres {
		q = `SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'workspace_id'
			WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`
	}
	var tables []string
	err := s.r.WithContext(ctx).Raw(q).Scan(&tables).Error
	return tables, translate(err)
}

// deleteSome deletes at most limit rows of a table in one transaction. lock says how they
// are looked for: a row that somebody else is changing may be one that is to stay after
// that, so whoever does not want all of them passes over it.
func (s *Store) deleteSome(ctx context.Context, table string, limit int, lock, where string, args ...any) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	key, err := s.primaryKey(ctx, table)
	if err != nil {
		return 0, err
	}
	var n int64
	err = s.write(ctx, func(tx *gorm.DB) error {
		q := tx.Exec(fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT %[4]d%[5]s)",
			table, key, where, limit, lock), args...)
		n = q.RowsAffected
		return q.Error
	})
	if err != nil {
		return 0, fmt.Errorf("deleting from %s: %w", table, err)
	}
	return int(n), nil
}

// primaryKey returns the columns of a table's key, separated by commas: tables WITHOUT
// ROWID have no other name for a row.
func (s *Store) primaryKey(ctx context.Context, table string) (string, error) {
	q := "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
	if s.engine == Postgres {
		q = `SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
			WHERE i.indrelid = ?::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)`
	}
	var columns []string
	if err := s.r.WithContext(ctx).Raw(q, table).Scan(&columns).Error; err != nil {
		return "", translate(err)
	}
	if len(columns) == 0 {
		return "", fmt.Errorf("table %s has no primary key", table)
	}
	return strings.Join(columns, ", "), nil
}
