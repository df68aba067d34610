package store

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"sallyport/internal/hook"
)

// attemptDetail is what an attempt row keeps beside its columns: small enough not to
// be compressed, read only when somebody looks at one delivery. It is written by
// appending, because one is written per delivery, and read with encoding/json.
type attemptDetail struct {
	Trigger  int16           `json:"t"`
	Node     string          `json:"n"`
	Version  int64           `json:"v"`
	Remote   string          `json:"r"`
	Reused   bool            `json:"u"`
	Error    string          `json:"e"`
	Timings  []int64         `json:"T"` // microseconds: dns, connect, tls, first byte, total
	Action   *detailAction   `json:"w"`
	Request  *detailRequest  `json:"q"`
	Response *detailResponse `json:"p"`
}

type detailAction struct {
	ID   *hook.ID        `json:"i"` // nil: the door's own
	Code string          `json:"c"`
	Type hook.ActionType `json:"y"`
	Step int             `json:"s"`
}

type detailRequest struct {
	Method   string      `json:"m"`
	URL      string      `json:"l"`
	Headers  [][2]string `json:"h"` // a redacted one has a third meaning: see Redacted
	Redacted []int       `json:"x"` // indexes of headers whose value was not kept
	EntityAt int         `json:"a"` // where the entity goes between head and tail; -1 nowhere
	detailBody
}

type detailResponse struct {
	Headers  [][2]string `json:"h"`
	Redacted []int       `json:"x"`
	detailBody
}

type detailBody struct {
	Size      int64  `json:"z"`
	Truncated bool   `json:"c"`
	SHA256    []byte `json:"s"`
}

