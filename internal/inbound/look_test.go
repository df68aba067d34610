package inbound

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

// slowCatalog answers with the version of the moment it was asked, after a while.
type slowCatalog struct {
	Catalog
	mu      sync.Mutex
	version int64
	asked   int
}

func (c *slowCatalog) Current(context.Context, hook.ID) (*hook.View, error) {
	c.mu.Lock()
	c.asked++
	v := hook.NewView(hook.Snapshot{Version: c.version})
	c.mu.Unlock()
	time.Sleep(3 * time.Millisecond)
	return v, nil
}

// A flood shares its looks, and each call sees every change that was made before it came.
func TestLooksAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &slowCatalog{}
		l := newLooks(c)
		began := time.Now()
		var calls sync.WaitGroup
		for range 100 { // for half a second, twenty calls and a change every 5 ms
			c.mu.Lock()
			c.version++
			at := c.version
			c.mu.Unlock()
			for range 20 {
				calls.Go(func() {
					came := time.Now()
					v, err := l.current(t.Context(), hook.NoID)
					if err != nil || v.Version < at {
						t.Errorf("a call after change %d saw %+v, %v", at, v, err)
					}
					if took := time.Since(came); took > 30*time.Millisecond {
						t.Errorf("a call waited %s", took)
					}
				})
			}
			time.Sleep(5 * time.Millisecond)
		}
		calls.Wait()
		if most := int(time.Since(began)/lookEvery) + 1; c.asked > most {
			t.Errorf("the store was asked %d times, at most %d are allowed", c.asked, most)
		}
		// One whose caller leaves does not end for the others.
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.current(gone, hook.NoID); err == nil {
			t.Error("a caller that left was answered")
		}
		if v, err := l.current(t.Context(), hook.NoID); err != nil || v == nil {
			t.Errorf("the call beside it got %v, %v", v, err)
		}
	})
}
