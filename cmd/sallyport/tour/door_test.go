package tour

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/preset"
	"sallyport/internal/testkit"
)

// installation is the real binary on a database of its own.
type installation struct {
	url, key string
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	address := "127.0.0.1:" + freePort(t)
	s := &installation{url: "http://" + address, key: "the-key-of-the-page-0123456789abcdef"}
	cmd := exec.Command(testkit.Binary(t), "serve")
	cmd.Env = append(environ(), "SALLYPORT_ADDR="+address, "SALLYPORT_ADMIN_KEY="+s.key, "SALLYPORT_DATA_DIR="+filepath.Join(t.TempDir(), "data"))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, as it says
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if status, _ := s.try(t, http.MethodGet, "/readyz", ""); status == http.StatusOK {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not get ready")
		}
	}
}

// try makes a call of the API; the status is 0 if nobody answers.
func (s *installation) try(t *testing.T, method, path, body string) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// create makes a call that must create something.
func (s *installation) create(t *testing.T, path, body string, to any) {
	t.Helper()
	status, answer := s.try(t, http.MethodPost, path, body)
	if status != http.StatusCreated {
		t.Fatalf("%s answered %d: %s", path, status, answer)
	}
	if to == nil {
		return
	}
	if err := json.Unmarshal(answer, to); err != nil {
		t.Fatal(err)
	}
}

// callers say how a block that calls a door is run.
var callers = map[string]struct {
	file, before string
	command      string
}{
	"bash":   {"call.sh", "set -eu -o pipefail\n", "bash"},
	"php":    {"call.php", "<?php\n", "php"},
	"node":   {"call.mjs", "", "node"},
	"python": {"call.py", "", "python3"},
}

// TestHash runs the page's callers against a door whose template is that of the tour, and
// once more with MD5 on both sides.
func TestHash(t *testing.T) {
	t.Parallel()
	s := newInstallation(t)
	const secret = "what only they know: ä"
	tried := 0
	for _, algorithm := range []string{"sha256", "md5"} {
		var door struct{ URL string }
		spec, err := json.Marshal(map[string]any{
			"code": algorithm, "hash": `{{ (secrets.erp ~ "now"|date("Y-m-d_H-i"))|` + algorithm + ` }}`,
			"secrets": []any{map[string]string{"name": "erp", "value": secret}},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.create(t, "/v1/incoming-webhooks", string(spec), &door)
		for _, b := range page(t) {
			language, ok := strings.CutPrefix(b.mark, "hash: ")
			if !ok {
				continue
			}
			tried++
			text := strings.ReplaceAll(b.text, "sha256", algorithm)
			got := runCaller(t, language, text, "URL="+door.URL, "SECRET="+secret)
			var receipt struct {
				RequestID string
				Events    int
			}
			if err := json.Unmarshal(got, &receipt); err != nil || receipt.RequestID == "" || receipt.Events != 1 {
				t.Fatalf("README.md:%d: %s is answered %s", b.line, algorithm, got)
			}
			if _, answer := s.try(t, http.MethodGet, "/v1/requests/"+receipt.RequestID+"/body", ""); string(answer) != `{"sku":"A-7", "quantity":3}` {
				t.Errorf("README.md:%d: it sent %s", b.line, answer)
			}
			if got := runCaller(t, language, text, "URL="+door.URL, "SECRET=another"); bytes.Contains(got, []byte(`"events"`)) {
				t.Errorf("README.md:%d: another secret is answered %s", b.line, got)
			}
		}
	}
	if tried != 2*len(callers) {
		t.Errorf("%d callers on the page, %d known here", tried/2, len(callers))
	}
}

// runCaller runs a block and returns what it prints. Some fail when they are refused.
func runCaller(t *testing.T, language, text string, settings ...string) []byte {
	t.Helper()
	c, ok := callers[language]
	if !ok {
		t.Fatalf("nobody knows how to run %s", language)
	}
	file := filepath.Join(t.TempDir(), c.file)
	if err := os.WriteFile(file, []byte(c.before+text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), c.command, file)
	cmd.Env = append(environ(), settings...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s: %v", language, err)
	}
	return out
}

// TestExamples holds the page's examples against who reads them: configuration is sent to
// the API, files are loaded.
func TestExamples(t *testing.T) {
	t.Parallel()
	s := newInstallation(t)
	s.create(t, "/v1/actions", `{"code":"book-stock","type":"upsertRecord","config":{"collection":"stock","key":"{{ item.sku }}"}}`, nil)
	tried := map[string]int{}
	for _, b := range page(t) {
		how, what, _ := strings.Cut(b.mark, ": ")
		if strings.HasPrefix(b.mark, "try: ") {
			var made struct{ Warnings []string }
			s.create(t, strings.TrimPrefix(what, "POST "), b.text, &made)
			for _, w := range made.Warnings {
				if w != "no_route" {
					t.Errorf("README.md:%d: warns of %s", b.line, w)
				}
			}
		}
		switch how {
		case "preset":
			if table, err := preset.Load(fstest.MapFS{what: {Data: []byte(b.text)}}); err != nil || table.Get(strings.TrimSuffix(what, ".json")) == nil {
				t.Errorf("README.md:%d: %v", b.line, err)
			}
		case "commands":
			file := filepath.Join(t.TempDir(), "commands.yaml")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(b.text, "/usr/bin/lp", "/bin/sh")), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := action.LoadCommands(file); err != nil {
				t.Errorf("README.md:%d: %v", b.line, err)
			}
		}
		tried[how]++
	}
	for how, want := range map[string]int{"try": 2, "preset": 1, "commands": 1} {
		if tried[how] != want {
			t.Errorf("%d of %s on the page, want %d", tried[how], how, want)
		}
	}
}
