package hook

import (
	"fmt"
	"strings"
	"time"
)

// ParseTime reads a time as RFC 3339 has it, and returns it in UTC. time.Parse alone also
// takes a comma before the fraction and an hour of one digit.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || s[len("2006-01-02T15")] != ':' || strings.Contains(s, ",") {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-21T02:13:00Z", s)
	}
	return t.UTC(), nil
}
