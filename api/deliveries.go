package api

import (
	"context"
	"fmt"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func deliveryJSON(d *hook.DeliveryView) gen.Delivery {
	out := gen.Delivery{
		Id: d.ID, EventId: d.EventID, EventType: d.EventType, EntityId: entityIDJSON(d.EntityID),
		Target: gen.Target{Kind: string(d.TargetKind), Id: d.Target, Code: d.TargetCode, Name: d.TargetName},
		State:  gen.DeliveryState(d.State), StateReason: orNull(string(d.Reason)),
		AttemptCount: d.Attempts, MaxAttempts: d.MaxAttempts, NextAttemptAt: timeOrNull(d.NextAttemptAt), Test: d.Test,
		ReplayId: orNull(d.ReplayID), RequestId: orNull(d.RequestID), CreatedAt: wire.At(d.CreatedAt()),
		FirstAttemptAt: timeOrNull(d.FirstAttemptAt), FinishedAt: timeOrNull(&d.FinishedAt),
		LastAttempt: some[gen.AttemptSummary](nil),
	}
	if a := d.LastAttempt; a != nil {
		summary := gen.AttemptSummary{
			Number: a.Number, StartedAt: wire.At(a.StartedAt), Outcome: gen.Outcome(a.Outcome), Status: some[int](nil),
			ErrorClass: orNull(string(a.ErrorClass)), DurationMs: ms(a.Timings.Total),
		}
		if a.Response != nil {
			summary.Status = orNull(a.Response.Status)
		}
		out.LastAttempt = some(&summary)
	}
	return out
}

// deliveries answers one page, of the caller's workspace and time.
func (s *Server) deliveries(ctx context.Context, cl *call, f hook.DeliveryFilter) (gen.DeliveryList, error) {
	f.Workspace, f.Since, f.Until = cl.principal.Workspace, cl.since, cl.until
	rows, more, err := s.services.History.Deliveries(ctx, f, cl.page)
	if err != nil {
		return gen.DeliveryList{}, err
	}
	return cl.deliveryList(rows, more), nil
}

func (cl *call) deliveryList(rows []hook.DeliveryView, more bool) gen.DeliveryList {
	data, last := page(rows, func(d hook.DeliveryView) hook.ID { return d.ID }, func(d hook.DeliveryView) gen.Delivery { return deliveryJSON(&d) })
	return gen.DeliveryList{Data: data, NextCursor: cl.nextCursor(more, last)}
}

func states(list *[]gen.DeliveryState) (out []hook.State) {
	if list != nil {
		for _, s := range *list {
			out = append(out, hook.State(s))
		}
	}
	return out
}

// ListDeliveries searches across webhooks and actions.
func (h handlers) ListDeliveries(ctx context.Context, r gen.ListDeliveriesRequestObject) (gen.ListDeliveriesResponseObject, error) {
	cl := callOf(ctx)
	f := hook.DeliveryFilter{
		EventIDs: values(r.Params.EventId), EventTypes: values(r.Params.EventType), EntityIDs: values(r.Params.EntityId),
		States: states(r.Params.State), Replays: values(r.Params.ReplayId),
	}
	for _, ref := range values(r.Params.Webhook) {
		id, _, err := h.s.webhookID(ctx, cl.principal, ref)
		if err != nil {
			return nil, err
		}
		f.TargetKind, f.Targets = hook.TargetWebhook, append(f.Targets, id)
	}
	for _, ref := range values(r.Params.Action) {
		id, _, err := h.s.actionID(ctx, cl.principal, ref)
		if err != nil {
			return nil, err
		}
		f.TargetKind, f.Targets = hook.TargetAction, append(f.Targets, id)
	}
	if r.Params.Webhook != nil && r.Params.Action != nil {
		f.TargetKind = "" // the ids say enough
	}
	list, err := h.s.deliveries(ctx, cl, f)
	if err != nil {
		return nil, err
	}
	return gen.ListDeliveries200JSONResponse{Body: list}, nil
}

// GetDelivery answers one delivery with its attempts.
func (h handlers) GetDelivery(ctx context.Context, r gen.GetDeliveryRequestObject) (gen.GetDeliveryResponseObject, error) {
	p := callOf(ctx).principal
	row, attempts, err := h.s.services.History.Delivery(ctx, p.Workspace, r.Delivery)
	if err != nil {
		return nil, err
	}
	view, err := h.s.attemptView(ctx, p, row.TargetKind, row.Target)
	if err != nil {
		return nil, err
	}
	d := deliveryJSON(&row)
	list, _ := page(attempts, func(a hook.Attempt) hook.ID { return a.ID }, func(a hook.Attempt) gen.Attempt { return view.json(&a) })
	return gen.GetDelivery200JSONResponse{Body: gen.DeliveryWithAttempts{
		Id: d.Id, EventId: d.EventId, EventType: d.EventType, EntityId: d.EntityId, Target: d.Target, State: d.State, StateReason: d.StateReason,
		AttemptCount: d.AttemptCount, MaxAttempts: d.MaxAttempts, NextAttemptAt: d.NextAttemptAt, Test: d.Test, ReplayId: d.ReplayId,
		RequestId: d.RequestId, CreatedAt: d.CreatedAt, FirstAttemptAt: d.FirstAttemptAt, FinishedAt: d.FinishedAt, LastAttempt: d.LastAttempt,
		Attempts: list,
	}}, nil
}

// RetryDelivery makes it due.
func (h handlers) RetryDelivery(ctx context.Context, r gen.RetryDeliveryRequestObject) (gen.RetryDeliveryResponseObject, error) {
	workspace := callOf(ctx).principal.Workspace
	if err := h.s.services.Operator.Retry(ctx, workspace, r.Delivery); err != nil {
		return nil, err
	}
	row, _, err := h.s.services.History.Delivery(ctx, workspace, r.Delivery)
	if err != nil {
		return nil, err
	}
	return gen.RetryDelivery202JSONResponse{
		Body: deliveryJSON(&row), Headers: gen.RetryDelivery202ResponseHeaders{Location: h.s.location("deliveries", r.Delivery.String())},
	}, nil
}

// SkipDelivery gives it up.
func (h handlers) SkipDelivery(ctx context.Context, r gen.SkipDeliveryRequestObject) (gen.SkipDeliveryResponseObject, error) {
	workspace := callOf(ctx).principal.Workspace
	if err := h.s.services.Operator.Skip(ctx, workspace, r.Delivery); err != nil {
		return nil, err
	}
	row, _, err := h.s.services.History.Delivery(ctx, workspace, r.Delivery)
	if err != nil {
		return nil, err
	}
	return gen.SkipDelivery200JSONResponse{Body: deliveryJSON(&row)}, nil
}

// GetAttemptRequestBody answers the bytes that went out.
func (h handlers) GetAttemptRequestBody(ctx context.Context, r gen.GetAttemptRequestBodyRequestObject) (gen.GetAttemptRequestBodyResponseObject, error) {
	a, err := h.s.services.History.Attempt(ctx, callOf(ctx).principal.Workspace, r.Delivery, r.Attempt)
	if err != nil {
		return nil, err
	}
	if a.Request == nil {
		return nil, hook.Errorf(hook.KindNotFound, "attempt %s made no request", r.Attempt)
	}
	return gen.GetAttemptRequestBody200ApplicationoctetStreamResponse{RawBodyApplicationoctetStreamResponse: rawBody(&a, a.Request.Body, "request")}, nil
}

// GetAttemptResponseBody answers the bytes that came back.
func (h handlers) GetAttemptResponseBody(ctx context.Context, r gen.GetAttemptResponseBodyRequestObject) (gen.GetAttemptResponseBodyResponseObject, error) {
	a, err := h.s.services.History.Attempt(ctx, callOf(ctx).principal.Workspace, r.Delivery, r.Attempt)
	if err != nil {
		return nil, err
	}
	if a.Response == nil {
		return nil, hook.Errorf(hook.KindNotFound, "attempt %s got no response", r.Attempt)
	}
	return gen.GetAttemptResponseBody200ApplicationoctetStreamResponse{RawBodyApplicationoctetStreamResponse: rawBody(&a, a.Response.Body, "response")}, nil
}

// rawBody names the bytes of an attempt.
func rawBody(a *hook.Attempt, b hook.Body, which string) gen.RawBodyApplicationoctetStreamResponse {
	return attachment(b, fmt.Sprintf("attempt-%d-%s", a.Number, which))
}
