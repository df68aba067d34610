package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport/internal/hook"
)

// Problem is what a kind of error is called over HTTP. The tables on /docs/problems
// and in the README are made from it.
type Problem struct {
	Code   hook.Kind
	Status int
	Title  string
	Advice string // what the caller can do
	// RetryAfter is sent when the error names no time of its own.
	RetryAfter time.Duration
}

// problems is the only place where a kind of error meets an HTTP status.
var problems = []Problem{
	{Code: hook.KindMalformedJSON, Status: 400, Title: "The body is not JSON", Advice: "The detail says at which byte it breaks (RFC 8259, UTF-8)."},
	{Code: hook.KindDuplicateKey, Status: 400, Title: "A key is there twice", Advice: "Programs disagree on which of two equal keys counts, so neither does. Inside an event's entity keys are yours."},
	{Code: hook.KindUnknownParameter, Status: 400, Title: "There is no such query parameter", Advice: "A mistyped filter must not return everything; the detail names the nearest known one."},
	{Code: hook.KindInvalidParameter, Status: 400, Title: "A parameter is not valid", Advice: "`field` names the parameter or header."},
	{Code: hook.KindInvalidCursor, Status: 400, Title: "The cursor is not valid here", Advice: "Send `nextCursor` back unchanged and with the same filters and order."},
	{Code: hook.KindMalformedBody, Status: 400, Title: "The body cannot be read", Advice: "At a door: its parser says what it stumbled over."},
	{Code: hook.KindUnauthorized, Status: 401, Title: "An API key is needed", Advice: "Send `Authorization: Bearer` and a key that exists."},
	{Code: hook.KindKeyExpired, Status: 401, Title: "The API key has expired", Advice: "Use another key, or have this one's `expiresAt` changed."},
	{Code: hook.KindCredentialsRefused, Status: 401, Title: "The credentials are missing or wrong", Advice: "At a door: `WWW-Authenticate` says which it wants."},
	{Code: hook.KindForbidden, Status: 403, Title: "The API key may not do this", Advice: "The detail says which role may."},
	{Code: hook.KindWorkspaceDenied, Status: 403, Title: "The API key belongs to another workspace", Advice: "Leave `Sallyport-Workspace` out, or use a key of that workspace."},
	{Code: hook.KindIPNotAllowed, Status: 403, Title: "The address may not call", Advice: "Compare the address in the detail with the door's list; behind a proxy that proxy must be trusted."},
	{Code: hook.KindHashMissing, Status: 403, Title: "There is no hash", Advice: "Send it where the door looks for it: the query parameter `hash` unless configured otherwise."},
	{Code: hook.KindHashMismatch, Status: 403, Title: "The hash is wrong", Advice: "Check the secret, the time zone and the caller's clock. `POST /v1/requests/{request}/verify`, by whoever has the door, says what the hash seems to be; `POST /v1/templates/render` shows what a template makes."},
	{Code: hook.KindSignatureMissing, Status: 403, Title: "There is no signature", Advice: "The sender must sign; the door's preset says how."},
	{Code: hook.KindSignatureMismatch, Status: 403, Title: "The signature is wrong", Advice: "Check the secret, and that nothing on the way changes the body."},
	{Code: hook.KindSignatureExpired, Status: 403, Title: "The signature is too old", Advice: "Send again with a new one, and check the clock."},
	{Code: hook.KindPreProcessor, Status: 403, Title: "A check did not pass", Advice: "The door's record of the call says which."},
	{Code: hook.KindDuplicateRefused, Status: 403, Title: "The call was accepted before", Advice: "Nothing is to be done: the first one counts."},
	{Code: hook.KindLoopDetected, Status: 403, Title: "The call goes in circles", Advice: "It came through eight doors and actions of ours: find the action that calls the door it runs for."},
	{Code: hook.KindNotFound, Status: 404, Title: "There is no such thing", Advice: "Ids and codes are looked up in the key's workspace only."},
	{Code: hook.KindMethodNotAllowed, Status: 405, Title: "The method does not work here", Advice: "`Allow` lists those that do."},
	{Code: hook.KindBodyTimeout, Status: 408, Title: "The body came too slowly", Advice: "Send it faster, or have the door's `bodyTimeout` raised."},
	{Code: hook.KindCodeTaken, Status: 409, Title: "The code is taken", Advice: "`owner` is the id of who has it; codes are unique without regard to case."},
	{Code: hook.KindNameTaken, Status: 409, Title: "The name is taken", Advice: "`owner` is the id of who has it."},
	{Code: hook.KindEventIDReused, Status: 409, Title: "The event id was used for other content", Advice: "An id stands for one event for seven days unless configured otherwise; give the new event an id of its own."},
	{Code: hook.KindIdempotencyBusy, Status: 409, Title: "The first call with this Idempotency-Key is still running", Advice: "Wait and repeat the call.", RetryAfter: time.Second},
	{Code: hook.KindDeliveryRunning, Status: 409, Title: "The delivery is being sent", Advice: "Wait for the attempt to end.", RetryAfter: time.Second},
	{Code: hook.KindInvalidState, Status: 409, Title: "Not possible in the present state", Advice: "Look at the present state first."},
	{Code: hook.KindInUse, Status: 409, Title: "Something still needs it", Advice: "`usedBy` lists what."},
	{Code: hook.KindCursorExpired, Status: 410, Title: "The cursor is older than what is kept", Advice: "The detail says of which time events may be missing; begin again with `since`, and fetch at least once in every retention."},
	{Code: hook.KindPrecondition, Status: 412, Title: "The precondition does not hold", Advice: "Somebody changed it meanwhile: read it again, and repeat with its new `ETag`."},
	{Code: hook.KindTooLarge, Status: 413, Title: "The body is too large", Advice: "The detail says how large it may be."},
	{Code: hook.KindTooManyItems, Status: 413, Title: "Too many items", Advice: "Send several batches, or have the door's `maxItems` raised."},
	{Code: hook.KindUnsupportedMedia, Status: 415, Title: "The content type is not supported", Advice: "Send `Content-Type: application/json`; `curl -d` does not, `curl --json` does."},
	{Code: hook.KindUnsupportedCoding, Status: 415, Title: "The content encoding is not supported", Advice: "Send the body as it is, without `Content-Encoding`."},
	{Code: hook.KindInvalid, Status: 422, Title: "The request is not valid", Advice: "`errors` has every fault with its place and a code of its own."},
	{Code: hook.KindSchemaMismatch, Status: 422, Title: "The entity breaks its event type's schema", Advice: "`errors` says where."},
	{Code: hook.KindIdempotencyReused, Status: 422, Title: "The Idempotency-Key was used for another request", Advice: "Use a new key for a new request."},
	{Code: hook.KindTemplateSyntax, Status: 422, Title: "The template cannot be read", Advice: "`line` and `column` say where; the language is Twig."},
	{Code: hook.KindTemplateRuntime, Status: 422, Title: "The template cannot be evaluated", Advice: "`line` and `column` say where it stopped with these values."},
	{Code: hook.KindTemplateLimit, Status: 422, Title: "The template takes too much", Advice: "The detail says of what: source, output, time, steps or memory."},
	{Code: hook.KindRateLimited, Status: 429, Title: "Too many requests", Advice: "Wait as long as `Retry-After` says.", RetryAfter: time.Second},
	{Code: hook.KindInternal, Status: 500, Title: "Something went wrong here", Advice: "The server's log has more under the `requestId`."},
	{Code: hook.KindActionFailed, Status: 502, Title: "An action failed", Advice: "The call is stored, and the action is tried again by itself: do not send it again."},
	{Code: hook.KindUnavailable, Status: 503, Title: "Not available now", Advice: "Repeat later; an event with the same id, since it may have been stored after all.", RetryAfter: 2 * time.Second},
	{Code: hook.KindQueueFull, Status: 503, Title: "Too many deliveries wait", Advice: "The workspace's limit of pending deliveries is reached; repeat later.", RetryAfter: 10 * time.Second},
	{Code: hook.KindShuttingDown, Status: 503, Title: "This node is stopping", Advice: "Repeat: another node, or this one after its restart, answers.", RetryAfter: 2 * time.Second},
	{Code: hook.KindStorageFull, Status: 503, Title: "The disk is nearly full", Advice: "Nothing was stored; the operator must make room.", RetryAfter: time.Minute},
}

