package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The installation on hold, as those see it who publish, call, look and wait.
func TestHold(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := start(t, engine, "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8", "SALLYPORT_HOLD=true")
			w := newWorld(t, s)
			testHold(w)
			s.stop()
		})
	}
}

func testHold(w *world) {
	root := &caller{t: w.t, s: w.server, key: w.adminKey}
	steward := &caller{t: w.t, s: w.server, key: root.post("/v1/api-keys",
		doc{"name": "3 a.m.", "role": "operator", "platform": true}).want(http.StatusCreated).text("key")}
	for _, c := range []*caller{w.admin, w.operator, w.viewer} {
		c.post("/v1/dispatch/hold", nil).problem(http.StatusForbidden, "forbidden")
		c.post("/v1/dispatch/release", nil).problem(http.StatusForbidden, "forbidden")
	}
	isHeld := func(held string) {
		w.t.Helper()
		w.viewer.get("/v1/info").want(http.StatusOK).has("hold", held)
		if a := w.nobody.get("/readyz").want(http.StatusOK); strings.Contains(string(a.body), `"hold":true`) != (held == "true") {
			w.t.Errorf("hold should be %s: /readyz says %s", held, a.body)
		}
		want := map[string]string{"true": "\nsallyport_hold 1\n", "false": "\nsallyport_hold 0\n"}[held]
		if a := w.nobody.get("/metrics").want(http.StatusOK); !strings.Contains(string(a.body), want) {
			w.t.Errorf("/metrics has no %q", want)
		}
	}
	// It was set by the start, and holding again is no change.
	isHeld("true")
	since := steward.post("/v1/dispatch/hold", nil).want(http.StatusOK).has("hold", "true").text("since")
	root.post("/v1/dispatch/hold", nil).want(http.StatusOK).has("hold", "true", "since", since)

	hooked, called := w.receiver(), w.receiver()
	w.webhook(hooked, doc{"code": "out", "eventTypes": []string{"a.*"}})
	w.action("call", "httpRequest", doc{"url": called.URL + "/call"})
	w.action("keep", "upsertRecord", doc{"collection": "kept", "key": "{{ item.k }}"})
	w.door("in", doc{"routes": to("call", "keep"), "response": doc{"mode": "wait", "timeout": "25s"}})

	event := w.publish(doc{"id": "held", "type": "a.b"})
	delivery := w.deliveryOf(event)
	w.viewer.get("/v1/deliveries/"+delivery).want(http.StatusOK).has("state", "pending", "stateReason", "installation_hold", "nextAttemptAt", "")
	// Whoever waits for actions is not kept waiting.
	began := time.Now()
	w.nobody.post(w.in("in"), doc{"k": "a"}).want(http.StatusAccepted).has("deliveries", "2")
	if took := time.Since(began); took > 20*time.Second {
		w.t.Errorf("the door's caller waited %s", took)
	}
	for _, path := range []string{"/v1/webhooks/out/test", "/v1/actions/call/test"} {
		a := w.admin.post(path, nil).problem(http.StatusConflict, "invalid_state")
		if !strings.Contains(a.text("detail"), "/v1/dispatch/release") {
			w.t.Errorf("%s: %s", path, a.body)
		}
	}
	w.operator.post("/v1/deliveries/"+delivery+"/retry", nil).want(http.StatusAccepted).has("stateReason", "installation_hold")

	// The worker looks around once a second; whatever it sent by mistake it would have by then.
	skipped := w.deliveryOf(w.publish(doc{"type": "a.b"}))
	w.operator.post("/v1/deliveries/"+skipped+"/skip", nil).want(http.StatusOK).has("state", "skipped")
	time.Sleep(1500 * time.Millisecond)
	if n := len(hooked.Received()) + len(called.Received()); n != 0 {
		w.t.Fatalf("%d requests left while on hold", n)
	}

	steward.post("/v1/dispatch/release", nil).want(http.StatusOK).has("hold", "false")
	isHeld("false")
	w.await(delivery, "succeeded")
	eventually(w.t, "the door's actions to run", func() bool {
		return len(called.Received()) == 1 && w.viewer.get("/v1/collections/kept/records/a").status == http.StatusOK
	})
	w.admin.post("/v1/webhooks/out/test", nil).want(http.StatusOK)
	if n := len(hooked.Received()); n != 2 {
		w.t.Errorf("the webhook's receiver got %d requests, want 2", n)
	}
	steward.post("/v1/dispatch/release", nil).want(http.StatusOK).has("hold", "false")
	// Who held and who let go is on record, once each.
	root.get("/v1/audit-log?order=asc&kind=installation").want(http.StatusOK).has("data.0.action", "hold", "data.0.actor.command", "sallyport serve --hold",
		"data.1.action", "release", "data.1.actor.code", "3-a-m", "data.1.actor.role", "operator", "data.1.workspace", "", "data.2", "")
}
