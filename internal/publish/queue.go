package publish

import (
	"sync"
	"time"

	"sallyport/internal/hook"
)

// request is one call of Publish; it is answered when all its items are.
type request struct {
	workspace hook.ID
	origin    Origin
	receipts  []hook.Receipt
	left      int   // touched by the writer only
	err       error // for the whole request
	done      chan struct{}
}

// item is one event of a request.
type item struct {
	request *request
	index   int
	event   hook.NewEvent
	stamped bool // the time is ours
	hash    [32]byte
	size    int
	version int64              // of the configuration that it and its key were checked against
	key     hook.ID            // given before planning, for filters to see; else NoID
	verdict map[string]verdict // of filters, by expression

	warnings []hook.Fault // what the schema of its type has against it, which refuses nothing

	admission *hook.Admission // nil: the item is an event
	judged    *hook.View      // by which an admission was judged
	repeated  hook.ID         // of an admission: the request that came first
	leaving   sync.Mutex
	left      bool // the caller of an admission waits no longer
}

// answer settles an item. The writer calls it once per item.
func (it *item) answer(r hook.Receipt) {
	it.request.receipts[it.index] = r
	it.settle()
}

// fail settles an item with an error that is not its own: the whole request gets it,
// unless it is one of a batch whose other items may have fared better.
func (it *item) fail(err error) {
	if len(it.request.receipts) == 1 {
		it.request.err = err
	}
	it.answer(hook.Receipt{ID: it.event.ID, Type: it.event.Type, Problem: err})
}

func (it *item) settle() {
	if it.request.left--; it.request.left == 0 {
		close(it.request.done)
	}
}

// queue holds what waits to be stored, a line per workspace; batches take from the
// lines in turn, so that one tenant's thousand events do not delay another's one.
type queue struct {
	mu     sync.Mutex
	lines  map[hook.ID]*line
	turn   []*line // lines with items, next first
	bytes  int64
	limit  int64
	closed bool
	wake   chan struct{}
}

type line struct {
	workspace hook.ID
	items     []*item
}

func newQueue(limit int64) *queue {
	return &queue{lines: map[hook.ID]*line{}, limit: limit, wake: make(chan struct{}, 1)}
}

func (q *queue) put(workspace hook.ID, items []*item) error {
	var size int64
	for _, it := range items {
		size += int64(it.size)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return &hook.Error{Kind: hook.KindShuttingDown, Detail: "this node is shutting down", RetryAfter: time.Second}
	}
	if q.bytes > 0 && q.bytes+size > q.limit {
		return &hook.Error{Kind: hook.KindQueueFull, Detail: "too much is waiting to be stored", RetryAfter: time.Second}
	}
	q.bytes += size
	l := q.lines[workspace]
	if l == nil {
		l = &line{workspace: workspace}
		q.lines[workspace] = l
		q.turn = append(q.turn, l)
	}
	l.items = append(l.items, items...)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// take removes up to so many events and bytes, a few of each workspace in turn; a
// larger event comes alone.
func (q *queue) take(maxEvents, maxBytes int) []*item {
	const each = 16 // events of one workspace before the next has its turn
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []*item
	size := 0
	for len(q.turn) > 0 && len(batch) < maxEvents {
		l := q.turn[0]
		n := 0
		full := false
		for n < len(l.items) && n < each && len(batch) < maxEvents {
			it := l.items[n]
			if len(batch) > 0 && size+it.size > maxBytes {
				full = true
				break
			}
			batch, size = append(batch, it), size+it.size
			n++
		}
		if full && n == 0 { // its turn comes first next time, or it might never fit
			break
		}
		l.items = l.items[n:]
		q.turn = q.turn[1:]
		if len(l.items) > 0 {
			q.turn = append(q.turn, l)
		} else {
			delete(q.lines, l.workspace)
		}
		if full {
			break
		}
	}
	q.bytes -= int64(size)
	return batch
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
