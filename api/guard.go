package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
)

// call is what the guard found out about a call, for the handler.
type call struct {
	principal hook.Principal
	request   hook.ID // id of the call
	address   address
	body      []byte // JSON in good form; its fields are for whoever reads it; nil for none
	page      hook.Page
	after     string // of lists by key: the last key seen
	since     time.Time
	until     time.Time
	asked     string // what a cursor belongs to
	http      *http.Request
}

// actor is who is on record for what the call changes.
func (cl *call) actor() hook.Actor {
	p := cl.principal
	a := hook.Actor{Kind: hook.ActorKey, Key: p.Key, Code: p.KeyCode, Name: p.KeyName, Role: p.Role, RequestID: cl.request}
	if cl.address.client.IsValid() {
		a.ClientAddress = cl.address.client.String()
	}
	return a
}

type callKey struct{}

// callOf returns what the guard left for the handler.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func stack() string { return string(debug.Stack()) }

// guard checks a call against the contract before its handler runs: who calls, whether
// the role may, the parameters, the form of the body. Calls that create and bring an
// Idempotency-Key are run once.
func (s *Server) guard(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !s.services.serve(op.id) {
				return echo.ErrNotFound
			}
			r := c.Request()
			workspace := ""
			if op.header["Sallyport-Workspace"] != nil {
				workspace = r.Header.Get("Sallyport-Workspace")
			}
			p, err := s.admit(r, op.id, workspace)
			if err != nil {
				return err
			}
			query, err := checkParameters(op, c)
			if err != nil {
				return err
			}
			cl := &call{principal: p, request: requestID(c), address: addressOf(r, s.options.TrustedProxies), http: r}
			if op.query["limit"] != nil {
				if err := cl.paging(op, p, r.URL.Path, query); err != nil {
					return err
				}
			}
			if op.body != nil {
				if cl.body, err = s.readJSON(c, op); err != nil {
					return err
				}
			}
			ctx := context.WithValue(r.Context(), callKey{}, cl)
			if op.method != http.MethodGet {
				ctx = hook.WithActor(ctx, cl.actor())
			}
			c.SetRequest(r.WithContext(ctx))
			if key := r.Header.Get("Idempotency-Key"); key != "" && op.header["Idempotency-Key"] != nil {
				return s.once(c, cl, key, next)
			}
			return next(c)
		}
	}
}

func requestID(c echo.Context) hook.ID {
	id, _ := hook.ParseID(c.Response().Header().Get(headerRequestID))
	return id
}

// admit finds out who calls and whether the role may.
func (s *Server) admit(r *http.Request, op, workspace string) (hook.Principal, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return hook.Principal{}, hook.Errorf(hook.KindUnauthorized, "send Authorization: Bearer and an API key")
	}
	scheme, key, _ := strings.Cut(header, " ")
	if key = strings.TrimSpace(key); !strings.EqualFold(scheme, "Bearer") || key == "" {
		return hook.Principal{}, hook.Errorf(hook.KindUnauthorized, "the Authorization header must be Bearer and an API key")
	}
	p, err := s.services.Gate.Authenticate(r.Context(), key, workspace)
	if err != nil {
		return hook.Principal{}, err
	}
	return p, allow(op, p)
}

// checkParameters holds path, query and headers against the contract.
func checkParameters(op *operation, c echo.Context) (url.Values, error) {
	for _, name := range c.ParamNames() {
		value := c.Param(name)
		if value == "" || strings.HasSuffix(value, "/") {
			return nil, echo.ErrNotFound
		}
		if c.Request().URL.RawPath != "" { // else the router has unescaped it
			var err error
			if value, err = url.PathUnescape(value); err != nil {
				return nil, echo.ErrNotFound
			}
		}
		if !isText(value) {
			return nil, hook.NotFound(name, value)
		}
		if p := op.inPath[name]; p != nil && p.Schema.Value.Format == "uuid" && !hook.IsID(value) {
			return nil, hook.NotFound(name, value)
		}
	}
	// URL.Query leaves out what it cannot read; a filter that is left out returns everything.
	if _, err := url.ParseQuery(c.Request().URL.RawQuery); err != nil {
		return nil, hook.Errorf(hook.KindInvalidParameter, "the query string is broken: %v", err)
	}
	query := c.QueryParams()
	for name, values := range query {
		if op.query[name] == nil {
			return nil, unknownParameter(name, op.names)
		}
		if slices.ContainsFunc(values, func(s string) bool { return !isText(s) }) {
			return nil, invalidParameter(name, name+" must be UTF-8 without NUL")
		}
	}
	for _, name := range op.names {
		p := op.query[name]
		values, given := query[name]
		if !given {
			if p.Required {
				return nil, invalidParameter(name, name+" is required")
			}
			continue
		}
		if err := checkParameter(p, values); err != nil {
			return nil, err
		}
	}
	for name, p := range op.header {
		values := c.Request().Header[name]
		if len(values) > 1 {
			return nil, invalidParameter(p.Name, p.Name+" is there twice")
		}
		if len(values) == 1 {
			if faults := faultsOf(p.Schema.Value, values[0], p.Name); len(faults) > 0 {
				return nil, invalidParameter(p.Name, faults[0].Detail)
			}
		}
	}
	return query, nil
}

