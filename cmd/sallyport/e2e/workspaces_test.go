package e2e

import (
	"net/http"
	"strconv"
)

var _ = suite("workspaces", map[string]func(*world){
	"settings": func(w *world) {
		code := "set-" + random(8)
		a := w.platform.put("/v1/workspaces/"+code, doc{"name": "Set " + code, "strict": true, "retention": "336h", "limits": doc{"eventsPerSecond": 50}, "metadata": doc{"by": code}}).
			want(http.StatusCreated).has("strict", "true", "retention", "14d", "limits.eventsPerSecond", "50", "limits.pendingDeliveries", "", "metadata.by", code)
		w.platform.get("/v1/workspaces/"+a.text("id")).want(http.StatusOK).has("code", code)
		w.platform.get("/v1/workspaces?metadata=by:"+code).want(http.StatusOK).has("data.0.code", code, "data.1", "")
		w.platform.patch("/v1/workspaces/"+code, doc{"strict": nil, "limits": doc{"eventsPerSecond": nil, "pendingDeliveries": 7}}).want(http.StatusOK).
			has("strict", "false", "retention", "14d", "limits.eventsPerSecond", "", "limits.pendingDeliveries", "7").heads("Sallyport-Changed", "strict,limits")
		w.platform.put("/v1/workspaces/"+code, doc{}).want(http.StatusOK).has("name", code, "retention", "", "limits.pendingDeliveries", "", "metadata", "{}")
		w.platform.put("/v1/workspaces/"+code+"?dryRun=true", doc{"strict": true}).want(http.StatusOK).heads("Sallyport-Result", "updated", "Sallyport-Changed", "strict")
		w.platform.get("/v1/workspaces/"+code).want(http.StatusOK).has("strict", "false", "version", "3")
		w.platform.put("/v1/workspaces/"+code, doc{"retention": "1s", "limits": doc{"eventsPerSecond": 0}, "strikt": true}).
			fault("/retention", "out_of_range").fault("/limits/eventsPerSecond", "out_of_range").fault("/strikt", "unknown_field")
		w.platform.post("/v1/workspaces", doc{"code": code}).problem(http.StatusConflict, "code_taken").has("owner", a.text("id"))
	},
	"deleting asks for the code once more, and takes everything": func(w *world) {
		other := newWorld(w.t, w.server)
		r := other.receiver()
		other.webhook(r, doc{"code": "hook"})
		event := other.publish(doc{"type": "a.b"})
		other.await(other.deliveryOf(event), "succeeded")
		path := "/v1/workspaces/" + other.workspace
		w.platform.delete(path).problem(http.StatusBadRequest, "invalid_parameter").has("field", "confirm")
		w.platform.delete(path+"?confirm=default").problem(http.StatusBadRequest, "invalid_parameter").has("field", "confirm")
		w.platform.delete(path + "?confirm=" + other.workspace).want(http.StatusAccepted)
		w.platform.get(path).problem(http.StatusNotFound, "not_found")
		for _, c := range []*caller{other.admin, other.viewer, other.publisher} {
			c.get("/v1/info").problem(http.StatusUnauthorized, "unauthorized")
		}
		w.platform.get("/v1/events/"+event, "Sallyport-Workspace", other.workspace).problem(http.StatusNotFound, "not_found")
		// The code is free again, and nothing of the old one comes with it.
		w.platform.post("/v1/workspaces", doc{"code": other.workspace}).want(http.StatusCreated)
		w.platform.get("/v1/events", "Sallyport-Workspace", other.workspace).want(http.StatusOK).has("data.0", "")
		w.platform.get("/v1/webhooks", "Sallyport-Workspace", other.workspace).want(http.StatusOK).has("data.0", "")
		w.platform.delete("/v1/workspaces/default?confirm=default").problem(http.StatusConflict, "invalid_state")
	},
	"eventsPerSecond is a limit": func(w *world) {
		w.platform.patch("/v1/workspaces/"+w.workspace, doc{"limits": doc{"eventsPerSecond": 2}}).want(http.StatusOK)
		w.publisher.post("/v1/events", doc{"type": "a.b"}).want(http.StatusAccepted)
		// As many as five minutes bring, however slow this machine is.
		many := make([]doc, 600)
		for i := range many {
			many[i] = doc{"type": "a.b"}
		}
		a := w.publisher.post("/v1/events/batch", doc{"data": many}).problem(http.StatusTooManyRequests, "rate_limited")
		if s, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || s < 1 {
			w.t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
		w.platform.patch("/v1/workspaces/"+w.workspace, doc{"limits": doc{"eventsPerSecond": nil}}).want(http.StatusOK)
		w.publisher.post("/v1/events", doc{"type": "a.b"}).want(http.StatusAccepted)
	},
	"pendingDeliveries is a limit": func(w *world) {
		w.webhook(w.receiver(), doc{"code": "held"})
		w.operator.post("/v1/webhooks/held/pause", nil).want(http.StatusOK)
		w.platform.patch("/v1/workspaces/"+w.workspace, doc{"limits": doc{"pendingDeliveries": 1}}).want(http.StatusOK)
		w.publish(doc{"type": "a.b"})
		eventually(w.t, "publishing to be refused", func() bool {
			a := w.publisher.post("/v1/events", doc{"type": "a.b"})
			if a.status == http.StatusAccepted {
				return false
			}
			a.problem(http.StatusServiceUnavailable, "queue_full")
			return a.header.Get("Retry-After") != ""
		})
	},
})
