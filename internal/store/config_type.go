package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sallyport/internal/hook"
)

type typeRow struct {
	ID              rowID `gorm:"primaryKey"`
	WorkspaceID     rowID
	Name            string
	Description     string
	Schema          []byte
	Mode            string
	Sample          []byte
	Archived        bool
	Metadata        string
	LastPublishedAt *int64
	Version         int64
	CreatedAt       int64 `gorm:"autoCreateTime:false"`
	UpdatedAt       int64 `gorm:"autoUpdateTime:false"`
}

func (typeRow) TableName() string { return "event_types" }

func typeRowOf(t *hook.EventType) *typeRow {
	return &typeRow{
		ID: rowID(t.ID), WorkspaceID: rowID(t.Workspace), Name: t.Name, Description: t.Description, Schema: t.Schema,
		Mode: string(t.Mode), Sample: t.Sample, Archived: t.Archived, Metadata: metadataText(t.Metadata),
		LastPublishedAt: microsPtr(t.LastPublishedAt), Version: t.Version,
		CreatedAt: micros(t.CreatedAt), UpdatedAt: micros(t.UpdatedAt),
	}
}

func (r *typeRow) noun() (*hook.EventType, error) {
	m, err := metadataOf(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("event type %s: metadata: %w", hook.ID(r.ID), err)
	}
	t := &hook.EventType{
		ID: hook.ID(r.ID), Workspace: hook.ID(r.WorkspaceID), Name: r.Name, Description: r.Description, Schema: r.Schema,
		Mode: hook.SchemaMode(r.Mode), Sample: r.Sample, Archived: r.Archived, Operational: hook.IsOperational(r.Name),
		Metadata: m, LastPublishedAt: fromMicrosPtr(r.LastPublishedAt), Version: r.Version,
		CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt),
	}
	t.Describe()
	return t, nil
}

// newTypes makes catalogue entries of names that only just became known.
func (s *Store) newTypes(workspace hook.ID, names []string, now time.Time) []*typeRow {
	rows := make([]*typeRow, len(names))
	for i, name := range names {
		rows[i] = typeRowOf(&hook.EventType{
			ID: s.ids.New(), Workspace: workspace, Name: name, Mode: hook.SchemaReject, Version: 1, CreatedAt: now, UpdatedAt: now,
		})
	}
	return rows
}

// AddEventTypes adds names to the catalogue that were published and are not in it yet.
// Those that are stay as they are.
func (s *Store) AddEventTypes(ctx context.Context, workspace hook.ID, names []string) error {
	if len(names) == 0 {
		return nil
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	return s.changing(ctx, workspace, false, func(tx *gorm.DB) (bool, error) {
		if _, err := workspaceIn(tx, workspace); err != nil {
			return false, err
		}
		rows := s.newTypes(workspace, names, s.now())
		done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&rows)
		return done.RowsAffected > 0, done.Error
	})
}

// TouchTypes records when types were last published. It is no change of configuration.
func (s *Store) TouchTypes(ctx context.Context, published map[hook.ID]time.Time) error {
	return s.touch(ctx, &typeRow{}, "last_published_at", published)
}

// sortedIDs is the one order in which transactions take rows, so that two cannot wait for
// each other.
func sortedIDs[T any](m map[hook.ID]T) []hook.ID {
	return slices.SortedFunc(maps.Keys(m), func(a, b hook.ID) int { return bytes.Compare(a[:], b[:]) })
}

// EventType returns a catalogue entry by name or id.
func (s *Store) EventType(ctx context.Context, workspace hook.ID, ref string) (*hook.EventType, error) {
	return one(ctx, s, hook.NotFound("event type", ref), func(tx *gorm.DB) (*hook.EventType, error) { return findType(tx, workspace, ref) })
}

func findType(tx *gorm.DB, workspace hook.ID, ref string) (*hook.EventType, error) {
	q := tx.Where("workspace_id = ?", rowID(workspace))
	if id, err := hook.ParseID(ref); err == nil && hook.IsID(ref) {
		q = q.Where("id = ?", rowID(id))
	} else {
		q = q.Where("name = ?", ref)
	}
	var rows []typeRow
	if err := q.Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].noun()
}

// EventTypes lists the catalogue, and reports whether more follow.
func (s *Store) EventTypes(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.EventType, bool, error) {
	return listing(ctx, s, (*typeRow).noun, f, p, "workspace_id = ?", rowID(workspace))
}

// TypeNames returns the names in the workspace's catalogue, sorted.
func (s *Store) TypeNames(ctx context.Context, workspace hook.ID) ([]string, error) {
	var names []string
	err := s.r.WithContext(ctx).Model(&typeRow{}).Where("workspace_id = ?", rowID(workspace)).Pluck("name", &names).Error
	slices.Sort(names) // the engines would not sort alike
	return names, translate(err)
}

func catalogue(tx *gorm.DB, workspace hook.ID) (map[string]*hook.EventType, error) {
	var rows []typeRow
	if err := tx.Where("workspace_id = ?", rowID(workspace)).Find(&rows).Error; err != nil {
		return nil, err
	}
	types := make(map[string]*hook.EventType, len(rows))
	for i := range rows {
		t, err := rows[i].noun()
		if err != nil {
			return nil, err
		}
		types[t.Name] = t
	}
	return types, nil
}

// EditEventType lets decide make the next state of a catalogue entry; see EditWorkspace.
func (s *Store) EditEventType(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.EventTypeScene) (*hook.EventType, error)) (*hook.EventType, error) {
	return editing(ctx, s, workspace, dry, func(tx *gorm.DB) (cur, next *hook.EventType, err error) {
		w, err := workspaceIn(tx, workspace)
		if err != nil {
			return nil, nil, err
		}
		if ref != "" {
			if cur, err = findType(tx, workspace, ref); err != nil {
				return nil, nil, err
			}
		}
		scene := hook.EventTypeScene{
			Scene:   hook.Scene{Workspace: *w, Now: s.now(), NameOwner: nameOwner(tx, &typeRow{}, &workspace, false)},
			Current: cur,
		}
		if next, err = decide(scene); err != nil || next == nil {
			return cur, nil, err
		}
		next.Workspace, next.UpdatedAt = workspace, scene.Now
		next.Operational = hook.IsOperational(next.Name)
		if cur == nil {
			next.ID, next.Version, next.CreatedAt = s.ids.New(), 1, scene.Now
			return cur, next, tx.Create(typeRowOf(next)).Error
		}
		next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
		return cur, next, tx.Save(typeRowOf(next)).Error
	})
}

// DeleteEventType removes a catalogue entry unless check objects. Events of the type
// stay; the next one adds the name again, unless the workspace is strict.
func (s *Store) DeleteEventType(ctx context.Context, workspace hook.ID, ref string, check func(*hook.EventType) error) error {
	return s.changing(ctx, workspace, false, func(tx *gorm.DB) (bool, error) {
		t, err := present(findType(tx, workspace, ref))(hook.NotFound("event type", ref))
		if err == nil {
			err = check(t)
		}
		if err != nil {
			return false, err
		}
		if err := s.auditEdit(tx, workspace, t, nil); err != nil {
			return false, err
		}
		return true, tx.Where("id = ?", rowID(t.ID)).Delete(&typeRow{}).Error
	})
}
