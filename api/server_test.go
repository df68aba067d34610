package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"sallyport/api"
	"sallyport/api/spec"
	"sallyport/internal/hook"
)

const (
	goodDoor   = `{"name":"ERP Stock","hash":"x{{ secrets.erp }}","secrets":[{"name":"erp","value":"a"}],"routes":[{"action":"book-stock"}]}`
	goodAction = `{"name":"Book stock","type":"httpRequest","config":{"url":"https://erp.example.com/stock"}}`
)

const goodWebhook = `{"name":"ERP orders","url":"https://erp.example.com/hooks","eventTypes":["order.*"]}`

// everyOperation calls each operation of the contract once, well, and yields the
// answers by operationId.
func everyOperation(s *site) []struct{ op, role, method, path, body string } {
	d := s.delivery.ID.String()
	all := []struct{ op, role, method, path, body string }{
		{"GetInfo", "viewer", "GET", "/v1/info", ""},
		{"GetStats", "viewer", "GET", "/v1/stats", ""},
		{"ListWorkspaces", "platform-viewer", "GET", "/v1/workspaces?metadata=a:b&limit=5", ""},
		{"CreateWorkspace", "platform-admin", "POST", "/v1/workspaces", `{"name":"Acme","limits":{"eventsPerSecond":50}}`},
		{"GetWorkspace", "platform-viewer", "GET", "/v1/workspaces/acme", ""},
		{"PutWorkspace", "platform-admin", "PUT", "/v1/workspaces/acme", `{"name":"Acme","retention":"14d"}`},
		{"PatchWorkspace", "platform-admin", "PATCH", "/v1/workspaces/acme", `{"retention":null}`},
		{"DeleteWorkspace", "platform-admin", "DELETE", "/v1/workspaces/acme?confirm=acme", ""},
		{"ListAPIKeys", "admin", "GET", "/v1/api-keys", ""},
		{"CreateAPIKey", "admin", "POST", "/v1/api-keys", `{"name":"Billing","role":"publisher"}`},
		{"GetAPIKey", "admin", "GET", "/v1/api-keys/billing", ""},
		{"PutAPIKey", "admin", "PUT", "/v1/api-keys/billing", `{"name":"Billing","role":"publisher","expiresAt":"2027-01-01T00:00:00Z"}`},
		{"PatchAPIKey", "admin", "PATCH", "/v1/api-keys/billing", `{"name":"B"}`},
		{"DeleteAPIKey", "admin", "DELETE", "/v1/api-keys/billing", ""},
		{"ListEventTypes", "viewer", "GET", "/v1/event-types", ""},
		{"CreateEventType", "admin", "POST", "/v1/event-types", `{"name":"order.paid","schema":{"type":"object"},"sample":{"total":12}}`},
		{"GetEventType", "viewer", "GET", "/v1/event-types/order.paid", ""},
		{"PutEventType", "admin", "PUT", "/v1/event-types/order.paid", `{"description":"","schema":null,"sample":null}`},
		{"PatchEventType", "admin", "PATCH", "/v1/event-types/order.paid", `{"archived":true}`},
		{"DeleteEventType", "admin", "DELETE", "/v1/event-types/order.paid", ""},
		{"PublishEvent", "publisher", "POST", "/v1/events", `{"id":"ord-7-paid","type":"order.paid","entityId":7,"entity":{"total":12}}`},
		{"PublishEvents", "publisher", "POST", "/v1/events/batch", `{"data":[{"type":"order.paid"},{"type":"order paid"}]}`},
		{"ListEvents", "viewer", "GET", "/v1/events?type=order.paid&entityId=7&since=2026-11-21T02:10:00Z&until=2026-11-21T03:16:00+01:00", ""},
		{"GetEvent", "publisher", "GET", "/v1/events/ord-7-paid", ""},
		{"ListEventDeliveries", "viewer", "GET", "/v1/events/ord-7-paid/deliveries?state=failed", ""},
		{"ListEventMatches", "viewer", "GET", "/v1/events/ord-7-paid/matches", ""},
		{"StreamEvents", "viewer", "GET", "/v1/stream?eventTypes=order.*", ""},
		{"ListWebhooks", "viewer", "GET", "/v1/webhooks?metadata=managed-by:billing-ci", ""},
		{"CreateWebhook", "admin", "POST", "/v1/webhooks", strings.Replace(goodWebhook, "{", `{"generateSecret":true,`, 1)},
		{"GetWebhook", "viewer", "GET", "/v1/webhooks/erp-orders", ""},
		{"PutWebhook", "admin", "PUT", "/v1/webhooks/erp-orders?dryRun=true", goodWebhook},
		{"PatchWebhook", "admin", "PATCH", "/v1/webhooks/erp-orders", `{"enabled":false}`},
		{"DeleteWebhook", "admin", "DELETE", "/v1/webhooks/erp-orders", ""},
		{"RotateWebhookSecret", "admin", "POST", "/v1/webhooks/erp-orders/secret/rotate", `{"overlap":"48h"}`},
		{"DeleteWebhookSecret", "admin", "DELETE", "/v1/webhooks/erp-orders/secret", ""},
		{"PauseWebhook", "operator", "POST", "/v1/webhooks/erp-orders/pause", ""},
		{"ResumeWebhook", "operator", "POST", "/v1/webhooks/erp-orders/resume", ""},
		{"TestWebhook", "operator", "POST", "/v1/webhooks/erp-orders/test", `{"eventType":"order.paid"}`},
		{"GetWebhookHealth", "viewer", "GET", "/v1/webhooks/erp-orders/health", ""},
		{"ListWebhookDeliveries", "viewer", "GET", "/v1/webhooks/erp-orders/deliveries?state=failed&state=pending", ""},
		{"ListDeliveries", "viewer", "GET", "/v1/deliveries?webhook=erp-orders&eventId=ord-7-paid&state=held", ""},
		{"GetDelivery", "viewer", "GET", "/v1/deliveries/" + d, ""},
		{"ListReplays", "viewer", "GET", "/v1/replays?state=running&webhook=erp-orders", ""},
		{"CreateReplay", "operator", "POST", "/v1/replays", `{"webhook":"erp-orders"}`},
		{"GetReplay", "viewer", "GET", "/v1/replays/" + d, ""},
		{"PauseReplay", "operator", "POST", "/v1/replays/" + d + "/pause", ""},
		{"ResumeReplay", "operator", "POST", "/v1/replays/" + d + "/resume", ""},
		{"CancelReplay", "operator", "POST", "/v1/replays/" + d + "/cancel", ""},
		{"RetryDelivery", "operator", "POST", "/v1/deliveries/" + d + "/retry", ""},
		{"SkipDelivery", "operator", "POST", "/v1/deliveries/" + d + "/skip", ""},
		{"GetAttemptRequestBody", "viewer", "GET", "/v1/deliveries/" + d + "/attempts/1/request/body", ""},
		{"GetAttemptResponseBody", "viewer", "GET", "/v1/deliveries/" + d + "/attempts/1/response/body", ""},
		{"HoldDispatch", "platform-admin", "POST", "/v1/dispatch/hold", ""},
		{"ReleaseDispatch", "platform-admin", "POST", "/v1/dispatch/release", ""},
		{"RenderTemplate", "operator", "POST", "/v1/templates/render", `{"template":"{{ b }}","context":{"b":1.50,"a":2},"now":"2026-11-21T20:56:59Z","timezone":"Europe/Berlin"}`},
		{"ListIncomingWebhooks", "viewer", "GET", "/v1/incoming-webhooks?metadata=managed-by:billing-ci", ""},
		{"CreateIncomingWebhook", "admin", "POST", "/v1/incoming-webhooks", goodDoor},
		{"GetIncomingWebhook", "viewer", "GET", "/v1/incoming-webhooks/erp-stock", ""},
		{"PutIncomingWebhook", "admin", "PUT", "/v1/incoming-webhooks/erp-stock?dryRun=true", goodDoor},
		{"PatchIncomingWebhook", "admin", "PATCH", "/v1/incoming-webhooks/erp-stock", `{"enabled":false}`},
		{"DeleteIncomingWebhook", "admin", "DELETE", "/v1/incoming-webhooks/erp-stock", ""},
		{"DeleteIncomingWebhookHash", "admin", "DELETE", "/v1/incoming-webhooks/erp-stock/hash", ""},
		{"ListIncomingWebhookRequests", "viewer", "GET", "/v1/incoming-webhooks/erp-stock/requests?verdict=refused&verdict=duplicate&reason=hash_mismatch", ""},
		{"ListActions", "viewer", "GET", "/v1/actions", ""},
		{"CreateAction", "admin", "POST", "/v1/actions", goodAction},
		{"GetAction", "viewer", "GET", "/v1/actions/book-stock", ""},
		{"PutAction", "admin", "PUT", "/v1/actions/book-stock", goodAction},
		{"PatchAction", "admin", "PATCH", "/v1/actions/book-stock", `{"condition":null}`},
		{"DeleteAction", "admin", "DELETE", "/v1/actions/book-stock", ""},
		{"TestAction", "admin", "POST", "/v1/actions/book-stock/test", `{"item":{"sku":"A-7"}}`},
		{"ListActionDeliveries", "viewer", "GET", "/v1/actions/book-stock/deliveries?state=failed", ""},
		{"ListRequests", "viewer", "GET", "/v1/requests?verdict=refused&code=erp-stock&incomingWebhook=erp-stock&since=2026-11-21T02:00:00Z", ""},
		{"GetRequest", "viewer", "GET", "/v1/requests/" + d, ""},
		{"GetRequestBody", "viewer", "GET", "/v1/requests/" + d + "/body", ""},
		{"ReplayRequest", "operator", "POST", "/v1/requests/" + d + "/replay", ""},
		{"VerifyRequest", "operator", "POST", "/v1/requests/" + d + "/verify", ""},
		{"ListPresets", "viewer", "GET", "/v1/presets", ""},
		{"GetPreset", "viewer", "GET", "/v1/presets/github", ""},
		{"ListCollections", "viewer", "GET", "/v1/collections", ""},
		{"ListRecords", "viewer", "GET", "/v1/collections/stock/records?prefix=A-&limit=2", ""},
		{"GetRecord", "viewer", "GET", "/v1/collections/stock/records/A-7", ""},
		{"PutRecord", "admin", "PUT", "/v1/collections/stock/records/A-7", `{"quantity":3}`},
		{"DeleteRecord", "admin", "DELETE", "/v1/collections/stock/records/A-7", ""},
		{"ListAuditLog", "admin", "GET", "/v1/audit-log?kind=webhook&kind=apiKey&resource=erp-orders&action=update&actor=billing-ci&actorKind=apiKey&requestId=" + d + "&since=2026-11-21T02:00:00Z", ""},
		{"GetRoot", "", "GET", "/", ""},
		{"GetHealth", "", "GET", "/healthz", ""},
		{"GetReadiness", "", "GET", "/readyz", ""},
		{"GetMetrics", "", "GET", "/metrics", ""},
		{"GetContractYAML", "", "GET", "/openapi.yaml", ""},
		{"GetContractJSON", "", "GET", "/openapi.json", ""},
		{"GetProvisionSchema", "", "GET", "/schema/provision.json", ""},
		{"GetDocs", "", "GET", "/docs", ""},
		{"GetProblemDocs", "", "GET", "/docs/problems", ""},
		{"GetGuides", "", "GET", "/docs/guides", ""},
		{"PostAtroCoreDoor", "", "POST", "/?entryPoint=webhook&code=erp-sync", "{}"},
	}
	for method, verb := range map[string]string{"GET": "Get", "HEAD": "Head", "POST": "Post", "PUT": "Put", "PATCH": "Patch", "DELETE": "Delete"} {
		for path, noun := range map[string]string{"/w/acme/in/erp-stock?hash=x": "Door", "/api/v1/webhook/erp-stock": "AlumioDoor"} {
			all = append(all, struct{ op, role, method, path, body string }{verb + noun, "", method, path, ""})
		}
	}
	return all
}

