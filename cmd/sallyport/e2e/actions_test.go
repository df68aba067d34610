package e2e

import (
	"net/http"
	"strconv"
	"strings"

	"sallyport/internal/testkit"
)

var _ = suite("actions", map[string]func(*world){
	"httpRequest keeps its secrets to itself": func(w *world) {
		r := w.receiver()
		key, password := w.planted.given("action-key/"+random(20)), w.planted.given("action-password-"+random(20))
		r.Respond(testkit.Answer{Body: "you said " + key, Header: http.Header{"X-Echo": {key}}})
		w.action("call", "httpRequest", doc{"method": "PUT", "url": r.URL + "/stock/{{ item.sku|url_encode }}?key={{ secrets.key|url_encode }}", "headers": []doc{
			{"name": "X-Key", "value": "{{ secrets.key }}"}, {"name": "X-Plain", "value": "of {{ webhook.code }}"},
		}, "basicAuth": doc{"username": "erp", "password": "{{ secrets.password }}"}, "body": doc{"qty": "{{ item.qty }}", "from": "{{ request.ip }}", "key": "{{ secrets.key }}"}},
			doc{"secrets": []doc{{"name": "key", "value": key}, {"name": "password", "value": password}}}).has("secrets.0.hint", "…"+key[len(key)-4:])
		w.door("stock", doc{"routes": to("call")})
		a := w.nobody.post(w.in("stock"), `{"sku":"A 1","qty":3}`).want(http.StatusAccepted)
		got := r.Wait(1)[0]
		if user, pass, _ := basicAuth(got.Header); got.Method != "PUT" || !strings.HasPrefix(got.URL, "/stock/A%201?key=action-key%2F") || user != "erp" || pass != password ||
			got.Header.Get("X-Key") != key || got.Header.Get("X-Plain") != "of stock" || string(got.Body) != `{"from":"127.0.0.1","key":"`+key+`","qty":3}` {
			w.t.Errorf("%s %s %v %s", got.Method, got.URL, got.Header, got.Body)
		}
		n := w.ran(a, doc{"succeeded": 1})
		d := w.viewer.get("/v1/deliveries/" + n.text("deliveries.0.id")).want(http.StatusOK)
		if said := string(d.body); strings.Contains(said, key) || strings.Contains(said, password) || !strings.Contains(said, "[redacted]") {
			w.t.Errorf("on record is %s", said)
		}
		for _, side := range []string{"request", "response"} {
			if raw := w.viewer.get("/v1/deliveries/" + d.text("id") + "/attempts/1/" + side + "/body").want(http.StatusOK); !strings.Contains(string(raw.body), "[redacted]") {
				w.t.Errorf("the %s's body on record is %s", side, raw.body)
			}
		}
		w.admin.post("/v1/actions", doc{"code": "bad", "type": "httpRequest", "config": doc{"url": "http://10.0.0.1/"}}).fault("/config/url", "url_not_allowed")
		w.admin.post("/v1/actions", doc{"code": "bad", "type": "httpRequest", "config": doc{"url": "https://a.example", "headers": []doc{{"name": "Authorization", "value": "Bearer in-clear"}}}}).
			fault("/config/headers/0/value", "invalid_format").says("secrets")
	},
	"in to out: what comes in is published, signed and sent": func(w *world) {
		r := w.receiver()
		secret := w.webhook(r, doc{"code": "out", "eventTypes": []string{"stock.*"}, "generateSecret": true}).text("secret")
		w.action("publish", "publishEvent", doc{"type": "stock.{{ item.kind }}", "entityId": "{{ item.id }}", "entity": doc{"qty": "{{ item.qty }}", "by": "{{ webhook.name }}"}, "entityUrl": "https://erp.example.com/{{ item.id }}"})
		w.door("in", doc{"name": "ERP in", "routes": to("publish")})
		a := w.nobody.post(w.in("in"), `{"kind":"changed","id":7,"qty":3}`).want(http.StatusAccepted)
		q := r.Wait(1)[0]
		w.signed(q, secret)
		if !strings.Contains(string(q.Body), `"entityId":7`) || !strings.Contains(string(q.Body), `"entity":{"by":"ERP in","qty":3}`) || q.Header.Get("Sallyport-Hops") != "1" {
			w.t.Errorf("the receiver got %v %s", q.Header, q.Body)
		}
		n := w.ran(a, doc{"succeeded": 1})
		attempt := w.viewer.get("/v1/deliveries/" + n.text("deliveries.0.id")).want(http.StatusOK)
		w.viewer.get("/v1/events/"+q.Header.Get("webhook-id")).want(http.StatusOK).
			has("type", "stock.changed", "entityId", "7", "entityUrl", "https://erp.example.com/7", "source.kind", "action", "source.requestId", a.text("requestId"), "hops", "1", "matched", "1")
		if !strings.Contains(attempt.text("attempts.0.response.body"), q.Header.Get("webhook-id")) {
			w.t.Errorf("the attempt does not name the event: %s", attempt.body)
		}
		// What an API publishes has come through nothing.
		if got := w.next(r, doc{"type": "stock.api"}).Header.Get("Sallyport-Hops"); got != "" {
			w.t.Errorf("Sallyport-Hops is %q", got)
		}
	},
	"a set goes on where it stopped": func(w *world) {
		first, middle, last := w.sink("first"), w.sink("middle"), w.sink("last")
		w.sink("off")
		w.admin.patch("/v1/actions/off", doc{"enabled": false}).want(http.StatusOK).has("state", "disabled")
		w.action("all", "set", doc{"actions": []string{"first", "off", "middle", "last"}}, doc{"maxAttempts": 3})
		w.door("set", doc{"routes": to("all")})
		middle.Then(testkit.Answer{Status: 503})
		n := w.ran(w.nobody.post(w.in("set"), `{"n":1}`).want(http.StatusAccepted), doc{"succeeded": 1})
		if a, b, c := len(first.Received()), len(middle.Received()), len(last.Received()); a != 1 || b != 2 || c != 1 {
			w.t.Errorf("they ran %d, %d and %d times", a, b, c)
		}
		d := w.viewer.get("/v1/deliveries/"+n.text("deliveries.0.id")).want(http.StatusOK).has("target.code", "all")
		var story []string
		for i := range d.at("attempts").([]any) {
			at := "attempts." + strconv.Itoa(i)
			story = append(story, d.text(at+".action.code")+" "+d.text(at+".outcome"))
		}
		if got := strings.Join(story, ", "); got != "first succeeded, middle failed, middle succeeded, last succeeded" {
			w.t.Errorf("the attempts are %s", got)
		}
		w.admin.delete("/v1/actions/middle").problem(http.StatusConflict, "in_use")
	},
	"what failed for good is tried again by hand": func(w *world) {
		r := w.sink("a")
		w.admin.patch("/v1/actions/a", doc{"maxAttempts": 2}).want(http.StatusOK)
		r.Respond(testkit.Answer{Status: 500})
		w.door("d", doc{"routes": to("a")})
		n := w.ran(w.nobody.post(w.in("d"), `{"n":1}`).want(http.StatusAccepted), doc{"failed": 1})
		id := n.text("deliveries.0.id")
		w.viewer.get("/v1/deliveries/"+id).want(http.StatusOK).has("stateReason", "attempts_exhausted", "attemptCount", "2", "target.kind", "action")
		if got := w.viewer.get("/v1/deliveries?action=a&state=failed").want(http.StatusOK).list("id"); strings.Join(got, " ") != id {
			w.t.Errorf("listed are %v", got)
		}
		r.Respond(testkit.Answer{})
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted)
		w.await(id, "succeeded").has("attemptCount", "3", "attempts.2.trigger", "manual")
		w.operator.post("/v1/deliveries/"+id+"/skip", nil).problem(http.StatusConflict, "invalid_state")
		// A disabled action gets no more, and what it has waits.
		w.admin.patch("/v1/actions/a", doc{"enabled": false}).want(http.StatusOK)
		w.nobody.post(w.in("d"), `{"n":2}`).want(http.StatusAccepted).has("events", "1", "deliveries", "0")
		w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted)
		w.await(id, "held").has("stateReason", "disabled")
		w.operator.post("/v1/deliveries/"+id+"/skip", nil).want(http.StatusOK).has("state", "skipped", "stateReason", "by_operator")
	},
	"a template that breaks is not tried again": func(w *world) {
		r := w.receiver()
		w.action("broken", "httpRequest", doc{"url": r.URL, "body": "{{ 1 // item.none }}"})
		w.door("d", doc{"routes": to("broken")})
		n := w.ran(w.nobody.post(w.in("d"), `{}`).want(http.StatusAccepted), doc{"failed": 1})
		d := w.viewer.get("/v1/deliveries/"+n.text("deliveries.0.id")).want(http.StatusOK).has("stateReason", "permanent_error", "attemptCount", "1", "attempts.0.errorClass", "template")
		if !strings.Contains(d.text("attempts.0.error"), "config.body") {
			w.t.Errorf("the error is %q", d.text("attempts.0.error"))
		}
		w.admin.post("/v1/actions", doc{"code": "bad", "type": "httpRequest", "config": doc{"url": r.URL, "body": "{{ item| }}"}}).fault("/config/body", "template_syntax")
	},
	"tried with a context of its own": func(w *world) {
		r := w.sink("a")
		w.admin.patch("/v1/actions/a", doc{"enabled": false, "config": doc{"url": r.URL + "/{{ request.ip }}"}}).want(http.StatusOK)
		a := w.admin.post("/v1/actions/a/test", doc{"item": doc{"n": 1}, "context": doc{"request": doc{"ip": "203.0.113.9"}}}).want(http.StatusOK).
			has("outcome", "succeeded", "trigger", "test", "response.status", "200")
		if got := r.Wait(1)[0]; got.URL != "/203.0.113.9" || string(got.Body) != `{"n":1}` {
			w.t.Errorf("the receiver got %s %s", got.URL, got.Body)
		}
		w.await(a.text("deliveryId"), "succeeded").has("test", "true")
		r.Then(testkit.Answer{Status: 500})
		failed := w.admin.post("/v1/actions/a/test", nil).want(http.StatusOK).has("outcome", "failed", "errorClass", "status")
		w.await(failed.text("deliveryId"), "failed").has("attemptCount", "1")
		w.admin.patch("/v1/actions/a", doc{"condition": "item.n > 1"}).want(http.StatusOK)
		w.admin.post("/v1/actions/a/test", doc{"item": doc{"n": 1}}).problem(http.StatusConflict, "invalid_state").has("detail", "nothing ran: the condition is false for what you gave it")
		w.admin.patch("/v1/actions/a", doc{"condition": "item.n > 1 // item.none"}).want(http.StatusOK)
		w.admin.post("/v1/actions/a/test", doc{"item": doc{"n": 1}}).problem(http.StatusConflict, "invalid_state")
		w.operator.post("/v1/actions/a/test", nil).problem(http.StatusForbidden, "forbidden")
		w.admin.post("/v1/actions/none/test", nil).problem(http.StatusNotFound, "not_found")
		w.admin.post("/v1/actions/a/test", doc{"itm": 1}).fault("/itm", "unknown_field")
	},
})
