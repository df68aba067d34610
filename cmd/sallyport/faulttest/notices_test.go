package faulttest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// A crash at any moment around a suspension, or around the end of a delivery that is given
// up, neither loses nor doubles the event about it: each is stored with what it tells of.
func TestKilledAroundSuspensions(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		in := install(t, database, "NODE_DEAD_AFTER=1h", "BREAKER_FAILURES=1000")
		n := in.node()
		notices := receive(t, nil)
		n.webhook("notices", notices.url, object{"eventTypes": []string{"Webhook.Suspended", "Delivery.Exhausted"}})
		dead := receive(t, func(*http.Request, int) answer { return answer{status: 503} })
		n.webhook("dead", dead.url, object{"eventTypes": []string{"hopeless"}, "maxAttempts": 1})
		gone := receive(t, func(*http.Request, int) answer { return answer{status: 410} })
		const rounds, hopeless = 6, 5
		for round := range rounds {
			name := fmt.Sprintf("gone-%d", round)
			n.webhook(name, gone.url, object{"eventTypes": []string{name}})
			before := gone.total() + dead.total()
			for i := range hopeless {
				n.publish(object{"id": fmt.Sprintf("h-%d-%d", round, i), "type": "hopeless"})
			}
			n.publish(object{"id": name, "type": name})
			in.eventually("something is sent", func() bool { return gone.total()+dead.total() > before })
			time.Sleep(time.Duration(r.IntN(8000)) * time.Microsecond) // the moment of the crash
			n.kill()
			n.start()
			in.eventually(name+" is suspended", func() bool { return n.must(http.MethodGet, "/v1/webhooks/"+name, nil)["state"] == "suspended" })
		}
		db := n.db()
		const given = `FROM deliveries d JOIN events e ON e.key = d.event_key WHERE d.state = 3 AND e.type NOT IN ('Webhook.Suspended', 'Delivery.Exhausted')`
		in.eventually("the hopeless deliveries are given up", func() bool {
			return in.one(db, "SELECT count(*) "+given+" AND e.type = 'hopeless'") == rounds*hopeless
		})
		if n := in.one(db, "SELECT count(*) FROM events WHERE type = 'Webhook.Suspended'"); n != rounds {
			t.Errorf("%d events about %d suspensions", n, rounds)
		}
		if n := in.one(db, "SELECT count(DISTINCT entity_id) FROM events WHERE type = 'Webhook.Suspended'"); n != rounds {
			t.Errorf("events about %d of %d suspended webhooks", n, rounds)
		}
		failed := in.one(db, "SELECT count(*) "+given)
		if n := in.one(db, "SELECT count(*) FROM events WHERE type = 'Delivery.Exhausted'"); n != failed {
			t.Errorf("%d events about %d deliveries that were given up", n, failed)
		}
		notices.wait("everything is told", func() bool {
			return len(notices.of) == rounds+failed
		})
	})
}
