package tour

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestBackup makes a backup as the page says, loses the database, restores as the page says,
// on the other engine as well, and finds everything there: on hold, until it is let go.
func TestBackup(t *testing.T) {
	t.Parallel()
	block := map[string]string{}
	for _, b := range page(t) {
		block[b.mark] = b.text
	}
	bin := filepath.Dir(testkit.Binary(t))
	for _, c := range []struct{ backup, restore, into string }{
		{"sqlite", "sqlite", "sqlite"}, {"postgres", "postgres", "postgres"}, {"sqlite", "move", "postgres"},
	} {
		t.Run(c.backup+" to "+c.into, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := &installation{url: "http://localhost:" + freePort(t), key: "the-key-of-the-page-0123456789abcdef"}
			env := append(environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "SALLYPORT_ADDR="+strings.TrimPrefix(s.url, "http://"),
				"SALLYPORT_ADMIN_KEY="+s.key, "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8", "KEY="+s.key, "B="+s.url,
				"SALLYPORT_ENCRYPTION_KEY=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
				"SALLYPORT_NODE_HEARTBEAT=250ms", "SALLYPORT_NODE_DEAD_AFTER=1500ms")
			on := func(database string) []string {
				return append(env[:len(env):len(env)], "SALLYPORT_DATABASE_URL="+database)
			}
			first, second := "", ""
			if c.backup == "postgres" {
				first = testkit.EmptyPostgres(t)
			}
			if c.into == "postgres" {
				second = testkit.EmptyPostgres(t)
			}
			at := testkit.NewReceiver(t)
			at.Respond(testkit.Answer{Status: http.StatusServiceUnavailable})

			w := open(t, dir, on(first), "sallyport serve")
			waitFor(t, w, "sallyport …\n")
			s.create(t, "/v1/webhooks", `{"code":"out","url":"`+at.URL+`","secret":"kept-through-the-restore-0123","retry":{"schedule":["1s"],"jitter":0},"maxAttempts":50}`, nil)
			s.publish(t, "order.paid")
			at.Wait(1)
			run(t, dir, on(first), block["backup: "+c.backup])
			w.interrupt(t)
			if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
				t.Fatal(err)
			}

			had := len(at.Received())
			w = open(t, dir, on(second), block["restore: "+c.restore])
			defer w.interrupt(t)
			waitFor(t, w, "  on hold     nothing is sent until POST /v1/dispatch/release\n")
			s.publish(t, "order.packed")
			// The first may have been under way when the backup was made: the node of that time is
			// taken for dead a little later.
			for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
				reasons := s.reasons(t)
				if reasons == "installation_hold installation_hold" {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("what waits waits for %q", reasons)
				}
			}
			if n := len(at.Received()) - had; n != 0 {
				t.Errorf("%d requests left while on hold", n)
			}
			at.Respond(testkit.Answer{})
			run(t, dir, on(second), block["release"])
			for _, q := range at.Wait(had + 2)[had:] {
				// The restored secret signs.
				if q.Header.Get("Webhook-Signature") == "" {
					t.Errorf("unsigned: %v", q.Header)
				}
			}
		})
	}
}

func waitFor(t *testing.T, w *window, text string) {
	t.Helper()
	if _, err := w.wait(pattern(text)); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir string, env []string, commands string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail", "-c", commands)
	cmd.Dir, cmd.Env = dir, env
	if said, err := cmd.CombinedOutput(); err != nil || commands == "" {
		t.Fatalf("%v\n%s\n%s", err, commands, said)
	}
}

// reasons is why the pending deliveries wait.
func (s *installation) reasons(t *testing.T) string {
	t.Helper()
	var list struct {
		Data []struct{ StateReason string }
	}
	status, answer := s.try(t, http.MethodGet, "/v1/deliveries?state=pending", "")
	if err := json.Unmarshal(answer, &list); err != nil || status != http.StatusOK {
		t.Fatalf("%d %v %s", status, err, answer)
	}
	var reasons []string
	for _, d := range list.Data {
		reasons = append(reasons, d.StateReason)
	}
	return strings.Join(reasons, " ")
}
