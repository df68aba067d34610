package hook

import (
	"errors"
	"time"
)

// ErrUnknownOutcome says that a transaction may or may not have been committed: the
// connection ended under it. Running the same batch with the same ids again is safe
// and finds out.
var ErrUnknownOutcome = errors.New("the outcome of the transaction is not known")

// ErrFenced says that this node was declared dead: it holds no claims any more and
// must register under a new id before it makes any.
var ErrFenced = errors.New("this node was declared dead")

// PlannedDelivery is a delivery about to be stored with its event. Born ones are
// claimed by the accepting node from the first moment; the others wait.
type PlannedDelivery struct {
	ID         ID
	TargetKind TargetKind
	Target     ID
	Born       bool
	Trigger    Trigger
	Test       bool
	// Skipped is why the delivery is over before it began; ReasonNone if it is to be sent.
	Skipped Reason
	Once    *Mark // made only if the mark can be taken; nil: always. For Effects only
}

// PlannedEvent is an event about to be stored, with the deliveries it matched.
type PlannedEvent struct {
	Event      Event
	ClientID   bool     // ID was chosen by the client and must be new within the window
	Hash       [32]byte // of the content, to tell a repeat from a clash
	Deliveries []PlannedDelivery
	Inbound    bool  // made of the batch's request that its source names, and stored only with it
	Once       *Mark // stored only if the mark can be taken; nil: always. For Effects only
}

// PlannedRequest is an inbound request about to be stored with its events.
type PlannedRequest struct {
	Request *Request
	Dedupe  *DedupeKey // nil: repeats are not recognised
	Expand  int        // items that become events later, piece by piece; 0: none
}

// DedupeKey recognises a repeat at one door until it expires.
type DedupeKey struct {
	Hash  [32]byte
	Until time.Time
}

// AcceptBatch is stored in one transaction.
type AcceptBatch struct {
	Node     NodeID
	Versions map[ID]int64 // configuration versions it was matched against
	Events   []*PlannedEvent
	Requests []*PlannedRequest
	Rerun    bool // its outcome was unknown before
}

// FirstReceipt is what the first event of that id was answered.
type FirstReceipt struct {
	Key     ID
	Hash    [32]byte
	Type    string
	Matched int
}

// AcceptResult says what became of a batch. When Fenced or Stale is set nothing was
// stored.
type AcceptResult struct {
	Fenced bool
	Stale  []ID                 // scopes whose configuration is newer than the batch's
	First  map[int]FirstReceipt // by index in Events: not stored, the id was there before
	// Repeats has, by index in Requests, the request that was accepted under the same dedupe
	// key before: the later one was not stored, nor were its events.
	Repeats map[int]ID
	// Mine, only after a Rerun: born deliveries which the store says are running on this
	// node. Others may have been rescued meanwhile and must not be handed over.
	Mine map[ID]bool
}

// Finish is the end of a delivery's stay on a node: its attempt, if one was made, and
// what is next. It counts only if the node still holds the delivery; the attempt is
// recorded in any case.
type Finish struct {
	Job      *Job
	Attempt  *Attempt // nil: given back without an attempt
	State    State    // StatePending (due after Wait), StateSucceeded, StateFailed, StateSkipped
	Reason   Reason
	Attempts int           // counted after this one
	Wait     time.Duration // StatePending: from the database's now
	Trigger  Trigger       // StatePending: of the next attempt
	Sent     bool          // it held a slot of its lane
	Advance  bool          // a member of a set has run: the next has attempts of its own
	Effects  *Effects      // nil: none
}

// Exhausted reports that the delivery is given up and somebody may want to know. Test
// sends are watched by whoever made them; and what Sallyport cannot tell of itself makes
// nothing more to tell.
func (f *Finish) Exhausted() bool {
	return f.State == StateFailed && !f.Job.Delivery.Test && !IsOperational(f.Job.Event.Type)
}

// Progress is the step of the delivery after this, and the attempts made before the
// present budget began.
func (f *Finish) Progress() (step, base int) {
	d := &f.Job.Delivery
	if f.Advance {
		// Members that are off, or whose condition says no, are passed over.
		if f.Attempt != nil && f.Attempt.Action != nil {
			return f.Attempt.Action.Step + 1, f.Attempts
		}
		return d.Step + 1, f.Attempts
	}
	return d.Step, d.Base
}

// LaneWant asks for due deliveries of one target.
type LaneWant struct {
	Target ID
	N      int
	Floor  time.Time // none is due earlier, as far as known; zero to look at all
}

// DueTarget is a target with waiting deliveries and when the earliest is due.
type DueTarget struct {
	Target    ID
	Workspace ID
	DueAt     time.Time
}
