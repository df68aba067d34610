package manage_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

const ordersURL = "https://erp.example.com/hooks"

func TestCreateWebhookWithDefaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.webhook(t, `{"name":"ERP Stock","url":"`+ordersURL+`"}`)
	want := hook.WebhookSpec{
		Code: "erp-stock", Name: "ERP Stock", URL: ordersURL, Method: "POST", ContentType: "application/json", Profile: "default",
		EventTypes: []string{"*"}, IncludeEntity: true, Enabled: true, MaxAttempts: 10, Timeout: 15 * time.Second,
		SuccessCodes: []string{"2xx"}, Ordering: "none", Metadata: map[string]string{},
		Retry: hook.Retry{Jitter: 0.1, Schedule: []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		}},
	}
	if got := fmt.Sprintf("%+v", r.WebhookSpec); got != fmt.Sprintf("%+v", want) {
		t.Errorf("specification = %s\nwant %+v", got, want)
	}
	if r.Change != hook.Created || r.Version != 1 || r.Number != 1 || !slices.Equal(r.Warnings, []string{"no_secret"}) || r.State() != hook.TargetActive || !r.StateSince.Equal(w.store.now) {
		t.Errorf("result = %+v", r)
	}
	if !slices.Contains(w.pipe.changed, w.ws.ID) {
		t.Error("the change was not told")
	}
	if r := w.webhook(t, `{"name":"ERP  stock!","url":"`+ordersURL+`"}`); r.Code != "erp-stock-2" {
		t.Errorf("second code = %q", r.Code)
	}
	if r := w.webhook(t, `{"name":"Lager / Größe 3","url":"`+ordersURL+`"}`); r.Code != "lager-gr-e-3" {
		t.Errorf("code = %q", r.Code)
	}
	if r := w.webhook(t, `{"name":"日本","url":"`+ordersURL+`"}`); r.Code != "webhook" {
		t.Errorf("code of a name without letters = %q", r.Code)
	}
	if r := w.webhook(t, `{"code":"Named","url":"`+ordersURL+`"}`); r.Name != "Named" || r.Code != "Named" {
		t.Errorf("name by code = %q, %q", r.Code, r.Name)
	}
}

func TestWebhookFaultsAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.CreateWebhook(t.Context(), w.admin, []byte(`{
		"code":"a b", "name":"", "url":"ftp://x", "method":"BREW", "contentType":"text/csv", "eventTypes":[], "secret":"",
		"basicAuth":{"username":"a:b"}, "headers":[{"name":"X-Api-Key"},{"name":"Content-Length","value":"1"},{"name":"X-A","value":"1"},{"name":"x-a","value":"2"},7],
		"maxAttempts":51, "retry":{"schedule":["5s","1m","5 min"],"linear":{"interval":"1s"},"jitter":2}, "timeout":"61s",
		"successCodes":["2xx","3xx"], "maxInFlight":0, "rateLimit":{"per":"1s"}, "ordering":"strict", "metadata":{"a:b":"c","n":1},
		"filter":"{{ x }}", "signature":{"algorithm":"md5"}, "timeOut":"5s", "enabled":"yes"}`))
	wantFaults(t, err,
		"code invalid_format", "name required", "url invalid_url", "method invalid_format", "contentType invalid_format",
		"eventTypes empty_event_types", "secret empty_secret", "basicAuth.username invalid_format", "basicAuth.password required",
		"headers[0].value required", "headers[1].name reserved_header", "headers[3].name invalid_format", "headers[4] invalid_format",
		"maxAttempts out_of_range", "retry invalid_format", "retry.schedule[2] invalid_duration", "retry.jitter out_of_range", "timeout out_of_range",
		"successCodes[1] invalid_format", "maxInFlight out_of_range", "rateLimit.requests required", "ordering invalid_format",
		"metadata.a:b invalid_format", "metadata.n invalid_format", "filter template_syntax",
		"signature.algorithm invalid_format", "signature.header required", "timeOut unknown_field", "enabled invalid_format")
	var e *hook.Error
	if e = wantKind(t, err, hook.KindInvalid); e.Field != e.Faults[0].Field || !strings.Contains(e.Detail, "fields are wrong") {
		t.Errorf("field %q, detail %q", e.Field, e.Detail)
	}
	for _, f := range e.Faults {
		if f.Field == "retry.schedule[2]" && f.Detail != `"5 min" is not a duration; use "5m"` {
			t.Errorf("detail = %s", f.Detail)
		}
		if f.Field == "timeOut" && !strings.Contains(f.Detail, `"timeout"`) {
			t.Errorf("detail = %s", f.Detail)
		}
	}
}

