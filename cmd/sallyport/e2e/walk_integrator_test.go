package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// testWalkIntegrator: an integrator creates a webhook, tries it, publishes, changes the secret,
// is down for so long that the webhook is suspended, hears of it elsewhere, and comes back
// without a hole. Five days of failure are a second here.
func testWalkIntegrator(t *testing.T, s *server) {
	s.launch("SALLYPORT_EGRESS_ALLOW=127.0.0.0/8", "SALLYPORT_SUSPEND_AFTER=1s", "SALLYPORT_BREAKER_FAILURES=1000")
	s.awaitReady()
	w := newWorld(t, s)
	r, oncall := w.receiver(), w.receiver()
	said := w.typed(`
api -D head --json '{"name":"ERP orders","url":"'$ERP'/hooks","eventTypes":["order.*"],"generateSecret":true}' $B/v1/webhooks >answer
jq -c '[.id,.code,.state,.stateReason,(.secrets|length),.warnings]' answer; jq -r .secret answer
tr -d '\r' <head | grep -iE '^(HTTP|location|etag)' | sort
api -X POST $B/v1/webhooks/erp-orders/test | jq -c '[.trigger,.outcome,.request.url,.response.status,.timings.totalMs > 0]'
api --json '{"name":"On call","url":"'$ONCALL'","eventTypes":["Webhook.Suspended"]}' $B/v1/webhooks | jq -c '[.code,.warnings]'`, `
["…","erp-orders","active",null,1,[]]
whsec_…
Etag: "1"
HTTP/1.1 201 Created
Location: /v1/webhooks/…
["test","succeeded","`+r.URL+`/hooks",200,true]
["on-call",["no_secret"]]`, "ERP="+r.URL, "ONCALL="+oncall.URL)
	lines := strings.Split(said, "\n")
	old := w.planted.given(lines[1])
	w.signed(r.Wait(1)[0], old)

	w.typed(`
api --json '{"id":"ord-7-paid","type":"order.paid","entityId":7,"entity":{"total":12}}' $B/v1/events; echo
api -D head --json '{"id":"ord-7-paid","type":"order.paid","entityId":7,"entity":{"total":12}}' $B/v1/events; echo; tr -d '\r' <head | grep -i ^idempotent
api --json '{"id":"ord-7-paid","type":"order.paid","entityId":7,"entity":{"total":13}}' $B/v1/events 2>/dev/null | jq -c '[.status,.code]' || true`, `
{"id":"ord-7-paid","type":"order.paid","acceptedAt":"…","matched":1,"duplicate":false}
{"id":"ord-7-paid","type":"order.paid","acceptedAt":"…","matched":1,"duplicate":true}
Idempotent-Replayed: true
[409,"event_id_reused"]`)
	w.signed(r.Wait(2)[1], old)

	said = w.typed(`
api --json '{"overlap":"48h"}' $B/v1/webhooks/erp-orders/secret/rotate | jq -r '.secret,.previousExpiresAt'
api $B/v1/webhooks/erp-orders | jq .secrets | tee secrets | jq -c '.[] | [.hint,.expiresAt != null]'; ! grep whsec_ secrets`, `
whsec_…
2…Z
["…",true]
["…",false]`)
	secret, _, _ := strings.Cut(said, "\n")
	w.planted.given(secret)
	w.publish(doc{"id": "ord-8-paid", "type": "order.paid"})
	w.signed(r.Wait(3)[2], old, secret) // whichever the receiver has

	// Down. Failure by failure, until that has gone on for long enough.
	r.Respond(statusAnswer(http.StatusServiceUnavailable))
	sent, missed := []string{}, 0
	eventually(t, "the webhook to be suspended", func() bool {
		a := w.publisher.post("/v1/events", doc{"type": "order.paid"}).want(http.StatusAccepted)
		sent = append(sent, a.text("id"))
		if a.text("matched") == "0" {
			missed++
		}
		time.Sleep(50 * time.Millisecond)
		return missed == 5 // it does not stop selling
	})
	told := oncall.Wait(1)[0]
	var notice struct{ Entity doc }
	if err := json.Unmarshal(told.Body, &notice); err != nil {
		t.Fatal(err)
	}
	if last := notice.Entity; told.Header.Get("X-Webhook-Event") != "Webhook.Suspended" || at(map[string]any(last), "webhook.code") != "erp-orders" || last["reason"] != "failing" {
		t.Errorf("on call is told of %s: %s", told.Header.Get("X-Webhook-Event"), told.Body)
	}
	w.typed(`api $B/v1/webhooks/erp-orders        | jq -c '{state,stateReason,stateSince}'`, `{"state":"suspended","stateReason":"failing","stateSince":"…"}`)
	w.healthy("erp-orders", "running", "0") // what was under way when it was suspended is held, too
	held := strings.TrimSpace(w.typed(`api $B/v1/webhooks/erp-orders/health | jq -c '{failingSince,lastStatus,held}'`, `{"failingSince":"…","lastStatus":503,"held":…}`))
	waiting := regexp.MustCompile(`"held":(\d+)`).FindStringSubmatch(held)[1]
	w.typed(`api $B/v1/events/`+sent[len(sent)-1]+`/matches | jq -c '.data[] | select(.webhook.code=="erp-orders") | [.matched,.reason]'`, `[false,"suspended"]`)

	// Back.
	before := len(r.Received())
	r.Respond(statusAnswer(http.StatusOK))
	said = w.typed(`api --json '{"replay":"missed"}' $B/v1/webhooks/erp-orders/resume | jq -rc '[.webhook.state,.released],.replayId'`, "[\"active\","+waiting+"]\n…")
	id := strings.Split(said, "\n")[1]
	w.until(`api $B/v1/replays/$ID | jq -c '{state,total,done}'`, `{"state":"succeeded","total":5,"done":5}`, "ID="+id)
	w.publish(doc{"id": "ord-9-paid", "type": "order.paid"})
	sent = append(sent, "ord-9-paid")
	missing := map[string]bool{}
	r.WaitFor("every event that failed or was missed", func(all []testkit.Received) bool {
		for _, event := range sent {
			missing[event] = true
		}
		for _, q := range all[before:] {
			w.signed(q, old, secret)
			delete(missing, q.Header.Get("webhook-id"))
		}
		return len(missing) == 0
	})
	w.until(`api "$B/v1/deliveries?webhook=erp-orders&limit=500" | jq -r '[.data[] | select(.test | not) | .state] | unique | .[]'`, "succeeded")
	s.stop()
}
