package send_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"sallyport/internal/hook"
	"sallyport/internal/send"
	"sallyport/internal/signature"
)

const secret = "my-secret-of-24-characters!"

var (
	ids   = hook.NewIDs()
	quiet = log.New(io.Discard, "", 0) // for servers that are meant to complain
)

// sender makes a sender that may reach loopback.
func sender(t testing.TB, change ...func(*send.Config)) *send.Sender {
	t.Helper()
	guard, err := send.NewGuard([]string{"127.0.0.0/8", "::1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := send.Config{Guard: guard, IDs: ids, Node: "n1", UserAgent: "Sallyport/1.2.3"}
	for _, c := range change {
		c(&cfg)
	}
	s := send.New(cfg)
	t.Cleanup(s.Close)
	return s
}

func webhook(url string, change ...func(*hook.Webhook)) *hook.Webhook {
	w := &hook.Webhook{ID: ids.New(), Workspace: ids.New(), Number: 7, Version: 3, WebhookSpec: hook.WebhookSpec{
		URL: url, Method: "POST", Profile: "default", ContentType: "application/json", IncludeEntity: true,
		Timeout: 5 * time.Second, SuccessCodes: []string{"2xx"},
	}}
	w.Secrets = []hook.Secret{{Value: secret}}
	for _, c := range change {
		c(w)
	}
	return w
}

func timeout(d time.Duration) func(*hook.Webhook) { return func(w *hook.Webhook) { w.Timeout = d } }

func method(m string) func(*hook.Webhook) { return func(w *hook.Webhook) { w.Method = m } }

func event() *hook.Event {
	return &hook.Event{Key: ids.New(), ID: "ord-7-paid", Type: "order.paid", EntityID: hook.EntityID{Text: "7", Number: true},
		Entity: []byte(`{ "a":1.10,"a":1.10,"x":"<\u0000é","id":12345678901234567890 }`), Timestamp: time.UnixMilli(1588429200207)}
}

func attempt(t testing.TB, s *send.Sender, w *hook.Webhook) hook.Attempt {
	t.Helper()
	return s.Send(t.Context(), w, event(), hook.Delivery{ID: ids.New(), Workspace: w.Workspace, Target: w.ID}, 1, hook.TriggerFirst)
}

func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// answers serves raw bytes to every request, reading it first as far as its head and length
// say, then does what after says with the connection.
func answers(t testing.TB, answer string, after func(net.Conn)) (url string, requests func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	seen := make(chan string, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					raw, err := readRequest(r)
					if err != nil {
						return
					}
					seen <- raw
					if _, err := io.WriteString(conn, answer); err != nil {
						return
					}
					if after != nil {
						after(conn)
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String(), func() []string {
		var list []string
		for {
			select {
			case r := <-seen:
				list = append(list, r)
			default:
				return list
			}
		}
	}
}

func readRequest(r *bufio.Reader) (string, error) {
	var raw strings.Builder
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		raw.WriteString(line)
		fmt.Sscanf(line, "Content-Length: %d", &length)
		if line == "\r\n" {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	raw.Write(body)
	return raw.String(), nil
}

func want(t *testing.T, a hook.Attempt, outcome hook.Outcome, class hook.ErrorClass) {
	t.Helper()
	if a.Outcome != outcome || a.ErrorClass != class {
		t.Errorf("outcome %s, class %q (%s), want %s, %q", a.Outcome, a.ErrorClass, a.Error, outcome, class)
	}
	if (a.Error == "") != (outcome == hook.OutcomeSucceeded) {
		t.Errorf("error %q with outcome %s", a.Error, outcome)
	}
}

func header(fields []hook.HeaderField, name string) (hook.HeaderField, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f, true
		}
	}
	return hook.HeaderField{}, false
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Add("X-Two", "first")
		w.Header().Add("X-Two", "second")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "thanks")
	})
	w := webhook(url + "/in?x=1#fragment")
	a := attempt(t, sender(t), w)
	want(t, a, hook.OutcomeSucceeded, hook.ClassNone)
	if a.Number != 1 || a.Trigger != hook.TriggerFirst || a.Node != "n1" || a.TargetVersion != 3 || a.ID == hook.NoID || a.Permanent || a.Reused {
		t.Errorf("attempt: %+v", a)
	}
	if d := time.Since(a.StartedAt); d < 0 || d > time.Minute || a.StartedAt.Nanosecond()%1000 != 0 || a.StartedAt.Location() != time.UTC {
		t.Errorf("StartedAt = %v", a.StartedAt)
	}
	if a.Timings.Connect <= 0 || a.Timings.FirstByte <= 0 || a.Timings.Total < a.Timings.FirstByte || a.Timings.TLS != 0 {
		t.Errorf("timings: %+v", a.Timings)
	}
	if !strings.HasPrefix(a.RemoteAddress, "127.0.0.1:") {
		t.Errorf("remote address %q", a.RemoteAddress)
	}
	if !bytes.Equal(a.Request.Body.Bytes, body) || a.Request.Body.Size != int64(len(body)) || a.Request.Body.Truncated {
		t.Errorf("recorded %s, received %s", a.Request.Body.Bytes, body)
	}
	if at := a.Request.EntityAt; !bytes.HasPrefix(body[at:], event().Entity) {
		t.Errorf("EntityAt %d points at %s", at, body[at:])
	}
	if a.Request.URL != url+"/in?x=1" || got.URL.RawQuery != "x=1" {
		t.Errorf("URL %s", a.Request.URL)
	}
	if err := signature.VerifyStandard(secret, got.Header, body, time.Now(), time.Minute); err != nil {
		t.Errorf("webhook-signature: %v", err)
	}
	if r := a.Response; r.Status != 202 || string(r.Body.Bytes) != "thanks" || r.Body.Size != 6 || r.Body.Truncated || r.Body.SHA256 != nil {
		t.Errorf("response: %+v", r)
	}
	var two []string
	for _, f := range a.Response.Headers {
		if f.Name == "X-Two" {
			two = append(two, f.Value)
		}
	}
	if strings.Join(two, ",") != "first,second" {
		t.Errorf("X-Two: %q", two)
	}
}

