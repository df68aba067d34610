package template

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

var textFilters = map[string]*builtin{
	"upper": define("string", func(r *run, a args) any { return upper(r.made(r.text(a[0]))) }),
	"lower": define("string", func(r *run, a args) any { return lowerCase(r.made(r.text(a[0]))) }),
	"title": define("string", func(r *run, a args) any { return titleCase(r.made(r.text(a[0]))) }),
	"capitalize": define("string", func(r *run, a args) any {
		s := r.made(r.text(a[0]))
		n := 0
		if s != "" {
			n = charSize(s)
		}
		return upper(s[:n]) + lowerCase(s[n:])
	}),
	"trim": define("string characterMask? side?", func(r *run, a args) any {
		s, mask := r.text(a[0]), " \t\n\r\x00\v"
		if m := a.at(1, nil); m != nil {
			mask = charMask(r.text(m))
		}
		switch side := a.at(2, "both"); {
		case r.equal(side, "both"):
			return trimRight(trimLeft(s, mask), mask)
		case r.equal(side, "left"):
			return trimLeft(s, mask)
		case r.equal(side, "right"):
			return trimRight(s, mask)
		}
		fail(`Trimming side must be "left", "right" or "both"`)
		return nil
	}),
	"replace": define("str from", func(r *run, a args) any {
		pairs, ok := a[1].(*Array)
		if !ok {
			fail(`The "replace" filter expects an array or "Traversable" as replace values, got %q`, typeName(a[1]))
		}
		return r.translate(r.text(a[0]), pairs)
	}),
	"striptags": define("string allowable_tags?", func(r *run, a args) any {
		allowed := ""
		switch v := a.at(1, nil).(type) {
		case *Array:
			for _, t := range v.vals {
				allowed += "<" + r.str(t) + ">"
			}
		default:
			allowed = r.str(v)
		}
		return stripTags(strings.ReplaceAll(r.made(r.text(a[0])), "\x00", ""), strings.ToLower(allowed))
	}),
	"nl2br": define("string", func(r *run, a args) any {
		s := r.text(a[0])
		r.charge(len(s) + 6*strings.Count(s, "\n"))
		return newlines.Replace(s)
	}),
	"spaceless": define("content", func(r *run, a args) any { return spaceless(r.made(r.text(a[0]))) }),
	"format": define("format values*", func(r *run, a args) any {
		return r.sprintf(r.text(a[0]), a[1:])
	}),
	"split": define("value delimiter limit?", func(r *run, a args) any { return r.split(a) }),
}

var newlines = strings.NewReplacer("\r\n", "<br />\r\n", "\n", "<br />\n", "\r", "<br />\r")

// made accounts for a string of about the same size as this one.
func (r *run) made(s string) string {
	r.charge(len(s))
	return s
}

// scrub puts a replacement for each beginning of a character that does not go on as one.
func scrub(s, replacement string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		c, n := utf8.DecodeRuneInString(s)
		if c != utf8.RuneError || n > 1 {
			b.WriteString(s[:n])
		} else {
			b.WriteString(replacement)
			n = incomplete(s)
		}
		s = s[n:]
	}
	return b.String()
}

// incomplete is how many bytes begin a character that is cut off, at least one.
func incomplete(s string) int {
	n := 1
	for n < len(s) && n < 3 && !utf8.FullRuneInString(s[:n+1]) && s[n]&0xc0 == 0x80 {
		n++
	}
	return n
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// upper is mb_strtoupper, with the full mappings (ß becomes SS).
func upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(scrub(s, "?"))
}

