package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
)

// maxFaults bounds an answer: nobody reads more, and a body can have a hundred thousand.
const maxFaults = 100

// reader collects everything that is wrong with a document.
type reader struct {
	faults []hook.Fault
	told   map[string]bool // the fields that have a fault
}

// fault notes what is wrong with a field. Of several faults of one field the first says
// enough.
func (r *reader) fault(field, code, format string, args ...any) {
	if r.told[field] || len(r.faults) == maxFaults {
		return
	}
	if r.told == nil {
		r.told = map[string]bool{}
	}
	r.told[field] = true
	r.faults = append(r.faults, hook.Fault{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// object is a JSON object being read. Getters return the default for an absent field
// and for one with a fault, which they note; done notes the fields nobody asked for.
type object struct {
	*reader
	path   string // "" at the top
	fields map[string]json.RawMessage
	known  map[string]bool
}

// readDocument begins to read the body of a request; an empty one is an empty object.
func readDocument(doc []byte) (*object, error) {
	o := &object{reader: &reader{}, fields: map[string]json.RawMessage{}, known: map[string]bool{}}
	if len(bytes.TrimSpace(doc)) == 0 {
		return o, nil
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	if err := d.Decode(&o.fields); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, hook.Invalid([]hook.Fault{{Code: "invalid_format", Detail: "must be a JSON object"}})
		}
		return nil, hook.Errorf(hook.KindMalformedJSON, "the body is not JSON")
	}
	if o.fields == nil {
		return nil, hook.Invalid([]hook.Fault{{Code: "invalid_format", Detail: "must be a JSON object, not null"}})
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, hook.Errorf(hook.KindMalformedJSON, "there is something after the JSON object")
	}
	return o, nil
}

func (o *object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// raw returns a field's JSON, nil if it is absent.
func (o *object) raw(name string) json.RawMessage {
	o.known[name] = true
	return o.fields[name]
}

func (o *object) has(name string) bool { return o.raw(name) != nil }

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func (o *object) isNull(name string) bool { return isNull(o.raw(name)) }

// value decodes a present, non-null field.
func (o *object) value(name, what string, into any) bool {
	raw := o.raw(name)
	if raw == nil {
		return false
	}
	if isNull(raw) || json.Unmarshal(raw, into) != nil {
		o.fault(o.at(name), "invalid_format", "must be %s, not %s", what, abbreviated(raw))
		return false
	}
	return true
}

func abbreviated(raw json.RawMessage) string {
	switch raw[0] {
	case 'n':
		return "null"
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}

// text reads a string of lo to hi characters without control characters; tabs and
// line breaks are allowed from longText on.
func (o *object) text(name, def string, lo, hi int) string {
	var s string
	if !o.value(name, "a string", &s) || !o.checkText(o.at(name), s, lo, hi) {
		return def
	}
	return s
}

// longText is the length from which on a text may have lines.
const longText = 1000

func (r *reader) checkText(field, s string, lo, hi int) bool {
	n := utf8.RuneCountInString(s)
	switch {
	case n == 0 && lo > 0:
		r.fault(field, "required", "must not be empty")
	case n < lo:
		r.fault(field, "too_short", "has %d characters; at least %d are needed", n, lo)
	case n > hi:
		r.fault(field, "too_long", "has %d characters; at most %d are allowed", n, hi)
	case strings.ContainsFunc(s, func(c rune) bool {
		return (c < ' ' || c == 0x7f) && (hi < longText || c != '\n' && c != '\t' && c != '\r')
	}):
		r.fault(field, "invalid_format", "must not contain control characters")
	default:
		return true
	}
	return false
}

func (o *object) oneOf(name, def string, allowed ...string) string {
	var s string
	if !o.value(name, "a string", &s) {
		return def
	}
	if !slices.Contains(allowed, s) {
		o.fault(o.at(name), "invalid_format", "%q is not one of %s", clip(s), strings.Join(allowed, ", "))
		return def
	}
	return s
}

func (o *object) flag(name string, def bool) bool {
	b := def
	if !o.value(name, "true or false", &b) {
		return def
	}
	return b
}

func (o *object) integer(name string, def, lo, hi int) int {
	var n json.Number
	if !o.number(name, "a whole number", &n) {
		return def
	}
	f, err := n.Float64() // 1e1 and 10.0 are whole, too
	switch {
	case err == nil && f != math.Trunc(f):
		o.fault(o.at(name), "invalid_format", "must be a whole number, not %s", clip(string(n)))
		return def
	case err != nil || f < float64(lo) || f > float64(hi):
		o.fault(o.at(name), "out_of_range", "%s is not between %d and %d", clip(string(n)), lo, hi)
		return def
	}
	return int(f)
}

func (o *object) float(name string, def, lo, hi float64) float64 {
	var n json.Number
	if !o.number(name, "a number", &n) {
		return def
	}
	f, err := n.Float64()
	if err != nil || f < lo || f > hi {
		o.fault(o.at(name), "out_of_range", "%s is not between %v and %v", clip(string(n)), lo, hi)
		return def
	}
	return f
}

// number keeps the literal, and refuses numbers in quotes, which json.Number takes.
func (o *object) number(name, what string, into *json.Number) bool {
	raw := o.raw(name)
	if raw != nil && raw[0] == '"' {
		o.fault(o.at(name), "invalid_format", "must be %s, not a string", what)
		return false
	}
	return o.value(name, what, into)
}

// texts reads a list of at most hi strings and calls each for those that are. It returns
// how many elements there are, and whether it is such a list at all.
func (o *object) texts(name string, hi int, each func(at, s string)) (n int, ok bool) {
	var list []json.RawMessage
	if !o.value(name, "a list of strings", &list) {
		return 0, false
	}
	if len(list) > hi {
		o.fault(o.at(name), "too_long", "has %d entries; at most %d are allowed", len(list), hi)
		return 0, false
	}
	for i, raw := range list {
		var s string
		if at := index(o.at(name), i); isNull(raw) || json.Unmarshal(raw, &s) != nil {
			o.fault(at, "invalid_format", "must be a string, not %s", abbreviated(raw))
		} else {
			each(at, s)
		}
	}
	return len(list), true
}

// clip shortens what is repeated to the caller.
func clip(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		return string([]rune(s)[:most]) + "…"
	}
	return s
}

func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// object reads a nested object; nil if it is absent.
func (o *object) object(name string) *object {
	if !o.has(name) {
		return nil
	}
	return o.nested(o.at(name), o.raw(name))
}

// objectOrNull reads a nested object for which null is none.
func (o *object) objectOrNull(name string) *object {
	if o.isNull(name) {
		return nil
	}
	return o.object(name)
}

func (o *object) nested(path string, raw json.RawMessage) *object {
	x := &object{reader: o.reader, path: path, known: map[string]bool{}}
	if isNull(raw) || json.Unmarshal(raw, &x.fields) != nil {
		o.fault(path, "invalid_format", "must be an object, not %s", abbreviated(raw))
		return nil
	}
	return x
}

// objects reads a list of objects; nil stands for one that is none.
func (o *object) objects(name string) []*object {
	var list []json.RawMessage
	if !o.value(name, "a list of objects", &list) {
		return nil
	}
	out := make([]*object, len(list))
	for i, raw := range list {
		out[i] = o.nested(index(o.at(name), i), raw)
	}
	return out
}

// Limits of metadata, as of the contract.
const (
	maxMetadata      = 50
	maxMetadataKey   = 64
	maxMetadataValue = 500
)

// metadata reads a map of strings.
func (o *object) metadata() map[string]string {
	const name = "metadata"
	out := map[string]string{}
	x := o.object(name)
	if x == nil {
		return out
	}
	if len(x.fields) > maxMetadata {
		o.fault(o.at(name), "too_long", "has %d keys; at most %d are allowed", len(x.fields), maxMetadata)
		return out
	}
	for _, k := range slices.Sorted(maps.Keys(x.fields)) {
		if strings.Contains(k, ":") {
			o.fault(x.at(k), "invalid_format", "a key must not contain a colon")
		} else if o.checkText(x.at(k), k, 1, maxMetadataKey) {
			out[k] = x.text(k, "", 0, maxMetadataValue)
		}
	}
	return out
}

// ignore takes fields that are read-only: a GET may be edited and sent back.
func (o *object) ignore(names ...string) {
	for _, n := range names {
		o.known[n] = true
	}
}

// done notes fields that do not exist.
func (o *object) done() {
	for _, n := range slices.Sorted(maps.Keys(o.fields)) {
		if o.known[n] {
			continue
		}
		if len(o.faults) == maxFaults {
			return
		}
		hint := ""
		if near := nearest.Name(n, slices.Sorted(maps.Keys(o.known))); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		o.fault(o.at(n), "unknown_field", "there is no such field%s", hint)
	}
}
