package manage_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func TestCreateReplay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	hookID := w.webhook(t, `{"code":"a","url":"`+ordersURL+`"}`).ID
	all := []hook.State{hook.StateFailed, hook.StateSucceeded, hook.StateSkipped}
	for doc, check := range map[string]func(r hook.Replay) bool{
		`{}`: func(r hook.Replay) bool {
			return r.Target == hook.NoID && r.Include == hook.ReplayFailed && slices.Equal(r.States, all[:1]) && r.Since.IsZero() && r.UntilOpen && !r.Missed()
		},
		`{"webhook":"a","include":"all","since":"2026-01-01T00:00:00Z","rate":50,"freshIds":true}`: func(r hook.Replay) bool {
			return r.Target == hookID && r.Missed() && slices.Equal(r.States, all) && r.Rate == 50 && r.FreshIDs && r.Since.Year() == 2026
		},
		`{"webhook":"a","states":["skipped","failed"],"since":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z","rate":null}`: func(r hook.Replay) bool {
			return slices.Equal(r.States, []hook.State{hook.StateSkipped, hook.StateFailed}) && !r.UntilOpen && r.Until.Month() == time.February && r.Rate == 0
		},
		`{"include":"missed","since":"2026-01-01T00:00:00Z","until":"2099-01-01T00:00:00Z","eventTypes":["order.*","a.b"]}`: func(r hook.Replay) bool {
			return r.States == nil && r.UntilOpen && !r.Until.After(time.Now()) && len(r.EventTypes) == 2
		},
		`{"entityId":12345678901234567890}`: func(r hook.Replay) bool { return r.EntityID == "12345678901234567890" && r.ByEvent() },
		`{"entityId":"A-7"}`:                func(r hook.Replay) bool { return r.EntityID == "A-7" },
		`{"entityId":"a\u0085b"}`:           func(r hook.Replay) bool { return r.EntityID == "a\u0085b" }, // as an event may have it
	} {
		v, count, err := w.CreateReplay(t.Context(), w.admin, []byte(doc))
		if err != nil || count != nil || v.State != hook.ReplayRunning || v.Workspace != w.ws.ID || !check(v.Replay) {
			t.Errorf("%s: %+v, %v", doc, v.Replay, err)
		}
	}
	if len(w.pipe.moved) != len(w.store.replays) {
		t.Errorf("told of %d replays of %d", len(w.pipe.moved), len(w.store.replays))
	}
	before := len(w.store.replays)
	_, count, err := w.CreateReplay(t.Context(), w.admin, []byte(`{"webhook":"a","dryRun":true}`))
	if err != nil || count == nil || count.Total != 812 || w.pipe.counted.Target != hookID || len(w.store.replays) != before {
		t.Errorf("dry: %+v, %v", count, err)
	}
}

func TestReplaysThatAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.webhook(t, `{"code":"a","url":"`+ordersURL+`"}`)
	w.webhook(t, `{"code":"off","url":"`+ordersURL+`","enabled":false}`)
	for doc, want := range map[string]string{
		`{"include":"all"}`: "since required",
		`{"include":"missed","states":["failed"],"since":"2026-01-01T00:00:00Z"}`: "states invalid_format",
		`{"states":["failed","skipped"]}`:                                         "since required",
		`{"states":["pending"],"since":"2026-01-01T00:00:00Z"}`:                   "states[0] invalid_format",
		`{"states":[]}`:                    "states required",
		`{"since":"yesterday"}`:            "since invalid_format",
		`{"since":"2099-01-01T00:00:00Z"}`: "since out_of_range",
		`{"since":"2026-02-01T00:00:00Z","until":"2026-01-01T00:00:00Z"}`: "since out_of_range",
		`{"eventTypes":[]}`:            "eventTypes empty_event_types",
		`{"eventTypes":["*.paid"]}`:    "eventTypes[0] invalid_format",
		`{"rate":0}`:                   "rate out_of_range",
		`{"entityId":1e3}`:             "entityId invalid_format",
		`{"entityId":"a\u0000"}`:       "entityId invalid_format",
		`{"entityId":null}`:            "entityId invalid_format",
		`{"include":"lost"}`:           "include invalid_format",
		`{"webhok":"a"}`:               "webhok unknown_field",
		`{"webhook":"a","action":"b"}`: "action invalid_format",
		`{"action":"b","include":"missed","since":"2026-01-01T00:00:00Z"}`: "include invalid_format",
		`{"action":"b","freshIds":true}`:                                   "freshIds invalid_format",
	} {
		_, _, err := w.CreateReplay(t.Context(), w.admin, []byte(doc))
		t.Log(doc)
		wantFaults(t, err, want)
	}
	for doc, field := range map[string]string{`{"webhook":"b"}`: "webhook", `{"action":"b"}`: "action"} {
		_, _, err := w.CreateReplay(t.Context(), w.admin, []byte(doc))
		if e := wantKind(t, err, hook.KindNotFound); e.Field != field || !strings.HasPrefix(e.Detail, "no "+field) {
			t.Errorf("%s: field %q", doc, e.Field)
		}
	}
	_, _, err := w.CreateReplay(t.Context(), w.admin, []byte(`{"webhook":"off","include":"missed","since":"2026-01-01T00:00:00Z"}`))
	wantKind(t, err, hook.KindInvalidState)
}

