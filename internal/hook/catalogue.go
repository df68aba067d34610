package hook

import (
	"encoding/json"
	"time"
)

// ownType is the catalogue's entry of an operational type where the workspace has not
// written one of its own.
type ownType struct {
	description string
	sample      any
	properties  string // of the schema
	required    string
}

const (
	namedSchema  = `{"type":"object","required":["id","code","name"],"properties":{"id":{"type":"string","format":"uuid"},"code":{"type":"string"},"name":{"type":"string"}}}`
	timeSchema   = `{"type":"string","format":"date-time"}`
	maybeTime    = `{"type":["string","null"],"format":"date-time"}`
	idSchema     = `{"type":"string","format":"uuid"}`
	lastSchema   = `"lastStatus":{"type":"integer","description":"HTTP status of the last attempt; absent without a response."},"lastErrorClass":{"type":"string"},"lastError":{"type":"string"}`
	countSchema  = `{"type":"integer","minimum":0}`
	targetSchema = `{"type":"object","required":["kind","id","code","name"],"properties":{"kind":{"enum":["webhook","action","incomingWebhook"]},"id":{"type":"string","format":"uuid"},"code":{"type":"string"},"name":{"type":"string"}}}`
)

var (
	sampleTime = time.Date(2026, 11, 21, 2, 13, 0, 0, time.UTC)
	sampleSeen = sampleTime.Add(-5 * 24 * time.Hour)
	sampleHook = NamedRef{sampleID("019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e"), "erp-orders", "ERP orders"}
	sampleTry  = LastTry{Status: 503, Class: ClassStatus, Error: "receiver answered 503"}
)

func sampleID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic(err) // a constant
	}
	return id
}

var ownTypes = map[string]ownType{
	TypeWebhookSuspended: {
		description: "Nothing more is sent to a webhook: its receiver answered 410 (`gone`), or has only failed for days (`failing`). What waits is held until somebody resumes it.",
		sample:      SuspendedEntity{sampleHook, SuspendedFailing, sampleTime, Trouble{214, &sampleSeen, sampleTry}},
		properties: `"webhook":` + namedSchema + `,"reason":{"enum":["gone","failing"]},"since":` + timeSchema + `,"consecutiveFailures":` + countSchema +
			`,"failingSince":` + maybeTime + `,` + lastSchema,
		required: `"webhook","reason","since","consecutiveFailures","failingSince"`,
	},
	TypeWebhookResumed: {
		description: "Somebody ended a webhook's suspension: what was held goes out now.",
		sample:      ResumedEntity{sampleHook, SuspendedFailing, sampleTime},
		properties:  `"webhook":` + namedSchema + `,"reason":{"enum":["gone","failing"]},"suspendedSince":` + timeSchema,
		required:    `"webhook","reason","suspendedSince"`,
	},
	TypeWebhookRecovered: {
		description: "A delivery to a webhook succeeded, after failures in a row had its breaker opened: it is sent to as before.",
		sample:      RecoveredEntity{sampleHook, 23, &sampleSeen},
		properties:  `"webhook":` + namedSchema + `,"failures":` + countSchema + `,"failingSince":` + maybeTime,
		required:    `"webhook","failures","failingSince"`,
	},
	TypeDeliveryExhausted: {
		description: "A delivery was given up: its attempts are used up, or what went wrong cannot be mended by trying again. It stays in the history and can be retried by hand.",
		sample: ExhaustedEntity{sampleID("019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a"), "ord-7-paid", "order.paid",
			TargetRef{TargetWebhook, sampleHook.ID, sampleHook.Code, sampleHook.Name}, ReasonAttemptsExhausted, 10, sampleSeen, sampleTry},
		properties: `"deliveryId":` + idSchema + `,"eventId":{"type":"string"},"eventType":{"type":"string"},"target":` + targetSchema +
			`,"reason":{"enum":["attempts_exhausted","permanent_error","gone","worker_crashed"]},"attempts":` + countSchema + `,"createdAt":` + timeSchema + `,` + lastSchema,
		required: `"deliveryId","eventId","eventType","target","reason","attempts","createdAt"`,
	},
	TypeIncomingRefusing: {
		description: "An incoming webhook refused many calls within five minutes: a sender has the wrong secret, or somebody tries the door.",
		sample: RefusingEntity{NamedRef{sampleID("019a9f3e-9a01-7c3b-8d4e-1f2a3b4c5d6e"), "erp-stock", "ERP Stock"}, 20, sampleTime,
			map[string]int{"hash_mismatch": 19, "ip_not_allowed": 1}, "203.0.113.9"},
		properties: `"incomingWebhook":` + namedSchema + `,"refused":` + countSchema + `,"since":` + timeSchema +
			`,"reasons":{"type":"object","additionalProperties":{"type":"integer"}},"lastClientAddress":{"type":"string"}`,
		required: `"incomingWebhook","refused","since","reasons","lastClientAddress"`,
	},
}

// Describe fills in what the catalogue says of one of our own types where the workspace
// has said nothing.
func (t *EventType) Describe() {
	own, ok := ownTypes[t.Name]
	if !ok {
		return
	}
	if t.Description == "" {
		t.Description = own.description
	}
	if len(t.Sample) == 0 {
		t.Sample, _ = json.Marshal(own.sample) // it is made of what can be encoded
	}
	if len(t.Schema) == 0 {
		t.Schema = []byte(`{"type":"object","required":[` + own.required + `],"properties":{` + own.properties + `}}`)
	}
}
