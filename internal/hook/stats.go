package hook

import "time"

// Counts are what happened in one workspace on one node.
type Counts struct {
	Accepted         int64 // events
	Created          int64 // deliveries
	Attempts         int64 // that ended, however they did
	Finished         int64 // deliveries that succeeded, failed or were skipped
	Failed           int64 // of them
	RequestsAccepted int64 // calls of incoming webhooks
	RequestsRefused  int64
}

// Rates are what happens in one workspace on all nodes, per second, over the last minute.
type Rates struct {
	Accepted, Created, Attempts, Finished, Failed float64
	RequestsAccepted, RequestsRefused             float64
}

// TargetQueue is what waits for one target.
type TargetQueue struct {
	Workspace     ID
	WorkspaceCode string
	Target        ID
	Waiting       int        // that no node has claimed
	Claimed       int        // by a node
	Exact         bool       // false: more wait than were counted
	OldestDue     *time.Time // of those that wait, when the first became due; nil: none is due yet
	Active        bool       // it is sent to, unless its breaker is open
	Broken        bool       // its breaker lets through only probes
}

// Queue is what waits in the whole installation, as it was at a time.
type Queue struct {
	At      time.Time
	Targets []TargetQueue // those for which something waits, in no promised order
}

// Backlog is how much of one workspace waits.
type Backlog struct {
	Workspace     ID
	WorkspaceCode string
	Pending       int        // for targets that are sent to
	Held          int        // for targets that are not
	Claimed       int        // by a node
	Exact         bool       // false: more wait than were counted
	OldestDue     *time.Time // among the pending ones, when the first became due; nil: none is due yet
	// OldestMoving is OldestDue without what waits for a receiver that only fails: that is
	// its owner's to mend.
	OldestMoving *time.Time
}

// Add counts a target's queue in.
func (b *Backlog) Add(q *TargetQueue) {
	b.Claimed += q.Claimed
	b.Exact = b.Exact && q.Exact
	if !q.Active {
		b.Held += q.Waiting
		return
	}
	b.Pending += q.Waiting
	b.OldestDue = earliest(b.OldestDue, q.OldestDue)
	if !q.Broken {
		b.OldestMoving = earliest(b.OldestMoving, q.OldestDue)
	}
}

func earliest(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// Backlogs sums the queue by workspace.
func (q *Queue) Backlogs() map[ID]*Backlog {
	out := make(map[ID]*Backlog)
	for i := range q.Targets {
		t := &q.Targets[i]
		b := out[t.Workspace]
		if b == nil {
			b = &Backlog{Workspace: t.Workspace, WorkspaceCode: t.WorkspaceCode, Exact: true}
			out[t.Workspace] = b
		}
		b.Add(t)
	}
	return out
}

// WorkspaceStats is how one workspace fares.
type WorkspaceStats struct {
	Backlog
	Rates
	Running int       // in the hands of nodes: being sent, or about to be
	AsOf    time.Time // of the queue's figures
}

// TargetStat is one target for which something waits.
type TargetStat struct {
	TargetQueue
	Kind   TargetKind
	Code   string
	Name   string
	State  TargetState
	Reason Reason // why what waits does not move
}

// Stats answer what a workspace does and what keeps it.
type Stats struct {
	WorkspaceStats
	Failed int          // dead letters, at most MaxFailedCount
	Top    []TargetStat // with the most waiting, at most TopTargets
}

const (
	// MaxFailedCount is how far dead letters are counted.
	MaxFailedCount = 10_000
	// TopTargets is how many targets the statistics name.
	TopTargets = 10
)

// WorkspaceSort is the order of a list of workspaces.
type WorkspaceSort string

// Orders of workspaces.
const (
	SortCreated       WorkspaceSort = "" // by creation, as the page says
	SortCode          WorkspaceSort = "code"
	SortPending       WorkspaceSort = "pending"
	SortOldestPending WorkspaceSort = "oldestPendingAge"
)

// ByBacklog reports an order that changes from moment to moment.
func (s WorkspaceSort) ByBacklog() bool { return s == SortPending || s == SortOldestPending }
