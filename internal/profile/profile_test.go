package profile_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
	"sallyport/internal/signature"
)

var (
	workspaceID = uuid.MustParse("019a0b0c-0000-7000-8000-00000000000a")
	hookID      = uuid.MustParse("019a0b0c-0000-7000-8000-00000000000b")
	delivery    = uuid.MustParse("019a0b0c-0000-7000-8000-00000000000c")
	at          = time.Date(2026, 11, 21, 20, 56, 59, 0, time.UTC) // Unix 1795294619
	occurred    = time.UnixMilli(1588429200207).UTC()
)

const secret = "my-secret-of-24-characters!"

// webhook returns a webhook of a profile as it would be created: entity by the profile's
// default, one secret.
func webhook(t *testing.T, name string, change ...func(*hook.Webhook)) *hook.Webhook {
	t.Helper()
	d, ok := profile.DefaultsOf(name)
	if !ok {
		t.Fatalf("no profile %q", name)
	}
	w := &hook.Webhook{ID: hookID, Workspace: workspaceID, Number: 7, WebhookSpec: hook.WebhookSpec{
		Method: "POST", Profile: name, ContentType: d.ContentType, IncludeEntity: d.IncludeEntity,
	}}
	w.Secrets = []hook.Secret{{Value: secret}}
	for _, c := range change {
		c(w)
	}
	return w
}

func withSecret(s string) func(*hook.Webhook) {
	return func(w *hook.Webhook) {
		w.Secrets = nil
		if s != "" {
			w.Secrets = []hook.Secret{{Value: hook.Sensitive(s)}}
		}
	}
}

func method(m string) func(*hook.Webhook) { return func(w *hook.Webhook) { w.Method = m } }

func contentType(t string) func(*hook.Webhook) { return func(w *hook.Webhook) { w.ContentType = t } }

func render(t *testing.T, w *hook.Webhook, e *hook.Event) profile.Rendered {
	t.Helper()
	r, err := profile.Compile(w, "Sallyport/1.2.3").Render(e, delivery, 3, at)
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	return r
}

// value returns a header's value by its exact spelling, and whether it is there once.
func value(t *testing.T, r profile.Rendered, name string) (string, bool) {
	t.Helper()
	var found []string
	for _, f := range r.Header {
		if f.Name == name {
			found = append(found, f.Value)
		}
	}
	if len(found) > 1 {
		t.Errorf("%s stands there %d times", name, len(found))
	}
	if len(found) == 0 {
		return "", false
	}
	return found[0], true
}

func wantHeader(t *testing.T, r profile.Rendered, name, want string) {
	t.Helper()
	if got, _ := value(t, r, name); got != want {
		t.Errorf("%s = %q, want %q", name, got, want)
	}
}

func wantNoHeader(t *testing.T, r profile.Rendered, name string) {
	t.Helper()
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			t.Errorf("%s is there: %q", name, f.Value)
		}
	}
}

// wantHeaders compares all headers, in order.
func wantHeaders(t *testing.T, r profile.Rendered, want string) {
	t.Helper()
	var lines []string
	for _, f := range r.Header {
		lines = append(lines, f.Name+": "+f.Value)
	}
	if got := strings.Join(lines, "\n"); got != strings.TrimSpace(want) {
		t.Errorf("headers:\n%s\nwant:\n%s", got, want)
	}
}

func wantBody(t *testing.T, r profile.Rendered, want string) {
	t.Helper()
	if string(r.Body) != want {
		t.Errorf("body:\n%s\nwant:\n%s", r.Body, want)
	}
}

func order() *hook.Event {
	return &hook.Event{ID: "ord-7-paid", Type: "order.paid", EntityID: hook.EntityID{Text: "7", Number: true},
		Entity: []byte(`{"total":12}`), EntityURL: "https://shop.example.com/orders/7?a=b&c=%20d", Timestamp: occurred}
}

