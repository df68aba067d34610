package tour

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// installation is the real binary on a database of its own.
type installation struct {
	url, key string
}

func newInstallation(t *testing.T, settings ...string) *installation {
	t.Helper()
	address := "127.0.0.1:" + freePort(t)
	s := &installation{url: "http://" + address, key: "the-key-of-the-page-0123456789abcdef"}
	cmd := exec.Command(testkit.Binary(t), "serve")
	cmd.Env = append(environ(), "SALLYPORT_ADDR="+address, "SALLYPORT_ADMIN_KEY="+s.key, "SALLYPORT_DATA_DIR="+filepath.Join(t.TempDir(), "data"))
	cmd.Env = append(cmd.Env, settings...)
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

// try makes a call; the status is 0 if nobody answers. headers are name, value, name, value.
func (s *installation) try(t *testing.T, method, path, body string, headers ...string) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
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

// callers are the programs of /docs/guides that call a door, and how they are run.
var callers = map[string][]string{
	"call.sh": {"bash", "-eu", "-o", "pipefail"}, "call.php": {"php"}, "call.mjs": {"node"}, "call.py": {"python3"}, "Call.java": java,
}

// TestHash runs the callers of the README and of /docs/guides against a door whose template is
// that of the tour, and once more with MD5 on both sides.
func TestHash(t *testing.T) {
	t.Parallel()
	programs := map[string]string{}
	for file := range callers {
		text, err := os.ReadFile(filepath.Join(guides, file))
		if err != nil {
			t.Fatal(err)
		}
		programs[file] = string(text)
	}
	for _, b := range examples(t, "hash") {
		if b.text != programs[strings.TrimPrefix(b.mark, "hash: ")] {
			t.Errorf("README.md:%d: this is another program than that of /docs/guides", b.line)
		}
	}
	s := newInstallation(t)
	const secret = "what only they know: ä"
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
		for file, text := range programs {
			t.Run(algorithm+" "+file, func(t *testing.T) {
				t.Parallel()
				if algorithm == "md5" {
					text = strings.NewReplacer("sha256", "md5", "SHA-256", "MD5").Replace(text)
				}
				got := runCaller(t, file, text, "URL="+door.URL, "SECRET="+secret)
				var receipt struct {
					RequestID string
					Events    int
				}
				if err := json.Unmarshal(got, &receipt); err != nil || receipt.RequestID == "" || receipt.Events != 1 {
					t.Fatalf("it is answered %s", got)
				}
				if _, answer := s.try(t, http.MethodGet, "/v1/requests/"+receipt.RequestID+"/body", ""); string(answer) != `{"sku":"A-7", "quantity":3}` {
					t.Errorf("it sent %s", answer)
				}
				if algorithm == "md5" {
					return // refusing is the same
				}
				if got := runCaller(t, file, text, "URL="+door.URL, "SECRET=another"); !bytes.Contains(got, []byte(`"code":"hash_mismatch"`)) || !bytes.Contains(got, []byte(`"requestId"`)) {
					t.Errorf("of a refusal it shows %s", got)
				}
			})
		}
	}
}

// runCaller runs a program and returns what it prints. Some fail when they are refused.
func runCaller(t *testing.T, name, text string, settings ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := callers[name]
	cmd := exec.CommandContext(t.Context(), c[0], append(c[1:], file)...) //nolint:gocritic // a new list
	// Java reads its environment in the locale's encoding.
	cmd.Env = append(append(environ(), "LC_ALL=C.UTF-8"), settings...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s: %v", name, err)
	}
	return out
}

// examples are the page's blocks of one kind.
func examples(t *testing.T, kind string) []block {
	t.Helper()
	var found []block
	for _, b := range page(t) {
		if b.mark == kind || strings.HasPrefix(b.mark, kind+": ") {
			found = append(found, b)
		}
	}
	return found
}

// TestExamples gives the page's files to an installation, creates what the page creates, and
// calls the doors as their senders do.
func TestExamples(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	presets, commands := examples(t, "preset"), examples(t, "commands")
	if len(presets) != 1 || len(commands) != 1 {
		t.Fatalf("%d presets and %d files of commands on the page", len(presets), len(commands))
	}
	own := strings.TrimPrefix(presets[0].mark, "preset: ")
	for name, text := range map[string]string{
		filepath.Join(dir, own): presets[0].text,
		// Who tests may have no printer.
		filepath.Join(dir, "commands.yaml"): strings.Replace(commands[0].text, "/usr/bin/lp", "/bin/echo", 1),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newInstallation(t, "SALLYPORT_PRESETS_DIR="+dir, "SALLYPORT_COMMANDS="+filepath.Join(dir, "commands.yaml"))
	s.create(t, "/v1/actions", `{"code":"book-stock","type":"upsertRecord","config":{"collection":"stock","key":"{{ item.sku }}"}}`, nil)
	s.create(t, "/v1/actions", `{"code":"label","type":"runCommand","config":{"command":"print-label","args":["{{ item.sku }}"]}}`, nil)
	s.create(t, "/v1/incoming-webhooks", `{"code":"own","secrets":[{"name":"now","value":"a-shared-secret"}],
		"preProcessors":[{"type":"signature","preset":"`+strings.TrimSuffix(own, ".json")+`","secrets":["now"]}]}`, nil)
	for _, b := range examples(t, "try") {
		s.create(t, strings.TrimPrefix(b.mark, "try: POST "), b.text, nil)
	}

	if status, answer := s.try(t, http.MethodPost, "/v1/actions/label/test", `{"item":{"sku":"A-7"}}`); status != http.StatusOK || !bytes.Contains(answer, []byte("-d labels A-7")) {
		t.Errorf("the command answers %d %s", status, answer)
	}
	const body = `{"sku":"A-7"}`
	now := strconv.FormatInt(time.Now().Unix(), 10)
	acme := func(secret string) []string {
		return []string{"X-Acme-Time", now, "X-Acme-Signature", "v1=" + hexMAC(secret, now+"."+body)}
	}
	for _, c := range []struct {
		door    string
		headers []string
		status  int
	}{
		{"github", []string{"X-Hub-Signature-256", "sha256=" + hexMAC("what-you-entered-at-github", body)}, http.StatusAccepted},
		{"github", []string{"X-Hub-Signature-256", "sha256=" + hexMAC("another", body)}, http.StatusForbidden},
		{"acme", acme("a-shared-secret"), http.StatusAccepted},
		{"acme", acme("its-successor"), http.StatusAccepted},
		{"acme", acme("another"), http.StatusForbidden},
		{"own", acme("a-shared-secret"), http.StatusAccepted},
		{"own", acme("another"), http.StatusForbidden},
	} {
		if status, answer := s.try(t, http.MethodPost, "/in/"+c.door, body, c.headers...); status != c.status {
			t.Errorf("%s answers %v with %d %s, want %d", c.door, c.headers, status, answer, c.status)
		}
	}
	if status, answer := s.try(t, http.MethodGet, "/in/own?challenge=x7", ""); status != http.StatusOK || string(answer) != "x7" {
		t.Errorf("the handshake is answered %d %s", status, answer)
	}
}

func hexMAC(secret, content string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(content))
	return hex.EncodeToString(mac.Sum(nil))
}
