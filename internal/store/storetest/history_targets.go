package storetest

import (
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// target makes an action or an incoming webhook in a state: active, disabled or deleted.
func (w *World) target(kind hook.TargetKind, state string) hook.ID {
	w.t.Helper()
	id := w.idAt(w.now.Add(-50 * 24 * time.Hour))
	code := string(kind) + "-" + state
	row := map[string]any{"id": w.id(id), "workspace_id": w.id(w.ws), "code": code, "code_key": id.String(), "name": "Name of " + code,
		"enabled": state != "disabled", "config": `{"maxAttempts":7}`, "metadata": "{}", "version": 1, "created_at": 1, "updated_at": 1, "deleted_at": nil}
	if state == "deleted" {
		row["deleted_at"] = w.now.Add(-time.Hour).UnixMicro()
	}
	table := "incoming_webhooks"
	if kind == hook.TargetAction {
		row["type"], table = "httpRequest", "actions"
	}
	w.insert(table, row)
	return id
}

// kindOf is the number of a kind in a row of deliveries.
var kindOf = map[hook.TargetKind]int{hook.TargetWebhook: 0, hook.TargetAction: 1, hook.TargetIncoming: 2}

// otherTargets shows deliveries to actions and to doors' post-processors as those to
// webhooks.
func otherTargets(t *testing.T, w *World) {
	ctx := t.Context()
	event := w.event(w.now, "")
	webhook := w.webhook("active")
	first := w.delivery(w.now, event, webhook, rowWaits)
	all := []hook.ID{first}
	for _, c := range []struct {
		kind     hook.TargetKind
		state    string
		want     hook.State
		reason   hook.Reason
		attempts int
		skipped  hook.Reason // once the target's waiting deliveries are skipped
	}{
		{hook.TargetAction, "active", hook.StatePending, hook.ReasonQueued, 7, hook.ReasonNone},
		{hook.TargetAction, "disabled", hook.StateHeld, hook.ReasonDisabled, 7, hook.ReasonNone},
		{hook.TargetAction, "deleted", hook.StateHeld, hook.ReasonDisabled, 7, hook.ReasonActionDeleted},
		{hook.TargetIncoming, "active", hook.StatePending, hook.ReasonQueued, hook.PostAttempts, hook.ReasonNone},
		{hook.TargetIncoming, "disabled", hook.StatePending, hook.ReasonQueued, hook.PostAttempts, hook.ReasonNone},
		{hook.TargetIncoming, "deleted", hook.StateHeld, hook.ReasonDisabled, hook.PostAttempts, hook.ReasonWebhookDeleted},
	} {
		target := w.target(c.kind, c.state)
		id := w.delivery(w.now.Add(-time.Minute), event, target, rowWaits, set("target_kind", kindOf[c.kind]))
		all = append(all, id)
		v, _, err := w.Delivery(ctx, w.ws, id)
		if err != nil || v.TargetKind != c.kind || v.Target != target || v.TargetCode != string(c.kind)+"-"+c.state || v.TargetName != "Name of "+v.TargetCode ||
			v.State != c.want || v.Reason != c.reason || v.MaxAttempts != c.attempts {
			t.Errorf("%s, %s: %+v, %v", c.kind, c.state, v, err)
		}
		// What is shown and what is searched for agree.
		for _, state := range []hook.State{hook.StatePending, hook.StateHeld} {
			list, _, err := w.Deliveries(ctx, hook.DeliveryFilter{Workspace: w.ws, Targets: []hook.ID{target}, States: []hook.State{state}}, hook.Page{Limit: 10})
			if err != nil || (len(list) == 1) != (state == c.want) {
				t.Errorf("%s, %s: %d are %s, %v", c.kind, c.state, len(list), state, err)
			}
		}
		targets, err := w.DeletedTargets(ctx)
		if err != nil || slices.Contains(targets, target) != (c.skipped != hook.ReasonNone) {
			t.Errorf("%s, %s: deleted targets %v, %v", c.kind, c.state, targets, err)
		}
		retry := w.delivery(w.now, event, target, rowFailed, set("target_kind", kindOf[c.kind]))
		all = append(all, retry)
		if _, err := w.RetryDelivery(ctx, w.ws, retry); (hook.KindOf(err) == hook.KindInvalidState) != (c.skipped != hook.ReasonNone) {
			t.Errorf("%s, %s: retry: %v", c.kind, c.state, err)
		}
		if _, err := w.SkipTarget(ctx, target, 10); err != nil {
			t.Fatal(err)
		}
		v, _, err = w.Delivery(ctx, w.ws, id)
		if err != nil || (v.State == hook.StateSkipped) != (c.skipped != hook.ReasonNone) || v.State == hook.StateSkipped && v.Reason != c.skipped {
			t.Errorf("%s, %s: after skipping %s %s, %v", c.kind, c.state, v.State, v.Reason, err)
		}
	}
	list := func(f hook.DeliveryFilter) (ids []hook.ID) {
		t.Helper()
		f.Workspace = w.ws
		found, _, err := w.Deliveries(ctx, f, hook.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range found {
			ids = append(ids, v.ID)
		}
		slices.SortFunc(ids, func(a, b hook.ID) int { return slices.Compare(a[:], b[:]) })
		return ids
	}
	slices.SortFunc(all, func(a, b hook.ID) int { return slices.Compare(a[:], b[:]) })
	equalIDs(t, "all of the workspace", list(hook.DeliveryFilter{}), all)
	equalIDs(t, "webhooks' only", list(hook.DeliveryFilter{TargetKind: hook.TargetWebhook}), []hook.ID{first})
	if n := len(list(hook.DeliveryFilter{TargetKind: hook.TargetAction})); n != 6 {
		t.Errorf("%d deliveries to actions; want 6", n)
	}
	// What waits for deleted ones is not overdue.
	queue, err := w.Queue(ctx)
	if b := queue.Backlogs()[w.ws]; err != nil || b == nil || b.OldestDue == nil || b.OldestDue.After(w.now.Add(-30*time.Second)) || b.Held == 0 {
		t.Errorf("queue %+v, %v", b, err)
	}
}
