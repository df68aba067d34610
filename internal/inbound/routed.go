package inbound

import (
	"fmt"

	"sallyport/internal/hook"
)

// routed is what kept items of a call from a route. Of routes that lead on there is none.
type routed struct {
	route    *hook.Route
	off      bool // its action is disabled
	filtered int  // items for which its condition was false
	broken   int  // items for which its condition or transform failed
	why      string
}

// told is the note about a route, to be written on.
func (j *judged) told(r *hook.Route) *routed {
	for i := range j.routed {
		if j.routed[i].route == r {
			return &j.routed[i]
		}
	}
	j.routed = append(j.routed, routed{route: r})
	return &j.routed[len(j.routed)-1]
}

func (n *routed) broke(what string, err error, x *door) {
	if n.broken++; n.broken == 1 {
		n.why = what + ": " + withoutSecrets(detailOf(err), x.Secrets)
	}
}

// routeChecks says why items did not go where routes lead.
func (j *judged) routeChecks() []hook.Check {
	var out []hook.Check
	add := func(n *routed, result, detail string) {
		out = append(out, hook.Check{Name: "route:" + n.route.Name, Result: result, Detail: detail})
	}
	for i := range j.routed {
		n := &j.routed[i]
		if n.off {
			add(n, hook.CheckSkipped, fmt.Sprintf("the action %s is disabled", n.route.Action))
		}
		if n.broken > 0 {
			add(n, hook.CheckFailed, n.why+items(n.broken))
		}
		if n.filtered > 0 {
			add(n, hook.CheckSkipped, "the condition is false"+items(n.filtered))
		}
	}
	return out
}

// items says of how many items something is so, unless of one.
func items(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(" (%d items)", n)
}
