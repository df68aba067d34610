package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

var allStates = []hook.State{hook.StatePending, hook.StateHeld, hook.StateRunning, hook.StateSucceeded, hook.StateFailed, hook.StateSkipped}

// walk reads a list page by page.
func (w *World) walk(f hook.DeliveryFilter, p hook.Page) []hook.DeliveryView {
	w.t.Helper()
	f.Workspace = w.ws
	var all []hook.DeliveryView
	for {
		views, more, err := w.Deliveries(w.t.Context(), f, p)
		if err != nil {
			w.t.Fatalf("%+v: %v", f, err)
		}
		all = append(all, views...)
		if !more {
			return all
		}
		if len(views) != p.Limit {
			w.t.Fatalf("%+v: a page of %d with more to come, want %d", f, len(views), p.Limit)
		}
		p.After = views[len(views)-1].ID
	}
}

func idsOf(views []hook.DeliveryView) []hook.ID {
	var ids []hook.ID
	for _, v := range views {
		ids = append(ids, v.ID)
	}
	return ids
}

// statesAgree lists every set of states and compares with what the rows say themselves.
func statesAgree(t *testing.T, w *World) {
	type expect struct {
		state  hook.State
		reason hook.Reason
	}
	want := make(map[hook.ID]expect)
	var order, targets []hook.ID
	event := w.event(w.now.Add(-time.Second), "")
	for _, state := range []string{"active", "paused", "suspended", "disabled", "deleted", "broken"} {
		var target hook.ID
		if state == "broken" {
			target = w.webhook("active")
			if err := w.FlushHealth(t.Context(), []hook.Health{{Target: target, Workspace: w.ws, Breaker: hook.Breaker{State: "open"}}}); err != nil {
				t.Fatal(err)
			}
		} else {
			target = w.webhook(state)
		}
		targets = append(targets, target)
		waits := map[string]expect{"active": {hook.StatePending, hook.ReasonQueued}, "paused": {hook.StateHeld, hook.ReasonPaused}, "suspended": {hook.StateHeld, hook.ReasonSuspended},
			"disabled": {hook.StateHeld, hook.ReasonDisabled}, "deleted": {hook.StateHeld, hook.ReasonDisabled}, "broken": {hook.StatePending, hook.ReasonBreakerOpen}}[state]
		for row, x := range map[int]expect{rowBorn: {hook.StateRunning, ""}, rowClaimed: {hook.StateRunning, ""}, rowWaits: waits,
			rowSucceeded: {hook.StateSucceeded, ""}, rowFailed: {hook.StateFailed, hook.ReasonAttemptsExhausted}, rowSkipped: {hook.StateSkipped, ""}} {
			id := w.delivery(w.now, event, target, row)
			want[id] = x
			order = append(order, id)
		}
	}
	other := w.workspace("other", 0)
	w.delivery(w.now, event, targets[0], rowWaits, set("workspace_id", w.id(other)))
	slices.Reverse(order) // newest first
	all := w.walk(hook.DeliveryFilter{}, hook.Page{Limit: 100})
	equalIDs(t, "all", idsOf(all), order)
	for _, v := range all {
		if x := want[v.ID]; v.State != x.state || v.Reason != x.reason {
			t.Errorf("state = %s %q, want %+v", v.State, v.Reason, x)
		}
		if (v.NextAttemptAt != nil) != (v.State == hook.StatePending) {
			t.Errorf("%s has next attempt at %v", v.State, v.NextAttemptAt)
		}
		if v.State == hook.StatePending && !v.NextAttemptAt.Equal(w.now) {
			t.Errorf("next attempt at %v, want %v", v.NextAttemptAt, w.now)
		}
		if v.State.Final() == v.FinishedAt.IsZero() {
			t.Errorf("%s finished at %v", v.State, v.FinishedAt)
		}
	}
	w.everySetOfStates(all, targets[1:4])
	// On hold they are what they were, and the reason is told of those that nothing else keeps.
	if _, err := w.SetHold(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for _, v := range w.walk(hook.DeliveryFilter{}, hook.Page{Limit: 100}) {
		x := want[v.ID]
		if x.state == hook.StatePending {
			x.reason = hook.ReasonHold
		}
		if v.State != x.state || v.Reason != x.reason || v.NextAttemptAt != nil {
			t.Errorf("on hold: %s %q, next attempt at %v; want %+v", v.State, v.Reason, v.NextAttemptAt, x)
		}
	}
}

// everySetOfStates compares each set of states, in both directions and paged, over all
// targets and some, with the same picked from all.
func (w *World) everySetOfStates(all []hook.DeliveryView, some []hook.ID) {
	w.t.Helper()
	for bits := range 1 << len(allStates) {
		var states []hook.State
		for i, s := range allStates {
			if bits&(1<<i) != 0 {
				states = append(states, s)
			}
		}
		for _, targets := range [][]hook.ID{nil, some} {
			var want []hook.ID
			for _, v := range all {
				if (len(states) == 0 || slices.Contains(states, v.State)) && (targets == nil || slices.Contains(targets, v.Target)) {
					want = append(want, v.ID)
				}
			}
			f := hook.DeliveryFilter{States: states, Targets: targets}
			what := fmt.Sprintf("states %v of %d targets", states, len(targets))
			equalIDs(w.t, what, idsOf(w.walk(f, hook.Page{Limit: 7})), want)
			slices.Reverse(want)
			equalIDs(w.t, what+" upwards", idsOf(w.walk(f, hook.Page{Limit: 100, Asc: true})), want)
		}
	}
}

func manyTargets(t *testing.T, w *World) {
	event := w.event(w.now.Add(-time.Second), "")
	var targets []hook.ID
	rows := []int{rowBorn, rowClaimed, rowWaits, rowSucceeded, rowFailed, rowSkipped}
	for i := range 70 {
		target := w.webhook([]string{"active", "paused", "deleted"}[i%3])
		targets = append(targets, target)
		w.delivery(w.now, event, target, rows[i%len(rows)])
		w.delivery(w.now, event, target, rows[(i/3)%len(rows)])
	}
	all := w.walk(hook.DeliveryFilter{}, hook.Page{Limit: 33})
	if len(all) != 140 {
		t.Fatalf("%d deliveries, want 140", len(all))
	}
	w.everySetOfStates(all, targets[3:])
}

func deliveriesFiltered(t *testing.T, w *World) {
	ctx := t.Context()
	a, b := w.webhook("active"), w.webhook("paused")
	type laid struct {
		id, target hook.ID
		event      string
		typ        string
		entity     string
		at         time.Time
		state      hook.State
	}
	var all []laid // newest first
	for i := range 24 {
		at := w.now.Add(time.Duration(i-24) * time.Minute)
		typ, entity := []string{"order.paid", "order.sent", "user.made"}[i%3], []string{"7", "8"}[i%2]
		name := fmt.Sprintf("e%d", i)
		key := w.event(at, name, set("type", typ), set("entity_id", entity))
		for _, x := range []struct {
			target hook.ID
			row    int
			state  hook.State
		}{{a, rowSucceeded, hook.StateSucceeded}, {b, rowWaits, hook.StateHeld}, {b, rowFailed, hook.StateFailed}} {
			id := w.delivery(at, key, x.target, x.row)
			all = append([]laid{{id, x.target, name, typ, entity, at, x.state}}, all...)
		}
	}
	check := func(name string, f hook.DeliveryFilter, want func(laid) bool) {
		t.Helper()
		var ids []hook.ID
		for _, l := range all {
			if want(l) {
				ids = append(ids, l.id)
			}
		}
		equalIDs(t, name, idsOf(w.walk(f, hook.Page{Limit: 5})), ids)
		slices.Reverse(ids)
		equalIDs(t, name+" upwards", idsOf(w.walk(f, hook.Page{Limit: 50, Asc: true})), ids)
	}
	cut := w.now.Add(-12 * time.Minute)
	check("event", hook.DeliveryFilter{EventIDs: []string{"e3", "e9", "no"}}, func(l laid) bool { return l.event == "e3" || l.event == "e9" })
	check("unknown event", hook.DeliveryFilter{EventIDs: []string{"no"}}, func(laid) bool { return false })
	check("event, target, state", hook.DeliveryFilter{EventIDs: []string{"e3"}, Targets: []hook.ID{b}, States: []hook.State{hook.StateFailed}},
		func(l laid) bool { return l.event == "e3" && l.target == b && l.state == hook.StateFailed })
	check("event and other entity", hook.DeliveryFilter{EventIDs: []string{"e3"}, EntityIDs: []string{"7"}}, func(laid) bool { return false })
	check("event and its entity", hook.DeliveryFilter{EventIDs: []string{"e3"}, EntityIDs: []string{"8"}}, func(l laid) bool { return l.event == "e3" })
	check("entity", hook.DeliveryFilter{EntityIDs: []string{"7"}}, func(l laid) bool { return l.entity == "7" })
	check("entity, type, since, until", hook.DeliveryFilter{EntityIDs: []string{"7"}, EventTypes: []string{"order.sent"}, Since: cut, Until: w.now.Add(-4 * time.Minute)},
		func(l laid) bool {
			return l.entity == "7" && l.typ == "order.sent" && !l.at.Before(cut) && l.at.Before(w.now.Add(-4*time.Minute))
		})
	check("entity, held", hook.DeliveryFilter{EntityIDs: []string{"7"}, States: []hook.State{hook.StateHeld}},
		func(l laid) bool { return l.entity == "7" && l.state == hook.StateHeld })
	for _, s := range []hook.State{hook.StateHeld, hook.StateFailed, hook.StateSucceeded} {
		check("types and state "+string(s), hook.DeliveryFilter{EventTypes: []string{"user.made", "order.sent"}, States: []hook.State{s}},
			func(l laid) bool { return l.typ != "order.paid" && l.state == s })
	}
	check("since", hook.DeliveryFilter{Since: cut}, func(l laid) bool { return !l.at.Before(cut) })
	check("until, held", hook.DeliveryFilter{Until: cut, States: []hook.State{hook.StateHeld}},
		func(l laid) bool { return l.at.Before(cut) && l.state == hook.StateHeld })
	check("webhooks", hook.DeliveryFilter{TargetKind: hook.TargetWebhook, States: []hook.State{hook.StateHeld, hook.StateFailed}},
		func(l laid) bool { return l.target == b })
	check("actions", hook.DeliveryFilter{TargetKind: hook.TargetAction}, func(laid) bool { return false })
	check("waiting actions", hook.DeliveryFilter{TargetKind: hook.TargetAction, States: []hook.State{hook.StateHeld}}, func(laid) bool { return false })

	views, more, err := w.EventDeliveries(ctx, w.ws, "e3", []hook.State{hook.StateFailed, hook.StateHeld}, hook.Page{Limit: 1})
	if err != nil || !more || len(views) != 1 || views[0].EventID != "e3" || views[0].EventType != "order.paid" || views[0].EntityID.Text != "8" {
		t.Errorf("deliveries of an event = %+v, %v, %v", views, more, err)
	}
	if _, _, err := w.EventDeliveries(ctx, w.ws, "no", nil, hook.Page{Limit: 1}); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("deliveries of an unknown event: %v", err)
	}
	w.ws = w.workspace("other", 0)
	check("targets of another workspace", hook.DeliveryFilter{Targets: []hook.ID{a, b}}, func(laid) bool { return false })
	check("waiting for targets of another workspace", hook.DeliveryFilter{Targets: []hook.ID{a, b}, States: []hook.State{hook.StateHeld, hook.StateFailed}}, func(laid) bool { return false })
	check("events of another workspace", hook.DeliveryFilter{EventIDs: []string{"e3"}}, func(laid) bool { return false })
	check("an empty workspace", hook.DeliveryFilter{}, func(laid) bool { return false })
}

