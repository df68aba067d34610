package template

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// regexTime bounds one match; the rendering's own deadline bounds them together.
const regexTime = 20 * time.Millisecond

// regexTries is how often a match may take too long. The engine's clock ticks in a goroutine
// of its own: on a busy machine it jumps, and the shortest match seems to have taken long.
const regexTries = 3

// maxRegexes bounds the cache of compiled patterns; when it is full it starts anew.
const maxRegexes = 256

// maxPattern bounds one pattern, in bytes.
const maxPattern = 4096

func init() { regexp2.SetTimeoutCheckPeriod(regexTime / 2) }

var regexes struct {
	sync.Mutex
	m map[string]*pattern
}

// pattern is a PHP regular expression: delimiters, modifiers and all. Without the u modifier it
// looks at bytes, which are given to the engine as the characters of the same number.
type pattern struct {
	re    *regexp2.Regexp
	bytes bool
}

// opMatches is Twig's matches: preg_match, so 1 or 0.
func opMatches(r *run, subject, expression any) any {
	source := r.text(expression)
	p, problem := compilePattern(source)
	if problem != "" {
		fail("Regexp %q passed to \"matches\" is not valid: %s", source, problem)
	}
	s := r.text(subject)
	r.charge(len(s) * 4)
	if p.bytes {
		s = latin1(s)
	} else if !utf8.ValidString(s) {
		return false
	}
	ok, err := p.re.MatchString(s)
	for try := 1; err != nil && try < regexTries; try++ {
		ok, err = p.re.MatchString(s)
	}
	if err != nil {
		limit("a regular expression takes too long")
	}
	r.looked = time.Now() // a match counts in full, however long it was
	r.step(clockEvery)
	if ok {
		return int64(1)
	}
	return int64(0)
}

func latin1(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

func compilePattern(source string) (*pattern, string) {
	if len(source) > maxPattern {
		return nil, "it is too long"
	}
	regexes.Lock()
	defer regexes.Unlock()
	if p, ok := regexes.m[source]; ok {
		return p, ""
	}
	body, modifiers, problem := delimited(source)
	if problem != "" {
		return nil, problem
	}
	p := &pattern{bytes: true}
	options := regexp2.None
	dollarEnd := false
	for _, m := range modifiers {
		switch m {
		case 'i':
			options |= regexp2.IgnoreCase
		case 'm':
			options |= regexp2.Multiline
		case 's':
			options |= regexp2.Singleline
		case 'x':
			options |= regexp2.IgnorePatternWhitespace
		case 'n':
			options |= regexp2.ExplicitCapture
		case 'A':
			body = `\G(?:` + body + `)`
		case 'D':
			dollarEnd = true
		case 'u':
			p.bytes = false
		case 'S', 'X', 'J', '\n', '\r', ' ':
		case 'U':
			return nil, "the modifier U is not supported"
		default:
			return nil, "Unknown modifier '" + string(m) + "'"
		}
	}
	if p.bytes {
		body = latin1(body)
	}
	re, err := regexp2.Compile(fromPCRE(body, dollarEnd), options)
	if err != nil {
		return nil, "Compilation failed"
	}
	re.MatchTimeout = regexTime
	p.re = re
	if regexes.m == nil || len(regexes.m) >= maxRegexes {
		regexes.m = map[string]*pattern{}
	}
	regexes.m[source] = p
	return p, ""
}

// delimited takes the delimiters off.
func delimited(source string) (body, modifiers, problem string) {
	s := strings.TrimLeft(source, phpSpace)
	if s == "" {
		return "", "", "Empty regular expression"
	}
	open := s[0]
	if isNameStart(open) && open != '_' && open < 0x7f || isDigit(open) || open == '\\' {
		return "", "", "Delimiter must not be alphanumeric, backslash, or NUL"
	}
	end := open
	if i := strings.IndexByte("([{<", open); i >= 0 {
		end = ")]}>"[i]
	}
	depth := 1
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == end && depth == 1:
			return s[1:i], s[i+1:], ""
		case s[i] == end:
			depth--
		case s[i] == open:
			depth++
		}
	}
	return "", "", "No ending delimiter '" + string(end) + "' found"
}

var posixClasses = map[string]string{"alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z",
	"space": `\s`, "blank": ` \t`, "punct": "!-/:-@\\[-`{-~", "xdigit": "0-9a-fA-F", "word": "a-zA-Z0-9_", "cntrl": `\x00-\x1f\x7f`,
	"print": " -~", "graph": "!-~"}

// fromPCRE rewrites what the engine, which speaks .NET's dialect, understands otherwise or not at all.
func fromPCRE(s string, dollarEnd bool) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		rest := s[i:]
		switch {
		case strings.HasPrefix(rest, `\Q`):
			quoted, _, _ := strings.Cut(rest[2:], `\E`)
			b.WriteString(regexp2.Escape(quoted))
			i += min(len(rest), len(quoted)+4) - 1
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteString(escapeOf(s[i], class))
		case class && strings.HasPrefix(rest, "[:"):
			end := strings.Index(rest, ":]")
			if set, ok := posixClasses[rest[2:max(2, end)]]; end > 0 && ok {
				b.WriteString(set)
				i += end + 1
				continue
			}
			b.WriteString(`\[`)
		case class && c == '[':
			b.WriteString(`\[`)
		case c == '[' && !class:
			class = true
			b.WriteByte(c)
			for _, first := range []string{"[^]", "[]"} {
				if strings.HasPrefix(rest, first) {
					b.WriteString(strings.Replace(first[1:], "]", `\]`, 1))
					i += len(first) - 1
					break
				}
			}
		case c == ']' && class:
			class = false
			b.WriteByte(c)
		case class:
			b.WriteByte(c)
		case c == '$' && dollarEnd:
			b.WriteString(`\z`)
		case strings.HasPrefix(rest, "(?P<"):
			b.WriteString("(?<")
			i += 3
		case (c == '+' || c == '*' || c == '?' || c == '}') && i+1 < len(s) && s[i+1] == '+':
			b.WriteByte(c) // possessive: as greedy, which only matches more
			i++
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escapeOf(c byte, class bool) string {
	wrap := func(set string) string {
		if class {
			return set
		}
		return "[" + set + "]"
	}
	switch c {
	case 'd':
		return wrap("0-9")
	case 'w':
		return wrap("a-zA-Z0-9_")
	case 'h':
		return wrap(` \t`)
	case 'D':
		if !class {
			return "[^0-9]"
		}
	case 'W':
		if !class {
			return "[^a-zA-Z0-9_]"
		}
	case 'R':
		return `(?:\r\n|\n|\r)`
	}
	return `\` + string(c)
}
