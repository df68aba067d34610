package faulttest

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// try runs a command of the program on the node's installation, under some encryption key.
func (n *node) try(key string, args ...string) (said string, code int) {
	n.in.t.Helper()
	cmd := exec.CommandContext(n.in.t.Context(), n.in.binary, args...)
	cmd.Env = []string{"SALLYPORT_DATA_DIR=" + n.dir, "SALLYPORT_DATABASE_URL=" + n.in.database, "SALLYPORT_ENCRYPTION_KEY=" + key}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		n.in.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// The encryption key is changed beside a running server: it goes on, the next start needs
// the new key, and refuses the old one.
func TestRotateMasterBesideARunningServer(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		in := install(t, database, quick...)
		at := testkit.NewReceiver(t)
		n := in.node()
		n.webhook("before", at.URL, object{"secret": "sealed-before-the-rotation", "eventTypes": []string{"a.*"}})
		file := filepath.Join(t.TempDir(), "new.key")
		for _, wrong := range [][]string{
			{"--generate"}, {"--out", file}, {"--new-key-file", file, "--generate", "--out", file}, {},
		} {
			if said, code := n.try(encryptionKey, append([]string{"keys", "rotate-master"}, wrong...)...); code != 2 {
				t.Errorf("%v ended with %d: %s", wrong, code, said)
			}
		}
		if said, code := n.try(strings.Repeat("ab", 32), "keys", "rotate-master", "--generate", "--out", file); code != 1 || !strings.Contains(said, "does not match") {
			t.Errorf("from the wrong key: %d: %s", code, said)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("a refused rotation made a key")
		}
		said, code := n.try(encryptionKey, "keys", "rotate-master", "--generate", "--out", file)
		content, err := os.ReadFile(file)
		if err != nil || code != 0 {
			t.Fatalf("%d, %v: %s", code, err, said)
		}
		fresh := strings.TrimSpace(string(content))
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || len(fresh) != 64 || strings.Contains(said, fresh) || !strings.Contains(said, "SALLYPORT_ENCRYPTION_KEY_FILE="+file) {
			t.Errorf("%v %v: %s", info, err, said)
		}
		if said, code := n.try(fresh, "keys", "rotate-master", "--generate", "--out", file); code != 1 || !strings.Contains(said, "is there already") {
			t.Errorf("over a key: %d: %s", code, said)
		}
		signed := func(event string) {
			t.Helper()
			k := len(at.Received())
			n.publish(object{"type": event})
			for _, q := range at.Wait(k + 1)[k:] {
				if q.Header.Get("Webhook-Signature") == "" {
					t.Errorf("%s is not signed", event)
				}
			}
		}
		signed("a.b")
		n.webhook("after", at.URL, object{"secret": "sealed-after-the-rotation", "eventTypes": []string{"b.*"}})
		n.kill()
		n.launch()
		if code := n.wait(); code != 1 || !strings.Contains(n.tail(5), "encryption key does not match this database: it is") || !strings.Contains(n.tail(5), "keys rotate-master") {
			t.Fatalf("the old key: ended with %d: %s", code, n.tail(5))
		}
		n.env = []string{"ENCRYPTION_KEY=" + fresh}
		n.start()
		signed("a.b")
		signed("b.c")
		log, err := json.Marshal(n.list("/v1/audit-log?action=rotate_secret"))
		if err != nil || !strings.Contains(string(log), "sallyport keys rotate-master") || strings.Contains(string(log), fresh) {
			t.Errorf("on record: %s %v", log, err)
		}
	})
}

// A new data key: a node that runs reads what another, started later, seals with it.
func TestRotateDataKeyBetweenNodes(t *testing.T) {
	t.Parallel()
	in, nodes := cluster(t, 1)
	a := nodes[0]
	at := testkit.NewReceiver(t)
	a.webhook("old", at.URL, object{"secret": "sealed-with-the-first-data-key", "eventTypes": []string{"old"}})
	if said, code := a.try(encryptionKey, "keys", "rotate-data"); code != 0 {
		t.Fatalf("%d: %s", code, said)
	}
	b := in.node()
	b.webhook("new", at.URL, object{"secret": "sealed-with-the-second-data-key", "eventTypes": []string{"new"}})
	for i, n := range []*node{a, b, a, b} {
		if r := n.publish(object{"type": []string{"new", "old", "old", "new"}[i]}); r["matched"] != 1.0 {
			t.Errorf("%s matched %v", n.name, r["matched"])
		}
	}
	for _, q := range at.Wait(4) {
		if q.Header.Get("Webhook-Signature") == "" {
			t.Errorf("%s is not signed", q.Header.Get("X-Webhook-Event"))
		}
	}
	if n := a.must(http.MethodGet, "/v1/webhooks/new", nil); n["code"] != "new" {
		t.Errorf("%v", n)
	}
}
