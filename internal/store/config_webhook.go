package store

import (
	"context"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// Webhook returns a webhook by id or code, without secret values.
func (s *Store) Webhook(ctx context.Context, workspace hook.ID, ref string) (*hook.Webhook, error) {
	return one(ctx, s, hook.NotFound("webhook", ref), func(tx *gorm.DB) (*hook.Webhook, error) {
		return foundWithSecrets[*webhookRow](s, tx, workspace, ref, nil)
	})
}

// Webhooks lists webhooks without secret values, and reports whether more follow.
func (s *Store) Webhooks(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) (list []*hook.Webhook, more bool, err error) {
	return listingWithSecrets[*webhookRow](ctx, s, nil, workspace, f, p)
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
			if cur, err = foundWithSecrets[*webhookRow](s, tx, workspace, ref, s.openSecret); err != nil {
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
		scene.StartReplay = func(r *hook.Replay) error { return s.addReplay(tx, r) }
		var told []hook.Notice
		scene.Tell = func(n hook.Notice) { told = append(told, n) }
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
		if err := s.saveWebhook(tx, next, cur == nil); err != nil {
			return nil, nil, err
		}
		return cur, next, s.tell(tx, w, told)
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
	return s.save(tx, row, created, secrets, w.UpdatedAt)
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
	return loaded[*webhookRow](ctx, s, hook.NotFound("webhook", id.String()), workspace, id)
}

// LoadSnapshot reads the configuration of a workspace as it was at one moment, secrets
// in clear.
func (s *Store) LoadSnapshot(ctx context.Context, workspace hook.ID) (hook.Snapshot, error) {
	var snap hook.Snapshot
	err := s.pipelineRead(ctx, func(tx *gorm.DB) error {
		snap = hook.Snapshot{}
		w, err := workspaceIn(tx, workspace)
		if err != nil {
			return err
		}
		snap.Workspace, snap.Alerts = *w, s.alertsFor(w)
		q := tx.Model(&versionRow{}).Where("scope_id = ?", rowID(workspace))
		if err := q.Pluck("version", &snap.Version).Error; err != nil {
			return err
		}
		if snap.Webhooks, err = allWithSecrets[*webhookRow](s, tx, workspace, s.openSecret); err != nil {
			return err
		}
		if snap.Actions, err = allWithSecrets[*actionRow](s, tx, workspace, s.openSecret); err != nil {
			return err
		}
		if snap.Incoming, err = allWithSecrets[*incomingRow](s, tx, workspace, s.openSecret); err != nil {
			return err
		}
		snap.Types, err = catalogue(tx, workspace)
		return err
	})
	return snap, err
}
