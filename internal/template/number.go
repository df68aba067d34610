package template

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// phpRound is PHP 8.2's round: it first rounds to the digits a float is sure of.
func phpRound(value float64, places int) float64 {
	if math.IsInf(value, 0) || math.IsNaN(value) || value == 0 {
		return value
	}
	places = max(-400, min(400, places))
	sure := 14 - int(math.Floor(math.Log10(math.Abs(value))))
	factor := math.Pow10(abs(places))
	var v float64
	if sure > places && sure-15 < places {
		use := max(-4*15, min(4*15, sure))
		if use >= 0 {
			v = value * math.Pow10(use)
		} else {
			v = value / math.Pow10(-use)
		}
		v = halfUp(v)
		use = max(-4*15, places-use)
		v /= math.Pow10(abs(use))
	} else {
		if places >= 0 {
			v = value * factor
		} else {
			v = value / factor
		}
		if math.Abs(v) >= 1e15 {
			return value
		}
	}
	v = halfUp(v)
	if abs(places) < 23 {
		if places > 0 {
			return v / factor
		}
		return v * factor
	}
	f, err := strconv.ParseFloat(fmt.Sprintf("%15fe%d", v, -places), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return value
	}
	return f
}

func halfUp(v float64) float64 {
	if v >= 0 {
		return math.Floor(v + 0.5)
	}
	return math.Ceil(v - 0.5)
}

func abs(n int) int { return max(n, -n) }

// maxDecimals is more than a float has.
const maxDecimals = 100

// numberFormat is PHP's number_format.
func numberFormat(v float64, decimals int, point, separator string) string {
	if decimals > maxDecimals {
		limit("more decimals than allowed")
	}
	v = phpRound(v, decimals)
	s := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return strings.ToLower(floatText(v))
	}
	whole, fraction, _ := strings.Cut(s, ".")
	var b strings.Builder
	if v < 0 && strings.Trim(s, "0.") != "" {
		b.WriteByte('-')
	}
	for i := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(separator)
		}
		b.WriteByte(whole[i])
	}
	if decimals > 0 {
		b.WriteString(point)
		b.WriteString(fraction)
	}
	return b.String()
}

// maxWidth bounds what one directive of format may pad to.
const maxWidth = 10_000

// sprintf is PHP's.
func (r *run) sprintf(layout string, values []any) string {
	var b strings.Builder
	next := 0
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' {
			b.WriteByte(layout[i])
			continue
		}
		i++
		if i >= len(layout) {
			fail("Missing format specifier at end of string")
		}
		if layout[i] == '%' {
			b.WriteByte('%')
			continue
		}
		d := directive{pad: ' ', precision: -1}
		i = d.parse(layout, i)
		if i >= len(layout) {
			fail("Missing format specifier at end of string")
		}
		at := next
		if d.number > 0 {
			at = d.number - 1
		} else {
			next++
		}
		if at >= len(values) {
			fail("%d arguments are required, %d given", max(at, next-1)+2, len(values)+1)
		}
		s := r.directive(d, layout[i], values[at])
		r.charge(len(s))
		if b.Len() > maxString {
			limit("a value of the template grows too large")
		}
		b.WriteString(s)
	}
	r.charge(b.Len())
	return b.String()
}

type directive struct {
	number    int
	left      bool
	plus      bool
	pad       byte
	width     int
	precision int
}

func (d *directive) parse(s string, i int) int {
	count := func(i int) (int, int) {
		n := 0
		for i < len(s) && isDigit(s[i]) {
			if n = n*10 + int(s[i]-'0'); n > maxWidth {
				limit("a format is wider than allowed")
			}
			i++
		}
		return n, i
	}
	if n, j := count(i); j > i && j < len(s) && s[j] == '$' {
		if n == 0 {
			fail("Argument number specifier must be greater than zero")
		}
		d.number, i = n, j+1
	}
flags:
	for i < len(s) {
		switch s[i] {
		case '0', ' ':
			d.pad = s[i]
		case '-':
			d.left = true
		case '+':
			d.plus = true
		case '\'':
			if i++; i >= len(s) {
				fail("Missing padding character")
			}
			d.pad = s[i]
		default:
			break flags
		}
		i++
	}
	d.width, i = count(i)
	if i < len(s) && s[i] == '.' {
		if i++; i < len(s) && isDigit(s[i]) { // a point alone says nothing
			d.precision, i = count(i)
		}
	}
	if i < len(s) && s[i] == 'l' {
		i++
	}
	return i
}

func (r *run) directive(d directive, verb byte, v any) string {
	precision := 6
	if d.precision >= 0 {
		precision = min(d.precision, 53)
	}
	s, isNumber := "", true
	hex := func(base int) {
		if isNumber = false; d.precision < 0 { // with a precision PHP writes nothing
			s = strconv.FormatUint(uint64(toInt(v)), base)
		}
	}
	switch verb {
	case '%':
		return "%"
	case 's':
		s, isNumber = r.str(v), false
		if d.precision >= 0 && d.precision < len(s) {
			s = s[:d.precision]
		}
	case 'd':
		n := toInt(v)
		s = strconv.FormatInt(n, 10)
		if d.plus && n >= 0 {
			s = "+" + s
		}
	case 'u':
		s = strconv.FormatUint(uint64(toInt(v)), 10)
	case 'f', 'F', 'e', 'E', 'g', 'G':
		f := toFloat(v)
		if f == 0 && verb != 'g' && verb != 'G' {
			f = 0 // zero has no sign
		}
		s = formatDirective(f, verb, precision)
		if d.plus && s[0] != '-' {
			s = "+" + s
		}
	case 'x':
		hex(16)
	case 'X':
		hex(16)
		s = strings.ToUpper(s)
	case 'o':
		hex(8)
	case 'b':
		hex(2)
	case 'c':
		return string([]byte{byte(toInt(v))})
	default:
		fail("Unknown format specifier %q", string(verb))
	}
	if len(s) >= d.width {
		return s
	}
	if d.left && d.pad == '0' && (verb == 'd' || verb == 'u') {
		d.pad = ' ' // zeros behind a whole number would make another of it
	}
	fill := strings.Repeat(string([]byte{d.pad}), d.width-len(s))
	if d.left {
		return s + fill
	}
	if d.pad == '0' && isNumber && (s[0] == '-' || s[0] == '+') {
		return s[:1] + fill + s[1:]
	}
	return fill + s
}

func formatDirective(f float64, verb byte, precision int) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		s := floatText(f)
		if s == "NAN" {
			return "nan"
		}
		return strings.ToLower(s)
	}
	switch verb {
	case 'f', 'F':
		return strconv.FormatFloat(f, 'f', precision, 64)
	case 'e', 'E':
		s := strconv.FormatFloat(f, verb, precision, 64)
		at := strings.IndexByte(s, verb)
		exp := strings.TrimLeft(s[at+2:], "0")
		if exp == "" {
			exp = "0"
		}
		return s[:at+2] + exp
	}
	e := "e"
	if verb == 'G' {
		e = "E"
	}
	if precision == 0 {
		precision = 1
	}
	if precision >= 17 {
		precision = 16
	}
	return formatFloat(f, precision, e)
}
