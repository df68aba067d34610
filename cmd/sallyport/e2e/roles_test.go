package e2e

import (
	"net/http"
	"strings"

	"sallyport/api/spec"
)

// who may call what, as the contract's table of paths has it: A admin, O operator, P publisher,
// V viewer; X stands for the platform's keys of role admin, x for those that only read.
var may = map[string]string{
	"GetInfo":        "AOPVXx",
	"GetStats":       "AOVXx",
	"ListWorkspaces": "Xx", "GetWorkspace": "Xx",
	"CreateWorkspace": "X", "PutWorkspace": "X", "PatchWorkspace": "X", "DeleteWorkspace": "X",
	"ListAPIKeys": "AX", "CreateAPIKey": "AX", "GetAPIKey": "AX", "PutAPIKey": "AX", "PatchAPIKey": "AX", "DeleteAPIKey": "AX",
	"ListEventTypes": "AOVXx", "GetEventType": "AOVXx",
	"CreateEventType": "AX", "PutEventType": "AX", "PatchEventType": "AX", "DeleteEventType": "AX",
	"PublishEvent": "APX", "PublishEvents": "APX",
	"ListEvents": "AOPVXx", "GetEvent": "AOPVXx", "ListEventDeliveries": "AOVXx", "ListEventMatches": "AOVXx",
	"ListWebhooks": "AOVXx", "GetWebhook": "AOVXx", "GetWebhookHealth": "AOVXx", "ListWebhookDeliveries": "AOVXx",
	"CreateWebhook": "AX", "PutWebhook": "AX", "PatchWebhook": "AX", "DeleteWebhook": "AX", "RotateWebhookSecret": "AX", "DeleteWebhookSecret": "AX",
	"PauseWebhook": "AOX", "ResumeWebhook": "AOX", "TestWebhook": "AOX",
	"ListDeliveries": "AOVXx", "GetDelivery": "AOVXx", "GetAttemptRequestBody": "AOVXx", "GetAttemptResponseBody": "AOVXx",
	"RetryDelivery": "AOX", "SkipDelivery": "AOX", "RenderTemplate": "AOX", "HoldDispatch": "X", "ReleaseDispatch": "X",
	"ListIncomingWebhooks": "AOVXx", "GetIncomingWebhook": "AOVXx", "ListIncomingWebhookRequests": "AOVXx", "ListPresets": "AOVXx", "GetPreset": "AOVXx",
	"CreateIncomingWebhook": "AX", "PutIncomingWebhook": "AX", "PatchIncomingWebhook": "AX", "DeleteIncomingWebhook": "AX", "DeleteIncomingWebhookHash": "AX",
	"ListRequests": "AOVXx", "GetRequest": "AOVXx", "GetRequestBody": "AOVXx", "ReplayRequest": "AOX", "VerifyRequest": "AOX",
	"ListActions": "AOVXx", "GetAction": "AOVXx", "ListActionDeliveries": "AOVXx",
	"CreateAction": "AX", "PutAction": "AX", "PatchAction": "AX", "DeleteAction": "AX", "TestAction": "AX",
	"ListAuditLog": "AX", "StreamEvents": "AOVXx",
	"ListReplays": "AOVXx", "GetReplay": "AOVXx", "CreateReplay": "AOX", "PauseReplay": "AOX", "ResumeReplay": "AOX", "CancelReplay": "AOX",
	"ListCollections": "AOVXx", "ListRecords": "AOVXx", "GetRecord": "AOVXx", "PutRecord": "AX", "DeleteRecord": "AX",
}