func TestWebhookFaultsOneByOne(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3000)
	for doc, want := range map[string]string{
		`{"url":"https://x.example"}`:                       "name required",
		`{"name":"a"}`:                                      "url required",
		`{"name":"a","url":null}`:                           "url invalid_format",
		`{"name":"` + long + `","url":"https://x.example"}`: "name too_long",
		`{"name":"a\u0000","url":"https://x.example"}`:      "name invalid_format",
		`{"code":"019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e","url":"https://x.example"}`:                  "code invalid_format",
		`{"name":"a","url":"https://u:p@x.example"}`:                                                 "url invalid_url",
		`{"name":"a","url":"https://x.example/#a"}`:                                                  "url invalid_url",
		`{"name":"a","url":"https://x.example:99999/"}`:                                              "url invalid_url",
		`{"name":"a","url":"https:///x"}`:                                                            "url invalid_url",
		`{"name":"a","url":"https://x.example/ä"}`:                                                   "url invalid_url",
		`{"name":"a","url":"http://10.0.0.1/"}`:                                                      "url url_not_allowed",
		`{"name":"a","url":"http://[::1]:80/"}`:                                                      "url url_not_allowed",
		`{"name":"a","url":"http://localhost:9000/"}`:                                                "url url_not_allowed",
		`{"name":"a","url":"https://x.example","profile":"nope"}`:                                    "profile invalid_format",
		`{"name":"a","url":"https://x.example","eventTypes":null}`:                                   "eventTypes empty_event_types",
		`{"name":"a","url":"https://x.example","eventTypes":["a.*.b"]}`:                              "eventTypes[0] invalid_format",
		`{"name":"a","url":"https://x.example","eventTypes":["a*"]}`:                                 "eventTypes[0] invalid_format",
		`{"name":"a","url":"https://x.example","eventTypes":[1]}`:                                    "eventTypes[0] invalid_format",
		`{"name":"a","url":"https://x.example","secret":null}`:                                       "secret empty_secret",
		`{"name":"a","url":"https://x.example","secret":"short"}`:                                    "secret too_short",
		`{"name":"a","url":"https://x.example","secret":"` + long + `"}`:                             "secret too_long",
		`{"name":"a","url":"https://x.example","secret":"whsec_not base64 at all!!"}`:                "secret invalid_format",
		`{"name":"a","url":"https://x.example","secret":"with-a-line-break-at-its-end\n"}`:           "secret invalid_format",
		`{"name":"a","url":"https://x.example","basicAuth":{"username":"u","password":null}}`:        "basicAuth.password empty_secret",
		`{"name":"a","url":"https://x.example","headers":[{"name":"Authorization","value":""}]}`:     "headers[0].value empty_secret",
		`{"name":"a","url":"https://x.example","headers":[{"name":"X-A","value":" a"}]}`:             "headers[0].value invalid_format",
		`{"name":"a","url":"https://x.example","headers":[{"name":"X-Webhook-Id","value":"a"}]}`:     "headers[0].name reserved_header",
		`{"name":"a","url":"https://x.example","headers":[{"name":"Idempotency-Key","value":"a"}]}`:  "headers[0].name reserved_header",
		`{"name":"a","url":"https://x.example","retry":{"exponential":{"factor":2}}}`:                "retry.exponential.initial required",
		`{"name":"a","url":"https://x.example","retry":{"exponential":{"initial":"1h","max":"1m"}}}`: "retry.exponential.max out_of_range",
		`{"name":"a","url":"https://x.example","retry":{"schedule":["31d"]}}`:                        "retry.schedule[0] out_of_range",
		`{"name":"a","url":"https://x.example","retry":{"schedule":[]}}`:                             "retry.schedule required",
		`{"name":"a","url":"https://x.example","maxAttempts":"10"}`:                                  "maxAttempts invalid_format",
		`{"name":"a","url":"https://x.example","maxAttempts":1.5}`:                                   "maxAttempts invalid_format",
		`{"name":"a","url":"https://x.example","metadata":null}`:                                     "metadata invalid_format",
		`{"name":"  ","url":"https://x.example"}`:                                                    "name required",
		`[1]`: " invalid_format",
	} {
		w := setup(t)
		_, err := w.CreateWebhook(t.Context(), w.admin, []byte(doc))
		if got := faults(t, err); !slices.Equal(got, []string{want}) {
			t.Errorf("%.90s: %q; want %q", doc, got, want)
		}
		if len(w.store.webhooks) != 0 {
			t.Errorf("%.90s: was stored", doc)
		}
	}
	w := setup(t)
	if _, err := w.CreateWebhook(t.Context(), w.admin, []byte(`{"name":`)); hook.KindOf(err) != hook.KindMalformedJSON {
		t.Errorf("half a document: %v", err)
	}
}

func TestProfilesDecideDefaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.webhook(t, `{"name":"e","url":"`+ordersURL+`","profile":"etlworks","secret":"12345678"}`)
	if r.IncludeEntity || !slices.Contains(r.Warnings, "short_secret") {
		t.Errorf("etlworks: includeEntity %v, warnings %q", r.IncludeEntity, r.Warnings)
	}
	if r := w.webhook(t, `{"name":"m","url":"`+ordersURL+`","profile":"mixpost"}`); !slices.Equal(r.SuccessCodes, []string{"200", "201", "202"}) {
		t.Errorf("mixpost: %q", r.SuccessCodes)
	}
	r = w.webhook(t, `{"name":"m2","url":"`+ordersURL+`","profile":"mixpost","eventTypes":["post.published","post.published.failed","Webhook.Suspended","post.*"]}`)
	want := []string{"no_secret", "unknown_event_type: post.published.failed; did you mean post.publishing_failed?"}
	if !slices.Equal(r.Warnings, want) {
		t.Errorf("warnings = %q; want %q", r.Warnings, want)
	}
	got, err := w.GetWebhook(t.Context(), w.admin, "m2")
	if err != nil || !slices.Equal(got.Warnings, want) {
		t.Errorf("warnings when read = %q, %v", got.Warnings, err)
	}
}

func TestPatternsLeaveOutOurOwnTypes(t *testing.T) {
	t.Parallel()
	for types, want := range map[string][]string{
		`"*"`:         {"no_secret"},
		`"Webhook.*"`: {"no_secret", "operational_by_name: Webhook.* leaves out Webhook.Suspended, Webhook.Resumed, Webhook.Recovered"},
		`"Webhook.*","Webhook.Suspended","Webhook.Recovered"`:            {"no_secret", "operational_by_name: Webhook.* leaves out Webhook.Resumed"},
		`"Delivery.*","Delivery.Exhausted","IncomingWebhooks.*","Web.*"`: {"no_secret"},
	} {
		w := setup(t)
		if r := w.webhook(t, `{"name":"a","url":"`+ordersURL+`","eventTypes":[`+types+`]}`); !slices.Equal(r.Warnings, want) {
			t.Errorf("%s: warnings = %q; want %q", types, r.Warnings, want)
		}
	}
}