// The record is held against the bytes that a bare TCP listener sees.
func TestWireForm(t *testing.T) {
	t.Parallel()
	url, requests := answers(t, "HTTP/1.1 204 No Content\r\n\r\n", nil)
	s := sender(t)
	for _, m := range []string{"POST", "GET", "DELETE"} {
		w := webhook(url+"/hooks", method(m), func(w *hook.Webhook) {
			w.Profile = "etlworks"
			w.Headers = []hook.Header{{Name: "x-lower-CASE", Value: "kept"}, {Name: "X-Twice", Value: "1"}, {Name: "X-Twice", Value: "2"}}
		})
		e := event()
		e.EntityURL = "https://app.example.com/é"
		a := s.Send(t.Context(), w, e, hook.Delivery{ID: ids.New()}, 2, hook.TriggerRetry)
		want(t, a, hook.OutcomeSucceeded, hook.ClassNone)
		var b strings.Builder
		b.WriteString(m + " /hooks HTTP/1.1\r\n")
		for _, f := range a.Request.Headers {
			b.WriteString(f.Name + ": " + f.Value + "\r\n")
		}
		b.WriteString("\r\n")
		b.Write(a.Request.Body.Bytes)
		got := requests()
		if len(got) != 1 || got[0] != b.String() {
			t.Errorf("on the wire:\n%q\nrecorded:\n%q", got, b.String())
		}
		if !strings.Contains(got[0], "\r\nX-Etl-Webhook-Entity-URL: https://app.example.com/%C3%A9\r\n") || !strings.Contains(got[0], "\r\nx-lower-CASE: kept\r\n") {
			t.Errorf("header case: %s", got[0])
		}
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	followed := atomic.Bool{}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			followed.Store(true)
		}
		if s := int(status.Load()); s/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(s)
		} else {
			w.WriteHeader(s)
		}
	})
	s := sender(t)
	for _, c := range []struct {
		codes     []string
		status    int
		outcome   hook.Outcome
		class     hook.ErrorClass
		permanent bool
	}{
		{[]string{"2xx"}, 200, hook.OutcomeSucceeded, "", false},
		{[]string{"2xx"}, 299, hook.OutcomeSucceeded, "", false},
		{[]string{"2XX"}, 204, hook.OutcomeSucceeded, "", false},
		{nil, 204, hook.OutcomeSucceeded, "", false},
		{[]string{"200", "201"}, 201, hook.OutcomeSucceeded, "", false},
		{[]string{"200", "201"}, 204, hook.OutcomeFailed, hook.ClassStatus, false},
		{[]string{"2xx", "404"}, 404, hook.OutcomeSucceeded, "", false},
		{[]string{"2xx"}, 404, hook.OutcomeFailed, hook.ClassStatus, false},
		{[]string{"2xx"}, 500, hook.OutcomeFailed, hook.ClassStatus, false},
		{[]string{"2xx"}, 410, hook.OutcomeFailed, hook.ClassStatus, true},
		{[]string{"2xx"}, 302, hook.OutcomeFailed, hook.ClassRedirect, false},
		{[]string{"2xx"}, 307, hook.OutcomeFailed, hook.ClassRedirect, false},
		{[]string{"2xx", "304"}, 304, hook.OutcomeSucceeded, "", false},
	} {
		status.Store(int32(c.status))
		a := attempt(t, s, webhook(url, func(w *hook.Webhook) { w.SuccessCodes = c.codes }))
		want(t, a, c.outcome, c.class)
		if a.Response == nil || a.Response.Status != c.status || a.Permanent != c.permanent {
			t.Errorf("%v answered %d: %+v", c.codes, c.status, a)
		}
	}
	status.Store(204)
	a := attempt(t, s, webhook(url, func(w *hook.Webhook) { w.Profile, w.SuccessCodes = "mixpost", nil }))
	want(t, a, hook.OutcomeFailed, hook.ClassStatus) // 200, 201 and 202 only
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	var value atomic.Value
	var status atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", value.Load().(string))
		w.WriteHeader(int(status.Load()))
	})
	s := sender(t)
	for _, c := range []struct {
		status int
		value  string
		least  time.Duration
		most   time.Duration
	}{
		{503, "120", 2 * time.Minute, 2 * time.Minute},
		{429, "999999999", 24 * time.Hour, 24 * time.Hour},
		{503, time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 59 * time.Minute, time.Hour},
		{503, "soon", 0, 0},
		{200, "120", 0, 0},
	} {
		value.Store(c.value)
		status.Store(int32(c.status))
		if a := attempt(t, s, webhook(url)); a.RetryAfter < c.least || a.RetryAfter > c.most {
			t.Errorf("%d with Retry-After %q: %v", c.status, c.value, a.RetryAfter)
		}
	}
}

