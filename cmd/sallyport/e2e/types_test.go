package e2e

import (
	"net/http"
	"slices"
	"strings"
)

var _ = suite("types", map[string]func(*world){
	"publishing adds to the catalogue": func(w *world) {
		w.publish(doc{"type": "order.paid"})
		eventually(w.t, "lastPublishedAt", func() bool {
			return w.viewer.get("/v1/event-types/order.paid").want(http.StatusOK).has("description", "", "schema", "", "operational", "false").text("lastPublishedAt") != ""
		})
		w.admin.put("/v1/event-types/order.sent", doc{"description": "Gone out."}).want(http.StatusCreated).has("lastPublishedAt", "", "mode", "reject")
		names := w.viewer.get("/v1/event-types").want(http.StatusOK).list("name")
		if !slices.Contains(names, "order.paid") || !slices.Contains(names, "order.sent") || !slices.Contains(names, "Webhook.Suspended") {
			w.t.Errorf("the catalogue has %v", names)
		}
	},
	"our own types are named, not matched, and not published": func(w *world) {
		w.viewer.get("/v1/event-types/Webhook.Suspended").want(http.StatusOK).has("operational", "true")
		w.publisher.post("/v1/events", doc{"type": "Webhook.Suspended"}).fault("/type", "invalid_format")
		w.admin.delete("/v1/event-types/Webhook.Suspended").problem(http.StatusConflict, "invalid_state")
		gone, named, all := w.receiver(), w.receiver(), w.receiver()
		gone.Respond(statusAnswer(http.StatusGone))
		w.webhook(gone, doc{"code": "gone", "eventTypes": []string{"order.*"}})
		w.webhook(named, doc{"code": "named", "eventTypes": []string{"Webhook.Suspended"}})
		w.webhook(all, doc{"code": "all"})
		w.publish(doc{"type": "order.paid"})
		got := named.Wait(1)[0]
		if got.Header.Get("X-Webhook-Event") != "Webhook.Suspended" || !strings.Contains(string(got.Body), `"gone"`) {
			w.t.Errorf("told of the suspension: %s %s", got.Head, got.Body)
		}
		w.admin.get("/v1/webhooks/gone").want(http.StatusOK).has("state", "suspended", "stateReason", "gone", "enabled", "true")
		for _, q := range all.Wait(1) {
			if q.Header.Get("X-Webhook-Event") != "order.paid" {
				w.t.Errorf("a webhook for all events was told of %s", q.Header.Get("X-Webhook-Event"))
			}
		}
	},
	"a schema refuses, warns or is off": func(w *world) {
		schema := doc{"type": "object", "required": []string{"total"}, "properties": doc{"total": doc{"type": "number", "minimum": 0}}}
		w.admin.put("/v1/event-types/order.paid", doc{"schema": schema}).want(http.StatusCreated)
		a := w.publisher.post("/v1/events", doc{"type": "order.paid", "entity": doc{"total": -1}}).problem(http.StatusUnprocessableEntity, "schema_mismatch")
		if !strings.Contains(a.text("errors"), "/entity/total") {
			w.t.Errorf("it does not say where: %s", a.body)
		}
		w.publisher.post("/v1/events", doc{"type": "order.paid"}).problem(http.StatusUnprocessableEntity, "schema_mismatch")
		w.publisher.post("/v1/events", doc{"type": "order.paid", "entity": doc{"total": 1.5}}).want(http.StatusAccepted)
		w.publisher.post("/v1/events/batch", doc{"data": []doc{{"type": "order.paid"}, {"type": "order.paid", "entity": doc{"total": 1}}}}).
			want(http.StatusAccepted).has("data.0.problem.code", "schema_mismatch", "data.1.status", "accepted")
		w.publisher.post("/v1/events/batch", doc{"data": []doc{{"type": "order.paid", "entity": doc{"total": -1}}, {"type": "order.paid"}}}).
			fault("/data/0/entity/total", "schema_mismatch").fault("/data/1", "schema_mismatch")

		w.admin.patch("/v1/event-types/order.paid", doc{"mode": "warn"}).want(http.StatusOK).heads("Sallyport-Changed", "mode")
		wrong := doc{"type": "order.paid", "entity": doc{"total": -1}}
		w.publisher.post("/v1/events", wrong).want(http.StatusAccepted).has("warnings.0.pointer", "/entity/total", "warnings.0.code", "schema_mismatch", "warnings.1", "")
		w.publisher.post("/v1/events", doc{"type": "order.paid"}).want(http.StatusAccepted).has("warnings.0.field", "entity")
		w.publisher.post("/v1/events", doc{"type": "order.paid", "entity": doc{"total": 1}}).want(http.StatusAccepted).has("warnings", "")
		w.publisher.post("/v1/events/batch", doc{"data": []doc{{"type": "other"}, wrong}}).want(http.StatusAccepted).
			has("data.0.receipt.warnings", "", "data.1.receipt.warnings.0.pointer", "/data/1/entity/total")
		eventually(w.t, "the log to say so", func() bool { return strings.Contains(w.said(), `"msg":"publish.schema_mismatch"`) })
		w.admin.patch("/v1/event-types/order.paid", doc{"mode": "off"}).want(http.StatusOK)
		w.publisher.post("/v1/events", wrong).want(http.StatusAccepted).has("warnings", "")
		w.admin.put("/v1/event-types/order.sent", doc{"schema": doc{"type": "objekt"}}).fault("/schema", "invalid_format").says("/type: value must be one of")
		w.admin.put("/v1/event-types/order.sent", doc{"mode": "loud"}).fault("/mode", "invalid_format")
	},
	"a strict workspace knows its types": func(w *world) {
		w.platform.patch("/v1/workspaces/"+w.workspace, doc{"strict": true}).want(http.StatusOK)
		w.publisher.post("/v1/events", doc{"type": "order.paid"}).fault("/type", "unknown_event_type")
		w.admin.post("/v1/webhooks", doc{"code": "a", "url": "https://a.example", "eventTypes": []string{"order.*", "order.paid"}}).fault("/eventTypes/1", "unknown_event_type")
		w.admin.post("/v1/event-types", doc{"name": "order.paid"}).want(http.StatusCreated)
		w.admin.post("/v1/webhooks", doc{"code": "a", "url": "https://a.example", "eventTypes": []string{"order.*", "order.paid"}}).want(http.StatusCreated).has("warnings", `["no_secret"]`)
		w.publish(doc{"type": "order.paid"})
		w.publisher.post("/v1/events", doc{"type": "order.payed"}).fault("/type", "unknown_event_type")
		w.viewer.get("/v1/event-types/order.payed").problem(http.StatusNotFound, "not_found")
	},
	"a subscription to a name nobody knows warns": func(w *world) {
		w.publish(doc{"type": "post.publishing_failed"})
		a := w.admin.post("/v1/webhooks", doc{"code": "typo", "url": "https://a.example", "eventTypes": []string{"post.publishing_faild"}}).want(http.StatusCreated)
		if !strings.Contains(a.text("warnings"), "unknown_event_type") || !strings.Contains(a.text("warnings"), "post.publishing_failed") {
			w.t.Errorf("warnings are %s", a.text("warnings"))
		}
		w.viewer.get("/v1/event-types/post.publishing_faild").problem(http.StatusNotFound, "not_found")
	},
	"a name, once": func(w *world) {
		w.admin.post("/v1/event-types", doc{"name": "order.paid"}).want(http.StatusCreated)
		w.admin.post("/v1/event-types", doc{"name": "order.paid"}).problem(http.StatusConflict, "name_taken")
		w.admin.post("/v1/event-types", doc{}).fault("/name", "required")
		w.admin.post("/v1/event-types", doc{"name": "order..paid"}).fault("/name", "invalid_format")
		w.admin.put("/v1/event-types/order.paid", doc{"description": strings.Repeat("x", 2001)}).fault("/description", "too_long")
		w.admin.patch("/v1/event-types/order.paid", doc{"archived": true, "sample": doc{"a": 1}}).want(http.StatusOK).has("archived", "true", "sample.a", "1")
		w.admin.delete("/v1/event-types/order.paid").want(http.StatusNoContent)
	},
})
