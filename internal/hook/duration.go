package hook

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// durationUnits are the units of the contract, largest first.
var durationUnits = []struct {
	name string
	size time.Duration
}{
	{"d", 24 * time.Hour},
	{"h", time.Hour},
	{"m", time.Minute},
	{"s", time.Second},
	{"ms", time.Millisecond},
}

// ErrDuration is wrapped by every error of ParseDuration.
var ErrDuration = errors.New("not a duration such as 500ms, 30s, 5m, 1h30m or 7d")

// ParseDuration reads a configured duration: one or more of a whole or decimal number with
// a unit, ms, s, m, h or d, largest first and each once ("1h30m", "0.5s", "7d"), or "0". A
// day is 24 hours. The result is never negative and is a whole number of milliseconds, the
// finest that the contract can say; anything finer, like anything beyond 292 years, is refused.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, fmt.Errorf("%q: %w", s, ErrDuration)
	}
	var total time.Duration
	previous := time.Duration(math.MaxInt64)
	for rest := s; rest != ""; {
		digits := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if digits <= 0 {
			return 0, fmt.Errorf("%q: %w", s, ErrDuration)
		}
		number := rest[:digits]
		rest = rest[digits:]
		letters := strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' })
		if letters < 0 {
			letters = len(rest)
		}
		unit := unitOf(rest[:letters])
		rest = rest[letters:]
		if unit == 0 || unit >= previous {
			return 0, fmt.Errorf("%q: %w", s, ErrDuration)
		}
		previous = unit
		part, err := multiply(number, unit)
		if err != nil || total > math.MaxInt64-part {
			return 0, fmt.Errorf("%q: %w", s, ErrDuration)
		}
		total += part
	}
	return total, nil
}

// unitOf returns the size of the unit with this name, or 0 if there is none.
func unitOf(name string) time.Duration {
	for _, u := range durationUnits {
		if u.name == name {
			return u.size
		}
	}
	return 0
}

// multiply computes number x unit in whole numbers, because 0.1 has no exact float.
func multiply(number string, unit time.Duration) (time.Duration, error) {
	whole, fraction, dotted := strings.Cut(number, ".")
	if whole == "" || dotted && fraction == "" || strings.Contains(fraction, ".") {
		return 0, ErrDuration
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, ErrDuration
	}
	d := time.Duration(n) * unit
	for step := unit; fraction != ""; fraction = fraction[1:] {
		if step%10 != 0 {
			if strings.Trim(fraction, "0") != "" {
				return 0, ErrDuration
			}
			break
		}
		step /= 10
		part := time.Duration(fraction[0]-'0') * step
		if d > math.MaxInt64-part {
			return 0, ErrDuration
		}
		d += part
	}
	if d%time.Millisecond != 0 {
		return 0, ErrDuration
	}
	return d, nil
}

// FormatDuration writes a duration in the shortest form that ParseDuration reads back to
// the same value: "300s" comes back as "5m", "90m" as "90m" rather than "1h30m", 7 days as
// "7d". A remainder below a millisecond is cut off, and a negative duration is written as "0s".
func FormatDuration(d time.Duration) string {
	d = d.Truncate(time.Millisecond)
	if d <= 0 {
		return "0s"
	}
	// Either one number of the largest unit that divides it, or the parts, whichever is
	// shorter; the single number wins a tie since it is easier to compare.
	single := ""
	for _, u := range durationUnits {
		if d%u.size == 0 {
			single = strconv.FormatInt(int64(d/u.size), 10) + u.name
			break
		}
	}
	var parts strings.Builder
	for _, u := range durationUnits {
		if n := int64(d / u.size); n > 0 {
			parts.WriteString(strconv.FormatInt(n, 10) + u.name)
			d %= u.size
		}
	}
	if parts.Len() < len(single) {
		return parts.String()
	}
	return single
}
