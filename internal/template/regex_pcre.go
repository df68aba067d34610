package template

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dlclark/regexp2"
)

// What PCRE and the engine, which speaks .NET's dialect, understand differently.

// byteRune is where a byte above 0x7f stands among characters while a pattern looks at bytes: where no
// character is a letter, a digit or a space, as none of these bytes is one to PCRE.
const byteRune = 0xe000

// bytesAsRunes gives the bytes of a string to the engine as characters.
func bytesAsRunes(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] < 0x80 {
			b.WriteByte(s[i])
		} else {
			b.WriteRune(byteRune + rune(s[i]))
		}
	}
	return b.String()
}

// Sets of characters by the names of POSIX: of bytes, and with the u modifier.
var (
	byteClasses = map[string]string{"alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z",
		"space": `\s`, "blank": ` \t`, "punct": "!-/:-@\\[-`{-~", "xdigit": "0-9a-fA-F", "word": "a-zA-Z0-9_", "cntrl": `\x00-\x1f\x7f`,
		"print": " -~", "graph": "!-~", "ascii": `\x00-\x7f`}
	textClasses = map[string]string{"alpha": `\p{L}`, "digit": `\p{Nd}`, "alnum": `\p{L}\p{N}`, "upper": `\p{Lu}`, "lower": `\p{Ll}`,
		"word": `\p{L}\p{N}_`, "blank": ` \t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000`, "cntrl": `\p{Cc}`}
)

var (
	posixClass     = regexp.MustCompile(`^\[:(\^?)([a-zA-Z]+):\]`)
	namedReference = regexp.MustCompile(`^\(\?P=(\w+)\)`)
	bracedEscape   = regexp.MustCompile(`^\\([pPkg])(?:[{<'](\^?[\w&]+)[}>']|(\w))`)
	hexEscape      = regexp.MustCompile(`^\\x(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{0,2}))`)
)

// pcre rewrites one pattern.
type pcre struct {
	bytes     bool
	dollarEnd bool
	out       strings.Builder
	class     bool
	atom      int   // where in out the last atom begins, for possessive quantifiers
	groups    []int // where open groups begin
}

// fromPCRE says no to what PCRE refuses and the engine would take.
func fromPCRE(s string, bytes, dollarEnd bool) (string, bool) {
	p := &pcre{bytes: bytes, dollarEnd: dollarEnd}
	for s != "" {
		n, ok := p.next(s)
		if !ok {
			return "", false
		}
		s = s[n:]
	}
	return p.out.String(), true
}

// begin notes that an atom begins here.
func (p *pcre) begin(text string) {
	p.atom = p.out.Len()
	p.out.WriteString(text)
}

// next rewrites what s begins with and says how much that was.
func (p *pcre) next(s string) (int, bool) {
	switch {
	case strings.HasPrefix(s, `\Q`):
		quoted, _, _ := strings.Cut(s[2:], `\E`)
		p.begin(regexp2.Escape(quoted))
		return min(len(s), len(quoted)+4), true
	case s[0] == '\\' && len(s) > 1:
		if !p.class {
			p.atom = p.out.Len()
		}
		return p.escape(s)
	case p.class:
		return p.inClass(s)
	case s[0] == '[':
		p.class = true
		p.begin("[")
		n := 1
		if strings.HasPrefix(s, "[^") {
			p.out.WriteByte('^')
			n = 2
		}
		if strings.HasPrefix(s[n:], "]") { // first it stands for itself
			p.out.WriteString(`\]`)
			n++
		}
		return n, true
	case s[0] == '(':
		return p.open(s)
	case s[0] == ')' && len(p.groups) > 0:
		n := len(p.groups) - 1
		p.atom, p.groups = p.groups[n], p.groups[:n]
		p.out.WriteByte(')')
		return 1, true
	case s[0] == '$' && p.dollarEnd:
		p.begin(`\z`)
		return 1, true
	case strings.IndexByte("+*?}", s[0]) >= 0:
		p.out.WriteByte(s[0])
		if !strings.HasPrefix(s[1:], "+") {
			return 1, true
		}
		text := p.out.String() // possessive: it gives nothing back
		p.out.Reset()
		p.out.WriteString(text[:p.atom] + "(?>" + text[p.atom:] + ")")
		return 2, true
	case s[0] == '{':
		p.out.WriteByte('{')
		return 1, true
	}
	if s[0] >= '0' && s[0] <= '9' || s[0] == ',' { // perhaps of {1,2}, which has an atom before it
		if strings.LastIndexByte(p.out.String(), '{') > strings.LastIndexByte(p.out.String(), '}') {
			p.out.WriteByte(s[0])
			return 1, true
		}
	}
	if s[0] < 0x80 {
		p.begin(s[:1])
		return 1, true
	}
	n := 1
	for n < len(s) && s[n]&0xc0 == 0x80 {
		n++
	}
	p.begin(s[:n])
	return n, true
}

