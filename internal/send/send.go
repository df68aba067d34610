package send

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/backoff"
	"sallyport/internal/hook"
	"sallyport/internal/profile"
)

// Defaults of a Config.
const (
	DefaultTimeout        = 15 * time.Second // of a webhook that names none
	DefaultConnectTimeout = 5 * time.Second
	// DefaultIdlePerHost is a lane's greatest size; fewer would open and close connections
	// all the time (net/http's own default is 2).
	DefaultIdlePerHost = 64
	// DefaultIdleTimeout is shorter than most receivers keep connections open, so that we
	// rather than they close, and no request meets a connection about to go.
	DefaultIdleTimeout  = 30 * time.Second
	DefaultResponseRead = 1 << 20
	DefaultResponseKept = 64 << 10
	DefaultRequestKept  = 256 << 10
)

const (
	// maxIdle bounds idle connections to all hosts; it is the number of attempts that one
	// node has under way at most.
	maxIdle = 4096
	// maxResponseHeader bounds the head of an answer; net/http would read 10 MB.
	maxResponseHeader = 64 << 10
	// maxTargets bounds the webhooks that stay compiled; beyond it all are compiled anew.
	maxTargets = 50_000
)

// Config says how to send. Guard and IDs are required, everything else has a default.
type Config struct {
	Guard          *Guard
	IDs            *hook.IDs // ids of attempts, and the time they are stamped with
	Node           string
	UserAgent      string
	ConnectTimeout time.Duration // resolving and connecting; the TLS handshake has as much again
	IdlePerHost    int
	IdleTimeout    time.Duration
	ResponseRead   int64 // bytes of an answer's body that are read
	ResponseKept   int64 // bytes of it that are kept
	RequestKept    int   // bytes of a request's body that are kept
	// Proxy is an egress proxy for all requests. The guard lets connections to it pass, and
	// then judges literal addresses only: names are resolved by the proxy, whose rules must
	// keep private addresses out of reach. HTTP_PROXY and its kin are ignored.
	Proxy    *url.URL
	RootCAs  *x509.CertPool // nil: the system's
	Resolver *net.Resolver  // nil: the system's
}

// Sender makes attempts. Safe for concurrent use; Close it when done.
type Sender struct {
	cfg     Config
	reusing *http.Transport // requests with a body
	fresh   *http.Transport // requests without: a new connection each
	targets sync.Map        // hook.ID -> *target
	count   atomic.Int64    // of targets, roughly
}

// New makes a sender.
func New(cfg Config) *Sender {
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, DefaultConnectTimeout)
	cfg.IdlePerHost = cmp.Or(cfg.IdlePerHost, DefaultIdlePerHost)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, DefaultIdleTimeout)
	cfg.ResponseRead = cmp.Or(cfg.ResponseRead, DefaultResponseRead)
	cfg.ResponseKept = cmp.Or(cfg.ResponseKept, DefaultResponseKept)
	cfg.RequestKept = cmp.Or(cfg.RequestKept, DefaultRequestKept)
	s := &Sender{cfg: cfg}
	s.reusing = s.transport()
	s.fresh = s.transport()
	s.fresh.DisableKeepAlives = true
	s.fresh.ForceAttemptHTTP2 = false
	return s
}

func (s *Sender) transport() *http.Transport {
	dialer := s.cfg.Guard.Dialer(s.cfg.ConnectTimeout)
	dialer.Resolver = s.cfg.Resolver
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		return dialed(dialer.DialContext(watchDial(ForHost(ctx, host)), network, address))
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: s.cfg.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    s.cfg.ConnectTimeout,
		DisableCompression:     true, // answers are recorded as they came, and cannot blow up
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    s.cfg.IdlePerHost,
		IdleConnTimeout:        s.cfg.IdleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		// A dead HTTP/2 connection would otherwise take attempts until TCP gives it up.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
	if s.cfg.Proxy != nil {
		t.Proxy = http.ProxyURL(s.cfg.Proxy)
		// Only the proxy is ever dialled.
		plain := &net.Dialer{Timeout: s.cfg.ConnectTimeout, KeepAlive: 30 * time.Second, Resolver: s.cfg.Resolver}
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialed(plain.DialContext(watchDial(ctx), network, address))
		}
	}
	return t
}

func dialed(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, remote: c.RemoteAddr().String()}, nil
}

// Close closes idle connections. Attempts under way go on.
func (s *Sender) Close() {
	s.reusing.CloseIdleConnections()
	s.fresh.CloseIdleConnections()
}

// target returns the compiled form of a webhook, kept as long as the same pointer comes.
func (s *Sender) target(w *hook.Webhook) *target {
	old, ok := s.targets.Load(w.ID)
	if ok && old.(*target).webhook == w {
		return old.(*target)
	}
	t := newTarget(w, s.cfg.UserAgent)
	if !ok && s.count.Add(1) > maxTargets {
		s.targets.Clear()
		s.count.Store(1)
	}
	s.targets.Store(w.ID, t)
	return t
}

