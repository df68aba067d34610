package faulttest

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// quick makes nodes notice each other's death soon: a quarter of the usual times, so
// that a busy test machine does not bury the living too often.
var quick = []string{"NODE_HEARTBEAT=500ms", "NODE_DEAD_AFTER=3s"}

// cluster starts nodes on one Postgres.
func cluster(t *testing.T, nodes int, env ...string) (*installation, []*node) {
	t.Helper()
	in := install(t, testkit.EmptyPostgres(t), append(slices.Clone(quick), env...)...)
	all := make([]*node, nodes)
	for i := range all {
		all[i] = in.node()
	}
	return in, all
}

// sendsItself returns once the node sends what is published through it: it knows the target
// then, and takes its events at birth. The first ones wait in the store for whoever is first.
func (n *node) sendsItself(eventType string) {
	n.in.t.Helper()
	n.in.eventually(n.name+" sends what it accepts", func() bool {
		id := n.publish(object{"type": eventType})["id"].(string)
		attempts := n.ends(id, "succeeded", "")["attempts"].([]any)
		return attempts[0].(object)["node"] == n.name
	})
}

// Two and three nodes on one Postgres, one killed under load: the others deliver what
// it held, and their clients notice nothing.
func TestOneOfSeveralNodesKilled(t *testing.T) {
	for _, count := range []int{2, 3} {
		t.Run(fmt.Sprintf("%d nodes", count), func(t *testing.T) {
			in, nodes := cluster(t, count)
			// Slow enough that the victim has requests under way and outcomes unsaved.
			at := receive(t, func(*http.Request, int) answer { return answer{delay: 5 * time.Millisecond} })
			nodes[0].webhook("all", at.url, nil)
			victim := nodes[count-1]
			gone := make(chan struct{})
			urls := func(p int) string { // whose node died goes to another, as behind a balancer
				n := nodes[p%count]
				if n == victim {
					select {
					case <-gone:
						n = nodes[0]
					default:
					}
				}
				return n.url
			}
			l := (&load{t: t, urls: urls}).publishers(2*count, 1)
			l.reach(500)
			victim.kill()
			close(gone)
			l.reach(500)
			l.stop()
			if n := l.unavailable.Load(); n > 0 {
				t.Errorf("clients of the other nodes were answered 503 %d times", n)
			}
			l.delivered(at)
			db := nodes[0].db()
			in.settled(db)
			in.buried(db, victim)
			in.unheld(db)
			in.whole(db)
		})
	}
}

// A node stopped for longer than the others wait, under load, and continued: what it
// held was sent by others; it notices, joins again, and nothing stays with the dead.
func TestStoppedAndContinuedUnderLoad(t *testing.T) {
	in, nodes := cluster(t, 2)
	a, b := nodes[0], nodes[1]
	at := receive(t, func(*http.Request, int) answer { return answer{delay: 5 * time.Millisecond} })
	a.webhook("all", at.url, nil)
	l := (&load{t: t, urls: func(p int) string { return nodes[p%2].url }}).publishers(6, 2)
	l.reach(300)
	db := a.db()
	for round := range 2 {
		b.signal(syscall.SIGSTOP)
		in.buried(db, b)
		b.signal(syscall.SIGCONT)
		b.waitLog("node.declared_dead", round+1)
		l.reach(300)
	}
	l.stop()
	l.delivered(at)
	in.settled(db)
	in.unheld(db)
	in.whole(db)
	t.Logf("%d attempts were superseded", in.one(db, "SELECT count(*) FROM attempts WHERE outcome = 3"))
	for _, n := range nodes {
		if code := n.stop(); code != 0 {
			t.Errorf("%s ended with code %d", n.name, code)
		}
	}
}

