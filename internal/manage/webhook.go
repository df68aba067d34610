package manage

import (
	"context"
	"maps"
	"slices"
	"time"

	"sallyport/internal/hook"
)

// CreateWebhook makes a webhook.
func (s *Service) CreateWebhook(ctx context.Context, p hook.Principal, doc []byte) (hook.WebhookResult, error) {
	return s.editWebhook(ctx, p, "", hook.Write{}, whole[*hook.Webhook](nil, "", doc))
}

// PutWebhook creates or replaces a webhook: a field left out becomes its default.
// Secrets left out are kept, and so are pause and suspension.
func (s *Service) PutWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.WebhookResult, error) {
	return s.editWebhook(ctx, p, ref, w, whole[*hook.Webhook](hook.NotFound("webhook", ref), ref, doc))
}

// PatchWebhook changes parts of a webhook. {"enabled": true} also ends a suspension: it
// is an explicit wish.
func (s *Service) PatchWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.WebhookResult, error) {
	return s.editWebhook(ctx, p, ref, w, merged(hook.NotFound("webhook", ref), func(cur *hook.Webhook) ([]byte, error) {
		return patchedWebhook(cur, doc)
	}), func(next *hook.Webhook) {
		if o, err := readDocument(doc); err == nil && o.has("enabled") && next.Enabled {
			next.Suspended = ""
		}
	})
}

// editWebhook takes the document, which may depend on what is there, to its end. After
// says what the call means beyond configuration.
func (s *Service) editWebhook(ctx context.Context, p hook.Principal, ref string, w hook.Write, document document[*hook.Webhook], after ...func(*hook.Webhook)) (hook.WebhookResult, error) {
	fresh := newSecret() // outside: the decision may be asked for again
	var res hook.WebhookResult
	var known []string
	saved, err := s.store.EditWebhook(ctx, p.Workspace, ref, w.DryRun, func(scene hook.WebhookScene) (next *hook.Webhook, err error) {
		known, res.Secret = typeNames(scene.Types), ""
		next, res.Change, res.Changed, err = edit[*hook.Webhook]{
			guard: w.Guard, document: document, changes: webhookChanges,
			read: func(doc []byte) (*hook.Webhook, error) {
				next, generate, err := s.readWebhook(doc, ref, scene)
				if err != nil {
					return nil, err
				}
				if generate && len(next.Secrets) == 0 {
					next.Secrets = []hook.Secret{{Value: fresh, CreatedAt: scene.Now}}
					res.Secret = fresh
				}
				for _, f := range after {
					f(next)
				}
				stampState(scene.Current, next, scene)
				return next, nil
			},
		}.decide(scene.Current)
		return next, err
	})
	if err != nil {
		return hook.WebhookResult{}, err
	}
	if w.DryRun {
		res.Secret = "" // it was not stored
	} else if res.Change != hook.Unchanged {
		s.pipeline.ConfigChanged(p.Workspace)
	}
	res.WebhookView = view(saved, known)
	return res, nil
}

// stampState notes since when the state is what it is and since when the webhook misses
// what comes, and tells of the end of a suspension.
func stampState(cur, next *hook.Webhook, scene hook.WebhookScene) {
	next.StateSince = scene.Now
	if cur != nil && next.State() == cur.State() {
		next.StateSince = cur.StateSince
	}
	switch {
	case !next.Misses():
		next.MissingSince = time.Time{}
	case cur != nil && cur.Misses():
		next.MissingSince = cur.MissingSince
	default:
		next.MissingSince = scene.Now
	}
	if cur != nil && cur.Suspended != "" && next.Suspended == "" && next.DeletedAt == nil {
		scene.Tell(hook.ResumedNotice(cur))
	}
}

func typeNames(types map[string]*hook.EventType) []string { return slices.Collect(maps.Keys(types)) }

// GetWebhook returns a webhook.
func (s *Service) GetWebhook(ctx context.Context, p hook.Principal, ref string) (hook.WebhookView, error) {
	w, err := s.store.Webhook(ctx, p.Workspace, ref)
	if err != nil {
		return hook.WebhookView{}, err
	}
	known, err := s.store.TypeNames(ctx, p.Workspace)
	if err != nil {
		return hook.WebhookView{}, err
	}
	return view(w, known), nil
}

// ListWebhooks lists webhooks, and reports whether more follow.
func (s *Service) ListWebhooks(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []hook.WebhookView, more bool, err error) {
	rows, more, err := s.store.Webhooks(ctx, p.Workspace, f, page)
	if err != nil {
		return nil, false, err
	}
	known, err := s.store.TypeNames(ctx, p.Workspace)
	if err != nil {
		return nil, false, err
	}
	list = make([]hook.WebhookView, len(rows))
	for i, w := range rows {
		list[i] = view(w, known)
	}
	return list, more, nil
}

// DeleteWebhook deletes a webhook: nothing is sent from then on, open deliveries are
// skipped in the background, the history stays readable, the code is free.
func (s *Service) DeleteWebhook(ctx context.Context, p hook.Principal, ref string, g hook.Guard) error {
	w, err := s.store.EditWebhook(ctx, p.Workspace, ref, false, func(scene hook.WebhookScene) (*hook.Webhook, error) {
		if scene.Current == nil {
			return nil, hook.NotFound("webhook", ref)
		}
		if err := Guarded(g, scene.Current.Version); err != nil {
			return nil, err
		}
		next := *scene.Current
		next.Secrets, next.DeletedAt = nil, &scene.Now
		stampState(scene.Current, &next, scene)
		return &next, nil
	})
	if err != nil {
		return err
	}
	s.pipeline.ConfigChanged(p.Workspace)
	s.pipeline.TargetDeleted(p.Workspace, w.ID)
	return nil
}

// view is what may leave: without secret values, with warnings.
func view(w *hook.Webhook, known []string) hook.WebhookView {
	v := hook.WebhookView{Warnings: warnings(w, known)}
	c := *w
	c.Secrets = append([]hook.Secret(nil), w.Secrets...)
	for i := range c.Secrets {
		c.Secrets[i].Value = ""
	}
	if c.BasicAuth != nil {
		c.BasicAuth = &hook.BasicAuth{Username: c.BasicAuth.Username}
	}
	c.Headers = append([]hook.Header(nil), w.Headers...)
	for i := range c.Headers {
		if c.Headers[i].Secret {
			c.Headers[i].Value = ""
		}
	}
	v.Webhook = &c
	return v
}
