package hook_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// listening is a workspace with a webhook for each list of types, and mail about some.
func listening(mailed []string, lists ...[]string) (*hook.View, []*hook.Webhook) {
	ids := hook.NewIDs()
	s := hook.Snapshot{Workspace: hook.Workspace{ID: ids.New()}, Version: 7, Alerts: hook.Alerts{Emails: []string{"ops@example.com"}, EventTypes: mailed}}
	for _, types := range lists {
		s.Webhooks = append(s.Webhooks, &hook.Webhook{ID: ids.New(), Workspace: s.Workspace.ID, WebhookSpec: hook.WebhookSpec{Enabled: true, EventTypes: types}})
	}
	return hook.NewView(s), s.Webhooks
}

func TestWhoIsToldOfOperationalEvents(t *testing.T) {
	t.Parallel()
	suspended := []string{hook.TypeWebhookSuspended}
	for name, test := range map[string]struct {
		mailed []string
		types  []string // of the one webhook that could be told
		filter string
		self   bool // it is the one that the event is about
		quiet  bool // no mail about this
		want   []hook.TargetKind
		reason hook.Reason
	}{
		"who names it":                     {types: suspended, want: []hook.TargetKind{hook.TargetWebhook}},
		"not who wants everything":         {types: []string{"*"}},
		"not who wants the whole group":    {types: []string{"Webhook.*"}},
		"not who names another":            {types: []string{hook.TypeWebhookResumed}},
		"not of itself":                    {types: suspended, self: true},
		"who is mailed":                    {mailed: suspended, want: []hook.TargetKind{hook.TargetAlert}},
		"not by mail about something else": {mailed: []string{hook.TypeDeliveryExhausted}},
		"not by mail of what needs none":   {mailed: suspended, quiet: true},
		"both":                             {mailed: suspended, types: suspended, want: []hook.TargetKind{hook.TargetWebhook, hook.TargetAlert}},
		"whose filter says yes":            {types: suspended, filter: "yes", want: []hook.TargetKind{hook.TargetWebhook}},
		"not whose filter says no":         {types: suspended, filter: "no"},
		"whose filter fails, on record":    {types: suspended, filter: "?", want: []hook.TargetKind{hook.TargetWebhook}, reason: hook.ReasonConditionError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, all := listening(test.mailed, []string{"order.*"}, test.types)
			v.Targets[all[1].ID].Filter = test.filter
			about := all[0]
			if test.self {
				about = all[1]
			}
			n := hook.SuspendedNotice(about, hook.Trouble{})
			n.Mail = !test.quiet
			e, err := v.PlanEffects(n, hook.NewIDs(), func(filter string, e *hook.Event) (bool, error) {
				if e.EntityID.Text != about.ID.String() || filter == "?" {
					return false, errors.New("no such thing")
				}
				return filter == "yes", nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(test.want) == 0 {
				if e != nil {
					t.Errorf("planned %+v for nobody", e.Events[0])
				}
				return
			}
			if e == nil || len(e.Events) != 1 || e.Versions[v.Workspace.ID] != 7 {
				t.Fatalf("planned %+v", e)
			}
			p := e.Events[0]
			var kinds []hook.TargetKind
			for i, d := range p.Deliveries {
				kinds = append(kinds, d.TargetKind)
				if d.Skipped != test.reason || d.Target != e.Wake[i].ID {
					t.Errorf("delivery %+v for %+v", d, e.Wake[i])
				}
			}
			if !slices.Equal(kinds, test.want) || p.Event.Matched != len(test.want) || p.Event.Source.Kind != hook.SourceSystem || p.ClientID {
				t.Errorf("planned %+v", p)
			}
		})
	}
}

// The catalogue's samples are what events of the types look like: every field that the
// schema requires is there, and the schema names every field.
func TestSamplesKeepTheirSchemas(t *testing.T) {
	t.Parallel()
	for _, name := range hook.OperationalTypes {
		x := &hook.EventType{Name: name}
		x.Describe()
		var sample map[string]any
		var schema struct {
			Required   []string
			Properties map[string]any
		}
		if json.Unmarshal(x.Sample, &sample) != nil || json.Unmarshal(x.Schema, &schema) != nil || x.Description == "" {
			t.Fatalf("%s: sample %s, schema %s", name, x.Sample, x.Schema)
		}
		for field := range sample {
			if schema.Properties[field] == nil {
				t.Errorf("%s: the schema does not know %s", name, field)
			}
		}
		for _, field := range schema.Required {
			if _, ok := sample[field]; !ok {
				t.Errorf("%s: the sample has no %s", name, field)
			}
		}
	}
	x := &hook.EventType{Name: hook.TypeWebhookSuspended, Description: "Ours", Sample: []byte("1"), Schema: []byte("true")}
	if x.Describe(); x.Description != "Ours" || string(x.Sample) != "1" || string(x.Schema) != "true" {
		t.Errorf("overwritten: %+v", x)
	}
	x = &hook.EventType{Name: "order.paid"}
	if x.Describe(); x.Sample != nil {
		t.Error("an ordinary type has a sample")
	}
}

func TestExhausted(t *testing.T) {
	t.Parallel()
	finish := func(change func(*hook.Finish)) *hook.Finish {
		f := &hook.Finish{State: hook.StateFailed, Job: &hook.Job{Event: &hook.Event{Type: "order.paid"}}}
		change(f)
		return f
	}
	for name, test := range map[string]struct {
		change func(*hook.Finish)
		want   bool
	}{
		"failed":        {func(*hook.Finish) {}, true},
		"crashed":       {func(f *hook.Finish) { f.Reason = hook.ReasonWorkerCrashed }, true},
		"waits":         {func(f *hook.Finish) { f.State = hook.StatePending }, false},
		"skipped":       {func(f *hook.Finish) { f.State = hook.StateSkipped }, false},
		"a test":        {func(f *hook.Finish) { f.Job.Delivery.Test = true }, false},
		"our own event": {func(f *hook.Finish) { f.Job.Event.Type = hook.TypeIncomingRefusing }, false},
	} {
		if got := finish(test.change).Exhausted(); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	w := &hook.Webhook{ID: hook.NewIDs().New(), StateSince: time.Now()}
	f := finish(func(f *hook.Finish) { f.Reason = hook.ReasonGone })
	if n := hook.ExhaustedNotice(f, hook.TargetOf(w)); n.Mail {
		t.Error("the mail about the suspension says it")
	}
}
