package hook

import "time"

// Page asks for one page of a list. After is the id of the last row seen; NoID
// starts at the beginning of the order.
type Page struct {
	Limit int
	After ID
	Asc   bool
}

// EventFilter selects events of a workspace. Zero fields do not restrict; lists are
// any-of. Since is inclusive, Until exclusive, both on the time of acceptance.
type EventFilter struct {
	Workspace ID
	IDs       []string
	Types     []string
	EntityIDs []string // text of the id, number or string alike
	SourceID  ID       // publishers see their own
	Since     time.Time
	Until     time.Time
}

// DeliveryFilter selects deliveries of a workspace, likewise on their creation time.
type DeliveryFilter struct {
	Workspace  ID
	EventIDs   []string // public ids
	EventTypes []string
	EntityIDs  []string
	Requests   []ID       // inbound ones, of whose items the events were made
	Replays    []ID       // by which they were repeated last, or made
	TargetKind TargetKind // "" both
	Targets    []ID
	States     []State
	Since      time.Time
	Until      time.Time
}

// EventView is an event with what became of it.
type EventView struct {
	Event
	Deliveries map[State]int
}

// DeliveryView is a delivery as the API shows it: joined with its event and target.
type DeliveryView struct {
	Delivery
	EventID        string
	EventType      string
	EntityID       EntityID
	TargetCode     string
	TargetName     string
	MaxAttempts    int
	NextAttemptAt  *time.Time
	FirstAttemptAt *time.Time
	LastAttempt    *Attempt // without bodies in lists
	Claimed        bool
}

// MatchView says for one webhook why an event went to it or not.
type MatchView struct {
	Webhook   ID
	Code      string
	Name      string
	Delivery  *DeliveryView
	Matched   bool
	Reason    string // disabled, suspended, event_type, filter, created_later
	Detail    string
	Evaluated string // recorded, now
}

// ListFilter selects configuration resources.
type ListFilter struct {
	Metadata map[string]string // all must hold
	Since    time.Time
	Until    time.Time
}

// WorkspaceFilter selects workspaces, and orders them.
type WorkspaceFilter struct {
	ListFilter
	IDs       []ID // nil: all
	Sort      WorkspaceSort
	AfterCode string // of a list by code: the last one seen
}

// Purged counts the rows that retention removed.
type Purged struct {
	Deliveries int
	Attempts   int
	Events     int
	Requests   int
	Audit      int
	Swept      int // of what nobody can see any more: tombstones, expired answers, deleted workspaces
}
