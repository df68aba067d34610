package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// finisher is the one finish writer of the node: each transaction takes the outcomes
// that came while the last one ran.
type finisher struct {
	d      *Dispatcher
	mu     sync.Mutex
	queue  []*hook.Finish
	closed bool
	wakeup chan struct{}
	eased  chan struct{} // closed when the queue is short again; nil: nobody waits
}

// finishBatch bounds a transaction: beyond it larger batches save nothing more.
const finishBatch = 512

func newFinisher(d *Dispatcher) *finisher {
	return &finisher{d: d, wakeup: make(chan struct{}, 1)}
}

func (w *finisher) put(f *hook.Finish) {
	w.mu.Lock()
	w.queue = append(w.queue, f)
	w.mu.Unlock()
	w.wake()
}

func (w *finisher) wake() {
	select {
	case w.wakeup <- struct{}{}:
	default:
	}
}

// close lets run return once everything is stored.
func (w *finisher) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake()
}

// paceFor bounds how long accepting gives way to storing outcomes.
const paceFor = 25 * time.Millisecond

// Pace gives way to the finish writer while more than a batch waits for it. Both share
// one database: what is accepted beyond what can be finished goes through the store's
// queue and costs three times as much.
func (d *Dispatcher) Pace() {
	w := d.finish
	w.mu.Lock()
	if len(w.queue) <= finishBatch {
		w.mu.Unlock()
		return
	}
	if w.eased == nil {
		w.eased = make(chan struct{})
	}
	eased := w.eased
	w.mu.Unlock()
	t := time.NewTimer(paceFor)
	defer t.Stop()
	select {
	case <-eased:
	case <-t.C:
	}
}

func (w *finisher) take() (batch []*hook.Finish, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), finishBatch)
	// One node id a batch: it changes only when we were declared dead.
	for i := 1; i < n; i++ {
		if w.queue[i].Job.Node != w.queue[0].Job.Node {
			n = i
		}
	}
	batch = w.queue[:n:n]
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	if w.eased != nil && len(w.queue) <= finishBatch {
		close(w.eased)
		w.eased = nil
	}
	return batch, w.closed
}

func (w *finisher) run() {
	for {
		batch, closed := w.take()
		if len(batch) > 0 {
			w.store(batch)
			continue
		}
		if closed {
			return
		}
		<-w.wakeup
	}
}

// store records a batch. While the database is away it tries again and the slots stay
// taken, so that nothing more is sent. What the database refuses is tried one by one,
// and a delivery whose record it refuses even alone is left to the audit.
func (w *finisher) store(batch []*hook.Finish) {
	ctx := context.Background()
	wait := 10 * time.Millisecond
	started := time.Now()
	for {
		held, err := w.d.store.Finish(ctx, batch[0].Job.Node, batch)
		if err == nil {
			w.d.metrics.FinishBatch(len(batch), time.Since(started))
			w.d.finished(batch, held)
			return
		}
		if !errors.Is(err, hook.ErrUnknownOutcome) && hook.KindOf(err) == hook.KindInternal {
			if len(batch) > 1 {
				for i := range batch {
					w.store(batch[i : i+1])
				}
				return
			}
			w.d.log.Error("delivery.finish", "delivery_id", batch[0].Job.Delivery.ID, "error", err)
			w.d.unknown(batch[0])
			return
		}
		w.d.log.Warn("delivery.finish", "deliveries", len(batch), "error", err)
		w.d.mu.Lock()
		giveUp := w.d.stopping && time.Since(started) > w.d.cfg.Grace
		w.d.mu.Unlock()
		if giveUp { // the next node finds them claimed by a dead one
			return
		}
		pause(ctx, wait)
		wait = min(2*wait, time.Second)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// unknown forgets a delivery whose outcome cannot be stored; the audit releases it.
func (d *Dispatcher) unknown(f *hook.Finish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stored(f)
}

// stored lets go of a delivery whose stay has ended, and returns its lane; nil if it
// was dropped before, with a node id that is no more.
func (d *Dispatcher) stored(f *hook.Finish) *lane {
	l := d.drop(f.Job.Delivery.ID, jobBytes(f.Job.Event))
	if l != nil && f.Sent {
		l.storing--
	}
	return l
}

// finished frees what stored outcomes held, and lets their lanes go on.
func (d *Dispatcher) finished(batch []*hook.Finish, held []bool) {
	now := d.ids.Now()
	wake := false
	touched := make(map[*lane]bool)
	d.mu.Lock()
	for i, f := range batch {
		l := d.stored(f)
		if l == nil {
			continue
		}
		if held[i] && f.State == hook.StatePending {
			l.expect(now.Add(f.Wait))
		}
		if !l.due.IsZero() {
			wake = true
		}
		if len(l.queue) > 0 {
			touched[l] = true
		}
	}
	for l := range touched {
		d.pump(l)
	}
	sending, inHand := d.sending, len(d.held)
	d.mu.Unlock()
	d.metrics.InFlight(sending, inHand)
	if wake {
		d.wake()
	}
	for i, f := range batch {
		if held[i] {
			d.after(f, now)
		}
	}
}

// expect notes that a delivery of this lane is due at a time.
func (l *lane) expect(due time.Time) {
	if l.due.IsZero() || due.Before(l.due) {
		l.due = due
	}
	if due.Before(l.floor) {
		l.floor = time.Time{}
	}
}

// after does what follows a stored outcome but is no part of it.
func (d *Dispatcher) after(f *hook.Finish, now time.Time) {
	del := &f.Job.Delivery
	if f.State == hook.StateSucceeded {
		d.metrics.Delivered(now.Sub(f.Job.Event.AcceptedAt()))
		return
	}
	if f.Attempt == nil || del.Test {
		return
	}
	if f.Reason == hook.ReasonGone {
		go d.suspend(del.Workspace, del.Target, hook.SuspendedGone)
	}
	if f.State == hook.StateFailed && !hook.IsOperational(f.Job.Event.Type) {
		go d.announceExhausted(f)
	}
}
