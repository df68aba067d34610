package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sallyport/internal/hook"
)

type versionRow struct {
	ScopeID    rowID `gorm:"primaryKey"`
	Version    int64
	LastNumber int64 // highest number given to a webhook, never used again
}

func (versionRow) TableName() string { return "config_versions" }

// ConfigVersions returns the configuration versions of workspaces, and of the
// installation's own configuration under the nil id. Unknown ones are left out.
func (s *Store) ConfigVersions(ctx context.Context, scopes []hook.ID) (map[hook.ID]int64, error) {
	var rows []versionRow
	if len(scopes) == 0 {
		return map[hook.ID]int64{}, nil
	}
	// One statement is a snapshot of its own: no transaction around it.
	err := s.r.WithContext(ctx).Where("scope_id IN ?", rowIDs(scopes)).Find(&rows).Error
	if err != nil {
		return nil, translate(err)
	}
	versions := make(map[hook.ID]int64, len(rows))
	for _, r := range rows {
		versions[hook.ID(r.ScopeID)] = r.Version
	}
	return versions, nil
}

// changing runs fn as the only change of a scope's configuration at that time; other
// changes of the scope wait, publishing does not. If fn reports a change the version
// is bumped with it. A dry run is rolled back.
func (s *Store) changing(ctx context.Context, scope hook.ID, dry bool, fn func(tx *gorm.DB) (changed bool, err error)) error {
	var err error
	for range writeTries {
		// Only what is unique beyond the scope, the hash of a key, can still be taken
		// by another change at the same time; run again, fn sees who has it.
		if err = s.changeOnce(ctx, scope, dry, fn); !duplicate(err) {
			break
		}
	}
	return err
}

func (s *Store) changeOnce(ctx context.Context, scope hook.ID, dry bool, fn func(tx *gorm.DB) (changed bool, err error)) error {
	err := s.write(ctx, func(tx *gorm.DB) error {
		if err := s.lockScope(tx, scope); err != nil {
			return err
		}
		changed, err := fn(tx)
		switch {
		case err != nil:
			return err
		case dry || !changed:
			return errRollback
		}
		return bump(tx, scope)
	})
	if errors.Is(err, errRollback) {
		return nil
	}
	return err
}

func (s *Store) lockScope(tx *gorm.DB, scope hook.ID) error {
	q := tx.Model(&versionRow{}).Where("scope_id = ?", rowID(scope))
	if s.engine == Postgres {
		q = q.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	var versions []int64
	if err := q.Pluck("version", &versions).Error; err != nil {
		return err
	}
	if len(versions) == 0 {
		return hook.Errorf(hook.KindNotFound, "no such workspace")
	}
	return nil
}

func bump(tx *gorm.DB, scope hook.ID) error {
	return tx.Model(&versionRow{}).Where("scope_id = ?", rowID(scope)).
		Update("version", gorm.Expr("version + 1")).Error
}
