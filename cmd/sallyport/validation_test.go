package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"sallyport/api/spec"
	"sallyport/internal/config"
	"sallyport/internal/obs"
)

// The fields of configuration are checked by hand, so that every fault is told at once and
// in words that help. These tests hold that reader against the contract: what the schemas
// refuse it refuses too, and says which field.

// written is one thing that callers write.
type written struct {
	schema string
	post   string
	put    string // "" for verbs
}

var writings = []written{
	{"WorkspaceInput", "/v1/workspaces", "/v1/workspaces/erp-orders?dryRun=true"},
	{"APIKeyInput", "/v1/api-keys", "/v1/api-keys/erp-orders?dryRun=true"},
	{"EventTypeInput", "/v1/event-types", "/v1/event-types/order.paid?dryRun=true"},
	{"WebhookInput", "/v1/webhooks", "/v1/webhooks/erp-orders?dryRun=true"},
	{"ActionInput", "/v1/actions", "/v1/actions/erp-orders?dryRun=true"},
	{"IncomingWebhookInput", "/v1/incoming-webhooks", "/v1/incoming-webhooks/erp-orders?dryRun=true"}, // whose example names the action of the one before
	{"RotateInput", "/v1/webhooks/verbs/secret/rotate", ""},
	{"ResumeInput", "/v1/webhooks/verbs/resume", ""},
}

func schemaOf(name string) *openapi3.Schema { return spec.Document().Components.Schemas[name].Value }

// installation is a node on a database of its own, called without a network.
type installation struct {
	handler http.Handler
	key     string
}

func install(t *testing.T) *installation {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	n, err := openNode(t.Context(), cfg, slog.New(slog.DiscardHandler), obs.NewMetrics(version))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := n.listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closeQuietly(l) // only its address is wanted
	edge, err := n.edge(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{handler: edge.Handler(), key: string(n.keys.Key)}
	if status, _, body := i.call(t, http.MethodPost, "/v1/webhooks", `{"code":"verbs","url":"https://a.example"}`); status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}
	return i
}

// call makes a call and returns the faults by field.
func (i *installation) call(t *testing.T, method, path, body string) (status int, faults map[string]string, answer string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+i.key)
	w := httptest.NewRecorder()
	i.handler.ServeHTTP(w, r)
	var p struct {
		Errors []struct{ Field, Code string }
	}
	if w.Code == http.StatusUnprocessableEntity {
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
	}
	faults = map[string]string{}
	for _, f := range p.Errors {
		faults[f.Field] = f.Code
	}
	return w.Code, faults, w.Body.String()
}

// refused reports whether a fault is told of the field or of something in it, or that the
// field it is in does not belong there.
func refused(faults map[string]string, field string) bool {
	for f, code := range faults {
		if f == field || within(f, field) || code == "unknown_field" && within(field, f) {
			return true
		}
	}
	return false
}

func within(inner, outer string) bool {
	return strings.HasPrefix(inner, outer+".") || strings.HasPrefix(inner, outer+"[")
}

func TestWhatTheContractRefusesIsRefused(t *testing.T) {
	t.Parallel()
	i := install(t)
	documented := schemaOf("Fault").Properties["code"].Value.Description
	for _, w := range writings {
		schema, tried := schemaOf(w.schema), 0
		for _, f := range fields(schema) {
			for _, v := range values(f.schema) {
				text, value := encoded(t, f.with(v))
				if schema.VisitJSON(value) == nil {
					continue
				}
				tried++
				for method, path := range map[string]string{http.MethodPost: w.post, http.MethodPut: w.put} {
					if path == "" {
						continue
					}
					status, faults, answer := i.call(t, method, path, text)
					if status != http.StatusUnprocessableEntity || !refused(faults, f.name) && f.name != "" {
						t.Errorf("%s %s of %.200s: %q is not refused: %d %.400s", method, w.schema, text, f.name, status, answer)
					}
					if want := wantedCode(f.schema, v); want != "" && faults[f.name] != want {
						t.Errorf("%s %s of %.200s: %s is refused as %q, want %q", method, w.schema, text, f.name, faults[f.name], want)
					}
					for field, code := range faults {
						if !strings.Contains(documented, "`"+code+"`") {
							t.Errorf("%s %s of %.200s: %s is refused as %q, which is not documented", method, w.schema, text, field, code)
						}
					}
				}
			}
		}
		if least := 15 * len(schema.Properties); tried < least {
			t.Errorf("%s: the schema refused %d bodies, which is less than %d", w.schema, tried, least)
		}
	}
}

