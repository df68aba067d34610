package publish

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/hook"
)

// Admit stores a request and its events in one transaction, and starts its deliveries. It
// returns the request that was accepted before under the same dedupe key, if there is one:
// then nothing was stored. hook.ErrChanged asks to judge the request anew. When the error is
// unavailable the request may still be stored.
func (p *Publisher) Admit(ctx context.Context, v *hook.View, a *hook.Admission) (repeated hook.ID, err error) {
	if p.cfg.Room != nil {
		if err := p.cfg.Room(); err != nil {
			return hook.NoID, err
		}
	}
	if err := p.limits(v, max(1, len(a.Events))); err != nil {
		return hook.NoID, err
	}
	r := &request{workspace: a.Request.Workspace, receipts: make([]hook.Receipt, 1), left: 1, done: make(chan struct{})}
	it := &item{request: r, admission: a, judged: v, version: v.Version, size: len(a.Request.Body.Bytes) + 1024}
	for i := range a.Events {
		it.size += len(a.Events[i].Entity) + 512
	}
	if err := p.queue.put(r.workspace, []*item{it}); err != nil {
		return hook.NoID, err
	}
	timer := time.NewTimer(p.cfg.Patience)
	defer timer.Stop()
	select {
	case <-r.done:
		return it.repeated, r.err
	case <-timer.C:
		// A caller that left is no reason to stop waiting: what is stored is to be told of.
		it.leave()
		return hook.NoID, &hook.Error{Kind: hook.KindUnavailable, Detail: "the store did not answer in time; the request may still be accepted", RetryAfter: 2 * time.Second}
	}
}

// Unwatch ends the watching of an admission's deliveries.
func (p *Publisher) Unwatch(a *hook.Admission) {
	for _, id := range a.Watched {
		p.dispatch.Unwatch(id)
	}
}

// admitted is an admission made ready to be stored.
type admitted struct {
	item    *item
	planned *hook.PlannedRequest
	events  []*hook.PlannedEvent
}

// planAdmission gives a request's events their keys and deliveries, unless what it was
// judged by has changed.
func (p *Publisher) planAdmission(v *hook.View, it *item) (*admitted, error) {
	a := it.admission
	if it.version != v.Version && !current(a, it.judged, v) {
		return nil, hook.ErrChanged
	}
	it.judged, it.version = v, v.Version
	ad := &admitted{item: it, planned: &hook.PlannedRequest{Request: a.Request, Dedupe: a.Dedupe, Expand: a.Expand}}
	ad.events = planEvents(a, func(_ hook.ID, r hook.Routed, bytes int) (hook.ID, bool) {
		if r.Skipped == hook.ReasonNone {
			if id, ok := p.dispatch.Reserve(r.Target, bytes); ok {
				return id, true
			}
		}
		return p.ids.New(), false
	})
	return ad, nil
}

// current reports that the door, its routes' actions and the targets are in the view as they
// were in that by which the request was judged, and takes the view's. An action that has
// become active since is none that the request was held against.
func current(a *hook.Admission, judged, v *hook.View) bool {
	if t := v.Targets[a.Door.ID]; t == nil || t.Version != a.Door.Version {
		return false
	}
	for i := range a.Door.Routes {
		was, is := judged.Action(a.Door.Routes[i].Action), v.Action(a.Door.Routes[i].Action)
		if (was == nil) != (is == nil) || is != nil && (was.ID != is.ID || was.Version != is.Version || was.State != is.State) {
			return false
		}
	}
	for i := range a.Events {
		for j := range a.Events[i].Routed {
			r := &a.Events[i].Routed[j]
			t := v.Targets[r.Target.ID]
			if t == nil || t.Version != r.Target.Version {
				return false
			}
			r.Target = t
		}
	}
	return true
}

// planEvents makes the events. reserve gives a delivery its id and says whether it is born
// claimed.
func planEvents(a *hook.Admission, reserve func(event hook.ID, r hook.Routed, bytes int) (hook.ID, bool)) []*hook.PlannedEvent {
	q := a.Request
	store := make([]hook.PlannedEvent, len(a.Events))
	events := make([]*hook.PlannedEvent, len(a.Events))
	for i := range a.Events {
		in, pe := &a.Events[i], &store[i]
		key := hook.RequestEventKey(q.ID, in.Index)
		pe.Inbound = true
		pe.Event = hook.Event{
			Key: key, Workspace: q.Workspace, ID: key.String(), Type: a.Door.EventType(), Entity: in.Entity,
			Timestamp: q.ReceivedAt(), Source: hook.Source{Kind: hook.SourceIncoming, ID: a.Door.ID, RequestID: q.ID},
			Hops: q.Hops, Matched: len(in.Routed),
		}
		if len(in.Routed) > 0 {
			pe.Deliveries = make([]hook.PlannedDelivery, len(in.Routed))
		}
		for j, r := range in.Routed {
			d := &pe.Deliveries[j]
			d.TargetKind, d.Target, d.Trigger, d.Skipped = r.Target.Kind, r.Target.ID, hook.TriggerFirst, r.Skipped
			d.ID, d.Born = reserve(key, r, eventBytes(&pe.Event))
		}
		events[i] = pe
	}
	return events
}

