package inbound

import (
	"context"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// waiting collects the first outcomes of a request's deliveries.
type waiting struct {
	mu      sync.Mutex
	open    int
	failed  bool
	final   bool // what failed is not tried again
	results []Result
	done    chan struct{}
	names   map[hook.ID]string
}

func newWaiting(a *hook.Admission) *waiting {
	w := &waiting{done: make(chan struct{}), names: map[hook.ID]string{}}
	for _, e := range a.Events {
		for _, r := range e.Routed {
			if r.Skipped == hook.ReasonNone && r.Target.Kind == hook.TargetAction {
				w.open++
				w.names[r.Target.ID] = r.Target.Code
			}
		}
	}
	if w.open == 0 {
		close(w.done)
	}
	a.Watch = w.told
	return w
}

// told is called with every outcome that is stored. A member of a set that succeeded is
// followed by the next, and an attempt cut off says nothing.
func (w *waiting) told(f *hook.Finish) {
	a := f.Attempt
	if f.Job.Delivery.TargetKind != hook.TargetAction { // post-processors are not waited for
		return
	}
	if !f.State.Final() && (f.Advance || a == nil || a.Outcome != hook.OutcomeFailed) {
		return
	}
	r := Result{Action: w.names[f.Job.Delivery.Target], State: f.State}
	if a != nil && a.Response != nil {
		r.Status, r.Body = a.Response.Status, string(a.Response.Body.Bytes)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == 0 {
		return
	}
	w.results = append(w.results, r)
	if f.State != hook.StateSucceeded && (f.State != hook.StateSkipped || f.Reason == hook.ReasonConditionError) {
		w.failed, w.final = true, f.State.Final()
	}
	if w.open--; w.open == 0 || w.failed {
		w.open = 0
		close(w.done)
	}
}

// waited answers when the actions have run: as configured if all succeeded, with an error
// if the first attempt of one failed (its retries go on), or after its time that the
// request is accepted. While the installation is on hold that is at once.
func (d *Doors) waited(ctx context.Context, j *judged, a *hook.Admission, w *waiting, began time.Time) hook.DoorAnswer {
	x := j.door
	limit := x.Response.Timeout
	if limit <= 0 {
		limit = defaultWait
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	late := d.cfg.Held != nil && d.cfg.Held()
	if !late {
		select {
		case <-w.done:
		case <-t.C:
			late = true
		case <-ctx.Done():
			late = true
		}
	}
	w.mu.Lock()
	failed, final, results := w.failed, w.final, w.results
	w.mu.Unlock()
	var answer hook.DoorAnswer
	switch {
	case late:
		answer = d.plainReceipt(a.Request, false)
	case failed && (x.Profile == hook.DoorAtroCore || x.Refusal == hook.RefusalUniform):
		answer = notFound(j.call)
	case failed && final:
		answer = hook.DoorAnswer{Problem: hook.Errorf(hook.KindActionFailed, "an action failed and will not be tried again; the request is stored, and its owner can run it anew")}
	case failed:
		answer = hook.DoorAnswer{Problem: hook.Errorf(hook.KindActionFailed, "an action failed; it will be tried again, so do not send the request again")}
	default:
		answer = d.accepted(j, a.Request, false, results...)
	}
	d.recordAnswer(ctx, a.Request, answer, began)
	return answer
}

// recordAnswer notes what a stored request was answered, if that is not what was stored with it.
func (d *Doors) recordAnswer(ctx context.Context, r *hook.Request, answer hook.DoorAnswer, began time.Time) {
	status := statusOf(answer)
	if status == r.Status {
		return
	}
	if err := d.store.AnswerRequest(context.WithoutCancel(ctx), r.Workspace, r.ID, status, time.Since(began)); err != nil {
		d.log.WarnContext(ctx, "door.answer_not_recorded", "request_id", r.ID, "error", err)
	}
}
