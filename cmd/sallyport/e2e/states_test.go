package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/testkit"
)

// healthy waits until a webhook's health has a value, which is noted every other second.
func (w *world) healthy(webhook, at, value string) *answer {
	w.t.Helper()
	var a *answer
	eventually(w.t, at+" to be "+value, func() bool {
		a = w.viewer.get("/v1/webhooks/" + webhook + "/health").want(http.StatusOK)
		return a.text(at) == value
	})
	return a
}

// waitsFor waits until a delivery waits for a reason. What is due this very moment may be
// told as due in a moment: the program asks the database for the time once in a while only.
func (w *world) waitsFor(delivery, reason string) {
	w.t.Helper()
	eventually(w.t, "delivery "+delivery+" to wait for "+reason, func() bool {
		return w.viewer.get("/v1/deliveries/"+delivery).want(http.StatusOK).has("state", "pending").text("stateReason") == reason
	})
}

var _ = suite("states", map[string]func(*world){
	"a paused webhook holds, a resumed one goes on": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "p"})
		w.operator.post("/v1/webhooks/p/pause", nil).want(http.StatusOK).has("stateReason", "by_operator", "state", "paused", "paused", "true", "enabled", "true", "version", "2")
		w.operator.post("/v1/webhooks/p/pause", nil).want(http.StatusOK).has("version", "2")
		var ids []string
		for range 3 {
			ids = append(ids, w.deliveryOf(w.publish(doc{"type": "a.b"})))
		}
		for _, id := range ids {
			w.viewer.get("/v1/deliveries/"+id).want(http.StatusOK).has("state", "held", "stateReason", "paused", "attemptCount", "0")
		}
		w.viewer.get("/v1/webhooks/p/health").want(http.StatusOK).has("held", "3", "pending", "0", "running", "0")
		w.viewer.get("/v1/deliveries?state=held").want(http.StatusOK).has("data.2.state", "held", "data.3", "")
		w.viewer.get("/v1/deliveries?state=pending").want(http.StatusOK).has("data.0", "")
		w.operator.post("/v1/webhooks/p/resume", nil).want(http.StatusOK).has("released", "3", "webhook.state", "active", "webhook.version", "3")
		for _, id := range ids {
			w.await(id, "succeeded").has("attemptCount", "1", "stateReason", "")
		}
		w.operator.post("/v1/webhooks/p/resume", doc{"replay": "none"}).want(http.StatusOK).has("released", "0")
		w.operator.post("/v1/webhooks/p/resume", doc{"replay": "some"}).fault("/replay", "invalid_format")
		if n := len(r.Received()); n != 3 {
			w.t.Errorf("%d requests came, want 3", n)
		}
	},
	"what waits for its turn says so": func(w *world) {
		r := w.receiver()
		r.Respond(testkit.Answer{Hang: true})
		w.webhook(r, doc{"code": "one", "maxInFlight": 1, "eventTypes": []string{"a.b"}})
		first := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		r.WaitOpen(1)
		second := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		w.await(first, "running")
		w.waitsFor(second, "max_in_flight")
		r.Respond(testkit.Answer{Status: http.StatusOK})
		r.Release()
		w.await(second, "succeeded").has("stateReason", "")

		r = w.receiver()
		w.webhook(r, doc{"code": "slow", "eventTypes": []string{"c.d"}, "rateLimit": doc{"requests": 1, "per": "1h"}})
		first = w.deliveryOf(w.publish(doc{"type": "c.d"}))
		w.await(first, "succeeded")
		// One more is in hand and waits for its token, those after it wait in the queue.
		w.publish(doc{"type": "c.d"})
		last := w.deliveryOf(w.publish(doc{"type": "c.d"}))
		w.waitsFor(last, "rate_limited")
		w.operator.post("/v1/deliveries/"+last+"/skip", nil).want(http.StatusOK).has("state", "skipped", "stateReason", "by_operator")
	},
	"a disabled webhook gets nothing new": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "d"})
		w.operator.post("/v1/webhooks/d/pause", nil).want(http.StatusOK)
		id := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		w.admin.patch("/v1/webhooks/d", doc{"enabled": false}).want(http.StatusOK).has("state", "disabled", "paused", "true")
		w.viewer.get("/v1/deliveries/"+id).want(http.StatusOK).has("state", "held", "stateReason", "disabled")
		missed := w.publisher.post("/v1/events", doc{"type": "a.b"}).want(http.StatusAccepted).has("matched", "0").text("id")
		w.viewer.get("/v1/events/"+missed+"/matches").want(http.StatusOK).has("data.0.matched", "false", "data.0.reason", "disabled", "data.0.evaluated", "now")
		w.operator.post("/v1/webhooks/d/resume", nil).want(http.StatusOK).has("webhook.state", "disabled")
		w.admin.patch("/v1/webhooks/d", doc{"enabled": true}).want(http.StatusOK).has("state", "active")
		w.await(id, "succeeded")
		if n := len(r.Received()); n != 1 {
			w.t.Errorf("%d requests came, want 1", n)
		}
	},
	"410 suspends until somebody resumes": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "g"})
		r.Then(statusAnswer(http.StatusGone))
		w.deliver(doc{"type": "a.b"}, "failed").has("stateReason", "gone", "attemptCount", "1", "lastAttempt.status", "410")
		eventually(w.t, "the webhook to be suspended", func() bool {
			return w.viewer.get("/v1/webhooks/g").want(http.StatusOK).has("enabled", "true").text("state") == "suspended"
		})
		missed := w.publisher.post("/v1/events", doc{"type": "a.b"}).want(http.StatusAccepted).has("matched", "0").text("id")
		w.viewer.get("/v1/events/"+missed+"/matches").want(http.StatusOK).has("data.0.reason", "suspended")
		// CI does not bring it back, an explicit wish does.
		w.admin.put("/v1/webhooks/g", doc{"url": r.URL, "enabled": true}).want(http.StatusOK).has("state", "suspended", "stateReason", "gone")
		w.operator.post("/v1/webhooks/g/resume", nil).want(http.StatusOK).has("webhook.state", "active", "webhook.stateReason", "")
		w.deliver(doc{"type": "a.b"}, "succeeded")
		r.Then(statusAnswer(http.StatusGone))
		w.deliver(doc{"type": "a.b"}, "failed")
		eventually(w.t, "the webhook to be suspended", func() bool {
			return w.viewer.get("/v1/webhooks/g").want(http.StatusOK).text("state") == "suspended"
		})
		w.admin.patch("/v1/webhooks/g", doc{"enabled": true}).want(http.StatusOK).has("state", "active")
	},
	"a deleted webhook leaves its history": func(w *world) {
		r := w.receiver()
		id := w.webhook(r, doc{"code": "x", "name": "The old one"}).text("id")
		done := w.deliver(doc{"type": "a.b"}, "succeeded").text("id")
		w.operator.post("/v1/webhooks/x/pause", nil).want(http.StatusOK)
		event := w.publish(doc{"type": "a.b"})
		open := w.deliveryOf(event)
		w.admin.delete("/v1/webhooks/x").want(http.StatusNoContent)
		w.admin.delete("/v1/webhooks/x").problem(http.StatusNotFound, "not_found")
		w.await(open, "skipped").has("stateReason", "webhook_deleted")
		w.viewer.get("/v1/deliveries/"+done).want(http.StatusOK).has("state", "succeeded", "target.code", "x", "target.name", "The old one", "target.id", id)
		w.viewer.get("/v1/deliveries/" + done + "/attempts/1/request/body").want(http.StatusOK)
		if n := len(w.viewer.get("/v1/webhooks/" + id + "/deliveries").want(http.StatusOK).list("id")); n != 2 {
			w.t.Errorf("%d deliveries are left of 2", n)
		}
		w.viewer.get("/v1/events/"+event+"/matches").want(http.StatusOK).has("data.0.webhook.id", id, "data.0.matched", "true", "data.0.evaluated", "recorded", "data.0.delivery.state", "skipped")
		w.operator.post("/v1/deliveries/"+done+"/retry", nil).problem(http.StatusConflict, "invalid_state")
		next := w.webhook(r, doc{"code": "x", "name": "The old one"}).has("version", "1")
		if next.text("id") == id {
			w.t.Error("a new webhook took the old one's id")
		}
		w.viewer.get("/v1/webhooks/x/deliveries").want(http.StatusOK).has("data.0", "")
	},
	"pending deliveries go to the new URL": func(w *world) {
		old, next := w.receiver(), w.receiver()
		w.webhook(old, doc{"code": "move"})
		w.operator.post("/v1/webhooks/move/pause", nil).want(http.StatusOK)
		id := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		w.admin.patch("/v1/webhooks/move", doc{"url": next.URL + "/new"}).want(http.StatusOK)
		w.operator.post("/v1/webhooks/move/resume", nil).want(http.StatusOK)
		w.await(id, "succeeded").has("attempts.0.request.url", next.URL+"/new")
		if len(old.Received()) != 0 || next.Wait(1)[0].URL != "/new" {
			w.t.Error("it went to the old URL")
		}
	},
	"a redirect is a failure": func(w *world) {
		r, trap := w.receiver(), w.receiver()
		r.Respond(testkit.Answer{Status: http.StatusFound, Header: http.Header{"Location": {trap.URL}}})
		w.webhook(r, doc{"maxAttempts": 1})
		w.deliver(doc{"type": "a.b"}, "failed").has("lastAttempt.errorClass", "redirect", "lastAttempt.status", "302", "stateReason", "attempts_exhausted", "attempts.0.response.headers.2.name", "Location")
		if len(trap.Received()) != 0 {
			w.t.Error("the redirect was followed")
		}
	},
	"tries until the last attempt": func(w *world) {
		r := w.receiver()
		r.Respond(statusAnswer(http.StatusInternalServerError))
		w.webhook(r, doc{"code": "m", "profile": "mixpost", "secret": "my-secret", "maxAttempts": 3})
		a := w.deliver(doc{"type": "a.b", "entity": doc{"a": 1}}, "failed").
			has("stateReason", "attempts_exhausted", "attemptCount", "3", "maxAttempts", "3", "attempts.0.trigger", "first", "attempts.2.trigger", "retry", "attempts.2.number", "3", "attempts.3", "", "nextAttemptAt", "")
		all := r.Received()
		for _, q := range all {
			if string(q.Body) != string(all[0].Body) || q.Header.Get("X-Signature") != all[0].Header.Get("X-Signature") {
				w.t.Errorf("attempts differ:\n%s\n%s", q.Body, all[0].Body)
			}
		}
		if len(all) != 3 || a.text("finishedAt") == "" {
			w.t.Errorf("%d requests came, finished at %q", len(all), a.text("finishedAt"))
		}
		r.Then(statusAnswer(http.StatusInternalServerError))
		r.Respond(statusAnswer(http.StatusCreated))
		w.deliver(doc{"type": "a.b"}, "succeeded").has("attemptCount", "2", "attempts.0.outcome", "failed", "attempts.1.outcome", "succeeded", "attempts.1.errorClass", "")
		// Of this profile not even 204 is a success.
		r.Respond(statusAnswer(http.StatusNoContent))
		w.deliver(doc{"type": "a.b"}, "failed").has("lastAttempt.status", "204", "lastAttempt.errorClass", "status")
		w.healthy("m", "lastStatus", "204")
		w.healthy("m", "consecutiveFailures", "3").has("lastErrorClass", "status")
	},
	"Retry-After lengthens the wait": func(w *world) {
		r := w.receiver()
		r.Respond(testkit.Answer{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"120"}}})
		w.webhook(r, doc{})
		id := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		r.Wait(1)
		a := w.await(id, "pending").has("attemptCount", "1")
		due, err := time.Parse(time.RFC3339, a.text("nextAttemptAt"))
		if err != nil || time.Until(due) < 60*time.Second || time.Until(due) > 130*time.Second {
			w.t.Errorf("nextAttemptAt is %s", a.text("nextAttemptAt"))
		}
	},
	"kinds of failure": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "k", "maxAttempts": 1, "timeout": "1s"})
		r.Respond(testkit.Answer{Hang: true})
		w.deliver(doc{"type": "a.b"}, "failed").has("lastAttempt.errorClass", "timeout", "lastAttempt.status", "", "attempts.0.response", "")
		w.admin.patch("/v1/webhooks/k", doc{"timeout": "60s"}).want(http.StatusOK) // a slow machine, or its resolver, is no timeout
		r.Respond(testkit.Answer{Cut: true})
		w.deliver(doc{"type": "a.b"}, "failed").has("lastAttempt.errorClass", "reset")
		r.Respond(statusAnswer(http.StatusTeapot))
		w.deliver(doc{"type": "a.b"}, "failed").has("lastAttempt.errorClass", "status", "attempts.0.error", "receiver answered 418")
		w.admin.patch("/v1/webhooks/k", doc{"successCodes": []string{"2xx", "418"}}).want(http.StatusOK)
		w.deliver(doc{"type": "a.b"}, "succeeded").has("lastAttempt.status", "418")
		w.admin.patch("/v1/webhooks/k", doc{"url": strings.Replace(r.URL, "http:", "https:", 1)}).want(http.StatusOK)
		w.deliver(doc{"type": "a.b"}, "failed").has("lastAttempt.errorClass", "tls")
		w.admin.patch("/v1/webhooks/k", doc{"url": "http://no-such-host.invalid/"}).want(http.StatusOK)
		w.deliver(doc{"type": "a.b"}, "failed").has("lastAttempt.errorClass", "dns")
		w.admin.patch("/v1/webhooks/k", doc{"url": r.URL}).want(http.StatusOK)
		r.Stop()
		w.deliver(doc{"type": "a.b"}, "failed").has("lastAttempt.errorClass", "connect", "attempts.0.remoteAddress", "")
	},
	"failures in a row open the breaker": func(w *world) {
		r := w.receiver()
		r.Respond(statusAnswer(http.StatusBadGateway))
		w.webhook(r, doc{"code": "b", "maxAttempts": 1})
		for n := range 10 {
			w.deliver(doc{"type": "a.b", "id": "e" + strconv.Itoa(n)}, "failed")
		}
		w.healthy("b", "breaker.state", "open").has("consecutiveFailures", "10", "lastStatus", "502", "lastErrorClass", "status")
		id := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		a := w.viewer.get("/v1/deliveries/"+id).want(http.StatusOK).has("state", "pending", "stateReason", "breaker_open", "attemptCount", "0")
		if a.text("nextAttemptAt") == "" || len(r.Received()) != 10 {
			w.t.Errorf("with an open breaker %d requests came: %s", len(r.Received()), a.body)
		}
		// A test send asks the receiver all the same, and changes nothing.
		w.operator.post("/v1/webhooks/b/test", nil).want(http.StatusOK).has("outcome", "failed", "response.status", "502")
		w.viewer.get("/v1/webhooks/b/health").want(http.StatusOK).has("consecutiveFailures", "10")
	},
	"a test send, whatever the state": func(w *world) {
		r := w.receiver()
		secret := w.planted.given("test-send-secret-" + random(16))
		w.webhook(r, doc{"code": "t", "secret": secret, "eventTypes": []string{"order.paid", "order.*"}})
		w.admin.put("/v1/event-types/order.paid", doc{"sample": doc{"total": 12}}).want(http.StatusCreated)
		check := func(body any, eventType, entity string) {
			n := len(r.Received())
			a := w.operator.post("/v1/webhooks/t/test", body).want(http.StatusOK).has("outcome", "succeeded", "trigger", "test", "number", "1", "response.status", "200")
			q := r.Wait(n + 1)[n]
			if a.text("request.body") != string(q.Body) || !strings.Contains(string(q.Body), `"entity":`+entity+`,`) || q.Header.Get("X-Webhook-Event") != eventType {
				w.t.Errorf("the test sent %s", q.Body)
			}
			w.signed(q, secret)
			w.viewer.get("/v1/deliveries/"+a.text("deliveryId")).want(http.StatusOK).has("test", "true", "eventType", eventType, "maxAttempts", "1")
			w.await(a.text("deliveryId"), "succeeded")
		}
		check(nil, "order.paid", `{"total":12}`)
		w.operator.post("/v1/webhooks/t/pause", nil).want(http.StatusOK)
		check(doc{}, "order.paid", `{"total":12}`)
		w.admin.patch("/v1/webhooks/t", doc{"enabled": false}).want(http.StatusOK)
		check(doc{"eventType": "user.created"}, "user.created", `{"test":true}`)
		w.viewer.get("/v1/webhooks/t/health").want(http.StatusOK).has("lastSuccessAt", "", "lastFailureAt", "", "held", "0")
		r.Respond(statusAnswer(http.StatusGone))
		w.operator.post("/v1/webhooks/t/test", nil).want(http.StatusOK).has("outcome", "failed", "errorClass", "status")
		w.viewer.get("/v1/webhooks/t").want(http.StatusOK).has("state", "disabled", "stateReason", "by_owner")
		w.operator.post("/v1/webhooks/t/test", doc{"event": "a.b"}).fault("/event", "unknown_field")
	},
})
