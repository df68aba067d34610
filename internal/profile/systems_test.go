package profile_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// Vectors of the products that profiles reproduce: bodies and signatures were computed with
// PHP's hash_hmac and json_encode, openssl and Python.

const mixpostSecret = "my-secret"

func TestMixpost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		eventType, entity, body, signature string
	}{
		"M1": {"post.published", `{"uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10","status":"published"}`,
			`{"event":"post.published","data":{"uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10","status":"published"}}`,
			"3892c5a08c817f4ad6491f8cbfd37d980240325d480867f9c9d0413827ac7292"},
		"M2": {"post.published", `{"id":42, "uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10", "status":"published", "accounts":[ {"url":"https://example.com/café"} ]}`,
			`{"event":"post.published","data":{"id":42,"uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10","status":"published","accounts":[{"url":"https:\/\/example.com\/caf\u00e9"}]}}`,
			"72602cb67e44fa4569dfc4a82d26117a7767cca9204f04ae22c58be835b8f2a1"},
		"M4": {"post.deleted", `{"uuids":["6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10"],"to_trash":true}`,
			`{"event":"post.deleted","data":{"uuids":["6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10"],"to_trash":true}}`,
			"2bdae17d4d996aa92a93ca4ee9dd1cc9c7b0457cc7ae2e981feda499a04e9286"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &hook.Event{ID: "e1", Type: c.eventType, Entity: []byte(c.entity), Timestamp: occurred}
			r := render(t, webhook(t, "mixpost", withSecret(mixpostSecret)), e)
			wantBody(t, r, c.body)
			wantHeaders(t, r, `
User-Agent: Sallyport/1.2.3
Content-Type: application/json
X-Request-Source: Sallyport
X-Signature: `+c.signature)
			// M3: the same document as plain UTF-8 JSON has another signature.
			const m3 = "00a6465e517f37a7fe15259c57c841d7102cefeaaa2e334fc8215249ff4c82c2"
			if got, _ := value(t, r, "X-Signature"); got == m3 {
				t.Errorf("%s is signed over other bytes than those sent", name)
			}
			// M6: without a secret there is no header, not an empty one.
			wantNoHeader(t, render(t, webhook(t, "mixpost", withSecret("")), e), "X-Signature")
		})
	}
}

func TestMixpostLengths(t *testing.T) {
	t.Parallel()
	for entity, length := range map[string]int{
		`{"uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10","status":"published"}`:                                                                 102,
		`{"id":42,"uuid":"6f1c2d1e-8a40-4a0b-9a52-0a2c7a3d9f10","status":"published","accounts":[{"url":"https:\/\/example.com\/caf\u00e9"}]}`: 166,
	} {
		r := render(t, webhook(t, "mixpost"), &hook.Event{ID: "e1", Type: "post.published", Entity: []byte(entity)})
		if len(r.Body) != length {
			t.Errorf("%d bytes, want %d: %s", len(r.Body), length, r.Body)
		}
	}
}

func TestMixpostWithoutBodyIsSigned(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "mixpost", withSecret(mixpostSecret), method("GET")), &hook.Event{ID: "e1", Type: "post.published"})
	wantHeader(t, r, "X-Signature", "eb1d17cea0a09d4e94ec7f42dc8a1d078b7f064590502ca64fbd188fd4427fe0") // M5
}

func TestMixpostForm(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "mixpost", contentType("application/x-www-form-urlencoded")),
		&hook.Event{ID: "e1", Type: "post.published", Entity: []byte(`{"a": "/"}`)})
	wantBody(t, r, `event=post.published&data=%7B%22a%22%3A%22%5C%2F%22%7D`)
}

func TestMixpostSourceCanBeNamed(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "mixpost", func(w *hook.Webhook) {
		w.Headers = []hook.Header{{Name: "X-Request-Source", Value: "Acme Social"}}
	}), order())
	wantHeader(t, r, "X-Request-Source", "Acme Social")
}

