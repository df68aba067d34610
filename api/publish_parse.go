package api

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
)

// Publishing is hot: the generic validator costs ten times what all the rest does.
// So its two bodies are checked here by hand, in one pass over the bytes, and a test
// holds these checks against the contract's schemas.

// Limits of an event, as openapi.yaml has them.
const (
	maxEventID      = 128
	maxTypeName     = 128
	maxEntityIDText = 512
	maxEntityIDNum  = 38 // digits: what a numeric(38) column holds
	maxEntityURL    = 2048

	// maxItemFaults bounds what is said about fields that do not exist: a body can have
	// a hundred thousand of them, and each is compared with the known ones.
	maxItemFaults = 20
)

// Bits of the members seen, to find repeated ones.
const (
	seenID = 1 << iota
	seenType
	seenEntityID
	seenEntity
	seenEntityURL
	seenTimestamp
)

// item is an event as it was read: good if it has no faults.
type item struct {
	event  hook.NewEvent
	faults []hook.Fault
	size   int // bytes it took in the request
}

// parseEvent reads the body of PublishEvent. The entity is a part of body, not a copy.
func parseEvent(body []byte) (hook.NewEvent, error) {
	s, err := newScanner(body)
	if err != nil {
		return hook.NewEvent{}, err
	}
	var it item
	if err := s.event(&it, "", 0); err != nil {
		return hook.NewEvent{}, err
	}
	if err := s.end(); err != nil {
		return hook.NewEvent{}, err
	}
	return it.event, hook.Invalid(it.faults)
}

