package dispatch

import (
	"math"
	"time"

	"sallyport/internal/hook"
)

// A lane holds what this node has in hand for one target. A slot is a request under
// way; slots begin at two, double with success and fall to one on a timeout, so that a
// hanging target cannot take what others need. Beside those under way a lane holds more
// that wait in memory to be sent, since a trip through the store's queue costs three
// times a hand-over, and some whose outcome is about to be stored: few, so that a
// database outage stops a lane instead of piling up duplicates. All of a lane is guarded
// by the dispatcher's mutex.
type lane struct {
	target    hook.ID
	workspace hook.ID

	slots   int
	sending int
	storing int         // sent, their outcome not stored yet
	held    int         // all in our hands: reserved, queued, sending, storing
	mean    int64       // bytes of its deliveries lately; 0: none seen
	queue   []*hook.Job // to be sent, oldest first
	starved bool        // in one of the dispatcher's lists

	contended bool // runs got into each other's way lately
	alone     bool // the last start was of a suspect, beside which nothing starts

	due       time.Time // when the earliest that waits in the store is due; zero: none known
	asking    int       // how many it has asked for and not got yet
	deep      bool      // the last claim got all it asked for: older ones wait than what comes in
	floor     time.Time // nothing is due before, as far as known
	floorFull time.Time // when we last looked without a floor

	slowUntil time.Time // it timed out lately
	home      home
	tokens    float64 // of the rate limit
	tokensAt  time.Time
	timer     *time.Timer // wakes the lane when it has a token again
	usedAt    time.Time

	rested      bool // its target was not active when the configuration last changed
	health      hook.Health
	healthKnown bool // what the store remembered was read
	dirty       bool // health changed since the last flush
	latency     latencies
}

type home struct {
	node    hook.NodeID // whose the target is; 0: not asked
	checked time.Time
	leaving bool // the store is being told that we leave it
}

// Numbers of lanes.
const (
	firstSlots = 2
	// holdPerSlot is how many deliveries a lane holds for each slot, so that a burst does
	// not go through the store's queue. What a crash leaves to rescue grows with it.
	holdPerSlot = 16
	// storePerSlot bounds those sent and not yet stored, with those under way.
	storePerSlot = 4
	// slowFor is how long a timeout marks a target as slow.
	slowFor = time.Minute
	// floorFor is how long a floor is trusted: rescued rows may come back below it.
	floorFor = 10 * time.Second
	// A delivery that was rescued suspectAfter times may be what kills the nodes, or have
	// waited in their memory beside it: from then on it starts alone in its lane, and each
	// start is noted before it happens. One that was started maxStarts times so, and rescued
	// again, kills nodes. Five, because it may be innocent all the same: the one that runs
	// when somebody keeps killing the node.
	suspectAfter = 2
	maxStarts    = 5
)

// laneOf returns the lane of a target, made on first use.
func (d *Dispatcher) laneOf(workspace, target hook.ID) *lane {
	l := d.lanes[target]
	if l == nil {
		l = &lane{target: target, workspace: workspace, slots: firstSlots}
		l.health.Target = target
		l.health.Breaker.State = breakerClosed
		d.lanes[target] = l
	}
	l.usedAt = time.Now()
	return l
}

// maxSlots is how far the target's slots may grow.
func maxSlots(t *hook.Target) int {
	if t.MaxInFlight > 0 {
		return t.MaxInFlight
	}
	return hook.DefaultInFlight
}

// room is how many more deliveries the lane may hold. What waits for its turn at a
// limited target waits in the store, where it is seen to wait and can be skipped.
func (l *lane) room(t *hook.Target) int {
	slots := min(l.slots, maxSlots(t))
	if !t.Limited {
		per := holdPerSlot
		if l.slow() { // what hangs there must not use up what all may hold
			per = 2
		}
		return per*slots - l.held - l.asking
	}
	if t.RateLimit != nil {
		l.refill(t)
		slots = min(slots, max(1, int(l.tokens)))
	}
	return slots - l.held - l.asking
}

// least is how many a claim must be able to take to be worth its round trip, while the
// lane has something to do.
func (l *lane) least(t *hook.Target) int {
	if t.Limited {
		return max(1, min(l.slots, maxSlots(t))/4)
	}
	return l.slots
}

// waiting reports that the store has deliveries of this target that are due: newer
// ones must not overtake them.
func (l *lane) waiting(now time.Time) bool { return !l.due.IsZero() && !l.due.After(now) }

