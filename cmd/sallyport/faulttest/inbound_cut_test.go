package faulttest

import (
	"slices"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// The connection to Postgres ends while a call is stored, or what an action does: within
// the transaction, as its commit was sent, or after it took place. Whatever became of it,
// every call has its actions, and what they do in the store happens once.
func TestConnectionsCutUnderCalls(t *testing.T) {
	statements := []string{"accept_inbound", "accept_full", "finish_general_again", "effect_events", "commit of effect_events"}
	database := testkit.EmptyPostgres(t)
	p := intercept(t, database)
	in := install(t, p.url, quick...)
	n := in.node()
	b := layInbound(n)
	k := (&knocking{t: t, url: func() string { return n.url }, doors: b.doors, pause: 2 * time.Millisecond}).callers(6)
	k.reach(20)

	const each = 8
	seen, calls := map[string]int{}, map[string]int{}
	p.cutting(func(statement string) cut { // called under the proxy's lock
		calls[statement]++
		if !slices.Contains(statements, statement) || seen[statement] >= each || calls[statement]%3 != 0 {
			return pass
		}
		seen[statement]++
		return []cut{afterCommit, beforeReply}[seen[statement]%2]
	})
	for _, s := range statements {
		in.eventually(s+" is cut often enough", func() bool { return p.done(s) >= each })
	}
	k.reach(50)
	k.stop()
	p.mu.Lock()
	t.Logf("cut: %v", p.cuts)
	p.mu.Unlock()
	direct := &node{in: install(t, database), name: "beside"}
	db := direct.db()
	b.exactly(db, k)
	// Nothing crashed: what was sent once is on record, and was not sent again.
	if sent, runs := b.sent.total(), in.one(db, "SELECT count(*) FROM attempts a JOIN deliveries d ON d.id = a.delivery_id JOIN actions x ON x.id = d.target_id WHERE x.code = 'send'"); sent != runs {
		t.Errorf("%d requests were sent, %d attempts are on record", sent, runs)
	}
	if code := n.stop(); code != 0 {
		t.Errorf("the node ended with code %d", code)
	}
}

// The store commits what an action did, the answer is lost, and before the node can ask
// again the configuration changes: it was done, and is not done anew.
func TestConfigurationChangesUnderAnUnknownEffect(t *testing.T) {
	t.Parallel()
	database := testkit.EmptyPostgres(t)
	p := intercept(t, database)
	in := install(t, p.url)
	n := in.node()
	b := layInbound(n)
	direct := &node{in: install(t, database), name: "beside"}
	db := direct.db()
	calls := 0
	k := &knocking{t: t, url: func() string { return n.url }, acked: map[string]bool{}, refused: map[int]int{}}
	for _, how := range []cut{afterCommit, beforeReply} {
		for range 5 {
			armed := true
			p.cutting(func(statement string) cut {
				if !armed || statement != "commit of effect_events" {
					return pass
				}
				armed = false
				// As another node's change comes in: what is to be committed has been held
				// against the configuration before it. Others go on meanwhile, of whom one may
				// have the row.
				p.mu.Unlock()
				defer p.mu.Lock()
				if _, err := db.Exec("UPDATE config_versions SET version = version + 1"); err != nil {
					t.Error(err)
				}
				return how
			})
			calls++
			k.call("plain", "c0-"+string(rune('a'+calls)), "c0")
			in.settled(db)
		}
	}
	p.cutting(nil)
	if len(k.refused) > 0 || k.count() != calls {
		t.Errorf("%d of %d calls were accepted, refused: %v", k.count(), calls, k.refused)
	}
	b.told.wait("everything published arrived", func() bool { return len(b.told.of) == calls })
	b.exactly(db, k)
	if again := in.one(db, "SELECT count(*) FROM attempts") - in.one(db, "SELECT count(*) FROM deliveries"); again != 0 {
		t.Errorf("%d attempts more than deliveries: what was done ran anew", again)
	}
	if p.done("commit of effect_events") != calls {
		t.Errorf("%d commits were cut, want %d", p.done("commit of effect_events"), calls)
	}
}
