package api

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// What the edge calls. cmd joins these with the rooms behind them.

// Gate says who calls.
type Gate interface {
	// Authenticate returns who holds the key and which workspace the call is about:
	// the key's own, or for a platform key the one named, "default" when workspace is "".
	// Errors: KindUnauthorized, KindKeyExpired, KindWorkspaceDenied for a workspace key
	// that names another, KindNotFound for a workspace that does not exist. It is asked
	// on every call, hot ones included, and must answer from memory as a rule.
	Authenticate(ctx context.Context, key, workspace string) (hook.Principal, error)
}

// Manager changes configuration. doc is the body of the request as it was received,
// valid JSON without repeated keys; a patch is a JSON Merge Patch.
type Manager interface {
	CreateWorkspace(ctx context.Context, p hook.Principal, doc []byte) (hook.WorkspaceResult, error)
	PutWorkspace(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.WorkspaceResult, error)
	PatchWorkspace(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.WorkspaceResult, error)
	GetWorkspace(ctx context.Context, p hook.Principal, ref string) (*hook.Workspace, error)
	ListWorkspaces(ctx context.Context, p hook.Principal, f hook.WorkspaceFilter, page hook.Page) (list []*hook.Workspace, more bool, err error)
	DeleteWorkspace(ctx context.Context, p hook.Principal, ref, confirm string, g hook.Guard) error

	CreateAPIKey(ctx context.Context, p hook.Principal, doc []byte) (hook.APIKeyResult, error)
	PutAPIKey(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.APIKeyResult, error)
	PatchAPIKey(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.APIKeyResult, error)
	GetAPIKey(ctx context.Context, p hook.Principal, ref string) (*hook.APIKey, error)
	ListAPIKeys(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []*hook.APIKey, more bool, err error)
	DeleteAPIKey(ctx context.Context, p hook.Principal, ref string, g hook.Guard) error

	CreateEventType(ctx context.Context, p hook.Principal, doc []byte) (hook.EventTypeResult, error)
	PutEventType(ctx context.Context, p hook.Principal, name string, doc []byte, w hook.Write) (hook.EventTypeResult, error)
	PatchEventType(ctx context.Context, p hook.Principal, name string, doc []byte, w hook.Write) (hook.EventTypeResult, error)
	GetEventType(ctx context.Context, p hook.Principal, name string) (*hook.EventType, error)
	ListEventTypes(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []*hook.EventType, more bool, err error)
	DeleteEventType(ctx context.Context, p hook.Principal, name string, g hook.Guard) error

	CreateWebhook(ctx context.Context, p hook.Principal, doc []byte) (hook.WebhookResult, error)
	PutWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.WebhookResult, error)
	PatchWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.WebhookResult, error)
	GetWebhook(ctx context.Context, p hook.Principal, ref string) (hook.WebhookView, error)
	ListWebhooks(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []hook.WebhookView, more bool, err error)
	DeleteWebhook(ctx context.Context, p hook.Principal, ref string, g hook.Guard) error

	// RotateSecret takes {secret?, generateSecret?, overlap?}; doc may be empty.
	RotateSecret(ctx context.Context, p hook.Principal, ref string, doc []byte) (hook.RotateResult, error)
	// DeleteSecret removes all secrets of the webhook, or the one with the id.
	DeleteSecret(ctx context.Context, p hook.Principal, ref string, id hook.ID) error
	PauseWebhook(ctx context.Context, p hook.Principal, ref string) (hook.WebhookView, error)
	// ResumeWebhook takes {replay?}; doc may be empty.
	ResumeWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte) (hook.ResumeResult, error)

	CreateAction(ctx context.Context, p hook.Principal, doc []byte) (hook.ActionResult, error)
	PutAction(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.ActionResult, error)
	PatchAction(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.ActionResult, error)
	GetAction(ctx context.Context, p hook.Principal, ref string) (hook.ActionView, error)
	ListActions(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []hook.ActionView, more bool, err error)
	DeleteAction(ctx context.Context, p hook.Principal, ref string, g hook.Guard) error

	CreateIncomingWebhook(ctx context.Context, p hook.Principal, doc []byte) (hook.IncomingResult, error)
	PutIncomingWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.IncomingResult, error)
	PatchIncomingWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.IncomingResult, error)
	GetIncomingWebhook(ctx context.Context, p hook.Principal, ref string) (hook.IncomingView, error)
	ListIncomingWebhooks(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []hook.IncomingView, more bool, err error)
	DeleteIncomingWebhook(ctx context.Context, p hook.Principal, ref string, g hook.Guard) error
	// DeleteIncomingHash drops the hash of an incoming webhook.
	DeleteIncomingHash(ctx context.Context, p hook.Principal, ref string) error

	// CreateReplay starts a replay, or counts what it would be about: then the count is not nil.
	CreateReplay(ctx context.Context, p hook.Principal, doc []byte) (hook.ReplayView, *hook.ReplayCount, error)
	GetReplay(ctx context.Context, p hook.Principal, id hook.ID) (hook.ReplayView, error)
	ListReplays(ctx context.Context, p hook.Principal, f hook.ReplayFilter, page hook.Page) (list []hook.ReplayView, more bool, err error)
	PauseReplay(ctx context.Context, p hook.Principal, id hook.ID) (hook.ReplayView, error)
	ResumeReplay(ctx context.Context, p hook.Principal, id hook.ID) (hook.ReplayView, error)
	CancelReplay(ctx context.Context, p hook.Principal, id hook.ID) (hook.ReplayView, error)
}

