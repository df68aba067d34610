package dispatch

import (
	"context"
	"slices"
	"time"

	"sallyport/internal/hook"
)

// States of a breaker.
const (
	breakerClosed   = "closed"
	breakerOpen     = "open"
	breakerHalfOpen = "half_open"
)

// A breaker opens after failures in a row and lets one delivery through at a time,
// first after 30 s and then after twice as long, up to 10 minutes.
const (
	firstProbe = 30 * time.Second
	maxProbe   = 10 * time.Minute
)

// latencies keeps the last durations of successful attempts, for quantiles.
type latencies struct {
	ring [128]time.Duration
	n    int
}

func (r *latencies) add(d time.Duration) {
	r.ring[r.n%len(r.ring)] = d
	r.n++
}

func (r *latencies) quantiles() (p50, p99 time.Duration) {
	n := min(r.n, len(r.ring))
	if n == 0 {
		return 0, 0
	}
	s := slices.Sorted(slices.Values(r.ring[:n]))
	return s[n/2], s[n*99/100]
}

// closed reports that the breaker lets everything through.
func (l *lane) closed() bool { return l.health.Breaker.State == breakerClosed }

// probe is how many deliveries an open breaker lets through now: one, when its time
// has come and none is under way.
func (l *lane) probe(now time.Time) int {
	at := l.health.Breaker.NextProbeAt
	if l.held > 0 || at == nil || now.Before(*at) {
		return 0
	}
	l.health.Breaker.State = breakerHalfOpen
	l.dirty = true
	return 1
}

// observe keeps a target's health: failures in a row, the breaker, and whether it has
// failed for so long that it is suspended.
func (d *Dispatcher) observe(l *lane, t *hook.Target, j *hook.Job, a *hook.Attempt) {
	if a.Outcome == hook.OutcomeAborted || j.Delivery.Test {
		return
	}
	if t.Kind != hook.TargetWebhook && a.Permanent {
		return // it is the item that does not fit, not the action that is down
	}
	now := d.ids.Now().Truncate(time.Millisecond)
	d.mu.Lock()
	h := &l.health
	h.Workspace = l.workspace
	l.dirty = true
	if a.Response != nil {
		h.LastStatus = a.Response.Status
	} else {
		h.LastStatus = 0
	}
	h.LastErrorClass = a.ErrorClass
	recovered, suspend := false, false
	before := trouble(l)
	if a.Outcome == hook.OutcomeSucceeded {
		recovered = !l.closed()
		h.ConsecutiveFailures, h.FailingSince, h.LastSuccessAt = 0, nil, &now
		h.Breaker = hook.Breaker{State: breakerClosed}
		l.latency.add(a.Timings.Total)
	} else {
		h.ConsecutiveFailures++
		h.LastFailureAt = &now
		if h.FailingSince == nil {
			h.FailingSince = &now
		}
		d.trip(l, now)
		since := *h.FailingSince
		if t.Webhook != nil && t.Webhook.StateSince.After(since) {
			since = t.Webhook.StateSince // somebody resumed it: it has its time again
		}
		suspend = t.Kind == hook.TargetWebhook && h.ConsecutiveFailures >= 10 && now.Sub(since) >= d.cfg.SuspendAfter
	}
	d.mu.Unlock()
	if recovered {
		d.wake()
		if t.Kind == hook.TargetWebhook {
			go d.announce(t.Workspace, hook.RecoveredNotice(t, before.Failures, before.FailingSince))
		}
	}
	if suspend {
		go d.suspend(t.Workspace, t.ID, hook.SuspendedFailing, now, a)
	}
}

// trip opens the breaker when its time has come, and parks what the lane has in hand.
func (d *Dispatcher) trip(l *lane, now time.Time) {
	b := &l.health.Breaker
	switch b.State {
	case breakerClosed:
		if l.health.ConsecutiveFailures < d.cfg.BreakAfter {
			return
		}
		b.OpenedAt, b.Wait = &now, firstProbe
	case breakerHalfOpen:
		b.Wait = min(2*max(b.Wait, firstProbe), maxProbe)
	default: // attempts that were under way when it opened
		return
	}
	next := now.Add(b.Wait)
	b.State, b.NextProbeAt = breakerOpen, &next
	l.expect(next)
	d.giveBack(l)
}

// healthLoop stores what changed once a second.
func (d *Dispatcher) healthLoop(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.flushHealth(ctx)
			d.tidy(ctx)
		}
	}
}

func (d *Dispatcher) flushHealth(ctx context.Context) {
	var rows []hook.Health
	d.mu.Lock()
	for _, l := range d.lanes {
		if !l.dirty {
			continue
		}
		l.dirty = false
		l.health.LatencyP50, l.health.LatencyP99 = l.latency.quantiles()
		rows = append(rows, l.health)
	}
	d.mu.Unlock()
	if len(rows) == 0 {
		return
	}
	if err := d.store.FlushHealth(ctx, rows); err != nil {
		if ctx.Err() == nil {
			d.log.WarnContext(ctx, "health.flush", "error", err)
		}
		d.mu.Lock()
		for i := range rows {
			if l := d.lanes[rows[i].Target]; l != nil {
				l.dirty = true
			}
		}
		d.mu.Unlock()
	}
}

// recall reads what the store remembers of targets that are new to this node, so that
// a restart does not forget an open breaker. It reports whether there were any and
// they are known now.
func (d *Dispatcher) recall(ctx context.Context, lanes []*lane) bool {
	if len(lanes) == 0 {
		return false
	}
	ids := make([]hook.ID, len(lanes))
	for i, l := range lanes {
		ids[i] = l.target
	}
	rows, err := d.store.LoadHealth(ctx, ids)
	if err != nil {
		if ctx.Err() == nil {
			d.log.WarnContext(ctx, "health.load", "error", err)
		}
		return false
	}
	known := make(map[hook.ID]hook.Health, len(rows))
	for _, h := range rows {
		known[h.Target] = h
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range lanes {
		l.healthKnown = true
		h, ok := known[l.target]
		if !ok || l.dirty || l.health.LastFailureAt != nil || l.health.LastSuccessAt != nil {
			continue
		}
		switch l.health = h; {
		case h.Breaker.NextProbeAt == nil:
			l.health.Breaker = hook.Breaker{State: breakerClosed}
		case h.Breaker.State == breakerHalfOpen: // its probe went down with the node
			l.health.Breaker.State = breakerOpen
		}
	}
	return true
}

// laneIdle is how long a lane without work is remembered.
const laneIdle = 10 * time.Minute

// tidy forgets lanes that had nothing to do for long, and leaves their homes.
func (d *Dispatcher) tidy(ctx context.Context) {
	var homes []hook.ID
	d.mu.Lock()
	node := d.node
	for id, l := range d.lanes {
		if !l.idle() {
			continue
		}
		if l.home.node != node || node == 0 {
			delete(d.lanes, id)
			continue
		}
		homes = append(homes, id)
		l.home = home{leaving: true} // not taken again before it is left
	}
	d.mu.Unlock()
	for _, id := range homes {
		if err := d.store.LeaveHome(ctx, node, id); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "home.leave", "target_id", id, "error", err)
		}
		d.mu.Lock()
		if l := d.lanes[id]; l != nil && l.home.leaving {
			l.home = home{checked: time.Now()}
		}
		d.mu.Unlock()
	}
}

// idle reports that the lane can be forgotten.
func (l *lane) idle() bool {
	return l.held == 0 && l.asking == 0 && !l.dirty && !l.starved && l.due.IsZero() && time.Since(l.usedAt) >= laneIdle
}
