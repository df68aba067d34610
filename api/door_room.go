package api

import (
	"sync/atomic"
	"time"

	"sallyport/internal/hook"
)

// bodyRoom bounds the memory of all bodies of calls of doors together: whoever finds a door
// may send as much as it takes, slowly and over many connections. Small bodies need none.
type bodyRoom struct{ taken atomic.Int64 }

const (
	maxBodies = 256 << 20
	smallBody = 64 << 10
)

var errNoRoom = &hook.Error{
	Kind: hook.KindUnavailable, Detail: "many large requests are being read just now; send it again in a moment", RetryAfter: time.Second,
}

// take takes memory for more of the body, and reports whether there was room.
func (b *callBody) take(n int64) bool {
	if b.room.taken.Add(n) > maxBodies {
		b.room.taken.Add(-n)
		return false
	}
	b.taken += n
	return true
}

// giveBack gives back what was taken, once the call is answered.
func (b *callBody) giveBack() {
	b.room.taken.Add(-b.taken)
	b.taken = 0
}
