package inbound

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"sallyport/internal/hook"
)

// What AtroCore answers, to the byte.
const (
	atroNotFound = "<h1>404 Not Found</h1>The page that you have requested could not be found."
	atroOK       = "OK"
)

// notFound is what a call of an unknown code is answered, and whatever a uniform door
// refuses.
func notFound(c *hook.DoorCall) hook.DoorAnswer {
	if c.Profile == hook.DoorAtroCore {
		return hook.DoorAnswer{
			Status: http.StatusNotFound, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}, Body: []byte(atroNotFound),
		}
	}
	return hook.DoorAnswer{Problem: hook.Errorf(hook.KindNotFound, "there is no such incoming webhook")}
}

// masked are the refusals that a uniform door does not tell apart. Those that a sender
// must be able to act on are told in any case.
func masked(k hook.Kind) bool {
	switch k { //nolint:exhaustive // kinds are open
	case hook.KindTooLarge, hook.KindBodyTimeout, hook.KindRateLimited, hook.KindUnavailable, hook.KindUnsupportedCoding, hook.KindTooManyItems:
		return false
	}
	return true
}

// refusalAnswer tells a caller little: a code.
func (d *Doors) refusalAnswer(j *judged, r *refusal, problem error) hook.DoorAnswer {
	x := j.door
	if x.Refusal == hook.RefusalUniform && masked(r.kind) || x.Profile == hook.DoorAtroCore && masked(r.kind) || r.kind == hook.KindNotFound {
		return notFound(j.call)
	}
	if problem != nil {
		return hook.DoorAnswer{Problem: problem}
	}
	kind := cmp.Or(r.told, r.kind)
	answer := hook.DoorAnswer{Problem: &hook.Error{Kind: kind, Detail: refusalTexts[kind]}}
	switch kind { //nolint:exhaustive // the others need no header
	case hook.KindMethodNotAllowed:
		answer.Header = http.Header{"Allow": {strings.Join(x.methods, ", ")}}
	case hook.KindCredentialsRefused:
		answer.Header = http.Header{"Www-Authenticate": {challenge(x)}}
	}
	return answer
}

// challenge names the credentials that the door wants (RFC 9110 section 11.6.1).
func challenge(x *door) string {
	for _, p := range x.PreProcessors {
		if p.Type == "basicAuth" {
			return `Basic realm="` + x.Code + `"`
		}
	}
	return "Bearer"
}

// refusalTexts are what a caller is told of a refusal; why exactly stands in the history.
var refusalTexts = map[hook.Kind]string{
	hook.KindMethodNotAllowed:   "this door takes another method",
	hook.KindIPNotAllowed:       "calls from this address are not let in",
	hook.KindHashMissing:        "the hash is missing",
	hook.KindHashMismatch:       "the hash is another",
	hook.KindSignatureMissing:   "the signature is missing",
	hook.KindSignatureMismatch:  "the signature does not match",
	hook.KindSignatureExpired:   "the signature is too old, or the clock is wrong",
	hook.KindCredentialsRefused: "the credentials are missing or others",
	hook.KindPreProcessor:       "the request is not what this door takes",
	hook.KindDuplicateRefused:   "this request was accepted before",
	hook.KindLoopDetected:       "too many events have led to this call, one causing the other",
	hook.KindUnavailable:        "this door cannot be used now",
}

func statusOf(a hook.DoorAnswer) int {
	if a.Problem == nil {
		return a.Status
	}
	return statuses[hook.KindOf(a.Problem)]
}

// statuses are recorded with refused requests. The edge decides what is answered; a test
// holds the two together.
var statuses = map[hook.Kind]int{
	hook.KindNotFound: 404, hook.KindMethodNotAllowed: 405, hook.KindIPNotAllowed: 403, hook.KindHashMissing: 403,
	hook.KindHashMismatch: 403, hook.KindSignatureMissing: 403, hook.KindSignatureMismatch: 403, hook.KindSignatureExpired: 403,
	hook.KindCredentialsRefused: 401, hook.KindPreProcessor: 403, hook.KindDuplicateRefused: 403, hook.KindLoopDetected: 403,
	hook.KindMalformedBody: 400, hook.KindTooLarge: 413, hook.KindTooManyItems: 413, hook.KindBodyTimeout: 408,
	hook.KindUnsupportedMedia: 415, hook.KindUnsupportedCoding: 415, hook.KindRateLimited: 429, hook.KindUnavailable: 503,
	hook.KindActionFailed: 502, hook.KindQueueFull: 503, hook.KindShuttingDown: 503, hook.KindStorageFull: 503,
}

// acceptedStatus is what an accepted call is answered, unless an action that is waited for
// fails.
func acceptedStatus(x *door) int {
	if x.Response.Status != 0 {
		return x.Response.Status
	}
	if x.Profile == hook.DoorAtroCore {
		return http.StatusOK
	}
	return http.StatusAccepted
}

// accepted answers a call that is stored.
func (d *Doors) accepted(j *judged, r *hook.Request, duplicate bool, results ...Result) hook.DoorAnswer {
	x := j.door
	answer := hook.DoorAnswer{Status: acceptedStatus(x)}
	switch {
	case x.Response.Body != nil:
		scene := j.scene(nil)
		scene.Results = results
		text, err := d.templates.Render(*x.Response.Body, scene)
		if err != nil {
			// The request is stored: a broken answer must not have it sent again.
			d.log.Warn("door.answer", "incoming_webhook_id", x.ID, "error", err)
			return d.plainReceipt(r, duplicate)
		}
		answer.Body = []byte(text)
		answer.Header = http.Header{"Content-Type": {contentType(answer.Body)}}
	case x.Profile == hook.DoorAtroCore:
		answer.Body = []byte(atroOK)
		answer.Header = http.Header{"Content-Type": {"text/plain;charset=UTF-8"}}
	default:
		plain := d.plainReceipt(r, duplicate)
		answer.Body, answer.Header = plain.Body, plain.Header
	}
	for _, h := range x.Response.Headers {
		answer.Header.Set(h.Name, string(h.Value))
	}
	return answer
}

// plainReceipt is the answer of a call that is stored unless its door has one of its own.
func (d *Doors) plainReceipt(r *hook.Request, duplicate bool) hook.DoorAnswer {
	id, _ := r.ID.MarshalText() // never fails
	body := append(make([]byte, 0, 128), `{"requestId":"`...)
	body = append(body, id...)
	body = strconv.AppendInt(append(body, `","events":`...), int64(r.Events), 10)
	body = strconv.AppendInt(append(body, `,"deliveries":`...), int64(r.Deliveries), 10)
	if duplicate {
		body = append(body, `,"duplicate":true`...)
	}
	return hook.DoorAnswer{
		Status: http.StatusAccepted, Header: http.Header{"Content-Type": {"application/json"}}, Body: append(body, "}\n"...),
	}
}

// contentType of a rendered answer that names none: JSON if it is some.
func contentType(body []byte) string {
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') && json.Valid(body) {
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}
