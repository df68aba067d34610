package hook

import "errors"

// ErrChanged says that the configuration a request was judged by has changed before the
// request was stored: judge it anew.
var ErrChanged = errors.New("the configuration has changed meanwhile")

// Admission is an inbound request that its door lets in, with the events made of it.
type Admission struct {
	Request *Request
	Door    *IncomingWebhook // as it judged the request
	Events  []AdmittedEvent
	Dedupe  *DedupeKey
	Expand  int // items that follow piece by piece; then there are no events yet
	// Watch is told of every outcome of the deliveries on this node, once it is stored; nil:
	// nobody waits.
	Watch   func(*Finish)
	Watched []ID // the deliveries it is told of, filled in when they are stored
}

// AdmittedEvent is one item of a request.
type AdmittedEvent struct {
	Index  int // among all items of the request; its key follows from it
	Entity []byte
	Routed []Routed
}

// Routed is a target of an item. Skipped is why it is not run, ReasonNone if it is.
type Routed struct {
	Target  *Target
	Skipped Reason
}