func TestEveryOperationAnswersAsTheContractSays(t *testing.T) {
	t.Parallel()
	s := setup(t)
	done := map[string]bool{}
	for _, c := range everyOperation(s) {
		a := s.do(t, c.role, c.method, c.path, c.body)
		if a.StatusCode >= 300 {
			t.Errorf("%s: %d %s", c.op, a.StatusCode, a.body)
		}
		answers := s.validator.Answers()
		if got := answers[len(answers)-1].Operation; got != c.op {
			t.Errorf("%s %s is %s in the contract, not %s", c.method, c.path, got, c.op)
		}
		done[c.op] = true
	}
	for path, item := range spec.Document().Paths.Map() {
		for method, op := range item.Operations() {
			if !done[op.OperationID] {
				t.Errorf("%s (%s %s) is not tried", op.OperationID, method, path)
			}
		}
	}
	once := map[string]bool{"CreateAPIKey": true, "CreateWebhook": true, "RotateWebhookSecret": true}
	// Admins read the hash in these.
	once["CreateIncomingWebhook"], once["PutIncomingWebhook"], once["PatchIncomingWebhook"] = true, true, true
	for _, leak := range s.validator.Leaks([]string{plantedSecret, plantedPassword, plantedHeader, plantedKey, plantedDoor, plantedHidden, plantedHash}, nil) {
		op := regexp.MustCompile(`\((\w+),`).FindStringSubmatch(leak)[1]
		if !once[op] {
			t.Errorf("leaked: %s", leak)
		}
	}
}