func TestHangingReceiverTimesOut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	began := time.Now()
	a := attempt(t, sender(t), webhook(url, timeout(200*time.Millisecond)))
	want(t, a, hook.OutcomeFailed, hook.ClassTimeout)
	if took := time.Since(began); took < 200*time.Millisecond || took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	if a.Request == nil || a.Response != nil || !strings.Contains(a.Error, "200ms") || !strings.Contains(a.Error, "waiting for the answer") {
		t.Errorf("attempt: %+v", a)
	}
}

// A drop every few milliseconds must not stretch the deadline of the whole exchange.
func TestSlowDripTimesOut(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
			}
		}
	})
	began := time.Now()
	a := attempt(t, sender(t), webhook(url, timeout(200*time.Millisecond)))
	want(t, a, hook.OutcomeFailed, hook.ClassTimeout)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	if a.Response == nil || a.Response.Status != 200 || len(a.Response.Body.Bytes) == 0 {
		t.Errorf("what had come was not recorded: %+v", a.Response)
	}
}

func TestSlowHeadTimesOut(t *testing.T) {
	t.Parallel()
	url, _ := answers(t, "HTTP/1.1 200 OK\r\nX-A: ", func(c net.Conn) { io.Copy(io.Discard, c) })
	a := attempt(t, sender(t), webhook(url, timeout(200*time.Millisecond)))
	want(t, a, hook.OutcomeFailed, hook.ClassTimeout)
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	a := attempt(t, sender(t), webhook("http://"+address))
	want(t, a, hook.OutcomeFailed, hook.ClassConnect)
	if !strings.Contains(a.Error, "refused") || a.Response != nil || a.Permanent {
		t.Errorf("attempt: %+v", a)
	}
}

func TestDNSErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(query []byte) []byte
		text   string
	}{
		"no such host": {func(q []byte) []byte {
			r := append([]byte(nil), q...)
			r[2], r[3] = 0x81, 0x83 // response, NXDOMAIN
			return r
		}, "host receiver.test not found"},
		"server failure": {func(q []byte) []byte {
			r := append([]byte(nil), q...)
			r[2], r[3] = 0x81, 0x82
			return r
		}, "looking up host receiver.test"},
	} {
		stub, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stub.Close() })
		go func() {
			buf := make([]byte, 1500)
			for {
				n, from, err := stub.ReadFrom(buf)
				if err != nil {
					return
				}
				stub.WriteTo(c.answer(buf[:n]), from)
			}
		}()
		s := sender(t, func(cfg *send.Config) {
			cfg.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "udp", stub.LocalAddr().String())
			}}
		})
		a := attempt(t, s, webhook("http://receiver.test/hooks"))
		want(t, a, hook.OutcomeFailed, hook.ClassDNS)
		if !strings.Contains(a.Error, c.text) || a.Permanent || a.Timings.DNS <= 0 {
			t.Errorf("%s: %q, timings %+v", name, a.Error, a.Timings)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)

	a := attempt(t, sender(t), webhook(server.URL))
	want(t, a, hook.OutcomeFailed, hook.ClassTLS)
	if !strings.Contains(a.Error, "unknown authority") {
		t.Errorf("error %q", a.Error)
	}

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s := sender(t, func(c *send.Config) { c.RootCAs = roots })
	w := webhook(server.URL)
	a = attempt(t, s, w)
	want(t, a, hook.OutcomeSucceeded, "")
	if a.Timings.TLS <= 0 {
		t.Errorf("timings %+v", a.Timings)
	}
	a = attempt(t, s, w)
	want(t, a, hook.OutcomeSucceeded, "")
	if !a.Reused || a.Timings.TLS != 0 || a.Timings.Connect != 0 {
		t.Errorf("second attempt: reused %v, timings %+v", a.Reused, a.Timings)
	}

	a = attempt(t, s, webhook(strings.Replace(server.URL, "127.0.0.1", "localhost", 1)))
	want(t, a, hook.OutcomeFailed, hook.ClassTLS) // the certificate has another name

	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	a = attempt(t, s, webhook(strings.Replace(plain, "http:", "https:", 1)))
	want(t, a, hook.OutcomeFailed, hook.ClassTLS)

	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} //nolint:gosec // what is refused
	old.Config.ErrorLog = quiet
	old.StartTLS()
	t.Cleanup(old.Close)
	a = attempt(t, s, webhook(old.URL))
	want(t, a, hook.OutcomeFailed, hook.ClassTLS)
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	protocol := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocol <- r.Proto }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s := sender(t, func(c *send.Config) { c.RootCAs = roots })
	for m, want := range map[string]string{"POST": "HTTP/2.0", "GET": "HTTP/1.1"} {
		attempt(t, s, webhook(server.URL, method(m)))
		if got := <-protocol; got != want {
			t.Errorf("%s went over %s, want %s", m, got, want)
		}
	}
}

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	closeIt := func(net.Conn) {}
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }
	for name, c := range map[string]struct {
		answer string
		after  func(net.Conn)
		class  hook.ErrorClass
		status int
	}{
		"closed without an answer": {"", closeIt, hook.ClassReset, 0},
		"reset without an answer":  {"", reset, hook.ClassReset, 0},
		"closed within the head":   {"HTTP/1.1 200 OK\r\nX-A", closeIt, hook.ClassProtocol, 0},
		"closed within the body":   {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", closeIt, hook.ClassReset, 200},
		"closed within a chunk":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", closeIt, hook.ClassReset, 200},
		"broken chunks":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n", closeIt, hook.ClassProtocol, 200},
		"not HTTP":                 {"220 smtp.example.com ESMTP\r\n", closeIt, hook.ClassProtocol, 0},
		"head too long":            {"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 70<<10) + "\r\n\r\n", closeIt, hook.ClassTooLarge, 0},
		"another protocol":         {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", func(c net.Conn) { io.Copy(io.Discard, c) }, hook.ClassStatus, 101},
	} {
		url, requests := answers(t, c.answer, c.after)
		a := attempt(t, sender(t), webhook(url))
		if a.Outcome != hook.OutcomeFailed || a.ErrorClass != c.class || a.Error == "" {
			t.Errorf("%s: %s, class %q (%s), want %q", name, a.Outcome, a.ErrorClass, a.Error, c.class)
		}
		if (a.Response == nil) != (c.status == 0) || a.Response != nil && a.Response.Status != c.status {
			t.Errorf("%s: response %+v", name, a.Response)
		}
		if n := len(requests()); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

// One recorded attempt is one request, whatever net/http would like to repeat.
func TestNoSilentResend(t *testing.T) {
	t.Parallel()
	for _, m := range []string{"POST", "PUT", "GET", "DELETE"} {
		// The first request of a connection is answered, the second is read and met with
		// silence and a close: what a receiver does that restarts.
		var count atomic.Int32
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					r := bufio.NewReader(conn)
					for i := range 2 {
						if _, err := readRequest(r); err != nil {
							return
						}
						count.Add(1)
						if i == 0 {
							io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						}
					}
				}()
			}
		}()
		s := sender(t)
		w := webhook("http://"+listener.Addr().String(), method(m))
		for n := range 4 {
			a := attempt(t, s, w)
			if got := int(count.Load()); got != n+1 {
				t.Fatalf("%s: %d requests after %d attempts", m, got, n+1)
			}
			bodyless := m == "GET" || m == "DELETE"
			if bodyless && (a.Reused || a.Outcome != hook.OutcomeSucceeded) {
				t.Errorf("%s: reused %v, %s", m, a.Reused, a.Error)
			}
			if !bodyless && n == 1 {
				want(t, a, hook.OutcomeFailed, hook.ClassReset)
				if !a.Reused {
					t.Errorf("%s: the connection was not reused, so nothing is tested", m)
				}
			}
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	const kept, read = 1000, 10_000
	var size atomic.Int64
	var declare atomic.Bool
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		body := bytes.Repeat([]byte("x"), int(size.Load()))
		if declare.Load() {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		} else {
			w.(http.Flusher).Flush() // chunked
		}
		w.Write(body)
	})
	s := sender(t, func(c *send.Config) { c.ResponseKept, c.ResponseRead = kept, read })
	for _, declared := range []bool{true, false} {
		declare.Store(declared)
		for _, n := range []int64{0, 1, kept - 1, kept, kept + 1, 5000, read - 1, read, read + 1, 100_000} {
			size.Store(n)
			a := attempt(t, s, webhook(url))
			want(t, a, hook.OutcomeSucceeded, "")
			b := a.Response.Body
			if int64(len(b.Bytes)) != min(n, kept) || b.Size != min(n, read) || b.Truncated != (n > kept) {
				t.Errorf("%d bytes (declared %v): kept %d, size %d, truncated %v", n, declared, len(b.Bytes), b.Size, b.Truncated)
			}
			sum := sha256.Sum256(bytes.Repeat([]byte("x"), int(min(n, read))))
			if b.Truncated && !bytes.Equal(b.SHA256, sum[:]) || !b.Truncated && b.SHA256 != nil {
				t.Errorf("%d bytes (declared %v): SHA-256 %x", n, declared, b.SHA256)
			}
		}
	}
}

func TestGzipBombStaysSmall(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		z.Write(zeros)
	}
	z.Close()
	asked := make(chan string, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(bomb.Bytes())
	})
	a := attempt(t, sender(t), webhook(url))
	want(t, a, hook.OutcomeSucceeded, "")
	if got := <-asked; got != "" {
		t.Errorf("we asked for %q", got)
	}
	if b := a.Response.Body; b.Size != int64(bomb.Len()) || !bytes.Equal(b.Bytes, bomb.Bytes()[:len(b.Bytes)]) || len(b.Bytes) > 64<<10 {
		t.Errorf("kept %d bytes of %d, read %d", len(b.Bytes), bomb.Len(), b.Size)
	}
}

