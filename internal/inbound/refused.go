package inbound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/hook"
)

// How calls end that make no event.

// refused records and answers a call that does not pass. problem says more than the
// refusal; nil: nothing.
func (d *Doors) refused(ctx context.Context, j *judged, r *refusal, problem error, began time.Time) hook.DoorAnswer {
	x := j.door
	j.request.Incoming, j.request.Reason = x.ID, string(r.kind)
	d.counted(x, hook.VerdictRefused, string(r.kind))
	d.alarm(j, r)
	answer := d.refusalAnswer(j, r, problem)
	if d.refusals.room(x.ID, time.Now()) {
		if !j.hasBody && x.Logging != hook.LoggingMetadata && r.kind != hook.KindUnavailable {
			j.setBody(j.call.Body.Evidence(evidenceBytes, evidenceTime))
		}
		d.record(j, answer, began)
	}
	if x.Refusal == hook.RefusalUniform && masked(r.kind) {
		d.park(ctx, began)
	}
	return answer
}

// record queues a call that makes no event.
func (d *Doors) record(j *judged, answer hook.DoorAnswer, began time.Time) {
	j.shown = nil
	r := j.stored()
	if len(r.Body.Bytes) > evidenceBytes {
		r.Body.SHA256 = digest(r.Body)
		r.Body.Bytes, r.Body.Truncated = bytes.Clone(r.Body.Bytes[:evidenceBytes]), true // the rest is not to be kept in memory
	}
	if j.door.Logging == hook.LoggingMetadata {
		strip(&r)
	}
	r.Status, r.Duration = statusOf(answer), time.Since(began)
	d.refusals.put(&r)
}

// strip leaves of a request what a door keeps that logs metadata only.
func strip(r *hook.Request) {
	r.Headers, r.Hidden = nil, nil
	r.Body.SHA256 = digest(r.Body)
	r.Body.Bytes, r.Body.Truncated = nil, r.Body.Size > 0
}

// digest of a body of which not all will be kept; nil of one that was not read whole.
func digest(b hook.Body) []byte {
	if b.Truncated || len(b.Bytes) == 0 {
		return nil
	}
	sum := sha256.Sum256(b.Bytes)
	return sum[:]
}

// counted counts a call of a door.
func (d *Doors) counted(x *door, verdict hook.Verdict, reason string) {
	d.metrics.DoorCall(x.Code, verdict, reason)
	d.metrics.Called(x.Workspace, verdict)
}

// unknown answers a call of a code that is no door's.
func (d *Doors) unknown(ctx context.Context, j *judged, workspace hook.ID, began time.Time) hook.DoorAnswer {
	d.metrics.DoorCall("", hook.VerdictRefused, string(hook.KindNotFound))
	if workspace != hook.NoID {
		d.metrics.Called(workspace, hook.VerdictRefused)
	}
	answer := notFound(j.call)
	if workspace != hook.NoID && d.refusals.room(workspace, time.Now()) {
		r := *j.request
		r.Incoming, r.Reason = hook.NoID, string(hook.KindNotFound)
		r.Checks = []hook.Check{{Name: "known", Result: hook.CheckFailed, Detail: "no incoming webhook has this code at this URL"}}
		r.Status, r.Duration = http.StatusNotFound, time.Since(began)
		d.refusals.put(&r)
	}
	d.park(ctx, began)
	return answer
}

// repeated answers a call that came before.
func (d *Doors) repeated(ctx context.Context, j *judged, first hook.ID, began time.Time) hook.DoorAnswer {
	x := j.door
	j.request.Verdict, j.request.DuplicateOf, j.request.Incoming = hook.VerdictDuplicate, first, x.ID
	if x.dedupe.OnDuplicate == hook.DuplicateRefuse {
		j.request.Verdict = hook.VerdictRefused
		r := refuse(hook.KindDuplicateRefused, "it was accepted before, as request %s", first)
		j.note("dedupe", r)
		return d.refused(ctx, j, r, nil, began)
	}
	d.counted(x, hook.VerdictDuplicate, "")
	answer := d.accepted(j, &hook.Request{ID: first}, true)
	if d.refusals.room(x.ID, time.Now()) {
		d.record(j, answer, began)
	}
	return answer
}

// shaken answers a handshake.
func (d *Doors) shaken(j *judged, began time.Time) hook.DoorAnswer {
	j.request.Verdict, j.request.Incoming = hook.VerdictHandshake, j.door.ID
	d.counted(j.door, hook.VerdictHandshake, "")
	h := http.Header{}
	for name, values := range j.answer.Headers {
		h[name] = slices.Clone(values)
	}
	if j.answer.ContentType != "" {
		h.Set("Content-Type", j.answer.ContentType)
	}
	answer := hook.DoorAnswer{Status: j.answer.Status, Header: h, Body: j.answer.Body}
	if d.refusals.room(j.door.ID, time.Now()) {
		d.record(j, answer, began)
	}
	return answer
}

// park holds an answer back until the next step of 10 ms after the call arrived, so that
// the time it takes does not tell why.
func (d *Doors) park(ctx context.Context, began time.Time) {
	select {
	case d.parked <- struct{}{}:
	default:
		return
	}
	defer func() { <-d.parked }()
	const step = 10 * time.Millisecond
	t := time.NewTimer(step - time.Since(began)%step)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