func TestCreatedAndReplacedAreToldApart(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, c := range []struct{ path, body string }{
		{"/v1/webhooks/erp-orders", goodWebhook}, {"/v1/workspaces/acme", `{}`}, {"/v1/api-keys/billing", `{"role":"viewer"}`}, {"/v1/event-types/order.paid", `{}`},
		{"/v1/incoming-webhooks/erp-stock", goodDoor}, {"/v1/actions/book-stock", goodAction}, {"/v1/collections/stock/records/A-7", `[]`},
	} {
		s.change = hook.Created
		a := s.do(t, "platform-admin", "PUT", c.path, c.body)
		if a.StatusCode != http.StatusCreated || a.Header.Get("Location") == "" || a.Header.Get("Sallyport-Result") != "created" {
			t.Errorf("created %s: %d %v", c.path, a.StatusCode, a.Header)
		}
		s.change = hook.Unchanged
		a = s.do(t, "platform-admin", "PUT", c.path, c.body)
		if a.StatusCode != http.StatusOK || a.Header.Get("Location") != "" || a.Header.Get("Sallyport-Result") != "unchanged" {
			t.Errorf("unchanged %s: %d %v", c.path, a.StatusCode, a.Header)
		}
	}
	s.change = hook.Updated
	a := s.do(t, "admin", "PUT", "/v1/webhooks/erp-orders", goodWebhook, "If-Match", `"3"`, "If-None-Match", "*")
	if got := a.Header.Get("Sallyport-Changed"); got != "url,secret" {
		t.Errorf("Sallyport-Changed = %q", got)
	}
	if got, want := s.last(t, "PutWebhook").write, (hook.Write{Guard: hook.Guard{IfMatch: `"3"`, IfNoneMatch: "*"}}); got != want {
		t.Errorf("asked with %+v, want %+v", got, want)
	}
	s.do(t, "admin", "PUT", "/v1/webhooks/erp-orders?dryRun=true", goodWebhook)
	if !s.last(t, "PutWebhook").write.DryRun {
		t.Error("dryRun got lost")
	}
}