// Send makes attempt number of a delivery and returns its record, complete but for what the
// store knows. It never panics by design and never returns early: the whole exchange ends
// within the webhook's timeout, or when ctx is cancelled. Cancel it with the cause ErrStopping
// when this process stops: the attempt is then aborted. w must not change while any Send
// with the same pointer may run; a new version is a new pointer.
func (s *Sender) Send(ctx context.Context, w *hook.Webhook, e *hook.Event, d hook.Delivery, number int, trigger hook.Trigger) hook.Attempt {
	a := hook.Attempt{
		ID: s.cfg.IDs.New(), Delivery: d.ID, Number: number, Trigger: trigger, Node: s.cfg.Node, TargetVersion: w.Version,
		StartedAt: s.cfg.IDs.Now().UTC().Truncate(time.Microsecond),
		Outcome:   hook.OutcomeFailed,
	}
	rec := newRecorder()
	t := s.target(w)
	if t.err != nil {
		return s.unsendable(a, t, t.err)
	}
	rendered, err := t.compiled.Render(onWire(e, d.Fresh), d.ID, number, a.StartedAt)
	if err != nil {
		return s.unsendable(a, t, err)
	}
	a.Request = recordRequest(t, rendered, s.cfg.RequestKept)
	s.exchange(ctx, &a, t, rendered, rec, cmp.Or(w.Timeout, DefaultTimeout))
	return a
}

// onWire is the event under the id that the receiver is to know it by: a replay that asked
// for it gives one which ends in its number.
func onWire(e *hook.Event, fresh int) *hook.Event {
	if fresh == 0 {
		return e
	}
	again := *e
	again.ID += "-r" + strconv.Itoa(fresh)
	return &again
}

// exchange sends what was rendered and notes in the attempt what came of it.
func (s *Sender) exchange(ctx context.Context, a *hook.Attempt, t *target, r profile.Rendered, rec *recorder, timeout time.Duration) {
	attemptCtx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	resp, err := s.roundTrip(rec.watch(attemptCtx), t, r)
	if err == nil {
		err = s.receive(a, t, resp)
	}
	rec.fill(a)
	if err != nil {
		f := classify(attemptCtx, ctx, err, rec, timeout)
		a.Outcome, a.ErrorClass, a.Permanent = f.outcome, f.class, f.permanent
		a.Error = hook.ErrorText(t.redact(f.text))
	}
}

// unsendable ends an attempt for which no request could be made: the configuration is at
// fault, and only a change of it can help.
func (s *Sender) unsendable(a hook.Attempt, t *target, err error) hook.Attempt {
	a.ErrorClass, a.Permanent = hook.ClassTemplate, true
	a.Error = hook.ErrorText(t.redact("no request could be made: " + err.Error()))
	return a
}

func (s *Sender) roundTrip(ctx context.Context, t *target, r profile.Rendered) (*http.Response, error) {
	if s.cfg.Proxy != nil {
		if err := s.cfg.Guard.CheckLiteral(t.text); err != nil {
			return nil, err
		}
	}
	req := t.request.WithContext(ctx) // a copy
	req.Header = wireHeader(r.Header)
	if len(r.Body) == 0 {
		return s.fresh.RoundTrip(req)
	}
	// No GetBody: net/http must not send it again by itself. NopCloser around a bytes.Reader
	// is known to net/http, which then writes head and body at once.
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(r.Body)), int64(len(r.Body))
	return s.reusing.RoundTrip(req)
}

// receive reads the answer and judges its status. The error is one of the exchange.
func (s *Sender) receive(a *hook.Attempt, t *target, resp *http.Response) error {
	defer resp.Body.Close()
	a.Response = &hook.ReceivedResponse{Status: resp.StatusCode, Headers: recordHeaders(t, resp.Header)}
	if resp.StatusCode != http.StatusSwitchingProtocols { // whose body is the connection
		var err error
		a.Response.Body, err = t.readBody(resp.Body, resp.ContentLength, s.cfg.ResponseRead, s.cfg.ResponseKept)
		if err != nil {
			return err
		}
	}
	if t.succeeded(resp.StatusCode) {
		a.Outcome = hook.OutcomeSucceeded
		return nil
	}
	a.ErrorClass = hook.ClassStatus
	a.Error = fmt.Sprintf("receiver answered %d", resp.StatusCode)
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		a.ErrorClass = hook.ClassRedirect
		a.Error += "; redirects are not followed"
	}
	a.Permanent = resp.StatusCode == http.StatusGone
	if after := resp.Header.Get("Retry-After"); after != "" {
		a.RetryAfter = backoff.RetryAfter(after, resp.Header.Get("Date"), a.StartedAt)
	}
	return nil
}
