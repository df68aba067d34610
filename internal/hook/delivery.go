package hook

import "time"

// TargetKind is what a delivery is for.
type TargetKind string

// Kinds of target.
const (
	TargetWebhook TargetKind = "webhook"
	TargetAction  TargetKind = "action"
	// TargetIncoming is a door itself: its post-processors run as a delivery.
	TargetIncoming TargetKind = "incomingWebhook"
	// TargetAlert is a workspace's alert mail; its id is the workspace's.
	TargetAlert TargetKind = "alertMail"
)

// State of a delivery.
type State string

// States of a delivery. Held is derived from the target and never stored.
const (
	StatePending   State = "pending"
	StateHeld      State = "held"
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"
	StateSkipped   State = "skipped"
)

// Final reports whether nothing more happens by itself.
func (s State) Final() bool { return s == StateSucceeded || s == StateFailed || s == StateSkipped }

// Reason says why a delivery is in its state.
type Reason string

// Reasons shown with a state.
const (
	ReasonNone              Reason = ""
	ReasonPaused            Reason = "paused"
	ReasonSuspended         Reason = "suspended"
	ReasonDisabled          Reason = "disabled"
	ReasonBreakerOpen       Reason = "breaker_open"
	ReasonRateLimited       Reason = "rate_limited"
	ReasonMaxInFlight       Reason = "max_in_flight"
	ReasonHold              Reason = "installation_hold"
	ReasonRetryScheduled    Reason = "retry_scheduled" // its next attempt is not due yet
	ReasonQueued            Reason = "queued"          // due: it waits for its turn
	ReasonAttemptsExhausted Reason = "attempts_exhausted"
	ReasonPermanentError    Reason = "permanent_error"
	ReasonGone              Reason = "gone"
	ReasonWorkerCrashed     Reason = "worker_crashed"
	ReasonByOperator        Reason = "by_operator"
	ReasonWebhookDeleted    Reason = "webhook_deleted"
	ReasonConditionFalse    Reason = "condition_false"
	ReasonConditionError    Reason = "condition_error"
	ReasonActionDeleted     Reason = "action_deleted"
)

// Delivery is one event for one target. Its id's time is when it was created.
type Delivery struct {
	ID         ID
	Workspace  ID
	EventKey   ID
	TargetKind TargetKind
	Target     ID
	State      State
	Reason     Reason
	Attempts   int // made and counted so far
	Base       int // attempts before the present budget began: an operator's retry starts a fresh one
	Test       bool
	ReplayID   ID        // that repeated it last, or made it
	Fresh      int       // what the message's id ends in, 2 for -r2; 0: nothing
	RequestID  ID        // of the call that led to it: a publish, or a call of an incoming webhook
	Step       int       // of an action set or of post-processors: how many members have run
	FinishedAt time.Time // zero: not finished
}

// CreatedAt is when the delivery was accepted, in milliseconds.
func (d *Delivery) CreatedAt() time.Time { return TimeOf(d.ID) }

// Trigger says what set an attempt off.
type Trigger string

// Triggers of attempts.
const (
	TriggerFirst  Trigger = "first"
	TriggerRetry  Trigger = "retry"
	TriggerManual Trigger = "manual"
	TriggerReplay Trigger = "replay"
	TriggerTest   Trigger = "test"
)

// Outcome of an attempt.
type Outcome string

// Outcomes of attempts. Aborted ones, cut off by our own stop, spend no attempt;
// superseded ones happened after the delivery had been taken over by another node.
const (
	OutcomeSucceeded  Outcome = "succeeded"
	OutcomeFailed     Outcome = "failed"
	OutcomeAborted    Outcome = "aborted"
	OutcomeSuperseded Outcome = "superseded"
)

// ErrorClass sorts failures of attempts.
type ErrorClass string

