package inbound

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/hook"
)

// Verify tells whether a recorded request would pass its door as it is configured now. The
// hash and signatures are held against the time when it came; of a hash that does not fit the
// check says what it seems to be. Nothing runs, and whether it is a repeat is not looked at.
func (d *Doors) Verify(ctx context.Context, p hook.Principal, id hook.ID) (hook.Verdict, string, []hook.Check, error) {
	j, _, r, err := d.recall(ctx, p.Workspace, id)
	if err != nil {
		return "", "", nil, err
	}
	verdict, reason := hook.VerdictAccepted, ""
	switch {
	case r != nil:
		verdict, reason = hook.VerdictRefused, string(r.kind)
		if r.kind == hook.KindHashMismatch {
			j.explainHash()
		}
	case j.answer != nil:
		verdict = hook.VerdictHandshake
	}
	return verdict, reason, j.request.Checks, nil
}

// recall judges a recorded request by the present configuration.
func (d *Doors) recall(ctx context.Context, workspace, id hook.ID) (j *judged, view *hook.View, r *refusal, err error) {
	stored, err := d.store.RequestForRun(ctx, workspace, id)
	if err != nil {
		return nil, nil, nil, err
	}
	if stored.Incoming == hook.NoID {
		return nil, nil, nil, hook.Errorf(hook.KindInvalidState,
			"nobody had this code when the call came, and of such calls neither headers nor body are kept; have the sender send it again")
	}
	if view, err = d.catalog.Current(ctx, workspace); err != nil {
		return nil, nil, nil, err
	}
	var w *hook.IncomingWebhook
	if t := view.Targets[stored.Incoming]; t != nil {
		w = t.Incoming
	} else {
		w = view.Door(stored.Code) // deleted, and made again
	}
	if w == nil {
		return nil, nil, nil, hook.Errorf(hook.KindInvalidState, "there is no incoming webhook %q; create it first", stored.Code)
	}
	if stored.Body.Truncated {
		return nil, nil, nil, hook.Errorf(hook.KindInvalidState, "the request was not kept whole, so it can be neither verified nor run again")
	}
	j = d.recalled(stored, w)
	if r = d.before(j); r == nil {
		r = d.after(j)
	}
	return j, view, r, nil
}

// recalled is a recorded request as its door looks at it.
func (d *Doors) recalled(stored *hook.Request, w *hook.IncomingWebhook) *judged {
	c := restore(stored, d.cfg.Origin)
	c.Profile = profileOf(w)
	c.Client, c.Peer = address(stored.ClientAddress), address(stored.PeerAddress)
	j := &judged{doors: d, call: c, now: stored.ReceivedAt(), raw: restoreBody(stored), hasBody: true, whole: true, request: &hook.Request{
		ID: stored.ID, Workspace: stored.Workspace, Code: stored.Code, Method: stored.Method, Path: stored.Path,
		ClientAddress: stored.ClientAddress, PeerAddress: stored.PeerAddress, ForwardedBy: stored.ForwardedBy, Hops: stored.Hops,
	}}
	j.was = stored.Verdict
	d.again(j, w)
	return j
}

// Replay runs an accepted request again, or releases a refused one that passes now. call
// is the id of the new request. Errors: KindInvalidState if it does not pass.
func (d *Doors) Replay(ctx context.Context, p hook.Principal, id, call hook.ID) (*hook.Request, error) {
	for range maxRounds {
		r, err := d.replay(ctx, p.Workspace, id, call)
		if !errors.Is(err, hook.ErrChanged) {
			return r, err
		}
	}
	return nil, &hook.Error{Kind: hook.KindUnavailable, Detail: "the configuration changes all the time", RetryAfter: time.Second}
}

func (d *Doors) replay(ctx context.Context, workspace, id, call hook.ID) (*hook.Request, error) {
	j, view, r, err := d.recall(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	if r != nil {
		return nil, hook.Errorf(hook.KindInvalidState, "the request does not pass: %s (%s); POST /v1/requests/%s/verify tells of each check", r.kind, r.detail, id)
	}
	if j.answer != nil {
		return nil, hook.Errorf(hook.KindInvalidState, "the request is a handshake, which makes no events")
	}
	n, r, err := d.count(j)
	if err != nil {
		return nil, err
	}
	if r != nil {
		return nil, hook.Errorf(hook.KindInvalidState, "the body cannot be parsed: %s", r.detail)
	}
	// A request of its own: what it makes is told apart from what the first one made.
	j.request.ID, j.request.ReplayOf = call, id
	j.shown, j.kept = nil, nil
	a, err := d.admission(j, view, n)
	if err != nil {
		return nil, err
	}
	a.Request.Status = acceptedStatus(j.door)
	if j.was == hook.VerdictRefused { // its sender may send it again: that is a repeat of this
		if a.Dedupe, r = d.dedupeKey(j); r != nil {
			return nil, hook.Errorf(hook.KindInvalidState, "%s", r.detail)
		}
	}
	d.runner.Remember(a.Request)
	repeated, err := d.publisher.Admit(ctx, view, a)
	if err != nil {
		return nil, err
	}
	if repeated != hook.NoID {
		return nil, hook.Errorf(hook.KindInvalidState, "its sender has sent it again meanwhile: it was accepted as request %s", repeated)
	}
	d.counted(j.door, hook.VerdictAccepted, "")
	if a.Expand > 0 {
		d.kickExpansion()
	}
	return a.Request, nil
}
