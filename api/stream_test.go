package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/api"
	"sallyport/internal/hook"
)

// fakeStreams plays pages, then silence for a while, then an end.
type fakeStreams struct {
	w       *world
	mu      sync.Mutex
	queries []hook.StreamQuery
	pages   []hook.StreamPage
	silence time.Duration
	end     error
	open    int
}

func newFakeStreams(w *world) *fakeStreams {
	e := w.event.Event
	at := hook.Position{Seq: 7, Index: 1, Key: e.Key}
	return &fakeStreams{
		w: w, end: hook.Errorf(hook.KindShuttingDown, "stopping"),
		pages: []hook.StreamPage{{Events: []hook.LoggedEvent{{Event: e, At: at}}, Next: at}},
	}
}

func (f *fakeStreams) Open(_ context.Context, q hook.StreamQuery) (api.Stream, error) {
	if err := f.w.ask(asked{method: "Open"}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, q)
	f.open++
	s := &fakeStream{f: f, pages: f.pages}
	if q.From != nil {
		s.at = *q.From
	}
	return s, nil
}

type fakeStream struct {
	f     *fakeStreams
	pages []hook.StreamPage
	at    hook.Position
}

func (s *fakeStream) At() hook.Position { return s.at }

func (s *fakeStream) Close() {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.open--
}

func (s *fakeStream) Next(ctx context.Context, wait time.Duration, _, _ int) (hook.StreamPage, error) {
	if len(s.pages) > 0 {
		p := s.pages[0]
		s.pages, s.at = s.pages[1:], p.Next
		return p, nil
	}
	s.f.mu.Lock()
	silent := s.f.silence > 0
	s.f.silence -= wait
	s.f.mu.Unlock()
	if !silent {
		return hook.StreamPage{Next: s.at}, s.f.end
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	return hook.StreamPage{Next: s.at}, nil
}

func (f *fakeStreams) query(t *testing.T) hook.StreamQuery {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queries) == 0 {
		t.Fatal("no stream was opened")
	}
	return f.queries[len(f.queries)-1]
}

func TestStreamAsServerSentEvents(t *testing.T) {
	t.Parallel()
	s := setup(t)
	entity := "{\"a\": 1.10,\r\n \"b\":\n\"<\"}"
	for i := range s.streams.pages[0].Events {
		s.streams.pages[0].Events[i].Entity = []byte(entity)
	}
	// Then over events that nobody asked for.
	s.streams.pages = append(s.streams.pages, hook.StreamPage{Next: hook.Position{Seq: 9, Index: 2, Key: s.ids.New()}})
	a := s.do(t, "viewer", "GET", "/v1/stream?eventTypes=order.*&eventTypes=a&webhook=erp-orders&since=2026-11-21T02:10:00Z", "")
	if got := a.Header.Get("Content-Type"); got != "text/event-stream" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", a.Header)
	}
	q := s.streams.query(t)
	if q.Workspace != s.keys["viewer"].Workspace || len(q.EventTypes) != 2 || q.Webhook != "erp-orders" || q.From != nil || !q.Since.Equal(time.Date(2026, 11, 21, 2, 10, 0, 0, time.UTC)) {
		t.Errorf("asked %+v", q)
	}
	messages := strings.Split(a.body, "\n\n")
	if len(messages) != 5 || !strings.HasPrefix(messages[0], "retry: 1000\nid: ") || !strings.HasPrefix(messages[2], "id: ") || strings.Contains(messages[2], "data") ||
		messages[3] != ": this node is stopping\nretry: 1000" || messages[4] != "" {
		t.Fatalf("messages %q", messages)
	}
	var id string
	var data []string
	for line := range strings.SplitSeq(messages[1], "\n") {
		switch name, value, _ := strings.Cut(line, ": "); name {
		case "id":
			id = value
		case "data":
			data = append(data, value)
		case "event":
			if value != "event" {
				t.Errorf("event: %s", value)
			}
		default:
			t.Errorf("line %q", line)
		}
	}
	got := s.do(t, "viewer", "GET", "/v1/events/ord-7-paid", "")
	var event, same map[string]json.RawMessage
	if err := json.Unmarshal([]byte(strings.Join(data, "\n")), &event); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got.body), &same); err != nil {
		t.Fatal(err)
	}
	if string(event["entity"]) != strings.ReplaceAll(entity, "\r\n", "\n") || string(event["id"]) != string(same["id"]) || string(event["acceptedAt"]) != string(same["acceptedAt"]) {
		t.Errorf("event %s", event)
	}

	// On from there, by header, which wins, and by parameter.
	for _, c := range []struct {
		path    string
		headers []string
	}{
		{"/v1/stream?cursor=" + strings.TrimPrefix(messages[2], "id: "), []string{"Last-Event-ID", id}},
		{"/v1/stream?cursor=" + id, nil},
		{"/v1/stream?cursor=" + id + "&eventTypes=other", []string{"Accept", "application/json"}},
	} {
		s.do(t, "viewer", "GET", c.path, "", c.headers...)
		if q := s.streams.query(t); q.From == nil || *q.From != s.streams.pages[0].Next {
			t.Errorf("%s %v: asked %+v", c.path, c.headers, q)
		}
	}
	if s.streams.open != 0 {
		t.Errorf("%d streams are still open", s.streams.open)
	}
}

