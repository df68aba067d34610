package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/api"
	"sallyport/api/apitest"
	"sallyport/internal/hook"
)

// world stands in for the rooms behind the edge: it answers with what it holds, fails
// where it is told to, and remembers what it was asked.
type world struct {
	mu         sync.Mutex
	ids        *hook.IDs
	fail       map[string]error // by method
	change     hook.Change      // of PUT and PATCH
	calls      []asked
	doorCalls  []*hook.DoorCall
	doorAnswer func(*hook.DoorCall) hook.DoorAnswer // nil: accepted
	stored     map[hook.IdempotencyScope]*kept

	keys      map[string]hook.Principal
	workspace hook.Workspace
	apiKey    hook.APIKey
	eventType hook.EventType
	webhook   hook.Webhook
	event     hook.EventView
	delivery  hook.DeliveryView
	attempt   hook.Attempt
	incoming  hook.IncomingWebhook
	action    hook.Action
	request   hook.RequestView
	record    hook.Record
	more      bool
	publish   func([]hook.NewEvent) ([]hook.Receipt, error)
	streams   *fakeStreams
}

type asked struct {
	method  string
	ref     string
	doc     string
	write   hook.Write
	page    hook.Page
	list    hook.ListFilter
	spaces  hook.WorkspaceFilter
	events  hook.EventFilter
	deliv   hook.DeliveryFilter
	reqs    hook.RequestFilter
	audit   hook.AuditFilter
	actor   hook.Actor
	replays hook.ReplayFilter
}

type kept struct {
	fingerprint [32]byte
	answer      *hook.Answer
}

const (
	plantedSecret   = "whsec_planted-signing-secret-0001"
	plantedPassword = "planted-password-0002"
	plantedHeader   = "planted-header-0003"
	plantedKey      = "sp_planted-api-key-0004-0004-0004-0004"
	plantedDoor     = "planted-door-secret-0005"
	plantedHash     = "planted-hash-0006"
	plantedHidden   = "planted-hidden-0007"
)

