package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/api/apitest"
	"sallyport/internal/testkit"
)

// carries fails the test unless the head of the request has these lines in exactly this spelling,
// and no other header but those that every request has. The value * stands for any.
func (w *world) carries(q testkit.Received, pairs ...string) {
	w.t.Helper()
	known := []string{"Host", "User-Agent", "Content-Length", "Accept-Encoding", "Connection"}
	for i := 0; i+1 < len(pairs); i += 2 {
		got, there := q.HeaderLine(pairs[i])
		if !there || pairs[i+1] != "*" && got != pairs[i+1] {
			w.t.Errorf("%s is %q, want %q, in\n%s", pairs[i], got, pairs[i+1], q.Head)
		}
		known = append(known, pairs[i])
	}
	for _, line := range lines(q) {
		if name, _, _ := strings.Cut(line, ":"); !slices.Contains(known, name) {
			w.t.Errorf("an unknown header: %s", line)
		}
	}
}

// body fails the test unless the request has exactly this one.
func (w *world) body(q testkit.Received, want string) {
	w.t.Helper()
	if string(q.Body) != want {
		w.t.Errorf("the body is\n%s\nwant\n%s", q.Body, want)
	}
}

// full is an event that has everything.
var full = doc{
	"type": "order.paid", "entityId": 7, "entity": doc{"total": 12}, "entityUrl": "https://shop.example/orders/7?a=1&b=2", "timestamp": "2026-11-21T02:13:00.207Z",
}

const plainSecret = "a plain secret of the profiles" // known to these tests' receivers only

