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

// door creates one, which must succeed.
func (w *world) door(t *testing.T, doc string) hook.IncomingResult {
	t.Helper()
	r, err := w.CreateIncomingWebhook(t.Context(), w.admin, []byte(doc))
	if err != nil {
		t.Fatalf("creating %s: %v", doc, err)
	}
	return r
}

func (w *world) putDoor(t *testing.T, ref, doc string, change hook.Change, changed ...string) hook.IncomingResult {
	t.Helper()
	r, err := w.PutIncomingWebhook(t.Context(), w.admin, ref, []byte(doc), hook.Write{})
	wantChange(t, "putting "+doc, err, r.Change, r.Changed, change, changed)
	return r
}

func (w *world) patchDoor(t *testing.T, ref, doc string, change hook.Change, changed ...string) hook.IncomingResult {
	t.Helper()
	r, err := w.PatchIncomingWebhook(t.Context(), w.admin, ref, []byte(doc), hook.Write{})
	wantChange(t, "patching "+doc, err, r.Change, r.Changed, change, changed)
	return r
}

func TestCreateIncomingWebhookWithDefaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.door(t, `{"name":"ERP Stock"}`)
	want := hook.IncomingSpec{
		Code: "erp-stock", Name: "ERP Stock", Enabled: true, Methods: []string{"POST"}, Profile: "default", HashTimezone: "UTC",
		HashTolerance: 30 * time.Second, HashIn: hook.HashPlace{In: "query", Name: "hash"},
		Parser:       hook.Parser{Type: "auto", Header: true, Split: true, MaxItems: 10_000, OnItemError: "refuse"},
		MaxBodyBytes: 1 << 20, BodyTimeout: time.Minute, Logging: "all",
		Response: hook.DoorResponse{Mode: "accepted", Status: 202, Timeout: 5 * time.Second}, Refusal: "precise", Metadata: map[string]string{},
	}
	if got := fmt.Sprintf("%+v", r.IncomingSpec); got != fmt.Sprintf("%+v", want) {
		t.Errorf("specification = %s\nwant %+v", got, want)
	}
	if r.Change != hook.Created || r.Version != 1 || r.State() != hook.TargetActive || r.HashConfigured ||
		!slices.Equal(r.Warnings, []string{"no_check", "no_route"}) || !slices.Contains(w.pipe.changed, w.ws.ID) {
		t.Errorf("result = %+v", r)
	}
	// The same name twice works, with another code (Alumio).
	if r := w.door(t, `{"name":"ERP Stock","profile":"alumio"}`); r.Code != "erp-stock-2" || r.Name != "ERP Stock" || r.HashTolerance != 30*time.Second {
		t.Errorf("second: %+v", r.IncomingSpec)
	}
	r = w.door(t, `{"code":"atro","profile":"atrocore"}`)
	if r.HashTolerance != 0 || r.Response.Mode != "wait" || r.Response.Status != 200 || r.Refusal != "uniform" || !slices.Equal(r.Methods, []string{"POST"}) {
		t.Errorf("atrocore: %+v", r.IncomingSpec)
	}
	r = w.door(t, `{"code":"atro2","profile":"atrocore","hashTolerance":"30s","refusal":"precise","methods":["GET"],"response":{"mode":"accepted"}}`)
	if r.HashTolerance != 30*time.Second || r.Response.Mode != "accepted" || r.Refusal != "precise" || !slices.Equal(r.Methods, []string{"GET"}) {
		t.Errorf("atrocore, told otherwise: %+v", r.IncomingSpec)
	}
}

