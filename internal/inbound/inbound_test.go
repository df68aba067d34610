package inbound

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
)

const minuteHash = "{{ ('your-string-here' ~ 'now'|date('Y-m-d_H-i'))|md5 }}"

// The hash of a minute, at its edges and with clocks that are off.
func TestHashAtMinuteBoundaries(t *testing.T) {
	const (
		h56 = "42258c7070df515e22fb9912cfae6a80" // of 2026-11-21 20:56 UTC, by PHP
		h57 = "994ef995720b7e2c2408bb9407bfcdcf"
		leq = "3e31af54a3d88fb6de0183bb707a75a8" // of 2024-02-29 23:59
		mar = "e7d12dbb1e1dc96a82df4c968337ec00" // of 2024-03-01 00:00
	)
	for name, c := range map[string]struct {
		at        string
		hash      string
		tolerance time.Duration
		want      hook.Kind
		offset    string
	}{
		"within the minute":                           {"2026-11-21T20:56:59.9Z", h56, 30 * time.Second, "", "0s"},
		"sent a moment before, checked after":         {"2026-11-21T20:57:00.3Z", h56, 30 * time.Second, "", "-15s"},
		"a clock that is 29 s slow":                   {"2026-11-21T20:57:28Z", h56, 30 * time.Second, "", "-30s"},
		"a clock that is 31 s slow is too far":        {"2026-11-21T20:57:31Z", h56, 30 * time.Second, hook.KindHashMismatch, ""},
		"a clock that is fast":                        {"2026-11-21T20:56:45Z", h57, 30 * time.Second, "", "15s"},
		"no tolerance, the minute's first instant":    {"2026-11-21T20:57:00Z", h57, 0, "", "0s"},
		"no tolerance, the minute before":             {"2026-11-21T20:57:00Z", h56, 0, hook.KindHashMismatch, ""},
		"no tolerance, the minute's last instant":     {"2026-11-21T20:56:59.999Z", h56, 0, "", "0s"},
		"a tolerance below 15 s is looked at whole":   {"2026-11-21T20:57:04Z", h56, 5 * time.Second, "", "-5s"},
		"and no further":                              {"2026-11-21T20:57:06Z", h56, 5 * time.Second, hook.KindHashMismatch, ""},
		"the leap day's last minute":                  {"2024-02-29T23:59:59Z", leq, 0, "", "0s"},
		"the next month, the day before was the 29th": {"2024-03-01T00:00:00Z", mar, 0, "", "0s"},
		"upper case is another hash":                  {"2026-11-21T20:56:30Z", strings.ToUpper(h56), 30 * time.Second, hook.KindHashMismatch, ""},
		"blanks around it do not count":               {"2026-11-21T20:56:30Z", "+" + h56 + "%20", 30 * time.Second, "", "0s"},
		"an empty one":                                {"2026-11-21T20:56:30Z", "", 30 * time.Second, hook.KindHashMismatch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.door(func(x *hook.IncomingWebhook) { x.Hash, x.HashTolerance = minuteHash, c.tolerance })
			answer, _ := w.call(func(call *hook.DoorCall) {
				call.RawQuery = "hash=" + c.hash
				at(call, c.at)
			})
			if got := kind(answer); got != c.want {
				t.Fatalf("answered %q, want %q", got, c.want)
			}
			if c.want != "" {
				return
			}
			r := w.admitted[0].Request
			if got := shortDuration(*r.ClockOffset); got != c.offset {
				t.Errorf("clock offset %s, want %s", got, c.offset)
			}
			if strings.Contains(r.RawQuery, c.hash[5:]) || r.RawQuery != "hash="+hook.HiddenMark {
				t.Errorf("the hash stands in the record: %s", r.RawQuery)
			}
		})
	}
}

func shortDuration(d time.Duration) string {
	if d < 0 {
		return "-" + hook.FormatDuration(-d)
	}
	return hook.FormatDuration(d)
}