// Reserve makes room for a delivery about to be stored, see publish.Dispatcher.
func (d *Dispatcher) Reserve(t *hook.Target, bytes int) (hook.ID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping || d.halt.now.On || d.node == 0 || t.State != hook.TargetActive || d.bytes+int64(bytes) > d.cfg.HandOver {
		return hook.NoID, false
	}
	l := d.laneOf(t.Workspace, t.ID)
	// The first delivery after a start waits until the claim loop has read what the store
	// remembers of the target: its breaker may be open.
	if !l.healthKnown || l.room(t) <= 0 || l.waiting(d.ids.Now()) || (l.deep && l.asking > 0) || !l.closed() || (t.Limited && l.home.node != d.node) {
		return hook.NoID, false
	}
	id := d.ids.New()
	d.hold(l, id, bytes)
	return id, true
}

// holding is a delivery in our hands: usually once, and again when this node, taken for
// dead meanwhile, claimed what it still sends.
type holding struct {
	lane  *lane
	times int
}

func (d *Dispatcher) hold(l *lane, id hook.ID, bytes int) {
	d.held[id] = holding{l, d.held[id].times + 1}
	l.held++
	d.bytes += int64(bytes)
	if l.mean == 0 {
		l.mean = int64(bytes)
	}
	l.mean += (int64(bytes) - l.mean) / 8
}

// unseen is what a delivery of a lane counts for before one was seen: as large as an
// event is allowed to be by default.
const unseen = 1 << 20

// size is what one more delivery of the lane will take in memory, about.
func (l *lane) size() int64 {
	if l.mean == 0 {
		return unseen
	}
	return l.mean
}

// drop forgets a delivery that is no longer in our hands.
func (d *Dispatcher) drop(id hook.ID, bytes int) *lane {
	h := d.held[id]
	switch h.times {
	case 0:
		return nil
	case 1:
		delete(d.held, id)
	default:
		d.held[id] = holding{h.lane, h.times - 1}
	}
	h.lane.held--
	d.bytes -= int64(bytes)
	return h.lane
}

// Cancel gives back what Reserve made room for.
func (d *Dispatcher) Cancel(_, id hook.ID, bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(id, bytes)
}

// jobBytes is what a delivery counts for in memory; publish counts the same.
func jobBytes(e *hook.Event) int { return len(e.Entity) + len(e.EntityURL) + 512 }

// HandOver starts a reserved delivery that is committed.
func (d *Dispatcher) HandOver(j *hook.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j.Node != d.node { // declared dead in between: others have rescued it
		d.drop(j.Delivery.ID, jobBytes(j.Event))
		return
	}
	l := d.held[j.Delivery.ID].lane
	if l == nil {
		return
	}
	l.queue = append(l.queue, j)
	if d.stopping || d.halt.now.On {
		d.giveBack(l)
		return
	}
	d.pump(l)
}

// Waiting tells that deliveries of a target were stored to wait, due at once.
func (d *Dispatcher) Waiting(t *hook.Target) {
	d.mu.Lock()
	l := d.laneOf(t.Workspace, t.ID)
	l.expect(d.ids.Now())
	room := l.room(t) > 0
	d.mu.Unlock()
	if room {
		d.wake()
	}
}

// pump starts attempts while the lane and the node have slots.
func (d *Dispatcher) pump(l *lane) { d.pumpUpTo(l, math.MaxInt) }

// pumpUpTo starts so many attempts at most; a lane that could go on gets in line.
func (d *Dispatcher) pumpUpTo(l *lane, most int) {
	for len(l.queue) > 0 && !d.stopping && !d.halt.now.On {
		suspect := l.queue[0].Claims >= suspectAfter
		if (suspect || l.alone) && l.sending+l.storing > 0 {
			return
		}
		t := d.target(l.workspace, l.target)
		if t != nil && t.State == hook.TargetActive {
			slots := min(l.slots, maxSlots(t))
			unstored := storePerSlot * slots
			if l.contended {
				unstored = slots
			}
			if l.sending >= slots || l.sending+l.storing >= unstored || !l.takeToken(t, d) {
				return
			}
			if most == 0 || !d.freeSlot(l.slow()) {
				l.giveToken(t)
				d.starve(l)
				return
			}
			most--
		}
		j := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.alone = suspect
		l.sending++
		d.sending++
		slow := l.slow()
		if slow {
			d.sendingSlow++
		}
		d.start(l, j, slow)
	}
	if len(l.queue) == 0 {
		l.queue = nil
	}
}

func (l *lane) slow() bool { return time.Now().Before(l.slowUntil) }

// freeSlot reports whether the node has a slot; targets with recent timeouts share half
// of them.
func (d *Dispatcher) freeSlot(slow bool) bool {
	return d.sending < d.cfg.MaxSlots && (!slow || d.sendingSlow < d.cfg.MaxSlots/2)
}

// starve puts a lane in line for the next slots of the node.
func (d *Dispatcher) starve(l *lane) {
	if l.starved {
		return
	}
	l.starved = true
	if l.slow() {
		d.starvedSlow = append(d.starvedSlow, l)
	} else {
		d.starved = append(d.starved, l)
	}
}