// faultCodes are the codes within `errors` of validation_failed.
var faultCodes = []struct{ Code, Meaning string }{
	{"required", "A field is missing."},
	{"unknown_field", "There is no such field."},
	{"invalid_format", "Wrong type, form or value."},
	{"invalid_duration", "Not a duration such as 500ms, 30s, 5m, 1h30m or 7d."},
	{"out_of_range", "A number or duration is too small or too large."},
	{"too_short", "A text or list is too short."},
	{"too_long", "A text or list is too long."},
	{"empty_secret", "A secret is null or empty; leave it out to keep it, remove it with its own call."},
	{"empty_event_types", "`eventTypes` is null or empty; leave it out or send [\"*\"] for all."},
	{"unknown_event_type", "The workspace is strict, and its catalogue has no such event type."},
	{"template_syntax", "The expression cannot be read; the detail says where."},
	{"template_runtime", "The template cannot be evaluated; the detail says where it stopped."},
	{"template_limit", "The template takes too much; the detail says of what."},
	{"reserved_header", "The header is set by the profile or by HTTP itself."},
	{"invalid_url", "Not an absolute URL, or one with user and password."},
	{"url_not_allowed", "The egress guard forbids the address."},
	{"unknown_action", "There is no action with that code."},
	{"invalid_cidr", "Not an address or a range such as 203.0.113.0/24."},
	{"template_renders_empty", "The template renders nothing, which everybody could send."},
	{"no_mail_server", "Mail is asked for, and the installation has no mail server."},
	{"code_mismatch", "`id` or `code` contradicts the path."},
}

