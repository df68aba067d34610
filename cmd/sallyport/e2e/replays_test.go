package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/testkit"
)

// replay starts a replay and returns its id.
func (w *world) replay(spec doc) string {
	w.t.Helper()
	a := w.operator.post("/v1/replays", spec).want(http.StatusAccepted)
	id := a.text("id")
	a.heads("Location", "/v1/replays/"+id).has("createdBy.id", keyOf(w.operator))
	return id
}

// replayed waits until a replay has ended, and returns it.
func (w *world) replayed(id string) *answer {
	w.t.Helper()
	var a *answer
	eventually(w.t, "the replay to end", func() bool {
		a = w.viewer.get("/v1/replays/" + id).want(http.StatusOK)
		return a.text("finishedAt") != ""
	})
	return a.has("state", "succeeded", "stateReason", "")
}

// accepted is when an event was.
func (w *world) accepted(event string) string {
	w.t.Helper()
	return w.viewer.get("/v1/events/" + event).want(http.StatusOK).text("acceptedAt")
}

// wireIDs counts the message ids that a receiver was sent.
func wireIDs(requests []testkit.Received) map[string]int {
	out := map[string]int{}
	for _, q := range requests {
		out[q.Header.Get("webhook-id")]++
	}
	return out
}

// ids are event ids of a test, from..to.
func eventIDs(from, to int) (ids []string) {
	for n := from; n <= to; n++ {
		ids = append(ids, "e-"+strconv.Itoa(n))
	}
	return ids
}

func (w *world) publishAll(ids []string, more doc) {
	w.t.Helper()
	events := make([]doc, len(ids))
	for i, id := range ids {
		events[i] = doc{"id": id, "type": "order.paid", "entityId": i, "entity": doc{"n": i}}.with(more)
	}
	w.publisher.post("/v1/events/batch", doc{"data": events}).want(http.StatusAccepted).has("accepted", strconv.Itoa(len(ids)))
}

