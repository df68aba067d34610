package inbound

import (
	"maps"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// A door that refuses many calls makes an operational event: a sender has the wrong secret,
// or somebody tries the door. They are counted in memory, by each node for itself.
const (
	alarmWithin = 5 * time.Minute
	alarmEvery  = time.Hour
)

// alarms counts refusals. There are as many entries as doors that refused lately.
type alarms struct {
	after int // refusals within alarmWithin; 0: never

	mu    sync.Mutex
	doors map[hook.ID]*refusing
	swept time.Time
}

type refusing struct {
	since   time.Time // of the first that is counted
	quiet   time.Time // nothing is told before
	count   int
	reasons map[string]int
}

func newAlarms(after int) *alarms { return &alarms{after: after, doors: make(map[hook.ID]*refusing)} }

// refused counts a refusal and reports, when they have become many, since when and why.
func (a *alarms) refused(door hook.ID, reason string, now time.Time) (since time.Time, reasons map[string]int, many bool) {
	if a.after == 0 {
		return time.Time{}, nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(now)
	r := a.doors[door]
	if r == nil {
		r = &refusing{}
		a.doors[door] = r
	}
	if now.Before(r.quiet) {
		return time.Time{}, nil, false
	}
	if now.Sub(r.since) > alarmWithin {
		r.since, r.count, r.reasons = now, 0, make(map[string]int)
	}
	r.count++
	r.reasons[reason]++
	if r.count < a.after {
		return time.Time{}, nil, false
	}
	since, reasons = r.since, maps.Clone(r.reasons)
	*r = refusing{quiet: now.Add(alarmEvery)}
	return since, reasons, true
}

// sweep forgets doors that are quiet again, once in a while.
func (a *alarms) sweep(now time.Time) {
	if now.Sub(a.swept) < alarmEvery {
		return
	}
	a.swept = now
	maps.DeleteFunc(a.doors, func(_ hook.ID, r *refusing) bool {
		return now.After(r.quiet) && now.Sub(r.since) > alarmWithin
	})
}

// alarm counts a refusal that is the caller's, not ours.
func (d *Doors) alarm(j *judged, r *refusal) {
	if d.cfg.Refusing == nil || r.kind == hook.KindUnavailable {
		return
	}
	x := j.door
	since, reasons, many := d.alarms.refused(x.ID, string(r.kind), time.Now())
	if many {
		d.cfg.Refusing(hook.RefusingNotice(x.IncomingWebhook, d.cfg.AlertAfter, since, reasons, j.request.ClientAddress), x.Workspace)
	}
}
