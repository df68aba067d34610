package api

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport/gen/doors"
	"sallyport/internal/hook"
)

// doorway serves the calls of third parties. Nothing of them is checked against the
// contract here: what is let in, the door decides.
type doorway struct {
	s    *Server
	info bool // the root tells what the server is
}

// doors registers the doors, of every workspace.
func (s *Server) doors(e *echo.Echo, d doorway) {
	e.Pre(s.inWorkspace)
	doors.RegisterHandlers(e, d)
	// Of repeated parameters PHP takes the last; the generated code refuses them.
	root := func(c echo.Context) error { return d.GetRoot(c, doors.GetRootParams{}) }
	e.GET("/", root)
	e.HEAD("/", root)
	e.POST("/", func(c echo.Context) error { return d.PostAtroCoreDoor(c, doors.PostAtroCoreDoorParams{}) })
}

var _ doors.ServerInterface = doorway{}

// headerHops counts the events that led to a call, one causing the other.
const headerHops = "Sallyport-Hops"

// Paths of doors below the root or a workspace.
const (
	doorPath   = "/in/"
	alumioPath = "/api/v1/webhook/"
)

// inWorkspace takes /w/{workspace} off the paths of doors, before the call is routed. The
// API is not there.
func (s *Server) inWorkspace(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		rest, ok := strings.CutPrefix(u.EscapedPath(), "/w/")
		if !ok {
			return next(c)
		}
		workspace, path, _ := strings.Cut(rest, "/")
		path = "/" + path
		if workspace == "" || path != "/" && !strings.HasPrefix(path, doorPath) && !strings.HasPrefix(path, alumioPath) {
			return next(c)
		}
		plain, err := url.PathUnescape(path)
		if err != nil {
			return next(c)
		}
		if workspace, err = url.PathUnescape(workspace); err != nil {
			return next(c)
		}
		c.Set(workspaceKey, workspace)
		c.Set(pathKey, u.EscapedPath())
		u.Path, u.RawPath = plain, path // in place: the router looks at the request it was given
		return next(c)
	}
}

// Keys of the context of a call below /w/.
const (
	workspaceKey = "door.workspace"
	pathKey      = "door.path"
)

// serve hands a call to its door and writes the answer.
func (d doorway) serve(c echo.Context, profile, code string) error {
	s := d.s
	if s.services.Doors == nil {
		return echo.ErrNotFound
	}
	r := c.Request()
	from := addressOf(r, s.options.TrustedProxies)
	workspace, _ := c.Get(workspaceKey).(string)
	path, ok := c.Get(pathKey).(string)
	if !ok {
		path = r.URL.EscapedPath()
	}
	public := s.options.BaseURL + path
	if profile == hook.DoorAtroCore && strings.HasSuffix(public, "/") {
		public = strings.TrimSuffix(public, "/") // as the door shows its URL
	}
	if r.URL.RawQuery != "" {
		public += "?" + r.URL.RawQuery
	}
	id, err := hook.ParseID(c.Response().Header().Get(headerRequestID))
	if err != nil {
		return err
	}
	if r.Host != "" { // which net/http keeps apart
		r.Header.Set("Host", r.Host)
	}
	body := &callBody{c: c, r: r, control: http.NewResponseController(c.Response()), room: &s.bodies}
	defer body.giveBack()
	answer := s.services.Doors.Serve(r.Context(), &hook.DoorCall{
		ID: id, Workspace: workspace, Profile: profile, Code: strings.TrimSuffix(code, "/"), Method: r.Method,
		Path: s.prefix + path, RawQuery: r.URL.RawQuery, URL: public, Header: r.Header,
		Client: from.client, Peer: from.peer, Forwarded: from.by, Hops: hops(r), Body: body,
	})
	body.leave()
	h := c.Response().Header()
	maps.Copy(h, answer.Header)
	h.Set("Cache-Control", "no-store")
	if answer.Problem != nil {
		return answer.Problem
	}
	if answer.Status == http.StatusNoContent || answer.Status == http.StatusNotModified { // which have no body (RFC 9110 section 6.4.1)
		h.Del("Content-Type")
		return c.NoContent(answer.Status)
	}
	if r.Method == http.MethodHead || len(answer.Body) == 0 {
		return c.NoContent(answer.Status)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	c.Response().WriteHeader(answer.Status)
	_, err = c.Response().Write(answer.Body)
	return err
}

// hops reads how many events led to the call; what is no number counts as none.
func hops(r *http.Request) int {
	text := r.Header.Get(headerHops)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// callBody reads the body of a call with limits of its own: those of the listener are for
// the API.
type callBody struct {
	c       echo.Context
	r       *http.Request
	control *http.ResponseController
	read    bool // to its end
	touched bool
	room    *bodyRoom
	taken   int64 // of the room
}

// doorIdle is how long a caller may pause within a body.
const doorIdle = 30 * time.Second

var errBodyTimeout = hook.Errorf(hook.KindBodyTimeout, "the body did not arrive in time")

// Read returns the whole body as it is on the wire.
func (b *callBody) Read(_ context.Context, limit int64, total time.Duration) ([]byte, error) {
	if b.r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if b.r.ContentLength == 0 {
		b.read = true
		return nil, nil
	}
	b.touched = true
	if b.r.Header.Get("Content-Encoding") != "" && !b.take(limit) { // little may become much
		return nil, errNoRoom
	}
	end := time.Now().Add(total)
	out := make([]byte, 0, min(max(b.r.ContentLength, 512)+1, limit+1, smallBody))
	for {
		if err := b.control.SetReadDeadline(earliest(end, time.Now().Add(doorIdle))); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return nil, err
		}
		if len(out) == cap(out) {
			before := cap(out)
			if out = append(out, 0)[:len(out)]; !b.take(int64(cap(out) - before)) {
				return nil, errNoRoom
			}
		}
		n, err := b.r.Body.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case int64(len(out)) > limit:
			return nil, tooLarge(limit)
		case errors.Is(err, io.EOF):
			b.read = true
			// What reads on in the background must not run into the limits of the body.
			_ = b.control.SetReadDeadline(time.Time{})
			return out, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errBodyTimeout
		case err != nil:
			return nil, &hook.Error{Kind: hook.KindMalformedBody, Detail: "the body ended too early", Err: err}
		}
	}
}

