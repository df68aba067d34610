package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// message is one server-sent event.
type message struct {
	id, event, data string
}

// following is an open stream.
type following struct {
	t      *testing.T
	cancel context.CancelFunc
	body   io.ReadCloser
	lines  *bufio.Reader
	last   string // id
}

// follow opens a stream, behind a cursor unless that is "".
func (c *caller) follow(query url.Values, cursor string) *following {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.s.url+"/v1/stream?"+query.Encode(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if cursor != "" {
		req.Header.Set("Last-Event-ID", cursor)
	}
	res, err := http.DefaultTransport.RoundTrip(req) //nolint:bodyclose // close does; not held against the contract, which would read to the end
	if err != nil {
		c.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		c.t.Fatalf("the stream answers %s: %s", res.Status, body)
	}
	f := &following{t: c.t, cancel: cancel, body: res.Body, lines: bufio.NewReader(res.Body), last: cursor}
	c.t.Cleanup(f.close)
	if first, ok := f.next(); !ok || first.id == "" || first.event != "" { // where it begins
		c.t.Fatalf("the first message is %+v", first)
	}
	return f
}

func (f *following) close() {
	f.cancel()
	f.body.Close()
}

// next is the next message that is more than a comment; false at the end of the stream.
func (f *following) next() (m message, ok bool) {
	f.t.Helper()
	watch := time.AfterFunc(patience, f.cancel)
	defer watch.Stop()
	var data []string
	for {
		line, err := f.lines.ReadString('\n')
		if err != nil {
			return m, false
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && (m != message{} || data != nil):
			m.data = strings.Join(data, "\n")
			return m, true
		case name == "id":
			m.id, f.last = value, value
		case name == "event":
			m.event = value
		case name == "data":
			data = append(data, value)
		}
	}
}

// event is the next event; what only moves the cursor is passed over.
func (f *following) event() (id string, m message) {
	f.t.Helper()
	for {
		m, ok := f.next()
		if !ok {
			f.t.Fatal("the stream ended, or nothing came for long")
		}
		if m.event == "" {
			continue
		}
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(m.data), &e); m.event != "event" || err != nil || e.ID == "" {
			f.t.Fatalf("%+v is no event: %v", m, err)
		}
		return e.ID, m
	}
}

// poll asks for what is behind a cursor, from the beginning of time for "".
func (c *caller) poll(cursor string, query url.Values) *answer {
	c.t.Helper()
	q := url.Values{"since": {"2020-01-01T00:00:00Z"}}
	for name, values := range query {
		q[name] = values
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return c.get("/v1/stream?"+q.Encode(), "Accept", "application/json").want(http.StatusOK)
}

// polled are the ids of all events there are behind a cursor.
func (c *caller) polled(cursor string, query url.Values) (ids []string, next string) {
	c.t.Helper()
	for next = cursor; ; {
		a := c.poll(next, query)
		page := a.list("id")
		if next = a.text("nextCursor"); len(page) == 0 {
			return ids, next
		}
		ids = append(ids, page...)
	}
}
