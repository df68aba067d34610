package store

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// What the API calls a delivery's state is put together from three tables: the row says
// running (handed over at birth), pending or how it ended; a waiting row that a node
// has claimed is running; one that is not, while its target is not sent to, is held.
// It is said twice, here for rows and in SQL for filters; the suite holds the two
// against each other.

// stateFacts are what a waiting delivery's state depends on.
type stateFacts struct {
	claimed bool
	active  bool // its target
}

func (f stateFacts) state(row hook.State) hook.State {
	switch {
	case row != hook.StatePending:
		return row
	case f.claimed:
		return hook.StateRunning
	case !f.active:
		return hook.StateHeld
	}
	return hook.StatePending
}

// activeSQL tells whether the target in this column is sent to.
func activeSQL(target string) string {
	return "coalesce(" + eachTarget(", ", "(SELECT %s FROM %t w WHERE w.id = "+target+")") + ", true)"
}

// stateSet are the states a search asks for; the empty set asks for all.
type stateSet []hook.State

func (set stateSet) has(s hook.State) bool { return slices.Contains(set, s) }

// waits reports that only deliveries that are not finished are wanted, failed ones apart.
func (set stateSet) waits() bool {
	return set.has(hook.StatePending) || set.has(hook.StateHeld) || set.has(hook.StateRunning)
}

// scans reports that the wanted states have no table of their own to look them up in.
func (set stateSet) scans() bool {
	return len(set) == 0 || set.has(hook.StateSucceeded) || set.has(hook.StateSkipped)
}

// waiting is the condition on a row that waits, given the columns of who claimed it
// and of its target; "" if no waiting row is wanted.
func (set stateSet) waiting(heldBy, target string) string {
	var either []string
	if set.has(hook.StateRunning) {
		either = append(either, heldBy+" IS NOT NULL")
	}
	switch pending, held := set.has(hook.StatePending), set.has(hook.StateHeld); {
	case pending && held:
		either = append(either, heldBy+" IS NULL")
	case pending:
		either = append(either, heldBy+" IS NULL AND "+activeSQL(target))
	case held:
		either = append(either, heldBy+" IS NULL AND NOT "+activeSQL(target))
	}
	return joinOr(either)
}

// row is the condition on a row d of deliveries; "" for the empty set.
func (set stateSet) row() string {
	var either []string
	for _, s := range []hook.State{hook.StateRunning, hook.StateSucceeded, hook.StateFailed, hook.StateSkipped} {
		if set.has(s) {
			either = append(either, fmt.Sprintf("d.state = %d", stateCodes.of(s)))
		}
	}
	if w := set.waiting("(SELECT u.held_by FROM due u WHERE u.delivery_id = d.id)", "d.target_id"); w != "" {
		either = append(either, fmt.Sprintf("d.state = %d AND %s", stateCodes.of(hook.StatePending), w))
	}
	return joinOr(either)
}

func joinOr(either []string) string {
	if len(either) == 0 {
		return ""
	}
	return "((" + strings.Join(either, ") OR (") + "))"
}
