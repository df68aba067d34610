package api_test

import (
	"context"
	"strings"
	"time"

	"sallyport/internal/hook"
)

func (w *world) replay() hook.ReplayView {
	total := 812
	at := time.Date(2026, 11, 21, 2, 43, 0, 207_000_000, time.UTC)
	return hook.ReplayView{
		Replay: hook.Replay{
			ID: w.event.Key, Workspace: w.workspace.ID, State: hook.ReplayRunning, Reason: hook.ReplayBacklog, Total: &total, Done: 300, Skipped: 2,
			CreatedBy: w.apiKey.ID, StartedAt: &at,
			ReplaySpec: hook.ReplaySpec{
				TargetKind: hook.TargetWebhook, Target: w.webhook.ID, EventTypes: []string{"order.*"}, States: []hook.State{hook.StateFailed},
				EntityID: "A-7", Since: at.Add(-time.Hour), Until: at, Include: hook.ReplayFailed, Rate: 50, FreshIDs: true,
			},
		},
		TargetCode: "erp-orders", TargetName: "ERP orders", KeyCode: "billing", KeyName: "Billing",
	}
}

func (w *world) CreateReplay(_ context.Context, _ hook.Principal, doc []byte) (hook.ReplayView, *hook.ReplayCount, error) {
	err := w.ask(asked{method: "CreateReplay", doc: string(doc)})
	if strings.Contains(string(doc), `"dryRun":true`) {
		return hook.ReplayView{}, &hook.ReplayCount{Total: 812, Skipped: 2, UpTo: w.event.Timestamp}, err
	}
	return w.replay(), nil, err
}

func (w *world) GetReplay(_ context.Context, _ hook.Principal, id hook.ID) (hook.ReplayView, error) {
	return w.replay(), w.ask(asked{method: "GetReplay", ref: id.String()})
}

func (w *world) ListReplays(_ context.Context, _ hook.Principal, f hook.ReplayFilter, p hook.Page) ([]hook.ReplayView, bool, error) {
	whole := w.replay()
	bare := hook.ReplayView{Replay: hook.Replay{ID: whole.ID, State: hook.ReplaySucceeded, ReplaySpec: hook.ReplaySpec{
		TargetKind: hook.TargetWebhook, Until: whole.Until, Include: hook.ReplayMissed}}}
	action := whole
	action.TargetKind = hook.TargetAction
	return []hook.ReplayView{whole, bare, action}, w.more, w.ask(asked{method: "ListReplays", replays: f, page: p})
}

func (w *world) PauseReplay(_ context.Context, _ hook.Principal, id hook.ID) (hook.ReplayView, error) {
	return w.replay(), w.ask(asked{method: "PauseReplay", ref: id.String()})
}

func (w *world) ResumeReplay(_ context.Context, _ hook.Principal, id hook.ID) (hook.ReplayView, error) {
	return w.replay(), w.ask(asked{method: "ResumeReplay", ref: id.String()})
}

func (w *world) CancelReplay(_ context.Context, _ hook.Principal, id hook.ID) (hook.ReplayView, error) {
	return w.replay(), w.ask(asked{method: "CancelReplay", ref: id.String()})
}
