package faulttest

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// delivery reads the delivery of an event with its attempts.
func (n *node) delivery(event string) object {
	n.in.t.Helper()
	all := n.list("/v1/deliveries?eventId=" + event)
	if len(all) != 1 {
		n.in.t.Fatalf("event %s has %d deliveries", event, len(all))
	}
	return n.must(http.MethodGet, "/v1/deliveries/"+all[0]["id"].(string), nil)
}

// ends waits until the delivery of an event is in a state.
func (n *node) ends(event, state, reason string) object {
	n.in.t.Helper()
	var d object
	n.in.eventually("the delivery of "+event+" is "+state, func() bool {
		d = n.delivery(event)
		return d["state"] == state
	})
	if got, _ := d["stateReason"].(string); got != reason {
		n.in.t.Errorf("the delivery of %s is %s for reason %q, want %q", event, state, got, reason)
	}
	return d
}

// What a receiver answers decides what follows, seen from
// outside: the schedule, Retry-After, 410, redirects, long failure, the dead letter and
// the operator's ways out of it.
func TestFailuresAndTheirEnds(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database, "SUSPEND_AFTER=1s", "BREAKER_FAILURES=1000")
		n := in.node()
		// Who is told what Sallyport itself has to say.
		notices := receive(t, nil)
		n.webhook("notices", notices.url, object{"eventTypes": []string{"Webhook.Suspended", "Delivery.Exhausted"}})
		to := func(name string, answers func(*http.Request, int) answer, with object) *receiver {
			r := receive(t, answers)
			w := object{"eventTypes": []string{name}}
			for k, v := range with {
				w[k] = v
			}
			n.webhook(name, r.url, w)
			return r
		}
		gaps := func(r *receiver) (all []time.Duration) {
			a := r.all()
			for i := 1; i < len(a); i++ {
				all = append(all, a[i].at.Sub(a[i-1].at))
			}
			return all
		}
		quickly := object{"schedule": []string{"100ms"}, "jitter": 0}

		in.run("schedule", func(t *testing.T) {
			r := to("schedule", func(_ *http.Request, nth int) answer {
				if nth < 4 {
					return answer{status: 500}
				}
				return answer{}
			}, object{"retry": object{"schedule": []string{"200ms", "600ms"}, "jitter": 0}})
			n.publish(object{"id": "s", "type": "schedule"})
			r.wait("it succeeded", func() bool { return len(r.arrivals) == 4 })
			for i, least := range []time.Duration{200 * time.Millisecond, 600 * time.Millisecond, 600 * time.Millisecond} { // the last step repeats
				if got := gaps(r)[i]; got < least {
					t.Errorf("attempt %d came %s after the one before, want %s at least", i+2, got, least)
				}
			}
			var numbers []float64
			d := n.delivery("s")
			in.eventually("the delivery has succeeded", func() bool { d = n.delivery("s"); return d["state"] == "succeeded" })
			for _, a := range d["attempts"].([]any) {
				numbers = append(numbers, a.(object)["number"].(float64))
			}
			slices.Sort(numbers)
			if !slices.Equal(numbers, []float64{1, 2, 3, 4}) {
				t.Errorf("attempts are numbered %v", numbers)
			}
		})

		in.run("Retry-After", func(t *testing.T) {
			r := to("asked", func(_ *http.Request, nth int) answer {
				if nth == 1 {
					return answer{status: 429, header: http.Header{"Retry-After": {"1"}}}
				}
				return answer{}
			}, object{"retry": quickly})
			n.publish(object{"id": "ra", "type": "asked"})
			r.wait("it succeeded", func() bool { return len(r.arrivals) == 2 })
			if got := gaps(r)[0]; got < time.Second {
				t.Errorf("the second attempt came %s after a Retry-After of 1 s", got)
			}
		})

		in.run("redirect", func(t *testing.T) {
			elsewhere := receive(t, nil)
			r := to("moved", func(_ *http.Request, nth int) answer {
				return answer{status: 302, header: http.Header{"Location": {elsewhere.url}}}
			}, object{"retry": quickly, "maxAttempts": 2})
			n.publish(object{"id": "m", "type": "moved"})
			d := n.ends("m", "failed", "attempts_exhausted")
			if r.total() != 2 || elsewhere.total() != 0 {
				t.Errorf("%d requests, want 2, and %d where it redirects to, want none", r.total(), elsewhere.total())
			}
			if last := d["lastAttempt"].(object); last["errorClass"] != "redirect" {
				t.Errorf("the last attempt: %v", last)
			}
		})

		in.run("dead letter, retry and skip", func(t *testing.T) {
			fixed := make(chan struct{})
			r := to("broken", func(*http.Request, int) answer {
				select {
				case <-fixed:
					return answer{}
				default:
					return answer{status: 500}
				}
			}, object{"retry": quickly, "maxAttempts": 2})
			told := notices.total()
			for _, id := range []string{"dead1", "dead2"} {
				n.publish(object{"id": id, "type": "broken"})
				n.ends(id, "failed", "attempts_exhausted")
			}
			if r.total() != 4 {
				t.Errorf("%d requests, want two for each", r.total())
			}
			notices.wait("both are announced", func() bool { return len(notices.arrivals) >= told+2 })
			if dead := n.list("/v1/deliveries?webhook=broken&state=failed"); len(dead) != 2 {
				t.Errorf("%d in the dead letter, want 2", len(dead))
			}
			close(fixed)
			n.must(http.MethodPost, "/v1/deliveries/"+n.delivery("dead1")["id"].(string)+"/retry", nil)
			d := n.ends("dead1", "succeeded", "")
			if last := d["attempts"].([]any); len(last) != 3 {
				t.Errorf("%d attempts after the retry, want 3", len(last))
			}
			// What waits can be skipped.
			n.must(http.MethodPost, "/v1/webhooks/broken/pause", object{})
			n.publish(object{"id": "skipped", "type": "broken"})
			n.must(http.MethodPost, "/v1/deliveries/"+n.delivery("skipped")["id"].(string)+"/skip", nil)
			n.ends("skipped", "skipped", "by_operator")
			n.must(http.MethodPost, "/v1/webhooks/broken/resume", object{})
			n.publish(object{"id": "after", "type": "broken"})
			n.ends("after", "succeeded", "")
			if r.times("skipped") != 0 {
				t.Error("what was skipped was sent")
			}
		})

		in.run("gone", func(t *testing.T) {
			told := notices.total()
			r := to("gone", func(*http.Request, int) answer { return answer{status: 410} }, object{"retry": quickly})
			n.publish(object{"id": "g", "type": "gone"})
			n.ends("g", "failed", "gone")
			var w object
			in.eventually("the webhook is suspended", func() bool {
				w = n.must(http.MethodGet, "/v1/webhooks/gone", nil)
				return w["state"] == "suspended"
			})
			if w["stateReason"] != "gone" || w["enabled"] != true {
				t.Errorf("suspended for %v, enabled %v", w["stateReason"], w["enabled"])
			}
			notices.wait("the suspension is announced", func() bool { return len(notices.arrivals) > told })
			if m := n.publish(object{"id": "g2", "type": "gone"})["matched"].(float64); m != 0 {
				t.Errorf("an event matched %v suspended webhooks", m)
			}
			if r.total() != 1 {
				t.Errorf("%d requests, want 1", r.total())
			}
			// A PUT leaves the suspension, a resume ends it (D 4).
			n.webhook("gone", r.url, object{"eventTypes": []string{"gone"}, "retry": quickly})
			if w := n.must(http.MethodGet, "/v1/webhooks/gone", nil); w["state"] != "suspended" {
				t.Errorf("a PUT made it %v", w["state"])
			}
			n.must(http.MethodPost, "/v1/webhooks/gone/resume", object{})
			if w := n.must(http.MethodGet, "/v1/webhooks/gone", nil); w["state"] != "active" {
				t.Errorf("a resume made it %v", w["state"])
			}
		})

		in.run("failing for long", func(t *testing.T) {
			told := notices.total()
			to("failing", func(*http.Request, int) answer { return answer{status: 500} }, object{"retry": object{"schedule": []string{"200ms"}}, "maxAttempts": 50})
			n.publish(object{"id": "f", "type": "failing"})
			in.eventually("the webhook is suspended", func() bool {
				w := n.must(http.MethodGet, "/v1/webhooks/failing", nil)
				return w["state"] == "suspended" && w["stateReason"] == "failing"
			})
			notices.wait("the suspension is announced", func() bool { return len(notices.arrivals) > told })
			// What waits goes on waiting: held, not skipped.
			d := n.ends("f", "held", "suspended")
			if tries := d["attemptCount"].(float64); tries < 10 {
				t.Errorf("suspended after %v attempts, want ten at least", tries)
			}
		})
		if code := n.stop(); code != 0 {
			t.Errorf("the node ended with code %d", code)
		}
	})
}

