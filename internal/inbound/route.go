package inbound

import (
	"encoding/json"
	"errors"
	"fmt"

	"sallyport/internal/hook"
)

// Above these a request is stored as it came, answered, and becomes events piece by piece:
// one transaction for all of them would make everybody else wait.
const (
	maxAtOnce      = 500
	maxBytesAtOnce = 4 << 20
	piece          = maxAtOnce
)

// counted is how many items each group of a door makes of a call.
type counted struct {
	groups []int // -1: the group cannot read the body
	total  int
}

// count parses the body for every group of routes. One that cannot read it does not stop
// the others; if none can, the call is refused.
func (d *Doors) count(j *judged) (counted, *refusal, error) {
	out := counted{groups: make([]int, len(j.door.groups))}
	var first error
	readable := false
	for i, g := range j.door.groups {
		result, err := j.items(g.parser)
		if err != nil {
			out.groups[i] = -1
			if first == nil {
				first = err
			}
			for _, r := range g.routes {
				j.request.Checks = append(j.request.Checks, hook.Check{Name: "route:" + r.Name, Result: hook.CheckFailed, Detail: detailOf(err)})
			}
			continue
		}
		readable = true
		out.groups[i] = result.Count
		out.total += result.Count
		for _, s := range result.Skipped {
			j.request.Checks = append(j.request.Checks, hook.Check{
				Name: "item", Result: hook.CheckSkipped, Detail: fmt.Sprintf("line %d: %s", s.Line, s.Reason),
			})
		}
		if more := result.SkippedCount - len(result.Skipped); more > 0 {
			j.request.Checks = append(j.request.Checks, hook.Check{
				Name: "item", Result: hook.CheckSkipped, Detail: fmt.Sprintf("%d more rows cannot be read, %d in all", more, result.SkippedCount),
			})
		}
	}
	if !readable {
		r := refuse(hook.KindOf(first), "%s", detailOf(first))
		j.note("parse", r)
		return out, r, first
	}
	j.note("parse", nil)
	return out, nil, nil
}

func detailOf(err error) string {
	var e *hook.Error
	if errors.As(err, &e) && e.Detail != "" {
		return e.Detail
	}
	return err.Error()
}

// events makes the events of the items from ≤ index < to, counted over all groups. There may
// be fewer items than were counted when the request was accepted: its door may have changed.
func (d *Doors) events(j *judged, v *hook.View, n counted, from, to int) ([]hook.AdmittedEvent, error) {
	out := make([]hook.AdmittedEvent, 0, max(0, min(to, n.total)-from))
	start := 0
	for i := range j.door.groups {
		count := n.groups[i]
		if count < 0 {
			continue
		}
		lo, hi := max(from-start, 0), min(to-start, count)
		first := start
		start += count
		if lo >= hi {
			continue
		}
		result, err := j.items(j.door.groups[i].parser)
		if err != nil {
			return nil, err
		}
		for k, item := range result.Items(lo, hi) {
			// An item is an event in any case, but once is enough.
			if e := d.event(j, v, &j.door.groups[i], item); i == 0 || len(e.Routed) > 0 {
				e.Index = first + k
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// event routes one item of a group.
func (d *Doors) event(j *judged, v *hook.View, g *group, item json.RawMessage) hook.AdmittedEvent {
	e := hook.AdmittedEvent{Entity: item}
	transformed := g.transform == ""
	var broken error
	for i := range g.routes {
		r := &g.routes[i]
		t := v.Action(r.Action)
		if t == nil || t.State != hook.TargetActive {
			j.told(r).off = true
			continue
		}
		had := deliveryTo(&e, t)
		if had != nil && had.Skipped == hook.ReasonNone {
			continue
		}
		skipped := hook.ReasonNone
		if r.Condition != "" {
			ok, err := d.templates.Condition(r.Condition, j.scene(item))
			if err != nil {
				skipped = hook.ReasonConditionError
				j.told(r).broke("the condition cannot be evaluated", err, j.door)
			} else if !ok {
				j.told(r).filtered++
				continue
			}
		}
		if !transformed {
			var text string
			if text, broken = d.templates.Render(g.transform, j.scene(item)); broken == nil && !json.Valid([]byte(text)) {
				broken = hook.Errorf(hook.KindTemplateRuntime, "the transform makes no JSON")
			}
			if broken == nil {
				e.Entity = []byte(text)
			}
			transformed = true
		}
		if broken != nil {
			skipped = hook.ReasonConditionError
			j.told(r).broke("the transform cannot be used", broken, j.door)
		}
		if had != nil { // a route that is broken does not stop another to the same action
			had.Skipped = skipped
			continue
		}
		e.Routed = append(e.Routed, hook.Routed{Target: t, Skipped: skipped})
	}
	return e
}

// deliveryTo is the delivery that an event has to a target already, nil if there is none:
// two routes to one action run it once.
func deliveryTo(e *hook.AdmittedEvent, t *hook.Target) *hook.Routed {
	for i := range e.Routed {
		if e.Routed[i].Target.ID == t.ID {
			return &e.Routed[i]
		}
	}
	return nil
}

// post adds the door's post-processors to an event: they run beside the request's actions,
// from when all of them exist.
func post(v *hook.View, w *hook.IncomingWebhook, events []hook.AdmittedEvent) {
	if len(w.PostProcessors) == 0 || len(events) == 0 {
		return
	}
	last := &events[len(events)-1]
	if t := v.Targets[w.ID]; t != nil {
		last.Routed = append(last.Routed, hook.Routed{Target: t})
	}
}
