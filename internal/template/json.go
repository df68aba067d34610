package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"time"
)

// bigInt is a whole number of a JSON document beyond 64 bits: it counts as the float PHP would make of
// it, and is printed with the digits it came with.
type bigInt struct {
	digits string
	float  float64
}

// maxJSONDepth is PHP's own limit of json_decode.
const maxJSONDepth = 512

// DecodeJSON reads one JSON document into values a template may be given. The order of keys is kept, the
// last of repeated keys wins, whole numbers stay whole.
func DecodeJSON(data []byte) (any, error) {
	if json.Valid(data) {
		return (&jsonReader{data: data}).value(0)
	}
	return decodeSlowly(data)
}

// decodeSlowly says what is wrong with a document.
func decodeSlowly(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON document")
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("JSON nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		a := &Array{object: t == '{'}
		for d.More() {
			k := intKey(a.next)
			if t == '{' {
				name, err := d.Token()
				if err != nil {
					return nil, err
				}
				k = textKey(name.(string))
			}
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			a.put(k, v)
		}
		_, err := d.Token()
		return a, err
	case json.Number:
		return number(string(t)), nil
	default:
		return t, nil
	}
}

// EncodeJSON writes a value that an expression gave as JSON, for consumers that are not PHP: what came as an
// object stays one also when it is empty, and text stands as it is. It is an error if the value is none
// that JSON can hold.
func EncodeJSON(v any) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(failure)
			if !ok {
				f = failure{message: "the value cannot be encoded"}
			}
			text, err = nil, &Error{Kind: Runtime, Message: f.message}
		}
	}()
	started := time.Now()
	r := &run{now: started, zone: utc, deadline: started.Add(maxTime), looked: started}
	e := jsonEncoder{r: r, flags: jsonUnescapedSlash | jsonUnescapedText | jsonUnescapedBreaks, depth: maxJSONDepth, objects: true}
	if _, ok := v.(*closure); ok {
		fail("a function is no JSON value")
	}
	e.value(v, 0)
	if e.failed {
		fail("the value is not valid JSON: text must be UTF-8, numbers finite, and nesting at most 512 levels")
	}
	return []byte(e.b.String()), nil
}

// Number is a number of a JSON document as templates see it: whole if it is written so.
func Number(literal string) any { return number(literal) }

func number(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && s != "-0" {
		return n
	}
	f, _ := strconv.ParseFloat(s, 64)
	if s != "-0" && !bytes.ContainsAny([]byte(s), ".eE") {
		return bigInt{digits: s, float: f}
	}
	return f
}

// From turns a Go value into one a template may see: nil, booleans, whole and floating numbers, strings,
// json.Number, json.RawMessage, *Array, and slices and maps of these (a Go map is ordered by its keys). Of
// anything else it makes its text, so that no method or field of a Go value can be reached.
func From(v any) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, *dateValue, bigInt:
		return v
	case *Array:
		if v == nil {
			return &Array{}
		}
		return v
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case float32:
		return float64(v)
	case json.Number:
		return number(v.String())
	case json.RawMessage:
		if len(v) == 0 {
			return nil
		}
		decoded, err := DecodeJSON(v)
		if err != nil {
			return string(v)
		}
		return decoded
	case []byte:
		return string(v)
	case []any:
		a := &Array{}
		for _, e := range v {
			a.push(From(e))
		}
		return a
	case []string:
		a := &Array{}
		for _, e := range v {
			a.push(e)
		}
		return a
	case map[string]any:
		a := &Array{}
		for _, k := range sortedNames(v) {
			a.put(textKey(k), From(v[k]))
		}
		return a
	case map[string]string:
		a := &Array{}
		for _, k := range sortedNames(v) {
			a.put(textKey(k), v[k])
		}
		return a
	default:
		return fmt.Sprint(v)
	}
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}
