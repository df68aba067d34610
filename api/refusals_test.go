package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"sallyport/api"
	"sallyport/internal/hook"
)

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
