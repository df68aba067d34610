package faulttest

import (
	"cmp"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// arrival is one request at a receiver.
type arrival struct {
	event string
	at    time.Time
}

// answer is what a receiver does with a request; the zero value is 200 at once.
type answer struct {
	status int
	header http.Header
	delay  time.Duration
	hang   <-chan struct{} // waits until it is closed, or the sender leaves
}

// receiver counts what arrives. It is lighter than testkit's, which keeps whole
// requests: some tests here send tens of thousands.
type receiver struct {
	t   testing.TB
	url string

	mu       sync.Mutex
	arrivals []arrival
	of       map[string]int // requests by event id
	open     int            // requests being answered
	peak     int            // most of them at once
	answers  func(q *http.Request, nth int) answer
	changed  chan struct{} // has one when something changed since the last look
	done     chan struct{}
}

// receive starts a receiver. answers decides what to answer the nth request of an
// event; nil answers 200 to all.
func receive(t testing.TB, answers func(q *http.Request, nth int) answer) *receiver {
	t.Helper()
	r := &receiver{t: t, of: map[string]int{}, answers: answers, changed: make(chan struct{}, 1), done: make(chan struct{})}
	server := httptest.NewUnstartedServer(r)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // senders that break off are the tests' doing
	server.Start()
	r.url = server.URL
	t.Cleanup(func() {
		close(r.done)
		server.CloseClientConnections()
		server.Close()
	})
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	at := time.Now()
	_, _ = io.Copy(io.Discard, q.Body)
	id := cmp.Or(q.Header.Get("X-Webhook-Event-Id"), q.URL.Query().Get("n")) // n: of an action
	var nth int
	r.note(func() {
		r.arrivals = append(r.arrivals, arrival{event: id, at: at})
		r.of[id]++
		nth = r.of[id]
		r.open++
		r.peak = max(r.peak, r.open)
	})
	defer r.note(func() { r.open-- })
	var a answer
	if r.answers != nil {
		a = r.answers(q, nth)
	}
	var timer <-chan time.Time
	if a.delay > 0 {
		timer = time.After(a.delay)
	}
	if a.hang != nil || timer != nil {
		select {
		case <-a.hang:
		case <-timer:
		case <-q.Context().Done():
			return
		case <-r.done:
			return
		}
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
}

func (r *receiver) note(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// wait returns once a condition holds of what arrived. One goroutine may wait at a
// time; the condition is called with the lock held.
func (r *receiver) wait(what string, holds func() bool) {
	r.t.Helper()
	for w := (waiting{}); ; {
		r.mu.Lock()
		ok, requests, events, open := holds(), len(r.arrivals), len(r.of), r.open
		r.mu.Unlock()
		if ok {
			return
		}
		if w.over(events) {
			r.t.Fatalf("it did not come true that %s, and nothing new came within %s; there were %d requests for %d events, %d are open", what, patience, requests, events, open)
		}
		select {
		case <-r.changed:
		case <-time.After(time.Second):
		}
	}
}

// total is the number of requests so far.
func (r *receiver) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.arrivals)
}

// times is how often an event arrived.
func (r *receiver) times(event string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[event]
}

// most is how many requests were answered at once, at most.
func (r *receiver) most() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peak
}

// all returns what arrived so far.
func (r *receiver) all() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]arrival(nil), r.arrivals...)
}
