package manage

import (
	"slices"

	"sallyport/internal/hook"
)

const (
	maxRoutes         = 100
	maxPostProcessors = 20
	primaryRoute      = "primary"
)

// routes reads where accepted items go; the first is the primary one.
func (r *incomingReader) routes() []hook.Route {
	list := r.list("routes", maxRoutes)
	names := r.names(list, "route")
	var out []hook.Route
	for i, o := range list {
		o.need("action")
		x := hook.Route{
			Action: r.action(o), Condition: r.s.condition(o, "condition", r.next.Secrets), Parser: r.parser(o, "parser"),
			Transform: r.s.template(o, "transform", r.next.Secrets),
		}
		if x.Name = names[i]; x.Name == "" {
			if x.Name = primaryRoute; i > 0 || slices.Contains(names, primaryRoute) {
				x.Name = unusedName(names, "route", i+1)
			}
			names[i] = x.Name
		}
		o.done()
		out = append(out, x)
	}
	return out
}

// action reads the code of an action, which must exist; an id will do. It comes back as the
// action spells its code.
func (r *incomingReader) action(o *object) string {
	ref := o.text("action", "", 1, hook.MaxCode)
	if ref == "" {
		return ""
	}
	a := actionNamed(r.scene.Actions, ref)
	if a == nil {
		o.unknownAction(o.at("action"), ref, r.scene.Actions)
		return ref
	}
	return a.Code
}

// parser reads how a body becomes items; nil if it is absent or null.
func (r *incomingReader) parser(parent *object, name string) *hook.Parser {
	o := parent.objectOrNull(name)
	if o == nil {
		return nil
	}
	d := hook.DefaultParser()
	p := hook.Parser{
		Type: o.text("type", d.Type, 1, 100),
		// As long as texts with tabs may be; the parser's own rule is one character.
		Delimiter: o.text("delimiter", "", 0, longText), Enclosure: o.text("enclosure", "", 0, longText), Escape: o.text("escape", "", 0, longText),
		Header: o.flag("header", d.Header), Encoding: o.text("encoding", "", 0, 100), Items: o.text("items", "", 0, maxPattern),
		Split: o.flag("split", d.Split), MaxItems: o.integer("maxItems", d.MaxItems, 1, hook.MaxMaxItems),
		OnItemError: o.oneOf("onItemError", d.OnItemError, hook.OnItemErrorRefuse, hook.OnItemErrorSkip),
	}
	o.texts("columns", maxColumns, func(_, s string) { p.Columns = append(p.Columns, s) })
	o.done()
	o.below(o.path+".", r.s.rules.CheckParser(p))
	return &p
}

// maxColumns is more than any table of a sender has.
const maxColumns = 10_000

// postTypes are what can be done once the deliveries of a request exist.
var postTypes = []string{string(hook.ActionPublishEvent), string(hook.ActionSendEmail), hook.PostAction}

func (r *incomingReader) postProcessors() []hook.PostProcessor {
	var out []hook.PostProcessor
	for _, o := range r.list("postProcessors", maxPostProcessors) {
		p := hook.PostProcessor{Type: o.oneOf("type", "", postTypes...)}
		o.need("type")
		switch p.Type {
		case "":
			continue
		case hook.PostAction:
			o.need("action")
			p.Action = r.action(o)
			r.nothing(o, "config", "{}")
		default:
			r.nothing(o, "action", "null")
			if p.Config = o.jsonObject("config"); p.Config == nil {
				p.Config = []byte("{}")
			}
			if !o.told[o.at("config")] {
				o.below(o.path+".", r.s.rules.CheckAction(hook.ActionType(p.Type), p.Config, namesOf(r.next.Secrets)))
			}
		}
		o.done()
		out = append(out, p)
	}
	return out
}

// nothing takes a field that another type has, if it says nothing: null, or empty.
func (r *incomingReader) nothing(o *object, name, empty string) {
	if raw := o.fields[name]; isNull(raw) || string(raw) == empty {
		o.ignore(name)
	}
}
