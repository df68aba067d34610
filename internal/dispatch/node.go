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
}

func (b *beats) ok(now time.Time, gap time.Duration) {
	if b.since.IsZero() || now.Sub(b.last) > gap {
		b.since = now
	}
	b.last = now
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
	floor := d.ids.New()
	node, now, err := d.store.Register(ctx, d.cfg.Instance, d.cfg.Name, floor)
	if err != nil {
		return err
	}
	d.ids.SetOffset(time.Until(now))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.node = node
	d.beats = beats{}
	d.beats.ok(time.Now(), d.beatGap())
	d.strangers, d.audited = nil, floor
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

// auditEvery is how often the store's idea of what this node holds is compared with
// its own. A claim must be unknown twice, so it has been so for at least that long.
const auditEvery = 10 * time.Second

// beatLoop says that the node lives, buries those that do not, and audits.
func (d *Dispatcher) beatLoop(ctx context.Context) {
	tick := time.NewTicker(d.cfg.Heartbeat)
	defer tick.Stop()
	auditAt := time.Now().Add(d.auditEvery())
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		node := d.beat(ctx)
		if node == 0 {
			continue
		}
		d.mu.Lock()
		may := d.beats.unbroken(time.Now(), d.cfg.DeadAfter)
		d.mu.Unlock()
		if may {
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
		if time.Now().After(auditAt) {
			auditAt = time.Now().Add(d.auditEvery())
			if err := d.audit(ctx, node); err != nil && ctx.Err() == nil {
				d.log.WarnContext(ctx, "node.audit", "error", err)
			}
		}
	}
}

func (d *Dispatcher) auditEvery() time.Duration { return min(auditEvery, d.cfg.DeadAfter) }

// beat writes one heartbeat and returns the node's id, 0 if it could not.
func (d *Dispatcher) beat(ctx context.Context) hook.NodeID {
	d.mu.Lock()
	node, floor := d.node, d.audited
	d.mu.Unlock()
	if node == 0 {
		if err := d.Fenced(ctx, 0); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "node.register", "error", err)
		}
		return 0
	}
	limited, cancel := context.WithTimeout(ctx, d.cfg.DeadAfter)
	defer cancel()
	sent := time.Now()
	alive, now, err := d.store.Beat(limited, node, floor)
	d.mu.Lock()
	if err != nil {
		d.beats.broken()
	} else if alive {
		d.beats.ok(time.Now(), d.beatGap())
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
	received := time.Now()
	d.ids.SetOffset(now.Sub(sent.Add(received.Sub(sent) / 2)))
	return node
}

// beatGap is the longest gap between our own heartbeats within an unbroken run. When a
// database hangs for so long, the others' last heartbeat may be two intervals older
// than ours, and must not look dead to us for that.
func (d *Dispatcher) beatGap() time.Duration {
	return max(d.cfg.DeadAfter-2*d.cfg.Heartbeat, d.cfg.Heartbeat*3/2)
}

// floor is the smallest id among what we hold: no born-claimed row of ours in flight
// has a smaller one, since ids are registered when they are made.
func (d *Dispatcher) floor() hook.ID {
	floor := d.ids.New()
	for id := range d.held {
		if compareIDs(id, floor) < 0 {
			floor = id
		}
	}
	return floor
}

// audit releases what the store says we hold and we do not know: rows of a commit
// whose outcome we never learned, of a panic, of a database that lost its last seconds.
func (d *Dispatcher) audit(ctx context.Context, node hook.NodeID) error {
	d.mu.Lock()
	floor, next := d.audited, d.floor()
	d.mu.Unlock()
	claims, err := d.store.Claims(ctx, node, floor)
	if err != nil {
		return err
	}
	var lost []hook.ID
	d.mu.Lock()
	unknown := make(map[hook.ID]bool)
	for _, id := range claims {
		if d.held[id].lane != nil {
			continue
		}
		if d.strangers[id] {
			lost = append(lost, id)
		} else {
			unknown[id] = true
		}
	}
	d.strangers = unknown
	if len(unknown)+len(lost) == 0 && d.node == node {
		d.audited = next // else it would rise above what is not ours any more in memory only
	}
	d.mu.Unlock()
	if len(lost) == 0 {
		return nil
	}
	d.log.WarnContext(ctx, "node.audit_released", "deliveries", len(lost))
	err = d.store.Release(ctx, node, lost)
	d.wake()
	return err
}
