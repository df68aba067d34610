package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"sallyport/internal/backoff"
	"sallyport/internal/hook"
)

// attempt sends one delivery, decides what is next and has it stored.
func (d *Dispatcher) attempt(l *lane, j *hook.Job, slow bool) {
	t, f := d.withheld(l, j)
	if f != nil {
		f.Sent = true
		d.sent(l, t, nil, slow)
		d.tellExhausted(f)
		d.finish.put(f)
		return
	}
	a := d.send(d.ctx, t, j)
	d.sent(l, t, &a, slow)
	f = decide(j, &a, t, d.chance())
	f.Sent = true
	d.tellGone(f)
	d.tellExhausted(f)
	if f.Attempt != nil {
		// Before it is stored, when the lane may claim again: it may be what opens the breaker,
		// or keeps it open.
		d.observe(l, t, j, &a)
	}
	d.finish.put(f)
	if f.Attempt != nil {
		d.metrics.Attempt(a.Outcome, a.Timings.Total)
		d.metrics.Tried(l.workspace)
		d.logAttempt(j, &a, f)
	}
}

// logAttempt writes a line of an attempt for those who follow one call through everything;
// as a rule nobody does, and the history has the same.
func (d *Dispatcher) logAttempt(j *hook.Job, a *hook.Attempt, f *hook.Finish) {
	if !d.log.Enabled(d.ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("delivery_id", j.Delivery.ID.String()), slog.String("event_id", j.Event.ID), slog.String("event_type", j.Event.Type),
		slog.String("target_id", j.Delivery.Target.String()), slog.String("workspace_id", j.Delivery.Workspace.String()),
		slog.Int("attempt", a.Number), slog.String("outcome", string(a.Outcome)), slog.String("state", string(f.State)),
		slog.Float64("duration_ms", float64(a.Timings.Total.Microseconds())/1000),
	}
	if j.Delivery.RequestID != hook.NoID {
		attrs = append(attrs, slog.String("request_id", j.Delivery.RequestID.String()))
	}
	if a.Response != nil {
		attrs = append(attrs, slog.Int("status", a.Response.Status))
	}
	if a.ErrorClass != hook.ClassNone {
		attrs = append(attrs, slog.String("error_class", string(a.ErrorClass)))
	}
	d.log.LogAttrs(d.ctx, slog.LevelDebug, "delivery.attempted", attrs...)
}

// withheld returns the target to send to, or what to do instead of sending.
func (d *Dispatcher) withheld(l *lane, j *hook.Job) (*hook.Target, *hook.Finish) {
	if j.Claims/hook.StartNoted >= maxStarts {
		d.log.Error("delivery.crashes_workers", "delivery_id", j.Delivery.ID, "rescues", j.Claims%hook.StartNoted)
		return nil, &hook.Finish{Job: j, State: hook.StateFailed, Reason: hook.ReasonWorkerCrashed, Attempts: j.Delivery.Attempts}
	}
	v, err := d.catalog.View(d.ctx, l.workspace)
	if err != nil {
		if hook.KindOf(err) == hook.KindNotFound { // the whole workspace is gone
			return nil, skipped(j)
		}
		return nil, released(j)
	}
	t := v.Targets[l.target]
	if t == nil {
		return nil, skipped(j)
	}
	if t.State != hook.TargetActive {
		return t, released(j)
	}
	if t.Limited && !d.surelyAlive(j.Node) {
		return t, released(j)
	}
	if ok, err := d.surelyReleased(d.ctx); !ok {
		f := released(j)
		if err != nil { // it was logged; not to be claimed again at once
			f.Wait = scanEvery
		}
		return t, f
	}
	if j.Claims >= suspectAfter {
		if err := d.store.NoteStart(d.ctx, j.Node, j.Delivery.ID); err != nil {
			d.log.WarnContext(d.ctx, "delivery.note_start", "delivery_id", j.Delivery.ID, "error", err)
			return t, released(j)
		}
		j.Claims = 0 // noted once, however often it runs in this stay
	}
	return t, nil
}

