package faulttest

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

const replayedEvents = 600

// layReplay publishes events that one webhook gets at once, and makes another one, which
// has missed them all. It returns what a replay of both is about.
func layReplay(in *installation, n *node, at *receiver) object {
	in.t.Helper()
	n.webhook("first", at.url, nil)
	var events []object
	for i := range replayedEvents {
		events = append(events, object{"id": fmt.Sprintf("e-%d", i), "type": "thing", "entity": object{"n": i}})
	}
	n.must(http.MethodPost, "/v1/events/batch", object{"data": events})
	at.wait("all events arrived once", func() bool { return len(at.of) == replayedEvents })
	in.settled(n.db())
	n.webhook("late", at.url, nil)
	// Four pieces a second, for some seconds: there is a middle.
	return object{"include": "all", "since": "2026-01-01T00:00:00Z", "rate": 300}
}

// midway starts a replay on a node and returns its id once some of it is done, but not all.
func midway(in *installation, n *node, spec object) string {
	in.t.Helper()
	id := n.must(http.MethodPost, "/v1/replays", spec)["id"].(string)
	db := n.db()
	in.eventually("some of the replay is done", func() bool { return in.one(db, "SELECT done FROM replays") > 0 })
	return id
}

// replayedOnce fails the test unless the replay was to each delivery once, whatever happened
// to nodes meanwhile: made one for the webhook that had none, and repeated the other's.
func replayedOnce(in *installation, n *node, at *receiver, id string) {
	in.t.Helper()
	var r object
	in.eventually("the replay ends", func() bool {
		r = n.must(http.MethodGet, "/v1/replays/"+id, nil)
		return r["finishedAt"] != nil
	})
	if r["state"] != "succeeded" || r["done"].(float64) != 2*replayedEvents || r["skipped"].(float64) != 0 || r["total"].(float64) != 2*replayedEvents {
		in.t.Errorf("the replay is %v", r)
	}
	db := n.db()
	in.settled(db)
	in.unheld(db)
	for what, query := range map[string]struct {
		sql  string
		want int
	}{
		"deliveries are there":                      {"SELECT count(*) FROM deliveries WHERE state = 2", 2 * replayedEvents},
		"events went to a webhook twice":            {"SELECT count(*) FROM (SELECT event_key FROM deliveries GROUP BY event_key, target_id HAVING count(*) > 1) x", 0},
		"deliveries were tried another time":        {"SELECT count(*) FROM deliveries WHERE attempts = 2 AND base = 1", replayedEvents},
		"deliveries were made":                      {"SELECT count(*) FROM deliveries WHERE attempts = 1 AND base = 0", replayedEvents},
		"attempts were made for the replay":         {"SELECT count(*) FROM attempts a JOIN deliveries d ON d.id = a.delivery_id WHERE a.outcome = 0 AND a.n = d.base + 1 AND d.replay_id IS NOT NULL", 2 * replayedEvents},
		"attempts are recorded as having succeeded": {"SELECT count(*) FROM attempts WHERE outcome = 0", 3 * replayedEvents},
	} {
		if got := in.one(db, query.sql); got != query.want {
			in.t.Errorf("%d %s, want %d", got, what, query.want)
		}
	}
	at.wait("every event arrived three times", func() bool {
		for _, times := range at.of {
			if times < 3 {
				return false
			}
		}
		return true
	})
	in.t.Logf("%d requests, %d were needed", at.total(), 3*replayedEvents)
}

// A crash, and a stop in good order, in the middle of a replay: the next process on the
// directory goes on where the store says.
func TestEndedInAReplay(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database, "NODE_DEAD_AFTER=1h")
		n := in.node()
		at := receive(t, nil)
		spec := layReplay(in, n, at)
		spec["rate"] = 120 // it must not be over before the stop below
		id := midway(in, n, spec)
		n.kill()
		before := in.one(n.db(), "SELECT done FROM replays")
		n.start()
		db := n.db()
		in.eventually("it goes on", func() bool { return in.one(db, "SELECT done FROM replays") > before })
		if code := n.stop(); code != 0 {
			t.Errorf("the node ended with code %d", code)
		}
		again := in.one(n.db(), "SELECT done FROM replays")
		t.Logf("killed after %d, stopped after %d of %d", before, again, 2*replayedEvents)
		if again >= 2*replayedEvents {
			t.Error("the replay was over before the node was stopped")
		}
		n.start()
		replayedOnce(in, n, at, id)
	})
}