// deadlines notes what a handler says about the time for writing.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

func TestAStreamThatEndsLeavesNoDeadline(t *testing.T) {
	t.Parallel()
	s := setup(t)
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/stream", nil)
	r.Header.Set("Authorization", "Bearer viewer")
	s.handler.ServeHTTP(w, r)
	if n := len(w.set); n < 2 || w.set[0].IsZero() || !w.set[n-1].IsZero() {
		t.Errorf("the next call on the connection is written by %v", w.set)
	}
}

func TestStreamByPolling(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "viewer", "GET", "/v1/stream?limit=5&wait=25s", "", "Accept", "application/json")
	var page struct {
		Data       []struct{ ID string }
		NextCursor string
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || len(page.Data) != 1 || page.Data[0].ID != s.event.ID || !strings.Contains(a.body, `"entity":`+string(s.event.Entity)) {
		t.Fatalf("%s, %v", a.body, err)
	}
	// Nothing comes for as long as it is waited for.
	s.streams.pages, s.streams.silence = nil, time.Hour
	a = s.do(t, "viewer", "GET", "/v1/stream?wait=50ms&cursor="+page.NextCursor, "", "Accept", "application/json")
	if want := `{"data":[],"nextCursor":"` + page.NextCursor + `"}`; a.body != want {
		t.Errorf("got %s, want %s", a.body, want)
	}
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "viewer", "GET", "/v1/stream", "", "Accept", "application/json")
	var page struct{ NextCursor string }
	if err := json.Unmarshal([]byte(a.body), &page); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		role, path, code, field string
		headers                 []string
	}{
		"no cursor":                       {"viewer", "/v1/stream?cursor=abc", "invalid_cursor", "cursor", nil},
		"a cursor of a list":              {"viewer", "/v1/stream?cursor=AZqfPo0RfwqaLF6bfA0fKnR9oyk", "invalid_cursor", "cursor", nil},
		"another workspace's":             {"platform-admin", "/v1/stream?cursor=" + page.NextCursor, "invalid_cursor", "cursor", []string{"Sallyport-Workspace", "other"}},
		"a Last-Event-ID of another site": {"viewer", "/v1/stream", "invalid_cursor", "cursor", []string{"Last-Event-ID", "7"}},
		"wait for a stream":               {"viewer", "/v1/stream?wait=1s", "invalid_parameter", "wait", nil},
		"limit for a stream":              {"viewer", "/v1/stream?limit=1", "invalid_parameter", "limit", []string{"Accept", "application/json, text/event-stream"}},
		"what is no pattern":              {"viewer", "/v1/stream?eventTypes=a.b&eventTypes=a.*.b", "invalid_parameter", "eventTypes", nil},
		"too long a wait":                 {"viewer", "/v1/stream?wait=2m", "invalid_parameter", "wait", []string{"Accept", "application/json"}},
		"a role that may not":             {"publisher", "/v1/stream", "forbidden", "", nil},
	} {
		if c.role == "platform-admin" {
			p := s.keys[c.role]
			p.Workspace = s.ids.New()
			s.keys[c.role] = p
		}
		a := s.do(t, c.role, "GET", c.path, "", c.headers...)
		if !strings.Contains(a.body, `"code":"`+c.code+`"`) || c.field != "" && !strings.Contains(a.body, `"field":"`+c.field+`"`) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

// What cannot go on says so to who reads it, as a problem.
func TestStreamThatEnds(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.streams.end = hook.Errorf(hook.KindCursorExpired, "the retention has passed")
	a := s.do(t, "viewer", "GET", "/v1/stream", "")
	if !strings.Contains(a.body, "event: problem\ndata: {") || !strings.Contains(a.body, `"code":"cursor_expired"`) || !strings.HasSuffix(a.body, "\n\n") {
		t.Errorf("%q", a.body)
	}
}

// A stream in which nothing happens shows that it lives, and ends when its key does.
func TestStreamLivesAndEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *api.Options) { o.StreamHeartbeat = 20 * time.Millisecond })
	s.streams.silence = time.Hour
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer viewer")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	beats := 0
	for beats < 3 && lines.Scan() {
		if lines.Text() == ": " {
			beats++
		}
	}
	s.mu.Lock()
	s.fail["Authenticate"] = hook.Errorf(hook.KindUnauthorized, "revoked")
	s.mu.Unlock()
	var last string
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if lines.Err() != nil || beats != 3 || !strings.Contains(last, `"code":"unauthorized"`) {
		t.Errorf("%d beats, then %q, %v", beats, last, lines.Err())
	}
}