// Where the hash is looked for, and what is none.
func TestWhereTheHashIs(t *testing.T) {
	header := func(c *hook.DoorCall) { c.Header.Set("X-Hash", "s3cr3t") }
	query := func(q string) func(*hook.DoorCall) { return func(c *hook.DoorCall) { c.RawQuery = q } }
	for name, c := range map[string]struct {
		place hook.HashPlace
		php   bool
		call  func(*hook.DoorCall)
		want  hook.Kind
	}{
		"in the query":                              {hook.HashPlace{In: "query", Name: "hash"}, false, query("hash=s3cr3t"), ""},
		"under another name":                        {hook.HashPlace{In: "query", Name: "sig"}, false, query("sig=s3cr3t"), ""},
		"in a header, where it is asked for":        {hook.HashPlace{In: "header", Name: "X-Hash"}, false, header, ""},
		"in a header, where it is not":              {hook.HashPlace{In: "query", Name: "hash"}, false, header, hook.KindHashMissing},
		"in the query, where a header is asked for": {hook.HashPlace{In: "header", Name: "X-Hash"}, false, query("hash=s3cr3t"), hook.KindHashMissing},
		"not there":                                 {hook.HashPlace{In: "query", Name: "hash"}, false, query("other=1"), hook.KindHashMissing},
		"a list":                                    {hook.HashPlace{In: "query", Name: "hash"}, false, query("hash[]=s3cr3t"), hook.KindHashMissing},
		"twice":                                     {hook.HashPlace{In: "query", Name: "hash"}, false, query("hash=s3cr3t&hash=s3cr3t"), hook.KindHashMissing},
		"escaped":                                   {hook.HashPlace{In: "query", Name: "hash"}, false, query("hash=s3cr%33t"), ""},
		"PHP: the last of two counts":               {hook.HashPlace{In: "query", Name: "hash"}, true, query("hash=x&hash=s3cr3t"), ""},
		"PHP: the last of two, wrong":               {hook.HashPlace{In: "query", Name: "hash"}, true, query("hash=s3cr3t&hash=x"), hook.KindNotFound},
		"PHP: a list matches nothing":               {hook.HashPlace{In: "query", Name: "hash"}, true, query("hash[]=s3cr3t"), hook.KindNotFound},
		"PHP: a list after it hides it":             {hook.HashPlace{In: "query", Name: "hash"}, true, query("hash=s3cr3t&hash[]=x"), hook.KindNotFound},
		"another case":                              {hook.HashPlace{In: "query", Name: "hash"}, false, query("hash=S3CR3T"), hook.KindHashMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.door(func(x *hook.IncomingWebhook) {
				x.Hash, x.HashIn = " s3cr3t\n", c.place
				if c.php {
					x.Profile = hook.DoorAtroCore
				}
			})
			answer, _ := w.call(func(call *hook.DoorCall) {
				if c.php {
					call.Profile = hook.DoorAtroCore
				}
				c.call(call)
			})
			got := kind(answer)
			if c.php && answer.Status == http.StatusNotFound {
				got = hook.KindNotFound
			}
			if got != c.want {
				t.Errorf("answered %q (%d), want %q", got, answer.Status, c.want)
			}
		})
	}
}

// A hash that cannot be rendered, or renders nothing, refuses; it never opens the door.
func TestBrokenHashRefuses(t *testing.T) {
	for _, source := range []string{"{{ 1 // 0 }}", "{# {{ 'x'|md5 }} #}", "{{ null }}", "{{ 'null' }}", "{{ 5 - 5 }}", "{{ 'a'|nosuchfilter }}", "{{ secrets.a|date('Y') }}"} {
		for _, given := range []string{"", "0", "null", "Error"} {
			w := start(t)
			w.door(func(x *hook.IncomingWebhook) {
				x.Hash, x.Secrets = hook.Sensitive(source), []hook.NamedSecret{{Name: "a", Value: "planted"}}
			})
			answer, _ := w.call(func(c *hook.DoorCall) { c.RawQuery = "hash=" + given })
			if kind(answer) != hook.KindHashMismatch {
				t.Errorf("%s given %q: %q", source, given, kind(answer))
			}
			checks := w.refused(1)[0].Checks
			if detail := checks[len(checks)-1].Detail; !strings.Contains(detail, "render") || strings.Contains(detail, "planted") {
				t.Errorf("%s is refused because %q", source, detail)
			}
		}
	}
}

