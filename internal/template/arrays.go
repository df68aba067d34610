package template

import (
	"math"
	"strings"
	"unicode/utf8"
)

var arrayFilters = map[string]*builtin{
	"join": define("value glue? and?", func(r *run, a args) any { return r.join(a) }),
	"length": define("thing", func(r *run, a args) any {
		switch v := a[0].(type) {
		case nil:
			return int64(0)
		case *Array:
			return int64(v.Len())
		case *dateValue, *intervalValue, *zoneValue, *closure:
			return int64(1)
		default:
			s := r.str(v)
			r.step(len(s) / 64)
			return int64(charCount(s))
		}
	}),
	"slice": define("item start length? preserveKeys?", func(r *run, a args) any {
		return r.slice(a[0], r.intParam(a[1]), a.at(2, nil), a.at(3, false))
	}),
	"first": define("item", func(r *run, a args) any { return r.end(a[0], 0) }),
	"last":  define("item", func(r *run, a args) any { return r.end(a[0], -1) }),
	"reverse": define("item preserveKeys?", func(r *run, a args) any {
		list, ok := a[0].(*Array)
		if !ok {
			return r.reverseText(r.str(a[0]))
		}
		r.chargeElements(list.Len())
		keep := r.flag(a.at(1, false))
		out := &Array{}
		for i := list.Len() - 1; i >= 0; i-- {
			if k := list.keyAt(i); k.isInt && !keep {
				out.push(list.vals[i])
			} else {
				out.put(k, list.vals[i])
			}
		}
		return out
	}),
	"default": define("value default?", func(_ *run, a args) any {
		if isEmpty(a[0]) {
			return a.at(1, "")
		}
		return a[0]
	}),
	"keys": define("array", func(r *run, a args) any {
		list, _ := a[0].(*Array)
		r.chargeElements(list.Len())
		out := &Array{}
		for i := range list.Len() {
			out.push(list.keyAt(i).value())
		}
		return out
	}),
	"merge": define("arr1 arr2", func(r *run, a args) any {
		out := &Array{}
		for i, v := range a[:2] {
			list, ok := v.(*Array)
			if !ok {
				fail(`The merge filter only works with arrays or "Traversable", got %q as %s argument`, typeName(v), []string{"first", "second"}[i])
			}
			r.chargeElements(list.Len())
			for j := range list.Len() {
				if k := list.keyAt(j); k.isInt {
					out.push(list.vals[j])
				} else {
					out.put(k, list.vals[j])
				}
			}
		}
		return out
	}),
	"sort":   define("array arrow?", func(r *run, a args) any { return r.sort(a) }),
	"batch":  define("items size fill? preserveKeys?", func(r *run, a args) any { return r.batch(a) }),
	"column": define("array name index?", func(r *run, a args) any { return r.column(a) }),
	"filter": define("array arrow", func(r *run, a args) any {
		list := r.list("filter", a[0])
		out := &Array{}
		for i := range list.Len() {
			if k := list.keyAt(i); truth(r.call(a[1], list.vals[i], k.value())) {
				out.put(k, list.vals[i])
			}
		}
		r.chargeElements(out.Len())
		return out
	}),
	"map": define("array arrow", func(r *run, a args) any {
		list, _ := a[0].(*Array) // of what is none PHP only warns
		r.chargeElements(list.Len())
		out := &Array{}
		for i := range list.Len() {
			k := list.keyAt(i)
			out.put(k, r.call(a[1], list.vals[i], k.value()))
		}
		return out
	}),
	"reduce": define("array arrow initial?", func(r *run, a args) any {
		list := r.list("reduce", a[0])
		v := a.at(2, nil)
		for i := range list.Len() {
			v = r.call(a[1], v, list.vals[i], list.keyAt(i).value())
		}
		return v
	}),
}

func (r *run) list(filter string, v any) *Array {
	list, ok := v.(*Array)
	if !ok {
		fail(`The %q filter expects an array or "Traversable", got %q`, filter, typeName(v))
	}
	return list
}

func (r *run) join(a args) any {
	list, ok := a[0].(*Array)
	switch {
	case ok:
	case a[0] == nil:
		return ""
	case isObject(a[0]):
		list = r.properties(a[0])
	default:
		list = &Array{}
		list.push(a[0])
	}
	and := a.at(2, nil)
	n := list.Len()
	if n == 0 {
		return ""
	}
	if r.identical(and, a.at(1, "")) {
		and = nil
	}
	if n == 1 && and != nil {
		return list.vals[0]
	}
	glue := r.text(a.at(1, ""))
	r.step(n)
	var b strings.Builder
	for i, v := range list.vals {
		if i > 0 {
			if i == n-1 && and != nil {
				b.WriteString(r.str(and))
			} else {
				b.WriteString(glue)
			}
		}
		if b.WriteString(r.str(v)); b.Len() > maxString {
			limit("a value of the template grows too large")
		}
	}
	r.charge(b.Len())
	return b.String()
}