// Fields of other things are not taken for fields of this one.
func TestFieldsOfOtherSchemasAreUnknown(t *testing.T) {
	t.Parallel()
	i := install(t)
	all := map[string]bool{}
	for _, s := range spec.Document().Components.Schemas {
		for name := range s.Value.Properties {
			all[name] = true
		}
	}
	for _, w := range writings {
		schema := schemaOf(w.schema)
		body, _ := smallest(schema).(map[string]any)
		var want []string
		for name := range all {
			if schema.Properties[name] == nil {
				want = append(want, name)
			}
		}
		for names := range slices.Chunk(want, 50) { // an answer tells of a hundred
			b := maps.Clone(body)
			for _, name := range names {
				b[name] = nil
			}
			text, _ := encoded(t, b)
			_, faults, answer := i.call(t, http.MethodPost, w.post, text)
			for _, name := range names {
				if faults[name] != "unknown_field" {
					t.Errorf("%s takes %q: %.300s", w.schema, name, answer)
				}
			}
		}
	}
}

// wrong is a value that the schema refuses, of a wrong type if possible.
func wrong(t *testing.T, s *openapi3.Schema) (any, bool) {
	t.Helper()
	for _, v := range []any{7, "a b", true, nil} {
		if _, value := encoded(t, v); s.VisitJSON(value) != nil {
			return v, true
		}
	}
	return nil, false
}

// In an object in which all is wrong, every fault is told.
func TestEveryFieldIsToldAtOnce(t *testing.T) {
	t.Parallel()
	i := install(t)
	for _, w := range writings {
		for _, f := range fields(schemaOf(w.schema)) {
			s := meant(f.schema)
			if len(s.Properties) == 0 {
				continue
			}
			o, want := map[string]any{"noSuchField": 1}, []string{join(f.name, "noSuchField")}
			for name, p := range s.Properties {
				if name == "type" && strings.HasSuffix(f.name, "Processors[1]") {
					o[name] = smallest(p.Value) // it says which fields there are
				} else if v, ok := wrong(t, p.Value); ok {
					o[name] = v
					want = append(want, join(f.name, name))
				}
			}
			text, _ := encoded(t, f.with(o))
			for method, path := range map[string]string{http.MethodPost: w.post, http.MethodPut: w.put} {
				if path == "" {
					continue
				}
				status, faults, answer := i.call(t, method, path, text)
				for _, field := range want {
					if status != http.StatusUnprocessableEntity || !refused(faults, field) {
						t.Errorf("%s %s of %s does not tell of %s: %d %s", method, w.schema, text, field, status, answer)
					}
				}
			}
		}
	}
}

