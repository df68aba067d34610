package manage

import (
	"context"

	"sallyport/internal/hook"
)

// CreateIncomingWebhook makes an incoming webhook.
func (s *Service) CreateIncomingWebhook(ctx context.Context, p hook.Principal, doc []byte) (hook.IncomingResult, error) {
	return s.editIncoming(ctx, p, "", hook.Write{}, whole[*hook.IncomingWebhook](nil, "", doc))
}

// PutIncomingWebhook creates or replaces an incoming webhook: a field left out becomes its
// default. The hash and secrets left out are kept.
func (s *Service) PutIncomingWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.IncomingResult, error) {
	return s.editIncoming(ctx, p, ref, w, whole[*hook.IncomingWebhook](hook.NotFound("incoming webhook", ref), ref, doc))
}

// PatchIncomingWebhook changes parts of an incoming webhook.
func (s *Service) PatchIncomingWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.IncomingResult, error) {
	return s.editIncoming(ctx, p, ref, w, merged(hook.NotFound("incoming webhook", ref), func(cur *hook.IncomingWebhook) ([]byte, error) {
		return patched(incomingDocument(cur), doc, "hash", "secrets", "ipAllowList", "preProcessors", "dedupe")
	}))
}

func (s *Service) editIncoming(ctx context.Context, p hook.Principal, ref string, w hook.Write, document document[*hook.IncomingWebhook]) (hook.IncomingResult, error) {
	var res hook.IncomingResult
	saved, err := s.store.EditIncoming(ctx, p.Workspace, ref, w.DryRun, func(scene hook.IncomingScene) (next *hook.IncomingWebhook, err error) {
		next, res.Change, res.Changed, err = edit[*hook.IncomingWebhook]{
			guard: w.Guard, document: document, changes: incomingChanges,
			read: func(doc []byte) (*hook.IncomingWebhook, error) { return s.readIncoming(doc, ref, scene) },
		}.decide(scene.Current)
		return next, err
	})
	if err != nil {
		return hook.IncomingResult{}, err
	}
	if !w.DryRun && res.Change != hook.Unchanged {
		s.pipeline.ConfigChanged(p.Workspace)
	}
	res.IncomingView = incomingView(p, saved)
	return res, nil
}

// GetIncomingWebhook returns an incoming webhook. Its hash only admins get.
func (s *Service) GetIncomingWebhook(ctx context.Context, p hook.Principal, ref string) (hook.IncomingView, error) {
	w, err := s.store.IncomingWebhook(ctx, p.Workspace, ref)
	if err != nil {
		return hook.IncomingView{}, err
	}
	return incomingView(p, w), nil
}

// ListIncomingWebhooks lists incoming webhooks, and reports whether more follow.
func (s *Service) ListIncomingWebhooks(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []hook.IncomingView, more bool, err error) {
	rows, more, err := s.store.IncomingWebhooks(ctx, p.Workspace, f, page)
	if err != nil {
		return nil, false, err
	}
	list = make([]hook.IncomingView, len(rows))
	for i, w := range rows {
		list[i] = incomingView(p, w)
	}
	return list, more, nil
}

// DeleteIncomingWebhook deletes an incoming webhook: the door is gone, what it accepted goes
// on, the history stays readable, the code is free.
func (s *Service) DeleteIncomingWebhook(ctx context.Context, p hook.Principal, ref string, g hook.Guard) error {
	w, err := s.changeIncoming(ctx, p, ref, func(next *hook.IncomingWebhook, scene hook.IncomingScene) error {
		next.Secrets, next.Hash, next.DeletedAt = nil, "", &scene.Now
		return Guarded(g, scene.Current.Version)
	})
	if err != nil {
		return err
	}
	s.pipeline.TargetDeleted(p.Workspace, w.ID)
	return nil
}

// DeleteIncomingHash drops the check of the hash, on purpose: no document can do that.
func (s *Service) DeleteIncomingHash(ctx context.Context, p hook.Principal, ref string) error {
	_, err := s.changeIncoming(hook.WithVerb(ctx, hook.AuditDeleteHash), p, ref, func(next *hook.IncomingWebhook, _ hook.IncomingScene) error {
		if next.Hash == "" {
			return hook.Errorf(hook.KindNotFound, "the incoming webhook has no hash")
		}
		next.Hash = ""
		return nil
	})
	return err
}

// changeIncoming changes an incoming webhook that must be there.
func (s *Service) changeIncoming(ctx context.Context, p hook.Principal, ref string, change func(next *hook.IncomingWebhook, scene hook.IncomingScene) error) (*hook.IncomingWebhook, error) {
	w, err := s.store.EditIncoming(ctx, p.Workspace, ref, false, func(scene hook.IncomingScene) (*hook.IncomingWebhook, error) {
		if scene.Current == nil {
			return nil, hook.NotFound("incoming webhook", ref)
		}
		next := *scene.Current
		if err := change(&next, scene); err != nil {
			return nil, err
		}
		return &next, nil
	})
	if err == nil {
		s.pipeline.ConfigChanged(p.Workspace)
	}
	return w, err
}

// incomingView is what may leave: without secret values, and the hash, which often has a
// secret in it, for admins only.
func incomingView(p hook.Principal, w *hook.IncomingWebhook) hook.IncomingView {
	c := *w
	c.Secrets = withoutValues(w.Secrets)
	if p.Role != hook.RoleAdmin {
		c.Hash = ""
	}
	return hook.IncomingView{IncomingWebhook: &c, HashConfigured: w.Hash != "", Warnings: incomingWarnings(w)}
}