// The checks come in their order, cheap ones before the body is read, and each refusal is
// recorded with its reason.
func TestRefusalsInOrder(t *testing.T) {
	text := "abc"
	everything := func(x *hook.IncomingWebhook) {
		x.IPAllowList = []string{"203.0.113.0/24", "2001:db8::/32"}
		x.Hash = "s3cr3t"
		x.PreProcessors = []hook.PreProcessor{{Name: "token", Type: "header", Header: "X-Token", Equals: &text}}
	}
	good := func(c *hook.DoorCall) {
		c.RawQuery = "hash=s3cr3t"
		c.Header.Set("X-Token", "abc")
	}
	for name, c := range map[string]struct {
		door   func(*hook.IncomingWebhook)
		call   func(*hook.DoorCall)
		want   hook.Kind
		reason string
		checks string
		unread bool
	}{
		"disabled looks unknown": {func(x *hook.IncomingWebhook) { x.Enabled = false }, nil, hook.KindNotFound, "not_found", "known=passed active=failed", true},
		"method":                 {everything, func(c *hook.DoorCall) { c.Method = "PUT" }, hook.KindMethodNotAllowed, "method_not_allowed", "known=passed active=passed method=failed", true},
		"address": {everything, func(c *hook.DoorCall) { good(c); c.Client = netip.MustParseAddr("198.51.100.1") }, hook.KindIPNotAllowed, "ip_not_allowed",
			"known=passed active=passed method=passed ip=failed", true},
		"hash": {everything, func(c *hook.DoorCall) { good(c); c.RawQuery = "hash=x" }, hook.KindHashMismatch, "hash_mismatch",
			"known=passed active=passed method=passed ip=passed hash=failed", false},
		"pre-processor": {everything, func(c *hook.DoorCall) { good(c); c.Header.Set("X-Token", "abcd") }, hook.KindPreProcessor, "pre_processor_refused",
			"known=passed active=passed method=passed ip=passed hash=passed token=failed", false},
		"a header twice": {everything, func(c *hook.DoorCall) { good(c); c.Header.Add("X-Token", "abc") }, hook.KindPreProcessor, "pre_processor_refused",
			"known=passed active=passed method=passed ip=passed hash=passed token=failed", false},
		"body": {everything, func(c *hook.DoorCall) { good(c); c.Body = &body{bytes: []byte("{")} }, hook.KindMalformedBody, "malformed_body",
			"known=passed active=passed method=passed ip=passed hash=passed token=passed parse=failed", false},
		"loop": {nil, func(c *hook.DoorCall) { c.Hops = hook.MaxHops }, hook.KindLoopDetected, "loop_detected", "known=passed active=passed method=passed loop=failed", true},
		"too large": {func(x *hook.IncomingWebhook) { x.MaxBodyBytes = 5 }, nil, hook.KindTooLarge, "payload_too_large",
			"known=passed active=passed method=passed body=failed", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.door(c.door)
			answer, call := w.call(c.call)
			if kind(answer) != c.want {
				t.Fatalf("answered %q, want %q", kind(answer), c.want)
			}
			if len(w.admitted) > 0 {
				t.Error("something was admitted")
			}
			r := w.refused(1)[0]
			if r.Verdict != hook.VerdictRefused || r.Reason != c.reason || checksOf(r) != c.checks {
				t.Errorf("recorded %s %s: %s", r.Verdict, r.Reason, checksOf(r))
			}
			if b := call.Body.(*body); c.unread && b.reads > 0 {
				t.Error("the body was read")
			}
			if r.Status == 0 {
				t.Error("no status is recorded")
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		w := start(t)
		w.door(everything)
		if answer, _ := w.call(good); answer.Status != http.StatusAccepted {
			t.Errorf("answered %+v", answer)
		}
	})
}

// Addresses, mapped and of both families.
func TestAddresses(t *testing.T) {
	for client, ok := range map[string]bool{
		"203.0.113.7": true, "203.0.114.7": false, "::ffff:203.0.113.7": true, "::ffff:198.51.100.1": false, "2001:db8::1": true, "2001:db9::1": false,
		"192.0.2.5": true, "192.0.2.6": false,
	} {
		w := start(t)
		w.door(func(x *hook.IncomingWebhook) {
			x.IPAllowList = []string{"203.0.113.0/24", "2001:db8::/32", "::ffff:192.0.2.5"}
		})
		answer, _ := w.call(func(c *hook.DoorCall) { c.Client = netip.MustParseAddr(client) })
		if (answer.Problem == nil) != ok {
			t.Errorf("%s: %v", client, answer.Problem)
		}
	}
}

// One request, several routes, each with its own idea of the items.
func TestRoutesDoNotStopEachOther(t *testing.T) {
	w := start(t)
	items := hook.DefaultParser()
	items.Items = "products[*]"
	w.door(func(x *hook.IncomingWebhook) {
		x.Routes = []hook.Route{
			{Name: "primary", Action: "whole"},
			{Name: "each", Action: "each", Parser: &items},
			{Name: "filtered", Action: "whole2", Condition: "false"},
			{Name: "broken", Action: "whole3", Condition: "item.products|nosuch"},
			{Name: "shaped", Action: "shaped", Transform: `{"n": {{ item.products|length }}}`},
			{Name: "again", Action: "whole"},
			{Name: "gone", Action: "nobody"},
		}
	})
	for _, code := range []string{"whole", "each", "whole2", "whole3", "shaped"} {
		w.action(code)
	}
	const sent = `{"products":[{"sku":"A","qty":1.10},{"sku":"B"},{"sku":"C"}]}`
	answer, _ := w.call(func(c *hook.DoorCall) { c.Body = &body{bytes: []byte(sent)} })
	if answer.Status != http.StatusAccepted {
		t.Fatalf("answered %+v", answer)
	}
	var got []string
	for _, e := range w.admitted[0].Events {
		var to []string
		for _, r := range e.Routed {
			to = append(to, r.Target.Code+string(r.Skipped))
		}
		got = append(got, string(e.Entity)+" -> "+strings.Join(to, " "))
	}
	want := []string{
		sent + " -> whole whole3condition_error", `{"sku":"A","qty":1.10} -> each`, `{"sku":"B"} -> each`, `{"sku":"C"} -> each`, `{"n": 3} -> shaped`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// The record says why items did not go where a route leads.
	var notes []string
	for _, c := range w.admitted[0].Request.Checks {
		if strings.HasPrefix(c.Name, "route:") {
			notes = append(notes, c.Name+" "+c.Result+" "+c.Detail)
		}
	}
	if len(notes) != 3 || notes[0] != "route:filtered skipped the condition is false" ||
		!strings.HasPrefix(notes[1], `route:broken failed the condition cannot be evaluated: Unknown "nosuch" filter`) ||
		notes[2] != "route:gone skipped the action nobody is disabled" {
		t.Errorf("notes:\n%s", strings.Join(notes, "\n"))
	}
	if r := w.admitted[0].Request; r.Events != 5 || r.Deliveries != 6 || !strings.Contains(string(answer.Body), `"events":5,"deliveries":6`) {
		t.Errorf("counted %d events, %d deliveries: %s", r.Events, r.Deliveries, answer.Body)
	}
}

// A route whose parser cannot read the body fails alone.
func TestRouteThatCannotParse(t *testing.T) {
	w := start(t)
	xml := hook.DefaultParser()
	xml.Type = hook.ParserXML
	w.door(func(x *hook.IncomingWebhook) {
		x.Routes = []hook.Route{{Name: "primary", Action: "a"}, {Name: "xml", Action: "b", Parser: &xml}}
	})
	w.action("a")
	w.action("b")
	if answer, _ := w.call(nil); answer.Status != http.StatusAccepted {
		t.Fatalf("answered %+v", answer)
	}
	a := w.admitted[0]
	if len(a.Events) != 1 || !strings.Contains(checksOf(a.Request), "route:xml=failed") {
		t.Errorf("%d events, checks %s", len(a.Events), checksOf(a.Request))
	}
}

// A configuration that changes between judging and storing is judged by anew.
func TestChangedDoorIsAskedAgain(t *testing.T) {
	w := start(t)
	w.door(nil)
	n := 0
	w.admit = func(*hook.Admission) (hook.ID, error) {
		if n++; n == 1 {
			changed := *w.doors[0]
			changed.Version, changed.Hash = 2, "s3cr3t"
			w.doors[0], w.version = &changed, 2
			return hook.NoID, hook.ErrChanged
		}
		return hook.NoID, nil
	}
	if answer, _ := w.call(nil); kind(answer) != hook.KindHashMissing {
		t.Errorf("answered %q by the door that was", kind(answer))
	}
}

// Duplicates are answered as the first, or refused.
func TestRepeats(t *testing.T) {
	for mode, want := range map[string]string{hook.DuplicateAccept: "", hook.DuplicateRefuse: "duplicate_refused"} {
		w := start(t)
		w.door(func(x *hook.IncomingWebhook) {
			x.Dedupe = &hook.Dedupe{Key: "{{ request.rawBody }}", Window: time.Hour, OnDuplicate: mode}
		})
		first := w.ids.New()
		w.admit = func(a *hook.Admission) (hook.ID, error) {
			if a.Dedupe == nil {
				t.Error("there is no key")
			}
			return first, nil
		}
		answer, _ := w.call(nil)
		if string(kind(answer)) != want {
			t.Errorf("%s: %q", mode, kind(answer))
		}
		r := w.refused(1)[0]
		if r.DuplicateOf != first {
			t.Errorf("%s: duplicate of %s", mode, r.DuplicateOf)
		}
		if want == "" && !strings.Contains(string(answer.Body), `"requestId":"`+first.String()+`","events":0,"deliveries":0,"duplicate":true`) {
			t.Errorf("answered %s", answer.Body)
		}
	}
}

// A flood of refusals is counted, not kept.
func TestFloodsOfRefusals(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) { x.Hash = "s3cr3t" })
	var flood sync.WaitGroup
	began := time.Now()
	for range 200 {
		flood.Go(func() { w.call(nil) })
	}
	flood.Wait()
	most := refusalsPerSecond * (2 + int(time.Since(began).Seconds())) // at once, and in so many seconds
	w.stop()
	if n := len(w.refused(1)); n > most && most < 200 {
		t.Errorf("%d of 200 refusals were stored, at most %d are to be", n, most)
	}
	if len(w.counted) != 200 {
		t.Errorf("%d were counted", len(w.counted))
	}
}