func TestAllFaultsOfAWebhookAtOnce(t *testing.T) {
	t.Parallel()
	i := install(t)
	for body, want := range map[string]map[string]string{
		`{"name":"x","url":"http://10.0.0.1/","retry":{"schedule":["5 min"]}}`: {"url": "url_not_allowed", "retry.schedule[0]": "invalid_duration"},
		`{"url":"http://169.254.169.254/","profile":"slack","method":"HEAD","contentType":"text/plain","secret":"short","signature":{"algorithm":"md5","header":"a b"},
			"headers":[{"name":"a b","value":"c"},{"name":"X-A"},7],"eventTypes":["*",7,"a b"],"successCodes":[200,"3xx"],"retry":{"schedule":[1,"5 min"],"jitter":2}}`: {
			"name": "required", "url": "url_not_allowed", "profile": "invalid_format", "method": "invalid_format", "contentType": "invalid_format", "secret": "too_short",
			"signature.algorithm": "invalid_format", "signature.header": "invalid_format", "headers[0].name": "invalid_format", "headers[1].value": "required",
			"headers[2]": "invalid_format", "eventTypes[1]": "invalid_format", "eventTypes[2]": "invalid_format", "successCodes[0]": "invalid_format",
			"successCodes[1]": "invalid_format", "retry.schedule[0]": "invalid_format", "retry.schedule[1]": "invalid_duration", "retry.jitter": "out_of_range",
		},
		`{"name":"x","url":"ftp://x","eventTypes":[],"secret":null,"basicAuth":{"username":"a","password":""},"retry":{"schedule":["5s","5m","5 min"]},"maxAttempts":51,
			"headers":[{"name":"X-A","value":"b","hidden":true}],"rateLimit":{"requests":"many"},"nane":"x","timeout":"1x","successCodes":["9xx"]}`: {
			"url": "invalid_url", "eventTypes": "empty_event_types", "secret": "empty_secret", "basicAuth.password": "empty_secret",
			"retry.schedule[2]": "invalid_duration", "maxAttempts": "out_of_range", "headers[0].hidden": "unknown_field",
			"rateLimit.requests": "invalid_format", "nane": "unknown_field", "timeout": "invalid_duration", "successCodes[0]": "invalid_format",
		},
	} {
		for method, path := range map[string]string{http.MethodPost: "/v1/webhooks", http.MethodPut: "/v1/webhooks/erp-orders"} {
			status, faults, answer := i.call(t, method, path, body)
			want := maps.Clone(want)
			if method == http.MethodPut {
				delete(want, "name") // the code in the path names it
			}
			if status != http.StatusUnprocessableEntity || !maps.Equal(faults, want) {
				t.Errorf("%s %s\ngot  %v\nwant %v\n%s", method, body, faults, want, answer)
			}
		}
	}
}

func TestAnswersOfManyFaultsAreBounded(t *testing.T) {
	t.Parallel()
	i := install(t)
	var b strings.Builder
	for n := range 60_000 {
		fmt.Fprintf(&b, `"field%d":1,`, n)
	}
	status, faults, _ := i.call(t, http.MethodPost, "/v1/webhooks", "{"+b.String()+`"url":7}`)
	if status != http.StatusUnprocessableEntity || len(faults) != 100 || faults["url"] == "" {
		t.Errorf("%d, %d faults", status, len(faults))
	}
	status, faults, answer := i.call(t, http.MethodPost, "/v1/webhooks", `{"url":"https://a.example","timeout":"`+strings.Repeat("9", 1000)+`"}`)
	if status != http.StatusUnprocessableEntity || faults["timeout"] == "" || len(answer) > 1000 {
		t.Errorf("a fault repeats all that is wrong: %d %s", status, answer)
	}
}

