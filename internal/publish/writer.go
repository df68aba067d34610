package publish

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/hook"
)

// Run is the one accept writer of the node: each transaction takes what queued while
// the last one ran, so batches grow under load and there is no wait when idle. When
// ctx ends it takes no more, stores what it has and returns.
func (p *Publisher) Run(ctx context.Context) error {
	flush := time.NewTicker(time.Second)
	defer flush.Stop()
	for {
		batch := p.queue.take(p.cfg.BatchEvents, p.cfg.BatchBytes)
		if len(batch) > 0 {
			p.write(ctx, batch)
			continue
		}
		select {
		case <-ctx.Done():
			p.queue.close()
			for batch := p.queue.take(p.cfg.BatchEvents, p.cfg.BatchBytes); len(batch) > 0; batch = p.queue.take(p.cfg.BatchEvents, p.cfg.BatchBytes) {
				p.write(ctx, batch)
			}
			p.types.flush(context.WithoutCancel(ctx), p)
			return nil
		case <-flush.C:
			p.types.flush(ctx, p)
		case <-p.queue.wake:
		}
	}
}

// plan is an event of a batch and the item it answers.
type plan struct {
	item    *item
	planned *hook.PlannedEvent
	targets []*hook.Target
	bytes   int
	typeID  hook.ID // of the catalogue entry, if there is one
}

// write settles every item of a batch.
func (p *Publisher) write(ctx context.Context, batch []*item) {
	started := time.Now()
	for len(batch) > 0 {
		p.dispatch.Pace()
		node := p.dispatch.Node()
		work, bad := p.plan(ctx, batch)
		for _, b := range bad {
			b.item.fail(b.err)
		}
		if work.empty() {
			return
		}
		res, err := p.accept(ctx, node, work)
		switch {
		case err != nil:
			p.cancel(work)
			all := work.items()
			if p.cfg.IsDataError != nil && p.cfg.IsDataError(err) && len(all) > 1 {
				for _, it := range all { // one of them is at fault: alone, it shows
					p.write(ctx, []*item{it})
				}
				return
			}
			for _, it := range all {
				it.fail(err)
			}
			return
		case res.Fenced:
			p.cancel(work)
			batch = work.items()
			if err := p.dispatch.Fenced(ctx, node); err != nil {
				for _, it := range batch {
					it.fail(&hook.Error{Kind: hook.KindUnavailable, Detail: "this node is joining again", RetryAfter: time.Second, Err: err})
				}
				return
			}
		case len(res.Stale) > 0:
			p.cancel(work)
			batch = p.refresh(ctx, work.items(), res.Stale)
		default:
			batch = p.settle(ctx, node, work, &res)
			p.metrics.AcceptBatch(len(work.plans)+len(work.admissions), time.Since(started))
		}
	}
}

// work is a batch made ready to be stored.
type work struct {
	plans      []*plan
	admissions []*admitted
	versions   map[hook.ID]int64
}

func (w *work) empty() bool { return len(w.plans)+len(w.admissions) == 0 }

func (w *work) items() []*item {
	out := make([]*item, 0, len(w.plans)+len(w.admissions))
	for _, pl := range w.plans {
		out = append(out, pl.item)
	}
	for _, ad := range w.admissions {
		out = append(out, ad.item)
	}
	return out
}

type badItem struct {
	item *item
	err  error
}

