// Package preset verifies the signatures of incoming requests, and answers the handshakes
// of their senders. How a sender signs is data: the presets are files in data/, an operator
// adds more in a directory, and a pre-processor may describe one of its own. It is a pure
// leaf library: the time comes in with the request, and nothing is looked up anywhere.
//
// # What is signed
//
// Content is text with placeholders:
//
//	{body}          the raw body
//	{timestamp}     the time of signing, as it was received
//	{id}            the header that idHeader names
//	{method}        the method
//	{url}           the public URL with its query
//	{url:port}      the same with the scheme's own port added or, where it is written, without it
//	{url:decoded}   the same with the percent-escapes undone that HubSpot undoes
//	{query:NAME}    a query parameter, decoded
//	{header:NAME}   a header
//	{body:PATH}     a field of a JSON body, dots between names and indices; or of a form
//	{{ … }}         a Twig template as a whole, of the caller's to render; it sees the request
//	{form}          each key and value of a form body, sorted, without separators
//
// A header, parameter or form field that is signed, or that the time is taken from, must not
// be there twice with different values: what was checked and what is read later could differ.
// Of the header with the signature each line is tried, since each must match by itself.
//
// # Files
//
// A preset is a file NAME.json, with the fields of hook.Preset in camel case, durations as
// text, and without the name:
//
//	{
//	  "title": "Acme",
//	  "documentation": "https://acme.example/webhooks",
//	  "description": "Order webhooks",
//	  "secret": {"name": "Signing key", "where": "Settings > Webhooks"},
//	  "verifications": [{"header": "X-Acme-Signature", "prefix": "v1=", "content": "{timestamp}.{body}", "timestampHeader": "X-Acme-Time"}],
//	  "handshakes": [{"method": "GET", "when": [{"query": "challenge"}], "body": "{query:challenge}"}],
//	  "eventHeader": "X-Acme-Event",
//	  "dedupeKey": "{{ request.headers[\"X-Acme-Id\"] }}"
//	}
//
// Of several verifications any may match, which is for senders with several headers. Left
// out, algorithm is hmac-sha256, encoding hex, content {body}, key utf8, timestampUnit s and,
// where a time is signed, tolerance 5m. A handshake applies when its method and all of its
// conditions (header, query or body; with equals, absent, secret, or just there) do; with
// "signed" the signature must match, too. Its answer is text, or with
// "contentType": "application/json" JSON in which the placeholders' values are escaped.
//
// # Key bytes
//
// utf8 are the bytes of the secret exactly as given, prefixes such as whsec_ included; whsec
// is what Standard Webhooks does, see package signature. Public keys may be PEM, base64 DER
// or, for ed25519, 32 bytes as hex or base64. A public key never serves as an HMAC key:
// everybody knows it.
package preset
