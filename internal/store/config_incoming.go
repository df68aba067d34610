package store

import (
	"context"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// IncomingWebhook returns an incoming webhook by id or code, without the values of its
// named secrets. The hash is there: admins may see it.
func (s *Store) IncomingWebhook(ctx context.Context, workspace hook.ID, ref string) (*hook.IncomingWebhook, error) {
	return one(ctx, s, hook.NotFound("incoming webhook", ref), func(tx *gorm.DB) (*hook.IncomingWebhook, error) {
		return foundWithSecrets[*incomingRow](s, tx, workspace, ref, s.openHash)
	})
}

// IncomingWebhooks lists incoming webhooks, as IncomingWebhook returns them, and reports
// whether more follow.
func (s *Store) IncomingWebhooks(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.IncomingWebhook, bool, error) {
	return listingWithSecrets[*incomingRow](ctx, s, s.openHash, workspace, f, p)
}

// LoadIncoming returns an incoming webhook with its secrets in clear, also a deleted one
// (which has none left), for history and for what is still under way.
func (s *Store) LoadIncoming(ctx context.Context, workspace, id hook.ID) (*hook.IncomingWebhook, error) {
	return loaded[*incomingRow](ctx, s, hook.NotFound("incoming webhook", id.String()), workspace, id)
}

// EditIncoming lets decide make the next state of an incoming webhook; see EditWebhook.
func (s *Store) EditIncoming(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.IncomingScene) (*hook.IncomingWebhook, error)) (*hook.IncomingWebhook, error) {
	return editing(ctx, s, workspace, dry, func(tx *gorm.DB) (cur, next *hook.IncomingWebhook, err error) {
		w, err := workspaceIn(tx, workspace)
		if err != nil {
			return nil, nil, err
		}
		if ref != "" {
			if cur, err = foundWithSecrets[*incomingRow](s, tx, workspace, ref, s.openSecret); err != nil {
				return nil, nil, err
			}
		}
		scene := hook.IncomingScene{Current: cur, Scene: hook.Scene{
			Workspace: *w, Now: s.now(), CodeOwner: codeOwner(tx, &incomingRow{}, &workspace, true),
		}}
		if scene.Actions, err = s.actionsByCode(tx, workspace); err != nil {
			return nil, nil, err
		}
		if next, err = decide(scene); err != nil || next == nil {
			return cur, nil, err
		}
		next.Workspace, next.UpdatedAt = workspace, scene.Now
		if cur == nil {
			next.ID, next.Version, next.CreatedAt = s.ids.New(), 1, scene.Now
		} else {
			next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
		}
		hinted(next.Secrets)
		row, secrets, err := incomingRowOf(next)
		if err != nil {
			return nil, nil, err
		}
		return cur, next, s.save(tx, row, cur == nil, secrets, next.UpdatedAt)
	})
}
