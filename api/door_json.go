package api

import (
	"encoding/json"
	"time"

	"github.com/oapi-codegen/nullable"

	"sallyport/gen"
	"sallyport/internal/hook"
)

// The parts of an incoming webhook, as they are written and shown.

// given is v, left out for the zero value.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// listOf is never null.
func listOf[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

// anyOf is v, left out when it is empty.
func anyOf[T any](v []T) *[]T {
	if len(v) == 0 {
		return nil
	}
	return &v
}

func rawGiven(b []byte) *json.RawMessage {
	if len(b) == 0 {
		return nil
	}
	return ptr(json.RawMessage(b))
}

func durationGiven(d *time.Duration) *string {
	if d == nil {
		return nil
	}
	return ptr(hook.FormatDuration(*d))
}

func namedSecretsJSON(secrets []hook.NamedSecret) []gen.NamedSecret {
	out := make([]gen.NamedSecret, 0, len(secrets))
	for _, s := range secrets {
		out = append(out, gen.NamedSecret{Name: s.Name, Hint: s.Hint})
	}
	return out
}

func rateLimitJSON(r *hook.RateLimit) nullable.Nullable[gen.RateLimit] {
	if r == nil {
		return nullable.NewNullNullable[gen.RateLimit]()
	}
	return nullable.NewNullableWithValue(gen.RateLimit{Requests: r.Requests, Per: ptr(hook.FormatDuration(r.Per))})
}

func preProcessorJSON(p hook.PreProcessor) (gen.PreProcessor, error) {
	out := gen.PreProcessor{
		Name: given(p.Name), Type: gen.PreProcessorType(p.Type), Header: given(p.Header), Parameter: given(p.Parameter), Path: given(p.Path),
		Equals: p.Equals, Matches: given(p.Matches), Username: given(p.Username), Secrets: anyOf(p.Secrets), Handshake: anyOf(p.Handshake),
		Allow: anyOf(p.Allow), Schema: rawGiven(p.Schema), Condition: given(p.Condition), Preset: given(p.Preset), Tolerance: durationGiven(p.Tolerance),
	}
	if len(p.Signature) > 0 {
		out.Verification = new(gen.SignatureVerification)
		if err := json.Unmarshal(p.Signature, out.Verification); err != nil {
			return out, err
		}
	}
	return out, nil
}

func parserJSON(p hook.Parser) gen.Parser {
	out := gen.Parser{
		Type: ptr(gen.ParserType(p.Type)), Delimiter: given(p.Delimiter), Enclosure: given(p.Enclosure), Escape: given(p.Escape), Header: ptr(p.Header),
		Columns: anyOf(p.Columns), Encoding: given(p.Encoding), Items: given(p.Items), Split: ptr(p.Split),
		MaxItems: given(p.MaxItems), OnItemError: given(gen.ParserOnItemError(p.OnItemError)),
	}
	if p.Type == "" {
		out.Type = ptr(gen.ParserType(hook.DefaultParser().Type))
	}
	return out
}

func routeJSON(r hook.Route) gen.Route {
	out := gen.Route{
		Name: given(r.Name), Action: r.Action, Condition: orNull(r.Condition), Transform: orNull(r.Transform),
		Parser: nullable.NewNullNullable[gen.Parser](),
	}
	if r.Parser != nil {
		out.Parser = nullable.NewNullableWithValue(parserJSON(*r.Parser))
	}
	return out
}

func postProcessorJSON(p hook.PostProcessor) gen.PostProcessor {
	return gen.PostProcessor{Type: gen.PostProcessorType(p.Type), Config: rawGiven(p.Config), Action: given(p.Action)}
}

func dedupeJSON(d *hook.Dedupe) nullable.Nullable[gen.Dedupe] {
	if d == nil {
		return nullable.NewNullNullable[gen.Dedupe]()
	}
	return nullable.NewNullableWithValue(gen.Dedupe{
		Key: d.Key, Window: ptr(hook.FormatDuration(d.Window)), OnDuplicate: given(gen.DedupeOnDuplicate(d.OnDuplicate)),
	})
}

func doorResponseJSON(r hook.DoorResponse) gen.DoorResponse {
	headers := make([]gen.DoorHeader, 0, len(r.Headers))
	for _, h := range r.Headers {
		headers = append(headers, gen.DoorHeader{Name: h.Name, Value: string(h.Value)})
	}
	return gen.DoorResponse{
		Mode: given(gen.DoorResponseMode(r.Mode)), Status: given(r.Status), Headers: &headers, Body: some(r.Body), Timeout: ptr(hook.FormatDuration(r.Timeout)),
	}
}
