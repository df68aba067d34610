package hook

import "time"

// IncomingSpec is an incoming webhook's configuration: what a PUT replaces.
type IncomingSpec struct {
	Code           string // slug, unique per workspace without regard to case
	Name           string // need not be unique
	Description    string
	Enabled        bool
	Methods        []string // POST unless said otherwise
	Profile        string   // default, atrocore, alumio
	IPAllowList    []string // addresses and CIDRs; empty: any
	Hash           Sensitive
	HashTimezone   string        // IANA name in which the hash's template is rendered
	HashTolerance  time.Duration // a caller's clock may be off by that much
	HashIn         HashPlace
	PreProcessors  []PreProcessor
	Parser         Parser
	Routes         []Route // the first is the primary one
	PostProcessors []PostProcessor
	Dedupe         *Dedupe // nil: repeats are not recognised
	RateLimit      *RateLimit
	MaxBodyBytes   int64
	BodyTimeout    time.Duration
	Logging        string // all, or metadata: no headers and no bodies
	Response       DoorResponse
	Refusal        string // precise or uniform
	Metadata       map[string]string
}

// Profiles of incoming webhooks.
const (
	DoorDefault  = "default"
	DoorAtroCore = "atrocore" // /?entryPoint=webhook&code=
	DoorAlumio   = "alumio"   // /api/v1/webhook/
)

// Words of an incoming webhook's fields.
const (
	LoggingAll      = "all"
	LoggingMetadata = "metadata"
	RefusalPrecise  = "precise"
	RefusalUniform  = "uniform"
	ResponseNow     = "accepted" // answered as soon as the request is committed
	ResponseWait    = "wait"     // answered after the actions ran
	DuplicateAccept = "accept"
	DuplicateRefuse = "refuse"
)

// HashPlace is where a caller puts the hash.
type HashPlace struct {
	In   string // query, header
	Name string
}

// PreProcessor is a check that a request must pass. Which fields count depends on the
// type: header, query, body, basicAuth, bearer, apiKey, ip, schema, condition, signature.
type PreProcessor struct {
	Name      string // for the log; unique within the door
	Type      string
	Header    string   // header: name; apiKey: of the header that carries it
	Parameter string   // query: name; apiKey: of the query parameter that carries it
	Path      string   // body: JMESPath into the parsed body; "" is the raw body
	Equals    *string  // header, query, body: the exact value
	Matches   string   // header, query, body: a regular expression; of query without a parameter the URI
	Username  string   // basicAuth
	Secrets   []string // names of the door's secrets: password, token, key or signing secrets, any of which fits
	Handshake []string // signature: names of the secrets of the preset's handshake, if that has its own (Meta's verify token)
	Allow     []string // ip: addresses and CIDRs
	Schema    []byte   // schema: a JSON Schema that each item must fit
	Condition string   // condition: a Twig expression
	Preset    string   // signature: name of a preset
	Signature []byte   // signature: a Verification described in JSON, without a preset
	Tolerance *time.Duration
}

// Route leads accepted items to an action.
type Route struct {
	Name      string // unique within the door
	Action    string // code
	Condition string // Twig expression on the item; false makes no delivery
	Parser    *Parser
	Transform string // Twig template that renders the JSON of the item that the action gets; "" none
}

// PostProcessor runs once the deliveries of a request exist.
type PostProcessor struct {
	Type   string // publishEvent, sendEmail, action
	Config []byte // as an action's of this type
	Action string // action: code of the action to call
}

// PostAction is the type of post-processor that calls an action.
const PostAction = "action"

// Dedupe recognises a repeat of an accepted request.
type Dedupe struct {
	Key         string // Twig template; what it renders is the key
	Window      time.Duration
	OnDuplicate string // accept, refuse
}

// DoorResponse is what an accepted request is answered.
type DoorResponse struct {
	Mode    string // accepted, wait
	Status  int
	Headers []Header
	Body    *string       // Twig template; nil: JSON with the request's id
	Timeout time.Duration // of waiting
}

// IncomingWebhook is a door: its checks and its routes.
type IncomingWebhook struct {
	ID        ID
	Workspace ID
	IncomingSpec
	Secrets   []NamedSecret
	Version   int64 // counts changes, the ETag
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt *time.Time // tombstone: history still readable
}

// EventType is the type of the events that the door's items become. They go to the
// door's routes only, whatever webhooks subscribe to.
func (w *IncomingWebhook) EventType() string { return "incoming." + w.Code }

// State is active or disabled: its owner's wish.
func (w *IncomingWebhook) State() TargetState {
	if !w.Enabled || w.DeletedAt != nil {
		return TargetDisabled
	}
	return TargetActive
}