// isText reports whether a database can look for s: Postgres refuses to be asked for bytes
// that no text of its can have.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func unknownParameter(name string, known []string) error {
	detail := "there is no parameter " + strconv.Quote(name)
	if near := nearest.Name(name, known); near != "" {
		detail += "; did you mean " + near + "?"
	} else if len(known) > 0 {
		detail += "; there are " + strings.Join(known, ", ")
	} else {
		detail += ", nor any other"
	}
	e := hook.Errorf(hook.KindUnknownParameter, "%s", detail)
	e.Field = name
	return e
}

func invalidParameter(name, detail string) error {
	e := hook.Errorf(hook.KindInvalidParameter, "%s", detail)
	e.Field = name
	return e
}

// checkParameter checks the values of a query parameter, and mends times in place.
func checkParameter(p *openapi3.Parameter, values []string) error {
	schema := p.Schema.Value
	if schema.Type.Is("array") {
		schema = schema.Items.Value
	} else if len(values) > 1 {
		return invalidParameter(p.Name, p.Name+" is there twice")
	}
	for i, text := range values {
		if schema.Format == "date-time" {
			// A plus sign that was not escaped arrives as a space; no time has one here.
			text = strings.Replace(text, " ", "+", 1)
			values[i] = text
		}
		var value any = text
		switch {
		case schema.Type.Is("integer"):
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return invalidParameter(p.Name, p.Name+" must be a whole number")
			}
			value = float64(n)
		case schema.Type.Is("boolean"):
			if text != "true" && text != "false" {
				return invalidParameter(p.Name, p.Name+" must be true or false")
			}
			continue
		case schema.Format == "date-time":
			if _, err := hook.ParseTime(text); err != nil {
				return invalidParameter(p.Name, err.Error())
			}
			continue
		case schema.Format == "uuid":
			if !hook.IsID(text) {
				return invalidParameter(p.Name, strconv.Quote(text)+" is not an id")
			}
			continue
		}
		if faults := faultsOf(schema, value, p.Name); len(faults) > 0 {
			return invalidParameter(p.Name, faults[0].Detail)
		}
	}
	return nil
}

// paging reads the parameters that all lists have, already checked.
func (cl *call) paging(op *operation, p hook.Principal, path string, query url.Values) error {
	cl.page = hook.Page{Limit: 100, Asc: query.Get("order") == "asc"}
	if text := query.Get("limit"); text != "" {
		cl.page.Limit, _ = strconv.Atoi(text)
	}
	cl.since, _ = hook.ParseTime(query.Get("since"))
	cl.until, _ = hook.ParseTime(query.Get("until"))

	if op.byPosition {
		return nil // the handler reads the cursor, which belongs to no query
	}
	rest := url.Values{}
	for name, values := range query {
		if name != "limit" && name != "cursor" {
			sorted := slices.Clone(values)
			slices.Sort(sorted)
			rest[name] = sorted
		}
	}
	cl.asked = strings.Join([]string{op.id, p.Workspace.String(), path, rest.Encode()}, "\n")
	if text, given := query["cursor"]; given {
		last, err := decodeCursor(text[0], cl.asked)
		if err != nil {
			return err
		}
		if op.byKey || byCode(query) {
			cl.after = string(last)
			return nil
		}
		if len(last) != len(cl.page.After) {
			return invalidCursor("the cursor is not one of ours")
		}
		copy(cl.page.After[:], last)
	}
	return nil
}

// readJSON reads a body and checks its form: size, encoding, media type, JSON without
// repeated keys. Its fields are checked by the one who reads them: two readers would tell
// of their faults in two rounds.
func (s *Server) readJSON(c echo.Context, op *operation) ([]byte, error) {
	r := c.Request()
	if err := checkEncoding(r); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.options.MaxBodyBytes))
	if err != nil {
		return nil, readError(err)
	}
	if len(body) == 0 && !op.needed {
		return nil, nil
	}
	if err := checkMedia(r, op.media); err != nil {
		return nil, err
	}
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	return body, nil
}

// readError explains why a body could not be read.
func readError(err error) error {
	if _, tooLarge := err.(*http.MaxBytesError); tooLarge { //nolint:errorlint // it comes unwrapped
		return err
	}
	return &hook.Error{Kind: hook.KindMalformedJSON, Detail: "the body ended too early", Err: err}
}

// checkMedia refuses what does not say it is JSON. Saying nothing counts as JSON.
func checkMedia(r *http.Request, among []string) error {
	header := r.Header.Get("Content-Type")
	if header == "" || slices.Contains(among, mediaType(header)) {
		return nil
	}
	detail := "the content type is " + strconv.Quote(mediaType(header)) + "; send Content-Type: " + among[0]
	if mediaType(header) == "application/x-www-form-urlencoded" {
		detail += " (curl: --json instead of -d)"
	}
	e := hook.Errorf(hook.KindUnsupportedMedia, "%s", detail)
	e.Field = "Content-Type"
	return e
}

func checkEncoding(r *http.Request) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return hook.Errorf(hook.KindUnsupportedCoding, "the content encoding %q is not supported; send the body as it is", e)
	}
	return nil
}
