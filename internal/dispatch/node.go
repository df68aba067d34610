package dispatch

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// beats remembers whether this node's own heartbeats came through without a gap: only
// then may it declare others dead. After a database outage every heartbeat is old, and
// whoever came back first would bury everybody.
type beats struct {
	since time.Time // of the present unbroken run
	last  time.Time
	asked time.Time // when the last one that came through was sent: the store has it from then on at the latest
}

func (b *beats) ok(asked, now time.Time, gap time.Duration) {
	if b.since.IsZero() || now.Sub(b.last) > gap {
		b.since = now
	}
	b.last = now
	if asked.After(b.asked) {
		b.asked = asked
	}
}

func (b *beats) broken() { b.since = time.Time{} }

// unbroken reports a run of at least that long.
func (b *beats) unbroken(now time.Time, d time.Duration) bool {
	return !b.since.IsZero() && now.Sub(b.since) >= d
}

// forsake drops what was held under an id that is no more: others have rescued it.
// Attempts under way will find that out.
func (d *Dispatcher) forsake() {
	d.node = 0
	for _, l := range d.lanes {
		for _, j := range l.queue {
			d.drop(j.Delivery.ID, jobBytes(j.Event))
		}
		l.queue, l.home = nil, home{}
	}
}

// register gets the node an id.
func (d *Dispatcher) register(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, d.cfg.DeadAfter)
	defer cancel()
	floor := d.ids.New()
	asked := time.Now()
	node, now, err := d.store.Register(limited, d.cfg.Instance, d.cfg.Name, floor)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setClock(asked, now)
	d.node = node
	d.beats = beats{}
	d.beats.ok(asked, time.Now(), d.beatGap())
	d.strangers, d.floors = nil, floors{near: floor, far: floor, next: floor}
	d.log.InfoContext(ctx, "node.registered", "node_id", int64(node))
	return nil
}

// Fenced tells that the store declared this node dead; it returns once the node is
// registered again.
func (d *Dispatcher) Fenced(ctx context.Context, node hook.NodeID) error {
	d.mu.Lock()
	if d.node != node && d.node != 0 {
		d.mu.Unlock()
		return nil
	}
	if wait := d.registering; wait != nil {
		d.mu.Unlock()
		select {
		case <-wait:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan struct{})
	d.registering = done
	d.forsake()
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.registering = nil
		d.mu.Unlock()
		close(done)
	}()
	d.log.WarnContext(ctx, "node.declared_dead", "node_id", int64(node))
	return d.register(ctx)
}

// beatLoop says that the node lives. It does nothing else: what takes long, or hangs, must
// not make it look dead.
func (d *Dispatcher) beatLoop(ctx context.Context) {
	tick := time.NewTicker(d.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if node := d.beat(ctx); node != 0 {
			select {
			case d.beaten <- node:
			default: // the watch is busy
			}
		}
	}
}

// watchLoop buries nodes that do not live, and audits, each time after a heartbeat.
func (d *Dispatcher) watchLoop(ctx context.Context) {
	auditAt := time.Now().Add(d.auditEvery())
	for {
		var node hook.NodeID
		select {
		case <-ctx.Done():
			return
		case node = <-d.beaten:
		}
		d.mu.Lock()
		may := d.beats.unbroken(time.Now(), d.cfg.DeadAfter)
		d.mu.Unlock()
		if may {
			d.rescue(ctx, node)
		}
		if time.Now().After(auditAt) {
			auditAt = time.Now().Add(d.auditEvery())
			if err := d.audit(ctx, node); err != nil && ctx.Err() == nil {
				d.log.WarnContext(ctx, "node.audit", "error", err)
			}
		}
	}
}

func (d *Dispatcher) rescue(ctx context.Context, node hook.NodeID) {
	n, err := d.store.RescueDead(ctx, node, d.cfg.DeadAfter, d.beatGap())
	if err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, "node.rescue", "error", err)
	}
	if n > 0 {
		d.metrics.Rescued(n)
		d.log.InfoContext(ctx, "node.rescued", "deliveries", n)
		d.wake()
	}
}

// beat writes one heartbeat and returns the node's id, 0 if it could not.
func (d *Dispatcher) beat(ctx context.Context) hook.NodeID {
	d.mu.Lock()
	node, floor := d.node, d.floors.far
	d.mu.Unlock()
	if node == 0 {
		if err := d.Fenced(ctx, 0); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "node.register", "error", err)
		}
		return 0
	}
	limited, cancel := context.WithTimeout(ctx, d.cfg.DeadAfter)
	defer cancel()
	asked := time.Now()
	alive, now, err := d.store.Beat(limited, node, floor)
	d.mu.Lock()
	if err != nil {
		d.beats.broken()
	} else if alive {
		d.setClock(asked, now)
		d.beats.ok(asked, time.Now(), d.beatGap())
	}
	d.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			d.log.WarnContext(ctx, "node.beat", "error", err)
		}
		return 0
	}
	if !alive {
		if err := d.Fenced(ctx, node); err != nil {
			d.log.WarnContext(ctx, "node.register", "error", err)
		}
		return 0
	}
	return node
}

// promptly is how soon the database must tell the time to be believed: it may have looked at
// its clock at any moment in between.
const promptly = time.Second

// setClock sets how far the database's clock is ahead of ours, by an answer that was asked for
// at asked and has just come. One that took long is better than none only.
func (d *Dispatcher) setClock(asked, now time.Time) {
	took := time.Since(asked)
	if took > promptly && d.clockSet {
		return
	}
	d.clockSet = true
	d.ids.SetOffset(now.Sub(asked.Add(took / 2)))
}

// sinceAsked is how long ago something was, by whichever clock has moved further: the
// monotonic one stands still while a machine is suspended.
func sinceAsked(t time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// beatGap is the longest gap between our own heartbeats within an unbroken run. When a
// database hangs for so long, the others' last heartbeat may be two intervals older
// than ours, and must not look dead to us for that.
func (d *Dispatcher) beatGap() time.Duration {
	return max(d.cfg.DeadAfter-2*d.cfg.Heartbeat, d.cfg.Heartbeat*3/2)
}
