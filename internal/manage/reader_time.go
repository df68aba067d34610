package manage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/hook"
)

func (o *object) duration(name string, def, lo, hi time.Duration) time.Duration {
	var s string
	if !o.value(name, `a duration such as "30s"`, &s) {
		return def
	}
	return o.checkDuration(o.at(name), s, def, lo, hi)
}

func (r *reader) checkDuration(field, s string, def, lo, hi time.Duration) time.Duration {
	d, err := hook.ParseDuration(s)
	switch {
	case err != nil:
		hint := ""
		if better, ok := meantDuration(s); ok {
			hint = fmt.Sprintf("; use %q", better)
		}
		r.fault(field, "invalid_duration", "%q is not a duration%s", clip(s), hint)
		return def
	case d < lo || d > hi:
		r.fault(field, "out_of_range", "%s is not between %s and %s", clip(s), hook.FormatDuration(lo), hook.FormatDuration(hi))
		return def
	}
	return d
}

// meantDuration guesses what "5 min", "PT5M" or "10 seconds" should have been.
func meantDuration(s string) (string, bool) {
	t := strings.ToLower(strings.ReplaceAll(s, " ", ""))
	t = strings.TrimPrefix(strings.TrimPrefix(t, "p"), "t")
	digits := len(t) - len(strings.TrimLeft(t, "0123456789."))
	number, unit := t[:digits], t[digits:]
	for _, u := range []struct{ unit, names string }{
		{"ms", "ms msec msecs millis millisecond milliseconds"}, {"s", " s sec secs second seconds"},
		{"m", "m min mins minute minutes"}, {"h", "h hr hrs hour hours"}, {"d", "d day days"},
	} {
		if number != "" && slices.Contains(strings.Split(u.names, " "), unit) {
			d, err := hook.ParseDuration(number + u.unit)
			return hook.FormatDuration(d), err == nil
		}
	}
	return "", false
}

// instant reads an RFC 3339 time; null is none.
func (o *object) instant(name string) *time.Time {
	if !o.has(name) || o.isNull(name) {
		return nil
	}
	var s string
	if !o.value(name, "a time such as 2027-01-01T00:00:00Z, or null", &s) {
		return nil
	}
	t, err := hook.ParseTime(s)
	if err != nil || t.Year() < 1970 {
		o.fault(o.at(name), "invalid_format", "%q is not a time such as 2027-01-01T00:00:00Z", clip(s))
		return nil
	}
	t = t.Truncate(time.Millisecond)
	return &t
}
