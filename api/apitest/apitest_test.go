package apitest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"sallyport/api/apitest"
)

// notebook notes what a validator reports.
type notebook struct{ lines []string }

func (*notebook) Helper() {}
func (n *notebook) Errorf(format string, args ...any) {
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

const (
	id      = "019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a"
	receipt = `{"id":"a","type":"b","acceptedAt":"2026-11-21T02:13:00.207Z","matched":1,"duplicate":false}`
	problem = `{"type":"x","title":"x","status":401,"code":"unauthorized","requestId":"` + id + `"}`
)

func TestValidatorSeesWhatBreaksTheContract(t *testing.T) {
	t.Parallel()
	for why, c := range map[string]struct {
		method, path string
		status       int
		header       []string
		body         string
		want         string // "" is fine
	}{
		"a good answer":                           {"POST", "/v1/events", 202, nil, receipt, ""},
		"a field missing":                         {"POST", "/v1/events", 202, nil, strings.Replace(receipt, `"matched":1,`, "", 1), "matched"},
		"a field of a wrong type":                 {"POST", "/v1/events", 202, nil, strings.Replace(receipt, "false", `"no"`, 1), "duplicate"},
		"a field too many":                        {"POST", "/v1/events", 202, nil, strings.Replace(receipt, "{", `{"secret":"x",`, 1), "/secret is not in the contract"},
		"a field too many, deep":                  {"POST", "/v1/events/batch", 202, nil, `{"accepted":1,"duplicates":0,"rejected":0,"data":[{"index":0,"status":"accepted","receipt":` + strings.Replace(receipt, "{", `{"secret":"x",`, 1) + `}]}`, "/data/0/receipt/secret is not in the contract"},
		"another status":                          {"GET", "/healthz", 201, nil, `{"status":"ok"}`, "status is not in the contract"},
		"another content type":                    {"POST", "/v1/events", 202, []string{"Content-Type", "text/plain"}, receipt, "content type text/plain"},
		"no request id":                           {"POST", "/v1/events", 202, []string{"X-Request-Id", ""}, receipt, "no X-Request-Id"},
		"a result that is none":                   {"PUT", "/v1/webhooks/a", 500, []string{"Content-Type", "application/json"}, `{}`, "an error came as"},
		"a good problem":                          {"GET", "/v1/info", 401, []string{"Content-Type", "application/problem+json", "WWW-Authenticate", "Bearer"}, problem, ""},
		"a problem without what its status needs": {"GET", "/v1/info", 401, []string{"Content-Type", "application/problem+json"}, problem, "no WWW-Authenticate"},
		"a problem that says another status":      {"GET", "/v1/info", 403, []string{"Content-Type", "application/problem+json"}, problem, "the body says 401"},
		"a problem of another call":               {"GET", "/v1/info", 401, []string{"Content-Type", "application/problem+json", "WWW-Authenticate", "Bearer", "X-Request-Id", "x"}, problem, "requestId is not"},
		"a body where none belongs":               {"DELETE", "/v1/webhooks/a", 204, nil, "", ""},
		"an error on a path outside":              {"GET", "/nowhere", 404, []string{"Content-Type", "application/json"}, `{"message":"Not Found"}`, "an error came as"},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			n := &notebook{}
			v := apitest.New(n)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("X-Request-Id", id)
				for i := 0; i < len(c.header); i += 2 {
					w.Header().Set(c.header[i], c.header[i+1])
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := v.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(res.Body); err != nil || string(b) != c.body {
				t.Errorf("the client got %q, %v", b, err)
			}
			_ = res.Body.Close()
			switch all := strings.Join(n.lines, "\n"); {
			case c.want == "" && all != "":
				t.Errorf("reported: %s", all)
			case !strings.Contains(all, c.want):
				t.Errorf("reported %q, not %q", all, c.want)
			}
			if got := v.Leaks([]string{"planted", c.body}, nil); len(got) != 1 && c.body != "" {
				t.Errorf("leaks = %q", got)
			}
		})
	}
}

func TestCodesAreCollected(t *testing.T) {
	t.Parallel()
	v := apitest.New(&notebook{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, problem)
	}))
	defer server.Close()
	for range 2 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/info", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := v.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	if got := v.Codes(); !slices.Equal(got, []string{"unauthorized"}) {
		t.Errorf("%q", got)
	}
}

func TestNotificationsAreChecked(t *testing.T) {
	t.Parallel()
	send := func(body string, without string) []string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks", strings.NewReader(body))
		for name, value := range map[string]string{
			"webhook-id": "a", "webhook-timestamp": "1795226400", "X-Webhook-Event-Id": "a", "X-Webhook-Event": "b",
			"X-Webhook-Id": id, "X-Webhook-Delivery-Id": id, "X-Webhook-Attempt": "1", "X-Signature": strings.Repeat("0a", 32),
		} {
			if name != without {
				r.Header.Set(name, value)
			}
		}
		return apitest.CheckNotification(r, []byte(body))
	}
	good := `{"eventId":"a","eventType":"b","webhookId":"` + id + `","entityId":7,"entity":{"a":null},"timestamp":1795226400000}`
	if got := send(good, ""); len(got) != 0 {
		t.Errorf("a good one: %q", got)
	}
	if got := send(good, "webhook-id"); len(got) != 1 || !strings.Contains(got[0], "no webhook-id") {
		t.Errorf("without webhook-id: %q", got)
	}
	if got := send(`{"eventId":"a","eventType":"b","webhookId":"`+id+`","timestamp":"now","secret":1}`, ""); len(got) != 2 {
		t.Errorf("a bad body: %q", got)
	}

	n := &notebook{}
	var got string
	h := apitest.New(n).Receiver(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = string(b)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks", strings.NewReader("{}")))
	if got != "{}" || len(n.lines) == 0 {
		t.Errorf("the receiver got %q and %q was reported", got, n.lines)
	}
}
