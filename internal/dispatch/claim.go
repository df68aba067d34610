package dispatch

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/hook"
)

// How often the store is asked. Own retries and overflows are known without asking;
// the scan finds what others left: rescued rows, other nodes' overflow, an operator's
// retry.
const (
	scanEvery = time.Second
	// scanSoon follows a claim that came back short: there may be rows due later.
	scanSoon  = 100 * time.Millisecond
	maxLanes  = 500 // of one claim
	maxClaims = 2000
)

// claimLoop keeps lanes that have room and waiting deliveries supplied.
func (d *Dispatcher) claimLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var scanAt time.Time
	start := 0
	for {
		now := time.Now()
		if !now.Before(scanAt) {
			if err := d.scan(ctx); err != nil {
				if ctx.Err() == nil {
					d.log.WarnContext(ctx, "claim.scan", "error", err)
				}
			}
			scanAt = time.Now().Add(scanEvery)
		}
		more, short := d.claim(ctx, &start)
		if short {
			scanAt = earlier(scanAt, time.Now().Add(scanSoon))
		}
		if more {
			if ctx.Err() != nil {
				return
			}
			continue
		}
		timer.Reset(max(0, min(time.Until(scanAt), d.untilDue())))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-d.kick:
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// untilDue is how long until the next known delivery is due in a lane that could take
// it. Lanes without room or with an open breaker wake the loop by themselves.
func (d *Dispatcher) untilDue() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.ids.Now()
	next := scanEvery
	for _, l := range d.lanes {
		if l.due.After(now) {
			next = min(next, l.due.Sub(now))
		}
	}
	return next
}

// scan looks through all targets with waiting deliveries.
func (d *Dispatcher) scan(ctx context.Context) error {
	var after hook.ID
	for {
		page, last, _, err := d.store.DuePage(ctx, after)
		if err != nil {
			return err
		}
		for _, t := range page {
			after = t.Target
			// One workspace that cannot be read must not stop the others.
			if _, err := d.catalog.View(ctx, t.Workspace); err != nil && hook.KindOf(err) != hook.KindNotFound && ctx.Err() == nil {
				d.log.WarnContext(ctx, "claim.scan", "workspace_id", t.Workspace, "error", err)
			}
		}
		d.mu.Lock()
		for _, t := range page {
			d.laneOf(t.Workspace, t.Target).expect(t.DueAt)
		}
		d.mu.Unlock()
		if last {
			return nil
		}
	}
}

// claim takes due deliveries for the lanes that can send them. more: call again at
// once; short: a lane got less than it asked for.
func (d *Dispatcher) claim(ctx context.Context, start *int) (more, short bool) {
	node, wants, bytes, homeless, newcomers := d.wants(start)
	again := d.recall(ctx, newcomers) || len(homeless) > 0
	for _, l := range homeless {
		d.takeHome(ctx, node, l)
	}
	if len(wants) == 0 {
		return again, false
	}
	jobs, full, err := d.store.Claim(ctx, node, wants, bytes)
	if err != nil {
		d.unasked(wants)
	}
	if errors.Is(err, hook.ErrFenced) {
		if err := d.Fenced(ctx, node); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "node.register", "error", err)
		}
		return false, false
	}
	if err != nil {
		if ctx.Err() == nil {
			d.log.WarnContext(ctx, "claim", "error", err)
		}
		pause(ctx, scanSoon)
		return false, true
	}
	more, short = d.claimed(node, wants, jobs, full)
	return more || again, short
}

