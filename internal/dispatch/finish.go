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
	done   []*hook.Finish // those with effects
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
	if f.Effects != nil {
		w.done = append(w.done, f)
	} else {
		w.queue = append(w.queue, f)
	}
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
	if len(w.queue)+len(w.done) <= finishBatch {
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

// takeFrom cuts a batch off a queue.
func takeFrom(queue *[]*hook.Finish) []*hook.Finish {
	q := *queue
	n := min(len(q), finishBatch)
	// One node id a batch: it changes only when we were declared dead.
	for i := 1; i < n; i++ {
		if q[i].Job.Node != q[0].Job.Node {
			n = i
		}
	}
	batch := q[:n:n]
	if *queue = q[n:]; len(*queue) == 0 {
		*queue = nil
	}
	return batch
}

func (w *finisher) take() (batch, effects []*hook.Finish, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch, effects = takeFrom(&w.queue), takeFrom(&w.done)
	if w.eased != nil && len(w.queue)+len(w.done) <= finishBatch {
		close(w.eased)
		w.eased = nil
	}
	return batch, effects, w.closed
}

func (w *finisher) run() {
	for {
		batch, effects, closed := w.take()
		if len(batch) > 0 {
			w.store(batch, w.plain)
		}
		if len(effects) > 0 {
			w.store(effects, w.effects)
		}
		if len(batch)+len(effects) > 0 {
			continue
		}
		if closed {
			return
		}
		<-w.wakeup
	}
}

func (w *finisher) plain(ctx context.Context, batch []*hook.Finish) (func(), error) {
	held, err := w.d.store.Finish(ctx, batch[0].Job.Node, batch)
	return func() { w.d.finished(batch, held) }, err
}

func (w *finisher) effects(ctx context.Context, batch []*hook.Finish) (func(), error) {
	fates, err := w.d.store.FinishEffects(ctx, batch[0].Job.Node, batch)
	return func() { w.d.effected(ctx, batch, fates) }, err
}

// store records a batch. While the database is away it tries again and the slots stay
// taken, so that nothing more is sent. What the database refuses is tried one by one,
// and a delivery whose record it refuses even alone is left to the audit.
func (w *finisher) store(batch []*hook.Finish, write func(context.Context, []*hook.Finish) (func(), error)) {
	ctx := context.Background()
	wait := 10 * time.Millisecond
	started := time.Now()
	for {
		settle, err := write(ctx, batch)
		if err == nil {
			w.d.metrics.FinishBatch(len(batch), time.Since(started))
			settle()
			return
		}
		if !errors.Is(err, hook.ErrUnknownOutcome) && hook.KindOf(err) == hook.KindInternal {
			if len(batch) > 1 {
				for i := range batch {
					w.store(batch[i:i+1], write)
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
	var told []func()
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
		if tell := d.watched[f.Job.Delivery.ID]; tell != nil && held[i] {
			told = append(told, func() { tell(f) })
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
	for _, tell := range told {
		tell()
	}
	for i, f := range batch {
		if held[i] {
			d.after(f, now)
		}
	}
}

// published counts what a stored outcome published.
func (d *Dispatcher) published(f *hook.Finish) {
	deliveries := 0
	for _, e := range f.Effects.Events {
		deliveries += len(e.Deliveries)
	}
	if n := len(f.Effects.Events); n > 0 {
		d.metrics.Accepted(n, deliveries)
		d.metrics.Published(f.Job.Delivery.Workspace, n, deliveries)
	}
}

// effected goes on after effects were stored. What was made of something that has changed
// since is done anew.
func (d *Dispatcher) effected(ctx context.Context, batch []*hook.Finish, fates []hook.Effect) {
	var ended []*hook.Finish
	var held []bool
	var again []*hook.Finish
	stale := make(map[hook.ID]bool)
	d.contend(batch, fates)
	for i, f := range batch {
		if fates[i] == hook.EffectStale {
			again = append(again, f)
			stale[f.Job.Delivery.Workspace] = true
			continue
		}
		ended, held = append(ended, f), append(held, fates[i] == hook.EffectDone)
		if fates[i] == hook.EffectDone {
			d.published(f)
			for _, t := range f.Effects.Wake {
				d.Waiting(t)
			}
		}
	}
	d.finished(ended, held)
	for workspace := range stale {
		if _, err := d.catalog.Current(ctx, workspace); err != nil {
			d.log.WarnContext(ctx, "action.refresh", "workspace_id", workspace, "error", err)
		}
	}
	for _, f := range again {
		if f.Exhausted() { // the attempt stands: only whom to tell of it has changed
			d.tellExhausted(f)
			d.finish.put(f)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range again {
		if !f.Exhausted() {
			d.rerun(f)
		}
	}
}

// contend tells lanes whether their effects got into each other's way.
func (d *Dispatcher) contend(batch []*hook.Finish, fates []hook.Effect) {
	d.mu.Lock()
	defer d.mu.Unlock()
	met := make(map[*lane]bool)
	for i, f := range batch {
		if f.Exhausted() {
			continue
		}
		if l := d.held[f.Job.Delivery.ID].lane; l != nil {
			met[l] = met[l] || fates[i] == hook.EffectStale
		}
	}
	for l, stale := range met {
		l.contend(d.target(l.workspace, l.target), stale)
	}
}

// rerun puts a delivery whose outcome could not be kept back at the head of its lane.
func (d *Dispatcher) rerun(f *hook.Finish) {
	l := d.held[f.Job.Delivery.ID].lane
	if l == nil {
		return
	}
	if f.Sent {
		l.storing--
	}
	if f.Job.Node != d.node { // declared dead in between: others have rescued it
		d.drop(f.Job.Delivery.ID, jobBytes(f.Job.Event))
		return
	}
	l.queue = append([]*hook.Job{f.Job}, l.queue...)
	if d.stopping || d.halt.now.On {
		d.giveBack(l)
		return
	}
	d.pump(l)
}

// Watch has told called with every outcome of a delivery that this node stores, until
// Unwatch. It must not block.
func (d *Dispatcher) Watch(id hook.ID, told func(*hook.Finish)) {
	d.mu.Lock()
	d.watched[id] = told
	d.mu.Unlock()
}

// Unwatch ends Watch.
func (d *Dispatcher) Unwatch(id hook.ID) {
	d.mu.Lock()
	delete(d.watched, id)
	d.mu.Unlock()
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

// after counts a stored outcome.
func (d *Dispatcher) after(f *hook.Finish, now time.Time) {
	if f.State.Final() {
		d.metrics.Ended(f.Job.Delivery.Workspace, f.State)
	}
	if f.State == hook.StateSucceeded {
		d.metrics.Delivered(now.Sub(f.Job.Event.AcceptedAt()))
	}
}
