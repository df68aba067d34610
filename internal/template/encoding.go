package template

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

var encodingFilters = map[string]*builtin{
	"raw": define("string", func(_ *run, a args) any { return a[0] }),
	"escape": define("string strategy? charset? autoescape?", func(r *run, a args) any {
		strategy := r.str(a.at(1, "html"))
		escape, ok := strategies[strategy]
		if _, isMarkup := a[0].(*markup); isMarkup && truth(a.at(3, false)) {
			return a[0]
		}
		value := plain(a[0])
		s, isText := value.(string)
		switch {
		case isText && s == "":
			return ""
		case isText && ok:
			r.charge(len(s) * 3)
			return escape(r, s)
		case !ok:
			fail("Invalid escaping strategy %q (valid ones: html, js, url, css, html_attr)", strategy)
		}
		return a[0]
	}),
	"url_encode": define("url", func(r *run, a args) any {
		if list, ok := a[0].(*Array); ok {
			var b strings.Builder
			r.query(&b, list, "", false)
			return b.String()
		}
		s := r.str(a[0])
		r.charge(len(s) * 3)
		return rawURLEncode(s)
	}),
	"json_encode": define("! value flags? depth?", func(r *run, a args) any {
		e := jsonEncoder{r: r, flags: int64(r.intParam(a.at(1, int64(0)))), depth: r.intParam(a.at(2, int64(512)))}
		e.value(a[0], 0)
		if e.failed {
			return false
		}
		r.charge(e.b.Len())
		return e.b.String()
	}),
	"convert_encoding": define("string to from", func(r *run, a args) any {
		s := r.made(r.text(a[0]))
		text, err := charset(r.text(a[2])).NewDecoder().String(s)
		if err != nil {
			return false
		}
		out, err := encoding.ReplaceUnsupported(charset(r.text(a[1])).NewEncoder()).String(text)
		if err != nil {
			return false
		}
		return r.made(out)
	}),
}

func charset(name string) encoding.Encoding {
	switch strings.ToUpper(name) {
	case "ISO-8859-1", "LATIN1": // of the web it is Windows-1252
		return charmap.ISO8859_1
	case "UTF-16": // with a mark of its byte order
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	}
	e, err := htmlindex.Get(name)
	if err != nil {
		fail("convert_encoding: unknown encoding %q", name)
	}
	return e
}

var strategies = map[string]func(r *run, s string) string{
	"html": func(_ *run, s string) string { return htmlEscaper.Replace(scrub(s, "\ufffd")) },
	"url":  func(_ *run, s string) string { return rawURLEncode(s) },
	"js":   func(r *run, s string) string { return escapeRunes(r, s, ",._", escapeJS) },
	"css":  func(r *run, s string) string { return escapeRunes(r, s, "", escapeCSS) },
	"html_attr": func(r *run, s string) string {
		return escapeRunes(r, s, ",.-_", escapeAttr)
	},
}

var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;")

func rawURLEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func escapeRunes(r *run, s, keep string, escape func(rune) string) string {
	if !utf8.ValidString(s) {
		fail("The string to escape is not a valid UTF-8 string")
	}
	var b strings.Builder
	for _, c := range s {
		if c < 128 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(keep, c)) {
			b.WriteRune(c)
		} else {
			b.WriteString(escape(c))
		}
	}
	r.charge(b.Len())
	return b.String()
}

