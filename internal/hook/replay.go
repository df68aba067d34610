package hook

import "time"

// ReplayInclude says what of a window a replay is about.
type ReplayInclude string

// What a replay includes.
const (
	ReplayFailed ReplayInclude = "failed" // deliveries that ended in one of the named states
	ReplayMissed ReplayInclude = "missed" // events that match now and became no delivery
	ReplayAll    ReplayInclude = "all"    // both
)

// ReplayState is how far a replay is.
type ReplayState string

// States of a replay. The last three are final.
const (
	ReplayRunning   ReplayState = "running"
	ReplayPaused    ReplayState = "paused"
	ReplaySucceeded ReplayState = "succeeded"
	ReplayCancelled ReplayState = "cancelled"
	ReplayErrored   ReplayState = "failed"
)

// Final reports whether nothing more happens.
func (s ReplayState) Final() bool {
	return s == ReplaySucceeded || s == ReplayCancelled || s == ReplayErrored
}

// ReplayReason says why a replay does not move, or why it ended.
type ReplayReason string

// Reasons of replays. Those of a running one pass by themselves.
const (
	ReplayNoReason        ReplayReason = ""
	ReplayBacklog         ReplayReason = "backlog"          // enough of it waits for its target
	ReplayPendingLimit    ReplayReason = "pending_limit"    // half of the workspace's limit is used up
	ReplaySettling        ReplayReason = "open_transaction" // somebody's on Postgres began before it and has not ended
	ReplaySuspended       ReplayReason = "suspended"        // its webhook is
	ReplayDisabled        ReplayReason = "disabled"         // its webhook is
	ReplayByOperator      ReplayReason = "by_operator"      // paused or cancelled
	ReplayWebhookDeleted  ReplayReason = "webhook_deleted"  // meanwhile
	ReplayActionDeleted   ReplayReason = "action_deleted"   // meanwhile
	ReplayInternalFailure ReplayReason = "internal_error"   // the log says more
)

// ReplaySpec is what a replay is about. Its window is of the times at which events were
// accepted; Since is in it, Until is not.
type ReplaySpec struct {
	TargetKind TargetKind // webhook or action
	Target     ID         // NoID: every webhook of the workspace
	EventTypes []string   // patterns as those of webhooks; nil: all
	States     []State    // final ones of deliveries to repeat; nil: none
	EntityID   string     // text of the id, number or string alike; "": any
	Since      time.Time  // zero: all that is kept
	Until      time.Time
	// UntilOpen: nobody named an end. The work begins by moving it so far that nothing which
	// was accepted when the replay was made lies beyond.
	UntilOpen bool
	Include   ReplayInclude
	Rate      int  // deliveries a second; 0: as fast as the targets take them
	FreshIDs  bool // messages get ids that the receiver has not seen
}

// Missed reports whether events without a delivery are looked for.
func (s *ReplaySpec) Missed() bool { return s.Include == ReplayMissed || s.Include == ReplayAll }

// ByEvent reports whether the events of the window are walked, instead of the deliveries
// of one target after another.
func (s *ReplaySpec) ByEvent() bool { return s.Missed() || s.EntityID != "" }

// Wants reports whether the replay is about events of this type. Our own types are meant
// only where they are named.
func (s *ReplaySpec) Wants(eventType string) bool {
	if s.EventTypes == nil {
		return true
	}
	operational := IsOperational(eventType)
	for _, pattern := range s.EventTypes {
		if MatchType(pattern, eventType, operational) {
			return true
		}
	}
	return false
}

// Replay repeats deliveries, and makes those that are missing. Its id's time is when it
// was asked for.
type Replay struct {
	ID        ID
	Workspace ID
	ReplaySpec
	State      ReplayState
	Reason     ReplayReason
	Total      *int // done and skipped at the end; nil: not counted
	Done       int  // deliveries that wait again, or were made
	Skipped    int  // left alone: they wait or are under way already, or the filter failed
	CreatedBy  ID   // API key
	Cursor     ReplayCursor
	StartedAt  *time.Time
	FinishedAt *time.Time
	Failures   int // in a row
}

// CreatedAt is when the replay was asked for.
func (r *Replay) CreatedAt() time.Time { return TimeOf(r.ID) }

// ReplayView is a replay as the API shows it. Names of what was removed for good are empty.
type ReplayView struct {
	Replay
	TargetCode string
	TargetName string
	KeyCode    string
	KeyName    string
}

// ReplayFilter selects replays of a workspace. Zero fields do not restrict; lists are
// any-of. Since is inclusive, Until exclusive, both on the time they were asked for.
type ReplayFilter struct {
	Workspace ID
	States    []ReplayState
	Targets   []ID
	Since     time.Time
	Until     time.Time
}

// ReplayCursor is where a walk goes on: at the first event, or delivery of the target,
// whose id is not below At. A walk over events names no target.
type ReplayCursor struct {
	Target ID
	At     ID
}

// ReplayDelivery is a delivery that a walk came by.
type ReplayDelivery struct {
	ID     ID
	Event  ID
	Target ID
	Kind   TargetKind
	State  State
	Test   bool
	Type   string // of the event; only if asked for
}

// ReplayEvent is an event that a walk came by, without its entity, and what it became at
// the targets asked for. Tests are listed whatever their target.
type ReplayEvent struct {
	Event
	EntityBytes int
	Deliveries  []ReplayDelivery
}

// ReplayNew is a delivery to be made of an event that became none.
type ReplayNew struct {
	ID      ID
	Event   ID
	Target  ID
	Skipped Reason // ReasonNone if it is to be sent
}

// ReplayPiece is a part of a replay's work. It is done in one transaction, or not at all.
type ReplayPiece struct {
	Replay  ID
	Version int64   // of the workspace's configuration it was decided by
	States  []State // that deliveries to repeat must still be in
	Again   []ID    // deliveries to repeat
	New     []ReplayNew
	Skipped int
	Cursor  ReplayCursor // where the next piece begins
	Last    bool         // there is none
	Fresh   bool
}

// Deliveries is how many the piece is about, those it leaves alone not counted.
func (p *ReplayPiece) Deliveries() int { return len(p.Again) + len(p.New) }

// ReplayDone is what a piece did.
type ReplayDone struct {
	Again   int
	New     int
	Skipped int
	Woken   []ID // targets that have something to do
}

// ReplayCount is what a replay would do now.
type ReplayCount struct {
	Total    int
	Skipped  int       // of them, those that would be left alone
	Complete bool      // everything was looked at
	UpTo     time.Time // not complete: events before it were counted; zero: it is not the time that says how far
}

// ReplayDeliveryID is the id of the delivery that a replay makes of an event for a target:
// always the same, so that no crash and no second replay makes two. Its time is the
// event's, and so it takes the place it would have had.
func ReplayDeliveryID(event, target ID) ID { return RequestDeliveryID(event, target) }
