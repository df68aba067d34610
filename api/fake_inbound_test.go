package api_test

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// receive gives the world an inbound half.
func (w *world) receive(now time.Time) {
	ws, minute, offset := w.workspace.ID, time.Minute, -30*time.Second
	w.action = hook.Action{
		ID: w.ids.New(), Workspace: ws, Version: 1, CreatedAt: now, UpdatedAt: now,
		ActionSpec: hook.ActionSpec{
			Code: "book-stock", Name: "Book stock", Type: hook.ActionHTTPRequest, Config: []byte(`{"url":"https://erp.example.com/stock","body":"{{ item|json_encode|raw }}"}`),
			Condition: "item.quantity > 0", Enabled: true, MaxAttempts: 10, Retry: hook.Retry{Schedule: []time.Duration{5 * time.Second}, Jitter: 0.1}, Timeout: 15 * time.Second,
		},
		Secrets: []hook.NamedSecret{{Name: "erp", Value: plantedDoor, Hint: "…0005"}},
	}
	body := "OK"
	w.incoming = hook.IncomingWebhook{
		ID: w.ids.New(), Workspace: ws, Version: 4, CreatedAt: now, UpdatedAt: now,
		IncomingSpec: hook.IncomingSpec{
			Code: "erp-stock", Name: "ERP Stock", Enabled: true, Methods: []string{"POST", "PUT"}, Profile: hook.DoorDefault, IPAllowList: []string{"203.0.113.0/24"},
			Hash: plantedHash, HashTimezone: "UTC", HashTolerance: 30 * time.Second, HashIn: hook.HashPlace{In: "query", Name: "hash"},
			PreProcessors: []hook.PreProcessor{
				{Name: "gh", Type: "signature", Preset: "github", Secrets: []string{"erp"}, Tolerance: &minute},
				{Name: "own", Type: "signature", Signature: []byte(`{"algorithm":"hmac-sha256","header":"X-Sig"}`), Secrets: []string{"erp"}},
				{Name: "shape", Type: "schema", Schema: []byte(`{"type":"object"}`)},
				{Name: "user", Type: "basicAuth", Username: `e"r$p`, Secrets: []string{"erp"}},
				{Name: "token", Type: "header", Header: "X-Token", Equals: &body},
			},
			Parser: hook.DefaultParser(), Routes: []hook.Route{{Name: "primary", Action: "book-stock"}, {Name: "csv", Action: "other", Condition: "item.a", Parser: &hook.Parser{Type: "csv", Delimiter: ";"}, Transform: "{}"}},
			PostProcessors: []hook.PostProcessor{{Type: "publishEvent", Config: []byte(`{"type":"stock.received"}`)}, {Type: hook.PostAction, Action: "book-stock"}},
			Dedupe:         &hook.Dedupe{Key: "{{ request.rawBody|sha256 }}", Window: 24 * time.Hour, OnDuplicate: hook.DuplicateAccept}, RateLimit: &hook.RateLimit{Requests: 10, Per: time.Second},
			MaxBodyBytes: 1 << 20, BodyTimeout: time.Minute, Logging: hook.LoggingAll, Refusal: hook.RefusalPrecise,
			Response: hook.DoorResponse{Mode: hook.ResponseNow, Status: 202, Headers: []hook.Header{{Name: "X-A", Value: "b"}}, Body: &body, Timeout: 5 * time.Second},
		},
		Secrets: []hook.NamedSecret{{Name: "erp", Value: plantedDoor, Hint: "…0005"}},
	}
	w.delivery.RequestID = w.ids.New()
	w.request = hook.RequestView{
		Request: hook.Request{
			ID: w.ids.New(), Workspace: ws, Incoming: w.incoming.ID, Code: "ERP-stock", Method: "POST", Path: "/in/ERP-stock", RawQuery: "hash=[redacted]&ref=7",
			Headers: []hook.HeaderField{{Name: "X-Token", Redacted: true}, {Name: "Content-Type", Value: "text/csv"}}, Body: hook.Body{Bytes: []byte("a;b\n\xff"), Size: 900, Truncated: true, SHA256: make([]byte, 32)},
			ClientAddress: "203.0.113.9", PeerAddress: "10.0.0.2", ForwardedBy: "X-Forwarded-For", Verdict: hook.VerdictRefused, Reason: string(hook.KindHashMismatch),
			Checks: []hook.Check{{Name: "method", Result: hook.CheckPassed}, {Name: "hash", Result: hook.CheckFailed, Detail: "no instant within 30s matched"}}, ClockOffset: &offset,
			Status: 403, Duration: 3100 * time.Microsecond, Events: 40_000, Deliveries: 1, DuplicateOf: w.ids.New(), Hidden: []hook.HiddenValue{{In: "query", Name: "hash", Value: plantedHidden}},
		},
		IncomingCode: "erp-stock", IncomingName: "ERP Stock", EventIDs: []hook.ID{w.ids.New()}, DeliveryViews: []hook.DeliveryView{w.delivery},
		States: map[hook.State]int{hook.StatePending: 1}, Expansion: &hook.Expansion{Total: 40_000, Done: 12},
	}
	w.record = hook.Record{Workspace: ws, Collection: "stock", Key: "A-7", Document: []byte(`{"quantity":3}`), Version: 2, CreatedAt: now, UpdatedAt: now}
}

