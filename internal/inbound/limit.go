package inbound

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sallyport/internal/hook"
)

// limiters are token buckets by id, as many as are in use.
type limiters struct {
	mu sync.Mutex
	m  map[hook.ID]*rate.Limiter
}

func newLimiters() *limiters { return &limiters{m: map[hook.ID]*rate.Limiter{}} }

// maxLimiters bounds them; when there are more all begin anew.
const maxLimiters = 50_000

// reserve takes a token, or says how long until there is one.
func (l *limiters) reserve(id hook.ID, perSecond float64, burst int, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	lim := l.m[id]
	if lim == nil || lim.Limit() != rate.Limit(perSecond) || lim.Burst() != burst {
		if len(l.m) >= maxLimiters {
			clear(l.m)
		}
		lim = rate.NewLimiter(rate.Limit(perSecond), burst)
		l.m[id] = lim
	}
	l.mu.Unlock()
	r := lim.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait == 0 {
		return 0, true
	}
	r.CancelAt(now)
	return wait, false
}
