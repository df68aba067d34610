package send_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/hook"
	"sallyport/internal/send"
)

func TestExchange(t *testing.T) {
	t.Parallel()
	type got struct {
		method, agent, body string
		lines               []string
	}
	seen := make(chan got, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen <- got{r.Method, r.UserAgent(), string(body), r.Header["X-Two"]}
		w.Header().Set("X-Echo", "planted-secret")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "it was planted-secret")
	})
	s := sender(t, func(c *send.Config) { c.RequestKept = 20 })
	long := strings.Repeat("x", 15) + "planted-secret" + strings.Repeat("y", 10)
	a := s.Exchange(t.Context(), send.Request{
		Method: "PATCH", URL: url + "/?k=planted-secret#part", Body: []byte(long), Secrets: []string{"abc", "planted-secret"}, SuccessCodes: []string{"202"},
		Headers: []send.Field{{Name: "X-Two", Value: "b"}, {Name: "user-agent", Value: "mine"}, {Name: "X-Two", Value: "a"}, {Name: "A", Value: "v planted-secret"}},
	})
	g := <-seen
	if a.Outcome != hook.OutcomeSucceeded || g.method != "PATCH" || g.agent != "mine" || g.body != long || strings.Join(g.lines, "") != "ba" {
		t.Fatalf("%+v %+v", a, g)
	}
	if a.Request.URL != url+"/?k=[redacted]" || string(a.Request.Body.Bytes) != strings.Repeat("x", 15)+"[reda" || !a.Request.Body.Truncated || a.Request.Body.Size != int64(len(long)) {
		t.Errorf("%+v", a.Request)
	}
	kept := append(append([]byte{}, a.Request.Body.Bytes...), a.Response.Body.Bytes...)
	for _, h := range append(a.Request.Headers, a.Response.Headers...) {
		kept = append(kept, h.Value...)
	}
	if bytes.Contains(kept, []byte("planted")) {
		t.Errorf("on record: %s", kept)
	}
	for _, r := range []send.Request{
		{URL: "nonsense"}, {URL: "http://u:p@127.0.0.1/"}, {URL: url, Headers: []send.Field{{Name: "a b"}}}, {URL: url, Headers: []send.Field{{Name: "A", Value: "a\r\nB: c"}}},
	} {
		if a := s.Exchange(t.Context(), r); a.ErrorClass != hook.ClassTemplate || !a.Permanent {
			t.Errorf("%+v: %+v", r, a)
		}
	}
}

// A value that a template put into a query as it is arrives as it is.
func TestExchangeEncodesTheQuery(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.URL.Query().Get("name") })
	a := sender(t).Exchange(t.Context(), send.Request{URL: url + "/?name=Jörg HTTP/1.1&x=%20+y"})
	if a.Outcome != hook.OutcomeSucceeded {
		t.Fatalf("%+v", a)
	}
	if got := <-seen; got != "Jörg HTTP/1.1" {
		t.Errorf("%q arrived", got)
	}
}
