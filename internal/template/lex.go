package template

import (
	"sort"
	"strings"
)

type tokenKind int

const (
	tokEOF tokenKind = iota
	tokText
	tokBlockStart
	tokBlockEnd
	tokVarStart
	tokVarEnd
	tokName
	tokNumber
	tokString
	tokOperator
	tokPunctuation
	tokInterpolationStart
	tokInterpolationEnd
	tokArrow
)

// describe names a kind as Twig's messages do.
func (k tokenKind) describe() string {
	return [...]string{"end of template", "text", "begin of statement block", "end of statement block",
		"begin of print statement", "end of print statement", "name", "number", "string", "operator",
		"punctuation", "begin of string interpolation", "end of string interpolation", "arrow function"}[k]
}

type token struct {
	kind  tokenKind
	text  string
	value any // of numbers
	pos   int
}

type lexState int

const (
	inData lexState = iota
	inBlock
	inVar
	inString
	inInterpolation
)

type bracket struct {
	open byte // '#' stands for "#{"
	pos  int
}

// lexer follows Twig\Lexer: what is a token depends on a stack of states.
type lexer struct {
	src      string
	pos      int
	end      int
	tokens   []token
	state    lexState
	states   []lexState
	brackets []bracket
	opened   int // where the current tag began
}

// operators in the order Twig tries them: the longest first.
var operators = func() []string {
	ops := []string{"=", "not", "-", "+", "or", "and", "b-or", "b-xor", "b-and", "==", "!=", "<=>", "<", ">", ">=", "<=",
		"not in", "in", "matches", "starts with", "ends with", "has some", "has every", "..", "~", "*", "/", "//", "%",
		"is", "is not", "**", "??"}
	sort.SliceStable(ops, func(i, j int) bool { return len(ops[i]) > len(ops[j]) })
	return ops
}()

// lex splits a source whose newlines are normal already.
func lex(src string) []token {
	l := &lexer{src: src, end: len(src)}
	for l.pos < l.end {
		switch l.state {
		case inData:
			l.data()
		case inBlock:
			l.tag("%}", tokBlockEnd, true)
		case inVar:
			l.tag("}}", tokVarEnd, false)
		case inString:
			l.stringPart()
		case inInterpolation:
			l.interpolation()
		}
	}
	if n := len(l.brackets); n > 0 {
		panic(syntaxError(l.brackets[n-1].pos, "Unclosed %q", l.brackets[n-1].name()))
	}
	l.push(tokEOF, "")
	return l.tokens
}

// lexExpression splits a bare expression: what stands between {{ and }}.
func lexExpression(src string) []token {
	l := &lexer{src: src, end: len(src), state: inVar}
	for l.pos < l.end {
		switch l.state {
		case inString:
			l.stringPart()
		case inInterpolation:
			l.interpolation()
		default:
			if l.pos += spaces(src[l.pos:]); l.pos < l.end {
				l.expression()
			}
		}
	}
	if n := len(l.brackets); n > 0 {
		panic(syntaxError(l.brackets[n-1].pos, "Unclosed %q", l.brackets[n-1].name()))
	}
	l.push(tokEOF, "")
	return l.tokens
}

func (b bracket) name() string {
	if b.open == '#' {
		return "#{"
	}
	return string(b.open)
}

func (l *lexer) push(kind tokenKind, text string) {
	if kind == tokText && text == "" {
		return
	}
	l.tokens = append(l.tokens, token{kind: kind, text: text, pos: l.pos})
}

func (l *lexer) enter(s lexState) {
	l.states = append(l.states, l.state)
	l.state = s
}

func (l *lexer) leave() {
	l.state = l.states[len(l.states)-1]
	l.states = l.states[:len(l.states)-1]
}

const phpSpace = " \n\r\t\v\x00"

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func spaces(s string) int {
	n := 0
	for n < len(s) && isSpace(s[n]) {
		n++
	}
	return n
}

func lineSpaces(s string) int {
	n := 0
	for n < len(s) && strings.IndexByte(" \t\x00\v", s[n]) >= 0 {
		n++
	}
	return n
}

