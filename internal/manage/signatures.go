package manage

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/hook"
)

var errNotYet = errors.New("not yet")

// WorkspaceResult answers a write.
type WorkspaceResult struct {
	*hook.Workspace
	Change  Change
	Changed []string // names of fields, for updates
}

// APIKeyResult answers a write. Key is the generated key, shown this once, else "".
type APIKeyResult struct {
	*hook.APIKey
	Change  Change
	Changed []string
	Key     hook.Sensitive
}

// EventTypeResult answers a write.
type EventTypeResult struct {
	*hook.EventType
	Change  Change
	Changed []string
}

// Webhook is a webhook with what might not be meant about it: "no_secret",
// "short_secret", or "unknown_event_type: order.piad; did you mean order.paid?".
type Webhook struct {
	*hook.Webhook
	Warnings []string
}

// WebhookResult answers a write. Secret is the generated secret, shown this once.
type WebhookResult struct {
	Webhook
	Change  Change
	Changed []string
	Secret  hook.Sensitive
}

// RotateResult answers a rotation.
type RotateResult struct {
	Webhook           Webhook
	New               hook.Secret    // its Value is empty
	Secret            hook.Sensitive // the generated value, "" if it was given
	PreviousExpiresAt *time.Time     // nil if there was no secret before
}

// ResumeResult answers a resume. Released is how many held deliveries go on.
type ResumeResult struct {
	Webhook  Webhook
	Released int
}

func (s *Service) CreateWorkspace(ctx context.Context, p hook.Principal, doc []byte) (WorkspaceResult, error) {
	return WorkspaceResult{}, errNotYet
}
func (s *Service) PutWorkspace(ctx context.Context, p hook.Principal, ref string, doc []byte, w Write) (WorkspaceResult, error) {
	return WorkspaceResult{}, errNotYet
}
func (s *Service) PatchWorkspace(ctx context.Context, p hook.Principal, ref string, doc []byte, w Write) (WorkspaceResult, error) {
	return WorkspaceResult{}, errNotYet
}
func (s *Service) GetWorkspace(ctx context.Context, p hook.Principal, ref string) (*hook.Workspace, error) {
	return nil, errNotYet
}
func (s *Service) ListWorkspaces(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []*hook.Workspace, more bool, err error) {
	return nil, false, errNotYet
}
func (s *Service) DeleteWorkspace(ctx context.Context, p hook.Principal, ref, confirm string, g Guard) error {
	return errNotYet
}

func (s *Service) CreateAPIKey(ctx context.Context, p hook.Principal, doc []byte) (APIKeyResult, error) {
	return APIKeyResult{}, errNotYet
}
func (s *Service) PutAPIKey(ctx context.Context, p hook.Principal, ref string, doc []byte, w Write) (APIKeyResult, error) {
	return APIKeyResult{}, errNotYet
}
func (s *Service) PatchAPIKey(ctx context.Context, p hook.Principal, ref string, doc []byte, w Write) (APIKeyResult, error) {
	return APIKeyResult{}, errNotYet
}
func (s *Service) GetAPIKey(ctx context.Context, p hook.Principal, ref string) (*hook.APIKey, error) {
	return nil, errNotYet
}
func (s *Service) ListAPIKeys(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []*hook.APIKey, more bool, err error) {
	return nil, false, errNotYet
}
func (s *Service) DeleteAPIKey(ctx context.Context, p hook.Principal, ref string, g Guard) error {
	return errNotYet
}

func (s *Service) CreateEventType(ctx context.Context, p hook.Principal, doc []byte) (EventTypeResult, error) {
	return EventTypeResult{}, errNotYet
}
func (s *Service) PutEventType(ctx context.Context, p hook.Principal, name string, doc []byte, w Write) (EventTypeResult, error) {
	return EventTypeResult{}, errNotYet
}
func (s *Service) PatchEventType(ctx context.Context, p hook.Principal, name string, doc []byte, w Write) (EventTypeResult, error) {
	return EventTypeResult{}, errNotYet
}
func (s *Service) GetEventType(ctx context.Context, p hook.Principal, name string) (*hook.EventType, error) {
	return nil, errNotYet
}
func (s *Service) ListEventTypes(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []*hook.EventType, more bool, err error) {
	return nil, false, errNotYet
}
func (s *Service) DeleteEventType(ctx context.Context, p hook.Principal, name string, g Guard) error {
	return errNotYet
}

func (s *Service) CreateWebhook(ctx context.Context, p hook.Principal, doc []byte) (WebhookResult, error) {
	return WebhookResult{}, errNotYet
}
func (s *Service) PutWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w Write) (WebhookResult, error) {
	return WebhookResult{}, errNotYet
}
func (s *Service) PatchWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte, w Write) (WebhookResult, error) {
	return WebhookResult{}, errNotYet
}
func (s *Service) GetWebhook(ctx context.Context, p hook.Principal, ref string) (Webhook, error) {
	return Webhook{}, errNotYet
}
func (s *Service) ListWebhooks(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []Webhook, more bool, err error) {
	return nil, false, errNotYet
}
func (s *Service) DeleteWebhook(ctx context.Context, p hook.Principal, ref string, g Guard) error {
	return errNotYet
}

// RotateSecret takes the body {secret?, generateSecret?, overlap?}; doc may be empty.
func (s *Service) RotateSecret(ctx context.Context, p hook.Principal, ref string, doc []byte) (RotateResult, error) {
	return RotateResult{}, errNotYet
}

// DeleteSecret removes all secrets, or with an id that one.
func (s *Service) DeleteSecret(ctx context.Context, p hook.Principal, ref string, id hook.ID) error {
	return errNotYet
}
func (s *Service) PauseWebhook(ctx context.Context, p hook.Principal, ref string) (Webhook, error) {
	return Webhook{}, errNotYet
}

// ResumeWebhook takes the body {replay?}; doc may be empty.
func (s *Service) ResumeWebhook(ctx context.Context, p hook.Principal, ref string, doc []byte) (ResumeResult, error) {
	return ResumeResult{}, errNotYet
}

// Suspend is called by dispatch. It reports whether the webhook was active before, so
// that of several nodes one tells of it.
func (s *Service) Suspend(ctx context.Context, workspace, webhook hook.ID, reason string) (bool, error) {
	return false, errNotYet
}
