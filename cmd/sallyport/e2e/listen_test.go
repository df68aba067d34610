package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sallyport/internal/testkit"
)

// command runs the program as somebody with a key does.
func (c *caller) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), testkit.Binary(c.t), args...)
	cmd.Dir = c.t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "SALLYPORT_URL=" + c.s.url, "SALLYPORT_KEY=" + c.key}
	return cmd
}

// listening is a listen that runs.
type listening struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan error

	mu  sync.Mutex
	out bytes.Buffer
}

func (l *listening) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

func (l *listening) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

func (c *caller) listen(args ...string) *listening {
	c.t.Helper()
	l := &listening{t: c.t, cmd: c.command(append([]string{"listen"}, args...)...), done: make(chan error, 1)}
	l.cmd.Stdout, l.cmd.Stderr = l, l
	if err := l.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { l.done <- l.cmd.Wait() }()
	c.t.Cleanup(func() { _ = l.cmd.Process.Kill() })
	l.says("listening at ")
	return l
}

// says waits for a text.
func (l *listening) says(text string) {
	l.t.Helper()
	eventually(l.t, "listen to say "+text, func() bool { return strings.Contains(l.said(), text) })
}

func (l *listening) signal(s syscall.Signal) {
	l.t.Helper()
	if err := l.cmd.Process.Signal(s); err != nil {
		l.t.Fatal(err)
	}
}

// end is Ctrl-C.
func (l *listening) end() string {
	l.t.Helper()
	l.signal(syscall.SIGINT)
	if err := <-l.done; err != nil {
		l.t.Errorf("listen ended with %v:\n%s", err, l.said())
	}
	return l.said()
}

var _ = suite("listen", map[string]func(*world){
	"forwards what a webhook would get, and catches up after a sleep": func(w *world) {
		const secret = "secret-of-the-one-who-listens"
		real, local := w.receiver(), w.receiver()
		hook := w.webhook(real, doc{"code": "erp", "eventTypes": []string{"order.*"}, "secret": w.planted.given(secret + random(8)),
			"headers": []doc{{"name": "X-Team", "value": "erp"}}})
		l := w.viewer.listen("--webhook", "erp", "--forward", local.URL+"/hooks", "--secret", secret)
		w.publisher.post("/v1/events", `{"id":"l-1","type":"order.paid","entityId":7,"entity":{"n": 1.10,`+"\r\n"+`"n":"<"}}`).want(202)
		w.publish(doc{"id": "l-2", "type": "stock.moved"})
		l.says("signature ok")
		l.signal(syscall.SIGSTOP)
		for n := range 150 { // more than a page
			w.publish(doc{"id": fmt.Sprint("l-slept-", n), "type": "order.paid"})
		}
		l.signal(syscall.SIGCONT)
		got := local.Wait(151)
		// The receiver has the last request before listen has its answer.
		eventually(w.t, "listen to have all answers", func() bool { return strings.Count(l.said(), "signature ok") == 151 })
		out := l.end()
		if !strings.Contains(out, "151 events, 151 forwarded, 151 of them answered with success") || strings.Contains(out, "NOT") {
			w.t.Errorf("it says\n%s", out)
		}
		for n, r := range got[1:] {
			if r.Header.Get("Webhook-Id") != fmt.Sprint("l-slept-", n) {
				w.t.Fatalf("request %d is about %s", n, r.Header.Get("Webhook-Id"))
			}
		}
		w.signed(got[0], secret)
		// As the worker sends it, but for what belongs to the attempt.
		first := func(all []testkit.Received) int {
			return slices.IndexFunc(all, func(r testkit.Received) bool { return r.Header.Get("Webhook-Id") == "l-1" })
		}
		all := real.WaitFor("l-1", func(all []testkit.Received) bool { return first(all) >= 0 })
		sent := all[first(all)]
		if !bytes.Equal(sent.Body, got[0].Body) || sent.Method != got[0].Method || got[0].Header.Get("X-Team") != "erp" || hook.text("id") != got[0].Header.Get("X-Webhook-Id") {
			w.t.Errorf("the worker sent\n%s %v\nlisten\n%s %v", sent.Body, sent.Header, got[0].Body, got[0].Header)
		}
		for name := range sent.Header {
			if got[0].Header.Get(name) == "" {
				w.t.Errorf("the header %s is left out", name)
			}
		}
	},
	"trigger publishes the sample, and says who gets it": func(w *world) {
		w.webhook(w.receiver(), doc{"code": "erp", "eventTypes": []string{"order.*"}, "filter": "event.entity.total > 100"})
		w.webhook(w.receiver(), doc{"code": "other", "eventTypes": []string{"stock.*"}})
		w.admin.put("/v1/event-types/order.paid", doc{"sample": doc{"total": 700}}).want(201)
		out, err := w.admin.command("trigger", "order.paid", "--id", "t-1", "--entity-id", "7").CombinedOutput()
		if err != nil || !regexp.MustCompile(`published t-1: 1 deliveries\n  erp +yes +\w+\n  other +no +event_type`).Match(out) {
			w.t.Errorf("%v: %s", err, out)
		}
		w.viewer.get("/v1/events/t-1").want(200).has("entity.total", "700", "entityId", "7")
		out, err = w.admin.command("trigger", "order.paid", "--entity", `{"total": 7}`).CombinedOutput()
		if err != nil || !regexp.MustCompile(`0 deliveries\n  erp +no +filter`).Match(out) {
			w.t.Errorf("%v: %s", err, out)
		}
		if out, err = w.publisher.command("trigger", "a.b").CombinedOutput(); err != nil || !strings.Contains(string(out), "may not see") {
			w.t.Errorf("%v: %s", err, out)
		}
	},
})

// testListen: a server that goes away and comes back costs a listener nothing, nor does its
// own end.
func testListen(t *testing.T, s *server) {
	addr := "SALLYPORT_ADDR=" + testkit.FreeAddr(t)
	s.launch(addr)
	s.awaitReady()
	c := &caller{t: t, s: s, key: s.adminKey}
	file := filepath.Join(t.TempDir(), "cursor")
	l := c.listen("--cursor-file", file)
	c.post("/v1/events", doc{"id": "one", "type": "a.b"}).want(202)
	l.says("one")
	s.stop()
	l.says("connection lost")
	again := s.again(addr)
	c.s = again
	c.post("/v1/events", doc{"id": "two", "type": "a.b"}).want(202)
	l.says("two")
	if out := l.end(); !strings.Contains(out, "2 events") || strings.Count(out, "  two") != 1 || !strings.Contains(out, "connected again") {
		t.Errorf("it says\n%s", out)
	}
	c.post("/v1/events", doc{"id": "three", "type": "a.b"}).want(202)
	l = c.listen("--cursor-file", file, "--json")
	l.says(`"id":"three"`)
	if out := l.end(); !strings.Contains(out, "1 events") {
		t.Errorf("it says\n%s", out)
	}
	again.stop()
}
