package template

import (
	"math"
	"strings"
)

func opNot(_ *run, v any) any { return !truth(v) }

func opPlus(r *run, v any) any { return opMul(r, v, int64(1)) }

func opMinus(r *run, v any) any { return opMul(r, v, int64(-1)) }

// operands converts both sides of an arithmetic operator.
func operands(sign string, a, b any) (any, any) {
	x, xOK := toNumber(a)
	y, yOK := toNumber(b)
	if !xOK || !yOK {
		fail("Unsupported operand types: %s %s %s", typeName(a), sign, typeName(b))
	}
	return x, y
}

func opAdd(r *run, a, b any) any {
	if x, ok := a.(*Array); ok {
		if y, ok := b.(*Array); ok {
			r.chargeElements(x.Len() + y.Len())
			sum := x.clone()
			for i := range y.vals {
				if k := y.keyAt(i); sum.find(k) < 0 {
					sum.put(k, y.vals[i])
				}
			}
			return sum
		}
	}
	x, y := operands("+", a, b)
	if i, ok := x.(int64); ok {
		if j, ok := y.(int64); ok {
			if sum := i + j; (sum > i) == (j > 0) {
				return sum
			}
		}
	}
	return asFloat(x) + asFloat(y)
}

func opSub(_ *run, a, b any) any {
	x, y := operands("-", a, b)
	if i, ok := x.(int64); ok {
		if j, ok := y.(int64); ok {
			if d := i - j; (d < i) == (j > 0) {
				return d
			}
		}
	}
	return asFloat(x) - asFloat(y)
}

func mulInts(i, j int64) (int64, bool) {
	if i == 0 || j == 0 {
		return 0, true
	}
	p := i * j
	if p/j != i || i == -1 && j == math.MinInt64 || j == -1 && i == math.MinInt64 {
		return 0, false
	}
	return p, true
}

func opMul(_ *run, a, b any) any {
	x, y := operands("*", a, b)
	if i, ok := x.(int64); ok {
		if j, ok := y.(int64); ok {
			if p, ok := mulInts(i, j); ok {
				return p
			}
		}
	}
	return asFloat(x) * asFloat(y)
}

func opDiv(_ *run, a, b any) any {
	x, y := operands("/", a, b)
	if asFloat(y) == 0 {
		fail("Division by zero")
	}
	if i, ok := x.(int64); ok {
		if j, ok := y.(int64); ok && i%j == 0 && (i != math.MinInt64 || j != -1) {
			return i / j
		}
	}
	return asFloat(x) / asFloat(y)
}

// opFloorDiv is // without the cast to a whole number.
func opFloorDiv(r *run, a, b any) any {
	return math.Floor(asFloat(opDiv(r, a, b)))
}

func opInt(_ *run, v any) any { return toInt(v) }

func opMod(_ *run, a, b any) any {
	operands("%", a, b)
	i, j := toInt(a), toInt(b)
	switch j {
	case 0:
		fail("Modulo by zero")
	case -1:
		return int64(0)
	}
	return i % j
}

func opPow(r *run, a, b any) any {
	x, y := operands("**", a, b)
	if base, ok := x.(int64); ok {
		if n, ok := y.(int64); ok && n >= 0 {
			result, square, fits := int64(1), base, true
			for m := n; m > 0 && fits; m >>= 1 {
				if m&1 == 1 {
					if result, fits = mulInts(result, square); !fits {
						break
					}
				}
				if m > 1 {
					square, fits = mulInts(square, square)
				}
			}
			if fits {
				return result
			}
		}
	}
	return math.Pow(asFloat(x), asFloat(y))
}

// bits applies an operator to whole numbers or, as PHP does, to the bytes of two strings.
func bits(r *run, sign string, a, b any, ints func(x, y int64) int64, bytes func(x, y byte) byte, longer bool) any {
	if s, ok := a.(string); ok {
		if t, ok := b.(string); ok {
			if len(s) < len(t) {
				s, t = t, s
			}
			r.charge(len(s))
			out := []byte(s)
			for i := range t {
				out[i] = bytes(s[i], t[i])
			}
			if !longer {
				out = out[:len(t)]
			}
			return string(out)
		}
	}
	x, y := operands(sign, a, b)
	return ints(toInt(x), toInt(y))
}

func opBitOr(r *run, a, b any) any {
	return bits(r, "|", a, b, func(x, y int64) int64 { return x | y }, func(x, y byte) byte { return x | y }, true)
}

func opBitAnd(r *run, a, b any) any {
	return bits(r, "&", a, b, func(x, y int64) int64 { return x & y }, func(x, y byte) byte { return x & y }, false)
}

func opBitXor(r *run, a, b any) any {
	return bits(r, "^", a, b, func(x, y int64) int64 { return x ^ y }, func(x, y byte) byte { return x ^ y }, false)
}

// equal is PHP's ==; not a number equals nothing.
func (r *run) equal(a, b any) bool {
	if x, ok := a.(float64); ok && math.IsNaN(x) {
		if _, ok := b.(bool); !ok {
			return false
		}
	}
	return r.compare(a, b) == 0
}

