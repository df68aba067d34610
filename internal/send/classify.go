package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"sallyport/internal/hook"
)

// ErrStopping is the cause to cancel an attempt's context with when this process stops. The
// attempt is then aborted: it was nobody's failure and spends no attempt.
var ErrStopping = errors.New("sallyport is stopping")

// errTimeout is the cause when the webhook's own timeout ended the exchange.
var errTimeout = errors.New("timeout")

// failure is the verdict on an exchange that did not come to a complete answer.
type failure struct {
	outcome   hook.Outcome
	class     hook.ErrorClass
	text      string
	permanent bool
}

// classify sorts an error of the transport. ctx is the attempt's, parent the caller's.
func classify(ctx, parent context.Context, err error, rec *recorder, timeout time.Duration) failure {
	failed := func(class hook.ErrorClass, format string, args ...any) failure {
		return failure{outcome: hook.OutcomeFailed, class: class, text: fmt.Sprintf(format, args...)}
	}
	if egress, ok := errors.AsType[*EgressError](err); ok {
		f := failed(hook.ClassEgress, "%s", egress)
		f.permanent = true
		return f
	}
	if parent.Err() != nil {
		text := "cut off because the caller gave up"
		if errors.Is(context.Cause(parent), ErrStopping) {
			text = "cut off because Sallyport is stopping"
		}
		return failure{outcome: hook.OutcomeAborted, class: hook.ClassAborted, text: text}
	}
	if ctx.Err() != nil {
		return failed(hook.ClassTimeout, "no complete answer within %s (%s)", hook.FormatDuration(timeout), rec.phase())
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return failed(hook.ClassDNS, "host %s not found", dns.Name)
		case dns.IsTimeout:
			return failed(hook.ClassDNS, "looking up host %s timed out", dns.Name)
		}
		return failed(hook.ClassDNS, "looking up host %s: %s", dns.Name, dns.Err)
	}
	if isTLS(err) || rec.inTLS() && !isTimeout(err) {
		return failed(hook.ClassTLS, "TLS: %s", plainTLS(err))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		if op.Timeout() {
			return failed(hook.ClassTimeout, "could not connect in time")
		}
		return failed(hook.ClassConnect, "could not connect: %s", cause(op.Err))
	}
	if isTimeout(err) {
		return failed(hook.ClassTimeout, "timed out (%s)", rec.phase())
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "server response headers exceeded"):
		return failed(hook.ClassTooLarge, "the answer's headers are longer than %d bytes", maxResponseHeader)
	case strings.Contains(text, "malformed"):
		return failed(hook.ClassProtocol, "not an HTTP answer: %s", cause(err))
	case isReset(err, text):
		return failed(hook.ClassReset, "the connection was closed before the answer was complete: %s", cause(err))
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return failed(hook.ClassTLS, "TLS: the receiver speaks plain HTTP on this port")
	}
	return failed(hook.ClassProtocol, "%s", text)
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return true // an alert of either side
	}
	return false
}

func plainTLS(err error) string {
	text := err.Error()
	text = strings.TrimPrefix(text, "remote error: ")
	return strings.TrimPrefix(text, "tls: ")
}

// isReset reports whether the peer ended the connection. net/http hides some of the causes
// behind values of its own, of which only the text is known.
func isReset(err error, text string) bool {
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, net.ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	return strings.Contains(text, "server closed idle connection") ||
		strings.Contains(text, "GOAWAY") || strings.Contains(text, "connection was lost") ||
		strings.Contains(text, "stream error")
}

// cause returns the innermost text: "connection refused" rather than the whole chain, which
// repeats our own address.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