func TestDefault(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "default"), order())
	wantBody(t, r, `{"eventId":"ord-7-paid","eventType":"order.paid","webhookId":"019a0b0c-0000-7000-8000-00000000000b","entityId":7,`+
		`"entity":{"total":12},"entityUrl":"https://shop.example.com/orders/7?a=b&c=%20d","timestamp":1588429200207}`)
	if got := string(r.Body[r.EntityAt : r.EntityAt+len(`{"total":12}`)]); got != `{"total":12}` {
		t.Errorf("EntityAt points at %q", got)
	}
	// Signatures were computed with openssl over the body above.
	wantHeaders(t, r, `
User-Agent: Sallyport/1.2.3
Content-Type: application/json
X-Signature: 6ea0667b52e3b379f6698ec05cb67292ccbc2e546e8957dd977667e15308ff11
X-Webhook-Attempt: 3
X-Webhook-Delivery-Id: 019a0b0c-0000-7000-8000-00000000000c
X-Webhook-Entity-Id: 7
X-Webhook-Entity-URL: https://shop.example.com/orders/7?a=b&c=%20d
X-Webhook-Event: order.paid
X-Webhook-Event-Id: ord-7-paid
X-Webhook-Id: 019a0b0c-0000-7000-8000-00000000000b
webhook-id: ord-7-paid
webhook-signature: v1,XsUoBLn4070dDsn5+jr61W10R5CZbGEowka3zZ17LkQ=
webhook-timestamp: 1795294619`)
}

// hmacOf signs a rendered body afresh; the schemes themselves are held against fixed
// vectors in their own package.
func hmacOf(t *testing.T, s signature.Scheme, r profile.Rendered) string {
	t.Helper()
	signer, err := signature.New(s, []hook.Secret{{Value: secret}})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := signer.Sign(at, "ord-7-paid", r.Body)
	return got
}

func TestDefaultLeavesOutWhatTheEventLacks(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "default", withSecret("")), &hook.Event{ID: "e1", Type: "Ping", Timestamp: occurred})
	wantBody(t, r, `{"eventId":"e1","eventType":"Ping","webhookId":"019a0b0c-0000-7000-8000-00000000000b","timestamp":1588429200207}`)
	if r.EntityAt != -1 {
		t.Errorf("EntityAt = %d without an entity", r.EntityAt)
	}
	for _, name := range []string{"X-Webhook-Entity-Id", "X-Webhook-Entity-URL", "X-Signature", "X-Signature-Next", "webhook-signature", "Sallyport-Hops", "Authorization"} {
		wantNoHeader(t, r, name)
	}
}

func TestDefaultWithoutEntity(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "default", func(w *hook.Webhook) { w.IncludeEntity = false }), order())
	wantBody(t, r, `{"eventId":"ord-7-paid","eventType":"order.paid","webhookId":"019a0b0c-0000-7000-8000-00000000000b","entityId":7,`+
		`"entityUrl":"https://shop.example.com/orders/7?a=b&c=%20d","timestamp":1588429200207}`)
}

