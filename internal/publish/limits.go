package publish

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sallyport/internal/hook"
)

// rates holds a token bucket for each workspace that has a limit. The limit is each
// node's own.
type rates struct {
	mu sync.Mutex
	m  map[hook.ID]*rate.Limiter
}

// limits refuses what the workspace's limits do not allow.
func (p *Publisher) limits(v *hook.View, events int) error {
	l := v.Workspace.Limits
	if l.PendingDeliveries > 0 && p.cfg.Backlog != nil {
		if n := p.cfg.Backlog(v.Workspace.ID); n >= l.PendingDeliveries {
			return &hook.Error{Kind: hook.KindQueueFull, RetryAfter: 5 * time.Second,
				Detail: "the workspace has as many pending deliveries as its limits.pendingDeliveries allows"}
		}
	}
	if l.EventsPerSecond <= 0 {
		return nil
	}
	return p.rates.take(v.Workspace.ID, l.EventsPerSecond, events)
}

func (r *rates) take(workspace hook.ID, perSecond, events int) error {
	r.mu.Lock()
	if r.m == nil {
		r.m = make(map[hook.ID]*rate.Limiter)
	}
	lim := r.m[workspace]
	burst := max(perSecond, 1000) // a whole batch must be able to pass
	if lim == nil || lim.Limit() != rate.Limit(perSecond) {
		lim = rate.NewLimiter(rate.Limit(perSecond), burst)
		lim.AllowN(time.Now(), burst-perSecond) // begin with one second's worth
		r.m[workspace] = lim
	}
	r.mu.Unlock()
	res := lim.ReserveN(time.Now(), events)
	if wait := res.Delay(); res.OK() && wait == 0 {
		return nil
	} else {
		res.Cancel()
		return &hook.Error{Kind: hook.KindRateLimited, RetryAfter: max(wait, time.Second),
			Detail: "the workspace publishes more than its limits.eventsPerSecond allows"}
	}
}

// typeTimes collects when event types were published last, for the catalogue.
type typeTimes struct {
	mu sync.Mutex
	m  map[hook.ID]time.Time
}

func (t *typeTimes) published(eventType hook.ID, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = make(map[hook.ID]time.Time)
	}
	t.m[eventType] = at
}

func (t *typeTimes) flush(ctx context.Context, p *Publisher) {
	t.mu.Lock()
	m := t.m
	t.m = nil
	t.mu.Unlock()
	if len(m) == 0 {
		return
	}
	if err := p.store.TouchTypes(ctx, m); err != nil && ctx.Err() == nil {
		p.log.WarnContext(ctx, "event_types.touch", "error", err)
	}
}
