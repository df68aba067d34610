package template

import "math"

// filters, functions and tests are all that a template can call. The first parameter of filters and
// tests is what they are applied to; names of parameters are those of Twig and PHP.
var filters, functions, tests map[string]*builtin

func init() {
	filters = map[string]*builtin{}
	functions = map[string]*builtin{}
	for _, group := range []map[string]*builtin{textFilters, arrayFilters, numberFilters, dateFilters, encodingFilters, hashFilters} {
		for name, b := range group {
			filters[name] = b
		}
	}
	filters["e"] = filters["escape"]
	for _, group := range []map[string]*builtin{plainFunctions, hashFilters} {
		for name, b := range group {
			functions[name] = b
		}
	}
	tests = plainTests
}

var dateFilters = map[string]*builtin{
	"date": define("date format? timezone?", func(r *run, a args) any {
		layout := a.at(1, nil)
		if v, ok := a[0].(*intervalValue); ok {
			if layout == nil {
				layout = "%d days"
			}
			return v.format(r.text(layout))
		}
		if layout == nil {
			layout = "F j, Y H:i"
		}
		return r.format(r.toDate(a[0], a.at(2, absent{})), r.text(layout))
	}),
	"date_modify": define("date modifier", func(r *run, a args) any {
		d := r.toDate(a[0], false)
		p, err := parseDate(r.text(a[1]))
		if err != nil {
			return false
		}
		return p.modify(d)
	}),
}

var plainFunctions = map[string]*builtin{
	"date": define("date? timezone?", func(r *run, a args) any {
		return r.toDate(a.at(0, absent{}), a.at(1, absent{}))
	}),
	"max": define("! value values*", func(r *run, a args) any { return r.extreme("max", a, 1) }),
	"min": define("! value values*", func(r *run, a args) any { return r.extreme("min", a, -1) }),
	"range": define("! low high step?", func(r *run, a args) any {
		return r.numbers(a[0], a[1], a.at(2, int64(1)))
	}),
	"cycle": define("values position", func(r *run, a args) any {
		list, ok := a[0].(*Array)
		if !ok {
			return a[0]
		}
		v, _ := list.get(r.arrayKey(opMod(r, a[1], int64(list.Len()))))
		return v
	}),
	"random": define("values? max?", func(r *run, a args) any { return r.random(a) }),
	"constant": define("constant object?", func(r *run, a args) any {
		name := r.str(a[0])
		value, ok := constants[name]
		if !ok {
			fail("Undefined constant %q", name)
		}
		return value
	}),
	"uuid": define("", func(*run, args) any { return newUUID() }),
}

// constants are those of PHP's that go with filters; no others can be read.
var constants = map[string]any{
	"JSON_HEX_TAG": int64(jsonHexTag), "JSON_HEX_AMP": int64(jsonHexAmp), "JSON_HEX_APOS": int64(jsonHexApos), "JSON_HEX_QUOT": int64(jsonHexQuot),
	"JSON_FORCE_OBJECT": int64(jsonForceObject), "JSON_NUMERIC_CHECK": int64(jsonNumericCheck), "JSON_UNESCAPED_SLASHES": int64(jsonUnescapedSlash),
	"JSON_PRETTY_PRINT": int64(jsonPretty), "JSON_UNESCAPED_UNICODE": int64(jsonUnescapedText), "JSON_PARTIAL_OUTPUT_ON_ERROR": int64(jsonPartialOutput),
	"JSON_PRESERVE_ZERO_FRACTION": int64(jsonZeroFraction), "JSON_UNESCAPED_LINE_TERMINATORS": int64(jsonUnescapedBreaks),
	"JSON_INVALID_UTF8_IGNORE": int64(jsonInvalidIgnore), "JSON_INVALID_UTF8_SUBSTITUTE": int64(jsonInvalidReplace),
	"DATE_ATOM": `Y-m-d\TH:i:sP`, "DATE_RFC3339": `Y-m-d\TH:i:sP`, "DATE_W3C": `Y-m-d\TH:i:sP`, "DATE_ISO8601": `Y-m-d\TH:i:sO`,
	"DATE_RFC3339_EXTENDED": `Y-m-d\TH:i:s.vP`, "DATE_RFC822": "D, d M y H:i:s O", "DATE_RFC850": "l, d-M-y H:i:s T", "DATE_COOKIE": "l, d-M-Y H:i:s T",
	"DATE_RFC1036": "D, d M y H:i:s O", "DATE_RFC1123": "D, d M Y H:i:s O", "DATE_RFC2822": "D, d M Y H:i:s O", "DATE_RSS": "D, d M Y H:i:s O",
	"DATE_RFC7231": `D, d M Y H:i:s \G\M\T`, "PHP_EOL": "\n", "PHP_INT_MAX": int64(math.MaxInt64), "PHP_INT_MIN": int64(math.MinInt64),
	"PHP_INT_SIZE": int64(8), "PHP_FLOAT_EPSILON": math.Nextafter(1, 2) - 1, "M_PI": math.Pi, "M_E": math.E,
}

