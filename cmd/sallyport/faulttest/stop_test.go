package faulttest

import (
	"net/http"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// A stop in good order, under load and with a receiver that hangs: the process is gone
// within its grace, what it could not finish is cut off without spending an attempt, it
// holds nothing any more, and the next process delivers all of it.
func TestGracefulStopUnderLoad(t *testing.T) {
	onBothEngines(t, func(t *testing.T, database string) {
		const grace = 2 * time.Second
		in := install(t, database, "SHUTDOWN_GRACE=2s", "NODE_DEAD_AFTER=1h")
		n := in.node()
		release := make(chan struct{})
		hanging := receive(t, func(*http.Request, int) answer { return answer{hang: release} })
		healthy := receive(t, func(*http.Request, int) answer { return answer{delay: 3 * time.Millisecond} })
		n.webhook("hanging", hanging.url, object{"timeout": "60s", "eventTypes": []string{"held"}})
		n.webhook("healthy", healthy.url, object{"eventTypes": []string{"load"}})
		for range 5 {
			n.publish(object{"type": "held"})
		}
		hanging.wait("two hang", func() bool { return hanging.open == 2 })
		url := n.url
		l := (&load{t: t, urls: func(int) string { return url }}).publishers(4, 6)
		l.reach(300)

		asked := time.Now()
		if code := n.stop(); code != 0 {
			t.Errorf("it ended with code %d", code)
		}
		took := time.Since(asked)
		t.Logf("the stop took %s", took.Round(time.Millisecond))
		// What is left of a minute is for a busy machine: what hangs would do so for all of it.
		if took < grace || took > 45*time.Second {
			t.Errorf("the stop took %s with a grace of %s", took, grace)
		}
		l.stop()
		db := n.db()
		for what, query := range map[string]string{
			"nodes are left":                       "SELECT count(*) FROM nodes",
			"deliveries are still claimed":         "SELECT count(*) FROM due WHERE held_by IS NOT NULL",
			"deliveries are still running":         "SELECT count(*) FROM deliveries WHERE state = 0",
			"attempts were spent on what was held": "SELECT count(*) FROM deliveries WHERE state = 1 AND attempts > 0",
		} {
			if left := in.one(db, query); left > 0 {
				t.Errorf("%d %s", left, what)
			}
		}
		// A busy machine may not have ended all others within the grace.
		if cut := in.one(db, "SELECT count(*) FROM attempts a JOIN deliveries d ON d.id = a.delivery_id JOIN events e ON e.key = d.event_key WHERE a.outcome = 2 AND e.type = 'held'"); cut != 2 {
			t.Errorf("%d attempts are recorded as aborted, want the 2 that hung", cut)
		}
		close(release)
		n.start()
		l.delivered(healthy)
		hanging.wait("the held ones are delivered", func() bool { return len(hanging.of) == 5 })
		in.settled(db)
		in.whole(db)
	})
}

// A stop ends the process also while the database is away; what it could not store or
// give back, the next process on its directory takes up.
func TestStopDuringAnOutage(t *testing.T) {
	database := testkit.EmptyPostgres(t)
	p := intercept(t, database)
	in := install(t, p.url, "SHUTDOWN_GRACE=2s", "NODE_DEAD_AFTER=1h")
	n := in.node()
	at := receive(t, func(*http.Request, int) answer { return answer{delay: 3 * time.Millisecond} })
	n.webhook("all", at.url, nil)
	url := n.url
	l := (&load{t: t, urls: func(int) string { return url }}).publishers(4, 9)
	l.reach(300)
	p.refuse(true)
	n.waitLog("publish.outcome_unknown", 1) // somebody's commit was under way
	asked := time.Now()
	n.stop()
	took := time.Since(asked)
	t.Logf("the stop took %s", took.Round(time.Millisecond))
	if took > 45*time.Second {
		t.Errorf("the stop took %s with a grace of 2 s", took)
	}
	l.stop()
	p.refuse(false)
	n.start()
	l.delivered(at)
	direct := &node{in: install(t, database), name: "beside"}
	db := direct.db()
	in.settled(db)
	in.whole(db)
	if left := in.one(db, "SELECT count(*) FROM nodes"); left != 1 {
		t.Errorf("%d nodes are there, want the living one", left)
	}
}