// Uniform doors tell nothing, and take the same time about.
func TestUniformRefusals(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) { x.Hash, x.Refusal = "s3cr3t", hook.RefusalUniform })
	unknown, _ := w.call(func(c *hook.DoorCall) { c.Code = "nobody" })
	wrong, _ := w.call(nil)
	method, _ := w.call(func(c *hook.DoorCall) { c.Method = "PUT" })
	if fmt.Sprint(unknown.Problem) != fmt.Sprint(wrong.Problem) || fmt.Sprint(method.Problem) != fmt.Sprint(unknown.Problem) || method.Header != nil {
		t.Errorf("answers differ: %v, %v, %v", unknown.Problem, wrong.Problem, method.Problem)
	}
	tooLarge, _ := w.call(func(c *hook.DoorCall) { c.Body = &body{err: hook.Errorf(hook.KindTooLarge, "x")} })
	if kind(tooLarge) != hook.KindTooLarge {
		t.Errorf("a sender must learn of %q", kind(tooLarge))
	}
}

// A door that waits answers with what its actions did.
func TestWaiting(t *testing.T) {
	body := `{"said": {{ results[0].body|json_encode|raw }}}`
	for name, c := range map[string]struct {
		finish func(f *hook.Finish)
		status int // 202: what was waited for has not come in time
		kind   hook.Kind
	}{
		"all succeeded": {func(f *hook.Finish) {
			f.State = hook.StateSucceeded
			f.Attempt = &hook.Attempt{Outcome: hook.OutcomeSucceeded, Response: &hook.ReceivedResponse{Status: 200, Body: hook.Body{Bytes: []byte("hi")}}}
		}, 201, ""},
		"the first attempt failed": {func(f *hook.Finish) {
			f.State, f.Attempt = hook.StatePending, &hook.Attempt{Outcome: hook.OutcomeFailed}
		}, 0, hook.KindActionFailed},
		"it failed for good": {func(f *hook.Finish) {
			f.State, f.Attempt = hook.StateFailed, &hook.Attempt{Outcome: hook.OutcomeFailed}
		}, 0, hook.KindActionFailed},
		"the action did not want it": {func(f *hook.Finish) { f.State = hook.StateSkipped }, 201, ""},
		"it is cut off by a stop": {func(f *hook.Finish) {
			f.State, f.Attempt = hook.StatePending, &hook.Attempt{Outcome: hook.OutcomeAborted}
		}, 202, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.door(func(x *hook.IncomingWebhook) {
				x.Routes = []hook.Route{{Name: "primary", Action: "a"}}
				x.Response = hook.DoorResponse{Mode: hook.ResponseWait, Status: 201, Body: &body, Timeout: time.Minute}
				if c.status == http.StatusAccepted {
					x.Response.Timeout = 100 * time.Millisecond
				}
			})
			action := w.action("a")
			w.admit = func(a *hook.Admission) (hook.ID, error) {
				go func() {
					f := &hook.Finish{Job: &hook.Job{Delivery: hook.Delivery{Target: action.ID, TargetKind: hook.TargetAction}}}
					c.finish(f)
					a.Watch(f)
				}()
				return hook.NoID, nil
			}
			answer, call := w.call(nil)
			if kind(answer) != c.kind || answer.Status != c.status {
				t.Errorf("answered %q %d", kind(answer), answer.Status)
			}
			if name == "all succeeded" && string(answer.Body) != `{"said": "hi"}` {
				t.Errorf("answered %s", answer.Body)
			}
			if p := answer.Problem; p != nil && strings.Contains(p.Error(), "will be tried again") != (name == "the first attempt failed") {
				t.Errorf("told %v", p)
			}
			if want := map[bool]int{true: 502, false: 202}[c.kind != ""]; c.status != 201 && w.answered[call.ID] != want {
				t.Errorf("recorded as answered %d", w.answered[call.ID])
			}
		})
	}
}

