package signature

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
)

// Algorithms of a scheme. SHA-1 is there for receivers that know nothing else; as an HMAC
// it is not broken.
const (
	SHA1   = "hmac-sha1"
	SHA256 = "hmac-sha256"
	SHA512 = "hmac-sha512"
)

// Encodings of a signature.
const (
	Hex    = "hex"    // lowercase
	Base64 = "base64" // standard alphabet, padded
)

// NextSuffix is appended to the header name of a one-value format for the newest secret's
// signature while a rotation overlaps.
const NextSuffix = "-Next"

// StandardPrefix begins secrets in the form of Standard Webhooks: base64 follows.
const StandardPrefix = "whsec_"

// Scheme describes a signature. Content and Lead may hold the placeholders {body}, {id}
// (the event's id) and {timestamp} (Unix seconds of the attempt).
type Scheme struct {
	Header    string // spelled as on the wire
	Algorithm string
	Encoding  string
	Content   string // what is signed
	Lead      string // once, before the first signature; no {body}
	Prefix    string // before each signature
	Join      string // between signatures; "" where the format has room for one only
	Decoded   bool   // key bytes of a whsec_ secret are what follows, base64-decoded
}

// Schemes of the profiles. Treat them as constants.
var (
	// Standard is v1 of https://www.standardwebhooks.com. The id and the timestamp it
	// signs travel as webhook-id and webhook-timestamp.
	Standard = Scheme{Header: "webhook-signature", Algorithm: SHA256, Encoding: Base64,
		Content: "{id}.{timestamp}.{body}", Prefix: "v1,", Join: " ", Decoded: true}

	// Plain is the bare lowercase hex HMAC-SHA256 of the body.
	Plain = Scheme{Header: "X-Signature", Algorithm: SHA256, Encoding: Hex, Content: "{body}"}

	// Etlworks is the bare lowercase hex HMAC-SHA1 of the body.
	Etlworks = Scheme{Header: "X-Etl-Webhook-Signature", Algorithm: SHA1, Encoding: Hex, Content: "{body}"}

	// GitHub is X-Hub-Signature-256.
	GitHub = Scheme{Header: "X-Hub-Signature-256", Algorithm: SHA256, Encoding: Hex, Content: "{body}", Prefix: "sha256="}

	// Stripe is t=...,v1=...[,v1=...].
	Stripe = Scheme{Header: "Stripe-Signature", Algorithm: SHA256, Encoding: Hex,
		Content: "{timestamp}.{body}", Lead: "t={timestamp},", Prefix: "v1=", Join: ","}

	// Shopify is the base64 HMAC-SHA256 of the body.
	Shopify = Scheme{Header: "X-Shopify-Hmac-Sha256", Algorithm: SHA256, Encoding: Base64, Content: "{body}"}
)

// Known lists the schemes above, for receivers that take whatever comes.
func Known() []Scheme { return []Scheme{Standard, Plain, GitHub, Stripe, Shopify, Etlworks} }

// Custom turns a described signature into a scheme. Empty fields mean hmac-sha256, hex and
// {body}. Faults name fields below "signature".
func Custom(c hook.CustomSignature) (Scheme, []hook.Fault) {
	s := Scheme{Header: c.Header, Algorithm: c.Algorithm, Encoding: c.Encoding, Content: c.Content, Prefix: c.Prefix}
	if s.Algorithm == "" {
		s.Algorithm = SHA256
	}
	if s.Encoding == "" {
		s.Encoding = Hex
	}
	if s.Content == "" {
		s.Content = "{body}"
	}
	var faults []hook.Fault
	fault := func(field, code, detail string) {
		faults = append(faults, hook.Fault{Field: "signature." + field, Code: code, Detail: detail})
	}
	if newHash(s.Algorithm) == nil {
		fault("algorithm", "invalid_format", "use hmac-sha1, hmac-sha256 or hmac-sha512")
	}
	if s.Encoding != Hex && s.Encoding != Base64 {
		fault("encoding", "invalid_format", "use hex or base64")
	}
	switch {
	case s.Header == "":
		fault("header", "required", "name the header that carries the signature")
	case !httpguts.ValidHeaderFieldName(s.Header):
		fault("header", "invalid_format", "a header name has only letters, digits and - _ . ~ ! # $ % & ' * + ^ ` |")
	}
	if strings.IndexFunc(s.Prefix, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 || len(s.Prefix) > 100 {
		fault("prefix", "invalid_format", "at most 100 characters of printable ASCII")
	}
	if parts, err := parse(s.Content); err != nil {
		fault("content", "invalid_format", err.Error())
	} else if !covers(parts, partBody) {
		fault("content", "invalid_format", "must contain {body}, or the signature protects nothing")
	}
	return s, faults
}

// StandardKey returns the key bytes that v1 uses for a secret.
func StandardKey(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, StandardPrefix)
	if !ok {
		return []byte(secret), nil
	}
	// Padding is optional: secrets are typed and pasted.
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil || len(key) == 0 {
		return nil, errors.New("what follows whsec_ is not base64")
	}
	return key, nil
}

func (s Scheme) key(secret hook.Sensitive) ([]byte, error) {
	if s.Decoded {
		return StandardKey(string(secret))
	}
	return []byte(secret), nil
}

func (s Scheme) appendEncoded(dst, sum []byte) []byte {
	if s.Encoding == Base64 {
		return base64.StdEncoding.AppendEncode(dst, sum)
	}
	return appendHex(dst, sum)
}

func appendHex(dst, sum []byte) []byte {
	const digits = "0123456789abcdef"
	for _, b := range sum {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return dst
}

// newHash returns the hash of an algorithm, nil if there is none of that name.
func newHash(algorithm string) func() hash.Hash {
	switch algorithm {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	case SHA512:
		return sha512.New
	}
	return nil
}

// part is a piece of content: literal text, or what stands for a placeholder.
type part struct {
	kind    partKind
	literal string
}

type partKind uint8

const (
	partLiteral partKind = iota
	partBody
	partID
	partTimestamp
)

var placeholders = map[string]partKind{"{body}": partBody, "{id}": partID, "{timestamp}": partTimestamp}

// parse splits text at its placeholders. A lone brace is text, another word in braces an
// error: it is a typing mistake that would go unnoticed until a receiver refuses.
func parse(text string) ([]part, error) {
	var parts []part
	for text != "" {
		open := strings.IndexByte(text, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(text[open:], '}')
		if end < 0 {
			break
		}
		word := text[open : open+end+1]
		kind, ok := placeholders[word]
		if !ok {
			return nil, fmt.Errorf("unknown placeholder %s; use {body}, {id} or {timestamp}", word)
		}
		if open > 0 {
			parts = append(parts, part{literal: text[:open]})
		}
		parts = append(parts, part{kind: kind})
		text = text[open+end+1:]
	}
	if text != "" {
		parts = append(parts, part{literal: text})
	}
	return parts, nil
}

func covers(parts []part, kind partKind) bool {
	for _, p := range parts {
		if p.kind == kind {
			return true
		}
	}
	return false
}