func TestLongRequestsAreKeptInPart(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	s := sender(t, func(c *send.Config) { c.RequestKept = 1000 })
	w := webhook(url)
	e := event()
	e.Entity = []byte(`"` + strings.Repeat("x", 5000) + `"`)
	a := s.Send(t.Context(), w, e, hook.Delivery{ID: ids.New()}, 1, hook.TriggerFirst)
	want(t, a, hook.OutcomeSucceeded, "")
	b := a.Request.Body
	if len(b.Bytes) != 1000 || b.Size < 5000 || !b.Truncated || len(b.SHA256) != 32 || a.Request.EntityAt != -1 {
		t.Errorf("kept %d of %d, truncated %v, entity at %d", len(b.Bytes), b.Size, b.Truncated, a.Request.EntityAt)
	}
}

func TestSecretsAreNotRecorded(t *testing.T) {
	t.Parallel()
	planted := []string{secret, "hunter22", "tok-5f2a9c", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		// A receiver that echoes all it knows.
		_, password, _ := r.BasicAuth()
		w.Header().Set("X-Echo", r.Header.Get("X-Api-Key"))
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, r.Header, password, " ", strings.Join(planted, " "), " ", r.Header.Get("Authorization"))
	})
	w := webhook(url, func(w *hook.Webhook) {
		w.BasicAuth = &hook.BasicAuth{Username: "erp", Password: "hunter22"}
		w.Headers = []hook.Header{{Name: "X-Api-Key", Value: "Key tok-5f2a9c", Secret: true}, {Name: "X-Open", Value: "open"}}
		w.Secrets = append(w.Secrets, hook.Secret{Value: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	})
	a := attempt(t, sender(t), w)
	want(t, a, hook.OutcomeFailed, hook.ClassStatus)
	text := fmt.Sprintf("%+v %+v %s %s %s", a.Request.Headers, a.Response.Headers, a.Request.Body.Bytes, a.Response.Body.Bytes, a.Error)
	for _, s := range append(planted, "ZXJwOmh1bnRlcjIy") {
		if strings.Contains(text, s) {
			t.Errorf("%q is in the record: %s", s, text)
		}
	}
	for _, name := range []string{"Authorization", "X-Api-Key"} {
		if f, ok := header(a.Request.Headers, name); !ok || !f.Redacted || f.Value != "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f, _ := header(a.Request.Headers, "X-Open"); f.Value != "open" {
		t.Errorf("X-Open: %+v", f)
	}
	if !strings.Contains(string(a.Response.Body.Bytes), "[redacted]") {
		t.Errorf("body: %s", a.Response.Body.Bytes)
	}
}

func TestSecretAcrossTheEndOfWhatIsKept(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 90)+secret+strings.Repeat("y", 500))
	})
	a := attempt(t, sender(t, func(c *send.Config) { c.ResponseKept = 100 }), webhook(url))
	if got := string(a.Response.Body.Bytes); strings.Contains(got, secret[:5]) || len(got) > 100 || !a.Response.Body.Truncated {
		t.Errorf("kept %q", got)
	}
}

