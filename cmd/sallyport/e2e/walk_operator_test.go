package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// typist types commands behind the preamble, each in a shell of its own, and reads the JSON they
// print; what a walk leaves open stands in variables.
type typist struct {
	w       *world
	dir     string
	environ []string
}

func (y *typist) set(name, value string) { y.environ = append(y.environ, name+"="+value) }

// types runs a command and returns what it printed; it must end well.
func (y *typist) types(command string, environ ...string) string {
	y.w.t.Helper()
	said, code := y.w.shell(y.dir, preamble+command, nil, slices.Concat(y.environ, environ)...)
	if code != 0 {
		y.w.t.Fatalf("%s\nexit %d: %s", command, code, said)
	}
	return strings.TrimSpace(said)
}

// jsons runs a command that prints JSON values, one or several.
func (y *typist) jsons(command string, environ ...string) []doc {
	y.w.t.Helper()
	said := y.types(command, environ...)
	var all []doc
	for d := json.NewDecoder(strings.NewReader(said)); d.More(); {
		var v doc
		if err := d.Decode(&v); err != nil {
			y.w.t.Fatalf("%s\nprinted %s: %v", command, said, err)
		}
		all = append(all, v)
	}
	return all
}

// json runs a command that prints one JSON object.
func (y *typist) json(command string, environ ...string) *answer {
	y.w.t.Helper()
	said := y.types(command, environ...)
	if !json.Valid([]byte(said)) {
		y.w.t.Fatalf("%s\nprinted %s", command, said)
	}
	return &answer{t: y.w.t, asked: command, status: http.StatusOK, body: []byte(said)}
}