// A secret that a template names must be there: what is left of a hash without it everybody
// could compute, and a credential that is nothing would be sent as nothing.
func TestTemplatesNameSecretsThatThereAre(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.action(t, bookStock)
	_, err := w.CreateIncomingWebhook(t.Context(), w.admin, []byte(`{"code":"d","secrets":[{"name":"erp","value":"value-of-erp"}],
		"preProcessors":[{"type":"condition","condition":"request.headers.x == secrets.typo"},{"type":"condition","condition":"request.headers.x == secrets.erp"},{"type":"ip","allow":[]}],
		"routes":[{"action":"book-stock","condition":"secrets.a == 1","transform":"{{ secrets.b }}{{ secrets.erp }}"}],
		"postProcessors":[{"type":"publishEvent","config":{"type":"a","entity":"{{ secrets.c }}"}}],
		"dedupe":{"key":"{{ secrets.d }}"},"response":{"body":"{{ secrets.e }}"}}`))
	wantFaults(t, err, "preProcessors[0].condition invalid_format", "preProcessors[2].allow required", "routes[0].condition invalid_format",
		"routes[0].transform invalid_format", "postProcessors[0].config invalid_format", "dedupe.key invalid_format", "response.body invalid_format")
	_, err = w.CreateAction(t.Context(), w.admin, []byte(`{"code":"x","type":"httpRequest","condition":"secrets.a","config":{"url":"https://x.example","bearer":"{{ secrets.b }}"},
		"secrets":[{"name":"c","value":"value-of-c"}]}`))
	wantFaults(t, err, "condition invalid_format", "config invalid_format")
	// Nor may one go that is still named.
	w.door(t, `{"code":"e","secrets":[{"name":"erp","value":"value-of-erp"}],"dedupe":{"key":"{{ secrets.erp }}"}}`)
	_, err = w.PatchIncomingWebhook(t.Context(), w.admin, "e", []byte(`{"secrets":[]}`), hook.Write{})
	wantFaults(t, err, "dedupe.key invalid_format")
}

func TestIncomingFaultsAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.action(t, bookStock)
	_, err := w.CreateIncomingWebhook(t.Context(), w.admin, []byte(`{
		"code":"bad code!","name":"","enabled":"yes","methods":["POST","HEAD"],"profile":"zapier","ipAllowList":["10.0.0.0/33","203.0.113.7:80","::1","10.0.0.0/8","fe80::1%eth0"],
		"hash":"{{ broken","hashTimezone":"Mars/Base","hashTolerance":"6m","hashIn":{"in":"body","name":"h"},
		"secrets":[{"name":"gh","value":""},{"name":"b","value":"unfit"}],
		"preProcessors":[{"type":"header","header":"X Y","equals":"a","matches":"b"},{"type":"query","equals":"a"},{"type":"body","path":"["},
			{"type":"basicAuth","username":"a:b","secrets":["nope"]},{"type":"bearer"},{"type":"apiKey","secrets":[]},{"type":"ip","allow":["x"]},
			{"type":"schema","schema":{"type":7}},{"type":"condition","condition":"{{ x }}"},{"type":"signature","preset":"githib","secrets":["b"]},
			{"type":"signature","secrets":["gh"]},{"type":"signature","verification":{"algorithm":"md5"},"secrets":["gh"],"tolerance":"8d"},
			{"type":"magic"},{"name":"x"},7,{"type":"header","header":"X-A","matches":"(","parameter":"p"}],
		"parser":{"type":"yaml","items":"["},
		"routes":[{"action":"book-stock"},{"action":"book-stok","condition":"{{","transform":"{{ broken","parser":{"items":"["}},{"name":"primary"}],
		"postProcessors":[{"type":"publishEvent"},{"type":"action","action":"nope"},{"type":"webhook"},{"type":"action","action":"book-stock","config":{"a":1}}],
		"dedupe":{"window":"31d","onDuplicate":"ignore"},"rateLimit":{},"maxBodyBytes":26214401,"bodyTimeout":"31m","logging":"none",
		"response":{"mode":"sync","status":404,"headers":[{"name":"Content-Length","value":"1"}],"body":"{{ broken","timeout":"26s"},
		"refusal":"none","metadata":[],"hashTolerence":"1s"}`))
	wantFaults(t, err,
		"code invalid_format", "name required", "enabled invalid_format", "methods[1] invalid_format", "profile invalid_format",
		"ipAllowList[0] invalid_cidr", "ipAllowList[1] invalid_cidr", "ipAllowList[4] invalid_cidr",
		"hashTimezone invalid_format", "hashTolerance out_of_range", "hashIn.in invalid_format", "secrets[0].value empty_secret",
		"preProcessors[0].header invalid_format", "preProcessors[0].matches invalid_format", "preProcessors[1].parameter required",
		"preProcessors[2].path invalid_format", "preProcessors[2].equals required", "preProcessors[3].username invalid_format",
		"preProcessors[3].secrets[0] invalid_format", "preProcessors[4].secrets required", "preProcessors[5].header required",
		"preProcessors[5].secrets empty_secret", "preProcessors[6].allow[0] invalid_cidr",
		"preProcessors[7].schema invalid_format", "preProcessors[8].condition template_syntax", "preProcessors[9].preset invalid_format",
		"preProcessors[9].secrets[0] invalid_format", "preProcessors[10].preset required", "preProcessors[11].verification.algorithm invalid_format",
		"preProcessors[11].tolerance out_of_range", "preProcessors[12].type invalid_format", "preProcessors[13].type required",
		"preProcessors[14] invalid_format", "preProcessors[15].matches invalid_format", "preProcessors[15].parameter unknown_field",
		"parser.type invalid_format", "parser.items invalid_format",
		"routes[1].action unknown_action", "routes[1].condition template_syntax", "routes[1].transform template_syntax",
		"routes[1].parser.items invalid_format", "routes[2].action required",
		"postProcessors[0].config.type required", "postProcessors[1].action unknown_action", "postProcessors[2].type invalid_format",
		"postProcessors[3].config unknown_field", "dedupe.key required", "dedupe.window out_of_range", "dedupe.onDuplicate invalid_format",
		"rateLimit.requests required", "maxBodyBytes out_of_range", "bodyTimeout out_of_range", "logging invalid_format",
		"response.mode invalid_format", "response.status out_of_range", "response.headers[0].name reserved_header",
		"response.body template_syntax", "response.timeout out_of_range", "refusal invalid_format", "metadata invalid_format",
		"hashTolerence unknown_field")
	if e := wantKind(t, err, hook.KindInvalid); len(w.store.doors) != 0 {
		t.Errorf("it was stored with %v", e)
	}
}

