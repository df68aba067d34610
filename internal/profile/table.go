package profile

import "sallyport/internal/signature"

// source is something that a request can say about an event.
type source uint8

const (
	none source = iota
	eventID
	eventType
	webhookID
	webhookNumber
	entityID
	subject // the entity's id, always as text
	entity
	entityURL
	timestampMillis // of the event
	timestampUnix
	timestampRFC3339
	deliveryID
	attemptNumber
	attemptUnix // when this attempt was made
	origin      // a URI for the workspace
	hops
)

// segment is a piece of a body: text, and after it a value. A segment whose value the event
// does not have is left out with its text, unless absent says what stands there instead.
type segment struct {
	text       string
	value      source
	absent     string
	withEntity bool // only when the webhook includes entities
}

// field is a header that says something about the event. Left out when there is nothing to say.
type field struct {
	name  string // spelled as on the wire
	value source
}

// definition is a wire format.
type definition struct {
	name        string
	contentType string
	fixedType   bool // the format demands this media type
	json        []segment
	form        []segment // nil: the format has no form mode
	php         bool      // JSON is spelled as PHP's json_encode spells it
	headers     []field
	static      []staticField
	schemes     []signature.Scheme
	unsigned    bool // requests without a body are not signed
	entity      entityRule
	successes   []string
	minSecret   int
	reserved    []string // names and, ending in "-", beginnings of names that customers cannot set
	catalogue   []string
}

// staticField is a header that is always the same; a customer's of the same name replaces it.
type staticField struct{ name, value string }

// entityRule says when the entity is part of the body.
type entityRule uint8

const (
	entityOn     entityRule = iota // the webhook's wish, which is yes unless said otherwise
	entityOff                      // the webhook's wish, which is no unless said otherwise
	entityAlways                   // always
)

const (
	typeJSON        = "application/json"
	typeForm        = "application/x-www-form-urlencoded"
	typeCloudEvents = "application/cloudevents+json"

	// minSecret is the least length of a new secret (Standard Webhooks: 24 to 64 bytes);
	// products with secrets in the field keep theirs with minOldSecret.
	minSecret    = 24
	minOldSecret = 8
)

// sevenFields is the JSON body that the default and the etlworks profile share but for the
// kind of webhook id.
func sevenFields(webhook source) []segment {
	return []segment{
		{text: `{"eventId":`, value: eventID},
		{text: `,"eventType":`, value: eventType},
		{text: `,"webhookId":`, value: webhook},
		{text: `,"entityId":`, value: entityID},
		{text: `,"entity":`, value: entity},
		{text: `,"entityUrl":`, value: entityURL},
		{text: `,"timestamp":`, value: timestampMillis},
		{text: `}`},
	}
}

// sevenFieldsForm is the same url-encoded. The product behind etlworks shows neither entity
// nor its URL in form mode; there the URL comes with the entity.
func sevenFieldsForm(webhook source, urlWithEntity bool) []segment {
	return []segment{
		{text: `eventId=`, value: eventID},
		{text: `&eventType=`, value: eventType},
		{text: `&webhookId=`, value: webhook},
		{text: `&entityId=`, value: entityID},
		{text: `&entity=`, value: entity},
		{text: `&entityUrl=`, value: entityURL, withEntity: urlWithEntity},
		{text: `&timestamp=`, value: timestampMillis},
	}
}

// standardHeaders identify the message (https://www.standardwebhooks.com): the id is the
// event's, the same for every attempt and webhook; the timestamp is the attempt's, or every
// retry would fail the receiver's freshness check.
var standardHeaders = []field{{"webhook-id", eventID}, {"webhook-timestamp", attemptUnix}}