// Databases take text only; a receiver sends what it likes.
func TestRecordsAreText(t *testing.T) {
	t.Parallel()
	url, _ := answers(t, "HTTP/1.1 500 No\r\nX-Latin: caf\xe9\r\nContent-Length: 3\r\n\r\n\xff\x00\xe9", nil)
	a := attempt(t, sender(t), webhook(url))
	if f, _ := header(a.Response.Headers, "X-Latin"); f.Value != "caf\uFFFD" {
		t.Errorf("X-Latin: %q", f.Value)
	}
	if got := string(a.Response.Body.Bytes); got != "\xff\x00\xe9" {
		t.Errorf("body %q", got)
	}
	url, _ = answers(t, "\xff\x00"+strings.Repeat("é", 600)+"\r\n\r\n", func(net.Conn) {})
	a = attempt(t, sender(t), webhook(url))
	if !utf8.ValidString(a.Error) || strings.ContainsRune(a.Error, 0) || len(a.Error) > 600 {
		t.Errorf("error %q", a.Error)
	}
}

func TestStoppingAborts(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release })
	defer close(release)
	for _, cause := range []error{send.ErrStopping, errors.New("request cancelled")} {
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan hook.Attempt)
		w := webhook(url)
		go func() {
			done <- sender(t).Send(ctx, w, event(), hook.Delivery{ID: ids.New()}, 1, hook.TriggerFirst)
		}()
		<-arrived
		cancel(cause)
		a := <-done
		want(t, a, hook.OutcomeAborted, hook.ClassAborted)
		if stopping := strings.Contains(a.Error, "stopping"); stopping != errors.Is(cause, send.ErrStopping) {
			t.Errorf("cause %v: %q", cause, a.Error)
		}
	}
}

