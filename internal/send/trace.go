package send

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// recorder collects the timings of one attempt. Hooks run on goroutines of the transport
// and may still do so after the answer, when a dial has been overtaken by an idle connection;
// so it cannot be pooled, and is kept to few allocations instead: hooks that only a dial
// needs are made by the dial.
type recorder struct {
	start time.Time
	trace httptrace.ClientTrace

	mu                               sync.Mutex
	dnsStart, connectStart, tlsStart time.Time
	dns, connect, tls, firstByte     time.Duration
	remote                           string
	got, reused                      bool
}

// recorderKey finds the recorder in the context of a dial.
type recorderKey struct{}

func newRecorder() *recorder {
	r := &recorder{start: time.Now()}
	r.trace.GotConn = r.gotConn
	r.trace.GotFirstResponseByte = r.gotFirstByte
	r.trace.TLSHandshakeStart = r.tlsBegan
	r.trace.TLSHandshakeDone = r.tlsTook
	return r
}

// watch puts the recorder and its hooks into the context of a request.
func (r *recorder) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(context.WithValue(ctx, recorderKey{}, r), &r.trace)
}

// watchDial adds the hooks of a dial, if it is one for an attempt.
func watchDial(ctx context.Context) context.Context {
	r, ok := ctx.Value(recorderKey{}).(*recorder)
	if !ok {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { r.began(&r.dnsStart) },
		DNSDone:      func(httptrace.DNSDoneInfo) { r.took(&r.dnsStart, &r.dns) },
		ConnectStart: func(_, _ string) { r.began(&r.connectStart) },
		ConnectDone:  func(_, _ string, _ error) { r.took(&r.connectStart, &r.connect) },
	})
}

// conn is a connection that knows its remote address as text.
type conn struct {
	net.Conn
	remote string
}

func remoteOf(c net.Conn) string {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if ours, ok := c.(*conn); ok {
		return ours.remote
	}
	return c.RemoteAddr().String()
}

func (r *recorder) tlsBegan()                          { r.began(&r.tlsStart) }
func (r *recorder) tlsTook(tls.ConnectionState, error) { r.took(&r.tlsStart, &r.tls) }

// began notes the first start; with several addresses, connecting begins with the first.
func (r *recorder) began(at *time.Time) {
	r.mu.Lock()
	if at.IsZero() {
		*at = time.Now()
	}
	r.mu.Unlock()
}

func (r *recorder) took(from *time.Time, d *time.Duration) {
	r.mu.Lock()
	*d = time.Since(*from)
	r.mu.Unlock()
}

func (r *recorder) gotConn(info httptrace.GotConnInfo) {
	remote := remoteOf(info.Conn)
	r.mu.Lock()
	r.got, r.reused, r.remote = true, info.Reused, remote
	r.mu.Unlock()
}

func (r *recorder) gotFirstByte() {
	r.mu.Lock()
	r.firstByte = time.Since(r.start)
	r.mu.Unlock()
}

// fill writes what was measured into an attempt.
func (r *recorder) fill(a *hook.Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.Timings = hook.Timings{FirstByte: r.firstByte, Total: time.Since(r.start)}
	a.RemoteAddress, a.Reused = r.remote, r.reused
	if !r.reused {
		a.Timings.DNS, a.Timings.Connect, a.Timings.TLS = r.dns, r.connect, r.tls
	}
}

// phase says how far the attempt came, for the text of a timeout.
func (r *recorder) phase() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.firstByte > 0:
		return "reading the answer"
	case r.got:
		return "waiting for the answer"
	case !r.tlsStart.IsZero():
		return "in the TLS handshake"
	case !r.connectStart.IsZero():
		return "connecting"
	case !r.dnsStart.IsZero():
		return "resolving the host name"
	}
	return "waiting for a connection"
}

// inTLS reports whether the attempt ended within the handshake.
func (r *recorder) inTLS() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.tlsStart.IsZero() && !r.got
}