// definitions are the wire formats by name. The JSON payload of an event without an entity
// is {} in formats that always have one, since their receivers index into it unasked.
var definitions = []definition{
	{
		// Seven fields as JSON or form, X-Webhook-* headers, Standard Webhooks and X-Signature.
		name:        "default",
		contentType: typeJSON,
		json:        sevenFields(webhookID),
		form:        sevenFieldsForm(webhookID, false),
		headers: []field{
			{"webhook-id", eventID},
			{"webhook-timestamp", attemptUnix},
			{"X-Webhook-Event-Id", eventID},
			{"X-Webhook-Event", eventType},
			{"X-Webhook-Id", webhookID},
			{"X-Webhook-Delivery-Id", deliveryID},
			{"X-Webhook-Entity-Id", entityID},
			{"X-Webhook-Entity-URL", entityURL},
			{"X-Webhook-Attempt", attemptNumber},
		},
		schemes:   []signature.Scheme{signature.Standard, signature.Plain},
		successes: []string{"2xx"},
		minSecret: minSecret,
		reserved:  []string{"webhook-", "x-webhook-", "x-signature", "x-signature-next"},
	},
	{
		// {type, timestamp, data} with Standard Webhooks headers.
		name:        "standard-webhooks",
		contentType: typeJSON,
		json: []segment{
			{text: `{"type":`, value: eventType},
			{text: `,"timestamp":`, value: timestampRFC3339},
			{text: `,"data":`, value: entity, absent: `{}`},
			{text: `}`},
		},
		headers:   standardHeaders,
		schemes:   []signature.Scheme{signature.Standard},
		entity:    entityAlways,
		successes: []string{"2xx"},
		minSecret: minSecret,
		reserved:  []string{"webhook-"},
	},
	{
		// As Etlworks Integrator: seven fields as JSON or form, X-Etl-Webhook-* headers, hex HMAC-SHA1.
		name:        "etlworks",
		contentType: typeJSON,
		json:        sevenFields(webhookNumber),
		form:        sevenFieldsForm(webhookNumber, true),
		headers: []field{
			{"X-Etl-Webhook-Event-Id", eventID},
			{"X-Etl-Webhook-Event", eventType},
			{"X-Etl-Webhook-Id", webhookNumber},
			{"X-Etl-Webhook-Entity-Id", entityID},
			{"X-Etl-Webhook-Entity-URL", entityURL},
		},
		schemes:   []signature.Scheme{signature.Etlworks},
		unsigned:  true,
		entity:    entityOff,
		successes: []string{"2xx"},
		minSecret: minOldSecret,
		reserved:  []string{"x-etl-webhook-"},
		catalogue: etlworksEvents(),
	},
	{
		// As Mixpost: {event, data} in PHP's spelling, bare hex HMAC-SHA256 in X-Signature.
		name:        "mixpost",
		contentType: typeJSON,
		json: []segment{
			{text: `{"event":`, value: eventType},
			{text: `,"data":`, value: entity, absent: `{}`},
			{text: `}`},
		},
		form: []segment{
			{text: `event=`, value: eventType},
			{text: `&data=`, value: entity, absent: `%7B%7D`},
		},
		php:       true,
		static:    []staticField{{"X-Request-Source", "Sallyport"}},
		schemes:   []signature.Scheme{signature.Plain},
		entity:    entityAlways,
		successes: []string{"200", "201", "202"},
		minSecret: minOldSecret,
		reserved:  []string{"x-signature", "x-signature-next"},
		catalogue: []string{
			"post.created", "post.updated", "post.scheduled", "post.published", "post.publishing_failed", "post.deleted",
			"account.added", "account.updated", "account.deleted",
		},
	},
	{
		// The entity as GitHub sends it: X-GitHub-Event, X-GitHub-Delivery, X-Hub-Signature-256.
		name:        "github",
		contentType: typeJSON,
		json:        []segment{{value: entity, absent: `{}`}},
		form:        []segment{{text: `payload=`, value: entity, absent: `%7B%7D`}},
		headers: []field{
			{"X-GitHub-Event", eventType},
			{"X-GitHub-Delivery", deliveryID},
		},
		schemes:   []signature.Scheme{signature.GitHub},
		entity:    entityAlways,
		successes: []string{"2xx"},
		minSecret: minSecret,
		reserved:  []string{"x-github-", "x-hub-signature-256", "x-hub-signature-256-next"},
	},
	{
		// {id, object, type, created, data.object} with Stripe-Signature.
		name:        "stripe",
		contentType: typeJSON,
		json: []segment{
			{text: `{"id":`, value: eventID},
			{text: `,"object":"event","type":`, value: eventType},
			{text: `,"created":`, value: timestampUnix},
			{text: `,"data":{"object":`, value: entity, absent: `{}`},
			{text: `}}`},
		},
		schemes:   []signature.Scheme{signature.Stripe},
		entity:    entityAlways,
		successes: []string{"2xx"},
		minSecret: minSecret,
		reserved:  []string{"stripe-signature"},
	},
	{
		// The entity as Shopify sends it: X-Shopify-* headers, base64 HMAC-SHA256.
		name:        "shopify",
		contentType: typeJSON,
		json:        []segment{{value: entity, absent: `{}`}},
		headers: []field{
			{"X-Shopify-Topic", eventType},
			{"X-Shopify-Webhook-Id", deliveryID},
			{"X-Shopify-Triggered-At", timestampRFC3339},
		},
		schemes:   []signature.Scheme{signature.Shopify},
		entity:    entityAlways,
		successes: []string{"2xx"},
		minSecret: minSecret,
		reserved:  []string{"x-shopify-"},
	},
	{
		// CloudEvents 1.0, structured mode, with Standard Webhooks headers.
		name:        "cloudevents",
		contentType: typeCloudEvents,
		fixedType:   true,
		json: []segment{
			{text: `{"specversion":"1.0","id":`, value: eventID},
			{text: `,"source":`, value: origin},
			{text: `,"type":`, value: eventType},
			{text: `,"subject":`, value: subject},
			{text: `,"time":`, value: timestampRFC3339},
			{text: `,"entityurl":`, value: entityURL}, // extension attribute: lowercase letters and digits only
			{text: `,"datacontenttype":"application/json","data":`, value: entity},
			{text: `}`},
		},
		headers:   standardHeaders,
		schemes:   []signature.Scheme{signature.Standard},
		successes: []string{"2xx"},
		minSecret: minSecret,
		reserved:  []string{"webhook-"},
	},
}

// etlworksEvents is the pattern of the names that the product documents two of.
func etlworksEvents() []string {
	var names []string
	for _, noun := range []string{"Flow", "Schedule", "Connection", "Format", "Listener", "User", "Tenant", "Agent"} {
		for _, verb := range []string{"Created", "Updated", "Deleted"} {
			names = append(names, noun+"."+verb)
		}
		if noun == "Flow" {
			names = append(names, noun+".Executed")
		}
	}
	return names
}

func lookup(name string) *definition {
	for i := range definitions {
		if definitions[i].name == name {
			return &definitions[i]
		}
	}
	return nil
}
