package hook

import (
	"context"
	"net/http"
	"net/netip"
	"time"
)

// DoorCall is a call of a door as it arrives, before its body is read.
type DoorCall struct {
	ID        ID     // of the request, shown to the caller
	Workspace string // code in the path, "" is the default workspace
	Profile   string // whose URL was called
	Code      string
	Method    string
	Path      string // as the outside sees it, without the query
	RawQuery  string
	URL       string // public: base URL, path and raw query as the sender used them
	Header    http.Header
	Client    netip.Addr
	Peer      netip.Addr
	Forwarded string // the header that named the client, "" if the socket did
	Hops      int    // events that led to this call, one causing the other
	Body      DoorBody
}

// DoorBody reads the body of a call. What was not read when the call is answered is not
// waited for.
type DoorBody interface {
	// Read returns the whole body as it is on the wire, within that time and with no long
	// pause. Errors: KindTooLarge beyond limit bytes, KindBodyTimeout, KindMalformedBody.
	Read(ctx context.Context, limit int64, total time.Duration) ([]byte, error)
	// Evidence returns what comes of the body at once, at most limit bytes as they are on
	// the wire, and whether that is all. A caller who waits for leave to send is not asked.
	Evidence(limit int64, total time.Duration) (body []byte, whole bool)
}

// DoorAnswer is what a call is answered: a problem, or status, header and body.
type DoorAnswer struct {
	Problem error
	Status  int
	Header  http.Header
	Body    []byte
}
