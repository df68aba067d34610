package tour

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// guides has the programs of /docs/guides.
var guides = filepath.Join(root, "api", "docs", "guides")

// receivers say how each is started, as its first line does.
var receivers = map[string]func(port string) []string{
	"node":   func(string) []string { return []string{"node", "receiver.mjs"} },
	"python": func(string) []string { return []string{"python3", "-u", "receiver.py"} },
	"php":    func(port string) []string { return []string{"php", "-S", "127.0.0.1:" + port, "receiver.php"} },
	"go":     func(string) []string { return []string{"go", "run", "receiver.go"} },
	"java":   func(string) []string { return append(java, "Receiver.java") },
}

// java is started as somebody would who wants it to be quick.
var java = slices.Clip([]string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"})

// guideServer is a receiver of the page, running.
type guideServer struct {
	url  string
	said *screen
}

// startReceiver runs a program of the page with a secret until the test ends. up waits for it.
func startReceiver(t *testing.T, language, secret string) *guideServer {
	t.Helper()
	port := freePort(t)
	command := receivers[language](port)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = guides
	cmd.Env = append(environ(), "SECRET="+secret, "PORT="+port, "SEEN="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // `go run` starts another
	said, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	g := &guideServer{url: "http://127.0.0.1:" + port, said: newScreen()}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (.ci/setup installs what this needs)", err)
	}
	_ = write.Close() // the program has its own
	go g.said.fill(said)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // killed, as it says
		_ = said.Close()
	})
	return g
}

// up waits until it answers.
func (g *guideServer) up(t *testing.T) *guideServer {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(g.url); err == nil {
			_ = res.Body.Close()
			return g
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not get up:\n%s", g.said.shows())
		}
	}
}

// take sends a request on as it came and returns what the receiver answers.
func (g *guideServer) take(t *testing.T, path string, q testkit.Received) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, bytes.NewReader(q.Body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = q.Header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// changed is a request with other headers, name, value, name, value, "" for none.
func changed(q testkit.Received, headers ...string) testkit.Received {
	q.Header = q.Header.Clone()
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Del(headers[i])
		if headers[i+1] != "" {
			q.Header.Set(headers[i], headers[i+1])
		}
	}
	return q
}

// signedAt is a request as if it had been sent at another time.
func signedAt(q testkit.Received, secret string, at time.Time) testkit.Received {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(q.Header.Get("Webhook-Id") + "." + stamp + "." + string(q.Body)))
	return changed(q, "Webhook-Timestamp", stamp, "Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// life is a webhook through a rotation: the secrets, and what its receiver got before, during
// and after.
type life struct {
	old, next, plain      string
	before, during, after testkit.Received
	body                  testkit.Received // during, for X-Signature
	ofPlain               testkit.Received // of a secret that is no base64
}

// rotating is for one at a time: the page's webhook has one name.
var rotating sync.Mutex

// rotate takes a webhook through the page's rotation, and deletes it.
func rotate(t *testing.T, s *installation) (l life) {
	t.Helper()
	rotating.Lock()
	defer rotating.Unlock()
	r := testkit.NewReceiver(t)
	var created struct{ Secret string }
	s.create(t, "/v1/webhooks", `{"name":"ERP orders","url":"`+r.URL+`","eventTypes":["order.*"],"generateSecret":true}`, &created)
	l.old, l.plain = created.Secret, "no base64: äöü-0123456789"
	next := func() testkit.Received {
		n := len(r.Received())
		s.publish(t, "order.paid")
		return r.Wait(n + 1)[n]
	}
	script, err := os.ReadFile(filepath.Join(guides, "rotate.sh"))
	if err != nil {
		t.Fatal(err)
	}
	begin, end, ok := strings.Cut(string(script), "# the receiver has the new one")
	if !ok {
		t.Fatal("rotate.sh does not say when the receiver has the new secret")
	}
	sh := openShell(t, t.TempDir(), append(environ(), "B="+s.url, "KEY="+s.key))
	sh.run(t, `api() { curl -sS --fail-with-body -w '\n' -H "Authorization: Bearer $KEY" "$@"; }`)

	l.before = next()
	shown, failed := sh.run(t, begin)
	l.next, shown, _ = strings.Cut(shown, "\n")
	if failed != "" || !strings.HasPrefix(l.next, "whsec_") || strings.Count(shown, "\n") != 2 || !pattern(`[…,"…`+l.old[len(l.old)-4:]+`","…Z"]`).MatchString(shown) {
		t.Fatalf("%s%s\n%s", failed, l.next, shown)
	}
	l.during, l.body = next(), next()
	if shown, failed := sh.run(t, "# the receiver has the new one"+end); failed != "" {
		t.Fatalf("%s\n%s", failed, shown)
	}
	l.after = next()
	s.create(t, "/v1/webhooks", `{"code":"plain","url":"`+r.URL+`","eventTypes":["plain.*"],"secret":"`+l.plain+`"}`, nil)
	n := len(r.Received())
	s.publish(t, "plain.a")
	l.ofPlain = r.Wait(n + 1)[n]
	for _, code := range []string{"erp-orders", "plain"} {
		if status, answer := s.try(t, http.MethodDelete, "/v1/webhooks/"+code, ""); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, answer)
		}
	}
	return l
}

