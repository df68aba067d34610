package manage

import (
	"context"
	"time"

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
// held goes on. A disabled webhook stays so: that is its owner's wish. With "missed" a
// replay is stored with the change, which delivers what came while it was suspended, and
// disabled before or in between.
func (s *Service) ResumeWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte) (hook.ResumeResult, error) {
	o, err := readDocument(doc)
	if err != nil {
		return hook.ResumeResult{}, err
	}
	missed := o.oneOf("replay", "none", "none", "missed") == "missed"
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
	var replay *hook.Replay
	w, known, changed, err := s.decideState(hook.WithVerb(ctx, hook.AuditResume), p.Workspace, before.ID.String(), func(scene hook.WebhookScene, w *hook.Webhook) (bool, error) {
		changed := w.Paused || w.Suspended != ""
		w.Paused, w.Suspended = false, ""
		if replay = nil; !missed {
			return changed, nil
		}
		var err error
		if replay, err = missedBy(scene, p.Key); err != nil || replay == nil {
			return changed, err
		}
		return changed, scene.StartReplay(replay)
	})
	if err != nil {
		return hook.ResumeResult{}, err
	}
	if !changed {
		held = 0
	}
	res := hook.ResumeResult{Webhook: view(w, known), Released: held}
	if replay != nil {
		res.Replay = replay.ID
		s.pipeline.ReplayChanged(replay.ID, replay.State)
	}
	return res, nil
}

// beforeSuspension is how much earlier than a suspension an event may have got its key that
// was matched, and not delivered, after it: it waited for its transaction.
const beforeSuspension = 30 * time.Second

// missedBy is the replay of what a webhook missed since it last was sent to; nil if it
// missed nothing.
func missedBy(scene hook.WebhookScene, by hook.ID) (*hook.Replay, error) {
	w := scene.Current
	const instead = `POST /v1/replays with {"webhook": %q, "include": "missed", "since": %q}`
	switch w.State() {
	case hook.TargetPaused: // it went on collecting
		return nil, nil
	case hook.TargetDisabled:
		return nil, hook.Errorf(hook.KindInvalidState, "the webhook is disabled, and nothing is sent to it; enable it, then "+instead,
			w.Code, w.MissingSince.Format(time.RFC3339Nano))
	case hook.TargetActive:
		return nil, hook.Errorf(hook.KindInvalidState, "the webhook is active, so that nothing says since when it missed anything; "+instead, w.Code, "...")
	case hook.TargetSuspended:
	}
	since := w.MissingSince.Add(-beforeSuspension)
	if since.Before(w.CreatedAt) {
		since = w.CreatedAt
	}
	return &hook.Replay{Workspace: scene.Workspace.ID, CreatedBy: by, ReplaySpec: hook.ReplaySpec{
		TargetKind: hook.TargetWebhook, Target: w.ID, Include: hook.ReplayMissed, Since: since, Until: scene.Now, UntilOpen: true,
	}}, nil
}

// Suspend stops sending to a webhook whose receiver is gone or has failed for days, and
// tells of it in the same transaction: of several nodes one does both. It reports whether
// this call did it. A webhook that is deleted or suspended already stays as it is.
func (s *Service) Suspend(ctx context.Context, workspace, webhook hook.ID, reason string, t hook.Trouble) (bool, error) {
	_, _, changed, err := s.decideState(hook.WithVerb(ctx, hook.AuditSuspend), workspace, webhook.String(), func(scene hook.WebhookScene, w *hook.Webhook) (bool, error) {
		if w.Suspended != "" {
			return false, nil
		}
		w.Suspended = reason
		stampState(scene.Current, w, scene)
		scene.Tell(hook.SuspendedNotice(w, t))
		return true, nil
	})
	if hook.KindOf(err) == hook.KindNotFound {
		return false, nil
	}
	return changed, err
}

// setState lets set change operational state and report whether it did.
func (s *Service) setState(ctx context.Context, workspace hook.ID, ref string, set func(*hook.Webhook) bool) (w *hook.Webhook, known []string, changed bool, err error) {
	return s.decideState(ctx, workspace, ref, func(_ hook.WebhookScene, w *hook.Webhook) (bool, error) { return set(w), nil })
}

func (s *Service) decideState(ctx context.Context, workspace hook.ID, ref string, set func(hook.WebhookScene, *hook.Webhook) (bool, error)) (w *hook.Webhook, known []string, changed bool, err error) {
	w, err = s.store.EditWebhook(ctx, workspace, ref, false, func(scene hook.WebhookScene) (*hook.Webhook, error) {
		if scene.Current == nil {
			return nil, hook.NotFound("webhook", ref)
		}
		known = typeNames(scene.Types)
		next := *scene.Current
		var err error
		if changed, err = set(scene, &next); err != nil || !changed {
			return nil, err
		}
		stampState(scene.Current, &next, scene)
		return &next, nil
	})
	if err == nil && changed {
		s.pipeline.ConfigChanged(workspace)
	}
	return w, known, changed, err
}
