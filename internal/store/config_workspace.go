package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sallyport/internal/hook"
)

type workspaceRow struct {
	ID                rowID `gorm:"primaryKey"`
	Code              string
	CodeKey           string
	Name              string
	Strict            bool
	Retention         int64 // nanoseconds, as time.Duration
	AuditRetention    int64 // likewise
	EventsPerSecond   int64
	PendingDeliveries int64
	Alerts            string // JSON; "" is the installation's
	Metadata          string
	Version           int64
	CreatedAt         int64 `gorm:"autoCreateTime:false"`
	UpdatedAt         int64 `gorm:"autoUpdateTime:false"`
	DeletedAt         *int64
}

func (workspaceRow) TableName() string { return "workspaces" }

func workspaceRowOf(w *hook.Workspace) *workspaceRow {
	return &workspaceRow{
		ID: rowID(w.ID), Code: w.Code, CodeKey: codeKey(w.Code), Name: w.Name, Strict: w.Strict,
		Retention: int64(w.Retention), AuditRetention: int64(w.AuditRetention), EventsPerSecond: int64(w.Limits.EventsPerSecond),
		PendingDeliveries: int64(w.Limits.PendingDeliveries), Alerts: alertsText(w.Alerts), Metadata: metadataText(w.Metadata),
		Version: w.Version, CreatedAt: micros(w.CreatedAt), UpdatedAt: micros(w.UpdatedAt),
	}
}

func (r *workspaceRow) noun() (*hook.Workspace, error) {
	m, err := metadataOf(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("workspace %s: metadata: %w", hook.ID(r.ID), err)
	}
	alerts, err := alertsOf(r.Alerts)
	if err != nil {
		return nil, fmt.Errorf("workspace %s: alerts: %w", hook.ID(r.ID), err)
	}
	return &hook.Workspace{
		ID: hook.ID(r.ID), Code: r.Code, Name: r.Name, Strict: r.Strict, Retention: time.Duration(r.Retention),
		AuditRetention: time.Duration(r.AuditRetention),
		Limits:         hook.Limits{EventsPerSecond: int(r.EventsPerSecond), PendingDeliveries: int(r.PendingDeliveries)},
		Alerts:         alerts, Metadata: m, Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt),
	}, nil
}

// Workspace returns a workspace by id or code.
func (s *Store) Workspace(ctx context.Context, ref string) (*hook.Workspace, error) {
	return one(ctx, s, hook.NoWorkspace(ref), func(tx *gorm.DB) (*hook.Workspace, error) { return findWorkspace(tx, ref) })
}

// findWorkspace returns nil if there is none.
func findWorkspace(tx *gorm.DB, ref string) (*hook.Workspace, error) {
	var rows []workspaceRow
	if err := byRef(tx, ref).Where("deleted_at IS NULL").Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].noun()
}

// workspaceIn returns the workspace with this id, or an error if it is gone.
func workspaceIn(tx *gorm.DB, id hook.ID) (*hook.Workspace, error) {
	return present(findWorkspace(tx, id.String()))(hook.Errorf(hook.KindNotFound, "no such workspace"))
}

// Workspaces lists workspaces in the order of creation or of codes, and reports whether more
// follow.
func (s *Store) Workspaces(ctx context.Context, f hook.WorkspaceFilter, p hook.Page) ([]*hook.Workspace, bool, error) {
	where, args := "deleted_at IS NULL", []any(nil)
	if len(f.IDs) > 0 {
		in := s.among("id", f.IDs)
		where, args = where+" AND "+in.sql, in.args
	}
	if f.Sort != hook.SortCode {
		return listing(ctx, s, (*workspaceRow).noun, f.ListFilter, p, where, args...)
	}
	op, order := "code_key < ?", "code_key DESC"
	if p.Asc {
		op, order = "code_key > ?", "code_key"
	}
	if f.AfterCode != "" {
		where, args = where+" AND "+op, append(args, codeKey(f.AfterCode))
	}
	return listingOf(ctx, s, (*workspaceRow).noun, p, func(tx *gorm.DB) *gorm.DB {
		return s.filtered(tx.Where(where, args...), f.ListFilter).Order(order).Limit(p.Limit + 1)
	})
}