// eventBytes is what a delivery of an event counts for in memory; the dispatcher counts
// the same.
func eventBytes(e *hook.Event) int { return len(e.Entity) + len(e.EntityURL) + 512 }

// settleAdmission hands over the deliveries of a stored request and answers it.
func (p *Publisher) settleAdmission(node hook.NodeID, ad *admitted, res *hook.AcceptResult) (deliveries int) {
	a := ad.item.admission
	p.watch(ad)
	for i, e := range ad.events {
		for j := range e.Deliveries {
			d := &e.Deliveries[j]
			t := a.Events[i].Routed[j].Target
			p.start(node, &e.Event, d, t, eventBytes(&e.Event), res)
		}
		deliveries += len(e.Deliveries)
	}
	ad.item.settle()
	return deliveries
}

// watch has the caller told of what becomes of the deliveries, before any of them starts;
// unless it has left: nobody would end that.
func (p *Publisher) watch(ad *admitted) {
	a, it := ad.item.admission, ad.item
	if a.Watch == nil {
		return
	}
	it.leaving.Lock()
	defer it.leaving.Unlock()
	if it.left {
		return
	}
	for _, e := range ad.events {
		for j := range e.Deliveries {
			if d := &e.Deliveries[j]; d.Skipped == hook.ReasonNone {
				a.Watched = append(a.Watched, d.ID)
				p.dispatch.Watch(d.ID, a.Watch)
			}
		}
	}
}

// leave notes that the caller of an admission waits no longer.
func (it *item) leave() {
	it.leaving.Lock()
	it.left = true
	it.leaving.Unlock()
}

func (p *Publisher) cancelAdmission(ad *admitted) {
	for _, e := range ad.events {
		p.cancelDeliveries(e, eventBytes(&e.Event))
	}
}

// AdmitPiece stores some items of a request that is stored already. Events and deliveries
// have ids that follow from the request, so a piece may be stored again: it makes nothing
// twice. They wait in the store for whichever node takes them.
func (p *Publisher) AdmitPiece(ctx context.Context, v *hook.View, a *hook.Admission) error {
	var wake []*hook.Target
	b := &hook.AcceptBatch{
		Node: p.dispatch.Node(), Versions: map[hook.ID]int64{v.Workspace.ID: v.Version}, Rerun: true,
		Events: planEvents(a, func(event hook.ID, r hook.Routed, _ int) (hook.ID, bool) {
			wake = append(wake, r.Target)
			return hook.RequestDeliveryID(event, r.Target.ID), false
		}),
	}
	res, err := p.store.Accept(ctx, b)
	switch {
	case err != nil:
		return err
	case res.Fenced:
		return errors.Join(hook.ErrChanged, p.dispatch.Fenced(ctx, b.Node))
	case len(res.Stale) > 0:
		return errors.Join(hook.ErrChanged, p.catalog.Refresh(ctx, v.Workspace.ID))
	}
	p.metrics.Accepted(len(b.Events), len(wake))
	p.metrics.Published(v.Workspace.ID, len(b.Events), len(wake))
	for _, t := range wake {
		p.dispatch.Waiting(t)
	}
	return nil
}

// Plan prepares an event that is to be stored by the transaction of somebody else's: it
// checks the event as Publish does and matches it. Its deliveries wait in the store.
func (p *Publisher) Plan(ctx context.Context, workspace hook.ID, e hook.NewEvent, source hook.Source, hops int) (*hook.Effects, error) {
	view, err := p.catalog.View(ctx, workspace)
	if err != nil {
		return nil, err
	}
	if view, err = p.addTypes(ctx, view, []hook.NewEvent{e}); err != nil {
		return nil, err
	}
	it := &item{request: &request{workspace: workspace, origin: Origin{Source: source, Hops: hops}}, event: e}
	if it.event.Timestamp.IsZero() {
		it.event.Timestamp = p.ids.Now()
	}
	it.event.Timestamp = it.event.Timestamp.UTC().Truncate(time.Millisecond)
	if err := p.check(ctx, view, it); err != nil {
		return nil, err
	}
	key := p.ids.New()
	pe := &hook.PlannedEvent{Event: hook.Event{
		Key: key, Workspace: workspace, ID: key.String(), Type: e.Type, EntityID: e.EntityID, Entity: e.Entity, EntityURL: e.EntityURL,
		Timestamp: it.event.Timestamp, Source: source, Hops: hops,
	}}
	targets, failed := p.passing(view.Match(e.Type), it, &pe.Event)
	pe.Event.Matched = len(targets)
	for j, t := range targets {
		d := hook.PlannedDelivery{ID: p.ids.New(), TargetKind: t.Kind, Target: t.ID, Trigger: hook.TriggerFirst}
		if failed != nil && failed[j] {
			d.Skipped = hook.ReasonConditionError
		}
		pe.Deliveries = append(pe.Deliveries, d)
	}
	return &hook.Effects{Versions: map[hook.ID]int64{workspace: view.Version}, Events: []*hook.PlannedEvent{pe}, Wake: targets}, nil
}
