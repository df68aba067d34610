package send_test

import (
	"bufio"
	"bytes"
	"crypto/x509"
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
		Timeout: time.Minute, SuccessCodes: []string{"2xx"},
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
	if err := signature.Verify(signature.Standard, secret, got.Header, body, time.Now(), time.Minute); err != nil {
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
