package action_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

const published = `{"type":"x"}`

func off(a *hook.Action) { a.Enabled = false }

func TestSetRunsOneMemberAnAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.add("a", hook.ActionPublishEvent, published)
	w.add("b", hook.ActionPublishEvent, published, off)
	w.add("d", hook.ActionPublishEvent, published, condition("item.n == 1"))
	w.add("e", hook.ActionPublishEvent, published, condition("item.n == 2"))
	w.add("inner", hook.ActionSet, `{"actions":["a","e"]}`, condition("item.n == 1"))
	set := w.add("all", hook.ActionSet, `{"actions":["a","b","c","d","inner","e"]}`) // c is not there
	x := w.executor(t)

	type ran struct {
		code string
		step int
		more bool
	}
	var got []ran
	for at := 0; ; {
		a := run(t, x, set, w.job(`{"n":1}`, step(at)))
		if a.Outcome != hook.OutcomeSucceeded || len(got) > 10 {
			t.Fatalf("%+v", a)
		}
		got = append(got, ran{a.Action.Code, a.Action.Step, a.More})
		f := hook.Finish{Job: &hook.Job{Delivery: hook.Delivery{Step: at}}, Attempt: &a, Advance: true}
		if at, _ = f.Progress(); !a.More {
			break
		}
	}
	if want := []ran{{"a", 0, true}, {"d", 3, true}, {"a", 4, false}}; !slices.Equal(got, want) {
		t.Errorf("ran %v, want %v", got, want)
	}
}

func TestSetOfWhichNothingIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.add("no", hook.ActionPublishEvent, published, condition("item.n == 2"))
	w.add("off", hook.ActionPublishEvent, published, off)
	w.add("bad", hook.ActionPublishEvent, published, condition("item.n|convert_encoding('UTF-8', 'none')"))
	x := w.executor(t)
	for name, c := range map[string]struct {
		set  *hook.Action
		step int
		skip hook.Reason
	}{
		"all conditions say no":               {w.add("s1", hook.ActionSet, `{"actions":["off","no"]}`), 0, hook.ReasonConditionFalse},
		"its one condition fails":             {w.add("s2", hook.ActionSet, `{"actions":["bad"]}`), 0, hook.ReasonConditionError},
		"its own condition says no":           {w.add("s3", hook.ActionSet, `{"actions":["no"]}`, condition("false")), 0, hook.ReasonConditionFalse},
		"all are off":                         {w.add("s4", hook.ActionSet, `{"actions":["off"]}`), 0, hook.ReasonNone},
		"the rest says no after others ran":   {w.add("s5", hook.ActionSet, `{"actions":["off","no"]}`), 1, hook.ReasonNone},
		"its condition turned after it began": {w.add("s6", hook.ActionSet, `{"actions":["off","no"]}`, condition("false")), 1, hook.ReasonNone},
	} {
		a := run(t, x, c.set, w.job(`{"n":1}`, step(c.step)))
		if a.Skip != c.skip || c.skip == hook.ReasonNone && (a.Outcome != hook.OutcomeSucceeded || a.More) {
			t.Errorf("%s: %+v", name, a)
		}
		if c.skip == hook.ReasonConditionError && !strings.Contains(a.Error, "unknown encoding") {
			t.Errorf("%s: %q", name, a.Error)
		}
	}
	if len(w.planned) != 0 {
		t.Errorf("something ran: %v", w.planned)
	}
}

// A member of which nobody knows whether it is to run fails the set: passed over it would be
// missed by nobody, for the set would succeed.
func TestSetWithAConditionThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.add("ok", hook.ActionPublishEvent, published)
	w.add("bad", hook.ActionPublishEvent, published, condition("item.n|convert_encoding('UTF-8', 'none')"))
	x := w.executor(t)
	for _, actions := range []string{`["ok","bad"]`, `["ok","bad","ok"]`} {
		set := w.add("all", hook.ActionSet, `{"actions":`+actions+`}`)
		if a := run(t, x, set, w.job(`{"n":1}`)); a.Outcome != hook.OutcomeSucceeded || !a.More {
			t.Errorf("%s begins with %+v", actions, a)
		}
		a := run(t, x, set, w.job(`{"n":1}`, step(1)))
		if a.Outcome != hook.OutcomeFailed || !a.Permanent || a.Action.Code != "bad" || a.Action.Step != 1 || !strings.HasPrefix(a.Error, "condition of bad: convert_encoding") {
			t.Errorf("%s goes on with %+v", actions, a)
		}
	}
}

func TestSetWithinItselfFails(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.add("b", hook.ActionSet, `{"actions":["a"]}`)
	a := run(t, w.executor(t), w.add("a", hook.ActionSet, `{"actions":["b"]}`), w.job(`{}`))
	if !a.Permanent || a.Error != "loop_detected: the set a is a member of itself" {
		t.Errorf("%+v", a)
	}
}

func TestConditionOfAnAction(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := w.executor(t)
	for c, want := range map[string]hook.Reason{
		"item.n > 5": hook.ReasonNone, "item.n > 7": hook.ReasonConditionFalse, "request.headers['x-github-event'] == 'push'": hook.ReasonNone,
		"secrets.k == 'v' and webhook.code == 'erp-stock'": hook.ReasonNone, "item.n|convert_encoding('a', 'none')": hook.ReasonConditionError,
		"item.n >": hook.ReasonConditionError,
	} {
		a := run(t, x, w.add("a", hook.ActionPublishEvent, published, condition(c), secrets("k", "v")), w.job(`{"n":7}`))
		if a.Skip != want {
			t.Errorf("%s: %q %s", c, a.Skip, a.Error)
		}
	}
}

