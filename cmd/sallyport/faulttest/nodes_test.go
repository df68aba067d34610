package faulttest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// quick makes nodes notice each other's death soon: an eighth of the usual times, so
// that a busy test machine does not bury the living too often.
var quick = []string{"NODE_HEARTBEAT=250ms", "NODE_DEAD_AFTER=1500ms"}

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
			in.eventually("the dead node is buried", func() bool { return in.one(db, "SELECT count(*) FROM nodes") == count-1 })
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
		in.eventually("the stopped node is buried", func() bool { return in.one(db, "SELECT count(*) FROM nodes") == 1 })
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
		d := a.list("/v1/deliveries?eventId=late")[0]
		full := a.must(http.MethodGet, "/v1/deliveries/"+d["id"].(string), nil)
		if full["state"] != "succeeded" || full["attemptCount"].(float64) != 1 {
			t.Fatalf("the delivery is %v after %v attempts", full["state"], full["attemptCount"])
		}
		for _, x := range full["attempts"].([]any) {
			all = append(all, x.(object)["outcome"].(string)+" on "+x.(object)["node"].(string))
		}
		slices.Sort(all)
		return all
	}
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
	_, nodes := cluster(t, 2, "NODE_DEAD_AFTER=1m")
	a, b := nodes[0], nodes[1]
	at := receive(t, func(*http.Request, int) answer { return answer{delay: 20 * time.Millisecond} })
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
	paused := time.Now()
	// What must not happen takes time to see: no new request from one second on. Some more
	// are for a busy machine; the backlog is longer.
	time.Sleep(8 * time.Second)
	last := paused
	for _, x := range at.all() {
		last = x.at
	}
	t.Logf("the last request came %s after the pause", last.Sub(paused).Round(time.Millisecond))
	if late := last.Sub(paused); late > 7*time.Second {
		t.Errorf("a request began %s after the pause", late)
	}
	if at.total() >= backlog {
		t.Error("nothing was left to hold back")
	}
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
		if err := db.QueryRow("SELECT n.name FROM homes h JOIN nodes n ON n.id = h.node_id WHERE target_id = $1", id).Scan(&home); err != nil {
			t.Fatalf("whose home the target is: %v", err)
		}
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
		if at.peak != 1 {
			t.Errorf("%d requests at once", at.peak)
		}
		t.Logf("%d requests for 300 events", at.total())
		nodes = living
	})

	in.run("rateLimit", func(t *testing.T) {
		at := receive(t, nil)
		const perSecond, events = 20, 90
		nodes[0].webhook("paced", at.url, object{"rateLimit": object{"requests": perSecond, "per": "1s"}, "eventTypes": []string{"paced"}})
		for i := range events {
			nodes[i%2].publish(object{"type": "paced"})
		}
		at.wait("every event arrived", func() bool { return len(at.of) == events })
		all := at.all()
		for i := range all {
			for j := i + 1; j < len(all); j++ {
				// A bucket allows what it holds and what flows in meanwhile; one more for
				// the edges of the window.
				took := all[j].at.Sub(all[i].at)
				if allowed := perSecond + took.Seconds()*perSecond + 1; float64(j-i+1) > allowed {
					t.Fatalf("%d requests within %s, allowed are %.0f", j-i+1, took, allowed)
				}
			}
		}
		t.Logf("%d requests took %s", events, all[len(all)-1].at.Sub(all[0].at).Round(time.Millisecond))
	})
}
