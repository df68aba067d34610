package hook

import "strings"

// What may be kept of what went over the wire, and shown.

// HiddenMark stands where a value was that must not be seen.
const HiddenMark = "[redacted]"

// MinHidden is how many bytes a secret has at least that is looked for: shorter texts occur by chance.
const MinHidden = 4

// maxErrorText bounds the text of an error, in bytes: it may quote a receiver.
const maxErrorText = 500

// Redact takes secrets out of text. They must be sorted by length, longest first, since one
// may be a part of another.
func Redact(text string, secrets []string) string {
	for _, s := range secrets {
		if strings.Contains(text, s) {
			text = strings.ReplaceAll(text, s, HiddenMark)
		}
	}
	return text
}

// Storable makes text of what others sent: UTF-8 without zeros, which is all that databases take.
func Storable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}

// ErrorText makes the text of an error fit for an attempt's record.
func ErrorText(text string) string {
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "…"
	}
	return Storable(text)
}
