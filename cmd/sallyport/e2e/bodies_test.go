package e2e

import (
	"net/http"
	"strings"
)

var _ = suite("bodies", map[string]func(*world){
	"broken JSON says where": func(w *world) {
		for _, path := range []string{"/v1/webhooks", "/v1/events", "/v1/events/batch", "/v1/event-types", "/v1/api-keys"} {
			w.admin.post(path, `{"type": "a.b",}`).problem(http.StatusBadRequest, "malformed_json").says("byte 15")
			w.admin.post(path, `{"type": "a.b"`).problem(http.StatusBadRequest, "malformed_json")
			w.admin.post(path, `{"type": "a.b"} x`).problem(http.StatusBadRequest, "malformed_json")
			w.admin.post(path, "").problem(http.StatusBadRequest, "malformed_json")
			w.admin.post(path, "{\"type\": \"\xff\"}").problem(http.StatusBadRequest, "malformed_json").says("UTF-8")
			w.admin.post(path, strings.Repeat("[", 2000)).problem(http.StatusBadRequest, "malformed_json")
		}
	},
	"a key that is there twice is refused, but inside an entity": func(w *world) {
		w.admin.post("/v1/webhooks", `{"code":"a","url":"https://a.example","code":"b"}`).problem(http.StatusBadRequest, "duplicate_key").has("field", "code")
		w.admin.post("/v1/webhooks", `{"code":"a","url":"https://a.example","retry":{"linear":{"interval":"1s"},"linear":{"interval":"2s"}}}`).
			problem(http.StatusBadRequest, "duplicate_key").has("field", "retry.linear")
		w.publisher.post("/v1/events", `{"type":"a.b","\u0074ype":"c.d"}`).problem(http.StatusBadRequest, "duplicate_key").has("field", "type")
		w.publisher.post("/v1/events/batch", `{"data":[{"type":"a.b"},{"type":"a.b","id":"1","id":"2"}]}`).problem(http.StatusBadRequest, "duplicate_key").has("field", "data[1].id")
		w.publisher.post("/v1/events", `{"type":"a.b","entity":{"x":1,"x":2,"y":{"z":1,"z":2}}}`).want(http.StatusAccepted)
	},
	"an unknown field is refused with the nearest name": func(w *world) {
		w.admin.post("/v1/webhooks", doc{"code": "a", "url": "https://a.example", "evntTypes": []string{"*"}}).fault("/evntTypes", "unknown_field").says("eventTypes")
		w.admin.post("/v1/webhooks", doc{"code": "a", "url": "https://a.example", "retry": doc{"shedule": []string{"1s"}}}).fault("/retry/shedule", "unknown_field").says("schedule")
		w.publisher.post("/v1/events", doc{"type": "a.b", "entityURL": "https://a.example"}).fault("/entityURL", "unknown_field").says("entityUrl")
		w.publisher.post("/v1/events/batch", doc{"data": []doc{{"type": "a.b"}}, "date": 1}).fault("/date", "unknown_field").says("data")
		w.admin.post("/v1/event-types", doc{"name": "a.b", "samples": 1}).fault("/samples", "unknown_field").says("sample")
		w.admin.post("/v1/api-keys", doc{"name": "a", "rolle": "viewer"}).fault("/rolle", "unknown_field").says("role")
		w.platform.post("/v1/workspaces", doc{"name": "a " + random(8), "limits": doc{"eventPerSecond": 1}}).fault("/limits/eventPerSecond", "unknown_field").says("eventsPerSecond")
	},
	"all faults come at once": func(w *world) {
		w.admin.post("/v1/webhooks", doc{
			"url": "ftp://a.example", "eventTypes": []string{}, "maxAttempts": 51, "timeout": "5 min", "method": "HEAD", "secret": "short",
			"retry": doc{"schedule": []string{"1s", "2s", "5 min"}}, "headers": []doc{{"name": "Content-Length", "value": "1"}}, "unknown": true,
		}).fault("/url", "invalid_url").fault("/eventTypes", "empty_event_types").fault("/maxAttempts", "out_of_range").
			fault("/timeout", "invalid_duration").says(`"5m"`).fault("/method", "invalid_format").fault("/secret", "too_short").
			fault("/retry/schedule/2", "invalid_duration").fault("/unknown", "unknown_field").fault("/headers/0/name", "reserved_header").fault("/name", "required")
	},
	"a form is refused with the way out": func(w *world) {
		for _, path := range []string{"/v1/webhooks", "/v1/events"} {
			w.admin.post(path, `{"type":"a.b"}`, "Content-Type", "application/x-www-form-urlencoded").
				problem(http.StatusUnsupportedMediaType, "unsupported_media_type").says("application/json").says("--json")
			w.admin.post(path, `{"type":"a.b"}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
			w.admin.post(path, `{"type":"a.b"}`, "Content-Encoding", "gzip").problem(http.StatusUnsupportedMediaType, "unsupported_encoding")
		}
		// What says nothing counts as JSON, and so does JSON that says more.
		w.admin.post("/v1/events", `{"type":"a.b"}`, "Content-Type", "").want(http.StatusAccepted)
		w.admin.post("/v1/events", `{"type":"a.b"}`, "Content-Type", "application/json; charset=utf-8").want(http.StatusAccepted)
	},
	"a body that is too large is refused": func(w *world) {
		large := `{"type":"a.b","entity":"` + strings.Repeat("x", 1<<20) + `"}`
		w.publisher.post("/v1/events", large).problem(http.StatusRequestEntityTooLarge, "payload_too_large").says("1048576")
		// Of unknown length, as chunks.
		w.publisher.post("/v1/events", struct{ *strings.Reader }{strings.NewReader(large)}).problem(http.StatusRequestEntityTooLarge, "payload_too_large")
		w.admin.post("/v1/webhooks", `{"description":"`+strings.Repeat("x", 20<<20)+`"}`).problem(http.StatusRequestEntityTooLarge, "payload_too_large")
	},
	"what GET answered can be edited and sent back": func(w *world) {
		r := w.receiver()
		made := w.webhook(r, doc{
			"code": "same", "eventTypes": []string{"order.*"}, "basicAuth": doc{"username": "erp", "password": w.planted.given("kept-password-" + random(8))},
			"headers": []doc{{"name": "X-Team", "value": "erp"}, {"name": "X-Token", "value": w.planted.given("kept-token-" + random(8))}},
			"secret":  w.planted.given("kept-secret-" + random(24)),
		})
		paths := map[string]string{
			"/v1/webhooks/same":              "name",
			"/v1/workspaces/" + w.workspace:  "name",
			"/v1/api-keys/" + keyOf(w.admin): "name",
		}
		w.admin.put("/v1/event-types/order.paid", doc{"sample": doc{"total": 1}}).want(http.StatusCreated)
		paths["/v1/event-types/order.paid"] = "description"
		for path, field := range paths {
			got := w.platform.get(path).want(http.StatusOK)
			same := w.platform.put(path, got.body).want(http.StatusOK).heads("Sallyport-Result", "unchanged", "Sallyport-Changed", "", "ETag", got.header.Get("ETag"))
			if string(same.body) != string(got.body) && path != "/v1/api-keys/"+keyOf(w.admin) { // whose lastUsedAt moves
				w.t.Errorf("PUT of what GET %s answered:\n%s\nwas\n%s", path, same.body, got.body)
			}
			all := got.at("id")
			edited := doc{}
			for k, v := range got.at0() {
				edited[k] = v
			}
			edited[field] = "edited " + random(4)
			w.platform.put(path, edited).want(http.StatusOK).heads("Sallyport-Result", "updated", "Sallyport-Changed", field).has("id", all.(string))
		}
		// The secrets that GET does not show survived.
		w.publish(doc{"type": "order.paid"})
		got := r.Wait(1)[0]
		if user, password, _ := basicAuth(got.Header); user != "erp" || !strings.HasPrefix(password, "kept-password-") {
			w.t.Errorf("basic authentication is %s:%s", user, password)
		}
		if !strings.HasPrefix(got.Header.Get("X-Token"), "kept-token-") || got.Header.Get("X-Signature") == "" {
			w.t.Errorf("secrets were lost: %v", got.Header)
		}
		made.has("code", "same")
	},
	"an id or code that contradicts the path is refused": func(w *world) {
		a := w.webhook(w.receiver(), doc{"code": "here"})
		b := w.webhook(w.receiver(), doc{"code": "there"})
		w.admin.put("/v1/webhooks/here", doc{"url": "https://a.example", "id": b.text("id")}).fault("/id", "code_mismatch")
		w.admin.put("/v1/webhooks/here", doc{"url": "https://a.example", "code": "there"}).fault("/code", "code_mismatch")
		w.admin.patch("/v1/webhooks/here", doc{"code": "elsewhere"}).fault("/code", "code_mismatch")
		w.admin.put("/v1/webhooks/here", doc{"url": "https://a.example", "id": a.text("id"), "code": "here"}).want(http.StatusOK)
		w.admin.put("/v1/event-types/a.b", doc{"name": "a.c"}).fault("/name", "code_mismatch")
	},
})