func TestDefaultForm(t *testing.T) {
	t.Parallel()
	e := order()
	e.EntityID = hook.EntityID{Text: "Ä & b"}
	r := render(t, webhook(t, "default", contentType("application/x-www-form-urlencoded; charset=utf-8")), e)
	wantHeader(t, r, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	wantBody(t, r, `eventId=ord-7-paid&eventType=order.paid&webhookId=019a0b0c-0000-7000-8000-00000000000b&entityId=%C3%84+%26+b`+
		`&entity=%7B%22total%22%3A12%7D&entityUrl=https%3A%2F%2Fshop.example.com%2Forders%2F7%3Fa%3Db%26c%3D%2520d&timestamp=1588429200207`)
	if r.EntityAt != -1 {
		t.Errorf("EntityAt = %d in form mode", r.EntityAt)
	}
	values, err := url.ParseQuery(string(r.Body))
	if err != nil || values.Get("entity") != `{"total":12}` || values.Get("entityId") != "Ä & b" {
		t.Errorf("parsed back: %v, %v", values, err)
	}
}

func TestBodylessMethods(t *testing.T) {
	t.Parallel()
	for _, m := range []string{"GET", "DELETE"} {
		r := render(t, webhook(t, "default", method(m)), order())
		if r.Method != m || r.Body != nil || r.EntityAt != -1 {
			t.Errorf("%s: method %s, body %q", m, r.Method, r.Body)
		}
		wantNoHeader(t, r, "Content-Type")
		wantHeader(t, r, "X-Webhook-Event-Id", "ord-7-paid")
		wantHeader(t, r, "X-Signature", hmacOf(t, signature.Plain, r)) // over empty bytes
	}
	for _, m := range []string{"PUT", "PATCH"} {
		if r := render(t, webhook(t, "default", method(m)), order()); len(r.Body) == 0 || r.Method != m {
			t.Errorf("%s: no body", m)
		}
	}
}

func TestEntityBytesSurvive(t *testing.T) {
	t.Parallel()
	entity := `{ "a" : 1.10, "a":1.10,"html":"<b>&\u0000\u00e9é","id":12345678901234567890, "big":1e400,"sep":"` + "\u2028" + `" }`
	for _, name := range profile.Names() {
		if name == "mixpost" {
			continue // re-encodes
		}
		e := order()
		e.Entity = []byte(entity)
		r := render(t, webhook(t, name, func(w *hook.Webhook) { w.IncludeEntity = true }), e)
		if r.EntityAt < 0 || !bytes.HasPrefix(r.Body[r.EntityAt:], e.Entity) {
			t.Errorf("%s: the entity is not there byte by byte: %s", name, r.Body)
		}
		if !json.Valid(r.Body) {
			t.Errorf("%s: not JSON: %s", name, r.Body)
		}
	}
}

func TestBigEntityID(t *testing.T) {
	t.Parallel()
	e := order()
	e.EntityID = hook.EntityID{Text: "12345678901234567890", Number: true}
	r := render(t, webhook(t, "default"), e)
	if !strings.Contains(string(r.Body), `"entityId":12345678901234567890,`) {
		t.Errorf("body: %s", r.Body)
	}
	e.EntityID.Number = false
	r = render(t, webhook(t, "default"), e)
	if !strings.Contains(string(r.Body), `"entityId":"12345678901234567890",`) {
		t.Errorf("body: %s", r.Body)
	}
}

func TestStringsAreEscaped(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"plain", `quote " and \`, "tab\tline\nreturn\rbell\a\b\f", "<script>&é\u2028😀", "bad \xff utf-8", "\x7f", ""} {
		e := order()
		e.EntityID = hook.EntityID{Text: "x" + text}
		var got struct{ EntityID string }
		body := render(t, webhook(t, "default"), e).Body
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%q: %v in %s", text, err, body)
		}
		if want := "x" + strings.ToValidUTF8(text, "\uFFFD"); got.EntityID != want {
			t.Errorf("%q came back as %q", want, got.EntityID)
		}
	}
}

func TestHeaderValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ id, wantID, url, wantURL string }{
		"plain":                       {"A-7", "A-7", "https://a.example/x", "https://a.example/x"},
		"inner space stays in an id":  {"A 7", "A 7", "https://a.example/x y", "https://a.example/x%20y"},
		"percent is encoded in an id": {"50%", "50%25", "https://a.example/50%25", "https://a.example/50%25"},
		"non-ASCII":                   {"café", "caf%C3%A9", "https://a.example/é", "https://a.example/%C3%A9"},
		"line breaks cannot add a header": {"a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1",
			"https://a.example/\r\nX-Evil: 1", "https://a.example/%0D%0AX-Evil:%201"},
		"outer spaces would be trimmed": {" a ", "%20a%20", "u ", "u%20"},
		"NUL and DEL":                   {"a\x00b\x7f", "a%00b%7F", "u\x00", "u%00"},
		"a value too long is left out":  {strings.Repeat("a", 4097), "", strings.Repeat("u", 4097), ""},
		"also if it grew by encoding":   {strings.Repeat("é", 700), "", strings.Repeat("é", 700), ""},
	} {
		e := order()
		e.EntityID, e.EntityURL = hook.EntityID{Text: c.id}, c.url
		r := render(t, webhook(t, "default"), e)
		if got, _ := value(t, r, "X-Webhook-Entity-Id"); got != c.wantID {
			t.Errorf("%s: id %q, want %q", name, got, c.wantID)
		}
		if got, _ := value(t, r, "X-Webhook-Entity-URL"); got != c.wantURL {
			t.Errorf("%s: url %q, want %q", name, got, c.wantURL)
		}
	}
}

func TestCustomHeaders(t *testing.T) {
	t.Parallel()
	w := webhook(t, "default", func(w *hook.Webhook) {
		w.BasicAuth = &hook.BasicAuth{Username: "admin", Password: "admin"}
		w.Headers = []hook.Header{
			{Name: "X-Tag", Value: "one"}, {Name: "X-Tag", Value: "two"}, {Name: "x-lower", Value: " kept "},
			{Name: "X-API-KEY", Value: "k", Secret: true},
			{Name: "user-agent", Value: "Mine/1"},
			{Name: "authorization", Value: "Bearer ignored"},
			{Name: "X-WEBHOOK-ID", Value: "forged"}, {Name: "Idempotency-Key", Value: "x"}, {Name: "Host", Value: "x"},
			{Name: "content-type", Value: "text/plain"}, {Name: "Transfer-Encoding", Value: "chunked"},
		}
	}, method("GET"), withSecret(""))
	e := order()
	e.Hops = 2
	r := render(t, w, e)
	wantHeaders(t, r, `
User-Agent: Mine/1
Authorization: Basic YWRtaW46YWRtaW4=
Sallyport-Hops: 2
X-API-KEY: k
X-Tag: one
X-Tag: two
X-Webhook-Attempt: 3
X-Webhook-Delivery-Id: 019a0b0c-0000-7000-8000-00000000000c
X-Webhook-Entity-Id: 7
X-Webhook-Entity-URL: https://shop.example.com/orders/7?a=b&c=%20d
X-Webhook-Event: order.paid
X-Webhook-Event-Id: ord-7-paid
X-Webhook-Id: 019a0b0c-0000-7000-8000-00000000000b
webhook-id: ord-7-paid
webhook-timestamp: 1795294619
x-lower: kept`)
	for _, f := range r.Header {
		if want := f.Name == "Authorization" || f.Name == "X-API-KEY"; f.Secret != want {
			t.Errorf("%s: secret = %v", f.Name, f.Secret)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	soon := at.Add(time.Hour)
	r := render(t, webhook(t, "default", func(w *hook.Webhook) {
		w.Secrets = []hook.Secret{{Value: secret, ExpiresAt: &soon}, {Value: "newer-secret-24-characters"}}
	}), order())
	wantHeader(t, r, "X-Signature", hmacOf(t, signature.Plain, r))
	next, _ := value(t, r, "X-Signature-Next")
	if err := signature.Verify(signature.Plain, "newer-secret-24-characters", http.Header{"X-Signature": {next}}, r.Body, time.Time{}, 0); err != nil {
		t.Errorf("X-Signature-Next: %v", err)
	}
	both, _ := value(t, r, "webhook-signature")
	if strings.Count(both, "v1,") != 2 {
		t.Errorf("webhook-signature = %q, want two", both)
	}
	wantNoHeader(t, r, "webhook-signature-Next")
}

func TestCustomSignatureReplacesTheProfiles(t *testing.T) {
	t.Parallel()
	r := render(t, webhook(t, "default", func(w *hook.Webhook) {
		w.Signature = &hook.CustomSignature{Algorithm: "hmac-sha256", Header: "x-my-Sig", Encoding: "hex", Prefix: "s=", Content: "{body}"}
	}), order())
	wantHeader(t, r, "x-my-Sig", "s="+hmacOf(t, signature.Plain, r))
	wantNoHeader(t, r, "X-Signature")
	wantNoHeader(t, r, "webhook-signature")
	wantHeader(t, r, "webhook-id", "ord-7-paid")
}

func TestFaultsAreReturnedByRender(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*hook.Webhook){
		"unknown profile":     func(w *hook.Webhook) { w.Profile = "nosuch" },
		"no form mode":        func(w *hook.Webhook) { w.Profile, w.ContentType = "stripe", "application/x-www-form-urlencoded" },
		"unknown placeholder": func(w *hook.Webhook) { w.Signature = &hook.CustomSignature{Header: "X-S", Content: "{nosuch}"} },
		"secret not base64":   withSecret("whsec_!!!!!!!!!!!!!!!!!!!!!!!!"),
	} {
		c := profile.Compile(webhook(t, "default", change), "")
		if _, err := c.Render(order(), delivery, 1, at); err == nil || c.Err() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDefaultsOf(t *testing.T) {
	t.Parallel()
	want := []string{"default", "standard-webhooks", "etlworks", "mixpost", "github", "stripe", "shopify", "cloudevents"}
	if got := profile.Names(); !slices.Equal(got, want) {
		t.Errorf("Names = %v", got)
	}
	if _, ok := profile.DefaultsOf("nosuch"); ok {
		t.Error("there is a profile nosuch")
	}
	for _, name := range want {
		d, _ := profile.DefaultsOf(name)
		old := name == "etlworks" || name == "mixpost"
		if d.Name != name || (d.MinSecret == 8) != old || d.MinSecret != 8 && d.MinSecret != 24 {
			t.Errorf("%s: %+v", name, d)
		}
		if d.IncludeEntity == (name == "etlworks") {
			t.Errorf("%s: IncludeEntity = %v", name, d.IncludeEntity)
		}
		if !d.AcceptsContentType(d.ContentType) || d.AcceptsContentType("text/plain") || d.AcceptsContentType("application/json\r\nX: y") {
			t.Errorf("%s: content types", name)
		}
	}
	d, _ := profile.DefaultsOf("mixpost")
	if !slices.Equal(d.SuccessCodes, []string{"200", "201", "202"}) || len(d.EventTypes) != 9 {
		t.Errorf("mixpost: %+v", d)
	}
	d, _ = profile.DefaultsOf("etlworks")
	if len(d.EventTypes) != 25 || !slices.Contains(d.EventTypes, "Flow.Executed") || !slices.Contains(d.EventTypes, "Agent.Deleted") {
		t.Errorf("etlworks catalogue: %v", d.EventTypes)
	}
	d, _ = profile.DefaultsOf("default")
	if !d.AcceptsContentType("application/vnd.acme+json; charset=utf-8") || !d.AcceptsContentType("application/x-www-form-urlencoded") {
		t.Error("default refuses a JSON type or the form type")
	}
	for name, reserved := range map[string]bool{"HOST": true, "x-webhook-anything": true, "Idempotency-Key": true, "Proxy-Authorization": true,
		"Sallyport-Hops": true, "Webhook-Id": true, "X-Signature-Next": true, "Authorization": false, "X-Team": false, "User-Agent": false} {
		if d.Reserved(name) != reserved {
			t.Errorf("Reserved(%q) = %v", name, !reserved)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	spec := &hook.WebhookSpec{
		Profile: "github", BasicAuth: &hook.BasicAuth{Username: "u"}, Signature: &hook.CustomSignature{Header: "X-Sig"},
		Headers: []hook.Header{
			{Name: "X-Fine", Value: "é is allowed"}, {Name: "", Value: "x"}, {Name: "X Y", Value: "x"}, {Name: "x-github-event", Value: "x"},
			{Name: "authorization", Value: "x"}, {Name: "x-sig", Value: "x"}, {Name: "X-Break", Value: "a\r\nb: c"},
		},
	}
	var got []string
	for _, f := range profile.Check(spec) {
		got = append(got, f.Field+" "+f.Code)
	}
	want := []string{"headers[1].name required", "headers[2].name invalid_format", "headers[3].name reserved_header",
		"headers[4].name reserved_header", "headers[5].name reserved_header", "headers[6].value invalid_format"}
	if !slices.Equal(got, want) {
		t.Errorf("Check = %q", got)
	}
	for name, c := range map[string]struct {
		spec  hook.WebhookSpec
		field string
	}{
		"profile":                          {hook.WebhookSpec{Profile: "nosuch"}, "profile"},
		"method":                           {hook.WebhookSpec{Method: "TRACE"}, "method"},
		"content type":                     {hook.WebhookSpec{ContentType: "text/plain"}, "contentType"},
		"form where there is none":         {hook.WebhookSpec{Profile: "stripe", ContentType: "application/x-www-form-urlencoded"}, "contentType"},
		"signature in a header of its own": {hook.WebhookSpec{Signature: &hook.CustomSignature{Header: "x-webhook-id"}}, "signature.header"},
		"signature in Host":                {hook.WebhookSpec{Signature: &hook.CustomSignature{Header: "Host"}}, "signature.header"},
		"signature's algorithm":            {hook.WebhookSpec{Signature: &hook.CustomSignature{Header: "X-Signature", Algorithm: "md5"}}, "signature.algorithm"},
	} {
		if got := profile.Check(&c.spec); len(got) != 1 || got[0].Field != c.field {
			t.Errorf("%s: %v, want one fault of %s", name, got, c.field)
		}
	}
	if got := profile.Check(&hook.WebhookSpec{Signature: &hook.CustomSignature{Header: "X-Signature"}}); len(got) != 0 {
		t.Errorf("the profile's own signature header may be described: %v", got)
	}
}
