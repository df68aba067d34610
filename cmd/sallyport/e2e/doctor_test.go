package e2e

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// Beside a running server, with its settings, the doctor finds nothing wrong, and says what of it
// is so; what an operator did shows.
func TestDoctor(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := start(t, engine, "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8")
			w := newWorld(t, s)
			r := w.receiver()
			found := func() map[string]string {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), s.cmd.Path, "doctor", "--json", "--url", r.URL+"/a-secret-path")
				cmd.Dir, cmd.Env = s.dir, append(s.cmd.Env[:len(s.cmd.Env):len(s.cmd.Env)], "SALLYPORT_ADDR="+strings.TrimPrefix(s.url, "http://"))
				said, err := cmd.Output()
				var out struct {
					Checks []struct{ Check, Level, Detail string }
				}
				if jerr := json.Unmarshal(said, &out); jerr != nil {
					t.Fatalf("%v, %v: %s", err, jerr, said)
				}
				if text := string(said); strings.Contains(text, s.adminKey) || strings.Contains(text, "a-secret-path") {
					t.Errorf("a secret is shown: %s", text)
				}
				levels := map[string]string{}
				for _, c := range out.Checks {
					if strings.Contains(c.Detail, "fsync is off") || strings.Contains(c.Detail, "synchronous_commit is off") {
						continue // the tests' own Postgres forgets for speed, and rightly fails for it
					}
					if levels[c.Check] = c.Level; c.Level == "fail" && c.Check != "dns" { // which is this machine's affair
						t.Errorf("%s fails: %s", c.Check, c.Detail)
					}
				}
				return levels
			}
			levels := found()
			for _, check := range []string{"settings", "schema", "database", "clock", "nodes", "hold", "key", "egress", "receiver", "base URL", "proxy", "mail"} {
				if levels[check] != "ok" {
					t.Errorf("%s is %q: %v", check, levels[check], levels)
				}
			}
			w.platform.post("/v1/dispatch/hold", nil).want(http.StatusOK)
			if levels := found(); levels["hold"] != "warn" {
				t.Errorf("on hold: %v", levels)
			}
		})
	}
}