// plan gives each event its key and its deliveries. Deliveries for which a lane has
// room are born claimed.
func (p *Publisher) plan(ctx context.Context, batch []*item) (*work, []badItem) {
	var admissions []*admitted
	versions := make(map[hook.ID]int64, 2)
	views := make(map[hook.ID]*hook.View, 2)
	plans := make([]*plan, 0, len(batch))
	store := make([]struct {
		plan
		hook.PlannedEvent
	}, len(batch))
	var bad []badItem
	for i, it := range batch {
		r := it.request
		v := views[r.workspace]
		if v == nil {
			var err error
			if v, err = p.catalog.View(ctx, r.workspace); err != nil {
				bad = append(bad, badItem{it, err})
				continue
			}
			views[r.workspace] = v
			versions[r.workspace] = v.Version
		}
		if it.admission != nil {
			ad, err := p.planAdmission(v, it)
			if err != nil {
				bad = append(bad, badItem{it, err})
				continue
			}
			admissions = append(admissions, ad)
			continue
		}
		if it.version != v.Version { // changed since it was checked
			if err := p.recheck(ctx, it, make(map[hook.ID]error)); err != nil {
				bad = append(bad, badItem{it, err})
				continue
			}
		}
		if r.origin.Principal.Platform {
			versions[hook.NoID] = p.catalog.InstallVersion()
		}
		pl := &store[i].plan
		pl.item, pl.planned = it, &store[i].PlannedEvent
		pl.bytes = it.size
		if t := v.Types[it.event.Type]; t != nil {
			pl.typeID = t.ID
		}
		e := &pl.planned.Event
		*e = hook.Event{
			Key: p.keyOf(it), Workspace: r.workspace, ID: it.event.ID, Type: it.event.Type,
			EntityID: it.event.EntityID, Entity: it.event.Entity, EntityURL: it.event.EntityURL, Timestamp: it.event.Timestamp,
			Source: r.origin.Source, Hops: r.origin.Hops,
		}
		if pl.planned.ClientID = e.ID != ""; pl.planned.ClientID {
			pl.planned.Hash = it.hash
		} else {
			e.ID = e.Key.String()
		}
		var failed []bool
		pl.targets, failed = p.passing(v.Match(e.Type), it, e)
		e.Matched = len(pl.targets)
		if len(pl.targets) > 0 {
			pl.planned.Deliveries = make([]hook.PlannedDelivery, len(pl.targets))
			for j, t := range pl.targets {
				d := &pl.planned.Deliveries[j]
				d.TargetKind, d.Target, d.Trigger = t.Kind, t.ID, hook.TriggerFirst
				if failed != nil && failed[j] {
					d.ID, d.Skipped = p.ids.New(), hook.ReasonConditionError
					continue
				}
				if d.ID, d.Born = p.dispatch.Reserve(t, pl.bytes); !d.Born {
					d.ID = p.ids.New()
				}
			}
		}
		plans = append(plans, pl)
	}
	return &work{plans, admissions, versions}, bad
}

