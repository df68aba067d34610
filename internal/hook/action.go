package hook

import (
	"encoding/json"
	"time"
)

// ActionType is what an action does. It is fixed when the action is created.
type ActionType string

// Types of actions.
const (
	ActionPublishEvent ActionType = "publishEvent"
	ActionHTTPRequest  ActionType = "httpRequest"
	ActionCreateRecord ActionType = "createRecord"
	ActionUpsertRecord ActionType = "upsertRecord"
	ActionUpdateRecord ActionType = "updateRecord"
	ActionDeleteRecord ActionType = "deleteRecord"
	ActionSendEmail    ActionType = "sendEmail"
	ActionRunCommand   ActionType = "runCommand"
	ActionSet          ActionType = "set"
)

// ActionTypes lists them all.
var ActionTypes = []ActionType{
	ActionPublishEvent, ActionHTTPRequest, ActionCreateRecord, ActionUpsertRecord, ActionUpdateRecord, ActionDeleteRecord,
	ActionSendEmail, ActionRunCommand, ActionSet,
}

// ActionSpec is an action's configuration: what a PUT replaces.
type ActionSpec struct {
	Code        string // slug, unique per workspace without regard to case
	Name        string
	Description string
	Type        ActionType
	Config      []byte // JSON object whose fields depend on the type, as it was written; holds no secret values
	Condition   string // Twig expression; "" is none. False ends a delivery as skipped
	Enabled     bool
	MaxAttempts int // total, the first included
	Retry       Retry
	Timeout     time.Duration // of one attempt
	Metadata    map[string]string
}

// Members lists the codes of the actions of a set, in their order; nil of another type.
func (s *ActionSpec) Members() []string {
	if s.Type != ActionSet {
		return nil
	}
	var c struct {
		Actions []string `json:"actions"`
	}
	if json.Unmarshal(s.Config, &c) != nil {
		return nil
	}
	return c.Actions
}

// Action is what an incoming webhook triggers.
type Action struct {
	ID        ID
	Workspace ID
	ActionSpec
	Secrets   []NamedSecret // for templates: {{ secrets.name }}
	Version   int64         // counts changes, the ETag
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt *time.Time // tombstone: nothing runs, history still readable
}

// State is active or disabled: its owner's wish.
func (a *Action) State() TargetState {
	if !a.Enabled || a.DeletedAt != nil {
		return TargetDisabled
	}
	return TargetActive
}

// NamedSecret is a write-only value that configuration refers to by name.
type NamedSecret struct {
	Name  string
	Value Sensitive
	Hint  string // "…" and the last four characters
}
