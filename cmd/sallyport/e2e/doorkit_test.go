package e2e

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/testkit"
)

// in is the path of a door of the world's workspace.
func (w *world) in(code string) string { return "/w/" + w.workspace + "/in/" + code }

// door makes an incoming webhook; more replaces and adds fields.
func (w *world) door(code string, more doc) *answer {
	w.t.Helper()
	c := w.admin
	if more["hash"] != nil {
		c = w.quiet() // the admin who set a hash is shown it
	}
	return c.post("/v1/incoming-webhooks", doc{"code": code}.with(more)).want(http.StatusCreated)
}

// action makes an action that is tried again at once; more replaces and adds fields.
func (w *world) action(code, kind string, config doc, more ...doc) *answer {
	w.t.Helper()
	body := doc{"code": code, "type": kind, "config": config, "retry": doc{"schedule": []string{"100ms"}, "jitter": 0}}
	for _, m := range more {
		body = body.with(m)
	}
	return w.admin.post("/v1/actions", body).want(http.StatusCreated)
}

// sink makes an action that sends each item to a receiver.
func (w *world) sink(code string) *testkit.Receiver {
	w.t.Helper()
	r := w.receiver()
	w.action(code, "httpRequest", doc{"url": r.URL + "/" + code})
	return r
}

// to is a door's list of routes, one to each action.
func to(actions ...string) []doc {
	out := make([]doc, len(actions))
	for i, a := range actions {
		out[i] = doc{"action": a}
	}
	return out
}

// noted is the record of a call, by the answer it got. Those of refused calls are written
// once the caller has its answer.
func (w *world) noted(a *answer) *answer {
	w.t.Helper()
	var got *answer
	eventually(w.t, "the record of "+a.asked, func() bool {
		got = w.viewer.get("/v1/requests/" + a.header.Get("X-Request-Id"))
		return got.status == http.StatusOK
	})
	return got
}

// ran is the record of a call once all that it led to has ended, in these states.
func (w *world) ran(a *answer, states doc) *answer {
	w.t.Helper()
	var got *answer
	eventually(w.t, "the deliveries of "+a.asked, func() bool {
		got = w.noted(a)
		for state, n := range states {
			if got.at("states."+state) == nil || got.number("states."+state) != n {
				return false
			}
		}
		return true
	})
	return got
}

// check is the result of one check in the record of a call, with its detail.
func check(a *answer, name string) string {
	a.t.Helper()
	checks, _ := a.at("checks").([]any)
	for _, c := range checks {
		if m, ok := c.(map[string]any); ok && m["check"] == name {
			detail, _ := m["detail"].(string)
			return strings.TrimSpace(m["result"].(string) + " " + detail)
		}
	}
	return ""
}

// bodies are what a receiver got.
func bodies(all []testkit.Received) []string {
	out := make([]string, len(all))
	for i, r := range all {
		out[i] = string(r.Body)
	}
	return out
}

// minuteHash is the hash of the caller's own minute, as the documents have it.
func minuteHash(secret string, at time.Time) string {
	sum := md5.Sum([]byte(secret + at.UTC().Format("2006-01-02_15-04")))
	return hex.EncodeToString(sum[:])
}

// wire is a connection of its own, for what net/http does not send.
type wire struct {
	w    *world
	conn net.Conn
	in   *bufio.Reader
	sent bytes.Buffer
}

func (w *world) dial() *wire {
	w.t.Helper()
	u, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", u.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	return &wire{w: w, conn: conn, in: bufio.NewReader(conn)}
}

// send writes as much as the other end takes; after an early answer that may be less.
func (x *wire) send(text string) *wire {
	x.sent.WriteString(text)
	_, _ = io.WriteString(x.conn, text)
	return x
}

// answer reads what comes back and holds it against the contract.
func (x *wire) answer() *answer {
	t := x.w.t
	t.Helper()
	head, _, _ := strings.Cut(x.sent.String(), "\r\n\r\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n\r\n")))
	if err != nil {
		t.Fatalf("the test sent %q: %v", head, err)
	}
	res, err := http.ReadResponse(x.in, r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	x.w.validator.Check(r, res, body)
	return &answer{t: t, asked: r.Method + " " + r.URL.String(), status: res.StatusCode, header: res.Header, body: body}
}

// raw sends a request as it is written here, with a line per header, and returns the answer.
func (w *world) raw(lines []string, body string) *answer {
	w.t.Helper()
	return w.dial().send(strings.Join(lines, "\r\n") + "\r\n\r\n" + body).answer()
}

// itoa is a whole number as text.
func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// quiet is the admin with answers that are not looked at for secrets.
func (w *world) quiet() *caller {
	c := *w.admin
	c.s = &server{url: w.url, client: &http.Client{Timeout: patience}}
	return &c
}
