package store

import (
	"context"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// Webhook returns a webhook by id or code, without secret values.
func (s *Store) Webhook(ctx context.Context, workspace hook.ID, ref string) (*hook.Webhook, error) {
	return one(ctx, s, hook.NotFound("webhook", ref), func(tx *gorm.DB) (*hook.Webhook, error) {
		return s.findWebhook(tx, workspace, ref, false)
	})
}

func (s *Store) findWebhook(tx *gorm.DB, workspace hook.ID, ref string, values bool) (*hook.Webhook, error) {
	var rows []webhookRow
	q := byRef(tx.Where("workspace_id = ? AND deleted_at IS NULL", rowID(workspace)), ref)
	if err := q.Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, err
	}
	list, err := s.withSecrets(tx, rows, values)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// withSecrets turns rows of one workspace into nouns.
func (s *Store) withSecrets(tx *gorm.DB, rows []webhookRow, values bool) ([]*hook.Webhook, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	q := tx.Where("workspace_id = ?", rows[0].WorkspaceID)
	if len(rows) <= 500 { // else it is cheaper to read the workspace's whole table than to name them all
		ids := make([]rowID, len(rows))
		for i := range rows {
			ids[i] = rows[i].ID
		}
		q = q.Where("owner_id IN ?", ids)
	}
	secrets, err := liveSecrets(q, s.now())
	if err != nil {
		return nil, err
	}
	byOwner := map[rowID][]secretRow{}
	for _, x := range secrets {
		byOwner[x.OwnerID] = append(byOwner[x.OwnerID], x)
	}
	var open func(*secretRow) (string, error)
	if values {
		open = s.openSecret
	}
	out := make([]*hook.Webhook, len(rows))
	for i := range rows {
		if out[i], err = rows[i].noun(byOwner[rows[i].ID], open); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Webhooks lists webhooks without secret values, and reports whether more follow.
func (s *Store) Webhooks(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) (list []*hook.Webhook, more bool, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		var rows []webhookRow
		q := tx.Where("workspace_id = ? AND deleted_at IS NULL", rowID(workspace))
		if err := s.listed(q, f, p).Find(&rows).Error; err != nil {
			return err
		}
		var err error
		rows, more = paged(rows, p)
		list, err = s.withSecrets(tx, rows, false)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return list, more, nil
}

// EditWebhook lets decide make the next state of a webhook; see EditWorkspace. The
// current one has its secrets in clear, and so must the next: what it does not contain
// is deleted. A secret needs an id of its own (NewID). DeletedAt makes it a tombstone,
// of which no secret is left.
func (s *Store) EditWebhook(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.WebhookScene) (*hook.Webhook, error)) (*hook.Webhook, error) {
	return editing(ctx, s, workspace, dry, func(tx *gorm.DB) (cur, next *hook.Webhook, err error) {
		w, err := workspaceIn(tx, workspace)
		if err != nil {
			return nil, nil, err
		}
		if ref != "" {
			if cur, err = s.findWebhook(tx, workspace, ref, true); err != nil {
				return nil, nil, err
			}
		}
		scene := hook.WebhookScene{Current: cur, Scene: hook.Scene{
			Workspace: *w, Now: s.now(),
			CodeOwner: codeOwner(tx, &webhookRow{}, &workspace, true),
			NameOwner: nameOwner(tx, &webhookRow{}, &workspace, true),
		}}
		if scene.Types, err = catalogue(tx, workspace); err != nil {
			return nil, nil, err
		}
		if next, err = decide(scene); err != nil || next == nil {
			return cur, nil, err
		}
		next.Workspace, next.UpdatedAt = workspace, scene.Now
		if cur == nil {
			next.ID, next.Version, next.CreatedAt = s.ids.New(), 1, scene.Now
			if next.Number, err = nextNumber(tx, workspace); err != nil {
				return nil, nil, err
			}
		} else {
			next.ID, next.Number, next.CreatedAt = cur.ID, cur.Number, cur.CreatedAt
			next.Version = cur.Version + 1
		}
		return cur, next, s.saveWebhook(tx, next, cur == nil)
	})
}

func (s *Store) saveWebhook(tx *gorm.DB, w *hook.Webhook, created bool) error {
	for i := range w.Secrets {
		if w.Secrets[i].ID == hook.NoID {
			w.Secrets[i].ID = s.ids.New()
		}
		value := string(w.Secrets[i].Value)
		w.Secrets[i].Hint, w.Secrets[i].Short = hook.Hint(value), hook.IsShort(value)
	}
	row, secrets, err := webhookRowOf(w)
	if err != nil {
		return err
	}
	if created {
		err = tx.Create(row).Error
	} else {
		err = tx.Save(row).Error
	}
	if err != nil {
		return err
	}
	if w.DeletedAt != nil {
		secrets = nil
	}
	return s.saveSecrets(tx, w.Workspace, w.ID, secrets, w.UpdatedAt)
}

// nextNumber counts webhooks of a workspace. Numbers of deleted ones do not come back.
func nextNumber(tx *gorm.DB, workspace hook.ID) (int64, error) {
	q := tx.Model(&versionRow{}).Where("scope_id = ?", rowID(workspace))
	if err := q.Update("last_number", gorm.Expr("last_number + 1")).Error; err != nil {
		return 0, err
	}
	var n int64
	err := tx.Model(&versionRow{}).Where("scope_id = ?", rowID(workspace)).Pluck("last_number", &n).Error
	return n, err
}

// LoadTarget returns a webhook with its secrets in clear, also a deleted one (which has
// none left), for history and for deliveries that are still under way.
func (s *Store) LoadTarget(ctx context.Context, workspace, id hook.ID) (*hook.Webhook, error) {
	var w *hook.Webhook
	err := s.read(ctx, func(tx *gorm.DB) error {
		var rows []webhookRow
		if err := tx.Where("workspace_id = ? AND id = ?", rowID(workspace), rowID(id)).Find(&rows).Error; err != nil {
			return err
		}
		if len(rows) == 0 {
			return hook.NotFound("webhook", id.String())
		}
		list, err := s.withSecrets(tx, rows, true)
		if err != nil {
			return err
		}
		w = list[0]
		return nil
	})
	return w, err
}

// LoadSnapshot reads the configuration of a workspace as it was at one moment, secrets
// in clear.
func (s *Store) LoadSnapshot(ctx context.Context, workspace hook.ID) (hook.Snapshot, error) {
	var snap hook.Snapshot
	err := s.read(ctx, func(tx *gorm.DB) error {
		snap = hook.Snapshot{}
		w, err := workspaceIn(tx, workspace)
		if err != nil {
			return err
		}
		snap.Workspace = *w
		q := tx.Model(&versionRow{}).Where("scope_id = ?", rowID(workspace))
		if err := q.Pluck("version", &snap.Version).Error; err != nil {
			return err
		}
		var rows []webhookRow
		q = tx.Where("workspace_id = ? AND deleted_at IS NULL", rowID(workspace)).Order("id")
		if err := q.Find(&rows).Error; err != nil {
			return err
		}
		if snap.Webhooks, err = s.withSecrets(tx, rows, true); err != nil {
			return err
		}
		snap.Types, err = catalogue(tx, workspace)
		return err
	})
	return snap, err
}
