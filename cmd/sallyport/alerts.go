package main

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/alert"
	"sallyport/internal/hook"
)

// announceTries bounds how often an event is matched anew because the configuration changed
// meanwhile, or stored again because the store does not answer.
const announceTries = 10

// tell publishes an operational event about what this node decided in memory. It goes
// the way of an action's effects, so that its marks hold on all nodes.
func (n *node) tell(ctx context.Context, workspace hook.ID, notice hook.Notice) {
	var effects *hook.Effects
	err := errors.New("the configuration keeps changing")
	for range announceTries {
		if effects == nil {
			v, verr := n.catalog.Current(ctx, workspace)
			if verr == nil {
				effects, verr = v.PlanEffects(notice, n.ids, conditions{}.holds)
			}
			if verr == nil && effects == nil {
				return // nobody is to be told
			}
			err = verr
		}
		if effects != nil {
			var fate hook.Effect
			if fate, err = n.store.ApplyEffects(ctx, effects); err == nil && fate == hook.EffectDone {
				for _, t := range effects.Wake {
					n.worker.Waiting(t)
				}
				return
			}
			if !errors.Is(err, hook.ErrUnknownOutcome) {
				effects = nil // with the same ids only what may be stored already
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	n.log.WarnContext(ctx, "announce", "event_type", notice.Type, "error", err)
}

// alerts makes the attempts of alert mails.
type alerts struct{ n *node }

// givenUpWithin is how far back a mail about exhausted deliveries counts others.
const givenUpWithin = time.Hour

// Send mails an operational event to whom the workspace names.
func (a alerts) Send(ctx context.Context, t *hook.Target, j *hook.Job) hook.Attempt {
	m := alert.Mail{Event: j.Event, BaseURL: a.n.apiURL, At: a.n.ids.Now()}
	if v := a.n.catalog.Cached(t.Workspace); v != nil {
		m.Workspace = v.Workspace.Code
	}
	if target := alert.Target(j.Event); target != hook.NoID {
		others, err := a.n.store.GivenUp(ctx, t.Workspace, target, m.At.Add(-givenUpWithin))
		if err != nil { // a count is not worth the mail
			a.n.log.WarnContext(ctx, "alert.count", "error", err)
		}
		m.GivenUp = others
	}
	subject, text := m.Compose()
	return a.n.actions.SendAlert(ctx, j, t.Alerts.Emails, subject, text)
}
