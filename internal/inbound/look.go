package inbound

import (
	"context"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// looks ask the store how a workspace is configured now, for calls that the copy would
// refuse: another node may have created a door or changed its hash a moment ago. Calls at
// the same time share a look that begins after they came, so each learns of every change
// before it, and a flood of them costs the store one question every lookEvery.
type looks struct {
	catalog Catalog

	mu sync.Mutex
	of map[hook.ID]*looker
}

func newLooks(c Catalog) *looks { return &looks{catalog: c, of: map[hook.ID]*looker{}} }

const (
	lookEvery = 5 * time.Millisecond
	lookTime  = 5 * time.Second // for the store's answer
)

// looker is one workspace's.
type looker struct {
	turn  chan struct{} // has one while somebody looks
	began time.Time     // the last look, of whoever has the turn

	mu   sync.Mutex
	next *look // nil: whoever comes next looks, for all who come until then
}

// look is one question, and its answer once done is closed.
type look struct {
	done chan struct{}
	view *hook.View
	err  error
}

// current returns the view of a workspace as it was at some moment after the call of
// current.
func (l *looks) current(ctx context.Context, workspace hook.ID) (*hook.View, error) {
	l.mu.Lock()
	w := l.of[workspace]
	if w == nil {
		w = &looker{turn: make(chan struct{}, 1)}
		l.of[workspace] = w
	}
	l.mu.Unlock()
	w.mu.Lock()
	k := w.next
	if k == nil {
		k = &look{done: make(chan struct{})}
		w.next = k
		// Others wait for it: it must not end with whoever began it.
		go l.take(context.WithoutCancel(ctx), workspace, w, k)
	}
	w.mu.Unlock()
	select {
	case <-k.done:
		return k.view, k.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *looks) take(ctx context.Context, workspace hook.ID, w *looker, k *look) {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	<-time.After(lookEvery - time.Since(w.began))
	w.mu.Lock()
	w.next = nil // who comes from here on may know of a change that this look misses
	w.mu.Unlock()
	w.began = time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	k.view, k.err = l.catalog.Current(ctx, workspace)
	close(k.done)
}