// The breaker opens after ten failures in a row, and a restart remembers it.
func TestBreakerOutlivesARestart(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database)
		n := in.node()
		at := receive(t, func(*http.Request, int) answer { return answer{status: 500} })
		n.webhook("down", at.url, object{"retry": object{"schedule": []string{"100ms"}}, "maxAttempts": 50})
		n.publish(object{"id": "b", "type": "thing"})
		at.wait("ten attempts failed", func() bool { return len(at.arrivals) == 10 })
		breaker := func() object {
			return n.must(http.MethodGet, "/v1/webhooks/down/health", nil)["breaker"].(object)
		}
		in.eventually("the breaker is open", func() bool { return breaker()["state"] == "open" })
		in.eventually("the delivery says why it waits", func() bool { return n.delivery("b")["stateReason"] == "breaker_open" })
		probe := breaker()["nextProbeAt"]
		if code := n.stop(); code != 0 {
			t.Errorf("the node ended with code %d", code)
		}
		n.start()
		n.publish(object{"id": "b2", "type": "thing"})
		// A second event, and a scan of what waits, would have set off an attempt.
		in.eventually("the node has looked for work", func() bool {
			return n.delivery("b2")["state"] == "pending" && time.Since(at.all()[9].at) > 3*time.Second
		})
		due, err := time.Parse(time.RFC3339, probe.(string))
		if err != nil {
			t.Fatal(err)
		}
		b := breaker()
		if time.Now().Before(due) && (b["state"] != "open" || b["nextProbeAt"] != probe) {
			t.Errorf("after the restart the breaker is %v, probe at %v; before at %v", b["state"], b["nextProbeAt"], probe)
		}
		// A slow machine may have got to the probe.
		for i, a := range at.all()[10:] {
			if a.at.Before(due) {
				t.Errorf("request %d came at %v, before the probe of %v", 11+i, a.at, due)
			}
		}
	})
}
