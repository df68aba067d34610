package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func replayTaken(t *testing.T, w *World) {
	ctx := t.Context()
	me := hook.NodeID(w.node)
	if r, err := w.TakeReplay(ctx, me, nil); r != nil || err != nil {
		t.Fatalf("taken from none: %+v, %v", r, err)
	}
	open := w.replay(func(r *hook.Replay) {
		r.UntilOpen, r.Rate, r.EventTypes, r.EntityID, r.FreshIDs = true, 50, []string{"a.*"}, "7", true
	})
	if !open.Until.After(*open.StartedAt) || open.Rate != 50 || !slices.Equal(open.EventTypes, []string{"a.*"}) || open.EntityID != "7" || !open.FreshIDs || len(open.States) != 3 {
		t.Errorf("taken: %+v", open)
	}
	settled := false
	for end := time.Now().Add(time.Minute); !settled && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if settled, err = w.ReplaySettled(ctx, *open.StartedAt); err != nil {
			t.Fatal(err)
		}
	}
	if !settled {
		t.Error("nothing else runs, and it does not settle")
	}
	if err := w.CountedReplay(ctx, me, open.ID, 812); err != nil {
		t.Fatal(err)
	}
	if err := w.NoteReplay(ctx, me, open.ID, hook.ReplayBacklog); err != nil {
		t.Fatal(err)
	}
	if v := w.replayNow(open.ID); *v.Total != 812 || v.Reason != hook.ReplayBacklog || !v.Until.Equal(open.Until) {
		t.Errorf("noted: %+v", v.Replay)
	}
	take := func(node hook.NodeID, except []hook.ID, want hook.ID) *hook.Replay {
		t.Helper()
		r, err := w.TakeReplay(ctx, node, except)
		if err != nil || (r == nil) != (want == hook.NoID) || r != nil && r.ID != want {
			t.Fatalf("node %d took %+v, %v; want %v", node, r, err, want)
		}
		return r
	}
	other, _, err := w.Register(ctx, "other", "n2", w.idAt(w.now))
	if err != nil {
		t.Fatal(err)
	}
	take(other, nil, hook.NoID)
	again := take(me, nil, open.ID) // it may never have heard of it
	if !again.Until.Equal(open.Until) || !again.StartedAt.Equal(*open.StartedAt) {
		t.Errorf("taken again, it ends at %v and began at %v", again.Until, again.StartedAt)
	}
	take(me, []hook.ID{open.ID}, hook.NoID)
	if err := w.LeaveReplay(ctx, me, open.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	take(other, nil, hook.NoID) // not yet
	w.exec("UPDATE replays SET retry_at = 0")
	if r := take(other, nil, open.ID); r.Failures != 1 {
		t.Errorf("it has failed %d times", r.Failures)
	}
	// Another node takes over what a dead one had.
	w.exec("DELETE FROM nodes WHERE id = ?", int64(other))
	if _, err := w.TakeReplay(ctx, other, nil); !errors.Is(err, hook.ErrFenced) {
		t.Errorf("a dead node took: %v", err)
	}
	take(me, nil, open.ID)
	if err := w.EndReplay(ctx, me, open.ID, hook.ReplayCancelled, hook.ReplayWebhookDeleted); err != nil {
		t.Fatal(err)
	}
	take(me, nil, hook.NoID)
	if v := w.replayNow(open.ID); v.State != hook.ReplayCancelled || v.Reason != hook.ReplayWebhookDeleted || v.FinishedAt == nil {
		t.Errorf("ended: %+v", v.Replay)
	}
}