// Many items are accepted at once and become events piece by piece.
func TestManyItems(t *testing.T) {
	w := start(t)
	w.action("a")
	w.door(func(x *hook.IncomingWebhook) {
		x.Routes = []hook.Route{{Name: "primary", Action: "a"}}
		x.PostProcessors = []hook.PostProcessor{{Type: hook.PostAction, Action: "a"}}
	})
	var b strings.Builder
	b.WriteString("[0")
	for i := 1; i < 1234; i++ {
		fmt.Fprintf(&b, ",%d", i)
	}
	b.WriteString("]")
	answer, _ := w.call(func(c *hook.DoorCall) { c.Body = &body{bytes: []byte(b.String())} })
	if answer.Status != http.StatusAccepted || !strings.Contains(string(answer.Body), `"events":1234`) || len(w.admitted[0].Events) != 0 {
		t.Fatalf("answered %d %s, %d events", answer.Status, answer.Body, len(w.admitted[0].Events))
	}
	w.expanded(1234)
	next := 0
	posts := 0
	for _, p := range w.pieces {
		for _, e := range p.Events {
			if e.Index != next || string(e.Entity) != fmt.Sprint(next) {
				t.Fatalf("item %d has index %d and is %s", next, e.Index, e.Entity)
			}
			next++
			posts += len(e.Routed) - 1
		}
	}
	if next != 1234 || posts != 1 {
		t.Errorf("%d items became events, post-processors ran %d times", next, posts)
	}
}

