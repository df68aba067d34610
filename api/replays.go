package api

import (
	"context"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func replayJSON(r *hook.ReplayView) gen.Replay {
	out := gen.Replay{
		Id: r.ID, EventTypes: r.EventTypes, States: make([]gen.ReplayedState, 0, len(r.States)), EntityId: orNull(r.EntityID),
		Since: timeOrNull(&r.Since), Until: wire.At(r.Until), Include: gen.ReplayInclude(r.Include), Rate: orNull(r.Rate), FreshIds: r.FreshIDs,
		State: gen.ReplayState(r.State), StateReason: orNull(string(r.Reason)), Total: some(r.Total), Done: r.Done, Skipped: r.Skipped,
		CreatedAt: wire.At(r.CreatedAt()), StartedAt: timeOrNull(r.StartedAt), FinishedAt: timeOrNull(r.FinishedAt),
		Webhook: some[gen.ReplayTarget](nil), Action: some[gen.ReplayTarget](nil), CreatedBy: some[gen.ReplayCreator](nil),
	}
	if out.EventTypes == nil {
		out.EventTypes = []string{"*"}
	}
	for _, s := range r.States {
		out.States = append(out.States, gen.ReplayedState(s))
	}
	if r.Target != hook.NoID {
		target := some(&gen.ReplayTarget{Id: r.Target, Code: r.TargetCode, Name: r.TargetName})
		if r.TargetKind == hook.TargetAction {
			out.Action = target
		} else {
			out.Webhook = target
		}
	}
	if r.CreatedBy != hook.NoID {
		out.CreatedBy = some(&gen.ReplayCreator{Id: r.CreatedBy, Code: orNull(r.KeyCode), Name: orNull(r.KeyName)})
	}
	return out
}

// CreateReplay starts one, or counts what it would be about.
func (h handlers) CreateReplay(ctx context.Context, _ gen.CreateReplayRequestObject) (gen.CreateReplayResponseObject, error) {
	cl := callOf(ctx)
	v, count, err := h.s.services.Manager.CreateReplay(ctx, cl.principal, cl.body)
	if err != nil {
		return nil, err
	}
	if count != nil {
		return gen.CreateReplay200JSONResponse{Body: gen.ReplayCount{
			Total: count.Total, Skipped: count.Skipped, Complete: count.Complete, UpTo: timeOrNull(&count.UpTo),
		}}, nil
	}
	return gen.CreateReplay202JSONResponse{
		Body: replayJSON(&v), Headers: gen.CreateReplay202ResponseHeaders{Location: h.s.location("replays", v.ID.String())},
	}, nil
}

// ListReplays answers one page, of the caller's workspace and time.
func (h handlers) ListReplays(ctx context.Context, r gen.ListReplaysRequestObject) (gen.ListReplaysResponseObject, error) {
	cl := callOf(ctx)
	f := hook.ReplayFilter{Since: cl.since, Until: cl.until}
	for _, s := range values(r.Params.State) {
		f.States = append(f.States, hook.ReplayState(s))
	}
	for _, ref := range values(r.Params.Webhook) {
		id, _, err := h.s.webhookID(ctx, cl.principal, ref)
		if err != nil {
			return nil, err
		}
		f.Targets = append(f.Targets, id)
	}
	rows, more, err := h.s.services.Manager.ListReplays(ctx, cl.principal, f, cl.page)
	if err != nil {
		return nil, err
	}
	data, last := page(rows, func(r hook.ReplayView) hook.ID { return r.ID }, func(r hook.ReplayView) gen.Replay { return replayJSON(&r) })
	return gen.ListReplays200JSONResponse{Body: gen.ReplayList{Data: data, NextCursor: cl.nextCursor(more, last)}}, nil
}

// GetReplay answers how far it is.
func (h handlers) GetReplay(ctx context.Context, r gen.GetReplayRequestObject) (gen.GetReplayResponseObject, error) {
	v, err := h.s.services.Manager.GetReplay(ctx, callOf(ctx).principal, r.Replay)
	if err != nil {
		return nil, err
	}
	return gen.GetReplay200JSONResponse{Body: replayJSON(&v)}, nil
}

// PauseReplay lets it rest.
func (h handlers) PauseReplay(ctx context.Context, r gen.PauseReplayRequestObject) (gen.PauseReplayResponseObject, error) {
	v, err := h.s.services.Manager.PauseReplay(ctx, callOf(ctx).principal, r.Replay)
	if err != nil {
		return nil, err
	}
	return gen.PauseReplay200JSONResponse{Body: replayJSON(&v)}, nil
}

// ResumeReplay lets it go on.
func (h handlers) ResumeReplay(ctx context.Context, r gen.ResumeReplayRequestObject) (gen.ResumeReplayResponseObject, error) {
	v, err := h.s.services.Manager.ResumeReplay(ctx, callOf(ctx).principal, r.Replay)
	if err != nil {
		return nil, err
	}
	return gen.ResumeReplay200JSONResponse{Body: replayJSON(&v)}, nil
}

// CancelReplay ends it.
func (h handlers) CancelReplay(ctx context.Context, r gen.CancelReplayRequestObject) (gen.CancelReplayResponseObject, error) {
	v, err := h.s.services.Manager.CancelReplay(ctx, callOf(ctx).principal, r.Replay)
	if err != nil {
		return nil, err
	}
	return gen.CancelReplay200JSONResponse{Body: replayJSON(&v)}, nil
}