// feed serves lanes in line, one slot each in turn.
func (d *Dispatcher) feed(line *[]*lane, slow bool) {
	for n := len(*line); n > 0 && d.freeSlot(slow); n-- {
		l := (*line)[0]
		*line = (*line)[1:]
		l.starved = false
		d.pumpUpTo(l, 1)
	}
	if len(*line) == 0 {
		*line = nil
	}
}

// sent gives the slot back after an exchange and learns from it.
func (d *Dispatcher) sent(l *lane, t *hook.Target, a *hook.Attempt, slow bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.sending--
	l.storing++
	d.sending--
	if slow {
		d.sendingSlow--
	}
	if a != nil && t != nil {
		l.learn(t, a)
	}
	if len(d.starved)+len(d.starvedSlow) == 0 {
		d.pump(l)
		return
	}
	if len(l.queue) > 0 { // behind those that wait already
		d.starve(l)
	}
	d.feed(&d.starved, false)
	d.feed(&d.starvedSlow, true)
}

// learn grows and shrinks the lane's slots.
func (l *lane) learn(t *hook.Target, a *hook.Attempt) {
	switch {
	case l.contended && a.Effects != nil: // what it is worth shows when it is stored
	case a.Outcome == hook.OutcomeSucceeded:
		l.slots = min(2*l.slots, maxSlots(t))
	case a.ErrorClass == hook.ClassTimeout:
		l.slots = 1
		l.slowUntil = time.Now().Add(slowFor)
	case a.Response != nil && a.Response.Status == 429:
		l.slots = max(1, l.slots/2)
	}
}

// contend shrinks a lane whose runs were made of what others of them changed meanwhile, and
// lets it grow again while they were not. Runs that change one record at the same time are
// all in vain but one: without this a queue of them costs its square.
func (l *lane) contend(t *hook.Target, stale bool) {
	switch {
	case stale:
		l.contended, l.slots = true, max(1, l.slots/2)
	case l.contended && t != nil && l.slots < maxSlots(t):
		l.slots++
	default:
		l.contended = false
	}
}

// giveBack returns what waits in the lane's memory to the store.
func (d *Dispatcher) giveBack(l *lane) {
	for _, j := range l.queue {
		d.finish.put(released(j))
	}
	l.queue = nil
}

// released ends a delivery's stay without an attempt: it waits again, due at once.
func released(j *hook.Job) *hook.Finish {
	return &hook.Finish{Job: j, State: hook.StatePending, Attempts: j.Delivery.Attempts, Trigger: j.Trigger}
}

// target returns the target as it is configured now, nil if it is gone or not loaded.
func (d *Dispatcher) target(workspace, id hook.ID) *hook.Target {
	if v := d.catalog.Cached(workspace); v != nil {
		return v.Targets[id]
	}
	return nil
}

// takeToken asks the target's rate limit. Without a token it sets a timer for the
// next one.
func (l *lane) takeToken(t *hook.Target, d *Dispatcher) bool {
	if t.RateLimit == nil {
		return true
	}
	l.refill(t)
	if l.tokens >= 1 {
		l.tokens--
		return true
	}
	wait := time.Duration((1 - l.tokens) / perSecond(t.RateLimit) * float64(time.Second))
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.pump(l)
		})
	} else {
		l.timer.Reset(wait)
	}
	return false
}

func perSecond(r *hook.RateLimit) float64 { return float64(r.Requests) / r.Per.Seconds() }

// refill adds the tokens that time has brought, up to a period's worth.
func (l *lane) refill(t *hook.Target) {
	now := time.Now()
	if l.tokensAt.IsZero() {
		l.tokens = 1 // a restart must not be a burst
	} else {
		burst := float64(max(1, t.RateLimit.Requests))
		l.tokens = min(burst, l.tokens+now.Sub(l.tokensAt).Seconds()*perSecond(t.RateLimit))
	}
	l.tokensAt = now
}

// giveToken returns a token that was not used.
func (l *lane) giveToken(t *hook.Target) {
	if t.RateLimit != nil {
		l.tokens++
	}
}

// TargetsChanged acts on a new configuration: lanes whose target is not active any
// more give back what has not been sent, others may go on. Who made a target active again
// expects it to be tried: an open breaker lets one through at once.
func (d *Dispatcher) TargetsChanged(workspace hook.ID) {
	d.mu.Lock()
	for _, l := range d.lanes {
		if l.workspace != workspace {
			continue
		}
		t := d.target(workspace, l.target)
		active := t != nil && t.State == hook.TargetActive
		if active && l.rested && l.health.Breaker.State == breakerOpen {
			now := d.ids.Now()
			l.health.Breaker.NextProbeAt, l.dirty = &now, true
			l.expect(now)
		}
		l.rested = !active
		if !active || (t.Limited && l.home.node != d.node) {
			d.giveBack(l) // at its home, if it has become limited
		} else {
			d.pump(l)
		}
	}
	d.mu.Unlock()
	d.wake()
}
