package inbound

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/parse"
	"sallyport/internal/preset"
)

// judged is a call while its door looks at it.
type judged struct {
	doors *Doors
	door  *door
	call  *hook.DoorCall
	now   time.Time // when it came

	raw     []byte             // the body as it came
	body    []byte             // without what is hidden in it
	secrets []hook.HiddenValue // of the body
	hasBody bool               // it was read
	whole   bool               // all of it
	counted bool               // against the rate limit
	was     hook.Verdict       // on a recorded request
	looked  bool               // whether the configuration that refused it is the present one

	request *hook.Request // as it will be recorded and as templates see it
	signed  *preset.Request
	shown   *hook.Request
	parsed  []parsed
	kept    map[string]any // what templates see of it
	answer  *preset.Answer // of a handshake
	routed  []routed       // of routes that did not lead on
}

type parsed struct {
	parser *parse.Parser
	result *parse.Result
	err    error
}

// usualChecks is how many checks most calls have: known, active, method, hash, parse and a
// pre-processor or two.
const usualChecks = 8

// note adds a check that passed, or the refusal.
func (j *judged) note(name string, r *refusal) bool {
	c := hook.Check{Name: name, Result: hook.CheckPassed}
	if r != nil {
		c.Result, c.Detail = hook.CheckFailed, r.detail
	}
	if j.request.Checks == nil {
		j.request.Checks = make([]hook.Check, 0, usualChecks)
	}
	j.request.Checks = append(j.request.Checks, c)
	return r == nil
}

// before makes the checks that need no body.
func (d *Doors) before(j *judged) *refusal {
	x, c := j.door, j.call
	if !j.note("active", inactive(x)) {
		return refuse(hook.KindNotFound, "the incoming webhook is disabled")
	}
	if x.fault != nil {
		d.log.Error("door.unusable", "incoming_webhook_id", x.ID, "error", x.fault)
		r := refuse(hook.KindUnavailable, "the incoming webhook cannot be used: %v", x.fault)
		j.note("configuration", r)
		return r
	}
	var r *refusal
	if !slices.Contains(x.methods, c.Method) && !slices.Contains(x.shaking, c.Method) {
		r = refuse(hook.KindMethodNotAllowed, "%s is not among %s", c.Method, strings.Join(x.methods, ", "))
	}
	if !j.note("method", r) {
		return r
	}
	if len(x.allow) > 0 {
		if !within(c.Client, x.allow) {
			r = refuse(hook.KindIPNotAllowed, "the address %s is not on the list", c.Client)
		}
		if !j.note("ip", r) {
			return r
		}
	}
	if c.Hops >= hook.MaxHops {
		r = refuse(hook.KindLoopDetected, "%d events led to this call, one causing the other; look for a webhook that calls this door", c.Hops)
		j.note("loop", r)
	}
	return r
}

func inactive(x *door) *refusal {
	if x.State() == hook.TargetActive {
		return nil
	}
	return refuse(hook.KindNotFound, "it is disabled")
}

// after makes the checks of a call whose body is known. A handshake ends them with its
// answer.
func (d *Doors) after(j *judged) *refusal {
	x := j.door
	for i, v := range x.signed {
		answer, err := v.Handshake(j.presetRequest())
		if err != nil {
			r := signatureRefusal(err)
			j.note("handshake", r)
			return r
		}
		if answer != nil {
			j.answer = answer
			j.note("handshake", nil)
			return nil
		}
		if i == len(x.signed)-1 && !slices.Contains(x.methods, j.call.Method) {
			r := refuse(hook.KindMethodNotAllowed, "%s is let in for handshakes only, and this is none", j.call.Method)
			j.note("handshake", r)
			return r
		}
	}
	if x.hash != nil {
		r := j.checkHash()
		if !j.note("hash", r) {
			return r
		}
	}
	for _, c := range x.checks {
		r := c.run(j)
		if !j.note(c.name, r) {
			return r
		}
	}
	return nil
}

func (j *judged) checkHash() *refusal {
	given, detail, ok := j.door.hash.given(j.call)
	if !ok {
		if detail == "" {
			detail = "there is no hash"
		}
		return refuse(hook.KindHashMissing, "%s", detail)
	}
	offset, ok := j.door.hash.match(given, j.now)
	if !ok {
		if fault := j.door.hash.at(j.now).fault; fault != "" {
			return refuse(hook.KindHashMismatch, "%s", fault)
		}
		if t := j.door.HashTolerance; t > 0 && !j.door.hash.static {
			return refuse(hook.KindHashMismatch, "no instant within %s matched", hook.FormatDuration(t))
		}
		return refuse(hook.KindHashMismatch, "it is another")
	}
	j.request.ClockOffset = &offset
	if j.door.hash.static {
		j.request.ClockOffset = nil
	}
	return nil
}

// parameter is a query parameter, of which there may be one.
func (j *judged) parameter(name string) (string, bool, error) {
	value, count := "", 0
	for n, v := range queryPairs(j.call.RawQuery) {
		if n == name {
			value = v
			count++
		} else if bracketless(n) == name && bracketless(name) == name {
			count += 2 // templates see the list in its place
		}
	}
	if count > 1 {
		return "", false, errors.New("the query parameter " + name + " is there more than once")
	}
	return value, count == 1, nil
}

func (j *judged) basicAuth() (user, password string, ok bool) {
	r := http.Request{Header: j.call.Header}
	return r.BasicAuth()
}

// items parses the body, with each parser once.
func (j *judged) items(p *parse.Parser) (*parse.Result, error) {
	for i := range j.parsed {
		if known := &j.parsed[i]; known.parser == p {
			return known.result, known.err
		}
	}
	result, err := p.Parse(j.input())
	j.parsed = append(j.parsed, parsed{p, result, err})
	return result, err
}

func (j *judged) input() parse.Input {
	return parse.Input{ContentType: j.call.Header.Get("Content-Type"), RawQuery: j.recorded().ShownQuery(), Body: j.body}
}

// parsedBody is the body as JSON as the door's own parser reads it, nil if it cannot.
func (j *judged) parsedBody() []byte {
	r, err := j.items(j.door.parser)
	if err != nil {
		return nil
	}
	return r.BodyJSON()
}

// scene is what templates see of the call.
func (j *judged) scene(item []byte) *Scene {
	if j.kept == nil {
		j.kept = make(map[string]any, 2)
	}
	return &Scene{Request: j.recorded(), Body: j.parsedBody, Door: j.door.IncomingWebhook, Item: item, Now: j.now, Kept: j.kept}
}

// recorded is the request with headers, body and all, but for what is hidden.
func (j *judged) recorded() *hook.Request {
	if j.shown == nil {
		r := *j.request
		r.Headers, r.RawQuery, r.Hidden = j.door.hide.redact(j.call, nil)
		r.Hidden = append(r.Hidden, j.secrets...)
		r.Body = bodyOf(j.body, j.whole)
		j.shown = &r
	}
	return j.shown
}

// setBody takes the body that came.
func (j *judged) setBody(raw []byte, whole bool) {
	j.raw, j.whole = raw, whole
	j.body, j.secrets = j.door.hide.redactBody(j.call, raw)
}

// bodyOf is what is kept of a body. The digest of a whole one can be made of it.
func bodyOf(b []byte, whole bool) hook.Body {
	return hook.Body{Bytes: b, Size: int64(len(b)), Truncated: !whole}
}