func (w *world) actionResult(method, ref string, doc []byte, wr hook.Write) (hook.ActionResult, error) {
	err := w.ask(asked{method: method, ref: ref, doc: string(doc), write: wr})
	return hook.ActionResult{ActionView: hook.ActionView{Action: &w.action}, Change: w.change, Changed: []string{"config"}}, err
}

func (w *world) CreateAction(_ context.Context, _ hook.Principal, doc []byte) (hook.ActionResult, error) {
	return w.actionResult("CreateAction", "", doc, hook.Write{})
}

func (w *world) PutAction(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.ActionResult, error) {
	return w.actionResult("PutAction", ref, doc, wr)
}

func (w *world) PatchAction(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.ActionResult, error) {
	return w.actionResult("PatchAction", ref, doc, wr)
}

func (w *world) GetAction(_ context.Context, _ hook.Principal, ref string) (hook.ActionView, error) {
	return hook.ActionView{Action: &w.action, Warnings: []string{"unknown_event_type: a"}}, w.ask(asked{method: "GetAction", ref: ref})
}

func (w *world) ListActions(_ context.Context, _ hook.Principal, f hook.ListFilter, p hook.Page) ([]hook.ActionView, bool, error) {
	return []hook.ActionView{{Action: &w.action}}, w.more, w.ask(asked{method: "ListActions", list: f, page: p})
}

func (w *world) DeleteAction(_ context.Context, _ hook.Principal, ref string, g hook.Guard) error {
	return w.ask(asked{method: "DeleteAction", ref: ref, write: hook.Write{Guard: g}})
}

func (w *world) incomingResult(method, ref string, doc []byte, wr hook.Write) (hook.IncomingResult, error) {
	err := w.ask(asked{method: method, ref: ref, doc: string(doc), write: wr})
	return hook.IncomingResult{IncomingView: hook.IncomingView{IncomingWebhook: &w.incoming, HashConfigured: true}, Change: w.change, Changed: []string{"routes"}}, err
}

func (w *world) CreateIncomingWebhook(_ context.Context, _ hook.Principal, doc []byte) (hook.IncomingResult, error) {
	return w.incomingResult("CreateIncomingWebhook", "", doc, hook.Write{})
}

func (w *world) PutIncomingWebhook(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.IncomingResult, error) {
	return w.incomingResult("PutIncomingWebhook", ref, doc, wr)
}

func (w *world) PatchIncomingWebhook(_ context.Context, _ hook.Principal, ref string, doc []byte, wr hook.Write) (hook.IncomingResult, error) {
	return w.incomingResult("PatchIncomingWebhook", ref, doc, wr)
}

func (w *world) GetIncomingWebhook(_ context.Context, _ hook.Principal, ref string) (hook.IncomingView, error) {
	return hook.IncomingView{IncomingWebhook: &w.incoming, HashConfigured: true, Warnings: []string{"hash_md5"}}, w.ask(asked{method: "GetIncomingWebhook", ref: ref})
}