// What the contract shows as an example is accepted, and so are the forms it describes.
func TestExamplesOfTheContractAreAccepted(t *testing.T) {
	t.Parallel()
	i := install(t)
	accepted := func(method, path, schema, body string) {
		t.Helper()
		_, value := encoded(t, json.RawMessage(body))
		if err := schemaOf(schema).VisitJSON(value); err != nil {
			t.Errorf("the schema refuses %s: %v", body, err)
		}
		if from, ok := strings.CutSuffix(path, "/resume"); ok { // only what is not active can be resumed with a replay
			i.call(t, http.MethodPost, from+"/pause", "{}")
		}
		if status, _, answer := i.call(t, method, path, body); status >= http.StatusMultipleChoices {
			t.Errorf("%s %s refuses %s: %d %s", method, path, body, status, answer)
		}
	}
	// An example of a hash reads a secret, which who sends the hash alone has stored before.
	accepted(http.MethodPut, "/v1/incoming-webhooks/erp-orders", "IncomingWebhookInput", `{"secrets":[{"name":"erp","value":"not-a-real-secret-x1"}]}`)
	for _, w := range writings {
		schema := schemaOf(w.schema)
		method, path := http.MethodPut, w.put
		if path == "" {
			method, path = http.MethodPost, w.post
		}
		for _, f := range fields(schema) {
			if f.name == "id" || strings.ContainsAny(f.name, ".[") { // the id must be that of the path; parts are below
				continue
			}
			for _, e := range f.schema.Examples {
				text, _ := encoded(t, f.with(e))
				accepted(method, path, w.schema, text)
			}
		}
		for at, item := range spec.Document().Paths.Map() {
			if op := item.Post; op != nil && op.RequestBody != nil && at == strings.Replace(w.post, "/verbs/", "/{webhook}/", 1) {
				for _, content := range op.RequestBody.Value.Content {
					text, _ := encoded(t, content.Example)
					accepted(http.MethodPost, w.post, w.schema, text)
				}
			}
		}
	}
	for _, more := range []string{
		`"number":7,"code":"erp-orders","name":"ERP orders","description":"","method":"POST","contentType":"application/json","profile":"default","signature":null,
		 "eventTypes":["order.*"],"filter":null,"includeEntity":true,"enabled":true,"paused":false,
		 "secrets":[{"id":"019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e","hint":"…9f3a","createdAt":"2026-11-21T02:13:00.207Z","expiresAt":null}],
		 "basicAuth":{"username":"erp","password":"correct-horse"},"headers":[{"name":"X-Team","value":"erp"},{"name":"Authorization-2","secret":true,"value":"x"}],
		 "maxAttempts":10,"retry":{"schedule":["5s","5m","30m","2h","5h","10h","14h","20h","24h"],"jitter":0.1},
		 "timeout":"15s","successCodes":["2xx"],"maxInFlight":null,"rateLimit":{"requests":100,"per":"1s"},"ordering":"none",
		 "metadata":{"managed-by":"billing-ci"},"state":"active","stateReason":null,"stateSince":"2026-11-21T02:13:00.207Z","warnings":[],"version":3,
		 "createdAt":"2026-11-21T02:13:00.207Z","updatedAt":"2026-11-21T02:13:00.207Z"`,
		`"retry":{"exponential":{"initial":"1s","factor":2,"max":"1h"}}`, `"retry":{"exponential":{"initial":"100ms"}}`,
		`"retry":{"linear":{"interval":"1h30m"},"jitter":0}`, `"retry":{}`, `"retry":{"schedule":["100ms","30d"]}`,
		`"signature":{"algorithm":"hmac-sha256","header":"X-Hub-Signature-256","encoding":"hex","prefix":"sha256=","content":"{timestamp}.{body}"},"secret":"0123456789abcdef01234567"`,
		`"rateLimit":null,"basicAuth":null,"signature":null,"headers":[]`, `"maxAttempts":1e1,"maxInFlight":10.0`, `"profile":"mixpost","secret":"12345678"`,
		`"successCodes":["200","201","4xx"],"timeout":"60s","eventTypes":["*","a.b.*","webhook.suspended"]`,
	} {
		accepted(http.MethodPut, "/v1/webhooks/erp-orders?dryRun=true", "WebhookInput", `{"url":"https://erp.example.com/hooks",`+more+`}`)
	}
	accepted(http.MethodPut, "/v1/workspaces/erp-orders?dryRun=true", "WorkspaceInput", `{"retention":null,"limits":{"eventsPerSecond":null,"pendingDeliveries":1000000}}`)
	accepted(http.MethodPut, "/v1/api-keys/erp-orders?dryRun=true", "APIKeyInput", `{"role":"viewer","expiresAt":null,"platform":true}`)
	accepted(http.MethodPut, "/v1/event-types/order.paid?dryRun=true", "EventTypeInput", `{"name":"order.paid","schema":{"type":"object"},"mode":"off","sample":[1,null]}`)
	accepted(http.MethodPost, "/v1/webhooks/verbs/secret/rotate", "RotateInput", `{"generateSecret":true,"overlap":"0"}`)
	accepted(http.MethodPost, "/v1/webhooks/verbs/resume", "ResumeInput", `{}`)
}