var _ = suite("walks", map[string]func(*world){
	"an operator at 3 a.m.": func(w *world) {
		since := time.Now().UTC().Add(-time.Second)
		r := w.receiver()
		r.Respond(statusAnswer(http.StatusServiceUnavailable))
		w.webhook(r, doc{"code": "erp-orders", "eventTypes": []string{"order.*"}, "filter": "event.entity.total > 100", "maxAttempts": 2})
		w.publish(doc{"id": "ord-7-paid", "type": "order.paid", "entityId": 7, "entity": doc{"total": 120}})
		w.publish(doc{"id": "ord-8-paid", "type": "order.paid", "entityId": 8, "entity": doc{"total": 12}})
		failed := w.await(w.deliveryOf("ord-7-paid"), "failed")
		y := &typist{w: w, dir: w.t.TempDir()}
		y.set("B", w.url)
		y.set("SALLYPORT_KEY", w.operator.key)
		y.set("SINCE", since.Format(time.RFC3339Nano))
		y.set("UNTIL", time.Now().UTC().Add(time.Minute).Format(time.RFC3339))

		// "We did not get event X": three calls.
		y.json(`api -G $B/v1/events -d type=order.paid -d entityId=7 -d since=$SINCE -d until=$UNTIL`).
			has("data.0.id", "ord-7-paid", "data.1", "")
		y.json(`api $B/v1/events/ord-7-paid/matches | jq '.data[] | select(.webhook.code=="erp-orders")'`).
			has("matched", "true", "delivery.state", "failed", "delivery.stateReason", "attempts_exhausted", "delivery.id", failed.text("id"))
		y.json(`api $B/v1/events/ord-8-paid/matches | jq '.data[] | select(.webhook.code=="erp-orders")'`).
			has("matched", "false", "reason", "filter", "detail", "event.entity.total > 100 was false", "evaluated", "now")
		y.set("D", failed.text("id"))
		y.json(`api $B/v1/deliveries/$D | jq '.attempts[-1] | {startedAt,errorClass,remoteAddress,timings,response}'`).
			has("startedAt", failed.text("attempts.1.startedAt"), "errorClass", "status", "remoteAddress", strings.TrimPrefix(r.URL, "http://"),
				"timings.totalMs", failed.text("attempts.1.timings.totalMs"), "response.status", "503")

		// Replay everything for one webhook since then.
		r.Respond(statusAnswer(http.StatusNoContent))
		w.publish(doc{"id": "ord-9-paid", "type": "order.paid", "entity": doc{"total": 900}})
		w.await(w.deliveryOf("ord-9-paid"), "succeeded")
		y.json(`api --json '{"webhook":"erp-orders","since":"'$SINCE'","include":"all","dryRun":true}' $B/v1/replays`).has("total", "2", "complete", "true")
		replay := y.json(`api --json '{"webhook":"erp-orders","since":"'$SINCE'","include":"all"}' $B/v1/replays`).has("include", "all", "webhook.code", "erp-orders")
		y.set("ID", replay.text("id"))
		eventually(w.t, "the replay to end", func() bool {
			return y.json(`api $B/v1/replays/$ID | jq '{state,total,done}'`).text("state") == "succeeded"
		})
		y.json(`api $B/v1/replays/$ID | jq '{state,total,done}'`).has("total", "2", "done", "2")
		w.await(failed.text("id"), "succeeded").has("replayId", replay.text("id"))
		if n := len(r.Wait(5)); n != 5 { // two failed, one new, two again
			w.t.Errorf("the receiver was asked %d times", n)
		}

		// A refused inbound call.
		sink := w.sink("book-stock")
		w.door("erp-stock", doc{"ipAllowList": []string{"203.0.113.0/24"}, "routes": to("book-stock")})
		refused := w.nobody.post(w.in("erp-stock"), `{"sku":"A1"}`).problem(http.StatusForbidden, "ip_not_allowed")
		w.noted(refused)
		lines := y.types(`api -G $B/v1/requests -d verdict=refused -d since=$SINCE | jq -r '.data[]|[.receivedAt,.code,.reason,.clientAddress]|@tsv'`)
		if fields := strings.Split(lines, "\t"); len(fields) != 4 || fields[1] != "erp-stock" || fields[2] != "ip_not_allowed" || fields[3] != "127.0.0.1" {
			w.t.Errorf("refused: %q", lines)
		}
		y.set("R", refused.header.Get("X-Request-Id"))
		y.json(`api $B/v1/requests/$R | jq '{checks,headers,body}'`).has("body", `{"sku":"A1"}`)
		y.json(`api -X POST $B/v1/requests/$R/verify`).has("verdict", "refused", "reason", "ip_not_allowed")
		w.admin.patch("/v1/incoming-webhooks/erp-stock", doc{"ipAllowList": []string{"127.0.0.0/8"}}).want(http.StatusOK)
		y.json(`api -X POST $B/v1/requests/$R/verify`).has("verdict", "accepted")
		y.json(`api -X POST $B/v1/requests/$R/replay`).has("events", "1", "deliveries", "1")
		sink.Wait(1)

		// Queue growing? Who?
		w.admin.patch("/v1/webhooks/erp-orders", doc{"filter": nil}).want(http.StatusOK)
		y.json(`api -X POST $B/v1/webhooks/erp-orders/pause`).has("state", "paused")
		for range 3 {
			w.publish(doc{"type": "order.paid", "entity": doc{}})
		}
		eventually(w.t, "the queue to show", func() bool {
			return y.json(`api $B/v1/stats | jq '{pending,held,oldestPendingAgeMs,acceptedPerSecond,finishedPerSecond,topTargets}'`).number("held") == 3
		})
		y.json(`api $B/v1/stats | jq '{pending,oldestPendingAgeMs,acceptedPerSecond,finishedPerSecond,topTargets}'`).
			has("pending", "0", "topTargets.0.target.code", "erp-orders", "topTargets.0.held", "3", "topTargets.0.stateReason", "paused")
		platform := "SALLYPORT_KEY=" + w.platform.key
		pending := -1.0
		rows := y.jsons(`api -G $B/v1/workspaces -d include=stats -d sort=-pending -d limit=5 | jq '.data[]|{code,stats}'`, platform)
		if len(rows) < 2 {
			w.t.Errorf("of all workspaces %v are listed", rows)
		}
		for _, row := range rows {
			n, ok := row["stats"].(map[string]any)["pending"].(float64)
			if !ok || pending >= 0 && n > pending {
				w.t.Errorf("after %v waiting comes %v", pending, row)
			}
			pending = n
		}
		y.json(`api -X PATCH --json '{"limits":{"eventsPerSecond":1}}' $B/v1/workspaces/`+w.workspace, platform).has("limits.eventsPerSecond", "1")
		eventually(w.t, "the limit to act", func() bool {
			return w.publisher.post("/v1/events", doc{"type": "order.paid"}).status == http.StatusTooManyRequests
		})
	},
})
