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

// webhookJSON shows a webhook without any secret. Viewers see a URL that is a
// credential masked.
func webhookJSON(w hook.WebhookView, p hook.Principal) gen.Webhook {
	shownURL := w.URL
	if w.URLSecret && p.Role == hook.RoleViewer {
		shownURL = maskURL(w.URL)
	}
	out := gen.Webhook{
		Id: w.ID, Number: w.Number, Code: w.Code, Name: w.Name, Description: w.Description,
		Url: shownURL, UrlSecret: w.URLSecret, Method: gen.Method(w.Method), ContentType: w.ContentType, Profile: gen.Profile(w.Profile),
		Signature: signatureJSON(w.Signature), EventTypes: w.EventTypes, Filter: orNull(w.Filter),
		IncludeEntity: w.IncludeEntity, Enabled: w.Enabled, Paused: w.Paused,
		Secrets: make([]gen.Secret, 0, len(w.Secrets)), BasicAuth: nullable.NewNullNullable[gen.BasicAuth](), Headers: make([]gen.Header, 0, len(w.Headers)),
		MaxAttempts: w.MaxAttempts, Retry: retryJSON(w.Retry), Timeout: hook.FormatDuration(w.Timeout), SuccessCodes: w.SuccessCodes,
		MaxInFlight: orNull(w.MaxInFlight), RateLimit: nullable.NewNullNullable[gen.RateLimit](), Ordering: w.Ordering,
		Metadata: stringMap(w.Metadata), State: gen.WebhookState(w.State()), StateReason: orNull(w.StateReason()), StateSince: timeOrNull(&w.StateSince),
		Warnings: w.Warnings, Version: w.Version, CreatedAt: wire.At(w.CreatedAt), UpdatedAt: wire.At(w.UpdatedAt),
	}
	if out.Ordering == "" {
		out.Ordering = "none"
	}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	for _, s := range w.Secrets {
		out.Secrets = append(out.Secrets, gen.Secret{Id: s.ID, Hint: s.Hint, CreatedAt: wire.At(s.CreatedAt), ExpiresAt: timeOrNull(s.ExpiresAt)})
	}
	if w.BasicAuth != nil {
		out.BasicAuth = nullable.NewNullableWithValue(gen.BasicAuth{Username: w.BasicAuth.Username})
	}
	for _, h := range w.Headers {
		// Secret is said even where it is not so: sent back, it must not be guessed anew.
		shown := gen.Header{Name: h.Name, Secret: ptr(h.Secret)}
		if !h.Secret {
			shown.Value = ptr(string(h.Value))
		}
		out.Headers = append(out.Headers, shown)
	}
	if w.RateLimit != nil {
		out.RateLimit = nullable.NewNullableWithValue(gen.RateLimit{Requests: w.RateLimit.Requests, Per: ptr(hook.FormatDuration(w.RateLimit.Per))})
	}
	return out
}

// maskURL hides the parts of a URL that may be a credential: query values and the last
// segment of the path.
func maskURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return hook.HiddenMark
	}
	masked := u.Scheme + "://" + u.Host
	path := u.EscapedPath()
	if at := strings.LastIndexByte(path, '/'); at >= 0 && at < len(path)-1 {
		path = path[:at+1] + hook.HiddenMark
	}
	masked += path
	if u.RawQuery != "" {
		masked += "?"
		for i, pair := range strings.Split(u.RawQuery, "&") {
			name, _, _ := strings.Cut(pair, "=")
			if i > 0 {
				masked += "&"
			}
			masked += name + "=[redacted]"
		}
	}
	return masked
}

func signatureJSON(c *hook.CustomSignature) nullable.Nullable[gen.Signature] {
	if c == nil {
		return nullable.NewNullNullable[gen.Signature]()
	}
	return nullable.NewNullableWithValue(gen.Signature{
		Algorithm: gen.SignatureAlgorithm(c.Algorithm), Header: c.Header, Encoding: ptr(gen.SignatureEncoding(c.Encoding)),
		Prefix: ptr(c.Prefix), Content: ptr(c.Content),
	})
}

func retryJSON(r hook.Retry) gen.Retry {
	out := gen.Retry{Jitter: ptr(r.Jitter)}
	switch {
	case r.Exponential != nil:
		e := gen.Exponential{Initial: hook.FormatDuration(r.Exponential.Initial), Factor: ptr(r.Exponential.Factor)}
		if r.Exponential.Max > 0 {
			e.Max = ptr(hook.FormatDuration(r.Exponential.Max))
		}
		out.Exponential = &e
	case r.Linear != nil:
		out.Linear = &gen.Linear{Interval: hook.FormatDuration(r.Linear.Interval)}
	default:
		waits := make([]string, 0, len(r.Schedule))
		for _, d := range r.Schedule {
			waits = append(waits, hook.FormatDuration(d))
		}
		out.Schedule = &waits
	}
	return out
}

