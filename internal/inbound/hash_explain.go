package inbound

import (
	"fmt"
	"strings"
	"time"
)

// What an explanation looks at: clocks that are a quarter of an hour off, time zones, and no
// longer than this.
const (
	maxDrift    = 15 * time.Minute
	zoneStep    = 15 * time.Minute // some zones are a quarter of an hour from their neighbours
	farthest    = 14 * time.Hour   // from UTC
	explainTime = time.Second
)

// explain says of a hash that no instant of the tolerance has what it seems to be instead. It
// renders some hundred instants, which nobody may make us do who only calls: it is for those
// who have a recorded call verified. "" if nothing can be said.
func (h *hasher) explain(given string, now time.Time) string {
	present := h.at(now)
	if !present.ok { // the check has said so
		return ""
	}
	want := present.text
	var off time.Duration
	found, folded := false, false
	until := time.Now().Add(explainTime)
	try := func(at time.Duration) {
		if found || folded || time.Now().After(until) {
			return
		}
		text, err := h.render(now.Truncate(time.Second).Add(at).UTC())
		if text = strings.TrimSpace(text); err != nil || text == "" {
			return
		}
		if at.Abs() <= h.tolerance && strings.EqualFold(text, given) {
			folded = true
		} else if text == given {
			off, found = at, true
		}
	}
	if h.static {
		folded = strings.EqualFold(want, given)
	} else {
		for at := time.Duration(0); at <= maxDrift; at += hashStep {
			try(-at)
			try(at)
		}
		for zone := zoneStep; zone <= farthest; zone += zoneStep {
			for near := time.Duration(0); near <= min(h.tolerance, 2*hashStep); near += hashStep {
				try(-zone - near)
				try(-zone + near)
				try(zone - near)
				try(zone + near)
			}
		}
	}
	switch way := "later"; {
	case folded:
		return "it is right but for upper and lower case"
	case found:
		if off < 0 {
			way = "earlier"
		}
		return fmt.Sprintf("it is that of a time %s %s: the caller's clock is off, or its dates are not in hashTimezone, %s", spoken(off.Abs()), way, h.zone)
	case h.static || time.Now().After(until):
		return ""
	case len(given) != len(want):
		return fmt.Sprintf("it has %d characters, and should have %d: another algorithm, another encoding, or more than the hash", len(given), len(want))
	}
	return fmt.Sprintf("no time within %s has it either: the secret, or what is hashed with it, is another", spoken(farthest))
}

// spoken is a duration in hours, minutes and seconds, without those at its end that are none.
func spoken(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// explainHash adds to the check that refused a recorded call what its hash seems to be.
func (j *judged) explainHash() {
	given, _, ok := j.door.hash.given(j.call)
	if !ok || len(j.request.Checks) == 0 {
		return
	}
	last := &j.request.Checks[len(j.request.Checks)-1]
	if why := j.door.hash.explain(given, j.now); why != "" && last.Name == "hash" {
		last.Detail += "; " + why
	}
}
