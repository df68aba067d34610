package e2e

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/testkit"
)

var _ = suite("routes", map[string]func(*world){
	"conditions, transforms and one that breaks": func(w *world) {
		push, all, broken := w.sink("push"), w.sink("all"), w.sink("broken")
		w.door("git", doc{"routes": []doc{
			{"action": "all"}, {"action": "broken", "condition": "1 // item.none > 0"},
			{"action": "push", "condition": `request.headers["X-GitHub-Event"] == "push"`, "transform": `{"ref": {{ item.ref|json_encode|raw }}, "door": "{{ webhook.code }}"}`},
		}})
		ping := w.nobody.post(w.in("git"), `{"zen":"Half measures"}`, "X-GitHub-Event", "ping").want(http.StatusAccepted).has("events", "1")
		pushed := w.nobody.post(w.in("git"), `{"ref":"main"}`, "X-GitHub-Event", "push").want(http.StatusAccepted)
		if got := bodies(push.Wait(1)); !slices.Equal(got, []string{`{"ref": "main", "door": "git"}`}) {
			w.t.Errorf("push got %q", got)
		}
		got := bodies(all.Wait(2))
		if slices.Sort(got); !slices.Equal(got, []string{`{"ref":"main"}`, `{"zen":"Half measures"}`}) {
			w.t.Errorf("all got %q", got)
		}
		w.ran(ping, doc{"succeeded": 1, "skipped": 1}).has("deliveries.1.target.code", "broken", "deliveries.1.stateReason", "condition_error")
		w.ran(pushed, doc{"succeeded": 2, "skipped": 1}).has("eventCount", "2") // what is transformed is an event of its own
		if n := len(broken.Received()); n != 0 {
			w.t.Errorf("the broken route ran %d times", n)
		}
	},
	"parsers": func(w *world) {
		r := w.sink("a")
		for _, c := range []struct {
			code, contentType, body string
			parser                  doc
			items                   []string
		}{
			{"form", "application/x-www-form-urlencoded", "a=1&b=x+y", nil, []string{`{"a":"1","b":"x y"}`}},
			{"list", "application/json", `[{"n":1},{"n":2}]`, nil, []string{`{"n":1}`, `{"n":2}`}},
			{"whole", "application/json", `[{"n":1},{"n":2}]`, doc{"split": false}, []string{`[{"n":1},{"n":2}]`}},
			{"path", "application/json", `{"rows":[{"n":1},{"n":2}]}`, doc{"type": "json", "items": "rows[?n > `1`]"}, []string{`{"n":2}`}},
			{"xml", "application/xml", `<o><i><n>1</n></i><i><n>2</n></i></o>`, doc{"type": "xml", "items": "/o/i/n"}, []string{`"1"`, `"2"`}},
			{"multi", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n", nil, []string{`{"a":"1"}`}},
			{"bom", "text/csv; charset=utf-8", "\xef\xbb\xbfn,m\n1,2\n", nil, []string{`{"n":"1","m":"2"}`}},
			{"columns", "text/csv", "1;2\n3;4", doc{"type": "csv", "delimiter": ";", "header": false, "columns": []string{"a", "b"}}, []string{`{"a":"1","b":"2"}`, `{"a":"3","b":"4"}`}},
			{"text", "text/plain", "hello", nil, []string{`"hello"`}},
		} {
			before := len(r.Received())
			door := doc{"routes": to("a")}
			if c.parser != nil {
				door["parser"] = c.parser
			}
			w.door(c.code, door)
			a := w.nobody.post(w.in(c.code), c.body, "Content-Type", c.contentType).want(http.StatusAccepted)
			got := bodies(r.Wait(before + len(c.items)))[before:]
			if slices.Sort(got); !slices.Equal(got, c.items) || a.number("events") != len(c.items) {
				w.t.Errorf("%s became %q, want %q", c.code, got, c.items)
			}
		}
		w.nobody.post(w.in("list"), `{"broken":`).problem(http.StatusBadRequest, "malformed_body")
		w.nobody.post(w.in("xml"), `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><o><i><n>&e;</n></i></o>`, "Content-Type", "application/xml").problem(http.StatusBadRequest, "malformed_body")
	},
	"repeats are taken once, or refused": func(w *world) {
		r := w.sink("a")
		key := "{{ request.headers['X-Id'] ~ request.rawBody|sha256 }}"
		w.door("accept", doc{"dedupe": doc{"key": key}, "preProcessors": []doc{{"type": "header", "header": "X-Token", "equals": "abc"}}, "routes": to("a")})
		w.door("refuse", doc{"dedupe": doc{"key": key, "onDuplicate": "refuse", "window": "1h"}, "routes": to("a")})
		post := func(code, id, token string) *answer {
			return w.nobody.post(w.in(code), `{"d":1}`, "X-Id", id, "X-Token", token)
		}
		// A repeat of what was refused is none.
		post("accept", "1", "wrong").problem(http.StatusForbidden, "pre_processor_refused")
		first := post("accept", "1", "abc").want(http.StatusAccepted).has("events", "1", "duplicate", "")
		again := post("accept", "1", "abc").want(http.StatusAccepted).has("duplicate", "true", "requestId", first.text("requestId"))
		w.noted(again).has("verdict", "duplicate", "duplicateOf", first.text("requestId"), "eventCount", "0")
		post("accept", "2", "abc").want(http.StatusAccepted).has("duplicate", "")
		one := post("refuse", "1", "").want(http.StatusAccepted)
		w.noted(post("refuse", "1", "").problem(http.StatusForbidden, "duplicate_refused")).has("verdict", "refused", "reason", "duplicate_refused", "duplicateOf", one.text("requestId"))
		if r.Wait(3); len(r.Received()) != 3 {
			w.t.Errorf("the action ran %d times", len(r.Received()))
		}
	},
	"answers as configured": func(w *world) {
		w.door("said", doc{"response": doc{"status": 201, "headers": []doc{{"name": "X-Door", "value": "yes"}, {"name": "Content-Type", "value": "text/x-plain"}}, "body": "got {{ request.body.n }}"}})
		a := w.nobody.post(w.in("said"), `{"n":7}`).want(http.StatusCreated).heads("X-Door", "yes", "Content-Type", "text/x-plain", "Cache-Control", "no-store")
		if string(a.body) != "got 7" {
			w.t.Errorf("answered %q", a.body)
		}
		w.door("broken", doc{"response": doc{"body": "{{ request.body.n // 0 }}"}})
		w.nobody.post(w.in("broken"), `{"n":7}`).want(http.StatusAccepted).has("events", "1") // taken is taken
		w.admin.post("/v1/incoming-webhooks", doc{"code": "bad", "response": doc{"headers": []doc{{"name": "Connection", "value": "x"}}}}).fault("/response/headers/0/name", "reserved_header")
	},
	"waiting for the actions": func(w *world) {
		r := w.sink("a")
		r.Respond(testkit.Answer{Body: `{"price":12}`})
		w.door("wait", doc{"routes": to("a"), "response": doc{"mode": "wait", "status": 200, "timeout": "25s", "body": "{{ results[0].action }} {{ results[0].state }} {{ results[0].status }} {{ results[0].body|raw }}"}})
		if a := w.nobody.post(w.in("wait"), `{}`).want(http.StatusOK); string(a.body) != `a succeeded 200 {"price":12}` {
			w.t.Errorf("answered %q", a.body)
		}
		// The first attempt fails: the caller is told, and the action is tried again all the same.
		r.Then(testkit.Answer{Status: 500})
		failed := w.nobody.post(w.in("wait"), `{"n":2}`).problem(http.StatusBadGateway, "action_failed")
		n := w.ran(failed, doc{"succeeded": 1}).has("verdict", "accepted", "response.status", "502")
		w.viewer.get("/v1/deliveries/"+n.text("deliveries.0.id")).want(http.StatusOK).has("attemptCount", "2")
		// It takes too long: taken is taken.
		w.admin.patch("/v1/incoming-webhooks/wait", doc{"response": doc{"timeout": "100ms"}}).want(http.StatusOK)
		r.Then(testkit.Answer{Hang: true})
		late := w.nobody.post(w.in("wait"), `{"n":3}`).want(http.StatusAccepted).has("events", "1")
		r.WaitOpen(1)
		r.Release()
		w.ran(late, doc{"succeeded": 1}).has("response.status", "202")
		// With nothing to wait for there is no waiting.
		w.door("idle", doc{"response": doc{"mode": "wait", "status": 200, "body": "none", "timeout": "25s"}})
		w.nobody.post(w.in("idle"), `{}`).want(http.StatusOK)
	},
	"a loop is refused": func(w *world) {
		w.door("loop", nil)
		n := w.noted(w.nobody.post(w.in("loop"), `{}`, "Sallyport-Hops", "7").want(http.StatusAccepted))
		n.has("hops", "7")
		w.noted(w.nobody.post(w.in("loop"), `{}`, "Sallyport-Hops", "8").problem(http.StatusForbidden, "loop_detected")).has("hops", "8", "reason", "loop_detected")
		// A webhook that calls the door it is fed by ends by itself.
		w.action("again", "publishEvent", doc{"type": "round.again"})
		w.door("round", doc{"routes": to("again")})
		w.webhook(w.receiver(), doc{"code": "round", "url": w.url + w.in("round"), "eventTypes": []string{"round.*"}, "maxAttempts": 1})
		w.publish(doc{"type": "round.first"})
		eventually(w.t, "the round to end", func() bool {
			return len(w.viewer.get("/v1/actions/again/deliveries?state=failed").want(http.StatusOK).list("id")) == 1
		})
		last := w.viewer.get("/v1/actions/again/deliveries?state=failed").want(http.StatusOK).text("data.0.id")
		if got := w.viewer.get("/v1/deliveries/"+last).want(http.StatusOK).has("stateReason", "permanent_error").text("attempts.0.error"); !strings.Contains(got, "loop") {
			w.t.Errorf("it ended with %q", got)
		}
		hops := w.viewer.get("/v1/requests?code=round&order=asc").want(http.StatusOK).list("hops")
		if strings.Join(hops, "") != "01234567" {
			w.t.Errorf("the rounds had hops %v", hops)
		}
	},
})
