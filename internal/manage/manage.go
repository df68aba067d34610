// Package manage holds the rules around creating and changing configuration:
// workspaces, API keys, event types, webhooks and their secrets.
//
// What callers write arrives as a JSON object, the body of a request as it was
// received: one reader checks it and reports everything that is wrong with it at
// once. PUT replaces configuration, PATCH is a merge patch (RFC 7396) on top of what
// a PUT would have to say to change nothing, and both take the same way from there.
package manage

import (
	"context"

	"sallyport/internal/hook"
)

// Store is what manage needs of the store. Edit methods read a scene, let the given
// function decide and write its decision, all in one transaction; ref is an id or a
// code, "" for something new; nil decided means leave it as it is. They return the
// resource as it is afterwards.
type Store interface {
	Setting(ctx context.Context, key string) ([]byte, error)
	PutSettingIfAbsent(ctx context.Context, key string, value []byte) ([]byte, error)

	Workspace(ctx context.Context, ref string) (*hook.Workspace, error)
	Workspaces(ctx context.Context, f hook.WorkspaceFilter, p hook.Page) ([]*hook.Workspace, bool, error)
	EditWorkspace(ctx context.Context, ref string, dry bool, decide func(hook.WorkspaceScene) (*hook.Workspace, error)) (*hook.Workspace, error)
	// DeleteWorkspace hides the workspace and everything in it at once, and returns its
	// id and the targets that it had. The rows go later.
	DeleteWorkspace(ctx context.Context, ref string, check func(*hook.Workspace) error) (hook.ID, []hook.ID, error)
	EnsureDefaultWorkspace(ctx context.Context) (*hook.Workspace, error)

	APIKey(ctx context.Context, workspace hook.ID, ref string) (*hook.APIKey, error)
	APIKeys(ctx context.Context, workspaces []hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.APIKey, bool, error)
	EditAPIKey(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.APIKeyScene) (*hook.APIKey, error)) (*hook.APIKey, error)
	DeleteAPIKey(ctx context.Context, workspace hook.ID, ref string, check func(*hook.APIKey) error) error

	EventType(ctx context.Context, workspace hook.ID, ref string) (*hook.EventType, error)
	EventTypes(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.EventType, bool, error)
	EditEventType(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.EventTypeScene) (*hook.EventType, error)) (*hook.EventType, error)
	DeleteEventType(ctx context.Context, workspace hook.ID, ref string, check func(*hook.EventType) error) error
	TypeNames(ctx context.Context, workspace hook.ID) ([]string, error)

	// Webhook and Webhooks leave secret values out: the hints are enough to show.
	Webhook(ctx context.Context, workspace hook.ID, ref string) (*hook.Webhook, error)
	Webhooks(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.Webhook, bool, error)
	EditWebhook(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.WebhookScene) (*hook.Webhook, error)) (*hook.Webhook, error)

	Action(ctx context.Context, workspace hook.ID, ref string) (*hook.Action, error)
	Actions(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.Action, bool, error)
	EditAction(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.ActionScene) (*hook.Action, error)) (*hook.Action, error)

	// IncomingWebhook and IncomingWebhooks leave out the values of named secrets. The hash
	// is there.
	IncomingWebhook(ctx context.Context, workspace hook.ID, ref string) (*hook.IncomingWebhook, error)
	IncomingWebhooks(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.IncomingWebhook, bool, error)
	EditIncoming(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.IncomingScene) (*hook.IncomingWebhook, error)) (*hook.IncomingWebhook, error)

	// AddReplay gives the replay its id; whichever node takes it works on it.
	AddReplay(ctx context.Context, r *hook.Replay) error
	Replay(ctx context.Context, workspace, id hook.ID) (hook.ReplayView, error)
	Replays(ctx context.Context, f hook.ReplayFilter, p hook.Page) ([]hook.ReplayView, bool, error)
	// EditReplay lets decide say what its state is from now on; "" leaves it.
	EditReplay(ctx context.Context, workspace, id hook.ID, decide func(hook.ReplayState) (hook.ReplayState, hook.ReplayReason, error)) error
}

// Egress says where requests may go.
type Egress interface {
	// RefusesHost returns why the host of a URL cannot be sent to, and which setting
	// would change that; nil if it can, or is a name, which is judged when it is
	// dialled.
	RefusesHost(host string) error
}

// Conditions knows the language of filters and conditions.
type Conditions interface {
	// Check says what is wrong with an expression before anything is evaluated, nil if
	// nothing is.
	Check(expression string) error
}

// Rules are those of the rooms that work with the configuration. Errors about templates
// have a kind and name the place. Fields of faults are relative to what is checked.
type Rules interface {
	Conditions
	// CheckTemplate says what is wrong with a template before it is rendered.
	CheckTemplate(source string) error
	// SecretsOf returns the names of the secrets that a template reads, or an expression.
	SecretsOf(source string, expression bool) []string
	// RenderHash renders the template of a door's hash as it would be checked now.
	RenderHash(source, zone string, secrets []hook.NamedSecret) (string, error)
	// KnowsZone reports whether there is a time zone of this name.
	KnowsZone(name string) bool
	// CheckParser says what is wrong with a parser.
	CheckParser(p hook.Parser) []hook.Fault
	// CheckSignature says what is wrong with a pre-processor that verifies signatures, and
	// with the secrets for it; without secret only the description is checked.
	CheckSignature(p hook.PreProcessor, secret func(name string) (hook.Sensitive, bool)) []hook.Fault
	// DedupeKey is the template by which a preset knows repeats, "" if it cannot.
	DedupeKey(preset string) string
	// CheckAction says what is wrong with the configuration of a type of action, whose
	// templates may name these secrets. Fields begin with config.
	CheckAction(t hook.ActionType, config []byte, secrets []string) []hook.Fault
	// SendsMail reports whether the installation has a mail server.
	SendsMail() bool
}

// Pipeline is what has to be asked, or told, about deliveries.
type Pipeline interface {
	// Held counts the deliveries that wait for the target.
	Held(ctx context.Context, workspace, target hook.ID) (int, error)
	// TargetDeleted is told after a target was deleted, so that its open deliveries are
	// skipped. It does not block; what it loses to a crash is found again.
	TargetDeleted(workspace, target hook.ID)
	// ConfigChanged is told after every change, so that this node acts on it at once;
	// NoID is workspaces themselves and platform keys. It does not block.
	ConfigChanged(workspace hook.ID)
	// CountReplay says what a replay would be about, within a few seconds.
	CountReplay(ctx context.Context, workspace hook.ID, spec *hook.ReplaySpec) (hook.ReplayCount, error)
	// ReplayChanged is told after a replay was made, or moved by hand. It does not block.
	ReplayChanged(id hook.ID, state hook.ReplayState)
}

// Service creates and changes configuration. Use New.
type Service struct {
	store    Store
	egress   Egress
	rules    Rules
	pipeline Pipeline
}

// New joins the parts.
func New(s Store, e Egress, r Rules, q Pipeline) *Service {
	return &Service{store: s, egress: e, rules: r, pipeline: q}
}
