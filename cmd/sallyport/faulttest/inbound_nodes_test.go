package faulttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// The same call through two nodes at the same moment, many times: one is accepted, and
// all others are told of it.
func TestSameCallThroughTwoNodes(t *testing.T) {
	in, nodes := cluster(t, 2, "NODE_DEAD_AFTER=1m")
	at := receive(t, nil)
	nodes[0].action("send", "httpRequest", object{"url": at.url + "/?n={{ item.n }}"})
	nodes[0].door("once", object{"dedupe": object{"key": "{{ request.body.n }}", "window": "1h"}}, "send")
	const rounds, callers = 40, 16
	for round := range rounds {
		var mu sync.Mutex
		first, repeats := map[string]bool{}, map[string]bool{}
		var calls sync.WaitGroup
		for i := range callers {
			calls.Go(func() {
				status, r, err := knock(nodes[i%2].url, "once", fmt.Appendf(nil, `{"n":"r%d"}`, round))
				mu.Lock()
				defer mu.Unlock()
				if err != nil || status != http.StatusAccepted {
					t.Errorf("round %d: answered %d, %v", round, status, err)
				}
				if r.Duplicate {
					repeats[r.RequestID] = true
				} else {
					first[r.RequestID] = true
				}
			})
		}
		calls.Wait()
		if len(first) != 1 || len(repeats) != 1 {
			t.Fatalf("round %d: accepted %v, told of %v", round, first, repeats)
		}
		for id := range first {
			if !repeats[id] {
				t.Errorf("round %d: accepted %s, told of %v", round, id, repeats)
			}
		}
	}
	at.wait("every call had its action", func() bool { return len(at.of) == rounds })
	db := nodes[0].db()
	in.settled(db)
	in.whole(db)
	if n := in.one(db, "SELECT count(*) FROM requests WHERE verdict = 0"); n != rounds {
		t.Errorf("%d requests are accepted, want %d", n, rounds)
	}
	if at.total() != rounds {
		t.Errorf("actions ran %d times, want %d", at.total(), rounds)
	}
}

// Two nodes change the same few records at the same time: each change is made of the one
// before, none is lost, and each is told of once.
func TestSameRecordsThroughTwoNodes(t *testing.T) {
	in, nodes := cluster(t, 2, "NODE_DEAD_AFTER=1m")
	nodes[0].action("count", "upsertRecord", object{"collection": "stock", "key": "{{ item.key }}", "document": object{"n": "{{ item.n }}"}})
	nodes[0].door("stock", nil, "count")
	const keys, each = 3, 100 // calls for each key
	var calls sync.WaitGroup
	for caller := range 8 {
		calls.Go(func() {
			for i := range keys * each / 8 {
				// The nodes meet the keys in opposite order.
				key := (i + caller) % keys
				if caller%2 == 1 {
					key = keys - 1 - key
				}
				body := fmt.Appendf(nil, `{"key":"k%d","n":"%d-%d"}`, key, caller, i)
				if status, _, err := knock(nodes[caller%2].url, "stock", body); err != nil || status != http.StatusAccepted {
					t.Errorf("answered %d, %v", status, err)
				}
			}
		})
	}
	calls.Wait()
	db := nodes[0].db()
	in.settled(db)
	in.whole(db)
	if n := in.one(db, "SELECT count(*) FROM deliveries WHERE state <> 2"); n > 0 {
		t.Errorf("%d deliveries did not succeed", n)
	}

	type told struct {
		Key      string
		Version  int
		Document json.RawMessage
		Before   json.RawMessage
	}
	changes := map[string][]told{}
	rows, err := db.Query("SELECT convert_from(entity, 'UTF8') FROM events WHERE type LIKE 'Record.%'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var c told
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		changes[c.Key] = append(changes[c.Key], c)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for key, all := range changes {
		slices.SortFunc(all, func(a, b told) int { return a.Version - b.Version })
		total += len(all)
		seen := map[string]bool{}
		for i, c := range all {
			if c.Version != i+1 {
				t.Fatalf("%s: event %d tells of version %d", key, i+1, c.Version)
			}
			if i > 0 && string(c.Before) != string(all[i-1].Document) {
				t.Errorf("%s: version %d was made of %s, and %s was there", key, c.Version, c.Before, all[i-1].Document)
			}
			if seen[string(c.Document)] {
				t.Errorf("%s: %s was written twice", key, c.Document)
			}
			seen[string(c.Document)] = true
		}
		if v := in.one(db, "SELECT version FROM records WHERE key = $1", key); v != len(all) {
			t.Errorf("%s has version %d, and %d events", key, v, len(all))
		}
	}
	if calls := in.one(db, "SELECT count(*) FROM requests WHERE verdict = 0"); total != calls {
		t.Errorf("%d changes for %d calls", total, calls)
	}
	if n := in.one(db, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
	for _, n := range nodes {
		t.Logf("%s: %d batches were refused by the store", n.name, len(n.logged("delivery.finish")))
	}
}

// What a script does to a door through one node holds for calls through the other at once,
// also while strangers call doors that are not there.
func TestDoorsChangedOnAnotherNode(t *testing.T) {
	in, nodes := cluster(t, 2, "NODE_DEAD_AFTER=1m")
	a, b := nodes[0], nodes[1]
	at := receive(t, nil)
	a.action("send", "httpRequest", object{"url": at.url + "/?n={{ item.n }}"})
	stop := make(chan struct{})
	var strangers sync.WaitGroup
	for range 2 {
		strangers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond): // they are to be there, not to take the machine
				}
				if status, _, err := knock(b.url, "nobodys", []byte(`{}`)); err != nil || status != http.StatusNotFound {
					t.Errorf("an unknown door answered %d, %v", status, err)
					return
				}
			}
		})
	}
	const doors = 300
	called := func(round int, what string, want int) {
		t.Helper()
		status, _, err := knock(b.url, fmt.Sprintf("d%d", round), fmt.Appendf(nil, `{"n":"%s-%d"}`, what, round))
		if err != nil || status != want {
			t.Fatalf("round %d, %s: answered %d, %v; want %d", round, what, status, err, want)
		}
	}
	for i := range doors {
		code := fmt.Sprintf("d%d", i)
		a.door(code, nil, "send")
		called(i, "created", http.StatusAccepted)
		if i%3 == 0 {
			a.door(code, object{"enabled": false}, "send")
			called(i, "disabled", http.StatusNotFound)
			a.door(code, object{"hash": "another"}, "send")
			called(i, "other-hash", http.StatusForbidden)
			a.door(code, nil, "send")
			called(i, "old-hash", http.StatusAccepted)
			a.must(http.MethodDelete, "/v1/incoming-webhooks/"+code, nil)
			called(i, "deleted", http.StatusNotFound)
		}
	}
	close(stop)
	strangers.Wait()
	db := a.db()
	in.settled(db)
	want := doors + doors/3
	if n := in.one(db, "SELECT count(*) FROM requests WHERE verdict = 0"); n != want {
		t.Errorf("%d requests are accepted, want %d", n, want)
	}
	if len(at.of) != want {
		t.Errorf("actions ran for %d calls, want %d", len(at.of), want)
	}
}
