package e2e

import (
	"net/http"
	"strings"
	"sync"
)

var _ = suite("idempotency", map[string]func(*world){
	"a creating call is run once": func(w *world) {
		for path, body := range map[string]doc{
			"/v1/webhooks":    {"name": "Once", "url": "https://a.example", "generateSecret": true},
			"/v1/api-keys":    {"name": "Once", "role": "viewer"},
			"/v1/event-types": {"name": "once.a"},
			"/v1/workspaces":  {"name": "Once " + random(8)},
		} {
			first := w.platform.post(path, body, "Idempotency-Key", "any text, with = signs").want(http.StatusCreated).heads("Idempotent-Replayed", "")
			again := w.platform.post(path, body, "Idempotency-Key", "any text, with = signs").want(http.StatusCreated).heads(
				"Idempotent-Replayed", "true", "Location", first.header.Get("Location"), "ETag", first.header.Get("ETag"), "Content-Type", first.header.Get("Content-Type"))
			if string(again.body) != string(first.body) {
				w.t.Errorf("POST %s was replayed as\n%s\nwas\n%s", path, again.body, first.body)
			}
			w.platform.post(path, body.with(doc{"description": "other"}), "Idempotency-Key", "any text, with = signs").want(http.StatusUnprocessableEntity)
			w.platform.post(path, body.with(doc{"code": "other-" + random(8)}), "Idempotency-Key", "any text, with = signs").want(http.StatusUnprocessableEntity)
		}
		body := doc{"name": "Two", "url": "https://a.example"}
		w.admin.post("/v1/webhooks", body, "Idempotency-Key", "k").want(http.StatusCreated)
		w.admin.post("/v1/webhooks", body.with(doc{"method": "PUT"}), "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "idempotency_key_reused")
		if n := len(w.viewer.get("/v1/webhooks").want(http.StatusOK).list("id")); n != 2 {
			w.t.Errorf("%d webhooks were made, want 2", n)
		}
	},
	"a final refusal is replayed, too": func(w *world) {
		w.admin.post("/v1/webhooks", doc{"code": "gone", "url": "https://a.example"}).want(http.StatusCreated)
		body := doc{"code": "gone", "name": "Another", "url": "https://a.example"}
		w.admin.post("/v1/webhooks", body, "Idempotency-Key", "k").problem(http.StatusConflict, "code_taken")
		w.admin.delete("/v1/webhooks/gone").want(http.StatusNoContent)
		w.admin.post("/v1/webhooks", body, "Idempotency-Key", "k").problem(http.StatusConflict, "code_taken").heads("Idempotent-Replayed", "true")
		w.admin.post("/v1/webhooks", body, "Idempotency-Key", "l").want(http.StatusCreated)
	},
	"rotation is run once": func(w *world) {
		w.webhook(w.receiver(), doc{"code": "rot", "generateSecret": true})
		first := w.admin.post("/v1/webhooks/rot/secret/rotate", nil, "Idempotency-Key", "k").want(http.StatusOK)
		again := w.admin.post("/v1/webhooks/rot/secret/rotate", nil, "Idempotency-Key", "k").want(http.StatusOK).heads("Idempotent-Replayed", "true")
		if first.text("secret") == "" || again.text("secret") != first.text("secret") {
			w.t.Error("the lost answer did not come back")
		}
		w.viewer.get("/v1/webhooks/rot").want(http.StatusOK).has("secrets.1.id", first.text("id"), "secrets.2", "")
	},
	"what is sent again is sent again once": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "again", "eventTypes": []string{"again.*"}})
		delivery := w.deliver(doc{"type": "again.a"}, "succeeded").text("id")
		retry := func(key string) *answer {
			return w.operator.post("/v1/deliveries/"+delivery+"/retry", nil, "Idempotency-Key", key).want(http.StatusAccepted)
		}
		first := retry("k")
		w.await(delivery, "succeeded")
		if again := retry("k").heads("Idempotent-Replayed", "true", "Location", "/v1/deliveries/"+delivery); string(again.body) != string(first.body) {
			w.t.Errorf("the answer was %s and is %s", first.body, again.body)
		}
		w.operator.post("/v1/webhooks/again/test", nil, "Idempotency-Key", "k").want(http.StatusOK)
		w.operator.post("/v1/webhooks/again/test", nil, "Idempotency-Key", "k").want(http.StatusOK).heads("Idempotent-Replayed", "true")
		// The first delivery, one retry and one test.
		if n := len(r.Wait(3)); n != 3 || w.viewer.get("/v1/deliveries/"+delivery).want(http.StatusOK).text("attemptCount") != "2" {
			w.t.Errorf("%d requests came", n)
		}
		// A refusal for what is so now is none for what will be.
		w.operator.post("/v1/webhooks/again/resume", doc{"replay": "missed"}, "Idempotency-Key", "k").problem(http.StatusConflict, "invalid_state")
		w.operator.post("/v1/webhooks/again/pause", nil).want(http.StatusOK)
		w.operator.post("/v1/webhooks/again/resume", nil, "Idempotency-Key", "l").want(http.StatusOK)
		w.operator.post("/v1/webhooks/again/resume", doc{"replay": "missed"}, "Idempotency-Key", "k").problem(http.StatusConflict, "invalid_state").heads("Idempotent-Replayed", "")
	},
	"a key is each caller's own": func(w *world) {
		body := doc{"name": "Own", "url": "https://a.example"}
		w.admin.post("/v1/webhooks", body, "Idempotency-Key", "k").want(http.StatusCreated)
		w.as("admin").post("/v1/webhooks", body, "Idempotency-Key", "k").problem(http.StatusConflict, "name_taken")
		other := newWorld(w.t, w.server)
		w.platform.post("/v1/webhooks", body.with(doc{"name": "P"}), "Idempotency-Key", "k").want(http.StatusCreated).heads("Idempotent-Replayed", "")
		other.platform.post("/v1/webhooks", body.with(doc{"name": "P"}), "Idempotency-Key", "k").want(http.StatusCreated).heads("Idempotent-Replayed", "")
		w.admin.post("/v1/event-types", doc{"name": "a.b"}, "Idempotency-Key", "k").want(http.StatusCreated)
		w.admin.post("/v1/webhooks", body, "Idempotency-Key", strings.Repeat("x", 256)).problem(http.StatusBadRequest, "invalid_parameter").has("field", "Idempotency-Key")
	},
	"of calls at the same time one runs": func(w *world) {
		// Which of them is told to wait is chance; that none makes a second webhook is not.
		for n, busy := 0, false; !busy; n++ {
			if n == 50 {
				w.t.Fatal("not one of many calls at once was told that the first still runs")
			}
			key := "k-" + random(8)
			answers := make([]*answer, 8)
			var calls sync.WaitGroup
			for i := range answers {
				calls.Go(func() {
					answers[i] = w.admin.in(w.t).post("/v1/webhooks", doc{"name": "At once " + key, "url": "https://a.example"}, "Idempotency-Key", key)
				})
			}
			calls.Wait()
			made := 0
			for _, a := range answers {
				switch {
				case a.status == http.StatusConflict:
					a.problem(http.StatusConflict, "idempotency_in_progress").heads("Retry-After", "1")
					busy = true
				case a.want(http.StatusCreated).header.Get("Idempotent-Replayed") == "":
					made++
				}
			}
			if made != 1 {
				w.t.Fatalf("%d calls made a webhook", made)
			}
		}
	},
})
