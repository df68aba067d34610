package manage

import (
	"context"

	"sallyport/internal/hook"
)

// PauseWebhook holds a webhook's deliveries; new events still make new ones. Pausing
// twice is no error.
func (s *Service) PauseWebhook(ctx context.Context, p hook.Principal, ref string) (hook.WebhookView, error) {
	w, known, _, err := s.setState(hook.WithVerb(ctx, hook.AuditPause), p.Workspace, ref, func(w *hook.Webhook) bool {
		changed := !w.Paused
		w.Paused = true
		return changed
	})
	if err != nil {
		return hook.WebhookView{}, err
	}
	return view(w, known), nil
}

// ResumeWebhook ends a pause or a suspension: {"replay": "none"}, optional. What was
// held goes on. A disabled webhook stays so: that is its owner's wish.
func (s *Service) ResumeWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte) (hook.ResumeResult, error) {
	o, err := readDocument(doc)
	if err != nil {
		return hook.ResumeResult{}, err
	}
	o.oneOf("replay", "none", "none")
	o.done()
	if err := hook.Invalid(o.faults); err != nil {
		return hook.ResumeResult{}, err
	}
	// Counted before, since from the resume on they go; in between more may come.
	before, err := s.store.Webhook(ctx, p.Workspace, ref)
	if err != nil {
		return hook.ResumeResult{}, err
	}
	held := 0
	if st := before.State(); st == hook.TargetPaused || st == hook.TargetSuspended {
		if held, err = s.pipeline.Held(ctx, p.Workspace, before.ID); err != nil {
			return hook.ResumeResult{}, err
		}
	}
	w, known, changed, err := s.setState(hook.WithVerb(ctx, hook.AuditResume), p.Workspace, before.ID.String(), func(w *hook.Webhook) bool {
		changed := w.Paused || w.Suspended != ""
		w.Paused, w.Suspended = false, ""
		return changed
	})
	if err != nil {
		return hook.ResumeResult{}, err
	}
	if !changed {
		held = 0
	}
	return hook.ResumeResult{Webhook: view(w, known), Released: held}, nil
}

// Suspend stops sending to a webhook whose receiver is gone or has failed for days. It
// reports whether this call did it, so that of several nodes one tells of it. A webhook
// that is deleted or suspended already stays as it is.
func (s *Service) Suspend(ctx context.Context, workspace, webhook hook.ID, reason string) (bool, error) {
	_, _, changed, err := s.setState(hook.WithVerb(ctx, hook.AuditSuspend), workspace, webhook.String(), func(w *hook.Webhook) bool {
		changed := w.Suspended == ""
		if changed {
			w.Suspended = reason
		}
		return changed
	})
	if hook.KindOf(err) == hook.KindNotFound {
		return false, nil
	}
	return changed, err
}

// setState lets set change operational state and report whether it did.
func (s *Service) setState(ctx context.Context, workspace hook.ID, ref string, set func(*hook.Webhook) bool) (w *hook.Webhook, known []string, changed bool, err error) {
	w, err = s.store.EditWebhook(ctx, workspace, ref, false, func(scene hook.WebhookScene) (*hook.Webhook, error) {
		if scene.Current == nil {
			return nil, hook.NotFound("webhook", ref)
		}
		known = typeNames(scene.Types)
		next := *scene.Current
		if changed = set(&next); !changed {
			return nil, nil
		}
		stampState(scene.Current, &next, scene)
		return &next, nil
	})
	if err == nil && changed {
		s.pipeline.ConfigChanged(workspace)
	}
	return w, known, changed, err
}
