package action

import (
	"context"
	"strconv"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/template"
)

const (
	// maxSet bounds the members of one set, those of sets within it included.
	maxSet = 100
	// maxSetDepth bounds sets within sets.
	maxSetDepth = 8
)

// set is a configuration of type set.
type set struct{ actions []string }

func newSet(o *settings) runner {
	s := set{actions: o.texts("actions")}
	field := o.field("actions")
	if len(s.actions) == 0 {
		o.b.fault(field, "required", "list the codes of the actions to run, in order")
	}
	if len(s.actions) > maxSet {
		o.b.fault(field, "too_long", "a set has at most "+strconv.Itoa(maxSet)+" members")
	}
	for i, code := range s.actions {
		if !hook.IsCode(code) {
			o.b.fault(element(field, i), "invalid_format", "is not a code: 1 to 64 of A-Z a-z 0-9 _ -")
		}
	}
	return s
}

// run is not reached: what runs are a set's members.
func (s set) run(_ context.Context, c *call, a *hook.Attempt) {
	c.succeeded(a, new(object))
}

// member is one thing that a delivery runs: an action, or a post-processor of a door's own.
type member struct {
	action *hook.Action
	guards []*hook.Action // sets around it, whose conditions must hold, too
	off    bool           // disabled or gone

	door  *hook.IncomingWebhook
	post  int // index of the post-processor
	ptype hook.ActionType
}

func (m *member) place() place {
	if m.action == nil {
		return place{
			key: placeKey{m.door.ID, m.post}, version: m.door.Version, kind: m.ptype, config: m.door.PostProcessors[m.post].Config,
			secrets: m.door.Secrets, timeout: defaultTimeout, door: m.door,
		}
	}
	a := m.action
	p := place{
		key: placeKey{a.ID, -1}, version: a.Version, id: a.ID, code: a.Code, kind: a.Type, config: a.Config, secrets: a.Secrets, timeout: a.Timeout,
	}
	if p.timeout <= 0 {
		p.timeout = defaultTimeout
	}
	return p
}

// setMembers lists what a set runs. Members that are off keep their places, so that a step
// means the same after one was disabled.
func (x *Executor) setMembers(ctx context.Context, s *scene, action *hook.Action) ([]member, error) {
	return x.expand(ctx, s, nil, action, nil, map[hook.ID]bool{})
}