// extreme is PHP's max and min.
func (r *run) extreme(name string, a args, sign int) any {
	list := []any(a)
	if len(a) == 1 {
		array, ok := a[0].(*Array)
		if !ok {
			fail("%s(): Argument #1 ($value) must be of type array, %s given", name, typeName(a[0]))
		}
		if list = array.vals; len(list) == 0 {
			fail("%s(): Argument #1 ($value) must contain at least one element", name)
		}
	}
	best := list[0]
	for _, v := range list[1:] {
		if sign > 0 && r.compare(v, best) > 0 || sign < 0 && r.compare(v, best) < 0 {
			best = v
		}
	}
	return best
}

var plainTests = map[string]*builtin{
	"even":    define("value", func(r *run, a args) any { return opMod(r, a[0], int64(2)) == int64(0) }),
	"odd":     define("value", func(r *run, a args) any { v := opMod(r, a[0], int64(2)); return v != int64(0) }),
	"defined": define("value", func(*run, args) any { return true }),
	"null":    define("value", func(_ *run, a args) any { return a[0] == nil }),
	"none":    define("value", func(_ *run, a args) any { return a[0] == nil }),
	"empty":   define("value", func(_ *run, a args) any { return isEmpty(a[0]) }),
	"iterable": define("value", func(_ *run, a args) any {
		_, ok := a[0].(*Array)
		return ok
	}),
	"same as":      define("value other", func(r *run, a args) any { return r.identical(a[0], a[1]) }),
	"divisible by": define("value num", func(r *run, a args) any { return opMod(r, a[0], a[1]) == int64(0) }),
	"constant": define("value constant object?", func(r *run, a args) any {
		value, ok := constants[r.str(a[1])]
		if !ok {
			fail("Undefined constant %q", r.str(a[1]))
		}
		return r.identical(a[0], value)
	}),
}

// isEmpty is Twig's test, and what default looks at.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case *Array:
		return v.Len() == 0
	}
	return false // markup is never empty
}

var numberFilters = map[string]*builtin{
	"abs": define("! num", func(r *run, a args) any {
		n, whole := a[0], true
		if s, ok := n.(string); ok {
			n, whole, _ = numeric(s)
		}
		v, ok := toNumber(n)
		if !whole || !ok {
			fail("abs(): Argument #1 ($num) must be of type int|float, %s given", typeName(a[0]))
		}
		if i, ok := v.(int64); ok {
			if i == math.MinInt64 {
				return -float64(i)
			}
			return max(i, -i)
		}
		return math.Abs(asFloat(v))
	}),
	"round": define("value precision? method?", func(r *run, a args) any {
		v, places := toFloat(a[0]), r.intParam(a.at(1, int64(0)))
		switch method := r.str(a.at(2, "common")); method {
		case "common":
			return phpRound(v, places)
		case "floor":
			return math.Floor(v*math.Pow10(places)) / math.Pow10(places)
		case "ceil":
			return math.Ceil(v*math.Pow10(places)) / math.Pow10(places)
		}
		fail(`The round filter only supports the "common", "ceil", and "floor" methods`)
		return nil
	}),
	"number_format": define("number decimal? decimalPoint? thousandSep?", func(r *run, a args) any {
		decimals, point, separator := 0, ".", ","
		if v := a.at(1, nil); v != nil {
			decimals = r.intParam(v)
		}
		if v := a.at(2, nil); v != nil {
			point = r.text(v)
		}
		if v := a.at(3, nil); v != nil {
			separator = r.text(v)
		}
		r.charge((len(separator) + 4) * 110)
		return numberFormat(toFloat(a[0]), max(0, decimals), point, separator)
	}),
}