func TestIncomingFaultsOneByOne(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{}`:                                                             "name required",
		`{"code":"a","hash":null}`:                                       "hash empty_secret",
		`{"code":"a","hash":""}`:                                         "hash empty_secret",
		`{"code":"a","hash":" \n"}`:                                      "hash empty_secret",
		`{"code":"a","hash":7}`:                                          "hash invalid_format",
		`{"code":"a","hash":"0"}`:                                        "hash template_renders_empty",
		`{"code":"a","hash":" NULL\n"}`:                                  "hash template_renders_empty",
		`{"code":"a","hash":"{{0}}"}`:                                    "hash template_renders_empty",
		`{"code":"a","hash":"{{ null }}"}`:                               "hash template_renders_empty",
		`{"code":"a","hash":"{# {{ 'x'|md5 }} #}"}`:                      "hash template_renders_empty",
		`{"code":"a","hash":"{{ secrets.erp|sha256 }}"}`:                 "hash invalid_format", // the hash of nothing is no secret
		`{"code":"a","hash":"{{ (secrets['e-rp'] ~ 'x')|md5 }}"}`:        "hash invalid_format",
		`{"code":"a","hash":"{{ fails }}"}`:                              "hash template_runtime",
		`{"code":"a","hash":"{{ broken"}`:                                "hash template_syntax",
		`{"code":"a","methods":[]}`:                                      "methods required",
		`{"code":"a","methods":["post"]}`:                                "methods[0] invalid_format",
		`{"code":"a","ipAllowList":null}`:                                "ipAllowList invalid_format",
		`{"code":"a","profile":"atrocore","ipAllowList":["10.0.0.0/8"]}`: "ipAllowList[0] invalid_cidr",
		`{"code":"a","profile":"atrocore","ipAllowList":["::1","203.0.113.7:80"]}`:                                           "ipAllowList[1] invalid_cidr",
		`{"code":"a","preProcessors":[{"type":"ip","allow":[]}]}`:                                                            "preProcessors[0].allow required",
		`{"code":"a","preProcessors":[{"type":"ip"}]}`:                                                                       "preProcessors[0].allow required",
		`{"code":"a","preProcessors":[{"type":"condition"}]}`:                                                                "preProcessors[0].condition required",
		`{"code":"a","preProcessors":[{"type":"schema"}]}`:                                                                   "preProcessors[0].schema required",
		`{"code":"a","preProcessors":[{"type":"header","header":"X"}]}`:                                                      "preProcessors[0].equals required",
		`{"code":"a","preProcessors":[{"type":"bearer","secrets":null}]}`:                                                    "preProcessors[0].secrets invalid_format",
		`{"code":"a","preProcessors":[{"type":"query","matches":"a","name":"n"},{"type":"query","matches":"a","name":"n"}]}`: "preProcessors[1].name invalid_format",
		`{"code":"a","routes":[{}]}`:                                                                                         "routes[0].action required",
		`{"code":"a","routes":[{"action":null}]}`:                                                                            "routes[0].action invalid_format",
		`{"code":"a","dedupe":{}}`:                                                                                           "dedupe.key required",
		`{"code":"a","parser":{"deliminator":";"}}`:                                                                          "parser.deliminator unknown_field",
		`{"code":"a","response":{"headers":[{"name":"X-A","value":"a\r\nb"}]}}`:                                              "response.headers[0].value invalid_format",
		`{"code":"a","description":"` + strings.Repeat("x", 3000) + `"}`:                                                     "description too_long",
	} {
		w := setup(t)
		_, err := w.CreateIncomingWebhook(t.Context(), w.admin, []byte(doc))
		if got := faults(t, err); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q; want %q", doc, got, want)
		}
	}
	w := setup(t)
	w.action(t, bookStock)
	_, err := w.CreateIncomingWebhook(t.Context(), w.admin, []byte(`{"code":"a","secrets":[{"name":"gh-next","value":"x"}],
		"preProcessors":[{"type":"bearer","secrets":["gh-nxt"]}],"routes":[{"action":"book-stok"}]}`))
	e := wantKind(t, err, hook.KindInvalid)
	for i, hint := range []string{"did you mean gh-next?", "did you mean book-stock?"} {
		if len(e.Faults) != 2 || !strings.Contains(e.Faults[i].Detail, hint) {
			t.Errorf("faults %+v; want a hint: %s", e.Faults, hint)
		}
	}
	_, err = w.CreateIncomingWebhook(t.Context(), w.admin, []byte(`{"code":"a","secrets":[{"name":"erp-1","value":"x"}],"hash":"{{ secrets.erp-1 }}"}`))
	if e := wantKind(t, err, hook.KindInvalid); !strings.Contains(e.Detail, "did you mean erp-1?") {
		t.Errorf("a name that needs brackets: %q", e.Detail)
	}
	if r := w.door(t, `{"code":"e","hash":"{{ (secrets.next ?? secrets['now'])|md5 }}","secrets":[{"name":"now","value":"x"}]}`); !r.HashConfigured {
		t.Errorf("a template that does without one: %+v", r)
	}
	// A10, and what a template renders is judged, not what it says.
	if r := w.door(t, `{"code":"b","hash":" s3cr3t\n"}`); !r.HashConfigured || len(r.Warnings) != 1 || r.Warnings[0] != "no_route" {
		t.Errorf("a hash with blanks around: %+v", r)
	}
	if r := w.door(t, `{"code":"c","hash":"{{ (secrets.erp ~ 'now'|date('H-i'))|md5 }}","secrets":[{"name":"erp","value":"x"}],"routes":[{"action":"book-stock"}]}`); !slices.Equal(r.Warnings, []string{"hash_md5"}) {
		t.Errorf("warnings %q", r.Warnings)
	}
}

func TestNamesThatAreLeftOut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.action(t, bookStock)
	r := w.door(t, `{"code":"a","secrets":[{"name":"s","value":"x"}],
		"preProcessors":[{"type":"bearer","secrets":["s"]},{"type":"bearer","secrets":["s"]},{"type":"query","matches":"a","name":"bearer-2"}],
		"routes":[{"action":"BOOK-STOCK"},{"action":"book-stock"},{"action":"book-stock","name":"route-2"},{"action":"book-stock"}]}`)
	var names []string
	for _, p := range r.PreProcessors {
		names = append(names, p.Name)
	}
	for _, x := range r.Routes {
		names = append(names, x.Name)
		if x.Action != "book-stock" {
			t.Errorf("route leads to %q", x.Action)
		}
	}
	if want := []string{"bearer", "bearer-3", "bearer-2", "primary", "route-3", "route-2", "route-4"}; !slices.Equal(names, want) {
		t.Errorf("names %q; want %q", names, want)
	}
}

func TestSecretsOfDoors(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const bearer = `"preProcessors":[{"type":"bearer","secrets":["a"]}]`
	w.putDoor(t, "d", `{`+bearer+`,"secrets":[{"name":"a","value":"first-value-of-a"},{"name":"b","value":"first-value-of-b"}]}`, hook.Created)
	// Left out, alone or with the list, values stay.
	w.putDoor(t, "d", `{`+bearer+`}`, hook.Unchanged)
	w.putDoor(t, "d", `{`+bearer+`,"secrets":[{"name":"b"},{"name":"a","hint":"…of-a"}]}`, hook.Unchanged)
	r := w.putDoor(t, "d", `{`+bearer+`,"secrets":[{"name":"a","value":"second-value-of-a"},{"name":"b"}]}`, hook.Updated, "secrets[0].value")
	if r.Secrets[0].Value != "" || r.Secrets[0].Hint != "…of-a" {
		t.Errorf("shown %#v", r.Secrets)
	}
	d := w.store.findDoor(w.ws.ID, "d")
	if d.Secrets[0].Value != "second-value-of-a" || d.Secrets[1].Value != "first-value-of-b" {
		t.Errorf("stored %#v", d.Secrets)
	}
	// One that is referred to cannot go.
	_, err := w.PutIncomingWebhook(t.Context(), w.admin, "d", []byte(`{`+bearer+`,"secrets":[{"name":"b"}]}`), hook.Write{})
	wantFaults(t, err, "preProcessors[0].secrets[0] invalid_format")
	_, err = w.PatchIncomingWebhook(t.Context(), w.admin, "d", []byte(`{"secrets":null}`), hook.Write{})
	wantFaults(t, err, "secrets invalid_format")
	w.patchDoor(t, "d", `{"secrets":[{"name":"a"}]}`, hook.Updated, "secrets")
	w.putDoor(t, "d", `{"secrets":[]}`, hook.Updated, "secrets", "preProcessors")
}

func TestHashStaysUntilItIsDropped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const doc = `"secrets":[{"name":"erp","value":"the-shared-string"}]`
	w.putDoor(t, "d", `{"hash":"{{ secrets.erp|md5 }}",`+doc+`}`, hook.Created)
	w.putDoor(t, "d", `{`+doc+`}`, hook.Unchanged)
	w.putDoor(t, "d", `{"hash":"{{ secrets.erp|md5 }}"}`, hook.Unchanged)
	for _, bad := range []string{`{"hash":null}`, `{"hash":""}`} {
		_, err := w.PutIncomingWebhook(t.Context(), w.admin, "d", []byte(bad), hook.Write{})
		wantFaults(t, err, "hash empty_secret")
		_, err = w.PatchIncomingWebhook(t.Context(), w.admin, "d", []byte(bad), hook.Write{})
		wantFaults(t, err, "hash empty_secret")
	}
	// The secret that the hash is made of is looked at with it.
	_, err := w.PutIncomingWebhook(t.Context(), w.admin, "d", []byte(`{"hash":"{{secrets.erp}}","secrets":[{"name":"erp","value":"0"}]}`), hook.Write{})
	wantFaults(t, err, "hash template_renders_empty")
	w.patchDoor(t, "d", `{"hash":"static"}`, hook.Updated, "hash")
	// Admins see it, others that there is one.
	v, err := w.GetIncomingWebhook(t.Context(), w.own(), "D")
	if err != nil || v.Hash != "static" || !v.HashConfigured {
		t.Errorf("an admin sees %+v, %v", v, err)
	}
	viewer := w.own()
	viewer.Role = hook.RoleViewer
	list, _, err := w.ListIncomingWebhooks(t.Context(), viewer, hook.ListFilter{}, hook.Page{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Hash != "" || !list[0].HashConfigured || list[0].Secrets[0].Value != "" {
		t.Errorf("a viewer sees %+v, %v", list, err)
	}
	if err := w.DeleteIncomingHash(t.Context(), w.admin, "d"); err != nil {
		t.Fatal(err)
	}
	if v, err := w.GetIncomingWebhook(t.Context(), w.admin, "d"); err != nil || v.HashConfigured || v.Version != 3 || !slices.Contains(v.Warnings, "no_check") {
		t.Errorf("without: %+v, %v", v, err)
	}
	wantKind(t, w.DeleteIncomingHash(t.Context(), w.admin, "d"), hook.KindNotFound)
	wantKind(t, w.DeleteIncomingHash(t.Context(), w.admin, "nope"), hook.KindNotFound)
}

func TestDedupeOfPresets(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const github = `"secrets":[{"name":"gh","value":"x"}],"preProcessors":[{"type":"signature","preset":"github","secrets":["gh"]}]`
	r := w.putDoor(t, "d", `{`+github+`}`, hook.Created)
	if d := r.Dedupe; d == nil || d.Key != `{{ request.headers["X-GitHub-Delivery"] }}` || d.Window != 24*time.Hour || d.OnDuplicate != "accept" {
		t.Fatalf("dedupe %+v", d)
	}
	w.putDoor(t, "d", `{`+github+`}`, hook.Unchanged)
	w.patchDoor(t, "d", `{"dedupe":{"onDuplicate":"refuse"}}`, hook.Updated, "dedupe")
	if r := w.patchDoor(t, "d", `{"dedupe":null}`, hook.Updated, "dedupe"); r.Dedupe != nil {
		t.Errorf("dedupe %+v", r.Dedupe)
	}
	w.patchDoor(t, "d", `{"enabled":false}`, hook.Updated, "enabled")
	w.putDoor(t, "d", `{`+github+`,"enabled":false,"dedupe":null}`, hook.Unchanged)
	w.putDoor(t, "d", `{`+github+`,"enabled":false}`, hook.Updated, "dedupe") // left out: the preset's again
	w.putDoor(t, "d", `{"dedupe":{"key":"{{ request.rawBody|sha256 }}"}}`, hook.Updated, "enabled", "preProcessors", "dedupe")
}

func TestDeleteIncomingWebhook(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.door(t, `{"code":"d","hash":"static"}`)
	wantKind(t, w.DeleteIncomingWebhook(t.Context(), w.admin, "d", hook.Guard{IfMatch: `"2"`}), hook.KindPrecondition)
	if err := w.DeleteIncomingWebhook(t.Context(), w.admin, "D", hook.Guard{IfMatch: `"1"`}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.DeleteIncomingWebhook(t.Context(), w.admin, "d", hook.Guard{}), hook.KindNotFound)
	if !slices.Contains(w.pipe.deleted, r.ID) || w.store.doors[0].Hash != "" {
		t.Errorf("told %v; left %+v", w.pipe.deleted, w.store.doors[0])
	}
	if r2 := w.door(t, `{"code":"d"}`); r2.ID == r.ID {
		t.Error("the code is not free")
	}
}

// shown is a door as the API shows it, in the shape of the contract.
func shown(v hook.IncomingView) map[string]any {
	null := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	raw := func(b []byte) any {
		if b == nil {
			return nil
		}
		return json.RawMessage(b)
	}
	parser := func(p *hook.Parser) any {
		if p == nil {
			return nil
		}
		return map[string]any{"type": p.Type, "delimiter": p.Delimiter, "enclosure": p.Enclosure, "escape": p.Escape, "header": p.Header,
			"columns": append([]string{}, p.Columns...), "encoding": p.Encoding, "items": p.Items, "split": p.Split, "maxItems": p.MaxItems, "onItemError": p.OnItemError}
	}
	doc := map[string]any{
		"id": v.ID.String(), "code": v.Code, "name": v.Name, "description": v.Description, "enabled": v.Enabled, "url": "https://x.example/in/" + v.Code,
		"methods": v.Methods, "profile": v.Profile, "ipAllowList": append([]string{}, v.IPAllowList...), "hashTimezone": v.HashTimezone,
		"hashTolerance": hook.FormatDuration(v.HashTolerance), "hashIn": map[string]any{"in": v.HashIn.In, "name": v.HashIn.Name},
		"parser": parser(&v.Parser), "maxBodyBytes": v.MaxBodyBytes, "bodyTimeout": hook.FormatDuration(v.BodyTimeout), "logging": v.Logging,
		"refusal": v.Refusal, "metadata": v.Metadata, "hashConfigured": v.HashConfigured, "example": "curl", "state": v.State(),
		"warnings": v.Warnings, "version": v.Version, "createdAt": v.CreatedAt, "updatedAt": v.UpdatedAt, "dedupe": nil, "rateLimit": nil,
	}
	if v.Hash != "" {
		doc["hash"] = string(v.Hash)
	}
	var secrets, pre, routes, post, headers []any
	for _, s := range v.Secrets {
		secrets = append(secrets, map[string]any{"name": s.Name, "hint": s.Hint})
	}
	for _, p := range v.PreProcessors {
		var tolerance any
		if p.Tolerance != nil {
			tolerance = hook.FormatDuration(*p.Tolerance)
		}
		x := map[string]any{"name": p.Name, "type": p.Type, "header": null(p.Header), "parameter": null(p.Parameter), "path": null(p.Path),
			"equals": p.Equals, "matches": null(p.Matches), "username": null(p.Username), "secrets": p.Secrets, "allow": p.Allow, "schema": raw(p.Schema),
			"condition": null(p.Condition), "preset": null(p.Preset), "verification": raw(p.Signature), "tolerance": tolerance, "handshake": p.Handshake}
		pre = append(pre, x)
	}
	for _, r := range v.Routes {
		routes = append(routes, map[string]any{"name": r.Name, "action": r.Action, "condition": null(r.Condition), "parser": parser(r.Parser), "transform": null(r.Transform)})
	}
	for _, p := range v.PostProcessors {
		post = append(post, map[string]any{"type": p.Type, "config": raw(p.Config), "action": null(p.Action)})
	}
	for _, h := range v.Response.Headers {
		headers = append(headers, map[string]any{"name": h.Name, "value": string(h.Value)})
	}
	some := func(list []any) []any { return append([]any{}, list...) }
	doc["secrets"], doc["preProcessors"], doc["routes"], doc["postProcessors"] = some(secrets), some(pre), some(routes), some(post)
	doc["response"] = map[string]any{"mode": v.Response.Mode, "status": v.Response.Status, "headers": some(headers), "body": v.Response.Body, "timeout": hook.FormatDuration(v.Response.Timeout)}
	if d := v.Dedupe; d != nil {
		doc["dedupe"] = map[string]any{"key": d.Key, "window": hook.FormatDuration(d.Window), "onDuplicate": d.OnDuplicate}
	}
	if l := v.RateLimit; l != nil {
		doc["rateLimit"] = map[string]any{"requests": l.Requests, "per": hook.FormatDuration(l.Per)}
	}
	return doc
}

// TestWhatIsShownCanBePutBack takes every choice of every field in turn, and together.
func TestWhatIsShownCanBePutBack(t *testing.T) {
	t.Parallel()
	choices := [][2]string{
		{`"profile":"atrocore"`, `"profile":"alumio"`},
		{`"methods":["GET","POST"]`, `"methods":["DELETE"]`},
		{`"ipAllowList":["203.0.113.7","::1"]`, `"ipAllowList":[]`},
		{`"hash":"{{ (secrets.b ~ 'now'|date('H-i'))|md5 }}","hashTimezone":"Europe/Berlin","hashTolerance":"90s"`, `"hash":" static "`},
		{`"hashIn":{"in":"header","name":"X-Hash"}`, `"hashIn":{}`},
		{`"preProcessors":[{"type":"header","header":"X-A","equals":""},{"type":"query","matches":"token=a"},{"type":"body","path":"a.b","matches":"^x$"},{"type":"basicAuth","username":"u","secrets":["b","a"]}]`,
			`"preProcessors":[{"type":"apiKey","parameter":"k","secrets":["a"]},{"type":"ip","allow":["10.0.0.0/8"]},{"type":"schema","schema":{"type":"object","required":["a"]}},{"type":"condition","condition":"item.a < 2"},
			{"type":"signature","preset":"github","secrets":["a"],"tolerance":"5m","handshake":["b"]},{"type":"signature","verification":{"header":"X-S"},"secrets":["a"]},{"type":"bearer","secrets":["a"]}]`},
		{`"parser":{"type":"csv","delimiter":";","columns":["a"],"encoding":"windows-1252","split":false,"maxItems":5,"onItemError":"skip"}`, `"parser":null`},
		{`"routes":[{"action":"book-stock","condition":"item.a","parser":{"items":"rows[*]"},"transform":"{{ item }}"},{"action":"book-stock"}]`, `"routes":[]`},
		{`"postProcessors":[{"type":"publishEvent","config":{"type":"a","entity":{"b":1,"a":2.50}}},{"type":"action","action":"book-stock"},{"type":"sendEmail"}]`, `"postProcessors":[]`},
		{`"dedupe":{"key":"{{ request.rawBody|sha256 }}","window":"1h","onDuplicate":"refuse"}`, `"dedupe":null`},
		{`"rateLimit":{"requests":5}`, `"rateLimit":null`},
		{`"maxBodyBytes":26214400,"bodyTimeout":"30m","logging":"metadata","refusal":"uniform"`, `"enabled":false,"description":"x","metadata":{"a":"b"}`},
		{`"response":{"mode":"wait","status":200,"headers":[{"name":"Content-Type","value":"text/plain"}],"body":"OK {{ request.id }}","timeout":"25s"}`, `"response":{"body":""}`},
	}
	var docs []string
	for mask := range 1 << len(choices) {
		if mask%37 != 0 && mask&(mask-1) != 0 { // every choice by itself, and a sample of the rest
			continue
		}
		parts := []string{`"name":"Door","secrets":[{"name":"a","value":"value-of-a"},{"name":"b","value":"value-of-b"}]`}
		for i, c := range choices {
			parts = append(parts, c[mask>>i&1])
		}
		docs = append(docs, "{"+strings.Join(parts, ",")+"}")
		docs = append(docs, "{"+parts[0]+","+choices[mask%len(choices)][mask>>3&1]+"}")
	}
	w := setup(t)
	w.action(t, bookStock)
	for _, doc := range docs {
		w.store.doors = nil
		made := w.door(t, doc)
		v, err := w.GetIncomingWebhook(t.Context(), w.admin, made.Code)
		if err != nil {
			t.Fatal(err)
		}
		back, err := json.Marshal(shown(v))
		if err != nil {
			t.Fatal(err)
		}
		w.putDoor(t, made.Code, string(back), hook.Unchanged)
		w.patchDoor(t, made.Code, string(back), hook.Unchanged)
		w.patchDoor(t, made.Code, `{}`, hook.Unchanged)
	}
	if len(docs) < 400 {
		t.Errorf("only %d documents", len(docs))
	}
}
