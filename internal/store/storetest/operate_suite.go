package storetest

import (
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// dueOf reads what due says of a delivery; trigger is -1 if it does not wait.
func (w *World) dueOf(id hook.ID) (trigger int, dueIn time.Duration) {
	w.t.Helper()
	if w.count("SELECT count(*) FROM due WHERE delivery_id = ?", w.id(id)) == 0 {
		return -1, 0
	}
	v, _, err := w.Delivery(w.t.Context(), w.ws, id)
	if err != nil {
		w.t.Fatal(err)
	}
	if v.NextAttemptAt != nil {
		dueIn = time.Until(*v.NextAttemptAt)
	}
	return w.count("SELECT trigger_kind FROM due WHERE delivery_id = ?", w.id(id)), dueIn
}

func retryByHand(t *testing.T, w *World) {
	ctx := t.Context()
	target, deleted := w.webhook("active"), w.webhook("deleted")
	event := w.event(w.now, "")
	const manual = 2
	for _, row := range []int{rowSucceeded, rowFailed, rowSkipped} {
		id := w.delivery(w.now, event, target, row, set("attempts", 4), set("step", 2))
		if got, err := w.RetryDelivery(ctx, w.ws, id); err != nil || got != target {
			t.Fatalf("retry of row %d = %v, %v", row, got, err)
		}
		v, _, err := w.Delivery(ctx, w.ws, id)
		step := map[int]int{rowSucceeded: 0, rowFailed: 2, rowSkipped: 2}[row]
		if err != nil || v.State != hook.StatePending || v.Reason != hook.ReasonQueued || v.Base != 4 || v.Step != step || v.Attempts != 4 || v.MaxAttempts != 14 || !v.FinishedAt.IsZero() {
			t.Errorf("after the retry of row %d: %+v, %v", row, v, err)
		}
		if trigger, in := w.dueOf(id); trigger != manual || in > time.Second || in < -time.Minute {
			t.Errorf("row %d: due with trigger %d in %v", row, trigger, in)
		}
		if n := w.count("SELECT count(*) FROM dead WHERE delivery_id = ?", w.id(id)); n != 0 {
			t.Errorf("row %d is still in the dead letter", row)
		}
		jobs, _, err := w.Claim(ctx, hook.NodeID(w.node), []hook.LaneWant{{Target: target, N: 1}}, 1<<30)
		if err != nil || len(jobs) != 1 || jobs[0].Delivery.ID != id || jobs[0].Trigger != hook.TriggerManual {
			t.Fatalf("row %d: claimed %v, %v", row, jobs, err)
		}
		if _, err := w.RetryDelivery(ctx, w.ws, id); hook.KindOf(err) != hook.KindDeliveryRunning {
			t.Errorf("retry of a claimed one: %v", err)
		}
	}
	born := w.delivery(w.now, event, target, rowBorn)
	if _, err := w.RetryDelivery(ctx, w.ws, born); hook.KindOf(err) != hook.KindDeliveryRunning {
		t.Errorf("retry of one handed over at birth: %v", err)
	}
	waits := w.delivery(w.now.Add(time.Hour), event, target, rowWaits, set("attempts", 3), set("base", 1))
	if _, err := w.RetryDelivery(ctx, w.ws, waits); err != nil {
		t.Fatal(err)
	}
	if trigger, in := w.dueOf(waits); trigger != manual || in > time.Second {
		t.Errorf("a waiting one is due with trigger %d in %v", trigger, in)
	}
	if v, _, err := w.Delivery(ctx, w.ws, waits); err != nil || v.Base != 1 {
		t.Errorf("a waiting one has base %d, %v; want the budget it had", v.Base, err)
	}
	overdue := w.delivery(w.now.Add(-time.Hour), event, target, rowWaits)
	if _, err := w.RetryDelivery(ctx, w.ws, overdue); err != nil {
		t.Fatal(err)
	}
	if _, in := w.dueOf(overdue); in > -time.Hour {
		t.Errorf("an overdue one lost its place: due in %v", in)
	}
	gone := w.delivery(w.now, event, deleted, rowFailed)
	if _, err := w.RetryDelivery(ctx, w.ws, gone); hook.KindOf(err) != hook.KindInvalidState {
		t.Errorf("retry for a deleted target: %v", err)
	}
	if _, err := w.RetryDelivery(ctx, w.workspace("other", 0), waits); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("retry from another workspace: %v", err)
	}
}

