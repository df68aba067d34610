package send_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/send"
	"sallyport/internal/testkit"
)

const (
	// patience is that of senders whose receiver never ends: long enough that a busy machine has
	// begun the exchange within it.
	patience = 2 * time.Second
	// longest is what a busy machine may make of it.
	longest = 45 * time.Second
)

func TestHangingReceiverTimesOut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	began := time.Now()
	a := attempt(t, sender(t), webhook(url, timeout(patience)))
	want(t, a, hook.OutcomeFailed, hook.ClassTimeout)
	if took := time.Since(began); took < patience || took > longest {
		t.Errorf("took %v", took)
	}
	if a.Request == nil || a.Response != nil || !strings.Contains(a.Error, patience.String()) || !strings.Contains(a.Error, "waiting for the answer") {
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
	a := attempt(t, sender(t), webhook(url, timeout(patience)))
	want(t, a, hook.OutcomeFailed, hook.ClassTimeout)
	if took := time.Since(began); took > longest {
		t.Errorf("took %v", took)
	}
	if a.Response == nil || a.Response.Status != 200 || len(a.Response.Body.Bytes) == 0 {
		t.Errorf("what had come was not recorded: %+v", a.Response)
	}
}

func TestSlowHeadTimesOut(t *testing.T) {
	t.Parallel()
	url, _ := answers(t, "HTTP/1.1 200 OK\r\nX-A: ", func(c net.Conn) { io.Copy(io.Discard, c) })
	a := attempt(t, sender(t), webhook(url, timeout(patience)))
	want(t, a, hook.OutcomeFailed, hook.ClassTimeout)
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	a := attempt(t, sender(t), webhook("http://"+testkit.FreeAddr(t)))
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
		"two lengths":              {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", closeIt, hook.ClassProtocol, 0},
		"no length":                {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nabc", closeIt, hook.ClassProtocol, 0},
		"unknown coding":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", closeIt, hook.ClassProtocol, 0},
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
		// The client does not keep a connection for the next request if a busy machine had it
		// wait: one of some is reused.
		bodyless, reused := m == "GET" || m == "DELETE", false
		for n := 0; n < 4 || !bodyless && !reused && n < 50; n++ {
			a := attempt(t, s, w)
			if got := int(count.Load()); got != n+1 {
				t.Fatalf("%s: %d requests after %d attempts", m, got, n+1)
			}
			if reused = reused || a.Reused; a.Reused {
				want(t, a, hook.OutcomeFailed, hook.ClassReset)
			} else {
				want(t, a, hook.OutcomeSucceeded, "")
			}
		}
		if reused == bodyless {
			t.Errorf("%s: a connection was reused: %v", m, reused)
		}
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
