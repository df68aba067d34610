package storetest

import (
	"context"
	"testing"
	"time"

	"sallyport/internal/hook"
)

const day = 24 * time.Hour

// deliveriesLeft lists the ids that are still there, newest first.
func (w *World) deliveriesLeft(target hook.ID) []hook.ID {
	w.t.Helper()
	return idsOf(w.walk(hook.DeliveryFilter{Targets: []hook.ID{target}}, hook.Page{Limit: 400}))
}

func (w *World) purge() hook.Purged {
	w.t.Helper()
	p, err := w.Purge(w.t.Context(), 30*day)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func retention(t *testing.T, w *World) {
	// Without the rule of the last hundred, which is for targets that are not deleted.
	target := w.webhook("deleted")
	ctx := t.Context()
	old, young := w.now.Add(-31*day), w.now.Add(-29*day)
	var stays []hook.ID
	for _, row := range []int{rowBorn, rowWaits, rowSucceeded, rowFailed, rowSkipped, rowClaimed} {
		key := w.event(old, "")
		id := w.delivery(old, key, target, row, set("attempts", 2))
		w.attempt(old, id, 1, 1)
		w.attempt(old, id, 2, 0)
		if row == rowBorn || row == rowWaits || row == rowClaimed {
			stays = append([]hook.ID{id}, stays...)
		}
	}
	lonely := w.event(old, "lonely")
	taken := w.event(old, "taken")
	w.exec("UPDATE event_keys SET event_key = ? WHERE id = 'taken'", w.id(w.event(young, "")))
	// Old event, young delivery: a later replay. Young event: nothing goes.
	replayed := w.event(old, "replayed")
	stays = append([]hook.ID{w.delivery(young, replayed, target, rowSucceeded)}, stays...)
	fresh := w.event(young, "fresh")
	stays = append([]hook.ID{w.delivery(young, fresh, target, rowFailed)}, stays...)
	w.attempt(young, stays[0], 1, 1)
	// A workspace with its own retention.
	main := w.ws
	w.ws = w.workspace("short", 7*day)
	brief := w.webhook("deleted")
	w.delivery(w.now.Add(-8*day), w.event(w.now.Add(-8*day), "e"), brief, rowSucceeded)
	shortStays := w.delivery(w.now.Add(-6*day), w.event(w.now.Add(-6*day), "f"), brief, rowSucceeded)
	// One whose retention is shorter than a client's id is remembered: what has one stays.
	short, hours := w.ws, w.workspace("hours", time.Hour)
	w.ws = hours
	w.event(w.now.Add(-2*time.Hour), "remembered")
	w.event(w.now.Add(-2*time.Hour), "")
	w.ws = short

	got := w.purge()
	if got.Deliveries != 4 || got.Attempts != 6 || got.Events != 3+2+1+1 {
		t.Errorf("purged %+v; want 4 deliveries, 6 attempts, 7 events", got)
	}
	if _, err := w.Event(ctx, hours, "remembered"); err != nil {
		t.Errorf("an id that must not be used again is forgotten: %v", err)
	}
	equalIDs(t, "left in the short workspace", w.deliveriesLeft(brief), []hook.ID{shortStays})
	w.ws = main
	equalIDs(t, "left", w.deliveriesLeft(target), stays)
	for id, want := range map[string]bool{"lonely": false, lonely.String(): false, taken.String(): false, "taken": true, "replayed": true, "fresh": true} {
		if _, err := w.Event(ctx, w.ws, id); (err == nil) != want {
			t.Errorf("event %s is there: %v, want %v", id, err == nil, want)
		}
	}
	if n := w.count("SELECT count(*) FROM attempts"); n != 3*2+1 {
		t.Errorf("%d attempts left, want 7", n)
	}
	if n := w.count("SELECT count(*) FROM dead"); n != 1 {
		t.Errorf("%d in the dead letter, want the young one", n)
	}
	if n := w.count("SELECT count(*) FROM event_keys WHERE id = 'lonely'"); n != 0 {
		t.Error("the id of a removed event is still taken")
	}
	if again := w.purge(); again != (hook.Purged{}) {
		t.Errorf("a second pass removed %+v", again)
	}
	// Finished at last, it goes with its event.
	w.exec("DELETE FROM due WHERE delivery_id = ?", w.id(stays[len(stays)-2]))
	w.exec("UPDATE deliveries SET state = 4 WHERE id = ?", w.id(stays[len(stays)-2]))
	if again := w.purge(); again != (hook.Purged{Deliveries: 1, Attempts: 2, Events: 1}) {
		t.Errorf("a third pass removed %+v", again)
	}
}

// retentionKeepsHundred: one target made a delivery a day and reaches far back, another
// has few old ones.
func retentionKeepsHundred(t *testing.T, w *World) {
	target, quiet := w.webhook("active"), w.webhook("active")
	lay := func(to hook.ID, age time.Duration) hook.ID {
		return w.delivery(w.now.Add(-age), w.event(w.now.Add(-age), ""), to, rowSucceeded)
	}
	var all []hook.ID // newest first
	for i := 99; i >= 0; i-- {
		all = append([]hook.ID{lay(target, 31*day+time.Duration(i)*time.Hour)}, all...)
	}
	var few []hook.ID
	for i := 4; i >= 0; i-- {
		few = append([]hook.ID{lay(quiet, 40*day+time.Duration(i)*time.Hour)}, few...)
	}
	if p := w.purge(); p != (hook.Purged{}) {
		t.Errorf("purged %+v of a hundred", p)
	}
	all = append([]hook.ID{lay(target, time.Hour)}, all...)
	if p := w.purge(); p != (hook.Purged{Deliveries: 1, Events: 1}) {
		t.Errorf("purged %+v; want the oldest of 101", p)
	}
	equalIDs(t, "left", w.deliveriesLeft(target), all[:100])
	equalIDs(t, "left of the quiet one", w.deliveriesLeft(quiet), few)
	// Beyond the hundred but not old enough.
	w.exec("UPDATE workspaces SET retention = ?", int64(365*day))
	lay(target, time.Minute)
	if p := w.purge(); p != (hook.Purged{}) {
		t.Errorf("purged %+v; the retention is a year", p)
	}
}

// retentionPassesOver: what comes first is not finished, and there is more than one
// step takes.
func retentionPassesOver(t *testing.T, w *World) {
	target := w.webhook("deleted")
	old := w.now.Add(-40 * day)
	key := w.event(old, "")
	tx, err := w.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	delivery, err := tx.PrepareContext(t.Context(), w.bind("INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state) VALUES (?,?,?,0,?,?)"))
	if err != nil {
		t.Fatal(err)
	}
	event, err := tx.PrepareContext(t.Context(), w.bind("INSERT INTO events (workspace_id, key, type, occurred_at, source_kind, matched) VALUES (?,?,'t',0,0,1)"))
	if err != nil {
		t.Fatal(err)
	}
	const waiting, finished = 1100, 1500
	for i := range waiting + finished {
		state := rowWaits
		if i >= waiting {
			state = rowSkipped
			if _, err := event.ExecContext(t.Context(), w.id(w.ws), w.id(w.idAt(old))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := delivery.ExecContext(t.Context(), w.id(w.idAt(old)), w.id(w.ws), w.id(key), w.id(target), state); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if p := w.purge(); p != (hook.Purged{Deliveries: finished, Events: finished}) {
		t.Errorf("purged %+v; want %d deliveries and events", p, finished)
	}
	if n := w.count("SELECT count(*) FROM deliveries"); n != waiting {
		t.Errorf("%d deliveries left, want %d", n, waiting)
	}
}

// retentionRuns: a pass at once, and an end without an error.
func retentionRuns(t *testing.T, w *World) {
	target := w.webhook("deleted")
	old := w.now.Add(-40 * day)
	w.delivery(old, w.event(old, ""), target, rowSucceeded)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.RunRetention(ctx, time.Hour, 30*day) }()
	for began := time.Now(); w.count("SELECT count(*) FROM deliveries")+w.count("SELECT count(*) FROM events") > 0; {
		if time.Since(began) > time.Minute {
			t.Fatal("nothing was purged in a minute")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("RunRetention: %v", err)
	}
}

func retentionForEver(t *testing.T, w *World) {
	target := w.webhook("deleted")
	w.delivery(w.now.Add(-99*day), w.event(w.now.Add(-99*day), ""), target, rowSucceeded)
	if p, err := w.Purge(t.Context(), 0); err != nil || p != (hook.Purged{}) {
		t.Errorf("without a retention %+v was purged, %v", p, err)
	}
}
