package inbound

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// Refusals are written in the background: a flood of them must cost neither its victims nor
// the callers that are let in. Of each door, and of all unknown codes of a workspace, so
// many a second are kept; the rest is counted.
const (
	refusalsPerSecond = 10
	maxQueued         = 2000
	maxQueuedBytes    = 64 << 20
	refusalBatch      = 200
	// evidence is what is kept of a refused call's body, and how long it is waited for.
	evidenceBytes = 64 << 10
	evidenceTime  = 2 * time.Second
)

type refusals struct {
	store  Store
	log    *slog.Logger
	limits *limiters

	mu     sync.Mutex
	queue  []*hook.Request
	bytes  int // of bodies in it
	missed int
	wake   chan struct{}
}

func newRefusals(s Store, log *slog.Logger) *refusals {
	return &refusals{store: s, log: log, limits: newLimiters(), wake: make(chan struct{}, 1)}
}

// room reports that one more of this door or workspace is kept.
func (w *refusals) room(id hook.ID, now time.Time) bool {
	_, ok := w.limits.reserve(id, refusalsPerSecond, refusalsPerSecond, now)
	return ok
}

// put queues a request to be stored.
func (w *refusals) put(r *hook.Request) {
	w.mu.Lock()
	if len(w.queue) < maxQueued && w.bytes+len(r.Body.Bytes) <= maxQueuedBytes {
		w.queue = append(w.queue, r)
		w.bytes += len(r.Body.Bytes)
	} else {
		w.missed++
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *refusals) take() (batch []*hook.Request, missed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), refusalBatch)
	batch = w.queue[:n:n]
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	for _, r := range batch {
		w.bytes -= len(r.Body.Bytes)
	}
	missed, w.missed = w.missed, 0
	return batch, missed
}

func (w *refusals) run(ctx context.Context) {
	for {
		batch, missed := w.take()
		if missed > 0 {
			w.log.WarnContext(ctx, "door.not_recorded", "requests", missed)
		}
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-w.wake:
			}
			continue
		}
		if err := w.store.InsertRequests(context.WithoutCancel(ctx), batch); err != nil {
			// They made no event and were answered: losing their record loses no work.
			w.log.WarnContext(ctx, "door.not_recorded", "requests", len(batch), "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}
}
