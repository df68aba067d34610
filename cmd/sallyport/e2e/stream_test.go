package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var _ = suite("stream", map[string]func(*world){
	"what is published comes at once, as it is shown": func(w *world) {
		before := w.publish(doc{"type": "too.early"})
		f := w.viewer.follow(nil, "")
		w.publisher.post("/v1/events", `{"id":"first","type":"order.paid","entityId":12345678901234567890,"entity":{"n": 1.10,"n":"<"},"entityUrl":"https://a.example/1"}`).want(http.StatusAccepted)
		id, m := f.event()
		if id != "first" || id == before {
			w.t.Fatalf("the first is %s", m.data)
		}
		shown := w.viewer.get("/v1/events/first").want(http.StatusOK)
		if got := strings.Replace(string(shown.body), `"deliveries":{},`, "", 1); got != m.data {
			w.t.Errorf("the stream has\n%s\nthe event is\n%s", m.data, got)
		}
		// Polling has the same, and goes on from the same place.
		if next := w.viewer.poll("", nil); next.text("nextCursor") != f.last || !strings.Contains(string(next.body), m.data) {
			w.t.Errorf("polled %s\nwant %s at %s", next.body, m.data, f.last)
		}
	},
	"all of 2,000 come once each, however often the line is cut": func(w *world) {
		const total, writers = 2000, 4
		start := w.viewer.follow(nil, "")
		start.close()
		var publishing sync.WaitGroup
		for n := range writers {
			publishing.Go(func() {
				c := w.publisher.in(w.t)
				for at := 0; at < total/writers; {
					if batch := 1 + rand.IntN(40); batch > 1 { //nolint:gosec // chance, not secrets
						var items []doc
						for ; batch > 0 && at < total/writers; batch, at = batch-1, at+1 {
							items = append(items, doc{"id": fmt.Sprintf("e-%d-%d", n, at), "type": "a.b", "entity": doc{"n": at}})
						}
						c.post("/v1/events/batch", doc{"data": items}).want(http.StatusAccepted)
						continue
					}
					c.post("/v1/events", doc{"id": fmt.Sprintf("e-%d-%d", n, at), "type": "a.b"}).want(http.StatusAccepted)
					at++
				}
			})
		}
		var got []string
		cursor := start.last
		for len(got) < total {
			f := w.viewer.follow(nil, cursor)
			for range rand.IntN(300) { //nolint:gosec // as above
				if len(got) == total {
					break
				}
				id, m := f.event()
				got, cursor = append(got, id), m.id
			}
			f.close()
		}
		publishing.Wait()
		polled, _ := w.viewer.polled(start.last, nil)
		if !slices.Equal(got, polled) {
			w.t.Errorf("the stream and polling have %d and %d events, in another order", len(got), len(polled))
		}
		slices.Sort(got)
		if got = slices.Compact(got); len(got) != total {
			w.t.Errorf("%d different events came, want %d", len(got), total)
		}
		if rest, _ := w.viewer.polled(cursor, nil); len(rest) != 0 {
			w.t.Errorf("behind the last came %d more", len(rest))
		}
	},
	"what doors and actions make of calls": func(w *world) {
		const rows = 1200 // more than are stored before the answer
		w.action("again", "publishEvent", doc{"type": "made.again", "entity": "{{ item|json_encode|raw }}"})
		w.door("csv", doc{"parser": doc{"type": "csv"}, "routes": []doc{{"action": "again", "condition": "item.n ends with '00'"}}})
		f := w.viewer.follow(nil, "")
		body := "n\n"
		for n := range rows {
			body += fmt.Sprintf("%d\n", n)
		}
		w.nobody.post(w.in("csv"), body, "Content-Type", "text/csv").want(http.StatusAccepted).has("events", "1200")
		seen, made := map[string]bool{}, 0
		for len(seen) < rows+rows/100-1 {
			id, m := f.event()
			if seen[id] {
				w.t.Fatalf("%s came twice", m.data)
			}
			if seen[id] = true; strings.Contains(m.data, `"type":"made.again"`) {
				made++
			}
		}
		if made != rows/100-1 { // 100, 200, ...; 0 does not end so
			w.t.Errorf("%d came of the action, want %d", made, rows/100-1)
		}
	},
	"filters": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "picky", "eventTypes": []string{"order.*"}, "filter": "event.entity.total > 100", "enabled": false})
		f := w.viewer.follow(url.Values{"webhook": {"PICKY"}}, "")
		for n, event := range []doc{
			{"type": "order.paid", "entity": doc{"total": 7}}, {"type": "order.paid", "entity": doc{"total": 700}},
			{"type": "stock.moved", "entity": doc{"total": 700}}, {"type": "order.sent", "entity": doc{"total": 701}},
		} {
			w.publish(event.with(doc{"id": fmt.Sprint("f-", n)}))
		}
		for _, want := range []string{"f-1", "f-3"} {
			if id, m := f.event(); id != want {
				w.t.Fatalf("%s came, want %s", m.data, want)
			}
		}
		for query, want := range map[string][]string{
			"webhook=picky": {"f-1", "f-3"}, "eventTypes=stock.*&eventTypes=order.sent": {"f-2", "f-3"}, "eventTypes=*": {"f-0", "f-1", "f-2", "f-3"},
			"webhook=picky&eventTypes=order.paid": {"f-1"}, "eventTypes=none": nil, "limit=1": {"f-0", "f-1", "f-2", "f-3"},
		} {
			q, err := url.ParseQuery(query)
			if err != nil {
				w.t.Fatal(err)
			}
			if got, _ := w.viewer.polled("", q); !slices.Equal(got, want) {
				w.t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
		// The cursor has moved over what was not wanted.
		if got, _ := w.viewer.polled(f.last, nil); len(got) != 0 {
			w.t.Errorf("behind f-3 are %q", got)
		}
		w.viewer.get("/v1/stream?webhook=none").problem(http.StatusNotFound, "not_found")
		// One that is gone ends the stream, which says so.
		w.admin.delete("/v1/webhooks/picky").want(http.StatusNoContent)
		w.publish(doc{"type": "order.paid", "entity": doc{"total": 800}})
		f.ends("not_found")
	},
	"a poll waits for what comes": func(w *world) {
		cursor := w.viewer.poll("", nil).text("nextCursor")
		done := make(chan *answer, 1)
		go func() { done <- w.viewer.in(w.t).poll(cursor, url.Values{"wait": {"50s"}}) }()
		id := w.publish(doc{"type": "a.b"})
		if a := <-done; a.text("data.0.id") != id {
			w.t.Errorf("the poll got %s", a.body)
		}
	},
	"cursors": func(w *world) {
		w.publish(doc{"type": "a.b"})
		cursor := w.viewer.poll("", nil).text("nextCursor")
		other := newWorld(w.t, w.server)
		other.viewer.get("/v1/stream?cursor="+cursor).problem(http.StatusBadRequest, "invalid_cursor").says("workspace").has("field", "cursor")
		w.viewer.get("/v1/stream?cursor="+cursor[1:]).problem(http.StatusBadRequest, "invalid_cursor")
		w.viewer.get("/v1/events?cursor="+cursor).problem(http.StatusBadRequest, "invalid_cursor")
		w.viewer.get("/v1/stream", "Last-Event-ID", "7").problem(http.StatusBadRequest, "invalid_cursor")
		w.viewer.get("/v1/stream?evenTypes=a").problem(http.StatusBadRequest, "unknown_parameter").says("eventTypes")
		if ids, _ := other.viewer.polled("", nil); len(ids) != 0 {
			w.t.Errorf("another workspace sees %q", ids)
		}
	},
	"a key that is revoked ends its streams": func(w *world) {
		k := w.as("viewer")
		f := k.follow(nil, "")
		w.admin.delete("/v1/api-keys/" + k.id).want(http.StatusNoContent)
		f.ends("unauthorized")
	},
	"nothing passes a transaction that is open": func(w *world) {
		if w.database == "" {
			w.t.Skip("SQLite has one writer")
		}
		ctx := w.t.Context()
		db, err := pgx.Connect(ctx, w.database)
		if err != nil {
			w.t.Fatal(err)
		}
		defer db.Close(context.Background())
		f := w.viewer.follow(nil, "")
		cursor := f.last
		// As a node that is older than the log would store it.
		tx, err := db.Begin(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO events (workspace_id, key, type, occurred_at, source_kind, matched)
			SELECT id, '019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e', 'slow.one', 0, 0, 0 FROM workspaces WHERE code = $1`, w.workspace); err != nil {
			w.t.Fatal(err)
		}
		w.publish(doc{"id": "quick", "type": "a.b"})
		// A poll that waits sees nothing of it either.
		if a := w.viewer.poll(cursor, url.Values{"wait": {"300ms"}}); len(a.list("id")) != 0 {
			w.t.Errorf("%s came although an earlier place is open", a.body)
		}
		if err := tx.Commit(ctx); err != nil {
			w.t.Fatal(err)
		}
		for _, want := range []string{"019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e", "quick"} {
			if id, m := f.event(); id != want {
				w.t.Errorf("%s came, want %s", m.data, want)
			}
		}
	},
})

// ends waits until the stream ends with a problem.
func (f *following) ends(code string) {
	f.t.Helper()
	var last message
	for m, ok := f.next(); ok; m, ok = f.next() {
		last = m
	}
	if last.event != "problem" || !strings.Contains(last.data, `"code":"`+code+`"`) {
		f.t.Errorf("the stream ended with %+v, want %s", last, code)
	}
}

// testStreamRestart: a stop ends streams at once; a cursor goes on at the next process, and is
// refused when retention has passed over it.
func testStreamRestart(t *testing.T, s *server) {
	s.launch("SALLYPORT_SHUTDOWN_GRACE=1h")
	s.awaitReady()
	c := &caller{t: t, s: s, key: s.adminKey}
	f := c.follow(nil, "")
	beginning := f.last
	c.post("/v1/events", doc{"id": "one", "type": "a.b"}).want(http.StatusAccepted)
	if id, _ := f.event(); id != "one" {
		t.Fatalf("%s came", id)
	}
	s.stop()
	if m, ok := f.next(); ok && m.event != "" {
		t.Errorf("the stream ended with %+v", m)
	}
	again := s.again("SALLYPORT_MAX_STREAMS=1")
	c.s = again
	c.post("/v1/events", doc{"id": "two", "type": "a.b"}).want(http.StatusAccepted)
	f = c.follow(nil, f.last)
	if id, _ := f.event(); id != "two" {
		t.Errorf("after the restart came %s", id)
	}
	c.get("/v1/stream").problem(http.StatusServiceUnavailable, "unavailable").says("SALLYPORT_MAX_STREAMS")
	f.close()
	again.stop()
	time.Sleep(1100 * time.Millisecond) // what was stored is older than the retention below
	c.s = s.again("SALLYPORT_RETENTION=1s")
	c.post("/v1/events", doc{"id": "three", "type": "a.b"}).want(http.StatusAccepted)
	eventually(t, "retention to pass over the cursor", func() bool {
		return c.get("/v1/stream?cursor="+beginning, "Accept", "application/json").status == http.StatusGone
	})
	c.get("/v1/stream?cursor="+beginning, "Accept", "application/json").problem(http.StatusGone, "cursor_expired").says("since=")
}
