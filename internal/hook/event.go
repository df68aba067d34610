package hook

import "time"

// MaxHops bounds events that cause events through our own doors and actions.
const MaxHops = 8

// Event is something that happened; immutable once accepted.
type Event struct {
	Key       ID // ours, a UUIDv7; its time is the time of acceptance
	Workspace ID
	ID        string // public: the client's, or Key in text
	Type      string
	EntityID  EntityID
	Entity    []byte // JSON exactly as received; nil when there is none
	EntityURL string
	Timestamp time.Time // milliseconds, UTC
	Source    Source
	Hops      int
	Matched   int // targets it was meant for when it was accepted
}

// AcceptedAt is the moment the event was accepted, in milliseconds.
func (e *Event) AcceptedAt() time.Time { return TimeOf(e.Key) }

// InboundRequest is the request at a door that led to the event, NoID if none did.
func (e *Event) InboundRequest() ID {
	switch e.Source.Kind {
	case SourceIncoming, SourceAction, SourceRecord:
		return e.Source.RequestID
	case SourceAPI, SourceSystem:
	}
	return NoID
}

// EntityID is the literal of a JSON number or string as the publisher wrote it, so
// that 20 digits stay 20 digits. The zero value is no id.
type EntityID struct {
	Text   string // digits, or the unescaped string
	Number bool   // whether it was a JSON number
}

// IsZero reports whether there is no id.
func (e EntityID) IsZero() bool { return e.Text == "" && !e.Number }

// Source says where an event came from.
type Source struct {
	Kind      SourceKind
	ID        ID // the API key, incoming webhook, action, ...
	RequestID ID
}

// SourceKind is a kind of origin.
type SourceKind string

// Origins of events.
const (
	SourceAPI      SourceKind = "api"
	SourceIncoming SourceKind = "incomingWebhook"
	SourceAction   SourceKind = "action"
	SourceRecord   SourceKind = "record"
	SourceSystem   SourceKind = "system"
)

// NewEvent is an event somebody wants to publish, already checked for form. ID is
// empty when the publisher gave none.
type NewEvent struct {
	ID        string
	Type      string
	EntityID  EntityID
	Entity    []byte
	EntityURL string
	Timestamp time.Time // zero: now
}

// Receipt answers a publish. Problem is set when the item was not accepted.
type Receipt struct {
	ID         string
	Type       string
	AcceptedAt time.Time
	Matched    int
	Duplicate  bool
	Warnings   []Fault // what a schema in mode warn has against the entity
	Problem    error
}

// SchemaMode says what a catalogue entry's schema does to an event that breaks it.
type SchemaMode string

// Modes of an event type's schema.
const (
	SchemaReject SchemaMode = "reject"
	SchemaWarn   SchemaMode = "warn"
	SchemaOff    SchemaMode = "off"
)

// EventType is an entry of the catalogue.
type EventType struct {
	ID              ID
	Workspace       ID
	Name            string
	Description     string
	Schema          []byte // JSON Schema, nil for none
	Mode            SchemaMode
	Sample          []byte // JSON used by test sends, nil for none
	Archived        bool
	Operational     bool // ours, such as Webhook.Suspended; matches only when named
	Metadata        map[string]string
	LastPublishedAt *time.Time
	Version         int64
	CreatedAt       time.Time
	UpdatedAt       time.Time
}
