package manage_test

import (
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := setup(t)
	created := w.webhook(t, `{"code":"a","url":"`+ordersURL+`"}`)
	w.store.now = w.store.now.Add(time.Minute)
	v, err := w.PauseWebhook(t.Context(), w.admin, "a")
	if err != nil || v.State() != hook.TargetPaused || v.Version != 2 || !v.StateSince.Equal(w.store.now) {
		t.Fatalf("paused: %+v, %v", v.Webhook, err)
	}
	w.store.now = w.store.now.Add(time.Minute)
	if v, err = w.PauseWebhook(t.Context(), w.admin, "a"); err != nil || v.Version != 2 {
		t.Fatalf("paused twice: version %d, %v", v.Version, err)
	}
	// A PUT neither pauses nor unpauses.
	if r := w.put(t, "a", `{"url":"https://erp.example.com/2","paused":false,"state":"active"}`, hook.Updated, "url"); !r.Paused {
		t.Error("a PUT ended the pause")
	}
	w.pipe.held[created.ID] = 120
	r, err := w.ResumeWebhook(t.Context(), w.admin, "a", []byte(`{"replay":"none"}`))
	if err != nil || r.Released != 120 || r.Webhook.State() != hook.TargetActive || !r.Webhook.StateSince.Equal(w.store.now) {
		t.Fatalf("resumed: %+v, %v", r, err)
	}
	if r, err := w.ResumeWebhook(t.Context(), w.admin, "a", nil); err != nil || r.Released != 0 || r.Webhook.Version != 4 {
		t.Fatalf("resumed twice: %+v, %v", r, err)
	}
	_, err = w.ResumeWebhook(t.Context(), w.admin, "a", []byte(`{"replay":"all"}`))
	wantFaults(t, err, "replay invalid_format")
	_, err = w.ResumeWebhook(t.Context(), w.admin, "b", nil)
	wantKind(t, err, hook.KindNotFound)
}

func TestSuspensionOutlivesPutAndEndsByWish(t *testing.T) {
	t.Parallel()
	w := setup(t)
	doc := `{"url":"` + ordersURL + `","enabled":true}`
	id := w.put(t, "a", doc, hook.Created).ID
	suspend := func(want bool) {
		t.Helper()
		if did, err := w.Suspend(t.Context(), w.ws.ID, id, hook.SuspendedGone, hook.Trouble{Failures: 1}); err != nil || did != want {
			t.Fatalf("suspend = %v, %v; want %v", did, err, want)
		}
	}
	suspend(true)
	suspend(false) // another node saw the same
	if r := w.put(t, "a", doc, hook.Unchanged); r.State() != hook.TargetSuspended || r.Suspended != hook.SuspendedGone {
		t.Errorf("a PUT with enabled: true made it %s", r.State())
	}
	w.patch(t, "a", `{"description":"x"}`, hook.Updated, "description")
	if s := w.stored(t, "a"); s.Suspended == "" {
		t.Error("another PATCH ended the suspension")
	}
	if r := w.patch(t, "a", `{"enabled":true}`, hook.Updated, "state"); r.State() != hook.TargetActive {
		t.Errorf("an explicit wish left it %s", r.State())
	}
	suspend(true)
	w.pipe.held[id] = 3
	if r, err := w.ResumeWebhook(t.Context(), w.admin, "a", nil); err != nil || r.Released != 3 || r.Webhook.State() != hook.TargetActive {
		t.Errorf("resumed: %+v, %v", r, err)
	}
	var told []string
	for _, n := range w.store.told {
		told = append(told, n.Type)
		if n.Target != id || n.About != id || !n.Mail || n.Once != nil {
			t.Errorf("told %+v", n)
		}
	}
	if want := []string{hook.TypeWebhookSuspended, hook.TypeWebhookResumed, hook.TypeWebhookSuspended, hook.TypeWebhookResumed}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if e, ok := w.store.told[0].Entity.(hook.SuspendedEntity); !ok || e.Webhook.Code != "a" || e.Reason != hook.SuspendedGone || e.Failures != 1 || e.Since.IsZero() {
		t.Errorf("told of the suspension %+v", w.store.told[0].Entity)
	}
	w.put(t, "a", `{"url":"`+ordersURL+`","enabled":false}`, hook.Updated, "description", "enabled")
	if r, err := w.ResumeWebhook(t.Context(), w.admin, "a", nil); err != nil || r.Webhook.State() != hook.TargetDisabled {
		t.Errorf("resume enabled what its owner disabled: %s, %v", r.Webhook.State(), err)
	}
	if err := w.DeleteWebhook(t.Context(), w.admin, "a", hook.Guard{}); err != nil {
		t.Fatal(err)
	}
	suspend(false)
	if len(w.store.told) != 4 {
		t.Errorf("told of what did not happen: %+v", w.store.told[4:])
	}
}
