package api

import (
	"context"
	"encoding/json"

	"github.com/oapi-codegen/nullable"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func auditJSON(e *hook.AuditEntry) gen.AuditEntry {
	document := func(b []byte) nullable.Nullable[json.RawMessage] {
		if b == nil {
			return nullable.NewNullNullable[json.RawMessage]()
		}
		return nullable.NewNullableWithValue(json.RawMessage(b))
	}
	out := gen.AuditEntry{
		Id: e.ID, At: wire.At(hook.TimeOf(e.ID)), Action: gen.AuditAction(e.Action),
		Actor: gen.Actor{
			Kind: gen.ActorKind(e.Actor.Kind), Id: orNull(e.Actor.Key), Code: orNull(e.Actor.Code), Name: orNull(e.Actor.Name),
			Role: orNull(string(e.Actor.Role)), Command: orNull(e.Actor.Command),
		},
		ClientAddress: orNull(e.Actor.ClientAddress), RequestId: orNull(e.Actor.RequestID),
		Workspace: nullable.NewNullNullable[gen.AuditWorkspace](),
		Resource:  gen.AuditResource{Kind: gen.AuditKind(e.Kind), Id: orNull(e.Resource), Code: orNull(e.Code), Name: orNull(e.Name)},
		Changed:   listOf(e.Changed), Before: document(e.Before), After: document(e.After),
		VersionBefore: orNull(e.VersionBefore), VersionAfter: orNull(e.VersionAfter),
	}
	if e.Workspace != hook.NoID {
		out.Workspace = nullable.NewNullableWithValue(gen.AuditWorkspace{Id: e.Workspace, Code: e.WorkspaceCode})
	}
	return out
}

// ListAuditLog answers one page of what was changed.
func (h handlers) ListAuditLog(ctx context.Context, r gen.ListAuditLogRequestObject) (gen.ListAuditLogResponseObject, error) {
	cl := callOf(ctx)
	scope, err := auditScope(cl.principal, (*hook.AuditScope)(r.Params.Scope))
	if err != nil {
		return nil, err
	}
	f := hook.AuditFilter{
		Scope: scope, Workspace: cl.principal.Workspace, Since: cl.since, Until: cl.until,
		Kinds: named[hook.AuditKind](r.Params.Kind), Actions: named[hook.AuditAction](r.Params.Action), ActorKinds: named[hook.ActorKind](r.Params.ActorKind),
	}
	if r.Params.Resource != nil {
		f.Resource = *r.Params.Resource
	}
	if r.Params.Actor != nil {
		f.Actor = *r.Params.Actor
	}
	if r.Params.RequestId != nil {
		f.RequestID = *r.Params.RequestId
	}
	rows, more, err := h.s.services.AuditLog.AuditLog(ctx, f, cl.page)
	if err != nil {
		return nil, err
	}
	data, last := page(rows, func(e *hook.AuditEntry) hook.ID { return e.ID }, auditJSON)
	return gen.ListAuditLog200JSONResponse{Body: gen.AuditLog{Data: data, NextCursor: cl.nextCursor(more, last)}}, nil
}

// named are the values of a parameter in the words of the nouns.
func named[To, From ~string](values *[]From) []To {
	if values == nil {
		return nil
	}
	out := make([]To, 0, len(*values))
	for _, v := range *values {
		out = append(out, To(v))
	}
	return out
}
