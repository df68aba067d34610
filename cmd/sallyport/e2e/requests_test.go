package e2e

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

var _ = suite("requests", map[string]func(*world){
	"searched by code, verdict, reason and time": func(w *world) {
		w.door("one", doc{"preProcessors": []doc{{"type": "header", "header": "X-A", "equals": "a"}}})
		two := w.door("two", doc{"dedupe": doc{"key": "{{ request.rawBody }}"}}).text("id")
		post := func(code string, headers ...string) string {
			a := w.nobody.post(w.in(code), `{}`, headers...)
			w.noted(a)
			return a.header.Get("X-Request-Id")
		}
		accepted, refused := post("one", "X-A", "a"), post("one")
		first, duplicate, unknown := post("two"), post("two"), post("three")
		for query, want := range map[string][]string{
			"":                                    {unknown, duplicate, first, refused, accepted},
			"?order=asc":                          {accepted, refused, first, duplicate, unknown},
			"?code=one":                           {refused, accepted},
			"?code=one&code=three":                {unknown, refused, accepted},
			"?verdict=refused":                    {unknown, refused},
			"?verdict=accepted&verdict=duplicate": {duplicate, first, accepted},
			"?reason=not_found":                   {unknown},
			"?verdict=refused&reason=pre_processor_refused": {refused},
			"?incomingWebhook=two":                          {duplicate, first},
			"?incomingWebhook=" + two:                       {duplicate, first},
			"?verdict=handshake":                            {},
			"?until=2020-01-01T00:00:00Z":                   {},
			"?since=2020-01-01T00:00:00Z&limit=2":           {unknown, duplicate},
		} {
			if got := w.viewer.get("/v1/requests" + query).want(http.StatusOK).list("id"); !slices.Equal(got, want) {
				w.t.Errorf("%s lists %v, want %v", query, got, want)
			}
		}
		var walked []string
		for path, cursor := "/v1/requests?limit=2", ""; ; {
			a := w.viewer.get(path + cursor).want(http.StatusOK)
			walked = append(walked, a.list("id")...)
			if a.text("nextCursor") == "" {
				break
			}
			cursor = "&cursor=" + a.text("nextCursor")
		}
		if !slices.Equal(walked, []string{unknown, duplicate, first, refused, accepted}) {
			w.t.Errorf("page by page: %v", walked)
		}
		if got := w.viewer.get("/v1/incoming-webhooks/one/requests?verdict=refused").want(http.StatusOK).list("id"); !slices.Equal(got, []string{refused}) {
			w.t.Errorf("the door's own list has %v", got)
		}
		w.viewer.get("/v1/requests?incomingWebhook=three").problem(http.StatusNotFound, "not_found")
		w.viewer.get("/v1/requests?verdct=refused").problem(http.StatusBadRequest, "unknown_parameter").says("verdict")
		w.viewer.get("/v1/requests?verdict=no").problem(http.StatusBadRequest, "invalid_parameter")
		w.viewer.get("/v1/requests/019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e").problem(http.StatusNotFound, "not_found")
		w.viewer.get("/v1/requests/019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e/body").problem(http.StatusNotFound, "not_found")
		// A deleted door's calls can still be read, by its id.
		w.admin.delete("/v1/incoming-webhooks/two").want(http.StatusNoContent)
		if got := w.viewer.get("/v1/incoming-webhooks/" + two + "/requests").want(http.StatusOK).list("id"); !slices.Equal(got, []string{duplicate, first}) {
			w.t.Errorf("once it is deleted it has %v", got)
		}
		w.viewer.get("/v1/incoming-webhooks/two/requests").problem(http.StatusNotFound, "not_found")
	},
	"a refused call is released once the configuration was corrected": func(w *world) {
		r := w.sink("a")
		secret, wrong := w.planted.given("right-"+random(20)), w.planted.given("wrong-"+random(20))
		w.door("hook", doc{"secrets": []doc{{"name": "erp", "value": wrong}}, "hash": "{{ (secrets.erp ~ 'now'|date('Y-m-d_H-i'))|md5 }}", "routes": to("a")})
		hash := w.planted.given(minuteHash(secret, time.Now()))
		refused := w.nobody.post(w.in("hook")+"?hash="+hash+"&ref=7", `{"n":1}`, "X-Erp", "yes").problem(http.StatusForbidden, "hash_mismatch")
		id := w.noted(refused).text("id")
		v := w.operator.post("/v1/requests/"+id+"/verify", nil).want(http.StatusOK).has("verdict", "refused", "reason", "hash_mismatch")
		if !strings.HasPrefix(check(v, "hash"), "failed") {
			w.t.Errorf("verified: %s", v.body)
		}
		w.operator.post("/v1/requests/"+id+"/replay", nil).problem(http.StatusConflict, "invalid_state").says("hash_mismatch")
		w.quiet().patch("/v1/incoming-webhooks/hook", doc{"secrets": []doc{{"name": "erp", "value": secret}}}).want(http.StatusOK)
		w.operator.post("/v1/requests/"+id+"/verify", nil).want(http.StatusOK).has("verdict", "accepted", "reason", "")
		if len(r.Received()) != 0 {
			w.t.Error("verifying ran the action")
		}
		released := w.operator.post("/v1/requests/"+id+"/replay", nil).want(http.StatusAccepted).has("events", "1", "deliveries", "1")
		if got := r.Wait(1)[0]; string(got.Body) != `{"n":1}` {
			w.t.Errorf("the action got %s", got.Body)
		}
		n := w.viewer.get(released.header.Get("Location")).want(http.StatusOK).
			has("id", released.text("requestId"), "verdict", "accepted", "replayOf", id, "body", `{"n":1}`, "url", w.in("hook")+"?hash=[redacted]&ref=7")
		w.viewer.get("/v1/requests/"+id).want(http.StatusOK).has("verdict", "refused", "replayOf", "")
		w.await(n.text("deliveries.0.id"), "succeeded")
	},
	"an accepted call runs again as a call of its own": func(w *world) {
		r := w.sink("a")
		w.door("hook", doc{"routes": to("a"), "dedupe": doc{"key": "{{ request.rawBody }}"}})
		first := w.nobody.post(w.in("hook"), `{"n":1}`).want(http.StatusAccepted).text("requestId")
		r.Wait(1)
		again := w.operator.post("/v1/requests/"+first+"/replay", nil, "Idempotency-Key", "again-1").want(http.StatusAccepted).has("events", "1")
		r.Wait(2)
		w.operator.post("/v1/requests/"+first+"/replay", nil, "Idempotency-Key", "again-1").want(http.StatusAccepted).has("requestId", again.text("requestId")).heads("Idempotent-Replayed", "true")
		second := w.viewer.get("/v1/requests/"+again.text("requestId")).want(http.StatusOK).has("replayOf", first, "verdict", "accepted")
		if second.text("events.0") == w.viewer.get("/v1/requests/"+first).want(http.StatusOK).text("events.0") {
			w.t.Error("both made the same event")
		}
		w.operator.post("/v1/requests/019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e/replay", nil).problem(http.StatusNotFound, "not_found")
		w.operator.post("/v1/requests/019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e/verify", nil).problem(http.StatusNotFound, "not_found")
		if n := len(r.Received()); n != 2 {
			w.t.Errorf("the action ran %d times", n)
		}
	},
	"of a call of an unknown code too little is kept to release it": func(w *world) {
		a := w.nobody.post(w.in("later"), `{"n":1}`).problem(http.StatusNotFound, "not_found")
		id := w.noted(a).text("id")
		w.door("later", nil)
		for _, verb := range []string{"verify", "replay"} {
			w.operator.post("/v1/requests/"+id+"/"+verb, nil).problem(http.StatusConflict, "invalid_state").says("neither headers nor body are kept")
		}
	},
})
