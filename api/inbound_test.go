package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"sallyport/api"
	"sallyport/internal/hook"
)

// in reads a member of an object.
func in(t *testing.T, body string, path ...string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, name := range path {
		o, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("there is no %s in %s", name, body)
		}
		value = o[name]
	}
	return value
}

func TestDoorsShowWhereTheyAre(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, c := range []struct{ role, profile, url string }{
		{"platform-viewer", hook.DoorDefault, "https://hooks.example.com/in/erp-stock"},
		{"viewer", hook.DoorDefault, "https://hooks.example.com/w/acme/in/erp-stock"},
		{"platform-viewer", hook.DoorAtroCore, "https://hooks.example.com?entryPoint=webhook&code=erp-stock"},
		{"viewer", hook.DoorAtroCore, "https://hooks.example.com/w/acme?entryPoint=webhook&code=erp-stock"},
		{"platform-viewer", hook.DoorAlumio, "https://hooks.example.com/api/v1/webhook/erp-stock"},
		{"viewer", hook.DoorAlumio, "https://hooks.example.com/w/acme/api/v1/webhook/erp-stock"},
	} {
		s.incoming.Profile = c.profile
		a := s.do(t, c.role, "GET", "/v1/incoming-webhooks/erp-stock", "")
		if got := in(t, a.body, "url"); got != c.url {
			t.Errorf("%s as %s: url = %v, want %s", c.profile, c.role, got, c.url)
		}
	}
}

// What a caller has to bring stands in the example by name, and what an owner chose stands
// for itself in a shell.
func TestDoorExamples(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "platform-admin", "GET", "/v1/incoming-webhooks/erp-stock", "")
	want := `curl -X POST -u "e\"r\$p:$PASSWORD" --json '{}' "https://hooks.example.com/in/erp-stock?hash=$HASH"`
	if got := in(t, a.body, "example"); got != want {
		t.Errorf("example = %v\nwant      %s", got, want)
	}
	s.incoming.Profile, s.incoming.Methods = hook.DoorAtroCore, []string{"GET"}
	s.incoming.PreProcessors = []hook.PreProcessor{{Type: "apiKey", Parameter: "the key"}, {Type: "apiKey", Header: "X-Key"}, {Type: "bearer"}}
	a = s.do(t, "platform-admin", "GET", "/v1/incoming-webhooks/erp-stock", "")
	want = `curl -H "X-Key: $API_KEY" -H "Authorization: Bearer $TOKEN" "https://hooks.example.com?entryPoint=webhook&code=erp-stock&hash=$HASH&the+key=$API_KEY"`
	if got := in(t, a.body, "example"); got != want {
		t.Errorf("example = %v\nwant      %s", got, want)
	}
	s.incoming.HashIn, s.incoming.PreProcessors, s.incoming.Methods = hook.HashPlace{In: "header", Name: "X-Hash"}, nil, []string{"DELETE"}
	a = s.do(t, "platform-admin", "GET", "/v1/incoming-webhooks/erp-stock", "")
	want = `curl -X DELETE -H "X-Hash: $HASH" "https://hooks.example.com?entryPoint=webhook&code=erp-stock"`
	if got := in(t, a.body, "example"); got != want {
		t.Errorf("example = %v\nwant      %s", got, want)
	}
}

func TestHashIsForAdmins(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for role, want := range map[string]any{"admin": plantedHash, "operator": nil, "viewer": nil} {
		a := s.do(t, role, "GET", "/v1/incoming-webhooks/erp-stock", "")
		if got := in(t, a.body, "hash"); got != want {
			t.Errorf("%s reads the hash %v", role, got)
		}
		if in(t, a.body, "hashConfigured") != true {
			t.Errorf("%s is not told that there is one: %s", role, a.body)
		}
	}
}

// What GET answers is what PUT takes: values that are secret are not there, not starred.
func TestDoorsComeBackAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "admin", "GET", "/v1/incoming-webhooks/erp-stock", "")
	for path, want := range map[string]string{
		"secrets":       `[{"hint":"…0005","name":"erp"}]`,
		"preProcessors": `[{"name":"gh","preset":"github","secrets":["erp"],"tolerance":"1m","type":"signature"},{"name":"own","secrets":["erp"],"type":"signature","verification":{"algorithm":"hmac-sha256","header":"X-Sig"}},{"name":"shape","schema":{"type":"object"},"type":"schema"},{"name":"user","secrets":["erp"],"type":"basicAuth","username":"e\"r$p"},{"equals":"OK","header":"X-Token","name":"token","type":"header"}]`,
		"parser":        `{"header":true,"maxItems":10000,"onItemError":"refuse","split":true,"type":"auto"}`,
		"routes":        `[{"action":"book-stock","condition":null,"name":"primary","parser":null,"transform":null},{"action":"other","condition":"item.a","name":"csv","parser":{"delimiter":";","header":false,"split":false,"type":"csv"},"transform":"{}"}]`,
		"dedupe":        `{"key":"{{ request.rawBody|sha256 }}","onDuplicate":"accept","window":"1d"}`,
		"response":      `{"body":"OK","headers":[{"name":"X-A","value":"b"}],"mode":"accepted","status":202,"timeout":"5s"}`,
	} {
		var expected any
		if err := json.Unmarshal([]byte(want), &expected); err != nil {
			t.Fatal(err)
		}
		if got := in(t, a.body, path); !reflect.DeepEqual(got, expected) {
			text, _ := json.Marshal(got)
			t.Errorf("%s is\n%s\nwant\n%s", path, text, want)
		}
	}
}