// An attempt that ends after its delivery was taken over really happened, so it is
// recorded, as superseded, and changes nothing.
func TestLateAttemptIsSuperseded(t *testing.T) {
	t.Parallel()
	_, nodes := cluster(t, 2)
	a, b := nodes[0], nodes[1]
	release := make(chan struct{})
	at := receive(t, func(q *http.Request, nth int) answer {
		if nth == 1 && q.Header.Get("X-Webhook-Event-Id") == "late" {
			return answer{hang: release}
		}
		return answer{}
	})
	a.webhook("all", at.url, nil)
	b.sendsItself("thing")
	b.publish(object{"id": "late", "type": "thing"})
	at.wait("the first attempt is under way", func() bool { return at.open == 1 })
	b.signal(syscall.SIGSTOP)
	at.wait("the other node sends it", func() bool { return at.of["late"] == 2 })
	close(release)
	b.signal(syscall.SIGCONT)
	b.waitLog("node.declared_dead", 1)

	outcomes := func() (all []string) {
		full := a.delivery("late")
		if full["state"] != "succeeded" || full["attemptCount"].(float64) != 1 {
			t.Fatalf("the delivery is %v after %v attempts", full["state"], full["attemptCount"])
		}
		for _, x := range full["attempts"].([]any) {
			all = append(all, x.(object)["outcome"].(string)+" on "+x.(object)["node"].(string))
		}
		slices.Sort(all)
		return all
	}
	a.ends("late", "succeeded", "") // what the receiver has is not on record yet
	a.in.eventually("both attempts are recorded", func() bool { return len(outcomes()) == 2 })
	if got, want := outcomes(), []string{"succeeded on n1", "superseded on n2"}; !slices.Equal(got, want) {
		t.Errorf("attempts %v, want %v", got, want)
	}
	if at.times("late") != 2 {
		t.Errorf("%d requests, want 2", at.times("late"))
	}
}

// A publish sees every change of configuration that returned before it, on any node:
// what a script makes through one node it may use through the other at once.
func TestConfiguredOnOnePublishedOnAnother(t *testing.T) {
	in, nodes := cluster(t, 2, "NODE_DEAD_AFTER=1m")
	a, b := nodes[0], nodes[1]
	at := receive(t, nil)

	in.run("webhook", func(t *testing.T) {
		for i := range 300 {
			eventType := fmt.Sprintf("made.%d", i)
			a.webhook(fmt.Sprintf("w%d", i%20), at.url, object{"eventTypes": []string{eventType}})
			if r := b.publish(object{"type": eventType}); r["matched"].(float64) != 1 {
				t.Fatalf("round %d: the event published through the other node matched %v webhooks", i, r["matched"])
			}
		}
		at.wait("all 300 arrived", func() bool { return len(at.of) == 300 })
	})

	in.run("revoked key", func(t *testing.T) {
		for i := range 20 {
			key := fmt.Sprintf("a-publishers-key-of-32-characters-%d", i)
			code := fmt.Sprintf("k%d", i)
			a.must(http.MethodPut, "/v1/api-keys/"+code, object{"name": code, "role": "publisher", "key": key})
			event := object{"type": "keyed"}
			if status, _, err := call(key, http.MethodPost, b.url+"/v1/events", event, nil); err != nil || status != http.StatusAccepted {
				t.Fatalf("round %d: the new key was answered %d, %v", i, status, err)
			}
			a.must(http.MethodDelete, "/v1/api-keys/"+code, nil)
			if status, _, err := call(key, http.MethodPost, b.url+"/v1/events", event, nil); err != nil || status != http.StatusUnauthorized {
				t.Fatalf("round %d: the revoked key was answered %d, %v", i, status, err)
			}
		}
	})

	in.run("type of a strict workspace", func(t *testing.T) {
		a.must(http.MethodPost, "/v1/workspaces", object{"code": "strict", "name": "strict", "strict": true})
		for i := range 20 {
			eventType := fmt.Sprintf("declared.%d", i)
			inStrict := func(n *node, method, path string, body any) (int, object) {
				var out object
				status, _, err := callIn("strict", adminKey, method, n.url+path, body, &out)
				if err != nil {
					t.Fatal(err)
				}
				return status, out
			}
			if status, out := inStrict(a, http.MethodPut, "/v1/event-types/"+eventType, object{"description": "one"}); status >= 300 {
				t.Fatalf("round %d: creating the type: %d %v", i, status, out)
			}
			if status, out := inStrict(b, http.MethodPost, "/v1/events", object{"type": eventType}); status != http.StatusAccepted {
				t.Fatalf("round %d: publishing the new type through the other node: %d %v", i, status, out)
			}
		}
	})
	in.unheld(a.db())
}

