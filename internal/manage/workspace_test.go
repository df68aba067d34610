package manage_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func TestWorkspaces(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	_, err := w.CreateWorkspace(ctx, w.own(), []byte(`{"name":"Acme"}`))
	wantKind(t, err, hook.KindForbidden)
	r, err := w.CreateWorkspace(ctx, w.admin, []byte(`{"name":"Acme","retention":"336h","limits":{"eventsPerSecond":50,"pendingDeliveries":null}}`))
	if err != nil || r.Code != "acme" || r.Retention != 14*24*time.Hour || r.Limits.EventsPerSecond != 50 || r.Limits.PendingDeliveries != 0 {
		t.Fatalf("created %+v, %v", r.Workspace, err)
	}
	put := func(doc string) hook.WorkspaceResult {
		t.Helper()
		r, err := w.PutWorkspace(ctx, w.admin, "acme", []byte(doc), hook.Write{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := put(`{"name":"Acme","retention":"14d","limits":{"eventsPerSecond":50}}`); r.Change != hook.Unchanged {
		t.Errorf("identical PUT: %s %v", r.Change, r.Changed)
	}
	p, err := w.PatchWorkspace(ctx, w.admin, "acme", []byte(`{"limits":{"pendingDeliveries":9},"strict":true}`), hook.Write{Guard: hook.Guard{IfMatch: `"1"`}})
	if err != nil || p.Limits != (hook.Limits{EventsPerSecond: 50, PendingDeliveries: 9}) || !slices.Equal(p.Changed, []string{"strict", "limits"}) {
		t.Errorf("patched %+v, %v", p, err)
	}
	if r := put(`{}`); r.Name != "acme" || r.Retention != 0 || r.Strict {
		t.Errorf("replaced by defaults: %+v", r.Workspace)
	}
	if r := put(`{"alerts":{"emails":["ops@example.com"]}}`); r.Alerts == nil || !slices.Equal(r.Alerts.EventTypes, hook.AlertTypes) || !slices.Contains(r.Changed, "alerts") {
		t.Errorf("alerts: %+v, %v", r.Alerts, r.Changed)
	}
	if p, err := w.PatchWorkspace(ctx, w.admin, "acme", []byte(`{"alerts":{"eventTypes":["Webhook.Resumed","Webhook.Resumed"]}}`), hook.Write{}); err != nil ||
		!slices.Equal(p.Alerts.Emails, []string{"ops@example.com"}) || !slices.Equal(p.Alerts.EventTypes, []string{hook.TypeWebhookResumed}) {
		t.Errorf("other types: %+v, %v", p.Alerts, err)
	}
	if r := put(`{"alerts":{"emails":[]}}`); r.Alerts == nil || len(r.Alerts.Emails) != 0 {
		t.Errorf("nobody: %+v", r.Alerts)
	}
	if r := put(`{"alerts":null}`); r.Alerts != nil {
		t.Errorf("whom the installation names: %+v", r.Alerts)
	}
	for doc, want := range map[string]string{
		`{"alerts":{}}`:                                                                 "alerts.emails required",
		`{"alerts":{"emails":["ops"]}}`:                                                 "alerts.emails[0] invalid_format",
		`{"alerts":{"emails":["Ops <ops@example.com>"]}}`:                               "alerts.emails[0] invalid_format",
		`{"alerts":{"emails":["a@example.com, b@example.com"]}}`:                        "alerts.emails[0] invalid_format",
		`{"alerts":{"emails":["a@example.com"],"eventTypes":[]}}`:                       "alerts.eventTypes empty_event_types",
		`{"alerts":{"emails":["a@example.com"],"eventTypes":["Webhook.*"]}}`:            "alerts.eventTypes[0] invalid_format",
		`{"alerts":{"emails":["a@example.com"],"types":[]}}`:                            "alerts.types unknown_field",
		`{"alerts":{"emails":["` + strings.Repeat(`a@example.com","`, 20) + `a@b.c"]}}`: "alerts.emails too_long",
		`{"retention":"1m"}`:                                                            "retention out_of_range",
		`{"limits":{"eventsPerSecond":0}}`:                                              "limits.eventsPerSecond out_of_range",
		`{"limits":{"perSecond":1}}`:                                                    "limits.perSecond unknown_field",
		`{"code":"b"}`:                                                                  "code code_mismatch",
		`{"strict":null}`:                                                               "strict invalid_format",
		`{"metadata":{"` + strings.Repeat("k", 65) + `":"v"}}`:                          "metadata." + strings.Repeat("k", 65) + " too_long",
	} {
		_, err := w.PutWorkspace(ctx, w.admin, "acme", []byte(doc), hook.Write{})
		wantFaults(t, err, want)
	}
	wantKind(t, w.DeleteWorkspace(ctx, w.admin, "acme", "acm", hook.Guard{}), hook.KindInvalidParameter)
	wantKind(t, w.DeleteWorkspace(ctx, w.own(), "acme", "acme", hook.Guard{}), hook.KindForbidden)
	wantKind(t, w.DeleteWorkspace(ctx, w.admin, "default", "default", hook.Guard{}), hook.KindInvalidState)
	mine := hook.Principal{Role: hook.RoleAdmin, Platform: true, Workspace: r.ID}
	hooked, err := w.CreateWebhook(ctx, mine, []byte(`{"name":"a","url":"`+ordersURL+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteWorkspace(ctx, w.admin, "acme", "acme", hook.Guard{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.pipe.deleted, []hook.ID{hooked.ID}) {
		t.Errorf("told of %v", w.pipe.deleted)
	}
	wantKind(t, w.DeleteWorkspace(ctx, w.admin, "acme", "acme", hook.Guard{}), hook.KindNotFound)
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	create := func(doc string) (hook.EventTypeResult, error) { return w.CreateEventType(ctx, w.own(), []byte(doc)) }
	r, err := create(`{"name":"order.paid","schema":{"type":"object","required":["total"]},"sample":{"b":1,"a":"<1.10>"},"mode":"warn"}`)
	if err != nil || r.Mode != hook.SchemaWarn || string(r.Sample) != `{"b":1,"a":"<1.10>"}` {
		t.Fatalf("created %+v, %v", r.EventType, err)
	}
	_, err = create(`{"name":"order.paid"}`)
	if e := wantKind(t, err, hook.KindNameTaken); e.Owner != r.ID.String() {
		t.Errorf("owner %s", e.Owner)
	}
	put := func(doc string) hook.EventTypeResult {
		t.Helper()
		r, err := w.PutEventType(ctx, w.own(), "order.paid", []byte(doc), hook.Write{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := put(`{"schema": {"type": "object", "required":["total"]},"sample":{"b":1,"a":"<1.10>"},"mode":"warn"}`); r.Change != hook.Unchanged {
		t.Errorf("identical PUT: %v", r.Changed)
	}
	p, err := w.PatchEventType(ctx, w.own(), "order.paid", []byte(`{"description":"Paid.","archived":true}`), hook.Write{})
	if err != nil || !slices.Equal(p.Changed, []string{"description", "archived"}) || string(p.Sample) != `{"b":1,"a":"<1.10>"}` {
		t.Errorf("patched %v, sample %s, %v", p.Changed, p.Sample, err)
	}
	p, err = w.PatchEventType(ctx, w.own(), "order.paid", []byte(`{"sample":{"c":null},"schema":null}`), hook.Write{})
	if err != nil || string(p.Sample) != `{"c":null}` || p.Schema != nil {
		t.Errorf("patched sample %s, schema %s, %v", p.Sample, p.Schema, err)
	}
	for doc, want := range map[string]string{
		`{}`:                 "name required",
		`{"name":"a b"}`:     "name invalid_format",
		`{"name":"a..b"}`:    "name invalid_format",
		`{"name":"order.*"}`: "name invalid_format",
		`{"name":"` + strings.Repeat("a", 129) + `"}`:         "name too_long",
		`{"name":"x","mode":"strict"}`:                        "mode invalid_format",
		`{"name":"x","schema":{"type":"thing"}}`:              "schema invalid_format",
		`{"name":"x","schema":[]}`:                            "schema invalid_format",
		`{"name":"x","schema":{"$ref":"file:///etc/passwd"}}`: "schema invalid_format",
		`{"name":"x","schema":{"$ref":"http://10.0.0.1/x"}}`:  "schema invalid_format",
	} {
		_, err := create(doc)
		wantFaults(t, err, want)
	}
	_, err = w.PutEventType(ctx, w.own(), "order.paid", []byte(`{"name":"order.sent"}`), hook.Write{})
	wantFaults(t, err, "name code_mismatch")
	if err := w.DeleteEventType(ctx, w.own(), "order.paid", hook.Guard{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.DeleteEventType(ctx, w.own(), "order.paid", hook.Guard{}), hook.KindNotFound)
	w.store.types = append(w.store.types, &hook.EventType{ID: w.store.ids.New(), Workspace: w.ws.ID, Name: hook.TypeWebhookSuspended, Operational: true})
	wantKind(t, w.DeleteEventType(ctx, w.own(), hook.TypeWebhookSuspended, hook.Guard{}), hook.KindInvalidState)
}
