package store

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// unaccepted are the verdicts that have indexes of their own.
var unaccepted = []hook.Verdict{hook.VerdictDuplicate, hook.VerdictHandshake, hook.VerdictRefused}

// requestSearch makes the statement for one page of requests and, if there are more, one
// more. Requests that were not accepted are few and are found by their verdict, a door's
// by the door, and all others by walking the workspace's in the order they came.
func (s *Store) requestSearch(f hook.RequestFilter, p hook.Page) clauseOf {
	r, dir := spanOf(f.Since, f.Until, p), direction(p)
	verdicts := f.Verdicts
	if len(verdicts) == 0 && len(f.Reasons) > 0 {
		verdicts = unaccepted // an accepted one has no reason
	}
	if len(verdicts) > 0 && !slices.Contains(verdicts, hook.VerdictAccepted) {
		var parts []string
		var args []any
		for _, v := range unaccepted {
			if slices.Contains(verdicts, v) {
				one := s.requestsOfVerdict(f, v, r, p)
				parts = append(parts, "SELECT * FROM ("+one.sql+") s")
				args = append(args, one.args...)
			}
		}
		return clauseOf{"SELECT * FROM (" + strings.Join(parts, " UNION ALL ") + ") z ORDER BY z.id " + dir + " LIMIT ?", append(args, p.Limit+1)}
	}
	where, order, index := conditions{}, "r.id "+dir, ""
	if f.Incoming != hook.NoID {
		var in clauseOf
		in, order = s.along("r.incoming_id", "r.id", clauseOf{"?", []any{rowID(f.Incoming)}}, r, dir)
		index = s.indexed("requests_incoming")
		where.addClause(in)
		where.add("r.incoming_id IS NOT NULL AND r.workspace_id = ?", rowID(f.Workspace)) // so that the index applies
	} else {
		where.add("r.workspace_id = ? AND r.id >= ? AND r.id < ?", rowID(f.Workspace), rowID(r.from), rowID(r.to))
	}
	if len(verdicts) > 0 {
		numbers := make([]int16, len(verdicts))
		for i, v := range verdicts {
			numbers[i] = verdictCodes.of(v)
		}
		where.add("r.verdict IN ?", numbers)
	}
	return requestPage(index, &where, f, order, p)
}

// requestsOfVerdict is a page of the requests that were not accepted, with one verdict. The
// number stands in the text, because a statement that is prepared for any number could not
// use the indexes.
func (s *Store) requestsOfVerdict(f hook.RequestFilter, v hook.Verdict, r span, p hook.Page) clauseOf {
	number := clauseOf{sql: fmt.Sprint(verdictCodes.of(v))}
	index, leading, value := "requests_verdict", "r.workspace_id", f.Workspace
	if f.Incoming != hook.NoID {
		index, leading, value = "requests_unaccepted", "r.incoming_id", f.Incoming
	}
	where := conditions{}
	in, order := s.alongAll([]string{leading, "r.verdict"}, "r.id", []clauseOf{{"?", []any{rowID(value)}}, number}, r, direction(p))
	where.addClause(in)
	where.add("r.verdict <> 0 AND r.workspace_id = ?", rowID(f.Workspace))
	return requestPage(s.indexed(index), &where, f, order, p)
}

func requestPage(index string, where *conditions, f hook.RequestFilter, order string, p hook.Page) clauseOf {
	if len(f.Codes) > 0 {
		where.add("r.code IN ?", f.Codes)
	}
	if len(f.Reasons) > 0 {
		where.add("r.reason IN ?", f.Reasons)
	}
	return clauseOf{
		"SELECT " + requestColumnNames + " FROM requests r" + index + " WHERE " + where.String() + " ORDER BY " + order + " LIMIT ?",
		append(where.args, p.Limit+1),
	}
}

// indexed names the index to take on SQLite, which keeps no statistics to choose by.
func (s *Store) indexed(name string) string {
	if s.engine == Postgres {
		return ""
	}
	return " INDEXED BY " + name
}
