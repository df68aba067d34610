package action

import (
	"container/list"
	"context"
	"sync"

	"sallyport/internal/hook"
)

// rememberedBytes bounds the requests kept in memory. A request is usually asked for within
// milliseconds, once for each of its deliveries.
const rememberedBytes = 32 << 20

// memory keeps the requests seen last, up to a number of bytes.
type memory struct {
	most int

	mu    sync.Mutex
	order list.List // of *hook.Request, the last used first
	m     map[hook.ID]*list.Element
	bytes int
}

func newMemory(most int) *memory {
	return &memory{most: most, m: map[hook.ID]*list.Element{}}
}

// requestOverhead is what a request takes beside its body and headers, roughly.
const requestOverhead = 1 << 10

func requestBytes(r *hook.Request) int {
	n := requestOverhead + len(r.Body.Bytes) + len(r.RawQuery)
	for _, h := range r.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return n
}

func (m *memory) get(id hook.ID) *hook.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.m[id]
	if !ok {
		return nil
	}
	m.order.MoveToFront(e)
	return e.Value.(*hook.Request)
}

func (m *memory) put(r *hook.Request) {
	size := requestBytes(r)
	if size > m.most {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.m[r.ID]; ok {
		return
	}
	m.m[r.ID] = m.order.PushFront(r)
	m.bytes += size
	for m.bytes > m.most {
		oldest := m.order.Remove(m.order.Back()).(*hook.Request)
		delete(m.m, oldest.ID)
		m.bytes -= requestBytes(oldest)
	}
}

// Remember keeps a request that was just accepted, with its whole body, so that its actions
// need not read it from the store. It must not be changed afterwards.
func (x *Executor) Remember(r *hook.Request) {
	if !r.Body.Truncated {
		x.requests.put(r)
	}
}

// request finds a request; nil if there is none any more.
func (x *Executor) request(ctx context.Context, workspace, id hook.ID) (*hook.Request, error) {
	if id == hook.NoID {
		return nil, nil
	}
	if r := x.requests.get(id); r != nil && r.Workspace == workspace {
		return r, nil
	}
	if x.cfg.Requests == nil {
		return nil, nil
	}
	r, err := x.cfg.Requests.Request(ctx, workspace, id)
	if err != nil {
		if hook.KindOf(err) == hook.KindNotFound {
			return nil, nil
		}
		return nil, err
	}
	if r != nil {
		x.Remember(r)
	}
	return r, nil
}