func skipByHand(t *testing.T, w *World) {
	ctx := t.Context()
	event := w.event(w.now, "")
	for _, state := range []string{"active", "paused"} {
		id := w.delivery(w.now, event, w.webhook(state), rowWaits)
		if err := w.SkipDelivery(ctx, w.workspace("other-"+state, 0), id); hook.KindOf(err) != hook.KindNotFound {
			t.Errorf("skip from another workspace: %v", err)
		}
		if err := w.SkipDelivery(ctx, w.ws, id); err != nil {
			t.Fatal(err)
		}
		v, _, err := w.Delivery(ctx, w.ws, id)
		if err != nil || v.State != hook.StateSkipped || v.Reason != hook.ReasonByOperator || time.Since(v.FinishedAt).Abs() > time.Minute {
			t.Errorf("skipped: %+v, %v", v, err)
		}
		if trigger, _ := w.dueOf(id); trigger != -1 {
			t.Error("a skipped delivery still waits")
		}
	}
	target := w.webhook("active")
	for row, want := range map[int]hook.Kind{rowBorn: hook.KindDeliveryRunning, rowClaimed: hook.KindDeliveryRunning,
		rowSucceeded: hook.KindInvalidState, rowFailed: hook.KindInvalidState, rowSkipped: hook.KindInvalidState} {
		if err := w.SkipDelivery(ctx, w.ws, w.delivery(w.now, event, target, row)); hook.KindOf(err) != want {
			t.Errorf("skip of row %d: %v, want %s", row, err, want)
		}
	}
}

// skipRacesClaim lets an operator and the claim loop reach for the same deliveries.
func skipRacesClaim(t *testing.T, w *World) {
	ctx := t.Context()
	target := w.webhook("active")
	event := w.event(w.now.Add(-time.Minute), "")
	var ids []hook.ID
	for range 60 {
		ids = append(ids, w.delivery(w.now.Add(-time.Minute), event, target, rowWaits))
	}
	claimed := make(map[hook.ID]bool)
	skipped := make(map[hook.ID]bool)
	var wg sync.WaitGroup
	begun := make(chan struct{})
	wg.Go(func() {
		begin := sync.OnceFunc(func() { close(begun) })
		defer begin()
		for len(claimed) < len(ids)/2 {
			jobs, _, err := w.Claim(ctx, hook.NodeID(w.node), []hook.LaneWant{{Target: target, N: 3}}, 1<<30)
			if err != nil || len(jobs) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, j := range jobs {
				claimed[j.Delivery.ID] = true
			}
			begin()
		}
	})
	wg.Go(func() {
		<-begun
		for i := range ids {
			id := ids[len(ids)-1-i]
			switch err := w.SkipDelivery(ctx, w.ws, id); hook.KindOf(err) {
			case hook.KindDeliveryRunning:
			default:
				if err != nil {
					t.Error(err)
				}
				skipped[id] = true
			}
		}
	})
	wg.Wait()
	if len(claimed) == 0 || len(skipped) == 0 {
		t.Fatalf("no race: %d claimed, %d skipped", len(claimed), len(skipped))
	}
	for _, id := range ids {
		if claimed[id] && skipped[id] {
			t.Errorf("%s was claimed and skipped", id)
		}
	}
	if n := w.count("SELECT count(*) FROM due WHERE held_by IS NOT NULL"); n != len(claimed) {
		t.Errorf("%d held in due, %d claimed", n, len(claimed))
	}
}

func skipDeleted(t *testing.T, w *World) {
	ctx := t.Context()
	live, deleted := w.webhook("paused"), w.webhook("deleted")
	event := w.event(w.now, "")
	var waiting []hook.ID
	for range 5 {
		waiting = append(waiting, w.delivery(w.now, event, deleted, rowWaits))
		w.delivery(w.now, event, live, rowWaits)
	}
	held := w.delivery(w.now, event, deleted, rowClaimed)
	if n, err := w.HeldCount(ctx, deleted); err != nil || n != 5 {
		t.Errorf("held = %d, %v; want 5", n, err)
	}
	targets, err := w.DeletedTargets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	equalIDs(t, "deleted targets", targets, []hook.ID{deleted})
	for _, want := range []int{3, 2, 0} {
		if n, err := w.SkipTarget(ctx, deleted, 3); err != nil || n != want {
			t.Fatalf("skipped %d, %v; want %d", n, err, want)
		}
	}
	for _, id := range waiting {
		v, _, err := w.Delivery(ctx, w.ws, id)
		if err != nil || v.State != hook.StateSkipped || v.Reason != hook.ReasonWebhookDeleted || v.FinishedAt.IsZero() {
			t.Errorf("skipped: %+v, %v", v, err)
		}
	}
	if v, _, err := w.Delivery(ctx, w.ws, held); err != nil || v.State != hook.StateRunning {
		t.Errorf("a held one: %+v, %v", v, err)
	}
	if targets, err := w.DeletedTargets(ctx); err != nil || len(targets) != 0 {
		t.Errorf("deleted targets = %v, %v", targets, err)
	}
	if n, err := w.SkipTarget(ctx, live, 100); err != nil || n != 0 {
		t.Errorf("skipped %d of a target that lives, %v", n, err)
	}
	if n, err := w.HeldCount(ctx, live); err != nil || n != 5 {
		t.Errorf("held = %d, %v; want 5", n, err)
	}
}