// Classes of failure.
const (
	ClassNone     ErrorClass = ""
	ClassDNS      ErrorClass = "dns"
	ClassConnect  ErrorClass = "connect"
	ClassTimeout  ErrorClass = "timeout"
	ClassTLS      ErrorClass = "tls"
	ClassReset    ErrorClass = "reset"
	ClassProtocol ErrorClass = "protocol"
	ClassStatus   ErrorClass = "status"
	ClassRedirect ErrorClass = "redirect"
	ClassEgress   ErrorClass = "egress_denied"
	ClassTooLarge ErrorClass = "too_large"
	ClassTemplate ErrorClass = "template"
	ClassAborted  ErrorClass = "aborted"
	ClassInternal ErrorClass = "internal"
)

// HeaderField is a header as it was on the wire. A redacted one's value was not kept.
type HeaderField struct {
	Name     string
	Value    string
	Redacted bool
}

// Body is what is kept of a body.
type Body struct {
	Bytes     []byte // at most the configured number of bytes
	Size      int64  // of the whole body as far as it was read
	Truncated bool   // Bytes is a beginning only
	SHA256    []byte // of the whole body; nil when nothing was cut off: compute it of Bytes
}

// SentRequest is the exact request of an attempt.
type SentRequest struct {
	Method  string
	URL     string
	Headers []HeaderField
	Body    Body
	// EntityAt is where in Body.Bytes the event's own entity bytes stand, so that the
	// store need not keep them twice; -1 when they are not there verbatim.
	EntityAt int
}

// ReceivedResponse is the exact response of an attempt.
type ReceivedResponse struct {
	Status  int
	Headers []HeaderField
	Body    Body
}

// Timings of an attempt. DNS, Connect and TLS are zero on a reused connection.
type Timings struct {
	DNS       time.Duration
	Connect   time.Duration
	TLS       time.Duration
	FirstByte time.Duration // from the start of the attempt
	Total     time.Duration
}

// Attempt is one try of a delivery and the evidence of it.
type Attempt struct {
	ID            ID
	Delivery      ID
	Number        int
	Trigger       Trigger
	StartedAt     time.Time
	Outcome       Outcome
	ErrorClass    ErrorClass
	Error         string // names no secret
	RemoteAddress string
	Node          string
	TargetVersion int64             // version of the configuration it was made with
	Request       *SentRequest      // nil when none could be made
	Response      *ReceivedResponse // nil when none came
	Timings       Timings
	Reused        bool       // connection
	Action        *RanAction // nil for webhooks

	// RetryAfter is the wait the receiver asked for, already bounded; not stored.
	RetryAfter time.Duration
	// Permanent marks a failure that no retry can mend; not stored.
	Permanent bool
	// Skip ends the delivery as skipped instead, with no attempt; not stored.
	Skip Reason
	// More says that a further member of a set is to run after this one; not stored.
	More bool
	// Effects happen in the transaction that records the attempt; not stored with it.
	Effects *Effects
}

// RanAction says which action an attempt ran. Its request is the rendered configuration,
// with the type as method and what it was about as URL; its response the output, with the
// exit code or the like as status.
type RanAction struct {
	ID   ID // NoID: a post-processor of the door's own
	Code string
	Type ActionType
	Step int // of a set
}

// Health of a target, kept apart from its configuration because it changes with
// every delivery.
type Health struct {
	Target              ID
	Workspace           ID
	ConsecutiveFailures int
	FailingSince        *time.Time
	LastSuccessAt       *time.Time
	LastFailureAt       *time.Time
	LastStatus          int
	LastErrorClass      ErrorClass
	Breaker             Breaker
	Pending             int
	Held                int
	Running             int
	OldestPending       *time.Time
	LatencyP50          time.Duration
	LatencyP99          time.Duration
}

// Breaker stops sending to a target that only fails.
type Breaker struct {
	State       string // closed, open, half_open
	OpenedAt    *time.Time
	NextProbeAt *time.Time
	Wait        time.Duration // before the next probe if this one fails; doubles
}
