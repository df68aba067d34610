package faulttest

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// A crash at any moment loses nothing that was acknowledged (promise 1 of the design),
// and a restart goes on at once: others would wait an hour here to declare the node
// dead, so whatever arrives after a crash its successor found on its own directory.
func TestKilledTenTimesUnderLoad(t *testing.T) {
	onBothEngines(t, func(t *testing.T, database string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		in := install(t, database, "NODE_DEAD_AFTER=1h")
		at := receive(t, nil)
		n := in.node()
		n.webhook("all", at.url, nil)

		var url atomic.Value
		url.Store(n.url)
		l := (&load{t: t, urls: func(int) string { return url.Load().(string) }, pause: time.Millisecond}).publishers(6, seed)
		inFlight := 0
		for range 10 {
			l.reach(1 + r.IntN(800))
			n.kill()
			killed := time.Now()
			n.start()
			url.Store(n.url)
			for _, e := range n.logged("node.predecessor_buried") {
				inFlight += int(e["deliveries"].(float64))
			}
			t.Logf("serving again after %s", time.Since(killed).Round(time.Millisecond))
		}
		l.reach(100)
		l.stop()
		l.delivered(at)
		t.Logf("%d deliveries were in flight when the process was killed", inFlight)
		db := n.db()
		in.settled(db)
		in.unheld(db)
		in.whole(db)
		if code := n.stop(); code != 0 {
			t.Errorf("the last stop ended with code %d", code)
		}
		if left := in.one(db, "SELECT count(*) FROM nodes"); left != 0 {
			t.Errorf("%d nodes are left over", left)
		}
	})
}
