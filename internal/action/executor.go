package action

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/hook"
)

const (
	// defaultTimeout is of actions that name none, and of post-processors.
	defaultTimeout = 15 * time.Second
	// maxCompiled bounds the configurations that stay compiled; beyond it all are compiled anew.
	maxCompiled = 20_000
	// Defaults of a Config.
	defaultRequestKept  = 256 << 10
	defaultResponseKept = 64 << 10
	defaultMaxEntity    = 1 << 20
)

// Config says what actions work with. Whatever type of action lacks what it needs fails.
type Config struct {
	Requests     Requests
	Bodies       Bodies
	Catalog      Catalog
	Events       Events
	Records      Records
	HTTP         HTTP
	Mail         *MailServer      // nil: none is configured
	Commands     *Commands        // nil: none are declared
	Stopping     error            // cause with which attempts are cancelled when this process stops
	Now          func() time.Time // nil: the local clock
	RequestKept  int              // bytes of what was asked that are recorded
	ResponseKept int              // bytes of what came of it that are recorded
	MaxEntity    int              // bytes of a published event's entity
	Log          *slog.Logger
}

// Executor makes attempts of actions. Safe for concurrent use.
type Executor struct {
	cfg      Config
	requests *memory
	readings *readings
	compiled sync.Map     // place -> *compiled
	count    atomic.Int64 // of compiled, roughly
}

// New makes an executor.
func New(cfg Config) *Executor {
	cfg.RequestKept = cmp.Or(cfg.RequestKept, defaultRequestKept)
	cfg.ResponseKept = cmp.Or(cfg.ResponseKept, defaultResponseKept)
	cfg.MaxEntity = cmp.Or(cfg.MaxEntity, defaultMaxEntity)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Executor{cfg: cfg, requests: newMemory(rememberedBytes), readings: newReadings(rememberedBytes)}
}

// errTimeout is the cause when the action's own timeout ended the attempt.
var errTimeout = errors.New("timeout")

// Send makes an attempt of a delivery to an action or of a door's post-processors: of the
// member that the delivery's step says. It ends within the action's timeout, or soon after
// ctx is cancelled; cancel it with the cause Config.Stopping when this process stops, and the
// attempt is aborted. When Skip is set in the answer nothing was attempted.
func (x *Executor) Send(ctx context.Context, t *hook.Target, j *hook.Job, number int) hook.Attempt {
	s := &scene{x: x, workspace: t.Workspace, job: j, event: j.Event, number: number, now: x.cfg.Now()}
	switch {
	case t.Action != nil:
		return x.sendAction(ctx, s, t.Action)
	case t.Incoming != nil:
		members, err := x.postMembers(ctx, s, t.Incoming)
		if err != nil {
			return x.unready(ctx, s, err)
		}
		return x.sendMembers(ctx, s, members)
	}
	a := s.attempt()
	fail(&a, hook.ClassInternal, true, "this target has no action")
	return a
}

func (x *Executor) sendAction(ctx context.Context, s *scene, action *hook.Action) hook.Attempt {
	if action.Type != hook.ActionSet {
		return x.sendMembers(ctx, s, []member{{action: action}})
	}
	if s.job.Delivery.Step == 0 {
		reason, err := x.passedOver(ctx, s, &member{action: action})
		if err != nil {
			return x.unready(ctx, s, err)
		}
		if reason.skip != hook.ReasonNone {
			return hook.Attempt{Skip: reason.skip, Error: reason.text}
		}
	}
	members, err := x.setMembers(ctx, s, action)
	if err != nil {
		return x.unready(ctx, s, err)
	}
	return x.sendMembers(ctx, s, members)
}

// unready ends an attempt for which it could not even be found out what is to run.
func (x *Executor) unready(ctx context.Context, s *scene, err error) hook.Attempt {
	a := s.attempt()
	x.failed(ctx, &a, err)
	a.Timings.Total = x.cfg.Now().Sub(s.now)
	return a
}

// run makes the attempt of one member.
func (x *Executor) run(ctx context.Context, s *scene, m *member) hook.Attempt {
	a := s.attempt()
	p := m.place()
	c, err := x.compile(p)
	if err == nil {
		limited, cancel := context.WithTimeoutCause(ctx, p.timeout, errTimeout)
		call := &call{x: x, outer: ctx, scene: s, place: p, compiled: c}
		if call.values, err = s.values(limited, c.uses, c.secretValues); err == nil {
			c.runner.run(limited, call, &a)
		} else {
			x.failed(limited, &a, err)
		}
		a.Error = c.redact(a.Error)
		cancel()
	} else {
		x.failed(ctx, &a, err)
	}
	a.Action = &hook.RanAction{ID: p.id, Code: p.code, Type: p.kind}
	if a.Timings.Total == 0 {
		a.Timings.Total = x.cfg.Now().Sub(s.now)
	}
	return a
}

// failed sorts an error.
func (x *Executor) failed(ctx context.Context, a *hook.Attempt, err error) {
	var known *hook.Error
	var bad *badTemplate
	switch {
	case errors.As(err, &bad):
		fail(a, hook.ClassTemplate, true, "%s", bad.Error())
	case ctx.Err() != nil:
		x.ended(ctx, a)
	case errors.As(err, &known) && passes(known.Kind):
		fail(a, hook.ClassInternal, false, "%s", cmp.Or(known.Detail, string(known.Kind)))
	case errors.As(err, &known) && known.Kind != hook.KindInternal:
		fail(a, hook.ClassStatus, true, "%s", plainError(known))
	default:
		x.cfg.Log.ErrorContext(ctx, "action.failed", "error", err)
		fail(a, hook.ClassInternal, false, "what the action needs could not be read; the log of this time says why")
	}
}

// ended notes that the context of an attempt ended before the attempt did.
func (x *Executor) ended(ctx context.Context, a *hook.Attempt) {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTimeout):
		fail(a, hook.ClassTimeout, false, "not done in time")
	case x.cfg.Stopping != nil && errors.Is(cause, x.cfg.Stopping):
		fail(a, hook.ClassAborted, false, "cut off because Sallyport is stopping")
		a.Outcome = hook.OutcomeAborted
	default:
		fail(a, hook.ClassAborted, false, "cut off because the caller gave up")
		a.Outcome = hook.OutcomeAborted
	}
}

// passes reports whether failures of a kind pass by themselves.
func passes(k hook.Kind) bool {
	switch k {
	case hook.KindUnavailable, hook.KindQueueFull, hook.KindShuttingDown, hook.KindStorageFull, hook.KindRateLimited:
		return true
	default:
		return false
	}
}

// plainError is an error of a kind as the record tells it.
func plainError(e *hook.Error) string {
	text := string(e.Kind)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if len(e.Faults) > 1 || len(e.Faults) == 1 && e.Faults[0].Detail != e.Detail {
		for _, f := range e.Faults {
			text += "; " + f.Field + ": " + f.Detail
		}
	}
	return text
}
