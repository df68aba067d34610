package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// undescribable is a name for which the suite's Describe finds no words.
const undescribable = "undescribable"

// Describe is what stores of the suite are opened with: it tells names.
func Describe(before, after hook.Audited) (d hook.AuditDescription, err error) {
	name := func(a hook.Audited) []byte {
		if a == nil {
			return nil
		}
		s := a.AuditSubject()
		if s.Name == undescribable {
			err = errUnexpected
		}
		return fmt.Appendf(nil, `{"name":%q}`, s.Name)
	}
	d.Before, d.After = name(before), name(after)
	if before != nil && after != nil {
		d.Changed = []string{"name"}
	}
	return d, err
}

// story tells the rows in few words, oldest first.
func story(t *testing.T, log func(context.Context, hook.AuditFilter, hook.Page) ([]*hook.AuditEntry, bool, error), f hook.AuditFilter) []string {
	t.Helper()
	list, more, err := log(t.Context(), f, hook.Page{Limit: 500, Asc: true})
	if err != nil || more {
		t.Fatalf("audit log: more %v, %v", more, err)
	}
	out := []string{}
	for _, e := range list {
		out = append(out, fmt.Sprintf("%s %s %s %d>%d %s", e.Action, e.Kind, e.Code, e.VersionBefore, e.VersionAfter, strings.Join(e.Changed, ",")))
	}
	return out
}