func TestRolesAsTheTableSays(t *testing.T) {
	t.Parallel()
	s := setup(t)
	// The contract's section 2, written again as letters: X platform, A admin, O operator,
	// P publisher, V viewer. Admins may all, operators what viewers may.
	letters := map[string]string{
		"GetInfo": "AOPV", "GetStats": "AOV", "ListWorkspaces": "X", "CreateWorkspace": "X", "GetWorkspace": "X", "PutWorkspace": "X", "PatchWorkspace": "X", "DeleteWorkspace": "X",
		"ListAPIKeys": "A", "CreateAPIKey": "A", "GetAPIKey": "A", "PutAPIKey": "A", "PatchAPIKey": "A", "DeleteAPIKey": "A",
		"ListEventTypes": "AOV", "CreateEventType": "A", "GetEventType": "AOV", "PutEventType": "A", "PatchEventType": "A", "DeleteEventType": "A",
		"PublishEvent": "AP", "PublishEvents": "AP", "ListEvents": "AOPV", "GetEvent": "AOPV", "ListEventDeliveries": "AOV", "ListEventMatches": "AOV", "StreamEvents": "AOV",
		"ListWebhooks": "AOV", "CreateWebhook": "A", "GetWebhook": "AOV", "PutWebhook": "A", "PatchWebhook": "A", "DeleteWebhook": "A",
		"RotateWebhookSecret": "A", "DeleteWebhookSecret": "A", "PauseWebhook": "AO", "ResumeWebhook": "AO", "TestWebhook": "AO",
		"GetWebhookHealth": "AOV", "ListWebhookDeliveries": "AOV", "ListDeliveries": "AOV", "GetDelivery": "AOV", "RetryDelivery": "AO", "SkipDelivery": "AO",
		"GetAttemptRequestBody": "AOV", "GetAttemptResponseBody": "AOV", "RenderTemplate": "AO", "HoldDispatch": "X", "ReleaseDispatch": "X",
		"ListReplays": "AOV", "CreateReplay": "AO", "GetReplay": "AOV", "PauseReplay": "AO", "ResumeReplay": "AO", "CancelReplay": "AO",
		"ListIncomingWebhooks": "AOV", "CreateIncomingWebhook": "A", "GetIncomingWebhook": "AOV", "PutIncomingWebhook": "A", "PatchIncomingWebhook": "A",
		"DeleteIncomingWebhook": "A", "DeleteIncomingWebhookHash": "A", "ListIncomingWebhookRequests": "AOV",
		"ListActions": "AOV", "CreateAction": "A", "GetAction": "AOV", "PutAction": "A", "PatchAction": "A", "DeleteAction": "A", "TestAction": "A", "ListActionDeliveries": "AOV",
		"ListRequests": "AOV", "GetRequest": "AOV", "GetRequestBody": "AOV", "ReplayRequest": "AO", "VerifyRequest": "AO", "ListPresets": "AOV", "GetPreset": "AOV",
		"ListCollections": "AOV", "ListRecords": "AOV", "GetRecord": "AOV", "PutRecord": "A", "DeleteRecord": "A", "ListAuditLog": "A",
	}
	for _, c := range everyOperation(s) {
		if !strings.HasPrefix(c.path, "/v1") {
			continue
		}
		if a := s.do(t, "", c.method, c.path, c.body); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d", c.op, a.StatusCode)
		}
		for role, letter := range map[string]string{"admin": "A", "operator": "O", "publisher": "P", "viewer": "V"} {
			want := strings.Contains(letters[c.op], letter)
			if a := s.do(t, role, c.method, c.path, c.body); (a.StatusCode != http.StatusForbidden) != want {
				t.Errorf("%s as %s: %d", c.op, role, a.StatusCode)
			}
		}
		if a := s.do(t, "platform-admin", c.method, c.path, c.body); a.StatusCode >= 300 {
			t.Errorf("%s with the platform's key: %d %s", c.op, a.StatusCode, a.body)
		}
	}
}

