package hook

import (
	"strings"
	"unicode/utf8"
)

// What the fields of events and the codes of resources may be, as the contract has it. Publishing reads
// bytes that it does not copy, so the rules take either.

// Limits of those fields.
const (
	MaxCode           = 64
	MaxEventID        = 128
	MaxEventType      = 128
	MaxEventPattern   = MaxEventType + 2
	MaxEntityIDText   = 512 // characters
	MaxEntityIDDigits = 38  // what a numeric(38) column holds
	MaxEntityURL      = 2048
)

// text is read, never copied.
type text interface{ ~string | ~[]byte }

// IsCode reports whether s has the form of a code, which that of an id has, too.
func IsCode(s string) bool {
	return len(s) > 0 && len(s) <= MaxCode && wordsAnd(s, "")
}

// IsEventID reports whether a client may give an event this id. No dot: Standard Webhooks signs
// id.timestamp.body, which must stay unambiguous.
func IsEventID[T text](id T) bool {
	return len(id) > 0 && len(id) <= MaxEventID && wordsAnd(id, ":")
}

// IsEventType reports whether an event may be of this type: segments with dots between them.
func IsEventType[T text](name T) bool {
	return len(name) <= MaxEventType && areSegments(name)
}

// IsEventPattern reports whether a webhook may name events so: a type, a type and ".*", or "*" (see MatchType).
// What is neither would select nothing, ever.
func IsEventPattern(pattern string) bool {
	return pattern == "*" || len(pattern) <= MaxEventPattern && areSegments(strings.TrimSuffix(pattern, ".*"))
}

func areSegments[T text](name T) bool {
	if len(name) == 0 || name[len(name)-1] == '.' || !wordsAnd(name, ":/.") {
		return false
	}
	dot := true // a segment must follow
	for i := range len(name) {
		if name[i] == '.' && dot {
			return false
		}
		dot = name[i] == '.'
	}
	return true
}

// IsEntityIDText reports whether a text may be the id of an entity.
func IsEntityIDText(id string) bool {
	return id != "" && utf8.ValidString(id) && utf8.RuneCountInString(id) <= MaxEntityIDText && !HasControl(id)
}

// IsEntityIDNumber reports whether JSON is a number that may be the id of an entity: a whole one,
// without fraction or exponent.
func IsEntityIDNumber[T text](json T) bool {
	digits := json
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > MaxEntityIDDigits || len(digits) > 1 && digits[0] == '0' {
		return false
	}
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return false
		}
	}
	return true
}

// IsEntityURL reports whether an entity may be seen there: a scheme (RFC 3986), a colon and visible ASCII.
func IsEntityURL[T text](url T) bool {
	colon := -1
	for i := range len(url) {
		c := url[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		switch {
		case c <= ' ', c > '~', i == 0 && !letter:
			return false
		case colon >= 0:
		case c == ':':
			colon = i
		case !letter && !isDigit(c) && c != '+' && c != '.' && c != '-':
			return false
		}
	}
	return colon > 0 && colon < len(url)-1 && len(url) <= MaxEntityURL
}

// HasControl reports whether s has a control character of ASCII.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// wordsAnd reports whether s has nothing but letters, digits, _, - and these.
func wordsAnd[T text](s T, also string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z'; !letter && !isDigit(c) && c != '_' && c != '-' && strings.IndexByte(also, c) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
