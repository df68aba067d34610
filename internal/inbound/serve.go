package inbound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/parse"
)

// Serve answers a call of a door.
func (d *Doors) Serve(ctx context.Context, c *hook.DoorCall) hook.DoorAnswer {
	began := time.Now()
	j := &judged{doors: d, call: c, now: hook.TimeOf(c.ID), request: &hook.Request{
		ID: c.ID, Code: c.Code, Method: c.Method, Path: c.Path, ClientAddress: c.Client.String(), PeerAddress: c.Peer.String(),
		ForwardedBy: c.Forwarded, Hops: c.Hops, Verdict: hook.VerdictRefused,
	}}
	workspace, view, err := d.find(ctx, j)
	if err != nil && hook.KindOf(err) != hook.KindNotFound {
		return hook.DoorAnswer{Problem: err}
	}
	if j.door == nil {
		return d.unknown(ctx, j, workspace, began)
	}
	for range maxRounds {
		answer, err := d.through(ctx, j, view, began)
		if !errors.Is(err, hook.ErrChanged) {
			return answer
		}
		if view, err = d.catalog.Current(ctx, workspace); err != nil {
			return hook.DoorAnswer{Problem: err}
		}
		w := view.Door(c.Code)
		if w == nil || w.Profile != j.door.Profile {
			return d.unknown(ctx, j, workspace, began)
		}
		d.again(j, w)
	}
	return hook.DoorAnswer{Problem: &hook.Error{Kind: hook.KindUnavailable, Detail: "the configuration changes all the time", RetryAfter: time.Second}}
}

// maxRounds is how often a call is judged anew because its door changed meanwhile.
const maxRounds = 20

// again begins anew with another version of the door. The body stays read.
func (d *Doors) again(j *judged, w *hook.IncomingWebhook) {
	j.door = d.door(w)
	j.request.Checks, j.request.ClockOffset, j.request.Incoming = nil, nil, w.ID
	j.shown, j.parsed, j.kept, j.answer, j.signed, j.routed = nil, nil, nil, nil, nil, nil
	if j.raw != nil { // what is hidden in it the door says
		j.setBody(j.raw, j.whole)
	}
	j.note("known", nil)
}

// find looks the door up. Without one, the view is nil or has none of that code.
func (d *Doors) find(ctx context.Context, j *judged) (hook.ID, *hook.View, error) {
	c := j.call
	ref := c.Workspace
	if ref == "" {
		ref = hook.DefaultWorkspace
	}
	workspace, _, err := d.catalog.WorkspaceID(ctx, ref)
	if err != nil {
		return hook.NoID, nil, err
	}
	j.request.Workspace = workspace
	view, err := d.catalog.View(ctx, workspace)
	if err != nil {
		return workspace, nil, err
	}
	w := doorOf(view, c)
	if w == nil || w.State() != hook.TargetActive {
		// Another node may have created or enabled it a moment ago.
		if view, err = d.looks.current(ctx, workspace); err != nil {
			return workspace, nil, err
		}
		w = doorOf(view, c)
	}
	if w != nil {
		d.again(j, w)
	}
	return workspace, view, nil
}

// doorOf returns the door of a call. One with another profile is not there: it answers at
// its profile's URL only.
func doorOf(v *hook.View, c *hook.DoorCall) *hook.IncomingWebhook {
	w := v.Door(c.Code)
	if w == nil || profileOf(w) != c.Profile {
		return nil
	}
	return w
}

func profileOf(w *hook.IncomingWebhook) string {
	if w.Profile == "" {
		return hook.DoorDefault
	}
	return w.Profile
}

// through takes a call through its door. The error is hook.ErrChanged or nil.
func (d *Doors) through(ctx context.Context, j *judged, view *hook.View, began time.Time) (hook.DoorAnswer, error) {
	x, c := j.door, j.call
	if r := d.before(j); r != nil {
		if d.outdated(ctx, j, view) {
			return hook.DoorAnswer{}, hook.ErrChanged
		}
		return d.refused(ctx, j, r, nil, began), nil
	}
	if l := x.RateLimit; l != nil && !j.counted {
		wait, ok := d.rates.reserve(x.ID, float64(l.Requests)/l.Per.Seconds(), max(1, l.Requests), time.Now())
		if !ok {
			problem := &hook.Error{Kind: hook.KindRateLimited, Detail: "this door lets fewer calls in", RetryAfter: max(wait, time.Second)}
			r := refuse(hook.KindRateLimited, "more than its rateLimit allows")
			j.note("rate", r)
			return d.refused(ctx, j, r, problem, began), nil
		}
		j.counted = true // once, also when the call is judged anew
	}
	if !j.hasBody {
		var err error
		var raw []byte
		raw, err = read(ctx, x, c)
		j.setBody(raw, err == nil)
		j.hasBody = true
		if err != nil {
			r := refuse(hook.KindOf(err), "%s", detailOf(err))
			j.note("body", r)
			return d.refused(ctx, j, r, err, began), nil
		}
		j.whole = true
	}
	if r := d.after(j); r != nil {
		if d.outdated(ctx, j, view) {
			return hook.DoorAnswer{}, hook.ErrChanged
		}
		return d.refused(ctx, j, r, nil, began), nil
	}
	if j.answer != nil {
		return d.shaken(j, began), nil
	}
	n, r, err := d.count(j)
	if r != nil {
		return d.refused(ctx, j, r, err, began), nil
	}
	dedupe, r := d.dedupeKey(j)
	if r != nil {
		return d.refused(ctx, j, r, nil, began), nil
	}
	return d.admit(ctx, j, view, n, dedupe, began)
}

