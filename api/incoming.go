package api

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

// workspaceBase is where a workspace is reached from outside.
func (s *Server) workspaceBase(code string) string {
	if code == hook.DefaultWorkspace {
		return s.options.BaseURL
	}
	return s.options.BaseURL + "/w/" + url.PathEscape(code)
}

// doorURL is where others call. The hash is never in it.
func (s *Server) doorURL(workspace string, w *hook.IncomingWebhook) string {
	base, code := s.workspaceBase(workspace), url.PathEscape(w.Code)
	switch w.Profile {
	case hook.DoorAtroCore:
		// As that system shows it, without a slash before the question mark.
		return base + "?entryPoint=webhook&code=" + url.QueryEscape(w.Code)
	case hook.DoorAlumio:
		return base + "/api/v1/webhook/" + code
	}
	return base + "/in/" + code
}

// doorExample is a command that calls the door. What is secret stands there as a variable.
func doorExample(address string, w *hook.IncomingWebhook) string {
	words := []string{"curl"}
	method := "POST"
	if len(w.Methods) > 0 && !slices.Contains(w.Methods, method) {
		method = w.Methods[0]
	}
	if method != "GET" {
		words = append(words, "-X "+method)
	}
	shown := func(name, variable string) string { return url.QueryEscape(name) + "=" + variable }
	var pairs []string
	if w.Hash != "" {
		if w.HashIn.In == "header" {
			words = append(words, `-H "`+forShell(w.HashIn.Name)+`: $HASH"`)
		} else {
			pairs = append(pairs, shown(w.HashIn.Name, "$HASH"))
		}
	}
	for _, p := range w.PreProcessors {
		switch p.Type {
		case "basicAuth":
			words = append(words, `-u "`+forShell(p.Username)+`:$PASSWORD"`)
		case "bearer":
			words = append(words, `-H "Authorization: Bearer $TOKEN"`)
		case "apiKey":
			if p.Header != "" {
				words = append(words, `-H "`+forShell(p.Header)+`: $API_KEY"`)
			} else {
				pairs = append(pairs, shown(p.Parameter, "$API_KEY"))
			}
		}
	}
	if method != "GET" && method != "DELETE" {
		words = append(words, "--json '{}'")
	}
	if len(pairs) > 0 {
		joint := "?"
		if strings.Contains(address, "?") {
			joint = "&"
		}
		address += joint + strings.Join(pairs, "&")
	}
	return strings.Join(append(words, `"`+address+`"`), " ")
}

// forShell makes text stand for itself between double quotes.
var forShell = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace

// incomingJSON shows an incoming webhook without any secret; the hash, which may be one,
// to admins only.
func (s *Server) incomingJSON(w hook.IncomingView, p hook.Principal) (gen.IncomingWebhook, error) {
	address := s.doorURL(p.WorkspaceCode, w.IncomingWebhook)
	out := gen.IncomingWebhook{
		Id: w.ID, Code: w.Code, Name: w.Name, Description: w.Description, Enabled: w.Enabled, Url: address,
		Methods: make([]gen.DoorMethod, 0, len(w.Methods)), Profile: gen.IncomingWebhookProfile(w.Profile), IpAllowList: listOf(w.IPAllowList),
		HashConfigured: w.HashConfigured, HashTimezone: w.HashTimezone, HashTolerance: hook.FormatDuration(w.HashTolerance),
		HashIn:  gen.HashPlace{In: given(gen.HashPlaceIn(w.HashIn.In)), Name: given(w.HashIn.Name)},
		Secrets: namedSecretsJSON(w.Secrets), PreProcessors: make([]gen.PreProcessor, 0, len(w.PreProcessors)), Parser: parserJSON(w.Parser),
		Routes: make([]gen.Route, 0, len(w.Routes)), PostProcessors: make([]gen.PostProcessor, 0, len(w.PostProcessors)),
		Dedupe: dedupeJSON(w.Dedupe), RateLimit: rateLimitJSON(w.RateLimit), MaxBodyBytes: w.MaxBodyBytes, BodyTimeout: hook.FormatDuration(w.BodyTimeout),
		Logging: gen.IncomingWebhookLogging(w.Logging), Response: doorResponseJSON(w.Response), Refusal: gen.IncomingWebhookRefusal(w.Refusal),
		Metadata: stringMap(w.Metadata), Example: doorExample(address, w.IncomingWebhook), State: gen.IncomingWebhookState(w.State()),
		Warnings: listOf(w.Warnings), Version: w.Version, CreatedAt: wire.At(w.CreatedAt), UpdatedAt: wire.At(w.UpdatedAt),
	}
	if w.Hash != "" && p.Role == hook.RoleAdmin {
		out.Hash = ptr(string(w.Hash))
	}
	for _, m := range w.Methods {
		out.Methods = append(out.Methods, gen.DoorMethod(m))
	}
	for _, pre := range w.PreProcessors {
		shown, err := preProcessorJSON(pre)
		if err != nil {
			return out, err
		}
		out.PreProcessors = append(out.PreProcessors, shown)
	}
	for _, r := range w.Routes {
		out.Routes = append(out.Routes, routeJSON(r))
	}
	for _, post := range w.PostProcessors {
		out.PostProcessors = append(out.PostProcessors, postProcessorJSON(post))
	}
	return out, nil
}

