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
	EventsPerSecond   int64
	PendingDeliveries int64
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
		Retention: int64(w.Retention), EventsPerSecond: int64(w.Limits.EventsPerSecond),
		PendingDeliveries: int64(w.Limits.PendingDeliveries), Metadata: metadataText(w.Metadata),
		Version: w.Version, CreatedAt: micros(w.CreatedAt), UpdatedAt: micros(w.UpdatedAt),
	}
}

func (r *workspaceRow) noun() (*hook.Workspace, error) {
	m, err := metadataOf(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("workspace %s: metadata: %w", hook.ID(r.ID), err)
	}
	return &hook.Workspace{
		ID: hook.ID(r.ID), Code: r.Code, Name: r.Name, Strict: r.Strict, Retention: time.Duration(r.Retention),
		Limits:   hook.Limits{EventsPerSecond: int(r.EventsPerSecond), PendingDeliveries: int(r.PendingDeliveries)},
		Metadata: m, Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt),
	}, nil
}

// Workspace returns a workspace by id or code.
func (s *Store) Workspace(ctx context.Context, ref string) (*hook.Workspace, error) {
	var w *hook.Workspace
	err := s.read(ctx, func(tx *gorm.DB) (err error) {
		w, err = findWorkspace(tx, ref)
		return err
	})
	if err == nil && w == nil {
		return nil, hook.Errorf(hook.KindNotFound, "no workspace %q", ref)
	}
	return w, err
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
	w, err := findWorkspace(tx, id.String())
	if err == nil && w == nil {
		err = hook.Errorf(hook.KindNotFound, "no such workspace")
	}
	return w, err
}

// Workspaces lists workspaces, and reports whether more follow.
func (s *Store) Workspaces(ctx context.Context, f hook.ListFilter, p hook.Page) ([]*hook.Workspace, bool, error) {
	var rows []workspaceRow
	err := s.read(ctx, func(tx *gorm.DB) error {
		return s.listed(tx.Where("deleted_at IS NULL"), f, p).Find(&rows).Error
	})
	if err != nil {
		return nil, false, err
	}
	rows, more := paged(rows, p)
	out := make([]*hook.Workspace, len(rows))
	for i := range rows {
		if out[i], err = rows[i].noun(); err != nil {
			return nil, false, err
		}
	}
	return out, more, nil
}

// EditWorkspace lets decide make the next state of the workspace with this id or code
// ("" for a new one). decide returns nil to leave everything as it is. The store gives
// id, version and times. A dry run decides and checks, and writes nothing.
func (s *Store) EditWorkspace(ctx context.Context, ref string, dry bool, decide func(hook.WorkspaceScene) (*hook.Workspace, error)) (*hook.Workspace, error) {
	var out *hook.Workspace
	err := s.changing(ctx, hook.NoID, dry, func(tx *gorm.DB) (bool, error) {
		scene := hook.WorkspaceScene{Scene: hook.Scene{Now: s.now(), CodeOwner: codeOwner(tx, &workspaceRow{}, nil, true)}}
		var err error
		if ref != "" {
			if scene.Current, err = findWorkspace(tx, ref); err != nil {
				return false, err
			}
		}
		next, err := decide(scene)
		if err != nil || next == nil {
			out = scene.Current
			return false, err
		}
		out = next
		next.UpdatedAt = scene.Now
		if scene.Current == nil {
			next.ID, next.Version, next.CreatedAt = s.ids.New(), 1, scene.Now
			if err := tx.Create(&versionRow{ScopeID: rowID(next.ID), Version: 1}).Error; err != nil {
				return false, err
			}
			if err := tx.Create(workspaceRowOf(next)).Error; err != nil {
				return false, err
			}
			types := s.newTypes(next.ID, hook.OperationalTypes, scene.Now)
			return true, tx.Create(&types).Error
		}
		next.ID, next.CreatedAt, next.Version = scene.Current.ID, scene.Current.CreatedAt, scene.Current.Version+1
		if err := s.lockScope(tx, next.ID); err != nil {
			return false, err
		}
		if err := bump(tx, next.ID); err != nil {
			return false, err
		}
		return true, tx.Save(workspaceRowOf(next)).Error
	})
	if err != nil {
		return nil, err
	}
	return out, nil
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
