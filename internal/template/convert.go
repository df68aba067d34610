package template

import (
	"math"
	"strconv"
	"strings"
)

// PHP 8's conversions.

// truth is PHP's conversion to a boolean.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != "" && v != "0"
	case *Array:
		return v.Len() > 0
	}
	return true
}

// str is PHP's conversion to a string.
func (r *run) str(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		if v {
			return "1"
		}
		return ""
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return floatText(v)
	case bigInt:
		return v.digits
	case string:
		return v
	case *markup:
		return v.text
	case *Array:
		return "Array"
	}
	fail("Object of class %s could not be converted to string", typeName(v))
	return ""
}

// text is the conversion of an argument for a parameter of type string, which accepts no array.
func (r *run) text(v any) string {
	if _, ok := v.(*Array); ok {
		fail("An argument must be of type string, array given")
	}
	return r.str(v)
}

// floatParam is the conversion of an argument for a parameter that takes a number.
func (r *run) floatParam(v any) float64 {
	whole := true
	switch v := v.(type) {
	case nil, bool, int64, float64, bigInt:
	case string:
		_, whole, _ = numeric(v)
	default:
		whole = false
	}
	if !whole {
		fail("An argument must be of type int|float, %s given", typeName(v))
	}
	return toFloat(v)
}

// flag is the conversion of an argument for a parameter of type bool.
func (r *run) flag(v any) bool {
	switch v.(type) {
	case nil, bool, int64, float64, bigInt, string:
		return truth(v)
	}
	fail("An argument must be of type bool, %s given", typeName(v))
	return false
}

// markup is Twig\Markup, what a set tag with a body and a macro make, unless it is empty: text that
// autoescape leaves alone, and an object, so that it is no operand of arithmetic and no key.
type markup struct{ text string }

// newMarkup is Twig's rule for what was captured.
func newMarkup(s string) any {
	if s == "" {
		return ""
	}
	return &markup{s}
}

// plain is the text of markup and any other value itself, where Twig or PHP treat both alike.
func plain(v any) any {
	if m, ok := v.(*markup); ok {
		return m.text
	}
	return v
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64, bigInt:
		return "float"
	case string:
		return "string"
	case *Array:
		return "array"
	case *dateValue:
		return "DateTime"
	case *intervalValue:
		return "DateInterval"
	case *zoneValue:
		return "DateTimeZone"
	case *markup:
		return "Twig\\Markup"
	}
	return "Closure"
}

// floatText writes a float with PHP's precision of 14.
func floatText(f float64) string { return formatFloat(f, 14, "E") }

// formatFloat is php_gcvt: precision digits, the shortest that read back for 17.
func formatFloat(f float64, precision int, e string) string {
	switch {
	case math.IsNaN(f):
		return "NAN"
	case math.IsInf(f, 1):
		return "INF"
	case math.IsInf(f, -1):
		return "-INF"
	case f == 0:
		if math.Signbit(f) {
			return "-0"
		}
		return "0"
	}
	digitCount := precision - 1
	if precision == 17 {
		digitCount = -1
	}
	s := strconv.FormatFloat(f, 'e', digitCount, 64)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	mantissa, exponent, _ := strings.Cut(s, "e")
	exp, _ := strconv.Atoi(exponent)
	digits := strings.TrimRight(strings.Replace(mantissa, ".", "", 1), "0")
	point := exp + 1
	switch {
	case point < -3 || point > precision:
		rest := digits[1:]
		if rest == "" {
			rest = "0"
		}
		exp := strconv.Itoa(point - 1)
		if point-1 >= 0 {
			exp = "+" + exp
		}
		return sign + digits[:1] + "." + rest + e + exp
	case point <= 0:
		return sign + "0." + strings.Repeat("0", -point) + digits
	case point >= len(digits):
		return sign + digits + strings.Repeat("0", point-len(digits))
	}
	return sign + digits[:point] + "." + digits[point:]
}

// numeric reads a string as a number. whole says whether all of it is one (PHP's "numeric string"), n is 0
// if not even its beginning is.
func numeric(s string) (value any, whole bool, n int) {
	i := 0
	for i < len(s) && strings.IndexByte(" \t\n\r\v\f", s[i]) >= 0 {
		i++
	}
	start := i
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	digits, isFloat := 0, false
	for i < len(s) && isDigit(s[i]) {
		i++
		digits++
	}
	if i < len(s) && s[i] == '.' && (digits > 0 || i+1 < len(s) && isDigit(s[i+1])) {
		j := i + 1
		for j < len(s) && isDigit(s[j]) {
			j++
			digits++
		}
		isFloat, i = true, j
	}
	if digits == 0 {
		return int64(0), false, 0
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			for j < len(s) && isDigit(s[j]) {
				j++
			}
			isFloat, i = true, j
		}
	}
	text := s[start:i]
	end := i
	for i < len(s) && strings.IndexByte(" \t\n\r\v\f", s[i]) >= 0 {
		i++
	}
	whole = i == len(s)
	if !isFloat {
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			return v, whole, end
		}
	}
	f, _ := strconv.ParseFloat(text, 64)
	return f, whole, end
}

// toNumber is the conversion of an operand of arithmetic.
func toNumber(v any) (any, bool) {
	switch v := v.(type) {
	case nil:
		return int64(0), true
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	case int64, float64:
		return v, true
	case bigInt:
		return v.float, true
	case string:
		n, _, length := numeric(v)
		return n, length > 0
	}
	return nil, false
}

func asFloat(n any) float64 {
	switch n := n.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return 0
}

// floatToInt is PHP's conversion: what has no place in 64 bits wraps around.
func floatToInt(f float64) int64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	if f >= -9.2233720368547758e18 && f < 9.2233720368547758e18 {
		return int64(f)
	}
	m := math.Mod(math.Trunc(f), 18446744073709551616.0)
	if m < 0 {
		m += 18446744073709551616.0
	}
	return int64(uint64(m))
}

// toFloat and toInt are PHP's casts, which accept anything.
func toFloat(v any) float64 {
	if a, ok := v.(*Array); ok {
		if a.Len() > 0 {
			return 1
		}
		return 0
	}
	if s, ok := v.(string); ok {
		n, _, _ := numeric(s)
		return asFloat(n)
	}
	n, ok := toNumber(v)
	if !ok {
		return 1
	}
	return asFloat(n)
}

func toInt(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case string:
		n, _, length := numeric(v)
		if f, ok := n.(float64); ok && !strings.ContainsAny(v[:length], ".eE") {
			if f < 0 { // digits beyond 64 bits stop at the end
				return math.MinInt64
			}
			return math.MaxInt64
		}
		return toInt(n)
	}
	return floatToInt(toFloat(v))
}

// wholeParam refuses a float that is not within 64 bits.
func wholeParam(n any) {
	if f, ok := n.(float64); ok && !(f >= -9.2233720368547758e18 && f < 9.2233720368547758e18) {
		fail("An argument must be of type int, float given")
	}
}

// intParam is the conversion of an argument for a parameter of type int.
func (r *run) intParam(v any) int {
	switch v := v.(type) {
	case int64, bool, nil:
	case float64:
		wholeParam(v)
	case string:
		n, whole, _ := numeric(v)
		if !whole {
			fail("An argument must be of type int, string given")
		}
		wholeParam(n)
	default:
		fail("An argument must be of type int, %s given", typeName(v))
	}
	n := toInt(v)
	const most = 1 << 40
	return int(max(-most, min(most, n)))
}