// The manager tells of every fault of a configuration in one answer: the edge must not
// be first with some of them.
func TestConfigurationIsCheckedByTheManager(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, c := range []struct{ method, path, call string }{
		{"POST", "/v1/workspaces", "CreateWorkspace"}, {"PUT", "/v1/workspaces/acme", "PutWorkspace"}, {"PATCH", "/v1/workspaces/acme", "PatchWorkspace"},
		{"POST", "/v1/api-keys", "CreateAPIKey"}, {"PUT", "/v1/api-keys/billing", "PutAPIKey"}, {"PATCH", "/v1/api-keys/billing", "PatchAPIKey"},
		{"POST", "/v1/event-types", "CreateEventType"}, {"PUT", "/v1/event-types/order.paid", "PutEventType"}, {"PATCH", "/v1/event-types/order.paid", "PatchEventType"},
		{"POST", "/v1/webhooks", "CreateWebhook"}, {"PUT", "/v1/webhooks/erp-orders", "PutWebhook"}, {"PATCH", "/v1/webhooks/erp-orders", "PatchWebhook"},
		{"POST", "/v1/webhooks/erp-orders/secret/rotate", "RotateSecret"}, {"POST", "/v1/webhooks/erp-orders/resume", "ResumeWebhook"},
		{"POST", "/v1/incoming-webhooks", "CreateIncomingWebhook"}, {"PUT", "/v1/incoming-webhooks/erp-stock", "PutIncomingWebhook"}, {"PATCH", "/v1/incoming-webhooks/erp-stock", "PatchIncomingWebhook"},
		{"POST", "/v1/actions", "CreateAction"}, {"PUT", "/v1/actions/book-stock", "PutAction"}, {"PATCH", "/v1/actions/book-stock", "PatchAction"},
	} {
		s.fail[c.call] = hook.Invalid([]hook.Fault{{Field: "name", Code: "invalid_format", Detail: "x"}, {Field: "url", Code: "url_not_allowed", Detail: "x"}})
		for _, body := range []string{`{"name": 7, "nane": null}`, `[]`, `null`} {
			a := s.do(t, "platform-admin", c.method, c.path, body)
			var p struct{ Errors []struct{ Pointer string } }
			if err := json.Unmarshal([]byte(a.body), &p); err != nil {
				t.Fatal(err)
			}
			if a.StatusCode != http.StatusUnprocessableEntity || len(p.Errors) != 2 || p.Errors[0].Pointer != "/name" || p.Errors[1].Pointer != "/url" {
				t.Errorf("%s %s: %d %s", c.method, c.path, a.StatusCode, a.body)
			}
			if got := s.last(t, c.call).doc; got != body {
				t.Errorf("%s was given %s, not %s", c.call, got, body)
			}
		}
	}
}

