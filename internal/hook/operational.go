package hook

import (
	"slices"
	"time"
)

// Operational event types: what Sallyport itself has to say. Only webhooks that name one
// exactly are told of it, and whoever gets alert mail.
const (
	// TypeWebhookSuspended: nothing more is sent to a webhook. It was active, and its
	// receiver is gone (410) or has failed for days.
	TypeWebhookSuspended = "Webhook.Suspended"
	// TypeWebhookResumed: somebody ended a webhook's suspension.
	TypeWebhookResumed = "Webhook.Resumed"
	// TypeWebhookRecovered: a delivery succeeded after failures had opened the webhook's breaker.
	TypeWebhookRecovered = "Webhook.Recovered"
	// TypeDeliveryExhausted: a delivery was given up.
	TypeDeliveryExhausted = "Delivery.Exhausted"
	// TypeIncomingRefusing: a door refused many calls within a short time.
	TypeIncomingRefusing = "IncomingWebhook.Refusing"
)

// OperationalTypes are the names of our own events.
var OperationalTypes = []string{TypeWebhookSuspended, TypeWebhookResumed, TypeWebhookRecovered, TypeDeliveryExhausted, TypeIncomingRefusing}

// IsOperational reports whether the type is one of ours.
func IsOperational(eventType string) bool { return slices.Contains(OperationalTypes, eventType) }

// AlertTypes are the events that mail tells of unless a workspace says otherwise: those
// after which somebody has something to do.
var AlertTypes = []string{TypeWebhookSuspended, TypeDeliveryExhausted, TypeIncomingRefusing}

// MaxAlertEmails bounds the recipients of alert mail.
const MaxAlertEmails = 20

// Alerts says who is mailed about operational events.
type Alerts struct {
	Emails     []string // addresses without names; none: nobody
	EventTypes []string // operational types
}

// Equal reports whether both say the same; nil equals only nil.
func (a *Alerts) Equal(b *Alerts) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Emails, b.Emails) && slices.Equal(a.EventTypes, b.EventTypes)
}

// Mark makes something happen once in a while, of all nodes: whoever stores it takes the
// mark, and for as long as Every it cannot be taken again.
type Mark struct {
	Key   string // unique in its workspace
	Every time.Duration
}

// Periods of operational events, so that what happens ten thousand times in an hour does
// not make as many mails.
const (
	mailEvery      = time.Hour
	refusingEvery  = time.Hour
	recoveredEvery = time.Minute // each node closes a breaker of its own
)

// Notice is an operational event in the making.
type Notice struct {
	Type   string
	About  ID    // the target or delivery that it is about; the event's entityId
	Target ID    // is not told of itself
	Entity any   // becomes JSON
	Once   *Mark // of the event; nil: always
	// Mail is whether mail tells of it, too, and MailOnce how often at most; nil: always.
	Mail     bool
	MailOnce *Mark
}

// TargetRef says in an operational event what it is about.
type TargetRef struct {
	Kind TargetKind `json:"kind"`
	ID   ID         `json:"id"`
	Code string     `json:"code"`
	Name string     `json:"name"`
}

// NamedRef is a TargetRef where the kind goes without saying.
type NamedRef struct {
	ID   ID     `json:"id"`
	Code string `json:"code"`
	Name string `json:"name"`
}

// Trouble is how a target fared when something was decided about it.
type Trouble struct {
	Failures     int        `json:"consecutiveFailures"`
	FailingSince *time.Time `json:"failingSince"`
	LastTry
}

// LastTry is what came of the last attempt.
type LastTry struct {
	Status int        `json:"lastStatus,omitempty"` // 0: there was no response
	Class  ErrorClass `json:"lastErrorClass,omitempty"`
	Error  string     `json:"lastError,omitempty"`
}

// TryOf is what an attempt came to.
func TryOf(a *Attempt) LastTry {
	if a == nil {
		return LastTry{}
	}
	try := LastTry{Class: a.ErrorClass, Error: a.Error}
	if a.Response != nil {
		try.Status = a.Response.Status
	}
	return try
}

