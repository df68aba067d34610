package api

import (
	"context"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func apiKeyJSON(k *hook.APIKey) gen.APIKey {
	return gen.APIKey{
		Id: k.ID, Code: k.Code, Name: k.Name, Role: gen.Role(k.Role), Platform: k.Platform, Prefix: k.Prefix,
		ExpiresAt: timeOrNull(k.ExpiresAt), LastUsedAt: timeOrNull(k.LastUsedAt), Metadata: stringMap(k.Metadata),
		Version: k.Version, CreatedAt: wire.At(k.CreatedAt), UpdatedAt: wire.At(k.UpdatedAt),
	}
}

// apiKeyWithKey shows a generated key, this once.
func apiKeyWithKey(r hook.APIKeyResult) gen.APIKeyWithKey {
	k := apiKeyJSON(r.APIKey)
	out := gen.APIKeyWithKey{
		Id: k.Id, Code: k.Code, Name: k.Name, Role: k.Role, Platform: k.Platform, Prefix: k.Prefix,
		ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, Metadata: k.Metadata, Version: k.Version, CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
	}
	if r.Key != "" {
		out.Key = ptr(string(r.Key))
	}
	return out
}

// ListAPIKeys answers one page of keys.
func (h handlers) ListAPIKeys(ctx context.Context, r gen.ListAPIKeysRequestObject) (gen.ListAPIKeysResponseObject, error) {
	cl := callOf(ctx)
	rows, more, err := h.s.services.Manager.ListAPIKeys(ctx, cl.principal, cl.listFilter(r.Params.Metadata), cl.page)
	if err != nil {
		return nil, err
	}
	data, last := page(rows, func(k *hook.APIKey) hook.ID { return k.ID }, apiKeyJSON)
	return gen.ListAPIKeys200JSONResponse{Body: gen.APIKeyList{Data: data, NextCursor: cl.nextCursor(more, last)}}, nil
}

// CreateAPIKey makes a key and shows it.
func (h handlers) CreateAPIKey(ctx context.Context, _ gen.CreateAPIKeyRequestObject) (gen.CreateAPIKeyResponseObject, error) {
	cl := callOf(ctx)
	k, err := h.s.services.Manager.CreateAPIKey(ctx, cl.principal, cl.body)
	if err != nil {
		return nil, err
	}
	return gen.CreateAPIKey201JSONResponse{
		Body:    apiKeyWithKey(k),
		Headers: gen.CreateAPIKey201ResponseHeaders{ETag: etag(k.Version), Location: h.s.location("api-keys", k.ID.String())},
	}, nil
}

// GetAPIKey answers one key.
func (h handlers) GetAPIKey(ctx context.Context, r gen.GetAPIKeyRequestObject) (gen.GetAPIKeyResponseObject, error) {
	k, err := h.s.services.Manager.GetAPIKey(ctx, callOf(ctx).principal, r.Key)
	if err != nil {
		return nil, err
	}
	if notModified(r.Params.IfNoneMatch, k.Version) {
		return gen.GetAPIKey304Response{Headers: gen.NotModifiedResponseHeaders{ETag: etag(k.Version)}}, nil
	}
	return gen.GetAPIKey200JSONResponse{Body: apiKeyJSON(k), Headers: gen.GetAPIKey200ResponseHeaders{ETag: etag(k.Version)}}, nil
}

// PutAPIKey creates or replaces.
func (h handlers) PutAPIKey(ctx context.Context, r gen.PutAPIKeyRequestObject) (gen.PutAPIKeyResponseObject, error) {
	cl := callOf(ctx)
	k, err := h.s.services.Manager.PutAPIKey(ctx, cl.principal, r.Key, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, r.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	result := ptr(string(k.Change))
	if k.Change == hook.Created {
		return gen.PutAPIKey201JSONResponse{Body: apiKeyWithKey(k), Headers: gen.PutAPIKey201ResponseHeaders{
			ETag: etag(k.Version), Location: h.s.location("api-keys", k.ID.String()), SallyportResult: result, SallyportChanged: changed(k.Changed),
		}}, nil
	}
	return gen.PutAPIKey200JSONResponse{Body: apiKeyJSON(k.APIKey), Headers: gen.PutAPIKey200ResponseHeaders{
		ETag: etag(k.Version), SallyportResult: result, SallyportChanged: changed(k.Changed),
	}}, nil
}

// PatchAPIKey merges.
func (h handlers) PatchAPIKey(ctx context.Context, r gen.PatchAPIKeyRequestObject) (gen.PatchAPIKeyResponseObject, error) {
	cl := callOf(ctx)
	k, err := h.s.services.Manager.PatchAPIKey(ctx, cl.principal, r.Key, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, nil))
	if err != nil {
		return nil, err
	}
	return gen.PatchAPIKey200JSONResponse{Body: apiKeyJSON(k.APIKey), Headers: gen.PatchAPIKey200ResponseHeaders{
		ETag: etag(k.Version), SallyportResult: ptr(string(k.Change)), SallyportChanged: changed(k.Changed),
	}}, nil
}

// DeleteAPIKey revokes.
func (h handlers) DeleteAPIKey(ctx context.Context, r gen.DeleteAPIKeyRequestObject) (gen.DeleteAPIKeyResponseObject, error) {
	if err := h.s.services.Manager.DeleteAPIKey(ctx, callOf(ctx).principal, r.Key, guardOf(r.Params.IfMatch, nil)); err != nil {
		return nil, err
	}
	return gen.DeleteAPIKey204Response{}, nil
}