// open is of the openings of groups.
func (p *pcre) open(s string) (int, bool) {
	if m := namedReference.FindStringSubmatch(s); m != nil {
		p.begin(`\k<` + m[1] + `>`)
		return len(m[0]), true
	}
	if strings.HasPrefix(s, "(?U)") {
		return 4, true
	}
	p.groups = append(p.groups, p.out.Len())
	switch {
	case strings.HasPrefix(s, "(?P<"):
		p.out.WriteString("(?<")
		return 4, true
	case strings.HasPrefix(s, "(?|"): // the same but for the numbers of groups
		p.out.WriteString("(?:")
		return 3, true
	}
	p.out.WriteByte('(')
	return 1, true
}

func (p *pcre) inClass(s string) (int, bool) {
	if m := posixClass.FindStringSubmatch(s); m != nil {
		set, ok := byteClasses[m[2]]
		if !ok {
			return 0, false
		}
		text, isText := textClasses[m[2]]
		switch not := m[1] != ""; {
		case isText && !p.bytes && !not:
			set = text
		case isText && !p.bytes && strings.Count(text, `\p`) == 1 && strings.HasSuffix(text, "}"):
			set = `\P` + text[2:]
		case not:
			set = complement(set)
		}
		p.out.WriteString(set)
		return len(m[0]), true
	}
	switch s[0] {
	case '[':
		p.out.WriteString(`\[`)
	case ']':
		p.class = false
		p.out.WriteByte(']')
	default:
		p.out.WriteByte(s[0])
	}
	return 1, true
}

// complement lists all characters but those of a set of bytes.
func complement(set string) string {
	re := regexp2.MustCompile("["+set+"]", regexp2.None)
	var b strings.Builder
	from := rune(0)
	for c := rune(0); c <= 128; c++ {
		in := c == 128
		if !in {
			in, _ = re.MatchString(string(c))
		}
		if !in {
			continue
		}
		if c > from {
			fmt.Fprintf(&b, `\x%02x-\x%02x`, from, c-1)
		}
		from = c + 1
	}
	return b.String() + `\x80-\uffff`
}

// escape translates a backslash and what belongs to it, unless PCRE knows nothing of this name.
func (p *pcre) escape(s string) (int, bool) {
	set := func(members string, negated bool) (int, bool) {
		switch {
		case p.class:
			p.out.WriteString(members)
		case negated:
			p.out.WriteString("[^" + members + "]")
		default:
			p.out.WriteString("[" + members + "]")
		}
		return 2, true
	}
	digits, word := "0-9", "a-zA-Z0-9_"
	horizontal, vertical := ` \t\ue0a0`, `\n\v\f\r\ue085`
	if !p.bytes {
		digits, word = `\p{Nd}`, `\p{L}\p{N}_`
		horizontal, vertical = ` \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000`, `\n\v\f\r\x85\u2028\u2029`
	}
	switch c := s[1]; c {
	case 'd':
		return set(digits, false)
	case 'w':
		return set(word, false)
	case 'h':
		return set(horizontal, false)
	case 'v':
		return set(vertical, false)
	case 'D', 'W', 'H', 'V':
		if !p.class {
			return set(map[byte]string{'D': digits, 'W': word, 'H': horizontal, 'V': vertical}[c], true)
		}
	case 'N':
		return set(`\n`, true)
	case 'R':
		p.out.WriteString(`(?:\r\n|[` + vertical + `])`)
		return 2, true
	case 'X':
		p.out.WriteString(`(?:\r\n|\P{M}\p{M}*|\p{M}+)`)
		return 2, !p.class
	case 'K':
		return 2, !p.class // where a match begins nobody asks
	case '_':
		p.out.WriteByte('_')
		return 2, true
	case 'x':
		return p.hex(s)
	case 'p', 'P', 'k', 'g':
		if m := bracedEscape.FindStringSubmatch(s); m != nil {
			return p.braced(m)
		}
	case 'u', 'U', 'l', 'L', 'F', 'i', 'I', 'j', 'J', 'm', 'M', 'q', 'T', 'y', 'Y', 'O':
		return 0, false
	}
	p.out.WriteString(s[:2])
	return 2, true
}

// braced is of escapes with a name: properties of characters and references to groups.
func (p *pcre) braced(m []string) (int, bool) {
	kind, name := m[1], m[2]+m[3]
	switch {
	case kind == "k":
		p.out.WriteString(`\k<` + name + `>`)
	case kind == "g":
		p.out.WriteString(`(?:\` + name + `)`)
	case name[0] == '^':
		other := map[string]string{"p": "P", "P": "p"}[kind]
		p.out.WriteString(`\` + other + `{` + name[1:] + `}`)
	default:
		p.out.WriteString(`\` + kind + `{` + name + `}`)
	}
	return len(m[0]), true
}

func (p *pcre) hex(s string) (int, bool) {
	m := hexEscape.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	n, _ := strconv.ParseUint("0"+m[1]+m[2], 16, 32)
	switch {
	case n < 0x80:
		fmt.Fprintf(&p.out, `\x%02x`, n)
	case p.bytes && n > 0xff, n > 0x10ffff:
		return 0, false
	case p.bytes:
		p.out.WriteRune(byteRune + rune(n))
	default:
		p.out.WriteRune(rune(n))
	}
	return len(m[0]), true
}
