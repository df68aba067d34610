package faulttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// patience bounds every wait for a fact: far longer than any of it takes on a busy
// machine, and shorter than go test's own. Where many things are waited for, it is how
// long none of them may come.
const patience = 60 * time.Second

// waiting ends a wait in which nothing came for too long.
type waiting struct {
	until time.Time
	got   int
}

// over reports that patience passed since there was more than before.
func (w *waiting) over(got int) bool {
	if now := time.Now(); w.until.IsZero() || got > w.got {
		w.until, w.got = now.Add(patience), got
	}
	return time.Now().After(w.until)
}

const (
	adminKey      = "fault-tests-platform-key-0123456789abcdef"
	encryptionKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

// installation is what nodes of one test have in common.
type installation struct {
	t        testing.TB
	binary   string
	database string // "": SQLite
	env      []string
	nodes    int
}

// install prepares an installation; env has settings of all nodes, such as
// "NODE_HEARTBEAT=200ms". Tests that mostly wait run beside each other, those that keep the
// machine busy do not.
func install(t testing.TB, database string, env ...string) *installation {
	t.Helper()
	return &installation{t: t, binary: testkit.Binary(t), database: database, env: env}
}

// onBothEngines runs a test on SQLite and on a Postgres database of its own.
func onBothEngines(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, "") })
	t.Run("postgres", func(t *testing.T) { test(t, testkit.EmptyPostgres(t)) })
}

// node is a place where a process of the real program runs: a data directory, and the
// process that runs on it at the moment.
type node struct {
	in   *installation
	name string
	dir  string
	env  []string
	*process
}

// process is one run of `sallyport serve`.
type process struct {
	cmd    *exec.Cmd
	url    string
	exited chan struct{}

	mu      sync.Mutex
	lines   []string
	entries []map[string]any
	changed chan struct{}
	code    int
}

// node starts a node in a directory of its own.
func (in *installation) node(env ...string) *node {
	in.t.Helper()
	in.nodes++
	n := &node{in: in, name: fmt.Sprintf("n%d", in.nodes), dir: in.t.TempDir(), env: env}
	n.start()
	return n
}

// start runs the program on the node's directory and returns when it serves.
func (n *node) start() {
	n.in.t.Helper()
	n.launch()
	n.waitLog("listening", 1)
	n.in.t.Helper()
	for _, e := range n.logged("listening") {
		n.url = e["url"].(string)
	}
	n.in.eventually(n.name+" is ready", func() bool {
		r, err := client.Get(n.url + "/readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// launch starts the program and does not wait for it.
func (n *node) launch() {
	n.in.t.Helper()
	p := &process{exited: make(chan struct{}), changed: make(chan struct{})}
	p.cmd = exec.Command(n.in.binary, "serve")
	p.cmd.Dir = n.dir
	p.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir, "SALLYPORT_ADDR=127.0.0.1:0", "SALLYPORT_DATA_DIR=" + n.dir, "SALLYPORT_LOG_FORMAT=json",
		"SALLYPORT_ADMIN_KEY=" + adminKey, "SALLYPORT_ENCRYPTION_KEY=" + encryptionKey, "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8",
		"SALLYPORT_NODE_NAME=" + n.name, "SALLYPORT_DATABASE_URL=" + n.in.database, "SALLYPORT_MIN_FREE_DISK=0",
	}, settings(append(append([]string{}, n.in.env...), n.env...))...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		n.in.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		n.in.t.Fatal(err)
	}
	n.process = p
	go p.read(stderr)
	n.in.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if n.in.t.Failed() {
			n.in.t.Logf("the last lines of %s (pid %d):\n%s", n.name, p.cmd.Process.Pid, p.tail(40))
		}
	})
}

func settings(env []string) []string {
	out := make([]string, len(env))
	for i, e := range env {
		out[i] = "SALLYPORT_" + e
	}
	return out
}

func (p *process) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e map[string]any
		_ = json.Unmarshal(lines.Bytes(), &e) // not every line is an entry: panics are not
		p.note(func() {
			p.lines = append(p.lines, lines.Text())
			if e != nil {
				p.entries = append(p.entries, e)
			}
		})
	}
	err := p.cmd.Wait()
	p.note(func() {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			p.code = exit.ExitCode()
		}
	})
	close(p.exited)
}

func (p *process) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *process) tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines[max(0, len(p.lines)-n):], "\n")
}

// logged returns the entries of the log with this message.
func (p *process) logged(message string) []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []map[string]any
	for _, e := range p.entries {
		if e["msg"] == message {
			out = append(out, e)
		}
	}
	return out
}

