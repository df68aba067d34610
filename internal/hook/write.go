package hook

import "time"

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

// WorkspaceResult answers a write.
type WorkspaceResult struct {
	*Workspace
	Change  Change
	Changed []string // names of fields, for updates
}

// APIKeyResult answers a write. Key is the generated key, shown this once, else "".
type APIKeyResult struct {
	*APIKey
	Change  Change
	Changed []string
	Key     Sensitive
}

// EventTypeResult answers a write.
type EventTypeResult struct {
	*EventType
	Change  Change
	Changed []string
}

// WebhookView is a webhook with what might not be meant about it: "no_secret",
// "short_secret", or "unknown_event_type: order.piad; did you mean order.paid?".
type WebhookView struct {
	*Webhook
	Warnings []string
}

// WebhookResult answers a write. Secret is the generated secret, shown this once.
type WebhookResult struct {
	WebhookView
	Change  Change
	Changed []string
	Secret  Sensitive
}

// ActionView is an action with what might not be meant about it.
type ActionView struct {
	*Action
	Warnings []string
}

// ActionResult answers a write.
type ActionResult struct {
	ActionView
	Change  Change
	Changed []string
}

// IncomingView is an incoming webhook with what might not be meant about it: "no_check",
// "hash_md5".
type IncomingView struct {
	*IncomingWebhook // its Hash is empty unless an admin asked
	HashConfigured   bool
	Warnings         []string
}

// IncomingResult answers a write.
type IncomingResult struct {
	IncomingView
	Change  Change
	Changed []string
}

// RecordResult answers a write.
type RecordResult struct {
	*Record
	Change Change
}

// RotateResult answers a rotation.
type RotateResult struct {
	Webhook           WebhookView
	New               Secret     // its Value is empty
	Secret            Sensitive  // the generated value, "" if it was given
	PreviousExpiresAt *time.Time // nil if there was no secret before
}

// ResumeResult answers a resume. Released is how many held deliveries go on. Replay makes
// deliveries of what was missed, NoID if there is none.
type ResumeResult struct {
	Webhook  WebhookView
	Released int
	Replay   ID
}
