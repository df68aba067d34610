package hook

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
)

// ID identifies every row: a UUIDv7 (RFC 9562 section 5.7), so ids sort by the
// time they were made and a range of time is a range of ids.
type ID = uuid.UUID

// NoID is the absent id.
var NoID = uuid.Nil

// ParseID reads the canonical form of an id.
func ParseID(s string) (ID, error) { return uuid.Parse(s) }

// IsID reports whether s is spelled like an id (36 characters with dashes), and so
// cannot be a code.
func IsID(s string) bool {
	if len(s) != 36 {
		return false
	}
	_, err := uuid.Parse(s)
	return err == nil
}

// IDs makes UUIDv7s that strictly increase within one process, also when the
// clock steps back. The 12 bits after the milliseconds hold the fraction of the
// millisecond (RFC 9562 section 6.2, method 3), the last 62 bits are random. Ids
// are unique, not secret.
//
// Offset is added to the local clock so that all nodes stamp ids with the
// database's time.
type IDs struct {
	mu     sync.Mutex
	last   uint64 // milliseconds<<12 | fraction
	offset time.Duration
	rnd    *rand.ChaCha8
	now    func() time.Time
}

// NewIDs returns a generator on the local clock.
func NewIDs() *IDs {
	var seed [32]byte
	a, b := uuid.New(), uuid.New() // crypto/rand behind
	copy(seed[:16], a[:])
	copy(seed[16:], b[:])
	return &IDs{rnd: rand.NewChaCha8(seed), now: time.Now}
}

// SetOffset sets how far the database's clock is ahead of the local one. Ids never
// go backwards, whatever the offset does.
func (g *IDs) SetOffset(d time.Duration) {
	g.mu.Lock()
	g.offset = d
	g.mu.Unlock()
}

// Now is the database's time as far as this node knows it.
func (g *IDs) Now() time.Time {
	g.mu.Lock()
	d := g.offset
	g.mu.Unlock()
	return g.now().Add(d)
}

// New returns the next id.
func (g *IDs) New() ID {
	g.mu.Lock()
	t := g.now().Add(g.offset)
	ns := uint64(max(t.UnixNano(), 0))
	ms, frac := ns/1e6, ns%1e6
	tick := ms<<12 | frac*4096/1e6
	if tick <= g.last {
		tick = g.last + 1
	}
	g.last = tick
	r := g.rnd.Uint64()
	g.mu.Unlock()

	var id ID
	binary.BigEndian.PutUint64(id[:8], tick>>12<<16|0x7000|tick&0xfff)
	binary.BigEndian.PutUint64(id[8:], r&(1<<62-1)|1<<63)
	return id
}

// TimeOf returns the millisecond at which id was made, in UTC.
func TimeOf(id ID) time.Time {
	ms := int64(binary.BigEndian.Uint64(id[:8]) >> 16)
	return time.UnixMilli(ms).UTC()
}

// FirstID returns the smallest id of the millisecond of t: ids made at or after t
// (truncated to milliseconds) are not smaller.
func FirstID(t time.Time) ID {
	var id ID
	ms := uint64(max(t.UnixMilli(), 0))
	binary.BigEndian.PutUint64(id[:8], ms<<16|0x7000)
	id[8] = 0x80
	return id
}