func (l *lexer) data() {
	rest := l.src[l.pos:]
	i := 0
	for {
		j := strings.IndexByte(rest[i:], '{')
		if j < 0 || i+j+1 >= len(rest) {
			l.push(tokText, rest)
			l.pos = l.end
			return
		}
		if i += j; strings.IndexByte("{%#", rest[i+1]) >= 0 {
			break
		}
		i++
	}
	text, kind, length := rest[:i], rest[i+1], 2
	if i+2 < len(rest) {
		switch rest[i+2] {
		case '-':
			text, length = strings.TrimRight(text, phpSpace), 3
		case '~':
			text, length = strings.TrimRight(text, " \t\x00\v"), 3
		}
	}
	l.push(tokText, text)
	l.opened = l.pos + i
	l.pos += i + length
	switch kind {
	case '#':
		l.comment()
	case '{':
		l.push(tokVarStart, "")
		l.enter(inVar)
	default:
		if l.verbatim() || l.lineTag() {
			return
		}
		l.push(tokBlockStart, "")
		l.enter(inBlock)
	}
}

// closing matches the end of a tag, its trim mark, and the space and newline that go with it.
func closing(s, mark string, newline bool) (int, bool) {
	n := 0
	trim := byte(0)
	if n < len(s) && (s[n] == '-' || s[n] == '~') {
		trim = s[n]
		n++
	}
	if !strings.HasPrefix(s[n:], mark) {
		return 0, false
	}
	n += len(mark)
	switch trim {
	case '-':
		return n + spaces(s[n:]), true
	case '~':
		return n + lineSpaces(s[n:]), true
	}
	if newline && n < len(s) && s[n] == '\n' {
		n++
	}
	return n, true
}

func (l *lexer) comment() {
	rest := l.src[l.pos:]
	i := strings.Index(rest, "#}")
	if i < 0 {
		panic(syntaxError(l.opened, "Unclosed comment"))
	}
	if i > 0 && (rest[i-1] == '-' || rest[i-1] == '~') {
		i--
	}
	n, _ := closing(rest[i:], "#}", true)
	l.pos += i + n
}

// verbatim reads a whole {% verbatim %} tag, if this is one.
func (l *lexer) verbatim() bool {
	rest := l.src[l.pos:]
	i := spaces(rest)
	if !strings.HasPrefix(rest[i:], "verbatim") {
		return false
	}
	i += len("verbatim")
	i += spaces(rest[i:])
	n, ok := closing(rest[i:], "%}", false)
	if !ok {
		return false
	}
	i += n
	for j := i; ; {
		k := strings.Index(rest[j:], "{%")
		if k < 0 {
			panic(syntaxError(l.opened, `Unexpected end of file: Unclosed "verbatim" block`))
		}
		at := j + k
		p, trim := at+2, byte(0)
		if p < len(rest) && (rest[p] == '-' || rest[p] == '~') {
			trim = rest[p]
			p++
		}
		p += spaces(rest[p:])
		if strings.HasPrefix(rest[p:], "endverbatim") {
			p += len("endverbatim")
			p += spaces(rest[p:])
			if n, ok := closing(rest[p:], "%}", false); ok {
				text := rest[i:at]
				switch trim {
				case '-':
					text = strings.TrimRight(text, phpSpace)
				case '~':
					text = strings.TrimRight(text, " \t\x00\v")
				}
				l.push(tokText, text)
				l.pos += p + n
				return true
			}
		}
		j = at + 2
	}
}

// lineTag skips {% line 7 %}, which sets the number of the next line and prints nothing.
func (l *lexer) lineTag() bool {
	rest := l.src[l.pos:]
	i := spaces(rest)
	if !strings.HasPrefix(rest[i:], "line") {
		return false
	}
	i += len("line")
	n := spaces(rest[i:])
	if n == 0 {
		return false
	}
	i += n
	digits := i
	for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
		i++
	}
	if i == digits {
		return false
	}
	i += spaces(rest[i:])
	if !strings.HasPrefix(rest[i:], "%}") {
		return false
	}
	l.pos += i + 2
	return true
}

