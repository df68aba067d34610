package faulttest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// The second write of a delivery changes no index: nearly all of them are heap-only
// updates. An index over a column that they change, also in a predicate, would show.
func TestUpdatesOfDeliveriesAreHeapOnly(t *testing.T) {
	in := install(t, testkit.EmptyPostgres(t))
	n := in.node()
	at := receive(t, nil)
	n.webhook("all", at.url, nil)
	l := (&load{t: t, urls: func(int) string { return n.url }}).publishers(6, 7)
	l.reach(5000)
	l.stop()
	l.delivered(at)
	db := n.db()
	in.settled(db)
	events := l.count()
	var updates, hot int
	in.eventually("the statistics have them all", func() bool {
		if err := db.QueryRow("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'deliveries'").Scan(&updates, &hot); err != nil {
			t.Fatal(err)
		}
		return updates >= events
	})
	t.Logf("%d of %d updates were heap-only", hot, updates)
	if float64(hot) < 0.95*float64(updates) {
		t.Errorf("%d of %d updates were heap-only, want over 95 %%", hot, updates)
	}
}

// SQLite's log stays bounded while large events come in and others read the history:
// an open reader stops checkpoints.
func TestLogOfSQLiteStaysBounded(t *testing.T) {
	const limit = 128 << 20
	in := install(t, "")
	n := in.node()
	at := receive(t, nil)
	n.webhook("all", at.url, nil)
	wal := filepath.Join(n.dir, "sallyport.db-wal")

	stop := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 3 {
		readers.Go(func() {
			// Whoever reads for seconds is let alone, as a backup is: a slow machine reads less at
			// a time, and is at it as much.
			limit := 500
			for {
				select {
				case <-stop:
					return
				default:
				}
				path := []string{"/v1/deliveries?", "/v1/events?", "/v1/deliveries?state=succeeded&"}[i]
				for next := ""; ; {
					var page struct{ NextCursor *string }
					began := time.Now()
					status, _, err := call(adminKey, http.MethodGet, fmt.Sprintf("%s%slimit=%d%s", n.url, path, limit, next), nil, &page)
					if time.Since(began) > 500*time.Millisecond {
						limit = max(limit/2, 20)
					}
					if err == nil && status == http.StatusServiceUnavailable {
						break // a search may take 5 s, and this machine does much at once: begin again
					}
					if err != nil || status != http.StatusOK {
						t.Errorf("reading the history: %d %v", status, err)
						return
					}
					if page.NextCursor == nil {
						break
					}
					next = "&cursor=" + *page.NextCursor
				}
			}
		})
	}
	var largest int64
	r := rand.New(rand.NewPCG(8, 8))
	filler := strings.Repeat("0123456789abcdef", 16<<10/16)
	const batches, each = 120, 100 // some 190 MB
	for i := range batches {
		events := make([]object, each)
		for j := range events {
			events[j] = object{"id": fmt.Sprintf("%d-%d", i, j), "type": "large", "entity": object{"n": r.Int64(), "filler": filler}}
		}
		n.must(http.MethodPost, "/v1/events/batch", object{"data": events})
		if info, err := os.Stat(wal); err == nil {
			largest = max(largest, info.Size())
		}
	}
	at.wait("every event arrived", func() bool { return len(at.of) == batches*each })
	close(stop)
	readers.Wait()
	info, err := os.Stat(filepath.Join(n.dir, "sallyport.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the log grew to %d MB at most, the database to %d MB", largest>>20, info.Size()>>20)
	if largest > limit {
		t.Errorf("the log grew to %d MB, at most %d are allowed", largest>>20, limit>>20)
	}
	if info.Size() < limit {
		t.Errorf("the database has %d MB only: this shows nothing", info.Size()>>20)
	}
	if code := n.stop(); code != 0 {
		t.Errorf("the node ended with code %d", code)
	}
}
