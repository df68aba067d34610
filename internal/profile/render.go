package profile

import (
	"strconv"
	"time"

	"sallyport/internal/hook"
)

// Field is a header as it goes over the wire. A secret one's value is for the wire only.
type Field struct {
	Name   string
	Value  string
	Secret bool
}

// Rendered is a request ready to send.
type Rendered struct {
	Method string
	// Header is in wire order and spelling: User-Agent first, then by name. Host and
	// Content-Length are the sender's.
	Header []Field
	Body   []byte // nil when the method has none
	// EntityAt is where the event's own entity bytes stand in Body, -1 when they do not.
	EntityAt int
}

// rfc3339Milli is how times that are not numbers go over the wire, in UTC.
const rfc3339Milli = "2006-01-02T15:04:05.000Z"

// render is one rendering under way.
type render struct {
	*Compiled
	e        *hook.Event
	delivery hook.ID
	attempt  int
	at       time.Time
}

// Render renders an event for a delivery's attempt made at a moment. The body and what
// identifies the event are the same for every attempt; the attempt's number, time, and
// signatures that cover the time differ.
func (c *Compiled) Render(e *hook.Event, delivery hook.ID, attempt int, at time.Time) (Rendered, error) {
	if c.err != nil {
		return Rendered{}, c.err
	}
	r := render{Compiled: c, e: e, delivery: delivery, attempt: attempt, at: at}
	out := Rendered{Method: c.method, EntityAt: -1, Header: make([]Field, 0, len(c.plan))}
	if c.hasBody {
		out.Body, out.EntityAt = r.renderBody()
	}
	var values, nexts [2]string // no profile has more than two signatures
	for i, s := range c.signers {
		values[i], nexts[i] = s.Sign(at, e.ID, out.Body)
	}
	for i := range c.plan {
		p := &c.plan[i]
		value := p.value
		switch p.kind {
		case isSource:
			if value = r.header(p.source); value == "" {
				continue
			}
		case isSignature:
			if value = values[p.signer]; value == "" {
				continue
			}
		case isNext:
			if value = nexts[p.signer]; value == "" {
				continue
			}
		}
		out.Header = append(out.Header, Field{Name: p.name, Value: value, Secret: p.secret})
	}
	return out, nil
}

// renderBody returns the body and where the entity's bytes stand in it.
func (r *render) renderBody() ([]byte, int) {
	// 160 covers ids, type and time; what does not fit makes the slice grow.
	body := make([]byte, 0, r.fixed+160+len(r.e.Entity)+len(r.e.EntityURL)+len(r.e.EntityID.Text))
	entityAt := -1
	for i := range r.body {
		s := &r.body[i]
		if s.withEntity && !r.includeEntity {
			continue
		}
		if !r.has(s.value) {
			if s.absent != "" {
				body = append(append(body, s.text...), s.absent...)
			}
			continue
		}
		body = append(body, s.text...)
		switch {
		case r.form:
			body = r.appendForm(body, s.value)
		case s.value == entity && !r.php:
			entityAt = len(body)
			body = append(body, r.e.Entity...)
		default:
			body = r.appendJSON(body, s.value)
		}
	}
	return body, entityAt
}

// has reports whether the event has what a source says.
func (r *render) has(s source) bool {
	switch s {
	case entityID, subject:
		return !r.e.EntityID.IsZero()
	case entity:
		return r.includeEntity && len(r.e.Entity) > 0
	case entityURL:
		return r.e.EntityURL != ""
	case hops:
		return r.e.Hops > 0
	}
	return true
}

// appendJSON appends a source as a JSON value.
func (r *render) appendJSON(dst []byte, s source) []byte {
	quote := appendString
	if r.php {
		quote = appendPHPString
	}
	switch s {
	case none:
		return dst
	case entity:
		return appendPHP(dst, r.e.Entity) // all others copy it where it is placed
	case entityID:
		if !r.e.EntityID.Number {
			return quote(dst, r.e.EntityID.Text)
		}
		return append(dst, r.e.EntityID.Text...)
	case webhookNumber, timestampMillis, timestampUnix, attemptNumber, attemptUnix, hops:
		return r.appendNumber(dst, s)
	default:
		return quote(dst, r.text(s))
	}
}

// appendForm appends a source as a url-encoded value. The entity is its JSON text.
func (r *render) appendForm(dst []byte, s source) []byte {
	switch s {
	case none:
		return dst
	case entity:
		if r.php {
			return appendQuery(dst, appendPHP(make([]byte, 0, len(r.e.Entity)+64), r.e.Entity))
		}
		return appendQuery(dst, r.e.Entity)
	case webhookNumber, timestampMillis, timestampUnix, attemptNumber, attemptUnix, hops:
		return r.appendNumber(dst, s)
	default:
		return appendQuery(dst, r.text(s))
	}
}

// header returns a source as the value of a header, "" when there is none.
func (r *render) header(s source) string {
	if !r.has(s) {
		return ""
	}
	switch s {
	case webhookNumber:
		return r.number
	case timestampMillis, timestampUnix, attemptNumber, attemptUnix, hops:
		var buf [20]byte
		return string(r.appendNumber(buf[:0], s))
	case entityID, eventType:
		return headerText(r.text(s), true)
	case entityURL:
		return headerText(r.text(s), false)
	default:
		return r.text(s)
	}
}

func (r *render) appendNumber(dst []byte, s source) []byte {
	var n int64
	switch s {
	case webhookNumber:
		return append(dst, r.number...)
	case timestampMillis:
		n = r.e.Timestamp.UnixMilli()
	case timestampUnix:
		n = r.e.Timestamp.Unix()
	case attemptUnix:
		n = r.at.Unix()
	case attemptNumber:
		n = int64(r.attempt)
	case hops:
		n = int64(r.e.Hops)
	}
	return strconv.AppendInt(dst, n, 10)
}

func (r *render) text(s source) string {
	switch s {
	case eventID:
		return r.e.ID
	case eventType:
		return r.e.Type
	case webhookID:
		return r.id
	case entityID, subject:
		return r.e.EntityID.Text
	case entityURL:
		return r.e.EntityURL
	case deliveryID:
		return r.delivery.String()
	case origin:
		return r.origin
	case timestampRFC3339:
		return r.e.Timestamp.UTC().Format(rfc3339Milli)
	}
	return ""
}
