package hook

import "time"

// Verification says in data how the signature of an incoming request is checked. Exactly one
// of Header, Query and BodyField says where the signature is. Content is what is signed, a
// text with placeholders; package preset lists them.
type Verification struct {
	Algorithm string // hmac-sha1, hmac-sha256, hmac-sha512, ed25519, ecdsa-p256, rsa-sha256, token; "" is hmac-sha256
	Header    string
	Query     string
	BodyField string // path in a JSON body, or name in a form: signature.signature
	Encoding  string // hex, base64, base64url; "" is hex
	Prefix    string // before each signature
	Separator string // between the entries of a value that has room for several
	Content   string // "" is {body}
	Key       string // how a secret becomes key bytes: utf8, base64, hex, whsec; "" is utf8. Public keys are recognised

	IDHeader        string // what {id} stands for; "" is webhook-id
	TimestampHeader string // where the time of signing is: a header,
	TimestampField  string // a field of the body,
	TimestampPrefix string // or the entry of the signature's own value that begins so
	TimestampUnit   string // s, ms, rfc3339, http-date; "" is s
	Tolerance       *time.Duration
	BodySHA256Query string // query parameter of a signed URL with the hex SHA-256 of a body that is not signed itself
}

// Preset is a sender's way of signing, under a name. Names are lower case with dashes.
type Preset struct {
	Name            string
	Title           string
	Documentation   string // address of the sender's own description
	Description     string
	Secret          PresetSecret
	HandshakeSecret *PresetSecret  // nil: handshakes need none of their own
	Verifications   []Verification // any of them may match
	Handshakes      []Handshake
	EventHeader     string // header with the event's type, "" if there is none
	DedupeKey       string // template of a key that repeats of a request share, "" if there is none
	RefusalStatus   int    // what the sender insists on for a wrong signature, 0: no wish
	Operator        bool   // from the operator's directory, not built in
}

// PresetSecret tells people what a secret is and where they find it.
type PresetSecret struct {
	Name  string
	Where string
}

// Handshake is a request by which a sender tests a door before it uses it, and the answer
// it wants. It makes no event.
type Handshake struct {
	Method      string
	When        []HandshakeCondition // all must hold
	Signed      bool                 // the request's signature must verify, too
	Status      int                  // 0 is 200
	ContentType string
	Body        string            // text with placeholders; in JSON their values are escaped
	Headers     map[string]string // values with placeholders
	HMAC        *HandshakeHMAC    // what the placeholder {hmac} stands for
}

// HandshakeCondition looks at one place of the request. Without Equals, Absent or Secret the
// place must have a value.
type HandshakeCondition struct {
	Header string
	Query  string
	Body   string // path in a JSON body, or name in a form
	Equals string
	Absent bool
	Secret bool // equals one of the handshake's secrets
}

// HandshakeHMAC proves to the sender that the door knows the secret.
type HandshakeHMAC struct {
	Algorithm string
	Encoding  string
	Content   string
}