func newWorld() *world {
	w := &world{ids: hook.NewIDs(), fail: map[string]error{}, stored: map[hook.IdempotencyScope]*kept{}, change: hook.Updated, keys: map[string]hook.Principal{}}
	now := time.Date(2026, 11, 21, 2, 13, 0, 207_900_000, time.FixedZone("", 3600))
	ws := w.ids.New()
	for _, role := range []hook.Role{hook.RoleAdmin, hook.RoleOperator, hook.RolePublisher, hook.RoleViewer} {
		w.keys[string(role)] = hook.Principal{Key: w.ids.New(), Role: role, Workspace: ws, WorkspaceCode: "acme"}
		w.keys["platform-"+string(role)] = hook.Principal{Key: w.ids.New(), Role: role, Platform: true, Workspace: ws, WorkspaceCode: "default"}
	}
	w.workspace = hook.Workspace{ID: ws, Code: "acme", Name: "Acme", Retention: 14 * 24 * time.Hour, Limits: hook.Limits{EventsPerSecond: 50}, Version: 3, CreatedAt: now, UpdatedAt: now}
	w.apiKey = hook.APIKey{ID: w.ids.New(), Workspace: ws, Code: "billing", Name: "Billing", Role: hook.RolePublisher, Prefix: "sp_4Yw", LastUsedAt: &now, Version: 1, CreatedAt: now, UpdatedAt: now}
	w.eventType = hook.EventType{ID: w.ids.New(), Workspace: ws, Name: "order.paid", Schema: []byte(`{"type":"object"}`), Mode: hook.SchemaReject, Sample: []byte(`{"total":12}`), Version: 2, CreatedAt: now, UpdatedAt: now}
	w.webhook = hook.Webhook{
		ID: w.ids.New(), Workspace: ws, Number: 7,
		WebhookSpec: hook.WebhookSpec{
			Code: "erp-orders", Name: "ERP orders", URL: "https://erp.example.com/hooks?token=abc", URLSecret: true, Method: "POST", ContentType: "application/json",
			Profile: "default", EventTypes: []string{"order.*"}, IncludeEntity: true, Enabled: true,
			BasicAuth:   &hook.BasicAuth{Username: "erp", Password: plantedPassword},
			Headers:     []hook.Header{{Name: "X-Team", Value: "erp"}, {Name: "X-Token", Value: plantedHeader, Secret: true}},
			MaxAttempts: 10, Retry: hook.Retry{Schedule: []time.Duration{5 * time.Second, 5 * time.Minute}, Jitter: 0.1}, Timeout: 15 * time.Second,
			SuccessCodes: []string{"2xx"}, RateLimit: &hook.RateLimit{Requests: 100, Per: time.Second},
			Signature: &hook.CustomSignature{Algorithm: "hmac-sha256", Header: "X-Sig", Encoding: "hex", Prefix: "sha256=", Content: "{body}"},
		},
		Secrets:    []hook.Secret{{ID: w.ids.New(), Value: plantedSecret, Hint: "…0001", CreatedAt: now}},
		StateSince: now, Version: 3, CreatedAt: now, UpdatedAt: now,
	}
	w.event = hook.EventView{
		Event: hook.Event{
			Key: w.ids.New(), Workspace: ws, ID: "ord-7-paid", Type: "order.paid", EntityID: hook.EntityID{Text: "12345678901234567890", Number: true},
			Entity: []byte(`{ "total" : 12.50, "b":"<&>" }`), EntityURL: "https://shop.example.com/orders/7", Timestamp: now, Matched: 1,
			Source: hook.Source{Kind: hook.SourceAPI, ID: w.keys["publisher"].Key, RequestID: w.ids.New()},
		},
		Deliveries: map[hook.State]int{hook.StateSucceeded: 1},
	}
	w.delivery = hook.DeliveryView{
		Delivery: hook.Delivery{ID: w.ids.New(), Workspace: ws, EventKey: w.event.Key, TargetKind: hook.TargetWebhook, Target: w.webhook.ID, State: hook.StatePending, Reason: hook.ReasonBreakerOpen, Attempts: 1},
		EventID:  "ord-7-paid", EventType: "order.paid", EntityID: hook.EntityID{Text: "A-7"}, TargetCode: "erp-orders", TargetName: "ERP orders", MaxAttempts: 10, NextAttemptAt: &now,
	}
	w.attempt = hook.Attempt{
		ID: w.ids.New(), Delivery: w.delivery.ID, Number: 1, Trigger: hook.TriggerFirst, StartedAt: now, Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassStatus,
		Error: "receiver answered 503", RemoteAddress: "198.51.100.7:443", Node: "n1",
		Request: &hook.SentRequest{
			Method: "POST", URL: "https://erp.example.com/hooks?token=abc", Headers: []hook.HeaderField{{Name: "Content-Type", Value: "application/json"}, {Name: "Authorization", Redacted: true}},
			Body: hook.Body{Bytes: []byte(`{"eventId":"ord-7-paid"}`), Size: 24}, EntityAt: -1,
		},
		Response: &hook.ReceivedResponse{Status: 503, Headers: []hook.HeaderField{{Name: "Retry-After", Value: "120"}}, Body: hook.Body{Bytes: []byte{0xff, 0xfe}, Size: 3, Truncated: true, SHA256: make([]byte, 32)}},
		Timings:  hook.Timings{DNS: 1200 * time.Microsecond, Total: 212400 * time.Microsecond},
	}
	w.delivery.LastAttempt = &w.attempt
	w.receive(now)
	w.streams = newFakeStreams(w)
	return w
}

func (w *world) ask(a asked) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, a)
	return w.fail[a.method]
}

// last returns the last call of a method.
func (w *world) last(t *testing.T, method string) asked {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.calls) - 1; i >= 0; i-- {
		if w.calls[i].method == method {
			return w.calls[i]
		}
	}
	t.Fatalf("%s was not called", method)
	return asked{}
}

func (w *world) count(method string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.method == method {
			n++
		}
	}
	return n
}

func (w *world) Authenticate(_ context.Context, key, workspace string) (hook.Principal, error) {
	if err := w.ask(asked{method: "Authenticate", ref: workspace}); err != nil {
		return hook.Principal{}, err
	}
	p, ok := w.keys[key]
	switch {
	case !ok:
		return p, hook.Errorf(hook.KindUnauthorized, "no such key")
	case workspace == "" || workspace == p.WorkspaceCode || p.Platform:
		return p, nil
	}
	return p, hook.Errorf(hook.KindWorkspaceDenied, "the key belongs to another workspace")
}