// surelyAlive reports that this node has not been declared dead under that id, asking
// the store if its last heartbeat is not quite fresh. A process that was stopped for a
// while does not know it; for a limited target another node may be sending by now.
func (d *Dispatcher) surelyAlive(node hook.NodeID) bool {
	d.mu.Lock()
	fresh := d.node == node && sinceAsked(d.beats.asked) < 2*d.cfg.Heartbeat
	d.mu.Unlock()
	return fresh || d.beat(d.ctx) == node
}

// skipped ends a delivery whose target was deleted.
func skipped(j *hook.Job) *hook.Finish {
	reason := hook.ReasonWebhookDeleted
	if j.Delivery.TargetKind == hook.TargetAction {
		reason = hook.ReasonActionDeleted
	}
	return &hook.Finish{Job: j, State: hook.StateSkipped, Reason: reason, Attempts: j.Delivery.Attempts}
}

// send makes the attempt. A panic, in rendering above all, is a failed attempt and
// not the end of the node.
func (d *Dispatcher) send(ctx context.Context, t *hook.Target, j *hook.Job) (a hook.Attempt) {
	started := d.ids.Now()
	id := d.ids.New()
	number := j.Delivery.Attempts + 1
	defer func() {
		if p := recover(); p != nil {
			d.log.ErrorContext(ctx, "attempt.panic", "delivery_id", j.Delivery.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a = hook.Attempt{
				Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassInternal, Error: "the attempt could not be made: internal error",
				Permanent: true, Timings: hook.Timings{Total: d.ids.Now().Sub(started)},
			}
		}
		a.ID, a.Delivery, a.Number, a.Trigger, a.Node, a.TargetVersion = id, j.Delivery.ID, number, j.Trigger, d.cfg.Name, t.Version
		if a.StartedAt.IsZero() {
			a.StartedAt = started
		}
		a.StartedAt = a.StartedAt.UTC().Truncate(time.Microsecond)
	}()
	return d.sender.Send(ctx, t, j, number)
}

// decide is what happens to a delivery after an attempt. It is pure: chance in [0,1)
// comes in as an argument.
func decide(j *hook.Job, a *hook.Attempt, t *hook.Target, chance float64) *hook.Finish {
	if a.Skip != hook.ReasonNone {
		return &hook.Finish{Job: j, State: hook.StateSkipped, Reason: a.Skip, Attempts: j.Delivery.Attempts}
	}
	f := &hook.Finish{Job: j, Attempt: a, Attempts: a.Number, Effects: a.Effects}
	switch {
	case a.Outcome == hook.OutcomeSucceeded && a.More:
		f.State, f.Advance, f.Trigger = hook.StatePending, true, hook.TriggerFirst
	case a.Outcome == hook.OutcomeSucceeded:
		f.State = hook.StateSucceeded
	case j.Delivery.Test && a.Outcome != hook.OutcomeSucceeded:
		f.State, f.Reason = hook.StateFailed, hook.ReasonAttemptsExhausted
	case a.Outcome == hook.OutcomeAborted:
		// Cut off by our own stop: nobody's failure, and no attempt spent.
		f.State, f.Attempts, f.Trigger = hook.StatePending, j.Delivery.Attempts, j.Trigger
	case t.Kind == hook.TargetWebhook && a.Response != nil && a.Response.Status == 410:
		f.State, f.Reason = hook.StateFailed, hook.ReasonGone
	case a.Permanent:
		f.State, f.Reason = hook.StateFailed, hook.ReasonPermanentError
	case a.Number-j.Delivery.Base >= t.MaxAttempts:
		f.State, f.Reason = hook.StateFailed, hook.ReasonAttemptsExhausted
	default:
		// The receiver may ask for a longer wait than ours, never a shorter one.
		f.State, f.Trigger = hook.StatePending, hook.TriggerRetry
		f.Wait = max(backoff.Wait(t.Retry, a.Number-j.Delivery.Base, chance), a.RetryAfter)
	}
	return f
}
