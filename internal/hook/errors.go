package hook

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what sort of failure an error is. Its text is the stable problem code of
// the API; the edge maps each kind to a status in one table. An error without a
// kind is internal: its text goes to the log, never to the caller.
type Kind string

// Kinds of failure that rooms report.
const (
	KindInternal          Kind = "internal"
	KindInvalid           Kind = "validation_failed"
	KindSchemaMismatch    Kind = "schema_mismatch"
	KindNotFound          Kind = "not_found"
	KindCodeTaken         Kind = "code_taken"
	KindNameTaken         Kind = "name_taken"
	KindEventIDReused     Kind = "event_id_reused"
	KindDeliveryRunning   Kind = "delivery_running"
	KindInvalidState      Kind = "invalid_state"
	KindInUse             Kind = "in_use"
	KindPrecondition      Kind = "precondition_failed"
	KindUnauthorized      Kind = "unauthorized"
	KindKeyExpired        Kind = "key_expired"
	KindForbidden         Kind = "forbidden"
	KindWorkspaceDenied   Kind = "workspace_forbidden"
	KindMalformedJSON     Kind = "malformed_json"
	KindDuplicateKey      Kind = "duplicate_key"
	KindUnknownParameter  Kind = "unknown_parameter"
	KindInvalidParameter  Kind = "invalid_parameter"
	KindCursorExpired     Kind = "cursor_expired"
	KindInvalidCursor     Kind = "invalid_cursor"
	KindTooLarge          Kind = "payload_too_large"
	KindTooManyItems      Kind = "too_many_items"
	KindUnsupportedMedia  Kind = "unsupported_media_type"
	KindRateLimited       Kind = "rate_limited"
	KindUnavailable       Kind = "unavailable"
	KindQueueFull         Kind = "queue_full"
	KindShuttingDown      Kind = "shutting_down"
	KindStorageFull       Kind = "storage_full"
	KindIdempotencyReused Kind = "idempotency_key_reused"
	KindIdempotencyBusy   Kind = "idempotency_in_progress"
	KindTemplateSyntax    Kind = "template_syntax"
	KindTemplateRuntime   Kind = "template_runtime"
	KindTemplateLimit     Kind = "template_limit"
	KindMalformedBody     Kind = "malformed_body"
	KindLoopDetected      Kind = "loop_detected"
	KindActionFailed      Kind = "action_failed"
)

// Kinds of refusals at a door. Those of the API that fit serve there, too.
const (
	KindCredentialsRefused Kind = "credentials_refused"
	KindIPNotAllowed       Kind = "ip_not_allowed"
	KindHashMissing        Kind = "hash_missing"
	KindHashMismatch       Kind = "hash_mismatch"
	KindSignatureMissing   Kind = "signature_missing"
	KindSignatureMismatch  Kind = "signature_mismatch"
	KindSignatureExpired   Kind = "signature_expired"
	KindPreProcessor       Kind = "pre_processor_refused"
	KindDuplicateRefused   Kind = "duplicate_refused"
	KindMethodNotAllowed   Kind = "method_not_allowed"
	KindBodyTimeout        Kind = "body_timeout"
	KindUnsupportedCoding  Kind = "unsupported_encoding" // of the content
)

// Fault is one thing wrong with an input. Field is written as callers think of it,
// retry.schedule[2]; Code is one of the per-field codes of the contract, such as
// required or invalid_duration; Detail says what to do about it.
type Fault struct {
	Field  string
	Code   string
	Detail string
}

// Error is a failure of a known kind.
type Error struct {
	Kind       Kind
	Detail     string        // for the caller
	Field      string        // the offending field or parameter, "" if none
	Faults     []Fault       // all faults of an input at once
	RetryAfter time.Duration // for kinds that pass by themselves, else 0
	UsedBy     []string      // KindInUse: who holds it
	Line       int           // of a template, from 1; 0 if there is none to name
	Column     int           // in characters, from 1
	Owner      string        // KindNameTaken, KindCodeTaken: id of the holder
	Err        error         // cause, for the log only
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	for _, f := range e.Faults {
		fmt.Fprintf(&b, "; %s: %s: %s", f.Field, f.Code, f.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err, KindInternal if it has none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// Errorf makes an error of a kind with a detail for the caller.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Detail: fmt.Sprintf(format, args...)}
}

// NotFound reports that there is no such noun in the caller's workspace.
func NotFound(noun, ref string) *Error {
	return Errorf(KindNotFound, "no %s %q in this workspace", noun, ref)
}

// NoWorkspace reports that there is no such workspace.
func NoWorkspace(ref string) *Error { return Errorf(KindNotFound, "no workspace %q", ref) }

// Invalid makes a validation error of faults; nil when there are none.
func Invalid(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	e := &Error{Kind: KindInvalid, Faults: faults, Field: faults[0].Field}
	if len(faults) == 1 {
		e.Detail = faults[0].Detail
	} else {
		e.Detail = fmt.Sprintf("%d fields are wrong", len(faults))
	}
	return e
}
