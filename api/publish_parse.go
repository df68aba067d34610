package api

import (
	"bytes"
	"strconv"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
)

// Publishing is hot: the generic validator costs ten times what all the rest does.
// So its two bodies are checked here by hand, in one pass over the bytes, and a test
// holds these checks against the contract's schemas.

// maxItemFaults bounds what is said about fields that do not exist: a body can have a
// hundred thousand of them, and each is compared with the known ones.
const maxItemFaults = 20

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
		return nil, s.notBatch()
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

func (s *scanner) notBatch() error {
	if _, err := s.skip(0); err != nil {
		return err
	}
	return hook.Invalid([]hook.Fault{{Code: "invalid_format", Detail: `a batch is a JSON object with a list of events, {"data": […]}`}})
}

var eventFields = []string{"id", "type", "entityId", "entity", "entityUrl", "timestamp"}

func unknownField(name string, among []string) hook.Fault {
	detail := "there is no such field"
	if near := nearest.Name(name, among); near != "" {
		detail += "; did you mean " + near + "?"
	} else {
		detail += "; there is " + strings.Join(among, ", ")
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
		detail := "an event is a JSON object"
		if at == "" {
			detail += `; several go to /v1/events/batch as {"data": […]}`
		}
		it.fault(at, "", "invalid_format", detail)
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
