package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/api"
)

// TestTypeScriptClient does with the guide's client what its first lines say: types are made of
// the contract that the running program serves, the program is compiled, strictly, and run.
func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	modules, err := installed()
	if err != nil {
		t.Fatalf("installing the libraries: %v", err)
	}
	source, err := api.Guides.ReadFile("docs/guides/client.ts")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"client.ts": string(source), "package.json": `{"type":"module"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	first := strings.SplitN(strings.ReplaceAll("\n"+string(source), "\n// ", "\n"), "\n", 5)
	generate, compile := first[2], first[3]
	if compile = strings.TrimSuffix(compile, " && node client.js"); !strings.HasPrefix(generate, "npx openapi-typescript ") || !strings.HasPrefix(compile, "npx tsc --strict ") {
		t.Fatalf("the guide does not say how to make the types and compile, but %q and %q", generate, compile)
	}
	for n, engine := range engines {
		s := start(t, engine, "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8")
		w := newWorld(t, s)
		if n == 0 {
			w.types(dir, generate, compile)
		}
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := *w
			w.t = t
			w.walkInTypeScript(dir)
		})
	}
}

// types makes the types and compiles the client.
func (w *world) types(dir string, commands ...string) {
	w.t.Helper()
	for _, command := range commands {
		cmd := exec.CommandContext(w.t.Context(), "bash", "-c", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "SALLYPORT_URL="+w.url)
		if said, err := cmd.CombinedOutput(); err != nil {
			w.t.Fatalf("%s: %v\n%s", command, err, said)
		}
	}
}

var walked = regexp.MustCompile(`^created erp-orders active (whsec_\S+)
test succeeded 200
published ord-7-paid 1 false null
published ord-7-paid 1 true true
refused 409 event_id_reused
fault /retry/schedule/0 invalid_duration
fault /timeout out_of_range
changed Orders for the ERP 2 1
delivery test true false
delivery ord-7-paid false false
rotated (whsec_\S+) 2\S+Z
$`)

// walkInTypeScript runs the client, and looks at what it did.
func (w *world) walkInTypeScript(dir string) {
	w.t.Helper()
	r := w.receiver()
	cmd := exec.CommandContext(w.t.Context(), "node", "client.js")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SALLYPORT_URL="+w.url, "SALLYPORT_KEY="+w.admin.key, "RECEIVER="+r.URL)
	said, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v\n%s", err, said)
	}
	secrets := walked.FindStringSubmatch(string(said))
	if secrets == nil {
		w.t.Fatalf("it says\n%s", said)
	}
	w.signed(r.Wait(2)[1], secrets[1])
	// Without them it says what is missing.
	cmd = exec.CommandContext(w.t.Context(), "node", "client.js")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SALLYPORT_URL="+w.url, "SALLYPORT_KEY=no-such-key", "RECEIVER="+r.URL)
	if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), "unauthorized: ") {
		w.t.Errorf("with a wrong key: %v\n%s", err, said)
	}
}