func (w *world) tells(t *testing.T, f hook.AuditFilter, want ...string) {
	t.Helper()
	if got := story(t, w.AuditLog, f); !slices.Equal(got, want) {
		t.Errorf("the log of %+v tells\n%s\nwant\n%s", f, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (w *world) own() hook.AuditFilter {
	return hook.AuditFilter{Scope: hook.AuditOfWorkspace, Workspace: w.ws.ID}
}

func auditOfChanges(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx, ids := t.Context(), hook.NewIDs()
	made := w.create(t, func(*hook.Webhook) {})
	who := hook.Actor{
		Kind: hook.ActorKey, Key: ids.New(), Code: "Billing-CI", Name: "Billing", Role: hook.RoleAdmin,
		ClientAddress: "203.0.113.9", RequestID: ids.New(),
	}
	edit := func(ctx context.Context, dry bool, change func(*hook.Webhook)) {
		t.Helper()
		if _, err := w.EditWebhook(ctx, w.ws.ID, "a", dry, editing(change)); err != nil {
			t.Fatal(err)
		}
	}
	edit(hook.WithActor(ctx, who), false, func(x *hook.Webhook) { x.Name = "B" })
	edit(hook.WithVerb(ctx, hook.AuditPause), false, func(x *hook.Webhook) { x.Paused = true })
	edit(ctx, true, func(x *hook.Webhook) { x.Name = "dry" })
	if _, err := w.EditWebhook(ctx, w.ws.ID, "a", false, func(hook.WebhookScene) (*hook.Webhook, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	edit(hook.WithVerb(ctx, hook.AuditPause), false, func(x *hook.Webhook) { at := time.Now(); x.DeletedAt = &at })
	w.action(t, "", func(*hook.Action) {})
	w.door(t, "", func(*hook.IncomingWebhook) {})
	w.key(t, w.ws.ID, "ci", "a")
	if err := w.DeleteAPIKey(ctx, w.ws.ID, "ci", func(*hook.APIKey) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.EditEventType(ctx, w.ws.ID, "", false, func(hook.EventTypeScene) (*hook.EventType, error) {
		return &hook.EventType{Name: "order.paid", Mode: hook.SchemaReject}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.AddEventTypes(ctx, w.ws.ID, []string{"added.by.publishing"}); err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteEventType(ctx, w.ws.ID, "order.paid", func(*hook.EventType) error { return nil }); err != nil {
		t.Fatal(err)
	}
	act, door := "create action book-stock 0>1 ", "create incomingWebhook erp 0>1 "
	rows := []string{
		"create workspace default 0>1 ",
		"create webhook a 0>1 ", "update webhook a 1>2 name", "pause webhook a 2>3 name", "delete webhook a 3>0 name",
		act, door, "create apiKey ci 0>1 ", "delete apiKey ci 1>0 ",
		"create eventType order.paid 0>1 ", "delete eventType order.paid 1>0 ",
	}
	got := story(t, w.AuditLog, w.own())
	for i, r := range rows { // whatever the codes of those two are
		if (r == act || r == door) && i < len(got) {
			rows[i] = got[i]
			if !strings.HasPrefix(got[i], strings.Join(strings.Fields(r)[:2], " ")) {
				t.Errorf("row %d is %q, want one such as %q", i, got[i], r)
			}
		}
	}
	w.tells(t, w.own(), rows...)

	f := w.own()
	f.Resource = "A"
	list, _, err := w.AuditLog(ctx, f, hook.Page{Limit: 10})
	if err != nil || len(list) != 4 {
		t.Fatalf("%d rows, %v", len(list), err)
	}
	e := list[2]
	if e.Actor != who || e.Resource != made.ID || e.Name != "B" || string(e.Before) != `{"name":"Name of a"}` || string(e.After) != `{"name":"B"}` ||
		e.Workspace != w.ws.ID || e.WorkspaceCode != "default" || time.Since(hook.TimeOf(e.ID)) > time.Minute {
		t.Errorf("entry %+v", e)
	}
	if e := list[3]; e.Actor != (hook.Actor{Kind: hook.ActorSystem}) || e.Before != nil {
		t.Errorf("entry without an actor %+v", e)
	}
	for name, g := range map[string]struct {
		change func(f *hook.AuditFilter)
		rows   int
	}{
		"kind":            {func(f *hook.AuditFilter) { f.Kinds = []hook.AuditKind{hook.AuditWebhook, hook.AuditAPIKey} }, 6},
		"action":          {func(f *hook.AuditFilter) { f.Actions = []hook.AuditAction{hook.AuditDelete} }, 3},
		"actor's code":    {func(f *hook.AuditFilter) { f.Actor = "billing-ci" }, 1},
		"actor's id":      {func(f *hook.AuditFilter) { f.Actor = who.Key.String() }, 1},
		"another actor":   {func(f *hook.AuditFilter) { f.Actor = "other" }, 0},
		"kind of actor":   {func(f *hook.AuditFilter) { f.ActorKinds = []hook.ActorKind{hook.ActorKey, hook.ActorCLI} }, 1},
		"resource's id":   {func(f *hook.AuditFilter) { f.Resource = made.ID.String() }, 4},
		"request":         {func(f *hook.AuditFilter) { f.RequestID = who.RequestID }, 1},
		"since":           {func(f *hook.AuditFilter) { f.Since = time.Now().Add(time.Hour) }, 0},
		"until":           {func(f *hook.AuditFilter) { f.Until = time.Now().Add(-time.Hour) }, 0},
		"what is no text": {func(f *hook.AuditFilter) { f.Resource = "\xff" }, 0},
	} {
		f := w.own()
		g.change(&f)
		if list, _, err := w.AuditLog(ctx, f, hook.Page{Limit: 100}); err != nil || len(list) != g.rows {
			t.Errorf("%s: %d rows, %v; want %d", name, len(list), err, g.rows)
		}
	}
	for _, asc := range []bool{true, false} { // page by page it is the same
		var paged []string
		p := hook.Page{Limit: 2, Asc: asc}
		for more := true; more; {
			if list, more, err = w.AuditLog(ctx, w.own(), p); err != nil || len(list) == 0 {
				t.Fatalf("%d rows, %v", len(list), err)
			}
			for _, e := range list {
				paged = append(paged, string(e.Action)+" "+e.Code)
			}
			p.After = list[len(list)-1].ID
		}
		if !asc {
			slices.Reverse(paged)
		}
		for i, line := range paged {
			if len(paged) != len(rows) || !strings.HasPrefix(rows[i], strings.Fields(line)[0]) {
				t.Fatalf("pages tell %q", paged)
			}
		}
	}
}

// A change that fails leaves no row, and a row that cannot be written no change.
func auditIsPartOfTheChange(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	w.create(t, func(*hook.Webhook) {})
	before := story(t, w.AuditLog, w.own())
	if _, err := w.EditWebhook(ctx, w.ws.ID, "a", false, func(hook.WebhookScene) (*hook.Webhook, error) { return nil, errUnexpected }); !errors.Is(err, errUnexpected) {
		t.Fatalf("error of the decision = %v", err)
	}
	// The code is taken, which the database finds out: the row is written by then, or not yet.
	if _, err := w.EditWebhook(ctx, w.ws.ID, "", false, editing(func(x *hook.Webhook) { x.WebhookSpec = spec("a") })); err == nil {
		t.Fatal("two webhooks have one code")
	}
	if _, err := w.EditWebhook(ctx, w.ws.ID, "a", false, editing(func(x *hook.Webhook) { x.Name = undescribable })); !errors.Is(err, errUnexpected) {
		t.Fatalf("a change that cannot be described: %v", err)
	}
	if x, err := w.Webhook(ctx, w.ws.ID, "a"); err != nil || x.Version != 1 || x.Name == undescribable {
		t.Errorf("a change without a row: %+v, %v", x, err)
	}
	if err := w.DeleteAPIKey(ctx, w.ws.ID, "none", func(*hook.APIKey) error { return nil }); err == nil {
		t.Error("a key that is not there was deleted")
	}
	if _, err := w.RetryDelivery(ctx, w.ws.ID, hook.NewIDs().New()); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("retry of nothing: %v", err)
	}
	w.tells(t, w.own(), before...)
	if err := w.Audit(ctx, &hook.AuditEntry{Workspace: w.ws.ID, Action: hook.AuditReplay, Kind: hook.AuditRequest, Code: "erp"}); err != nil {
		t.Fatal(err)
	}
	w.tells(t, w.own(), append(before, "replay request erp 0>0 ")...)
}

func auditScopes(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	acme, err := w.EditWorkspace(ctx, "", false, func(hook.WorkspaceScene) (*hook.Workspace, error) {
		return &hook.Workspace{Code: "acme", Name: "Acme"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	in := &world{w.Store, acme}
	in.create(t, func(*hook.Webhook) {})
	w.create(t, func(*hook.Webhook) {})
	w.key(t, hook.NoID, "root", "b")
	if _, err := w.EditWorkspace(ctx, "acme", false, func(scene hook.WorkspaceScene) (*hook.Workspace, error) {
		next := *scene.Current
		next.Name = "ACME"
		return &next, nil
	}); err != nil {
		t.Fatal(err)
	}
	made, renamed, hooked, root := "create workspace acme 0>1 ", "update workspace acme 1>2 name", "create webhook a 0>1 ", "create apiKey root 0>1 "
	first := "create workspace default 0>1 "
	in.tells(t, in.own(), made, hooked, renamed)
	w.tells(t, w.own(), first, hooked)
	w.tells(t, hook.AuditFilter{Scope: hook.AuditOfInstallation}, first, made, root, renamed)
	w.tells(t, hook.AuditFilter{Scope: hook.AuditOfBoth, Workspace: w.ws.ID}, first, made, hooked, root, renamed)
	w.tells(t, hook.AuditFilter{Scope: hook.AuditOfAllWorkspaces}, first, made, hooked, hooked, root, renamed)

	// What a deleted workspace had goes with it; that it was there stays.
	if _, _, err := w.DeleteWorkspace(ctx, "acme", func(*hook.Workspace) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		if n, err = w.Sweep(ctx, 100); err != nil {
			t.Fatal(err)
		}
	}
	in.tells(t, in.own(), made, renamed, "delete workspace acme 2>0 ")
	w.tells(t, hook.AuditFilter{Scope: hook.AuditOfAllWorkspaces}, first, made, hooked, root, renamed, "delete workspace acme 2>0 ")
}

// Rows with much in them make pages short, and lose nobody.
func auditPagesAreBounded(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx, n := t.Context(), 9
	for i := range n {
		e := &hook.AuditEntry{Workspace: w.ws.ID, Action: hook.AuditUpdate, Kind: hook.AuditWebhook, Code: fmt.Sprint(i)}
		e.After = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 1<<20))
		if i == 4 {
			e.After = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 5<<20))
		}
		if err := w.Audit(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	f := w.own()
	f.Kinds = []hook.AuditKind{hook.AuditWebhook}
	var codes []string
	p := hook.Page{Limit: n, Asc: true}
	for more := true; more; {
		var list []*hook.AuditEntry
		var err error
		if list, more, err = w.AuditLog(ctx, f, p); err != nil || len(list) == 0 || len(list) > 4 {
			t.Fatalf("a page of %d rows, %v", len(list), err)
		}
		for _, e := range list {
			codes = append(codes, e.Code)
		}
		p.After = list[len(list)-1].ID
	}
	if got := strings.Join(codes, ""); got != "012345678" {
		t.Errorf("pages have %s", got)
	}
}

func auditRetention(t *testing.T, w *World) {
	ctx := t.Context()
	row := func(workspace hook.ID, age time.Duration, code string) {
		zero := w.id(workspace)
		if workspace == hook.NoID {
			zero = w.zero()
		}
		w.insert("audit_log", map[string]any{"id": w.id(w.idAt(w.now.Add(-age))), "workspace_id": zero, "action": "update", "kind": "webhook",
			"resource_key": code, "actor_kind": "system", "actor_key": "", "detail": `{"code":"` + code + `"}`})
	}
	long := w.workspace("long", 0)
	w.exec("UPDATE workspaces SET audit_retention = ? WHERE id = ?", int64(1000*day), w.id(long))
	for _, id := range []hook.ID{w.ws, long, hook.NoID} {
		row(id, 1001*day, "ancient")
		row(id, 366*day, "old")
		row(id, 364*day, "young")
	}
	if n, err := w.PurgeAudit(ctx, 0); err != nil || n != 1 {
		t.Errorf("without a retention %d went, %v", n, err)
	}
	if n, err := w.PurgeAudit(ctx, 365*day); err != nil || n != 4 {
		t.Errorf("%d went, %v", n, err)
	}
	left := story(t, w.AuditLog, hook.AuditFilter{Scope: hook.AuditOfAllWorkspaces})
	young := "update webhook young 0>0 "
	if want := []string{"update webhook old 0>0 ", young, young, young}; !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
}

// zero is the id that is none, as it lies in a row.
func (w *World) zero() any {
	if w.Engine() == "postgres" {
		return hook.NoID.String()
	}
	return hook.NoID[:]
}

// auditOfOperators: a verb is on record if it did something, and only then.
func auditOfOperators(t *testing.T, w *World) {
	ctx := hook.WithActor(t.Context(), hook.Actor{Kind: hook.ActorKey, Code: "ops"})
	target := w.webhook("active")
	event := w.event(w.now, "")
	failed, waits := w.delivery(w.now, event, target, rowFailed), w.delivery(w.now, event, target, rowWaits)
	if _, err := w.RetryDelivery(ctx, w.ws, failed); err != nil {
		t.Fatal(err)
	}
	if err := w.SkipDelivery(ctx, w.ws, waits); err != nil {
		t.Fatal(err)
	}
	if err := w.SkipDelivery(ctx, w.ws, waits); hook.KindOf(err) != hook.KindInvalidState {
		t.Fatalf("skipped twice: %v", err)
	}
	list, _, err := w.AuditLog(ctx, hook.AuditFilter{Scope: hook.AuditOfWorkspace, Workspace: w.ws, Actor: "OPS"}, hook.Page{Limit: 10, Asc: true})
	if err != nil || len(list) != 2 || list[0].Action != hook.AuditRetry || list[0].Resource != failed || list[0].Kind != hook.AuditDelivery ||
		list[1].Action != hook.AuditSkip || list[1].Resource != waits {
		t.Errorf("on record are %+v, %v", list, err)
	}
}
