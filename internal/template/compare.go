package template

import (
	"math"
	"strconv"
	"strings"
)

// compare is PHP 8's <=>. What cannot be compared is greater.
func (r *run) compare(a, b any) int {
	r.step(1)
	if x, ok := a.(bigInt); ok {
		if y, ok := b.(bigInt); ok && x.digits == y.digits {
			return 0
		}
		if s, ok := b.(string); ok && s == x.digits {
			return 0
		}
		a = x.float
	}
	if y, ok := b.(bigInt); ok {
		if s, ok := a.(string); ok && s == y.digits {
			return 0
		}
		b = y.float
	}
	switch x := a.(type) {
	case nil:
		switch y := b.(type) {
		case nil:
			return 0
		case string:
			return strings.Compare("", y)
		}
		return order(false, truth(b))
	case bool:
		return order(x, truth(b))
	}
	switch y := b.(type) {
	case nil:
		if x, ok := a.(string); ok {
			return strings.Compare(x, "")
		}
		return order(truth(a), false)
	case bool:
		return order(truth(a), y)
	}
	if x, ok := a.(*markup); ok {
		switch b.(type) {
		case string, *markup:
			a, b = x.text, plain(b)
		}
	} else if y, ok := b.(*markup); ok {
		if _, ok := a.(string); ok {
			b = y.text
		}
	}
	if a, b, ok := objectAsNumber(a, b); ok {
		return compareNumbers(a, b)
	}
	switch x := a.(type) {
	case int64, float64:
		switch y := b.(type) {
		case int64, float64:
			return compareNumbers(a, b)
		case string:
			return compareNumberString(x, y)
		}
	case string:
		switch y := b.(type) {
		case int64, float64:
			return -compareNumberString(y, x)
		case string:
			return compareStrings(x, y)
		}
	case *Array:
		switch y := b.(type) {
		case *Array:
			return r.compareArrays(x, y)
		case int64, float64, string:
			return 1
		}
		return -1 // an object
	case *dateValue:
		if y, ok := b.(*dateValue); ok {
			return compareDates(x, y)
		}
		return 1
	}
	if a == b {
		return 0
	}
	if _, ok := b.(*Array); ok && !isObject(a) {
		return -1
	}
	if isObject(b) && !isObject(a) {
		return -1
	}
	return 1
}

// isObject says whether a value would be an object in PHP.
func isObject(v any) bool {
	switch v.(type) {
	case nil, bool, int64, float64, bigInt, string, *Array:
		return false
	}
	return true
}

// objectAsNumber is how PHP compares an object with a number: as if it were 1.
func objectAsNumber(a, b any) (any, any, bool) {
	number := func(v any) bool {
		switch v.(type) {
		case int64, float64:
			return true
		}
		return false
	}
	switch {
	case isObject(a) && number(b):
		return int64(1), b, true
	case number(a) && isObject(b):
		return a, int64(1), true
	}
	return a, b, false
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func compareNumbers(a, b any) int {
	x, xInt := a.(int64)
	y, yInt := b.(int64)
	if xInt && yInt {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	f, g := asFloat(a), asFloat(b)
	switch {
	case f == g:
		return 0
	case f < g:
		return -1
	}
	return 1
}

func compareNumberString(n any, s string) int {
	if v, whole, _ := numeric(s); whole {
		return compareNumbers(n, v)
	}
	text := ""
	switch n := n.(type) {
	case int64:
		text = strconv.FormatInt(n, 10)
	case float64:
		text = floatText(n)
	}
	return strings.Compare(text, s)
}

func compareStrings(a, b string) int {
	if a == b {
		return 0
	}
	if len(a) > 0 && len(b) > 0 && a[0] <= '9' && b[0] <= '9' {
		x, whole, _ := numeric(a)
		if whole {
			if y, whole, _ := numeric(b); whole {
				_, xInt := x.(int64)
				_, yInt := y.(int64)
				if !(xInt && yInt) && asFloat(x) == asFloat(y) && math.Abs(asFloat(x)) >= 9.2e18 && !strings.ContainsAny(a+b, ".eE") {
					return strings.Compare(a, b)
				}
				return compareNumbers(x, y)
			}
		}
	}
	return strings.Compare(a, b)
}

func (r *run) compareArrays(a, b *Array) int {
	if a == b {
		return 0
	}
	if n, m := a.Len(), b.Len(); n != m {
		return compareNumbers(int64(n), int64(m))
	}
	r.deeper()
	defer func() { r.level-- }()
	for i := range a.vals {
		other, ok := b.get(a.keyAt(i))
		if !ok {
			return 1
		}
		if c := r.compare(a.vals[i], other); c != 0 {
			return c
		}
	}
	return 0
}

// identical is PHP's ===.
func (r *run) identical(a, b any) bool {
	r.step(1)
	x, ok := a.(*Array)
	if !ok {
		return a == b
	}
	y, ok := b.(*Array)
	if !ok || x.Len() != y.Len() {
		return false
	}
	r.deeper()
	defer func() { r.level-- }()
	for i := range x.vals {
		if x.keyAt(i) != y.keyAt(i) || !r.identical(x.vals[i], y.vals[i]) {
			return false
		}
	}
	return true
}
