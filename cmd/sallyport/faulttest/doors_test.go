package faulttest

import (
	"bytes"
	"crypto/md5" //nolint:gosec // as the tested door's hash is made
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The hash that the tests' doors want: it changes every minute.
const doorHash = "{{ ('planted' ~ 'now'|date('Y-m-d_H-i'))|md5 }}"

func hashNow() string {
	sum := md5.Sum([]byte("planted" + time.Now().UTC().Format("2006-01-02_15-04"))) //nolint:gosec // see doorHash
	return hex.EncodeToString(sum[:])
}

// action creates or replaces an action.
func (n *node) action(code, kind string, config object) {
	n.in.t.Helper()
	n.must(http.MethodPut, "/v1/actions/"+code, object{"type": kind, "config": config, "retry": object{"schedule": []string{"100ms"}}, "maxAttempts": 50})
}

// door creates or replaces an incoming webhook that leads to actions.
func (n *node) door(code string, with object, actions ...string) {
	n.in.t.Helper()
	routes := make([]object, len(actions))
	for i, a := range actions {
		routes[i] = object{"name": a, "action": a}
	}
	d := object{"hash": doorHash, "hashTolerance": "5m", "hashIn": object{"in": "header", "name": "X-Hash"}, "routes": routes}
	for k, v := range with {
		d[k] = v
	}
	n.must(http.MethodPut, "/v1/incoming-webhooks/"+code, d)
}

// receipt is what an accepted caller is told.
type receipt struct {
	RequestID string
	Duplicate bool
}

// knock calls a door with JSON. The error is of the transport only.
func knock(url, code string, body []byte) (int, receipt, error) {
	var r receipt
	q, err := http.NewRequest(http.MethodPost, url+"/in/"+code, bytes.NewReader(body))
	if err != nil {
		return 0, r, err
	}
	q.Header.Set("X-Hash", hashNow())
	q.Header.Set("Content-Type", "application/json")
	a, err := client.Do(q)
	if err != nil {
		return 0, r, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode < 300 {
		err = json.Unmarshal(text, &r)
	}
	return a.StatusCode, r, err
}

// knocking is a number of callers at doors, each of whom waits for the answer before it
// calls again. Every call has a number of its own, and none is repeated: what was not
// answered may have been accepted or not.
type knocking struct {
	t     testing.TB
	url   func() string
	doors []string // which they call in turn
	pause time.Duration

	mu      sync.Mutex
	acked   map[string]bool // numbers of the calls that were accepted
	refused map[int]int     // answers that were neither 2xx nor of a server that was away

	away, unavailable atomic.Int64
	stopping          chan struct{}
	ended             sync.WaitGroup
}

// callers starts so many of them.
func (k *knocking) callers(n int) *knocking {
	k.acked, k.refused, k.stopping = map[string]bool{}, map[int]int{}, make(chan struct{})
	for c := range n {
		k.ended.Go(func() {
			for i := 0; ; i++ {
				number := fmt.Sprintf("c%d-%d", c, i)
				k.call(k.doors[(c+i)%len(k.doors)], number, fmt.Sprintf("c%d", c))
				select {
				case <-k.stopping:
					return
				case <-time.After(k.pause):
				}
			}
		})
	}
	return k
}

func (k *knocking) call(door, number, caller string) {
	status, _, err := knock(k.url(), door, fmt.Appendf(nil, `{"n":%q,"caller":%q}`, number, caller))
	switch {
	case err != nil:
		k.away.Add(1)
		time.Sleep(50 * time.Millisecond) // the server that starts needs the machine
	case status < 300:
		k.mu.Lock()
		k.acked[number] = true
		k.mu.Unlock()
	case status == http.StatusServiceUnavailable:
		k.unavailable.Add(1)
		time.Sleep(10 * time.Millisecond)
	default:
		k.mu.Lock()
		k.refused[status]++
		k.mu.Unlock()
	}
}

func (k *knocking) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.acked)
}

// reach returns once so many more calls are accepted.
func (k *knocking) reach(more int) {
	k.t.Helper()
	from := k.count()
	for w := (waiting{}); k.count() < from+more; time.Sleep(2 * time.Millisecond) {
		if w.over(k.count()) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.t.Fatalf("%d calls were accepted, not %d, and no more within %s; refused: %v", len(k.acked)-from, more, patience, k.refused)
		}
	}
}

// stop ends the callers and fails the test if one was refused.
func (k *knocking) stop() {
	k.t.Helper()
	close(k.stopping)
	k.ended.Wait()
	if len(k.refused) > 0 {
		k.t.Errorf("callers were refused, by status: %v", k.refused)
	}
}

// inbound is a node's doors with one action of each kind whose doing can be counted.
type inbound struct {
	in      *installation
	sent    *receiver // of the action that sends requests
	told    *receiver // of the webhook that hears of what actions publish
	doors   []string
	actions int // of each door
}

