package hook

import "time"

// Position is a place in the log of a workspace's accepted events: behind the event that it
// names. The zero Position is before all of them.
type Position struct {
	Seq   int64 // of a row of the log
	Index int   // how many of the row's events lie before
	// Key is the last of them: a log that was restored from an older copy has another event
	// there, or none.
	Key ID
}

// Before reports whether p is nearer to the beginning than q.
func (p Position) Before(q Position) bool {
	return p.Seq < q.Seq || (p.Seq == q.Seq && p.Index < q.Index)
}

// LogHeads is how far the logs of some workspaces go. Below Last there may be rows that
// transactions under way have yet to commit; only Writers can be such transactions.
type LogHeads struct {
	Last    map[ID]int64
	Writers []string
}

// LogPage is a piece of a log.
type LogPage struct {
	Events []LoggedEvent
	Next   Position // where to go on
	Read   int      // events looked at, wanted or not; 0 at the end
}

// LoggedEvent is an event, whole, with its place in the log.
type LoggedEvent struct {
	Event
	At     Position  // behind it
	Logged time.Time // about when it was committed; never before it was accepted
}

// StreamQuery says which events of a workspace somebody follows, and from where.
type StreamQuery struct {
	Workspace  ID
	EventTypes []string // patterns as a webhook's; none for all, operational ones included
	Webhook    string   // id or code: only what it would be sent; "" for all
	From       *Position
	Since      time.Time // without From: events accepted then or later; zero: from now
}

// StreamPage is what a stream has next. It may have no events and another Next: those in
// between were not asked for.
type StreamPage struct {
	Events []LoggedEvent
	Next   Position
}
