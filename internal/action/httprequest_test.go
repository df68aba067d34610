package action_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/send"
	"sallyport/internal/testkit"
)

const longSecret = `t0p/s3cr3t"with\signs`

func TestHTTPRequestSends(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t)
	r.Respond(testkit.Answer{Status: 201, Body: `{"echo":"` + longSecret + `"}`, Header: http.Header{"X-Echo": {"Bearer " + longSecret}}})
	w := newWorld()
	x := w.executor(t)
	a := w.add("call", hook.ActionHTTPRequest, `{"method":"put","url":"`+r.URL+`/stock/{{ item.sku|url_encode }}?k={{ secrets.k|url_encode }}",
		"headers":[{"name":"X-Sku","value":"{{ item.sku }}"},{"name":"X-Api-Key","value":"{{ secrets.k }}"},{"name":"X-Plain","value":"a {{ secrets.k }}"}],
		"basicAuth":{"username":"erp","password":"{{ secrets.k }}"},"body":{"qty":"{{ item.qty }}","secret":"{{ secrets.k }}"},"contentType":"application/vnd.x+json"}`,
		secrets("k", longSecret))
	got := run(t, x, a, w.job(`{"sku":"A 1","qty":3}`, hops(2)))
	q := r.Wait(1)[0]
	if got.Outcome != hook.OutcomeSucceeded || got.Response.Status != 201 {
		t.Fatalf("%+v", got)
	}
	if q.Method != "PUT" || !strings.HasPrefix(q.URL, "/stock/A%201?k=t0p%2F") || string(q.Body) != `{"qty":3,"secret":"t0p/s3cr3t\"with\\signs"}` {
		t.Errorf("%s %s %s", q.Method, q.URL, q.Body)
	}
	if user, password, ok := (&http.Request{Header: q.Header}).BasicAuth(); !ok || user != "erp" || password != longSecret {
		t.Errorf("credentials %q %q", user, password)
	}
	for name, want := range map[string]string{"X-Sku": "A 1", "X-Api-Key": longSecret, "Content-Type": "application/vnd.x+json", "Sallyport-Hops": "3", "User-Agent": "Sallyport/1.2.3"} {
		if q.Header.Get(name) != want {
			t.Errorf("%s is %q", name, q.Header.Get(name))
		}
	}
	kept := got.Request.URL + body(got.Request) + answer(got.Response)
	for _, h := range append(got.Request.Headers, got.Response.Headers...) {
		kept += h.Value
		if (h.Name == "Authorization" || h.Name == "X-Api-Key" || h.Name == "X-Plain") && !h.Redacted {
			t.Errorf("%s is on record", h.Name)
		}
	}
	if strings.Contains(kept, "s3cr3t") || !strings.Contains(kept, "[redacted]") {
		t.Errorf("on record: %s", kept)
	}
	if got.Action.Type != hook.ActionHTTPRequest || got.Request.Method != "PUT" || got.Timings.Total == 0 || got.RemoteAddress == "" {
		t.Errorf("%+v", got)
	}
}

func TestHTTPRequestBodies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ fields, body, contentType string }{
		"left out it is the item":     {``, `{ "a":1.10 }`, "application/json"},
		"none with GET":               {`"method":"GET"`, ``, ""},
		"none when null":              {`"body":null`, ``, ""},
		"the item in so many words":   {`"body":"{{ item|json_encode|raw }}"`, `{ "a":1.10 }`, "application/json"},
		"any text":                    {`"body":"a={{ item.a }}","contentType":"application/x-www-form-urlencoded"`, `a=1.1`, "application/x-www-form-urlencoded"},
		"a type among the headers":    {`"body":"x","headers":[{"name":"content-type","value":"text/plain"}]`, `x`, "text/plain"},
		"JSON in the configuration":   {`"body":["{{ item.a }}", 2]`, `[1.1,2]`, "application/json"},
		"the item with DELETE if so ": {`"method":"DELETE","body":"{{ item }}"`, `{ "a":1.10 }`, "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testkit.NewReceiver(t)
			w := newWorld()
			config := `{"url":"` + r.URL + `"`
			if c.fields != "" {
				config += "," + c.fields
			}
			got := run(t, w.executor(t), w.add("call", hook.ActionHTTPRequest, config+"}"), w.job(`{ "a":1.10 }`))
			if got.Outcome != hook.OutcomeSucceeded {
				t.Fatalf("%+v", got)
			}
			q := r.Wait(1)[0]
			if string(q.Body) != c.body || q.Header.Get("Content-Type") != c.contentType {
				t.Errorf("%q of type %q", q.Body, q.Header.Get("Content-Type"))
			}
		})
	}
}

func TestHTTPRequestOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer    testkit.Answer
		fields    string
		outcome   hook.Outcome
		class     hook.ErrorClass
		permanent bool
		after     time.Duration
	}{
		"busy":           {testkit.Answer{Status: 503, Header: http.Header{"Retry-After": {"120"}}}, ``, hook.OutcomeFailed, hook.ClassStatus, false, 2 * time.Minute},
		"gone":           {testkit.Answer{Status: 410}, ``, hook.OutcomeFailed, hook.ClassStatus, true, 0},
		"redirect":       {testkit.Answer{Status: 302, Header: http.Header{"Location": {"/x"}}}, ``, hook.OutcomeFailed, hook.ClassRedirect, false, 0},
		"a success code": {testkit.Answer{Status: 404}, `,"successCodes":["2xx","404"]`, hook.OutcomeSucceeded, "", false, 0},
		"none of them":   {testkit.Answer{Status: 200}, `,"successCodes":["204"]`, hook.OutcomeFailed, hook.ClassStatus, false, 0},
		"cut":            {testkit.Answer{Cut: true}, ``, hook.OutcomeFailed, hook.ClassReset, false, 0},
		"too slow":       {testkit.Answer{Hang: true}, ``, hook.OutcomeFailed, hook.ClassTimeout, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testkit.NewReceiver(t)
			r.Respond(c.answer)
			w := newWorld()
			a := w.add("call", hook.ActionHTTPRequest, `{"url":"`+r.URL+`"`+c.fields+`}`, func(a *hook.Action) {
				if c.class == hook.ClassTimeout {
					a.Timeout = 100 * time.Millisecond
				}
			})
			got := run(t, w.executor(t), a, w.job(`{}`))
			if got.Outcome != c.outcome || got.ErrorClass != c.class || got.Permanent != c.permanent || got.RetryAfter != c.after {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestHTTPRequestRefusesPrivateAddressesAndBadURLs(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := w.executor(t)
	for item, want := range map[string]hook.ErrorClass{
		`{"url":"http://169.254.169.254/"}`: hook.ClassEgress, `{"url":"ftp://example.com/"}`: hook.ClassTemplate,
		`{"url":"http://a:b@example.com/"}`: hook.ClassTemplate, `{"url":""}`: hook.ClassTemplate, `{"url":"http://127.0.0.1\r\nX: y/"}`: hook.ClassTemplate,
	} {
		got := run(t, x, w.add("call", hook.ActionHTTPRequest, `{"url":"{{ item.url }}"}`), w.job(item))
		if got.ErrorClass != want || !got.Permanent {
			t.Errorf("%s: %+v", item, got)
		}
	}
	got := run(t, x, w.add("call", hook.ActionHTTPRequest, `{"url":"http://127.0.0.1:1","headers":[{"name":"X-A","value":"{{ item.v }}"}]}`), w.job(`{"v":"a\r\nEvil: b"}`))
	if got.ErrorClass != hook.ClassTemplate {
		t.Errorf("a header was injected: %+v", got)
	}
}

func TestStoppingAborts(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t)
	r.Respond(testkit.Answer{Hang: true})
	w := newWorld()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		r.WaitOpen(1)
		cancel(send.ErrStopping)
	}()
	got := w.executor(t).Send(ctx, hook.TargetOfAction(w.add("call", hook.ActionHTTPRequest, `{"url":"`+r.URL+`"}`)), w.job(`{}`), 1)
	if got.Outcome != hook.OutcomeAborted {
		t.Errorf("%+v", got)
	}
}
