package api

import (
	"context"
	"encoding/json"
	"maps"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

// actionJSON shows an action without any secret.
func actionJSON(a hook.ActionView) gen.Action {
	return gen.Action{
		Id: a.ID, Code: a.Code, Name: a.Name, Description: a.Description, Type: gen.ActionType(a.Type), Config: a.Config,
		Condition: orNull(a.Condition), Enabled: a.Enabled, MaxAttempts: a.MaxAttempts, Retry: retryJSON(a.Retry), Timeout: hook.FormatDuration(a.Timeout),
		Secrets: namedSecretsJSON(a.Secrets), Metadata: stringMap(a.Metadata), State: gen.ActionState(a.State()), Warnings: listOf(a.Warnings),
		Version: a.Version, CreatedAt: wire.At(a.CreatedAt), UpdatedAt: wire.At(a.UpdatedAt),
	}
}

// ListActions answers one page of actions.
func (h handlers) ListActions(ctx context.Context, r gen.ListActionsRequestObject) (gen.ListActionsResponseObject, error) {
	cl := callOf(ctx)
	rows, more, err := h.s.services.Manager.ListActions(ctx, cl.principal, cl.listFilter(r.Params.Metadata), cl.page)
	if err != nil {
		return nil, err
	}
	data, last := page(rows, func(a hook.ActionView) hook.ID { return a.ID }, actionJSON)
	return gen.ListActions200JSONResponse{Body: gen.ActionList{Data: data, NextCursor: cl.nextCursor(more, last)}}, nil
}

// CreateAction makes an action.
func (h handlers) CreateAction(ctx context.Context, _ gen.CreateActionRequestObject) (gen.CreateActionResponseObject, error) {
	cl := callOf(ctx)
	a, err := h.s.services.Manager.CreateAction(ctx, cl.principal, cl.body)
	if err != nil {
		return nil, err
	}
	return gen.CreateAction201JSONResponse{
		Body:    actionJSON(a.ActionView),
		Headers: gen.CreateAction201ResponseHeaders{ETag: etag(a.Version), Location: h.s.location("actions", a.ID.String())},
	}, nil
}

// GetAction answers one action.
func (h handlers) GetAction(ctx context.Context, r gen.GetActionRequestObject) (gen.GetActionResponseObject, error) {
	a, err := h.s.services.Manager.GetAction(ctx, callOf(ctx).principal, r.Action)
	if err != nil {
		return nil, err
	}
	if notModified(r.Params.IfNoneMatch, a.Version) {
		return gen.GetAction304Response{Headers: gen.NotModifiedResponseHeaders{ETag: etag(a.Version)}}, nil
	}
	return gen.GetAction200JSONResponse{Body: actionJSON(a), Headers: gen.GetAction200ResponseHeaders{ETag: etag(a.Version)}}, nil
}

// PutAction creates or replaces.
func (h handlers) PutAction(ctx context.Context, r gen.PutActionRequestObject) (gen.PutActionResponseObject, error) {
	cl := callOf(ctx)
	a, err := h.s.services.Manager.PutAction(ctx, cl.principal, r.Action, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, r.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	result := ptr(string(a.Change))
	if a.Change == hook.Created {
		return gen.PutAction201JSONResponse{Body: actionJSON(a.ActionView), Headers: gen.PutAction201ResponseHeaders{
			ETag: etag(a.Version), Location: h.s.location("actions", a.ID.String()), SallyportResult: result, SallyportChanged: changed(a.Changed),
		}}, nil
	}
	return gen.PutAction200JSONResponse{Body: actionJSON(a.ActionView), Headers: gen.PutAction200ResponseHeaders{
		ETag: etag(a.Version), SallyportResult: result, SallyportChanged: changed(a.Changed),
	}}, nil
}

// PatchAction merges.
func (h handlers) PatchAction(ctx context.Context, r gen.PatchActionRequestObject) (gen.PatchActionResponseObject, error) {
	cl := callOf(ctx)
	a, err := h.s.services.Manager.PatchAction(ctx, cl.principal, r.Action, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, nil))
	if err != nil {
		return nil, err
	}
	return gen.PatchAction200JSONResponse{Body: actionJSON(a.ActionView), Headers: gen.PatchAction200ResponseHeaders{
		ETag: etag(a.Version), SallyportResult: ptr(string(a.Change)), SallyportChanged: changed(a.Changed),
	}}, nil
}

// DeleteAction removes an action; its history stays.
func (h handlers) DeleteAction(ctx context.Context, r gen.DeleteActionRequestObject) (gen.DeleteActionResponseObject, error) {
	if err := h.s.services.Manager.DeleteAction(ctx, callOf(ctx).principal, r.Action, guardOf(r.Params.IfMatch, nil)); err != nil {
		return nil, err
	}
	return gen.DeleteAction204Response{}, nil
}

// TestAction runs it now and answers the attempt.
func (h handlers) TestAction(ctx context.Context, r gen.TestActionRequestObject) (gen.TestActionResponseObject, error) {
	cl := callOf(ctx)
	a, err := h.s.services.Manager.GetAction(ctx, cl.principal, r.Action)
	if err != nil {
		return nil, err
	}
	variables, err := h.s.variables(cl.body)
	if err != nil {
		return nil, err
	}
	attempt, err := h.s.services.ActionTester.TestAction(ctx, cl.principal, a.ID, variables, cl.request)
	if err != nil {
		return nil, err
	}
	return gen.TestAction200JSONResponse{Body: attemptView{curl: h.s.options.Curl}.json(attempt)}, nil
}

// variables makes one object of what a test is given: the members of context, with item
// and event beside them. Each keeps the bytes it came as.
func (s *Server) variables(body []byte) ([]byte, error) {
	all := map[string]json.RawMessage{}
	if len(body) > 0 {
		if err := validateBody(s.contract.operations["TestAction"].body, body); err != nil {
			return nil, err
		}
		var in struct {
			Context map[string]json.RawMessage `json:"context"`
			Item    json.RawMessage            `json:"item"`
			Event   json.RawMessage            `json:"event"`
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		maps.Copy(all, in.Context)
		if in.Item != nil {
			all["item"] = in.Item
		}
		if in.Event != nil {
			all["event"] = in.Event
		}
	}
	return json.Marshal(all)
}

// ListActionDeliveries answers one page of an action's runs. Those of a deleted action
// can still be read by its id.
func (h handlers) ListActionDeliveries(ctx context.Context, r gen.ListActionDeliveriesRequestObject) (gen.ListActionDeliveriesResponseObject, error) {
	cl := callOf(ctx)
	id, gone, err := h.s.actionID(ctx, cl.principal, r.Action)
	if err != nil {
		return nil, err
	}
	f := hook.DeliveryFilter{Targets: []hook.ID{id}, TargetKind: hook.TargetAction, States: states(r.Params.State)}
	list, err := h.s.deliveries(ctx, cl, f)
	if err != nil {
		return nil, err
	}
	if gone != nil && len(list.Data) == 0 && cl.page.After == hook.NoID {
		return nil, gone
	}
	return gen.ListActionDeliveries200JSONResponse{Body: list}, nil
}

// actionID finds an action by id or code, see remembered.
func (s *Server) actionID(ctx context.Context, p hook.Principal, ref string) (id hook.ID, gone, err error) {
	a, err := s.services.Manager.GetAction(ctx, p, ref)
	if err != nil {
		return remembered(ref, err)
	}
	return a.ID, nil, nil
}