func deliveryWhole(t *testing.T, w *World) {
	ctx := t.Context()
	target := w.webhook("active")
	event := w.event(w.now.Add(-time.Hour), "ord", set("entity_id", "12345678901234567890"), set("entity_id_number", true))
	id := w.delivery(w.now.Add(-time.Hour), event, target, rowFailed, set("attempts", 13), set("base", 10), set("test", true))
	at := func(s int) time.Time { return w.now.Add(time.Duration(s-100) * time.Second) }
	const succeeded, failed, aborted, superseded = 0, 1, 2, 3
	first := w.attempt(at(1), id, 1, failed)
	w.attempt(at(2), id, 2, aborted)
	counted := w.attempt(at(3), id, 2, failed)
	late := w.attempt(at(4), id, 2, superseded)
	v, attempts, err := w.Delivery(ctx, w.ws, id)
	if err != nil {
		t.Fatal(err)
	}
	if v.EventID != "ord" || v.EntityID != (hook.EntityID{Text: "12345678901234567890", Number: true}) || v.Target != target || v.TargetKind != hook.TargetWebhook ||
		v.TargetName == "" || v.State != hook.StateFailed || v.Attempts != 13 || v.MaxAttempts != 11 || !v.Test || v.FirstAttemptAt == nil || !v.FirstAttemptAt.Equal(at(1)) {
		t.Errorf("delivery = %+v", v)
	}
	last := v.LastAttempt
	if last == nil || last.ID != counted || last.Number != 2 || last.Outcome != hook.OutcomeFailed || last.Response.Status != 201 || last.Timings.Total != 1500*time.Microsecond {
		t.Errorf("last attempt = %+v", last)
	}
	if len(attempts) != 4 || attempts[0].ID != first || attempts[3].ID != late || attempts[3].Outcome != hook.OutcomeSuperseded ||
		attempts[0].Node != "n1" || attempts[0].TargetVersion != 3 || attempts[0].Timings.FirstByte != 900*time.Microsecond || attempts[0].Response.Status != 201 {
		t.Errorf("attempts = %+v", attempts)
	}
	for ref, want := range map[string]hook.ID{"1": first, "2": counted, late.String(): late} {
		if a, err := w.Attempt(ctx, w.ws, id, ref); err != nil || a.ID != want {
			t.Errorf("attempt %s = %v, %v; want %v", ref, a.ID, err, want)
		}
	}
	for _, ref := range []string{"3", "0", "-1", "x", event.String()} {
		if _, err := w.Attempt(ctx, w.ws, id, ref); hook.KindOf(err) != hook.KindNotFound {
			t.Errorf("attempt %s: %v", ref, err)
		}
	}
	views, _, err := w.Deliveries(ctx, hook.DeliveryFilter{Workspace: w.ws}, hook.Page{Limit: 1})
	if err != nil || len(views) != 1 || views[0].LastAttempt == nil || views[0].LastAttempt.ID != counted {
		t.Errorf("list = %+v, %v", views, err)
	}
	other := w.workspace("other", 0)
	if _, _, err := w.Delivery(ctx, other, id); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("delivery in another workspace: %v", err)
	}
	if _, err := w.Attempt(ctx, other, id, "1"); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("attempt in another workspace: %v", err)
	}
	for n := 3; n <= 103; n++ { // with the four that are there, 105
		w.attempt(at(2*n), id, n, failed)
	}
	v, attempts, err = w.Delivery(ctx, w.ws, id)
	if err != nil || len(attempts) != 100 || attempts[0].Number != 4 || attempts[99].Number != 103 || v.LastAttempt.Number != 103 || !v.FirstAttemptAt.Equal(at(1)) {
		t.Errorf("of 105 attempts %d are shown: %v", len(attempts), err)
	}
	for ref, want := range map[string]hook.ID{"1": first, "2": counted, late.String(): late} {
		if a, err := w.Attempt(ctx, w.ws, id, ref); err != nil || a.ID != want {
			t.Errorf("attempt %s of 105 = %v, %v; want %v", ref, a.ID, err, want)
		}
	}
	plain := w.delivery(w.now.Add(-time.Hour), event, target, rowFailed, set("attempts", 13), set("base", 10))
	if v, _, err := w.Delivery(ctx, w.ws, plain); err != nil || v.MaxAttempts != 20 || v.Test {
		t.Errorf("a retried delivery = %+v, %v", v, err)
	}
}
