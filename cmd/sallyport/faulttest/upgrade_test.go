package faulttest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// migrate runs `sallyport migrate` of the present program and returns what it says.
func (in *installation) migrate(args ...string) (said string, code int) {
	in.t.Helper()
	cmd := exec.CommandContext(in.t.Context(), in.binary, append([]string{"migrate"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SALLYPORT_DATABASE_URL=" + in.database, "SALLYPORT_DATA_DIR=" + in.t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		in.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// hasSent reports whether a node made any attempt.
func (n *node) hasSent() bool {
	r, err := client.Get(n.url + "/metrics")
	if err != nil {
		return false
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return err == nil && strings.Contains(string(text), "\nsallyport_attempts_total ") && !strings.Contains(string(text), "\nsallyport_attempts_total 0\n")
}

// patiently is must for the program of schema 3, which reads whole rows by SELECT * in
// prepared statements: when a table has got a column, the first such read of each of its
// connections fails, and is answered 500. Later ones name their columns.
func (n *node) patiently(method, path string, body any) object {
	n.in.t.Helper()
	for try := 1; ; try++ {
		var out object
		status, _, err := call(adminKey, method, n.url+path, body, &out)
		if err == nil && status < 300 {
			return out
		}
		if err != nil || status != http.StatusInternalServerError || try > connections*len(wholeRows) {
			n.in.t.Fatalf("%s %s on %s: %d %v %v", method, path, n.name, status, out, err)
		}
	}
}

// connections are what its API has.
const connections = 10

// wholeRows are the tables that the program of schema 3 reads by SELECT *.
var wholeRows = []string{"workspaces", "webhooks", "api_keys", "event_types", "actions", "incoming_webhooks"}

// An upgrade as an operator does it, under load: the previous program serves, the database
// is migrated, new nodes join, both deliver, the old one goes. Nothing is lost, nothing is
// refused, but for what the program of schema 3 fails once to read, and nothing is sent twice
// but what a stop cut off.
func TestUpgradeBesideThePreviousBinary(t *testing.T) {
	in := install(t, testkit.EmptyPostgres(t), "NODE_DEAD_AFTER=1m") // nobody dies here
	present := in.binary
	in.binary = testkit.PreviousBinary(t)
	old := in.node()
	in.binary = present
	at := receive(t, func(*http.Request, int) answer { return answer{delay: time.Millisecond} })
	old.webhook("all", at.url, nil)
	old.webhook("limited", at.url, object{"eventTypes": []string{"rare"}, "maxInFlight": 2})
	// A balancer: first the old node, then both, then the new one.
	var odd, even atomic.Pointer[node]
	odd.Store(old)
	even.Store(old)
	l := (&load{t: t, pause: 2 * time.Millisecond, fails: true, urls: func(p int) string {
		if p%2 == 1 {
			return odd.Load().url
		}
		return even.Load().url
	}}).publishers(4, 3)
	l.reach(200)

	said, code := in.migrate("--status")
	if code != 3 || !strings.Contains(said, "schema 3, this binary wants ") || !strings.Contains(said, "pending (expand only, safe while old nodes run)") || !strings.Contains(said, "0005_audit\n") {
		t.Errorf("migrate --status ended with %d and said:\n%s", code, said)
	}
	if said, code = in.migrate(); code != 0 {
		t.Fatalf("migrate ended with %d and said:\n%s", code, said)
	}
	if said, code = in.migrate("--status"); code != 0 || !strings.Contains(said, "nothing pending") {
		t.Errorf("migrate --status ended with %d and said:\n%s", code, said)
	}
	l.reach(200)
	// What it has not read before, and what it writes, on the new schema.
	old.patiently(http.MethodPut, "/v1/webhooks/new", object{"url": at.url, "eventTypes": []string{"rare"}})
	old.patiently(http.MethodPatch, "/v1/webhooks/limited", object{"description": "changed by the old one"})
	for _, list := range []string{"workspaces", "api-keys", "event-types", "webhooks", "incoming-webhooks", "actions", "deliveries", "events", "requests", "collections"} {
		old.patiently(http.MethodGet, "/v1/"+list, nil)
	}

	fresh := in.node()
	odd.Store(fresh)
	// Own event types that are new are in the catalogue of workspaces that are not.
	for _, own := range []string{"Webhook.Suspended", "Webhook.Resumed", "IncomingWebhook.Refusing"} {
		if x := fresh.must(http.MethodGet, "/v1/event-types/"+own, nil); x["operational"] != true {
			t.Errorf("%s is %v", own, x)
		}
	}
	l.reach(400)
	// Each sees what the other changes, before its answer to the next publish at the latest.
	fresh.must(http.MethodPatch, "/v1/webhooks/limited", object{"description": "changed by the new one"})
	for i, n := range []*node{old, fresh, old, fresh} {
		event, publish := object{"id": "rare-" + string(rune('a'+i)), "type": "rare"}, n.must
		if n == old {
			publish = n.patiently
		}
		if r := publish(http.MethodPost, "/v1/events", event); r["matched"] != 3.0 {
			t.Errorf("%s matched %v webhooks, want 3", n.name, r["matched"])
		}
	}
	for _, n := range []*node{old, fresh} {
		in.eventually(n.name+" has sent", func() bool { return n.hasSent() })
	}
	db := fresh.db()
	even.Store(fresh)
	if code := old.stop(); code != 0 {
		t.Errorf("the old node ended with %d", code)
	}
	l.reach(200)
	l.stop()
	if n := l.unavailable.Load(); n > 0 {
		t.Errorf("publishers were answered 503 %d times", n)
	}
	l.delivered(at)
	in.settled(db)
	in.unheld(db)
	in.whole(db)
	if twice := in.one(db, "SELECT count(*) FROM (SELECT delivery_id FROM attempts GROUP BY delivery_id HAVING count(*) > 1) x"); twice > 0 {
		t.Errorf("%d deliveries were attempted more than once", twice)
	}
	for _, n := range []*node{old, fresh} {
		whole := 0
		for _, failed := range []string{"http.failed", "delivery.finish", "claim", "claim.scan", "configuration.sync", "node.beat", "publish.outcome_unknown"} {
			for _, e := range n.logged(failed) {
				if n == old && strings.Contains(fmt.Sprint(e["error"]), "cached plan must not change result type") {
					whole++
				} else {
					t.Errorf("%s logged %v", n.name, e)
				}
			}
		}
		if whole > connections*len(wholeRows) {
			t.Errorf("%s failed %d times to read whole rows, once for each connection and table is to be expected", n.name, whole)
		}
	}
	t.Logf("%d times publishers were answered 500", l.failed.Load())
}