// A door that waits does not say that all is done when its actions have not begun.
func TestNobodyWaitsForManyItems(t *testing.T) {
	w := start(t)
	w.action("a")
	w.door(func(x *hook.IncomingWebhook) {
		x.Routes = []hook.Route{{Name: "primary", Action: "a"}}
		done := "done"
		x.Response = hook.DoorResponse{Mode: hook.ResponseWait, Status: 200, Body: &done}
	})
	answer, _ := w.call(func(c *hook.DoorCall) { c.Body = &body{bytes: []byte("[0" + strings.Repeat(",0", maxAtOnce) + "]")} })
	if answer.Status != http.StatusAccepted || !strings.Contains(string(answer.Body), `"events":501`) || w.admitted[0].Request.Status != http.StatusAccepted {
		t.Errorf("answered %d %s, recorded %d", answer.Status, answer.Body, w.admitted[0].Request.Status)
	}
}

// An answer that cannot be rendered is another than was announced, and recorded as it is.
func TestBrokenAnswerIsRecordedAsItIs(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) {
		broken := "{{ 1 // 0 }}"
		x.Response = hook.DoorResponse{Mode: hook.ResponseNow, Status: 200, Body: &broken}
	})
	answer, call := w.call(nil)
	if answer.Status != http.StatusAccepted || w.answered[call.ID] != http.StatusAccepted {
		t.Errorf("answered %d, recorded %d", answer.Status, w.answered[call.ID])
	}
}