func lowerCase(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	for _, c := range scrub(s, "?") {
		if c == 'İ' {
			b.WriteString("i̇")
			continue
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// titleCase is mb_convert_case in PHP 8.2: a word goes on over what is neither letter nor break.
func titleCase(s string) string {
	var b strings.Builder
	inWord := false
	for _, c := range scrub(s, "?") {
		cased := unicode.IsUpper(c) || unicode.IsLower(c) || unicode.IsTitle(c) || unicode.Is(unicode.Other_Lowercase, c) || unicode.Is(unicode.Other_Uppercase, c)
		if inWord {
			b.WriteRune(unicode.ToLower(c))
		} else if c < utf8.RuneSelf {
			b.WriteRune(unicode.ToUpper(c))
		} else {
			b.WriteString(cases.Title(language.Und, cases.NoLower).String(string(c)))
		}
		if !caseIgnorable(c) {
			inWord = cased
		}
	}
	return b.String()
}

func caseIgnorable(c rune) bool {
	return strings.ContainsRune("'.:^`¨\u00ad¯´·¸’‘․‧", c) || unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}

// charMask expands the ranges of trim's list of bytes ("a..z").
func charMask(s string) string {
	if !strings.Contains(s, "..") {
		return s
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		if i+3 < len(s) && s[i+1] == '.' && s[i+2] == '.' && s[i+3] >= s[i] {
			for c := int(s[i]); c <= int(s[i+3]); c++ {
				b = append(b, byte(c))
			}
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func trimLeft(s, mask string) string {
	for s != "" && strings.IndexByte(mask, s[0]) >= 0 {
		s = s[1:]
	}
	return s
}

func trimRight(s, mask string) string {
	for s != "" && strings.IndexByte(mask, s[len(s)-1]) >= 0 {
		s = s[:len(s)-1]
	}
	return s
}

// translate is PHP's strtr with pairs: at each place the longest key that fits, nothing replaced twice.
func (r *run) translate(s string, pairs *Array) string {
	table := map[string]string{}
	lengths := map[int]bool{}
	for i := range pairs.Len() {
		k := pairs.keyAt(i).String()
		if k == "" {
			continue
		}
		table[k] = r.str(pairs.vals[i])
		lengths[len(k)] = true
	}
	r.chargeElements(len(table))
	var order []int
	for n := range lengths {
		order = append(order, n)
	}
	sort.Sort(sort.Reverse(sort.IntSlice(order)))
	var b strings.Builder
scan:
	for i := 0; i < len(s); {
		r.sinceClock++
		for _, n := range order {
			if i+n > len(s) {
				continue
			}
			if n > 64 {
				r.step(n / 64)
			}
			if to, ok := table[s[i:i+n]]; ok {
				if b.Len()+len(to) > maxString {
					limit("a value of the template grows too large")
				}
				b.WriteString(to)
				i += n
				continue scan
			}
		}
		r.step(len(order) / 8)
		b.WriteByte(s[i])
		i++
	}
	r.charge(b.Len())
	return b.String()
}

// stripTags is PHP's strip_tags for what it does with tags and comments.
func stripTags(s, allowed string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '<' || i+1 < len(s) && isSpace(s[i+1]) && allowed == "" {
			b.WriteByte(s[i])
			i++
			continue
		}
		if strings.HasPrefix(s[i:], "<!--") {
			end := strings.Index(s[i+4:], "-->")
			if end < 0 {
				break
			}
			i += 4 + end + 3
			continue
		}
		end, quote, depth := i+1, byte(0), 0
		for ; end < len(s); end++ {
			c := s[end]
			if quote != 0 {
				if c == quote {
					quote = 0
				}
				continue
			}
			if c == '"' || c == '\'' {
				quote = c
			} else if c == '<' {
				depth++
			} else if c == '>' {
				if depth == 0 {
					break
				}
				depth--
			}
		}
		if end >= len(s) {
			break // a tag without an end takes the rest along
		}
		end++
		tag := "<" + brackets.Replace(s[i+1:end-1]) + ">" // quoted ones go, too
		if allowed != "" && strings.Contains(allowed, tagName(tag)) {
			b.WriteString(tag)
		}
		i = end
	}
	return b.String()
}

var brackets = strings.NewReplacer("<", "", ">", "")

// tagName is the name of a tag as PHP compares it: what comes first, without the slash that ends a tag.
func tagName(tag string) string {
	inner := strings.TrimLeft(strings.ToLower(strings.Trim(tag, "<>")), " \t\n\r\v\f")
	if i := strings.IndexAny(inner, " \t\n\r\v\f"); i >= 0 {
		inner = inner[:i]
	}
	return "<" + strings.TrimSuffix(strings.TrimPrefix(inner, "/"), "/") + ">"
}

// spaceless removes the space between tags.
func spaceless(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		b.WriteByte(s[i])
		if s[i] == '>' {
			j := i + 1 + spaces(s[i+1:])
			if j > i+1 && j < len(s) && s[j] == '<' {
				i = j - 1
			}
		}
	}
	return strings.Trim(b.String(), phpSpace)
}

// charSize is how many bytes PHP takes for the first character of a string: what its first byte promises.
func charSize(s string) int {
	n := 1
	switch c := s[0]; {
	case c >= 0xc2 && c < 0xe0:
		n = 2
	case c >= 0xe0 && c < 0xf0:
		n = 3
	case c >= 0xf0 && c < 0xf5:
		n = 4
	}
	return min(n, len(s))
}

// charCount is mb_strlen.
func charCount(s string) int {
	n := 0
	for ; s != ""; n++ {
		s = s[charSize(s):]
	}
	return n
}

// chars splits a string into characters.
func (r *run) chars(s string) []string {
	n := charCount(s)
	r.chargeElements(n)
	list := make([]string, 0, n)
	for s != "" {
		size := charSize(s)
		list = append(list, s[:size])
		s = s[size:]
	}
	return list
}

func (r *run) split(a args) any {
	s, delimiter := r.text(a[0]), r.text(a[1])
	limit, limited := 0, a.at(2, nil) != nil
	if limited {
		limit = r.intParam(a[2])
	}
	list := &Array{}
	if delimiter == "" {
		if (!limited || limit <= 1) && !utf8.ValidString(s) {
			return false
		}
		chars := r.chars(s)
		size := 1
		if limited && limit > 1 {
			size = limit
		}
		if n := len(chars); size == 1 && n > 1 && chars[n-1] == "\n" { // PHP splits where $ does not match
			chars = append(chars[:n-2], chars[n-2]+"\n")
		}
		for i := 0; i < len(chars); i += size {
			list.push(strings.Join(chars[i:min(len(chars), i+size)], ""))
		}
		if len(chars) == 0 {
			list.push("")
		}
		return list
	}
	r.step(len(s) / 64)
	r.chargeElements(1 + strings.Count(s, delimiter))
	n := -1
	if limited && limit >= 0 {
		n = max(1, limit)
	}
	parts := strings.SplitN(s, delimiter, n)
	if limited && limit < 0 {
		parts = parts[:max(0, len(parts)+limit)]
	}
	for _, p := range parts {
		list.push(p)
	}
	return list
}
