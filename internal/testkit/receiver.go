package testkit

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Received is one request as a Receiver got it.
type Received struct {
	// At is when the head of the request had been read.
	At     time.Time
	Method string
	// URL is the request target as sent: path and raw query.
	URL  string
	Host string
	// Header has the names in Go's canonical form, as http.Request has them.
	Header http.Header
	// Head is what came over the wire up to the empty line, for tests of exact names and order.
	Head []byte
	// Body is complete and as received, unless the sender broke off: then BodyErr says why.
	Body    []byte
	BodyErr error
	// Remote is the sender's address and port; the same one twice means the connection was reused.
	Remote string
}

// HeaderLine returns the line of the head with exactly this name, with its value, and whether
// there is one: `X-Etl-Webhook-Entity-URL` and not as Go would spell it.
func (r Received) HeaderLine(name string) (string, bool) {
	for line := range strings.SplitSeq(string(r.Head), "\r\n") {
		if strings.HasPrefix(line, name+":") {
			return strings.TrimSpace(line[len(name)+1:]), true
		}
	}
	return "", false
}

// Answer is what a Receiver does with a request. The zero value answers 200 without a body.
type Answer struct {
	Status int // 0 means 200
	Header http.Header
	Body   string
	// Delay is waited before answering, unless the sender goes away first.
	Delay time.Duration
	// Hang never answers: until the sender goes away, Release is called or the test ends.
	Hang bool
	// Cut closes the connection instead of answering.
	Cut bool
}

// waitLimit is how long the Wait functions wait for what must come: far longer than any of it
// takes on a busy machine with the race detector on, and shorter than the patience of `go test`.
const waitLimit = 60 * time.Second

// Receiver is a real HTTP server that records what it gets, and answers what it is told to.
// It closes with the test. Its methods may be called from several goroutines.
type Receiver struct {
	// URL is the base, such as http://127.0.0.1:41234, without a slash at its end.
	URL string

	t      testing.TB
	server *httptest.Server
	closed chan struct{}

	mu       sync.Mutex
	answer   func(Received) Answer
	next     []Answer
	received []Received
	open     int           // requests that have not been answered
	changed  chan struct{} // closed and replaced whenever received or open changes
	release  chan struct{} // closed by Release
}

// NewReceiver starts a receiver that answers 200.
func NewReceiver(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{
		t: t, closed: make(chan struct{}),
		answer:  func(Received) Answer { return Answer{} },
		changed: make(chan struct{}), release: make(chan struct{}),
	}
	// At an address that nobody else gets once it was stopped.
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	r.server = &httptest.Server{Listener: teeListener{listener}, Config: &http.Server{Handler: http.HandlerFunc(r.handle)}}
	r.server.Config.ConnContext = withTee
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0) // senders that break off are the tests' doing
	r.server.Start()
	r.URL = r.server.URL
	t.Cleanup(func() {
		close(r.closed)
		r.server.CloseClientConnections()
		r.server.Close()
	})
	return r
}

// Address is the host and port at which the receiver listens.
func (r *Receiver) Address() string { return r.server.Listener.Addr().String() }

// Stop makes connections be refused from now on, as a receiver that is down does.
func (r *Receiver) Stop() {
	r.server.Listener.Close()
	r.server.CloseClientConnections()
}

// Respond sets what all further requests are answered, once those of Then are used up.
func (r *Receiver) Respond(a Answer) { r.RespondFunc(func(Received) Answer { return a }) }

// RespondFunc is Respond with an answer that depends on the request.
func (r *Receiver) RespondFunc(f func(Received) Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// Then appends answers that are given once each, in this order, before those of Respond.
func (r *Receiver) Then(answers ...Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = append(r.next, answers...)
}

// Release lets go of all requests that hang at this moment: they are answered as without Hang.
func (r *Receiver) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.release)
	r.release = make(chan struct{})
}

// Received returns all requests so far, in the order in which they had been read.
func (r *Receiver) Received() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Received(nil), r.received...)
}

// Open is the number of requests that wait for their answer at this moment.
func (r *Receiver) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

// Wait returns as soon as there are at least n requests, with all of them, and fails the test
// if they do not come.
func (r *Receiver) Wait(n int) []Received {
	r.t.Helper()
	return r.WaitFor(fmt.Sprintf("%d requests", n), func(all []Received) bool { return len(all) >= n })
}

// WaitFor returns as soon as the condition holds of all requests so far, with these, and fails
// the test if it does not come to hold. what names the condition in that failure.
func (r *Receiver) WaitFor(what string, condition func([]Received) bool) []Received {
	r.t.Helper()
	deadline := time.NewTimer(waitLimit)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		all, changed := append([]Received(nil), r.received...), r.changed
		r.mu.Unlock()
		if condition(all) {
			return all
		}
		select {
		case <-changed:
		case <-deadline.C:
			r.t.Fatalf("receiver %s waited %s for %s and has %d requests", r.URL, waitLimit, what, len(all))
		}
	}
}

// WaitOpen returns as soon as exactly n requests wait for their answer.
func (r *Receiver) WaitOpen(n int) {
	r.t.Helper()
	r.WaitFor(fmt.Sprintf("%d open requests", n), func([]Received) bool { return r.Open() == n })
}

// note runs f under the lock and wakes all who wait.
func (r *Receiver) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Receiver) handle(w http.ResponseWriter, q *http.Request) {
	got := Received{
		At: time.Now(), Method: q.Method, URL: q.RequestURI, Host: q.Host,
		Header: q.Header.Clone(), Remote: q.RemoteAddr,
	}
	tee := q.Context().Value(teeKey{}).(*teeConn)
	got.Head = tee.head()
	got.Body, got.BodyErr = io.ReadAll(q.Body)
	tee.skipBody()

	var answer Answer
	var choose func(Received) Answer
	var release chan struct{}
	r.note(func() {
		r.received = append(r.received, got)
		r.open++
		release = r.release
		choose = r.answer
		if len(r.next) > 0 {
			answer, r.next = r.next[0], r.next[1:]
			choose = nil
		}
	})
	defer r.note(func() { r.open-- })
	if choose != nil {
		answer = choose(got)
	}

	if answer.Hang {
		select {
		case <-release:
		case <-q.Context().Done():
			return
		case <-r.closed:
			return
		}
	}
	if answer.Delay > 0 {
		timer := time.NewTimer(answer.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-q.Context().Done():
			return
		case <-r.closed:
			return
		}
	}
	if answer.Cut {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	if answer.Status != 0 {
		w.WriteHeader(answer.Status)
	}
	io.WriteString(w, answer.Body) //nolint:errcheck // the sender may have gone: that is the test's wish
}
