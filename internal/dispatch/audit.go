package dispatch

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// auditEvery is how often the store's idea of what this node holds is compared with
// its own. A claim must be unknown twice, so it has been so for at least that long.
const auditEvery = 10 * time.Second

func (d *Dispatcher) auditEvery() time.Duration { return min(auditEvery, d.cfg.DeadAfter) }

// floorAge is by how much the far floor is behind, at least: longer than an asynchronous
// standby that takes over may be behind its primary, or than a commit may come after we gave
// its batch up.
const floorAge = 30 * time.Second

// floors bound from below the ids of born-claimed rows that the store may say are in our
// hands, as of audits that found nothing: near as of the last one, far as of one at least
// floorAge ago. As a rule the rows above near are looked at, which are few. But a database
// that lost its last seconds may have forgotten that a delivery has ended, when it had gone
// from our memory and the near floor had passed it.
type floors struct {
	near, far, next hook.ID
	at              time.Time // when next was far enough
}

// clean notes an audit that found nothing; since is the smallest id that was in our hands
// when it began.
func (f *floors) clean(since hook.ID, far bool) {
	f.near = since
	if far {
		f.far, f.next, f.at = f.next, since, time.Now()
	}
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
// whose outcome we never learned, of a panic, of a database that lost its last seconds. And
// it lets go of homes that we believe in and the store does not.
func (d *Dispatcher) audit(ctx context.Context, node hook.NodeID) error {
	if err := d.auditHomes(ctx, node); err != nil {
		return err
	}
	d.mu.Lock()
	floor, next := d.floors.near, d.floor()
	far := time.Since(d.floors.at) >= floorAge
	if far {
		floor = d.floors.far
	}
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
		d.floors.clean(next, far) // else it would rise above what is not ours any more in memory only
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

// auditHomes compares whose homes we think we are with the store: a database that lost its
// last seconds may have given one to another node.
func (d *Dispatcher) auditHomes(ctx context.Context, node hook.NodeID) error {
	asked := time.Now()
	ids, err := d.store.Homes(ctx, node)
	if err != nil {
		return err
	}
	ours := make(map[hook.ID]bool, len(ids))
	for _, id := range ids {
		ours[id] = true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lanes {
		if d.node == node && l.home.node == node && l.home.checked.Before(asked) && !ours[l.target] {
			d.log.WarnContext(ctx, "home.lost", "target_id", l.target)
			l.home = home{}
			d.giveBack(l)
		}
	}
	return nil
}
