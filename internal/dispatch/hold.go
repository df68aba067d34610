package dispatch

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// The hold of the installation lies in the store. A node looks twice a second, and does
// not trust what it saw for longer than a second: an attempt begins only if the hold was
// surely not there within the last one, or as of a look that it waited for. So all nodes
// obey in time, also one whose looks fail or that was stopped for a while.
const (
	holdEvery = 400 * time.Millisecond
	holdFresh = 900 * time.Millisecond
)

// holdWatch is what the node knows of the hold. It is guarded by the dispatcher's mutex.
type holdWatch struct {
	now     hook.Hold
	asked   time.Time     // when the last look that succeeded began
	looking chan struct{} // closed when the look under way has ended; nil: there is none
}

// Held reports whether this node sends nothing because the installation is on hold.
func (d *Dispatcher) Held() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.halt.now.On
}

// holdLoop keeps what the node knows of the hold fresh.
func (d *Dispatcher) holdLoop(ctx context.Context) {
	tick := time.NewTicker(holdEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := d.LookAtHold(ctx); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "dispatch.hold_unknown", "error", err)
		}
	}
}

// LookAtHold reads the hold and acts on it: when it returns, nothing starts any more, or
// what waits does. It is for who has just changed it, too.
func (d *Dispatcher) LookAtHold(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, d.cfg.DeadAfter)
	defer cancel()
	asked := time.Now()
	h, err := d.store.Hold(limited)
	if err != nil {
		return err
	}
	d.obey(ctx, h, asked)
	return nil
}

// obey acts on what a look saw that began at asked. An earlier one that comes in later does
// not count.
func (d *Dispatcher) obey(ctx context.Context, h hook.Hold, asked time.Time) {
	d.mu.Lock()
	if asked.Before(d.halt.asked) {
		d.mu.Unlock()
		return
	}
	changed := d.halt.now.On != h.On
	d.halt.now, d.halt.asked = h, asked
	for _, l := range d.lanes {
		if !changed {
			break
		}
		if h.On {
			d.giveBack(l)
		} else {
			d.pump(l)
		}
	}
	d.mu.Unlock()
	d.metrics.Hold(h.On)
	if !changed {
		return
	}
	if h.On {
		d.log.WarnContext(ctx, "dispatch.held", "since", h.Since)
	} else {
		d.log.InfoContext(ctx, "dispatch.released", "since", h.Since)
		d.wake()
	}
}

// surelyReleased reports that an attempt may begin, asking the store if the last look was
// too long ago. Without an answer it may not.
func (d *Dispatcher) surelyReleased(ctx context.Context) (bool, error) {
	d.mu.Lock()
	on, before, looking := d.halt.now.On, d.halt.asked, d.halt.looking
	if on || sinceAsked(before) < holdFresh {
		d.mu.Unlock()
		return !on, nil
	}
	if looking == nil {
		looking = make(chan struct{})
		d.halt.looking = looking
		go d.look(looking) // many attempts may wait for it: it ends with none of them
	}
	d.mu.Unlock()
	select {
	case <-looking:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.halt.asked.After(before) {
		return false, errHoldUnknown
	}
	// However long the answer took: a database so slow must not stop the sending for good.
	return !d.halt.now.On, nil
}

var errHoldUnknown = &hook.Error{Kind: hook.KindUnavailable, Detail: "the database did not say whether the installation is on hold", RetryAfter: time.Second}

// look is LookAtHold for those that wait until done is closed.
func (d *Dispatcher) look(done chan struct{}) {
	if err := d.LookAtHold(context.Background()); err != nil {
		d.log.Warn("dispatch.hold_unknown", "error", err)
	}
	d.mu.Lock()
	d.halt.looking = nil
	d.mu.Unlock()
	close(done)
}
