package parse

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep lists and objects may lie in each other: PHP's own limit, which the
// templates have, too.
const maxDepth = 512

// anything takes any JSON value and keeps nothing of it.
type anything struct{}

func (anything) UnmarshalJSON([]byte) error { return nil }

// checkJSON reports what is wrong with the document, if anything.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return invalidUTF8(data, "the body")
	}
	if !plainlyJSON(data) && !json.Valid(data) {
		err := json.Unmarshal(data, &anything{})
		var syntax *json.SyntaxError
		switch {
		case len(trimJSON(data)) == 0:
			return malformed("the body is empty; JSON was expected")
		case errors.As(err, &syntax):
			at := int(syntax.Offset)
			if at > 0 && !strings.HasPrefix(syntax.Error(), "unexpected end") {
				at-- // Offset counts the byte at fault
			}
			return malformedAt(data, at, "the body is not JSON: %s", syntax.Error())
		default:
			return malformed("the body is not JSON")
		}
	}
	// Most documents have fewer brackets than they may have levels, even with those in texts.
	if bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) <= maxDepth {
		return nil
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = skipString(data, i) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return malformedAt(data, i, "the JSON is nested more than %d levels deep", maxDepth)
			}
		case '}', ']':
			depth--
		}
	}
	return nil
}

// The functions below read documents that checkJSON has passed.

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func trimJSON(data []byte) []byte {
	for len(data) > 0 && isBlank(data[0]) {
		data = data[1:]
	}
	for len(data) > 0 && isBlank(data[len(data)-1]) {
		data = data[:len(data)-1]
	}
	return data
}

func skipBlank(data []byte, i int) int {
	for i < len(data) && isBlank(data[i]) {
		i++
	}
	return i
}

// skipString returns where the string that begins at i has ended.
func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return i
}

// skipValue returns where the value that begins at i has ended.
func skipValue(data []byte, i int) int {
	switch data[i] {
	case '"':
		return skipString(data, i)
	case '{', '[':
		depth := 0
		for ; i < len(data); i++ {
			switch data[i] {
			case '"':
				i = skipString(data, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return i
	}
	for i < len(data) && !isBlank(data[i]) && data[i] != ',' && data[i] != '}' && data[i] != ']' {
		i++
	}
	return i
}

// span is a part of a document.
type span struct{ from, to int }

// elements finds the elements of the list that the document is, at most most+1 of them.
func elements(data []byte, most int) []span {
	var spans []span
	i := skipBlank(data, 1)
	for i < len(data) && data[i] != ']' && len(spans) <= most {
		end := skipValue(data, i)
		spans = append(spans, span{i, end})
		if i = skipBlank(data, end); i < len(data) && data[i] == ',' {
			i = skipBlank(data, i+1)
		}
	}
	return spans
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string: UTF-8 as it is, what is not UTF-8 as U+FFFD.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := decodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func decodeRune[T string | []byte](s T) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}
