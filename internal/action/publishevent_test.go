package action_test

import (
	"strings"
	"testing"

	"sallyport/internal/hook"
)

func TestPublishEventRenders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config, item string
		want         hook.NewEvent
	}{
		"the item as its exact bytes": {
			`{"type":"stock.received"}`, `{ "a":1.10, "b":"<é" }`, hook.NewEvent{Type: "stock.received", Entity: []byte(`{ "a":1.10, "b":"<é" }`)},
		},
		"a leaf that is one expression keeps its type": {
			`{"type":"stock.{{ item.kind }}","entityId":"{{ item.id }}","entity":{"n":"{{ item.n }}","o":"{{ item.o }}","s":"n={{ item.n }}","z":"{{ item.none }}","t":[1,true,null,"x"]}}`,
			`{"kind":"new","id":12345678901234567890,"n":7,"o":{}}`,
			hook.NewEvent{Type: "stock.new", EntityID: hook.EntityID{Text: "12345678901234567890", Number: true}, Entity: []byte(`{"n":7,"o":{},"s":"n=7","z":null,"t":[1,true,null,"x"]}`)},
		},
		"a template that renders JSON": {
			`{"type":"a","entity":"{{ item.rows|json_encode|raw }}","entityId":"x-{{ item.id }}"}`, `{"id":5,"rows":[1,2]}`,
			hook.NewEvent{Type: "a", EntityID: hook.EntityID{Text: "x-5"}, Entity: []byte(`[1,2]`)},
		},
		"an expression that is a value": {
			`{"type":"a","entity":"{{ item.rows }}","entityId":7,"entityUrl":"https://e.example/{{ request.query.ref }}"}`, `{"rows":{"a":"b"}}`,
			hook.NewEvent{Type: "a", EntityID: hook.EntityID{Text: "7", Number: true}, Entity: []byte(`{"a":"b"}`), EntityURL: "https://e.example/7"},
		},
		"what templates see": {
			`{"type":"a","entityId":"{{ item.none }}","entity":["{{ request.headers['x-github-event'] }}","{{ request.ip }}","{{ request.method }}","{{ request.query }}",` +
				`"{{ request.body.q }}","{{ request.rawBody }}","{{ webhook.code }} {{ webhook.name }}","{{ event.id }} {{ event.type }}","{{ secrets.k }}","{{ now|date('Y') > 2000 }}","{{ request.headers.authorization is defined }}"]}`,
			`{"q":1}`,
			hook.NewEvent{Type: "a", Entity: []byte(`["push","203.0.113.9","POST",{"ref":"7","tag":["a","b"],"x":"a b"},1,"{\"q\":1}","erp-stock ERP Stock","ev-1 incoming.erp-stock","s3cr3t!",true,false]`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			a := w.add("pub", hook.ActionPublishEvent, c.config, secrets("k", "s3cr3t!"))
			j := w.job(c.item)
			got := run(t, w.executor(t), a, j)
			if got.Outcome != hook.OutcomeSucceeded || got.Effects == nil || len(w.planned) != 1 {
				t.Fatalf("%+v", got)
			}
			p := w.planned[0]
			if p.event.Type != c.want.Type || p.event.EntityID != c.want.EntityID || string(p.event.Entity) != string(c.want.Entity) || p.event.EntityURL != c.want.EntityURL {
				t.Errorf("published %+v\nentity %s\nwant %+v\nentity %s", p.event, p.event.Entity, c.want, c.want.Entity)
			}
			if p.hops != 1 || p.source != (hook.Source{Kind: hook.SourceAction, ID: a.ID, RequestID: j.Event.Source.RequestID}) {
				t.Errorf("source %+v, hops %d", p.source, p.hops)
			}
			if got.Request.Method != "publishEvent" || got.Request.URL != "event:"+c.want.Type || got.Response.Status != 200 ||
				got.Action == nil || got.Action.Code != "pub" || got.Action.ID != a.ID || got.Action.Type != hook.ActionPublishEvent {
				t.Errorf("evidence %+v %+v %+v", got.Request, got.Response, got.Action)
			}
			wantJSON(t, got.Response.Body.Bytes, "matched", 2.0)
			if strings.Contains(body(got.Request), "s3cr3t!") {
				t.Errorf("a secret is on record: %s", body(got.Request))
			}
		})
	}
}

func TestPublishEventFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config, item string
		hops         int
		class        hook.ErrorClass
		text         string
	}{
		"text that is not JSON":  {`{"type":"a","entity":"{\n \"x\": {{ item.word }} }"}`, `{"word":"no"}`, 0, hook.ClassTemplate, "config.entity: what the template renders is not JSON at line 2, column 8"},
		"a template that fails":  {`{"type":"a","entity":{"x":"\n {{ item.a|convert_encoding('UTF-8', 'none') }} "}}`, `{"a":"2026-01-01"}`, 0, hook.ClassTemplate, "config.entity.x: convert_encoding: unknown encoding \"none\" (line 2"},
		"a type that is none":    {`{"type":"{{ item.t }}"}`, `{"t":"a b"}`, 0, hook.ClassTemplate, `config.type: "a b"`},
		"an id that is none":     {`{"type":"a","entityId":"{{ item.t }}"}`, `{"t":1.5}`, 0, hook.ClassTemplate, "config.entityId: must be"},
		"a URL that is none":     {`{"type":"a","entityUrl":"{{ item.t }}"}`, `{"t":"/x"}`, 0, hook.ClassTemplate, "config.entityUrl: "},
		"a loop":                 {`{"type":"a"}`, `{}`, 7, hook.ClassStatus, "loop_detected: this event came through 7"},
		"a configuration of old": {`{"typ":"a"}`, `{}`, 0, hook.ClassTemplate, "config.type: name the type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			got := run(t, w.executor(t), w.add("pub", hook.ActionPublishEvent, c.config), w.job(c.item, hops(c.hops)))
			if got.Outcome != hook.OutcomeFailed || !got.Permanent || got.ErrorClass != c.class || !strings.HasPrefix(got.Error, c.text) || got.Effects != nil {
				t.Errorf("%s: %q, permanent %v, %v", got.ErrorClass, got.Error, got.Permanent, got.Effects)
			}
		})
	}
}

func TestSixHopsArePublishedOn(t *testing.T) {
	t.Parallel()
	w := newWorld()
	got := run(t, w.executor(t), w.add("pub", hook.ActionPublishEvent, `{"type":"a"}`), w.job(`{}`, hops(6)))
	if got.Outcome != hook.OutcomeSucceeded || w.planned[0].hops != 7 {
		t.Errorf("%+v", got)
	}
}

func TestWhatPlanningRefusesIsFinal(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.planErr = &hook.Error{Kind: hook.KindInvalid, Detail: "no such event type", Faults: []hook.Fault{{Field: "type", Code: "unknown_event_type", Detail: "no such event type"}}}
	x, a := w.executor(t), w.add("pub", hook.ActionPublishEvent, `{"type":"a"}`)
	got := run(t, x, a, w.job(`{}`))
	if !got.Permanent || got.Error != "validation_failed: no such event type" {
		t.Errorf("%+v", got)
	}
	w.planErr = hook.Errorf(hook.KindUnavailable, "the database is away")
	if got = run(t, x, a, w.job(`{}`)); got.Permanent || got.Outcome != hook.OutcomeFailed {
		t.Errorf("%+v", got)
	}
}

func BenchmarkPublishEvent(b *testing.B) {
	w := newWorld()
	x := w.executor(b)
	a := w.add("pub", hook.ActionPublishEvent, `{"type":"stock.received","entityId":"{{ item.sku }}","entity":{"sku":"{{ item.sku }}","qty":"{{ item.qty }}","from":"{{ request.ip }}"}}`)
	j := w.job(`{"sku":"A-1","qty":3,"note":"` + strings.Repeat("x", 900) + `"}`)
	t := hook.TargetOfAction(a)
	b.ReportAllocs()
	for b.Loop() {
		if got := x.Send(b.Context(), t, j, 1); got.Outcome != hook.OutcomeSucceeded {
			b.Fatal(got.Error)
		}
		w.planned = w.planned[:0]
	}
}