func TestStrictWorkspaceRefusesUnknownTypes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if _, err := w.PatchWorkspace(t.Context(), w.admin, "default", []byte(`{"strict":true}`), hook.Write{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateEventType(t.Context(), w.admin, []byte(`{"name":"order.paid"}`)); err != nil {
		t.Fatal(err)
	}
	_, err := w.CreateWebhook(t.Context(), w.admin, []byte(`{"name":"a","url":"`+ordersURL+`","eventTypes":["order.paid","order.piad","Delivery.Exhausted"]}`))
	wantFaults(t, err, "eventTypes[1] unknown_event_type")
	if e := wantKind(t, err, hook.KindInvalid); !strings.Contains(e.Faults[0].Detail, "did you mean order.paid?") {
		t.Errorf("detail = %s", e.Faults[0].Detail)
	}
	w.webhook(t, `{"name":"a","url":"`+ordersURL+`","eventTypes":["order.*"]}`)
}

func TestPutIsIdempotentAndReplaces(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const secret = "whsec_bm90LWEtcmVhbC1zZWNyZXQtMTIzNDU2"
	doc := `{"name":"Orders","url":"` + ordersURL + `","secret":"` + secret + `","basicAuth":{"username":"erp","password":"hunter2hunter2"},
		"headers":[{"name":"X-Api-Key","value":"abc-abc-abc"},{"name":"X-Team","value":"erp"}],"eventTypes":["order.*"],"metadata":{"managed-by":"ci"},
		"retry":{"exponential":{"initial":"1s"}},"rateLimit":{"requests":5},"maxInFlight":3,"timeout":"300s"}`
	bad := strings.Replace(doc, `"300s"`, `"30000ms"`, 1)
	first := w.put(t, "Orders", bad, hook.Created)
	if first.Code != "Orders" || first.Timeout != 30*time.Second {
		t.Fatalf("created %+v", first.WebhookSpec)
	}
	changes := w.store.versions[w.ws.ID]
	again := w.put(t, "ORDERS", bad, hook.Unchanged)
	if again.Version != 1 || !again.UpdatedAt.Equal(first.UpdatedAt) || w.store.versions[w.ws.ID] != changes {
		t.Errorf("an identical PUT made version %d, %d changes", again.Version, w.store.versions[w.ws.ID]-changes)
	}
	// GET, edit, PUT: what comes out goes in again.
	shown := `{"id":"` + first.ID.String() + `","code":"Orders","number":1,"paused":false,"secrets":[{"id":"x","hint":"y"}],"state":"active","stateReason":null,
		"stateSince":"x","warnings":[],"version":1,"createdAt":"x","updatedAt":"x","filter":null,"signature":null,
		"name":"Orders","url":"` + ordersURL + `","basicAuth":{"username":"erp"},
		"headers":[{"name":"X-Api-Key","secret":true},{"name":"X-Team","value":"erp","secret":false}],"eventTypes":["order.*"],"metadata":{"managed-by":"ci"},
		"retry":{"exponential":{"initial":"1s","factor":2,"max":"1d"},"jitter":0.1},"rateLimit":{"requests":5,"per":"1s"},"maxInFlight":3,"timeout":"30s"}`
	w.put(t, first.ID.String(), shown, hook.Unchanged)
	// What is left out becomes its default; secrets not mentioned stay.
	r := w.put(t, "orders", `{"name":"Orders","url":"https://erp.example.com/new","basicAuth":{"username":"erp2"}}`, hook.Updated,
		"url", "eventTypes", "basicAuth", "headers", "retry", "timeout", "maxInFlight", "rateLimit", "metadata")
	if r.Version != 2 || r.Code != "Orders" {
		t.Errorf("version %d, code %q", r.Version, r.Code)
	}
	s := w.stored(t, "orders")
	if len(s.Secrets) != 1 || string(s.Secrets[0].Value) != secret || string(s.BasicAuth.Password) != "hunter2hunter2" || len(s.Headers) != 0 {
		t.Errorf("stored %+v, secrets kept: %d", s.WebhookSpec, len(s.Secrets))
	}
	// Nothing secret leaves, neither when written nor when read.
	got, err := w.GetWebhook(t.Context(), w.admin, "orders")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []hook.WebhookView{first.WebhookView, again.WebhookView, got} {
		if v.Secrets[0].Value != "" || v.BasicAuth.Password != "" || len(v.Headers) > 0 && v.Headers[0].Value != "" {
			t.Errorf("a secret leaves: %#v", v)
		}
	}
}

func TestPutContradictions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.webhook(t, `{"code":"a","url":"`+ordersURL+`"}`)
	put := func(ref, doc string) error {
		_, err := w.PutWebhook(t.Context(), w.admin, ref, []byte(doc), hook.Write{})
		return err
	}
	wantFaults(t, put("a", `{"code":"b","url":"`+ordersURL+`"}`), "code code_mismatch")
	wantFaults(t, put(a.ID.String(), `{"code":"b","url":"`+ordersURL+`"}`), "code code_mismatch")
	wantFaults(t, put("new", `{"code":"b","url":"`+ordersURL+`"}`), "code code_mismatch")
	wantFaults(t, put("a", `{"id":"019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e","url":"`+ordersURL+`"}`), "id code_mismatch")
	wantFaults(t, put("a%20b", `{"url":"`+ordersURL+`"}`), "code invalid_format")
	wantKind(t, put("019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e", `{"url":"`+ordersURL+`"}`), hook.KindNotFound)
	w.webhook(t, `{"code":"c","name":"Taken","url":"`+ordersURL+`"}`)
	if e := wantKind(t, put("a", `{"name":"Taken","url":"`+ordersURL+`"}`), hook.KindNameTaken); e.Owner != w.stored(t, "c").ID.String() || e.Field != "name" {
		t.Errorf("name_taken = %+v", e)
	}
	_, err := w.CreateWebhook(t.Context(), w.admin, []byte(`{"code":"A","name":"Other","url":"`+ordersURL+`"}`))
	if e := wantKind(t, err, hook.KindCodeTaken); e.Owner != a.ID.String() || e.Field != "code" {
		t.Errorf("code_taken = %+v", e)
	}
}

