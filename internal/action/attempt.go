package action

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"sallyport/internal/hook"
)

// attempt begins the record of an attempt.
func (s *scene) attempt() hook.Attempt {
	return hook.Attempt{StartedAt: s.now.UTC().Truncate(time.Microsecond), Outcome: hook.OutcomeFailed}
}

// fail notes why an attempt failed.
func fail(a *hook.Attempt, class hook.ErrorClass, permanent bool, format string, args ...any) {
	a.Outcome, a.ErrorClass, a.Permanent, a.Effects = hook.OutcomeFailed, class, permanent, nil
	a.Error = hook.ErrorText(fmt.Sprintf(format, args...))
}

// call is one run of a configuration.
type call struct {
	*compiled
	x *Executor
	// outer ends with the process only: for what keeps the action's timeout by itself.
	outer  context.Context
	scene  *scene
	place  place
	values values
}

// asked records what an attempt is to do: what it is about, and its rendered configuration.
func (c *call) asked(a *hook.Attempt, about string, config *object) {
	a.Request = &hook.SentRequest{
		Method: string(c.place.kind), URL: hook.Storable(c.redact(about)), EntityAt: -1,
		Headers: []hook.HeaderField{}, Body: c.kept(config.bytes(), c.x.cfg.RequestKept),
	}
}

// answered records what came of it.
func (c *call) answered(a *hook.Attempt, status int, body []byte) {
	a.Response = &hook.ReceivedResponse{Status: status, Headers: []hook.HeaderField{}, Body: c.kept(body, c.x.cfg.ResponseKept)}
}

// succeeded ends an attempt well.
func (c *call) succeeded(a *hook.Attempt, result *object) {
	c.answered(a, 200, result.bytes())
	a.Outcome = hook.OutcomeSucceeded
}

// kept is what is recorded of text: without secrets, and of bounded size.
func (c *call) kept(text []byte, keep int) hook.Body {
	return bodyOf([]byte(c.redact(string(text))), keep)
}

func bodyOf(text []byte, keep int) hook.Body {
	b := hook.Body{Bytes: text, Size: int64(len(text))}
	if len(text) > keep {
		sum := sha256.Sum256(text)
		b.Bytes, b.Truncated, b.SHA256 = text[:keep:keep], true, sum[:]
	}
	return b
}