// parseBatch reads the body of PublishEvents. Faults of the items stay with the items.
func parseBatch(body []byte, maxItems, maxItemBytes int) ([]item, error) {
	s, err := newScanner(body)
	if err != nil {
		return nil, err
	}
	if s.peek() != '{' {
		return nil, s.notObject("")
	}
	s.i++
	var (
		items  []item
		faults []hook.Fault
		seen   map[string]bool
		first  = true
	)
	for {
		name, more, err := s.member(&first)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if seen[name] {
			return nil, duplicateKey(name)
		}
		if seen == nil {
			seen = make(map[string]bool, 1)
		}
		seen[name] = true
		if name != "data" {
			if len(faults) < maxItemFaults {
				faults = append(faults, unknownField(name, []string{"data"}))
			}
			if _, err := s.skip(1); err != nil {
				return nil, err
			}
			continue
		}
		if s.peek() != '[' {
			faults = append(faults, hook.Fault{Field: "data", Code: "invalid_format", Detail: "data must be a list of events"})
			if _, err := s.skip(1); err != nil {
				return nil, err
			}
			continue
		}
		if items, err = s.events(maxItems, maxItemBytes); err != nil {
			return nil, err
		}
		if len(items) == 0 {
			faults = append(faults, hook.Fault{Field: "data", Code: "too_short", Detail: "data must have at least one event"})
		}
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	if !seen["data"] {
		faults = append(faults, hook.Fault{Field: "data", Code: "required", Detail: "data is required: a list of events"})
	}
	return items, hook.Invalid(faults)
}

// events reads the list of a batch.
func (s *scanner) events(maxItems, maxItemBytes int) ([]item, error) {
	s.i++
	if s.peek() == ']' {
		s.i++
		return nil, nil
	}
	items := make([]item, 0, min(maxItems, 1+(len(s.b)-s.i)/64))
	for n := 0; ; n++ {
		if n == maxItems {
			return nil, hook.Errorf(hook.KindTooManyItems, "a batch has at most %d events", maxItems)
		}
		items = append(items, item{})
		it := &items[n]
		s.space()
		from := s.i
		if err := s.event(it, "data["+strconv.Itoa(n)+"]", 2); err != nil {
			return nil, err
		}
		if it.size = s.i - from; it.size > maxItemBytes {
			it.faults = nil // the size is what counts
		}
		// An event outlives its batch: it must not hold on to all of it.
		it.event.Entity = bytes.Clone(it.event.Entity)
		switch s.peek() {
		case ']':
			s.i++
			return items, nil
		case ',':
			s.i++
		default:
			return nil, s.fail(closing(false))
		}
	}
}

// member goes to the next member of an object and returns its name, or false at the end.
func (s *scanner) member(first *bool) (string, bool, error) {
	switch c := s.peek(); {
	case c == '}':
		s.i++
		return "", false, nil
	case *first:
		*first = false
	case c == ',':
		s.i++
		s.space()
	default:
		return "", false, s.fail(closing(true))
	}
	raw, escaped, err := s.str()
	if err != nil {
		return "", false, err
	}
	var name string
	if escaped {
		name = unescape(raw)
	} else {
		name = known(raw)
	}
	return name, true, s.colon()
}

// known returns the names it knows without a copy.
func known(raw []byte) string {
	switch string(raw) {
	case "id":
		return "id"
	case "type":
		return "type"
	case "entityId":
		return "entityId"
	case "entity":
		return "entity"
	case "entityUrl":
		return "entityUrl"
	case "timestamp":
		return "timestamp"
	case "data":
		return "data"
	}
	return string(raw)
}

func (s *scanner) notObject(field string) error {
	if _, err := s.skip(0); err != nil {
		return err
	}
	return hook.Invalid([]hook.Fault{{Field: field, Code: "invalid_format", Detail: "a JSON object was expected"}})
}

var eventFields = []string{"id", "type", "entityId", "entity", "entityUrl", "timestamp"}

func unknownField(name string, among []string) hook.Fault {
	detail := "there is no such field"
	if near := nearest.Name(name, among); near != "" {
		detail += "; did you mean " + near + "?"
	}
	return hook.Fault{Field: name, Code: "unknown_field", Detail: detail}
}

// event reads one event. It returns an error for what is not JSON or has a key twice,
// and notes everything else in it. at is where it stands in the body.
func (s *scanner) event(it *item, at string, depth int) error {
	if s.peek() != '{' {
		if _, err := s.skip(depth); err != nil {
			return err
		}
		it.fault(at, "", "invalid_format", "an event is a JSON object")
		return nil
	}
	s.i++
	var (
		seen    int
		unknown map[string]bool
		first   = true
	)
	for {
		name, more, err := s.member(&first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		bit := 0
		switch name {
		case "id":
			bit, err = seenID, s.eventID(it, at, depth)
		case "type":
			bit, err = seenType, s.eventType(it, at, depth)
		case "entityId":
			bit, err = seenEntityID, s.entityID(it, at, depth)
		case "entity":
			bit = seenEntity
			it.event.Entity, err = s.skip(depth + 1)
		case "entityUrl":
			bit, err = seenEntityURL, s.entityURL(it, at, depth)
		case "timestamp":
			bit, err = seenTimestamp, s.timestamp(it, at, depth)
		default:
			if unknown[name] {
				return duplicateKey(join(at, name))
			}
			if unknown == nil {
				unknown = make(map[string]bool, 1)
			}
			unknown[name] = true
			if len(it.faults) < maxItemFaults {
				f := unknownField(name, eventFields)
				it.fault(at, name, f.Code, f.Detail)
			}
			_, err = s.skip(depth + 1)
		}
		if err != nil {
			return err
		}
		if seen&bit != 0 {
			return duplicateKey(join(at, name))
		}
		seen |= bit
	}
	if seen&seenType == 0 {
		it.fault(at, "type", "required", "type is required")
	}
	return nil
}

func join(at, name string) string {
	switch {
	case at == "":
		return name
	case name == "":
		return at
	}
	return at + "." + name
}

func (it *item) fault(at, name, code, detail string) {
	it.faults = append(it.faults, hook.Fault{Field: join(at, name), Code: code, Detail: detail})
}

// stringOr reads a string; of another value, null included, it skips over and reports false.
func (s *scanner) stringOr(depth int) (raw []byte, escaped, ok bool, err error) {
	if s.peek() == '"' {
		raw, escaped, err = s.str()
		return raw, escaped, true, err
	}
	_, err = s.skip(depth + 1)
	return nil, false, false, err
}

func (s *scanner) eventID(it *item, at string, depth int) error {
	raw, escaped, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	if escaped {
		raw = []byte(unescape(raw))
	}
	if !ok || !validEventID(raw) {
		it.fault(at, "id", "invalid_format", "id must be a string of 1 to 128 letters, digits, _, : and -")
		return nil
	}
	it.event.ID = string(raw)
	return nil
}

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
	raw, escaped, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	if escaped {
		raw = []byte(unescape(raw))
	}
	if !ok || !validType(raw) {
		it.fault(at, "type", "invalid_format", "type must be a string of at most 128 letters, digits, _, -, : and /, in segments separated by dots, such as order.paid")
		return nil
	}
	it.event.Type = string(raw)
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
	raw, escaped, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	if escaped {
		raw = []byte(unescape(raw))
	}
	switch {
	case !ok:
		it.fault(at, "entityUrl", "invalid_format", "entityUrl must be a string")
	case len(raw) > maxEntityURL:
		it.fault(at, "entityUrl", "too_long", "entityUrl must have at most 2048 characters")
	case !absoluteURL(raw):
		it.fault(at, "entityUrl", "invalid_url", "entityUrl must be an absolute URL in ASCII, such as https://shop.example.com/orders/7")
	default:
		it.event.EntityURL = string(raw)
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
	raw, escaped, ok, err := s.stringOr(depth)
	if err != nil {
		return err
	}
	if ok && !escaped {
		if t, err := time.Parse(time.RFC3339, string(raw)); err == nil {
			it.event.Timestamp = t.UTC().Truncate(time.Millisecond)
			return nil
		}
	}
	it.fault(at, "timestamp", "invalid_format", "timestamp must be a time such as 2026-11-21T02:13:00Z")
	return nil
}
