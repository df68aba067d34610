package hook

import (
	"fmt"
	"strings"
	"time"
)

// ParseTime reads a time as RFC 3339 has it, and returns it in UTC, where its year has four
// digits, too: one that had not could be shown to nobody. time.Parse alone also takes a comma
// before the fraction, an hour of one digit, and offsets of more than a day.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || s[len("2006-01-02T15")] != ':' || strings.Contains(s, ",") || !isOffset(s) || !hasYear(t.UTC()) {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-21T02:13:00Z", s)
	}
	return t.UTC(), nil
}

func hasYear(t time.Time) bool { return t.Year() >= 0 && t.Year() <= 9999 }

// isOffset reports whether a time ends in Z or in an offset of at most 23:59.
func isOffset(s string) bool {
	hour, minute, ok := strings.Cut(s[len(s)-len("07:00"):], ":")
	return strings.HasSuffix(s, "Z") || ok && hour <= "23" && minute <= "59"
}