// wants lists what lanes could take, beginning with another lane each time, and how many
// bytes of it there is room for. What a lane asks for goes by its events of lately, and those
// that wait may be larger.
func (d *Dispatcher) wants(start *int) (node hook.NodeID, wants []hook.LaneWant, room int64, homeless, newcomers []*lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping || d.halt.now.On || d.node == 0 {
		return d.node, nil, 0, nil, nil
	}
	now := d.ids.Now()
	var able []*lane
	for _, l := range d.lanes {
		if l.waiting(now) {
			able = append(able, l)
		}
	}
	sortLanes(able)
	budget := min(maxClaims, d.cfg.MaxSlots*holdPerSlot-len(d.held))
	room = d.cfg.HandOver - d.bytes
	bytes := room
	for i := range able {
		if len(wants) == maxLanes || budget <= 0 {
			break
		}
		l := able[(*start+i)%len(able)]
		t := d.target(l.workspace, l.target)
		if t == nil || t.State != hook.TargetActive {
			l.due = time.Time{} // the scan looks again
			continue
		}
		if !l.healthKnown {
			newcomers = append(newcomers, l)
			continue
		}
		if t.Limited && l.home.node != d.node {
			if !l.home.leaving && time.Since(l.home.checked) > time.Second {
				homeless = append(homeless, l)
			}
			continue
		}
		n := min(l.room(t), budget, max(int(bytes/l.size()), 1-l.held))
		if !l.closed() {
			n = l.probe(now)
		}
		// A claim for a few of many slots is not worth its round trip yet.
		if n <= 0 || (l.held > 0 && n < l.least(t)) {
			continue
		}
		if time.Since(l.floorFull) > floorFor {
			l.floor, l.floorFull = time.Time{}, time.Now()
		}
		if !l.deep && l.closed() && n > l.slots {
			n = max(n/2, l.slots) // what comes in meanwhile may be handed over
		}
		// What waits is as good as claimed; if there is more, the answer says so.
		l.asking, l.due = n, time.Time{}
		wants = append(wants, hook.LaneWant{Target: l.target, N: n, Floor: l.floor})
		budget -= n
		bytes -= int64(n) * l.size()
	}
	*start += len(wants)
	return d.node, wants, room, homeless, newcomers
}

// unasked takes back what a failed claim asked for: it waits as before.
func (d *Dispatcher) unasked(wants []hook.LaneWant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range wants {
		if l := d.lanes[w.Target]; l != nil {
			l.asking = 0
			l.expect(d.ids.Now())
		}
	}
}

// claimed puts claimed deliveries into their lanes. full: more of what was asked for is due.
func (d *Dispatcher) claimed(node hook.NodeID, wants []hook.LaneWant, jobs []*hook.Job, full bool) (more, short bool) {
	got := make(map[hook.ID]int, len(wants))
	latest := make(map[hook.ID]time.Time, len(wants))
	sortJobs(jobs)
	d.mu.Lock()
	defer d.mu.Unlock()
	touched := make([]*lane, 0, len(wants))
	for _, j := range jobs {
		l := d.laneOf(j.Delivery.Workspace, j.Delivery.Target)
		j.Node = node
		if node != d.node {
			continue
		}
		d.hold(l, j.Delivery.ID, jobBytes(j.Event))
		if got[l.target] == 0 {
			touched = append(touched, l)
		}
		got[l.target]++
		if j.DueAt.After(latest[l.target]) {
			latest[l.target] = j.DueAt
		}
		l.queue = append(l.queue, j)
	}
	for _, w := range wants {
		l := d.lanes[w.Target]
		if l == nil {
			continue
		}
		l.asking = 0
		if full && got[w.Target] < w.N {
			l.deep, l.floor = true, time.Time{}
			l.expect(d.ids.Now())
			more = true
			continue
		}
		if l.deep = got[w.Target] == w.N; !l.deep {
			// Nothing more that is due, or what is due others hold: the scan knows.
			short = true
			l.floor = time.Time{}
			continue
		}
		l.floor = latest[w.Target]
		l.expect(d.ids.Now())
		more = true
	}
	for _, l := range touched {
		if d.stopping || d.halt.now.On {
			d.giveBack(l)
		} else {
			d.pump(l)
		}
	}
	return more, short
}

// takeHome asks for a limited target to be this node's.
func (d *Dispatcher) takeHome(ctx context.Context, node hook.NodeID, l *lane) {
	owner, err := d.store.TakeHome(ctx, node, l.target)
	if errors.Is(err, hook.ErrFenced) {
		err = d.Fenced(ctx, node)
	}
	if err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, "home.take", "target_id", l.target, "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l.home = home{node: owner, checked: time.Now()}
}