func TestGuards(t *testing.T) {
	t.Parallel()
	w := setup(t)
	doc := func(url string) []byte { return []byte(`{"url":"https://erp.example.com/` + url + `"}`) }
	put := func(url string, g hook.Guard) error {
		_, err := w.PutWebhook(t.Context(), w.admin, "a", doc(url), hook.Write{Guard: g})
		return err
	}
	wantKind(t, put("1", hook.Guard{IfMatch: `"1"`}), hook.KindPrecondition)
	wantKind(t, put("1", hook.Guard{IfMatch: `*`}), hook.KindPrecondition)
	if err := put("1", hook.Guard{IfNoneMatch: "*"}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, put("2", hook.Guard{IfNoneMatch: "*"}), hook.KindPrecondition)
	wantKind(t, put("2", hook.Guard{IfMatch: `W/"1"`}), hook.KindPrecondition)
	if err := put("2", hook.Guard{IfMatch: `"9", "1"`}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, put("3", hook.Guard{IfMatch: `"1"`}), hook.KindPrecondition)
	if got := w.stored(t, "a"); got.URL != "https://erp.example.com/2" || got.Version != 2 {
		t.Errorf("stored %s in version %d", got.URL, got.Version)
	}
	wantKind(t, w.DeleteWebhook(t.Context(), w.admin, "a", hook.Guard{IfMatch: `"1"`}), hook.KindPrecondition)
	wantKind(t, w.DeleteWebhook(t.Context(), w.admin, "b", hook.Guard{IfMatch: `"1"`}), hook.KindNotFound)
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	dry := func(doc string) hook.WebhookResult {
		r, err := w.PutWebhook(t.Context(), w.admin, "a", []byte(doc), hook.Write{DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := dry(`{"url":"` + ordersURL + `","generateSecret":true}`); r.Change != hook.Created || r.Secret != "" || len(w.store.webhooks) != 0 {
		t.Errorf("dry creation: %s, secret shown %v, stored %d", r.Change, r.Secret != "", len(w.store.webhooks))
	}
	w.put(t, "a", `{"url":"`+ordersURL+`","secret":"0123456789-0123456789-0123456789"}`, hook.Created)
	w.pipe.changed = nil
	if r := dry(`{"url":"https://erp.example.com/new","secret":"another-secret-0123456789"}`); r.Change != hook.Updated || !slices.Equal(r.Changed, []string{"url", "secret"}) {
		t.Errorf("dry update: %s %v", r.Change, r.Changed)
	}
	if r := dry(`{"url":"` + ordersURL + `","secret":"0123456789-0123456789-0123456789"}`); r.Change != hook.Unchanged {
		t.Errorf("dry identical PUT: %s %v", r.Change, r.Changed)
	}
	if s := w.stored(t, "a"); s.URL != ordersURL || s.Version != 1 || len(w.pipe.changed) != 0 {
		t.Errorf("a dry run wrote %s, version %d, told %d", s.URL, s.Version, len(w.pipe.changed))
	}
}

func TestPatchMerges(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.webhook(t, `{"code":"a","url":"`+ordersURL+`","metadata":{"x":"1","y":"2"},"headers":[{"name":"X-Token","value":"v"}],"maxInFlight":4,"basicAuth":{"username":"u","password":"p"}}`)
	w.patch(t, "a", `{}`, hook.Unchanged)
	w.patch(t, "a", `{"enabled":true,"timeout":"15s"}`, hook.Unchanged)
	w.patch(t, "a", `{"metadata":{"x":null,"z":"3"},"maxInFlight":null,"basicAuth":{"username":"u2"}}`, hook.Updated, "basicAuth", "maxInFlight", "metadata")
	s := w.stored(t, "a")
	if fmt.Sprint(s.Metadata) != "map[y:2 z:3]" || s.MaxInFlight != 0 || s.BasicAuth.Username != "u2" || s.BasicAuth.Password != "p" || s.Headers[0].Value != "v" {
		t.Errorf("stored %+v", s.WebhookSpec)
	}
	w.patch(t, "a", `{"retry":{"linear":{"interval":"1m"}}}`, hook.Updated, "retry")
	w.patch(t, "a", `{"retry":{"jitter":0.5}}`, hook.Updated, "retry")
	if s := w.stored(t, "a"); s.Retry.Linear == nil || s.Retry.Linear.Interval != time.Minute || s.Retry.Jitter != 0.5 || s.Retry.Schedule != nil {
		t.Errorf("retry = %+v", s.Retry)
	}
	w.patch(t, "a", `{"retry":null,"timeout":"20s"}`, hook.Updated, "retry", "timeout")
	if s := w.stored(t, "a"); len(s.Retry.Schedule) != 9 {
		t.Errorf("reset retry = %+v", s.Retry)
	}
	w.patch(t, "a", `{"basicAuth":null,"headers":null}`, hook.Updated, "basicAuth", "headers")
	for doc, want := range map[string]string{
		`{"secret":null}`:     "secret empty_secret",
		`{"eventTypes":null}`: "eventTypes empty_event_types",
		`{"url":null}`:        "url invalid_format",
		`{"code":"b"}`:        "code code_mismatch",
		`{"basicAuth":{"password":null,"username":"x"}}`: "basicAuth.password empty_secret",
		`{"nope":1}`: "nope unknown_field",
	} {
		_, err := w.PatchWebhook(t.Context(), w.admin, "a", []byte(doc), hook.Write{})
		wantFaults(t, err, want)
	}
	_, err := w.PatchWebhook(t.Context(), w.admin, "b", []byte(`{}`), hook.Write{Guard: hook.Guard{IfMatch: `"1"`}})
	wantKind(t, err, hook.KindNotFound)
}

func TestForeignWebhooksDoNotExist(t *testing.T) {
	t.Parallel()
	w := setup(t)
	mine := w.webhook(t, `{"code":"a","url":"`+ordersURL+`"}`)
	other, err := w.CreateWorkspace(t.Context(), w.admin, []byte(`{"code":"acme"}`))
	if err != nil {
		t.Fatal(err)
	}
	p := hook.Principal{Role: hook.RoleAdmin, Workspace: other.ID, WorkspaceCode: "acme"}
	for _, ref := range []string{"a", mine.ID.String()} {
		if _, err := w.GetWebhook(t.Context(), p, ref); hook.KindOf(err) != hook.KindNotFound {
			t.Errorf("get %s: %v", ref, err)
		}
		if err := w.DeleteWebhook(t.Context(), p, ref, hook.Guard{IfMatch: `"1"`}); hook.KindOf(err) != hook.KindNotFound {
			t.Errorf("delete %s: %v", ref, err)
		}
	}
	if _, err := w.PutWebhook(t.Context(), p, mine.ID.String(), []byte(`{"url":"`+ordersURL+`"}`), hook.Write{}); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("put: %v", err)
	}
}

func TestDeleteWebhook(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.webhook(t, `{"code":"a","url":"`+ordersURL+`","generateSecret":true}`)
	if err := w.DeleteWebhook(t.Context(), w.admin, "a", hook.Guard{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.pipe.deleted, []hook.ID{r.ID}) {
		t.Errorf("told of %v", w.pipe.deleted)
	}
	wantKind(t, w.DeleteWebhook(t.Context(), w.admin, "a", hook.Guard{}), hook.KindNotFound)
	if dead := w.store.webhooks[0]; dead.DeletedAt == nil || len(dead.Secrets) != 0 {
		t.Errorf("tombstone %+v", dead)
	}
	if again := w.webhook(t, `{"code":"a","url":"`+ordersURL+`"}`); again.ID == r.ID {
		t.Error("the code is not free")
	}
}

func TestDocumentsSurviveEncoding(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.webhook(t, `{"code":"a","url":"https://x.example/?a=1&b=<2>","signature":{"algorithm":"hmac-sha256","header":"X-Sig","content":"{id}\n{body}"}}`)
	if s := w.stored(t, "a"); s.URL != "https://x.example/?a=1&b=<2>" || s.Signature.Content != "{id}\n{body}" || s.Signature.Encoding != "hex" {
		t.Errorf("stored %q %+v", s.URL, s.Signature)
	}
	w.patch(t, "a", `{"maxAttempts":1e1}`, hook.Unchanged)
	var doc any
	if err := json.Unmarshal([]byte(`{"maxAttempts":3}`), &doc); err != nil {
		t.Fatal(err)
	}
	w.patch(t, "a", `{"maxAttempts":3}`, hook.Updated, "maxAttempts")
}
