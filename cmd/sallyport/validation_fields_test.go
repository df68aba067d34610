package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// encoded is a value as it is sent, and as the schema's validator wants it.
func encoded(t *testing.T, v any) (text string, value any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return string(b), value
}

// meant is the branch of a schema that is not null.
func meant(s *openapi3.Schema) *openapi3.Schema {
	for _, branch := range s.AnyOf {
		if !branch.Value.Type.Is("null") {
			return branch.Value
		}
	}
	return s
}

// smallest is the least that a schema takes, made of its examples.
func smallest(s *openapi3.Schema) any {
	s = meant(s)
	switch {
	case len(s.Properties) > 0:
		o := map[string]any{}
		for _, name := range s.Required {
			o[name] = smallest(s.Properties[name].Value)
		}
		return o
	case s.Items != nil:
		return []any{smallest(s.Items.Value)}
	case len(s.Examples) > 0:
		return s.Examples[0]
	}
	return nil
}

// field is a place in a body; with makes the body with a value there, else as small as can be.
type field struct {
	name   string
	schema *openapi3.Schema
	with   func(v any) any
}

// fields are all the places in a body, and in each object one that does not exist.
func fields(s *openapi3.Schema) (out []field) {
	var visit func(f field)
	visit = func(f field) {
		out = append(out, f)
		s := meant(f.schema)
		member := func(name string, m *openapi3.Schema) {
			visit(field{join(f.name, name), m, func(v any) any {
				o, _ := smallest(s).(map[string]any)
				o = maps.Clone(o) // it may be an example of the contract, which all tests share
				if o == nil {
					o = map[string]any{}
				}
				if f.name == "" && s.Properties["name"] != nil {
					o["name"] = "order.paid" // good for all, and the one in the path of event types
				}
				o[name] = v
				return f.with(o)
			}})
		}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			member(name, s.Properties[name].Value)
		}
		if len(s.Properties) > 0 {
			member("noSuchField", &openapi3.Schema{})
		}
		if s.Items != nil {
			good := smallest(s.Items.Value)
			visit(field{f.name + "[1]", s.Items.Value, func(v any) any { return f.with([]any{good, v}) }})
		}
		if more := s.AdditionalProperties.Schema; more != nil {
			member("key", more.Value)
		}
	}
	visit(field{"", s, func(v any) any { return v }})
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// values are what might stand in a field, most of them wrong.
func values(s *openapi3.Schema) []any {
	out := []any{
		nil, true, 7, -1, 0, 1.5, 1e12, 1e300, "", " ", "x", "ä", "a b", "a\x00b", "a\nb", "7", "null", "5 min", "1.5.s", "https://", "ftp://a.example", "https://a.example/ä",
		[]any{}, map[string]any{}, []any{nil}, []any{1}, []any{"x", 1}, []any{[]any{}}, map[string]any{"x": 1}, map[string]any{"x": nil}, map[string]any{"x": []any{}},
	}
	s = meant(s)
	if s.MinLength > 0 {
		out = append(out, strings.Repeat("a", int(s.MinLength)-1))
	}
	if s.MaxLength != nil {
		out = append(out, strings.Repeat("a", int(*s.MaxLength)+1))
	}
	if s.Min != nil {
		out = append(out, *s.Min-1, *s.Min-0.5, *s.Min+0.5)
	}
	if s.Max != nil {
		out = append(out, *s.Max+1, *s.Max+0.5, *s.Max*10)
	}
	if s.MaxItems != nil {
		out = append(out, slices.Repeat([]any{smallest(s.Items.Value)}, int(*s.MaxItems)+1))
	}
	if s.MaxProps != nil {
		many := map[string]any{}
		for i := range *s.MaxProps + 1 {
			many[fmt.Sprint("k", i)] = "v"
		}
		out = append(out, many)
	}
	if s.Format == "date-time" {
		out = append(out, "2027-01-01", "2027-01-01T1:00:00Z", "2027-01-01T00:00:00,5Z", "2027-13-01T00:00:00Z", "2027-01-01 00:00:00Z", "2027-01-01T00:00:00")
	}
	for _, e := range s.Examples {
		if text, ok := e.(string); ok {
			out = append(out, text+" ", " "+text, text+"\n", text+"\x00", text+"é", text+"\x7f")
		}
	}
	return out
}

// wantedCode is the code that the contract promises for a value of a field, "" if it is
// silent.
func wantedCode(s *openapi3.Schema, v any) string {
	if code, ok := s.Extensions["x-problem-when-empty"].(string); ok {
		list, isList := v.([]any)
		if v == nil || v == "" && s.Type.Is("string") || isList && len(list) == 0 && s.Type.Is("array") {
			return code
		}
	}
	text, isText := v.(string)
	code, ok := s.Extensions["x-problem-code"].(string)
	if ok && isText && text != "" && (s.MaxLength == nil || len(text) <= int(*s.MaxLength)) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return code
	}
	return ""
}
