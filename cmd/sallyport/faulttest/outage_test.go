package faulttest

import (
	"net/http"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// The connection to Postgres ends while a statement of the pipeline is under way: sent,
// and the answer not yet there, or never to come after a commit. Whatever became of it,
// every delivery ends, nothing acknowledged is lost, no event or attempt is doubled.
func TestConnectionsCutUnderTheStatements(t *testing.T) {
	statements := []string{"accept", "accept_keyed", "claim", "load_jobs", "finish_ordinary", "finish_general", "first_receipt"}
	database := testkit.EmptyPostgres(t)
	p := intercept(t, database)
	in := install(t, p.url, quick...)
	n := in.node()
	// Every fifth event fails first, so that it waits and is claimed.
	at := receive(t, func(q *http.Request, nth int) answer {
		if id := q.Header.Get("X-Webhook-Event-Id"); nth == 1 && id[len(id)-1]%5 == 0 {
			return answer{status: http.StatusServiceUnavailable}
		}
		return answer{}
	})
	n.webhook("all", at.url, object{"maxAttempts": 50, "retry": object{"schedule": []string{"100ms"}}})
	n.publish(object{"type": "load"})

	const each = 8
	seen, calls := map[string]int{}, map[string]int{}
	p.cutting(func(statement string) cut { // called under the proxy's lock
		calls[statement]++
		every := 6
		if statement == "first_receipt" {
			every = 2 // it is not asked often
		}
		if seen[statement] >= each || calls[statement]%every != 0 {
			return pass
		}
		seen[statement]++
		return []cut{afterCommit, beforeReply}[seen[statement]%2]
	})
	l := (&load{t: t, urls: func(int) string { return n.url }, pause: 2 * time.Millisecond}).publishers(6, 4)
	for _, s := range statements {
		in.eventually(s+" is cut often enough", func() bool {
			if s == "first_receipt" { // somebody repeats ids
				_, _, _ = call(adminKey, http.MethodPost, n.url+"/v1/events", object{"id": "again", "type": "load", "timestamp": "2026-01-01T00:00:00Z"}, nil)
			}
			return p.done(s) >= each
		})
	}
	l.reach(100)
	l.stop()
	l.delivered(at)
	p.mu.Lock()
	t.Logf("cut: %v", p.cuts)
	p.mu.Unlock()

	direct := &node{in: install(t, database), name: "beside"}
	db := direct.db()
	in.settled(db)
	in.unheld(db)
	in.whole(db)
	if n := in.one(db, "SELECT count(*) FROM deliveries WHERE state <> 2"); n > 0 {
		t.Errorf("%d deliveries did not succeed", n)
	}
	// Every request is one attempt in the history, and every attempt was one request.
	in.eventually("attempts and requests are as many", func() bool { return in.one(db, "SELECT count(*) FROM attempts") == at.total() })
	// A single call without an id that was answered 503 may have been stored: that is
	// one event at most.
	if events, most := in.one(db, "SELECT count(*) FROM events"), l.count()+2+int(l.unavailable.Load()+l.away.Load()); events > most {
		t.Errorf("%d events for %d acknowledged publishes", events, most)
	}
	if code := n.stop(); code != 0 {
		t.Errorf("the node ended with code %d", code)
	}
}

// The store commits an event, the answer is lost, and before the node can ask again its
// configuration changes: the event was accepted once and stays one.
func TestConfigurationChangesUnderAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	database := testkit.EmptyPostgres(t)
	p := intercept(t, database)
	in := install(t, p.url)
	n := in.node()
	at := receive(t, nil)
	n.webhook("all", at.url, nil)
	n.publish(object{"type": "thing"})
	direct := &node{in: install(t, database), name: "beside"}
	db := direct.db()
	for i, how := range []cut{afterCommit, beforeReply} {
		armed := true
		p.cutting(func(statement string) cut {
			switch {
			case statement == "accept" && armed:
				armed = false
				return how
			case statement == "accept_again":
				// As another node's change would come in between.
				if _, err := db.Exec("UPDATE config_versions SET version = version + 1"); err != nil {
					t.Error(err)
				}
				p.cut = nil
			}
			return pass
		})
		n.publish(object{"type": "thing"})
		at.wait("the event arrived", func() bool { return len(at.of) == i+2 })
	}
	in.settled(db)
	in.whole(db)
	if n := in.one(db, "SELECT count(*) FROM events"); n != 3 {
		t.Errorf("%d events for three publishes", n)
	}
}

// Three nodes, and Postgres away for longer than it takes to be declared dead: nobody
// buries anybody on return, publishers are told to come back, and what was in flight is
// not sent again.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"refusing", "hanging"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			database := testkit.EmptyPostgres(t)
			p := intercept(t, database)
			in := install(t, p.url, "NODE_HEARTBEAT=1s", "NODE_DEAD_AFTER=8s") // which no busy machine makes them look
			nodes := []*node{in.node(), in.node(), in.node()}
			at := receive(t, nil)
			nodes[0].webhook("all", at.url, nil)
			l := (&load{t: t, urls: func(i int) string { return nodes[i%3].url }, pause: 2 * time.Millisecond}).publishers(6, 5)
			l.reach(500)

			began := time.Now()
			if how == "refusing" {
				p.refuse(true)
				for _, n := range nodes {
					in.eventually(n.name+" answers 503 with Retry-After", func() bool {
						status, header, err := call(adminKey, http.MethodPost, n.url+"/v1/events", object{"type": "load"}, nil)
						return err == nil && status == http.StatusServiceUnavailable && header.Get("Retry-After") != ""
					})
				}
			} else {
				p.hang()
			}
			before := at.total()
			// Time must pass here: more than after which nodes are declared dead.
			time.Sleep(time.Until(began.Add(10 * time.Second)))
			during := at.total() - before
			if how == "refusing" {
				p.refuse(false)
			} else {
				p.goOn()
			}
			l.reach(500)
			l.stop()
			l.delivered(at)
			direct := &node{in: install(t, database), name: "beside"}
			db := direct.db()
			in.settled(db)
			in.unheld(db)
			in.whole(db)
			for _, n := range nodes {
				for _, message := range []string{"node.rescued", "node.declared_dead"} {
					if e := n.logged(message); len(e) > 0 {
						t.Errorf("%s logged %v", n.name, e)
					}
				}
			}
			// In flight were at most the slots of three lanes; their outcomes waited.
			if most := 3 * 4 * 64; during > most {
				t.Errorf("%d requests were sent while no outcome could be stored, at most %d were in hand", during, most)
			}
			if twice := at.total() - len(at.of); twice > 3*64 {
				t.Errorf("%d events were sent twice", twice)
			}
			t.Logf("%d requests during the outage, %d events twice", during, at.total()-len(at.of))
		})
	}
}
