package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// Replays runs the suite of what replays read and write.
func Replays(t *testing.T, open WorldOpener) {
	for name, test := range map[string]func(*testing.T, *World){
		"a piece makes finished deliveries wait again":    pieceAgain,
		"a piece makes what is missing, once":             pieceMissing,
		"a piece is done by who holds the replay, or not": pieceFenced,
		"a piece of nothing holds by its configuration":   pieceOfNothing,
		"retention leaves what a replay needs":            pieceAgainstRetention,
		"replays reach for the same deliveries":           piecesRace,
		"a replay goes from node to node":                 replayTaken,
		"replays are moved by hand and listed":            replaysMoved,
		"the walk over deliveries keeps to its window":    walkDeliveries,
		"the walk over events finds what they became":     walkEvents,
		"the backlog of targets":                          backlog,
		"replays end with their retention":                replaysPurged,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, open)
			w.insert("config_versions", map[string]any{"scope_id": w.id(w.ws), "version": 7})
			test(t, w)
		})
	}
}

const workspaceVersion = 7

// replay stores one and takes it for the world's node.
func (w *World) replay(change ...func(*hook.Replay)) *hook.Replay {
	w.t.Helper()
	r := &hook.Replay{Workspace: w.ws, ReplaySpec: hook.ReplaySpec{
		TargetKind: hook.TargetWebhook, Include: hook.ReplayAll, States: []hook.State{hook.StateFailed, hook.StateSucceeded, hook.StateSkipped},
		Since: w.now.Add(-time.Hour), Until: w.now.Add(time.Hour),
	}}
	for _, c := range change {
		c(r)
	}
	if err := w.AddReplay(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
	others, _, err := w.Replays(w.t.Context(), hook.ReplayFilter{Workspace: w.ws, Until: hook.TimeOf(r.ID).Add(time.Hour)}, hook.Page{Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	var except []hook.ID
	for _, o := range others {
		if o.ID != r.ID {
			except = append(except, o.ID)
		}
	}
	taken, err := w.TakeReplay(w.t.Context(), hook.NodeID(w.node), except)
	if err != nil || taken == nil || taken.ID != r.ID {
		w.t.Fatalf("took %+v, %v; want %v", taken, err, r.ID)
	}
	return taken
}

func (w *World) piece(p hook.ReplayPiece) (hook.ReplayDone, error) {
	w.t.Helper()
	p.Version = workspaceVersion
	if p.States == nil {
		p.States = []hook.State{hook.StateFailed, hook.StateSucceeded, hook.StateSkipped}
	}
	return w.ReplayPiece(w.t.Context(), hook.NodeID(w.node), &p)
}

func (w *World) replayNow(id hook.ID) hook.ReplayView {
	w.t.Helper()
	v, err := w.Replay(w.t.Context(), w.ws, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func pieceAgain(t *testing.T, w *World) {
	ctx := t.Context()
	r := w.replay()
	target, other := w.webhook("active"), w.webhook("paused")
	event := w.event(w.now, "")
	var ids []hook.ID
	for i, row := range []int{rowSucceeded, rowFailed, rowSkipped} {
		ids = append(ids, w.delivery(w.now, event, target, row, set("attempts", 4), set("step", 2), set("fresh", []int{0, 2, 7}[i])))
	}
	held := w.delivery(w.now, event, other, rowFailed)
	left := []hook.ID{w.delivery(w.now, event, target, rowWaits), w.delivery(w.now, event, target, rowClaimed), w.delivery(w.now, event, target, rowBorn)}
	stays := w.delivery(w.now, event, target, rowFailed)
	cursor := hook.ReplayCursor{Target: target, At: event}
	done, err := w.piece(hook.ReplayPiece{Replay: r.ID, Again: slices.Concat(left, ids, []hook.ID{held}), Skipped: 2, Cursor: cursor, Fresh: true})
	if err != nil || done.Again != 4 || done.New != 0 || done.Skipped != 5 || len(done.Woken) != 2 {
		t.Fatalf("the piece did %+v, %v", done, err)
	}
	const replay = 3
	for i, id := range append(ids, held) {
		v, _, err := w.Delivery(ctx, w.ws, id)
		attempts, step := []int{4, 4, 4, 0}[i], []int{0, 2, 2, 0}[i] // a set that succeeded begins again
		if err != nil || v.Step != step || v.Base != attempts || v.Attempts != attempts || !v.FinishedAt.IsZero() || v.ReplayID != r.ID {
			t.Errorf("delivery %d: %+v, %v", i, v, err)
		}
		if want := map[bool]hook.State{true: hook.StateHeld, false: hook.StatePending}[id == held]; v.State != want {
			t.Errorf("delivery %d is %s, want %s", i, v.State, want)
		}
		if trigger, _ := w.dueOf(id); trigger != replay {
			t.Errorf("delivery %d is due with trigger %d", i, trigger)
		}
		if n := w.count("SELECT fresh FROM deliveries WHERE id = ?", w.id(id)); n != []int{2, 3, 8, 2}[i] {
			t.Errorf("delivery %d ends in -r%d", i, n)
		}
	}
	if n := w.count("SELECT count(*) FROM dead"); n != 1 {
		t.Errorf("%d are in the dead letter, want the one that was not replayed", n)
	}
	for _, id := range append(left, stays) {
		if n := w.count("SELECT count(*) FROM deliveries WHERE id = ? AND replay_id IS NULL AND fresh = 0", w.id(id)); n != 1 {
			t.Errorf("%v was touched", id)
		}
	}
	if v := w.replayNow(r.ID); v.State != hook.ReplayRunning || v.Done != 4 || v.Skipped != 5 || v.Cursor != cursor {
		t.Errorf("the replay is %+v", v.Replay)
	}
	// The same piece again finds nothing to do.
	done, err = w.piece(hook.ReplayPiece{Replay: r.ID, Again: ids, Last: true})
	if err != nil || done.Again != 0 || done.Skipped != 3 {
		t.Errorf("again: %+v, %v", done, err)
	}
	if v := w.replayNow(r.ID); v.State != hook.ReplaySucceeded || v.Total == nil || *v.Total != 12 || v.FinishedAt == nil || v.Skipped != 8 {
		t.Errorf("ended, it is %+v", v.Replay)
	}
	jobs, _, err := w.Claim(ctx, hook.NodeID(w.node), []hook.LaneWant{{Target: target, N: 10}}, 1<<30)
	i := slices.IndexFunc(jobs, func(j *hook.Job) bool { return j.Delivery.ID == ids[2] })
	if err != nil || len(jobs) != 4 || i < 0 || jobs[i].Trigger != hook.TriggerReplay || jobs[i].Delivery.Fresh != 8 || jobs[i].Delivery.ReplayID != r.ID {
		t.Fatalf("claimed %d, %v", len(jobs), err)
	}
	// Its deliveries can be listed.
	list, _, err := w.Deliveries(ctx, hook.DeliveryFilter{Workspace: w.ws, Replays: []hook.ID{r.ID}}, hook.Page{Limit: 3})
	if err != nil || len(list) != 3 || list[0].ID != held {
		t.Errorf("listed %v, %v", idsOf(list), err)
	}
	for _, f := range []hook.DeliveryFilter{
		{Replays: []hook.ID{r.ID}, Targets: []hook.ID{other}}, {Replays: []hook.ID{r.ID, stays}, States: []hook.State{hook.StateHeld}},
		{Replays: []hook.ID{r.ID}, EventIDs: []string{event.String()}, Targets: []hook.ID{other}},
	} {
		f.Workspace = w.ws
		if list, _, err := w.Deliveries(ctx, f, hook.Page{Limit: 9}); err != nil || !slices.Equal(idsOf(list), []hook.ID{held}) {
			t.Errorf("%+v: %v, %v", f, idsOf(list), err)
		}
	}
}

func pieceMissing(t *testing.T, w *World) {
	ctx := t.Context()
	target, paused := w.webhook("active"), w.webhook("paused")
	there, gone := w.event(w.now.Add(-time.Minute), ""), w.idAt(w.now)
	row := func(event, target hook.ID, skipped hook.Reason) hook.ReplayNew {
		return hook.ReplayNew{ID: hook.ReplayDeliveryID(event, target), Event: event, Target: target, Skipped: skipped}
	}
	broken := w.webhook("active")
	p := hook.ReplayPiece{Fresh: true, New: []hook.ReplayNew{
		row(there, target, ""), row(there, paused, ""), row(there, broken, hook.ReasonConditionError), row(gone, target, ""),
	}}
	first := w.replay()
	for i, want := range []hook.ReplayDone{{New: 2, Skipped: 1}, {}} {
		r := first
		if i == 1 { // another replay of the same window
			r = w.replay(func(r *hook.Replay) { r.Include = hook.ReplayMissed })
		}
		p.Replay, p.Last = r.ID, true
		done, err := w.piece(p)
		if err != nil || done.New != want.New || done.Skipped != want.Skipped || len(done.Woken) != want.New {
			t.Fatalf("replay %d: %+v, %v", i, done, err)
		}
	}
	if n := w.count("SELECT count(*) FROM deliveries"); n != 3 {
		t.Errorf("%d deliveries, want 3", n)
	}
	for to, state := range map[hook.ID]hook.State{target: hook.StatePending, paused: hook.StateHeld, broken: hook.StateSkipped} {
		v, _, err := w.Delivery(ctx, w.ws, hook.ReplayDeliveryID(there, to))
		if err != nil || v.State != state || v.EventKey != there || v.ReplayID != first.ID || v.Test || v.Attempts != 0 || !v.CreatedAt().Equal(hook.TimeOf(there)) {
			t.Errorf("%s: %+v, %v", state, v, err)
		}
		if state == hook.StateSkipped && (v.Reason != hook.ReasonConditionError || v.FinishedAt.IsZero()) {
			t.Errorf("skipped: %+v", v)
		}
	}
	jobs, _, err := w.Claim(ctx, hook.NodeID(w.node), []hook.LaneWant{{Target: target, N: 10}, {Target: broken, N: 10}}, 1<<30)
	if err != nil || len(jobs) != 1 || jobs[0].Event.Key != there || jobs[0].Trigger != hook.TriggerReplay || jobs[0].Delivery.Fresh != 2 {
		t.Errorf("claimed %+v, %v", jobs, err)
	}
}

// By another configuration there would have been something where nothing was found.
func pieceOfNothing(t *testing.T, w *World) {
	r := w.replay()
	p := hook.ReplayPiece{Replay: r.ID, Version: workspaceVersion - 1, Cursor: hook.ReplayCursor{At: w.event(w.now, "")}}
	if _, err := w.ReplayPiece(t.Context(), hook.NodeID(w.node), &p); !errors.Is(err, hook.ErrChanged) {
		t.Errorf("by an old configuration: %v", err)
	}
	if v := w.replayNow(r.ID); v.Cursor != (hook.ReplayCursor{}) {
		t.Errorf("the cursor is at %v", v.Cursor)
	}
	if _, err := w.piece(p); err != nil {
		t.Errorf("by the present one: %v", err)
	}
}

// Retention comes by while a replay is making a delivery of an old event.
func pieceAgainstRetention(t *testing.T, w *World) {
	if w.Engine() == store.SQLite {
		return // it has one writer
	}
	target, old := w.webhook("active"), w.event(w.now.Add(-31*day), "")
	r := w.replay()
	w.DB.SetMaxOpenConns(2) // one is in a transaction
	hold, err := w.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Rollback() //nolint:errcheck // after the commit below there is nothing to roll back
	// The piece comes to a halt when its delivery is made and not yet committed.
	if _, err := hold.ExecContext(t.Context(), "SELECT 1 FROM webhooks WHERE id = $1 FOR UPDATE", w.id(target)); err != nil {
		t.Fatal(err)
	}
	made := make(chan error, 1)
	go func() {
		done, err := w.ReplayPiece(t.Context(), hook.NodeID(w.node), &hook.ReplayPiece{Replay: r.ID, Version: workspaceVersion,
			New: []hook.ReplayNew{{ID: hook.ReplayDeliveryID(old, target), Event: old, Target: target}}})
		if err == nil && done.New != 1 {
			err = errors.New("the piece made nothing")
		}
		made <- err
	}()
	for w.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0 {
		select {
		case err := <-made:
			t.Fatalf("the piece did not wait: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	w.purge()
	if err := hold.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	if jobs, _, err := w.Claim(t.Context(), hook.NodeID(w.node), []hook.LaneWant{{Target: target, N: 1}}, 1<<30); err != nil || len(jobs) != 1 {
		t.Errorf("claimed %d, %v: the delivery has no event", len(jobs), err)
	}
}

func pieceFenced(t *testing.T, w *World) {
	ctx := t.Context()
	r := w.replay()
	target, deleted := w.webhook("active"), w.webhook("deleted")
	event := w.event(w.now, "")
	id, tomb := w.delivery(w.now, event, target, rowFailed), w.delivery(w.now, event, deleted, rowFailed)
	untouched := func(why string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", why, err, want)
		}
		if n := w.count("SELECT count(*) FROM dead"); n != 2 {
			t.Fatalf("%s: something was done", why)
		}
		if v := w.replayNow(r.ID); v.Done != 0 || v.Skipped != 0 {
			t.Fatalf("%s: counted %+v", why, v.Replay)
		}
	}
	_, err := w.ReplayPiece(ctx, hook.NodeID(w.node), &hook.ReplayPiece{Replay: r.ID, Version: workspaceVersion - 1, States: r.States, Again: []hook.ID{id}})
	untouched("an older configuration", err, hook.ErrChanged)
	_, err = w.piece(hook.ReplayPiece{Replay: r.ID, Again: []hook.ID{id, tomb}})
	untouched("a target that was deleted", err, hook.ErrChanged)
	other, _, err := w.Register(ctx, "other", "n2", w.idAt(w.now))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ReplayPiece(ctx, other, &hook.ReplayPiece{Replay: r.ID, Version: workspaceVersion, States: r.States, Again: []hook.ID{id}})
	untouched("another node", err, hook.ErrFenced)
	_, err = w.ReplayPiece(ctx, 999, &hook.ReplayPiece{Replay: r.ID, Version: workspaceVersion, States: r.States, Again: []hook.ID{id}})
	untouched("a node that is dead", err, hook.ErrFenced)
	for _, state := range []hook.ReplayState{hook.ReplayPaused, hook.ReplayCancelled} {
		if err := w.EditReplay(ctx, w.ws, r.ID, func(hook.ReplayState) (hook.ReplayState, hook.ReplayReason, error) {
			return state, hook.ReplayByOperator, nil
		}); err != nil {
			t.Fatal(err)
		}
		_, err = w.piece(hook.ReplayPiece{Replay: r.ID, Again: []hook.ID{id}})
		untouched(string(state), err, hook.ErrFenced)
		untouched(string(state), w.NoteReplay(ctx, hook.NodeID(w.node), r.ID, hook.ReplayBacklog), hook.ErrFenced)
	}
}

// piecesRace lets two replays and an operator reach for the same deliveries.
func piecesRace(t *testing.T, w *World) {
	ctx := t.Context()
	target := w.webhook("active")
	event := w.event(w.now, "")
	var ids []hook.ID
	for range 60 {
		ids = append(ids, w.delivery(w.now, event, target, rowFailed))
	}
	backwards := slices.Clone(ids)
	slices.Reverse(backwards)
	replays := []*hook.Replay{w.replay(), w.replay(func(r *hook.Replay) { r.Include = hook.ReplayFailed })}
	var wg sync.WaitGroup
	var mu sync.Mutex
	again := 0
	for i, order := range [][]hook.ID{ids, backwards} {
		wg.Go(func() {
			for part := range slices.Chunk(order, 7) {
				done, err := w.ReplayPiece(ctx, hook.NodeID(w.node), &hook.ReplayPiece{Replay: replays[i].ID, Version: workspaceVersion,
					States: []hook.State{hook.StateFailed}, Again: part})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				again += done.Again
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for _, id := range ids {
			if _, err := w.RetryDelivery(ctx, w.ws, id); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if n := w.count("SELECT count(*) FROM due"); n != len(ids) || again > len(ids) {
		t.Errorf("%d wait of %d, %d by replays", n, len(ids), again)
	}
	if n := w.count("SELECT count(*) FROM dead"); n != 0 {
		t.Errorf("%d are still in the dead letter", n)
	}
	if n := w.count("SELECT count(*) FROM deliveries WHERE state = 1 AND replay_id IS NOT NULL"); n != again {
		t.Errorf("%d say that a replay did it, %d did", n, again)
	}
	sum := 0
	for _, r := range replays {
		v := w.replayNow(r.ID)
		if sum += v.Done; v.Done+v.Skipped != len(ids) {
			t.Errorf("a replay counts %d done, %d skipped", v.Done, v.Skipped)
		}
	}
	if sum != again {
		t.Errorf("the replays count %d, they did %d", sum, again)
	}
}