func appendDetail(b []byte, a *hook.Attempt) []byte {
	b = append(b, `{"t":`...)
	b = strconv.AppendInt(b, int64(triggerCodes.of(a.Trigger)), 10)
	b = append(b, `,"n":`...)
	b = appendString(b, a.Node)
	b = append(b, `,"v":`...)
	b = strconv.AppendInt(b, a.TargetVersion, 10)
	if a.RemoteAddress != "" {
		b = append(b, `,"r":`...)
		b = appendString(b, a.RemoteAddress)
	}
	if a.Reused {
		b = append(b, `,"u":true`...)
	}
	if a.Error != "" {
		b = append(b, `,"e":`...)
		b = appendString(b, a.Error)
	}
	b = append(b, `,"T":[`...)
	for i, d := range [...]time.Duration{a.Timings.DNS, a.Timings.Connect, a.Timings.TLS, a.Timings.FirstByte, a.Timings.Total} {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, d.Microseconds(), 10)
	}
	b = append(b, ']')
	if a.Action != nil {
		b = appendAction(b, a.Action)
	}
	if q := a.Request; q != nil {
		b = append(b, `,"q":{"m":`...)
		b = appendString(b, q.Method)
		b = append(b, `,"l":`...)
		b = appendString(b, q.URL)
		b = appendHeaders(b, q.Headers)
		b = append(b, `,"a":`...)
		b = strconv.AppendInt(b, int64(q.EntityAt), 10)
		b = appendBodyFacts(b, &q.Body)
		b = append(b, '}')
	}
	if p := a.Response; p != nil {
		b = append(b, `,"p":{"z":`...)
		b = strconv.AppendInt(b, p.Body.Size, 10)
		b = appendHeaders(b, p.Headers)
		if p.Body.Truncated || p.Body.SHA256 != nil {
			b = appendCut(b, &p.Body)
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

func appendAction(b []byte, w *hook.RanAction) []byte {
	b = append(b, `,"w":{"c":`...)
	b = appendString(b, w.Code)
	b = append(b, `,"y":`...)
	b = appendString(b, string(w.Type))
	if w.ID != hook.NoID {
		b = append(b, `,"i":`...)
		b = appendString(b, w.ID.String())
	}
	b = append(b, `,"s":`...)
	b = strconv.AppendInt(b, int64(w.Step), 10)
	return append(b, '}')
}

func appendBodyFacts(b []byte, body *hook.Body) []byte {
	b = append(b, `,"z":`...)
	b = strconv.AppendInt(b, body.Size, 10)
	if body.Truncated || body.SHA256 != nil {
		b = appendCut(b, body)
	}
	return b
}

func appendCut(b []byte, body *hook.Body) []byte {
	b = append(b, `,"c":`...)
	b = strconv.AppendBool(b, body.Truncated)
	b = append(b, `,"s":"`...)
	b = base64.StdEncoding.AppendEncode(b, body.SHA256)
	return append(b, '"')
}

func appendHeaders(b []byte, hs []hook.HeaderField) []byte {
	b = append(b, `,"h":[`...)
	redacted := false
	for i, h := range hs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = appendString(b, h.Name)
		b = append(b, ',')
		if h.Redacted {
			redacted = true
			b = append(b, `""`...)
		} else {
			b = appendString(b, h.Value)
		}
		b = append(b, ']')
	}
	b = append(b, ']')
	if redacted {
		b = append(b, `,"x":[`...)
		first := true
		for i, h := range hs {
			if !h.Redacted {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = strconv.AppendInt(b, int64(i), 10)
		}
		b = append(b, ']')
	}
	return b
}

// appendString appends s as a JSON string. Plain ASCII, which nearly everything is,
// is copied; the rest goes through encoding/json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			q, err := json.Marshal(s)
			if err != nil { // cannot be: a string always encodes
				return append(b, `""`...)
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func headersFrom(pairs [][2]string, redacted []int) []hook.HeaderField {
	hs := make([]hook.HeaderField, len(pairs))
	for i, p := range pairs {
		hs[i] = hook.HeaderField{Name: p[0], Value: p[1]}
	}
	for _, i := range redacted {
		if i < len(hs) {
			hs[i].Redacted = true
		}
	}
	return hs
}

// splitBody cuts the request body around the event's own bytes, which the events
// table already has. All of it is head when they are not in it verbatim.
func splitBody(q *hook.SentRequest, entityLen int) (head, tail []byte) {
	if q == nil {
		return nil, nil
	}
	if q.EntityAt < 0 || q.EntityAt+entityLen > len(q.Body.Bytes) {
		return q.Body.Bytes, nil
	}
	return q.Body.Bytes[:q.EntityAt], q.Body.Bytes[q.EntityAt+entityLen:]
}

// attemptFrom rebuilds an attempt's evidence from its row. entity is the event's.
func attemptFrom(a hook.Attempt, detail, head, tail, respBody, entity []byte) (hook.Attempt, error) {
	var d attemptDetail
	if err := json.Unmarshal(detail, &d); err != nil {
		return a, err
	}
	a.Trigger = triggerCodes.from(d.Trigger)
	a.Node, a.TargetVersion, a.RemoteAddress, a.Reused, a.Error = d.Node, d.Version, d.Remote, d.Reused, d.Error
	if len(d.Timings) == 5 {
		us := func(i int) time.Duration { return time.Duration(d.Timings[i]) * time.Microsecond }
		a.Timings = hook.Timings{DNS: us(0), Connect: us(1), TLS: us(2), FirstByte: us(3), Total: us(4)}
	}
	if w := d.Action; w != nil {
		a.Action = &hook.RanAction{Code: w.Code, Type: w.Type, Step: w.Step}
		if w.ID != nil {
			a.Action.ID = *w.ID
		}
	}
	if q := d.Request; q != nil {
		body := head
		if q.EntityAt >= 0 {
			body = make([]byte, 0, len(head)+len(entity)+len(tail))
			body = append(append(append(body, head...), entity...), tail...)
		}
		a.Request = &hook.SentRequest{
			Method: q.Method, URL: q.URL, Headers: headersFrom(q.Headers, q.Redacted), EntityAt: q.EntityAt,
			Body: hook.Body{Bytes: body, Size: q.Size, Truncated: q.Truncated, SHA256: q.SHA256},
		}
	}
	if p := d.Response; p != nil {
		a.Response = &hook.ReceivedResponse{
			Status: 0, Headers: headersFrom(p.Headers, p.Redacted),
			Body: hook.Body{Bytes: respBody, Size: p.Size, Truncated: p.Truncated, SHA256: p.SHA256},
		}
	}
	return a, nil
}
