package e2e

import (
	"net/http"
	"strconv"
	"strings"

	"sallyport/internal/testkit"
)

var _ = suite("deliveries", map[string]func(*world){
	"a retry by hand starts a fresh budget, its numbers go on": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"maxAttempts": 2})
		r.Respond(statusAnswer(http.StatusBadGateway))
		id := w.deliver(doc{"type": "a.b"}, "failed").has("attemptCount", "2", "maxAttempts", "2").text("id")
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted).heads("Location", "/v1/deliveries/"+id).has("id", id, "finishedAt", "")
		r.Wait(4)
		w.await(id, "failed").has("attemptCount", "4", "maxAttempts", "4", "attempts.2.number", "3", "attempts.2.trigger", "manual", "attempts.3.trigger", "retry")
		r.Respond(testkit.Answer{})
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted)
		w.await(id, "succeeded").has("attemptCount", "5", "attempts.4.number", "5", "attempts.4.outcome", "succeeded")
		// What succeeded can be sent again, too.
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted)
		all := r.Wait(6)
		w.await(id, "succeeded")
		for i, q := range all {
			if q.Header.Get("X-Webhook-Attempt") != strconv.Itoa(i+1) || q.Header.Get("webhook-id") != all[0].Header.Get("webhook-id") ||
				q.Header.Get("X-Webhook-Delivery-Id") != id || string(q.Body) != string(all[0].Body) {
				w.t.Errorf("attempt %d:\n%s\n%s", i+1, q.Head, q.Body)
			}
		}
	},
	"one that waits is due now": func(w *world) {
		r := w.receiver()
		r.Then(statusAnswer(http.StatusBadGateway))
		w.webhook(r, doc{"retry": doc{"schedule": []string{"1h"}, "jitter": 0}})
		id := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		r.Wait(1)
		if a := w.await(id, "pending"); a.text("nextAttemptAt") == "" || a.text("stateReason") != "retry_scheduled" {
			w.t.Errorf("it waits as %s", a.body)
		}
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted)
		w.await(id, "succeeded").has("attemptCount", "2", "maxAttempts", "10", "attempts.1.trigger", "manual")
	},
	"skipping gives up what waits": func(w *world) {
		r := w.receiver()
		r.Then(statusAnswer(http.StatusBadGateway))
		w.webhook(r, doc{"code": "s", "retry": doc{"schedule": []string{"1h"}, "jitter": 0}})
		id := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		r.Wait(1)
		w.await(id, "pending")
		w.operator.post("/v1/deliveries/"+id+"/skip", nil).want(http.StatusOK).has("state", "skipped", "stateReason", "by_operator", "nextAttemptAt", "")
		w.operator.post("/v1/deliveries/"+id+"/skip", nil).problem(http.StatusConflict, "invalid_state")
		w.operator.post("/v1/webhooks/s/pause", nil).want(http.StatusOK)
		held := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		w.operator.post("/v1/deliveries/"+held+"/skip", nil).want(http.StatusOK).has("state", "skipped", "stateReason", "by_operator")
		w.operator.post("/v1/webhooks/s/resume", nil).want(http.StatusOK).has("released", "0")
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted)
		w.await(id, "succeeded").has("stateReason", "")
		w.operator.post("/v1/deliveries/"+id+"/skip", nil).problem(http.StatusConflict, "invalid_state").says("succeeded")
		w.viewer.get("/v1/deliveries/"+held).want(http.StatusOK).has("state", "skipped")
	},
	"what is being sent is left alone": func(w *world) {
		r := w.receiver()
		r.Then(testkit.Answer{Hang: true})
		w.webhook(r, doc{"code": "run"})
		id := w.deliveryOf(w.publish(doc{"type": "a.b"}))
		r.WaitOpen(1)
		w.viewer.get("/v1/deliveries/"+id).want(http.StatusOK).has("state", "running", "stateReason", "", "attempts", "[]", "lastAttempt", "")
		w.viewer.get("/v1/deliveries?state=running").want(http.StatusOK).has("data.0.id", id)
		w.viewer.get("/v1/webhooks/run/health").want(http.StatusOK).has("running", "1")
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).problem(http.StatusConflict, "delivery_running").heads("Retry-After", "1")
		w.operator.post("/v1/deliveries/"+id+"/skip", nil).problem(http.StatusConflict, "delivery_running")
		r.Release()
		w.await(id, "succeeded")
	},
	"a long list, page by page": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "many"})
		w.webhook(w.receiver(), doc{"code": "other"})
		const total = 130
		for from := 0; from < total; from += 65 {
			var items []doc
			for i := from; i < from+65; i++ {
				items = append(items, doc{"id": "n" + strconv.Itoa(i), "type": "a.b", "entityId": i % 10})
			}
			w.publisher.post("/v1/events/batch", doc{"data": items}).want(http.StatusAccepted).has("accepted", "65")
		}
		r.Wait(total)
		eventually(w.t, "all to have succeeded", func() bool {
			return len(w.viewer.get("/v1/webhooks/many/deliveries?limit=500&state=succeeded").want(http.StatusOK).list("id")) == total
		})
		first := w.viewer.get("/v1/webhooks/many/deliveries").want(http.StatusOK)
		if n := len(first.list("id")); n != 100 || first.text("nextCursor") == "" {
			w.t.Errorf("the first page has %d rows", n)
		}
		rest := w.viewer.get("/v1/webhooks/many/deliveries?cursor="+first.text("nextCursor")).want(http.StatusOK).has("nextCursor", "")
		seen := map[string]bool{}
		last := "z"
		for _, id := range append(first.list("id"), rest.list("id")...) {
			if seen[id] || id > last {
				w.t.Errorf("%s is there twice or out of order", id)
			}
			seen[id], last = true, id
		}
		if len(seen) != total {
			w.t.Errorf("%d of %d deliveries listed", len(seen), total)
		}
		// Across webhooks, with every filter.
		for query, want := range map[string]int{
			"webhook=many": total, "webhook=many&webhook=other": 2 * total, "eventId=n7": 2, "eventId=n7&webhook=other": 1, "entityId=3": 26,
			"entityId=3&entityId=4&webhook=many": 26, "eventType=a.b&webhook=many": total, "eventType=a.c": 0, "state=failed": 0, "webhook=many&state=succeeded&state=failed": total,
			"since=2999-01-01T00:00:00Z": 0, "until=2999-01-01T00:00:00Z": 2 * total,
		} {
			eventually(w.t, query+" to find "+strconv.Itoa(want), func() bool {
				return len(w.viewer.get("/v1/deliveries?limit=500&"+query).want(http.StatusOK).list("id")) == want
			})
		}
		w.viewer.get("/v1/deliveries?webhook=none").problem(http.StatusNotFound, "not_found")
		w.viewer.get("/v1/events/n7").want(http.StatusOK).has("matched", "2", "deliveries.succeeded", "2")
	},
	"who got it, who not and why": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "got", "eventTypes": []string{"order.*"}})
		w.webhook(r, doc{"code": "other-type", "eventTypes": []string{"invoice.*"}})
		w.webhook(r, doc{"code": "off", "enabled": false})
		id := w.publish(doc{"id": "ord-7-paid", "type": "order.paid", "entityId": 7, "entity": doc{"total": 12}})
		delivery := w.await(w.deliveryOf(id), "succeeded").text("id")
		w.webhook(r, doc{"code": "later"})
		a := w.viewer.get("/v1/events/ord-7-paid/matches").want(http.StatusOK).has("nextCursor", "")
		got := map[string]string{}
		for i, code := range a.list("webhook.code") {
			row := "data." + strconv.Itoa(i) + "."
			got[code] = strings.Join([]string{a.text(row + "matched"), a.text(row + "reason"), a.text(row + "evaluated"), a.text(row + "delivery.id"), a.text(row + "delivery.state")}, " ")
			if code == "other-type" && !strings.Contains(a.text(row+"detail"), "invoice.*") {
				w.t.Errorf("the detail is %q", a.text(row+"detail"))
			}
		}
		for code, want := range map[string]string{
			"got": "true  recorded " + delivery + " succeeded", "other-type": "false event_type now  ", "off": "false disabled now  ", "later": "false created_later now  ",
		} {
			if got[code] != want {
				w.t.Errorf("%s: %q, want %q", code, got[code], want)
			}
		}
		// The operator's three calls at 3 a.m.
		w.viewer.get("/v1/events?type=order.paid&entityId=7&since=2020-01-01T00:00:00Z&until=2999-01-01T00:00:00Z").want(http.StatusOK).has("data.0.id", "ord-7-paid", "data.1", "")
		w.viewer.get("/v1/deliveries/"+delivery).want(http.StatusOK).has("attempts.-1.errorClass", "", "attempts.-1.response.status", "200", "attempts.-1.remoteAddress", r.Address())
	},
})
