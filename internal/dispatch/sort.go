package dispatch

import (
	"bytes"
	"slices"

	"sallyport/internal/hook"
)

func compareIDs(a, b hook.ID) int { return bytes.Compare(a[:], b[:]) }

// sortLanes gives lanes a stable order for taking turns: workspace, then target.
func sortLanes(lanes []*lane) {
	slices.SortFunc(lanes, func(a, b *lane) int {
		if c := compareIDs(a.workspace, b.workspace); c != 0 {
			return c
		}
		return compareIDs(a.target, b.target)
	})
}

// sortJobs puts the longest due first.
func sortJobs(jobs []*hook.Job) {
	slices.SortFunc(jobs, func(a, b *hook.Job) int {
		if c := a.DueAt.Compare(b.DueAt); c != 0 {
			return c
		}
		return compareIDs(a.Delivery.ID, b.Delivery.ID)
	})
}
