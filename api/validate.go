package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"sallyport/internal/hook"
)

// What the edge reads itself is held against the contract here: parameters, and the
// bodies of calls that go to no room as they are. Configuration is checked by manage,
// which tells of every fault in one answer.

// validateBody checks a JSON document, already known to be one, against a schema and
// returns every fault.
func validateBody(schema *openapi3.Schema, body []byte) error {
	var value any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return hook.Errorf(hook.KindMalformedJSON, "the body is not JSON")
	}
	return hook.Invalid(faultsOf(schema, value, ""))
}

// faultsOf validates value, which stands at field.
func faultsOf(schema *openapi3.Schema, value any, field string) []hook.Fault {
	err := schema.VisitJSON(value, openapi3.MultiErrors())
	if err == nil {
		return nil
	}
	var faults []hook.Fault
	seen := map[string]bool{}    // of several faults of one field the first says enough
	objects := map[string]bool{} // whose unknown fields are listed: the validator names the object once for each
	for _, e := range flatten(err) {
		if e.SchemaField == "properties" {
			at := strings.Join(e.JSONPointer(), "/")
			if objects[at] {
				continue
			}
			objects[at] = true
		}
		for _, f := range faultsFrom(e, field) {
			if len(faults) == maxFaults {
				return faults
			}
			if !seen[f.Field] {
				seen[f.Field] = true
				faults = append(faults, f)
			}
		}
	}
	return faults
}

// maxFaults bounds an answer: nobody reads more, and a body can have a hundred thousand.
const maxFaults = 100

func flatten(err error) []*openapi3.SchemaError {
	var (
		many openapi3.MultiError
		one  *openapi3.SchemaError
	)
	switch {
	case errors.As(err, &one):
		if me, ok := err.(openapi3.MultiError); ok { //nolint:errorlint // only the outermost is a list of equals
			return flattenAll(me)
		}
		return []*openapi3.SchemaError{one}
	case errors.As(err, &many):
		return flattenAll(many)
	}
	return []*openapi3.SchemaError{{Reason: "it does not match the contract"}}
}

func flattenAll(me openapi3.MultiError) (out []*openapi3.SchemaError) {
	for _, e := range me {
		out = append(out, flatten(e)...)
	}
	return out
}

// faultsFrom turns one finding of the validator into faults in the contract's codes.
func faultsFrom(e *openapi3.SchemaError, base string) []hook.Fault {
	field := base
	for _, part := range e.JSONPointer() {
		if _, err := strconv.Atoi(part); err == nil {
			field += "[" + part + "]"
		} else {
			field = join(field, part)
		}
	}
	var inner *openapi3.SchemaError
	if e.SchemaField == "allOf" && errors.As(e.Origin, &inner) { // of a $ref that has a description
		return faultsFrom(inner, base) // it knows the whole way
	}
	name := field
	if name == "" {
		name = "the body"
	}
	fault := func(code, format string, args ...any) []hook.Fault {
		return []hook.Fault{{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)}}
	}
	s := e.Schema
	switch e.SchemaField {
	case "required":
		return fault("required", "%s is required", name)
	case "properties":
		return unknownFields(e, field)
	case "enum":
		return fault("invalid_format", "%s must be one of %s", name, list(s.Enum))
	case "minLength":
		return fault("too_short", "%s must have at least %d characters", name, s.MinLength)
	case "maxLength":
		return fault("too_long", "%s must have at most %d characters", name, *s.MaxLength)
	case "minimum", "maximum":
		return fault("out_of_range", "%s %s", name, rangeOf(s))
	case "type", "nullable":
		return fault("invalid_format", "%s must be %s", name, typesOf(s))
	case "pattern", "format":
		return []hook.Fault{formFault(s, e.Value, field, name)}
	}
	return fault("invalid_format", "%s: %s", name, e.Reason)
}

func unknownFields(e *openapi3.SchemaError, field string) []hook.Fault {
	object, ok := e.Value.(map[string]any)
	if !ok {
		return nil
	}
	known := slices.Sorted(maps.Keys(e.Schema.Properties))
	var faults []hook.Fault
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if len(faults) == maxFaults {
			break
		}
		if e.Schema.Properties[name] == nil {
			f := unknownField(name, known)
			f.Field = join(field, name)
			faults = append(faults, f)
		}
	}
	return faults
}

// formFault explains a text that has not the form it should.
func formFault(s *openapi3.Schema, value any, field, name string) hook.Fault {
	text, _ := value.(string)
	if utf8.RuneCountInString(text) > 60 {
		text = string([]rune(text)[:60]) + "…"
	}
	switch {
	case s.Format == "date-time":
		return hook.Fault{Field: field, Code: "invalid_format", Detail: fmt.Sprintf("%q is not a time such as 2026-11-21T02:13:00Z", text)}
	case s.Format == "uuid":
		return hook.Fault{Field: field, Code: "invalid_format", Detail: fmt.Sprintf("%q is not an id", text)}
	}
	like := ""
	if len(s.Examples) > 0 {
		like = fmt.Sprintf(", such as %v", s.Examples[0])
	}
	return hook.Fault{Field: field, Code: "invalid_format", Detail: fmt.Sprintf("%s: %q has not the form %s%s", name, text, s.Pattern, like)}
}

func list(values []any) string {
	var names []string
	for _, v := range values {
		names = append(names, fmt.Sprint(v))
	}
	return strings.Join(names, ", ")
}

func rangeOf(s *openapi3.Schema) string {
	switch {
	case s.Min != nil && s.Max != nil:
		return fmt.Sprintf("must be from %s to %s", number(*s.Min), number(*s.Max))
	case s.Min != nil:
		return "must be at least " + number(*s.Min)
	case s.Max != nil:
		return "must be at most " + number(*s.Max)
	}
	return "is out of range"
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func typesOf(s *openapi3.Schema) string {
	if s.Type == nil {
		return "something else"
	}
	var names []string
	for _, t := range s.Type.Slice() {
		switch t {
		case "integer":
			names = append(names, "a whole number")
		case "object":
			names = append(names, "an object")
		case "array":
			names = append(names, "a list")
		case "boolean":
			names = append(names, "true or false")
		case "null":
			names = append(names, "null")
		default:
			names = append(names, "a "+t)
		}
	}
	return strings.Join(names, " or ")
}
