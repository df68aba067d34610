package preset

import (
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
)

// described is a field of a description: where it goes, and what it may be.
type described struct {
	to      *string
	longest int
	choices []string // nil: any text
}

// Parse reads a description in JSON, with the fields of the noun in camel case and the
// tolerance as text, and is then as Custom. It tells of every fault of form at once.
func Parse(raw []byte) (hook.Verification, []hook.Fault) {
	d := describer{}
	v := d.read(raw)
	if len(d.faults) > 0 {
		return hook.Verification{}, d.faults
	}
	return Custom(v)
}

func (d *describer) read(raw []byte) (v hook.Verification) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		d.fault("", "invalid_format", "must be a JSON object that describes a signature")
		return v
	}
	tolerance := ""
	known := map[string]described{
		"algorithm": {&v.Algorithm, 0, algorithms}, "encoding": {&v.Encoding, 0, encodings}, "key": {&v.Key, 0, keyKinds},
		"timestampUnit": {&v.TimestampUnit, 0, units},
		"header":        {&v.Header, 100, nil}, "query": {&v.Query, 100, nil}, "bodyField": {&v.BodyField, 200, nil},
		"prefix": {&v.Prefix, 100, nil}, "separator": {&v.Separator, 100, nil}, "content": {&v.Content, 1000, nil}, "idHeader": {&v.IDHeader, 100, nil},
		"timestampHeader": {&v.TimestampHeader, 100, nil}, "timestampField": {&v.TimestampField, 200, nil}, "timestampPrefix": {&v.TimestampPrefix, 100, nil},
		"bodySHA256Query": {&v.BodySHA256Query, 100, nil}, "tolerance": {&tolerance, 100, nil},
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		d.member(name, members[name], known)
	}
	if members["tolerance"] == nil || len(d.faults) > 0 {
		return v
	}
	wait, err := hook.ParseDuration(tolerance)
	if err != nil {
		d.fault("tolerance", "invalid_duration", err.Error())
	}
	v.Tolerance = &wait
	return v
}

// member reads one field.
func (d *describer) member(name string, raw json.RawMessage, known map[string]described) {
	field, ok := known[name]
	if !ok {
		detail := "there is no such field in the description of a signature"
		if near := nearest.Name(name, slices.Collect(maps.Keys(known))); near != "" {
			detail += "; did you mean " + near + "?"
		}
		d.fault(name, "unknown_field", detail)
		return
	}
	var text *string
	switch err := json.Unmarshal(raw, &text); {
	case err != nil || text == nil:
		d.fault(name, "invalid_format", "must be a string; leave it out for its default")
	case field.choices != nil:
		d.oneOf(name, *text, field.choices)
	case utf8.RuneCountInString(*text) > field.longest:
		d.fault(name, "too_long", "is too long")
	}
	if text != nil {
		*field.to = *text
	}
}
