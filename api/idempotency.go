package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"

	"github.com/labstack/echo/v4"

	"sallyport/internal/hook"
)

// storedHeaders are those of an answer that are replayed with it.
var storedHeaders = []string{"Content-Type", "Etag", "Location", "Sallyport-Result", "Sallyport-Changed"}

// once runs a call the first time its Idempotency-Key is seen and replays the answer
// after that. Only final answers are kept: not 429, not 5xx, and no refusal that passes.
func (s *Server) once(c echo.Context, cl *call, key string, next echo.HandlerFunc) error {
	ctx := c.Request().Context()
	scope := hook.IdempotencyScope{
		Workspace: cl.principal.Workspace, Key: cl.principal.Key,
		Method: c.Request().Method, Path: c.Request().URL.EscapedPath(), Value: key,
	}
	first, err := s.services.Idempotency.Begin(ctx, scope, sha256.Sum256(cl.body))
	if err != nil {
		return err
	}
	if first != nil {
		h := c.Response().Header()
		for _, pair := range first.Header {
			h.Set(pair[0], pair[1])
		}
		h.Set("Idempotent-Replayed", "true")
		c.Response().WriteHeader(first.Status)
		_, err := c.Response().Write(first.Body)
		return err
	}
	real := c.Response().Writer
	kept := &recorder{ResponseWriter: real, status: http.StatusOK}
	c.Response().Writer = kept
	finished := false
	defer func() {
		c.Response().Writer = real
		if !finished { // a panic: the caller may try again
			s.forget(c, scope)
		}
	}()
	err = next(c)
	if err != nil {
		s.handleError(err, c)
	}
	finished = true
	// The outcome is kept even if the caller has hung up: that is when it is needed.
	if kept.status >= 500 || kept.status == http.StatusTooManyRequests || passes(err) {
		s.forget(c, scope)
	} else {
		s.keep(c, scope, kept)
	}
	real.WriteHeader(kept.status)
	_, err = real.Write(kept.body.Bytes())
	return err
}

// passes reports whether a call was refused for the state that something is in now: repeated after
// a while, or once that was changed, it is another matter.
func passes(err error) bool {
	if err == nil {
		return false
	}
	kind := hook.KindOf(err)
	return kind == hook.KindInvalidState || kind == hook.KindDeliveryRunning
}

func (s *Server) keep(c echo.Context, scope hook.IdempotencyScope, kept *recorder) {
	a := hook.Answer{Status: kept.status, Body: kept.body.Bytes()}
	for _, name := range storedHeaders {
		if v := c.Response().Header().Get(name); v != "" {
			a.Header = append(a.Header, [2]string{name, v})
		}
	}
	ctx := c.Request().Context()
	if err := s.services.Idempotency.Complete(context.WithoutCancel(ctx), scope, a); err != nil {
		s.log.ErrorContext(ctx, "idempotency.not_kept", "request_id", c.Response().Header().Get(headerRequestID), "error", err)
	}
}

func (s *Server) forget(c echo.Context, scope hook.IdempotencyScope) {
	ctx := c.Request().Context()
	if err := s.services.Idempotency.Abandon(context.WithoutCancel(ctx), scope); err != nil {
		s.log.ErrorContext(ctx, "idempotency.not_abandoned", "request_id", c.Response().Header().Get(headerRequestID), "error", err)
	}
}

// recorder holds an answer back.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
