package hook

import "time"

// Target is what a delivery can be for, as the dispatcher sees it: one
// configuration version, immutable.
type Target struct {
	Kind        TargetKind
	ID          ID
	Workspace   ID
	Code        string
	Name        string
	State       TargetState
	MaxAttempts int
	Retry       Retry
	MaxInFlight int // 0: no limit but the lane's
	RateLimit   *RateLimit
	Limited     bool   // one node sends for the whole installation
	Filter      string // condition on the event; "": none
	Version     int64
	Webhook     *Webhook         // when Kind is TargetWebhook
	Action      *Action          // when Kind is TargetAction
	Incoming    *IncomingWebhook // when Kind is TargetIncoming
	Alerts      *Alerts          // when Kind is TargetAlert
}

// TargetOf makes the dispatcher's view of a webhook.
func TargetOf(w *Webhook) *Target {
	return &Target{
		Kind: TargetWebhook, ID: w.ID, Workspace: w.Workspace, Code: w.Code, Name: w.Name, State: w.State(),
		MaxAttempts: w.MaxAttempts, Retry: w.Retry, MaxInFlight: w.MaxInFlight, RateLimit: w.RateLimit,
		Limited: w.Limited(), Filter: w.Filter, Version: w.Version, Webhook: w,
	}
}

// TargetOfAction makes the dispatcher's view of an action.
func TargetOfAction(a *Action) *Target {
	return &Target{
		Kind: TargetAction, ID: a.ID, Workspace: a.Workspace, Code: a.Code, Name: a.Name, State: a.State(),
		MaxAttempts: a.MaxAttempts, Retry: a.Retry, Version: a.Version, Action: a,
	}
}

// PostAttempts is how often post-processors and alert mails are tried, with the default
// waits.
const PostAttempts = 10

// TargetOfIncoming makes the dispatcher's view of a door's post-processors. What was
// accepted is finished also when the door was disabled meanwhile.
func TargetOfIncoming(w *IncomingWebhook) *Target {
	return &Target{
		Kind: TargetIncoming, ID: w.ID, Workspace: w.Workspace, Code: w.Code, Name: w.Name, State: TargetActive,
		MaxAttempts: PostAttempts, Retry: Retry{Jitter: 0.1}, Version: w.Version, Incoming: w,
	}
}

// What a workspace's alert mail is called as a target.
const (
	AlertCode = "alert-mail"
	AlertName = "Alert mail"
)

// TargetOfAlerts makes the dispatcher's view of a workspace's alert mail.
func TargetOfAlerts(w *Workspace, a *Alerts) *Target {
	return &Target{
		Kind: TargetAlert, ID: w.ID, Workspace: w.ID, Code: AlertCode, Name: AlertName, State: TargetActive,
		MaxAttempts: PostAttempts, Retry: Retry{Jitter: 0.1}, Version: w.Version, Alerts: a,
	}
}

// DefaultInFlight is how many requests one node has under way at one target that
// sets no limit of its own.
const DefaultInFlight = 64

// NodeID is one process for as long as it lives; a restart gets a new one.
type NodeID int64

// Job is a delivery in the hands of a node, with all it needs to be sent.
type Job struct {
	Node     NodeID // that holds it
	Delivery Delivery
	Event    *Event
	Trigger  Trigger
	Claimed  bool      // it has a due row held by the node; else it was born claimed
	Claims   int       // times it was rescued from a dead node, and StartNoted for each start that was noted
	DueAt    time.Time // as claimed; zero when born claimed
}

// StartNoted is what a noted start of a delivery adds to its claims: more than it is ever
// rescued.
const StartNoted = 1000
