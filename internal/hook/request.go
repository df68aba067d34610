package hook

import (
	"encoding/binary"
	"strings"
	"time"
)

// Verdict on an inbound request.
type Verdict string

// Verdicts.
const (
	VerdictAccepted  Verdict = "accepted"
	VerdictDuplicate Verdict = "duplicate"
	VerdictHandshake Verdict = "handshake"
	VerdictRefused   Verdict = "refused"
)

// Check is one of the looks at an inbound request.
type Check struct {
	Name   string // known, active, method, ip, hash, a pre-processor's name, dedupe, parse, route:name
	Result string // passed, failed, skipped
	Detail string // names no secret
}

// Results of checks.
const (
	CheckPassed  = "passed"
	CheckFailed  = "failed"
	CheckSkipped = "skipped"
)

// Request is what hit a door, accepted or refused, and why. Its id's time is when it came.
type Request struct {
	ID            ID
	Workspace     ID
	Incoming      ID     // NoID: no door has the code
	Code          string // as it was called
	Method        string
	Path          string
	RawQuery      string // as received, but for what is hidden
	Headers       []HeaderField
	Body          Body
	ClientAddress string
	PeerAddress   string
	ForwardedBy   string // the header that named the client; "" if the socket did
	Verdict       Verdict
	Reason        string // code of the refusal, "" if there was none
	Checks        []Check
	ClockOffset   *time.Duration // of the instant whose hash matched
	Status        int            // answered
	Duration      time.Duration
	Hops          int
	Events        int // made of it, when it was accepted; those of a large one follow
	Deliveries    int
	DuplicateOf   ID
	ReplayOf      ID
	// Hidden are credentials that were taken out of headers, query and path: they are kept
	// encrypted, for a later verdict only, and neither shown nor given to templates.
	Hidden []HiddenValue
}

// HiddenValue is a credential of a request.
type HiddenValue struct {
	In    string // query, header, body
	Name  string
	Value Sensitive
}

// ShownQuery is the query without the parameters that carry credentials: what items and
// templates are made of.
func (r *Request) ShownQuery() string {
	if !strings.Contains(r.RawQuery, HiddenMark) {
		return r.RawQuery
	}
	shown := make([]string, 0, 8)
	for pair := range strings.SplitSeq(r.RawQuery, "&") {
		if _, value, _ := strings.Cut(pair, "="); value != HiddenMark {
			shown = append(shown, pair)
		}
	}
	return strings.Join(shown, "&")
}

// ReceivedAt is when the request came, in milliseconds.
func (r *Request) ReceivedAt() time.Time { return TimeOf(r.ID) }

// MaxRequestItems is how many events one request can become; their keys have room for it.
const MaxRequestItems = 1 << 24

// RequestEventKey is the key of the event made of a request's item: the request's id with
// the item's index in its last three bytes. So the events of a request are a range of
// keys, and an item stored twice is the same row.
func RequestEventKey(request ID, index int) ID {
	key := request
	key[13], key[14], key[15] = byte(index>>16), byte(index>>8), byte(index)
	return key
}

// RequestDeliveryID is the id of the delivery of such an event to a target, for items that
// are stored piece by piece: a piece that is stored again makes no second one.
func RequestDeliveryID(event, target ID) ID {
	id := event
	const prime = 1099511628211 // FNV-1a over both ids
	sum := uint64(14695981039346656037)
	for _, b := range append(event[:], target[:]...) {
		sum = (sum ^ uint64(b)) * prime
	}
	binary.BigEndian.PutUint64(id[8:], sum&(1<<62-1)|1<<63)
	return id
}

// RequestFilter selects inbound requests of a workspace. Zero fields do not restrict.
type RequestFilter struct {
	Workspace ID
	Incoming  ID
	Codes     []string
	Verdicts  []Verdict
	Reasons   []string
	Since     time.Time
	Until     time.Time
}

// RequestView is a request with what it led to.
type RequestView struct {
	Request
	IncomingCode  string // of the door as it is now; "" if there is none
	IncomingName  string
	EventIDs      []ID // at most 100
	DeliveryViews []DeliveryView
	States        map[State]int // of all its deliveries
	Expansion     *Expansion    // nil: all its items are events
}

// Expansion is how far a large request has become events.
type Expansion struct {
	Request   ID
	Workspace ID
	Incoming  ID
	Total     int
	Done      int
	Working   bool      // a node makes events of it now
	Reason    string    // code of the problem that stopped it; "": none did
	RetryAt   time.Time // not before; zero: at once
}
