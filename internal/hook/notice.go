package hook

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Listens reports whether anybody is told of an operational type, by webhook or by mail.
func (v *View) Listens(eventType string) bool {
	return len(v.Match(eventType)) > 0 || v.mails(eventType)
}

func (v *View) mails(eventType string) bool {
	return len(v.Alerts.Emails) > 0 && slices.Contains(v.Alerts.EventTypes, eventType)
}

// Plan makes an operational event with its deliveries, which wait in the store, and says
// what they are for. It is nil if nobody is to be told: then nothing is stored. holds evaluates a
// webhook's filter; nil lets none pass.
func (v *View) Plan(n Notice, ids *IDs, holds func(filter string, e *Event) (bool, error)) (*PlannedEvent, []*Target, error) {
	if !v.Listens(n.Type) {
		return nil, nil, nil
	}
	entity, err := json.Marshal(n.Entity)
	if err != nil {
		return nil, nil, fmt.Errorf("event %s: %w", n.Type, err)
	}
	key := ids.New()
	p := &PlannedEvent{Once: n.Once, Event: Event{
		Key: key, Workspace: v.Workspace.ID, ID: key.String(), Type: n.Type, EntityID: EntityID{Text: n.About.String()}, Entity: entity,
		Timestamp: ids.Now().UTC().Truncate(time.Millisecond), Source: Source{Kind: SourceSystem},
	}}
	var targets []*Target
	add := func(t *Target, skipped Reason, once *Mark) {
		p.Deliveries = append(p.Deliveries, PlannedDelivery{
			ID: ids.New(), TargetKind: t.Kind, Target: t.ID, Trigger: TriggerFirst, Skipped: skipped, Once: once,
		})
		targets = append(targets, t)
	}
	for _, t := range v.Match(n.Type) {
		if t.ID == n.Target {
			continue
		}
		skipped := ReasonNone
		if t.Filter != "" {
			if holds == nil {
				continue
			}
			ok, err := holds(t.Filter, &p.Event)
			if err == nil && !ok {
				continue
			}
			if err != nil {
				skipped = ReasonConditionError
			}
		}
		add(t, skipped, nil)
	}
	if n.Mail && v.mails(n.Type) {
		add(v.Targets[v.Workspace.ID], ReasonNone, n.MailOnce)
	}
	if len(targets) == 0 {
		return nil, nil, nil
	}
	p.Event.Matched = len(targets)
	return p, targets, nil
}

// PlanEffects is Plan as what a transaction does beside something else; nil if nobody is to
// be told.
func (v *View) PlanEffects(n Notice, ids *IDs, holds func(filter string, e *Event) (bool, error)) (*Effects, error) {
	p, targets, err := v.Plan(n, ids, holds)
	if p == nil || err != nil {
		return nil, err
	}
	return &Effects{Versions: map[ID]int64{v.Workspace.ID: v.Version}, Events: []*PlannedEvent{p}, Wake: targets}, nil
}
