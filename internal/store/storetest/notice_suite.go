package storetest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// Notices runs the suite of operational events.
func Notices(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, *noticeWorld){
		"a change and the event about it are one":     noticeWithChange,
		"who names a type is told and nobody else":    noticeAudience,
		"the end of a delivery and the event are one": noticeWithFinish,
		"an hour has one mail about a target":         noticeMarks,
		"what nobody is told of is not stored":        noticeUnheard,
		"alert mail is a target as others are":        alertTarget,
		"own types describe themselves":               ownTypes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, open)
			test(t, &noticeWorld{w, &effectsWorld{pipelineWorld: newPipelineWorld(t, w.Store)}})
		})
	}
}

type noticeWorld struct {
	*world
	p *effectsWorld
}

// named makes a webhook that names types.
func (w *noticeWorld) named(t *testing.T, code string, types ...string) *hook.Webhook {
	t.Helper()
	return w.edit(t, "", func(x *hook.Webhook) {
		x.WebhookSpec = spec(code)
		x.EventTypes = types
	})
}

// mails has the workspace's alerts mailed.
func (w *noticeWorld) mails(t *testing.T, a *hook.Alerts) {
	t.Helper()
	ws, err := w.EditWorkspace(t.Context(), w.ws.Code, false, func(s hook.WorkspaceScene) (*hook.Workspace, error) {
		next := *s.Current
		next.Alerts = a
		return &next, nil
	})
	if err != nil || !ws.Alerts.Equal(a) {
		t.Fatalf("alerts %+v, %v", ws, err)
	}
}

// suspend suspends the webhook called dead and tells of it.
func (w *noticeWorld) suspend(t *testing.T, dry bool, fail error) {
	t.Helper()
	_, err := w.EditWebhook(t.Context(), w.ws.ID, "dead", dry, func(s hook.WebhookScene) (*hook.Webhook, error) {
		next := *s.Current
		next.Suspended, next.StateSince = hook.SuspendedGone, s.Now
		s.Tell(hook.SuspendedNotice(&next, hook.Trouble{Failures: 3}))
		return &next, fail
	})
	if !errors.Is(err, fail) {
		t.Fatal(err)
	}
}

// told claims what waits for a target and returns the events' types.
func (w *noticeWorld) told(t *testing.T, target hook.ID) []string {
	t.Helper()
	var types []string
	for _, j := range w.p.claim(t, w.p.node, 100, target) {
		if j.Event.Source.Kind != hook.SourceSystem || j.Event.Hops != 0 || !json.Valid(j.Event.Entity) {
			t.Errorf("told %+v", j.Event)
		}
		types = append(types, j.Event.Type)
	}
	return types
}

func (w *noticeWorld) want(t *testing.T, what string, target hook.ID, types ...string) {
	t.Helper()
	if got := w.told(t, target); !slices.Equal(got, types) {
		t.Errorf("%s was told %v, want %v", what, got, types)
	}
}