func TestWhatWasReadCanBeWrittenBack(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for path, schema := range map[string]string{
		"/v1/webhooks/erp-orders": "WebhookInput", "/v1/workspaces/acme": "WorkspaceInput", "/v1/api-keys/billing": "APIKeyInput", "/v1/event-types/order.paid": "EventTypeInput",
		"/v1/incoming-webhooks/erp-stock": "IncomingWebhookInput", "/v1/actions/book-stock": "ActionInput",
	} {
		var read any
		if err := json.Unmarshal([]byte(s.do(t, "platform-admin", "GET", path, "").body), &read); err != nil {
			t.Fatal(err)
		}
		if err := spec.Document().Components.Schemas[schema].Value.VisitJSON(read); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestPreconditionsOnReading(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for path, tag := range map[string]string{"/v1/webhooks/erp-orders": `"3"`, "/v1/workspaces/acme": `"3"`, "/v1/api-keys/billing": `"1"`, "/v1/event-types/order.paid": `"2"`} {
		if a := s.do(t, "platform-admin", "GET", path, ""); a.Header.Get("ETag") != tag {
			t.Errorf("%s: ETag %q, want %q", path, a.Header.Get("ETag"), tag)
		}
		for _, header := range []string{tag, "W/" + tag, `"99", ` + tag, "*"} {
			if a := s.do(t, "platform-admin", "GET", path, "", "If-None-Match", header); a.StatusCode != http.StatusNotModified || a.Header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d", path, header, a.StatusCode)
			}
		}
		if a := s.do(t, "platform-admin", "GET", path, "", "If-None-Match", `"99"`); a.StatusCode != http.StatusOK {
			t.Errorf("%s with another tag: %d", path, a.StatusCode)
		}
	}
}

func TestCursorsBelongToTheirFilters(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.more = true
	page := func(path string) (cursor string) {
		a := s.do(t, "viewer", "GET", path, "")
		var list struct{ NextCursor string }
		if err := json.Unmarshal([]byte(a.body), &list); err != nil {
			t.Fatal(err)
		}
		return list.NextCursor
	}
	cursor := page("/v1/deliveries?state=failed&state=pending&limit=1")
	if a := s.do(t, "viewer", "GET", "/v1/deliveries?limit=7&cursor="+cursor+"&state=pending&state=failed", ""); a.StatusCode != http.StatusOK {
		t.Errorf("the same filters in another order, another limit: %s", a.body)
	}
	if got, want := s.last(t, "Deliveries").page, (hook.Page{Limit: 7, After: s.delivery.ID}); got != want {
		t.Errorf("page = %+v, want %+v", got, want)
	}
	for _, path := range []string{"/v1/deliveries?state=failed", "/v1/deliveries?state=failed&state=pending&order=asc", "/v1/events?type=a", "/v1/webhooks/erp-orders/deliveries?state=failed&state=pending"} {
		if a := s.do(t, "viewer", "GET", path+"&cursor="+cursor, ""); !strings.Contains(a.body, "invalid_cursor") {
			t.Errorf("%s took it: %d", path, a.StatusCode)
		}
	}
	s.more = false
	if got := page("/v1/deliveries"); got != "" {
		t.Errorf("at the end the cursor is %q", got)
	}
}

func TestFiltersReachTheHistory(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.do(t, "publisher", "GET", "/v1/events?id=a&id=b&type=t&entityId=7&since=2026-11-21T02:10:00+01:00&until=2026-11-21T02:16:00Z&order=asc", "")
	f := s.last(t, "Events")
	if got := fmt.Sprint(f.events.IDs, f.events.Types, f.events.EntityIDs, f.events.Since.UTC(), f.events.Until.UTC(), f.page); got !=
		"[a b] [t] [7] 2026-11-21 01:10:00 +0000 UTC 2026-11-21 02:16:00 +0000 UTC {100 00000000-0000-0000-0000-000000000000 true}" {
		t.Error(got)
	}
	if f.events.SourceID != s.keys["publisher"].Key || f.events.Workspace != s.workspace.ID {
		t.Errorf("a publisher searched events of %v in %v", f.events.SourceID, f.events.Workspace)
	}
	s.do(t, "viewer", "GET", "/v1/events", "")
	if f := s.last(t, "Events"); f.events.SourceID != hook.NoID {
		t.Error("a viewer sees only a part")
	}
	s.event.Source.ID = hook.NoID
	if a := s.do(t, "publisher", "GET", "/v1/events/ord-7-paid", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("a publisher read somebody else's event: %d", a.StatusCode)
	}
}

func TestIdempotencyKeyRunsOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	body := strings.Replace(goodWebhook, "{", `{"generateSecret":true,`, 1)
	first := s.do(t, "admin", "POST", "/v1/webhooks", body, "Idempotency-Key", "a b/c")
	again := s.do(t, "admin", "POST", "/v1/webhooks", body, "Idempotency-Key", "a b/c")
	if first.StatusCode != http.StatusCreated || again.StatusCode != http.StatusCreated || first.body != again.body || !strings.Contains(again.body, plantedSecret) {
		t.Errorf("first %d %s\nagain %d %s", first.StatusCode, first.body, again.StatusCode, again.body)
	}
	if first.Header.Get("Idempotent-Replayed") != "" || again.Header.Get("Idempotent-Replayed") != "true" || again.Header.Get("Location") != first.Header.Get("Location") || again.Header.Get("ETag") != first.Header.Get("ETag") {
		t.Errorf("headers of the replay: %v", again.Header)
	}
	if n := s.count("CreateWebhook"); n != 1 {
		t.Errorf("created %d times", n)
	}
	if a := s.do(t, "admin", "POST", "/v1/webhooks", goodWebhook, "Idempotency-Key", "a b/c"); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "idempotency_key_reused") {
		t.Errorf("another body: %d %s", a.StatusCode, a.body)
	}

	s.fail["CreateWebhook"] = hook.Errorf(hook.KindUnavailable, "x")
	if a := s.do(t, "admin", "POST", "/v1/webhooks", goodWebhook, "Idempotency-Key", "d"); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d", a.StatusCode)
	}
	delete(s.fail, "CreateWebhook")
	if a := s.do(t, "admin", "POST", "/v1/webhooks", goodWebhook, "Idempotency-Key", "d"); a.StatusCode != http.StatusCreated || a.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("a 503 was kept: %d", a.StatusCode)
	}

	for scope := range s.stored {
		s.stored[scope].answer = nil // as if it still ran
	}
	if a := s.do(t, "admin", "POST", "/v1/webhooks", goodWebhook, "Idempotency-Key", "d"); a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "idempotency_in_progress") {
		t.Errorf("while the first runs: %d %s", a.StatusCode, a.body)
	}
	if a := s.do(t, "platform-admin", "POST", "/v1/webhooks", goodWebhook, "Idempotency-Key", "d"); a.StatusCode != http.StatusCreated {
		t.Errorf("another key's call with the same Idempotency-Key: %d", a.StatusCode)
	}
}

