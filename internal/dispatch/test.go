package dispatch

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// Test sends a sample event to one target at once, whatever its state, and returns the
// attempt. It is recorded as a delivery marked as a test, tried once, and does not
// count for the target's health.
func (d *Dispatcher) Test(ctx context.Context, t *hook.Target, e hook.NewEvent, source hook.Source) (hook.Attempt, error) {
	node := d.Node()
	if node == 0 {
		return hook.Attempt{}, &hook.Error{Kind: hook.KindUnavailable, Detail: "this node is joining", RetryAfter: time.Second}
	}
	switch ok, err := d.surelyReleased(ctx); {
	case err != nil:
		return hook.Attempt{}, err
	case !ok:
		return hook.Attempt{}, hook.Errorf(hook.KindInvalidState, "the installation is on hold and sends nothing; POST /v1/dispatch/release lets it go")
	}
	key := d.ids.New()
	ev := &hook.Event{
		Key: key, Workspace: t.Workspace, ID: key.String(), Type: e.Type, EntityID: e.EntityID, Entity: e.Entity, EntityURL: e.EntityURL,
		Timestamp: d.ids.Now().UTC().Truncate(time.Millisecond), Source: source, Matched: 1,
	}
	d.mu.Lock()
	if d.stopping {
		d.mu.Unlock()
		return hook.Attempt{}, &hook.Error{Kind: hook.KindShuttingDown, Detail: "this node is shutting down", RetryAfter: time.Second}
	}
	d.attempts.Add(1)
	defer d.attempts.Done()
	l := d.laneOf(t.Workspace, t.ID)
	id := d.ids.New() // under the lock: the audit must not move past it before it is held
	d.hold(l, id, jobBytes(ev))
	d.mu.Unlock()

	planned := &hook.PlannedEvent{Event: *ev, Deliveries: []hook.PlannedDelivery{
		{ID: id, TargetKind: t.Kind, Target: t.ID, Born: true, Trigger: hook.TriggerTest, Test: true},
	}}
	res, err := d.store.Accept(ctx, &hook.AcceptBatch{Node: node, Events: []*hook.PlannedEvent{planned}})
	if err == nil && res.Fenced {
		err = &hook.Error{Kind: hook.KindUnavailable, Detail: "this node is joining again", RetryAfter: time.Second}
	}
	if err != nil {
		d.Cancel(t.ID, id, jobBytes(ev))
		return hook.Attempt{}, err
	}
	j := &hook.Job{
		Node: node, Event: ev, Trigger: hook.TriggerTest,
		Delivery: hook.Delivery{ID: id, Workspace: t.Workspace, EventKey: key, TargetKind: t.Kind, Target: t.ID, State: hook.StateRunning, Test: true},
	}
	a := d.send(d.ctx, t, j)
	d.metrics.Attempt(a.Outcome, a.Timings.Total)
	d.finish.put(decide(j, &a, t, 0))
	return a, nil
}
