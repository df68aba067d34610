package parse

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/hook"
)

// document is a JSON document decoded for the library, which remembers where everything
// came from: lists and objects by their identity, numbers by their value.
type document struct {
	data    []byte
	origins map[uintptr]origin
	digits  map[uint64]string // of numbers: floating point does not give them back
	clashes map[uint64]bool   // different numbers that are one and the same in floating point
	count   int
	kept    []any // values of repeated keys: while they live nothing else gets their identity
}

type origin struct {
	span
	size int
}

// maxValues bounds a document that is decoded: each value takes some hundred bytes.
const maxValues = 2_000_000

func (d *document) decode() (any, error) {
	d.origins = make(map[uintptr]origin)
	d.digits = make(map[uint64]string)
	d.clashes = make(map[uint64]bool)
	v, _ := d.value(skipBlank(d.data, 0))
	if d.count > maxValues {
		return nil, hook.Errorf(hook.KindTooLarge, "the body has more than %d values, too many to select from; send it in parts", maxValues)
	}
	return v, nil
}

// value decodes the value at i and returns where it ends.
func (d *document) value(i int) (any, int) {
	if d.count++; d.count > maxValues {
		return nil, len(d.data)
	}
	switch d.data[i] {
	case '{':
		return d.object(i)
	case '[':
		return d.list(i)
	case '"':
		return d.text(i)
	}
	end := skipValue(d.data, i)
	switch d.data[i] {
	case 't':
		return true, end
	case 'f':
		return false, end
	case 'n':
		return nil, end
	}
	return d.number(string(d.data[i:end])), end
}

func (d *document) text(i int) (string, int) {
	end := skipString(d.data, i)
	raw := d.data[i+1 : end-1]
	if !slices.Contains(raw, '\\') {
		return string(raw), end
	}
	var s string
	_ = json.Unmarshal(d.data[i:end], &s) // checked before
	return s, end
}

func (d *document) object(start int) (any, int) {
	m := make(map[string]any)
	i := skipBlank(d.data, start+1)
	for i < len(d.data) && d.data[i] != '}' {
		key, end := d.text(i)
		i = skipBlank(d.data, skipBlank(d.data, end)+1) // the colon
		if old, ok := m[key]; ok {
			d.kept = append(d.kept, old)
		}
		m[key], i = d.value(i)
		if i = skipBlank(d.data, i); i < len(d.data) && d.data[i] == ',' {
			i = skipBlank(d.data, i+1)
		}
	}
	d.origins[identity(m)] = origin{span{start, i + 1}, len(m)}
	return m, i + 1
}

func (d *document) list(start int) (any, int) {
	list := []any{}
	i := skipBlank(d.data, start+1)
	for i < len(d.data) && d.data[i] != ']' {
		var v any
		v, i = d.value(i)
		list = append(list, v)
		if i = skipBlank(d.data, i); i < len(d.data) && d.data[i] == ',' {
			i = skipBlank(d.data, i+1)
		}
	}
	if len(list) > 0 { // empty ones are all the same to Go
		d.origins[identity(list)] = origin{span{start, i + 1}, len(list)}
	}
	return list, i + 1
}

func identity(v any) uintptr { return reflect.ValueOf(v).Pointer() }

// origin is where a list or object stood in the document, if it is one of its own.
func (d *document) origin(v any) (span, bool) {
	var size int
	switch v := v.(type) {
	case map[string]any:
		size = len(v)
	case []any:
		if size = len(v); size == 0 {
			return span{}, false
		}
	default:
		return span{}, false
	}
	o, ok := d.origins[identity(v)]
	return o.span, ok && o.size == size
}

// number decodes a number and remembers its digits, the shortest ones if it is there as 1
// and as 1.0.
func (d *document) number(literal string) float64 {
	f, _ := strconv.ParseFloat(literal, 64) // beyond its range: infinite, which compares well
	bits := math.Float64bits(f)
	known, ok := d.digits[bits]
	if ok && known != literal && !sameNumber(known, literal) {
		d.clashes[bits] = true
	}
	if !ok || len(literal) < len(known) {
		d.digits[bits] = literal
	}
	return f
}

// sameNumber compares two literals that have the same value in floating point.
func sameNumber(a, b string) bool {
	da, ea := scientific(a)
	db, eb := scientific(b)
	return da == db && ea == eb
}

// scientific splits a literal into its digits, without zeros around them, and the power of
// ten of the last one.
func scientific(s string) (digits string, exponent string) {
	mantissa, power := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n > 1<<30 || n < -1<<30 {
			return s, "" // only equal to itself
		}
		mantissa, power = s[:i], n
	}
	sign := ""
	if rest, ok := strings.CutPrefix(mantissa, "-"); ok {
		sign, mantissa = "-", rest
	}
	before, after, _ := strings.Cut(mantissa, ".")
	power -= len(after)
	all := strings.TrimLeft(before+after, "0")
	short := strings.TrimRight(all, "0")
	if short == "" {
		return sign, ""
	}
	return sign + short, strconv.Itoa(power + len(all) - len(short))
}

// keys are an object's in the order of the document, or of the alphabet if it is none of its own.
func (d *document) keys(m map[string]any) []string {
	s, ok := d.origin(m)
	if !ok {
		names := make([]string, 0, len(m))
		for k := range m {
			names = append(names, k)
		}
		slices.Sort(names)
		return names
	}
	names := make([]string, 0, len(m))
	seen := make(map[string]bool, len(m))
	i := skipBlank(d.data, s.from+1)
	for d.data[i] != '}' {
		key, end := d.text(i)
		if !seen[key] {
			seen[key] = true
			names = append(names, key)
		}
		i = skipBlank(d.data, skipBlank(d.data, end)+1)
		if i = skipBlank(d.data, skipValue(d.data, i)); d.data[i] == ',' {
			i = skipBlank(d.data, i+1)
		}
	}
	return names
}

func (d *document) members(m map[string]any) []any {
	out := make([]any, 0, len(m))
	for _, k := range d.keys(m) {
		out = append(out, m[k])
	}
	return out
}

// append writes what an expression has selected or made.
func (d *document) append(dst []byte, v any) ([]byte, error) {
	if s, ok := d.origin(v); ok {
		return append(dst, d.data[s.from:s.to]...), nil
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return appendString(dst, v), nil
	case float64:
		return d.appendNumber(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = d.append(dst, e); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, k := range d.keys(v) {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = d.append(append(appendString(dst, k), ':'), v[k]); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return dst, malformed("parser.items gives something that is not JSON over this body")
}

func (d *document) appendNumber(dst []byte, f float64) ([]byte, error) {
	bits := math.Float64bits(f)
	if d.clashes[bits] {
		return dst, malformed("parser.items selects the number %s, which a computer cannot tell from another one in the body; select the object that holds it", d.digits[bits])
	}
	if literal, ok := d.digits[bits]; ok {
		return append(dst, literal...), nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...), nil
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64), nil
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
}