func opEqual(r *run, a, b any) any        { return r.equal(a, b) }
func opNotEqual(r *run, a, b any) any     { return !r.equal(a, b) }
func opSpaceship(r *run, a, b any) any    { return int64(r.compare(a, b)) }
func opLess(r *run, a, b any) any         { return r.compare(a, b) < 0 }
func opLessEqual(r *run, a, b any) any    { return r.compare(a, b) <= 0 }
func opGreater(r *run, a, b any) any      { return r.compare(b, a) < 0 }
func opGreaterEqual(r *run, a, b any) any { return r.compare(b, a) <= 0 }

func opIn(r *run, a, b any) any { return r.in(a, b) }

func opNotIn(r *run, a, b any) any { return !r.in(a, b) }

// in is Twig's: part of a string, or a value of an array.
func (r *run) in(value, container any) bool {
	value = plain(value)
	switch c := plain(container).(type) {
	case string:
		switch value.(type) {
		case string, int64, float64, bigInt:
			r.step(1 + len(c)/64)
			return strings.Contains(c, r.str(value))
		}
	case *Array:
		for _, v := range c.vals {
			if isObject(value) {
				if v == value {
					return true
				}
				continue
			}
			if r.compare(value, v) == 0 {
				return true
			}
		}
	}
	return false
}

func opStartsWith(_ *run, a, b any) any {
	s, ok1 := a.(string)
	t, ok2 := b.(string)
	return ok1 && ok2 && strings.HasPrefix(s, t)
}

func opEndsWith(_ *run, a, b any) any {
	s, ok1 := a.(string)
	t, ok2 := b.(string)
	return ok1 && ok2 && strings.HasSuffix(s, t)
}

func opHasSome(r *run, a, f any) any {
	list, _ := a.(*Array)
	for i := range list.Len() {
		if truth(r.call(f, list.vals[i], list.keyAt(i).value())) {
			return true
		}
	}
	return false
}

func opHasEvery(r *run, a, f any) any {
	list, _ := a.(*Array)
	for i := range list.Len() {
		if !truth(r.call(f, list.vals[i], list.keyAt(i).value())) {
			return false
		}
	}
	return true
}

func opRange(r *run, a, b any) any { return r.numbers(a, b, int64(1)) }

// numbers is PHP's range().
func (r *run) numbers(low, high, step any) any {
	s, ok1 := low.(string)
	t, ok2 := high.(string)
	r.floatParam(step)
	stepNumber, _ := toNumber(step)
	by := math.Abs(asFloat(stepNumber))
	isFloat := func(v any) bool { _, ok := v.(float64); return ok }
	fractions := isFloat(stepNumber) || isFloat(low) || isFloat(high)
	if ok1 && ok2 && s != "" && t != "" {
		x, whole1, _ := numeric(s)
		y, whole2, _ := numeric(t)
		fractions = fractions || whole1 && isFloat(x) || whole2 && isFloat(y)
		if !fractions && !whole1 && !whole2 {
			return r.letters(s[0], t[0], by)
		}
	}
	if fractions {
		return r.floats(toFloat(low), toFloat(high), by)
	}
	i, j := toInt(low), toInt(high)
	n := int64(by)
	if i == j && n > 0 {
		return NewList(i)
	}
	span := uint64(j - i)
	if i > j {
		span = uint64(i - j)
	}
	if n <= 0 || span < uint64(n) {
		fail("range(): Argument #3 ($step) must not exceed the specified range")
	}
	count := span/uint64(n) + 1
	rangeSize(float64(count))
	r.chargeElements(int(count))
	a := &Array{vals: make([]any, 0, count)}
	for k := range int64(count) {
		if i > j {
			a.push(i - k*n)
		} else {
			a.push(i + k*n)
		}
	}
	return a
}

// floats is a range with fractions.
func (r *run) floats(f, g, by float64) any {
	if f == g {
		return NewList(f)
	}
	span := math.Abs(g - f)
	if !(by > 0) || span < by {
		fail("range(): Argument #3 ($step) must not exceed the specified range")
	}
	if math.IsInf(span, 0) || math.IsNaN(span) {
		fail("Invalid range supplied: start=%v end=%v", f, g)
	}
	count := math.Floor(span/by+1e-9) + 1
	rangeSize(count)
	r.chargeElements(int(count))
	a := NewList(f)
	for k := 1.0; k < count; k++ {
		if f > g {
			a.push(f - k*by)
		} else {
			a.push(f + k*by)
		}
	}
	return a
}

// rangeSize refuses what PHP refuses as larger than any array, and what is more than we hold.
func rangeSize(n float64) {
	if n >= 1<<30 {
		fail("The supplied range exceeds the maximum array size")
	}
	if n > maxRange {
		limit("a list of the template grows too long")
	}
}

func (r *run) letters(from, to byte, by float64) any {
	n := int(by)
	if from == to && n > 0 {
		return NewList(string([]byte{from}))
	}
	if n <= 0 || by > 255 || max(int(from)-int(to), int(to)-int(from)) < n {
		fail("range(): Argument #3 ($step) must not exceed the specified range")
	}
	a := &Array{}
	if from > to {
		for c := int(from); c >= int(to); c -= n {
			a.push(string([]byte{byte(c)}))
		}
	} else {
		for c := int(from); c <= int(to); c += n {
			a.push(string([]byte{byte(c)}))
		}
	}
	r.chargeElements(a.Len())
	return a
}