func (w *world) workspaceResult(method, ref string, doc []byte, wr hook.Write) (hook.WorkspaceResult, error) {
	err := w.ask(asked{method: method, ref: ref, doc: string(doc), write: wr})
	return hook.WorkspaceResult{Workspace: &w.workspace, Change: w.change, Changed: []string{"name", "limits"}}, err
}

func (w *world) CreateWorkspace(_ context.Context, _ hook.Principal, doc []byte) (hook.WorkspaceResult, error) {
	return w.workspaceResult("CreateWorkspace", "", doc, hook.Write{})
}

func (w *world) PutWorkspace(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.WorkspaceResult, error) {
	return w.workspaceResult("PutWorkspace", ref, doc, wr)
}

func (w *world) PatchWorkspace(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.WorkspaceResult, error) {
	return w.workspaceResult("PatchWorkspace", ref, doc, wr)
}

func (w *world) GetWorkspace(_ context.Context, _ hook.Principal, ref string) (*hook.Workspace, error) {
	return &w.workspace, w.ask(asked{method: "GetWorkspace", ref: ref})
}

func (w *world) ListWorkspaces(_ context.Context, _ hook.Principal, f hook.WorkspaceFilter, p hook.Page) ([]*hook.Workspace, bool, error) {
	return []*hook.Workspace{&w.workspace}, w.more, w.ask(asked{method: "ListWorkspaces", list: f.ListFilter, spaces: f, page: p})
}

func (w *world) stats() hook.WorkspaceStats {
	due := time.Now().Add(-time.Minute)
	return hook.WorkspaceStats{
		Backlog: hook.Backlog{Pending: 7, Held: 2, Exact: true, OldestDue: &due}, Rates: hook.Rates{Accepted: 1.0 / 3, RequestsRefused: 2}, Running: 5, AsOf: time.Now(),
	}
}

// Of and the two after it are the edge's Stats.
func (w *world) Of(context.Context, hook.ID) (hook.Stats, error) {
	out := hook.Stats{WorkspaceStats: w.stats(), Failed: 3}
	for _, active := range []bool{true, false} {
		out.Top = append(out.Top, hook.TargetStat{
			TargetQueue: hook.TargetQueue{Target: w.webhook.ID, Waiting: 4, Claimed: 1, Active: active}, Kind: hook.TargetWebhook, Code: "erp-orders", Name: "ERP orders",
			State: map[bool]hook.TargetState{true: hook.TargetActive, false: hook.TargetPaused}[active], Reason: hook.ReasonQueued,
		})
	}
	return out, w.ask(asked{method: "GetStats"})
}

func (w *world) Workspaces(_ context.Context, ids []hook.ID) (map[hook.ID]hook.WorkspaceStats, error) {
	out := map[hook.ID]hook.WorkspaceStats{}
	for _, id := range ids {
		out[id] = w.stats()
	}
	return out, w.ask(asked{method: "Workspaces"})
}

func (w *world) Ranked(_ context.Context, f hook.WorkspaceFilter, p hook.Page) ([]*hook.Workspace, error) {
	return []*hook.Workspace{&w.workspace}, w.ask(asked{method: "Ranked", spaces: f, page: p})
}

func (w *world) DeleteWorkspace(_ context.Context, _ hook.Principal, ref, confirm string, g hook.Guard) error {
	return w.ask(asked{method: "DeleteWorkspace", ref: ref, doc: confirm, write: hook.Write{Guard: g}})
}

func (w *world) keyResult(method, ref string, doc []byte, wr hook.Write) (hook.APIKeyResult, error) {
	err := w.ask(asked{method: method, ref: ref, doc: string(doc), write: wr})
	r := hook.APIKeyResult{APIKey: &w.apiKey, Change: w.change}
	if method == "CreateAPIKey" || w.change == hook.Created {
		r.Key = plantedKey
	}
	return r, err
}

func (w *world) CreateAPIKey(_ context.Context, _ hook.Principal, doc []byte) (hook.APIKeyResult, error) {
	return w.keyResult("CreateAPIKey", "", doc, hook.Write{})
}

func (w *world) PutAPIKey(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.APIKeyResult, error) {
	return w.keyResult("PutAPIKey", ref, doc, wr)
}

