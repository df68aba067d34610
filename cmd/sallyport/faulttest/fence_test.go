package faulttest

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// A node is stopped while its accept is on the way to the store, and declared dead
// before it gets there. The fence refuses what would belong to a dead node for ever; the
// node, continued, joins again and stores the event once, and its publisher hears
// nothing of it.
func TestAcceptOfADeadNodeIsRefused(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{"accept", "accept_keyed", "claim"} {
		t.Run(statement, func(t *testing.T) {
			database := testkit.EmptyPostgres(t)
			p := intercept(t, database)
			in := install(t, database, quick...)
			a := in.node()
			stopped := &node{in: install(t, p.url, quick...), name: "stopped", dir: t.TempDir()}
			stopped.start()
			at := receive(t, func(_ *http.Request, nth int) answer {
				if statement == "claim" && nth == 1 { // only what failed once is claimed
					return answer{status: http.StatusServiceUnavailable}
				}
				return answer{}
			})
			a.webhook("all", at.url, object{"retry": object{"schedule": []string{"500ms"}}})
			a.publish(object{"id": "before", "type": "thing"})
			at.wait("the first arrived", func() bool { return len(at.arrivals) > 0 })
			db := a.db()
			in.settled(db)

			armed := true
			p.cutting(func(name string) cut {
				if armed && name == statement {
					armed = false
					return hold
				}
				return pass
			})
			event := object{"type": "thing"}
			if statement != "accept" {
				event["id"] = "mine"
			}
			answered := make(chan int, 1)
			go func() {
				status, _, err := call(adminKey, http.MethodPost, stopped.url+"/v1/events", event, nil)
				if err != nil {
					t.Error(err)
				}
				answered <- status
			}()
			select {
			case <-p.held:
			case <-time.After(patience):
				t.Fatalf("the node did not execute %s", statement)
			}
			stopped.signal(syscall.SIGSTOP)
			in.buried(db, stopped)
			close(p.letGo)
			stopped.signal(syscall.SIGCONT)
			if status := <-answered; status != http.StatusAccepted {
				t.Errorf("the publisher was answered %d", status)
			}
			stopped.waitLog("node.declared_dead", 1)
			at.wait("the event arrived", func() bool { return len(at.of) == 2 })
			in.settled(db)
			in.unheld(db)
			in.whole(db)
			if n := in.one(db, "SELECT count(*) FROM events"); n != 2 {
				t.Errorf("%d events, want 2", n)
			}
		})
	}
}

// A delivery that was under way at seven crashes is taken to be what causes them: it
// fails, and the eighth process lives.
func TestSevenCrashesEndADelivery(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database)
		n := in.node()
		never := make(chan struct{})
		at := receive(t, func(*http.Request, int) answer { return answer{hang: never} })
		n.webhook("hanging", at.url, object{"timeout": "60s"})
		n.publish(object{"id": "poison", "type": "thing"})
		for i := range 7 {
			at.wait("it is under way", func() bool { return at.of["poison"] == i+1 })
			n.kill()
			n.start()
		}
		n.ends("poison", "failed", "worker_crashed")
		if at.total() != 7 {
			t.Errorf("%d requests, want one for each crash", at.total())
		}
		if d := n.list("/v1/deliveries?state=failed"); len(d) != 1 {
			t.Errorf("%d in the dead letter, want 1", len(d))
		}
	})
}
