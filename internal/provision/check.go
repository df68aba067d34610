package provision

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/nearest"
)

// shape is what is needed of a schema to check names, and to tell numbers from texts.
type shape struct {
	Ref                  string            `json:"$ref"`
	Type                 any               `json:"type"`
	Properties           map[string]*shape `json:"properties"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
	Items                *shape            `json:"items"`
	AnyOf                []*shape          `json:"anyOf"`
	Defs                 map[string]*shape `json:"$defs"`
}

// Checker checks files against the schema that Schema makes.
type Checker struct{ root *shape }

// NewChecker reads the schema.
func NewChecker(schema []byte) (*Checker, error) {
	c := &Checker{root: &shape{}}
	if err := json.Unmarshal(schema, c.root); err != nil {
		return nil, fmt.Errorf("reading the schema of provisioning files: %w", err)
	}
	return c, nil
}

// names refuses fields that do not exist, with the name that was probably meant.
func (c *Checker) names(v *value, s *shape, faults *Faults) {
	s = c.fitting(v, s)
	if s == nil {
		return
	}
	switch v.form {
	case isObject:
		closed := string(s.AdditionalProperties) == "false"
		for _, f := range v.fields {
			inner, known := s.Properties[f.name]
			if known {
				c.names(f.value, inner, faults)
			} else if closed {
				faults.add(f.place, "%s", unknown(f.name, slices.Sorted(maps.Keys(s.Properties))))
			}
		}
	case isList:
		for _, e := range v.list {
			c.names(e, s.Items, faults)
		}
	default:
	}
}

// readOnly are fields of answers, which a file cannot wish for.
var readOnly = []string{
	"id", "number", "paused", "state", "stateReason", "stateSince", "warnings", "version", "createdAt", "updatedAt", "hint", "operational",
	"lastPublishedAt", "hashConfigured", "example",
}

func unknown(name string, known []string) string {
	if slices.Contains(readOnly, name) {
		return fmt.Sprintf("%q is told by the server and cannot be set; leave it out", name)
	}
	if name == "generateSecret" {
		return `"generateSecret" has nobody to show the secret to; write secret: ${NAME:?} and generate it where it is kept`
	}
	hint := ""
	if near := nearest.Name(name, known); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Sprintf("there is no field %q%s", name, hint)
}

// fitting follows references, and chooses the branch that such a value could be meant for.
func (c *Checker) fitting(v *value, s *shape) *shape {
	for s != nil && s.Ref != "" {
		s = c.root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	if s == nil || len(s.AnyOf) == 0 {
		return s
	}
	for _, branch := range s.AnyOf {
		branch = c.fitting(v, branch)
		if branch == nil {
			continue
		}
		if v.form == isObject && branch.is("object") || v.form == isList && branch.is("array") {
			return branch
		}
	}
	return c.fitting(v, s.AnyOf[0])
}

func (s *shape) is(want string) bool {
	switch t := s.Type.(type) {
	case string:
		return t == want
	case []any:
		return slices.Contains(t, any(want))
	}
	return false
}

// numbers makes numbers and truth values of variables that stand where the schema wants such: in
// a variable everything is text.
func (c *Checker) numbers(v *value, s *shape, faults *Faults) {
	s = c.fitting(v, s)
	if s == nil {
		return
	}
	for _, f := range v.fields {
		c.numbers(f.value, s.Properties[f.name], faults)
	}
	for _, e := range v.list {
		c.numbers(e, s.Items, faults)
	}
	if v.form != isText || v.written == "" || s.is("string") {
		return
	}
	text := strings.TrimSpace(v.text)
	switch {
	case s.is("boolean"):
		if text != "true" && text != "false" {
			faults.add(v.place, "%s must be true or false", v.written)
			return
		}
	case s.is("integer"), s.is("number"):
		if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
			faults.add(v.place, "%s must be a number", v.written)
			return
		}
	default:
		return
	}
	v.form, v.raw = isOther, json.RawMessage(text)
}
