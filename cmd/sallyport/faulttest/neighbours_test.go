package faulttest

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// One hanging, one refusing and one healthy webhook, 50 events a second each, default
// settings: the healthy one is served as if it were alone (promise 2 of the design).
func TestBadNeighboursCostNothing(t *testing.T) {
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database)
		n := in.node()
		never := make(chan struct{})
		hanging := receive(t, func(*http.Request, int) answer { return answer{hang: never} })
		healthy := receive(t, nil)
		refused, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		nobody := "http://" + refused.Addr().String()
		_ = refused.Close()
		for name, url := range map[string]string{"hanging": hanging.url, "refusing": nobody, "healthy": healthy.url} {
			n.webhook(name, url, object{"eventTypes": []string{name}})
			n.publish(object{"type": name})
		}
		healthy.wait("the first arrived", func() bool { return len(healthy.arrivals) == 1 })

		// publish sends so many events to each type, 50 a second, and returns how long the
		// healthy ones took from the call to the receiver.
		publish := func(run string, events int, types ...string) []time.Duration {
			var mu sync.Mutex
			called := map[string]time.Time{}
			var calls sync.WaitGroup
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for i := range events {
				for _, typ := range types {
					calls.Go(func() {
						id := fmt.Sprintf("%s-%s-%d", run, typ, i)
						mu.Lock()
						called[id] = time.Now()
						mu.Unlock()
						if status, _, err := call(adminKey, http.MethodPost, n.url+"/v1/events", object{"id": id, "type": typ}, nil); err != nil || status != http.StatusAccepted {
							t.Errorf("publishing %s: %d %v", id, status, err)
						}
					})
				}
				<-tick.C
			}
			calls.Wait()
			before := 1
			if run == "among" {
				before += events / 2
			}
			healthy.wait("every healthy one arrived", func() bool { return len(healthy.arrivals) == before+events })
			var took []time.Duration
			for _, a := range healthy.all() {
				if at, ok := called[a.event]; ok {
					took = append(took, a.at.Sub(at))
				}
			}
			slices.Sort(took)
			return took
		}
		const events = 150
		alone := publish("alone", events, "healthy")
		among := publish("among", 2*events, "hanging", "refusing", "healthy")
		p := func(d []time.Duration, q int) time.Duration { return d[min(len(d)-1, len(d)*q/100)] }
		t.Logf("alone p50 %s p99 %s, among bad neighbours p50 %s p99 %s; %d requests hang", p(alone, 50), p(alone, 99), p(among, 50), p(among, 99), hanging.total())
		// Three times as many events share the machine, so not the same; but nothing that
		// waits for a time-out (15 s) or for a neighbour's slot.
		if p(among, 50) > 4*p(alone, 50)+20*time.Millisecond {
			t.Errorf("p50 %s among bad neighbours, %s alone", p(among, 50), p(alone, 50))
		}
		if p(among, 99) > 4*p(alone, 99)+150*time.Millisecond {
			t.Errorf("p99 %s among bad neighbours, %s alone", p(among, 99), p(alone, 99))
		}
	})
}
