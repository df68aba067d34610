package manage

import (
	"encoding/json"
	"reflect"
	"slices"

	"sallyport/internal/hook"
)

// incomingDocument is what a PUT would have to say to change nothing. The hash and secret
// values are left out, which keeps them.
func incomingDocument(w *hook.IncomingWebhook) map[string]any {
	doc := map[string]any{
		"name": w.Name, "description": w.Description, "enabled": w.Enabled, "methods": w.Methods, "profile": w.Profile,
		"ipAllowList": orEmpty(w.IPAllowList), "hashTimezone": w.HashTimezone, "hashTolerance": hook.FormatDuration(w.HashTolerance),
		"hashIn": map[string]any{"in": w.HashIn.In, "name": w.HashIn.Name}, "secrets": namesDocument(w.Secrets),
		"parser": parserDocument(w.Parser), "maxBodyBytes": w.MaxBodyBytes, "bodyTimeout": hook.FormatDuration(w.BodyTimeout),
		"logging": w.Logging, "response": responseDocument(w.Response), "refusal": w.Refusal, "metadata": w.Metadata, "dedupe": nil,
	}
	checks := []map[string]any{}
	for i := range w.PreProcessors {
		checks = append(checks, checkDocument(&w.PreProcessors[i]))
	}
	routes := []map[string]any{}
	for _, r := range w.Routes {
		x := map[string]any{"name": r.Name, "action": r.Action}
		put(x, "condition", r.Condition)
		put(x, "transform", r.Transform)
		if r.Parser != nil {
			x["parser"] = parserDocument(*r.Parser)
		}
		routes = append(routes, x)
	}
	posts := []map[string]any{}
	for _, p := range w.PostProcessors {
		x := map[string]any{"type": p.Type}
		put(x, "action", p.Action)
		if p.Config != nil {
			x["config"] = json.RawMessage(p.Config)
		}
		posts = append(posts, x)
	}
	doc["preProcessors"], doc["routes"], doc["postProcessors"] = checks, routes, posts
	if d := w.Dedupe; d != nil {
		doc["dedupe"] = map[string]any{"key": d.Key, "window": hook.FormatDuration(d.Window), "onDuplicate": d.OnDuplicate}
	}
	if w.RateLimit != nil {
		doc["rateLimit"] = map[string]any{"requests": w.RateLimit.Requests, "per": hook.FormatDuration(w.RateLimit.Per)}
	}
	return doc
}

// put writes a field unless it is empty.
func put(doc map[string]any, name, value string) {
	if value != "" {
		doc[name] = value
	}
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func checkDocument(p *hook.PreProcessor) map[string]any {
	x := map[string]any{"name": p.Name, "type": p.Type}
	put(x, "header", p.Header)
	put(x, "parameter", p.Parameter)
	put(x, "path", p.Path)
	put(x, "matches", p.Matches)
	put(x, "username", p.Username)
	put(x, "condition", p.Condition)
	put(x, "preset", p.Preset)
	if p.Equals != nil {
		x["equals"] = *p.Equals
	}
	for name, list := range map[string][]string{"secrets": p.Secrets, "allow": p.Allow, "handshake": p.Handshake} {
		if len(list) > 0 {
			x[name] = list
		}
	}
	for name, raw := range map[string][]byte{"schema": p.Schema, "verification": p.Signature} {
		if raw != nil {
			x[name] = json.RawMessage(raw)
		}
	}
	if p.Tolerance != nil {
		x["tolerance"] = hook.FormatDuration(*p.Tolerance)
	}
	return x
}

func parserDocument(p hook.Parser) map[string]any {
	x := map[string]any{"type": p.Type, "header": p.Header, "split": p.Split, "maxItems": p.MaxItems, "onItemError": p.OnItemError}
	put(x, "delimiter", p.Delimiter)
	put(x, "enclosure", p.Enclosure)
	put(x, "escape", p.Escape)
	put(x, "encoding", p.Encoding)
	put(x, "items", p.Items)
	if len(p.Columns) > 0 {
		x["columns"] = p.Columns
	}
	return x
}

func responseDocument(r hook.DoorResponse) map[string]any {
	headers := []map[string]any{}
	for _, h := range r.Headers {
		headers = append(headers, map[string]any{"name": h.Name, "value": string(h.Value)})
	}
	x := map[string]any{"mode": r.Mode, "status": r.Status, "timeout": hook.FormatDuration(r.Timeout), "headers": headers}
	if r.Body != nil {
		x["body"] = *r.Body
	}
	return x
}

// incomingChanges names the fields in which two states of an incoming webhook differ.
func incomingChanges(a, b *hook.IncomingWebhook) []string {
	return changes(slices.Concat([]field{
		same("name", a.Name == b.Name),
		same("description", a.Description == b.Description),
		same("enabled", a.Enabled == b.Enabled),
		same("methods", slices.Equal(a.Methods, b.Methods)),
		same("profile", a.Profile == b.Profile),
		same("ipAllowList", slices.Equal(a.IPAllowList, b.IPAllowList)),
		same("hash", a.Hash == b.Hash),
		same("hashTimezone", a.HashTimezone == b.HashTimezone),
		same("hashTolerance", a.HashTolerance == b.HashTolerance),
		same("hashIn", a.HashIn == b.HashIn),
	}, namedChanges(a.Secrets, b.Secrets), []field{
		same("preProcessors", slices.EqualFunc(a.PreProcessors, b.PreProcessors, samePre)),
		same("parser", reflect.DeepEqual(a.Parser, b.Parser)),
		same("routes", slices.EqualFunc(a.Routes, b.Routes, func(x, y hook.Route) bool { return reflect.DeepEqual(x, y) })),
		same("postProcessors", slices.EqualFunc(a.PostProcessors, b.PostProcessors, samePost)),
		same("dedupe", samePtr(a.Dedupe, b.Dedupe)),
		same("rateLimit", samePtr(a.RateLimit, b.RateLimit)),
		same("maxBodyBytes", a.MaxBodyBytes == b.MaxBodyBytes),
		same("bodyTimeout", a.BodyTimeout == b.BodyTimeout),
		same("logging", a.Logging == b.Logging),
		same("response", reflect.DeepEqual(a.Response, b.Response)),
		same("refusal", a.Refusal == b.Refusal),
		same("metadata", sameMetadata(a.Metadata, b.Metadata)),
	})...)
}

func samePre(a, b hook.PreProcessor) bool {
	same := sameJSON(a.Schema, b.Schema) && sameJSON(a.Signature, b.Signature)
	a.Schema, a.Signature, b.Schema, b.Signature = nil, nil, nil, nil
	return same && reflect.DeepEqual(a, b)
}

func samePost(a, b hook.PostProcessor) bool {
	return a.Type == b.Type && a.Action == b.Action && sameJSON(a.Config, b.Config)
}