// Problems is the table, in order of status.
func Problems() []Problem { return append([]Problem(nil), problems...) }

var byKind = func() map[hook.Kind]Problem {
	m := make(map[hook.Kind]Problem, len(problems))
	for _, p := range problems {
		m[p.Code] = p
	}
	return m
}()

// problemOf returns the table's entry, internal for kinds it does not know.
func problemOf(k hook.Kind) Problem {
	if p, ok := byKind[k]; ok {
		return p
	}
	return byKind[hook.KindInternal]
}

// problemJSON is the body of an error (RFC 9457).
type problemJSON struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Code      hook.Kind   `json:"code"`
	Detail    string      `json:"detail,omitempty"`
	Field     string      `json:"field,omitempty"`
	Line      int         `json:"line,omitempty"`
	Column    int         `json:"column,omitempty"`
	RequestID string      `json:"requestId"`
	Errors    []faultJSON `json:"errors,omitempty"`
	UsedBy    []string    `json:"usedBy,omitempty"`
	Owner     string      `json:"owner,omitempty"`
}

type faultJSON struct {
	Pointer string `json:"pointer"`
	Field   string `json:"field"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// problem makes the body for an error. Of an internal one it tells nothing.
func (s *Server) problem(err error, requestID string) (problemJSON, time.Duration) {
	var e *hook.Error
	if !errors.As(err, &e) {
		e = &hook.Error{Kind: hook.KindInternal}
	}
	p := problemOf(e.Kind)
	j := problemJSON{
		Type: s.options.BaseURL + "/docs/problems#" + string(p.Code), Title: p.Title, Status: p.Status, Code: p.Code, RequestID: requestID,
	}
	if p.Code == hook.KindInternal {
		return j, 0
	}
	j.Line, j.Column = e.Line, e.Column
	j.Detail, j.Field, j.UsedBy, j.Owner = e.Detail, e.Field, e.UsedBy, e.Owner
	j.Errors = faultsJSON(e.Faults)
	if j.Field == "" && len(e.Faults) > 0 {
		j.Field = e.Faults[0].Field
	}
	wait := e.RetryAfter
	if wait == 0 {
		wait = p.RetryAfter
	}
	return j, wait
}

func faultsJSON(faults []hook.Fault) (out []faultJSON) {
	for _, f := range faults {
		out = append(out, faultJSON{Pointer: pointer(f.Field), Field: f.Field, Code: f.Code, Detail: f.Detail})
	}
	return out
}

// pointer turns retry.schedule[2] into /retry/schedule/2 (RFC 6901).
func pointer(field string) string {
	if field == "" {
		return ""
	}
	field = strings.NewReplacer("~", "~0", "/", "~1").Replace(field)
	field = strings.NewReplacer("[", ".", "]", "").Replace(field)
	return "/" + strings.ReplaceAll(strings.TrimPrefix(field, "."), ".", "/")
}

// handleError is echo's error handler: whatever a handler, the router or the binder
// returns leaves as a problem.
func (s *Server) handleError(err error, c echo.Context) {
	err = s.kindly(err, c)
	id := c.Response().Header().Get(headerRequestID)
	if hook.KindOf(err) == hook.KindInternal {
		level := slog.LevelError
		if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
			level = slog.LevelDebug // the caller hung up: nobody reads the answer
		}
		s.log.LogAttrs(c.Request().Context(), level, "http.failed", append(callAttrs(c), slog.Any("error", err))...)
	}
	if c.Response().Committed {
		return
	}
	j, wait := s.problem(err, id)
	h := c.Response().Header()
	for _, name := range []string{"Etag", "Location", "Content-Length", "Content-Disposition"} {
		h.Del(name)
	}
	if j.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" { // a door has said what it wants
		h.Set("WWW-Authenticate", `Bearer realm="sallyport"`)
	}
	if wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	body, err := json.Marshal(j)
	if err != nil {
		s.log.ErrorContext(c.Request().Context(), "http.failed", "error", err)
		return
	}
	if c.Request().Method == http.MethodHead {
		body = nil
	}
	if err := c.Blob(j.Status, "application/problem+json", body); err != nil {
		s.log.DebugContext(c.Request().Context(), "http.unanswered", "request_id", id, "error", err)
	}
}

// kindly gives errors of echo, net/http and the generated code a kind.
func (s *Server) kindly(err error, c echo.Context) error {
	var (
		known   *hook.Error
		byEcho  *echo.HTTPError
		tooLong *http.MaxBytesError
	)
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &tooLong):
		return hook.Errorf(hook.KindTooLarge, "the body may have at most %d bytes", tooLong.Limit)
	case errors.Is(err, context.DeadlineExceeded):
		return &hook.Error{Kind: hook.KindUnavailable, Detail: "the answer took too long", Err: err}
	case errors.As(err, &byEcho):
		switch byEcho.Code {
		case http.StatusNotFound:
			return hook.Errorf(hook.KindNotFound, "there is nothing at %s; /docs lists what there is", c.Request().URL.Path)
		case http.StatusMethodNotAllowed:
			return hook.Errorf(hook.KindMethodNotAllowed, "%s does not work at %s; Allow lists what does", c.Request().Method, c.Request().URL.Path)
		case http.StatusBadRequest:
			// The generated code tells of a header that is there several times in these words.
			if rest, ok := strings.CutPrefix(fmt.Sprint(byEcho.Message), "Expected one value for "); ok {
				name, _, _ := strings.Cut(rest, ",")
				return invalidParameter(name, name+" is there twice")
			}
			return &hook.Error{Kind: hook.KindInvalidParameter, Detail: "a parameter is not valid", Err: err}
		}
	}
	return err
}