// waitLog returns once the process has logged a message so often.
func (n *node) waitLog(message string, times int) {
	n.in.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		n.mu.Lock()
		changed := n.changed
		n.mu.Unlock()
		if len(n.logged(message)) >= times {
			return
		}
		select {
		case <-changed:
		case <-n.exited:
			if len(n.logged(message)) >= times {
				return
			}
			n.in.t.Fatalf("%s ended with code %d before it logged %q:\n%s", n.name, n.code, message, n.tail(20))
		case <-deadline.C:
			n.in.t.Fatalf("%s did not log %q within %s:\n%s", n.name, message, patience, n.tail(20))
		}
	}
}

// signal sends the process a signal.
func (n *node) signal(s syscall.Signal) {
	n.in.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.in.t.Fatalf("%s to %s: %v", s, n.name, err)
	}
}

// kill ends the process as a crash does, and returns when it is gone.
func (n *node) kill() {
	n.in.t.Helper()
	n.signal(syscall.SIGKILL)
	<-n.exited
}

// stop asks the process to end, and returns its exit code.
func (n *node) stop() int {
	n.in.t.Helper()
	n.signal(syscall.SIGTERM)
	return n.wait()
}

// wait returns the exit code once the process ended.
func (n *node) wait() int {
	n.in.t.Helper()
	select {
	case <-n.exited:
	case <-time.After(patience):
		n.in.t.Fatalf("%s did not end within %s", n.name, patience)
	}
	return n.code
}

// client has no patience beyond that of the tests, and connections enough for their
// publishers.
var client = &http.Client{
	Timeout:   40 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxIdleConns: 256},
}

// call makes a request of the API. The error is of the transport only.
func call(key, method, url string, body, out any) (int, http.Header, error) {
	return callIn("", key, method, url, body, out)
}

// callIn is call in a workspace.
func callIn(workspace, key, method, url string, body, out any) (int, http.Header, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(b)
	}
	q, err := http.NewRequest(method, url, content)
	if err != nil {
		return 0, nil, err
	}
	q.Header.Set("Authorization", "Bearer "+key)
	if workspace != "" {
		q.Header.Set("Sallyport-Workspace", workspace)
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	r, err := client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, err
	}
	if out != nil && len(answer) > 0 {
		if err := json.Unmarshal(answer, out); err != nil {
			return 0, nil, fmt.Errorf("%s %s answered %q: %w", method, url, answer, err)
		}
	}
	return r.StatusCode, r.Header, nil
}

// object is a document of the API.
type object = map[string]any

// must makes a request that is to succeed. A search that took too long on a busy machine
// is told to come back, and does.
func (n *node) must(method, path string, body any) object {
	n.in.t.Helper()
	for w := (waiting{}); ; time.Sleep(20 * time.Millisecond) {
		var out object
		status, _, err := call(adminKey, method, n.url+path, body, &out)
		if err == nil && status < 300 {
			return out
		}
		if err != nil || method != http.MethodGet || status != http.StatusServiceUnavailable || w.over(0) {
			n.in.t.Fatalf("%s %s on %s: %d %v %v", method, path, n.name, status, out, err)
		}
	}
}

// webhook creates or replaces a webhook by its code and returns its id.
func (n *node) webhook(code, url string, with object) string {
	n.in.t.Helper()
	w := object{"name": code, "url": url}
	for k, v := range with {
		w[k] = v
	}
	return n.must(http.MethodPut, "/v1/webhooks/"+code, w)["id"].(string)
}

// publish publishes one event and returns its receipt.
func (n *node) publish(event object) object {
	n.in.t.Helper()
	return n.must(http.MethodPost, "/v1/events", event)
}

// list reads the first page of a list.
func (n *node) list(path string) []object {
	n.in.t.Helper()
	var out []object
	for _, d := range n.must(http.MethodGet, path, nil)["data"].([]any) {
		out = append(out, d.(object))
	}
	return out
}

// run runs a part of the installation's test, which then fails on its own account.
func (in *installation) run(name string, part func(t *testing.T)) {
	whole := in.t.(*testing.T)
	whole.Run(name, func(t *testing.T) {
		in.t = t
		defer func() { in.t = whole }()
		part(t)
	})
}

// eventually returns once a fact holds that only asking again can show.
func (in *installation) eventually(what string, holds func() bool) {
	in.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			in.t.Fatalf("within %s it did not come true that %s", patience, what)
		}
	}
}
