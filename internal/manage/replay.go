package manage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/internal/hook"
)

const (
	// maxReplayRate is in deliveries a second; more is no limit.
	maxReplayRate = 10_000
	maxPatterns   = 100
)

// CreateReplay starts a replay, or with dryRun counts what it would be about: then the
// count is not nil and nothing is stored.
func (s *Service) CreateReplay(ctx context.Context, p hook.Principal, doc []byte) (hook.ReplayView, *hook.ReplayCount, error) {
	spec, dry, err := s.readReplay(ctx, p, doc)
	if err != nil {
		return hook.ReplayView{}, nil, err
	}
	if dry {
		n, err := s.pipeline.CountReplay(ctx, p.Workspace, spec)
		return hook.ReplayView{}, &n, err
	}
	r := &hook.Replay{Workspace: p.Workspace, ReplaySpec: *spec, CreatedBy: p.Key}
	if err := s.store.AddReplay(ctx, r); err != nil {
		return hook.ReplayView{}, nil, err
	}
	s.pipeline.ReplayChanged(r.ID, r.State)
	v, err := s.store.Replay(ctx, p.Workspace, r.ID)
	return v, nil, err
}

func (s *Service) readReplay(ctx context.Context, p hook.Principal, doc []byte) (*hook.ReplaySpec, bool, error) {
	o, err := readDocument(doc)
	if err != nil {
		return nil, false, err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	spec := &hook.ReplaySpec{
		TargetKind: hook.TargetWebhook, Until: now, UntilOpen: true,
		Include:  hook.ReplayInclude(o.oneOf("include", string(hook.ReplayFailed), string(hook.ReplayFailed), string(hook.ReplayMissed), string(hook.ReplayAll))),
		FreshIDs: o.flag("freshIds", false),
	}
	webhook, action := o.text("webhook", "", 1, 100), o.text("action", "", 1, 100)
	spec.EventTypes = o.patterns("eventTypes")
	spec.EntityID = o.entityID("entityId")
	if !o.isNull("rate") {
		spec.Rate = o.integer("rate", 0, 1, maxReplayRate)
	}
	if since := o.instant("since"); since != nil {
		spec.Since = *since
	}
	if until := o.instant("until"); until != nil {
		spec.Until, spec.UntilOpen = *until, until.After(now)
		if spec.UntilOpen {
			spec.Until = now // what comes later is delivered as it comes
		}
	}
	o.replayStates(spec)
	dry := o.flag("dryRun", false)
	o.done()
	o.checkReplay(spec, action != "")
	if err := hook.Invalid(o.faults); err != nil {
		return nil, false, err
	}
	if err := s.replayTarget(ctx, p, spec, webhook, action); err != nil {
		return nil, false, err
	}
	return spec, dry, nil
}

// replayStates reads which deliveries are repeated; of what was missed there are none.
func (o *object) replayStates(spec *hook.ReplaySpec) {
	switch spec.Include {
	case hook.ReplayFailed:
		spec.States = []hook.State{hook.StateFailed}
	case hook.ReplayAll:
		spec.States = []hook.State{hook.StateFailed, hook.StateSucceeded, hook.StateSkipped}
	case hook.ReplayMissed:
		if o.has("states") {
			o.fault("states", "invalid_format", "what was missed has no delivery, and so no state; leave it out, or include failed or all")
		}
		return
	}
	if !o.has("states") {
		return
	}
	spec.States = nil
	n, ok := o.texts("states", 3, func(at, text string) {
		switch st := hook.State(text); {
		case !st.Final():
			o.fault(at, "invalid_format", "%q is not one of failed, succeeded, skipped: what waits or is being sent is left alone", clip(text))
		default:
			spec.States = append(spec.States, st)
		}
	})
	if ok && n == 0 {
		o.fault("states", "required", "must not be empty; leave it out for those that failed")
	}
}

func (o *object) checkReplay(spec *hook.ReplaySpec, action bool) {
	if action {
		switch {
		case o.has("webhook"):
			o.fault("action", "invalid_format", "say either webhook or action")
		case spec.Include == hook.ReplayMissed:
			o.fault("include", "invalid_format", "an action subscribes to nothing and so misses nothing; run a call again with POST /v1/requests/{request}/replay")
		case spec.Include == hook.ReplayAll:
			spec.Include = hook.ReplayFailed // in any state they ended in
		}
		if spec.FreshIDs {
			o.fault("freshIds", "invalid_format", "only messages of webhooks have ids")
		}
	}
	others := slices.ContainsFunc(spec.States, func(st hook.State) bool { return st != hook.StateFailed })
	if spec.Since.IsZero() && (spec.Missed() || others) {
		o.fault("since", "required", "say from when: only for include failed it may be left out, and then is all that is kept")
	}
	if !spec.Since.IsZero() && !spec.Since.Before(spec.Until) {
		o.fault("since", "out_of_range", "must be before until, and not in the future")
	}
}

// replayTarget finds out whom the replay is for.
func (s *Service) replayTarget(ctx context.Context, p hook.Principal, spec *hook.ReplaySpec, webhook, action string) error {
	switch {
	case action != "":
		a, err := s.store.Action(ctx, p.Workspace, action)
		if err != nil {
			return inField("action", err)
		}
		spec.TargetKind, spec.Target = hook.TargetAction, a.ID
	case webhook != "":
		w, err := s.store.Webhook(ctx, p.Workspace, webhook)
		if err != nil {
			return inField("webhook", err)
		}
		if spec.Target = w.ID; spec.Missed() && !w.Receives() {
			return hook.Errorf(hook.KindInvalidState, `the webhook is %s: nothing can be missed that it would not get now; resume or enable it first, or include failed`, w.State())
		}
	}
	return nil
}

// inField says which field named what is not there.
func inField(field string, err error) error {
	var missing *hook.Error
	if !errors.As(err, &missing) || missing.Kind != hook.KindNotFound {
		return err
	}
	e := *missing
	e.Field = field
	return &e
}

// patterns reads event types as webhooks name them; nil is all.
func (o *object) patterns(name string) []string {
	var out []string
	n, ok := o.texts(name, maxPatterns, func(at, text string) {
		if o.pattern(at, text) {
			out = append(out, text)
		}
	})
	if ok && n == 0 {
		o.fault(o.at(name), "empty_event_types", "must not be empty; leave it out for all types")
	}
	return out
}

// pattern notes what is wrong with what a webhook or a replay calls events by.
func (r *reader) pattern(at, text string) bool {
	switch {
	case len(text) > hook.MaxEventPattern:
		r.fault(at, "too_long", "has %d characters; at most %d are allowed", len(text), hook.MaxEventPattern)
	case !hook.IsEventPattern(text):
		r.fault(at, "invalid_format", "%q is neither a name nor a pattern such as order.* with the star as last segment", clip(text))
	default:
		return true
	}
	return false
}

// entityID reads the text of a string or number.
func (o *object) entityID(name string) string {
	raw := o.raw(name)
	if raw == nil {
		return ""
	}
	if c := raw[0]; c == '-' || (c >= '0' && c <= '9') {
		text := strings.TrimSpace(string(raw))
		if !hook.IsEntityIDNumber(text) {
			o.fault(o.at(name), "invalid_format", "must be a string, or a whole number of at most 38 digits without fraction or exponent, as those of events")
		}
		return text
	}
	var text string
	switch err := json.Unmarshal(raw, &text); {
	case err != nil || isNull(raw) || text == "":
		o.fault(o.at(name), "invalid_format", "must be a string or a number, and not empty")
	case utf8.RuneCountInString(text) > hook.MaxEntityIDText:
		o.fault(o.at(name), "too_long", "has %d characters; at most %d are allowed", utf8.RuneCountInString(text), hook.MaxEntityIDText)
	case hook.HasControl(text): // no event's has, and Postgres takes no zero
		o.fault(o.at(name), "invalid_format", "must not have control characters")
	}
	return text
}

// GetReplay returns a replay.
func (s *Service) GetReplay(ctx context.Context, p hook.Principal, id hook.ID) (hook.ReplayView, error) {
	return s.store.Replay(ctx, p.Workspace, id)
}

// ListReplays lists replays of the workspace, and reports whether more follow.
func (s *Service) ListReplays(ctx context.Context, p hook.Principal, f hook.ReplayFilter, page hook.Page) ([]hook.ReplayView, bool, error) {
	f.Workspace = p.Workspace
	return s.store.Replays(ctx, f, page)
}

// PauseReplay lets a replay rest. Pausing twice is no error.
func (s *Service) PauseReplay(ctx context.Context, p hook.Principal, id hook.ID) (hook.ReplayView, error) {
	return s.moveReplay(ctx, p, id, hook.ReplayPaused, "paused", hook.ReplayByOperator)
}

// ResumeReplay lets it go on. Resuming one that runs is no error.
func (s *Service) ResumeReplay(ctx context.Context, p hook.Principal, id hook.ID) (hook.ReplayView, error) {
	return s.moveReplay(ctx, p, id, hook.ReplayRunning, "resumed", hook.ReplayNoReason)
}

// CancelReplay ends it where it is. Cancelling twice is no error.
func (s *Service) CancelReplay(ctx context.Context, p hook.Principal, id hook.ID) (hook.ReplayView, error) {
	return s.moveReplay(ctx, p, id, hook.ReplayCancelled, "cancelled", hook.ReplayByOperator)
}

func (s *Service) moveReplay(ctx context.Context, p hook.Principal, id hook.ID, to hook.ReplayState, verb string, reason hook.ReplayReason) (hook.ReplayView, error) {
	moved := false
	err := s.store.EditReplay(ctx, p.Workspace, id, func(now hook.ReplayState) (hook.ReplayState, hook.ReplayReason, error) {
		moved = now != to
		switch {
		case !moved:
			return "", "", nil
		case now.Final():
			return "", "", hook.Errorf(hook.KindInvalidState, "the replay has %s and cannot be %s; start another one", ended(now), verb)
		}
		return to, reason, nil
	})
	if err != nil {
		return hook.ReplayView{}, err
	}
	if moved {
		s.pipeline.ReplayChanged(id, to)
	}
	return s.store.Replay(ctx, p.Workspace, id)
}

// ended says how a replay ended.
func ended(s hook.ReplayState) string {
	if s == hook.ReplayCancelled {
		return "been cancelled"
	}
	return string(s)
}
