package faulttest

import (
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// command runs a command of the program on the node's directory.
func (n *node) command(args ...string) string {
	n.in.t.Helper()
	cmd := exec.CommandContext(n.in.t.Context(), n.in.binary, args...)
	cmd.Env = []string{"SALLYPORT_DATA_DIR=" + n.dir, "SALLYPORT_ENCRYPTION_KEY=" + encryptionKey}
	said, err := cmd.CombinedOutput()
	if err != nil {
		n.in.t.Fatalf("%v: %v\n%s", args, err, said)
	}
	return string(said)
}

// A backup made beside a server under load has every event that was acknowledged before
// it began. The copy, restored elsewhere and on hold, sends nothing until it is let go.
func TestBackupUnderLoad(t *testing.T) {
	in := install(t, "", quick...)
	n := in.node()
	at := receive(t, nil)
	failing := receive(t, func(*http.Request, int) answer { return answer{status: http.StatusServiceUnavailable} })
	n.webhook("all", at.url, nil)
	n.webhook("failing", failing.url, object{"eventTypes": []string{"rare"}, "retry": object{"schedule": []string{"1h"}}})
	n.publish(object{"id": "waits", "type": "rare"})
	failing.wait("the first attempt", func() bool { return failing.of["waits"] == 1 })
	l := (&load{t: t, urls: func(int) string { return n.url }}).publishers(6, 11)
	file := filepath.Join(t.TempDir(), "backup.db")
	var before map[string]bool
	for range 2 {
		l.reach(1000)
		l.mu.Lock()
		before = maps.Clone(l.acked)
		l.mu.Unlock()
		n.command("backup", "--out", file, "--force")
	}
	l.reach(100)
	l.stop()
	l.delivered(at)
	if code := n.stop(); code != 0 {
		t.Errorf("the server ended with %d", code)
	}

	sent := at.total()
	restored := &node{in: in, name: "restored", dir: t.TempDir(), env: []string{"HOLD=true"}}
	if said := restored.command("restore", file); !strings.Contains(said, "restored "+file) { // it checks the integrity
		t.Errorf("restore says %s", said)
	}
	restored.start()
	db := restored.db()
	rows, err := db.QueryContext(t.Context(), "SELECT coalesce(id, lower(hex(key))) FROM events")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		stored[id] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for id := range before {
		if !stored[id] && !stored[strings.ReplaceAll(id, "-", "")] {
			lost++
		}
	}
	if lost > 0 || len(before) < 2000 {
		t.Errorf("of %d events acknowledged before the backup began, %d are not in it", len(before), lost)
	}
	in.whole(db)
	d := restored.list("/v1/events/waits/deliveries")
	if len(d) != 2 {
		t.Fatalf("%d deliveries of one event", len(d))
	}
	restored.publish(object{"id": "later", "type": "thing"})
	in.eventually("the node of the backup is buried", func() bool { return in.one(db, "SELECT count(*) FROM nodes") == 1 })
	time.Sleep(1500 * time.Millisecond) // the worker looks around once a second
	if k := at.total() - sent; k != 0 {
		t.Errorf("%d requests left while on hold", k)
	}
	restored.must(http.MethodPost, "/v1/dispatch/release", nil)
	at.wait("what waited is sent", func() bool { return at.of["later"] == 1 })
	in.eventually("only the one whose retry is an hour away waits", func() bool { return in.one(db, "SELECT count(*) FROM due") == 1 })
}
