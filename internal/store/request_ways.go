package store

import (
	"fmt"

	"sallyport/internal/hook"
)

// unaccepted are the verdicts whose requests have indexes of their own.
var unaccepted = []hook.Verdict{hook.VerdictDuplicate, hook.VerdictHandshake, hook.VerdictRefused}

// requestsBy is a way to requests along an index that ends in their id.
type requestsBy struct {
	index   string // to be named on SQLite; "" is the primary key
	leading []string
	values  []clauseOf
	more    string // what holds for all on this way and makes the index apply; "" nothing
}

func requestsOfWorkspace(workspace hook.ID) requestsBy {
	return requestsBy{"", []string{"r.workspace_id"}, []clauseOf{{"?", []any{rowID(workspace)}}}, ""}
}

func requestsOfDoor(door hook.ID) requestsBy {
	return requestsBy{"requests_incoming", []string{"r.incoming_id"}, []clauseOf{{"?", []any{rowID(door)}}}, "r.incoming_id IS NOT NULL"}
}

func acceptedAtDoor(door hook.ID) requestsBy {
	by := requestsOfDoor(door)
	by.more += " AND r.verdict = 0"
	return by
}

// refusedAtDoor is the way to requests with a verdict other than accepted, as is
// refusedInWorkspace.
func refusedAtDoor(door hook.ID, v hook.Verdict) requestsBy {
	return requestsBy{"requests_unaccepted", []string{"r.incoming_id", "r.verdict"}, []clauseOf{{"?", []any{rowID(door)}}, verdictNumber(v)}, "r.verdict <> 0"}
}

func refusedInWorkspace(workspace hook.ID, v hook.Verdict) requestsBy {
	return requestsBy{"requests_verdict", []string{"r.workspace_id", "r.verdict"}, []clauseOf{{"?", []any{rowID(workspace)}}, verdictNumber(v)}, "r.verdict <> 0"}
}

func requestsOfNoDoor(workspace hook.ID) requestsBy {
	return requestsBy{"requests_unknown", []string{"r.workspace_id"}, []clauseOf{{"?", []any{rowID(workspace)}}}, "r.incoming_id IS NULL"}
}

// verdictNumber stands in a statement's text: one that is prepared for any number could
// not use indexes on some.
func verdictNumber(v hook.Verdict) clauseOf { return clauseOf{sql: fmt.Sprint(verdictCodes.of(v))} }

// along is a query's FROM and WHERE, and its order.
func (b requestsBy) along(s *Store, r span, dir string) (from clauseOf, order string) {
	in, order := s.alongAll(b.leading, "r.id", b.values, r, dir)
	sql := " FROM requests r"
	if s.engine == SQLite && b.index != "" { // it keeps no statistics to choose by
		sql += " INDEXED BY " + b.index
	}
	sql += " WHERE " + in.sql
	if b.more != "" {
		sql += " AND " + b.more
	}
	return clauseOf{sql, in.args}, order
}
