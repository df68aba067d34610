// Package profile renders an event for a webhook: method, headers and body exactly as they
// go over the wire. What a format looks like is data (table.go); this package only fills it
// in. It is a pure leaf library: of ours it imports internal/hook and internal/signature
// only, time comes in as an argument, and any room may import it.
//
// # Bytes
//
// Bodies are built by appending. The publisher's entity is copied as the bytes it was
// received in, so key order, duplicate keys, number literals and escapes survive, except in
// the mixpost profile, whose product re-encodes: there strings are spelled as PHP's
// json_encode spells them and blanks between tokens go, while key order, duplicates and
// number literals stay. What an event does not have is left out of bodies and headers.
//
// # Header values
//
// HTTP fields carry visible ASCII. An entity id or an event type with anything else is
// percent-encoded as UTF-8, and so is its "%", so decoding always gives the original. In an
// entity URL, which has escapes of its own, only bytes that no URL may contain are encoded.
// A value beyond 4,096 bytes is left out: it would make many receivers refuse the request,
// and the body has it.
package profile