// SuspendedEntity is what Webhook.Suspended tells.
type SuspendedEntity struct {
	Webhook NamedRef  `json:"webhook"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Trouble
}

// SuspendedNotice tells that a webhook is suspended.
func SuspendedNotice(w *Webhook, t Trouble) Notice {
	return Notice{Type: TypeWebhookSuspended, About: w.ID, Target: w.ID, Mail: true,
		Entity: SuspendedEntity{named(w), w.Suspended, w.StateSince, t}}
}

// ResumedEntity is what Webhook.Resumed tells.
type ResumedEntity struct {
	Webhook        NamedRef  `json:"webhook"`
	Reason         string    `json:"reason"` // it was suspended for
	SuspendedSince time.Time `json:"suspendedSince"`
}

// ResumedNotice tells that a suspension ended; before is the webhook until then.
func ResumedNotice(before *Webhook) Notice {
	return Notice{Type: TypeWebhookResumed, About: before.ID, Target: before.ID, Mail: true,
		Entity: ResumedEntity{named(before), before.Suspended, before.StateSince}}
}

// RecoveredEntity is what Webhook.Recovered tells.
type RecoveredEntity struct {
	Webhook      NamedRef   `json:"webhook"`
	Failures     int        `json:"failures"`
	FailingSince *time.Time `json:"failingSince"`
}

// RecoveredNotice tells that a webhook answers again.
func RecoveredNotice(t *Target, failures int, since *time.Time) Notice {
	return Notice{Type: TypeWebhookRecovered, About: t.ID, Target: t.ID, Mail: true,
		Entity: RecoveredEntity{NamedRef{t.ID, t.Code, t.Name}, failures, since},
		Once:   &Mark{TypeWebhookRecovered + " " + t.ID.String(), recoveredEvery}, MailOnce: mailMark(TypeWebhookRecovered, t.ID)}
}

// ExhaustedEntity is what Delivery.Exhausted tells.
type ExhaustedEntity struct {
	Delivery  ID        `json:"deliveryId"`
	Event     string    `json:"eventId"`
	EventType string    `json:"eventType"`
	Target    TargetRef `json:"target"`
	Reason    Reason    `json:"reason"`
	Attempts  int       `json:"attempts"`
	CreatedAt time.Time `json:"createdAt"`
	LastTry
}

// ExhaustedNotice tells that a delivery was given up.
func ExhaustedNotice(f *Finish, t *Target) Notice {
	d := &f.Job.Delivery
	return Notice{
		Type: TypeDeliveryExhausted, About: d.ID, Target: d.Target,
		Mail:     f.Reason != ReasonGone, // the mail about the suspension says it
		MailOnce: mailMark(TypeDeliveryExhausted, d.Target),
		Entity: ExhaustedEntity{
			Delivery: d.ID, Event: f.Job.Event.ID, EventType: f.Job.Event.Type, Target: TargetRef{t.Kind, t.ID, t.Code, t.Name},
			Reason: f.Reason, Attempts: f.Attempts, CreatedAt: d.CreatedAt(), LastTry: TryOf(f.Attempt),
		},
	}
}

// RefusingEntity is what IncomingWebhook.Refusing tells.
type RefusingEntity struct {
	Door        NamedRef       `json:"incomingWebhook"`
	Refused     int            `json:"refused"`
	Since       time.Time      `json:"since"`
	Reasons     map[string]int `json:"reasons"`
	LastAddress string         `json:"lastClientAddress"`
}

// RefusingNotice tells that a door refuses many calls.
func RefusingNotice(w *IncomingWebhook, refused int, since time.Time, reasons map[string]int, lastAddress string) Notice {
	return Notice{Type: TypeIncomingRefusing, About: w.ID, Mail: true,
		Entity: RefusingEntity{NamedRef{w.ID, w.Code, w.Name}, refused, since.UTC().Truncate(time.Millisecond), reasons, lastAddress},
		Once:   &Mark{TypeIncomingRefusing + " " + w.ID.String(), refusingEvery}}
}

func mailMark(eventType string, target ID) *Mark {
	return &Mark{"mail " + eventType + " " + target.String(), mailEvery}
}

func named(w *Webhook) NamedRef { return NamedRef{w.ID, w.Code, w.Name} }