// What PHP's json_encode does without flags, except that numbers and duplicate keys stay as
// published.
func TestPHPSpelling(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"\u0041\u002f\/é"`:              `"A\/\/\u00e9"`,
		`"\u00E9"`:                       `"\u00e9"`,
		`"😀 \ud83d\ude00"`:               `"\ud83d\ude00 \ud83d\ude00"`,
		`"\u0000\u001f\u007f\b\f\n\r\t"`: `"\u0000\u001f` + "\x7f" + `\b\f\n\r\t"`,
		`"\"\\ <>&'"`:                    `"\"\\ <>&'"`,
		`"` + "\u2028\u2029" + `"`:       `"\u2028\u2029"`,
		`"\ud800 alone"`:                 `"\ud800 alone"`,
		`"\ud800\u0041"`:                 `"\ud800A"`,
		"{ \"b\" : [ 1.10 ,\t1e400 ] ,\n\"a\":null, \"b\":12345678901234567890 }": `{"b":[1.10,1e400],"a":null,"b":12345678901234567890}`,
		`{"a b":" c  d "}`: `{"a b":" c  d "}`,
		`true`:             `true`,
		`""`:               `""`,
	} {
		r := render(t, webhook(t, "mixpost"), &hook.Event{ID: "e1", Type: "t", Entity: []byte(in)})
		wantBody(t, r, `{"event":"t","data":`+want+`}`)
	}
}

// FuzzPHPSpelling holds the re-encoding against encoding/json: same document, no byte
// beyond ASCII, no unescaped slash.
func FuzzPHPSpelling(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"\u00e9/",null]}`, `"\ud83d\ude00"`, `"\ud800"`, `"\\u0041"`, `"\\\""`, `[" \t"]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		var want, got struct{ Data any }
		if !json.Valid(document) || json.Unmarshal([]byte(`{"data":`+string(document)+`}`), &want) != nil {
			return
		}
		r := render(t, webhook(t, "mixpost"), &hook.Event{ID: "e1", Type: "t", Entity: document})
		if err := json.Unmarshal(r.Body, &got); err != nil {
			t.Fatalf("%s became %s: %v", document, r.Body, err)
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if string(a) != string(b) {
			t.Errorf("%s became %s", a, b)
		}
		if i := strings.IndexFunc(string(r.Body), func(c rune) bool { return c > '~'+1 }); i >= 0 {
			t.Errorf("not ASCII: %s", r.Body)
		}
		if strings.Contains(strings.ReplaceAll(string(r.Body), `\/`, ``), "/") {
			t.Errorf("a slash is not escaped: %s", r.Body)
		}
	})
}

const etlworksSecret = "ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0"

func etlworks(t *testing.T, change ...func(*hook.Webhook)) *hook.Webhook {
	return webhook(t, "etlworks", append([]func(*hook.Webhook){withSecret(etlworksSecret), func(w *hook.Webhook) { w.Number = 1 }}, change...)...)
}

func execution() *hook.Event {
	return &hook.Event{ID: "7027e72b-9005-4fcc-8385-8da47249136a", Type: "Flow.Executed", EntityID: hook.EntityID{Text: "11225", Number: true},
		Entity: []byte(`{"id":1,"name":"Nightly load"}`), EntityURL: "https://app.etlworks.com/rest/v1/flows/1?auditId=11225", Timestamp: occurred}
}

func TestEtlworks(t *testing.T) {
	t.Parallel()
	// E1 and E4
	r := render(t, etlworks(t), execution())
	wantBody(t, r, `{"eventId":"7027e72b-9005-4fcc-8385-8da47249136a","eventType":"Flow.Executed","webhookId":1,"entityId":11225,`+
		`"entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}`)
	if len(r.Body) != 204 {
		t.Errorf("E1: %d bytes, want 204", len(r.Body))
	}
	wantHeaders(t, r, `
User-Agent: Sallyport/1.2.3
Content-Type: application/json
X-Etl-Webhook-Entity-Id: 11225
X-Etl-Webhook-Entity-URL: https://app.etlworks.com/rest/v1/flows/1?auditId=11225
X-Etl-Webhook-Event: Flow.Executed
X-Etl-Webhook-Event-Id: 7027e72b-9005-4fcc-8385-8da47249136a
X-Etl-Webhook-Id: 1
X-Etl-Webhook-Signature: 269ec9d89809c0bfee29ee058e8d8dcf8f254029`)

	// E2
	r = render(t, etlworks(t, func(w *hook.Webhook) { w.IncludeEntity = true }), execution())
	if len(r.Body) != 244 {
		t.Errorf("E2: %d bytes, want 244", len(r.Body))
	}
	wantBody(t, r, `{"eventId":"7027e72b-9005-4fcc-8385-8da47249136a","eventType":"Flow.Executed","webhookId":1,"entityId":11225,`+
		`"entity":{"id":1,"name":"Nightly load"},"entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}`)
	wantHeader(t, r, "X-Etl-Webhook-Signature", "cfcce77f2089d7f2eb43fd21fdd2fb9d731c31b4")
}

func TestEtlworksForm(t *testing.T) {
	t.Parallel()
	// E3 and E7
	e := &hook.Event{ID: "32f54fa6-41ae-432e-a720-4373bdf72e6d", Type: "Flow.Executed", EntityID: hook.EntityID{Text: "11157", Number: true},
		Entity: []byte(`{"id":1}`), EntityURL: "https://app.etlworks.com/x", Timestamp: time.UnixMilli(1588165500224)}
	form := contentType("application/x-www-form-urlencoded")
	r := render(t, etlworks(t, form), e)
	wantBody(t, r, `eventId=32f54fa6-41ae-432e-a720-4373bdf72e6d&eventType=Flow.Executed&webhookId=1&entityId=11157&timestamp=1588165500224`)
	if len(r.Body) != 119 {
		t.Errorf("E3: %d bytes, want 119", len(r.Body))
	}
	wantHeader(t, r, "Content-Type", "application/x-www-form-urlencoded")
	wantHeader(t, r, "X-Etl-Webhook-Signature", "24ca8b6a5f65c599a69961a8afa4202f50e966bc")

	r = render(t, etlworks(t, form, func(w *hook.Webhook) { w.IncludeEntity = true }), e)
	wantBody(t, r, `eventId=32f54fa6-41ae-432e-a720-4373bdf72e6d&eventType=Flow.Executed&webhookId=1&entityId=11157`+
		`&entity=%7B%22id%22%3A1%7D&entityUrl=https%3A%2F%2Fapp.etlworks.com%2Fx&timestamp=1588165500224`)
}

func TestEtlworksGet(t *testing.T) {
	t.Parallel()
	// E5
	r := render(t, etlworks(t, method("GET")), execution())
	if r.Body != nil {
		t.Errorf("E5: a body: %s", r.Body)
	}
	wantHeaders(t, r, `
User-Agent: Sallyport/1.2.3
X-Etl-Webhook-Entity-Id: 11225
X-Etl-Webhook-Entity-URL: https://app.etlworks.com/rest/v1/flows/1?auditId=11225
X-Etl-Webhook-Event: Flow.Executed
X-Etl-Webhook-Event-Id: 7027e72b-9005-4fcc-8385-8da47249136a
X-Etl-Webhook-Id: 1`)
}

func TestEtlworksWithoutSecret(t *testing.T) {
	t.Parallel()
	// E6
	r := render(t, etlworks(t, withSecret(""), func(w *hook.Webhook) {
		w.BasicAuth = &hook.BasicAuth{Username: "admin", Password: "admin"}
	}), execution())
	wantNoHeader(t, r, "X-Etl-Webhook-Signature")
	wantHeader(t, r, "Authorization", "Basic YWRtaW46YWRtaW4=")
}

func TestStandardWebhooks(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "standard-webhooks", withSecret("")), order())
	wantBody(t, r, `{"type":"order.paid","timestamp":"2020-05-02T14:20:00.207Z","data":{"total":12}}`)
	wantHeaders(t, r, `
User-Agent: Sallyport/1.2.3
Content-Type: application/json
webhook-id: ord-7-paid
webhook-timestamp: 1795294619`)
	r = render(t, webhook(t, "standard-webhooks"), &hook.Event{ID: "e1", Type: "Ping", Timestamp: occurred})
	wantBody(t, r, `{"type":"Ping","timestamp":"2020-05-02T14:20:00.207Z","data":{}}`)
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	e := &hook.Event{ID: "e1", Type: "push", Entity: []byte(`{"products":[{"sku":"A-1","qty":3}]}`), Timestamp: occurred}
	r := render(t, webhook(t, "github", withSecret("alumio-shared")), e)
	wantBody(t, r, `{"products":[{"sku":"A-1","qty":3}]}`)
	wantHeaders(t, r, `
User-Agent: Sallyport/1.2.3
Content-Type: application/json
X-GitHub-Delivery: 019a0b0c-0000-7000-8000-00000000000c
X-GitHub-Event: push
X-Hub-Signature-256: sha256=3da2b46e822524ada173226e99ea16853588a900ecfae569ccd8cefac7774e0b`)
	r = render(t, webhook(t, "github", contentType("application/x-www-form-urlencoded")), e)
	wantBody(t, r, `payload=%7B%22products%22%3A%5B%7B%22sku%22%3A%22A-1%22%2C%22qty%22%3A3%7D%5D%7D`)
}