func tooLarge(limit int64) error {
	return hook.Errorf(hook.KindTooLarge, "the body may have at most %d bytes", limit)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Evidence returns what comes of the body within a moment.
func (b *callBody) Evidence(limit int64, total time.Duration) ([]byte, bool) {
	if b.r.ContentLength == 0 {
		b.read = true
		return nil, true
	}
	if b.touched || strings.EqualFold(b.r.Header.Get("Expect"), "100-continue") {
		return nil, false
	}
	b.touched = true
	if err := b.control.SetReadDeadline(time.Now().Add(total)); err != nil {
		return nil, false
	}
	out, err := io.ReadAll(io.LimitReader(b.r.Body, limit+1))
	if int64(len(out)) > limit {
		return out[:limit], false
	}
	b.read = err == nil
	return out, b.read
}

// leave ends the call's reading. What was not read is not waited for: net/http would read
// on for a while before it answers.
func (b *callBody) leave() {
	if b.read || b.r.ContentLength == 0 {
		return
	}
	b.c.Response().Header().Set("Connection", "close")
	_ = b.control.SetReadDeadline(time.Now())
}

func (d doorway) any(c echo.Context, code string) error {
	return d.serve(c, hook.DoorDefault, code)
}

func (d doorway) alumio(c echo.Context, code string) error {
	return d.serve(c, hook.DoorAlumio, code)
}

// entryPoint is what AtroCore's URL names the door with.
const entryPoint = "webhook"

// atrocore answers a door in AtroCore's spelling. Of repeated parameters the last counts,
// as in PHP.
func (d doorway) atrocore(c echo.Context) error {
	code := ""
	if values := c.QueryParams()["code"]; len(values) > 0 {
		code = values[len(values)-1]
	}
	return d.serve(c, hook.DoorAtroCore, code)
}

func atEntryPoint(c echo.Context) bool {
	values := c.QueryParams()["entryPoint"]
	return len(values) > 0 && values[len(values)-1] == entryPoint
}

// GetRoot is a door if the query says so, else what the server is.
func (d doorway) GetRoot(c echo.Context, _ doors.GetRootParams) error {
	if atEntryPoint(c) {
		return d.atrocore(c)
	}
	if c.Get(workspaceKey) != nil || !d.info {
		return echo.ErrNotFound
	}
	return d.s.root(c)
}

// PostAtroCoreDoor answers a door with its code in the query.
func (d doorway) PostAtroCoreDoor(c echo.Context, _ doors.PostAtroCoreDoorParams) error {
	if !atEntryPoint(c) {
		c.Response().Header().Set("Allow", "GET, HEAD")
		return echo.ErrMethodNotAllowed
	}
	return d.atrocore(c)
}

// The methods of a door are its own affair: all are served alike.

// DeleteDoor serves DELETE.
func (d doorway) DeleteDoor(c echo.Context, code doors.ThisCode) error { return d.any(c, code) }

// GetDoor serves GET.
func (d doorway) GetDoor(c echo.Context, code doors.ThisCode) error { return d.any(c, code) }

// HeadDoor serves HEAD.
func (d doorway) HeadDoor(c echo.Context, code doors.ThisCode) error { return d.any(c, code) }

// PatchDoor serves PATCH.
func (d doorway) PatchDoor(c echo.Context, code doors.ThisCode) error { return d.any(c, code) }

// PostDoor serves POST.
func (d doorway) PostDoor(c echo.Context, code doors.ThisCode) error { return d.any(c, code) }

// PutDoor serves PUT.
func (d doorway) PutDoor(c echo.Context, code doors.ThisCode) error { return d.any(c, code) }

// DeleteAlumioDoor serves DELETE.
func (d doorway) DeleteAlumioDoor(c echo.Context, code doors.ThisCode) error {
	return d.alumio(c, code)
}

// GetAlumioDoor serves GET.
func (d doorway) GetAlumioDoor(c echo.Context, code doors.ThisCode) error { return d.alumio(c, code) }

// HeadAlumioDoor serves HEAD.
func (d doorway) HeadAlumioDoor(c echo.Context, code doors.ThisCode) error { return d.alumio(c, code) }

// PatchAlumioDoor serves PATCH.
func (d doorway) PatchAlumioDoor(c echo.Context, code doors.ThisCode) error { return d.alumio(c, code) }

// PostAlumioDoor serves POST.
func (d doorway) PostAlumioDoor(c echo.Context, code doors.ThisCode) error { return d.alumio(c, code) }

// PutAlumioDoor serves PUT.
func (d doorway) PutAlumioDoor(c echo.Context, code doors.ThisCode) error { return d.alumio(c, code) }
