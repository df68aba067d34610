package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// The pipeline's statements on Postgres take arrays, one per column, so that their
// text never changes with the batch and stays prepared. The arrays are written here
// in the wire's binary form: going through the driver's reflection would cost more
// than the statement (array_send in the Postgres sources is the reference).

// pgParams builds the parameters of one call. It is reused, because every batch of the
// pipeline needs two dozen arrays of about the same size as the one before: get one
// with newPgParams, give it back with free once the call has returned.
type pgParams struct {
	arrays []*pgArray
	used   int
	list   [][]byte
}

var pgParamsPool = sync.Pool{New: func() any { return new(pgParams) }}

func newPgParams() *pgParams { return pgParamsPool.Get().(*pgParams) }

// maxPooled is the size of an array that is kept for the next batch: a burst of large
// events must not stay in memory for good.
const maxPooled = 1 << 20

func (p *pgParams) free() {
	for _, a := range p.arrays[:p.used] {
		if cap(a.buf) > maxPooled {
			a.buf = nil
		}
	}
	clear(p.list)
	p.used, p.list = 0, p.list[:0]
	pgParamsPool.Put(p)
}

// array adds an array parameter; fill it before values is called.
func (p *pgParams) array(element uint32) *pgArray {
	if p.used == len(p.arrays) {
		p.arrays = append(p.arrays, new(pgArray))
	}
	a := p.arrays[p.used]
	p.used++
	if cap(a.buf) < pgArrayHeader {
		a.buf = make([]byte, pgArrayHeader, 512)
	}
	a.buf = a.buf[:pgArrayHeader]
	clear(a.buf)
	a.n, a.null, a.composite = 0, false, 0
	binary.BigEndian.PutUint32(a.buf[8:], element)
	return a
}

func (p *pgParams) uuids() *pgArray  { return p.array(pgtype.UUIDOID) }
func (p *pgParams) int2s() *pgArray  { return p.array(pgtype.Int2OID) }
func (p *pgParams) int4s() *pgArray  { return p.array(pgtype.Int4OID) }
func (p *pgParams) int8s() *pgArray  { return p.array(pgtype.Int8OID) }
func (p *pgParams) texts() *pgArray  { return p.array(pgtype.TextOID) }
func (p *pgParams) byteas() *pgArray { return p.array(pgtype.ByteaOID) }
func (p *pgParams) stamps() *pgArray { return p.array(pgtype.TimestamptzOID) }

// rows adds an array of a composite type.
func (p *pgParams) rows(t pipelineType) *pgRows {
	a := p.array(0)
	a.composite = t
	return &pgRows{a: a}
}

// values are the scalars that come first, then the arrays in the order they were added.
func (p *pgParams) values(oids *pipelineOIDs, scalars ...[]byte) [][]byte {
	p.list = append(p.list[:0], scalars...)
	for _, a := range p.arrays[:p.used] {
		if a.composite != 0 {
			binary.BigEndian.PutUint32(a.buf[8:], oids[a.composite])
		}
		p.list = append(p.list, a.done())
	}
	return p.list
}

// pgArray is one array parameter under construction.
type pgArray struct {
	buf  []byte
	n    uint32
	null bool

	composite pipelineType // its element type's number is the database's own
}

const pgArrayHeader = 20 // dimensions, has null, element type, length, lower bound

func (a *pgArray) addNull() {
	a.n, a.null = a.n+1, true
	a.buf = append(a.buf, 0xff, 0xff, 0xff, 0xff)
}

func (a *pgArray) uuid(id hook.ID) {
	a.n++
	a.buf = append(a.buf, 0, 0, 0, 16)
	a.buf = append(a.buf, id[:]...)
}

func (a *pgArray) int2(v int16) {
	a.n++
	a.buf = binary.BigEndian.AppendUint16(append(a.buf, 0, 0, 0, 2), uint16(v))
}

func (a *pgArray) int4(v int32) {
	a.n++
	a.buf = binary.BigEndian.AppendUint32(append(a.buf, 0, 0, 0, 4), uint32(v))
}

func (a *pgArray) int8(v int64) {
	a.n++
	a.buf = binary.BigEndian.AppendUint64(append(a.buf, 0, 0, 0, 8), uint64(v))
}

func (a *pgArray) text(s string) {
	a.n++
	a.buf = append(binary.BigEndian.AppendUint32(a.buf, uint32(len(s))), s...)
}

// bytes stores nil as NULL.
func (a *pgArray) bytes(b []byte) {
	if b == nil {
		a.addNull()
		return
	}
	a.n++
	a.buf = append(binary.BigEndian.AppendUint32(a.buf, uint32(len(b))), b...)
}

