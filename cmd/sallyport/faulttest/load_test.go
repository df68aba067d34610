package faulttest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is a number of publishers who each wait for their answer before they go on, and
// repeat what was not acknowledged under the same id.
type load struct {
	t     testing.TB
	urls  func(publisher int) string // where to publish now
	types func(r *rand.Rand) string
	pause time.Duration // between two calls of one publisher
	plain bool          // single events without an id of their own only
	fails bool          // a 500 is repeated and counted, and refuses nobody

	mu      sync.Mutex
	acked   map[string]bool // ids that were acknowledged
	refused map[int]int     // answers that were neither 202 nor of a server that was away

	noRetryAfter atomic.Int64 // 503 without Retry-After
	unavailable  atomic.Int64 // 503
	failed       atomic.Int64 // 500
	away         atomic.Int64 // no answer at all
	giveUp       atomic.Bool  // publishers were refused

	stopping chan struct{}
	ended    sync.WaitGroup
}

// publishers starts so many of them.
func (l *load) publishers(n int, seed uint64) *load {
	l.acked, l.refused, l.stopping = map[string]bool{}, map[int]int{}, make(chan struct{})
	if l.types == nil {
		l.types = func(*rand.Rand) string { return "load" }
	}
	for p := range n {
		l.ended.Go(func() { l.publisher(p, rand.New(rand.NewPCG(seed, uint64(p)))) })
	}
	return l
}

func (l *load) publisher(p int, r *rand.Rand) {
	for i := 0; !l.over(); i++ {
		switch id := fmt.Sprintf("p%d-%d", p, i); {
		case l.plain || r.IntN(3) == 0:
			l.single(p, l.event(r, ""), 1)
		case r.IntN(4) > 0:
			l.single(p, l.event(r, id), 1_000_000)
		default:
			events := make([]object, 1+r.IntN(20))
			for j := range events {
				events[j] = l.event(r, fmt.Sprintf("%s-%d", id, j))
			}
			l.batch(p, events)
		}
		if l.pause > 0 {
			select {
			case <-time.After(l.pause):
			case <-l.stopping:
			}
		}
	}
}

var padding = strings.Repeat("x", 300)

func (l *load) event(r *rand.Rand, id string) object {
	e := object{"type": l.types(r), "entityId": r.IntN(1000), "entity": object{"padding": padding}}
	if id != "" {
		e["id"] = id
	}
	return e
}

// single publishes an event until it is acknowledged, or so often.
func (l *load) single(p int, event object, tries int) {
	for ; tries > 0; tries-- {
		var receipt struct{ ID string }
		status, header, err := call(adminKey, http.MethodPost, l.urls(p)+"/v1/events", event, &receipt)
		if l.judge(status, header, err) {
			l.ack(receipt.ID)
			return
		}
		if tries > 1 && !l.again() {
			return
		}
	}
}

// batch publishes events until each is acknowledged.
func (l *load) batch(p int, events []object) {
	for {
		var out struct {
			Data []struct {
				Status  string
				Receipt struct{ ID string }
			}
		}
		status, header, err := call(adminKey, http.MethodPost, l.urls(p)+"/v1/events/batch", object{"data": events}, &out)
		if l.judge(status, header, err) {
			left := 0
			for _, d := range out.Data {
				if d.Status == "accepted" || d.Status == "duplicate" {
					l.ack(d.Receipt.ID)
				} else {
					left++
				}
			}
			if left == 0 {
				return
			}
		}
		if !l.again() {
			return
		}
	}
}

// judge reports a 202 and counts what else there was.
func (l *load) judge(status int, header http.Header, err error) bool {
	switch {
	case err != nil:
		l.away.Add(1)
	case status == http.StatusAccepted:
		return true
	case status == http.StatusServiceUnavailable:
		l.unavailable.Add(1)
		if header.Get("Retry-After") == "" {
			l.noRetryAfter.Add(1)
		}
	case status == http.StatusInternalServerError && l.fails:
		l.failed.Add(1)
	default: // no repetition could help
		l.mu.Lock()
		l.refused[status]++
		l.mu.Unlock()
		l.giveUp.Store(true)
	}
	return false
}

// again waits a moment before a repetition; false: the load ends.
func (l *load) again() bool {
	select {
	case <-time.After(20 * time.Millisecond):
		return !l.over()
	case <-l.stopping:
		return false
	}
}

func (l *load) over() bool {
	if l.giveUp.Load() {
		return true
	}
	select {
	case <-l.stopping:
		return true
	default:
		return false
	}
}

func (l *load) ack(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = true
}

// count is how many events were acknowledged so far.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// reach returns once so many more events are acknowledged.
func (l *load) reach(more int) {
	l.t.Helper()
	from := l.count()
	for w := (waiting{}); l.count() < from+more; time.Sleep(2 * time.Millisecond) {
		if l.giveUp.Load() || w.over(l.count()) {
			l.mu.Lock()
			l.t.Errorf("publishers were refused, by status: %v", l.refused)
			l.mu.Unlock()
			l.t.Fatalf("%d events were acknowledged, not %d, and no more within %s", l.count()-from, more, patience)
		}
	}
}

// stop ends the publishers and fails the test if one was refused an answer that only
// its own fault could bring.
func (l *load) stop() {
	l.t.Helper()
	close(l.stopping)
	l.ended.Wait()
	if len(l.refused) > 0 {
		l.t.Errorf("publishers were refused, by status: %v", l.refused)
	}
	if n := l.noRetryAfter.Load(); n > 0 {
		l.t.Errorf("%d answers were 503 without Retry-After", n)
	}
}

// delivered returns once every acknowledged event has arrived at a receiver of them
// all, and logs how often there were too many.
func (l *load) delivered(r *receiver) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := func() (n int) {
		for id := range l.acked {
			if r.of[id] == 0 {
				n++
			}
		}
		return n
	}
	left := -1
	r.wait("every acknowledged event arrived", func() bool {
		if left > 0 && len(r.of) < len(l.acked) {
			return false
		}
		left = missing()
		return left == 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	l.t.Logf("%d events acknowledged, %d arrived, %d requests: %d duplicates; publishers had no answer %d times, 503 %d times",
		len(l.acked), len(r.of), len(r.arrivals), len(r.arrivals)-len(r.of), l.away.Load(), l.unavailable.Load())
}