var _ = suite("replays", map[string]func(*world){
	"a suspension leaves no hole": func(w *world) {
		r := w.receiver()
		r.Respond(statusAnswer(http.StatusGone))
		w.webhook(r, doc{"code": "erp", "eventTypes": []string{"order.*"}})
		w.deliver(doc{"id": "the-410", "type": "order.paid"}, "failed").has("stateReason", "gone")
		eventually(w.t, "the webhook to be suspended", func() bool {
			return w.viewer.get("/v1/webhooks/erp").want(http.StatusOK).text("state") == "suspended"
		})
		missed := eventIDs(1, 40)
		w.publishAll(missed, doc{})
		w.publish(doc{"type": "invoice.paid"}) // none of its business
		if n := len(r.Received()); n != 1 {
			w.t.Fatalf("%d requests came while it was suspended", n)
		}
		w.operator.post("/v1/replays", doc{"webhook": "erp", "include": "missed", "since": "2026-01-01T00:00:00Z"}).
			problem(http.StatusConflict, "invalid_state").says("resume")
		r.Respond(statusAnswer(http.StatusOK))
		a := w.operator.post("/v1/webhooks/erp/resume", doc{"replay": "missed"}).want(http.StatusOK).has("released", "0", "webhook.state", "active")
		// What comes from now on is neither lost nor sent twice, whatever the replay looks at.
		fresh := eventIDs(101, 140)
		w.publishAll(fresh, doc{})
		w.replayed(a.text("replayId")).has("include", "missed", "total", "40", "done", "40", "skipped", "0", "webhook.code", "erp", "states", "[]")
		w.operator.post("/v1/webhooks/erp/resume", doc{"replay": "missed"}).problem(http.StatusConflict, "invalid_state").says("/v1/replays")
		got := wireIDs(r.Wait(81))
		for _, id := range slices.Concat(missed, fresh, []string{"the-410"}) {
			if got[id] != 1 {
				w.t.Errorf("the receiver got %s %d times", id, got[id])
			}
		}
		if len(got) != 81 {
			w.t.Errorf("the receiver got %d events", len(got))
		}
		// Another look finds nothing; the one that was answered 410 can be sent again.
		since := w.accepted("the-410")
		w.operator.post("/v1/replays", doc{"webhook": "erp", "include": "missed", "since": since, "dryRun": true}).want(http.StatusOK).
			has("total", "0", "complete", "true", "upTo", "")
		w.replayed(w.replay(doc{"webhook": "erp"})).has("done", "1", "include", "failed", "since", "")
		r.WaitFor("the first again", func(got []testkit.Received) bool { return wireIDs(got)["the-410"] == 2 })
		w.await(w.deliveryOf("the-410"), "succeeded").has("attemptCount", "2", "maxAttempts", "11", "attempts.1.trigger", "replay")
	},
	"what failed is sent again, under new ids if asked": func(w *world) {
		r := w.receiver()
		r.Respond(statusAnswer(http.StatusInternalServerError))
		secret := w.webhook(r, doc{"code": "erp", "maxAttempts": 1, "generateSecret": true}).text("secret")
		ids := eventIDs(1, 6)
		w.publishAll(ids, doc{})
		for _, id := range ids {
			w.await(w.deliveryOf(id), "failed")
		}
		r.Respond(statusAnswer(http.StatusOK))
		spec := doc{"webhook": "erp", "eventTypes": []string{"order.*"}}
		w.operator.post("/v1/replays", spec.with(doc{"dryRun": true})).want(http.StatusOK).has("total", "6", "skipped", "0", "complete", "true")
		w.operator.post("/v1/replays", spec.with(doc{"dryRun": true, "eventTypes": []string{"invoice.*"}})).want(http.StatusOK).has("total", "0")
		w.operator.post("/v1/replays", spec.with(doc{"dryRun": true, "entityId": 3})).want(http.StatusOK).has("total", "1")
		w.viewer.get("/v1/replays").want(http.StatusOK).has("data", "[]")
		first := w.operator.post("/v1/replays", spec.with(doc{"freshIds": true}), "Idempotency-Key", "tonight").want(http.StatusAccepted)
		w.operator.post("/v1/replays", spec.with(doc{"freshIds": true}), "Idempotency-Key", "tonight").want(http.StatusAccepted).
			has("id", first.text("id")).heads("Idempotent-Replayed", "true")
		w.replayed(first.text("id")).has("done", "6", "total", "6")
		for _, q := range r.Wait(12)[6:] {
			id := q.Header.Get("webhook-id")
			plain, is := strings.CutSuffix(id, "-r2")
			if !is || !slices.Contains(ids, plain) || q.Header.Get("X-Webhook-Event-Id") != id || !strings.Contains(string(q.Body), `"`+id+`"`) {
				w.t.Errorf("it came as %s: %s", id, q.Body)
			}
			w.signed(q, secret)
		}
		since := w.accepted("e-1")
		for _, id := range ids {
			w.await(w.deliveryOf(id), "succeeded").has("replayId", first.text("id"))
		}
		again := w.replay(doc{"states": []string{"succeeded", "failed"}, "since": since, "freshIds": true, "rate": 1000})
		w.replayed(again).has("done", "6", "webhook", "", "rate", "1000")
		third := wireIDs(r.Wait(18)[12:])
		for _, id := range ids {
			if third[id+"-r3"] != 1 {
				w.t.Errorf("the third time the ids are %v", slices.Collect(maps.Keys(third)))
			}
		}
		done := w.await(w.deliveryOf("e-1"), "succeeded").has("attemptCount", "3", "replayId", again)
		if body := done.text("attempts.2.request.body"); !strings.Contains(body, `"e-1-r3"`) {
			w.t.Errorf("the record shows %s", body)
		}
		if n := len(w.viewer.get("/v1/deliveries?replayId=" + again).want(http.StatusOK).list("id")); n != 6 {
			w.t.Errorf("%d deliveries of the replay are listed", n)
		}
		w.viewer.get("/v1/deliveries?replayId="+first.text("id")).want(http.StatusOK).has("data", "[]")
		w.viewer.get("/v1/replays?state=succeeded&webhook=erp&order=asc&limit=1").want(http.StatusOK).has("data.0.id", first.text("id"), "data.1", "", "nextCursor", "")
	},
	"a replay is paused, resumed and cancelled": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "erp"})
		ids := eventIDs(1, 60)
		w.publishAll(ids, doc{})
		r.Wait(60)
		eventually(w.t, "all to have succeeded", func() bool {
			return len(w.viewer.get("/v1/deliveries?state=succeeded").want(http.StatusOK).list("id")) == 60
		})
		// Two a second: it is not done before the test is.
		id := w.replay(doc{"webhook": "erp", "states": []string{"succeeded"}, "since": w.accepted("e-1"), "rate": 2})
		progress := func(beyond int) int {
			w.t.Helper()
			done := 0
			eventually(w.t, "the replay to get on", func() bool {
				done = w.viewer.get("/v1/replays/"+id).want(http.StatusOK).has("total", "60", "state", "running").number("done")
				return done > beyond
			})
			return done
		}
		eventually(w.t, "it to be counted", func() bool { return w.viewer.get("/v1/replays/"+id).text("total") == "60" })
		progress(0)
		paused := w.operator.post("/v1/replays/"+id+"/pause", nil).want(http.StatusOK).has("state", "paused", "stateReason", "by_operator").number("done")
		w.operator.post("/v1/replays/"+id+"/pause", nil).want(http.StatusOK).has("state", "paused")
		w.deliver(doc{"type": "a.b"}, "succeeded")
		w.viewer.get("/v1/replays/"+id).want(http.StatusOK).has("done", strconv.Itoa(paused))
		if n := len(w.viewer.get("/v1/deliveries?replayId=" + id).want(http.StatusOK).list("id")); n != paused {
			w.t.Errorf("%d deliveries say that they were replayed, %d were", n, paused)
		}
		w.operator.post("/v1/replays/"+id+"/resume", nil).want(http.StatusOK).has("state", "running")
		w.operator.post("/v1/replays/"+id+"/resume", nil).want(http.StatusOK)
		progress(paused)
		w.operator.post("/v1/replays/"+id+"/cancel", nil).want(http.StatusOK).has("state", "cancelled")
		ended := w.operator.post("/v1/replays/"+id+"/cancel", nil).want(http.StatusOK).has("state", "cancelled", "stateReason", "by_operator")
		if n := ended.number("done"); n >= 60 || ended.text("finishedAt") == "" {
			w.t.Errorf("cancelled: %s", ended.body)
		}
		w.operator.post("/v1/replays/"+id+"/pause", nil).problem(http.StatusConflict, "invalid_state")
		w.operator.post("/v1/replays/"+id+"/resume", nil).problem(http.StatusConflict, "invalid_state")
		w.viewer.get("/v1/audit-log?kind=replay").problem(http.StatusForbidden, "forbidden")
		// One whose webhook is deleted ends by itself.
		gone := w.replay(doc{"webhook": "erp", "states": []string{"succeeded"}, "since": w.accepted("e-1"), "rate": 1})
		w.admin.delete("/v1/webhooks/erp").want(http.StatusNoContent)
		eventually(w.t, "it to end", func() bool { return w.viewer.get("/v1/replays/"+gone).text("state") == "cancelled" })
		w.viewer.get("/v1/replays/"+gone).has("stateReason", "webhook_deleted", "webhook.code", "erp")
	},
	"a new webhook gets what it would have got": func(w *world) {
		old, late := w.receiver(), w.receiver()
		w.webhook(old, doc{"code": "old", "eventTypes": []string{"a.b"}})
		w.action("note", "publishEvent", doc{"type": "noted.{{ item.n }}"})
		w.door("stock", doc{"routes": to("note")})
		first := w.publish(doc{"type": "a.b", "entity": doc{"n": 1}})
		for _, n := range []int{0, 5, 6} {
			w.publish(doc{"type": "a.b", "entity": doc{"n": n}})
		}
		// An item of a door is for its routes, a test is for who is tested, and our own events are
		// for who names them.
		w.nobody.post(w.in("stock"), `{"n":7}`).want(http.StatusAccepted)
		eventually(w.t, "the action's event", func() bool {
			return len(w.viewer.get("/v1/events?type=noted.7").want(http.StatusOK).list("id")) == 1
		})
		w.operator.post("/v1/webhooks/old/test", nil).want(http.StatusOK)
		w.webhook(late, doc{"code": "late", "filter": "event.type != 'a.b' or 12 / event.entity.n < 3"})
		spec := doc{"webhook": "late", "include": "missed", "since": w.accepted(first)}
		w.operator.post("/v1/replays", spec.with(doc{"dryRun": true})).want(http.StatusOK).has("total", "4", "skipped", "1")
		id := w.replay(spec)
		w.replayed(id).has("done", "3", "skipped", "1", "total", "4")
		bodies := late.Wait(3)
		if types := wireTypes(bodies); types["a.b"] != 2 || types["noted.7"] != 1 {
			w.t.Errorf("it got %v", types)
		}
		w.viewer.get("/v1/deliveries?webhook=late&state=skipped").want(http.StatusOK).has("data.0.stateReason", "condition_error", "data.0.replayId", id, "data.1", "")
		w.replayed(w.replay(spec)).has("done", "0", "total", "0")
		w.deliver(doc{"type": "a.c"}, "succeeded")
		if n := len(late.Wait(4)); n != 4 {
			w.t.Errorf("%d requests came, want 4", n)
		}
	},
	"actions are replayed": func(w *world) {
		r := w.receiver()
		w.action("send", "httpRequest", doc{"url": r.URL + "/{{ item.n }}"}, doc{"maxAttempts": 1})
		w.door("stock", doc{"routes": to("send")})
		r.Then(statusAnswer(http.StatusInternalServerError))
		for n := range 3 {
			w.nobody.post(w.in("stock"), doc{"n": n}).want(http.StatusAccepted)
		}
		r.Wait(3)
		eventually(w.t, "all to have ended", func() bool {
			return len(w.viewer.get("/v1/deliveries?state=failed&state=succeeded").want(http.StatusOK).list("id")) == 3
		})
		w.replayed(w.replay(doc{"action": "send"})).has("done", "1", "action.code", "send", "webhook", "")
		r.Wait(4)
		eventually(w.t, "all to have succeeded", func() bool {
			return len(w.viewer.get("/v1/deliveries?state=succeeded").want(http.StatusOK).list("id")) == 3
		})
		w.replayed(w.replay(doc{"action": "send", "include": "all", "since": "2026-01-01T00:00:00Z"})).has("done", "3")
		r.Wait(7)
		w.operator.post("/v1/replays", doc{"action": "send", "include": "missed", "since": "2026-01-01T00:00:00Z"}).fault("/include", "invalid_format")
	},
	"replays are refused what would be too much": func(w *world) {
		w.webhook(w.receiver(), doc{"code": "erp"})
		w.operator.post("/v1/replays", doc{"include": "all"}).fault("/since", "required").says("only for include failed")
		w.operator.post("/v1/replays", doc{"webhook": "epr"}).problem(http.StatusNotFound, "not_found").has("field", "webhook")
		w.operator.post("/v1/replays", doc{"webhok": "erp"}).fault("/webhok", "unknown_field").says("webhook")
		w.operator.post("/v1/replays", nil).problem(http.StatusBadRequest, "malformed_json")
		w.viewer.post("/v1/replays", doc{}).problem(http.StatusForbidden, "forbidden")
		w.viewer.get("/v1/replays?stat=running").problem(http.StatusBadRequest, "unknown_parameter")
		w.viewer.get("/v1/replays/019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a").problem(http.StatusNotFound, "not_found")
		w.operator.post("/v1/replays/019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a/pause", nil).problem(http.StatusNotFound, "not_found")
	},
})

// wireTypes counts the event types that a receiver was sent.
func wireTypes(requests []testkit.Received) map[string]int {
	out := map[string]int{}
	for _, q := range requests {
		out[q.Header.Get("X-Webhook-Event")]++
	}
	return out
}
