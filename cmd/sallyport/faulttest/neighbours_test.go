package faulttest

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// One hanging, one refusing and one healthy webhook, 50 events a second each, default
// settings: the healthy one is served as if it were alone (promise 2 of the design).
func TestBadNeighboursCostNothing(t *testing.T) {
	onBothEngines(t, func(t *testing.T, database string) {
		names := []string{"hanging", "refusing", "healthy"}
		never := make(chan struct{})
		hanging := receive(t, func(*http.Request, int) answer { return answer{hang: never} })
		bad := lodge(t, database, map[string]object{
			"hanging": {"url": hanging.url, "timeout": "60s"}, "refusing": {"url": "http://" + testkit.FreeAddr(t)},
		})
		beside := ""
		if database != "" {
			beside = testkit.EmptyPostgres(t)
		}
		well := receive(t, nil)
		good := lodge(t, beside, map[string]object{"hanging": {"url": well.url}, "refusing": {"url": well.url}})

		// The same beside good neighbours is what it is held against, in turns of half a second:
		// whatever else this machine does meanwhile, it does to both.
		for turn := range 8 {
			good.publish(turn, 25, names)
			bad.publish(turn, 25, names)
		}
		among, usual := bad.took(), good.took()
		at := func(all []time.Duration, percent int) time.Duration { return all[len(all)*percent/100] }
		t.Logf("beside good neighbours p50 %s p99 %s, beside bad ones p50 %s p99 %s; %d requests hang",
			at(usual, 50), at(usual, 99), at(among, 50), at(among, 99), hanging.total())
		// Each may meet with a moment in which the machine stands, but not with a time-out.
		if slowest := among[len(among)-1]; slowest > 45*time.Second || hanging.total() == 0 {
			t.Errorf("the slowest took %s, while %d requests hung for a minute", slowest, hanging.total())
		}
		for _, percent := range []int{50, 75} {
			if got, other := at(among, percent), at(usual, percent); got > 4*other+100*time.Millisecond {
				t.Errorf("p%d %s beside bad neighbours, %s beside good ones", percent, got, other)
			}
		}
	})
}

// lodging is a node with a healthy webhook and its neighbours.
type lodging struct {
	*node
	healthy *receiver

	mu     sync.Mutex
	called map[string]time.Time
}

// lodge starts a node and makes the webhooks of the neighbours, and a healthy one. Each has an
// event type of its own, and is known to the node when it returns.
func lodge(t *testing.T, database string, neighbours map[string]object) *lodging {
	t.Helper()
	l := &lodging{node: install(t, database).node(), healthy: receive(t, nil), called: map[string]time.Time{}}
	neighbours["healthy"] = object{"url": l.healthy.url}
	for name, with := range neighbours {
		with["eventTypes"] = []string{name}
		l.webhook(name, with["url"].(string), with)
		l.node.publish(object{"type": name})
	}
	l.healthy.wait("the first arrived", func() bool { return len(l.healthy.of) == 1 })
	return l
}

// publish publishes so many events of each type, 50 a second, and returns when the healthy
// ones have arrived.
func (l *lodging) publish(turn, events int, types []string) {
	l.in.t.Helper()
	var calls sync.WaitGroup
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range events {
		for _, typ := range types {
			calls.Go(func() {
				id := fmt.Sprintf("%s-%d-%d", typ, turn, i)
				l.mu.Lock()
				l.called[id] = time.Now()
				l.mu.Unlock()
				if status, _, err := call(adminKey, http.MethodPost, l.url+"/v1/events", object{"id": id, "type": typ}, nil); err != nil || status != http.StatusAccepted {
					l.in.t.Errorf("publishing %s: %d %v", id, status, err)
				}
			})
		}
		<-tick.C
	}
	calls.Wait()
	l.healthy.wait("every healthy one arrived", func() bool { return len(l.healthy.of) == 1+(turn+1)*events })
}

// took lists how long the healthy ones took from the call to the receiver, the quickest first.
func (l *lodging) took() (all []time.Duration) {
	for _, a := range l.healthy.all() {
		if at, ok := l.called[a.event]; ok {
			all = append(all, a.at.Sub(at))
		}
	}
	slices.Sort(all)
	return all
}
