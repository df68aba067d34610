package faulttest

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"
)

// A workspace's limit that is set through one node binds the others, too, and so does
// lifting it: rates of a second node show in the statistics of the first.
func TestLimitsActOnAllNodes(t *testing.T) {
	t.Parallel()
	in, nodes := cluster(t, 2)
	a, b := nodes[0], nodes[1]
	publish := func(n *node) (int, http.Header) {
		t.Helper()
		status, header, err := call(adminKey, http.MethodPost, n.url+"/v1/events", object{"type": "a.b"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return status, header
	}
	if status, _ := publish(b); status != http.StatusAccepted {
		t.Fatalf("before there is a limit: %d", status)
	}
	a.must(http.MethodPatch, "/v1/workspaces/default", object{"limits": object{"eventsPerSecond": 1}})
	set := time.Now()
	in.eventually("the other node obeys", func() bool {
		status, header := publish(b)
		if status == http.StatusAccepted {
			return false
		}
		if wait, err := strconv.Atoi(header.Get("Retry-After")); status != http.StatusTooManyRequests || err != nil || wait < 1 {
			t.Fatalf("%d with Retry-After %q", status, header.Get("Retry-After"))
		}
		return true
	})
	t.Logf("a limit bound the other node after %v", time.Since(set))
	b.must(http.MethodPatch, "/v1/workspaces/default", object{"limits": object{"eventsPerSecond": nil}})
	byA := 0
	in.eventually("the first node lets everything through", func() bool {
		for range 5 {
			if status, _ := publish(a); status != http.StatusAccepted {
				return false
			}
			byA++
		}
		return true
	})
	db := a.db()
	in.eventually("what both accepted is counted together", func() bool {
		return in.one(db, "SELECT coalesce(sum(accepted), 0) FROM workspace_rates") == in.one(db, "SELECT count(*) FROM events")
	})
	// Rates are of the last minute, of which a busy machine may have used up some.
	more := byA + 50
	b.must(http.MethodPost, "/v1/events/batch", object{"data": slices.Repeat([]object{{"type": "a.b"}}, more)})
	in.eventually("the first node tells of what the second one accepted", func() bool {
		perSecond, _ := a.must(http.MethodGet, "/v1/stats", nil)["acceptedPerSecond"].(float64)
		return perSecond*60 > float64(byA)+0.5
	})
}