func (x *Executor) expand(ctx context.Context, s *scene, list []member, action *hook.Action, guards []*hook.Action, within map[hook.ID]bool) ([]member, error) {
	if within[action.ID] {
		return nil, hook.Errorf(hook.KindLoopDetected, "the set %s is a member of itself", action.Code)
	}
	if len(within) >= maxSetDepth {
		return nil, hook.Errorf(hook.KindLoopDetected, "sets are nested more than %d deep", maxSetDepth)
	}
	within[action.ID] = true
	defer delete(within, action.ID)
	for _, code := range action.Members() {
		var err error
		if list, err = x.addByCode(ctx, s, list, code, guards, within); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// addByCode appends the action with a code, or its members if it is a set.
func (x *Executor) addByCode(ctx context.Context, s *scene, list []member, code string, guards []*hook.Action, within map[hook.ID]bool) ([]member, error) {
	if len(list) >= maxSet {
		return nil, hook.Errorf(hook.KindLoopDetected, "a set has at most %d members, those of sets within it included", maxSet)
	}
	t, err := x.cfg.Catalog.Action(ctx, s.workspace, code)
	if err != nil {
		return nil, err
	}
	if t == nil || t.Action == nil || t.Action.State() != hook.TargetActive {
		return append(list, member{off: true}), nil
	}
	if t.Action.Type != hook.ActionSet {
		return append(list, member{action: t.Action, guards: guards}), nil
	}
	inner := append(guards[:len(guards):len(guards)], t.Action)
	return x.expand(ctx, s, list, t.Action, inner, within)
}

// postMembers lists what a door's post-processors run.
func (x *Executor) postMembers(ctx context.Context, s *scene, door *hook.IncomingWebhook) ([]member, error) {
	var list []member
	for i, p := range door.PostProcessors {
		if p.Type != hook.PostAction {
			list = append(list, member{door: door, post: i, ptype: hook.ActionType(p.Type)})
			continue
		}
		var err error
		if list, err = x.addByCode(ctx, s, list, p.Action, nil, map[hook.ID]bool{}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// sendMembers runs the member that the delivery's step says, or the next one that is to run.
func (x *Executor) sendMembers(ctx context.Context, s *scene, members []member) hook.Attempt {
	step := s.job.Delivery.Step
	skip, text := hook.ReasonNone, ""
	for i := step; i < len(members); i++ {
		m := &members[i]
		reason, err := x.passedOver(ctx, s, m)
		if err != nil {
			return x.unready(ctx, s, err)
		}
		if reason.skip == hook.ReasonConditionError && len(members) > 1 {
			return x.undecided(ctx, s, m, i, reason.text)
		}
		if reason.skip != hook.ReasonNone {
			skip, text = reason.skip, reason.text
			continue
		}
		if m.off {
			continue
		}
		a := x.run(ctx, s, m)
		a.Action.Step = i
		if a.Outcome == hook.OutcomeSucceeded {
			a.More = x.follows(ctx, s, members[i+1:])
		}
		return a
	}
	if step == 0 && skip != hook.ReasonNone {
		return hook.Attempt{Skip: skip, Error: text}
	}
	a := s.attempt()
	a.Outcome = hook.OutcomeSucceeded
	a.Action = &hook.RanAction{Type: hook.ActionSet, Step: max(step, len(members)-1)}
	if t := s.job.Delivery; t.TargetKind == hook.TargetAction {
		a.Action.ID = t.Target
	}
	a.Request = &hook.SentRequest{Method: string(hook.ActionSet), Headers: []hook.HeaderField{}, EntityAt: -1}
	a.Response = &hook.ReceivedResponse{Status: 200, Headers: []hook.HeaderField{}, Body: bodyOf([]byte(`{"ran":null}`), 64)}
	return a
}

// undecided is the attempt of a member of which nobody knows whether it is to run. Were it
// passed over, the others would succeed and nobody would learn of it.
func (x *Executor) undecided(ctx context.Context, s *scene, m *member, step int, text string) hook.Attempt {
	a := s.attempt()
	x.failed(ctx, &a, &badTemplate{field: "condition of " + m.action.Code, text: strings.TrimPrefix(text, "condition: ")})
	a.Action = &hook.RanAction{ID: m.action.ID, Code: m.action.Code, Type: m.action.Type, Step: step}
	a.Timings.Total = x.cfg.Now().Sub(s.now)
	return a
}

// over says that a member is passed over because of a condition.
type over struct {
	skip hook.Reason
	text string
}

// passedOver looks at the conditions of a member and of the sets around it.
func (x *Executor) passedOver(ctx context.Context, s *scene, m *member) (over, error) {
	if m.off || m.action == nil {
		return over{}, nil
	}
	for _, a := range append(m.guards[:len(m.guards):len(m.guards)], m.action) {
		ok, err := s.holds(ctx, a)
		if err != nil {
			var e *badTemplate
			if !asBad(err, &e) {
				return over{}, err
			}
			text := (&compiled{hidden: spellings(a.Secrets)}).redact(e.Error())
			x.cfg.Log.InfoContext(ctx, "action.condition", "action", a.Code, "error", text)
			return over{hook.ReasonConditionError, text}, nil
		}
		if !ok {
			return over{hook.ReasonConditionFalse, ""}, nil
		}
	}
	return over{}, nil
}

// follows reports whether any of these is to run. An error, of a condition too, counts as
// yes: the next attempt will meet it.
func (x *Executor) follows(ctx context.Context, s *scene, members []member) bool {
	for i := range members {
		if members[i].off {
			continue
		}
		if reason, err := x.passedOver(ctx, s, &members[i]); err != nil || reason.skip != hook.ReasonConditionFalse {
			return true
		}
	}
	return false
}

// holds evaluates an action's condition. A *badTemplate says that it failed.
func (s *scene) holds(ctx context.Context, a *hook.Action) (bool, error) {
	if a.Condition == "" {
		return true, nil
	}
	e, err := template.CompileExpression(a.Condition)
	if err != nil {
		return false, badAt("condition", err)
	}
	secrets := template.NewMap()
	for _, named := range a.Secrets {
		secrets.Set(named.Name, string(named.Value))
	}
	v, err := s.values(ctx, usesOf(a.Condition), secrets)
	if err != nil {
		return false, err
	}
	ok, err := e.True(v, s.options())
	if err != nil {
		return false, badAt("condition", err)
	}
	return ok, nil
}