func (w *world) PatchAPIKey(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.APIKeyResult, error) {
	return w.keyResult("PatchAPIKey", ref, doc, wr)
}

func (w *world) GetAPIKey(_ context.Context, _ hook.Principal, ref string) (*hook.APIKey, error) {
	return &w.apiKey, w.ask(asked{method: "GetAPIKey", ref: ref})
}

func (w *world) ListAPIKeys(_ context.Context, _ hook.Principal, f hook.ListFilter, p hook.Page) ([]*hook.APIKey, bool, error) {
	return []*hook.APIKey{&w.apiKey}, w.more, w.ask(asked{method: "ListAPIKeys", list: f, page: p})
}

func (w *world) DeleteAPIKey(_ context.Context, _ hook.Principal, ref string, g hook.Guard) error {
	return w.ask(asked{method: "DeleteAPIKey", ref: ref, write: hook.Write{Guard: g}})
}

func (w *world) typeResult(method, ref string, doc []byte, wr hook.Write) (hook.EventTypeResult, error) {
	err := w.ask(asked{method: method, ref: ref, doc: string(doc), write: wr})
	return hook.EventTypeResult{EventType: &w.eventType, Change: w.change}, err
}

func (w *world) CreateEventType(_ context.Context, _ hook.Principal, doc []byte) (hook.EventTypeResult, error) {
	return w.typeResult("CreateEventType", "", doc, hook.Write{})
}

func (w *world) PutEventType(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.EventTypeResult, error) {
	return w.typeResult("PutEventType", ref, doc, wr)
}

func (w *world) PatchEventType(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.EventTypeResult, error) {
	return w.typeResult("PatchEventType", ref, doc, wr)
}

func (w *world) GetEventType(_ context.Context, _ hook.Principal, ref string) (*hook.EventType, error) {
	return &w.eventType, w.ask(asked{method: "GetEventType", ref: ref})
}

func (w *world) ListEventTypes(_ context.Context, _ hook.Principal, f hook.ListFilter, p hook.Page) ([]*hook.EventType, bool, error) {
	return []*hook.EventType{&w.eventType}, w.more, w.ask(asked{method: "ListEventTypes", list: f, page: p})
}

func (w *world) DeleteEventType(_ context.Context, _ hook.Principal, ref string, g hook.Guard) error {
	return w.ask(asked{method: "DeleteEventType", ref: ref, write: hook.Write{Guard: g}})
}

func (w *world) webhookResult(method, ref string, doc []byte, wr hook.Write) (hook.WebhookResult, error) {
	err := w.ask(asked{method: method, ref: ref, doc: string(doc), write: wr})
	r := hook.WebhookResult{WebhookView: w.view(), Change: w.change, Changed: []string{"url", "secret"}}
	if strings.Contains(string(doc), `"generateSecret":true`) {
		r.Secret = plantedSecret
	}
	return r, err
}

func (w *world) view() hook.WebhookView {
	return hook.WebhookView{Webhook: &w.webhook, Warnings: []string{"unknown_event_type: order.*"}}
}

func (w *world) CreateWebhook(_ context.Context, _ hook.Principal, doc []byte) (hook.WebhookResult, error) {
	return w.webhookResult("CreateWebhook", "", doc, hook.Write{})
}

func (w *world) PutWebhook(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.WebhookResult, error) {
	return w.webhookResult("PutWebhook", ref, doc, wr)
}

func (w *world) PatchWebhook(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.WebhookResult, error) {
	return w.webhookResult("PatchWebhook", ref, doc, wr)
}

func (w *world) GetWebhook(_ context.Context, _ hook.Principal, ref string) (hook.WebhookView, error) {
	return w.view(), w.ask(asked{method: "GetWebhook", ref: ref})
}

func (w *world) ListWebhooks(_ context.Context, _ hook.Principal, f hook.ListFilter, p hook.Page) ([]hook.WebhookView, bool, error) {
	return []hook.WebhookView{w.view()}, w.more, w.ask(asked{method: "ListWebhooks", list: f, page: p})
}

func (w *world) DeleteWebhook(_ context.Context, _ hook.Principal, ref string, g hook.Guard) error {
	return w.ask(asked{method: "DeleteWebhook", ref: ref, write: hook.Write{Guard: g}})
}

