package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

// eventJSON shows an event without its entity, which travels apart.
func eventJSON(e *hook.EventView) gen.Event {
	out := gen.Event{
		Id: e.ID, Type: e.Type, EntityId: entityIDJSON(e.EntityID), Timestamp: wire.At(e.Timestamp), AcceptedAt: wire.At(e.AcceptedAt()),
		Source: gen.Source{Kind: string(e.Source.Kind), Id: orNull(e.Source.ID), RequestId: orNull("")},
		Hops:   e.Hops, Matched: e.Matched,
	}
	if e.Deliveries != nil {
		counts := make(map[string]int, len(e.Deliveries))
		for state, n := range e.Deliveries {
			counts[string(state)] = n
		}
		out.Deliveries = &counts
	}
	if e.Source.RequestID != hook.NoID {
		out.Source.RequestId = orNull(e.Source.RequestID.String())
	}
	if e.EntityURL != "" {
		out.EntityUrl = ptr(e.EntityURL)
	}
	return out
}

// ListEvents searches.
func (h handlers) ListEvents(ctx context.Context, r gen.ListEventsRequestObject) (gen.ListEventsResponseObject, error) {
	cl := callOf(ctx)
	f := hook.EventFilter{
		Workspace: cl.principal.Workspace, SourceID: onlySource(cl.principal), Since: cl.since, Until: cl.until,
		IDs: values(r.Params.Id), Types: values(r.Params.Type), EntityIDs: values(r.Params.EntityId),
	}
	rows, more, err := h.s.services.History.Events(ctx, f, cl.page)
	if err != nil {
		return nil, err
	}
	data, last := page(rows, func(e hook.EventView) hook.ID { return e.Key }, func(e hook.EventView) gen.Event { return eventJSON(&e) })
	return gen.ListEvents200JSONResponse{Body: gen.EventList{Data: data, NextCursor: cl.nextCursor(more, last)}}, nil
}

func values[T any](list *[]T) []T {
	if list == nil {
		return nil
	}
	return *list
}

// event finds one that the caller may see.
func (s *Server) event(ctx context.Context, p hook.Principal, id string) (hook.EventView, error) {
	e, err := s.services.History.Event(ctx, p.Workspace, id)
	if err != nil {
		return e, err
	}
	if only := onlySource(p); only != hook.NoID && e.Source.ID != only {
		return hook.EventView{}, hook.NotFound("event", id)
	}
	return e, nil
}

// GetEvent answers one event.
func (h handlers) GetEvent(ctx context.Context, r gen.GetEventRequestObject) (gen.GetEventResponseObject, error) {
	e, err := h.s.event(ctx, callOf(ctx).principal, r.Event)
	if err != nil {
		return nil, err
	}
	return eventAnswer{&e}, nil
}

// appendEvent appends an event with its entity as exactly the bytes received.
func appendEvent(dst []byte, e *hook.EventView) ([]byte, error) {
	fields, err := json.Marshal(eventJSON(e))
	if err != nil {
		return nil, err
	}
	if len(e.Entity) == 0 {
		return append(dst, fields...), nil
	}
	dst = append(append(dst, bytes.TrimSuffix(fields, []byte("}"))...), `,"entity":`...)
	return append(append(dst, e.Entity...), '}'), nil
}

// eventAnswer writes an event with its entity as exactly the bytes received, which
// encoding/json would compact.
type eventAnswer struct{ event *hook.EventView }

// VisitGetEventResponse writes the answer.
func (a eventAnswer) VisitGetEventResponse(w http.ResponseWriter) error {
	body, err := appendEvent(nil, a.event)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}

// ListEventDeliveries answers where an event went.
func (h handlers) ListEventDeliveries(ctx context.Context, r gen.ListEventDeliveriesRequestObject) (gen.ListEventDeliveriesResponseObject, error) {
	cl := callOf(ctx)
	rows, more, err := h.s.services.History.EventDeliveries(ctx, cl.principal.Workspace, r.Event, states(r.Params.State), cl.page)
	if err != nil {
		return nil, err
	}
	return gen.ListEventDeliveries200JSONResponse{Body: cl.deliveryList(rows, more)}, nil
}

// ListEventMatches answers who got an event, and who not and why.
func (h handlers) ListEventMatches(ctx context.Context, r gen.ListEventMatchesRequestObject) (gen.ListEventMatchesResponseObject, error) {
	cl := callOf(ctx)
	rows, err := h.s.services.History.Matches(ctx, cl.principal.Workspace, r.Event)
	if err != nil {
		return nil, err
	}
	data, _ := page(rows, func(m hook.MatchView) hook.ID { return m.Webhook }, matchJSON)
	return gen.ListEventMatches200JSONResponse{Body: gen.MatchList{Data: data, NextCursor: orNull("")}}, nil
}

func matchJSON(m hook.MatchView) gen.Match {
	out := gen.Match{
		Webhook: gen.WebhookRef{Id: m.Webhook, Code: m.Code, Name: m.Name},
		Matched: m.Matched, Reason: orNull(m.Reason), Detail: orNull(m.Detail), Evaluated: gen.MatchEvaluated(m.Evaluated),
		Delivery: some[gen.MatchDelivery](nil),
	}
	if d := m.Delivery; d != nil {
		out.Delivery = some(&gen.MatchDelivery{Id: d.ID, State: gen.DeliveryState(d.State), StateReason: orNull(string(d.Reason))})
	}
	return out
}
