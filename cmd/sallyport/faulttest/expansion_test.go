package faulttest

import (
	"bytes"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

const largeItems = 4000

// large calls the door with items of a round, in one request, and returns its id.
func large(t *testing.T, n *node, round int) string {
	t.Helper()
	var body bytes.Buffer
	for i := range largeItems {
		fmt.Fprintf(&body, ",{\"n\":\"%d-%d\"}", round, i)
	}
	text := body.Bytes()
	text[0] = '['
	status, r, err := knock(n.url, "large", append(text, ']'))
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("the large call was answered %d, %v", status, err)
	}
	return r.RequestID
}

// interrupted makes large calls of a node until end, which ends it, came in the middle of
// one's expansion; then again goes on with the work. It returns how many calls were made.
func interrupted(t *testing.T, in *installation, n, victim *node, end, again func()) (calls int) {
	t.Helper()
	db := n.db()
	for calls < 10 {
		id := large(t, victim, calls)
		calls++
		in.eventually("it has begun", func() bool {
			for deadline := time.Now().Add(20 * time.Millisecond); time.Now().Before(deadline); {
				if in.one(db, "SELECT count(*) FROM expansions WHERE done > 0") > 0 || in.one(db, "SELECT count(*) FROM expansions") == 0 {
					return true
				}
			}
			return false
		})
		end()
		done := in.one(db, "SELECT coalesce(max(done), $1) FROM expansions", largeItems)
		again()
		in.eventually("all items are events", func() bool { return in.one(db, "SELECT count(*) FROM expansions") == 0 })
		if x := n.must(http.MethodGet, "/v1/requests/"+id, nil)["expansion"]; x != nil {
			t.Errorf("the expansion of a request that is expanded is %v", x)
		}
		if t.Logf("the node ended after %d of %d items", done, largeItems); done < largeItems {
			return calls
		}
	}
	t.Fatal("no expansion was interrupted")
	return 0
}

// expanded fails the test unless every item of so many calls is an event once, and its
// action ran.
func expanded(t *testing.T, in *installation, n *node, at *receiver, calls int) {
	t.Helper()
	db := n.db()
	in.settled(db)
	in.unheld(db)
	in.whole(db)
	for what, query := range map[string]string{
		"items are events":   "SELECT count(*) FROM events WHERE type = 'incoming.large'",
		"items are in them":  "SELECT count(DISTINCT entity) FROM events WHERE type = 'incoming.large'",
		"deliveries succeed": "SELECT count(*) FROM deliveries WHERE state = 2",
		"deliveries":         "SELECT count(*) FROM deliveries",
	} {
		if n := in.one(db, query); n != calls*largeItems {
			t.Errorf("%d %s, want %d", n, what, calls*largeItems)
		}
	}
	at.wait("every item was sent", func() bool { return len(at.of) == calls*largeItems })
	t.Logf("%d requests for %d items", at.total(), calls*largeItems)
}

func layLarge(n *node, at *receiver) {
	n.action("send", "httpRequest", object{"url": at.url + "/?n={{ item.n }}"})
	n.door("large", nil, "send")
}

// A crash in the middle of a large request: the next process on the directory goes on
// where the store says, and no item is an event twice.
func TestKilledInAnExpansion(t *testing.T) {
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database, "NODE_DEAD_AFTER=1h")
		n := in.node()
		at := receive(t, nil)
		layLarge(n, at)
		calls := interrupted(t, in, n, n, n.kill, n.start)
		expanded(t, in, n, at, calls)
		if code := n.stop(); code != 0 {
			t.Errorf("the node ended with code %d", code)
		}
	})
}

// The same with another node that takes over, and with one that is stopped for so long
// that it is taken for dead, and goes on.
func TestExpansionIsTakenOver(t *testing.T) {
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		t.Run(how.String(), func(t *testing.T) {
			in := install(t, testkit.EmptyPostgres(t), quick...)
			a := in.node()
			at := receive(t, nil)
			layLarge(a, at)
			victim := in.node()
			db := a.db()
			calls := interrupted(t, in, a, victim, func() { victim.signal(how) }, func() {
				if how == syscall.SIGKILL {
					<-victim.exited
				}
				in.buried(db, victim)
				if how == syscall.SIGKILL {
					victim.start()
					return
				}
				victim.signal(syscall.SIGCONT)
			})
			expanded(t, in, a, at, calls)
		})
	}
}
