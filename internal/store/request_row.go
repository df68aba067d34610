package store

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// requestDetail is what a row of requests keeps beside its columns. Like that of attempts
// it is written by appending, because one is written for each call of a door.
type requestDetail struct {
	Method   string         `json:"m"`
	Path     rawText        `json:"l"`
	Query    rawText        `json:"q"`
	Headers  [][2]rawText   `json:"h"`
	Redacted []int          `json:"x"` // indexes of headers whose value was not kept
	Checks   [][3]string    `json:"k"` // name, result, detail
	Client   string         `json:"a"`
	Peer     string         `json:"p"`
	Forward  string         `json:"f"`
	Offset   *time.Duration `json:"o"` // nanoseconds
	Hops     int            `json:"n"`
	detailBody
}

// rawText is text of a caller's, who may send bytes that are no UTF-8: those lie as a list
// of one string in base64, so that a later verdict sees what the first one saw.
type rawText string

// UnmarshalJSON reads what appendRaw wrote.
func (t *rawText) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		var raw [1][]byte
		err := json.Unmarshal(b, &raw)
		*t = rawText(raw[0])
		return err
	}
	return json.Unmarshal(b, (*string)(t))
}

func appendRaw(b []byte, s string) []byte {
	if utf8.ValidString(s) {
		return appendString(b, s)
	}
	b = append(b, `["`...)
	b = base64.StdEncoding.AppendEncode(b, []byte(s))
	return append(b, `"]`...)
}

// requestColumns are the columns detail and sealed of a request; sealed is nil if it had
// no credentials.
func (s *Store) requestColumns(r *hook.Request) (detail, sealed []byte, err error) {
	detail = appendRequestDetail(make([]byte, 0, 512), r)
	if len(r.Hidden) == 0 {
		return detail, nil, nil
	}
	sealed, err = s.seal(appendHidden(make([]byte, 0, 256), r.Hidden), r.Workspace, "requests", r.ID.String(), "hidden")
	return detail, sealed, err
}

func appendRequestDetail(b []byte, r *hook.Request) []byte {
	b = append(b, `{"m":`...)
	b = appendString(b, r.Method)
	b = append(b, `,"l":`...)
	b = appendRaw(b, r.Path)
	if r.RawQuery != "" {
		b = append(b, `,"q":`...)
		b = appendRaw(b, r.RawQuery)
	}
	b = append(b, `,"a":`...)
	b = appendString(b, r.ClientAddress)
	b = append(b, `,"p":`...)
	b = appendString(b, r.PeerAddress)
	if r.ForwardedBy != "" {
		b = append(b, `,"f":`...)
		b = appendString(b, r.ForwardedBy)
	}
	if r.ClockOffset != nil {
		b = append(b, `,"o":`...)
		b = strconv.AppendInt(b, int64(*r.ClockOffset), 10)
	}
	if r.Hops != 0 {
		b = append(b, `,"n":`...)
		b = strconv.AppendInt(b, int64(r.Hops), 10)
	}
	b = appendReceivedHeaders(b, r.Headers)
	b = append(b, `,"k":[`...)
	for i, c := range r.Checks {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = appendString(b, c.Name)
		b = append(b, ',')
		b = appendString(b, c.Result)
		b = append(b, ',')
		b = appendString(b, c.Detail)
		b = append(b, ']')
	}
	b = append(b, ']')
	return append(appendBodyFacts(b, &r.Body), '}')
}

func appendReceivedHeaders(b []byte, hs []hook.HeaderField) []byte {
	redacted := make([]byte, 0, 16)
	b = append(b, `,"h":[`...)
	for i, h := range hs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = appendRaw(b, h.Name)
		b = append(b, ',')
		if h.Redacted {
			redacted = strconv.AppendInt(append(redacted, ','), int64(i), 10)
			b = append(b, `""`...)
		} else {
			b = appendRaw(b, h.Value)
		}
		b = append(b, ']')
	}
	b = append(b, ']')
	if len(redacted) > 0 {
		b = append(b, `,"x":[`...)
		b = append(b, redacted[1:]...)
		b = append(b, ']')
	}
	return b
}

// readDetail fills in what the column detail says of a request. Of the body that is its
// size, whether it was cut, and its hash: the bytes have a column of their own.
func readDetail(r *hook.Request, detail []byte) error {
	var d requestDetail
	if err := json.Unmarshal(detail, &d); err != nil {
		return fmt.Errorf("request %s: detail: %w", r.ID, err)
	}
	r.Method, r.Path, r.RawQuery, r.Hops, r.ClockOffset = d.Method, string(d.Path), string(d.Query), d.Hops, d.Offset
	r.ClientAddress, r.PeerAddress, r.ForwardedBy = d.Client, d.Peer, d.Forward
	r.Body.Size, r.Body.Truncated, r.Body.SHA256 = d.Size, d.Truncated, d.SHA256
	for _, h := range d.Headers {
		r.Headers = append(r.Headers, hook.HeaderField{Name: string(h[0]), Value: string(h[1])})
	}
	for _, i := range d.Redacted {
		if i < len(r.Headers) {
			r.Headers[i].Redacted = true
		}
	}
	for _, c := range d.Checks {
		r.Checks = append(r.Checks, hook.Check{Name: c[0], Result: c[1], Detail: c[2]})
	}
	return nil
}

func appendHidden(b []byte, hidden []hook.HiddenValue) []byte {
	b = append(b, '[')
	for i, h := range hidden {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = appendString(b, h.In)
		b = append(b, ',')
		b = appendRaw(b, h.Name)
		b = append(b, ',')
		b = appendRaw(b, string(h.Value))
		b = append(b, ']')
	}
	return append(b, ']')
}

// openHidden puts the credentials of a request back.
func (s *Store) openHidden(r *hook.Request, sealed []byte) error {
	if sealed == nil {
		return nil
	}
	plain, err := s.unseal(sealed, r.Workspace, "requests", r.ID.String(), "hidden")
	if err != nil {
		return err
	}
	var rows [][3]rawText
	if err := json.Unmarshal(plain, &rows); err != nil {
		return fmt.Errorf("request %s: credentials: %w", r.ID, err)
	}
	for _, h := range rows {
		r.Hidden = append(r.Hidden, hook.HiddenValue{In: string(h[0]), Name: string(h[1]), Value: hook.Sensitive(h[2])})
	}
	return nil
}

// requestBody is what the row keeps of a body: nothing if it is, byte for byte, the entity
// of the request's first event, which is stored with it.
func requestBody(r *hook.Request, first *hook.Event) (body []byte, inEvent bool) {
	if len(r.Body.Bytes) == 0 {
		return nil, false
	}
	if first != nil && first.Key == hook.RequestEventKey(r.ID, 0) && bytes.Equal(first.Entity, r.Body.Bytes) {
		return nil, true
	}
	return r.Body.Bytes, false
}

// maxCode is how much of a code is kept in its column: one that is no door's may be
// anything. The path has all of it.
const maxCode = 200

// requestCode makes the code as it was called fit to be stored as text.
func requestCode(code string) string {
	if len(code) > maxCode {
		code = code[:maxCode]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(code, "\uFFFD"), "\x00", "\uFFFD")
}