// window is PHP's reading of an offset and a length in a sequence of n.
func window(n, start int, length any, r *run) (int, int) {
	if start < 0 {
		start = max(0, n+start)
	}
	start = min(start, n)
	end := n
	if length != nil {
		if l := r.intParam(length); l < 0 {
			end = n + l
		} else {
			end = min(n, start+l)
		}
	}
	return start, max(start, end)
}

// slice is Twig's; keep says of an array whether its numbers stay with the elements.
func (r *run) slice(item any, start int, length, keep any) any {
	list, ok := item.(*Array)
	if !ok {
		s := r.str(item)
		r.charge(len(s))
		if isASCII(s) {
			from, to := window(len(s), start, length, r)
			return s[from:to]
		}
		var offsets []int
		r.chargeElements(min(maxRange, len(s)))
		for i := 0; i < len(s); i += charSize(s[i:]) {
			offsets = append(offsets, i)
		}
		from, to := window(len(offsets), start, length, r)
		offsets = append(offsets, len(s))
		return s[offsets[from]:offsets[to]]
	}
	keepKeys := r.flag(keep)
	from, to := window(list.Len(), start, length, r)
	r.chargeElements(to - from)
	out := &Array{}
	for i := from; i < to; i++ {
		if k := list.keyAt(i); k.isInt && !keepKeys {
			out.push(list.vals[i])
		} else {
			out.put(k, list.vals[i])
		}
	}
	return out
}

// end is the first or last element or character; there is none of nothing.
func (r *run) end(item any, at int) any {
	if list, ok := item.(*Array); ok {
		switch {
		case list.Len() == 0:
			return false
		case at < 0:
			return list.vals[list.Len()-1]
		}
		return list.vals[0]
	}
	return r.slice(item, at, int64(1), false)
}

func (r *run) reverseText(s string) string {
	r.charge(len(s))
	if !utf8.ValidString(s) {
		return ""
	}
	b := make([]byte, len(s))
	at := len(s)
	for s != "" {
		_, size := utf8.DecodeRuneInString(s)
		at -= size
		copy(b[at:], s[:size])
		s = s[size:]
	}
	return string(b)
}

func (r *run) sort(a args) any {
	list, ok := a[0].(*Array)
	if !ok {
		fail(`The sort filter only works with arrays or "Traversable", got %q`, typeName(a[0]))
	}
	n := list.Len()
	r.chargeElements(n)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	arrow := a.at(1, nil)
	zendSort(order, func(i, j int) int {
		var c int
		if x, y := list.vals[i], list.vals[j]; arrow == nil {
			c = r.compare(x, y)
		} else if v := r.call(arrow, x, y); v == false {
			c = compareNumbers(int64(0), toInt(r.call(arrow, y, x))) // an answer of yes or no: asked the other way round
		} else {
			c = compareNumbers(toInt(v), int64(0))
		}
		if c == 0 { // in the order they had
			return compareNumbers(int64(i), int64(j))
		}
		return c
	})
	out := &Array{}
	for _, i := range order {
		out.put(list.keyAt(i), list.vals[i])
	}
	return out
}

func (r *run) batch(a args) any {
	list, ok := a[0].(*Array)
	if !ok {
		fail(`The "batch" filter expects an array or "Traversable", got %q`, typeName(a[0]))
	}
	length := math.Ceil(r.floatParam(a[1]))
	wholeParam(length)
	size := int(max(0, min(maxRange+2, length)))
	if size < 1 {
		fail("array_chunk(): Argument #2 ($length) must be greater than 0")
	}
	r.chargeElements(list.Len())
	keep := r.flag(a.at(3, true))
	out := &Array{}
	var last *Array
	for i := range list.Len() {
		if i%size == 0 {
			last = &Array{}
			out.push(last)
		}
		if keep {
			last.put(list.keyAt(i), list.vals[i])
		} else {
			last.push(list.vals[i])
		}
	}
	if fill := a.at(2, nil); fill != nil && last != nil {
		r.chargeElements(max(0, size-last.Len()))
		for last.Len() < size {
			last.push(fill)
		}
	}
	return out
}

// columnKey is the conversion of an argument for a parameter of type string|int|null.
func (r *run) columnKey(v any) *Key {
	switch v.(type) {
	case nil:
		return nil
	case bool, int64, float64, bigInt, string, *markup:
		k := r.arrayKey(plain(v))
		return &k
	}
	fail("array_column(): Argument #2 ($column_key) must be of type string|int|null, %s given", typeName(v))
	return nil
}

func (r *run) column(a args) any {
	list, ok := a[0].(*Array)
	if !ok {
		fail(`The column filter only works with arrays or "Traversable", got %q as first argument`, typeName(a[0]))
	}
	name, index := r.columnKey(a[1]), r.columnKey(a.at(2, nil))
	r.chargeElements(list.Len())
	out := &Array{}
	for _, v := range list.vals {
		row, ok := v.(*Array)
		if !ok {
			continue
		}
		value := any(row)
		if name != nil {
			if value, ok = row.get(*name); !ok {
				continue
			}
		}
		if index != nil {
			if k, ok := row.get(*index); ok {
				out.put(r.arrayKey(plain(k)), value)
				continue
			}
		}
		out.push(value)
	}
	return out
}
