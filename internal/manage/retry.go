package manage

import (
	"encoding/json"
	"slices"
	"time"

	"sallyport/internal/backoff"
	"sallyport/internal/hook"
)

// Bounds and defaults of retries, as of the contract.
const (
	minWait       = 100 * time.Millisecond
	maxWait       = backoff.MaxWait
	maxSchedule   = 50
	defaultFactor = 2
	maxFactor     = 100
	defaultMax    = 24 * time.Hour // of exponential waits
)

// retryForms are the forms of which retry has exactly one.
var retryForms = []string{"schedule", "exponential", "linear"}

func (o *object) retry() hook.Retry {
	r, byDefault := o.object("retry"), backoff.Default()
	if r == nil {
		return byDefault
	}
	out := hook.Retry{Jitter: r.float("jitter", byDefault.Jitter, 0, 1)}
	forms := 0
	for _, f := range retryForms {
		if r.has(f) && !r.isNull(f) {
			forms++
		}
	}
	if forms > 1 {
		r.fault(r.path, "invalid_format", "say only one of schedule, exponential, linear")
	}
	if forms == 0 {
		out.Schedule = byDefault.Schedule
	}
	if r.has("schedule") {
		out.Schedule = r.schedule("schedule")
	}
	if e := r.object("exponential"); e != nil {
		x := &hook.Exponential{
			Initial: e.duration("initial", 0, minWait, maxWait),
			Factor:  e.float("factor", defaultFactor, 1, maxFactor),
		}
		x.Max = e.duration("max", max(defaultMax, x.Initial), minWait, maxWait)
		if x.Max < x.Initial {
			e.fault(e.at("max"), "out_of_range", "is shorter than initial")
		}
		e.need("initial")
		e.done()
		out.Exponential = x
	}
	if l := r.object("linear"); l != nil {
		out.Linear = &hook.Linear{Interval: l.duration("interval", 0, minWait, maxWait)}
		l.need("interval")
		l.done()
	}
	r.done()
	return out
}

func (o *object) schedule(name string) []time.Duration {
	var out []time.Duration
	n, ok := o.texts(name, maxSchedule, func(at, s string) {
		out = append(out, o.checkDuration(at, s, 0, minWait, maxWait))
	})
	if ok && n == 0 {
		o.fault(o.at(name), "required", "must not be empty")
	}
	return out
}

// retryDocument is what a PUT would say.
func retryDocument(r hook.Retry) map[string]any {
	doc := map[string]any{"jitter": r.Jitter}
	switch {
	case r.Exponential != nil:
		doc["exponential"] = map[string]any{
			"initial": hook.FormatDuration(r.Exponential.Initial), "factor": r.Exponential.Factor, "max": hook.FormatDuration(r.Exponential.Max),
		}
	case r.Linear != nil:
		doc["linear"] = map[string]any{"interval": hook.FormatDuration(r.Linear.Interval)}
	default:
		waits := make([]string, len(r.Schedule))
		for i, d := range r.Schedule {
			waits[i] = hook.FormatDuration(d)
		}
		doc["schedule"] = waits
	}
	return doc
}

// retryBase is what a patch of retry is merged into: a patch that names another form
// replaces the form, where a plain merge would leave two.
func retryBase(r hook.Retry, patch json.RawMessage) map[string]any {
	doc := retryDocument(r)
	var p map[string]json.RawMessage
	if json.Unmarshal(patch, &p) != nil {
		return doc
	}
	named := slices.ContainsFunc(retryForms, func(f string) bool { return p[f] != nil && !isNull(p[f]) })
	for _, f := range retryForms {
		if named && p[f] == nil {
			delete(doc, f)
		}
	}
	return doc
}

func sameRetry(a, b hook.Retry) bool {
	return slices.Equal(a.Schedule, b.Schedule) && samePtr(a.Exponential, b.Exponential) && samePtr(a.Linear, b.Linear) && a.Jitter == b.Jitter
}
