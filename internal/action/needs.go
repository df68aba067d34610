package action

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// Requests finds the inbound requests that led to events.
type Requests interface {
	// Request returns a request with its whole body; nil, or an error of kind not found, if
	// there is none any more.
	Request(ctx context.Context, workspace, id hook.ID) (*hook.Request, error)
}

// Bodies reads the bodies of requests.
type Bodies interface {
	// Body returns what the parser makes of a request's body, as JSON.
	Body(parser hook.Parser, r *hook.Request) ([]byte, error)
}

// Catalog knows the configuration as it is now.
type Catalog interface {
	// Action returns the action with a code, nil if there is none.
	Action(ctx context.Context, workspace hook.ID, code string) (*hook.Target, error)
	// Door returns an incoming webhook, nil if there is none.
	Door(ctx context.Context, workspace, id hook.ID) (*hook.IncomingWebhook, error)
}

// Events plans events.
type Events interface {
	// Plan matches an event against the workspace's webhooks and makes it ready to be stored.
	// An error of a kind, such as an unknown type in a strict workspace, is final.
	Plan(ctx context.Context, workspace hook.ID, e hook.NewEvent, source hook.Source, hops int) (*hook.Effects, error)
}

// Records reads the record store.
type Records interface {
	// Record returns a record, nil if there is none.
	Record(ctx context.Context, workspace hook.ID, collection, key string) (*hook.Record, error)
}

// HTTP sends requests through the egress guard.
type HTTP interface {
	// Exchange sends a request and returns an attempt with its evidence, outcome and timings.
	Exchange(ctx context.Context, r HTTPRequest) hook.Attempt
}

// HTTPRequest is a request to be sent.
type HTTPRequest struct {
	Method       string
	URL          string
	Headers      []HTTPHeader
	Body         []byte
	SuccessCodes []string // none: 2xx
	Timeout      time.Duration
	Secrets      []string // not to be recorded wherever they occur
}

// HTTPHeader is a header of a request. A secret one's value is not recorded.
type HTTPHeader struct {
	Name   string
	Value  string
	Secret bool
}
