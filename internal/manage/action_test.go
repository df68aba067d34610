package manage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

const bookStock = `{"code":"book-stock","type":"httpRequest","config":{"url":"https://erp.example.com/stock"}}`

// action creates one, which must succeed.
func (w *world) action(t *testing.T, doc string) hook.ActionResult {
	t.Helper()
	r, err := w.CreateAction(t.Context(), w.admin, []byte(doc))
	if err != nil {
		t.Fatalf("creating %s: %v", doc, err)
	}
	return r
}

func (w *world) putAction(t *testing.T, ref, doc string, change hook.Change, changed ...string) hook.ActionResult {
	t.Helper()
	r, err := w.PutAction(t.Context(), w.admin, ref, []byte(doc), hook.Write{})
	wantChange(t, "putting "+doc, err, r.Change, r.Changed, change, changed)
	return r
}

func (w *world) patchAction(t *testing.T, ref, doc string, change hook.Change, changed ...string) hook.ActionResult {
	t.Helper()
	r, err := w.PatchAction(t.Context(), w.admin, ref, []byte(doc), hook.Write{})
	wantChange(t, "patching "+doc, err, r.Change, r.Changed, change, changed)
	return r
}

func TestCreateActionWithDefaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.action(t, `{"name":"Book stock","type":"httpRequest","config":{ "url": "https://x.example/?a=<b>" }}`)
	want := hook.ActionSpec{
		Code: "book-stock", Name: "Book stock", Type: hook.ActionHTTPRequest, Config: []byte(`{"url":"https://x.example/?a=<b>"}`),
		Enabled: true, MaxAttempts: 10, Timeout: 15 * time.Second, Metadata: map[string]string{},
		Retry: hook.Retry{Jitter: 0.1, Schedule: []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		}},
	}
	if got := fmt.Sprintf("%+v", r.ActionSpec); got != fmt.Sprintf("%+v", want) {
		t.Errorf("specification = %s\nwant %+v", got, want)
	}
	if r.Change != hook.Created || r.Version != 1 || r.State() != hook.TargetActive || r.Warnings == nil || !slices.Contains(w.pipe.changed, w.ws.ID) {
		t.Errorf("result = %+v, told %v", r, w.pipe.changed)
	}
	if r := w.action(t, `{"name":"Book stock","type":"runCommand","timeout":"30m"}`); r.Code != "book-stock-2" || r.Timeout != 30*time.Minute {
		t.Errorf("second: %+v", r.ActionSpec)
	}
}

func TestActionFaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.action(t, bookStock)
	w.action(t, `{"code":"all","type":"set","config":{"actions":["book-stock"]}}`)
	_, err := w.CreateAction(t.Context(), w.admin, []byte(`{"code":"a b","type":"httpReq","condition":"{{ x }}","enabled":1,"maxAttempts":0,
		"retry":{"schedule":["x"]},"timeout":"0s","secrets":[{"name":"a b","value":"x"},{"value":null},{"name":"c"},{"name":"d","value":""},7],
		"metadata":{"a":1},"config":[],"tmeout":"1s"}`))
	wantFaults(t, err, "code invalid_format", "type invalid_format", "condition template_syntax", "enabled invalid_format",
		"maxAttempts out_of_range", "retry.schedule[0] invalid_duration", "timeout out_of_range", "secrets[0].name invalid_format",
		"secrets[1].name required", "secrets[1].value empty_secret", "secrets[2].value required", "secrets[3].value empty_secret",
		"secrets[4] invalid_format", "metadata.a invalid_format", "config invalid_format", "tmeout unknown_field")
	for doc, want := range map[string][]string{
		`{"code":"x"}`: {"type required"},
		`{"type":"httpRequest","config":{"url":"x"}}`:                                                                                                      {"name required"},
		`{"code":"x","type":"httpRequest"}`:                                                                                                                {"config.url required"},
		`{"code":"x","type":"httpRequest","config":null}`:                                                                                                  {"config.url required"},
		`{"code":"x","type":"httpRequest","config":{"url":"x"},"timeout":"61s"}`:                                                                           {"timeout out_of_range"},
		`{"code":"x","type":"runCommand","timeout":"31m"}`:                                                                                                 {"timeout out_of_range"},
		`{"code":"x","type":"set","config":{}}`:                                                                                                            {"config.actions required"},
		`{"code":"x","type":"set","config":{"actions":["book-stok","x","all"]}}`:                                                                           {"config.actions[0] unknown_action", "config.actions[1] unknown_action", "config.actions[2] invalid_format"},
		`{"code":"x","type":"httpRequest","config":{"url":"x"},"secrets":[{"name":"a","value":"1"},{"name":"a","value":"2"}]}`:                             {"secrets[1].name invalid_format"},
		`{"code":"x","type":"httpRequest","config":{"url":"x"},"secrets":null}`:                                                                            {"secrets invalid_format"},
		`{"code":"x","type":"httpRequest","config":{"url":"x","body":"` + strings.Repeat("x", 256<<10) + `"},"description":"` + "\\u0000" + `"}`:           {"config too_long", "description invalid_format"},
		`{"code":"x","type":"httpRequest","config":{"url":"x"},"secrets":[{"name":"pem","value":"-----BEGIN\nkey\n-----END"}],"condition":"item.a","y":1}`: {"y unknown_field"},
	} {
		_, err := w.CreateAction(t.Context(), w.admin, []byte(doc))
		wantFaults(t, err, want...)
	}
	if e := wantKind(t, func() error {
		_, err := w.CreateAction(t.Context(), w.admin, []byte(`{"code":"x","type":"set","config":{"actions":["book-stok"]}}`))
		return err
	}(), hook.KindInvalid); !strings.Contains(e.Detail, "did you mean book-stock?") {
		t.Errorf("detail = %q", e.Detail)
	}
	_, err = w.PutAction(t.Context(), w.admin, "all", []byte(`{"type":"set","config":{"actions":["ALL"]}}`), hook.Write{})
	wantFaults(t, err, "config.actions[0] invalid_format")
	_, err = w.PutAction(t.Context(), w.admin, "all", []byte(`{"type":"httpRequest","config":{"actions":[]}}`), hook.Write{})
	wantFaults(t, err, "type invalid_format")
	_, err = w.PatchAction(t.Context(), w.admin, "all", []byte(`{"type":null}`), hook.Write{})
	wantFaults(t, err, "type invalid_format")
}

func TestPutActionTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	doc := `{"type":"httpRequest","config":{"url":"https://x.example","body":"{{ item }}"},"condition":"item.a","secrets":[{"name":"b","value":"22222222222222"},{"name":"a","value":"11111111111111"}],"maxAttempts":3}`
	w.putAction(t, "x", doc, hook.Created)
	r := w.putAction(t, "x", doc, hook.Unchanged)
	if r.Version != 1 || len(r.Secrets) != 2 || r.Secrets[0].Name != "a" || r.Secrets[0].Value != "" || r.Secrets[0].Hint != "…1111" {
		t.Errorf("%#v", r.Action)
	}
	// White space and the order of keys say nothing, secrets left out are kept.
	w.putAction(t, "x", `{"config":{"body":"{{ item }}",  "url":"https:\/\/x.example"},"condition":"item.a","maxAttempts":3}`, hook.Unchanged)
	w.putAction(t, "x", `{"config":{"url":"https://x.example"},"maxAttempts":3,"secrets":[{"name":"a"},{"name":"b","value":"another-one-now"}]}`,
		hook.Updated, "config", "condition", "secrets[1].value")
	if a := w.store.findAction(w.ws.ID, "x"); a.Secrets[0].Value != "11111111111111" || a.Secrets[1].Value != "another-one-now" {
		t.Errorf("secrets %#v", a.Secrets)
	}
	w.putAction(t, "x", `{"config":{"url":"https://x.example"},"maxAttempts":3,"secrets":[{"name":"b"}]}`, hook.Updated, "secrets")
	w.patchAction(t, "x", `{"config":{"method":"PUT"}}`, hook.Updated, "config")
	w.patchAction(t, "x", `{"config":{"method":"PUT"},"secrets":[{"name":"b","hint":"…"}]}`, hook.Unchanged)
	if a := w.patchAction(t, "x", `{"enabled":false,"condition":"item.b","retry":{"linear":{"interval":"1m"}}}`, hook.Updated, "condition", "enabled", "retry"); a.State() != hook.TargetDisabled ||
		string(a.Config) != `{"method":"PUT","url":"https://x.example"}` || a.MaxAttempts != 3 || len(a.Secrets) != 1 {
		t.Errorf("patched %+v", a.ActionSpec)
	}
	w.patchAction(t, "x", `{"condition":null}`, hook.Updated, "condition")
	if _, err := w.PutAction(t.Context(), w.admin, w.ws.ID.String(), []byte(bookStock), hook.Write{}); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("put by an unknown id: %v", err)
	}
	if _, err := w.PatchAction(t.Context(), w.admin, "nope", []byte(`{}`), hook.Write{}); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("patch of nothing: %v", err)
	}
	if _, err := w.PatchAction(t.Context(), w.admin, "x", []byte(`{}`), hook.Write{Guard: hook.Guard{IfMatch: `"1"`}}); hook.KindOf(err) != hook.KindPrecondition {
		t.Errorf("patch of another version: %v", err)
	}
	if _, err := w.CreateAction(t.Context(), w.admin, []byte(`{"code":"X","type":"runCommand"}`)); hook.KindOf(err) != hook.KindCodeTaken {
		t.Errorf("the same code again: %v", err)
	}
}

func TestDeleteAction(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.action(t, bookStock)
	w.door(t, `{"code":"erp","routes":[{"action":"BOOK-STOCK"}]}`)
	e := wantKind(t, w.DeleteAction(t.Context(), w.admin, "book-stock", hook.Guard{}), hook.KindInUse)
	if !slices.Equal(e.UsedBy, []string{"incoming webhook erp, route primary"}) || !strings.Contains(e.Detail, "incoming webhook erp") {
		t.Errorf("error %+v", e)
	}
	wantKind(t, w.DeleteAction(t.Context(), w.admin, "book-stock", hook.Guard{IfMatch: `"7"`}), hook.KindPrecondition)
	if err := w.DeleteIncomingWebhook(t.Context(), w.admin, "erp", hook.Guard{}); err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteAction(t.Context(), w.admin, "book-stock", hook.Guard{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(w.pipe.deleted, a.ID) {
		t.Error("the worker was not told")
	}
	wantKind(t, w.DeleteAction(t.Context(), w.admin, "book-stock", hook.Guard{}), hook.KindNotFound)
	if _, err := w.GetAction(t.Context(), w.admin, "book-stock"); hook.KindOf(err) != hook.KindNotFound {
		t.Errorf("get: %v", err)
	}
	if list, _, err := w.ListActions(t.Context(), w.admin, hook.ListFilter{}, hook.Page{Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("list %v, %v", list, err)
	}
}
