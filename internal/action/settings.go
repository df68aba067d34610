package action

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/nearest"
)

// settings is a JSON object of a configuration while it is read.
type settings struct {
	b      *builder
	at     string
	fields map[string]json.RawMessage
	known  []string
}

// open reads an object; nil if it is none.
func (b *builder) open(at string, raw []byte) *settings {
	s := &settings{b: b, at: at}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	if err := json.Unmarshal(raw, &s.fields); err != nil || s.fields == nil {
		b.fault(at, "invalid_format", "must be a JSON object")
		return nil
	}
	return s
}

// done notes the fields that nothing asked for.
func (s *settings) done() {
	for _, name := range slices.Sorted(maps.Keys(s.fields)) {
		if slices.Contains(s.known, name) {
			continue
		}
		detail := "is not a field here"
		if near := nearest.Name(name, s.known); near != "" {
			detail += "; did you mean " + near + "?"
		} else {
			detail += "; there are " + strings.Join(s.known, ", ")
		}
		s.b.fault(s.at+"."+name, "unknown_field", detail)
	}
}

// raw returns a field's JSON, nil if it is not there or null.
func (s *settings) raw(name string) json.RawMessage {
	s.known = append(s.known, name)
	raw := s.fields[name]
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func (s *settings) field(name string) string { return s.at + "." + name }

// text reads a template for text; nil if it is not there. A number or a boolean stands for its text.
func (s *settings) text(name string) *text {
	return s.textOf(s.field(name), s.raw(name))
}

func (s *settings) textOf(field string, raw json.RawMessage) *text {
	if raw == nil {
		return nil
	}
	source := string(raw)
	switch raw[0] {
	case '"':
		if json.Unmarshal(raw, &source) != nil {
			return nil
		}
	case '{', '[':
		s.b.fault(field, "invalid_format", "must be a string")
		return nil
	}
	return s.b.text(field, source)
}

// required is text that must be there and not blank.
func (s *settings) required(name, detail string) *text {
	before := len(s.b.faults)
	t := s.text(name)
	if len(s.b.faults) == before && (t == nil || strings.TrimSpace(t.source) == "") {
		s.b.fault(s.field(name), "required", detail)
	}
	return t
}

// literal is a string that is no template; "" if it is not there.
func (s *settings) literal(name string) string {
	raw := s.raw(name)
	if raw == nil {
		return ""
	}
	var v string
	if json.Unmarshal(raw, &v) != nil {
		s.b.fault(s.field(name), "invalid_format", "must be a string")
		return ""
	}
	return v
}

// list reads an array's elements; nil if it is not there.
func (s *settings) list(name string) []json.RawMessage {
	raw := s.raw(name)
	if raw == nil {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		s.b.fault(s.field(name), "invalid_format", "must be a list")
		return nil
	}
	return list
}

// texts reads a list of strings that are no templates.
func (s *settings) texts(name string) []string {
	var out []string
	for i, raw := range s.list(name) {
		var v string
		if json.Unmarshal(raw, &v) != nil {
			s.b.fault(element(s.field(name), i), "invalid_format", "must be a string")
			continue
		}
		out = append(out, v)
	}
	return out
}

func element(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
