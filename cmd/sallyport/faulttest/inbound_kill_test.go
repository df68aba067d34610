package faulttest

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// A crash at any moment loses no call that was answered 2xx: its actions run, at least
// once, and what they do in the store happens once.
func TestKilledTenTimesUnderCalls(t *testing.T) {
	onBothEngines(t, func(t *testing.T, database string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		in := install(t, database, "NODE_DEAD_AFTER=1h")
		n := in.node()
		b := layInbound(n)
		var url atomic.Value
		url.Store(n.url)
		k := (&knocking{t: t, url: func() string { return url.Load().(string) }, doors: b.doors, pause: time.Millisecond}).callers(6)
		for range 10 {
			k.reach(1 + r.IntN(150))
			n.kill()
			n.start()
			url.Store(n.url)
		}
		k.reach(50)
		k.stop()
		db := n.db()
		b.exactly(db, k)
		if code := n.stop(); code != 0 {
			t.Errorf("the last stop ended with code %d", code)
		}
	})
}

// A stop in good order while callers call: whoever was answered 2xx was right, what was
// under way ends or waits for the next process, and nothing is done twice.
func TestStopUnderCalls(t *testing.T) {
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database, "SHUTDOWN_GRACE=50s", "NODE_DEAD_AFTER=1h")
		n := in.node()
		b := layInbound(n)
		url := n.url
		k := (&knocking{t: t, url: func() string { return url }, doors: b.doors}).callers(6)
		k.reach(300)
		if code := n.stop(); code != 0 {
			t.Errorf("it ended with code %d", code)
		}
		k.stop()
		db := n.db()
		for what, query := range map[string]string{
			"nodes are left":               "SELECT count(*) FROM nodes",
			"deliveries are still held":    "SELECT count(*) FROM due WHERE held_by IS NOT NULL",
			"deliveries are still running": "SELECT count(*) FROM deliveries WHERE state = 0",
		} {
			if left := in.one(db, query); left > 0 {
				t.Errorf("%d %s", left, what)
			}
		}
		if accepted := in.one(db, "SELECT count(*) FROM requests WHERE verdict = 0"); accepted < k.count() {
			t.Errorf("%d requests are stored, %d callers were told so", accepted, k.count())
		}
		n.start()
		b.exactly(db, k)
		// The grace is long enough for what was on the wire: nothing was cut off and sent again.
		if twice := b.sent.total() - len(b.sent.of); twice > 0 {
			t.Errorf("%d calls were sent twice", twice)
		}
	})
}
