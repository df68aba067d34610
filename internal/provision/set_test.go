package provision

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var makeSchema = sync.OnceValues(func() ([]byte, error) {
	contract, err := os.ReadFile(filepath.Join("..", "..", "openapi.yaml"))
	if err != nil {
		return nil, err
	}
	return Schema(contract)
})

// schemaOfContract is the schema, made of the contract of this tree.
func schemaOfContract(t testing.TB) []byte {
	t.Helper()
	schema, err := makeSchema()
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func newChecker(t testing.TB) *Checker {
	t.Helper()
	c, err := NewChecker(schemaOfContract(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// walk is the file as the guide has it.
const walk = `set: billing-ci                      # what --prune may delete: metadata managed-by=billing-ci, nothing else
workspace: ${SALLYPORT_WORKSPACE:-default}
actions:
  - {code: book-stock, name: Book stock, type: httpRequest, config: {method: POST, url: "${ERP_BASE:?}/stock", body: "{{ item|json_encode|raw }}"}}
incomingWebhooks:
  - {code: erp-stock, name: ERP Stock, secrets: [{name: erp, value: "${ERP_HASH_SECRET:?}"}], routes: [{action: book-stock}],
     hash: "{{ (secrets.erp ~ 'now'|date('Y-m-d_H-i'))|md5 }}"}
webhooks:
  - {code: erp-orders, name: ERP orders, url: "${RECEIVER_BASE:?}/hooks", eventTypes: ["order.*"], secret: "${ERP_SECRET:?}"}
`

var walkEnv = []string{"ERP_BASE=https://erp.example.com", "ERP_HASH_SECRET=hash-secret", "RECEIVER_BASE=https://r.example.com", `ERP_SECRET=x", enabled: false, y: "` + "\n- a: b"}

// load reads sources as one set.
func load(t *testing.T, environ []string, sources ...Source) (*Set, error) {
	t.Helper()
	return newChecker(t).Load(sources, Environ(environ), Everything)
}

func file(text string) Source { return Source{Name: "a.yaml", Text: []byte(text)} }

func TestTheFileOfTheGuide(t *testing.T) {
	t.Parallel()
	set, err := load(t, walkEnv, file(walk))
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, i := range set.Items {
		refs = append(refs, i.Ref())
	}
	if set.Name != "billing-ci" || set.Workspace != "default" || !slices.Equal(refs, []string{"actions/book-stock", "incomingWebhooks/erp-stock", "webhooks/erp-orders"}) {
		t.Errorf("%q of %q has %v", set.Name, set.Workspace, refs)
	}
	body, err := set.Items[2].body(set.Name)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	// What is in a variable stays one text, whatever it looks like.
	if len(doc) != 6 || doc["secret"] != `x", enabled: false, y: "`+"\n- a: b" || doc["url"] != "https://r.example.com/hooks" || doc["metadata"].(map[string]any)["managed-by"] != "billing-ci" {
		t.Errorf("the server gets %s", body)
	}
	if hid := set.Hide("connecting to https://erp.example.com/stock with hash-secret"); hid != "connecting to ${ERP_BASE}/stock with ${ERP_HASH_SECRET}" {
		t.Errorf("hidden: %s", hid)
	}
}

func TestWhatIsWrongWithFiles(t *testing.T) {
	t.Parallel()
	for why, c := range map[string]struct {
		text string
		want []string
	}{
		"unset variables, all at once": {walk, []string{"a.yaml:4: ERP_BASE is not set", "a.yaml:6: ERP_HASH_SECRET is not set", "a.yaml:9: RECEIVER_BASE is not set", "a.yaml:9: ERP_SECRET is not set"}},
		"a field that is mistyped":     {"set: a\nwebhooks:\n  - code: b\n    url: https://a.example\n    eventTyps: [x]\n", []string{`a.yaml:5: there is no field "eventTyps"; did you mean "eventTypes"?`}},
		"one deep inside": {
			"set: a\nwebhooks:\n  - code: b\n    url: https://a.example\n    retry:\n      schedul: [5s]\n    headers:\n      - {nam: X}\n",
			[]string{`a.yaml:6: there is no field "schedul"; did you mean "schedule"?`, `a.yaml:8: there is no field "nam"; did you mean "name"?`},
		},
		"in one of several forms": {"set: a\nwebhooks:\n  - code: b\n    url: u\n    basicAuth: {usernme: x}\n", []string{`a.yaml:5: there is no field "usernme"; did you mean "username"?`}},
		"a kind":                  {"set: a\nwebhook: []\n", []string{`a.yaml:2: there is no field "webhook"; did you mean "webhooks"?`}},
		"what only the server says": {
			"set: a\nwebhooks:\n  - {code: b, url: u, paused: true, generateSecret: true}\n",
			[]string{`"paused" is told by the server and cannot be set`, `"generateSecret" has nobody to show the secret to`},
		},
		"the same twice":        {"set: a\nwebhooks:\n  - {code: b, url: u}\n  - {code: B, url: u}\n", []string{"a.yaml:4: webhooks/B is in a.yaml:3 already"}},
		"a field twice":         {"set: a\nwebhooks:\n  - {code: b, url: u,\n     url: v}\n", []string{`a.yaml:4: "url" is there twice`}},
		"no code":               {"set: a\nwebhooks:\n  - {name: b, url: u}\n", []string{"a.yaml:3: needs a code"}},
		"no set":                {"webhooks:\n  - {code: b, url: u}\n", []string{"a.yaml: has no set"}},
		"nothing at all":        {"", []string{"a.yaml: has no set"}},
		"two sets":              {"set: a\n---\nset: b\n", []string{`a.yaml:3: set is "b" here, but "a" in a.yaml:1`}},
		"a list at the top":     {"- a\n", []string{"a.yaml:1: must be a mapping"}},
		"a mapping of items":    {"set: a\nwebhooks:\n  code: {}\n", []string{"a.yaml:2: webhooks must be a list"}},
		"no YAML":               {"set: a\nwebhooks: [\n", []string{"is not YAML"}},
		"an owner of its own":   {"set: a\nwebhooks:\n  - code: b\n    url: u\n    metadata: {managed-by: c}\n", []string{`a.yaml:5: metadata.managed-by is what the set is called`}},
		"a truth that is none":  {"set: a\nwebhooks:\n  - {code: b, url: u, enabled: \"${N:-maybe}\"}\n", []string{"a.yaml:3: ${N:-maybe} must be true or false"}},
		"a number that is none": {"set: a\nwebhooks:\n  - {code: b, url: u, maxAttempts: \"${N:-many}\"}\n", []string{"a.yaml:3: ${N:-many} must be a number"}},
		"not a number of JSON":  {"set: a\nwebhooks:\n  - {code: b, url: u, maxAttempts: .inf}\n", []string{"a.yaml:3: .inf is no number"}},
		"an alias of itself":    {"set: a\nx-a: &a [*a, *a]\n", []string{"a.yaml"}},
		"aliases without end":   {"x-a: &a [1,1,1,1,1,1,1,1,1,1]\nx-b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nx-c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nx-d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\nx-e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nx-f: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\nset: a\n", []string{"too large"}},
	} {
		set, err := load(t, nil, file(c.text))
		if err == nil && len(set.Items) > 0 {
			_, err = set.Items[0].body(set.Name)
		}
		if err == nil {
			t.Errorf("%s: taken", why)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in\n%v", why, want, err)
			}
		}
		if n := strings.Count(err.Error(), "a.yaml"); strings.Contains(why, "all at once") && n != 4 {
			t.Errorf("%s: %d lines in\n%v", why, n, err)
		}
	}
}

func TestWhatFilesMayHave(t *testing.T) {
	t.Parallel()
	set, err := load(t, []string{"ON=false", "N=7"},
		file("x-retry: &retry\n  schedule: [5s, 300s]\nset: a\nwebhooks:\n  - &one\n    code: one\n    url: https://a.example\n    retry: *retry\n    enabled: ${ON}\n    maxAttempts: ${N}\n    maxInFlight: 0x10\n    description: 2026-01-01\n    metadata: {team: \"7\"}\n  - <<: *one\n    code: two\n    maxAttempts: 1_0\n---\nactions:\n"),
		Source{Name: "b.json", Text: []byte("{\n\t\"$schema\": \"x\",\n\t\"set\": \"a\",\n\t\"eventTypes\": [{\"name\": \"a.b\", \"sample\": {\"price\": 12.50, \"n\": 12345678901234567890, \"smile\": \"\\ud83d\\ude00\", \"s\": \"no\"}}]\n}\n")},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"name":"a.b","sample":{"price":12.50,"n":12345678901234567890,"smile":"😀","s":"no"},"metadata":{"managed-by":"a"}}`,
		`{"code":"one","url":"https://a.example","retry":{"schedule":["5s","300s"]},"enabled":false,"maxAttempts":7,"maxInFlight":16,"description":"2026-01-01","metadata":{"team":"7","managed-by":"a"}}`,
		`{"code":"two","maxAttempts":10,"url":"https://a.example","retry":{"schedule":["5s","300s"]},"enabled":false,"maxInFlight":16,"description":"2026-01-01","metadata":{"team":"7","managed-by":"a"}}`,
	}
	for n, i := range set.Items {
		body, err := i.body(set.Name)
		if err != nil || string(body) != want[n] {
			t.Errorf("%s is\n%s, %v; want\n%s", i.Ref(), body, err, want[n])
		}
	}
	if at := set.Items[0].Place.String(); at != "b.json:4" {
		t.Errorf("it is at %s", at)
	}
}

func TestActionsComeAfterThoseTheyRun(t *testing.T) {
	t.Parallel()
	set, err := load(t, nil, file(`set: a
webhooks: [{code: w, url: u}]
actions:
  - {code: all, type: set, config: {actions: [inner, b]}}
  - {code: inner, type: set, config: {actions: [A]}}
  - {code: a, type: runCommand, config: {command: x}}
  - {code: b, type: runCommand, config: {command: x}}
  - {code: circle, type: set, config: {actions: [circle]}}
eventTypes: [{name: t}]
`))
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, i := range set.Items {
		refs = append(refs, i.Code)
	}
	before := func(a, b string) bool { return slices.Index(refs, a) < slices.Index(refs, b) }
	if len(refs) != 7 || refs[0] != "t" || refs[6] != "w" || !before("a", "inner") || !before("inner", "all") || !before("b", "all") {
		t.Errorf("in the order %s", refs)
	}
}

func TestNamesOnlyNeedsNoSecrets(t *testing.T) {
	t.Parallel()
	set, err := newChecker(t).Load([]Source{file(walk)}, Environ(nil), NamesOnly)
	if err != nil || len(set.Items) != 3 {
		t.Errorf("%v", err)
	}
}

// compiled is the schema as an editor has it.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schemaOfContract(t))))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("mem:///provision.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("mem:///provision.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestSchemaForEditors(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	check := func(text string) error {
		t.Helper()
		documents, err := read(file(text))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(documents[0].json(false))))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(doc)
	}
	for why, text := range map[string]string{
		"the guide's":          walk,
		"variables everywhere": `{set: "${S}", webhooks: [{code: "${C}", url: "${U}", enabled: "${E}", maxAttempts: "${N}", profile: "${P:-default}", timeout: "${T}"}]}`,
		"an anchor":            "x-retry: {schedule: [5s]}\nset: a\n",
		"all four, in full": `set: a
eventTypes: [{name: order.paid, description: d, mode: "off", schema: {type: object}, sample: {a: 1}}]
actions: [{code: a, type: set, config: {actions: [b]}, condition: "true", secrets: [{name: n, value: v}]}]
incomingWebhooks: [{code: i, methods: [GET], ipAllowList: [10.0.0.0/8], parser: {type: csv}, routes: [{action: a, parser: null}], dedupe: null, response: {mode: wait}}]
webhooks: [{code: w, url: "https://a.example", signature: {algorithm: hmac-sha1, header: X}, basicAuth: null, rateLimit: {requests: 5, per: 1s}, retry: {linear: {interval: 5s}}}]
`,
	} {
		if err := check(text); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
	for why, text := range map[string]string{
		"a mistyped field":        `{set: a, webhooks: [{code: c, url: "https://a.example", eventTyps: [x]}]}`,
		"one deep inside":         `{set: a, webhooks: [{code: c, url: "https://a.example", retry: {schedul: [5s]}}]}`,
		"a mistyped kind":         `{set: a, webhook: []}`,
		"no code":                 `{set: a, webhooks: [{url: "https://a.example"}]}`,
		"no URL":                  `{set: a, webhooks: [{code: c}]}`,
		"what the server says":    `{set: a, webhooks: [{code: c, url: "https://a.example", version: 1}]}`,
		"an unknown profile":      `{set: a, webhooks: [{code: c, url: "https://a.example", profile: githb}]}`,
		"a number in words":       `{set: a, webhooks: [{code: c, url: "https://a.example", maxAttempts: many}]}`,
		"an unknown type":         `{set: a, actions: [{code: c, type: sendMail, config: {}}]}`,
		"no events at all":        `{set: a, webhooks: [{code: c, url: "https://a.example", eventTypes: []}]}`,
		"a URL that is none":      `{set: a, webhooks: [{code: c, url: "erp.example.com"}]}`,
		"a secret that is empty":  `{set: a, incomingWebhooks: [{code: c, secrets: [{name: a, value: ""}]}]}`,
		"a generated secret":      `{set: a, webhooks: [{code: c, url: "https://a.example", generateSecret: true}]}`,
		"a check of unknown type": `{set: a, incomingWebhooks: [{code: c, preProcessors: [{type: hedder}]}]}`,
	} {
		if check(text) == nil {
			t.Errorf("%s: taken", why)
		}
	}
}

// What the schema says of fields must be what the API knows: a name that is in one only would be
// refused by the other.
func TestSchemaHasTheFieldsOfTheAPI(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	for _, k := range kinds {
		if len(c.root.Defs[k.Input].Properties) < 5 || c.root.Defs[k.Input].Properties[k.Key] == nil {
			t.Errorf("%s has %d fields", k.Input, len(c.root.Defs[k.Input].Properties))
		}
		for _, name := range append(slices.Clone(readOnly), "generateSecret") {
			if c.root.Defs[k.Input].Properties[name] != nil {
				t.Errorf("%s has %s, which cannot be set", k.Input, name)
			}
		}
	}
}
