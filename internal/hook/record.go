package hook

import "time"

// Record is a JSON document in a collection, kept by record actions.
type Record struct {
	Workspace  ID
	Collection string
	Key        string
	Document   []byte // JSON
	Version    int64  // counts changes, the ETag
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Collection is a named set of records.
type Collection struct {
	Name    string
	Records int
}

// Types of events that changes of records emit.
const (
	TypeRecordCreated = "Record.Created"
	TypeRecordUpdated = "Record.Updated"
	TypeRecordDeleted = "Record.Deleted"
)

// RecordChange is one record's next state. It counts only if the record still is the one that
// it was made of, in the same version.
type RecordChange struct {
	Workspace  ID
	Collection string
	Key        string
	Expect     int64     // version; 0: there is none
	Made       time.Time // when the record with that version was created: one that was deleted and made anew begins with version 1 again
	Document   []byte    // nil: it is deleted
}

// Effects are what an action does in the store. They happen in the transaction that
// records its attempt, or not at all.
type Effects struct {
	Versions map[ID]int64 // configuration versions that the events were matched against
	Events   []*PlannedEvent
	Records  []RecordChange
	Wake     []*Target   // to which the events have deliveries
	Audit    *AuditEntry // of a change that somebody made by hand, nil of actions'
}

// Effect is what became of a finish with effects.
type Effect int

// Fates of a finish with effects.
const (
	EffectDone  Effect = iota // the node held the delivery, and everything is stored
	EffectLost                // another has the delivery by now: only the attempt is recorded, superseded
	EffectStale               // a record or the configuration changed meanwhile: nothing is stored, run the action anew
)
