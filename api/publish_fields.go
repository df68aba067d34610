package api

import (
	"bytes"
	"time"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// Limits of an event, as openapi.yaml has them.
const (
	maxEventID      = 128
	maxTypeName     = 128
	maxEntityIDText = 512
	maxEntityIDNum  = 38 // digits: what a numeric(38) column holds
	maxEntityURL    = 2048
)

// stringOr reads the text of a string, as a rule without a copy; another value, null
// included, it skips over and reports false.
func (s *scanner) stringOr(depth int) (text []byte, ok bool, err error) {
	if s.peek() != '"' {
		_, err = s.skip(depth + 1)
		return nil, false, err
	}
	text, escaped, err := s.str()
	if escaped {
		text = []byte(unescape(text))
	}
	return text, true, err
}

func (s *scanner) eventID(it *item, at string, depth int) error {
	text, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	if !ok || !validEventID(text) {
		it.fault(at, "id", "invalid_format", "id must be a string of 1 to 128 letters, digits, _, : and -")
		return nil
	}
	it.event.ID = string(text)
	return nil
}

// validEventID knows no dot: Standard Webhooks signs id.timestamp.body, which must stay unambiguous.
func validEventID(b []byte) bool {
	if len(b) == 0 || len(b) > maxEventID {
		return false
	}
	for _, c := range b {
		if !isWord(c) && c != ':' {
			return false
		}
	}
	return true
}

// isWord reports whether c is a letter, a digit, _ or -.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_' || c == '-'
}

func (s *scanner) eventType(it *item, at string, depth int) error {
	text, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	if !ok || !validType(text) {
		it.fault(at, "type", "invalid_format", "type must be a string of at most 128 letters, digits, _, -, : and /, in segments separated by dots, such as order.paid")
		return nil
	}
	it.event.Type = string(text)
	return nil
}

func validType(b []byte) bool {
	if len(b) == 0 || len(b) > maxTypeName {
		return false
	}
	dot := true // a segment must follow
	for _, c := range b {
		switch {
		case c == '.':
			if dot {
				return false
			}
			dot = true
		case isWord(c) || c == ':' || c == '/':
			dot = false
		default:
			return false
		}
	}
	return !dot
}

func (s *scanner) entityID(it *item, at string, depth int) error {
	switch c := s.peek(); {
	case c == 'n':
		return s.literal("null")
	case c == '"':
		text, err := s.text()
		if err != nil {
			return err
		}
		if n := utf8.RuneCountInString(text); n == 0 {
			it.fault(at, "entityId", "too_short", "entityId must not be empty; leave it out instead")
		} else if n > maxEntityIDText {
			it.fault(at, "entityId", "too_long", "entityId must have at most 512 characters")
		} else if hasControl(text) {
			it.fault(at, "entityId", "invalid_format", "entityId must not have control characters")
		} else {
			it.event.EntityID = hook.EntityID{Text: text}
		}
		return nil
	case c == '-' || isDigit(c):
		raw, err := s.number()
		if err != nil {
			return err
		}
		if !wholeNumber(raw) {
			it.fault(at, "entityId", "invalid_format", "entityId must be a string, or a whole number of at most 38 digits without fraction or exponent")
			return nil
		}
		it.event.EntityID = hook.EntityID{Text: string(raw), Number: true}
		return nil
	}
	if _, err := s.skip(depth + 1); err != nil {
		return err
	}
	it.fault(at, "entityId", "invalid_format", "entityId must be a string or a whole number")
	return nil
}

// wholeNumber reports whether a JSON number is -?(0|[1-9][0-9]{0,37}).
func wholeNumber(raw []byte) bool {
	digits := bytes.TrimPrefix(raw, []byte("-"))
	if len(digits) > maxEntityIDNum {
		return false
	}
	for _, c := range digits {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return true
		}
	}
	return false
}

func (s *scanner) entityURL(it *item, at string, depth int) error {
	if s.peek() == 'n' {
		return s.literal("null")
	}
	text, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	switch {
	case !ok:
		it.fault(at, "entityUrl", "invalid_format", "entityUrl must be a string")
	case len(text) > maxEntityURL:
		it.fault(at, "entityUrl", "too_long", "entityUrl must have at most 2048 characters")
	case !absoluteURL(text):
		it.fault(at, "entityUrl", "invalid_url", "entityUrl must be an absolute URL in ASCII, such as https://shop.example.com/orders/7")
	default:
		it.event.EntityURL = string(text)
	}
	return nil
}

// absoluteURL reports whether b is a scheme (RFC 3986), a colon and visible ASCII.
func absoluteURL(b []byte) bool {
	colon := bytes.IndexByte(b, ':')
	if colon < 1 || colon == len(b)-1 {
		return false
	}
	for i, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		switch {
		case i == 0 && !letter, c <= ' ', c > '~':
			return false
		case i < colon && !letter && !isDigit(c) && c != '+' && c != '.' && c != '-':
			return false
		}
	}
	return true
}

func (s *scanner) timestamp(it *item, at string, depth int) error {
	if s.peek() == 'n' {
		return s.literal("null")
	}
	text, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	if ok {
		if t, err := hook.ParseTime(string(text)); err == nil {
			it.event.Timestamp = t.Truncate(time.Millisecond)
			return nil
		}
	}
	it.fault(at, "timestamp", "invalid_format", "timestamp must be a time such as 2026-11-21T02:13:00Z")
	return nil
}