func TestReplaysAreMovedByHand(t *testing.T) {
	t.Parallel()
	w := setup(t)
	v, _, err := w.CreateReplay(t.Context(), w.admin, nil)
	if err != nil {
		t.Fatal(err)
	}
	type move = func() (hook.ReplayView, error)
	verbs := map[string]move{
		"pause":  func() (hook.ReplayView, error) { return w.PauseReplay(t.Context(), w.admin, v.ID) },
		"resume": func() (hook.ReplayView, error) { return w.ResumeReplay(t.Context(), w.admin, v.ID) },
		"cancel": func() (hook.ReplayView, error) { return w.CancelReplay(t.Context(), w.admin, v.ID) },
	}
	for _, step := range []struct {
		verb  string
		state hook.ReplayState
		told  int
	}{
		{"resume", hook.ReplayRunning, 1}, {"pause", hook.ReplayPaused, 2}, {"pause", hook.ReplayPaused, 2},
		{"resume", hook.ReplayRunning, 3}, {"cancel", hook.ReplayCancelled, 4}, {"cancel", hook.ReplayCancelled, 4},
	} {
		if got, err := verbs[step.verb](); err != nil || got.State != step.state || len(w.pipe.moved) != step.told {
			t.Fatalf("%s: %s, %v, told %d times", step.verb, got.State, err, len(w.pipe.moved))
		}
	}
	for _, verb := range []string{"pause", "resume"} {
		_, err := verbs[verb]()
		if e := wantKind(t, err, hook.KindInvalidState); !strings.Contains(e.Detail, "cancelled") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	w.store.replays[0].State = hook.ReplaySucceeded
	_, err = verbs["cancel"]()
	wantKind(t, err, hook.KindInvalidState)
	_, err = w.GetReplay(t.Context(), hook.Principal{Workspace: hook.NoID}, v.ID)
	wantKind(t, err, hook.KindNotFound)
}

func TestResumeReplaysWhatWasMissed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	created := w.webhook(t, `{"code":"a","url":"`+ordersURL+`"}`)
	missed := []byte(`{"replay":"missed"}`)
	_, err := w.ResumeWebhook(t.Context(), w.admin, "a", missed) // nothing says since when
	wantKind(t, err, hook.KindInvalidState)
	w.store.now = w.store.now.Add(time.Hour)
	since := w.store.now
	if _, err := w.Suspend(t.Context(), w.ws.ID, created.ID, hook.SuspendedGone, hook.Trouble{}); err != nil {
		t.Fatal(err)
	}
	w.store.now = w.store.now.Add(time.Hour)
	r, err := w.ResumeWebhook(t.Context(), w.admin, "a", missed)
	if err != nil || len(w.store.replays) != 1 || r.Replay != w.store.replays[0].ID || r.Webhook.State() != hook.TargetActive {
		t.Fatalf("resumed: %+v, %v", r, err)
	}
	rp := w.store.replays[0]
	if rp.Target != created.ID || rp.Include != hook.ReplayMissed || rp.Since.After(since) || since.Sub(rp.Since) > time.Minute || !rp.UntilOpen || rp.Workspace != w.ws.ID {
		t.Errorf("the replay: %+v", rp.ReplaySpec)
	}
	if len(w.pipe.moved) != 1 {
		t.Errorf("told of %d replays", len(w.pipe.moved))
	}
	// Suspended at once: nothing from before it was there.
	young := w.webhook(t, `{"code":"y","url":"`+ordersURL+`"}`)
	if _, err := w.Suspend(t.Context(), w.ws.ID, young.ID, hook.SuspendedGone, hook.Trouble{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ResumeWebhook(t.Context(), w.admin, "y", missed); err != nil || !w.store.replays[1].Since.Equal(young.CreatedAt) {
		t.Errorf("from %v on, %v", w.store.replays[1].Since, err)
	}
	// A pause makes no hole.
	if _, err := w.PauseWebhook(t.Context(), w.admin, "a"); err != nil {
		t.Fatal(err)
	}
	if r, err := w.ResumeWebhook(t.Context(), w.admin, "a", missed); err != nil || r.Replay != hook.NoID || len(w.store.replays) != 2 {
		t.Errorf("after a pause: %+v, %v", r, err)
	}
	w.patch(t, "a", `{"enabled":false}`, hook.Updated, "enabled")
	_, err = w.ResumeWebhook(t.Context(), w.admin, "a", missed)
	if e := wantKind(t, err, hook.KindInvalidState); !strings.Contains(e.Detail, "/v1/replays") {
		t.Errorf("disabled: %v", err)
	}
	w.patch(t, "a", `{"enabled":true}`, hook.Updated, "enabled")
	// Suspended, disabled and by a PUT enabled again, which leaves it suspended: missed from
	// the first on.
	w.store.now = w.store.now.Add(time.Hour)
	since = w.store.now
	if _, err := w.Suspend(t.Context(), w.ws.ID, created.ID, hook.SuspendedGone, hook.Trouble{}); err != nil {
		t.Fatal(err)
	}
	for _, enabled := range []string{"false", "true"} {
		w.store.now = w.store.now.Add(time.Hour)
		w.put(t, "a", `{"code":"a","url":"`+ordersURL+`","enabled":`+enabled+`}`, hook.Updated, "enabled")
	}
	r, err = w.ResumeWebhook(t.Context(), w.admin, "a", missed)
	if err != nil || r.Replay == hook.NoID {
		t.Fatalf("resumed: %+v, %v", r, err)
	}
	if rp := w.store.replays[len(w.store.replays)-1]; rp.Since.After(since) || since.Sub(rp.Since) > time.Minute {
		t.Errorf("suspended at %s, it is replayed from %s on", since, rp.Since)
	}
}
