package e2e

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"sallyport/internal/testkit"
)

var _ = suite("limits", map[string]func(*world){
	"maxInFlight bounds how many requests are open": func(w *world) {
		r := w.receiver()
		var most atomic.Int64
		r.Then(testkit.Answer{Hang: true}, testkit.Answer{Hang: true}) // until both are seen
		r.RespondFunc(func(testkit.Received) testkit.Answer {
			most.Store(max(most.Load(), int64(r.Open())))
			return testkit.Answer{Delay: 20 * time.Millisecond} // long enough for another to come
		})
		w.webhook(r, doc{"maxInFlight": 2})
		for n := range 12 {
			w.publish(doc{"type": "a.b", "id": "e" + strconv.Itoa(n)})
		}
		r.WaitOpen(2)
		r.Release()
		r.Wait(12)
		if most.Load() > 2 {
			w.t.Errorf("%d requests were open", most.Load())
		}
	},
	"rateLimit spreads requests out": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"rateLimit": doc{"requests": 2, "per": "1s"}})
		began := time.Now() // and not when the first came: that may have taken longer than the others
		for range 6 {
			w.publish(doc{"type": "a.b"})
		}
		all := r.Wait(6)
		// Six at two a second: a burst of two, then two more each second.
		if took := all[5].At.Sub(began); took < 1500*time.Millisecond {
			w.t.Errorf("six requests at two a second came within %s", took)
		}
	},
	"a hanging receiver does not slow its neighbour": func(w *world) {
		hanging, healthy := w.receiver(), w.receiver()
		hanging.Respond(testkit.Answer{Hang: true})
		w.webhook(hanging, doc{"code": "hanging", "timeout": "1m"})
		w.webhook(healthy, doc{"code": "healthy"})
		var items []doc
		for n := range 300 {
			items = append(items, doc{"id": "e" + strconv.Itoa(n), "type": "a.b"})
		}
		w.publisher.post("/v1/events/batch", doc{"data": items}).want(http.StatusAccepted)
		healthy.Wait(300)
		hanging.WaitFor("some open requests", func(all []testkit.Received) bool { return hanging.Open() > 0 })
		if done := hanging.Open(); done > 64 {
			w.t.Errorf("%d requests are open at one receiver, more than 64", done)
		}
		w.admin.delete("/v1/webhooks/hanging").want(http.StatusNoContent)
		hanging.Release()
	},
})