// The same with another node that takes over, and with one that is stopped for so long
// that it is taken for dead, and goes on.
func TestReplayIsTakenOver(t *testing.T) {
	t.Parallel()
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		t.Run(how.String(), func(t *testing.T) {
			in := install(t, testkit.EmptyPostgres(t), quick...)
			a, victim := in.node(), in.node()
			at := receive(t, nil)
			spec := layReplay(in, victim, at)
			id := midway(in, victim, spec)
			db := a.db()
			// A start in the middle would take as long as the replay, on a slow machine.
			if in.one(db, "SELECT count(*) FROM replays r JOIN nodes n ON n.id = r.node WHERE n.name = $1", a.name) == 1 {
				a, victim = victim, a
			}
			victim.signal(how)
			in.buried(db, victim)
			t.Logf("the node ended after %d of %d", in.one(db, "SELECT done FROM replays"), 2*replayedEvents)
			if how == syscall.SIGSTOP {
				victim.signal(syscall.SIGCONT)
			}
			replayedOnce(in, a, at, id)
		})
	}
}

// A receiver that is gone again and again while events are published through two nodes, and
// comes back each time by a resume that replays what was missed: no event is lost in a seam
// between matched and missed, and none is delivered twice.
func TestSuspendedUnderLoad(t *testing.T) {
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database, "BREAKER_FAILURES=1000") // whose probes would only take time
		nodes := []*node{in.node()}
		if database != "" {
			nodes = append(nodes, in.node())
		}
		a, b := nodes[0], nodes[len(nodes)-1]
		var gone atomic.Bool
		at := receive(t, func(*http.Request, int) answer {
			if gone.Load() {
				return answer{status: http.StatusGone}
			}
			return answer{}
		})
		a.webhook("all", at.url, object{"eventTypes": []string{"load"}})
		state := func() any { return a.must(http.MethodGet, "/v1/webhooks/all", nil)["state"] }
		resume := func() {
			b.must(http.MethodPost, "/v1/webhooks/all/resume", object{"replay": "missed"})
		}
		l := (&load{t: t, urls: func(p int) string { return nodes[p%len(nodes)].url }, pause: time.Millisecond}).publishers(6, 7)
		for range 3 {
			l.reach(150)
			gone.Store(true)
			in.eventually("the webhook is suspended", func() bool { return state() == "suspended" })
			gone.Store(false)
			l.reach(150)
			resume()
		}
		l.reach(150)
		l.stop()
		db := a.db()
		// An answer of before may have suspended it once more.
		in.eventually("it is active and nothing is missed any more", func() bool {
			if state() == "suspended" {
				resume()
				return false
			}
			return in.one(db, "SELECT count(*) FROM replays WHERE finished_at IS NULL") == 0 && in.one(db, "SELECT count(*) FROM due") == 0 && state() == "active"
		})
		t.Logf("%d replays made %d deliveries of %d", in.one(db, "SELECT count(*) FROM replays"), in.one(db, "SELECT sum(done) FROM replays"),
			in.one(db, "SELECT count(*) FROM deliveries"))
		for _, r := range a.list("/v1/replays") {
			if r["state"] != "succeeded" {
				t.Errorf("a replay is %v", r)
			}
		}
		failed := in.one(db, "SELECT count(*) FROM deliveries WHERE state = 3")
		a.must(http.MethodPost, "/v1/replays", object{"webhook": "all"})
		in.eventually("what was answered 410 is sent again", func() bool {
			return in.one(db, "SELECT count(*) FROM deliveries WHERE state = 2 AND base > 0") == failed
		})
		l.delivered(at)
		in.settled(db)
		events := in.one(db, "SELECT count(*) FROM events WHERE type = 'load'")
		for what, query := range map[string]string{
			"deliveries succeeded": "SELECT count(*) FROM deliveries WHERE state = 2",
			"deliveries are there": "SELECT count(*) FROM deliveries",
			"events have one":      "SELECT count(DISTINCT event_key) FROM deliveries",
		} {
			if got := in.one(db, query); got != events {
				t.Errorf("%d %s of %d events", got, what, events)
			}
		}
		if got := at.total(); got != events+failed {
			t.Errorf("%d requests came for %d events, of which %d were answered 410", got, events, failed)
		}
	})
}
