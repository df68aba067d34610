package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"

	"sallyport/api"
	"sallyport/api/apitest"
)

// unseen are the codes that no test can bring about, with the reason.
var unseen = map[string]string{
	"shutting_down": "a stop closes the listeners and waits for the calls first; one that outlives the grace is cut off instead of answered",
}

// checkCodes wants every code of the table answered by some test, and no other.
func checkCodes(t *testing.T, engine string, seen map[string]bool) {
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

// faultCodes are what the contract lists as codes of single fields.
var faultCodes = []string{
	"required", "unknown_field", "invalid_format", "invalid_duration", "out_of_range", "too_short", "too_long", "empty_secret", "empty_event_types",
	"unknown_event_type", "reserved_header", "invalid_url", "url_not_allowed", "code_mismatch", "template_syntax", "template_renders_empty", "unknown_action", "invalid_cidr", "no_mail_server",
}

// checkFaults wants every code of a field answered by some test.
func checkFaults(t *testing.T, answers []apitest.Answer) {
	seen := map[string]bool{}
	for _, a := range answers {
		var p struct{ Errors []struct{ Code string } }
		if a.Status == http.StatusUnprocessableEntity && json.Unmarshal(a.Body, &p) == nil {
			for _, e := range p.Errors {
				seen[e.Code] = true
			}
		}
	}
	for _, code := range faultCodes {
		if !seen[code] {
			t.Errorf("no test was answered the fault %s", code)
		}
	}
}