func (w *world) RotateSecret(_ context.Context, _ hook.Principal, ref string, doc []byte) (hook.RotateResult, error) {
	until := w.webhook.CreatedAt
	return hook.RotateResult{Webhook: w.view(), New: w.webhook.Secrets[0], Secret: plantedSecret, PreviousExpiresAt: &until}, w.ask(asked{method: "RotateSecret", ref: ref, doc: string(doc)})
}

func (w *world) DeleteSecret(_ context.Context, _ hook.Principal, ref string, id hook.ID) error {
	return w.ask(asked{method: "DeleteSecret", ref: ref, doc: id.String()})
}

func (w *world) PauseWebhook(ctx context.Context, _ hook.Principal, ref string) (hook.WebhookView, error) {
	return w.view(), w.ask(asked{method: "PauseWebhook", ref: ref, actor: hook.ActorOf(ctx)})
}

func (w *world) ResumeWebhook(_ context.Context, _ hook.Principal, ref string, doc []byte) (hook.ResumeResult, error) {
	return hook.ResumeResult{Webhook: w.view(), Released: 120}, w.ask(asked{method: "ResumeWebhook", ref: ref, doc: string(doc)})
}

func (w *world) Publish(_ context.Context, _ hook.Principal, _ hook.ID, events []hook.NewEvent) ([]hook.Receipt, error) {
	if err := w.ask(asked{method: "Publish"}); err != nil {
		return nil, err
	}
	if w.publish != nil {
		return w.publish(events)
	}
	receipts := make([]hook.Receipt, len(events))
	for i, e := range events {
		receipts[i] = hook.Receipt{ID: e.ID, Type: e.Type, AcceptedAt: w.event.AcceptedAt(), Matched: 1}
		if e.ID == "" {
			receipts[i].ID = w.ids.New().String()
		}
	}
	return receipts, nil
}

func (w *world) Events(_ context.Context, f hook.EventFilter, p hook.Page) ([]hook.EventView, bool, error) {
	listed := w.event
	listed.Entity, listed.Deliveries = nil, nil
	return []hook.EventView{listed}, w.more, w.ask(asked{method: "Events", events: f, page: p})
}

func (w *world) Event(_ context.Context, _ hook.ID, id string) (hook.EventView, error) {
	return w.event, w.ask(asked{method: "Event", ref: id})
}

func (w *world) EventDeliveries(_ context.Context, _ hook.ID, event string, states []hook.State, p hook.Page) ([]hook.DeliveryView, bool, error) {
	return []hook.DeliveryView{w.delivery}, w.more, w.ask(asked{method: "EventDeliveries", ref: event, page: p, deliv: hook.DeliveryFilter{States: states}})
}

func (w *world) Matches(_ context.Context, _ hook.ID, event string) ([]hook.MatchView, error) {
	return []hook.MatchView{
		{Webhook: w.webhook.ID, Code: "erp-orders", Name: "ERP orders", Delivery: &w.delivery, Matched: true, Evaluated: "recorded"},
		{Webhook: w.webhook.ID, Code: "crm", Name: "CRM", Reason: "event_type", Detail: "order.paid is not among its types", Evaluated: "now"},
	}, w.ask(asked{method: "Matches", ref: event})
}

func (w *world) Deliveries(_ context.Context, f hook.DeliveryFilter, p hook.Page) ([]hook.DeliveryView, bool, error) {
	return []hook.DeliveryView{w.delivery}, w.more, w.ask(asked{method: "Deliveries", deliv: f, page: p})
}

func (w *world) Delivery(_ context.Context, _, id hook.ID) (hook.DeliveryView, []hook.Attempt, error) {
	return w.delivery, []hook.Attempt{w.attempt, {ID: w.ids.New(), Delivery: id, Number: 2, Trigger: hook.TriggerRetry, Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassDNS}}, w.ask(asked{method: "Delivery", ref: id.String()})
}

func (w *world) Attempt(_ context.Context, _, _ hook.ID, ref string) (hook.Attempt, error) {
	return w.attempt, w.ask(asked{method: "Attempt", ref: ref})
}

func (w *world) Health(context.Context, hook.ID, hook.ID) (hook.Health, error) {
	since := time.Now().Add(-time.Minute)
	return hook.Health{LastStatus: 200, OldestPending: &since, LatencyP50: 41 * time.Millisecond}, w.ask(asked{method: "Health"})
}

