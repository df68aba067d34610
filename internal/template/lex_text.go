package template

import (
	"math"
	"strconv"
	"strings"
)

// The literals of the lexer: numbers and strings.

func (l *lexer) number(rest string) {
	digits := func(n int) int {
		for n < len(rest) && isDigit(rest[n]) {
			n++
		}
		return n
	}
	n := digits(0)
	whole := true
	if n+1 < len(rest) && rest[n] == '.' && isDigit(rest[n+1]) {
		n, whole = digits(n+1), false
	}
	if n+2 < len(rest) && (rest[n] == 'e' || rest[n] == 'E') && (rest[n+1] == '+' || rest[n+1] == '-') && isDigit(rest[n+2]) {
		n, whole = digits(n+2), false
	}
	t := token{kind: tokNumber, text: rest[:n], pos: l.pos}
	f, _ := strconv.ParseFloat(rest[:n], 64)
	t.value = f
	if whole {
		if i, err := strconv.ParseInt(rest[:n], 10, 64); err == nil || f == math.MaxInt64 {
			t.value = i // the largest for what is so near to it that the float is the same
		}
	}
	l.tokens = append(l.tokens, t)
	l.pos += n
}

// quoted gives the length of a whole string. One in double quotes that has a "#" is read in parts.
func quoted(s string) (int, bool) {
	q := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == q:
			return i + 1, true
		case s[i] == '#' && q == '"':
			return 0, false
		}
	}
	return 0, false
}

func (l *lexer) stringPart() {
	rest := l.src[l.pos:]
	if strings.HasPrefix(rest, "#{") {
		if len(l.brackets) >= maxNesting {
			panic(failure{kind: Limit, message: "strings are nested too deeply", pos: l.pos})
		}
		l.brackets = append(l.brackets, bracket{'#', l.pos})
		l.push(tokInterpolationStart, "")
		l.pos += 2 + spaces(rest[2:])
		l.enter(inInterpolation)
		return
	}
	n := 0
scan:
	for n < len(rest) {
		switch {
		case rest[n] == '"', strings.HasPrefix(rest[n:], "#{"):
			break scan
		case rest[n] == '\\' && n+1 < len(rest):
			n += 2
		case rest[n] == '\\':
			break scan
		default:
			n++
		}
	}
	switch {
	case n > 0:
		l.push(tokString, stripCSlashes(rest[:n]))
		l.pos += n
	case rest[0] == '"':
		l.brackets = l.brackets[:len(l.brackets)-1]
		l.leave()
		l.pos++
	default:
		panic(syntaxError(l.pos, "Unexpected character %q", rest[:1]))
	}
}

func (l *lexer) interpolation() {
	rest := l.src[l.pos:]
	n := spaces(rest)
	if len(l.brackets) > 0 && l.brackets[len(l.brackets)-1].open == '#' && n < len(rest) && rest[n] == '}' {
		l.brackets = l.brackets[:len(l.brackets)-1]
		l.push(tokInterpolationEnd, "")
		l.pos += n + 1
		l.leave()
		return
	}
	l.expression()
}

// stripCSlashes is PHP's stripcslashes.
func stripCSlashes(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'a':
			b.WriteByte('\a')
		case 'v':
			b.WriteByte('\v')
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'x':
			n := 0
			for n < 2 && i+1+n < len(s) && isHex(s[i+1+n]) {
				n++
			}
			if n == 0 {
				b.WriteByte('x')
				continue
			}
			v, _ := strconv.ParseUint(s[i+1:i+1+n], 16, 8)
			b.WriteByte(byte(v))
			i += n
		default:
			n := 0
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				n++
			}
			if n == 0 {
				b.WriteByte(c)
				continue
			}
			v, _ := strconv.ParseUint(s[i:i+n], 8, 16)
			b.WriteByte(byte(v))
			i += n - 1
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
