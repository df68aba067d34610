package api

import (
	"context"
	"encoding/json"

	"github.com/oapi-codegen/nullable"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func eventTypeJSON(t *hook.EventType) gen.EventType {
	schema := nullable.NewNullNullable[json.RawMessage]()
	if len(t.Schema) > 0 {
		schema = nullable.NewNullableWithValue(json.RawMessage(t.Schema))
	}
	return gen.EventType{
		Id: t.ID, Name: t.Name, Description: t.Description, Schema: schema, Mode: gen.SchemaMode(t.Mode), Sample: rawOrNull(t.Sample),
		Archived: t.Archived, Operational: t.Operational, LastPublishedAt: timeOrNull(t.LastPublishedAt), Metadata: stringMap(t.Metadata),
		Version: t.Version, CreatedAt: wire.At(t.CreatedAt), UpdatedAt: wire.At(t.UpdatedAt),
	}
}

// ListEventTypes answers one page of the catalogue.
func (h handlers) ListEventTypes(ctx context.Context, r gen.ListEventTypesRequestObject) (gen.ListEventTypesResponseObject, error) {
	cl := callOf(ctx)
	rows, more, err := h.s.services.Manager.ListEventTypes(ctx, cl.principal, cl.listFilter(r.Params.Metadata), cl.page)
	if err != nil {
		return nil, err
	}
	data, last := page(rows, func(t *hook.EventType) hook.ID { return t.ID }, eventTypeJSON)
	return gen.ListEventTypes200JSONResponse{Body: gen.EventTypeList{Data: data, NextCursor: cl.nextCursor(more, last)}}, nil
}

// CreateEventType adds an entry.
func (h handlers) CreateEventType(ctx context.Context, _ gen.CreateEventTypeRequestObject) (gen.CreateEventTypeResponseObject, error) {
	cl := callOf(ctx)
	t, err := h.s.services.Manager.CreateEventType(ctx, cl.principal, cl.body)
	if err != nil {
		return nil, err
	}
	return gen.CreateEventType201JSONResponse{
		Body:    eventTypeJSON(t.EventType),
		Headers: gen.CreateEventType201ResponseHeaders{ETag: etag(t.Version), Location: h.s.location("event-types", t.Name)},
	}, nil
}

// GetEventType answers one entry.
func (h handlers) GetEventType(ctx context.Context, r gen.GetEventTypeRequestObject) (gen.GetEventTypeResponseObject, error) {
	t, err := h.s.services.Manager.GetEventType(ctx, callOf(ctx).principal, r.Type)
	if err != nil {
		return nil, err
	}
	if notModified(r.Params.IfNoneMatch, t.Version) {
		return gen.GetEventType304Response{Headers: gen.NotModifiedResponseHeaders{ETag: etag(t.Version)}}, nil
	}
	return gen.GetEventType200JSONResponse{Body: eventTypeJSON(t), Headers: gen.GetEventType200ResponseHeaders{ETag: etag(t.Version)}}, nil
}

// PutEventType creates or replaces.
func (h handlers) PutEventType(ctx context.Context, r gen.PutEventTypeRequestObject) (gen.PutEventTypeResponseObject, error) {
	cl := callOf(ctx)
	t, err := h.s.services.Manager.PutEventType(ctx, cl.principal, r.Type, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, r.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	result := ptr(string(t.Change))
	if t.Change == hook.Created {
		return gen.PutEventType201JSONResponse{Body: eventTypeJSON(t.EventType), Headers: gen.PutEventType201ResponseHeaders{
			ETag: etag(t.Version), Location: h.s.location("event-types", t.Name), SallyportResult: result, SallyportChanged: changed(t.Changed),
		}}, nil
	}
	return gen.PutEventType200JSONResponse{Body: eventTypeJSON(t.EventType), Headers: gen.PutEventType200ResponseHeaders{
		ETag: etag(t.Version), SallyportResult: result, SallyportChanged: changed(t.Changed),
	}}, nil
}

// PatchEventType merges.
func (h handlers) PatchEventType(ctx context.Context, r gen.PatchEventTypeRequestObject) (gen.PatchEventTypeResponseObject, error) {
	cl := callOf(ctx)
	t, err := h.s.services.Manager.PatchEventType(ctx, cl.principal, r.Type, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, nil))
	if err != nil {
		return nil, err
	}
	return gen.PatchEventType200JSONResponse{Body: eventTypeJSON(t.EventType), Headers: gen.PatchEventType200ResponseHeaders{
		ETag: etag(t.Version), SallyportResult: ptr(string(t.Change)), SallyportChanged: changed(t.Changed),
	}}, nil
}

// DeleteEventType removes an entry.
func (h handlers) DeleteEventType(ctx context.Context, r gen.DeleteEventTypeRequestObject) (gen.DeleteEventTypeResponseObject, error) {
	if err := h.s.services.Manager.DeleteEventType(ctx, callOf(ctx).principal, r.Type, guardOf(r.Params.IfMatch, nil)); err != nil {
		return nil, err
	}
	return gen.DeleteEventType204Response{}, nil
}