// A node with nothing to publish acts on a pause through another one within a second.
func TestPausedOnAnotherNode(t *testing.T) {
	t.Parallel()
	in, nodes := cluster(t, 2, "NODE_DEAD_AFTER=1m")
	a, b := nodes[0], nodes[1]
	var resumed atomic.Bool
	at := receive(t, func(*http.Request, int) answer {
		if resumed.Load() {
			return answer{}
		}
		return answer{delay: 20 * time.Millisecond}
	})
	id := a.webhook("slow", at.url, object{"maxInFlight": 2})
	// A backlog of at least ten seconds on b, which then publishes nothing more.
	const backlog = 1000
	var events []object
	for range backlog {
		events = append(events, object{"type": "thing"})
	}
	b.must(http.MethodPost, "/v1/events/batch", object{"data": events})
	at.wait("it is being sent", func() bool { return len(at.arrivals) > 20 })

	a.must(http.MethodPost, "/v1/webhooks/"+id+"/pause", object{})
	paused := at.total()
	// Two at a time are a hundred a second at most: what five seconds could have sent is for a
	// busy machine, and the backlog is longer.
	const most = 500
	db := a.db()
	in.eventually("nothing of it is in hand, and nothing comes any more", func() bool {
		if in.one(db, "SELECT count(*) FROM deliveries WHERE state = 0")+in.one(db, "SELECT count(*) FROM due WHERE held_by IS NOT NULL") > 0 {
			return false
		}
		before := at.total()
		time.Sleep(1500 * time.Millisecond) // which must not happen in it: a node looks around once a second
		return at.total() == before
	})
	late := at.total() - paused
	t.Logf("%d requests came after the pause", late)
	if late > most {
		t.Errorf("%d requests came after the pause, at most %d are expected", late, most)
	}
	if at.total() >= backlog {
		t.Error("nothing was left to hold back")
	}
	resumed.Store(true)
	a.must(http.MethodPost, "/v1/webhooks/"+id+"/resume", object{})
	at.wait("the rest is sent after the resume", func() bool { return len(at.of) >= backlog })
}

// Two nodes are given the same thousand ids in opposite order, at once: one event each,
// and no client hears of a deadlock.
func TestSameIDsInOppositeOrder(t *testing.T) {
	in, nodes := cluster(t, 2, "NODE_DEAD_AFTER=1m")
	at := receive(t, nil)
	nodes[0].webhook("all", at.url, nil)
	nodes[0].publish(object{"id": "first", "type": "thing"}) // the type is known
	const ids, rounds, parts = 1000, 3, 4
	for round := range rounds {
		type result struct {
			status int
			out    struct {
				Accepted, Duplicates, Rejected int
				Data                           []struct{ Problem object }
			}
			err error
		}
		results := make(chan result, 2*parts)
		for i, n := range nodes {
			for part := range parts { // several requests each, so that batches differ
				events := make([]object, ids/parts)
				for j := range events {
					k := part*len(events) + j
					if i == 1 {
						k = ids - 1 - k
					}
					events[j] = object{"id": fmt.Sprintf("r%d-%d", round, k), "type": "thing"}
				}
				go func() {
					var r result
					r.status, _, r.err = call(adminKey, http.MethodPost, n.url+"/v1/events/batch", object{"data": events}, &r.out)
					results <- r
				}()
			}
		}
		accepted, duplicates := 0, 0
		for range 2 * parts {
			r := <-results
			if r.err != nil || r.status != http.StatusAccepted || r.out.Rejected > 0 {
				t.Fatalf("answered %d, %v: %d rejected %v", r.status, r.err, r.out.Rejected, r.out.Data)
			}
			accepted, duplicates = accepted+r.out.Accepted, duplicates+r.out.Duplicates
		}
		if accepted != ids || duplicates != ids {
			t.Errorf("round %d: %d accepted and %d duplicates, want %d each", round, accepted, duplicates, ids)
		}
	}
	at.wait("every event arrived", func() bool { return len(at.of) == rounds*ids+1 })
	db := nodes[0].db()
	in.settled(db)
	in.whole(db)
	if n := in.one(db, "SELECT count(*) FROM events"); n != rounds*ids+1 {
		t.Errorf("%d events, want %d", n, rounds*ids+1)
	}
	if at.total() != rounds*ids+1 {
		t.Errorf("%d requests for %d events", at.total(), rounds*ids+1)
	}
}