// read returns the body with its content encoding undone. The limit holds before and after.
func read(ctx context.Context, x *door, c *hook.DoorCall) ([]byte, error) {
	limit := bodyLimit(x)
	body, err := c.Body.Read(ctx, limit, bodyTime(x))
	coding := c.Header.Get("Content-Encoding")
	if err != nil || coding == "" {
		return body, err
	}
	r, err := parse.Decompress(coding, bytes.NewReader(body), limit)
	if err != nil {
		return body, err
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return body, err
	}
	return plain, nil
}

// outdated reports that a call was refused by a configuration that another node has changed
// meanwhile. What is let in is held against the store in any case.
func (d *Doors) outdated(ctx context.Context, j *judged, v *hook.View) bool {
	if j.looked {
		return false
	}
	j.looked = true
	now, err := d.looks.current(ctx, v.Workspace.ID)
	return err == nil && now.Version != v.Version
}

// Defaults of doors that name none, and of those made before there were any.
const (
	defaultBody     = 1 << 20
	defaultBodyTime = 60 * time.Second
	defaultWait     = 5 * time.Second
)

func bodyLimit(x *door) int64 {
	if x.MaxBodyBytes > 0 {
		return x.MaxBodyBytes
	}
	return defaultBody
}

func bodyTime(x *door) time.Duration {
	if x.BodyTimeout > 0 {
		return x.BodyTimeout
	}
	return defaultBodyTime
}

// dedupeKey renders what repeats of the call have in common.
func (d *Doors) dedupeKey(j *judged) (*hook.DedupeKey, *refusal) {
	p := j.door.dedupe
	if p == nil {
		return nil, nil
	}
	text, err := d.templates.Render(p.Key, j.scene(nil))
	if err != nil {
		r := refused("the key of dedupe cannot be rendered: %s", withoutSecrets(detailOf(err), j.door.Secrets))
		j.note("dedupe", r)
		return nil, r
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil // the request has nothing to be recognised by
	}
	j.note("dedupe", nil)
	return &hook.DedupeKey{Hash: sha256.Sum256([]byte(text)), Until: j.now.Add(p.Window)}, nil
}

// admit stores an accepted call and answers it.
func (d *Doors) admit(ctx context.Context, j *judged, view *hook.View, n counted, dedupe *hook.DedupeKey, began time.Time) (hook.DoorAnswer, error) {
	x := j.door
	a, err := d.admission(j, view, n)
	if err != nil {
		return hook.DoorAnswer{Problem: err}, nil
	}
	a.Dedupe = dedupe
	r := a.Request
	r.Status = acceptedStatus(x)
	r.Duration = time.Since(began)
	var wait *waiting
	late := false // of so many items nobody waits for the actions
	if x.Response.Mode == hook.ResponseWait {
		if late = a.Expand > 0; late {
			r.Status = http.StatusAccepted
		} else {
			wait = newWaiting(a)
		}
	}
	if r.Deliveries > 0 || a.Expand > 0 { // else there is no action that will ask for it
		d.runner.Remember(r)
	}
	repeated, err := d.publisher.Admit(ctx, view, a)
	if wait != nil {
		defer d.publisher.Unwatch(a)
	}
	switch {
	case errors.Is(err, hook.ErrChanged):
		return hook.DoorAnswer{}, err
	case err != nil:
		d.counted(x, hook.VerdictRefused, string(hook.KindOf(err)))
		return hook.DoorAnswer{Problem: err}, nil
	case repeated != hook.NoID:
		return d.repeated(ctx, j, repeated, began), nil
	}
	d.counted(x, hook.VerdictAccepted, "")
	if a.Expand > 0 {
		d.kickExpansion()
	}
	if late {
		return d.plainReceipt(r, false), nil
	}
	if wait == nil {
		answer := d.accepted(j, r, false)
		d.recordAnswer(ctx, r, answer, began)
		return answer, nil
	}
	return d.waited(ctx, j, a, wait, began), nil
}

// admission makes the events of a call that passed.
func (d *Doors) admission(j *judged, view *hook.View, n counted) (*hook.Admission, error) {
	x := j.door
	r := j.stored()
	r.Checks, r.ClockOffset = j.request.Checks, j.request.ClockOffset
	r.Verdict, r.Incoming = hook.VerdictAccepted, x.ID
	if x.Logging == hook.LoggingMetadata {
		strip(&r)
	}
	a := &hook.Admission{Request: &r, Door: x.IncomingWebhook}
	if n.total > maxAtOnce || len(j.body) > maxBytesAtOnce && n.total > 1 {
		if n.total >= hook.MaxRequestItems {
			return nil, hook.Errorf(hook.KindTooManyItems, "%d items are too many", n.total)
		}
		if x.Logging != hook.LoggingMetadata { // else there would be nothing to expand
			a.Expand, r.Events = n.total, n.total
			r.Deliveries = 0
			return a, nil
		}
	}
	var err error
	if a.Events, err = d.events(j, view, n, 0, n.total); err != nil {
		return nil, err
	}
	r.Checks = append(r.Checks, j.routeChecks()...)
	post(view, x.IncomingWebhook, a.Events)
	r.Events = len(a.Events)
	for _, e := range a.Events {
		r.Deliveries += len(e.Routed)
	}
	return a, nil
}
