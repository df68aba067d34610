package e2e

import (
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"net/http"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// toldOf are the types and entities of the operational events that a receiver got.
func toldOf(t *testing.T, all []testkit.Received) (types []string, entities []doc) {
	t.Helper()
	for _, q := range all {
		var body struct{ Entity doc }
		if err := json.Unmarshal(q.Body, &body); err != nil {
			t.Fatalf("%s: %v", q.Body, err)
		}
		types, entities = append(types, q.Header.Get("X-Webhook-Event")), append(entities, body.Entity)
	}
	return types, entities
}

// typesFor are the types of all events that have a delivery to a webhook, sorted.
func (w *world) typesFor(webhook string) []string {
	w.t.Helper()
	types := w.viewer.get("/v1/deliveries?webhook=" + webhook).want(http.StatusOK).list("eventType")
	slices.Sort(types)
	return types
}

var _ = suite("operational events", map[string]func(*world){
	"tell a webhook that names them of another": func(w *world) {
		r, ops, all := w.receiver(), w.receiver(), w.receiver()
		r.Respond(statusAnswer(http.StatusGone))
		id := w.webhook(r, doc{"code": "erp", "name": "ERP", "eventTypes": []string{"order.*", "Webhook.Suspended"}}).text("id")
		w.webhook(ops, doc{"code": "ops", "eventTypes": []string{"Webhook.Suspended", "Webhook.Resumed", "Delivery.Exhausted"}})
		w.webhook(all, doc{"code": "all", "eventTypes": []string{"*", "Webhook.*"}})
		event := w.publish(doc{"type": "order.paid"})
		eventually(w.t, "the suspension", func() bool { return w.viewer.get("/v1/webhooks/erp").text("state") == "suspended" })
		types, entities := toldOf(w.t, ops.Wait(2))
		if slices.Sort(types); !slices.Equal(types, []string{"Delivery.Exhausted", "Webhook.Suspended"}) {
			w.t.Fatalf("told were %v", types)
		}
		for _, e := range entities {
			switch {
			case e["deliveryId"] != nil:
				if e["eventId"] != event || e["eventType"] != "order.paid" || e["reason"] != "gone" || e["lastStatus"] != 410.0 || at(map[string]any(e), "target.code") != "erp" {
					w.t.Errorf("given up was %v", e)
				}
				w.await(e["deliveryId"].(string), "failed")
			default:
				if at(map[string]any(e), "webhook.id") != id || e["reason"] != "gone" || e["lastStatus"] != 410.0 || e["consecutiveFailures"] != 1.0 || e["since"] == nil {
					w.t.Errorf("suspended was %v", e)
				}
			}
		}
		source := w.viewer.get("/v1/events?type=Webhook.Suspended").want(http.StatusOK)
		if source.text("data.0.source.kind") != "system" || source.text("data.0.entityId") != id || source.text("data.1") != "" {
			w.t.Errorf("the event is %s", source.body)
		}
		if got := w.typesFor("all"); !slices.Equal(got, []string{"order.paid"}) {
			w.t.Errorf("a webhook for all events was told of %v", got)
		}
		if got := w.typesFor("erp"); !slices.Equal(got, []string{"order.paid"}) {
			w.t.Errorf("the suspended webhook was told of %v", got)
		}
		r.Respond(statusAnswer(http.StatusOK))
		w.operator.post("/v1/webhooks/erp/resume", nil).want(http.StatusOK)
		if types, entities = toldOf(w.t, ops.Wait(3)[2:]); types[0] != "Webhook.Resumed" || entities[0]["reason"] != "gone" || entities[0]["suspendedSince"] == nil {
			w.t.Errorf("told of the resume %v %v", types, entities)
		}
	},
	"tell of every delivery that is given up, but none of their own": func(w *world) {
		r, ops, dead := w.receiver(), w.receiver(), w.receiver()
		r.Respond(statusAnswer(http.StatusServiceUnavailable))
		dead.Respond(statusAnswer(http.StatusServiceUnavailable))
		w.webhook(r, doc{"code": "erp", "eventTypes": []string{"order.*"}, "maxAttempts": 2})
		w.webhook(ops, doc{"code": "ops", "eventTypes": []string{"Delivery.Exhausted"}, "filter": "event.entity.attempts > 1"})
		w.webhook(dead, doc{"code": "dead", "eventTypes": []string{"Delivery.Exhausted"}, "maxAttempts": 1})
		w.webhook(ops, doc{"code": "none", "eventTypes": []string{"Delivery.Exhausted"}, "filter": "event.entity.attempts > 2"})
		w.action("bad", "httpRequest", doc{"url": "{{ item.url }}"})
		w.door("in", doc{"routes": to("bad")})
		for range 3 {
			w.publish(doc{"type": "order.paid"})
		}
		_, entities := toldOf(w.t, ops.Wait(3))
		for _, e := range entities {
			if e["reason"] != "attempts_exhausted" || e["attempts"] != 2.0 || e["lastStatus"] != 503.0 || e["lastErrorClass"] != "status" {
				w.t.Errorf("given up was %v", e)
			}
		}
		w.nobody.post(w.in("in"), `{"url":"no url"}`).want(http.StatusAccepted)
		_, entities = toldOf(w.t, dead.Wait(4))
		i := slices.IndexFunc(entities, func(e doc) bool { return e["reason"] == "permanent_error" })
		if i < 0 {
			w.t.Fatalf("told were %v", entities)
		}
		if last := entities[i]; at(map[string]any(last), "target.kind") != "action" || at(map[string]any(last), "target.code") != "bad" {
			w.t.Errorf("given up was %v", last)
		}
		// The dead one's own deliveries fail, and nobody is told of that.
		eventually(w.t, "the deliveries to the dead webhook to be given up", func() bool {
			return len(w.viewer.get("/v1/deliveries?webhook=dead&state=failed").want(http.StatusOK).list("id")) == 4
		})
		if n := len(w.viewer.get("/v1/events?type=Delivery.Exhausted").want(http.StatusOK).list("id")); n != 4 {
			w.t.Errorf("%d events, want one for each of four deliveries", n)
		}
		if got := w.typesFor("none"); len(got) != 0 {
			w.t.Errorf("a filter that says no let through %v", got)
		}
	},
	"tell once of a door that refuses many": func(w *world) {
		ops := w.receiver()
		w.webhook(ops, doc{"code": "ops", "eventTypes": []string{"IncomingWebhook.Refusing"}})
		id := w.door("stock", doc{"name": "Stock", "preProcessors": []doc{{"name": "token", "type": "header", "header": "X-Token", "matches": "^right$"}}}).text("id")
		for range 29 {
			w.nobody.post(w.in("stock"), `{}`, "X-Token", "wrong").want(http.StatusForbidden)
		}
		w.nobody.put(w.in("stock"), `{}`).want(http.StatusMethodNotAllowed)
		_, entities := toldOf(w.t, ops.Wait(1))
		e := entities[0]
		if at(map[string]any(e), "incomingWebhook.id") != id || e["refused"] != 20.0 || at(map[string]any(e), "reasons.pre_processor_refused") != 20.0 || e["lastClientAddress"] != "127.0.0.1" {
			w.t.Errorf("refusing is %v", e)
		}
		if got := w.typesFor("ops"); len(got) != 1 {
			w.t.Errorf("told of %v", got)
		}
	},
	"have samples to try a receiver with": func(w *world) {
		ops := w.receiver()
		w.webhook(ops, doc{"code": "ops", "eventTypes": []string{"Webhook.Suspended", "Delivery.Exhausted"}})
		w.operator.post("/v1/webhooks/ops/test", nil).want(http.StatusOK).has("outcome", "succeeded")
		w.operator.post("/v1/webhooks/ops/test", doc{"eventType": "Delivery.Exhausted"}).want(http.StatusOK).has("outcome", "succeeded")
		types, entities := toldOf(w.t, ops.Wait(2))
		if !slices.Equal(types, []string{"Webhook.Suspended", "Delivery.Exhausted"}) || entities[0]["reason"] != "failing" || entities[1]["reason"] != "attempts_exhausted" {
			w.t.Errorf("the samples are %v %v", types, entities)
		}
		for _, name := range []string{"Webhook.Suspended", "Webhook.Resumed", "Webhook.Recovered", "Delivery.Exhausted", "IncomingWebhook.Refusing"} {
			a := w.viewer.get("/v1/event-types/"+name).want(http.StatusOK).has("operational", "true")
			if a.text("description") == "" || a.at("sample") == nil || a.at("schema.properties") == nil {
				w.t.Errorf("%s is described as %s", name, a.body)
			}
			// The sample keeps the schema.
			w.admin.put("/v1/event-types/try.it", doc{"schema": a.at("schema")})
			w.publisher.post("/v1/events", doc{"type": "try.it", "entity": a.at("sample")}).want(http.StatusAccepted)
		}
	},
	"are mailed only where there is a mail server": func(w *world) {
		w.platform.patch("/v1/workspaces/"+w.workspace, doc{"alerts": doc{"emails": []string{"ops@example.com"}}}).
			fault("/alerts/emails", "no_mail_server").says("SALLYPORT_SMTP_URL")
		w.platform.patch("/v1/workspaces/"+w.workspace, doc{"alerts": doc{"emails": []string{}}}).want(http.StatusOK).has("alerts.emails.0", "", "alerts.eventTypes.0", "Webhook.Suspended")
		w.platform.patch("/v1/workspaces/"+w.workspace, doc{"alerts": nil}).want(http.StatusOK).has("alerts", "")
	},
})

// read decodes a mail.
func read(t *testing.T, l letter) (subject, text string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(l.data))
	if err != nil {
		t.Fatalf("%v\n%s", err, l.data)
	}
	body := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return m.Header.Get("Subject"), strings.ReplaceAll(string(b), "\r\n", "\n")
}