// One node at a time sends to a target with a limit, also when that node dies: with
// maxInFlight 1 the receiver never sees two requests at once. Those of a killed process
// end with its connections.
func TestLimitsHoldOverNodes(t *testing.T) {
	t.Parallel()
	in, nodes := cluster(t, 3)
	db := nodes[0].db()
	r := rand.New(rand.NewPCG(3, 3))

	in.run("maxInFlight", func(t *testing.T) {
		at := receive(t, func(*http.Request, int) answer { return answer{delay: 3 * time.Millisecond} })
		id := nodes[0].webhook("one", at.url, object{"maxInFlight": 1, "eventTypes": []string{"one"}})
		living := slices.Clone(nodes)
		for i := range 150 {
			living[r.IntN(3)].publish(object{"id": fmt.Sprintf("a%d", i), "type": "one"})
		}
		at.wait("some arrived", func() bool { return len(at.arrivals) > 20 })
		var home string
		in.eventually("the target has a home", func() bool {
			err := db.QueryRow("SELECT n.name FROM homes h JOIN nodes n ON n.id = h.node_id WHERE target_id = $1", id).Scan(&home)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				t.Fatalf("whose home the target is: %v", err)
			}
			return err == nil
		})
		living = slices.DeleteFunc(living, func(n *node) bool {
			if n.name == home {
				n.kill()
			}
			return n.name == home
		})
		for i := range 150 {
			living[r.IntN(2)].publish(object{"id": fmt.Sprintf("b%d", i), "type": "one"})
		}
		at.wait("every event arrived", func() bool { return len(at.of) == 300 })
		in.settled(db)
		if n := at.most(); n != 1 {
			t.Errorf("%d requests at once", n)
		}
		t.Logf("%d requests for 300 events", at.total())
		nodes = living
	})

	in.run("rateLimit", func(t *testing.T) {
		at := receive(t, nil)
		const perSecond, events = 20, 90
		id := nodes[0].webhook("paced", at.url, object{"rateLimit": object{"requests": perSecond, "per": "1s"}, "eventTypes": []string{"paced"}})
		for i := range events {
			nodes[i%2].publish(object{"type": "paced"})
		}
		at.wait("every event arrived", func() bool { return len(at.of) == events })
		in.settled(db)
		tooMany := func(all []time.Time) string {
			for i := range all {
				for j := i + 1; j < len(all); j++ {
					// A bucket allows what it holds and what flows in meanwhile; one more for
					// the edges of the window.
					took := all[j].Sub(all[i])
					if allowed := perSecond + took.Seconds()*perSecond + 1; float64(j-i+1) > allowed {
						return fmt.Sprintf("%d requests within %s, allowed are %.0f", j-i+1, took, allowed)
					}
				}
			}
			return ""
		}
		// Of a receiver that was not let run for a second a whole second's requests come at
		// once, and a node may set its clock: where there were too many, both saw it.
		var came []time.Time
		for _, x := range at.all() {
			came = append(came, x.at)
		}
		if seen, noted := tooMany(came), tooMany(in.started(db, id)); seen != "" && noted != "" {
			t.Errorf("received: %s; by the nodes' own clocks: %s", seen, noted)
		}
		t.Logf("%d requests took %s", events, came[len(came)-1].Sub(came[0]).Round(time.Millisecond))
	})
}

// started lists when the attempts of a target began, by the clocks of those who made them.
func (in *installation) started(db *sql.DB, target string) (all []time.Time) {
	in.t.Helper()
	rows, err := db.Query("SELECT a.started_at FROM attempts a JOIN deliveries d ON d.id = a.delivery_id WHERE d.target_id = $1 ORDER BY a.started_at", target)
	if err != nil {
		in.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var micro int64
		if err := rows.Scan(&micro); err != nil {
			in.t.Fatal(err)
		}
		all = append(all, time.UnixMicro(micro))
	}
	if err := rows.Err(); err != nil {
		in.t.Fatal(err)
	}
	return all
}