// What was refused is released once its door is right.
func TestVerifyAndRelease(t *testing.T) {
	w := start(t)
	w.action("a")
	w.door(func(x *hook.IncomingWebhook) {
		x.Hash, x.Routes = "right", []hook.Route{{Name: "primary", Action: "a"}}
	})
	_, call := w.call(func(c *hook.DoorCall) { c.RawQuery = "hash=s3cr3t&n=1" })
	r := w.refused(1)[0]
	if r.RawQuery != "hash="+hook.HiddenMark+"&n=1" {
		t.Fatalf("recorded %s", r.RawQuery)
	}
	who := hook.Principal{Workspace: w.ws}
	verdict, reason, checks, err := w.d.Verify(context.Background(), who, call.ID)
	if err != nil || verdict != hook.VerdictRefused || reason != "hash_mismatch" || len(checks) == 0 {
		t.Errorf("verified %s %s, %v", verdict, reason, err)
	}
	if _, err := w.d.Replay(context.Background(), who, call.ID, w.ids.New()); hook.KindOf(err) != hook.KindInvalidState {
		t.Errorf("released while it does not pass: %v", err)
	}
	mended := *w.doors[0]
	mended.Version, mended.Hash = 2, "s3cr3t"
	w.doors[0] = &mended
	if verdict, _, _, err = w.d.Verify(context.Background(), who, call.ID); err != nil || verdict != hook.VerdictAccepted {
		t.Errorf("verified %s, %v", verdict, err)
	}
	id := w.ids.New()
	again, err := w.d.Replay(context.Background(), who, call.ID, id)
	if err != nil || again.ID != id || again.ReplayOf != call.ID || len(w.admitted) != 1 {
		t.Fatalf("released %+v, %v", again, err)
	}
	if got := string(w.admitted[0].Events[0].Entity); got != `{"sku":"A-1","qty":3}` {
		t.Errorf("released %s", got)
	}
}