// webhookWithSecret adds the secret where one was generated.
func webhookWithSecret(r hook.WebhookResult, p hook.Principal) gen.WebhookWithSecret {
	w := webhookJSON(r.WebhookView, p)
	out := gen.WebhookWithSecret{
		Id: w.Id, Number: w.Number, Code: w.Code, Name: w.Name, Description: w.Description,
		Url: w.Url, UrlSecret: w.UrlSecret, Method: w.Method, ContentType: w.ContentType, Profile: w.Profile,
		Signature: w.Signature, EventTypes: w.EventTypes, Filter: w.Filter, IncludeEntity: w.IncludeEntity, Enabled: w.Enabled, Paused: w.Paused,
		Secrets: w.Secrets, BasicAuth: w.BasicAuth, Headers: w.Headers, MaxAttempts: w.MaxAttempts, Retry: w.Retry, Timeout: w.Timeout,
		SuccessCodes: w.SuccessCodes, MaxInFlight: w.MaxInFlight, RateLimit: w.RateLimit, Ordering: w.Ordering, Metadata: w.Metadata,
		State: gen.WebhookWithSecretState(w.State), StateReason: w.StateReason, StateSince: w.StateSince, Warnings: w.Warnings,
		Version: w.Version, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
	if r.Secret != "" {
		out.Secret = ptr(string(r.Secret))
	}
	return out
}

// ListWebhooks answers one page of webhooks.
func (h handlers) ListWebhooks(ctx context.Context, r gen.ListWebhooksRequestObject) (gen.ListWebhooksResponseObject, error) {
	cl := callOf(ctx)
	rows, more, err := h.s.services.Manager.ListWebhooks(ctx, cl.principal, cl.listFilter(r.Params.Metadata), cl.page)
	if err != nil {
		return nil, err
	}
	data, last := page(rows, func(w hook.WebhookView) hook.ID { return w.ID }, func(w hook.WebhookView) gen.Webhook { return webhookJSON(w, cl.principal) })
	return gen.ListWebhooks200JSONResponse{Body: gen.WebhookList{Data: data, NextCursor: cl.nextCursor(more, last)}}, nil
}

// CreateWebhook makes a webhook.
func (h handlers) CreateWebhook(ctx context.Context, _ gen.CreateWebhookRequestObject) (gen.CreateWebhookResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.CreateWebhook(ctx, cl.principal, cl.body)
	if err != nil {
		return nil, err
	}
	return gen.CreateWebhook201JSONResponse{
		Body:    webhookWithSecret(w, cl.principal),
		Headers: gen.CreateWebhook201ResponseHeaders{ETag: etag(w.Version), Location: h.s.location("webhooks", w.ID.String())},
	}, nil
}

// GetWebhook answers one webhook.
func (h handlers) GetWebhook(ctx context.Context, r gen.GetWebhookRequestObject) (gen.GetWebhookResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.GetWebhook(ctx, cl.principal, r.Webhook)
	if err != nil {
		return nil, err
	}
	if notModified(r.Params.IfNoneMatch, w.Version) {
		return gen.GetWebhook304Response{Headers: gen.NotModifiedResponseHeaders{ETag: etag(w.Version)}}, nil
	}
	return gen.GetWebhook200JSONResponse{Body: webhookJSON(w, cl.principal), Headers: gen.GetWebhook200ResponseHeaders{ETag: etag(w.Version)}}, nil
}

// PutWebhook creates or replaces.
func (h handlers) PutWebhook(ctx context.Context, r gen.PutWebhookRequestObject) (gen.PutWebhookResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.PutWebhook(ctx, cl.principal, r.Webhook, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, r.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	result := ptr(string(w.Change))
	if w.Change == hook.Created {
		return gen.PutWebhook201JSONResponse{Body: webhookWithSecret(w, cl.principal), Headers: gen.PutWebhook201ResponseHeaders{
			ETag: etag(w.Version), Location: h.s.location("webhooks", w.ID.String()), SallyportResult: result, SallyportChanged: changed(w.Changed),
		}}, nil
	}
	return gen.PutWebhook200JSONResponse{Body: webhookWithSecret(w, cl.principal), Headers: gen.PutWebhook200ResponseHeaders{
		ETag: etag(w.Version), SallyportResult: result, SallyportChanged: changed(w.Changed),
	}}, nil
}

// PatchWebhook merges.
func (h handlers) PatchWebhook(ctx context.Context, r gen.PatchWebhookRequestObject) (gen.PatchWebhookResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.PatchWebhook(ctx, cl.principal, r.Webhook, cl.body, writeOf(r.Params.DryRun, r.Params.IfMatch, nil))
	if err != nil {
		return nil, err
	}
	return gen.PatchWebhook200JSONResponse{Body: webhookWithSecret(w, cl.principal), Headers: gen.PatchWebhook200ResponseHeaders{
		ETag: etag(w.Version), SallyportResult: ptr(string(w.Change)), SallyportChanged: changed(w.Changed),
	}}, nil
}

// DeleteWebhook removes a webhook; its history stays.
func (h handlers) DeleteWebhook(ctx context.Context, r gen.DeleteWebhookRequestObject) (gen.DeleteWebhookResponseObject, error) {
	if err := h.s.services.Manager.DeleteWebhook(ctx, callOf(ctx).principal, r.Webhook, guardOf(r.Params.IfMatch, nil)); err != nil {
		return nil, err
	}
	return gen.DeleteWebhook204Response{}, nil
}