// publish publishes an event and returns its id.
func (s *installation) publish(t *testing.T, kind string) string {
	t.Helper()
	status, answer := s.try(t, http.MethodPost, "/v1/events", `{"type":"`+kind+`","entity":{"total":12,"note":"ü/<é>"}}`)
	var receipt struct{ ID string }
	if err := json.Unmarshal(answer, &receipt); err != nil || status != http.StatusAccepted {
		t.Fatalf("publishing answered %d %s", status, answer)
	}
	return receipt.ID
}

// TestReceivers gives the page's receivers what the real program sends, as it came and changed
// on its way.
func TestReceivers(t *testing.T) {
	t.Parallel()
	s := newInstallation(t, "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8")
	for language := range maps.Keys(receivers) {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			l := rotate(t, s) // just before: what was sent is too old for them after five minutes
			running := map[string]*guideServer{}
			for _, secret := range []string{l.old, l.next, l.plain} {
				running[secret] = startReceiver(t, language, secret)
			}
			for _, g := range running {
				g.up(t)
			}
			done := map[string]int{}
			for _, c := range l.takings() {
				status, answer := running[c.secret].take(t, c.path, c.q)
				if c.want == "" && status != http.StatusUnauthorized || c.want != "" && (status != http.StatusOK || answer != c.want) {
					t.Errorf("%s: answered %d %q, want %q", c.why, status, answer, c.want)
				}
				if c.want == "done" {
					done[c.secret]++
				}
			}
			s.deliver(t, language, running[l.next], l.next)
			done[l.next]++
			for secret, g := range running {
				for n := range done[secret] { // as often as it was to, which the answers say
					if _, err := g.said.wait(pattern("…work on …")); err != nil {
						t.Errorf("of %d events it worked on %d: %v", done[secret], n, err)
					}
				}
			}
		})
	}
}

// taking is a request to the receiver with a secret, and what it is to answer.
type taking struct {
	why    string
	secret string
	path   string
	q      testkit.Received
	want   string // "" if it is refused
}