func (w *world) Retry(_ context.Context, _, id hook.ID) error {
	return w.ask(asked{method: "Retry", ref: id.String()})
}

func (w *world) Skip(_ context.Context, _, id hook.ID) error {
	return w.ask(asked{method: "Skip", ref: id.String()})
}

func (w *world) Test(_ context.Context, _ hook.Principal, id hook.ID, eventType string, _ hook.ID) (*hook.Attempt, error) {
	return &w.attempt, w.ask(asked{method: "Test", ref: id.String(), doc: eventType})
}

func (w *world) Render(_ context.Context, template string, values []byte, now time.Time, zone string) (string, error) {
	return "rendered", w.ask(asked{method: "Render", ref: zone, doc: template + " " + string(values) + " " + now.UTC().Format(time.RFC3339)})
}

func (w *world) Begin(_ context.Context, s hook.IdempotencyScope, fingerprint [32]byte) (*hook.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.stored[s]
	switch {
	case k == nil:
		w.stored[s] = &kept{fingerprint: fingerprint}
		return nil, nil
	case k.fingerprint != fingerprint:
		return nil, hook.Errorf(hook.KindIdempotencyReused, "the key was used for another body")
	case k.answer == nil:
		return nil, hook.Errorf(hook.KindIdempotencyBusy, "still running")
	}
	return k.answer, nil
}

func (w *world) Complete(_ context.Context, s hook.IdempotencyScope, a hook.Answer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored[s].answer = &a
	return nil
}

func (w *world) Abandon(_ context.Context, s hook.IdempotencyScope) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.stored, s)
	return nil
}

// site is the edge on a real port in front of a world, with every answer validated.
type site struct {
	*world
	url       string
	handler   http.Handler
	validator *apitest.Validator
	client    *http.Client
}

func setup(t *testing.T, change ...func(*api.Options)) *site {
	t.Helper()
	w := newWorld()
	o := api.Options{
		Version: "0.1.0", BaseURL: "https://hooks.example.com", NewID: w.ids.New, Log: slog.New(slog.DiscardHandler),
		Curl:   func(r *hook.SentRequest, user string) string { return "curl -u " + user + " " + r.URL },
		Schema: func() ([]byte, error) { return []byte(`{"type":"object"}`), nil },
		Metrics: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = io.WriteString(rw, "up 1\n")
		}),
	}
	for _, c := range change {
		c(&o)
	}
	s, err := api.New(o, api.Services{
		Gate: w, Manager: w, Stats: w, Publisher: w, History: w, Operator: w, Holder: w, Tester: w, Templates: w, Idempotency: w,
		Requests: w, Doors: w, Presets: w, Records: w, RecordWriter: w, ActionTester: w, AuditLog: w, Streams: w.streams,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	v := apitest.New(t)
	return &site{world: w, url: server.URL, handler: s.Handler(), validator: v, client: v.Client()}
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

// do sends a request as the holder of a role's key; headers come in pairs, and may repeat a name.
func (s *site) do(t *testing.T, role, method, path, body string, headers ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if role != "" {
		r.Header.Set("Authorization", "Bearer "+role)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		switch name, value := headers[i], headers[i+1]; {
		case value == "":
			r.Header.Del(name)
		case slices.Contains(headers[:i], name):
			r.Header.Add(name, value)
		default:
			r.Header.Set(name, value)
		}
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer{res, string(b)}
}

// Serve tells what it was asked.
func (w *world) Serve(_ context.Context, c *hook.DoorCall) hook.DoorAnswer {
	w.mu.Lock()
	w.doorCalls = append(w.doorCalls, c)
	answer := w.doorAnswer
	w.mu.Unlock()
	if answer != nil {
		return answer(c)
	}
	return hook.DoorAnswer{Status: http.StatusAccepted, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"requestId":"` + c.ID.String() + `","events":1,"deliveries":1}`)}
}

func (w *world) SetHold(_ context.Context, _ hook.Principal, on bool) (hook.Hold, error) {
	h := hook.Hold{On: on}
	if on {
		h.Since = w.event.AcceptedAt()
	}
	return h, w.ask(asked{method: "SetHold"})
}
