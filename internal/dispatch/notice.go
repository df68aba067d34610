package dispatch

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// noticeTime bounds what is done after an outcome beside the deliveries.
const noticeTime = 30 * time.Second

// tellGone suspends a webhook whose receiver says that it is gone, before the outcome is
// stored: if this node dies in between, the delivery is tried again after a resume and
// nothing has been forgotten. After it, the suspension and the event about it would be.
func (d *Dispatcher) tellGone(f *hook.Finish) {
	if f.Reason != hook.ReasonGone || f.Job.Delivery.Test {
		return
	}
	del := &f.Job.Delivery
	if v := d.catalog.Cached(del.Workspace); v != nil && v.Targets[del.Target] != nil && v.Targets[del.Target].State == hook.TargetSuspended {
		return // another delivery was told the same
	}
	wait := 10 * time.Millisecond
	for began := time.Now(); !d.suspend(del.Workspace, del.Target, hook.SuspendedGone, d.ids.Now(), f.Attempt); {
		if time.Since(began) > noticeTime || d.ctx.Err() != nil { // the next 410 says it again
			return
		}
		pause(d.ctx, wait)
		wait = min(2*wait, time.Second)
	}
}

// suspend stops sending to a webhook and tells of it, once of all nodes. It reports false
// if it could not.
func (d *Dispatcher) suspend(workspace, target hook.ID, reason string, at time.Time, a *hook.Attempt) bool {
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	d.mu.Lock()
	t := trouble(d.laneOf(workspace, target))
	d.mu.Unlock()
	if reason == hook.SuspendedGone { // this failure is not counted yet
		t.Failures++
		if t.FailingSince == nil {
			at = at.UTC().Truncate(time.Millisecond)
			t.FailingSince = &at
		}
	}
	t.LastTry = hook.TryOf(a)
	first, err := d.owner.Suspend(ctx, workspace, target, reason, t)
	if err != nil {
		d.log.WarnContext(ctx, "webhook.suspend", "target_id", target, "error", err)
		return false
	}
	if first {
		d.log.InfoContext(ctx, "webhook.suspended", "target_id", target, "reason", reason)
	}
	return true
}

// trouble is how a lane's target fares.
func trouble(l *lane) hook.Trouble {
	t := hook.Trouble{Failures: l.health.ConsecutiveFailures}
	if since := l.health.FailingSince; since != nil {
		at := *since
		t.FailingSince = &at
	}
	return t
}

// tellExhausted has an operational event stored with the end of a delivery that is given
// up, if anybody wants to know: both, or neither.
func (d *Dispatcher) tellExhausted(f *hook.Finish) {
	if !f.Exhausted() {
		return
	}
	f.Effects = nil
	del := &f.Job.Delivery
	v, err := d.catalog.View(d.ctx, del.Workspace)
	if err != nil {
		if hook.KindOf(err) != hook.KindNotFound { // it was there for the attempt
			d.log.Warn("delivery.exhausted", "delivery_id", del.ID, "error", err)
		}
		return
	}
	if !v.Listens(hook.TypeDeliveryExhausted) {
		return
	}
	t := v.Targets[del.Target]
	if t == nil { // deleted meanwhile
		t = &hook.Target{Kind: del.TargetKind, ID: del.Target}
	}
	if f.Effects, err = v.PlanEffects(hook.ExhaustedNotice(f, t), d.ids, d.owner.Holds); err != nil {
		d.log.Error("delivery.exhausted", "delivery_id", del.ID, "error", err)
	}
}

// announce publishes an operational event about what was decided in memory.
func (d *Dispatcher) announce(workspace hook.ID, n hook.Notice) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	d.owner.Announce(ctx, workspace, n)
}