// takings are what a webhook sent, as it came and changed on its way.
func (l life) takings() []taking {
	tampered := l.during
	tampered.Body = bytes.Replace(tampered.Body, []byte("12"), []byte("13"), 1)
	tamperedBody := l.body
	tamperedBody.Body = append(bytes.Clone(l.body.Body), ' ')
	now := time.Now()
	return []taking{
		{"before the rotation", l.old, "/hooks", l.before, "done"},
		{"before the rotation, with a secret that comes later", l.next, "/hooks", l.before, ""},
		{"sent again", l.old, "/hooks", l.before, "seen"},
		{"sent again, with a later attempt's time", l.old, "/hooks", signedAt(l.before, l.old, now.Add(time.Second)), "seen"},
		{"another body", l.old, "/hooks", tampered, ""},
		{"another body, with the new secret", l.next, "/hooks", tampered, ""},
		{"another id", l.old, "/hooks", changed(l.during, "Webhook-Id", "another"), ""},
		{"another time", l.old, "/hooks", changed(l.during, "Webhook-Timestamp", strconv.FormatInt(now.Unix()+9, 10)), ""},
		{"no signature", l.old, "/hooks", changed(l.during, "Webhook-Signature", ""), ""},
		{"no time", l.old, "/hooks", changed(l.during, "Webhook-Timestamp", ""), ""},
		{"a time that is none", l.old, "/hooks", changed(l.during, "Webhook-Timestamp", "soon"), ""},
		{"too old", l.old, "/hooks", signedAt(l.during, l.old, now.Add(-6*time.Minute)), ""},
		{"of the future", l.old, "/hooks", signedAt(l.during, l.old, now.Add(time.Hour)), ""},
		{"a signature of another kind", l.old, "/hooks", changed(l.during, "Webhook-Signature", "v2,AAAA v1, v1,!"), ""},
		{"during the rotation, with the old secret", l.old, "/hooks", l.during, "done"},
		{"during the rotation, with the new secret", l.next, "/hooks", l.during, "done"},
		{"sent again, with both signatures", l.next, "/hooks", l.during, "seen"},
		{"after the rotation, with the old secret", l.old, "/hooks", l.after, ""},
		{"after the rotation, with the new secret", l.next, "/hooks", l.after, "done"},
		{"X-Signature, another body", l.old, "/plain", tamperedBody, ""},
		{"X-Signature, with the old secret", l.old, "/plain", l.body, "done"},
		{"X-Signature, sent again under another id", l.old, "/plain", changed(l.body, "Webhook-Id", "another"), "seen"},
		{"X-Signature-Next, another body", l.next, "/plain", tamperedBody, ""},
		{"X-Signature-Next, with the new secret", l.next, "/plain", l.body, "done"},
		{"X-Signature, without it", l.old, "/plain", changed(l.body, "X-Signature", "", "X-Signature-Next", ""), ""},
		{"X-Signature, no hex", l.old, "/plain", changed(l.body, "X-Signature", "zz", "X-Signature-Next", ""), ""},
		{"X-Signature, after the rotation, with the old secret", l.old, "/plain", l.after, ""},
		{"a secret that is no base64", l.plain, "/hooks", l.ofPlain, "done"},
		{"a secret that is no base64, in X-Signature", l.plain, "/plain", l.ofPlain, "seen"},
	}
}

// deliver has the receiver called by the program itself, and once more by hand.
func (s *installation) deliver(t *testing.T, language string, g *guideServer, secret string) {
	t.Helper()
	s.create(t, "/v1/webhooks", `{"code":"`+language+`","url":"`+g.url+`/hooks","eventTypes":["`+language+`.*"],"secret":"`+secret+`"}`, nil)
	s.publish(t, language+".a")
	for n, want := range []string{"done", "seen"} {
		var list struct {
			Data []struct{ ID, State string }
		}
		var got struct {
			State    string
			Attempts []struct{ Response struct{ Body string } }
		}
		for deadline := time.Now().Add(patience); len(got.Attempts) <= n || got.State != "succeeded"; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it is not delivered: %+v", got)
			}
			s.read(t, "/v1/webhooks/"+language+"/deliveries", &list)
			if len(list.Data) > 0 {
				s.read(t, "/v1/deliveries/"+list.Data[0].ID, &got)
			}
		}
		if got.Attempts[n].Response.Body != want {
			t.Errorf("attempt %d is answered %q, want %q", n+1, got.Attempts[n].Response.Body, want)
		}
		if n == 0 {
			if status, answer := s.try(t, http.MethodPost, "/v1/deliveries/"+list.Data[0].ID+"/retry", ""); status != http.StatusAccepted {
				t.Fatalf("%d %s", status, answer)
			}
		}
	}
}

// read makes a call that must find something.
func (s *installation) read(t *testing.T, path string, to any) {
	t.Helper()
	status, answer := s.try(t, http.MethodGet, path, "")
	if err := json.Unmarshal(answer, to); err != nil || status != http.StatusOK {
		t.Fatalf("%s answered %d %s", path, status, answer)
	}
}

// TestReceiversWantASecret: one that is not set must not make everybody welcome.
func TestReceiversWantASecret(t *testing.T) {
	t.Parallel()
	for language, command := range receivers {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if language == "php" { // a script is asked anew each time
				g := startReceiver(t, language, "").up(t)
				if status, answer := g.take(t, "/hooks", testkit.Received{Header: http.Header{}}); status != http.StatusInternalServerError || answer != "SECRET is not set" {
					t.Errorf("answered %d %s", status, answer)
				}
				return
			}
			c := command("0")
			cmd := exec.CommandContext(t.Context(), c[0], c[1:]...)
			cmd.Dir = guides
			cmd.Env = append(environ(), "SECRET=", "PORT=0")
			if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), "SECRET is not set") {
				t.Errorf("%v: %s", err, said)
			}
		})
	}
}
