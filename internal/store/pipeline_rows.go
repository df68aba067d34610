package store

import (
	"context"
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// pipelineType is a composite type of the schema that the pipeline's statements take
// arrays of.
type pipelineType int

const (
	typeEvent pipelineType = iota + 1
	typeDelivery
	typeFinish
	typeRequest
)

// pipelineOIDs are the types' numbers, which differ from database to database.
type pipelineOIDs [typeRequest + 1]uint32

// pipelineTypes looks the numbers up, once.
func (s *Store) pipelineTypes(ctx context.Context, conn *pgxpool.Conn) (*pipelineOIDs, error) {
	if oids := s.oids.Load(); oids != nil {
		return oids, nil
	}
	oids := new(pipelineOIDs)
	if err := conn.QueryRow(ctx, `SELECT 'pipeline_event'::regtype::oid, 'pipeline_delivery'::regtype::oid, 'pipeline_finish'::regtype::oid,
		'pipeline_request'::regtype::oid`).
		Scan(&oids[typeEvent], &oids[typeDelivery], &oids[typeFinish], &oids[typeRequest]); err != nil {
		return nil, err
	}
	s.oids.Store(oids)
	return oids, nil
}

// pgRows is an array of a composite type under construction, in the binary form of
// record_send: the number of fields, then type, length and value of each.
type pgRows struct {
	a  *pgArray
	at int // where the length of the present row stands
}

func (r *pgRows) begin(fields uint32) {
	r.a.n++
	r.at = len(r.a.buf)
	r.a.buf = binary.BigEndian.AppendUint32(append(r.a.buf, 0, 0, 0, 0), fields)
}

func (r *pgRows) end() {
	binary.BigEndian.PutUint32(r.a.buf[r.at:], uint32(len(r.a.buf)-r.at-4))
}

func (r *pgRows) field(oid uint32, length int) {
	r.a.buf = binary.BigEndian.AppendUint32(r.a.buf, oid)
	r.a.buf = binary.BigEndian.AppendUint32(r.a.buf, uint32(length))
}

func (r *pgRows) null(oid uint32) { r.field(oid, -1) }

func (r *pgRows) uuid(id hook.ID) {
	r.field(pgtype.UUIDOID, 16)
	r.a.buf = append(r.a.buf, id[:]...)
}

// uuidOrNull stores no id as NULL.
func (r *pgRows) uuidOrNull(id hook.ID) {
	if id == hook.NoID {
		r.null(pgtype.UUIDOID)
		return
	}
	r.uuid(id)
}

func (r *pgRows) int2(v int16) {
	r.field(pgtype.Int2OID, 2)
	r.a.buf = binary.BigEndian.AppendUint16(r.a.buf, uint16(v))
}

func (r *pgRows) int4(v int32) {
	r.field(pgtype.Int4OID, 4)
	r.a.buf = binary.BigEndian.AppendUint32(r.a.buf, uint32(v))
}

func (r *pgRows) int8(v int64) {
	r.field(pgtype.Int8OID, 8)
	r.a.buf = binary.BigEndian.AppendUint64(r.a.buf, uint64(v))
}

func (r *pgRows) bool(v bool) {
	r.field(pgtype.BoolOID, 1)
	var b byte
	if v {
		b = 1
	}
	r.a.buf = append(r.a.buf, b)
}

func (r *pgRows) text(s string) {
	r.field(pgtype.TextOID, len(s))
	r.a.buf = append(r.a.buf, s...)
}

// textOrNull stores "" as NULL.
func (r *pgRows) textOrNull(s string) {
	if s == "" {
		r.null(pgtype.TextOID)
		return
	}
	r.text(s)
}

// bytes stores nil as NULL.
func (r *pgRows) bytes(b []byte) {
	if b == nil {
		r.null(pgtype.ByteaOID)
		return
	}
	r.field(pgtype.ByteaOID, len(b))
	r.a.buf = append(r.a.buf, b...)
}

// append adds a field that fn appends to the buffer.
func (r *pgRows) append(oid uint32, fn func([]byte) []byte) {
	r.field(oid, 0)
	at := len(r.a.buf)
	r.a.buf = fn(r.a.buf)
	binary.BigEndian.PutUint32(r.a.buf[at-4:], uint32(len(r.a.buf)-at))
}
