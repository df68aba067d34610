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

// regexTick is how often the clock of the engine ticks.
const regexTick = regexTime / 2

// regexTries is how often a match may take too long. The engine's clock ticks in a goroutine
// of its own: on a busy machine it jumps, and the shortest match seems to have taken long.
const regexTries = 3

// maxRegexes bounds the cache of compiled patterns; when it is full it starts anew.
const maxRegexes = 256

// maxPattern bounds one pattern, in bytes.
const maxPattern = 4096

func init() { regexp2.SetTimeoutCheckPeriod(regexTick) }

var regexes struct {
	sync.Mutex
	m map[string]*pattern
}

// pattern is a PHP regular expression: delimiters, modifiers and all. Without the u modifier it
// looks at bytes; see bytesAsRunes.
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
		s = bytesAsRunes(s)
	} else if !utf8.ValidString(s) {
		return false
	}
	r.late() // that it is is found below
	ok, err := p.re.MatchString(s)
	tries := 1
	for ; err != nil && tries < regexTries; tries++ {
		ok, err = p.re.MatchString(s)
	}
	if err != nil {
		limit("a regular expression takes too long")
	}
	// A match counts in full, but it ends when its time is over: beyond that it stood still.
	r.lateAfter(time.Duration(tries) * (regexTime + regexTick))
	r.step(clockEvery)
	if ok {
		return int64(1)
	}
	return int64(0)
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
		case 'S', 'X', 'J', 'U', '\n', '\r', ' ': // U turns greed around, which finds the same subjects
		default:
			return nil, "Unknown modifier '" + string(m) + "'"
		}
	}
	if p.bytes {
		body = bytesAsRunes(body)
	}
	body, ok := fromPCRE(body, p.bytes, dollarEnd)
	re, err := regexp2.Compile(body, options)
	if err != nil || !ok {
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