func TestViewersSeeNoCredentialInURLs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, path := range []string{"/v1/webhooks/erp-orders", "/v1/webhooks", "/v1/deliveries/" + s.delivery.ID.String()} {
		if a := s.do(t, "viewer", "GET", path, ""); strings.Contains(a.body, "token=abc") || !strings.Contains(a.body, "https://erp.example.com/[redacted]?token=[redacted]") {
			t.Errorf("a viewer reads %s: %s", path, a.body)
		}
		if a := s.do(t, "operator", "GET", path, ""); !strings.Contains(a.body, "token=abc") {
			t.Errorf("an operator reads %s: %s", path, a.body)
		}
	}
}

func TestEventsShowTheirBytes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "viewer", "GET", "/v1/events/ord-7-paid", "")
	for _, want := range []string{`"entity":{ "total" : 12.50, "b":"<&>" }}`, `"entityId":12345678901234567890`, `"timestamp":"2026-11-21T01:13:00.207Z"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%s has no %s", a.body, want)
		}
	}
}

func TestRawBodiesAreAttachments(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "viewer", "GET", "/v1/deliveries/"+s.delivery.ID.String()+"/attempts/1/response/body", "")
	if a.body != "\xff\xfe" || a.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") || a.Header.Get("Sallyport-Body-Truncated") != "true" {
		t.Errorf("%q %v", a.body, a.Header)
	}
}

func TestPatchTakesBothContentTypes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, media := range []string{"application/merge-patch+json", "application/json", "Application/JSON; charset=utf-8", ""} {
		a := s.do(t, "admin", "PATCH", "/v1/webhooks/erp-orders", `{"filter":null,"enabled":false}`, "Content-Type", media)
		if a.StatusCode != http.StatusOK || s.last(t, "PatchWebhook").doc != `{"filter":null,"enabled":false}` {
			t.Errorf("%q: %d %s", media, a.StatusCode, a.body)
		}
	}
	if a := s.do(t, "admin", "PUT", "/v1/webhooks/erp-orders", goodWebhook, "Content-Type", "application/merge-patch+json"); a.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a patch as PUT: %d", a.StatusCode)
	}
}

func TestHistoryOfADeletedWebhook(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.fail["GetWebhook"] = hook.NotFound("webhook", "x")
	id := s.webhook.ID.String()
	if a := s.do(t, "viewer", "GET", "/v1/webhooks/"+id+"/deliveries", ""); a.StatusCode != http.StatusOK {
		t.Errorf("by id: %d", a.StatusCode)
	}
	if a := s.do(t, "viewer", "GET", "/v1/deliveries?webhook="+id, ""); a.StatusCode != http.StatusOK {
		t.Errorf("searched by id: %d", a.StatusCode)
	}
	if a := s.do(t, "viewer", "GET", "/v1/webhooks/erp-orders/deliveries", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("by code: %d", a.StatusCode)
	}
	a := s.do(t, "viewer", "GET", "/v1/deliveries/"+s.delivery.ID.String(), "")
	if a.StatusCode != http.StatusOK || strings.Contains(a.body, "token=abc") {
		t.Errorf("whether its URL was a credential nobody knows any more: %d %s", a.StatusCode, a.body)
	}
}

func TestBasePathOfAProxy(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *api.Options) { o.BaseURL = "https://example.com/hooks/" })
	a := s.do(t, "admin", "POST", "/v1/webhooks", goodWebhook)
	if got, want := a.Header.Get("Location"), "/hooks/v1/webhooks/"+s.webhook.ID.String(); got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	a = s.do(t, "", "GET", "/docs", "")
	if !strings.Contains(a.body, `spec-url="/hooks/openapi.yaml"`) {
		t.Error("the reference does not find the contract")
	}
	if a = s.do(t, "", "GET", "/docs/", ""); a.StatusCode != http.StatusMovedPermanently || a.Header.Get("Location") != "/hooks/docs" {
		t.Errorf("with a slash at its end: %d %q", a.StatusCode, a.Header.Get("Location"))
	}
	a = s.do(t, "admin", "GET", "/v1/info", "")
	if !strings.Contains(a.body, `"baseUrl":"https://example.com/hooks/w/acme"`) {
		t.Error(a.body)
	}
}

// What a template sees must come as it was sent: the order of keys and the digits count.
func TestTemplatesGetTheirContextAsItCame(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.do(t, "operator", "POST", "/v1/templates/render", `{"template":"t","context":{"b":1.50,"a":{"z":1,"y":2}},"now":"2026-11-21T21:56:59+01:00","timezone":"Asia/Tokyo"}`)
	if got := s.last(t, "Render"); got.ref != "Asia/Tokyo" || got.doc != `t {"b":1.50,"a":{"z":1,"y":2}} 2026-11-21T20:56:59Z` {
		t.Errorf("rendered %q in %q", got.doc, got.ref)
	}
	s.do(t, "operator", "POST", "/v1/templates/render", `{"template":"t"}`)
	if got := s.last(t, "Render"); got.ref != "UTC" || !strings.HasPrefix(got.doc, "t  20") {
		t.Errorf("rendered %q in %q without more", got.doc, got.ref)
	}
	s.fail["Render"] = &hook.Error{Kind: hook.KindTemplateSyntax, Line: 2, Column: 7}
	if a := s.do(t, "operator", "POST", "/v1/templates/render", `{"template":"t"}`); !strings.Contains(a.body, `"line":2,"column":7`) {
		t.Errorf("the place is missing: %s", a.body)
	}
}
