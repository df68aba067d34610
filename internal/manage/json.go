package manage

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// maxJSON bounds JSON that lies within configuration: templates of 64 KiB may be in it.
const maxJSON = 256 << 10

// jsonObject reads an object as it is written, without white space between; nil if it is
// absent or null.
func (o *object) jsonObject(name string) []byte {
	if raw := o.raw(name); raw != nil && !isNull(raw) && raw[0] != '{' {
		o.fault(o.at(name), "invalid_format", "must be an object, not %s", abbreviated(raw))
		return nil
	}
	return o.json(name, maxJSON)
}

// sameJSON compares what JSON says, not how it is written: a tool that reads it and writes
// it again may sort keys and write 2.5 for 2.50.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := decoded(a)
	y, errY := decoded(b)
	return errX == nil && errY == nil && sameValue(x, y)
}

func decoded(raw []byte) (v any, err error) {
	if len(raw) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func sameValue(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameValue)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValue)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(string(a), string(b))
	}
	return a == b
}

// sameNumber compares values exactly, unless one would take long to write out.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	const long, exponent = 100, "eE"
	if len(a) > long || len(b) > long || strings.ContainsAny(a+b, exponent) {
		return false
	}
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	return okX && okY && x.Cmp(y) == 0
}