var _ = suite("roles", map[string]func(*world){
	"each role against each operation": func(w *world) {
		reader := w.platform.post("/v1/api-keys", doc{"name": "reader", "role": "viewer", "platform": true}).want(http.StatusCreated)
		callers := map[byte]*caller{
			'A': w.admin, 'O': w.operator, 'P': w.publisher, 'V': w.viewer, 'X': w.platform,
			'x': {t: w.t, s: w.server, key: reader.text("key"), workspace: w.workspace},
		}
		for path, item := range spec.Document().Paths.Map() {
			for method, op := range item.Operations() {
				if !strings.HasPrefix(path, "/v1/") {
					continue
				}
				allowed, known := may[op.OperationID]
				if !known {
					w.t.Errorf("nobody says who may %s", op.OperationID)
				}
				// What is named does not exist, and a body is not one: who may call is told so.
				at := strings.NewReplacer("{attempt}", "1").Replace(path)
				for _, name := range []string{
					"{workspace}", "{key}", "{type}", "{event}", "{webhook}", "{delivery}", "{incomingWebhook}", "{request}", "{action}", "{preset}", "{collection}", "{replay}",
				} {
					at = strings.ReplaceAll(at, name, "019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e")
				}
				for role, c := range callers {
					if op.OperationID == "HoldDispatch" && strings.IndexByte(allowed, role) >= 0 {
						continue // the other tests share this server
					}
					var body any
					if op.RequestBody != nil {
						body = "{"
					}
					a := c.call(method, at, body, "Accept", "application/json") // of the stream a page, which ends
					may := strings.IndexByte(allowed, role) >= 0
					if refused := a.status == http.StatusForbidden; refused == may {
						w.t.Errorf("%c and %s: answered %d\n%s", role, op.OperationID, a.status, a.body)
					} else if refused {
						a.problem(http.StatusForbidden, "forbidden")
					}
				}
			}
		}
		for id := range may {
			if operation(id) == "" {
				w.t.Errorf("there is no operation %s", id)
			}
		}
	},
	"a publisher sees what it published itself": func(w *world) {
		other := w.as("publisher")
		w.publish(doc{"id": "mine", "type": "a.b"})
		other.post("/v1/events", doc{"id": "yours", "type": "a.b"}).want(http.StatusAccepted)
		if got := strings.Join(w.publisher.get("/v1/events").want(http.StatusOK).list("id"), " "); got != "mine" {
			w.t.Errorf("a publisher finds %q", got)
		}
		w.publisher.get("/v1/events/mine").want(http.StatusOK)
		w.publisher.get("/v1/events/yours").problem(http.StatusNotFound, "not_found")
		if got := strings.Join(w.viewer.get("/v1/events").want(http.StatusOK).list("id"), " "); got != "yours mine" {
			w.t.Errorf("a viewer finds %q", got)
		}
	},
	"a URL that is a credential is masked for viewers": func(w *world) {
		r := w.receiver()
		made := w.webhook(r, doc{"code": "chat", "url": r.URL + "/services/T0/B0/hidden-part?token=hidden-query", "urlSecret": true})
		id := w.deliver(doc{"type": "a.b"}, "succeeded").text("id")
		for _, path := range []string{"/v1/webhooks/chat", "/v1/webhooks", "/v1/deliveries/" + id} {
			if a := w.viewer.get(path).want(http.StatusOK); strings.Contains(string(a.body), "hidden-") {
				w.t.Errorf("%s shows the URL to a viewer: %s", path, a.body)
			}
			if a := w.admin.get(path).want(http.StatusOK); !strings.Contains(string(a.body), "hidden-part?token=hidden-query") {
				w.t.Errorf("%s does not show the URL to an admin: %s", path, a.body)
			}
		}
		if got := r.Wait(1)[0].URL; got != "/services/T0/B0/hidden-part?token=hidden-query" {
			w.t.Errorf("the receiver was asked for %s", got)
		}
		w.admin.delete("/v1/webhooks/chat").want(http.StatusNoContent)
		if a := w.viewer.get("/v1/deliveries/" + id).want(http.StatusOK); strings.Contains(string(a.body), "hidden-") {
			w.t.Errorf("once the webhook %s is deleted, its URL shows: %s", made.text("id"), a.body)
		}
		if strings.Contains(w.said(), "hidden-part") || strings.Contains(w.said(), "hidden-query") {
			w.t.Error("the log has the path or query of a webhook's URL")
		}
	},
})

// operation is the path of an operation of the contract, "" if there is none.
func operation(id string) string {
	for path, item := range spec.Document().Paths.Map() {
		for _, op := range item.Operations() {
			if op.OperationID == id {
				return path
			}
		}
	}
	return ""
}
