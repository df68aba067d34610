package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

type keyRow struct {
	ID          rowID `gorm:"primaryKey"`
	WorkspaceID rowID // nil id: a platform key
	Code        string
	CodeKey     string
	Name        string
	Role        string
	Platform    bool
	Prefix      string
	Hash        []byte
	Metadata    string
	ExpiresAt   *int64
	LastUsedAt  *int64
	Version     int64
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	UpdatedAt   int64 `gorm:"autoUpdateTime:false"`
}

func (keyRow) TableName() string { return "api_keys" }

func keyRowOf(k *hook.APIKey) *keyRow {
	return &keyRow{
		ID: rowID(k.ID), WorkspaceID: rowID(k.Workspace), Code: k.Code, CodeKey: codeKey(k.Code), Name: k.Name,
		Role: string(k.Role), Platform: k.Platform, Prefix: k.Prefix, Hash: k.Hash[:], Metadata: metadataText(k.Metadata),
		ExpiresAt: microsPtr(k.ExpiresAt), LastUsedAt: microsPtr(k.LastUsedAt), Version: k.Version,
		CreatedAt: micros(k.CreatedAt), UpdatedAt: micros(k.UpdatedAt),
	}
}

func (r *keyRow) noun() (*hook.APIKey, error) {
	m, err := metadataOf(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("API key %s: metadata: %w", hook.ID(r.ID), err)
	}
	k := &hook.APIKey{
		ID: hook.ID(r.ID), Workspace: hook.ID(r.WorkspaceID), Code: r.Code, Name: r.Name, Role: hook.Role(r.Role),
		Platform: r.Platform, Prefix: r.Prefix, Metadata: m, ExpiresAt: fromMicrosPtr(r.ExpiresAt),
		LastUsedAt: fromMicrosPtr(r.LastUsedAt), Version: r.Version,
		CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt),
	}
	copy(k.Hash[:], r.Hash)
	return k, nil
}

// KeyByHash returns the API key with this SHA-256 and the code of its workspace, ""
// for a platform key. Whether the key has expired is the caller's to judge.
func (s *Store) KeyByHash(ctx context.Context, hash [32]byte) (key hook.APIKey, workspace string, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		key, workspace = hook.APIKey{}, ""
		var rows []keyRow
		err := tx.Where("hash = ?", hash[:]).Limit(1).Find(&rows).Error
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return hook.Errorf(hook.KindNotFound, "no such API key")
		}
		k, err := rows[0].noun()
		if err != nil {
			return err
		}
		if key = *k; key.Workspace == hook.NoID {
			return nil
		}
		w, err := workspaceIn(tx, key.Workspace)
		if err != nil {
			return err
		}
		workspace = w.Code
		return nil
	})
	if err != nil {
		return hook.APIKey{}, "", err
	}
	return key, workspace, nil
}

// TouchKeys records when keys were last used. It is no change of configuration.
func (s *Store) TouchKeys(ctx context.Context, used map[hook.ID]time.Time) error {
	return s.touch(ctx, &keyRow{}, "last_used_at", used)
}

// APIKey returns a key of a workspace, or a platform key under the nil id, by id or code.
func (s *Store) APIKey(ctx context.Context, workspace hook.ID, ref string) (*hook.APIKey, error) {
	return one(ctx, s, hook.NotFound("API key", ref), func(tx *gorm.DB) (*hook.APIKey, error) { return findKey(tx, workspace, ref) })
}

func findKey(tx *gorm.DB, workspace hook.ID, ref string) (*hook.APIKey, error) {
	var rows []keyRow
	err := byRef(tx.Where("workspace_id = ?", rowID(workspace)), ref).Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].noun()
}

// APIKeys lists keys of workspaces (the nil id: platform keys), and reports whether more
// follow.
func (s *Store) APIKeys(ctx context.Context, workspaces []hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.APIKey, bool, error) {
	return listing(ctx, s, (*keyRow).noun, f, p, "workspace_id IN ?", rowIDs(workspaces))
}

// EditAPIKey lets decide make the next state of a key; see EditWorkspace.
func (s *Store) EditAPIKey(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.APIKeyScene) (*hook.APIKey, error)) (*hook.APIKey, error) {
	return editing(ctx, s, workspace, dry, func(tx *gorm.DB) (cur, next *hook.APIKey, err error) {
		scene := hook.APIKeyScene{
			Scene: hook.Scene{Now: s.now(), CodeOwner: codeOwner(tx, &keyRow{}, &workspace, false)},
			HashOwner: func(hash [32]byte) (hook.ID, error) {
				var ids []rowID
				err := tx.Model(&keyRow{}).Where("hash = ?", hash[:]).Limit(1).Pluck("id", &ids).Error
				if err != nil || len(ids) == 0 {
					return hook.NoID, err
				}
				return hook.ID(ids[0]), nil
			},
		}
		if workspace != hook.NoID {
			w, err := workspaceIn(tx, workspace)
			if err != nil {
				return nil, nil, err
			}
			scene.Workspace = *w
		}
		if ref != "" {
			if cur, err = findKey(tx, workspace, ref); err != nil {
				return nil, nil, err
			}
		}
		scene.Current = cur
		if next, err = decide(scene); err != nil || next == nil {
			return cur, nil, err
		}
		next.Workspace, next.UpdatedAt = workspace, scene.Now
		if cur == nil {
			next.ID, next.Version, next.CreatedAt = s.ids.New(), 1, scene.Now
			return cur, next, tx.Create(keyRowOf(next)).Error
		}
		next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
		return cur, next, tx.Save(keyRowOf(next)).Error
	})
}

// DeleteAPIKey removes a key unless check objects. It works nowhere from then on: what
// was published with it before is checked again when it is stored.
func (s *Store) DeleteAPIKey(ctx context.Context, workspace hook.ID, ref string, check func(*hook.APIKey) error) error {
	return s.changing(ctx, workspace, false, func(tx *gorm.DB) (bool, error) {
		k, err := present(findKey(tx, workspace, ref))(hook.NotFound("API key", ref))
		if err == nil {
			err = check(k)
		}
		if err != nil {
			return false, err
		}
		if err := s.auditEdit(tx, workspace, k, nil); err != nil {
			return false, err
		}
		return true, tx.Where("id = ?", rowID(k.ID)).Delete(&keyRow{}).Error
	})
}
