package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/api"
	"sallyport/internal/hook"
)

func TestPublishAnswersAReceipt(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var got []hook.NewEvent
	s.publish = func(events []hook.NewEvent) ([]hook.Receipt, error) {
		got = events
		return []hook.Receipt{{ID: events[0].ID, Type: events[0].Type, AcceptedAt: s.event.AcceptedAt(), Matched: 3, Duplicate: events[0].ID == "again"}}, nil
	}
	a := s.do(t, "publisher", "POST", "/v1/events", `{"id":"ord-7-paid","type":"order.paid","entityId":7,"entity":{ "total" : 12 }}`)
	want := fmt.Sprintf(`{"id":"ord-7-paid","type":"order.paid","acceptedAt":%q,"matched":3,"duplicate":false}`, s.event.AcceptedAt().Format("2006-01-02T15:04:05.000Z"))
	if a.StatusCode != http.StatusAccepted || a.body != want || a.Header.Get("Location") != "/v1/events/ord-7-paid" || a.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%d %s %v\nwant %s", a.StatusCode, a.body, a.Header, want)
	}
	if string(got[0].Entity) != `{ "total" : 12 }` {
		t.Errorf("the entity became %s", got[0].Entity)
	}

	a = s.do(t, "publisher", "POST", "/v1/events", `{"type":"order.paid"}`, "Idempotency-Key", "again")
	if a.StatusCode != http.StatusAccepted || got[0].ID != "again" || a.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %v, published as %q", a.StatusCode, a.Header, got[0].ID)
	}
	a = s.do(t, "publisher", "POST", "/v1/events", `{"type":"order.paid","id":"again"}`, "Idempotency-Key", "again", "Content-Type", "")
	if a.StatusCode != http.StatusAccepted {
		t.Errorf("the same twice, no content type: %d %s", a.StatusCode, a.body)
	}
}

func TestPublishTakesBodiesOfUnknownLength(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *api.Options) { o.MaxEventBytes = 100 })
	for n, want := range map[int]int{50: 202, 100: 202, 101: 413} {
		body := `{"type":"a","entity":"` + strings.Repeat("x", n-24) + `"}`
		for _, chunked := range []bool{false, true} {
			r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/events", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if chunked {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1
			}
			r.Header.Set("Authorization", "Bearer publisher")
			res, err := s.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%d bytes, chunked %v: %d, want %d", n, chunked, res.StatusCode, want)
			}
		}
	}
}

type batchAnswer struct {
	Accepted, Duplicates, Rejected int
	Data                           []struct {
		Index   int
		Status  string
		Receipt struct{ ID string }
		Problem struct {
			Code   string
			Field  string
			Errors []struct{ Pointer, Code string }
		}
	}
	Code   string
	Errors []struct{ Pointer, Code string }
}

func (s *site) batch(t *testing.T, body string, headers ...string) (answer, batchAnswer) {
	t.Helper()
	a := s.do(t, "publisher", "POST", "/v1/events/batch", body, headers...)
	var b batchAnswer
	if err := json.Unmarshal([]byte(a.body), &b); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return a, b
}

func TestBatchJudgesItemByItem(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *api.Options) { o.MaxEventBytes = 200 })
	s.publish = func(events []hook.NewEvent) ([]hook.Receipt, error) {
		var out []hook.Receipt
		for _, e := range events {
			r := hook.Receipt{ID: e.ID, Type: e.Type, AcceptedAt: s.event.AcceptedAt(), Duplicate: e.ID == "known"}
			if e.ID == "reused" {
				r = hook.Receipt{Problem: hook.Errorf(hook.KindEventIDReused, "x")}
			}
			out = append(out, r)
		}
		return out, nil
	}
	a, b := s.batch(t, `{"data":[{"type":"a"},{"type":"a b"},{"id":"known","type":"a"},{"id":"reused","type":"a"},{"type":"a","entity":"`+strings.Repeat("x", 200)+`"},{"type":"a"}]}`, "Idempotency-Key", "imp")
	var got []string
	for _, d := range b.Data {
		got = append(got, fmt.Sprint(d.Index, " ", d.Status, " ", d.Receipt.ID, d.Problem.Code, d.Problem.Errors))
	}
	want := []string{"0 accepted imp-0[]", "1 rejected validation_failed[{/data/1/type invalid_format}]", "2 duplicate known[]", "3 rejected event_id_reused[]", "4 rejected payload_too_large[]", "5 accepted imp-5[]"}
	if a.StatusCode != http.StatusAccepted || fmt.Sprint(got) != fmt.Sprint(want) || b.Accepted != 2 || b.Duplicates != 1 || b.Rejected != 3 {
		t.Errorf("%d\ngot  %q\nwant %q", a.StatusCode, got, want)
	}

	a, _ = s.batch(t, `{"data":[{"id":"known","type":"a"}]}`)
	if a.StatusCode != http.StatusAccepted || a.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("only known ones: %d %v", a.StatusCode, a.Header)
	}
	a, b = s.batch(t, `{"data":[{"id":"reused","type":"a"},{"typ":"a"}]}`)
	if a.StatusCode != http.StatusUnprocessableEntity || b.Code != "validation_failed" || fmt.Sprint(b.Errors) != "[{/data/0 event_id_reused} {/data/1/typ unknown_field} {/data/1/type required}]" {
		t.Errorf("none accepted: %d %s", a.StatusCode, a.body)
	}

	s.publish = func(events []hook.NewEvent) ([]hook.Receipt, error) {
		return []hook.Receipt{{Problem: hook.Errorf(hook.KindQueueFull, "x")}}, nil
	}
	if a, b = s.batch(t, `{"data":[{"type":"a b"},{"type":"a"}]}`); a.StatusCode != http.StatusServiceUnavailable || b.Code != "queue_full" {
		t.Errorf("the store was the reason: %d %s", a.StatusCode, a.body)
	}
	if a := s.do(t, "publisher", "POST", "/v1/events/batch", `{"data":[{"type":"a"}]}`, "Idempotency-Key", strings.Repeat("x", 127)); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a key too long for ids: %d", a.StatusCode)
	}
}

func TestRepeatedHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, path := range []string{"/v1/events", "/v1/events/batch", "/v1/webhooks"} {
		for _, name := range []string{"Idempotency-Key", "Sallyport-Workspace"} {
			a := s.do(t, "platform-admin", "POST", path, `{"type":"a"}`, name, "one", name, "two")
			if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, `"code":"invalid_parameter"`) || !strings.Contains(a.body, `"field":"`+name+`"`) ||
				!strings.Contains(a.body, name+" is there twice") {
				t.Errorf("%s with two %s: %d %s", path, name, a.StatusCode, a.body)
			}
		}
	}
}

// A body full of mistakes must not buy work that grows faster than the body.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *api.Options) { o.MaxBodyBytes = 4 << 20 })
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"field%d":1,`, i)
		}
		return b.String()
	}
	for path, body := range map[string]string{
		"/v1/events":                   "{" + many(60_000) + `"type":"a"}`,
		"/v1/events/batch":             `{"data":[{` + many(60_000) + `"type":"a"}]}`,
		"/v1/webhooks/erp-orders/test": "{" + many(60_000) + `"eventType":"a"}`,
	} {
		a := s.do(t, "admin", "POST", path, body)
		if a.StatusCode != http.StatusUnprocessableEntity && a.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
		var p struct{ Errors []json.RawMessage }
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || len(p.Errors) > 101 {
			t.Errorf("%s: %d faults, %v", path, len(p.Errors), err)
		}
	}
}

// discard is an answer that costs nothing to write.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// quickGate and quickPublisher cost nothing, so that the benchmark shows the edge.
type quickGate struct{ p hook.Principal }

func (g quickGate) Authenticate(context.Context, string, string) (hook.Principal, error) {
	return g.p, nil
}

type quickPublisher struct{ at time.Time }

func (q quickPublisher) Publish(_ context.Context, _ hook.Principal, _ hook.ID, events []hook.NewEvent) ([]hook.Receipt, error) {
	return []hook.Receipt{{ID: events[0].ID, Type: events[0].Type, AcceptedAt: q.at, Matched: 1}}, nil
}

func BenchmarkPublish(b *testing.B) {
	w := newWorld()
	s, err := api.New(api.Options{BaseURL: "https://hooks.example.com"}, api.Services{Gate: quickGate{w.keys["publisher"]}, Publisher: quickPublisher{w.event.AcceptedAt()}})
	if err != nil {
		b.Fatal(err)
	}
	h := s.Handler()
	body := `{"id":"ord-7-paid","type":"order.paid","entityId":7,"entity":{"text":"` + strings.Repeat("x", 940) + `"}}`
	r := httptest.NewRequestWithContext(b.Context(), "POST", "/v1/events", nil)
	r.Header.Set("Authorization", "Bearer publisher")
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(body))
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(body))
		h.ServeHTTP(discard{http.Header{}}, r)
	}
}

// quickDoors read the body and let it in.
type quickDoors struct{ api.Doors }

func (quickDoors) Serve(ctx context.Context, c *hook.DoorCall) hook.DoorAnswer {
	if _, err := c.Body.Read(ctx, 1<<20, time.Minute); err != nil {
		return hook.DoorAnswer{Problem: err}
	}
	return hook.DoorAnswer{Status: http.StatusAccepted, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte("{}\n")}
}

func BenchmarkDoor(b *testing.B) {
	s, err := api.New(api.Options{BaseURL: "https://hooks.example.com"}, api.Services{Doors: quickDoors{}})
	if err != nil {
		b.Fatal(err)
	}
	h := s.Handler()
	body := `{"text":"` + strings.Repeat("x", 1000) + `"}`
	r := httptest.NewRequestWithContext(b.Context(), "POST", "/in/erp-stock?hash=42258c7070df515e22fb9912cfae6a80", nil)
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(body))
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(body))
		h.ServeHTTP(discard{http.Header{}}, r)
	}
}
