package storetest

import (
	"slices"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func eventsListed(t *testing.T, w *World) {
	key := hook.ID{15: 7}
	var ids []hook.ID // newest first
	for i, e := range []struct {
		id     string
		change []func(map[string]any)
	}{
		{"a", []func(map[string]any){set("entity_id", "7"), set("entity_id_number", true), set("entity", []byte(`{"total":1.10}`))}},
		{"", []func(map[string]any){set("entity_id", "7"), set("type", "order.sent")}},
		{"c", []func(map[string]any){set("entity_id", "8"), set("source_id", w.id(key)), set("entity_url", "https://x.test/8"), set("hops", 2)}},
		{"d", []func(map[string]any){set("type", "order.sent"), set("source_id", w.id(key))}},
		{"e", nil},
	} {
		ids = append([]hook.ID{w.event(w.now.Add(time.Duration(i-5)*time.Minute), e.id, e.change...)}, ids...)
	}
	w.event(w.now, "a2", set("workspace_id", w.id(w.workspace("other", 0))))
	at := func(i int) time.Time { return hook.TimeOf(ids[i]) }
	for name, c := range map[string]struct {
		f    hook.EventFilter
		p    hook.Page
		want []hook.ID
		more bool
	}{
		"all":                  {want: ids},
		"oldest first":         {p: hook.Page{Asc: true}, want: []hook.ID{ids[4], ids[3], ids[2], ids[1], ids[0]}},
		"first page":           {p: hook.Page{Limit: 2}, want: ids[:2], more: true},
		"second page":          {p: hook.Page{Limit: 2, After: ids[1]}, want: ids[2:4], more: true},
		"last page":            {p: hook.Page{Limit: 2, After: ids[2]}, want: ids[3:]},
		"upwards after one":    {p: hook.Page{Limit: 2, After: ids[4], Asc: true}, want: []hook.ID{ids[3], ids[2]}, more: true},
		"by ids":               {f: hook.EventFilter{IDs: []string{"a", "d", "a2", ids[3].String(), "nobody"}}, want: []hook.ID{ids[1], ids[3], ids[4]}},
		"by unknown id":        {f: hook.EventFilter{IDs: []string{"nobody"}}},
		"by our id of a named": {f: hook.EventFilter{IDs: []string{ids[0].String()}}},
		"by types":             {f: hook.EventFilter{Types: []string{"order.sent", "x"}}, want: []hook.ID{ids[1], ids[3]}},
		"by entity":            {f: hook.EventFilter{EntityIDs: []string{"7"}}, want: []hook.ID{ids[3], ids[4]}},
		"by entity and type":   {f: hook.EventFilter{EntityIDs: []string{"7", "8"}, Types: []string{"order.paid"}}, want: []hook.ID{ids[2], ids[4]}},
		"by source":            {f: hook.EventFilter{SourceID: key}, want: ids[1:3]},
		"since is inclusive":   {f: hook.EventFilter{Since: at(1)}, want: ids[:2]},
		"until is exclusive":   {f: hook.EventFilter{Until: at(1)}, want: ids[2:]},
		"since, until, page":   {f: hook.EventFilter{Since: at(3), Until: at(0)}, p: hook.Page{Limit: 1, After: ids[1]}, want: ids[2:3], more: true},
	} {
		c.f.Workspace = w.ws
		if c.p.Limit == 0 {
			c.p.Limit = 100
		}
		views, more, err := w.Events(t.Context(), c.f, c.p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []hook.ID
		for _, v := range views {
			got = append(got, v.Key)
			if v.Entity != nil {
				t.Errorf("%s: a list has an entity", name)
			}
		}
		equalIDs(t, name, got, c.want)
		if more != c.more {
			t.Errorf("%s: more = %v, want %v", name, more, c.more)
		}
	}
	views, _, err := w.Events(t.Context(), hook.EventFilter{Workspace: w.ws}, hook.Page{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	v := views[2]
	if v.ID != "c" || v.Workspace != w.ws || v.Type != "order.paid" || v.EntityID != (hook.EntityID{Text: "8"}) || v.EntityURL != "https://x.test/8" ||
		v.Source != (hook.Source{Kind: hook.SourceAPI, ID: key}) || v.Hops != 2 || v.Matched != 1 || !v.Timestamp.Equal(at(2)) {
		t.Errorf("event c = %+v", v)
	}
	if views[3].ID != ids[3].String() {
		t.Errorf("an event without a client's id is called %q, want its key", views[3].ID)
	}
	if views[4].EntityID != (hook.EntityID{Text: "7", Number: true}) {
		t.Errorf("entity id = %+v, want the number 7", views[4].EntityID)
	}
}

func eventFound(t *testing.T, w *World) {
	ctx := t.Context()
	active, paused := w.webhook("active"), w.webhook("paused")
	own := w.event(w.now.Add(-time.Minute), "")
	// A client may call its event as another one's key.
	named := w.event(w.now, own.String()[:35]+"z", set("entity", []byte(`{"a":1,"a":1.10}`)))
	for _, row := range []int{rowBorn, rowClaimed, rowWaits, rowSucceeded, rowSucceeded, rowFailed, rowSkipped} {
		w.delivery(w.now, named, active, row)
	}
	for _, row := range []int{rowWaits, rowWaits, rowBorn, rowClaimed} {
		w.delivery(w.now, named, paused, row)
	}
	e, err := w.Event(ctx, w.ws, own.String()[:35]+"z")
	if err != nil || e.Key != named || string(e.Entity) != `{"a":1,"a":1.10}` {
		t.Fatalf("by the client's id = %+v, %v", e, err)
	}
	want := map[hook.State]int{hook.StateRunning: 4, hook.StatePending: 1, hook.StateHeld: 2, hook.StateSucceeded: 2, hook.StateFailed: 1, hook.StateSkipped: 1}
	if len(e.Deliveries) != len(want) {
		t.Errorf("deliveries = %v, want %v", e.Deliveries, want)
	}
	for state, n := range want {
		if e.Deliveries[state] != n {
			t.Errorf("deliveries = %v, want %v", e.Deliveries, want)
		}
	}
	e, err = w.Event(ctx, w.ws, own.String())
	if err != nil || e.Key != own || e.ID != own.String() || e.Entity != nil || len(e.Deliveries) != 0 {
		t.Fatalf("by our id = %+v, %v", e, err)
	}
	squatter := w.event(w.now, own.String())
	if e, err = w.Event(ctx, w.ws, own.String()); err != nil || e.Key != squatter {
		t.Errorf("an id chosen by a client loses to a key: %v, %v", e.Key, err)
	}
	other := w.workspace("other", 0)
	for _, id := range []string{own.String(), named.String(), "nobody", own.String()[:35] + "z"} {
		if _, err := w.Event(ctx, other, id); hook.KindOf(err) != hook.KindNotFound {
			t.Errorf("event %s in another workspace: %v", id, err)
		}
	}
}

func matches(t *testing.T, w *World) {
	only := func(patterns string) func(map[string]any) {
		return set("config", `{"eventTypes":`+patterns+`,"maxAttempts":3}`)
	}
	at := w.now.Add(-10 * time.Minute)
	key := w.event(at, "ord-7")
	got, noType, off, gone := w.webhook("active", only(`["order.*"]`)), w.webhook("active", only(`["invoice.*"]`)), w.webhook("disabled"), w.webhook("suspended")
	later := w.webhook("active", set("created_at", w.now.UnixMicro()))
	since := w.webhook("active", set("state_since", w.now.UnixMicro()))
	w.webhook("deleted")
	was := w.webhook("deleted")
	tested := w.webhook("disabled", only(`["invoice.*"]`))
	w.delivery(at, key, got, rowSucceeded)
	second := w.delivery(w.now, key, got, rowFailed)
	w.delivery(w.now, key, got, rowSucceeded, set("test", true))
	old := w.delivery(at, key, was, rowSucceeded)
	test := w.delivery(at, key, tested, rowSucceeded, set("test", true))
	filtered := func(filter string) func(map[string]any) {
		return set("config", `{"eventTypes":["order.*"],"maxAttempts":3,"filter":"`+filter+`"}`)
	}
	refused, passed, broken := w.webhook("disabled", filtered("no")), w.webhook("disabled", filtered("yes")), w.webhook("disabled", filtered("error"))
	views, err := w.Matches(t.Context(), w.ws, "ord-7")
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		webhook, delivery hook.ID
		reason            string
	}{{got, second, ""}, {noType, hook.NoID, "event_type"}, {off, hook.NoID, "disabled"}, {gone, hook.NoID, "suspended"},
		{later, hook.NoID, "created_later"}, {since, hook.NoID, ""}, {was, old, ""}, {tested, test, ""},
		{refused, hook.NoID, "filter"}, {passed, hook.NoID, "disabled"}, {broken, hook.NoID, "disabled"}}
	if len(views) != len(want) {
		t.Fatalf("%d matches, want %d: %+v", len(views), len(want), views)
	}
	for i, v := range views {
		x := want[i]
		evaluated, delivery := "now", hook.NoID
		if v.Delivery != nil {
			evaluated, delivery = "recorded", v.Delivery.ID
		}
		if v.Webhook != x.webhook || v.Reason != x.reason || delivery != x.delivery || v.Evaluated != evaluated || v.Matched != (v.Delivery != nil) || v.Code == "" || v.Name == "" {
			t.Errorf("match %d = %+v, want %+v", i, v, x)
		}
		if !v.Matched && v.Detail == "" {
			t.Errorf("match %d says nothing in words", i)
		}
	}
	if v := views[8]; v.Detail != "no was false" {
		t.Errorf("the filter says %q", v.Detail)
	}
	if v := views[0].Delivery; v.State != hook.StateFailed || v.Reason != hook.ReasonAttemptsExhausted || v.EventID != "ord-7" {
		t.Errorf("delivery of the first match = %+v", v)
	}
	if _, err := w.Matches(t.Context(), w.workspace("other", 0), "ord-7"); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("matches in another workspace: %v", err)
	}
	if slices.ContainsFunc(views, func(v hook.MatchView) bool { return v.Code == "" }) {
		t.Error("a match without a code")
	}
}