// stamp stores the zero time as -infinity.
func (a *pgArray) stamp(t time.Time) {
	if t.IsZero() {
		a.int8(-1 << 63)
		return
	}
	a.int8(pgMicros(t))
}

func (a *pgArray) done() []byte {
	if a.n == 0 {
		return a.buf[:12] // no dimensions
	}
	binary.BigEndian.PutUint32(a.buf[0:], 1)
	if a.null {
		binary.BigEndian.PutUint32(a.buf[4:], 1)
	}
	binary.BigEndian.PutUint32(a.buf[12:], a.n)
	binary.BigEndian.PutUint32(a.buf[16:], 1)
	return a.buf
}

// Postgres counts microseconds from 2000.
const pgEpoch = 946_684_800_000_000

func pgMicros(t time.Time) int64 { return t.UnixMicro() - pgEpoch }

func fromPgStamp(b []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b)) + pgEpoch).UTC()
}

func pgInt8(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

func pgUUID(id hook.ID) []byte { return id[:] }

func readInt2(b []byte) int16 { return int16(binary.BigEndian.Uint16(b)) }
func readInt4(b []byte) int32 { return int32(binary.BigEndian.Uint32(b)) }
func readInt8(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }
func readBool(b []byte) bool  { return len(b) == 1 && b[0] == 1 }

func readUUID(b []byte) (id hook.ID) {
	copy(id[:], b)
	return id
}

// readUUIDs reads a uuid[] in binary form.
func readUUIDs(b []byte) []hook.ID {
	if len(b) < pgArrayHeader {
		return nil
	}
	n := int(binary.BigEndian.Uint32(b[12:]))
	out := make([]hook.ID, 0, n)
	for b = b[pgArrayHeader:]; len(out) < n && len(b) >= 20; b = b[20:] {
		out = append(out, readUUID(b[4:20]))
	}
	return out
}

// binaryFormats says that every parameter or column is binary; cut to length.
var binaryFormats = func() (f [64]int16) {
	for i := range f {
		f[i] = 1
	}
	return f
}()

// hotQuery runs one prepared statement, its own transaction, on conn; its parameters are
// the scalars, then p's arrays. The values of a row are only valid within row. The call is never cancelled once it was sent:
// Postgres would answer success to a commit whose wait for the standby was cancelled.
func (s *Store) hotQuery(ctx context.Context, conn *pgxpool.Conn, name, query string, row func(values [][]byte) error, p *pgParams, scalars ...[]byte) error {
	ctx = context.WithoutCancel(ctx)
	if _, err := conn.Conn().Prepare(ctx, name, query); err != nil {
		return err
	}
	params := scalars
	if p != nil {
		oids, err := s.pipelineTypes(ctx, conn)
		if err != nil {
			return err
		}
		params = p.values(oids, scalars...)
	}
	pg := conn.Conn().PgConn()
	warnings.take(pg) // what came before is not about this statement
	rr := pg.ExecPrepared(ctx, name, params, binaryFormats[:len(params)], binaryFormats[:1])
	var rowErr error
	for rr.NextRow() {
		if rowErr == nil && row != nil {
			rowErr = row(rr.Values())
		}
	}
	if _, err := rr.Close(); err != nil {
		if refused(err) || pgconn.SafeToRetry(err) {
			return err // certainly not committed
		}
		return fmt.Errorf("%w: %w", hook.ErrUnknownOutcome, err)
	}
	if warned := warnings.take(pg); warned != "" {
		return fmt.Errorf("%w: Postgres warned: %s", hook.ErrUnknownOutcome, warned)
	}
	return rowErr
}

// warnings remembers what Postgres warned of on a connection: at COMMIT a warning may
// mean that the standby has not confirmed.
var warnings warningLog

type warningLog struct{ m sync.Map }

func (w *warningLog) put(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		w.m.Store(c, n.Message)
	}
}

func (w *warningLog) take(c *pgconn.PgConn) string {
	if v, ok := w.m.LoadAndDelete(c); ok {
		return v.(string)
	}
	return ""
}

// hotDo borrows a connection of the pipeline's pool. A connection that was cut before
// anything was sent is replaced once.
func (s *Store) hotDo(ctx context.Context, fn func(conn *pgxpool.Conn) error) error {
	var err error
	for range 3 {
		var conn *pgxpool.Conn
		if conn, err = s.hot.Acquire(ctx); err != nil {
			return err
		}
		err = fn(conn)
		conn.Release()
		if sqlState(err) == "42804" { // restored under us: the types have other numbers
			s.oids.Store(nil)
			continue
		}
		if err == nil || !(lostRace(err) || pgconn.SafeToRetry(err)) {
			return err
		}
	}
	return err
}
