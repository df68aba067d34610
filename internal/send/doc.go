// Package send makes one HTTP attempt of a delivery and writes down what happened: it
// renders and signs the request, dials through the egress guard, reads the answer within
// bounds and sorts the outcome. It decides nothing about retries. Of ours it imports
// internal/hook and the pure leaf libraries backoff, profile and signature.
//
// # What counts as success
//
// A status among the webhook's success codes, with the answer complete or read up to the
// limit, within the webhook's timeout for the whole exchange. Redirects are not followed;
// they are failures. An answer longer than the limit does not change the verdict.
//
// # One attempt, one request
//
// net/http re-sends some requests by itself when an idle connection turns out to be dead.
// None of ours: bodies come without GetBody, requests without a body get a fresh connection
// each, and Idempotency-Key is a reserved header.
//
// # Redaction
//
// Values of secret headers, the credentials of basic authentication and signing secrets are
// not recorded. Where such a value, or the part of it after whsec_ or after a scheme such as
// Bearer, occurs literally in the answer's headers or in what is kept of its body, or in an
// error's text, [redacted] stands in its place. Values shorter than four bytes are not looked
// for: they occur by chance. Other spellings of a secret (another encoding) are not found.
package send
