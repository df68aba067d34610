package e2e

import (
	"maps"
	"testing"

	"sallyport/api"
)

// unseen are the codes that no test can bring about, with the reason.
var unseen = map[string]string{
	"in_use":        "only actions can be in use, and there are none yet",
	"shutting_down": "a stop closes the listeners and waits for the calls first; one that outlives the grace is cut off instead of answered",
}

// checkCodes wants every code of the table answered by some test, and no other.
func checkCodes(t *testing.T, engine string, seen codesSeen) {
	unseen := maps.Clone(unseen)
	if engine == "postgres" {
		unseen["storage_full"] = "the disk is the database server's own; SQLite's tests fill ours"
	}
	known := map[string]bool{}
	for _, p := range api.Problems() {
		code := string(p.Code)
		known[code] = true
		if _, excused := unseen[code]; !seen[code] && !excused {
			t.Errorf("no test was answered %s", code)
		} else if seen[code] && excused {
			t.Errorf("%s was answered after all: take it off the list", code)
		}
	}
	for code := range seen {
		if !known[code] {
			t.Errorf("%s was answered and is not in the table", code)
		}
	}
}