func TestCallsShowWhatCameOfThem(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.request.ID.String()
	a := s.do(t, "viewer", "GET", "/v1/requests/"+id, "")
	for path, want := range map[string]any{
		"url": "/in/ERP-stock?hash=[redacted]&ref=7", "reason": "hash_mismatch", "clockOffset": "-30s", "eventCount": 40_000.0, "bodyEncoding": "base64", "durationMs": 3.1,
		"incomingWebhook": map[string]any{"id": s.incoming.ID.String(), "code": "erp-stock", "name": "ERP Stock"}, "expansion": map[string]any{"total": 40_000.0, "done": 12.0, "state": "waiting", "stateReason": "queued", "nextAttemptAt": nil},
		"events": []any{s.request.EventIDs[0].String()}, "states": map[string]any{"pending": 1.0},
	} {
		if got := in(t, a.body, path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	a = s.do(t, "viewer", "GET", "/v1/requests/"+id+"/body", "")
	if a.body != "a;b\n\xff" || a.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") || a.Header.Get("Sallyport-Body-Truncated") != "true" {
		t.Errorf("%q %v", a.body, a.Header)
	}
	// A code that no door has.
	s.request.Incoming, s.request.Expansion, s.request.ClockOffset = hook.NoID, nil, nil
	a = s.do(t, "viewer", "GET", "/v1/requests/"+id, "")
	if in(t, a.body, "incomingWebhook") != nil || in(t, a.body, "expansion") != nil || in(t, a.body, "clockOffset") != nil {
		t.Error(a.body)
	}
	a = s.do(t, "operator", "POST", "/v1/requests/"+id+"/replay", "")
	made := in(t, a.body, "requestId").(string)
	if a.StatusCode != http.StatusAccepted || a.Header.Get("Location") != "/v1/requests/"+made || made != a.Header.Get("X-Request-Id") {
		t.Errorf("%d %s %v", a.StatusCode, a.body, a.Header)
	}
	a = s.do(t, "operator", "POST", "/v1/requests/"+id+"/verify", "")
	if in(t, a.body, "verdict") != "refused" || in(t, a.body, "reason") != "hash_mismatch" {
		t.Error(a.body)
	}
}

func TestFiltersOfCallsArrive(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.do(t, "viewer", "GET", "/v1/requests?verdict=refused&verdict=handshake&reason=hash_mismatch&code=a&code=b&incomingWebhook=erp-stock&since=2026-11-21T02:00:00Z&limit=7&order=asc", "")
	got := s.last(t, "Requests")
	if f := got.reqs; f.Incoming != s.incoming.ID || f.Workspace != s.workspace.ID || f.Since.IsZero() || !f.Until.IsZero() ||
		!reflect.DeepEqual(f.Verdicts, []hook.Verdict{"refused", "handshake"}) || !reflect.DeepEqual(f.Reasons, []string{"hash_mismatch"}) || !reflect.DeepEqual(f.Codes, []string{"a", "b"}) {
		t.Errorf("asked for %+v", f)
	}
	if got.page != (hook.Page{Limit: 7, Asc: true}) {
		t.Errorf("asked for %+v", got.page)
	}
	s.do(t, "viewer", "GET", "/v1/deliveries?action=book-stock", "")
	if f := s.last(t, "Deliveries").deliv; f.TargetKind != hook.TargetAction || !reflect.DeepEqual(f.Targets, []hook.ID{s.action.ID}) {
		t.Errorf("asked for %+v", f)
	}
	s.do(t, "viewer", "GET", "/v1/deliveries?action=book-stock&webhook=erp-orders", "")
	if f := s.last(t, "Deliveries").deliv; f.TargetKind != "" || !reflect.DeepEqual(f.Targets, []hook.ID{s.webhook.ID, s.action.ID}) {
		t.Errorf("asked for %+v", f)
	}
}

// The history of what was deleted is found by its id, and only if there is some.
func TestHistoryOfDeletedDoorsAndActions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	missing := hook.NotFound("x", "y")
	s.fail["GetAction"], s.fail["GetIncomingWebhook"] = missing, missing
	id := s.ids.New()
	for _, path := range []string{"/v1/actions/" + id.String() + "/deliveries", "/v1/incoming-webhooks/" + id.String() + "/requests", "/v1/requests?incomingWebhook=" + id.String()} {
		if a := s.do(t, "viewer", "GET", path, ""); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	if s.last(t, "Deliveries").deliv.Targets[0] != id || s.last(t, "Requests").reqs.Incoming != id {
		t.Error("another id was asked for")
	}
	for _, path := range []string{"/v1/actions/gone/deliveries", "/v1/incoming-webhooks/gone/requests", "/v1/requests?incomingWebhook=gone"} {
		if a := s.do(t, "viewer", "GET", path, ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

func TestRecordsArePagedByKey(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.more = true
	path := "/v1/collections/stock/records?prefix=A-&limit=2"
	a := s.do(t, "viewer", "GET", path, "")
	cursor, _ := in(t, a.body, "nextCursor").(string)
	if got := s.last(t, "Records"); got.doc != "A-," || got.page != (hook.Page{Limit: 2, Asc: true}) || cursor == "" {
		t.Errorf("asked for %+v, then %q", got, cursor)
	}
	s.more = false
	a = s.do(t, "viewer", "GET", path+"&cursor="+cursor, "")
	if got := s.last(t, "Records"); got.doc != "A-,A-7" || in(t, a.body, "nextCursor") != nil {
		t.Errorf("asked for %+v: %s", got, a.body)
	}
	for _, other := range []string{"/v1/collections/other/records?prefix=A-&limit=2", "/v1/collections/stock/records?prefix=A-&order=desc", "/v1/requests?limit=2"} {
		if a := s.do(t, "viewer", "GET", other+"&cursor="+cursor, ""); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s takes the cursor: %d", other, a.StatusCode)
		}
	}
	for body, want := range map[string]string{
		`{"template":"x","now":"yesterday"}`: "a time such as 2026", `{"template":"x","now":7}`: "must be a string",
	} {
		if a := s.do(t, "operator", "POST", "/v1/templates/render", body); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, want) || !strings.Contains(a.body, `"pointer":"/now"`) || strings.Contains(a.body, "allOf") {
			t.Errorf("%s: %d %s", body, a.StatusCode, a.body)
		}
	}
	for path, key := range map[string]string{"50%25": "50%", "%252F": "%2F", "%25zz": "%zz", "a%2520b": "a%20b", "a%2Fb%25": "a/b%", "x%2F": "x/"} {
		if a := s.do(t, "viewer", "GET", "/v1/collections/stock/records/"+path, ""); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, a.StatusCode)
		} else if got := s.last(t, "Record"); got.ref != "stock/"+key {
			t.Errorf("%s: asked for %q", path, got.ref)
		}
	}
	s.do(t, "viewer", "GET", "/v1/collections/a%20b/records/x%2Fy?", "")
	if got := s.last(t, "Record").ref; got != "a b/x/y" {
		t.Errorf("asked for %q", got)
	}
	a = s.do(t, "admin", "PUT", "/v1/collections/stock/records/A-7?dryRun=true", `{"b":1.50,"a":"<"}`, "If-Match", `"2"`)
	if got := s.last(t, "PutRecord"); got.doc != `{"b":1.50,"a":"<"}` || !got.write.DryRun || got.write.IfMatch != `"2"` || a.Header.Get("Etag") != `"2"` {
		t.Errorf("asked for %+v: %v", got, a.Header)
	}
}

