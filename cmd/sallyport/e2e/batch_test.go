package e2e

import (
	"net/http"
	"strconv"
	"strings"
)

var _ = suite("batch", map[string]func(*world){
	"each item has its own fate": func(w *world) {
		w.publish(doc{"id": "old", "type": "a.b"})
		w.publish(doc{"id": "other", "type": "a.b"})
		a := w.publisher.post("/v1/events/batch", doc{"data": []doc{
			{"id": "new", "type": "a.b"}, {"id": "old", "type": "a.b"}, {"type": "a..b"}, {"id": "other", "type": "a.c"}, {"id": "new", "type": "a.b"}, {"id": "new", "type": "a.c"},
			{"type": "a.b", "entity": strings.Repeat("x", 1<<20)}, {"type": "Webhook.Suspended"},
		}}).want(http.StatusAccepted).heads("Idempotent-Replayed", "").has(
			"accepted", "1", "duplicates", "2", "rejected", "5",
			"data.0.status", "accepted", "data.0.receipt.id", "new", "data.0.receipt.duplicate", "false",
			"data.1.status", "duplicate", "data.1.receipt.id", "old", "data.1.receipt.duplicate", "true",
			"data.2.status", "rejected", "data.2.problem.code", "validation_failed", "data.2.problem.errors.0.pointer", "/data/2/type",
			"data.3.status", "rejected", "data.3.problem.code", "event_id_reused", "data.3.problem.field", "data[3].id",
			"data.4.status", "duplicate", "data.5.problem.code", "event_id_reused", "data.6.problem.code", "payload_too_large",
			"data.7.problem.field", "data[7].type", "data.7.problem.errors.0.pointer", "/data/7/type",
		)
		for i := range 8 {
			if a.number("data."+strconv.Itoa(i)+".index") != i {
				w.t.Errorf("item %d has another index: %s", i, a.body)
			}
		}
		w.viewer.get("/v1/events/new").want(http.StatusOK)
	},
	"only duplicates is a replay": func(w *world) {
		body := doc{"data": []doc{{"id": "a", "type": "a.b"}, {"id": "b", "type": "a.b"}}}
		w.publisher.post("/v1/events/batch", body).want(http.StatusAccepted).has("accepted", "2")
		w.publisher.post("/v1/events/batch", body).want(http.StatusAccepted).has("accepted", "0", "duplicates", "2").heads("Idempotent-Replayed", "true")
	},
	"nothing accepted is one problem": func(w *world) {
		w.publish(doc{"id": "taken", "type": "a.b"})
		w.publisher.post("/v1/events/batch", doc{"data": []doc{{"type": ""}, {"id": "taken", "type": "a.c"}}}).
			fault("/data/0/type", "invalid_format").fault("/data/1", "event_id_reused")
		w.publisher.post("/v1/events/batch", doc{"data": []doc{}}).fault("/data", "too_short")
		w.publisher.post("/v1/events/batch", doc{}).fault("/data", "required")
		w.publisher.post("/v1/events/batch", doc{"data": doc{}}).fault("/data", "invalid_format")
		w.publisher.post("/v1/events/batch", `[]`).fault("", "invalid_format")
		w.publisher.post("/v1/events/batch", `{"data":[1]}`).fault("/data/0", "invalid_format")
	},
	"Idempotency-Key numbers the items without an id": func(w *world) {
		body := doc{"data": []doc{{"type": "a.b"}, {"id": "mine", "type": "a.b"}, {"type": "a.b"}}}
		w.publisher.post("/v1/events/batch", body, "Idempotency-Key", "imp").want(http.StatusAccepted).
			has("data.0.receipt.id", "imp-0", "data.1.receipt.id", "mine", "data.2.receipt.id", "imp-2", "accepted", "3")
		w.publisher.post("/v1/events/batch", body, "Idempotency-Key", "imp").want(http.StatusAccepted).has("duplicates", "3").heads("Idempotent-Replayed", "true")
		w.publisher.post("/v1/events/batch", body, "Idempotency-Key", "a.b").problem(http.StatusBadRequest, "invalid_parameter").has("field", "Idempotency-Key")
	},
	"limits": func(w *world) {
		items := make([]doc, 1001)
		for i := range items {
			items[i] = doc{"type": "a.b"}
		}
		w.publisher.post("/v1/events/batch", doc{"data": items}).problem(http.StatusRequestEntityTooLarge, "too_many_items").says("1000")
		w.publisher.post("/v1/events/batch", doc{"data": items[:1000]}).want(http.StatusAccepted).has("accepted", "1000", "data.999.index", "999")
		w.publisher.post("/v1/events/batch", `{"data":["`+strings.Repeat("x", 16<<20)+`"]}`).problem(http.StatusRequestEntityTooLarge, "payload_too_large")
	},
	"every item reaches its webhook": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"eventTypes": []string{"order.*"}})
		var items []doc
		for i := range 120 {
			items = append(items, doc{"id": "n" + strconv.Itoa(i), "type": "order.n", "entity": i})
		}
		w.publisher.post("/v1/events/batch", doc{"data": items}).want(http.StatusAccepted).has("data.7.receipt.matched", "1")
		got := map[string]bool{}
		for _, q := range r.Wait(120) {
			got[q.Header.Get("webhook-id")] = true
		}
		if len(got) != 120 {
			w.t.Errorf("%d of 120 events arrived", len(got))
		}
	},
})
