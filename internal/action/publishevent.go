package action

import (
	"context"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/template"
)

// publishEvent publishes an event.
type publishEvent struct {
	eventType *text
	entityID  *leaf // nil: none
	entity    *document
	entityURL *text
}

func newPublishEvent(o *settings) runner {
	p := &publishEvent{eventType: o.required("type", "name the type of the event to publish, such as order.paid")}
	if t := p.eventType; t != nil && t.template == nil && t.source != "" && !hook.IsEventType(strings.TrimSpace(t.source)) {
		o.b.fault(t.field, "invalid_format", typeRule)
	}
	if raw := o.raw("entityId"); raw != nil {
		switch n := o.b.node(o.field("entityId"), raw).(type) {
		case *leaf:
			p.entityID = n
		case constant:
			p.entityID = &leaf{text: &text{field: o.field("entityId"), source: string(n)}, number: true}
			if !hook.IsEntityIDNumber(n) {
				o.b.fault(o.field("entityId"), "invalid_format", idRule)
			}
		default:
			o.b.fault(o.field("entityId"), "invalid_format", idRule)
		}
	}
	p.entity, p.entityURL = o.document("entity"), o.text("entityUrl")
	return p
}

// What an event's fields must be, as for those who publish by the API.
const (
	typeRule = "must be at most 128 letters, digits, _, -, : and /, in segments separated by dots, such as order.paid"
	idRule   = "must be a string of at most 512 characters, or a whole number of at most 38 digits"
	urlRule  = "must be an absolute URL in ASCII, of at most 2048 characters"
)

// id renders the entity's id.
func (p *publishEvent) id(c *call) (hook.EntityID, error) {
	l := p.entityID
	if l == nil {
		return hook.EntityID{}, nil
	}
	if l.number {
		return hook.EntityID{Text: l.source, Number: true}, nil
	}
	id := hook.EntityID{}
	if l.expression != nil {
		v, err := l.eval(c)
		if err != nil {
			return id, err
		}
		switch v := v.(type) {
		case nil:
			return id, nil
		case string:
			id.Text = v
		default:
			raw, err := template.EncodeJSON(v)
			if err != nil || !hook.IsEntityIDNumber(raw) {
				return id, bad(l.field, "%s", idRule)
			}
			return hook.EntityID{Text: string(raw), Number: true}, nil
		}
	} else {
		s, err := l.text.render(c)
		if err != nil {
			return id, err
		}
		id.Text = s
	}
	if id.Text != "" && !hook.IsEntityIDText(id.Text) {
		return id, bad(l.field, "%s", idRule)
	}
	return id, nil
}

func (p *publishEvent) event(c *call) (hook.NewEvent, error) {
	var e hook.NewEvent
	var err error
	if e.Type, err = p.eventType.trimmed(c); err != nil {
		return e, err
	}
	if !hook.IsEventType(e.Type) {
		return e, bad(p.eventType.field, "%q: %s", shortened(e.Type), typeRule)
	}
	if e.EntityID, err = p.id(c); err != nil {
		return e, err
	}
	if e.Entity, err = p.entity.render(c); err != nil {
		return e, err
	}
	if len(e.Entity) > c.x.cfg.MaxEntity {
		return e, bad(p.entity.field, "has %d bytes; an event's entity has at most %d", len(e.Entity), c.x.cfg.MaxEntity)
	}
	if e.EntityURL, err = p.entityURL.trimmed(c); err != nil {
		return e, err
	}
	if e.EntityURL != "" && !hook.IsEntityURL(e.EntityURL) {
		return e, bad(p.entityURL.field, "%q: %s", shortened(e.EntityURL), urlRule)
	}
	return e, nil
}

func shortened(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

func (p *publishEvent) run(ctx context.Context, c *call, a *hook.Attempt) {
	e, err := p.event(c)
	if err != nil {
		c.x.failed(ctx, a, err)
		return
	}
	config := new(object).text("type", e.Type).set("entityId", entityIDText(e.EntityID)).set("entity", e.Entity).textIf("entityUrl", e.EntityURL)
	c.asked(a, "event:"+e.Type, config)
	effects, err := c.plan(ctx, e, hook.SourceAction)
	if err != nil {
		c.x.failed(ctx, a, err)
		return
	}
	a.Effects = effects
	c.succeeded(a, published(effects))
}

func entityIDText(id hook.EntityID) []byte {
	switch {
	case id.IsZero():
		return nil
	case id.Number:
		return []byte(id.Text)
	}
	return jsonText(id.Text)
}

// published says what a plan will store.
func published(effects *hook.Effects) *object {
	result := new(object)
	if len(effects.Events) > 0 {
		e := effects.Events[0]
		result.text("eventId", e.Event.ID).value("matched", e.Event.Matched)
	}
	return result
}

// plan plans an event that this run causes. An event that came through too many of our own
// doors and actions causes no more.
func (c *call) plan(ctx context.Context, e hook.NewEvent, kind hook.SourceKind) (*hook.Effects, error) {
	cause := c.scene.event
	hops := cause.Hops + 1
	if hops > hook.MaxHops-1 {
		return nil, hook.Errorf(hook.KindLoopDetected, "this event came through %d of Sallyport's own doors and actions; it looks like a loop", cause.Hops)
	}
	if c.x.cfg.Events == nil {
		return nil, hook.Errorf(hook.KindInvalidState, "events cannot be published here")
	}
	source := hook.Source{Kind: kind, ID: c.place.id, RequestID: cause.InboundRequest()}
	if c.place.door != nil {
		source.ID = c.place.door.ID
	}
	return c.x.cfg.Events.Plan(ctx, c.scene.workspace, e, source, hops)
}