// EditWorkspace lets decide make the next state of the workspace with this id or code
// ("" for a new one). decide returns nil to leave everything as it is. The store gives
// id, version and times. A dry run decides and checks, and writes nothing.
func (s *Store) EditWorkspace(ctx context.Context, ref string, dry bool, decide func(hook.WorkspaceScene) (*hook.Workspace, error)) (*hook.Workspace, error) {
	return editing(ctx, s, hook.NoID, dry, func(tx *gorm.DB) (cur, next *hook.Workspace, err error) {
		if ref != "" {
			if cur, err = findWorkspace(tx, ref); err != nil {
				return nil, nil, err
			}
		}
		scene := hook.WorkspaceScene{Scene: hook.Scene{Now: s.now(), CodeOwner: codeOwner(tx, &workspaceRow{}, nil, true)}, Current: cur}
		if next, err = decide(scene); err != nil || next == nil {
			return cur, nil, err
		}
		next.UpdatedAt = scene.Now
		if cur == nil {
			next.ID, next.Version, next.CreatedAt = s.ids.New(), 1, scene.Now
			return cur, next, s.createWorkspace(tx, next)
		}
		next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
		if err := s.lockScope(tx, next.ID); err != nil {
			return nil, nil, err
		}
		if err := bump(tx, next.ID); err != nil {
			return nil, nil, err
		}
		return cur, next, tx.Save(workspaceRowOf(next)).Error
	})
}

func (s *Store) createWorkspace(tx *gorm.DB, w *hook.Workspace) error {
	if err := tx.Create(&versionRow{ScopeID: rowID(w.ID), Version: 1}).Error; err != nil {
		return err
	}
	if err := tx.Create(workspaceRowOf(w)).Error; err != nil {
		return err
	}
	types := s.newTypes(w.ID, hook.OperationalTypes, w.CreatedAt)
	return tx.Create(&types).Error
}

// EnsureDefaultWorkspace makes the workspace that exists from the start, unless there
// is one, and returns it. Several nodes may call it at once.
func (s *Store) EnsureDefaultWorkspace(ctx context.Context) (*hook.Workspace, error) {
	return s.EditWorkspace(ctx, hook.DefaultWorkspace, false, func(scene hook.WorkspaceScene) (*hook.Workspace, error) {
		if scene.Current != nil {
			return nil, nil
		}
		return &hook.Workspace{Code: hook.DefaultWorkspace, Name: "Default", Metadata: map[string]string{}}, nil
	})
}

// codeOwner looks for the holder of a code. Tombstones, where there are such, hold none.
func codeOwner(tx *gorm.DB, model any, workspace *hook.ID, tombstones bool) func(string) (hook.ID, error) {
	return owner(tx, model, workspace, tombstones, "code_key", codeKey)
}

func nameOwner(tx *gorm.DB, model any, workspace *hook.ID, tombstones bool) func(string) (hook.ID, error) {
	return owner(tx, model, workspace, tombstones, "name", func(s string) string { return s })
}

func owner(tx *gorm.DB, model any, workspace *hook.ID, tombstones bool, column string, norm func(string) string) func(string) (hook.ID, error) {
	return func(value string) (hook.ID, error) {
		q := tx.Model(model).Where(clause.Eq{Column: column, Value: norm(value)})
		if workspace != nil {
			q = q.Where("workspace_id = ?", rowID(*workspace))
		}
		if tombstones {
			q = q.Where("deleted_at IS NULL")
		}
		var ids []rowID
		if err := q.Limit(1).Pluck("id", &ids).Error; err != nil || len(ids) == 0 {
			return hook.NoID, err
		}
		return hook.ID(ids[0]), nil
	}
}