// accept stores a batch, again and again with the same ids for as long as its outcome
// is unknown: the callers may be gone by then, the events are not lost.
func (p *Publisher) accept(ctx context.Context, node hook.NodeID, w *work) (hook.AcceptResult, error) {
	b := &hook.AcceptBatch{Node: node, Versions: w.versions, Events: make([]*hook.PlannedEvent, len(w.plans))}
	for i, pl := range w.plans {
		b.Events[i] = pl.planned
	}
	for _, ad := range w.admissions {
		b.Requests = append(b.Requests, ad.planned)
		b.Events = append(b.Events, ad.events...)
	}
	wait := 10 * time.Millisecond
	started := time.Now()
	for {
		res, err := p.store.Accept(ctx, b)
		unknown := errors.Is(err, hook.ErrUnknownOutcome) || (b.Rerun && hook.KindOf(err) == hook.KindUnavailable)
		if !unknown {
			return res, err
		}
		if !b.Rerun {
			p.log.WarnContext(ctx, "publish.outcome_unknown", "events", len(b.Events), "error", err)
		}
		b.Rerun = true
		if time.Since(started) > outage && hook.KindOf(err) == hook.KindUnavailable {
			p.refuseQueued(err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done(): // stopping: one more try every wait, until the process ends
			<-timer.C
		}
		wait = min(2*wait, time.Second)
	}
}

// outage is how long an outcome stays unknown before what queued behind it is told to
// come back: a connection is replaced within it, a database seldom.
const outage = time.Second

// refuseQueued answers what waits for the store that it is away; none of it was sent.
func (p *Publisher) refuseQueued(err error) {
	for batch := p.queue.take(p.cfg.BatchEvents, p.cfg.BatchBytes); len(batch) > 0; batch = p.queue.take(p.cfg.BatchEvents, p.cfg.BatchBytes) {
		for _, it := range batch {
			it.fail(err)
		}
	}
}

// refresh reloads workspaces whose configuration changed and returns the items to
// plan again. Keys may have been revoked by the change: their requests are refused.
func (p *Publisher) refresh(ctx context.Context, items []*item, stale []hook.ID) []*item {
	failed := make(map[hook.ID]error)
	for _, scope := range stale {
		if err := p.catalog.Refresh(ctx, scope); err != nil {
			failed[scope] = err
		}
	}
	valid := make(map[hook.ID]error)
	var again []*item
	for _, it := range items {
		err := failed[it.request.workspace]
		if err == nil && it.admission == nil {
			err = p.recheck(ctx, it, valid)
		}
		if err != nil {
			it.fail(err)
			continue
		}
		again = append(again, it)
	}
	return again
}

// recheck holds an item against the configuration of now: its key may have been revoked,
// its type given a schema, the workspace made strict. valid remembers verdicts on keys.
func (p *Publisher) recheck(ctx context.Context, it *item, valid map[hook.ID]error) error {
	if who := it.request.origin.Principal; who.Key != hook.NoID {
		verdict, seen := valid[who.Key]
		if !seen {
			ok, err := p.catalog.Valid(ctx, who)
			if verdict = err; err == nil && !ok {
				verdict = hook.Errorf(hook.KindUnauthorized, "this API key is not valid any more")
			}
			valid[who.Key] = verdict
		}
		if verdict != nil {
			return verdict
		}
	}
	v, err := p.catalog.View(ctx, it.request.workspace)
	if err != nil {
		return err
	}
	if v, err = p.addTypes(ctx, v, []hook.NewEvent{it.event}); err != nil {
		return err
	}
	if err := p.check(ctx, v, it); err != nil {
		return err
	}
	it.version = v.Version
	return nil
}

// settle hands over and answers a stored batch, and returns items to try again: ids
// that were remembered past their window.
func (p *Publisher) settle(ctx context.Context, node hook.NodeID, w *work, res *hook.AcceptResult) (again []*item) {
	events, deliveries := 0, 0
	expired := make(map[hook.ID][]string)
	oldest := p.ids.Now().Add(-p.cfg.Window)
	for i, pl := range w.plans {
		e := &pl.planned.Event
		if first, lost := res.First[i]; lost {
			p.cancelDeliveries(pl.planned, pl.bytes)
			if hook.TimeOf(first.Key).Before(oldest) {
				expired[e.Workspace] = append(expired[e.Workspace], e.ID)
				again = append(again, pl.item)
				continue
			}
			pl.item.answer(repeat(pl, first))
			continue
		}
		events, deliveries = events+1, deliveries+len(pl.targets)
		p.metrics.Published(e.Workspace, 1, len(pl.targets))
		if pl.typeID != hook.NoID {
			p.types.published(pl.typeID, e.AcceptedAt())
		}
		pl.item.answer(hook.Receipt{ID: e.ID, Type: e.Type, AcceptedAt: e.AcceptedAt(), Matched: e.Matched})
		for j := range pl.planned.Deliveries {
			p.start(node, e, &pl.planned.Deliveries[j], pl.targets[j], pl.bytes, res)
		}
	}
	for i, ad := range w.admissions {
		if first, repeated := res.Repeats[i]; repeated {
			p.cancelAdmission(ad)
			if first == hook.NoID { // what came first is forgotten by now
				again = append(again, ad.item)
				continue
			}
			ad.item.repeated = first
			ad.item.settle()
			continue
		}
		made := p.settleAdmission(node, ad, res)
		events, deliveries = events+len(ad.events), deliveries+made
		p.metrics.Published(ad.planned.Request.Workspace, len(ad.events), made)
	}
	p.metrics.Accepted(events, deliveries)
	for ws, ids := range expired {
		if err := p.store.ForgetEventIDs(ctx, ws, ids, oldest); err != nil {
			for _, it := range again {
				it.fail(err)
			}
			return nil
		}
	}
	return again
}

// start hands over a stored delivery, or tells that it waits.
func (p *Publisher) start(node hook.NodeID, e *hook.Event, d *hook.PlannedDelivery, t *hook.Target, bytes int, res *hook.AcceptResult) {
	switch {
	case d.Skipped != hook.ReasonNone: // over before it began
	case !d.Born:
		p.dispatch.Waiting(t)
	case res.Mine != nil && !res.Mine[d.ID]:
		p.dispatch.Cancel(d.Target, d.ID, bytes) // rescued meanwhile: another node has it
	default:
		p.dispatch.HandOver(&hook.Job{
			Node: node,
			Delivery: hook.Delivery{ID: d.ID, Workspace: e.Workspace, EventKey: e.Key, TargetKind: d.TargetKind, Target: d.Target,
				State: hook.StateRunning, RequestID: e.Source.RequestID},
			Event: e, Trigger: d.Trigger,
		})
	}
}

// repeat answers an event whose id was there before.
func repeat(pl *plan, first hook.FirstReceipt) hook.Receipt {
	e := &pl.planned.Event
	if first.Hash != pl.planned.Hash {
		return hook.Receipt{ID: e.ID, Type: e.Type, Problem: &hook.Error{Kind: hook.KindEventIDReused, Field: "id",
			Detail: "an event with this id and other content was accepted at " + hook.TimeOf(first.Key).Format(time.RFC3339)}}
	}
	// The hash covers the type, which is known also when the first event's retention has ended.
	return hook.Receipt{ID: e.ID, Type: e.Type, AcceptedAt: hook.TimeOf(first.Key), Matched: first.Matched, Duplicate: true}
}

func (p *Publisher) cancel(w *work) {
	for _, pl := range w.plans {
		p.cancelDeliveries(pl.planned, pl.bytes)
	}
	for _, ad := range w.admissions {
		p.cancelAdmission(ad)
	}
}

func (p *Publisher) cancelDeliveries(e *hook.PlannedEvent, bytes int) {
	for i := range e.Deliveries {
		if d := &e.Deliveries[i]; d.Born {
			p.dispatch.Cancel(d.Target, d.ID, bytes)
		}
	}
}
