package action

import (
	"container/list"
	"sync"

	"sallyport/internal/hook"
	"sallyport/internal/template"
)

// readings keeps what templates see of the requests seen last. One request may lead to
// thousands of deliveries, whose templates all see the same.
type readings struct {
	most int // bytes, roughly; one reading is kept however large it is

	mu    sync.Mutex
	order list.List // of *reading, the last used first
	m     map[readingKey]*list.Element
	bytes int
}

type readingKey struct {
	request hook.ID
	door    hook.ID
	version int64 // of the door, whose parser reads the body
	body    bool  // whether the parsed body is among it
}

type reading struct {
	key   readingKey
	bytes int
	once  sync.Once
	value *template.Array
}

// readingFactor is how much larger than its text a parsed body is, roughly.
const readingFactor = 10

func newReadings(most int) *readings { return &readings{most: most, m: map[readingKey]*list.Element{}} }

// of returns a reading, made by read if it is not kept. Who comes while it is made waits for it.
func (r *readings) of(key readingKey, bytes int, read func() *template.Array) *template.Array {
	if key.body {
		bytes *= readingFactor
	}
	found := r.entry(key, bytes)
	found.once.Do(func() { found.value = read() })
	return found.value
}

func (r *readings) entry(key readingKey, bytes int) *reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.m[key]; ok {
		r.order.MoveToFront(e)
		return e.Value.(*reading)
	}
	fresh := &reading{key: key, bytes: bytes}
	r.m[key] = r.order.PushFront(fresh)
	r.bytes += bytes
	for r.bytes > r.most && r.order.Len() > 1 {
		oldest := r.order.Remove(r.order.Back()).(*reading)
		delete(r.m, oldest.key)
		r.bytes -= oldest.bytes
	}
	return fresh
}