func (l *lexer) tag(mark string, kind tokenKind, newline bool) {
	if len(l.brackets) == 0 {
		rest := l.src[l.pos:]
		i := spaces(rest)
		if n, ok := closing(rest[i:], mark, newline); ok {
			l.push(kind, "")
			l.pos += i + n
			l.leave()
			return
		}
	}
	l.expression()
}

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x7f
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func nameLength(s string) int {
	n := 0
	for n < len(s) && (isNameStart(s[n]) || n > 0 && isDigit(s[n])) {
		n++
	}
	return n
}

func (l *lexer) expression() {
	if n := spaces(l.src[l.pos:]); n > 0 {
		l.pos += n
		if l.pos >= l.end {
			what := "variable"
			if l.state == inBlock {
				what = "block"
			}
			panic(syntaxError(l.opened, "Unclosed %q", what))
		}
	}
	rest := l.src[l.pos:]
	c := rest[0]
	if strings.HasPrefix(rest, "=>") {
		l.push(tokArrow, "=>")
		l.pos += 2
		return
	}
	if op, n := l.operator(rest); n > 0 {
		l.push(tokOperator, op)
		l.pos += n
		return
	}
	switch {
	case isNameStart(c):
		n := nameLength(rest)
		l.push(tokName, rest[:n])
		l.pos += n
	case isDigit(c):
		l.number(rest)
	case strings.IndexByte("([{", c) >= 0:
		if len(l.brackets) >= maxNesting {
			panic(failure{kind: Limit, message: "brackets are nested too deeply", pos: l.pos})
		}
		l.brackets = append(l.brackets, bracket{c, l.pos})
		l.push(tokPunctuation, rest[:1])
		l.pos++
	case strings.IndexByte(")]}", c) >= 0:
		l.close(c)
		l.push(tokPunctuation, rest[:1])
		l.pos++
	case strings.IndexByte("?:.,|", c) >= 0:
		l.push(tokPunctuation, rest[:1])
		l.pos++
	case c == '\'' || c == '"':
		if n, ok := quoted(rest); ok {
			l.push(tokString, stripCSlashes(rest[1:n-1]))
			l.pos += n
			return
		}
		if c == '\'' {
			panic(syntaxError(l.pos, "Unexpected character %q", "'"))
		}
		if len(l.brackets) >= maxNesting {
			panic(failure{kind: Limit, message: "strings are nested too deeply", pos: l.pos})
		}
		l.brackets = append(l.brackets, bracket{'"', l.pos})
		l.enter(inString)
		l.pos++
	default:
		panic(syntaxError(l.pos, "Unexpected character %q", string(c)))
	}
}

func (l *lexer) close(c byte) {
	n := len(l.brackets)
	if n == 0 {
		panic(syntaxError(l.pos, "Unexpected %q", string(c)))
	}
	b := l.brackets[n-1]
	if want := map[byte]byte{'(': ')', '[': ']', '{': '}'}[b.open]; want != c {
		panic(syntaxError(b.pos, "Unclosed %q", b.name()))
	}
	l.brackets = l.brackets[:n-1]
}

// operator matches the longest operator. One that ends with a letter needs space or an opening bracket
// behind it, one that begins with a letter no dot or pipe before it; its words may be any space apart.
func (l *lexer) operator(rest string) (string, int) {
	for _, op := range operators {
		n := 0
		if strings.IndexByte(op, ' ') < 0 {
			if !strings.HasPrefix(rest, op) {
				continue
			}
			n = len(op)
		} else {
			for i, word := range strings.Split(op, " ") {
				if i > 0 {
					s := spaces(rest[n:])
					if s == 0 {
						n = -1
						break
					}
					n += s
				}
				if !strings.HasPrefix(rest[n:], word) {
					n = -1
					break
				}
				n += len(word)
			}
			if n < 0 {
				continue
			}
		}
		if last := op[len(op)-1]; last >= 'a' && last <= 'z' {
			if n >= len(rest) || !isSpace(rest[n]) && strings.IndexByte("([{", rest[n]) < 0 {
				continue
			}
		}
		if op[0] >= 'a' && op[0] <= 'z' && l.pos > 0 && strings.IndexByte(".|", l.src[l.pos-1]) >= 0 {
			continue
		}
		return op, n
	}
	return "", 0
}
