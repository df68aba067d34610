package hook

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"
)

// Sensitive is text that must not be seen: it prints and logs as HiddenMark.
// Convert with string(s) where the value itself is needed.
type Sensitive string

// String hides the value.
func (Sensitive) String() string { return HiddenMark }

// GoString hides the value from %#v.
func (Sensitive) GoString() string { return HiddenMark }

// LogValue hides the value from slog.
func (Sensitive) LogValue() slog.Value { return slog.StringValue(HiddenMark) }

// MarshalText hides the value from encoders.
func (Sensitive) MarshalText() ([]byte, error) { return []byte(HiddenMark), nil }

// Secret signs what a webhook receives. While a rotation overlaps, up to three are
// live at once, oldest first. Value is the string exactly as given, whsec_ prefix
// included; which bytes make the HMAC key is the scheme's decision.
type Secret struct {
	ID        ID
	Value     Sensitive
	Hint      string // "…" and the last four characters
	Short     bool   // below MinSecret characters, allowed by some profiles
	CreatedAt time.Time
	ExpiresAt *time.Time // nil: until rotated or removed
}

// MinSecret is how many characters a secret should have (Standard Webhooks: 24 bytes).
const MinSecret = 24

// Live reports whether the secret still signs at t.
func (s Secret) Live(t time.Time) bool { return s.ExpiresAt == nil || t.Before(*s.ExpiresAt) }

// IsShort reports whether a secret has fewer characters than it should.
func IsShort(value string) bool { return utf8.RuneCountInString(value) < MinSecret }

// Hint shows enough of a secret to recognise it and too little to use it.
func Hint(value string) string {
	if len(value) < 12 {
		return "…"
	}
	return "…" + value[len(value)-4:]
}

// UnknownSecrets says, in a sentence each, which of the secrets that a template reads are not
// among those that there are.
func UnknownSecrets(read, known []string) []string {
	var out []string
	told := map[string]bool{}
	for _, name := range read {
		if !told[name] && !slices.Contains(known, name) {
			told[name] = true
			out = append(out, fmt.Sprintf("there is no secret named %q; put it among secrets", name))
		}
	}
	return out
}
