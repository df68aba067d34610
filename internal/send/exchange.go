package send

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
)

// Request is a request that is no webhook's: an action made it.
type Request struct {
	Method       string // "" is POST
	URL          string
	Headers      []Field
	Body         []byte
	SuccessCodes []string // "2xx" or "204"; none: 2xx
	Timeout      time.Duration
	Secrets      []string // not recorded wherever they occur, in the request and in the answer
}

// Field is a header of a Request. A secret one's value is not recorded.
type Field struct {
	Name   string
	Value  string
	Secret bool
}

// Exchange sends a request as Send does a webhook's: through the guard, within its timeout,
// no redirects, nothing sent twice, the answer read and kept within bounds. The attempt it
// returns lacks what only its caller knows: id, number, delivery. A User-Agent is set unless
// the request has one.
func (s *Sender) Exchange(ctx context.Context, r Request) hook.Attempt {
	a := hook.Attempt{StartedAt: s.cfg.IDs.Now().UTC().Truncate(time.Microsecond), Outcome: hook.OutcomeFailed}
	rec := newRecorder()
	t := &target{secrets: longestFirst(r.Secrets), success: spansOf(r.SuccessCodes)}
	if len(r.SuccessCodes) == 0 {
		t.success = []span{{200, 299}}
	}
	rendered := profile.Rendered{Method: cmp.Or(r.Method, "POST"), Body: r.Body, EntityAt: -1}
	rendered.Header, t.err = s.headerOf(r.Headers)
	if t.err = errors.Join(t.readURL(rendered.Method, r.URL), t.err); t.err != nil {
		return s.unsendable(a, t, t.err)
	}
	a.Request = recordRequest(t, rendered, s.cfg.RequestKept)
	t.redactRequest(a.Request, r.Body, s.cfg.RequestKept)
	s.exchange(ctx, &a, t, rendered, rec, cmp.Or(r.Timeout, DefaultTimeout))
	return a
}

// headerOf puts headers in the order in which they are recorded: User-Agent first, then by name.
func (s *Sender) headerOf(given []Field) ([]profile.Field, error) {
	agent := profile.Field{Name: "User-Agent", Value: s.cfg.UserAgent}
	fields := make([]profile.Field, 1, len(given)+1)
	for _, f := range given {
		switch {
		case !httpguts.ValidHeaderFieldName(f.Name):
			return nil, errors.New("a header has an impossible name")
		case !httpguts.ValidHeaderFieldValue(f.Value):
			return nil, errors.New("header " + f.Name + " has an impossible value")
		case strings.EqualFold(f.Name, agent.Name):
			agent.Value, agent.Secret = f.Value, f.Secret
			continue
		}
		fields = append(fields, profile.Field(f))
	}
	fields[0] = agent
	slices.SortStableFunc(fields[1:], func(a, b profile.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields, nil
}

// redactRequest takes secrets out of what is kept of a request whose every part may hold one.
func (t *target) redactRequest(sent *hook.SentRequest, body []byte, keep int) {
	if len(t.secrets) == 0 {
		return
	}
	sent.URL = t.redact(sent.URL)
	for i, h := range sent.Headers {
		if t.redact(h.Value) != h.Value {
			sent.Headers[i] = hook.HeaderField{Name: h.Name, Redacted: true}
		}
	}
	shown := t.redactBytes(body)
	if len(shown) > keep {
		if !sent.Body.Truncated { // redaction made it longer
			sum := sha256.Sum256(body)
			sent.Body.Truncated, sent.Body.SHA256 = true, sum[:]
		}
		shown = shown[:keep:keep]
	}
	sent.Body.Bytes = shown
}

// longestFirst sorts what is to be redacted and leaves out what occurs by chance.
func longestFirst(secrets []string) []string {
	var list []string
	for _, s := range secrets {
		if len(s) >= hook.MinHidden && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}
