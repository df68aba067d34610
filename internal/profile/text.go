package profile

import (
	"unicode/utf16"
	"unicode/utf8"
)

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

// appendString appends s as a JSON string with no more escapes than RFC 8259 demands.
// Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = appendEscape(append(dst, s[start:i]...), c)
			start = i + 1
		}
		i++
	}
	return append(append(dst, s[start:]...), '"')
}

// appendEscape appends the escape of a character that must not stand in a JSON string.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\', '/':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
}

// appendPHPRune appends a character of a string as PHP's json_encode does by default: "/"
// escaped, everything beyond ASCII as \uXXXX in lowercase, in pairs beyond the BMP.
func appendPHPRune(dst []byte, r rune) []byte {
	switch {
	case r < ' ' || r == '"' || r == '\\' || r == '/':
		return appendEscape(dst, byte(r))
	case r < utf8.RuneSelf:
		return append(dst, byte(r))
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		return appendUnit(appendUnit(dst, high), low)
	}
	return appendUnit(dst, r)
}

func appendUnit(dst []byte, u rune) []byte {
	return append(dst, '\\', 'u', lowerHex[u>>12&15], lowerHex[u>>8&15], lowerHex[u>>4&15], lowerHex[u&15])
}

func appendPHPString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		dst = appendPHPRune(dst, r)
	}
	return append(dst, '"')
}

// appendPHP appends a JSON document in PHP's spelling. Numbers, the order of keys and
// duplicates of them stay as they are. A lone surrogate, which PHP cannot hold, keeps its
// escape. The document is valid: it was checked when the event was accepted.
func appendPHP(dst, document []byte) []byte {
	for i := 0; i < len(document); {
		switch c := document[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '"':
			dst, i = appendPHPToken(dst, document, i)
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// appendPHPToken appends the string token that begins at document[i] and returns where the
// next token begins.
func appendPHPToken(dst, document []byte, i int) ([]byte, int) {
	dst = append(dst, '"')
	for i++; i < len(document); {
		switch c := document[i]; {
		case c == '"':
			return append(dst, '"'), i + 1
		case c == '\\' && i+1 < len(document):
			var r rune
			r, i = unescape(document, i)
			if utf16.IsSurrogate(r) {
				dst = appendUnit(dst, r)
			} else {
				dst = appendPHPRune(dst, r)
			}
		case c < utf8.RuneSelf:
			dst = appendPHPRune(dst, rune(c))
			i++
		default:
			r, size := utf8.DecodeRune(document[i:])
			dst = appendPHPRune(dst, r)
			i += size
		}
	}
	return append(dst, '"'), i
}

// unescape reads the escape at document[i] and returns its character, a surrogate if it
// stands alone, and where the next one begins.
func unescape(document []byte, i int) (rune, int) {
	switch c := document[i+1]; c {
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
		r := unit(document, i)
		if r < 0 {
			return utf8.RuneError, len(document)
		}
		if pair := utf16.DecodeRune(r, unit(document, i+6)); pair != utf8.RuneError {
			return pair, i + 12
		}
		return r, i + 6
	default:
		return rune(c), i + 2
	}
}

// unit reads \uXXXX at document[i], or returns -1.
func unit(document []byte, i int) rune {
	if i+6 > len(document) || document[i] != '\\' || document[i+1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range document[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// appendQuery appends s as application/x-www-form-urlencoded, as url.QueryEscape does.
func appendQuery[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// maxHeaderValue is the longest value we put into a header; see the package's doc.
const maxHeaderValue = 4096

// headerText returns s as the value of a header, percent-encoded as far as needed, "" if it
// would be too long. percent says whether "%" itself is encoded too; then a space within
// the text may stay.
func headerText(s string, percent bool) string {
	clean := true
	for i := range len(s) {
		if !plainInHeader(s, i, percent) {
			clean = false
			break
		}
	}
	if !clean {
		dst := make([]byte, 0, len(s)+16)
		for i := range len(s) {
			if c := s[i]; plainInHeader(s, i, percent) {
				dst = append(dst, c)
			} else {
				dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
			}
		}
		s = string(dst)
	}
	if len(s) > maxHeaderValue {
		return ""
	}
	return s
}

func plainInHeader(s string, i int, percent bool) bool {
	switch c := s[i]; {
	case c == '%':
		return !percent
	case c == ' ':
		return percent && i > 0 && i < len(s)-1
	default:
		return c > ' ' && c <= '~'
	}
}