func (w *world) ListIncomingWebhooks(_ context.Context, _ hook.Principal, f hook.ListFilter, p hook.Page) ([]hook.IncomingView, bool, error) {
	return []hook.IncomingView{{IncomingWebhook: &w.incoming, HashConfigured: true}}, w.more, w.ask(asked{method: "ListIncomingWebhooks", list: f, page: p})
}

func (w *world) DeleteIncomingWebhook(_ context.Context, _ hook.Principal, ref string, g hook.Guard) error {
	return w.ask(asked{method: "DeleteIncomingWebhook", ref: ref, write: hook.Write{Guard: g}})
}

func (w *world) DeleteIncomingHash(_ context.Context, _ hook.Principal, ref string) error {
	return w.ask(asked{method: "DeleteIncomingHash", ref: ref})
}

func (w *world) Requests(_ context.Context, f hook.RequestFilter, p hook.Page) ([]hook.RequestView, bool, error) {
	return []hook.RequestView{w.request}, w.more, w.ask(asked{method: "Requests", reqs: f, page: p})
}

func (w *world) Request(_ context.Context, _, id hook.ID) (hook.RequestView, error) {
	return w.request, w.ask(asked{method: "Request", ref: id.String()})
}

func (w *world) Verify(_ context.Context, _ hook.Principal, id hook.ID) (hook.Verdict, string, []hook.Check, error) {
	return hook.VerdictRefused, string(hook.KindHashMismatch), w.request.Checks, w.ask(asked{method: "Verify", ref: id.String()})
}

func (w *world) Replay(_ context.Context, _ hook.Principal, id, call hook.ID) (*hook.Request, error) {
	return &hook.Request{ID: call, Events: 2, Deliveries: 3}, w.ask(asked{method: "Replay", ref: id.String()})
}

func (w *world) All() []*hook.Preset {
	tolerance := 5 * time.Minute
	return []*hook.Preset{
		{Name: "github", Title: "GitHub", Secret: hook.PresetSecret{Name: "Webhook secret", Where: "Settings"}, Verifications: []hook.Verification{{Algorithm: "hmac-sha256", Header: "X-Hub-Signature-256", Prefix: "sha256="}}, EventHeader: "X-GitHub-Event"},
		{Name: "meta", Title: "Meta", HandshakeSecret: &hook.PresetSecret{Name: "Verify token"}, Verifications: []hook.Verification{{Tolerance: &tolerance}}, Handshakes: []hook.Handshake{{Method: "GET"}, {Method: "GET"}}},
	}
}

func (w *world) Collections(context.Context, hook.ID) ([]hook.Collection, error) {
	return []hook.Collection{{Name: "stock", Records: 812}}, w.ask(asked{method: "Collections"})
}

func (w *world) Records(_ context.Context, _ hook.ID, collection, prefix, after string, limit int, ascending bool) ([]*hook.Record, bool, error) {
	return []*hook.Record{&w.record}, w.more, w.ask(asked{method: "Records", ref: collection, doc: prefix + "," + after, page: hook.Page{Limit: limit, Asc: ascending}})
}

func (w *world) Record(_ context.Context, _ hook.ID, collection, key string) (*hook.Record, error) {
	err := w.ask(asked{method: "Record", ref: collection + "/" + key})
	if key == "nobody" {
		return nil, err
	}
	return &w.record, err
}

func (w *world) PutRecord(_ context.Context, _ hook.Principal, collection, key string, document []byte, wr hook.Write) (hook.RecordResult, error) {
	return hook.RecordResult{Record: &w.record, Change: w.change}, w.ask(asked{method: "PutRecord", ref: collection + "/" + key, doc: string(document), write: wr})
}

func (w *world) DeleteRecord(_ context.Context, _ hook.Principal, collection, key string, g hook.Guard) error {
	return w.ask(asked{method: "DeleteRecord", ref: collection + "/" + key, write: hook.Write{Guard: g}})
}

func (w *world) TestAction(_ context.Context, _ hook.Principal, action hook.ID, variables []byte, _ hook.ID) (*hook.Attempt, error) {
	ran := w.attempt
	ran.Action = &hook.RanAction{ID: action, Code: "book-stock", Type: hook.ActionHTTPRequest}
	return &ran, w.ask(asked{method: "TestAction", ref: action.String(), doc: string(variables)})
}
