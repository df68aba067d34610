package faulttest

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// held reports what a node's readiness says of the hold.
func (n *node) held() bool {
	n.in.t.Helper()
	r, err := client.Get(n.url + "/readyz")
	if err != nil {
		n.in.t.Fatal(err)
	}
	defer r.Body.Close()
	var status struct{ Hold bool }
	if err := json.NewDecoder(r.Body).Decode(&status); err != nil {
		n.in.t.Fatal(err)
	}
	return status.Hold
}

// Held on one node under load, the other obeys within a second; what is published goes on
// being accepted, and is sent after the release, which the other node is asked for.
func TestHoldOnEveryNode(t *testing.T) {
	in, nodes := cluster(t, 2)
	a, b := nodes[0], nodes[1]
	at := receive(t, func(*http.Request, int) answer { return answer{delay: 5 * time.Millisecond} })
	a.webhook("all", at.url, nil)
	l := (&load{t: t, urls: func(p int) string { return nodes[p%2].url }, pause: time.Millisecond}).publishers(4, 7)
	l.reach(300)
	a.must(http.MethodPost, "/v1/dispatch/hold", nil)
	answered := time.Now()
	in.eventually("the other node says that it is on hold", b.held)
	db := a.db()
	in.eventually("what was under way has ended", func() bool {
		return in.one(db, "SELECT count(*) FROM deliveries WHERE state = 0") == 0 && in.one(db, "SELECT count(*) FROM due WHERE held_by IS NOT NULL") == 0
	})
	// By the nodes' own clock, which is ours; some seconds more for a machine that is busy.
	// From here on nothing leaves at all, though more is published.
	late := in.one(db, "SELECT count(*) FROM attempts WHERE started_at > $1", answered.Add(6*time.Second).UnixMicro())
	if late > 0 {
		t.Errorf("%d attempts began later than a second after the hold was answered", late)
	}
	arrived := at.total()
	l.reach(300)
	l.stop()
	waiting := in.one(db, "SELECT count(*) FROM due")
	if waiting == 0 {
		t.Error("nothing waits: the load was not held")
	}
	// A node that starts obeys before it sends anything, one that crashed as well.
	c := in.node()
	b.kill()
	b.start()
	for _, n := range []*node{b, c} {
		if !n.held() {
			t.Errorf("%s does not know of the hold", n.name)
		}
		n.publish(object{"type": "load"})
		n.waitLog("on_hold", 1)
	}
	in.eventually("the dead node is buried", func() bool { return in.one(db, "SELECT count(*) FROM nodes") == 3 })
	if now := at.total(); now != arrived {
		t.Errorf("%d requests left while on hold", now-arrived)
	}
	b.must(http.MethodPost, "/v1/dispatch/release", nil)
	in.eventually("all nodes let go", func() bool { return !a.held() && !b.held() && !c.held() })
	l.delivered(at)
	in.settled(db)
	in.whole(db)
}

// On both engines the hold outlives a crash, and retention, heartbeats and accepting go on.
func TestHoldOutlivesACrash(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database, quick...)
		at := receive(t, nil)
		n := in.node("HOLD=true")
		n.webhook("all", at.url, nil)
		n.publish(object{"id": "one", "type": "thing"})
		n.kill()
		n.env = nil // it was stored
		n.start()
		if !n.held() {
			t.Fatal("the hold did not outlive the crash")
		}
		n.publish(object{"id": "two", "type": "thing"})
		for _, id := range []string{"one", "two"} {
			d := n.list("/v1/events/" + id + "/deliveries")[0]
			if d["state"] != "pending" || d["stateReason"] != "installation_hold" {
				t.Errorf("%s is %v, %v", id, d["state"], d["stateReason"])
			}
		}
		if k := at.total(); k != 0 {
			t.Fatalf("%d requests left while on hold", k)
		}
		n.must(http.MethodPost, "/v1/dispatch/release", nil)
		at.wait("both are sent", func() bool { return at.of["one"] == 1 && at.of["two"] == 1 })
	})
}
