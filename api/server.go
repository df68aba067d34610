// Package api is the HTTP edge: it converts, calls and answers, and decides nothing.
// The routes come from the generated code; whatever they call is an interface here,
// which cmd joins with the rooms.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport/gen"
	"sallyport/gen/hot"
	"sallyport/internal/hook"
)

const headerRequestID = "X-Request-Id"

// Options of the edge. The zero value of a limit is its default.
type Options struct {
	Version string
	// BaseURL is how the installation is reached from outside, maybe with a path.
	BaseURL string
	// TrustedProxies may name the caller in X-Forwarded-For or Forwarded.
	TrustedProxies []netip.Prefix

	MaxEventBytes int   // of the body of a publish and of each item of a batch; 1 MiB
	MaxBatchBytes int   // 16 MiB
	MaxBatchItems int   // 1,000
	MaxBodyBytes  int64 // of every other body; 1 MiB

	// Hold reports whether the installation sends nothing; nil is never.
	Hold func() bool
	// Ready reports why the node cannot take calls now; nil is always ready.
	Ready func(ctx context.Context) error
	// Metrics answers /metrics; nil leaves the path out.
	Metrics http.Handler
	// Schema makes the JSON Schema of provisioning files; nil leaves its path out.
	Schema func() ([]byte, error)
	// Curl writes a request as a command for sh, with basic authentication as that user;
	// nil leaves it out.
	Curl func(r *hook.SentRequest, user string) string
	// NewID makes the ids of calls; nil makes them here.
	NewID func() hook.ID
	// Observe is told of every answer: the route's pattern, the status, how long it took.
	Observe func(method, route string, status int, took time.Duration)
	// StreamHeartbeat is how long a stream is silent at most; 15 s.
	StreamHeartbeat time.Duration
	Log             *slog.Logger
}

// Server is the edge.
type Server struct {
	options  Options
	services Services
	contract *contract
	prefix   string // path of the base URL
	bodies   bodyRoom
	log      *slog.Logger
}

// New makes the edge. It fails if the base URL is none.
func New(o Options, services Services) (*Server, error) {
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	base, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("base URL %q: %w", o.BaseURL, err)
	}
	if o.MaxEventBytes == 0 {
		o.MaxEventBytes = 1 << 20
	}
	if o.MaxBatchBytes == 0 {
		o.MaxBatchBytes = 16 << 20
	}
	if o.MaxBatchItems == 0 {
		o.MaxBatchItems = 1000
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = 1 << 20
	}
	if o.StreamHeartbeat == 0 {
		o.StreamHeartbeat = streamHeartbeat
	}
	if o.NewID == nil {
		o.NewID = hook.NewIDs().New
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Server{options: o, services: services, contract: theContract(), prefix: base.EscapedPath(), log: o.Log}, nil
}

// Handler answers everything: the API, health, metrics and documentation.
func (s *Server) Handler() http.Handler {
	e := s.newEcho()
	s.besides(e)
	guards := map[string][]echo.MiddlewareFunc{}
	for id, op := range s.contract.operations {
		if _, granted := access[id]; granted {
			guards[id] = []echo.MiddlewareFunc{s.guard(op)}
		}
	}
	gen.RegisterHandlersWithOptions(e, gen.NewStrictHandler(handlers{s}, nil), gen.RegisterHandlersOptions{OperationMiddlewares: guards})
	// Publishing guards itself, without what costs.
	hot.RegisterHandlers(e, publishing{s})
	s.doors(e, doorway{s: s, info: true})
	return e
}

// Public answers what the outside may see when the API has a listener of its own.
func (s *Server) Public() http.Handler {
	e := s.newEcho()
	e.Match([]string{http.MethodGet, http.MethodHead}, "/healthz", s.health)
	s.doors(e, doorway{s: s})
	return e
}

func (s *Server) newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.handleError
	e.Binder = noBinder{}
	e.Use(s.begin)
	return e
}

// noBinder leaves bodies alone: the guard has read and checked them.
type noBinder struct{}

func (noBinder) Bind(any, echo.Context) error { return nil }

// begin names the call, catches panics and tells who observes.
func (s *Server) begin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		start := time.Now()
		c.Response().Header()[headerRequestID] = []string{s.options.NewID().String()}
		defer func() {
			if r := recover(); r != nil {
				if r == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
					panic(r)
				}
				err = fmt.Errorf("panic: %v", r)
				s.log.ErrorContext(c.Request().Context(), "http.panic", "panic", r, "stack", stack())
			}
			if err != nil {
				s.handleError(err, c)
				err = nil
			}
			took := time.Since(start)
			if s.options.Observe != nil {
				s.options.Observe(c.Request().Method, c.Path(), c.Response().Status, took)
			}
			if ctx := c.Request().Context(); s.log.Enabled(ctx, slog.LevelDebug) {
				s.log.LogAttrs(ctx, slog.LevelDebug, "http.answered", append(callAttrs(c),
					slog.Int("status", c.Response().Status), slog.Float64("duration_ms", float64(took.Microseconds())/1000))...)
			}
		}()
		return next(c)
	}
}

// callAttrs name a call in the log. An id that the caller gave it is there for those who
// look for theirs; ours is made here, so that nobody can give two calls the same.
func callAttrs(c echo.Context) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("request_id", c.Response().Header().Get(headerRequestID)), slog.String("method", c.Request().Method), slog.String("path", c.Path()),
	}
	if theirs := c.Request().Header.Get(headerRequestID); callerID.MatchString(theirs) {
		attrs = append(attrs, slog.String("caller_request_id", theirs))
	}
	return attrs
}

// callerID is what ids of calls look like; anything else does not get into the log.
var callerID = regexp.MustCompile(`^[A-Za-z0-9._:=+/-]{1,128}$`)

// location is the address of something, as a path that the outside can use.
func (s *Server) location(parts ...string) *string {
	path := s.prefix + "/v1"
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return &path
}