// Stats tells how workspaces fare.
type Stats interface {
	// Of returns how one fares, and what keeps it.
	Of(ctx context.Context, workspace hook.ID) (hook.Stats, error)
	// Workspaces returns how some fare.
	Workspaces(ctx context.Context, ids []hook.ID) (map[hook.ID]hook.WorkspaceStats, error)
	// Ranked lists the first workspaces by how much waits in them, or for how long.
	Ranked(ctx context.Context, f hook.WorkspaceFilter, p hook.Page) ([]*hook.Workspace, error)
}

// Publisher accepts events.
type Publisher interface {
	// Publish stores the events and returns one receipt for each, in order; what was
	// refused has its Problem set. When it returns, everything else is committed. An
	// error is about all of them. request is the id of the call.
	Publish(ctx context.Context, p hook.Principal, request hook.ID, events []hook.NewEvent) ([]hook.Receipt, error)
}

// History tells what happened. Its lists return whether there are more rows.
type History interface {
	// Events come without entities and counts, by the time of acceptance.
	Events(ctx context.Context, f hook.EventFilter, p hook.Page) (list []hook.EventView, more bool, err error)
	// Event finds an event by its public id.
	Event(ctx context.Context, workspace hook.ID, id string) (hook.EventView, error)
	EventDeliveries(ctx context.Context, workspace hook.ID, event string, states []hook.State, p hook.Page) (list []hook.DeliveryView, more bool, err error)
	// Matches tells for every webhook of the workspace whether the event went to it.
	Matches(ctx context.Context, workspace hook.ID, event string) ([]hook.MatchView, error)

	// Deliveries come with the state to show, held ones included.
	Deliveries(ctx context.Context, f hook.DeliveryFilter, p hook.Page) (list []hook.DeliveryView, more bool, err error)
	// Delivery comes with its attempts, bodies included, oldest first.
	Delivery(ctx context.Context, workspace, id hook.ID) (hook.DeliveryView, []hook.Attempt, error)
	// Attempt finds one by number or id; of two with one number it is the one that counted.
	Attempt(ctx context.Context, workspace, delivery hook.ID, ref string) (hook.Attempt, error)

	// Health of a webhook. The queue's numbers are those of the moment.
	Health(ctx context.Context, workspace, webhook hook.ID) (hook.Health, error)
}

// Operator moves deliveries by hand.
type Operator interface {
	// Retry makes a finished delivery wait again with a fresh budget and a pending one
	// due now. Errors: KindNotFound, KindDeliveryRunning, KindInvalidState.
	Retry(ctx context.Context, workspace, delivery hook.ID) error
	// Skip gives a pending or held delivery up. Errors as Retry's.
	Skip(ctx context.Context, workspace, delivery hook.ID) error
}

// Holder stops and starts the sending of the whole installation.
type Holder interface {
	// SetHold returns what is so then. When it returns, this node obeys.
	SetHold(ctx context.Context, p hook.Principal, on bool) (hook.Hold, error)
}

// Tester sends a sample.
type Tester interface {
	// Test sends a sample of the event type ("" is one the webhook is told about) to the
	// webhook now, in whatever state it is, and returns the recorded attempt.
	Test(ctx context.Context, p hook.Principal, webhook hook.ID, eventType string, request hook.ID) (*hook.Attempt, error)
}

// Requests tells what hit the doors.
type Requests interface {
	// Requests come without headers, bodies, checks and what they led to.
	Requests(ctx context.Context, f hook.RequestFilter, p hook.Page) (list []hook.RequestView, more bool, err error)
	// Request comes whole, hidden values left out.
	Request(ctx context.Context, workspace, id hook.ID) (hook.RequestView, error)
}

// Doors answers the calls of third parties, and looks at them again.
type Doors interface {
	// Serve answers a call of a door.
	Serve(ctx context.Context, c *hook.DoorCall) hook.DoorAnswer
	// Verify holds a call against the present configuration; nothing runs.
	Verify(ctx context.Context, p hook.Principal, id hook.ID) (hook.Verdict, string, []hook.Check, error)
	// Replay accepts a call again as a new one, whose id is that of this API call. Errors:
	// KindNotFound, KindInvalidState if it would be refused now.
	Replay(ctx context.Context, p hook.Principal, id, call hook.ID) (*hook.Request, error)
}