// ListIncomingWebhooks answers one page of incoming webhooks.
func (h handlers) ListIncomingWebhooks(ctx context.Context, r gen.ListIncomingWebhooksRequestObject) (gen.ListIncomingWebhooksResponseObject, error) {
	cl := callOf(ctx)
	rows, more, err := h.s.services.Manager.ListIncomingWebhooks(ctx, cl.principal, cl.listFilter(r.Params.Metadata), cl.page)
	if err != nil {
		return nil, err
	}
	data, last := make([]gen.IncomingWebhook, 0, len(rows)), hook.NoID
	for _, w := range rows {
		shown, err := h.s.incomingJSON(w, cl.principal)
		if err != nil {
			return nil, err
		}
		data, last = append(data, shown), w.ID
	}
	return gen.ListIncomingWebhooks200JSONResponse{Body: gen.IncomingWebhookList{Data: data, NextCursor: cl.nextCursor(more, last)}}, nil
}

// CreateIncomingWebhook makes an incoming webhook.
func (h handlers) CreateIncomingWebhook(ctx context.Context, _ gen.CreateIncomingWebhookRequestObject) (gen.CreateIncomingWebhookResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.CreateIncomingWebhook(ctx, cl.principal, cl.body)
	if err != nil {
		return nil, err
	}
	shown, err := h.s.incomingJSON(w.IncomingView, cl.principal)
	if err != nil {
		return nil, err
	}
	return gen.CreateIncomingWebhook201JSONResponse{
		Body:    shown,
		Headers: gen.CreateIncomingWebhook201ResponseHeaders{ETag: etag(w.Version), Location: h.s.location("incoming-webhooks", w.ID.String())},
	}, nil
}

// GetIncomingWebhook answers one incoming webhook.
func (h handlers) GetIncomingWebhook(ctx context.Context, r gen.GetIncomingWebhookRequestObject) (gen.GetIncomingWebhookResponseObject, error) {
	cl := callOf(ctx)
	w, err := h.s.services.Manager.GetIncomingWebhook(ctx, cl.principal, r.IncomingWebhook)
	if err != nil {
		return nil, err
	}
	if notModified(r.Params.IfNoneMatch, w.Version) {
		return gen.GetIncomingWebhook304Response{Headers: gen.NotModifiedResponseHeaders{ETag: etag(w.Version)}}, nil
	}
	shown, err := h.s.incomingJSON(w, cl.principal)
	if err != nil {
		return nil, err
	}
	return gen.GetIncomingWebhook200JSONResponse{Body: shown, Headers: gen.GetIncomingWebhook200ResponseHeaders{ETag: etag(w.Version)}}, nil
}

// PutIncomingWebhook creates or replaces.
func (h handlers) PutIncomingWebhook(ctx context.Context, r gen.PutIncomingWebhookRequestObject) (gen.PutIncomingWebhookResponseObject, error) {
	cl := callOf(ctx)
	how := writeOf(r.Params.DryRun, r.Params.IfMatch, r.Params.IfNoneMatch)
	w, err := h.s.services.Manager.PutIncomingWebhook(ctx, cl.principal, r.IncomingWebhook, cl.body, how)
	if err != nil {
		return nil, err
	}
	shown, err := h.s.incomingJSON(w.IncomingView, cl.principal)
	if err != nil {
		return nil, err
	}
	result := ptr(string(w.Change))
	if w.Change == hook.Created {
		return gen.PutIncomingWebhook201JSONResponse{Body: shown, Headers: gen.PutIncomingWebhook201ResponseHeaders{
			ETag: etag(w.Version), Location: h.s.location("incoming-webhooks", w.ID.String()), SallyportResult: result, SallyportChanged: changed(w.Changed),
		}}, nil
	}
	return gen.PutIncomingWebhook200JSONResponse{Body: shown, Headers: gen.PutIncomingWebhook200ResponseHeaders{
		ETag: etag(w.Version), SallyportResult: result, SallyportChanged: changed(w.Changed),
	}}, nil
}

// PatchIncomingWebhook merges.
func (h handlers) PatchIncomingWebhook(ctx context.Context, r gen.PatchIncomingWebhookRequestObject) (gen.PatchIncomingWebhookResponseObject, error) {
	cl := callOf(ctx)
	how := writeOf(r.Params.DryRun, r.Params.IfMatch, nil)
	w, err := h.s.services.Manager.PatchIncomingWebhook(ctx, cl.principal, r.IncomingWebhook, cl.body, how)
	if err != nil {
		return nil, err
	}
	shown, err := h.s.incomingJSON(w.IncomingView, cl.principal)
	if err != nil {
		return nil, err
	}
	return gen.PatchIncomingWebhook200JSONResponse{Body: shown, Headers: gen.PatchIncomingWebhook200ResponseHeaders{
		ETag: etag(w.Version), SallyportResult: ptr(string(w.Change)), SallyportChanged: changed(w.Changed),
	}}, nil
}

// DeleteIncomingWebhook removes an incoming webhook; its history stays.
func (h handlers) DeleteIncomingWebhook(ctx context.Context, r gen.DeleteIncomingWebhookRequestObject) (gen.DeleteIncomingWebhookResponseObject, error) {
	err := h.s.services.Manager.DeleteIncomingWebhook(ctx, callOf(ctx).principal, r.IncomingWebhook, guardOf(r.Params.IfMatch, nil))
	if err != nil {
		return nil, err
	}
	return gen.DeleteIncomingWebhook204Response{}, nil
}

// DeleteIncomingWebhookHash drops a check on purpose.
func (h handlers) DeleteIncomingWebhookHash(ctx context.Context, r gen.DeleteIncomingWebhookHashRequestObject) (gen.DeleteIncomingWebhookHashResponseObject, error) {
	if err := h.s.services.Manager.DeleteIncomingHash(ctx, callOf(ctx).principal, r.IncomingWebhook); err != nil {
		return nil, err
	}
	return gen.DeleteIncomingWebhookHash204Response{}, nil
}
