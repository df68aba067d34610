package publish

import (
	"time"

	"sallyport/internal/hook"
)

// Conditions evaluates filters of targets.
type Conditions interface {
	// About returns what tells of expressions whether they hold for the event, which is read
	// at most once for all of them. An error is one of the expression's evaluation.
	About(e *hook.Event) func(expression string) (bool, error)
}

// verdict is what a filter says of an event.
type verdict struct {
	holds bool
	err   error
}

// filterTime is how long the filters of one event may take together; those that are left
// then fail. Each has a limit of its own.
const filterTime = time.Second

func filtered(targets []*hook.Target) bool {
	for _, t := range targets {
		if t.Filter != "" {
			return true
		}
	}
	return false
}

// judgeEarly evaluates the filters of an event in the publisher's own time, so that the one
// writer of the node seldom has to. A filter may ask for the event's id, so that is
// settled too.
func (p *Publisher) judgeEarly(v *hook.View, it *item) {
	targets := v.Match(it.event.Type)
	if !filtered(targets) {
		return
	}
	if it.event.ID == "" {
		it.key = p.ids.New()
	}
	id := it.event.ID
	if id == "" {
		id = it.key.String()
	}
	p.judge(targets, it, &hook.Event{
		ID: id, Type: it.event.Type, EntityID: it.event.EntityID, Entity: it.event.Entity,
		EntityURL: it.event.EntityURL, Timestamp: it.event.Timestamp,
	})
}

// judge evaluates what was not evaluated before.
func (p *Publisher) judge(targets []*hook.Target, it *item, e *hook.Event) {
	var about func(string) (bool, error)
	var started time.Time
	for _, t := range targets {
		if t.Filter == "" {
			continue
		}
		if _, known := it.verdict[t.Filter]; known {
			continue
		}
		if it.verdict == nil {
			it.verdict = make(map[string]verdict, len(targets))
		}
		var got verdict
		switch {
		case p.cfg.Conditions == nil:
			got.err = hook.Errorf(hook.KindTemplateRuntime, "filters cannot be evaluated here")
		case about == nil:
			started = time.Now()
			about = p.cfg.Conditions.About(e)
			got.holds, got.err = about(t.Filter)
		case time.Since(started) > filterTime:
			got.err = hook.Errorf(hook.KindTemplateLimit, "the filters of this event take longer than %s", filterTime)
		default:
			got.holds, got.err = about(t.Filter)
		}
		it.verdict[t.Filter] = got
	}
}

// keyOf is the event's key: the one its filters have seen, or a new one.
func (p *Publisher) keyOf(it *item) hook.ID {
	if it.key != hook.NoID {
		return it.key
	}
	return p.ids.New()
}

// passing leaves out the targets whose filter says no. Those whose filter cannot be
// evaluated stay and are failed: their delivery is recorded, not sent. Without filters it
// returns what it was given.
func (p *Publisher) passing(targets []*hook.Target, it *item, e *hook.Event) (passed []*hook.Target, failed []bool) {
	if !filtered(targets) {
		return targets, nil
	}
	seen := *e
	if seen.ID == "" {
		seen.ID = e.Key.String()
	}
	p.judge(targets, it, &seen)
	failed = make([]bool, 0, len(targets))
	for _, t := range targets {
		got := it.verdict[t.Filter] // of "": none, and not looked at
		if t.Filter != "" && got.err == nil && !got.holds {
			continue
		}
		passed, failed = append(passed, t), append(failed, got.err != nil)
	}
	return passed, failed
}

// Passing leaves out of targets those whose filter says no to a stored event, as if it were
// published now; failed has those whose filter cannot be evaluated, by index, and may be nil.
func (p *Publisher) Passing(targets []*hook.Target, e *hook.Event) (passed []*hook.Target, failed []bool) {
	return p.passing(targets, &item{}, e)
}