func escapeJS(c rune) string {
	switch c {
	case '\\':
		return `\\`
	case '/':
		return `\/`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if c > 0xffff {
		hi, lo := utf16.EncodeRune(c)
		return fmt.Sprintf(`\u%04X\u%04X`, hi, lo)
	}
	return fmt.Sprintf(`\u%04X`, c)
}

func escapeCSS(c rune) string { return fmt.Sprintf(`\%X `, c) }

func escapeAttr(c rune) string {
	switch {
	case c <= 0x1f && c != '\t' && c != '\n' && c != '\r', c == 0x7f:
		return "&#xFFFD;"
	case c == '"':
		return "&quot;"
	case c == '&':
		return "&amp;"
	case c == '<':
		return "&lt;"
	case c == '>':
		return "&gt;"
	}
	if c >= utf8.RuneSelf {
		return fmt.Sprintf("&#x%04X;", c)
	}
	return fmt.Sprintf("&#x%02X;", c)
}

// query is http_build_query by RFC 3986; nulls are left out.
func (r *run) query(b *strings.Builder, list *Array, prefix string, inner bool) {
	r.deeper()
	for i := range list.Len() {
		name := rawURLEncode(list.keyAt(i).String())
		if inner {
			name = prefix + "%5B" + name + "%5D"
		}
		r.charge(len(name) + 1)
		var value string
		switch v := list.vals[i].(type) {
		case nil:
			continue
		case *Array:
			r.query(b, v, name, true)
			continue
		case bool:
			if value = "0"; v {
				value = "1"
			}
		default:
			value = rawURLEncode(r.str(v))
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + value)
		r.charge(len(value))
	}
	r.level--
}

// Flags of PHP's json_encode.
const (
	jsonHexTag          = 1
	jsonHexAmp          = 2
	jsonHexApos         = 4
	jsonHexQuot         = 8
	jsonForceObject     = 16
	jsonNumericCheck    = 32
	jsonUnescapedSlash  = 64
	jsonPretty          = 128
	jsonUnescapedText   = 256
	jsonPartialOutput   = 512
	jsonZeroFraction    = 1024
	jsonUnescapedBreaks = 2048
	jsonInvalidIgnore   = 1 << 20
	jsonInvalidReplace  = 1 << 21
)

type jsonEncoder struct {
	r      *run
	b      strings.Builder
	flags  int64
	depth  int
	failed bool

	objects bool // what came as a JSON object is written as one
}

func (e *jsonEncoder) has(flag int64) bool { return e.flags&flag != 0 }

func (e *jsonEncoder) value(v any, depth int) {
	e.r.step(1)
	if e.b.Len() > maxString {
		limit("a value of the template grows too large")
	}
	switch v := v.(type) {
	case nil:
		e.b.WriteString("null")
	case bool:
		e.b.WriteString(strconv.FormatBool(v))
	case int64:
		e.b.WriteString(strconv.FormatInt(v, 10))
	case bigInt:
		e.b.WriteString(v.digits)
	case float64:
		if v-v != 0 {
			e.failed = true
			e.b.WriteByte('0')
			return
		}
		s := formatFloat(v, 17, "e")
		if e.has(jsonZeroFraction) && !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		e.b.WriteString(s)
	case string:
		e.text(v)
	case *markup:
		e.text(v.text)
	case *Array:
		e.array(v, depth)
	default:
		if properties := e.r.properties(v); properties != nil {
			e.array(properties, depth)
			return
		}
		e.b.WriteString("{}")
	}
}

func (e *jsonEncoder) newline(depth int) {
	if e.has(jsonPretty) {
		e.b.WriteByte('\n')
		e.b.WriteString(strings.Repeat("    ", depth))
	}
}

func (e *jsonEncoder) array(a *Array, depth int) {
	if depth >= e.depth || depth >= maxJSONDepth {
		e.failed = true
		return
	}
	list := a.isList() && !e.has(jsonForceObject) && (!e.objects || a == nil || !a.object)
	brackets := "{}"
	if list {
		brackets = "[]"
	}
	e.b.WriteByte(brackets[0])
	for i := range a.Len() {
		if i > 0 {
			e.b.WriteByte(',')
		}
		e.newline(depth + 1)
		if !list {
			e.key(a.keyAt(i).String())
			e.b.WriteByte(':')
			if e.has(jsonPretty) {
				e.b.WriteByte(' ')
			}
		}
		e.value(a.vals[i], depth+1)
	}
	if a.Len() > 0 {
		e.newline(depth)
	}
	e.b.WriteByte(brackets[1])
}

func (e *jsonEncoder) key(s string) {
	flags := e.flags
	e.flags &^= jsonNumericCheck
	e.text(s)
	e.flags = flags
}

func (e *jsonEncoder) text(s string) {
	e.r.step(len(s) / 64)
	if e.has(jsonNumericCheck) {
		if n, whole, _ := numeric(s); whole {
			e.value(n, 0)
			return
		}
	}
	e.b.WriteByte('"')
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		if c == utf8.RuneError && size == 1 {
			switch {
			case e.has(jsonInvalidIgnore):
			case e.has(jsonInvalidReplace):
				e.rune(c, "\ufffd")
			default:
				e.failed = true
				return
			}
			i++
			continue
		}
		e.rune(c, s[i:i+size])
		i += size
	}
	e.b.WriteByte('"')
}

func (e *jsonEncoder) rune(c rune, text string) {
	hex := func(flag int64) {
		if e.has(flag) {
			fmt.Fprintf(&e.b, `\u%04X`, c)
		} else {
			e.b.WriteString(text)
		}
	}
	switch c {
	case '"':
		if e.has(jsonHexQuot) {
			e.b.WriteString(`\u0022`)
		} else {
			e.b.WriteString(`\"`)
		}
	case '\\':
		e.b.WriteString(`\\`)
	case '/':
		if e.has(jsonUnescapedSlash) {
			e.b.WriteByte('/')
		} else {
			e.b.WriteString(`\/`)
		}
	case '\b':
		e.b.WriteString(`\b`)
	case '\f':
		e.b.WriteString(`\f`)
	case '\n':
		e.b.WriteString(`\n`)
	case '\r':
		e.b.WriteString(`\r`)
	case '\t':
		e.b.WriteString(`\t`)
	case '<', '>':
		hex(jsonHexTag)
	case '&':
		hex(jsonHexAmp)
	case '\'':
		hex(jsonHexApos)
	default:
		separator := c == 0x2028 || c == 0x2029
		switch {
		case c < 0x20, c >= 0x80 && !e.has(jsonUnescapedText), separator && !e.has(jsonUnescapedBreaks):
			if c > 0xffff {
				hi, lo := utf16.EncodeRune(c)
				fmt.Fprintf(&e.b, `\u%04x\u%04x`, hi, lo)
			} else {
				fmt.Fprintf(&e.b, `\u%04x`, c)
			}
		default:
			e.b.WriteString(text)
		}
	}
}
