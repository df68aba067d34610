package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// jsonReader decodes a document that is known to be JSON, in one pass: json.Decoder goes over
// each token several times.
type jsonReader struct {
	data []byte
	i    int
}

// peek skips blanks and returns the next byte.
func (r *jsonReader) peek() byte {
	for {
		switch c := r.data[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
}

func (r *jsonReader) value(depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("JSON nested too deeply")
	}
	switch r.peek() {
	case '"':
		return r.text()
	case '{':
		return r.all(depth, '}')
	case '[':
		return r.all(depth, ']')
	case 't':
		r.i += len("true")
		return true, nil
	case 'f':
		r.i += len("false")
		return false, nil
	case 'n':
		r.i += len("null")
		return nil, nil
	}
	from := r.i
	for r.i < len(r.data) && isNumeric(r.data[r.i]) {
		r.i++
	}
	return number(string(r.data[from:r.i])), nil
}

func isNumeric(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c|0x20 == 'e'
}

// all reads an object or a list, to its end.
func (r *jsonReader) all(depth int, end byte) (any, error) {
	a := &Array{object: end == '}'}
	r.i++
	for r.peek() != end {
		k := intKey(a.next)
		if a.object {
			name, err := r.text()
			if err != nil {
				return nil, err
			}
			k = textKey(name)
			r.peek()
			r.i++ // the colon
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a.put(k, v)
		if r.peek() == ',' {
			r.i++
			r.peek()
		}
	}
	r.i++
	return a, nil
}

// text reads a string.
func (r *jsonReader) text() (string, error) {
	from := r.i
	end := bytes.IndexByte(r.data[from+1:], '"') + from + 1
	if raw := r.data[from+1 : end]; bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		r.i = end + 1
		return string(raw), nil
	}
	for r.i++; r.data[r.i] != '"'; r.i++ {
		if r.data[r.i] == '\\' {
			r.i++
		}
	}
	r.i++
	var s string
	err := json.Unmarshal(r.data[from:r.i], &s)
	return s, err
}