var _ = suite("profiles", map[string]func(*world){
	"default": func(w *world) {
		r := w.receiver()
		id := w.webhook(r, doc{"code": "d", "secret": plainSecret}).text("id")
		q := w.next(r, full.with(doc{"id": "e1"}))
		w.body(q, `{"eventId":"e1","eventType":"order.paid","webhookId":"`+id+`","entityId":7,"entity":{"total":12},"entityUrl":"https://shop.example/orders/7?a=1&b=2","timestamp":1795227180207}`)
		delivery := w.deliveryOf("e1")
		w.carries(q, "Content-Type", "application/json", "webhook-id", "e1", "webhook-timestamp", "*", "webhook-signature", v1(plainSecret, q), "X-Signature", hexMAC(plainSecret, q.Body),
			"X-Webhook-Event-Id", "e1", "X-Webhook-Event", "order.paid", "X-Webhook-Id", id, "X-Webhook-Delivery-Id", delivery,
			"X-Webhook-Entity-Id", "7", "X-Webhook-Entity-URL", "https://shop.example/orders/7?a=1&b=2", "X-Webhook-Attempt", "1")
		for _, f := range apitest.CheckNotification(&http.Request{Method: q.Method, Header: q.Header}, q.Body) {
			w.t.Errorf("contract: the receiver got %s", f)
		}
		// What the event does not have is left out, of the headers too.
		q = w.next(r, doc{"id": "e2", "type": "a.b", "timestamp": "2026-11-21T02:13:00.207Z"})
		w.body(q, `{"eventId":"e2","eventType":"a.b","webhookId":"`+id+`","timestamp":1795227180207}`)
		w.carries(q, "Content-Type", "application/json", "webhook-id", "e2", "webhook-timestamp", "*", "webhook-signature", "*", "X-Signature", "*",
			"X-Webhook-Event-Id", "e2", "X-Webhook-Event", "a.b", "X-Webhook-Id", id, "X-Webhook-Delivery-Id", "*", "X-Webhook-Attempt", "1")
		w.admin.patch("/v1/webhooks/d", doc{"includeEntity": false, "contentType": "application/vnd.shop+json; charset=utf-8", "method": "PUT"}).want(http.StatusOK)
		q = w.next(r, full.with(doc{"id": "e3"}))
		w.body(q, `{"eventId":"e3","eventType":"order.paid","webhookId":"`+id+`","entityId":7,"entityUrl":"https://shop.example/orders/7?a=1&b=2","timestamp":1795227180207}`)
		if q.Method != "PUT" || q.Header.Get("Content-Type") != "application/vnd.shop+json; charset=utf-8" {
			w.t.Errorf("sent as %s %s", q.Method, q.Header.Get("Content-Type"))
		}
	},
	"default as a form, and without a body": func(w *world) {
		r := w.receiver()
		id := w.webhook(r, doc{"code": "f", "secret": plainSecret, "contentType": "application/x-www-form-urlencoded"}).text("id")
		q := w.next(r, full.with(doc{"id": "e1", "entity": doc{"name": "Ä & B=C+D"}}))
		w.body(q, "eventId=e1&eventType=order.paid&webhookId="+id+"&entityId=7&entity=%7B%22name%22%3A%22%C3%84+%5Cu0026+B%3DC%2BD%22%7D&entityUrl=https%3A%2F%2Fshop.example%2Forders%2F7%3Fa%3D1%26b%3D2&timestamp=1795227180207")
		if form, err := url.ParseQuery(string(q.Body)); err != nil || form.Get("entity") != `{"name":"Ä \u0026 B=C+D"}` {
			w.t.Errorf("the entity is %q, %v", form.Get("entity"), err)
		}
		w.signed(q, plainSecret)
		for _, method := range []string{"GET", "DELETE"} {
			w.admin.patch("/v1/webhooks/f", doc{"method": method, "contentType": nil}).want(http.StatusOK)
			q = w.next(r, full.with(doc{"id": method}))
			if q.Method != method || len(q.Body) != 0 || q.Header.Get("Content-Length") != "" {
				w.t.Errorf("%s has a body:\n%s", q.Head, q.Body)
			}
			w.signed(q, plainSecret)
			w.carries(q, "webhook-id", method, "webhook-timestamp", "*", "webhook-signature", "*", "X-Signature", hexMAC(plainSecret, nil), "X-Webhook-Event-Id", method, "X-Webhook-Event", "order.paid",
				"X-Webhook-Id", id, "X-Webhook-Delivery-Id", "*", "X-Webhook-Entity-Id", "7", "X-Webhook-Entity-URL", "https://shop.example/orders/7?a=1&b=2", "X-Webhook-Attempt", "1")
		}
	},
	"entity bytes arrive as they were published": func(w *world) {
		r := w.receiver()
		id := w.webhook(r, doc{}).text("id")
		for n, entity := range append(slices.Clone(entities), "1e400") {
			event := "bytes-" + random(8)
			w.publisher.post("/v1/events", `{"entityId":12345678901234567890,"id":"`+event+`","type":"a.b","timestamp":"2026-11-21T02:13:00.207Z","entity": `+entity+` }`).want(http.StatusAccepted)
			q := r.Wait(n + 1)[n]
			w.body(q, `{"eventId":"`+event+`","eventType":"a.b","webhookId":"`+id+`","entityId":12345678901234567890,"entity":`+entity+`,"timestamp":1795227180207}`)
			if q.Header.Get("X-Webhook-Entity-Id") != "12345678901234567890" {
				w.t.Errorf("the entity's id is %s", q.Header.Get("X-Webhook-Entity-Id"))
			}
			a := w.await(w.deliveryOf(event), "succeeded").has("attempts.0.request.body", string(q.Body))
			raw := w.viewer.get("/v1/deliveries/" + a.text("id") + "/attempts/1/request/body").want(http.StatusOK)
			if string(raw.body) != string(q.Body) {
				w.t.Errorf("the history keeps\n%s\nsent was\n%s", raw.body, q.Body)
			}
		}
	},
	"mixpost": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "mix", "profile": "mixpost", "secret": "my-secret", "eventTypes": []string{"post.*"}}).has("warnings", `["short_secret"]`)
		const post = `{"uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10","status":"published"}`
		for _, v := range []struct{ name, event, entity, body, signature string }{
			{"M1", "post.published", post, `{"event":"post.published","data":` + post + `}`, "3892c5a08c817f4ad6491f8cbfd37d980240325d480867f9c9d0413827ac7292"},
			{
				"M2", "post.published", `{"id":42,"uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10","status":"published","accounts":[{"url":"https://example.com/café"}]}`,
				`{"event":"post.published","data":{"id":42,"uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10","status":"published","accounts":[{"url":"https:\/\/example.com\/caf\u00e9"}]}}`,
				"72602cb67e44fa4569dfc4a82d26117a7767cca9204f04ae22c58be835b8f2a1",
			},
			{
				"M4", "post.deleted", `{"uuids":["6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10"],"to_trash":true}`,
				`{"event":"post.deleted","data":{"uuids":["6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10"],"to_trash":true}}`, "2bdae17d4d996aa92a93ca4ee9dd1cc9c7b0457cc7ae2e981feda499a04e9286",
			},
		} {
			n := len(r.Received())
			w.publisher.post("/v1/events", `{"type":"`+v.event+`","entity":`+v.entity+`}`).want(http.StatusAccepted)
			q := r.Wait(n + 1)[n]
			w.body(q, v.body)
			w.carries(q, "Content-Type", "application/json", "X-Request-Source", "*", "X-Signature", v.signature)
			w.t.Log(v.name)
		}
		w.admin.patch("/v1/webhooks/mix", doc{"method": "GET"}).want(http.StatusOK)
		q := w.next(r, doc{"type": "post.deleted", "entity": doc{}})
		w.carries(q, "X-Request-Source", "*", "X-Signature", "eb1d17cea0a09d4e94ec7f42dc8a1d078b7f064590502ca64fbd188fd4427fe0") // M5
		w.admin.delete("/v1/webhooks/mix/secret").want(http.StatusNoContent)
		w.carries(w.next(r, doc{"type": "post.deleted"}), "X-Request-Source", "*") // M6
		// M8: another event, or a disabled webhook, leaves no trace.
		w.publisher.post("/v1/events", doc{"type": "account.added"}).want(http.StatusAccepted).has("matched", "0")
	},
	"etlworks": func(w *world) {
		r := w.receiver()
		const secret = "ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0"
		w.webhook(r, doc{"code": "etl", "profile": "etlworks", "secret": secret}).has("number", "1", "includeEntity", "false")
		send := func(id, entityID, entityURL, at string) testkit.Received {
			n := len(r.Received())
			url := ""
			if entityURL != "" {
				url = `"entityUrl":"` + entityURL + `",`
			}
			w.publisher.post("/v1/events", `{"id":"`+id+`","type":"Flow.Executed","entityId":`+entityID+`,`+url+`"entity":{"id":1,"name":"Nightly load"},"timestamp":"`+at+`"}`)
			return r.Wait(n + 1)[n]
		}
		const first, link = "7027e72b-9005-4fcc-8385-8da47249136a", "https://app.etlworks.com/rest/v1/flows/1?auditId=11225"
		five := []string{"X-Etl-Webhook-Event-Id", first, "X-Etl-Webhook-Event", "Flow.Executed", "X-Etl-Webhook-Id", "1", "X-Etl-Webhook-Entity-Id", "11225", "X-Etl-Webhook-Entity-URL", link}
		q := send(first, "11225", link, "2020-05-02T14:20:00.207Z") // E1, E4
		w.body(q, `{"eventId":"7027e72b-9005-4fcc-8385-8da47249136a","eventType":"Flow.Executed","webhookId":1,"entityId":11225,"entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}`)
		w.carries(q, append(five, "Content-Type", "application/json", "X-Etl-Webhook-Signature", "269ec9d89809c0bfee29ee058e8d8dcf8f254029")...)

		w.admin.patch("/v1/webhooks/etl", doc{"includeEntity": true}).want(http.StatusOK)
		w.publishAgain(first)
		q = r.Wait(2)[1] // E2
		w.body(q, `{"eventId":"7027e72b-9005-4fcc-8385-8da47249136a","eventType":"Flow.Executed","webhookId":1,"entityId":11225,"entity":{"id":1,"name":"Nightly load"},"entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}`)
		w.carries(q, append(five, "Content-Type", "application/json", "X-Etl-Webhook-Signature", "cfcce77f2089d7f2eb43fd21fdd2fb9d731c31b4")...)

		w.admin.patch("/v1/webhooks/etl", doc{"method": "GET"}).want(http.StatusOK)
		w.publishAgain(first)
		w.carries(r.Wait(3)[2], five...) // E5

		w.admin.patch("/v1/webhooks/etl", doc{"method": "POST", "includeEntity": false, "contentType": "application/x-www-form-urlencoded"}).want(http.StatusOK)
		q = send("32f54fa6-41ae-432e-a720-4373bdf72e6d", "11157", "", "2020-04-29T13:05:00.224Z") // E3, E7
		w.body(q, "eventId=32f54fa6-41ae-432e-a720-4373bdf72e6d&eventType=Flow.Executed&webhookId=1&entityId=11157&timestamp=1588165500224")
		w.carries(q, "X-Etl-Webhook-Event-Id", "*", "X-Etl-Webhook-Event", "*", "X-Etl-Webhook-Id", "1", "X-Etl-Webhook-Entity-Id", "11157",
			"Content-Type", "application/x-www-form-urlencoded", "X-Etl-Webhook-Signature", "24ca8b6a5f65c599a69961a8afa4202f50e966bc")

		w.admin.delete("/v1/webhooks/etl/secret").want(http.StatusNoContent)
		w.admin.patch("/v1/webhooks/etl", doc{"contentType": nil, "basicAuth": doc{"username": "admin", "password": "admin"}}).want(http.StatusOK)
		w.publishAgain(first) // E6
		w.carries(r.Wait(5)[4], append(five, "Content-Type", "application/json", "Authorization", "Basic YWRtaW46YWRtaW4=")...)
	},
	"standard-webhooks": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"profile": "standard-webhooks", "secret": plainSecret, "includeEntity": false})
		q := w.next(r, full.with(doc{"id": "e1"}))
		w.body(q, `{"type":"order.paid","timestamp":"2026-11-21T02:13:00.207Z","data":{"total":12}}`)
		w.carries(q, "Content-Type", "application/json", "webhook-id", "e1", "webhook-timestamp", "*", "webhook-signature", v1(plainSecret, q))
	},
	"github": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "gh", "profile": "github", "secret": plainSecret})
		q := w.next(r, full.with(doc{"id": "e1", "type": "push"}))
		w.body(q, `{"total":12}`)
		w.carries(q, "Content-Type", "application/json", "X-GitHub-Event", "push", "X-GitHub-Delivery", w.deliveryOf("e1"), "X-Hub-Signature-256", "sha256="+hexMAC(plainSecret, q.Body))
		w.admin.patch("/v1/webhooks/gh", doc{"contentType": "application/x-www-form-urlencoded"}).want(http.StatusOK)
		w.body(w.next(r, full), "payload=%7B%22total%22%3A12%7D")
		w.admin.post("/v1/webhooks/gh/secret/rotate", doc{"secret": plainSecret + " 2"}).want(http.StatusOK)
		q = w.next(r, full)
		w.carries(q, "Content-Type", "application/x-www-form-urlencoded", "X-GitHub-Event", "*", "X-GitHub-Delivery", "*",
			"X-Hub-Signature-256", "sha256="+hexMAC(plainSecret, q.Body), "X-Hub-Signature-256-Next", "sha256="+hexMAC(plainSecret+" 2", q.Body))
	},
	"stripe": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "st", "profile": "stripe", "secret": plainSecret})
		q := w.next(r, full.with(doc{"id": "evt_1"}))
		w.body(q, `{"id":"evt_1","object":"event","type":"order.paid","created":1795227180,"data":{"object":{"total":12}}}`)
		at, _, _ := strings.Cut(strings.TrimPrefix(q.Header.Get("Stripe-Signature"), "t="), ",")
		w.carries(q, "Content-Type", "application/json", "Stripe-Signature", "t="+at+",v1="+hexMAC(plainSecret, []byte(at+"."+string(q.Body))))
		w.admin.post("/v1/webhooks/st/secret/rotate", doc{"secret": plainSecret + " 2"}).want(http.StatusOK)
		if got := w.next(r, full).Header.Get("Stripe-Signature"); strings.Count(got, ",v1=") != 2 {
			w.t.Errorf("during a rotation Stripe-Signature is %q", got)
		}
	},
	"shopify": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"profile": "shopify", "secret": plainSecret})
		q := w.next(r, full.with(doc{"id": "e1", "type": "orders/paid"}))
		w.body(q, `{"total":12}`)
		mac := hmac.New(sha256.New, []byte(plainSecret))
		mac.Write(q.Body)
		w.carries(q, "Content-Type", "application/json", "X-Shopify-Topic", "orders/paid", "X-Shopify-Webhook-Id", "*", "X-Shopify-Triggered-At", "2026-11-21T02:13:00.207Z",
			"X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	},
	"cloudevents": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "ce", "profile": "cloudevents", "secret": plainSecret})
		q := w.next(r, full.with(doc{"id": "e1"}))
		head, tail, _ := strings.Cut(string(q.Body), `"source":"`)
		origin, tail, _ := strings.Cut(tail, `"`)
		if head != `{"specversion":"1.0","id":"e1",` || origin == "" ||
			tail != `,"type":"order.paid","subject":"7","time":"2026-11-21T02:13:00.207Z","entityurl":"https://shop.example/orders/7?a=1&b=2","datacontenttype":"application/json","data":{"total":12}}` {
			w.t.Errorf("the body is %s", q.Body)
		}
		w.carries(q, "Content-Type", "application/cloudevents+json", "webhook-id", "e1", "webhook-timestamp", "*", "webhook-signature", v1(plainSecret, q))
		w.admin.patch("/v1/webhooks/ce", doc{"includeEntity": false}).want(http.StatusOK)
		if q = w.next(r, full); strings.Contains(string(q.Body), "data") {
			w.t.Errorf("without the entity the body is %s", q.Body)
		}
	},
	"a signature of one's own making": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"secret": plainSecret, "signature": doc{"algorithm": "hmac-sha512", "header": "x-SLACK-Signature", "encoding": "base64", "prefix": "v0=", "content": "v0:{timestamp}:{id}:{body}"}})
		q := w.next(r, full.with(doc{"id": "e1"}))
		mac := hmac.New(sha512.New, []byte(plainSecret))
		mac.Write([]byte("v0:" + q.Header.Get("webhook-timestamp") + ":e1:" + string(q.Body)))
		line, _ := q.HeaderLine("x-SLACK-Signature")
		if want := "v0=" + base64.StdEncoding.EncodeToString(mac.Sum(nil)); line != want {
			w.t.Errorf("the signature is %q, want %q", line, want)
		}
		if q.Header.Get("X-Signature") != "" || q.Header.Get("webhook-signature") != "" {
			w.t.Errorf("the profile's signatures are there, too:\n%s", q.Head)
		}
	},
})

// publishAgain has an event delivered once more by retrying its delivery.
func (w *world) publishAgain(event string) {
	w.t.Helper()
	id := w.deliveryOf(event)
	w.await(id, "succeeded")
	w.operator.post("/v1/deliveries/"+id+"/retry", nil).want(http.StatusAccepted)
}
