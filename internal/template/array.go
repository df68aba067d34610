package template

import (
	"maps"
	"math"
	"strconv"
	"strings"
)

// Key is a key of an [Array]: a string, or a whole number as PHP's arrays have them.
type Key struct {
	text  string
	num   int64
	isInt bool
}

func intKey(n int64) Key { return Key{num: n, isInt: true} }

// textKey is PHP's rule: a string that spells a whole number is that number.
func textKey(s string) Key {
	if n := len(s); n > 0 && n <= 20 && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') {
		if v, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(v, 10) == s {
			return intKey(v)
		}
	}
	return Key{text: s}
}

func (k Key) value() any {
	if k.isInt {
		return k.num
	}
	return k.text
}

func (k Key) String() string {
	if k.isInt {
		return strconv.FormatInt(k.num, 10)
	}
	return k.text
}

// indexFrom is the number of elements from which an Array looks keys up by hash.
const indexFrom = 9

// Array is PHP's array: an ordered map that is also the list. A nil *Array is empty. Once it
// has been given to a template it must not be changed; templates never change one they were given.
type Array struct {
	keys  []Key // nil as long as the keys are 0, 1, 2...
	vals  []any
	index map[Key]int
	next  int64

	folded map[string]int // of NewFolded: keys in lower case
	object bool           // it was a JSON object, which an empty array does not tell
}

// NewList makes a list of values (see [From] for what may be in it).
func NewList(values ...any) *Array {
	a := &Array{}
	for _, v := range values {
		a.push(From(v))
	}
	return a
}

// NewMap makes an empty map, to be filled with Set in the order templates are to see.
func NewMap() *Array { return &Array{} }

// NewFolded makes an empty map whose names are found in any case, as those of HTTP headers are. They are
// listed as they were first set.
func NewFolded() *Array { return &Array{folded: map[string]int{}} }

// Set adds or replaces what the name stands for and returns the map (see [From] for values).
func (a *Array) Set(name string, value any) *Array {
	a.put(textKey(name), From(value))
	return a
}

// Get finds the value of a name.
func (a *Array) Get(name string) (any, bool) { return a.get(textKey(name)) }

// Len is the number of elements.
func (a *Array) Len() int {
	if a == nil {
		return 0
	}
	return len(a.vals)
}

func (a *Array) keyAt(i int) Key {
	if a.keys == nil {
		return intKey(int64(i))
	}
	return a.keys[i]
}

func (a *Array) find(k Key) int {
	if a == nil {
		return -1
	}
	if a.folded != nil && !k.isInt {
		if i, ok := a.folded[strings.ToLower(k.text)]; ok {
			return i
		}
		return -1
	}
	if a.keys == nil {
		if k.isInt && k.num >= 0 && k.num < int64(len(a.vals)) {
			return int(k.num)
		}
		return -1
	}
	if a.index != nil {
		if i, ok := a.index[k]; ok {
			return i
		}
		return -1
	}
	for i := range a.keys {
		if a.keys[i] == k {
			return i
		}
	}
	return -1
}

func (a *Array) get(k Key) (any, bool) {
	if i := a.find(k); i >= 0 {
		return a.vals[i], true
	}
	return nil, false
}

func (a *Array) push(v any) { a.put(intKey(a.next), v) }

func (a *Array) put(k Key, v any) {
	if i := a.find(k); i >= 0 {
		a.vals[i] = v
		return
	}
	if a.keys == nil && (!k.isInt || k.num != int64(len(a.vals))) {
		a.keys = make([]Key, len(a.vals), len(a.vals)+4)
		for i := range a.keys {
			a.keys[i] = intKey(int64(i))
		}
	}
	a.vals = append(a.vals, v)
	if a.folded != nil && !k.isInt {
		a.folded[strings.ToLower(k.text)] = len(a.vals) - 1
	}
	if a.keys != nil {
		a.keys = append(a.keys, k)
		switch {
		case a.index != nil:
			a.index[k] = len(a.vals) - 1
		case len(a.vals) >= indexFrom:
			a.index = make(map[Key]int, 2*len(a.vals))
			for i := range a.keys {
				a.index[a.keys[i]] = i
			}
		}
	}
	if k.isInt && k.num >= a.next && k.num < math.MaxInt64 {
		a.next = k.num + 1
	}
}

func (a *Array) clone() *Array {
	if a == nil {
		return &Array{}
	}
	b := &Array{vals: append(make([]any, 0, len(a.vals)+2), a.vals...), next: a.next}
	b.folded = maps.Clone(a.folded)
	if a.keys != nil {
		b.keys = append(make([]Key, 0, len(a.keys)+2), a.keys...)
	}
	if a.index != nil {
		b.index = make(map[Key]int, len(a.index)+2)
		for k, i := range a.index {
			b.index[k] = i
		}
	}
	return b
}

// isList says whether the keys are 0, 1, 2... in this order.
func (a *Array) isList() bool {
	if a == nil || a.keys == nil {
		return true
	}
	for i, k := range a.keys {
		if !k.isInt || k.num != int64(i) {
			return false
		}
	}
	return true
}
