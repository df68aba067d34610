package api

import (
	"context"
	"encoding/json"
	"time"

	"sallyport/gen"
	"sallyport/internal/hook"
)

// RotateWebhookSecret brings a new secret.
func (h handlers) RotateWebhookSecret(ctx context.Context, r gen.RotateWebhookSecretRequestObject) (gen.RotateWebhookSecretResponseObject, error) {
	cl := callOf(ctx)
	res, err := h.s.services.Manager.RotateSecret(ctx, cl.principal, r.Webhook, cl.body)
	if err != nil {
		return nil, err
	}
	out := gen.RotateResult{Id: res.New.ID, Hint: res.New.Hint, PreviousExpiresAt: timeOrNull(res.PreviousExpiresAt)}
	if res.Secret != "" {
		out.Secret = ptr(string(res.Secret))
	}
	return gen.RotateWebhookSecret200JSONResponse{
		Body: out, Headers: gen.RotateWebhookSecret200ResponseHeaders{ETag: etag(res.Webhook.Version)},
	}, nil
}

// DeleteWebhookSecret ends one secret or all.
func (h handlers) DeleteWebhookSecret(ctx context.Context, r gen.DeleteWebhookSecretRequestObject) (gen.DeleteWebhookSecretResponseObject, error) {
	id := hook.NoID
	if r.Params.Id != nil {
		id = *r.Params.Id
	}
	if err := h.s.services.Manager.DeleteSecret(ctx, callOf(ctx).principal, r.Webhook, id); err != nil {
		return nil, err
	}
	return gen.DeleteWebhookSecret204Response{}, nil
}

// PauseWebhook holds its deliveries.
func (h handlers) PauseWebhook(ctx context.Context, r gen.PauseWebhookRequestObject) (gen.PauseWebhookResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.PauseWebhook(ctx, cl.principal, r.Webhook)
	if err != nil {
		return nil, err
	}
	return gen.PauseWebhook200JSONResponse{Body: webhookJSON(w, cl.principal), Headers: gen.PauseWebhook200ResponseHeaders{ETag: etag(w.Version)}}, nil
}

// ResumeWebhook lets them go.
func (h handlers) ResumeWebhook(ctx context.Context, r gen.ResumeWebhookRequestObject) (gen.ResumeWebhookResponseObject, error) {
	cl := callOf(ctx)
	res, err := h.s.services.Manager.ResumeWebhook(ctx, cl.principal, r.Webhook, cl.body)
	if err != nil {
		return nil, err
	}
	return gen.ResumeWebhook200JSONResponse{
		Body:    gen.ResumeResult{Webhook: webhookJSON(res.Webhook, cl.principal), Released: res.Released, ReplayId: orNull(res.Replay)},
		Headers: gen.ResumeWebhook200ResponseHeaders{ETag: etag(res.Webhook.Version)},
	}, nil
}

// TestWebhook sends a sample and answers the attempt.
func (h handlers) TestWebhook(ctx context.Context, r gen.TestWebhookRequestObject) (gen.TestWebhookResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.GetWebhook(ctx, cl.principal, r.Webhook)
	if err != nil {
		return nil, err
	}
	var in gen.TestInput
	if len(cl.body) > 0 {
		if err := validateBody(h.s.contract.operations["TestWebhook"].body, cl.body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(cl.body, &in); err != nil {
			return nil, err
		}
	}
	eventType := ""
	if in.EventType != nil {
		eventType = *in.EventType
	}
	a, err := h.s.services.Tester.Test(ctx, cl.principal, w.ID, eventType, cl.request)
	if err != nil {
		return nil, err
	}
	view := attemptView{curl: h.s.options.Curl}
	if w.BasicAuth != nil {
		view.user = w.BasicAuth.Username
	}
	return gen.TestWebhook200JSONResponse{Body: view.json(a)}, nil
}

// GetWebhookHealth answers how a webhook fares.
func (h handlers) GetWebhookHealth(ctx context.Context, r gen.GetWebhookHealthRequestObject) (gen.GetWebhookHealthResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.GetWebhook(ctx, cl.principal, r.Webhook)
	if err != nil {
		return nil, err
	}
	health, err := h.s.services.History.Health(ctx, cl.principal.Workspace, w.ID)
	if err != nil {
		return nil, err
	}
	return gen.GetWebhookHealth200JSONResponse{Body: healthJSON(&health, time.Now())}, nil
}

func healthJSON(h *hook.Health, now time.Time) gen.Health {
	breaker := gen.BreakerState(h.Breaker.State)
	if breaker == "" {
		breaker = "closed"
	}
	var waiting time.Duration
	if h.OldestPending != nil {
		waiting = max(now.Sub(*h.OldestPending), time.Microsecond)
	}
	return gen.Health{
		ConsecutiveFailures: h.ConsecutiveFailures, FailingSince: timeOrNull(h.FailingSince),
		LastSuccessAt: timeOrNull(h.LastSuccessAt), LastFailureAt: timeOrNull(h.LastFailureAt),
		LastStatus: orNull(h.LastStatus), LastErrorClass: orNull(string(h.LastErrorClass)),
		Breaker: gen.Breaker{State: breaker, OpenedAt: timeOrNull(h.Breaker.OpenedAt), NextProbeAt: timeOrNull(h.Breaker.NextProbeAt)},
		Pending: h.Pending, Held: h.Held, Running: h.Running, OldestPendingAgeMs: msOrNull(waiting),
		LatencyP50Ms: msOrNull(h.LatencyP50), LatencyP99Ms: msOrNull(h.LatencyP99),
	}
}

// ListWebhookDeliveries answers one page of a webhook's deliveries. Those of a deleted
// webhook can still be read by its id.
func (h handlers) ListWebhookDeliveries(ctx context.Context, r gen.ListWebhookDeliveriesRequestObject) (gen.ListWebhookDeliveriesResponseObject, error) {
	cl := callOf(ctx)
	id, gone, err := h.s.webhookID(ctx, cl.principal, r.Webhook)
	if err != nil {
		return nil, err
	}
	f := hook.DeliveryFilter{Targets: []hook.ID{id}, TargetKind: hook.TargetWebhook, States: states(r.Params.State)}
	list, err := h.s.deliveries(ctx, cl, f)
	if err != nil {
		return nil, err
	}
	if gone != nil && len(list.Data) == 0 && cl.page.After == hook.NoID {
		return nil, gone
	}
	return gen.ListWebhookDeliveries200JSONResponse{Body: list}, nil
}

// webhookID finds a webhook by id or code, see remembered.
func (s *Server) webhookID(ctx context.Context, p hook.Principal, ref string) (id hook.ID, gone, err error) {
	w, err := s.services.Manager.GetWebhook(ctx, p, ref)
	if err != nil {
		return remembered(ref, err)
	}
	return w.ID, nil, nil
}

// remembered is for what cannot be found: an id that is not there, or not any more, may still
// be known to the history. It returns that id, and as gone why it was not found.
func remembered(ref string, missing error) (id hook.ID, gone, err error) {
	if hook.KindOf(missing) != hook.KindNotFound || !hook.IsID(ref) {
		return hook.NoID, nil, missing
	}
	id, parseErr := hook.ParseID(ref)
	if parseErr != nil {
		return hook.NoID, nil, missing
	}
	return id, missing, nil
}
