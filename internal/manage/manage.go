// Package manage holds the rules around creating and changing configuration:
// workspaces, API keys, event types, webhooks and their secrets.
//
// What callers write arrives as a JSON object, the body of a request as it was
// received: one reader checks it and reports everything that is wrong with it at
// once. PUT replaces configuration, PATCH is a merge patch (RFC 7396) on top of what
// PUT would have to say to change nothing, and both take the same way from there.
package manage

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"

	"sallyport/internal/hook"
)

// Store is what manage needs of the store. Edit methods read a scene, let the given
// function decide and write its decision, all in one transaction; ref is an id or a
// code, "" for something new; nil decided means leave it as it is. They return the
// resource as it is afterwards.
type Store interface {
	Workspace(ctx context.Context, ref string) (*hook.Workspace, error)
	Workspaces(ctx context.Context, f hook.ListFilter, p hook.Page) ([]*hook.Workspace, bool, error)
	EditWorkspace(ctx context.Context, ref string, dry bool, decide func(hook.WorkspaceScene) (*hook.Workspace, error)) (*hook.Workspace, error)
	// DeleteWorkspace hides the workspace and everything in it at once, and returns
	// the webhooks that it had. The rows go by PurgeDeleted, a bounded number a call.
	DeleteWorkspace(ctx context.Context, ref string, check func(*hook.Workspace) error) (hook.ID, []hook.ID, error)
	EnsureDefaultWorkspace(ctx context.Context) (*hook.Workspace, error)

	APIKey(ctx context.Context, workspace hook.ID, ref string) (*hook.APIKey, error)
	APIKeys(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.APIKey, bool, error)
	EditAPIKey(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.APIKeyScene) (*hook.APIKey, error)) (*hook.APIKey, error)
	DeleteAPIKey(ctx context.Context, workspace hook.ID, ref string, check func(*hook.APIKey) error) error

	EventType(ctx context.Context, workspace hook.ID, name string) (*hook.EventType, error)
	EventTypes(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.EventType, bool, error)
	EditEventType(ctx context.Context, workspace hook.ID, name string, dry bool, decide func(hook.EventTypeScene) (*hook.EventType, error)) (*hook.EventType, error)
	DeleteEventType(ctx context.Context, workspace hook.ID, name string, check func(*hook.EventType) error) error

	// Webhook and Webhooks leave secret values out: the hints are enough to show.
	Webhook(ctx context.Context, workspace hook.ID, ref string) (*hook.Webhook, error)
	Webhooks(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.Webhook, bool, error)
	EditWebhook(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.WebhookScene) (*hook.Webhook, error)) (*hook.Webhook, error)
	// TypeNames returns the names of the workspace's catalogue.
	TypeNames(ctx context.Context, workspace hook.ID) ([]string, error)
}

// Profiles is the table of profiles.
type Profiles interface {
	Names() []string
	// Defaults reports false if there is no such profile.
	Defaults(profile string) (Defaults, bool)
}

// Defaults is what a profile changes about a webhook's configuration.
type Defaults struct {
	IncludeEntity   bool
	SuccessCodes    []string
	MinSecretLength int      // of secrets from elsewhere; below 24 they get a warning
	ReservedHeaders []string // names, or prefixes ending in "-", that the profile sets itself
	Catalogue       []string // event types that the product knows
}

// Egress says where requests may go.
type Egress interface {
	// AllowsLiteral reports whether this address may be sent to. Names are judged when
	// they are dialled.
	AllowsLiteral(addr netip.Addr) bool
}

// Pipeline is what has to be told, or asked, about deliveries.
type Pipeline interface {
	// Held counts the deliveries that wait for the target.
	Held(ctx context.Context, workspace, target hook.ID) (int, error)
	// TargetDeleted is told after a target was deleted, so that its open deliveries are
	// skipped. It must not block for long; what it cannot do now must be found again.
	TargetDeleted(workspace, target hook.ID)
	// ConfigChanged is told after every change, so that this node acts on it at once.
	ConfigChanged(workspace hook.ID)
}

// Service creates and changes configuration. Use New.
type Service struct {
	store    Store
	profiles Profiles
	egress   Egress
	pipeline Pipeline
	log      *slog.Logger
}

// New joins the parts. log may be nil.
func New(s Store, p Profiles, e Egress, q Pipeline, log *slog.Logger) *Service {
	if log == nil {
		log = slog.Default()
	}
	return &Service{store: s, profiles: p, egress: e, pipeline: q, log: log}
}

// Change is what a write did, or in a dry run would do.
type Change string

// Changes.
const (
	Created   Change = "created"
	Updated   Change = "updated"
	Unchanged Change = "unchanged"
)

// Guard holds the values of the headers If-Match and If-None-Match; "" is absent.
type Guard struct {
	IfMatch     string
	IfNoneMatch string
}

// Write says how a PUT or PATCH is meant.
type Write struct {
	Guard
	DryRun bool // decide, check and compare, and write nothing
}

// ETag is the strong validator of a version (RFC 9110 section 8.8).
func ETag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// check compares the guard with what is there; version 0 means nothing is.
func (g Guard) check(version int64) error {
	if g.IfMatch != "" && (version == 0 || !listed(g.IfMatch, version)) {
		return hook.Errorf(hook.KindPrecondition, "If-Match is %s but the version is %s", g.IfMatch, shown(version))
	}
	if g.IfNoneMatch != "" && version != 0 && listed(g.IfNoneMatch, version) {
		return hook.Errorf(hook.KindPrecondition, "If-None-Match is %s but it exists in version %s", g.IfNoneMatch, shown(version))
	}
	return nil
}

func shown(version int64) string {
	if version == 0 {
		return "none, it does not exist"
	}
	return ETag(version)
}

// listed reports whether a list of entity tags, or *, names the version. Weak tags
// never match: all of ours are strong.
func listed(tags string, version int64) bool {
	for tag := range strings.SplitSeq(tags, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == ETag(version) {
			return true
		}
	}
	return false
}
