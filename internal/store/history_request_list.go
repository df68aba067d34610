package store

import (
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// requestSearch makes the statement for one page of requests and, if there are more, one
// more. Requests that were not accepted are few and are found by their verdict; of all
// others a door's by the door, or a workspace's in the order they came.
func requestSearch(s *Store, f hook.RequestFilter, p hook.Page) clauseOf {
	verdicts := f.Verdicts
	if len(verdicts) == 0 && len(f.Reasons) > 0 {
		verdicts = unaccepted // an accepted one has no reason
	}
	if len(verdicts) == 0 || slices.Contains(verdicts, hook.VerdictAccepted) {
		by := requestsOfWorkspace(f.Workspace)
		if f.Incoming != hook.NoID {
			by = requestsOfDoor(f.Incoming)
		}
		return requestPage(s, by, f, p)
	}
	var parts []string
	var args []any
	for _, v := range unaccepted {
		if !slices.Contains(verdicts, v) {
			continue
		}
		by := refusedInWorkspace(f.Workspace, v)
		if f.Incoming != hook.NoID {
			by = refusedAtDoor(f.Incoming, v)
		}
		one := requestPage(s, by, f, p)
		parts = append(parts, "SELECT * FROM ("+one.sql+") s")
		args = append(args, one.args...)
	}
	return clauseOf{"SELECT * FROM (" + strings.Join(parts, " UNION ALL ") + ") z ORDER BY z.id " + direction(p) + " LIMIT ?", append(args, p.Limit+1)}
}

// requestPage is a page of the requests on one way that the filter selects.
func requestPage(s *Store, by requestsBy, f hook.RequestFilter, p hook.Page) clauseOf {
	from, order := by.along(s, spanOf(f.Since, f.Until, p), direction(p))
	var where conditions
	where.addClause(from)
	where.add("r.workspace_id = ?", rowID(f.Workspace))
	if len(f.Verdicts) > 0 {
		numbers := make([]int16, len(f.Verdicts))
		for i, v := range f.Verdicts {
			numbers[i] = verdictCodes.of(v)
		}
		where.add("r.verdict IN ?", padded(numbers))
	}
	if len(f.Codes) > 0 {
		where.add("r.code IN ?", asStored(f.Codes))
	}
	if len(f.Reasons) > 0 {
		where.add("r.reason IN ?", asStored(f.Reasons))
	}
	return clauseOf{"SELECT " + requestColumnNames + where.String() + " ORDER BY " + order + " LIMIT ?", append(where.args, p.Limit+1)}
}

// asStored are texts to look for as they would lie in a row.
func asStored(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = requestCode(t)
	}
	return padded(out)
}
