package hook

import "time"

// A scene is what a decision about one resource may look at: it is read, and the
// decision written, in one transaction that no other change of the same workspace's
// configuration can overtake. Decisions may be asked for more than once and change
// nothing themselves.

// Scene is common to all scenes.
type Scene struct {
	Workspace Workspace // zero where the resource belongs to none
	Now       time.Time // the database's, in whole milliseconds
	// CodeOwner and NameOwner return who holds a code or name, NoID if nobody does.
	// A deleted resource holds none. NameOwner is nil where names need not be unique.
	CodeOwner func(code string) (ID, error)
	NameOwner func(name string) (ID, error)
}

// WorkspaceScene is the scene of a workspace. Current is nil if there is none.
type WorkspaceScene struct {
	Scene
	Current *Workspace
}

// APIKeyScene is the scene of an API key.
type APIKeyScene struct {
	Scene
	Current *APIKey
	// HashOwner returns the key with this hash, in whatever workspace.
	HashOwner func(hash [32]byte) (ID, error)
}

// EventTypeScene is the scene of a catalogue entry.
type EventTypeScene struct {
	Scene
	Current *EventType
}

// ActionScene is the scene of an action. Current has its secret values in clear.
type ActionScene struct {
	Scene
	Current *Action
	Actions map[string]*Action // the workspace's actions by code in lower case, without secret values
	UsedBy  []string           // what refers to it, such as "incoming webhook erp-stock, route primary"
}

// IncomingScene is the scene of an incoming webhook. Current has its secret values in
// clear.
type IncomingScene struct {
	Scene
	Current *IncomingWebhook
	Actions map[string]*Action // the workspace's actions by code in lower case, without secret values
}

// WebhookScene is the scene of a webhook. Current has its secret values in clear.
type WebhookScene struct {
	Scene
	Current *Webhook
	Types   map[string]*EventType // the workspace's catalogue, operational types included
	// StartReplay stores a replay together with what is decided; nothing else that a
	// decision may call changes anything.
	StartReplay func(r *Replay) error
	// Tell publishes an operational event with what is decided: both are stored, or neither.
	// Who is told is matched against the configuration as it is after the change.
	Tell func(Notice)
}
