package manage_test

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/hook"
)

func (s *fakeStore) findWebhook(workspace hook.ID, ref string) *hook.Webhook {
	return pick(s.webhooks, func(w *hook.Webhook) bool {
		return w.Workspace == workspace && w.DeletedAt == nil && named(ref, w.ID, w.Code)
	})
}

// copied keeps the secrets that are live.
func (s *fakeStore) copied(w *hook.Webhook) *hook.Webhook {
	c := *w
	c.Secrets = nil
	for _, x := range w.Secrets {
		if x.Live(s.now) {
			c.Secrets = append(c.Secrets, x)
		}
	}
	c.Headers, c.Metadata = slices.Clone(w.Headers), maps.Clone(w.Metadata)
	return &c
}

func (s *fakeStore) Webhook(_ context.Context, workspace hook.ID, ref string) (*hook.Webhook, error) {
	w := s.findWebhook(workspace, ref)
	if w == nil {
		return nil, hook.NotFound("webhook", ref)
	}
	return s.copied(w), nil
}

func (s *fakeStore) Webhooks(_ context.Context, workspace hook.ID, _ hook.ListFilter, _ hook.Page) ([]*hook.Webhook, bool, error) {
	var out []*hook.Webhook
	for _, w := range s.webhooks {
		if w.Workspace == workspace && w.DeletedAt == nil {
			out = append(out, s.copied(w))
		}
	}
	slices.SortFunc(out, func(a, b *hook.Webhook) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, false, nil
}

func (s *fakeStore) EditWebhook(_ context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.WebhookScene) (*hook.Webhook, error)) (*hook.Webhook, error) {
	scene := hook.WebhookScene{Scene: s.scene(workspace), Types: map[string]*hook.EventType{}}
	for _, t := range s.types {
		scene.Types[t.Name] = t
	}
	owner := func(is func(*hook.Webhook) bool) (hook.ID, error) {
		return idOf(pick(s.webhooks, func(w *hook.Webhook) bool { return w.Workspace == workspace && w.DeletedAt == nil && is(w) }),
			func(w *hook.Webhook) hook.ID { return w.ID }), nil
	}
	scene.CodeOwner = func(code string) (hook.ID, error) {
		return owner(func(w *hook.Webhook) bool { return strings.EqualFold(w.Code, code) })
	}
	scene.NameOwner = func(name string) (hook.ID, error) {
		return owner(func(w *hook.Webhook) bool { return w.Name == name })
	}
	if ref != "" {
		if w := s.findWebhook(workspace, ref); w != nil {
			scene.Current = s.copied(w)
		}
	}
	var started *hook.Replay // what the transaction that lost the race stored is gone
	scene.StartReplay = func(r *hook.Replay) error {
		r.ID, r.State = s.ids.New(), hook.ReplayRunning
		started = r
		return nil
	}
	var told []hook.Notice
	scene.Tell = func(n hook.Notice) { told = append(told, n) }
	next, err := twice(scene, decide)
	if err == nil && started != nil && !dry {
		s.replays = append(s.replays, started)
	}
	if err != nil || next == nil {
		return scene.Current, err
	}
	next.Workspace, next.UpdatedAt = workspace, s.now
	if cur := scene.Current; cur != nil {
		next.ID, next.Number, next.CreatedAt, next.Version = cur.ID, cur.Number, cur.CreatedAt, cur.Version+1
	} else {
		next.ID, next.CreatedAt, next.Version, next.Number = s.ids.New(), s.now, 1, int64(len(s.webhooks)+1)
	}
	for i := range next.Secrets {
		x := &next.Secrets[i]
		x.ID = cmp.Or(x.ID, s.ids.New())
		x.Hint, x.Short = hook.Hint(string(x.Value)), hook.IsShort(string(x.Value))
	}
	if !dry {
		s.versions[workspace]++
		s.webhooks = append(slices.DeleteFunc(s.webhooks, func(w *hook.Webhook) bool { return w.ID == next.ID }), next)
		s.told = append(s.told, told[len(told)/2:]...) // of the second run
	}
	return s.copied(next), nil
}
