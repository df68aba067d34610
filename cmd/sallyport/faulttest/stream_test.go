package faulttest

import (
	"bufio"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// follower reads the stream of one node after the other, with one cursor.
type follower struct {
	t   *testing.T
	url func(n int) string // of the n-th stream

	mu     sync.Mutex
	cursor string
	seen   []string // ids in the order they came
	cuts   int
}

// follow reads until it is over: some messages from one node, then on at another. A node
// that is away is passed over.
func (f *follower) follow(ctx context.Context, r *rand.Rand) {
	client := &http.Transport{}
	defer client.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		f.read(ctx, client, f.url(n), 1+r.IntN(400))
	}
}

func (f *follower) read(ctx context.Context, client http.RoundTripper, url string, most int) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // a node that hangs is left
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/v1/stream?since=2020-01-01T00:00:00Z", nil)
	if err != nil {
		f.t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	if f.cursor != "" {
		req.Header.Set("Last-Event-ID", f.cursor)
	}
	res, err := client.RoundTrip(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 && res.StatusCode < 500 {
		f.t.Errorf("the stream of %s answers %s", url, res.Status)
		return
	}
	var id, event, data string
	for lines := bufio.NewScanner(res.Body); most > 0 && lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "id":
			id = value
		case name == "event":
			event = value
		case name == "data":
			data += value
		case name == "" && id != "":
			f.note(id, event, data)
			if event != "" {
				most--
			}
			id, event, data = "", "", ""
		}
	}
}

func (f *follower) note(cursor, event, data string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor = cursor
	if event == "" {
		f.cuts++
		return
	}
	var e struct{ ID string }
	if err := json.Unmarshal([]byte(data), &e); err != nil || event != "event" {
		f.t.Errorf("%s: %s", event, data)
	}
	f.seen = append(f.seen, e.ID)
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

// Two nodes accept events at once while one of them is killed again and again: whoever
// follows them with one cursor, now here and now there, gets everything that was
// acknowledged, and nothing twice. Two followers see one order.
func TestStreamsOverNodesThatAreKilled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	in, nodes := cluster(t, 2)
	first, second := nodes[0], nodes[1]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var following sync.WaitGroup
	var moved atomic.Value // the second's address of now
	moved.Store(second.url)
	url := func(n int) string {
		if n%2 == 0 {
			return first.url
		}
		return moved.Load().(string)
	}
	followers := []*follower{}
	for n := range 2 {
		f := &follower{t: t, url: func(k int) string { return url(n + k) }}
		followers = append(followers, f)
		following.Go(func() { f.follow(ctx, rand.New(rand.NewPCG(seed, 100+uint64(n)))) })
	}
	l := (&load{t: t, urls: url, pause: time.Millisecond}).publishers(6, seed)
	for range 4 {
		l.reach(1 + r.IntN(400))
		second.kill()
		l.reach(50)
		second.start()
		moved.Store(second.url)
	}
	l.reach(100)
	l.stop()
	db, stored := first.db(), 0
	in.eventually("the followers have it all", func() bool {
		stored = in.one(db, "SELECT count(*) FROM events") // what was answered 503 may come yet
		return !slices.ContainsFunc(followers, func(f *follower) bool { return f.count() < stored })
	})
	cancel()
	following.Wait()
	for n, f := range followers {
		times := map[string]int{}
		for _, id := range f.seen {
			times[id]++
		}
		if len(f.seen) != stored || len(times) != stored {
			t.Errorf("follower %d saw %d events, %d of them different; %d are stored", n, len(f.seen), len(times), stored)
		}
		for id := range l.acked {
			if times[id] != 1 {
				t.Errorf("follower %d saw %s %d times", n, id, times[id])
			}
		}
		for i := range min(len(f.seen), len(followers[0].seen)) {
			if f.seen[i] != followers[0].seen[i] {
				t.Fatalf("the followers differ at %d", i)
			}
		}
	}
	t.Logf("%d events, %d acknowledged, %d streams", stored, len(l.acked), followers[0].cuts)
}
