// Package backoff decides how long a delivery waits between attempts. It is a pure leaf
// library: it imports internal/hook only, time and chance come in as arguments, and any
// room may import it.
package backoff

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/hook"
)

const (
	// MaxRetryAfter bounds the wait a receiver may ask for, so that a mistaken or hostile
	// answer cannot park a delivery for years.
	MaxRetryAfter = 24 * time.Hour

	// MaxWait is the longest wait of any schedule; it also keeps a growing exponential
	// from overflowing.
	MaxWait = 30 * 24 * time.Hour
)

var defaultSchedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Default is the schedule of a webhook that names none: with 10 attempts it spans a bit
// more than three days, with waits spread by ±10 %. The caller owns the result.
func Default() hook.Retry {
	return hook.Retry{Schedule: slices.Clone(defaultSchedule), Jitter: 0.1}
}

// Wait returns how long to wait after attempt (1 is the first) failed. chance in [0, 1) is
// the caller's luck: 0 gives the shortest wait that the jitter allows, and just below 1 the
// longest. The last wait repeats when there are more attempts than waits. A Retry with none
// of its forms set waits as Default does, with its own jitter. The result lies in [0,
// MaxWait], jitter aside.
func Wait(r hook.Retry, attempt int, chance float64) time.Duration {
	jitter := min(max(r.Jitter, 0), 1)
	factor := 1 + jitter*(2*min(max(chance, 0), 1)-1)
	return time.Duration(math.Round(float64(plain(r, max(attempt, 1))) * factor))
}

// plain is the wait before jitter.
func plain(r hook.Retry, attempt int) time.Duration {
	var d time.Duration
	switch {
	case r.Exponential != nil:
		return exponential(*r.Exponential, attempt)
	case r.Linear != nil:
		d = r.Linear.Interval
	case len(r.Schedule) > 0:
		d = r.Schedule[min(attempt, len(r.Schedule))-1]
	default:
		d = defaultSchedule[min(attempt, len(defaultSchedule))-1]
	}
	return min(max(d, 0), MaxWait)
}

func exponential(e hook.Exponential, attempt int) time.Duration {
	longest := MaxWait
	if e.Max > 0 {
		longest = min(e.Max, MaxWait)
	}
	d := float64(e.Initial) * math.Pow(e.Factor, float64(attempt-1))
	if math.IsNaN(d) || d >= float64(longest) {
		return longest
	}
	return max(time.Duration(d), 0)
}

// RetryAfter reads the value of a Retry-After header (RFC 9110 section 10.2.3): seconds, or
// an HTTP date, which is compared with date, the answer's own Date header where it has one,
// so that the receiver's clock need not be ours; else with now. It returns 0 for a value in
// the past or one that cannot be read, and never more than MaxRetryAfter. The caller takes
// the longer of this and its own wait: a receiver may ask for more patience, never for less.
func RetryAfter(value, date string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if isDigits(value) {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter // also when there are too many digits for any integer
		}
		return time.Duration(seconds) * time.Second
	}
	at, ok := parseDate(value)
	if !ok {
		return 0
	}
	if sent, ok := parseDate(strings.TrimSpace(date)); ok {
		now = sent
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// dateForms are the three forms of RFC 9110 section 5.6.7. They are those of
// net/http.ParseTime, without pulling net/http into a pure package.
var dateForms = []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC}

func parseDate(s string) (time.Time, bool) {
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