func TestActionsAreTestedWithWhatIsGiven(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "admin", "POST", "/v1/actions/book-stock/test", `{"context":{"request":{"b":1,"a":2},"item":1},"item":{"z":1.50,"y":null},"event":{"type":"a"}}`)
	if got, want := s.last(t, "TestAction").doc, `{"event":{"type":"a"},"item":{"z":1.50,"y":null},"request":{"b":1,"a":2}}`; got != want {
		t.Errorf("tested with %s, want %s", got, want)
	}
	if in(t, a.body, "action", "code") != "book-stock" || in(t, a.body, "curl") == nil {
		t.Error(a.body)
	}
	s.do(t, "admin", "POST", "/v1/actions/book-stock/test", "")
	if got := s.last(t, "TestAction").doc; got != `{}` {
		t.Errorf("tested with %s", got)
	}
	// A command is no request that curl could send.
	s.attempt.Action = &hook.RanAction{Code: "x", Type: hook.ActionRunCommand}
	a = s.do(t, "viewer", "GET", "/v1/deliveries/"+s.delivery.ID.String()+"/attempts/1/request/body", "")
	if a.StatusCode != http.StatusOK {
		t.Error(a.StatusCode, a.body)
	}
	a = s.do(t, "viewer", "GET", "/v1/deliveries/"+s.delivery.ID.String(), "")
	attempts, _ := in(t, a.body, "attempts").([]any)
	if first, _ := attempts[0].(map[string]any); first["curl"] != nil || first["action"] == nil {
		t.Error(a.body)
	}
}

// What a build has no room for is not there.
func TestWhatHasNoServiceIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s, err := api.New(api.Options{}, api.Services{Gate: w, Manager: w})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/requests", "/v1/presets", "/v1/collections"} {
		r := httptest.NewRequestWithContext(context.Background(), "GET", path, nil)
		r.Header.Set("Authorization", "Bearer admin")
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, r)
		if rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}