// The profiles answer at their own URLs only, AtroCore's to the byte.
func TestProfiles(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) { x.Profile, x.Hash = hook.DoorAtroCore, "s3cr3t" })
	ok, _ := w.call(func(c *hook.DoorCall) {
		c.Profile, c.RawQuery = hook.DoorAtroCore, "entryPoint=webhook&code=erp-stock&hash=s3cr3t"
	})
	if ok.Status != 200 || string(ok.Body) != "OK" || ok.Header.Get("Content-Type") != "text/plain;charset=UTF-8" {
		t.Errorf("answered %+v", ok)
	}
	for name, change := range map[string]func(c *hook.DoorCall){
		"unknown code": func(c *hook.DoorCall) { c.Code = "x" },
		"empty code":   func(c *hook.DoorCall) { c.Code = "" },
		"wrong hash":   func(c *hook.DoorCall) { c.RawQuery = "hash=x" },
		"no hash":      nil,
		"method":       func(c *hook.DoorCall) { c.Method, c.RawQuery = "GET", "hash=s3cr3t" },
		"HEAD":         func(c *hook.DoorCall) { c.Method, c.RawQuery = "HEAD", "hash=s3cr3t" },
		"other header": func(c *hook.DoorCall) { c.Header.Set("hash", "s3cr3t") },
	} {
		bad, _ := w.call(func(c *hook.DoorCall) {
			c.Profile = hook.DoorAtroCore
			if change != nil {
				change(c)
			}
		})
		if bad.Status != 404 || len(bad.Body) != 74 || bad.Header.Get("Content-Type") != "text/html; charset=UTF-8" {
			t.Errorf("%s: answered %d %q %v", name, bad.Status, bad.Body, bad.Header)
		}
	}
	if here, _ := w.call(func(c *hook.DoorCall) { c.RawQuery = "hash=s3cr3t" }); kind(here) != hook.KindNotFound {
		t.Errorf("it answers at /in/, too: %+v", here)
	}
}

// A refusal by a configuration that another node has changed is no refusal.
func TestOutdatedRefusal(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) { x.Hash = "old" })
	stale := w.view()
	changed := *w.doors[0]
	changed.Version, changed.Hash = 2, "s3cr3t"
	w.doors[0], w.version = &changed, 2
	w.cached = stale
	if answer, _ := w.call(func(c *hook.DoorCall) { c.RawQuery = "hash=s3cr3t" }); answer.Status != http.StatusAccepted {
		t.Errorf("answered %+v", answer)
	}
}

// Xero wants 401 for a wrong signature, else it never begins to send.
func TestPresetThatInsistsOnItsStatus(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) {
		x.Secrets = []hook.NamedSecret{{Name: "key", Value: "a-secret-of-xero-0123456789"}}
		x.PreProcessors = []hook.PreProcessor{{Name: "xero", Type: "signature", Preset: "xero", Secrets: []string{"key"}}}
	})
	answer, _ := w.call(func(c *hook.DoorCall) { c.Header.Set("X-Xero-Signature", "bm9uc2Vuc2U=") })
	if kind(answer) != hook.KindCredentialsRefused || answer.Header.Get("Www-Authenticate") == "" {
		t.Errorf("answered %+v", answer)
	}
	if r := w.refused(1)[0]; r.Reason != "signature_mismatch" {
		t.Errorf("recorded %s", r.Reason)
	}
}

// What is signed may be a Twig template over the request.
func TestSignedContentAsTemplate(t *testing.T) {
	const signed = "7a6a1f1ab0ae3c8a2e8d9f0a9e8e1d5f" // of nothing: it must not pass
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) {
		x.Secrets = []hook.NamedSecret{{Name: "key", Value: "alumio-shared"}}
		x.PreProcessors = []hook.PreProcessor{{Name: "own", Type: "signature", Secrets: []string{"key"}, Signature: []byte(`{"header":"X-Sig",
			"content":"{{ request.headers['X-Part'] }}.{{ request.rawBody }}"}`)}}
	})
	send := func(sig string) hook.Kind {
		answer, _ := w.call(func(c *hook.DoorCall) {
			c.Header.Set("X-Part", "p1")
			c.Header.Set("X-Sig", sig)
			c.Body = &body{bytes: []byte(`{"n":1}`)}
		})
		return kind(answer)
	}
	// printf 'p1.{"n":1}' | openssl dgst -sha256 -hmac alumio-shared
	if got := send("14b7e4b3b09edc540cbd24e1c02c8a1b58b5a174ee805658196364cf232baf1c"); got != "" {
		t.Errorf("refused: %s", got)
	}
	if got := send(signed); got != hook.KindSignatureMismatch {
		t.Errorf("a wrong one: %q", got)
	}
}