func TestShopify(t *testing.T) {
	t.Parallel()
	e := &hook.Event{ID: "e1", Type: "orders/create", Entity: []byte(`{"products":[{"sku":"A-1","qty":3}]}`), Timestamp: occurred}
	r := render(t, webhook(t, "shopify", withSecret("alumio-shared")), e)
	wantHeaders(t, r, `
User-Agent: Sallyport/1.2.3
Content-Type: application/json
X-Shopify-Hmac-Sha256: PaK0boIlJK2hcyJumeoWhTWIqQDs+uVpzNjO+sd3Tgs=
X-Shopify-Topic: orders/create
X-Shopify-Triggered-At: 2020-05-02T14:20:00.207Z
X-Shopify-Webhook-Id: 019a0b0c-0000-7000-8000-00000000000c`)
	e.Entity = nil
	wantBody(t, render(t, webhook(t, "shopify"), e), `{}`)
}

func TestStripe(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "stripe"), order())
	wantBody(t, r, `{"id":"ord-7-paid","object":"event","type":"order.paid","created":1588429200,"data":{"object":{"total":12}}}`)
	// openssl dgst -sha256 -hmac over "1795294619." and the body
	wantHeader(t, r, "Stripe-Signature", "t=1795294619,v1=debb6b648b5c50dc769b595b05ca179b5c8a637e48c5ab95e2dcf922c32b924b")
}

func TestCloudEvents(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "cloudevents", contentType("application/json")), order())
	wantHeader(t, r, "Content-Type", "application/cloudevents+json")
	wantBody(t, r, `{"specversion":"1.0","id":"ord-7-paid","source":"/workspaces/019a0b0c-0000-7000-8000-00000000000a","type":"order.paid",`+
		`"subject":"7","time":"2020-05-02T14:20:00.207Z","entityurl":"https://shop.example.com/orders/7?a=b&c=%20d",`+
		`"datacontenttype":"application/json","data":{"total":12}}`)
	r = render(t, webhook(t, "cloudevents", func(w *hook.Webhook) { w.IncludeEntity = false }), &hook.Event{ID: "e1", Type: "Ping", Timestamp: occurred})
	wantBody(t, r, `{"specversion":"1.0","id":"e1","source":"/workspaces/019a0b0c-0000-7000-8000-00000000000a","type":"Ping","time":"2020-05-02T14:20:00.207Z"}`)
}
