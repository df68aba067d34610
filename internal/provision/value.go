package provision

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// value is a JSON value that remembers where it was written.
type value struct {
	place  Place
	form   form
	fields []field         // of an object, in the order of the file
	list   []*value        // of a list
	text   string          // of a text; variables are in it until it is expanded
	raw    json.RawMessage // of a number, true, false, null

	// written is a text as it was before its variables were expanded, "" if it has none.
	written string
}

type form int

const (
	isObject form = iota
	isList
	isText
	isOther
)

type field struct {
	name  string
	place Place
	value *value
}

// get returns a field of an object, nil if there is none.
func (v *value) get(name string) *value {
	for _, f := range v.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// at follows a JSON Pointer (RFC 6901) as far as it goes.
func (v *value) at(pointer string) (found *value, whole bool) {
	if pointer == "" {
		return v, true
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		segment = strings.NewReplacer("~1", "/", "~0", "~").Replace(segment)
		var next *value
		switch v.form {
		case isObject:
			next = v.get(segment)
		case isList:
			if i, err := strconv.Atoi(segment); err == nil && i >= 0 && i < len(v.list) {
				next = v.list[i]
			}
		default:
		}
		if next == nil {
			return v, false
		}
		v = next
	}
	return v, true
}

// variable reports whether there is a text with a variable in it.
func (v *value) variable() bool {
	for _, f := range v.fields {
		if f.value.variable() {
			return true
		}
	}
	for _, e := range v.list {
		if e.variable() {
			return true
		}
	}
	return v.written != ""
}

// json is the value as the API gets it. With written, variables stand for themselves.
func (v *value) json(written bool) json.RawMessage {
	var b bytes.Buffer
	v.write(&b, written)
	return b.Bytes()
}

func (v *value) write(b *bytes.Buffer, written bool) {
	switch v.form {
	case isObject:
		b.WriteByte('{')
		for i, f := range v.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			writeText(b, f.name)
			b.WriteByte(':')
			f.value.write(b, written)
		}
		b.WriteByte('}')
	case isList:
		b.WriteByte('[')
		for i, e := range v.list {
			if i > 0 {
				b.WriteByte(',')
			}
			e.write(b, written)
		}
		b.WriteByte(']')
	case isText:
		if written && v.written != "" {
			writeText(b, v.written)
		} else {
			writeText(b, v.text)
		}
	case isOther:
		if written && v.written != "" {
			writeText(b, v.written)
		} else {
			b.Write(v.raw)
		}
	}
}

func writeText(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)         // a string can be encoded
	b.Truncate(b.Len() - 1) // the line break
}

// with is the object with a field replaced, or added where there is none; nil takes it out.
func (v *value) with(name string, replacement *value) *value {
	out := *v
	out.fields = nil
	done := false
	for _, f := range v.fields {
		if f.name == name {
			if done = true; replacement == nil {
				continue
			}
			f.value = replacement
		}
		out.fields = append(out.fields, f)
	}
	if !done && replacement != nil {
		out.fields = append(out.fields, field{name: name, place: v.place, value: replacement})
	}
	return &out
}