// mailed waits until there are n mails.
func (m *mailbox) mailed(t *testing.T, n int) []letter {
	t.Helper()
	eventually(t, "mail", func() bool { return len(m.all()) >= n })
	return m.all()
}

// commands are those in a mail.
func commands(text string) (all []string) {
	for line := range strings.Lines(text) {
		if c, ok := strings.CutPrefix(line, "  curl "); ok {
			all = append(all, "curl "+c)
		}
	}
	return all
}

// testAlertMail: a sleepy operator is mailed, not too often, and can do what the mail says.
func testAlertMail(t *testing.T, s *server) {
	m := newMailbox(t, s.planted.given("alert-password-"+random(16)))
	s.launch("SALLYPORT_EGRESS_ALLOW=127.0.0.0/8", "SALLYPORT_SMTP_URL=smtp://hooks%40example.com:"+m.password+"@"+m.address+"?tls=none",
		"SALLYPORT_MAIL_FROM=Sallyport <hooks@example.com>", "SALLYPORT_ALERT_EMAILS=ops@example.com, night@example.com", "SALLYPORT_BREAKER_FAILURES=1000")
	s.awaitReady()
	w := newWorld(t, s)
	r := w.receiver()
	dir := t.TempDir()
	does := func(text string) {
		t.Helper()
		all := commands(text)
		if len(all) < 3 {
			t.Fatalf("there is nothing to do in\n%s", text)
		}
		if said, exit := w.shell(dir, "set -e\n"+strings.Join(all, ""), nil, "SALLYPORT_KEY="+s.adminKey); exit != 0 {
			t.Errorf("the commands exit with %d:\n%s\n%s", exit, text, said)
		}
	}

	// Five deliveries are given up: one mail.
	r.Respond(statusAnswer(http.StatusServiceUnavailable))
	w.webhook(r, doc{"code": "erp-orders", "name": "ERP orders", "eventTypes": []string{"order.*"}, "maxAttempts": 1})
	for range 5 {
		w.deliver(doc{"type": "order.paid"}, "failed")
	}
	mails := m.mailed(t, 1)
	subject, text := read(t, mails[0])
	if subject != "[Sallyport] "+w.workspace+": deliveries to webhook erp-orders are given up" || strings.Join(mails[0].to, " ") != "ops@example.com night@example.com" ||
		mails[0].from != "hooks@example.com" || !strings.Contains(text, "receiver answered 503 (status)") || !strings.Contains(mails[0].data, "Auto-Submitted: auto-generated") {
		t.Errorf("%s to %v\n%s", subject, mails[0].to, text)
	}
	sent := w.viewer.get("/v1/deliveries?eventType=Delivery.Exhausted").want(http.StatusOK)
	if len(sent.list("id")) != 1 || sent.text("data.0.target.kind") != "alertMail" || sent.text("data.0.target.name") != "Alert mail" {
		t.Errorf("mails are %s", sent.body)
	}
	kept := w.await(sent.text("data.0.id"), "succeeded").has("attempts.0.request.method", "sendEmail", "attempts.0.response.status", "250")
	if !strings.Contains(kept.text("attempts.0.request.body"), "given up") {
		t.Errorf("the attempt has %s", kept.body)
	}
	does(text)
	eventually(t, "the delivery that the mail's last command tries again", func() bool {
		return len(w.viewer.get("/v1/deliveries?webhook=erp-orders&state=failed").want(http.StatusOK).list("id")) == 5 &&
			strings.Contains(string(w.viewer.get("/v1/deliveries?webhook=erp-orders").body), `"attemptCount":2`)
	})

	// It goes for good: one mail, which says how to bring it back.
	r.Respond(statusAnswer(http.StatusGone))
	w.deliver(doc{"type": "order.paid"}, "failed")
	subject, text = read(t, m.mailed(t, 2)[1])
	if subject != "[Sallyport] "+w.workspace+": webhook erp-orders is suspended (gone)" || !strings.Contains(text, "ERP orders (erp-orders): its receiver answered 410 Gone") {
		t.Errorf("%s\n%s", subject, text)
	}
	w.admin.get("/v1/webhooks/erp-orders").has("state", "suspended")
	r.Respond(statusAnswer(http.StatusOK))
	does(text)
	w.admin.get("/v1/webhooks/erp-orders").has("state", "active")

	// A door, and a workspace that names somebody else, and other types.
	w.platform.patch("/v1/workspaces/"+w.workspace, doc{"alerts": doc{"emails": []string{"nobody@example.com"}, "eventTypes": []string{"IncomingWebhook.Refusing"}}}).want(http.StatusOK)
	w.door("stock", doc{"methods": []string{"PUT"}})
	for range 20 {
		w.nobody.post(w.in("stock"), `{}`).want(http.StatusMethodNotAllowed)
	}
	var failed *answer
	eventually(t, "the mail that the server refuses", func() bool {
		failed = w.viewer.get("/v1/deliveries?eventType=IncomingWebhook.Refusing").want(http.StatusOK)
		return failed.text("data.0.state") == "failed"
	})
	w.platform.patch("/v1/workspaces/"+w.workspace, doc{"alerts": doc{"emails": []string{"door@example.com"}, "eventTypes": []string{"IncomingWebhook.Refusing"}}}).want(http.StatusOK)
	w.operator.post("/v1/deliveries/"+failed.text("data.0.id")+"/retry", nil).want(http.StatusAccepted)
	mails = m.mailed(t, 3)
	if subject, text = read(t, mails[2]); !strings.Contains(subject, "incoming webhook stock refuses many calls") || strings.Join(mails[2].to, " ") != "door@example.com" || !strings.Contains(text, "20 times") || !strings.Contains(text, "method_not_allowed") {
		t.Errorf("%s to %v\n%s", subject, mails[2].to, text)
	}
	if all := commands(text); len(all) != 2 {
		t.Errorf("commands %v", all)
	} else if said, exit := w.shell(dir, "set -e\n"+strings.Join(all, ""), nil, "SALLYPORT_KEY="+s.adminKey); exit != 0 {
		t.Errorf("the commands exit with %d:\n%s\n%s", exit, text, said)
	}
	// Nobody is mailed about what the workspace does not name.
	r.Respond(statusAnswer(http.StatusGone))
	w.deliver(doc{"type": "order.paid"}, "failed")
	if n := len(w.viewer.get("/v1/deliveries?eventType=Webhook.Suspended").want(http.StatusOK).list("id")); n != 1 {
		t.Errorf("%d mails about suspensions, want the first alone", n)
	}
	if n := len(m.all()); n != 3 {
		t.Errorf("%d mails", n)
	}
	s.stop()
}