// view is the workspace as it is now.
func (w *noticeWorld) view(t *testing.T) *hook.View {
	t.Helper()
	s, err := w.LoadSnapshot(t.Context(), w.ws.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.p.ver = s.Version
	return hook.NewView(s)
}

func noticeWithChange(t *testing.T, w *noticeWorld) {
	dead := w.named(t, "dead", "order.*", hook.TypeWebhookSuspended)
	other := w.named(t, "other", hook.TypeWebhookSuspended)
	w.mails(t, &hook.Alerts{Emails: []string{"ops@example.com"}, EventTypes: []string{hook.TypeWebhookSuspended}})
	w.suspend(t, true, nil)
	w.suspend(t, false, errUnexpected)
	w.want(t, "the other before anything was stored", other.ID)
	if x, err := w.Webhook(t.Context(), w.ws.ID, "dead"); err != nil || x.Suspended != "" {
		t.Fatalf("suspended by a dry run, or by one that failed: %+v, %v", x, err)
	}
	w.suspend(t, false, nil)
	jobs := w.p.claim(t, w.p.node, 10, other.ID)
	if len(jobs) != 1 || jobs[0].Event.EntityID.Text != dead.ID.String() || jobs[0].Event.Matched != 2 || jobs[0].Trigger != hook.TriggerFirst {
		t.Fatalf("claimed %+v", jobs)
	}
	var e hook.SuspendedEntity
	if err := json.Unmarshal(jobs[0].Event.Entity, &e); err != nil || e.Webhook.Code != "dead" || e.Reason != hook.SuspendedGone || e.Failures != 3 {
		t.Errorf("told %s", jobs[0].Event.Entity)
	}
	w.want(t, "whoever is mailed", w.ws.ID, hook.TypeWebhookSuspended)
	w.want(t, "the webhook itself", dead.ID)
	// The event is one as others are.
	events, _, err := w.Events(t.Context(), hook.EventFilter{Workspace: w.ws.ID, Types: []string{hook.TypeWebhookSuspended}}, hook.Page{Limit: 10})
	if err != nil || len(events) != 1 || events[0].Source.Kind != hook.SourceSystem {
		t.Errorf("events %+v, %v", events, err)
	}
	heads, err := w.LogHeads(t.Context(), []hook.ID{w.ws.ID})
	if err != nil {
		t.Fatal(err)
	}
	page, err := w.LogPage(t.Context(), w.ws.ID, hook.Position{}, heads.Last[w.ws.ID], 10, 1<<20, anyType)
	if err != nil || len(page.Events) != 1 || page.Events[0].Key != events[0].Key {
		t.Errorf("the log has %+v, %v", page, err)
	}
}

func noticeAudience(t *testing.T, w *noticeWorld) {
	w.named(t, "dead", "order.*")
	all := w.named(t, "all", "*")
	group := w.named(t, "group", "Webhook.*", hook.TypeWebhookResumed)
	off := w.edit(t, "", func(x *hook.Webhook) {
		x.WebhookSpec = spec("off")
		x.EventTypes, x.Enabled = []string{hook.TypeWebhookSuspended}, false
	})
	paused := w.edit(t, "", func(x *hook.Webhook) {
		x.WebhookSpec = spec("paused")
		x.EventTypes, x.Paused = []string{hook.TypeWebhookSuspended}, true
	})
	w.mails(t, &hook.Alerts{Emails: []string{}, EventTypes: hook.AlertTypes})
	w.suspend(t, false, nil)
	for what, x := range map[string]*hook.Webhook{"*": all, "Webhook.*": group, "who is off": off} {
		w.want(t, what, x.ID)
	}
	w.want(t, "who is paused", paused.ID, hook.TypeWebhookSuspended)
	w.want(t, "nobody by mail", w.ws.ID)
}

// givenUp is the end of a delivery as the worker stores it.
func (w *noticeWorld) givenUp(t *testing.T, target *hook.Webhook) *hook.Finish {
	t.Helper()
	e := w.p.event(true, target.ID)
	w.p.accept(t, e)
	j := w.p.born(e)
	a := w.p.attempt(j, hook.OutcomeFailed)
	f := &hook.Finish{Job: j, Attempt: a, Attempts: 1, State: hook.StateFailed, Reason: hook.ReasonAttemptsExhausted}
	effects, err := w.view(t).PlanEffects(hook.ExhaustedNotice(f, hook.TargetOf(target)), w.p.ids, nil)
	if err != nil || effects == nil {
		t.Fatalf("planned %+v, %v", effects, err)
	}
	f.Effects = effects
	return f
}

func noticeWithFinish(t *testing.T, w *noticeWorld) {
	dead := w.named(t, "dead", "order.*")
	other := w.named(t, "other", hook.TypeDeliveryExhausted)
	w.view(t)
	f, lost := w.givenUp(t, dead), w.givenUp(t, dead)
	if err := w.Release(t.Context(), w.p.node, []hook.ID{lost.Job.Delivery.ID}); err != nil {
		t.Fatal(err)
	}
	w.p.fates(t, []hook.Effect{hook.EffectDone, hook.EffectLost}, f, lost)
	w.p.is(t, f.Job, hook.StateFailed, hook.OutcomeFailed)
	w.p.is(t, lost.Job, hook.StatePending, hook.OutcomeSuperseded)
	w.want(t, "the other", other.ID, hook.TypeDeliveryExhausted)
	failed, _, err := w.Deliveries(t.Context(), hook.DeliveryFilter{Workspace: w.ws.ID, States: []hook.State{hook.StateFailed}}, hook.Page{Limit: 10})
	if err != nil || len(failed) != 1 || failed[0].ID != f.Job.Delivery.ID || failed[0].Reason != hook.ReasonAttemptsExhausted {
		t.Errorf("failed are %+v, %v", failed, err)
	}
	// One that crashed its workers has no attempt.
	f = w.givenUp(t, dead)
	f.Attempt, f.Attempts, f.Reason = nil, 0, hook.ReasonWorkerCrashed
	for _, want := range []hook.Effect{hook.EffectDone, hook.EffectLost} { // the second time there is no trace of the first
		if fates, err := w.FinishEffects(t.Context(), w.p.node, []*hook.Finish{f}); err != nil || fates[0] != want {
			t.Errorf("fates %v, %v; want %v", fates, err, want)
		}
	}
	w.p.is(t, f.Job, hook.StateFailed)
	w.want(t, "the other", other.ID, hook.TypeDeliveryExhausted)
	// Who is told has changed: nothing is stored, until it is planned anew.
	f = w.givenUp(t, dead)
	third := w.named(t, "third", hook.TypeDeliveryExhausted)
	w.p.fates(t, []hook.Effect{hook.EffectStale}, f)
	w.p.is(t, f.Job, hook.StateRunning)
	if f.Effects, err = w.view(t).PlanEffects(hook.ExhaustedNotice(f, hook.TargetOf(dead)), w.p.ids, nil); err != nil {
		t.Fatal(err)
	}
	w.p.fates(t, []hook.Effect{hook.EffectDone}, f)
	w.want(t, "the third", third.ID, hook.TypeDeliveryExhausted)
}

func noticeMarks(t *testing.T, w *noticeWorld) {
	ctx := t.Context()
	dead, fine := w.named(t, "dead", "order.*"), w.named(t, "fine", "order.*")
	w.mails(t, &hook.Alerts{Emails: []string{"ops@example.com"}, EventTypes: hook.AlertTypes})
	w.view(t)
	done := slices.Repeat([]hook.Effect{hook.EffectDone}, 4)
	w.p.fates(t, done, w.givenUp(t, dead), w.givenUp(t, dead), w.givenUp(t, fine), w.givenUp(t, dead))
	w.p.fates(t, done[:1], w.givenUp(t, dead))
	w.want(t, "whoever is mailed", w.ws.ID, hook.TypeDeliveryExhausted, hook.TypeDeliveryExhausted)
	// What had only a mail to make, and made none, is not stored.
	events, _, err := w.Events(ctx, hook.EventFilter{Workspace: w.ws.ID, Types: []string{hook.TypeDeliveryExhausted}}, hook.Page{Limit: 10})
	if err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
	if n, err := w.GivenUp(ctx, w.ws.ID, dead.ID, time.Now().Add(-time.Hour)); err != nil || n != 4 {
		t.Errorf("%d were given up, %v", n, err)
	}
	if n, err := w.GivenUp(ctx, w.ws.ID, dead.ID, time.Now().Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("%d were given up in the future, %v", n, err)
	}
	// A webhook is told of each, and the mail is still one.
	other := w.named(t, "other", hook.TypeDeliveryExhausted)
	w.view(t)
	f := w.givenUp(t, dead)
	short := *f.Effects.Events[0].Deliveries[1].Once
	short.Every = 0
	w.p.fates(t, done[:1], f)
	w.want(t, "whoever is mailed", w.ws.ID)
	w.want(t, "the other", other.ID, hook.TypeDeliveryExhausted)
	// Once its time is over the mark can be taken again.
	f = w.givenUp(t, dead)
	f.Effects.Events[0].Deliveries[1].Once = &short
	w.p.fates(t, done[:1], f)
	w.want(t, "whoever is mailed", w.ws.ID, hook.TypeDeliveryExhausted)
	// The same of whole events, whoever stores them.
	door := &hook.IncomingWebhook{ID: w.p.ids.New()}
	for range 2 {
		e, err := w.view(t).PlanEffects(hook.RefusingNotice(door, 20, time.Now(), map[string]int{"hash_mismatch": 20}, "203.0.113.9"), w.p.ids, nil)
		if err != nil {
			t.Fatal(err)
		}
		if fate, err := w.ApplyEffects(ctx, e); err != nil || fate != hook.EffectDone {
			t.Fatalf("fate %v, %v", fate, err)
		}
	}
	w.want(t, "whoever is mailed", w.ws.ID, hook.TypeIncomingRefusing)
}

func noticeUnheard(t *testing.T, w *noticeWorld) {
	dead := w.named(t, "dead", "*", hook.TypeWebhookSuspended)
	v := w.view(t)
	for _, n := range []hook.Notice{hook.SuspendedNotice(dead, hook.Trouble{}), hook.ResumedNotice(dead)} {
		if e, err := v.PlanEffects(n, w.p.ids, nil); e != nil || err != nil {
			t.Errorf("planned %+v, %v", e, err)
		}
	}
	w.suspend(t, false, nil)
	events, _, err := w.Events(t.Context(), hook.EventFilter{Workspace: w.ws.ID}, hook.Page{Limit: 10})
	if err != nil || len(events) != 0 {
		t.Errorf("stored were %+v, %v", events, err)
	}
}

func alertTarget(t *testing.T, w *noticeWorld) {
	ctx := t.Context()
	if v := w.view(t); v.Alerts.Emails != nil || v.Listens(hook.TypeWebhookSuspended) {
		t.Errorf("somebody is mailed whom nobody named: %+v", v.Alerts)
	}
	alerts := &hook.Alerts{Emails: []string{"ops@example.com"}, EventTypes: []string{hook.TypeWebhookSuspended}}
	w.mails(t, alerts)
	if v := w.view(t); !alerts.Equal(&v.Alerts) || v.Targets[w.ws.ID].Alerts.Emails[0] != "ops@example.com" || v.Listens(hook.TypeDeliveryExhausted) {
		t.Errorf("mailed are %+v", v.Alerts)
	}
	w.named(t, "dead", "order.*")
	w.suspend(t, false, nil)
	list, _, err := w.Deliveries(ctx, hook.DeliveryFilter{Workspace: w.ws.ID, EventTypes: []string{hook.TypeWebhookSuspended}}, hook.Page{Limit: 10})
	if err != nil || len(list) != 1 || list[0].TargetKind != hook.TargetAlert || list[0].TargetCode != hook.AlertCode || list[0].TargetName != hook.AlertName ||
		list[0].State != hook.StatePending || list[0].MaxAttempts != hook.PostAttempts {
		t.Fatalf("deliveries %+v, %v", list, err)
	}
	if err := w.SkipDelivery(ctx, w.ws.ID, list[0].ID); err != nil {
		t.Fatal(err)
	}
	if target, err := w.RetryDelivery(ctx, w.ws.ID, list[0].ID); err != nil || target != w.ws.ID {
		t.Fatalf("retried for %s, %v", target, err)
	}
	w.want(t, "whoever is mailed", w.ws.ID, hook.TypeWebhookSuspended)
	w.mails(t, nil)
	if v := w.view(t); v.Targets[w.ws.ID] == nil || v.Workspace.Alerts != nil {
		t.Error("what waits to be mailed would wait for ever")
	}
}

func ownTypes(t *testing.T, w *noticeWorld) {
	types, _, err := w.EventTypes(t.Context(), w.ws.ID, hook.ListFilter{}, hook.Page{Limit: 10})
	if err != nil || len(types) != len(hook.OperationalTypes) {
		t.Fatalf("types %+v, %v", types, err)
	}
	for _, x := range types {
		if !x.Operational || x.Description == "" || !json.Valid(x.Sample) || !json.Valid(x.Schema) {
			t.Errorf("%s: %q, sample %s, schema %s", x.Name, x.Description, x.Sample, x.Schema)
		}
	}
	own, err := w.EditEventType(t.Context(), w.ws.ID, hook.TypeWebhookSuspended, false, func(s hook.EventTypeScene) (*hook.EventType, error) {
		next := *s.Current
		next.Description = "In our words"
		return &next, nil
	})
	if err != nil || own.Description != "In our words" {
		t.Errorf("described %+v, %v", own, err)
	}
}
