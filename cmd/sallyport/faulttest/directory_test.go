package faulttest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// Two processes on one SQLite directory would send everything in flight twice: the
// second refuses, and says who is there.
func TestSecondProcessOnADirectoryRefuses(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	first := in.node()
	second := &node{in: in, name: "second", dir: first.dir}
	second.launch()
	if code := second.wait(); code != 1 {
		t.Errorf("the second process ended with code %d, want 1", code)
	}
	if pid := fmt.Sprintf("process %d", first.cmd.Process.Pid); !strings.Contains(second.tail(20), pid) {
		t.Errorf("it does not name %s:\n%s", pid, second.tail(20))
	}
	first.must(http.MethodGet, "/v1/info", nil)
}

// On Postgres a second node beside the first works. When the first is killed and comes
// back it takes up its own work at once, and leaves the other's alone.
func TestSecondNodeOnADirectoryOnPostgres(t *testing.T) {
	t.Parallel()
	in := install(t, testkit.EmptyPostgres(t), "NODE_DEAD_AFTER=1h")
	first := in.node()
	release := make(chan struct{})
	at := receive(t, func(q *http.Request, nth int) answer {
		if nth == 1 && strings.HasPrefix(q.Header.Get("X-Webhook-Event-Id"), "of-the-") {
			return answer{hang: release}
		}
		return answer{}
	})
	first.webhook("all", at.url, nil)
	second := &node{in: in, name: "beside", dir: first.dir}
	second.start()
	for _, n := range []*node{first, second} {
		n.sendsItself("thing")
	}
	first.publish(object{"id": "of-the-first", "type": "thing"})
	second.publish(object{"id": "of-the-second", "type": "thing"})
	at.wait("both are under way", func() bool { return at.open == 2 })
	first.kill()
	first.start()
	if e := first.logged("node.predecessor_buried"); len(e) != 1 || e[0]["deliveries"].(float64) != 1 {
		t.Errorf("the first node, back, found %v of its own", e)
	}
	at.wait("its delivery is sent again", func() bool { return at.of["of-the-first"] == 2 })
	close(release)
	db := first.db()
	in.settled(db)
	in.whole(db)
	if n := at.times("of-the-second"); n != 1 {
		t.Errorf("the living node's delivery was sent %d times", n)
	}
	if e := second.logged("node.declared_dead"); len(e) > 0 {
		t.Error("the living node was declared dead")
	}
}