func TestPostProcessors(t *testing.T) {
	t.Parallel()
	w := newWorld()
	called := w.add("called", hook.ActionPublishEvent, `{"type":"called.{{ secrets.of }}"}`, secrets("of", "action"))
	j := w.job(`{"n":1}`)
	var door *hook.IncomingWebhook
	for _, d := range w.doors {
		door = d
	}
	door.Secrets = []hook.NamedSecret{{Name: "of", Value: "door"}}
	door.PostProcessors = []hook.PostProcessor{
		{Type: "publishEvent", Config: []byte(`{"type":"post.{{ secrets.of }}","entity":["{{ webhook.code }}","{{ request.id }}"]}`)},
		{Type: hook.PostAction, Action: "called"},
	}
	j.Delivery.TargetKind, j.Delivery.Target = hook.TargetIncoming, door.ID
	x := w.executor(t)
	first := x.Send(t.Context(), hook.TargetOfIncoming(door), j, 1)
	j.Delivery.Step = 1
	second := x.Send(t.Context(), hook.TargetOfIncoming(door), j, 2)
	if first.Outcome != hook.OutcomeSucceeded || second.Outcome != hook.OutcomeSucceeded || !first.More || second.More {
		t.Fatalf("%+v\n%+v", first, second)
	}
	if p := w.planned[0]; p.event.Type != "post.door" || p.source.ID != door.ID || string(p.event.Entity) != `["erp-stock","`+j.Event.Source.RequestID.String()+`"]` {
		t.Errorf("%+v %s", p, p.event.Entity)
	}
	if p := w.planned[1]; p.event.Type != "called.action" || p.source.ID != called.ID || second.Action.Step != 1 || second.Action.Code != "called" {
		t.Errorf("%+v %+v", p, second.Action)
	}
	if first.Action.ID != hook.NoID || first.Action.Type != hook.ActionPublishEvent {
		t.Errorf("%+v", first.Action)
	}
}

func TestRequestsAreRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := w.executor(t)
	a := w.add("a", hook.ActionPublishEvent, `{"type":"x","entity":["{{ request.ip }}"]}`)
	j := w.job(`{}`)
	x.Remember(w.requests[j.Event.Source.RequestID])
	run(t, x, a, j)
	if w.reads.Load() != 0 {
		t.Errorf("a remembered request was read %d times", w.reads.Load())
	}
	j = w.job(`{}`)
	run(t, x, a, j)
	run(t, x, a, j)
	if w.reads.Load() != 1 {
		t.Errorf("a request was read %d times", w.reads.Load())
	}
	j = w.job(`{}`)
	delete(w.requests, j.Event.Source.RequestID)
	if got := run(t, x, a, j); got.Outcome != hook.OutcomeSucceeded || string(w.planned[len(w.planned)-1].event.Entity) != "[null]" {
		t.Errorf("without its request: %+v", got)
	}
	w.readErr = errors.New("connection refused")
	if got := run(t, x, a, w.job(`{}`)); got.Outcome != hook.OutcomeFailed || got.Permanent || strings.Contains(got.Error, "refused") {
		t.Errorf("store away: %+v", got)
	}
}

// A request that led to thousands of deliveries is read once, and its body only if it is asked for.
func TestBodiesAreParsedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := w.executor(t)
	j := w.job(`{"n":1}`)
	w.reads.Store(0)
	for source, want := range map[string]string{
		"{{ request.ip }}{{ request.method }}": `["203.0.113.9POST"]`, "{{ request.rawBody }}": `["{\"n\":1}"]`,
	} {
		a := w.add("a", hook.ActionPublishEvent, `{"type":"x","entity":["`+source+`"]}`)
		run(t, x, a, j)
		if got := string(w.planned[len(w.planned)-1].event.Entity); got != want || w.parses.Load() != 0 {
			t.Errorf("%s: %s, parsed %d times", source, got, w.parses.Load())
		}
	}
	for _, source := range []string{"{{ request.body.n }}", "{{ request['bo' ~ 'dy'].n }}", "{% set r = request %}{{ r.body.n }}", "{{ (request|merge({}))['bo' ~ 'dy'].n }}"} {
		a := w.add("a", hook.ActionPublishEvent, `{"type":"x","entity":["`+source+`!"]}`)
		run(t, x, a, j)
		run(t, x, a, j)
		if got := string(w.planned[len(w.planned)-1].event.Entity); got != `["1!"]` || w.parses.Load() != 1 {
			t.Errorf("%s: %s, parsed %d times", source, got, w.parses.Load())
		}
	}
}

// Large requests drive the oldest out, and do not pile up.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := w.executor(t)
	a := w.add("a", hook.ActionPublishEvent, `{"type":"x","entity":["{{ request.ip }}"]}`)
	first := w.job(`{}`)
	x.Remember(w.requests[first.Event.Source.RequestID])
	for range 40 {
		j := w.job(`"` + strings.Repeat("x", 1<<20) + `"`)
		x.Remember(w.requests[j.Event.Source.RequestID])
	}
	run(t, x, a, first)
	if w.reads.Load() != 1 {
		t.Errorf("the oldest of 40 MB was read %d times", w.reads.Load())
	}
}

func TestNewVersionIsCompiledAnew(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := w.executor(t)
	a := w.add("a", hook.ActionPublishEvent, `{"type":"one"}`)
	run(t, x, a, w.job(`{}`))
	b := *a
	b.Config, b.Version = []byte(`{"type":"two"}`), 2
	run(t, x, &b, w.job(`{}`))
	if w.planned[0].event.Type != "one" || w.planned[1].event.Type != "two" {
		t.Errorf("%+v", w.planned)
	}
}
