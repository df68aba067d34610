package manage

import (
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
)

// Bounds of actions, beside those they share with webhooks.
const (
	maxCommandTimeout = 30 * time.Minute // commands may convert, import and the like
	maxTemplate       = 64 << 10
)

// readAction makes the next state of an action of a document: configuration replaced,
// secrets that it does not mention kept.
func (s *Service) readAction(doc []byte, ref string, scene hook.ActionScene) (*hook.Action, error) {
	o, err := readDocument(doc)
	if err != nil {
		return nil, err
	}
	next := &hook.Action{}
	if cur := scene.Current; cur != nil {
		next.Secrets, next.Type = cur.Secrets, cur.Type
	}
	who := identify(o, ref, scene.Current)
	next.Name = who.name
	next.Description = o.text("description", "", 0, maxDescription)
	next.Enabled = o.flag("enabled", true)
	next.Metadata = o.metadata()
	next.Type = o.actionType(next.Type)
	next.Secrets = o.namedSecrets(next.Secrets)
	next.Condition = s.condition(o, "condition", next.Secrets)
	next.MaxAttempts = o.integer("maxAttempts", defaultAttempts, 1, maxAttempts)
	next.Retry = o.retry()
	longest := maxTimeout
	if next.Type == hook.ActionRunCommand {
		longest = maxCommandTimeout
	}
	next.Timeout = o.duration("timeout", defaultTimeout, minTimeout, longest)
	if next.Config = o.jsonObject("config"); next.Config == nil {
		next.Config = []byte("{}")
	}
	s.checkConfig(o, next, scene)
	o.ignore("state", "warnings", "version", "createdAt", "updatedAt")
	o.done()
	if err := hook.Invalid(o.faults); err != nil {
		return nil, err
	}
	if err := who.settle(scene.Scene, "action"); err != nil {
		return nil, err
	}
	next.Code = who.code
	return next, nil
}

// actionType reads the type, which is fixed once there is one.
func (o *object) actionType(fixed hook.ActionType) hook.ActionType {
	names := make([]string, len(hook.ActionTypes))
	for i, t := range hook.ActionTypes {
		names[i] = string(t)
	}
	if fixed == "" {
		if !o.has("type") {
			o.fault("type", "required", "say what the action does: one of %s", strings.Join(names, ", "))
		}
		return hook.ActionType(o.oneOf("type", "", names...))
	}
	if t := o.oneOf("type", string(fixed), names...); t != string(fixed) {
		o.fault("type", "invalid_format", "is fixed: this action is of type %s; make another one, or leave type out", fixed)
	}
	return fixed
}

// condition reads an expression, which must be one that can be evaluated and names no other
// secrets than these; null is none.
func (s *Service) condition(o *object, name string, secrets []hook.NamedSecret) string {
	if o.isNull(name) {
		return ""
	}
	text := o.text(name, "", 0, maxFilter)
	if text != "" {
		o.language(o.at(name), s.rules.Check(text))
		o.onlySecrets(o.at(name), s.rules.SecretsOf(text, true), secrets)
	}
	return text
}

// template reads a template, which must be one that can be rendered and names no other
// secrets than these; null is none.
func (s *Service) template(o *object, name string, secrets []hook.NamedSecret) string {
	if o.isNull(name) {
		return ""
	}
	text := o.text(name, "", 0, maxTemplate)
	if text != "" {
		o.language(o.at(name), s.rules.CheckTemplate(text))
		o.onlySecrets(o.at(name), s.rules.SecretsOf(text, false), secrets)
	}
	return text
}

// onlySecrets tells of secrets that a template reads and nobody has: they would be nothing.
func (o *object) onlySecrets(field string, read []string, secrets []hook.NamedSecret) {
	for _, name := range read {
		if !o.told[field] {
			o.secretName(field, name, secrets)
		}
	}
}

// language notes what is wrong with a template or an expression.
func (r *reader) language(field string, err error) {
	if err == nil {
		return
	}
	code := hook.KindTemplateSyntax
	if k := hook.KindOf(err); k == hook.KindTemplateRuntime || k == hook.KindTemplateLimit {
		code = k
	}
	r.fault(field, string(code), "%s", detailOf(err))
}

// detailOf is an error's text for the caller.
func detailOf(err error) string {
	if e, ok := err.(*hook.Error); ok { //nolint:errorlint // rules return it as it is
		return e.Detail
	}
	return err.Error()
}

// below takes over the faults that a room found in a part.
func (r *reader) below(prefix string, faults []hook.Fault) {
	for _, f := range faults {
		r.fault(strings.TrimSuffix(prefix+f.Field, "."), f.Code, "%s", f.Detail)
	}
}

// checkConfig notes what is wrong with what the action does.
func (s *Service) checkConfig(o *object, next *hook.Action, scene hook.ActionScene) {
	if next.Type == "" || o.told["config"] {
		return
	}
	for i, code := range next.Members() {
		at := index("config.actions", i)
		switch member := actionNamed(scene.Actions, code); {
		case member == nil:
			o.unknownAction(at, code, scene.Actions)
		case scene.Current != nil && member.ID == scene.Current.ID:
			o.fault(at, "invalid_format", "a set cannot contain itself")
		case member.Type == hook.ActionSet:
			o.fault(at, "invalid_format", "%s is a set, and a set cannot contain sets; name its actions instead", member.Code)
		}
	}
	o.below("", s.rules.CheckAction(next.Type, next.Config, namesOf(next.Secrets)))
}

func (r *reader) unknownAction(field, code string, actions map[string]*hook.Action) {
	var codes []string
	for _, key := range slices.Sorted(maps.Keys(actions)) {
		codes = append(codes, actions[key].Code)
	}
	hint := "; create it first"
	if near := nearest.Name(code, codes); near != "" {
		hint = "; did you mean " + near + "?"
	}
	r.fault(field, "unknown_action", "there is no action %q%s", clip(code), hint)
}
