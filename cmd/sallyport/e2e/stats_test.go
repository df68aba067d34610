package e2e

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var _ = suite("stats", map[string]func(*world){
	"what waits, for whom and why": func(w *world) {
		failing, good := w.receiver(), w.receiver()
		failing.Respond(statusAnswer(http.StatusBadGateway))
		never := doc{"schedule": []string{"1h"}, "jitter": 0}
		w.webhook(good, doc{"code": "good", "eventTypes": []string{"a.*"}})
		w.webhook(failing, doc{"code": "failing", "eventTypes": []string{"a.*"}, "retry": never})
		w.webhook(failing, doc{"code": "gives-up", "eventTypes": []string{"a.*"}, "maxAttempts": 1})
		w.webhook(good, doc{"code": "paused", "eventTypes": []string{"*"}})
		w.operator.post("/v1/webhooks/paused/pause", nil).want(http.StatusOK)
		w.viewer.get("/v1/stats").want(http.StatusOK).has("pending", "0", "held", "0", "failed", "0", "exact", "true", "oldestPendingAgeMs", "", "topTargets", "[]")
		for range 3 {
			w.publish(doc{"type": "a.b"})
		}
		w.publish(doc{"type": "b.c"})
		var a *answer
		seen := map[string]int{} // the most: each counts the last minute only
		eventually(w.t, "the figures to follow", func() bool {
			a = w.viewer.get("/v1/stats").want(http.StatusOK)
			for _, name := range []string{"acceptedPerSecond", "createdPerSecond", "finishedPerSecond", "failedPerSecond", "attemptsPerSecond"} {
				seen[name] = max(seen[name], rate(a, name))
			}
			return a.number("pending") == 3 && a.number("held") == 4 && a.number("failed") == 3 && a.number("running") == 0 && a.text("oldestPendingAgeMs") == "" &&
				maps.Equal(seen, map[string]int{"acceptedPerSecond": 4, "createdPerSecond": 13, "finishedPerSecond": 6, "failedPerSecond": 3, "attemptsPerSecond": 9})
		})
		// What is sent to comes first, held or not yet due as it may be.
		a.has("topTargets.0.target.code", "failing", "topTargets.0.target.kind", "webhook", "topTargets.0.state", "active", "topTargets.0.stateReason", "retry_scheduled",
			"topTargets.0.pending", "3", "topTargets.0.held", "0", "topTargets.0.oldestPendingAgeMs", "",
			"topTargets.1.target.code", "paused", "topTargets.1.state", "paused", "topTargets.1.stateReason", "paused", "topTargets.1.pending", "0", "topTargets.1.held", "4",
			"oldestPendingAgeMs", "")
		if age, err := strconv.ParseFloat(a.text("topTargets.1.oldestPendingAgeMs"), 64); err != nil || age < 0 {
			w.t.Errorf("what is held has been due for %q", a.text("topTargets.1.oldestPendingAgeMs"))
		}
		// Of another workspace nothing of it shows.
		newWorld(w.t, w.server).viewer.get("/v1/stats").want(http.StatusOK).has("pending", "0", "held", "0", "failed", "0", "acceptedPerSecond", "0", "topTargets", "[]")
	},
	"calls of doors are counted": func(w *world) {
		w.door("counted", doc{})
		w.nobody.post(w.in("counted"), `{}`).want(http.StatusAccepted)
		w.nobody.get(w.in("counted")).problem(http.StatusMethodNotAllowed, "method_not_allowed")
		w.nobody.get(w.in("unknown")).problem(http.StatusNotFound, "not_found")
		eventually(w.t, "the calls to be counted", func() bool {
			a := w.viewer.get("/v1/stats").want(http.StatusOK)
			return rate(a, "requests.acceptedPerSecond") == 1 && rate(a, "requests.refusedPerSecond") == 2 && rate(a, "acceptedPerSecond") == 1
		})
	},
	"workspaces by their backlog": func(w *world) {
		mark := doc{"team": random(12)}
		filter := "&metadata=team:" + mark["team"].(string)
		codes := func(query string) []string {
			return w.platform.get("/v1/workspaces?"+query+filter).want(http.StatusOK).has("nextCursor", "").list("code")
		}
		r := w.receiver()
		r.Respond(statusAnswer(http.StatusBadGateway))
		var all []string
		for n := range 4 {
			x := newWorld(w.t, w.server)
			x.platform.patch("/v1/workspaces/"+x.workspace, doc{"metadata": mark}).want(http.StatusOK)
			x.webhook(r, doc{"retry": doc{"schedule": []string{"1h"}, "jitter": 0}})
			for range []int{1, 3, 0, 2}[n] {
				x.publish(doc{"type": "a.b"})
			}
			all = append(all, x.workspace)
		}
		want := []string{all[1], all[3], all[0], all[2]}
		var a *answer
		eventually(w.t, "the backlogs to be measured", func() bool {
			a = w.platform.get("/v1/workspaces?include=stats&sort=-pending" + filter).want(http.StatusOK)
			due := slices.ContainsFunc(a.list("stats.oldestPendingAgeMs"), func(age string) bool { return age != "" })
			return slices.Equal(a.list("code"), want) && a.number("data.0.stats.pending") == 3 && a.number("data.3.stats.pending") == 0 && !due
		})
		a.has("nextCursor", "", "data.0.stats.held", "0", "data.0.stats.exact", "true", "data.0.stats.oldestPendingAgeMs", "")
		if got := codes("sort=-pending&limit=2"); !slices.Equal(got, want[:2]) {
			w.t.Errorf("the first two are %v", got)
		}
		slices.Reverse(want)
		if got := codes("sort=pending"); !slices.Equal(got, want) {
			w.t.Errorf("the least first: %v", got)
		}
		slices.Reverse(all)
		if got := codes("sort=-oldestPendingAge"); !slices.Equal(got, all) { // none is due: the newest first
			w.t.Errorf("by age: %v", got)
		}
		slices.Sort(all)
		first := w.platform.get("/v1/workspaces?sort=code&limit=3"+filter).want(http.StatusOK).has("data.0.stats", "")
		next := w.platform.get("/v1/workspaces?sort=code&limit=3&cursor="+first.text("nextCursor")+filter).want(http.StatusOK).has("nextCursor", "")
		if got := append(first.list("code"), next.list("code")...); !slices.Equal(got, all) {
			w.t.Errorf("by code: %v, want %v", got, all)
		}
		w.platform.get("/v1/workspaces?sort=-pending&order=asc").problem(http.StatusBadRequest, "invalid_parameter").has("field", "order")
		w.platform.get("/v1/workspaces?sort=backlog").problem(http.StatusBadRequest, "invalid_parameter").has("field", "sort")
		w.viewer.get("/v1/workspaces?include=stats").problem(http.StatusForbidden, "forbidden")
	},
	"one id goes through everything": func(w *world) {
		r := w.sink("book")
		w.webhook(r, doc{"code": "told", "eventTypes": []string{"a.b"}})
		a := w.publisher.post("/v1/events", doc{"type": "a.b"}, "X-Request-Id", "billing-run-77").want(http.StatusAccepted)
		id := a.header.Get("X-Request-Id")
		event := a.text("id")
		w.viewer.get("/v1/events/"+event).want(http.StatusOK).has("source.requestId", id)
		d := w.await(w.deliveryOf(event), "succeeded").has("requestId", id)
		w.logged("http.answered", doc{"request_id": id, "caller_request_id": "billing-run-77", "path": "/v1/events", "status": 202.0})
		w.logged("delivery.attempted", doc{"request_id": id, "delivery_id": d.text("id"), "event_id": event, "outcome": "succeeded", "attempt": 1.0, "status": 200.0})
		// What a caller calls itself is not believed, and what is no id is not written down.
		again := w.publisher.post("/v1/events", doc{"type": "a.b"}, "X-Request-Id", id).want(http.StatusAccepted)
		if again.header.Get("X-Request-Id") == id {
			w.t.Error("two calls have one id")
		}
		w.viewer.get("/v1/info", "X-Request-Id", "no id {at all}").want(http.StatusOK)
		if strings.Contains(w.said(), "at all}") {
			w.t.Error("a line has what is no id")
		}

		w.door("erp", doc{"routes": to("book")})
		call := w.nobody.post(w.in("erp"), `{"sku":"A-7"}`).want(http.StatusAccepted)
		id = call.header.Get("X-Request-Id")
		n := w.ran(call, doc{"succeeded": 1}).has("id", id)
		w.viewer.get("/v1/events/"+n.text("events.0")).want(http.StatusOK).has("source.requestId", id)
		w.viewer.get("/v1/deliveries/"+n.text("deliveries.0.id")).want(http.StatusOK).has("requestId", id)
		w.logged("http.answered", doc{"request_id": id, "status": 202.0})
		w.logged("delivery.attempted", doc{"request_id": id, "delivery_id": n.text("deliveries.0.id"), "outcome": "succeeded"})
	},
})

// rate is how many things in a minute a rate stands for.
func rate(a *answer, path string) int {
	perSecond, err := strconv.ParseFloat(a.text(path), 64)
	if err != nil {
		return -1
	}
	return int(perSecond*60 + 0.5)
}

// logged waits for a line of the log with that message and those fields.
func (w *world) logged(message string, fields doc) {
	w.t.Helper()
	eventually(w.t, "a line "+message+" with "+strconv.Itoa(len(fields))+" fields", func() bool {
		lines := bufio.NewScanner(strings.NewReader(w.said()))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line doc
			if !strings.Contains(lines.Text(), message) || json.Unmarshal(lines.Bytes(), &line) != nil || line["msg"] != message {
				continue
			}
			same := true
			for name, want := range fields {
				same = same && line[name] == want
			}
			if same {
				return true
			}
		}
		return false
	})
}