// Presets knows how senders sign.
type Presets interface {
	// All are sorted by name.
	All() []*hook.Preset
}

// Records reads the record store.
type Records interface {
	Collections(ctx context.Context, workspace hook.ID) ([]hook.Collection, error)
	// Records come by key, those after the key after; "" is from the beginning of the order.
	Records(ctx context.Context, workspace hook.ID, collection, prefix, after string, limit int, ascending bool) (list []*hook.Record, more bool, err error)
	// Record finds one; nil if there is none.
	Record(ctx context.Context, workspace hook.ID, collection, key string) (*hook.Record, error)
}

// RecordWriter changes records by hand.
type RecordWriter interface {
	// PutRecord takes a document that is JSON without repeated keys.
	PutRecord(ctx context.Context, p hook.Principal, collection, key string, document []byte, w hook.Write) (hook.RecordResult, error)
	DeleteRecord(ctx context.Context, p hook.Principal, collection, key string, g hook.Guard) error
}

// ActionTester runs an action by hand.
type ActionTester interface {
	// TestAction runs the action now, whatever its state, with the members of variables, a
	// JSON object, as what its templates see, and returns the recorded attempt. request is
	// the id of the call.
	TestAction(ctx context.Context, p hook.Principal, action hook.ID, variables []byte, request hook.ID) (*hook.Attempt, error)
}

// AuditLog tells who changed what.
type AuditLog interface {
	// AuditLog lists rows by time. Large ones make a page shorter than its limit.
	AuditLog(ctx context.Context, f hook.AuditFilter, p hook.Page) (list []*hook.AuditEntry, more bool, err error)
}

// Templates evaluates templates.
type Templates interface {
	// Render evaluates a template with the keys of values, a JSON object or nothing, in
	// their order. zone is an IANA name. Errors: KindTemplateSyntax, KindTemplateRuntime,
	// KindTemplateLimit, KindInvalid.
	Render(ctx context.Context, template string, values []byte, now time.Time, zone string) (string, error)
}

// Idempotency remembers the answers of creating calls for 24 hours, encrypted.
type Idempotency interface {
	// Begin claims the scope for a request with this fingerprint. It returns the first
	// answer if there is one, nil if the caller is now to do the work and then to call
	// Complete or Abandon. Errors: KindIdempotencyReused for another fingerprint,
	// KindIdempotencyBusy while the first call runs.
	Begin(ctx context.Context, s hook.IdempotencyScope, fingerprint [32]byte) (*hook.Answer, error)
	// Complete stores the answer.
	Complete(ctx context.Context, s hook.IdempotencyScope, a hook.Answer) error
	// Abandon forgets that the call was begun, because it has no final answer.
	Abandon(ctx context.Context, s hook.IdempotencyScope) error
}

// Streams follows what is accepted.
type Streams interface {
	// Open begins at a position, a time or now. Errors: KindNotFound for a webhook,
	// KindInvalidCursor, KindCursorExpired, KindUnavailable for too many, KindShuttingDown.
	Open(ctx context.Context, q hook.StreamQuery) (Stream, error)
}

// Stream is a place in the log of events. Close it.
type Stream interface {
	At() hook.Position
	// Next returns the next events as soon as there are any, or none after a while.
	Next(ctx context.Context, wait time.Duration, limit, maxBytes int) (hook.StreamPage, error)
	Close()
}

// Services is everything the edge calls. What needs one that is nil is not there.
type Services struct {
	Gate         Gate
	Manager      Manager
	Stats        Stats
	Publisher    Publisher
	History      History
	Operator     Operator
	Holder       Holder
	Tester       Tester
	Templates    Templates
	Requests     Requests
	Doors        Doors
	Presets      Presets
	Records      Records
	RecordWriter RecordWriter
	ActionTester ActionTester
	Idempotency  Idempotency
	AuditLog     AuditLog
	Streams      Streams
}

// serve reports whether what an operation needs is there.
func (s *Services) serve(op string) bool {
	switch op {
	case "GetStats":
		return s.Stats != nil
	case "ListRequests", "ListIncomingWebhookRequests", "GetRequest", "GetRequestBody":
		return s.Requests != nil
	case "ReplayRequest", "VerifyRequest":
		return s.Doors != nil
	case "ListPresets", "GetPreset":
		return s.Presets != nil
	case "ListCollections", "ListRecords", "GetRecord":
		return s.Records != nil
	case "PutRecord", "DeleteRecord":
		return s.RecordWriter != nil
	case "ListAuditLog":
		return s.AuditLog != nil
	case "StreamEvents":
		return s.Streams != nil
	case "TestAction":
		return s.ActionTester != nil
	}
	return true
}
