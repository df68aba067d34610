package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
)

var _ = suite("filters", map[string]func(*world){
	"a filter decides, and the matches say why": func(w *world) {
		all, some := w.receiver(), w.receiver()
		w.webhook(all, doc{"code": "all"})
		w.webhook(some, doc{"code": "some", "filter": "event.entity.status == 'paid' and event.entity.total > 100"}).
			has("filter", "event.entity.status == 'paid' and event.entity.total > 100")
		big := w.publish(doc{"type": "order.paid", "entity": doc{"status": "paid", "total": 129.9}})
		some.Wait(1)
		small := w.publish(doc{"type": "order.paid", "entity": doc{"status": "paid", "total": 12}})
		all.Wait(2)
		w.viewer.get("/v1/events/"+big).want(http.StatusOK).has("matched", "2")
		w.viewer.get("/v1/events/"+small).want(http.StatusOK).has("matched", "1")
		w.viewer.get("/v1/events/"+small+"/matches").want(http.StatusOK).has("data.1.matched", "false", "data.1.reason", "filter",
			"data.1.detail", "event.entity.status == 'paid' and event.entity.total > 100 was false", "data.1.evaluated", "now")
		if n := len(some.Wait(1)); n != 1 {
			w.t.Errorf("%d requests passed the filter", n)
		}
		// Without it, everything comes again.
		w.admin.patch("/v1/webhooks/some", doc{"filter": nil}).want(http.StatusOK).has("filter", "")
		w.publish(doc{"type": "order.paid", "entity": doc{"total": 1}})
		some.Wait(2)
	},
	"what it sees of the event": func(w *world) {
		r := w.receiver()
		filter := "event.id == 'seen-1' and event.type starts with 'a.' and event.entityId == 7 and event.entityUrl ends with '/7'" +
			" and event.timestamp == '2026-11-21T20:56:59.123Z' and event.entity|keys|join == 'zb'"
		w.webhook(r, doc{"filter": filter})
		w.publish(doc{"type": "a.c", "entity": doc{"z": 1}})
		w.publish(doc{"id": "seen-1", "type": "a.b", "entityId": 7, "entityUrl": "https://shop.example/7", "timestamp": "2026-11-21T21:56:59.123+01:00",
			"entity": json.RawMessage(`{"z":1,"b":2}`)})
		if got := r.Wait(1); !strings.Contains(string(got[0].Body), "seen-1") {
			w.t.Errorf("the wrong one passed: %s", got[0].Body)
		}
	},
	"what cannot be evaluated is skipped, not lost": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "hard", "filter": "100 / event.entity.n > 1"})
		event := w.publish(doc{"type": "a.b", "entity": doc{"n": 0}})
		id := w.deliveryOf(event)
		w.viewer.get("/v1/deliveries/"+id).want(http.StatusOK).has("state", "skipped", "stateReason", "condition_error", "attempts", "[]")
		w.viewer.get("/v1/events/"+event+"/matches").want(http.StatusOK).has("data.0.matched", "true", "data.0.delivery.stateReason", "condition_error", "data.0.evaluated", "recorded")
		// Its owner may send it all the same.
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted)
		w.await(id, "succeeded").has("stateReason", "")
	},
	"one that cannot be read is refused": func(w *world) {
		for _, filter := range []string{"event.", "{{ event.id }}", "event.id|nofilter", " ", "a = b"} {
			w.admin.post("/v1/webhooks", doc{"code": "bad", "url": "https://a.example", "filter": filter}).fault("/filter", "template_syntax")
		}
		w.admin.post("/v1/webhooks", doc{"code": "bad", "url": "https://a.example", "filter": ""}).fault("/filter", "required")
	},
})

var _ = suite("templates", map[string]func(*world){
	"the hash of a minute": func(w *world) {
		hash := "{{ ('your-string-here' ~ 'now'|date('Y-m-d_H-i'))|md5 }}"
		for now, want := range map[string]string{
			"2026-11-21T20:56:59Z": "42258c7070df515e22fb9912cfae6a80", "2026-11-21T20:57:00Z": "994ef995720b7e2c2408bb9407bfcdcf",
			"2024-02-29T23:59:00Z": "3e31af54a3d88fb6de0183bb707a75a8", "2024-03-01T01:00:00+01:00": "e7d12dbb1e1dc96a82df4c968337ec00",
		} {
			w.operator.post("/v1/templates/render", doc{"template": hash, "now": now}).want(http.StatusOK).has("output", want)
		}
		w.operator.post("/v1/templates/render", doc{"template": hash, "now": "2024-02-29T22:59:00Z", "timezone": "Europe/Berlin"}).
			want(http.StatusOK).has("output", "3e31af54a3d88fb6de0183bb707a75a8")
	},
	"the order of keys is kept": func(w *world) {
		w.operator.post("/v1/templates/render", doc{"template": "{{ o|json_encode }}{{ o|keys|join }}", "context": json.RawMessage(`{"o":{"z":1,"a":12345678901234567890}}`)}).
			want(http.StatusOK).has("output", `{"z":1,"a":12345678901234567890}za`)
	},
	"refusals name the place": func(w *world) {
		render := func(template string) *answer {
			return w.operator.post("/v1/templates/render", doc{"template": template})
		}
		render("a\n {{ 'x'|nofilter }}").problem(http.StatusUnprocessableEntity, "template_syntax").has("line", "2", "column", "9", "field", "template")
		render("{{ 1 / 0 }}").problem(http.StatusUnprocessableEntity, "template_runtime").has("line", "1", "column", "6")
		render("{% for i in 1..9999 %}{% for j in 1..9999 %}x{% endfor %}{% endfor %}").problem(http.StatusUnprocessableEntity, "template_limit")
		render(strings.Repeat("x", 64<<10+1)).problem(http.StatusUnprocessableEntity, "template_limit")
		render("{% include '/etc/passwd' %}").problem(http.StatusUnprocessableEntity, "template_runtime")
		w.operator.post("/v1/templates/render", doc{"template": "x", "timezone": "Europe/Atlantis"}).fault("/timezone", "invalid_format")
		w.operator.post("/v1/templates/render", doc{"template": "x", "now": "yesterday"}).fault("/now", "invalid_format")
		w.viewer.post("/v1/templates/render", doc{"template": "x"}).problem(http.StatusForbidden, "forbidden")
	},
})