func TestUnsendable(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*hook.Webhook){
		"URL":             func(w *hook.Webhook) { w.URL = "http://[::1" },
		"scheme":          func(w *hook.Webhook) { w.URL = "ftp://example.com" },
		"no host":         func(w *hook.Webhook) { w.URL = "http:///x" },
		"credentials":     func(w *hook.Webhook) { w.URL = "http://u:hunter22@example.com/" },
		"unknown profile": func(w *hook.Webhook) { w.Profile = "nosuch" },
		"header value":    func(w *hook.Webhook) { w.Headers = []hook.Header{{Name: "X-A", Value: "a\r\nhunter22"}} },
	} {
		w := webhook("http://127.0.0.1:1/")
		change(w)
		a := attempt(t, sender(t), w)
		want(t, a, hook.OutcomeFailed, hook.ClassTemplate)
		if !a.Permanent || a.Request != nil || strings.Contains(a.Error, "hunter22") {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// A new version of a webhook is a new pointer and takes effect at once.
func TestNewVersion(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 2)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path })
	s := sender(t)
	first := webhook(url + "/one")
	second := *first
	second.URL = url + "/two"
	attempt(t, s, first)
	attempt(t, s, &second)
	if a, b := <-paths, <-paths; a != "/one" || b != "/two" {
		t.Errorf("sent to %s, then %s", a, b)
	}
}
