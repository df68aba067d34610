package e2e

import (
	"net/http"
	"strconv"
	"strings"
)

var _ = suite("parameters", map[string]func(*world){
	"an unknown one is refused with the nearest name": func(w *world) {
		w.viewer.get("/v1/deliveries?stat=failed").problem(http.StatusBadRequest, "unknown_parameter").has("field", "stat").says("state")
		w.viewer.get("/v1/events?entityid=7").problem(http.StatusBadRequest, "unknown_parameter").says("entityId")
		w.viewer.get("/v1/webhooks?metdata=a:b").problem(http.StatusBadRequest, "unknown_parameter").says("metadata")
		w.publisher.post("/v1/events?dryRun=true", doc{"type": "a.b"}).problem(http.StatusBadRequest, "unknown_parameter")
		w.publisher.post("/v1/events/batch?x=1", doc{"data": []doc{{"type": "a.b"}}}).problem(http.StatusBadRequest, "unknown_parameter")
		w.viewer.get("/v1/info?x").problem(http.StatusBadRequest, "unknown_parameter")
		w.admin.delete("/v1/webhooks/none?force=1").problem(http.StatusBadRequest, "unknown_parameter")
	},
	"what has not the right form is refused": func(w *world) {
		for query, field := range map[string]string{
			"limit=0": "limit", "limit=501": "limit", "limit=ten": "limit", "limit=1&limit=2": "limit", "order=up": "order",
			"since=yesterday": "since", "until=2026-11-21": "until",
		} {
			for _, path := range []string{"/v1/events?", "/v1/deliveries?", "/v1/webhooks?", "/v1/event-types?"} {
				w.viewer.get(path+query).problem(http.StatusBadRequest, "invalid_parameter").has("field", field)
			}
		}
		w.viewer.get("/v1/deliveries?state=lost").problem(http.StatusBadRequest, "invalid_parameter").has("field", "state").says("succeeded")
		w.viewer.get("/v1/webhooks?metadata=nocolon").problem(http.StatusBadRequest, "invalid_parameter").has("field", "metadata")
		w.viewer.get("/v1/events?limit=%zz").problem(http.StatusBadRequest, "invalid_parameter")
		w.admin.put("/v1/webhooks/a?dryRun=yes", doc{"url": "https://a.example"}).problem(http.StatusBadRequest, "invalid_parameter").has("field", "dryRun")
		w.admin.delete("/v1/webhooks/a/secret?id=7").problem(http.StatusBadRequest, "invalid_parameter").has("field", "id")
	},
	"what no text can have is looked for nowhere": func(w *world) {
		for _, odd := range []string{"%00", "a%00b", "%ff", "%ED%A0%80"} {
			for _, path := range []string{
				"/v1/webhooks/", "/v1/event-types/", "/v1/events/", "/v1/actions/", "/v1/incoming-webhooks/", "/v1/deliveries/", "/v1/collections/x/records/",
			} {
				w.viewer.get(path+odd).problem(http.StatusNotFound, "not_found")
			}
			w.admin.put("/v1/webhooks/"+odd, doc{"url": "https://a.example"}).problem(http.StatusNotFound, "not_found")
			w.platform.get("/v1/workspaces/"+odd).problem(http.StatusNotFound, "not_found")
			for _, query := range []string{
				"events?id=", "events?type=", "events?entityId=", "deliveries?eventId=", "deliveries?webhook=", "deliveries?eventType=", "replays?webhook=",
				"webhooks?metadata=a:", "requests?incomingWebhook=", "stream?webhook=",
			} {
				w.viewer.get("/v1/"+query+odd).problem(http.StatusBadRequest, "invalid_parameter")
			}
			// The door of a workspace that cannot be: anybody may ask.
			w.nobody.post("/w/"+odd+"/in/x", doc{}).problem(http.StatusNotFound, "not_found")
			w.nobody.post("/w/"+w.workspace+"/in/"+odd, doc{}).problem(http.StatusNotFound, "not_found")
		}
	},
	"a cursor goes with its filters and its order": func(w *world) {
		for n := range 3 {
			w.publish(doc{"type": "a.b", "id": "e" + strconv.Itoa(n)})
		}
		first := w.viewer.get("/v1/events?limit=1&type=a.b").want(http.StatusOK)
		cursor := first.text("nextCursor")
		w.viewer.get("/v1/events?limit=2&type=a.b&cursor="+cursor).want(http.StatusOK).has("data.0.id", "e1", "data.1.id", "e0", "nextCursor", "")
		for _, query := range []string{"limit=1&cursor=" + cursor, "type=a.c&cursor=" + cursor, "type=a.b&order=asc&cursor=" + cursor, "cursor=nonsense", "cursor="} {
			w.viewer.get("/v1/events?"+query).problem(http.StatusBadRequest, "invalid_cursor").has("field", "cursor")
		}
		w.viewer.get("/v1/deliveries?cursor="+cursor).problem(http.StatusBadRequest, "invalid_cursor")
		other := newWorld(w.t, w.server)
		other.viewer.get("/v1/events?limit=1&type=a.b&cursor="+cursor).problem(http.StatusBadRequest, "invalid_cursor")
	},
	"the order and the end of a list": func(w *world) {
		for n := range 5 {
			w.publish(doc{"type": "a.b", "id": "e" + strconv.Itoa(n)})
		}
		if got := strings.Join(w.viewer.get("/v1/events").want(http.StatusOK).has("nextCursor", "").list("id"), " "); got != "e4 e3 e2 e1 e0" {
			w.t.Errorf("newest first: %s", got)
		}
		if got := strings.Join(w.viewer.get("/v1/events?order=asc").want(http.StatusOK).list("id"), " "); got != "e0 e1 e2 e3 e4" {
			w.t.Errorf("oldest first: %s", got)
		}
		var all []string
		cursor := ""
		for {
			a := w.viewer.get("/v1/events?order=asc&limit=2" + cursor).want(http.StatusOK)
			all = append(all, a.list("id")...)
			if a.at("nextCursor") == nil {
				break
			}
			cursor = "&cursor=" + a.text("nextCursor")
		}
		if got := strings.Join(all, " "); got != "e0 e1 e2 e3 e4" {
			w.t.Errorf("page by page: %s", got)
		}
		if !strings.Contains(string(w.viewer.get("/v1/webhooks").want(http.StatusOK).body), `"nextCursor":null`) {
			w.t.Error("an empty list has no nextCursor")
		}
	},
	"since is inclusive, until exclusive, and a plus may come as a space": func(w *world) {
		w.publish(doc{"type": "a.b", "id": "one"})
		at := w.viewer.get("/v1/events/one").want(http.StatusOK).text("acceptedAt")
		w.viewer.get("/v1/events?since="+at).want(http.StatusOK).has("data.0.id", "one")
		w.viewer.get("/v1/events?until="+at).want(http.StatusOK).has("data.0", "")
		local := strings.TrimSuffix(at, "Z") // the same instant in another zone
		hour, err := strconv.Atoi(local[11:13])
		if err != nil {
			w.t.Fatal(err)
		}
		if hour < 22 {
			local = local[:11] + pad(hour+2) + local[13:] + "+02:00"
		} else {
			local = local[:11] + pad(hour-2) + local[13:] + "-02:00"
		}
		w.viewer.get("/v1/events?since="+strings.Replace(local, "+", "%2B", 1)).want(http.StatusOK).has("data.0.id", "one")
		w.viewer.get("/v1/events?since="+local).want(http.StatusOK).has("data.0.id", "one")
		w.viewer.get("/v1/events?until="+local).want(http.StatusOK).has("data.0", "")
		w.viewer.get("/v1/events?since=2020-01-01T00:00:00+02:00").want(http.StatusOK).has("data.0.id", "one")
	},
	"filters that repeat mean any, metadata means all": func(w *world) {
		for code, metadata := range map[string]doc{"a": {"by": "ci", "env": "prod"}, "b": {"by": "ci"}, "c": {}} {
			w.webhook(w.receiver(), doc{"code": code, "metadata": metadata, "eventTypes": []string{"none.such"}})
		}
		w.viewer.get("/v1/webhooks?metadata=by:ci&order=asc").want(http.StatusOK).has("data.2", "")
		if got := w.viewer.get("/v1/webhooks?metadata=by:ci&metadata=env:prod").want(http.StatusOK).list("code"); len(got) != 1 || got[0] != "a" {
			w.t.Errorf("both metadata: %v", got)
		}
		w.publish(doc{"type": "x.a", "id": "ea", "entityId": 7})
		w.publish(doc{"type": "x.b", "id": "eb", "entityId": "7"})
		w.publish(doc{"type": "x.c", "id": "ec", "entityId": "8"})
		for query, want := range map[string]string{
			"type=x.a&type=x.c": "ec ea", "entityId=7": "eb ea", "entityId=7&entityId=8": "ec eb ea", "id=ea&id=eb": "eb ea", "type=x.a&entityId=8": "",
			"type=x.*": "",
		} {
			if got := strings.Join(w.viewer.get("/v1/events?"+query).want(http.StatusOK).list("id"), " "); got != want {
				w.t.Errorf("%s found %q, want %q", query, got, want)
			}
		}
	},
})

func pad(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}
