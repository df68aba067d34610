// Package signature computes and checks the signatures of outgoing requests. Schemes are
// data: what is signed, with which algorithm, and how the header is spelled. It is a pure
// leaf library: it imports internal/hook only, the time comes in as an argument, and any
// room may import it.
//
// # Key bytes
//
// Standard Webhooks (v1) base64-decodes what follows "whsec_"; a secret without that
// prefix is used as its UTF-8 bytes. Every other scheme uses the UTF-8 bytes of the string
// exactly as given, prefix included, as PHP's hash_hmac does with a literal string. To
// check a plain secret with the published Standard Webhooks libraries, give them
// whsec_$(printf %s "$SECRET" | base64 -w0).
//
// # Several secrets
//
// While a rotation overlaps, formats with room for several signatures carry one of each
// live secret, newest first. Formats with room for one carry the oldest live secret's until
// its overlap ends, and the newest's stands in the header of the same name with "-Next".
package signature
