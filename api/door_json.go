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

// orAbsent is v, left out for the zero value where null would do, too.
func orAbsent[T comparable](v T) (out nullable.Nullable[T]) {
	var zero T
	if v != zero {
		out = nullable.NewNullableWithValue(v)
	}
	return out
}

// someOf is v, left out when it is empty.
func someOf[T any](v []T) (out nullable.Nullable[[]T]) {
	if len(v) > 0 {
		out = nullable.NewNullableWithValue(v)
	}
	return out
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
		Name: given(p.Name), Type: gen.PreProcessorType(p.Type), Header: orAbsent(p.Header), Parameter: orAbsent(p.Parameter), Path: orAbsent(p.Path),
		Matches: orAbsent(p.Matches), Username: orAbsent(p.Username), Secrets: someOf(p.Secrets), Handshake: someOf(p.Handshake), Allow: someOf(p.Allow),
		Condition: orAbsent(p.Condition), Preset: orAbsent(p.Preset),
	}
	if p.Equals != nil {
		out.Equals = some(p.Equals)
	}
	if len(p.Schema) > 0 {
		out.Schema = nullable.NewNullableWithValue(json.RawMessage(p.Schema))
	}
	if p.Tolerance != nil {
		out.Tolerance = nullable.NewNullableWithValue(hook.FormatDuration(*p.Tolerance))
	}
	if len(p.Signature) > 0 {
		var v gen.SignatureVerification
		if err := json.Unmarshal(p.Signature, &v); err != nil {
			return out, err
		}
		out.Verification = some(&v)
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
	out := gen.PostProcessor{Type: gen.PostProcessorType(p.Type), Action: orAbsent(p.Action)}
	if len(p.Config) > 0 {
		out.Config = nullable.NewNullableWithValue(json.RawMessage(p.Config))
	}
	return out
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
