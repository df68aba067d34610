// Package wire holds the JSON forms that the contract fixes and encoding/json does
// not produce by itself.
package wire

import (
	"fmt"
	"time"

	"sallyport/internal/hook"
)

// Layout is RFC 3339 with exactly milliseconds.
const Layout = "2006-01-02T15:04:05.000Z07:00"

// Time is a time of the contract: any RFC 3339 in, UTC with three digits of
// milliseconds out, so that times of one length sort as text.
type Time struct{ time.Time }

// At wraps t.
func At(t time.Time) Time { return Time{t} }

// MarshalJSON writes UTC and milliseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	return append(t.UTC().AppendFormat([]byte{'"'}, Layout), '"'), nil
}

// UnmarshalJSON reads RFC 3339.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("%s is not a time such as \"2026-11-21T02:13:00Z\"", b)
	}
	return t.UnmarshalText(b[1 : len(b)-1])
}

// UnmarshalText reads RFC 3339, also from a query parameter.
func (t *Time) UnmarshalText(b []byte) error {
	var err error
	t.Time, err = hook.ParseTime(string(b))
	return err
}

// Bind reads a query parameter.
func (t *Time) Bind(src string) error { return t.UnmarshalText([]byte(src)) }