func replaysMoved(t *testing.T, w *World) {
	ctx := t.Context()
	target := w.webhook("active")
	var ids []hook.ID
	for i := range 20 {
		r := &hook.Replay{Workspace: w.ws, ReplaySpec: hook.ReplaySpec{TargetKind: hook.TargetWebhook, Include: hook.ReplayFailed, Until: w.now}}
		if i%2 == 0 {
			r.Target = target
		}
		if err := w.AddReplay(ctx, r); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	// Each has a loop of its own: there is an end.
	one := &hook.Replay{Workspace: w.ws, ReplaySpec: hook.ReplaySpec{TargetKind: hook.TargetWebhook, Include: hook.ReplayFailed}}
	if err := w.AddReplay(ctx, one); hook.KindOf(err) != hook.KindInvalidState {
		t.Errorf("the 21st: %v", err)
	}
	move := func(id hook.ID, to hook.ReplayState) {
		t.Helper()
		if err := w.EditReplay(ctx, w.ws, id, func(hook.ReplayState) (hook.ReplayState, hook.ReplayReason, error) {
			return to, hook.ReplayByOperator, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	move(ids[3], hook.ReplayCancelled)
	move(ids[4], hook.ReplayPaused)
	if err := w.AddReplay(ctx, one); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	if err := w.EditReplay(ctx, w.workspace("elsewhere", 0), ids[3], nil); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("from another workspace: %v", err)
	}
	for _, c := range []struct {
		f    hook.ReplayFilter
		page hook.Page
		want []hook.ID
		more bool
	}{
		{hook.ReplayFilter{}, hook.Page{Limit: 2, Asc: true}, ids[:2], true},
		{hook.ReplayFilter{}, hook.Page{Limit: 2, Asc: true, After: ids[1]}, ids[2:4], true},
		{hook.ReplayFilter{States: []hook.ReplayState{hook.ReplayPaused, hook.ReplayCancelled}}, hook.Page{Limit: 9}, []hook.ID{ids[4], ids[3]}, false},
		{hook.ReplayFilter{Targets: []hook.ID{target}}, hook.Page{Limit: 2, Asc: true}, []hook.ID{ids[0], ids[2]}, true},
		{hook.ReplayFilter{Until: hook.TimeOf(ids[0])}, hook.Page{Limit: 2}, nil, false},
	} {
		c.f.Workspace = w.ws
		list, more, err := w.Replays(ctx, c.f, c.page)
		var got []hook.ID
		for _, r := range list {
			got = append(got, r.ID)
		}
		if err != nil || more != c.more || !slices.Equal(got, c.want) {
			t.Errorf("%+v %+v: %v, more %v, %v; want %v", c.f, c.page, got, more, err, c.want)
		}
	}
	if v := w.replayNow(ids[0]); v.TargetCode == "" || v.TargetName != "Name of "+v.TargetCode || v.KeyCode != "" {
		t.Errorf("shown: %+v", v)
	}
	if v := w.replayNow(ids[3]); v.FinishedAt == nil || v.Reason != hook.ReplayByOperator {
		t.Errorf("cancelled: %+v", v)
	}
	if n := w.count("SELECT count(*) FROM audit_log WHERE kind = 'replay' AND action IN ('create', 'pause', 'cancel')"); n != 23 {
		t.Errorf("%d are on record, want 21 that were started and two that were moved", n)
	}
}

func walkDeliveries(t *testing.T, w *World) {
	ctx := t.Context()
	target, other := w.webhook("active"), w.webhook("active")
	since, until := w.now.Add(-time.Hour), w.now.Add(-time.Minute)
	inside := func(at time.Time, row int, change ...func(map[string]any)) hook.ID {
		return w.delivery(at, w.event(at, "", set("type", "order.paid")), target, row, change...)
	}
	inside(since.Add(-time.Second), rowFailed)
	var failed []hook.ID
	failed = append(failed, inside(since, rowFailed))
	good := inside(since.Add(time.Minute), rowSucceeded)
	failed = append(failed, inside(since.Add(2*time.Minute), rowFailed), inside(since.Add(3*time.Minute), rowFailed, set("test", true)))
	// It waited for its transaction past the end of the window that its event is in; another's
	// event is before the window.
	late := w.delivery(until.Add(time.Second), w.event(until.Add(-time.Second), ""), target, rowFailed)
	w.delivery(since.Add(time.Second), w.event(since.Add(-time.Second), ""), target, rowFailed)
	inside(until, rowFailed)
	w.delivery(since.Add(time.Minute), w.event(since.Add(time.Minute), ""), other, rowFailed)
	failed = append(failed, late)

	walk := func(spec hook.ReplaySpec, limit int) (out []hook.ReplayDelivery) {
		t.Helper()
		spec.TargetKind, spec.Since, spec.Until = hook.TargetWebhook, since, until
		at, more := hook.NoID, true
		for steps := 0; more; steps++ {
			var rows []hook.ReplayDelivery
			var err error
			if rows, at, more, err = w.ReplayDeliveries(ctx, &spec, target, at, limit); err != nil || len(rows) > limit || steps > 20 {
				t.Fatalf("step %d: %d rows, %v", steps, len(rows), err)
			}
			out = append(out, rows...)
		}
		return out
	}
	idsIn := func(rows []hook.ReplayDelivery) (ids []hook.ID) {
		for _, d := range rows {
			ids = append(ids, d.ID)
		}
		return ids
	}
	onlyFailed := hook.ReplaySpec{Include: hook.ReplayFailed, States: []hook.State{hook.StateFailed}}
	for _, limit := range []int{1, 2, 100} {
		slices.SortFunc(failed, func(a, b hook.ID) int { return slices.Compare(a[:], b[:]) })
		equalIDs(t, "failed", idsIn(walk(onlyFailed, limit)), failed)
	}
	wide := hook.ReplaySpec{Include: hook.ReplayFailed, States: []hook.State{hook.StateFailed, hook.StateSucceeded}, EventTypes: []string{"order.*"}}
	rows := walk(wide, 2)
	if i := slices.IndexFunc(rows, func(d hook.ReplayDelivery) bool { return d.ID == good }); len(rows) != 5 || i < 0 ||
		rows[i].State != hook.StateSucceeded || rows[i].Type != "order.paid" || rows[i].Target != target || rows[i].Kind != hook.TargetWebhook {
		t.Errorf("all of the window: %+v", rows)
	}
	if i := slices.IndexFunc(rows, func(d hook.ReplayDelivery) bool { return d.Test }); i < 0 || rows[i].ID != failed[2] {
		t.Errorf("no test among %+v", rows)
	}
	spec := onlyFailed
	spec.Until = w.now.Add(time.Hour)
	if all, _, _, err := w.ReplayDeliveries(ctx, &spec, target, hook.NoID, 100); err != nil || len(all) != 7 {
		t.Errorf("without a beginning: %d, %v", len(all), err)
	}
}

func walkEvents(t *testing.T, w *World) {
	ctx := t.Context()
	target, other := w.webhook("active"), w.webhook("active")
	action := w.idAt(w.now)
	since, until := w.now.Add(-time.Hour), w.now.Add(-time.Minute)
	w.event(since.Add(-time.Millisecond), "")
	entity := []byte(`{"n":1}`)
	whole := w.event(since, "ord-7", set("entity_id", "7"), set("entity_id_number", true), set("entity", entity), set("entity_url", "https://a.example"), set("type", "order.paid"))
	bare := w.event(since.Add(time.Minute), "", set("entity_id", "8"))
	item := w.event(since.Add(2*time.Minute), "", set("source_kind", 1))
	w.event(until, "", set("entity_id", "7"))
	mine := w.delivery(since, whole, target, rowSucceeded)
	theirs := w.delivery(since, whole, other, rowWaits)
	tried := w.delivery(since, bare, other, rowFailed, set("test", true))
	ran := w.delivery(since, item, action, rowSucceeded, set("target_kind", 1))

	walk := func(spec hook.ReplaySpec, limit int) (out []hook.ReplayEvent) {
		t.Helper()
		spec.Since, spec.Until = since, until
		at, more := hook.NoID, true
		for steps := 0; more; steps++ {
			var rows []hook.ReplayEvent
			var err error
			if rows, at, more, err = w.ReplayEvents(ctx, w.ws, &spec, at, limit); err != nil || len(rows) > limit || steps > 20 {
				t.Fatalf("step %d: %d rows, %v", steps, len(rows), err)
			}
			out = append(out, rows...)
		}
		return out
	}
	became := func(e hook.ReplayEvent) (ids []hook.ID) {
		for _, d := range e.Deliveries {
			ids = append(ids, d.ID)
		}
		slices.SortFunc(ids, func(a, b hook.ID) int { return slices.Compare(a[:], b[:]) })
		return ids
	}
	for _, limit := range []int{1, 2, 100} {
		rows := walk(hook.ReplaySpec{TargetKind: hook.TargetWebhook}, limit)
		if len(rows) != 3 || rows[0].Key != whole || rows[1].Key != bare || rows[2].Key != item {
			t.Fatalf("events: %+v", rows)
		}
		equalIDs(t, "at all webhooks", became(rows[0]), []hook.ID{mine, theirs})
		equalIDs(t, "tests, too", became(rows[1]), []hook.ID{tried})
		equalIDs(t, "at no action", became(rows[2]), nil)
		if e := rows[0]; e.ID != "ord-7" || e.EntityID != (hook.EntityID{Text: "7", Number: true}) || e.EntityURL != "https://a.example" || e.EntityBytes != len(entity) ||
			e.Entity != nil || e.Type != "order.paid" || rows[1].ID != bare.String() || rows[2].Source.Kind != hook.SourceIncoming {
			t.Errorf("the event: %+v", e)
		}
	}
	rows := walk(hook.ReplaySpec{TargetKind: hook.TargetWebhook, Target: target}, 100)
	equalIDs(t, "at one webhook", became(rows[0]), []hook.ID{mine})
	equalIDs(t, "tests of another, too", became(rows[1]), []hook.ID{tried})
	rows = walk(hook.ReplaySpec{TargetKind: hook.TargetAction, Target: action}, 100)
	equalIDs(t, "at an action", became(rows[2]), []hook.ID{ran})
	for entity, want := range map[string]int{"7": 1, "8": 1, "9": 0} {
		if rows := walk(hook.ReplaySpec{TargetKind: hook.TargetWebhook, EntityID: entity}, 1); len(rows) != want {
			t.Errorf("entity %s: %d events", entity, len(rows))
		}
	}
	got, err := w.ReplayEntities(ctx, w.ws, []hook.ID{whole, bare, item})
	if err != nil || len(got) != 1 || string(got[whole]) != string(entity) {
		t.Errorf("entities: %v, %v", got, err)
	}
}

func backlog(t *testing.T, w *World) {
	few, many, broken := w.webhook("active"), w.webhook("active"), w.webhook("active")
	event := w.event(w.now.Add(-time.Minute), "")
	for i := range 6 {
		if i < 2 {
			w.delivery(w.now.Add(-time.Minute), event, few, rowWaits)
		}
		w.delivery(w.now.Add(-time.Minute), event, many, rowWaits)
		w.delivery(w.now.Add(time.Hour), event, many, rowWaits) // not due
		w.delivery(w.now.Add(-time.Minute), event, many, rowClaimed)
		w.delivery(w.now.Add(-time.Minute), event, broken, rowWaits)
	}
	w.insert("target_health", map[string]any{"target_id": w.id(broken), "workspace_id": w.id(w.ws), "breaker": 1})
	for _, c := range []struct {
		targets []hook.ID
		most    int
		want    int
	}{
		{[]hook.ID{few}, 10, 2}, {[]hook.ID{few, many}, 10, 6}, {[]hook.ID{few, many}, 4, 4}, {[]hook.ID{few, broken}, 10, 2}, {nil, 10, 0},
	} {
		if n, err := w.Backlog(t.Context(), c.targets, c.most); err != nil || n != c.want {
			t.Errorf("%v up to %d: %d, %v; want %d", c.targets, c.most, n, err, c.want)
		}
	}
}

func replaysPurged(t *testing.T, w *World) {
	old := w.now.Add(-31 * day)
	lay := func(at time.Time, finished any) hook.ID {
		id := w.idAt(at)
		w.insert("replays", map[string]any{"id": w.id(id), "workspace_id": w.id(w.ws), "target_kind": 0, "spec": `{"include":"failed"}`,
			"until": at.UnixMicro(), "state": "succeeded", "finished_at": finished})
		return id
	}
	gone := lay(old, old.UnixMicro())
	stay := []hook.ID{lay(old, nil), lay(old, w.now.UnixMicro()), lay(w.now, w.now.UnixMicro())}
	w.purge()
	if _, err := w.Replay(t.Context(), w.ws, gone); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("an old one: %v", err)
	}
	for i, id := range stay {
		if _, err := w.Replay(t.Context(), w.ws, id); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}
