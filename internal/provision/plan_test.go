package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// printed is a plan as people see it.
func printed(p *Plan, values bool) string {
	var b bytes.Buffer
	p.Print(&b, values)
	return b.String()
}

// planned makes a plan that must succeed.
func planned(t *testing.T, f *fakeServer, o Options, text string, environ ...string) *Plan {
	t.Helper()
	set, err := load(t, environ, file(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := MakePlan(t.Context(), f, set, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// applied carries a file out.
func applied(t *testing.T, f *fakeServer, o Options, text string, environ ...string) {
	t.Helper()
	f.calls = nil
	if err := Apply(t.Context(), f, planned(t, f, o, text, environ...), func(*Change) {}); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
	}
}

const chain = `set: a
webhooks: [{code: w, url: u, secret: "${S:-first}"}]
incomingWebhooks: [{code: d, routes: [{action: x}]}]
actions: [{code: x, type: runCommand, config: {command: c}}]
eventTypes: [{name: t.t}]
`

func TestPlanAndApply(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	p := planned(t, f, Options{}, chain)
	wantText(t, "nothing is there", printed(p, false), "+ eventTypes/t.t\n+ actions/x\n+ incomingWebhooks/d\n+ webhooks/w\n")
	if p.Same() || len(f.calls) > 0 {
		t.Errorf("comparing wrote %v", f.calls)
	}
	applied(t, f, Options{}, chain)
	wantText(t, "in order", strings.Join(f.calls, " "), "put eventTypes/t.t put actions/x put incomingWebhooks/d put webhooks/w")
	p = planned(t, f, Options{}, chain)
	wantText(t, "a second time", printed(p, false), "= 4 unchanged\n")
	if !p.Same() {
		t.Error("a second time there are differences")
	}
	if applied(t, f, Options{}, chain); len(f.calls) > 0 {
		t.Errorf("the second time wrote %v", f.calls)
	}
	more := strings.Replace(chain, `secret: "${S:-first}"`, `secret: "${S:-first}", filter: "a > 1", description: "${D}"`, 1)
	p = planned(t, f, Options{}, more, "S=second-secret", "D=from-outside")
	wantText(t, "a difference with values", printed(p, true), `~ webhooks/w  description, filter, secret
    description: now "${D}"
    filter: now "a > 1"
    secret: (not shown)
= 3 unchanged
`)
}

// A field is named with the place within it where only a value changed that nobody sees.
func TestValuesThatNobodySees(t *testing.T) {
	t.Parallel()
	set, err := load(t, []string{"S=from-outside"}, file(`set: a
webhooks: [{code: w, url: "https://a.example", headers: [{name: X-Key, value: literal-secret}], basicAuth: {username: u, password: "${S}"}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	c := &Change{Op: Update, Item: set.Items[0], Before: &Object{Doc: json.RawMessage(`{"headers":[{"name":"X-Key","secret":true}]}`)},
		Changed: []string{"headers[0].value", "basicAuth.password", "secrets[1].value"}}
	var b bytes.Buffer
	c.PrintValues(&b)
	wantText(t, "values that nobody sees", b.String(), "    headers[0].value: (not shown)\n    basicAuth.password: (not shown)\n    secrets[1].value: (not shown)\n")
}

func TestAnActionThatIsYetToBeMade(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	applied(t, f, Options{}, chain)
	later := `set: a
incomingWebhooks: [{code: d, description: new, routes: [{action: x}, {action: Y}]}]
actions: [{code: x, type: runCommand, config: {command: c}}, {code: y, type: runCommand, config: {command: c}}]
`
	p := planned(t, f, Options{}, later)
	wantText(t, "both are planned", printed(p, false), "+ actions/y\n~ incomingWebhooks/d  description, routes\n= 1 unchanged\n  not in the files, left alone without --prune: eventTypes/t.t, webhooks/w\n")
	// What nobody makes is wrong, with its line.
	set, err := load(t, nil, file("set: a\nincomingWebhooks:\n  - code: d\n    routes:\n      - action: x\n      - action: z\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = MakePlan(t.Context(), f, set, Options{}); err == nil || err.Error() != "a.yaml:6: incomingWebhooks/d routes[1].action: no such action (unknown_action)" {
		t.Errorf("%v", err)
	}
}

func TestAllFaultsOfAllObjectsAtOnce(t *testing.T) {
	t.Parallel()
	set, err := load(t, []string{"D=refused"}, file("set: a\nwebhooks:\n  - {code: a, url: u, description: \"${D}\"}\n  - {code: b, url: u}\n  - code: c\n    url: u\n    description: refused\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = MakePlan(t.Context(), newFakeServer(), set, Options{})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 || faults[0].Place.Line != 3 || faults[1].Place.Line != 7 {
		t.Errorf("%v", err)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	applied(t, f, Options{}, chain)
	applied(t, f, Options{}, "set: b\nwebhooks: [{code: other, url: u}]\nactions: [{code: in, type: runCommand, config: {command: c}}, {code: out, type: set, config: {actions: [in]}}]\n")
	f.objects["webhooks/by-hand"] = &fakeObject{id: 99, version: 1, doc: map[string]any{"url": "u"}}
	p := planned(t, f, Options{Prune: true}, "set: a\nwebhooks: [{code: w, url: u, secret: first}]\n")
	wantText(t, "only what is of the set", printed(p, false), "- incomingWebhooks/d\n- actions/x\n- eventTypes/t.t\n= 1 unchanged\n")
	applied(t, f, Options{Prune: true}, "set: a\neventTypes: [{name: t.t}]\n")
	wantText(t, "in the opposite order", strings.Join(f.calls, " "), "delete webhooks/w delete incomingWebhooks/d delete actions/x")
	applied(t, f, Options{Prune: true}, "set: b\nwebhooks: [{code: other, url: u}]\n")
	wantText(t, "who runs others goes before them", strings.Join(f.calls, " "), "delete actions/out delete actions/in")
	if len(f.objects) != 3 || f.objects["webhooks/by-hand"] == nil {
		t.Errorf("there is %v", f.objects)
	}
	// An empty list must not mean everything: a generator may have failed.
	set, err := load(t, nil, file("set: b\nwebhooks: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MakePlan(t.Context(), f, set, Options{Prune: true}); err == nil || !strings.Contains(err.Error(), "sallyport export --set b | sallyport delete -f -") {
		t.Errorf("files without an object: %v", err)
	}
	if !planned(t, f, Options{Prune: true}, "set: c\n").Same() {
		t.Error("where nothing is to be deleted it is no fault")
	}
}

func TestANewCodeForAName(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	applied(t, f, Options{}, "set: a\nwebhooks: [{code: old, name: ERP, url: u}, {code: more, url: u}]\n")
	renamed := "set: a\nwebhooks: [{code: new, name: ERP, url: u}, {code: more, url: u}]\n"
	set, err := load(t, nil, file(renamed))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MakePlan(t.Context(), f, set, Options{}); err == nil || !strings.Contains(err.Error(), "webhooks/old has it, which the files no longer have; --prune deletes it first") {
		t.Errorf("without pruning: %v", err)
	}
	wantText(t, "planned", printed(planned(t, f, Options{Prune: true}, renamed), false), "- webhooks/old\n+ webhooks/new\n= 1 unchanged\n")
	applied(t, f, Options{Prune: true}, renamed)
	wantText(t, "the name is free when it is needed", strings.Join(f.calls, " "), "delete webhooks/old put webhooks/new")
}

func TestOwners(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	f.objects["webhooks/w"] = &fakeObject{id: 1, version: 1, doc: map[string]any{"code": "w", "url": "u"}}
	mine := "set: a\nwebhooks: [{code: w, url: u}]\n"
	wantText(t, "nobody's", printed(planned(t, f, Options{}, mine), false), "~ webhooks/w  metadata\n")
	applied(t, f, Options{}, mine)
	set, err := load(t, nil, file("set: b\nwebhooks: [{code: W, url: u}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for what, plan := range map[string]func(context.Context, Server, *Set, Options) (*Plan, error){"plan": MakePlan, "delete": PlanDelete} {
		if _, err := plan(t.Context(), f, set, Options{}); err == nil || !strings.Contains(err.Error(), `a.yaml:2: webhooks/W is managed by the set "a"`) {
			t.Errorf("%s: %v", what, err)
		}
		if p, err := plan(t.Context(), f, set, Options{TakeOver: true}); err != nil || p.Same() {
			t.Errorf("%s, taking over: %v", what, err)
		}
	}
}

func TestApplyStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	f.fail = "put incomingWebhooks/d"
	var told []string
	err := Apply(t.Context(), f, planned(t, f, Options{}, chain), func(c *Change) { told = append(told, c.Line()) })
	var stopped *ApplyError
	if !errors.As(err, &stopped) || len(stopped.Done) != 2 || stopped.Failed.Ref() != "incomingWebhooks/d" || len(stopped.Left) != 1 {
		t.Fatalf("%+v", err)
	}
	wantText(t, "the error", err.Error(), "the line is cut\n2 done, 2 not: incomingWebhooks/d, webhooks/w\nApplying again goes on from here.")
	wantText(t, "told", strings.Join(told, "\n"), "+ eventTypes/t.t\n+ actions/x")
	f.fail = ""
	applied(t, f, Options{}, chain)
	wantText(t, "again", strings.Join(f.calls, " "), "put incomingWebhooks/d put webhooks/w")
}

func TestWhatSomebodyElseChangedStays(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	applied(t, f, Options{}, chain)
	for why, text := range map[string]string{"changed": strings.Replace(chain, "url: u", "url: v", 1), "pruned": "set: a\neventTypes: [{name: t.t}]\n"} {
		p := planned(t, f, Options{Prune: true}, text)
		f.objects["webhooks/w"].version++
		err := Apply(t.Context(), f, p, func(*Change) {})
		if err == nil || !strings.Contains(err.Error(), "webhooks/w: somebody changed it since it was compared") {
			t.Errorf("%s: %v", why, err)
		}
	}
	p := planned(t, f, Options{}, chain+"x-more: 1\n---\nwebhooks: [{code: late, url: u}]\n")
	f.objects["webhooks/late"] = &fakeObject{id: 9, version: 1, doc: map[string]any{"url": "theirs"}}
	if err := Apply(t.Context(), f, p, func(*Change) {}); err == nil || f.objects["webhooks/late"].doc["url"] != "theirs" {
		t.Errorf("made meanwhile: %v", err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	applied(t, f, Options{}, chain)
	f.calls = nil
	set, err := newChecker(t).Load([]Source{file(strings.Replace(chain, "code: x, type", "code: none, type", 1))}, Environ(nil), NamesOnly)
	if err != nil {
		t.Fatal(err)
	}
	p, err := PlanDelete(t.Context(), f, set, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), f, p, func(*Change) {}); err != nil {
		t.Fatal(err)
	}
	wantText(t, "deleted", strings.Join(f.calls, " "), "delete webhooks/w delete incomingWebhooks/d delete eventTypes/t.t")
	p, err = PlanDelete(t.Context(), f, set, Options{})
	if err != nil || !p.Same() {
		t.Errorf("what is gone: %v", err)
	}
}

func TestPlanForPrograms(t *testing.T) {
	t.Parallel()
	f := newFakeServer()
	applied(t, f, Options{}, chain)
	var b bytes.Buffer
	p := planned(t, f, Options{}, "set: a\nwebhooks:\n  - {code: w, url: \"${S}\"}\n  - {code: v, url: u}\n", "S=not-for-logs")
	if err := p.PrintJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Set     string
		Same    bool
		Summary map[string]int
		Changes []struct {
			Op, Kind, Code, File string
			Changed              []string
			Line                 int
		}
		Extra []string
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Set != "a" || got.Same || got.Summary["update"] != 1 || got.Summary["create"] != 1 || len(got.Extra) != 3 || len(got.Changes) != 2 ||
		got.Changes[0].Op != "update" || !slices.Equal(got.Changes[0].Changed, []string{"url", "secret"}) || got.Changes[0].Line != 3 || strings.Contains(b.String(), "not-for-logs") {
		t.Errorf("%s", b.String())
	}
}
