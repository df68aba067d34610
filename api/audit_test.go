package api_test

import (
	"context"
	"net/http"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// AuditLog has one row of a call and one of what the installation did by itself.
func (w *world) AuditLog(_ context.Context, f hook.AuditFilter, p hook.Page) ([]*hook.AuditEntry, bool, error) {
	byKey := &hook.AuditEntry{
		ID: w.ids.New(), Workspace: w.workspace.ID, WorkspaceCode: "acme", Action: hook.AuditUpdate, Kind: hook.AuditWebhook, Resource: w.webhook.ID,
		Code: "erp-orders", Name: "ERP orders", VersionBefore: 1, VersionAfter: 2,
		Actor: hook.Actor{
			Kind: hook.ActorKey, Key: w.apiKey.ID, Code: "billing-ci", Name: "Billing CI", Role: hook.RoleAdmin, ClientAddress: "203.0.113.9", RequestID: w.ids.New(),
		},
		AuditDescription: hook.AuditDescription{Changed: []string{"url"}, Before: []byte(`{"url":"https://a.example"}`), After: []byte(`{"url":"https://b.example"}`)},
	}
	byItself := &hook.AuditEntry{ID: w.ids.New(), Action: hook.AuditDelete, Kind: hook.AuditWorkspace, Code: "acme", Actor: hook.Actor{Kind: hook.ActorSystem}, VersionBefore: 3}
	return []*hook.AuditEntry{byKey, byItself}, w.more, w.ask(asked{method: "AuditLog", audit: f, page: p})
}

func TestAuditLogShowsWhoDidWhat(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "admin", "GET", "/v1/audit-log", "")
	rows, _ := in(t, a.body, "data").([]any)
	if len(rows) != 2 {
		t.Fatalf("%s", a.body)
	}
	row := rows[0].(map[string]any)
	for name, want := range map[string]any{
		"action": "update", "clientAddress": "203.0.113.9", "changed": []any{"url"}, "versionBefore": 1.0, "versionAfter": 2.0,
		"before": map[string]any{"url": "https://a.example"}, "after": map[string]any{"url": "https://b.example"},
		"workspace": map[string]any{"id": s.workspace.ID.String(), "code": "acme"},
		"actor":     map[string]any{"kind": "apiKey", "id": s.apiKey.ID.String(), "code": "billing-ci", "name": "Billing CI", "role": "admin", "command": nil},
		"resource":  map[string]any{"kind": "webhook", "id": s.webhook.ID.String(), "code": "erp-orders", "name": "ERP orders"},
	} {
		if !reflect.DeepEqual(row[name], want) {
			t.Errorf("%s = %v, want %v", name, row[name], want)
		}
	}
	row = rows[1].(map[string]any)
	for name, want := range map[string]any{
		"action": "delete", "clientAddress": nil, "requestId": nil, "changed": []any{}, "versionBefore": 3.0, "versionAfter": nil, "before": nil, "after": nil, "workspace": nil,
		"actor": map[string]any{"kind": "system", "id": nil, "code": nil, "name": nil, "role": nil, "command": nil},
	} {
		if !reflect.DeepEqual(row[name], want) {
			t.Errorf("%s = %v, want %v", name, row[name], want)
		}
	}
}

func TestAuditLogFilters(t *testing.T) {
	t.Parallel()
	s := setup(t)
	request := s.ids.New()
	ask := func(role, query string) hook.AuditFilter {
		t.Helper()
		if a := s.do(t, role, "GET", "/v1/audit-log"+query, ""); a.StatusCode != http.StatusOK {
			t.Fatalf("%s as %s: %s", query, role, a.body)
		}
		return s.last(t, "AuditLog").audit
	}
	got := ask("admin", "?kind=webhook&kind=record&resource=stock/A-7&action=retry&actor=ops&actorKind=cli&requestId="+request.String()+"&since=2026-11-21T02:00:00Z&until=2026-11-22T02:00:00Z")
	want := hook.AuditFilter{
		Scope: hook.AuditOfWorkspace, Workspace: s.workspace.ID, Kinds: []hook.AuditKind{hook.AuditWebhook, hook.AuditRecord}, Actions: []hook.AuditAction{hook.AuditRetry},
		ActorKinds: []hook.ActorKind{hook.ActorCLI}, Resource: "stock/A-7", Actor: "ops", RequestID: request,
		Since: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("asked %+v, want %+v", got, want)
	}
	for query, want := range map[string]hook.AuditScope{
		"": hook.AuditOfBoth, "?scope=workspace": hook.AuditOfWorkspace, "?scope=installation": hook.AuditOfInstallation,
		"?scope=both": hook.AuditOfBoth, "?scope=all": hook.AuditOfAllWorkspaces,
	} {
		if got := ask("platform-admin", query).Scope; got != want {
			t.Errorf("a platform key with %q asks for %s, want %s", query, got, want)
		}
		if a := s.do(t, "admin", "GET", "/v1/audit-log"+query, ""); (a.StatusCode == http.StatusOK) != (query == "" || want == hook.AuditOfWorkspace) {
			t.Errorf("a key of a workspace with %q: %d %s", query, a.StatusCode, a.body)
		}
	}
	for _, query := range []string{"?kind=webhooks", "?action=updated", "?scope=mine", "?resource=", "?requestId=7", "?actors=x"} {
		if a := s.do(t, "admin", "GET", "/v1/audit-log"+query, ""); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", query, a.StatusCode)
		}
	}
	for _, role := range []string{"operator", "viewer", "publisher", "platform-viewer"} {
		if a := s.do(t, role, "GET", "/v1/audit-log", ""); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", role, a.StatusCode)
		}
	}
}

// What a call changes is on record under its key, its address and its id.
func TestCallsActAsTheirKeys(t *testing.T) {
	t.Parallel()
	s := setup(t)
	p := s.keys["operator"]
	p.KeyCode, p.KeyName = "ops", "Operations"
	s.keys["operator"] = p
	a := s.do(t, "operator", "POST", "/v1/webhooks/erp-orders/pause", "")
	id, err := hook.ParseID(a.Header.Get("X-Request-Id"))
	if err != nil {
		t.Fatal(err)
	}
	want := hook.Actor{Kind: hook.ActorKey, Key: p.Key, Code: "ops", Name: "Operations", Role: hook.RoleOperator, ClientAddress: "127.0.0.1", RequestID: id}
	if got := s.last(t, "PauseWebhook").actor; got != want {
		t.Errorf("the actor is %+v, want %+v", got, want)
	}
}
