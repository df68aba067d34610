package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

var _ = suite("publish", map[string]func(*world){
	"the same again is answered with the first receipt": func(w *world) {
		event := doc{"id": "ord-7-paid", "type": "order.paid", "entityId": 7, "entity": doc{"total": 12}}
		first := w.publisher.post("/v1/events", event).want(http.StatusAccepted).
			has("id", "ord-7-paid", "type", "order.paid", "matched", "0", "duplicate", "false").
			heads("Idempotent-Replayed", "", "Location", "/v1/events/ord-7-paid")
		w.webhook(w.receiver(), doc{}) // matched now would be another number
		w.publisher.post("/v1/events", event).want(http.StatusAccepted).
			has("id", "ord-7-paid", "matched", "0", "duplicate", "true", "acceptedAt", first.text("acceptedAt")).
			heads("Idempotent-Replayed", "true", "Location", "/v1/events/ord-7-paid")
		// The same id stands for the same content, whoever asks.
		w.admin.post("/v1/events", event).want(http.StatusAccepted).has("duplicate", "true")
		for _, other := range []doc{{"entity": doc{"total": 13}}, {"entityId": "7"}, {"type": "order.sent"}, {"entityUrl": "https://a.example/7"}} {
			w.publisher.post("/v1/events", event.with(other)).problem(http.StatusConflict, "event_id_reused")
		}
	},
	"Idempotency-Key stands for the id": func(w *world) {
		event := doc{"type": "order.paid", "entityId": 7}
		w.publisher.post("/v1/events", event, "Idempotency-Key", "key-1").want(http.StatusAccepted).has("id", "key-1", "duplicate", "false")
		w.publisher.post("/v1/events", event, "Idempotency-Key", "key-1").want(http.StatusAccepted).has("id", "key-1", "duplicate", "true").heads("Idempotent-Replayed", "true")
		w.publisher.post("/v1/events", event.with(doc{"id": "key-1"})).want(http.StatusAccepted).has("duplicate", "true")
		w.publisher.post("/v1/events", event.with(doc{"id": "key-1"}), "Idempotency-Key", "key-1").want(http.StatusAccepted).has("duplicate", "true")
		w.publisher.post("/v1/events", event.with(doc{"id": "key-2"}), "Idempotency-Key", "key-1").problem(http.StatusBadRequest, "invalid_parameter").has("field", "Idempotency-Key")
		w.publisher.post("/v1/events", event.with(doc{"entityId": 8}), "Idempotency-Key", "key-1").problem(http.StatusConflict, "event_id_reused")
		for _, key := range []string{"a.b", "a b", "ä", strings.Repeat("x", 129)} {
			w.publisher.post("/v1/events", event, "Idempotency-Key", key).problem(http.StatusBadRequest, "invalid_parameter").has("field", "Idempotency-Key")
		}
	},
	"an event shows what it was given, and nothing else": func(w *world) {
		w.publisher.post("/v1/events", doc{"id": "full", "type": "order.paid", "entityId": "A-7", "entity": doc{"a": nil}, "entityUrl": "https://shop.example/7", "timestamp": "2020-05-02T16:20:00.2079+02:00"}).want(http.StatusAccepted)
		w.viewer.get("/v1/events/full").want(http.StatusOK).has("entityId", "A-7", "entityUrl", "https://shop.example/7", "timestamp", "2020-05-02T14:20:00.207Z", "hops", "0", "matched", "0", "deliveries", "{}")
		w.publish(doc{"id": "bare", "type": "order.paid"})
		a := w.viewer.get("/v1/events/bare").want(http.StatusOK)
		for _, member := range []string{"entityId", "entity", "entityUrl"} {
			if _, there := a.at0()[member]; there {
				w.t.Errorf("%s is shown of an event without: %s", member, a.body)
			}
		}
		at, errAt := time.Parse(time.RFC3339, a.text("timestamp"))
		accepted, err := time.Parse(time.RFC3339, a.text("acceptedAt"))
		if errAt != nil || err != nil || accepted.Sub(at).Abs() > patience {
			w.t.Errorf("timestamp %s is not now, %s", a.text("timestamp"), a.text("acceptedAt"))
		}
		if _, there := w.viewer.get("/v1/events").want(http.StatusOK).at("data.1").(map[string]any)["entity"]; there {
			w.t.Error("a list carries entities")
		}
		id := w.publish(doc{"type": "order.paid"})
		if len(id) != 36 {
			w.t.Errorf("our own id is %q", id)
		}
	},
	"entity bytes come back as they came": func(w *world) {
		for n, entity := range entities {
			id := "bytes-" + strconv.Itoa(n)
			w.publisher.post("/v1/events", `{"id":"`+id+`","type":"a.b","entity": `+entity+` }`).want(http.StatusAccepted)
			if a := w.viewer.get("/v1/events/" + id).want(http.StatusOK); !strings.Contains(string(a.body), `"entity":`+entity+`}`) {
				w.t.Errorf("the entity %s came back in %s", entity, a.body)
			}
		}
	},
	"faults of an event": func(w *world) {
		for _, c := range []struct {
			body          string
			pointer, code string
		}{
			{`{}`, "/type", "required"},
			{`{"type":""}`, "/type", "invalid_format"},
			{`{"type":"a..b"}`, "/type", "invalid_format"},
			{`{"type":"` + strings.Repeat("a", 129) + `"}`, "/type", "invalid_format"},
			{`{"type":"a.b","id":"a.b"}`, "/id", "invalid_format"},
			{`{"type":"a.b","id":""}`, "/id", "invalid_format"},
			{`{"type":"a.b","id":7}`, "/id", "invalid_format"},
			{`{"type":"a.b","entityId":1.5}`, "/entityId", "invalid_format"},
			{`{"type":"a.b","entityId":{}}`, "/entityId", "invalid_format"},
			{`{"type":"a.b","entityId":""}`, "/entityId", "too_short"},
			{`{"type":"a.b","entityId":"` + strings.Repeat("a", 513) + `"}`, "/entityId", "too_long"},
			{`{"type":"a.b","entityUrl":"not a url"}`, "/entityUrl", "invalid_url"},
			{`{"type":"a.b","timestamp":1588429200207}`, "/timestamp", "invalid_format"},
			{`{"type":"a.b","timestamp":"2020-05-02"}`, "/timestamp", "invalid_format"},
			{`{"type":"a.b","extra":1}`, "/extra", "unknown_field"},
			{`[]`, "", "invalid_format"},
		} {
			w.publisher.post("/v1/events", c.body).fault(c.pointer, c.code)
		}
	},
	"an event without anybody to tell is kept": func(w *world) {
		w.publish(doc{"id": "lonely", "type": "a.b"})
		w.viewer.get("/v1/events/lonely").want(http.StatusOK).has("matched", "0")
		w.viewer.get("/v1/events/lonely/deliveries").want(http.StatusOK).has("data.0", "")
		w.viewer.get("/v1/events/lonely/matches").want(http.StatusOK).has("data.0", "")
	},
})

// entities are documents that a parser and printer would change.
var entities = []string{
	`{"a":1,"a":2}`, `1.10`, `-0`, `12345678901234567890`, `0.10000000000000000000000000001`, `"<script>&amp;\u003c</script>"`, `"\u0000"`, `"\ud800"`,
	`"caf\u00e9 café \/ /"`, `{ "z" : 1 ,` + "\t" + `"a":[ ] }`, `null`, `false`, `[]`, `""`, "{\n\"x\":\r\n1}", `"` + "\u2028\u2029" + `"`, `{"":{"":0}}`,
}
