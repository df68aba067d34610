package api

import (
	"time"
	"unicode/utf8"

	"sallyport/internal/hook"
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
	if !ok || !hook.IsEventID(text) {
		it.fault(at, "id", "invalid_format", "id must be a string of 1 to 128 letters, digits, _, : and -")
		return nil
	}
	it.event.ID = string(text)
	return nil
}

func (s *scanner) eventType(it *item, at string, depth int) error {
	text, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	if !ok || !hook.IsEventType(text) {
		it.fault(at, "type", "invalid_format", "type must be a string of at most 128 letters, digits, _, -, : and /, in segments separated by dots, such as order.paid")
		return nil
	}
	it.event.Type = string(text)
	return nil
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
		} else if n > hook.MaxEntityIDText {
			it.fault(at, "entityId", "too_long", "entityId must have at most 512 characters")
		} else if hook.HasControl(text) {
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
		if !hook.IsEntityIDNumber(raw) {
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
	case len(text) > hook.MaxEntityURL:
		it.fault(at, "entityUrl", "too_long", "entityUrl must have at most 2048 characters")
	case !hook.IsEntityURL(text):
		it.fault(at, "entityUrl", "invalid_url", "entityUrl must be an absolute URL in ASCII, such as https://shop.example.com/orders/7")
	default:
		it.event.EntityURL = string(text)
	}
	return nil
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
