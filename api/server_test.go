package api_test

import (
	"context"
	"encoding/json"
	"errors"
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

// refusals has a call for every problem code that the built paths can answer, but for
// internal, which has a test of its own.
var refusals = []struct {
	why, role, method, path, body string
	headers                       []string
	fail                          string // method of the world
	err                           error
	status                        int
	code                          hook.Kind
	field                         string
}{
	{why: "broken JSON", role: "admin", method: "POST", path: "/v1/webhooks", body: `{"url":`, status: 400, code: "malformed_json"},
	{why: "no body", role: "admin", method: "POST", path: "/v1/webhooks", status: 400, code: "malformed_json"},
	{why: "not UTF-8", role: "admin", method: "POST", path: "/v1/webhooks", body: "{\"url\":\"\xff\"}", status: 400, code: "malformed_json"},
	{why: "a key twice", role: "admin", method: "POST", path: "/v1/webhooks", body: `{"url":"https://a.example","retry":{"jitter":0,"jitter":1}}`, status: 400, code: "duplicate_key", field: "retry.jitter"},
	{why: "a mistyped parameter", role: "viewer", method: "GET", path: "/v1/deliveries?stat=failed", status: 400, code: "unknown_parameter", field: "stat"},
	{why: "a parameter on publish", role: "publisher", method: "POST", path: "/v1/events?dryRun=true", body: `{"type":"a"}`, status: 400, code: "unknown_parameter", field: "dryRun"},
	{why: "a limit too large", role: "viewer", method: "GET", path: "/v1/events?limit=501", status: 400, code: "invalid_parameter", field: "limit"},
	{why: "a limit that is no number", role: "viewer", method: "GET", path: "/v1/events?limit=1e2", status: 400, code: "invalid_parameter", field: "limit"},
	{why: "an order that is none", role: "viewer", method: "GET", path: "/v1/events?order=up", status: 400, code: "invalid_parameter", field: "order"},
	{why: "a state that is none", role: "viewer", method: "GET", path: "/v1/deliveries?state=failed&state=lost", status: 400, code: "invalid_parameter", field: "state"},
	{why: "a time that is none", role: "viewer", method: "GET", path: "/v1/events?since=yesterday", status: 400, code: "invalid_parameter", field: "since"},
	{why: "a limit twice", role: "viewer", method: "GET", path: "/v1/events?limit=1&limit=2", status: 400, code: "invalid_parameter", field: "limit"},
	{why: "metadata without a colon", role: "viewer", method: "GET", path: "/v1/webhooks?metadata=billing", status: 400, code: "invalid_parameter", field: "metadata"},
	{why: "a query that is broken", role: "viewer", method: "GET", path: "/v1/events?type=a;b", status: 400, code: "invalid_parameter"},
	{why: "no confirmation", role: "platform-admin", method: "DELETE", path: "/v1/workspaces/acme", status: 400, code: "invalid_parameter", field: "confirm"},
	{why: "an id that is none, as a parameter", role: "admin", method: "DELETE", path: "/v1/webhooks/a/secret?id=7", status: 400, code: "invalid_parameter", field: "id"},
	{why: "an Idempotency-Key that is too long", role: "admin", method: "POST", path: "/v1/webhooks", body: goodWebhook, headers: []string{"Idempotency-Key", strings.Repeat("x", 256)}, status: 400, code: "invalid_parameter", field: "Idempotency-Key"},
	{why: "an Idempotency-Key that cannot be an id", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, headers: []string{"Idempotency-Key", "a.b"}, status: 400, code: "invalid_parameter", field: "Idempotency-Key"},
	{why: "an Idempotency-Key that is not the id", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a","id":"x"}`, headers: []string{"Idempotency-Key", "y"}, status: 400, code: "invalid_parameter", field: "Idempotency-Key"},
	{why: "a cursor of somebody else", role: "viewer", method: "GET", path: "/v1/events?cursor=AAAA", status: 400, code: "invalid_cursor", field: "cursor"},
	{why: "a cursor that is too old", role: "viewer", method: "GET", path: "/v1/stream", fail: "Open", err: hook.Errorf(hook.KindCursorExpired, "x"), status: 410, code: "cursor_expired"},
	{why: "no key", method: "GET", path: "/v1/info", status: 401, code: "unauthorized"},
	{why: "a key that does not exist", role: "nobody", method: "GET", path: "/v1/info", status: 401, code: "unauthorized"},
	{why: "another scheme", role: "admin", method: "GET", path: "/v1/info", headers: []string{"Authorization", "Basic YWRtaW46"}, status: 401, code: "unauthorized"},
	{why: "no key on publish", method: "POST", path: "/v1/events", body: `{"type":"a"}`, status: 401, code: "unauthorized"},
	{why: "an expired key", role: "admin", method: "GET", path: "/v1/info", fail: "Authenticate", err: hook.Errorf(hook.KindKeyExpired, "it expired"), status: 401, code: "key_expired"},
	{why: "a role that may not", role: "viewer", method: "POST", path: "/v1/webhooks", body: goodWebhook, status: 403, code: "forbidden"},
	{why: "a role that may not publish", role: "viewer", method: "POST", path: "/v1/events", body: `{"type":"a"}`, status: 403, code: "forbidden"},
	{why: "another workspace", role: "admin", method: "GET", path: "/v1/webhooks", headers: []string{"Sallyport-Workspace", "other"}, status: 403, code: "workspace_forbidden"},
	{why: "a webhook that is not there", role: "viewer", method: "GET", path: "/v1/webhooks/nobody", fail: "GetWebhook", err: hook.NotFound("webhook", "nobody"), status: 404, code: "not_found"},
	{why: "a path that is not there", role: "viewer", method: "GET", path: "/v2/webhooks", status: 404, code: "not_found"},
	{why: "a delivery that cannot be", role: "viewer", method: "GET", path: "/v1/deliveries/7", status: 404, code: "not_found"},
	{why: "a method that does not work", role: "admin", method: "PATCH", path: "/v1/webhooks", body: `{}`, status: 405, code: "method_not_allowed"},
	{why: "a code that is taken", role: "admin", method: "POST", path: "/v1/webhooks", body: goodWebhook, fail: "CreateWebhook", err: &hook.Error{Kind: hook.KindCodeTaken, Owner: "019a"}, status: 409, code: "code_taken"},
	{why: "a name that is taken", role: "admin", method: "POST", path: "/v1/webhooks", body: goodWebhook, fail: "CreateWebhook", err: &hook.Error{Kind: hook.KindNameTaken, Owner: "019a"}, status: 409, code: "name_taken"},
	{why: "an id used again", role: "publisher", method: "POST", path: "/v1/events", body: `{"id":"x","type":"a"}`, fail: "Publish", err: hook.Errorf(hook.KindEventIDReused, "x"), status: 409, code: "event_id_reused"},
	{why: "a delivery on its way", role: "operator", method: "POST", path: "/v1/deliveries/019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a/retry", fail: "Retry", err: hook.Errorf(hook.KindDeliveryRunning, "x"), status: 409, code: "delivery_running"},
	{why: "a delivery that is done", role: "operator", method: "POST", path: "/v1/deliveries/019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a/skip", fail: "Skip", err: hook.Errorf(hook.KindInvalidState, "x"), status: 409, code: "invalid_state"},
	{why: "a type somebody needs", role: "admin", method: "DELETE", path: "/v1/event-types/order.paid", fail: "DeleteEventType", err: &hook.Error{Kind: hook.KindInUse, UsedBy: []string{"webhooks/erp-orders"}}, status: 409, code: "in_use"},
	{why: "another version", role: "admin", method: "DELETE", path: "/v1/webhooks/erp-orders", headers: []string{"If-Match", `"2"`}, fail: "DeleteWebhook", err: hook.Errorf(hook.KindPrecondition, "x"), status: 412, code: "precondition_failed"},
	{why: "a body too large", role: "admin", method: "POST", path: "/v1/webhooks", body: `{"description":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413, code: "payload_too_large"},
	{why: "an event too large", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a","entity":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413, code: "payload_too_large"},
	{why: "too many items", role: "publisher", method: "POST", path: "/v1/events/batch", body: `{"data":[` + strings.Repeat(`{"type":"a"},`, 1000) + `{"type":"a"}]}`, status: 413, code: "too_many_items"},
	{why: "curl -d", role: "admin", method: "POST", path: "/v1/webhooks", body: goodWebhook, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, code: "unsupported_media_type", field: "Content-Type"},
	{why: "curl -d on publish", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, code: "unsupported_media_type", field: "Content-Type"},
	{why: "a compressed body", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, headers: []string{"Content-Encoding", "gzip"}, status: 415, code: "unsupported_encoding"},
	{why: "a field of a test that is none", role: "operator", method: "POST", path: "/v1/webhooks/erp-orders/test", body: `{"eventType":"order paid"}`, status: 422, code: "validation_failed", field: "eventType"},
	{why: "faults of a configuration", role: "admin", method: "POST", path: "/v1/webhooks", body: goodWebhook, fail: "CreateWebhook", err: hook.Invalid([]hook.Fault{{Field: "retry.schedule[2]", Code: "invalid_duration", Detail: "x"}}), status: 422, code: "validation_failed", field: "retry.schedule[2]"},
	{why: "an entity that breaks its schema", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, fail: "Publish", err: hook.Errorf(hook.KindSchemaMismatch, "x"), status: 422, code: "schema_mismatch"},
	{why: "a template that cannot be read", role: "operator", method: "POST", path: "/v1/templates/render", body: `{"template":"{{"}`, fail: "Render", err: &hook.Error{Kind: hook.KindTemplateSyntax, Field: "template", Line: 1, Column: 3}, status: 422, code: "template_syntax", field: "template"},
	{why: "a template that fails", role: "operator", method: "POST", path: "/v1/templates/render", body: `{"template":"{{ 1/0 }}"}`, fail: "Render", err: hook.Errorf(hook.KindTemplateRuntime, "x"), status: 422, code: "template_runtime"},
	{why: "a template that takes too long", role: "operator", method: "POST", path: "/v1/templates/render", body: `{"template":"x"}`, fail: "Render", err: hook.Errorf(hook.KindTemplateLimit, "x"), status: 422, code: "template_limit"},
	{why: "no template", role: "operator", method: "POST", path: "/v1/templates/render", body: `{"context":{}}`, status: 422, code: "validation_failed", field: "template"},
	{why: "a context that is none", role: "operator", method: "POST", path: "/v1/templates/render", body: `{"template":"x","context":[1]}`, status: 422, code: "validation_failed", field: "context"},
	{why: "a call that would be refused again", role: "operator", method: "POST", path: "/v1/requests/019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a/replay", fail: "Replay", err: hook.Errorf(hook.KindInvalidState, "x"), status: 409, code: "invalid_state"},
	{why: "an action that a door needs", role: "admin", method: "DELETE", path: "/v1/actions/book-stock", fail: "DeleteAction", err: &hook.Error{Kind: hook.KindInUse, UsedBy: []string{"x"}}, status: 409, code: "in_use"},
	{why: "a variable that is none", role: "admin", method: "POST", path: "/v1/actions/book-stock/test", body: `{"event":7}`, status: 422, code: "validation_failed", field: "event"},
	{why: "a preset that is not there", role: "viewer", method: "GET", path: "/v1/presets/gitbub", status: 404, code: "not_found"},
	{why: "a verdict that is none", role: "viewer", method: "GET", path: "/v1/requests?verdict=maybe", status: 400, code: "invalid_parameter", field: "verdict"},
	{why: "a mistyped filter of calls", role: "viewer", method: "GET", path: "/v1/requests?verdikt=refused", status: 400, code: "unknown_parameter", field: "verdikt"},
	{why: "a record that is not there", role: "viewer", method: "GET", path: "/v1/collections/stock/records/nobody", status: 404, code: "not_found"},
	{why: "a document that is not JSON", role: "admin", method: "PUT", path: "/v1/collections/stock/records/A-7", body: `{`, status: 400, code: "malformed_json"},
	{why: "a cursor of other records", role: "viewer", method: "GET", path: "/v1/collections/stock/records?cursor=AAAAAAAAAAAA", status: 400, code: "invalid_cursor", field: "cursor"},
	{why: "too fast", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, fail: "Publish", err: hook.Errorf(hook.KindRateLimited, "x"), status: 429, code: "rate_limited"},
	{why: "no database", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, fail: "Publish", err: hook.Errorf(hook.KindUnavailable, "x"), status: 503, code: "unavailable"},
	{why: "a full queue", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, fail: "Publish", err: hook.Errorf(hook.KindQueueFull, "x"), status: 503, code: "queue_full"},
	{why: "stopping", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, fail: "Publish", err: hook.Errorf(hook.KindShuttingDown, "x"), status: 503, code: "shutting_down"},
	{why: "a full disk", role: "publisher", method: "POST", path: "/v1/events", body: `{"type":"a"}`, fail: "Publish", err: hook.Errorf(hook.KindStorageFull, "x"), status: 503, code: "storage_full"},
}

// doorProblems are the statuses of what only doors say; the edge has one table for all.
var doorProblems = map[hook.Kind]int{
	"malformed_body": 400, "credentials_refused": 401, "ip_not_allowed": 403, "hash_missing": 403, "hash_mismatch": 403, "signature_missing": 403,
	"signature_mismatch": 403, "signature_expired": 403, "pre_processor_refused": 403, "duplicate_refused": 403, "loop_detected": 403,
	"body_timeout": 408, "action_failed": 502,
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	seen := map[hook.Kind]bool{hook.KindInternal: true, hook.KindIdempotencyReused: true, hook.KindIdempotencyBusy: true} // in tests below
	for _, c := range refusals {
		seen[c.code] = true
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			if c.fail != "" {
				s.fail[c.fail] = c.err
			}
			a := s.do(t, c.role, c.method, c.path, c.body, c.headers...)
			var p struct {
				Type, Code, Field, Detail string
			}
			if err := json.Unmarshal([]byte(a.body), &p); err != nil {
				t.Fatalf("%v: %s", err, a.body)
			}
			if a.StatusCode != c.status || p.Code != string(c.code) || p.Field != c.field {
				t.Errorf("got %d %s of %q, want %d %s of %q\n%s", a.StatusCode, p.Code, p.Field, c.status, c.code, c.field, a.body)
			}
			if want := "https://hooks.example.com/docs/problems#" + p.Code; p.Type != want {
				t.Errorf("type = %q, want %q", p.Type, want)
			}
		})
	}
	for kind, status := range doorProblems {
		seen[kind] = true
		s := setup(t)
		s.fail["Replay"] = hook.Errorf(kind, "x")
		a := s.do(t, "operator", "POST", "/v1/requests/019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a/replay", "")
		if a.StatusCode != status || !strings.Contains(a.body, `"code":"`+string(kind)+`"`) {
			t.Errorf("%s: %d %s", kind, a.StatusCode, a.body)
		}
	}
	for _, p := range api.Problems() {
		if !seen[p.Code] {
			t.Errorf("no test brings about %s", p.Code)
		}
	}
}

func TestInternalErrorsTellNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.fail["GetWebhook"] = errors.New("pq: relation planted does not exist")
	a := s.do(t, "viewer", "GET", "/v1/webhooks/erp-orders", "")
	if a.StatusCode != http.StatusInternalServerError || strings.Contains(a.body, "planted") || !strings.Contains(a.body, `"internal"`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	s.publish = func([]hook.NewEvent) ([]hook.Receipt, error) { panic("planted") }
	a = s.do(t, "publisher", "POST", "/v1/events", `{"type":"a"}`)
	if a.StatusCode != http.StatusInternalServerError || strings.Contains(a.body, "planted") {
		t.Errorf("after a panic: %d %s", a.StatusCode, a.body)
	}
}

func TestAdviceThatHelps(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, c := range []struct{ method, path, body, contentType, want string }{
		{"GET", "/v1/deliveries?stat=failed", "", "", "did you mean state?"},
		{"POST", "/v1/webhooks", goodWebhook, "application/x-www-form-urlencoded", "curl: --json"},
		{"POST", "/v1/webhooks/erp-orders/test", `{"eventTyp":"a"}`, "", "did you mean eventType?"},
		{"PATCH", "/v1/workspaces", "{}", "", "Allow lists"},
		{"POST", "/v1/events", `{"typ":"a"}`, "", "did you mean type?"},
	} {
		if a := s.do(t, "platform-admin", c.method, c.path, c.body, "Content-Type", c.contentType); !strings.Contains(a.body, c.want) {
			t.Errorf("%s %s: %s does not say %s", c.method, c.path, a.body, c.want)
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

func TestPublicListenerServesNoAPI(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s, err := api.New(api.Options{}, api.Services{Gate: w})
	if err != nil {
		t.Fatal(err)
	}
	if a := setup(t).do(t, "", "HEAD", "/readyz", ""); a.StatusCode != http.StatusOK || a.Header.Get("X-Request-Id") == "" {
		t.Errorf("HEAD /readyz: %d", a.StatusCode)
	}
	for path, want := range map[string]int{"/healthz": 200, "/v1/info": 404, "/metrics": 404, "/docs": 404} {
		if got := get(t, s.Public(), path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestMetricsAreNotForEverybody(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if a := s.do(t, "", "GET", "/metrics", "", "X-Forwarded-For", "203.0.113.9"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("through a proxy, without a key: %d", a.StatusCode)
	}
	if a := s.do(t, "viewer", "GET", "/metrics", "", "X-Forwarded-For", "203.0.113.9"); a.StatusCode != http.StatusForbidden {
		t.Errorf("with a workspace's key: %d", a.StatusCode)
	}
	if a := s.do(t, "platform-viewer", "GET", "/metrics", "", "X-Forwarded-For", "203.0.113.9"); a.StatusCode != http.StatusOK {
		t.Errorf("with a platform key: %d", a.StatusCode)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *api.Options) {
		o.Ready = func(context.Context) error { return errors.New("dial planted") }
	})
	a := s.do(t, "", http.MethodGet, "/readyz", "")
	if a.StatusCode != http.StatusServiceUnavailable || strings.Contains(a.body, "planted") {
		t.Errorf("%d %s", a.StatusCode, a.body)
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