// layInbound makes doors that lead to all the actions: one that sends what came, one that
// publishes it, one that keeps it as a record, and one that counts the caller's calls in a
// record of his own.
func layInbound(n *node) *inbound {
	t := n.in.t
	b := &inbound{in: n.in, sent: receive(t, nil), told: receive(t, nil), doors: []string{"plain", "deduped"}, actions: 4}
	n.webhook("all", b.told.url, object{"eventTypes": []string{"stock.counted"}})
	n.action("send", "httpRequest", object{"method": "POST", "url": b.sent.url + "/?n={{ item.n }}"})
	n.action("tell", "publishEvent", object{"type": "stock.counted", "entityId": "{{ item.n }}", "entity": "{{ item|json_encode|raw }}"})
	n.action("keep", "createRecord", object{"collection": "kept", "key": "{{ item.n }}"})
	n.action("count", "upsertRecord", object{"collection": "counted", "key": "{{ item.caller }}", "document": object{"last": "{{ item.n }}"}})
	all := []string{"send", "tell", "keep", "count"}
	n.door("plain", nil, all...)
	n.door("deduped", object{"dedupe": object{"key": "{{ item.n }}{{ request.body.n }}", "window": "1h"}}, all...)
	return b
}

// exactly fails the test unless every accepted call had its actions, and what they did in
// the store happened once. It returns how many calls were accepted.
func (b *inbound) exactly(db *sql.DB, k *knocking) int {
	in := b.in
	in.t.Helper()
	in.settled(db)
	in.unheld(db)
	in.whole(db)
	accepted := in.one(db, "SELECT count(*) FROM requests WHERE verdict = 0")
	if acked := k.count(); accepted < acked || accepted > acked+int(k.away.Load()+k.unavailable.Load()) {
		in.t.Errorf("%d requests are accepted, %d callers were told so, %d do not know", accepted, acked, k.away.Load()+k.unavailable.Load())
	}
	for what, n := range map[string]struct{ want, got int }{
		"items":                        {accepted, in.one(db, "SELECT count(*) FROM events WHERE type IN ('incoming.plain', 'incoming.deduped')")},
		"requests with an item":        {accepted, in.one(db, "SELECT count(DISTINCT request_id) FROM events WHERE type LIKE 'incoming.%'")},
		"runs of actions":              {accepted * b.actions, in.one(db, "SELECT count(*) FROM deliveries WHERE target_kind = 1")},
		"deliveries that did not work": {0, in.one(db, "SELECT count(*) FROM deliveries WHERE state <> 2")},
		"published events":             {accepted, in.one(db, "SELECT count(*) FROM events WHERE type = 'stock.counted'")},
		"their entities":               {accepted, in.one(db, "SELECT count(DISTINCT entity_id) FROM events WHERE type = 'stock.counted'")},
		"deliveries of them":           {accepted, in.one(db, "SELECT count(*) FROM deliveries WHERE target_kind = 0")},
		"kept records":                 {accepted, in.one(db, "SELECT count(*) FROM records WHERE collection = 'kept'")},
		"kept records that changed":    {0, in.one(db, "SELECT count(*) FROM records WHERE collection = 'kept' AND version <> 1")},
		"counted calls":                {accepted, in.one(db, "SELECT coalesce(sum(version), 0) FROM records WHERE collection = 'counted'")},
		"Record.Created": {in.one(db, "SELECT count(*) FROM records"),
			in.one(db, "SELECT count(*) FROM events WHERE type = 'Record.Created'")},
		"Record.Updated": {in.one(db, "SELECT coalesce(sum(version - 1), 0) FROM records"), in.one(db, "SELECT count(*) FROM events WHERE type = 'Record.Updated'")},
		"Record.Deleted": {0, in.one(db, "SELECT count(*) FROM events WHERE type = 'Record.Deleted'")},
	} {
		if n.got != n.want {
			in.t.Errorf("%s: %d, want %d", what, n.got, n.want)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	b.sent.mu.Lock()
	defer b.sent.mu.Unlock()
	for number := range k.acked {
		if b.sent.of[number] == 0 {
			in.t.Errorf("call %s was accepted, and not sent", number)
		}
	}
	b.told.mu.Lock()
	defer b.told.mu.Unlock()
	if len(b.told.of) != accepted {
		in.t.Errorf("%d published events arrived, want %d", len(b.told.of), accepted)
	}
	in.t.Logf("%d calls accepted, %d told so; sent %d times, told %d times; no answer %d times, 503 %d times",
		accepted, len(k.acked), len(b.sent.arrivals), len(b.told.arrivals), k.away.Load(), k.unavailable.Load())
	return accepted
}
