package tour

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// What somebody meets in the first minutes beside the tour.

// says runs a command and returns what it printed and its exit code.
func says(t *testing.T, dir string, settings []string, command ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(environ(), settings...)
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(said), cmd.ProcessState.ExitCode()
}

func TestMakeSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	said, code := says(t, root, nil, "make")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile(`(?m)^([a-z]+):`).FindAllStringSubmatch(string(makefile), -1)
	for _, target := range targets {
		if name := target[1]; name != "help" && !pattern("make "+name+" …\n").MatchString(said) {
			t.Errorf("it does not say what `make %s` does", name)
		}
	}
	if code != 0 || len(targets) < 8 || strings.Count(said, "\n") != len(targets)-1 {
		t.Errorf("exit %d, %d targets, but it says\n%s", code, len(targets), said)
	}
}

func TestHelpHasEverySetting(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	help, code := says(t, t.TempDir(), nil, testkit.Binary(t), "serve", "--help")
	_, table, _ := strings.Cut(string(page), "<!-- settings:begin -->")
	table, _, _ = strings.Cut(table, "<!-- settings:end -->")
	rows := regexp.MustCompile("(?m)^\\| `(SALLYPORT_[A-Z_]+)`(?:, `…_FILE`)? \\| `(--[a-z-]+)`").FindAllStringSubmatch(table, -1)
	for _, row := range rows {
		if !regexp.MustCompile(`(?m)^ *` + row[2] + `\b.*, ` + row[1] + `\b`).MatchString(help) {
			t.Errorf("serve --help lacks %s or %s", row[1], row[2])
		}
	}
	if code != 0 || len(rows) < 30 {
		t.Errorf("exit %d, %d settings on the page", code, len(rows))
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	binary, dir := testkit.Binary(t), t.TempDir()
	if said, code := says(t, dir, nil, binary, "serve", "--check"); code != 0 {
		t.Errorf("exit %d: %s", code, said)
	}
	said, code := says(t, dir, []string{"SALLYPORT_RETENTION=soon", "SALLYPORT_MAX_SLOTS=0"}, binary, "serve", "--check")
	if code != 2 || !strings.Contains(said, "SALLYPORT_RETENTION") || !strings.Contains(said, "SALLYPORT_MAX_SLOTS") {
		t.Errorf("exit %d: %s", code, said)
	}
	said, code = says(t, dir, []string{"SALLYPORT_COMMANDS=none.yaml", "SALLYPORT_PRESETS_DIR=none", "SALLYPORT_TLS_CERT=none.pem", "SALLYPORT_TLS_KEY=none.key"}, binary, "serve", "--check")
	if code != 2 || !strings.Contains(said, "SALLYPORT_COMMANDS") || !strings.Contains(said, "SALLYPORT_PRESETS_DIR") || !strings.Contains(said, "none.pem") || !strings.Contains(said, "none.key") {
		t.Errorf("files that are not there: exit %d: %s", code, said)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("checking leaves %v (%v)", left, err)
	}
}

func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	said, code := says(t, t.TempDir(), []string{"SALLYPORT_ADDR=" + address}, testkit.Binary(t), "serve")
	if code != 1 || !pattern("sallyport: "+address+" is in use; set SALLYPORT_ADDR=127.0.0.1:…\n").MatchString(said) {
		t.Errorf("exit %d: %s", code, said)
	}
}

// TestFirstStartIntoALog: the key must not be where logs go, but what finds it must.
func TestFirstStartIntoALog(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePort(t)
	cmd := exec.CommandContext(t.Context(), testkit.Binary(t), "serve")
	cmd.Dir, cmd.Env = dir, append(environ(), "SALLYPORT_ADDR=127.0.0.1:"+port)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close() // the program has its own
	said := newScreen()
	go said.fill(out)
	log, err := said.wait(pattern("…encryption.key…\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := &installation{url: "http://127.0.0.1:" + port}
	if _, answer := s.try(t, http.MethodGet, "/", ""); !pattern(`{"name":"sallyport","version":"…","docs":"/docs","openapi":"/openapi.yaml"}` + "\n").Match(answer) {
		t.Errorf("/ answers %s", answer)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "data", "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log, strings.TrimSpace(string(key))) {
		t.Error("the log has the key")
	}
	for _, fact := range []string{"data/admin.key", "http://localhost:" + port, "sqlite", "new, schema ", "public addresses"} {
		if !strings.Contains(log, fact) {
			t.Errorf("the log does not say %q:\n%s", fact, log)
		}
	}
}

// TestHelpIsInGroups: what there is, by what somebody wants.
func TestHelpIsInGroups(t *testing.T) {
	t.Parallel()
	help, code := says(t, t.TempDir(), nil, testkit.Binary(t), "--help")
	for group, commands := range map[string]string{"Run": "serve migrate backup restore", "Manage": "keys apply plan export", "Try": "receive listen trigger bench doctor version"} {
		_, text, _ := strings.Cut(help, "\n"+group+":\n")
		text, _, _ = strings.Cut(text, "\n\n")
		for command := range strings.FieldsSeq(commands) {
			if !regexp.MustCompile(`(?m)^  ` + command + ` +\S`).MatchString(text) {
				t.Errorf("%s is not under %s", command, group)
			}
		}
	}
	if code != 0 {
		t.Errorf("exit %d", code)
	}
}
