package api

import (
	"context"
	"net/url"
	"strings"

	"github.com/oapi-codegen/nullable"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func workspaceJSON(w *hook.Workspace) gen.Workspace {
	limit := func(n int) nullable.Nullable[int] { return orNull(n) }
	return gen.Workspace{
		Id: w.ID, Code: w.Code, Name: w.Name, Strict: w.Strict, Retention: durationOrNull(w.Retention), AuditRetention: durationOrNull(w.AuditRetention),
		Limits:   gen.Limits{EventsPerSecond: limit(w.Limits.EventsPerSecond), PendingDeliveries: limit(w.Limits.PendingDeliveries)},
		Alerts:   alertsJSON(w.Alerts),
		Metadata: stringMap(w.Metadata), Version: w.Version, CreatedAt: wire.At(w.CreatedAt), UpdatedAt: wire.At(w.UpdatedAt),
	}
}

// byCode reports a list that is sorted by code: its cursors are codes.
func byCode(query url.Values) bool {
	return strings.TrimPrefix(query.Get("sort"), "-") == string(hook.SortCode)
}

func alertsJSON(a *hook.Alerts) nullable.Nullable[gen.Alerts] {
	if a == nil {
		return nullable.NewNullNullable[gen.Alerts]()
	}
	return nullable.NewNullableWithValue(gen.Alerts{Emails: a.Emails, EventTypes: &a.EventTypes})
}

// ListWorkspaces answers one page of workspaces.
func (h handlers) ListWorkspaces(ctx context.Context, r gen.ListWorkspacesRequestObject) (gen.ListWorkspacesResponseObject, error) {
	cl := callOf(ctx)
	f := hook.WorkspaceFilter{ListFilter: cl.listFilter(r.Params.Metadata), AfterCode: cl.after}
	if sort := r.Params.Sort; sort != nil {
		if r.Params.Order != nil {
			return nil, invalidParameter("order", "order goes without sort: write sort=-"+strings.TrimPrefix(string(*sort), "-")+" for the largest first")
		}
		by, largestFirst := strings.CutPrefix(string(*sort), "-")
		cl.page.Asc = !largestFirst
		if by != "createdAt" {
			f.Sort = hook.WorkspaceSort(by)
		}
	}
	rows, more, err := h.s.workspaces(ctx, cl, f)
	if err != nil {
		return nil, err
	}
	data, last := page(rows, func(w *hook.Workspace) hook.ID { return w.ID }, workspaceJSON)
	list := gen.WorkspaceList{Data: data, NextCursor: cl.nextCursor(more, last)}
	if more && f.Sort == hook.SortCode {
		list.NextCursor = orNull(encodeCursor([]byte(rows[len(rows)-1].Code), cl.asked))
	}
	if r.Params.Include != nil {
		if err := h.s.addStats(ctx, list.Data); err != nil {
			return nil, err
		}
	}
	return gen.ListWorkspaces200JSONResponse{Body: list}, nil
}

// workspaces reads one page in the order that is asked for.
func (s *Server) workspaces(ctx context.Context, cl *call, f hook.WorkspaceFilter) ([]*hook.Workspace, bool, error) {
	if f.Sort.ByBacklog() {
		rows, err := s.services.Stats.Ranked(ctx, f, cl.page)
		return rows, false, err
	}
	return s.services.Manager.ListWorkspaces(ctx, cl.principal, f, cl.page)
}

// CreateWorkspace makes a tenant.
func (h handlers) CreateWorkspace(ctx context.Context, _ gen.CreateWorkspaceRequestObject) (gen.CreateWorkspaceResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.CreateWorkspace(ctx, cl.principal, cl.body)
	if err != nil {
		return nil, err
	}
	return gen.CreateWorkspace201JSONResponse{
		Body:    workspaceJSON(w.Workspace),
		Headers: gen.CreateWorkspace201ResponseHeaders{ETag: etag(w.Version), Location: h.s.location("workspaces", w.ID.String())},
	}, nil
}

// GetWorkspace answers one workspace.
func (h handlers) GetWorkspace(ctx context.Context, r gen.GetWorkspaceRequestObject) (gen.GetWorkspaceResponseObject, error) {
	w, err := h.s.services.Manager.GetWorkspace(ctx, callOf(ctx).principal, r.Workspace)
	if err != nil {
		return nil, err
	}
	if notModified(r.Params.IfNoneMatch, w.Version) {
		return gen.GetWorkspace304Response{Headers: gen.NotModifiedResponseHeaders{ETag: etag(w.Version)}}, nil
	}
	return gen.GetWorkspace200JSONResponse{Body: workspaceJSON(w), Headers: gen.GetWorkspace200ResponseHeaders{ETag: etag(w.Version)}}, nil
}

// PutWorkspace creates or replaces.
func (h handlers) PutWorkspace(ctx context.Context, r gen.PutWorkspaceRequestObject) (gen.PutWorkspaceResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.PutWorkspace(ctx, cl.principal, r.Workspace, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, r.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	result := ptr(string(w.Change))
	if w.Change == hook.Created {
		return gen.PutWorkspace201JSONResponse{Body: workspaceJSON(w.Workspace), Headers: gen.PutWorkspace201ResponseHeaders{
			ETag: etag(w.Version), Location: h.s.location("workspaces", w.ID.String()), SallyportResult: result, SallyportChanged: changed(w.Changed),
		}}, nil
	}
	return gen.PutWorkspace200JSONResponse{Body: workspaceJSON(w.Workspace), Headers: gen.PutWorkspace200ResponseHeaders{
		ETag: etag(w.Version), SallyportResult: result, SallyportChanged: changed(w.Changed),
	}}, nil
}

// PatchWorkspace merges.
func (h handlers) PatchWorkspace(ctx context.Context, r gen.PatchWorkspaceRequestObject) (gen.PatchWorkspaceResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.PatchWorkspace(ctx, cl.principal, r.Workspace, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, nil))
	if err != nil {
		return nil, err
	}
	return gen.PatchWorkspace200JSONResponse{Body: workspaceJSON(w.Workspace), Headers: gen.PatchWorkspace200ResponseHeaders{
		ETag: etag(w.Version), SallyportResult: ptr(string(w.Change)), SallyportChanged: changed(w.Changed),
	}}, nil
}

// DeleteWorkspace closes a tenant.
func (h handlers) DeleteWorkspace(ctx context.Context, r gen.DeleteWorkspaceRequestObject) (gen.DeleteWorkspaceResponseObject, error) {
	err := h.s.services.Manager.DeleteWorkspace(ctx, callOf(ctx).principal, r.Workspace, r.Params.Confirm, guardOf(r.Params.IfMatch, nil))
	if err != nil {
		return nil, err
	}
	return gen.DeleteWorkspace202Response{}, nil
}

// writeOf says how a PUT or PATCH is meant.
func writeOf(dryRun *bool, ifMatch, ifNoneMatch *string) hook.Write {
	return hook.Write{Guard: guardOf(ifMatch, ifNoneMatch), DryRun: dryRun != nil && *dryRun}
}
