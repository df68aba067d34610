package hook

import (
	"strings"
	"time"
)

// WebhookSpec is a webhook's configuration: what a PUT replaces.
type WebhookSpec struct {
	Code          string // slug, unique per workspace without regard to case
	Name          string
	Description   string
	URL           string
	URLSecret     bool // the URL itself is a credential: masked for viewers
	Method        string
	ContentType   string
	Profile       string           // name in the profile table; "default"
	Signature     *CustomSignature // nil: the profile's
	EventTypes    []string
	Filter        string // condition on the event, see Conditions of publish; "" is none
	IncludeEntity bool
	Enabled       bool
	BasicAuth     *BasicAuth
	Headers       []Header
	MaxAttempts   int // total, the first included
	Retry         Retry
	Timeout       time.Duration // whole exchange
	SuccessCodes  []string      // "2xx" or "204"
	MaxInFlight   int           // 0: 64 per target and node
	RateLimit     *RateLimit
	Ordering      string // "none"
	Metadata      map[string]string
}

// BasicAuth is sent as RFC 7617 credentials.
type BasicAuth struct {
	Username string
	Password Sensitive
}

// Header is a custom request header. A secret one's value is write-only.
type Header struct {
	Name   string
	Value  Sensitive
	Secret bool
}

// CustomSignature describes a signature in data.
type CustomSignature struct {
	Algorithm string // hmac-sha1, hmac-sha256, hmac-sha512
	Header    string
	Encoding  string // hex, base64
	Prefix    string // before the signature in the header
	Content   string // what is signed; {body}, {id}, {timestamp} are replaced
}

// Retry says how long to wait between attempts; exactly one form is set. The last
// wait repeats when more attempts are allowed than waits are listed.
type Retry struct {
	Schedule    []time.Duration
	Exponential *Exponential
	Linear      *Linear
	Jitter      float64 // 0.1 is ±10 %
}

// Exponential waits initial, initial*factor, ... up to max.
type Exponential struct {
	Initial time.Duration
	Factor  float64
	Max     time.Duration
}

// Linear waits the same each time.
type Linear struct{ Interval time.Duration }

// RateLimit allows that many requests per period.
type RateLimit struct {
	Requests int
	Per      time.Duration
}

// Webhook is an outgoing subscription: who is told, about what, how. Enabled is the
// owner's wish and only the owner writes it; State is what is so.
type Webhook struct {
	ID        ID
	Workspace ID
	Number    int64 // small integer for profiles that show one
	WebhookSpec
	Secrets    []Secret // live ones, oldest first
	Paused     bool
	Suspended  string // "", or why: gone, failing
	StateSince time.Time
	// MissingSince is since when no deliveries are made for it, be it suspended or disabled or
	// one after the other; zero while they are.
	MissingSince time.Time
	Version      int64 // counts changes of configuration or state, the ETag
	CreatedAt    time.Time
	UpdatedAt    time.Time
	DeletedAt    *time.Time // tombstone: no claims, history still readable
}

// TargetState is whether a target is sent to.
type TargetState string

// States of a target. Only active ones are sent to.
const (
	TargetActive    TargetState = "active"
	TargetPaused    TargetState = "paused"
	TargetSuspended TargetState = "suspended"
	TargetDisabled  TargetState = "disabled"
)

// Reasons a webhook is suspended for.
const (
	SuspendedGone    = "gone"    // the receiver answered 410
	SuspendedFailing = "failing" // it failed for five days
)

// State is what is so: the owner's wish first, then suspension, then pause.
func (w *Webhook) State() TargetState {
	switch {
	case !w.Enabled || w.DeletedAt != nil:
		return TargetDisabled
	case w.Suspended != "":
		return TargetSuspended
	case w.Paused:
		return TargetPaused
	}
	return TargetActive
}

// Misses reports that no deliveries are made for it of what comes.
func (w *Webhook) Misses() bool {
	state := w.State()
	return state == TargetSuspended || state == TargetDisabled
}

// Reasons of states that people choose.
const (
	DisabledByOwner  = "by_owner"    // enabled is false
	PausedByOperator = "by_operator" // somebody paused it
)

// StateReason says why the state is what it is; "" of an active one.
func (w *Webhook) StateReason() string {
	switch w.State() {
	case TargetDisabled:
		return DisabledByOwner
	case TargetSuspended:
		return w.Suspended
	case TargetPaused:
		return PausedByOperator
	case TargetActive:
	}
	return ""
}

// Receives reports whether events published now become deliveries: paused webhooks
// still collect theirs, suspended and disabled ones do not.
func (w *Webhook) Receives() bool {
	s := w.State()
	return s == TargetActive || s == TargetPaused
}

// Limited reports whether one node must send for the whole installation.
func (w *Webhook) Limited() bool {
	return w.MaxInFlight > 0 || w.RateLimit != nil || (w.Ordering != "" && w.Ordering != "none")
}

// MatchType reports whether pattern selects the event type. "*" selects every type
// that is not operational; a trailing ".*" selects one or more further segments;
// anything else must be equal. Case counts.
func MatchType(pattern, eventType string, operational bool) bool {
	if pattern == eventType {
		return true
	}
	if operational {
		return false
	}
	if pattern == "*" {
		return true
	}
	prefix, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasSuffix(prefix, ".") && len(eventType) > len(prefix) && strings.HasPrefix(eventType, prefix)
}
