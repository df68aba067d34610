// Package inbound is the door: it finds the incoming webhook that a call is for, checks the
// call in order, makes items of its body, and has the request stored with its events before
// it answers. What was refused is recorded, too, as far as floods allow.
package inbound

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
)

// Catalog gives doors and actions as they are configured now.
type Catalog interface {
	// WorkspaceID finds a workspace by code or id.
	WorkspaceID(ctx context.Context, ref string) (hook.ID, string, error)
	View(ctx context.Context, workspace hook.ID) (*hook.View, error)
	// Current returns the view of a workspace as the store has it now.
	Current(ctx context.Context, workspace hook.ID) (*hook.View, error)
}

// Publisher stores requests with their events.
type Publisher interface {
	// Admit stores a request; it returns the one that came before under its dedupe key, if
	// any. hook.ErrChanged asks to judge the request anew.
	Admit(ctx context.Context, v *hook.View, a *hook.Admission) (repeated hook.ID, err error)
	// AdmitPiece stores some items of a request that is stored; a piece may be stored again.
	AdmitPiece(ctx context.Context, v *hook.View, a *hook.Admission) error
	Unwatch(a *hook.Admission)
}

// Store keeps requests.
type Store interface {
	// InsertRequests stores requests that make no events.
	InsertRequests(ctx context.Context, requests []*hook.Request) error
	// RequestForRun returns a request with its body and what is hidden in it.
	RequestForRun(ctx context.Context, workspace, id hook.ID) (*hook.Request, error)
	// AnswerRequest notes what a stored request was answered in the end.
	AnswerRequest(ctx context.Context, workspace, id hook.ID, status int, took time.Duration) error
	// LoadIncoming returns an incoming webhook, also a deleted one.
	LoadIncoming(ctx context.Context, workspace, id hook.ID) (*hook.IncomingWebhook, error)
	TakeExpansion(ctx context.Context, node hook.NodeID) (*hook.Expansion, error)
	AdvanceExpansion(ctx context.Context, node hook.NodeID, request hook.ID, done int) error
	// LeaveExpansion gives one back that failed: it is not taken again before the wait is over.
	// reason is the code of the problem.
	LeaveExpansion(ctx context.Context, node hook.NodeID, request hook.ID, wait time.Duration, reason string) error
}

// Scene is what templates and conditions of a door see.
type Scene struct {
	Request *hook.Request
	Body    func() []byte // the parsed body as JSON; nil: there is none
	Door    *hook.IncomingWebhook
	Item    []byte // JSON; nil: none
	Now     time.Time
	Results []Result // of actions, for the answer of a door that waits
	// Kept is the templates' own, for all scenes of one request: what they have made of it
	// once need not be made for each of its items.
	Kept map[string]any
}

// Result is what became of one action of a request.
type Result struct {
	Action string
	State  hook.State
	Status int
	Body   string
}

// Templates evaluates the texts of doors.
type Templates interface {
	// Hash renders a hash for an instant; it sees secrets, config.siteUrl and now.
	Hash(source, zone string, secrets []hook.NamedSecret, now time.Time) (string, error)
	Condition(expression string, s *Scene) (bool, error)
	Render(source string, s *Scene) (string, error)
	// Schema compiles a JSON Schema to a check of documents.
	Schema(schema []byte) (func(document []byte) error, error)
	// Select compiles a JMESPath into a function that gives the text of what it selects.
	Select(path string) (func(document []byte) (string, bool), error)
}

// Runner is told of accepted requests that actions are about to need.
type Runner interface {
	Remember(r *hook.Request)
}

// Metrics counts calls.
type Metrics interface {
	DoorCall(door string, verdict hook.Verdict, reason string)
	// Called counts the same by workspace.
	Called(workspace hook.ID, verdict hook.Verdict)
}

// Config of the doors.
type Config struct {
	Presets *preset.Table
	Node    func() hook.NodeID // 0: not registered
	Origin  string             // scheme and host of the public URLs
	Held    func() bool        // the installation sends nothing, so that no action ends soon; nil: never
	// Refusing is told of a door that refused AlertAfter calls within five minutes, at most
	// once an hour. It must not block. AlertAfter 0: never.
	Refusing   func(n hook.Notice, workspace hook.ID)
	AlertAfter int
}

// Doors answers calls. Use New, and Run what it does beside.
type Doors struct {
	cfg       Config
	catalog   Catalog
	publisher Publisher
	store     Store
	templates Templates
	runner    Runner
	metrics   Metrics
	log       *slog.Logger

	compiled sync.Map // hook.ID -> *door
	refusals *refusals
	looks    *looks    // at the store, for what a copy refuses
	rates    *limiters // of doors that have a limit
	alarms   *alarms
	parked   chan struct{}
	expand   chan struct{}
}

// maxParked is how many uniform refusals wait for their moment at the same time.
const maxParked = 1000

// New joins the parts.
func New(cfg Config, c Catalog, p Publisher, s Store, t Templates, r Runner, m Metrics, log *slog.Logger) *Doors {
	if cfg.Presets == nil {
		cfg.Presets = preset.Builtin()
	}
	return &Doors{
		cfg: cfg, catalog: c, publisher: p, store: s, templates: t, runner: r, metrics: m, log: log,
		refusals: newRefusals(s, log), looks: newLooks(c), rates: newLimiters(),
		alarms: newAlarms(cfg.AlertAfter),
		parked: make(chan struct{}, maxParked), expand: make(chan struct{}, 1),
	}
}

// Run records refusals and expands large requests until ctx ends; then it records what it
// has and returns.
func (d *Doors) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { d.refusals.run(ctx) })
	parts.Go(func() { d.expandLoop(ctx) })
	parts.Wait()
	return nil
}
