package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// Requests at doors are stored in the transaction of their events.

const insertExpansions = `INSERT INTO expansions (request_id, workspace_id, incoming_id, total, done) VALUES `

// firstEvents are the first of the batch's events that are made of each of its requests.
func firstEvents(b *hook.AcceptBatch) map[hook.ID]*hook.Event {
	first := make(map[hook.ID]*hook.Event, len(b.Requests))
	for _, e := range b.Events {
		if id := e.Event.Source.RequestID; e.Inbound && first[id] == nil {
			first[id] = &e.Event
		}
	}
	return first
}

func (s *Store) addRequest(r *pgRows, p *hook.PlannedRequest, first *hook.Event) error {
	q := p.Request
	detail, sealed, err := s.requestColumns(q)
	if err != nil {
		return err
	}
	r.begin(19)
	r.uuid(q.Workspace)
	r.uuid(q.ID)
	r.uuidOrNull(q.Incoming)
	r.text(requestCode(q.Code))
	r.int2(verdictCodes.of(q.Verdict))
	r.textOrNull(q.Reason)
	r.int2(int16(q.Status))
	r.int8(q.Duration.Microseconds())
	r.int4(int32(q.Events))
	r.int4(int32(q.Deliveries))
	r.uuidOrNull(q.DuplicateOf)
	r.uuidOrNull(q.ReplayOf)
	r.bytes(detail)
	body, inEvent := requestBody(q, first)
	r.bytes(nilIfEmpty(body))
	r.bool(inEvent)
	r.bytes(sealed)
	if d := p.Dedupe; d != nil {
		r.bytes(d.Hash[:])
		r.int8(micros(d.Until))
	} else {
		r.null(pgtype.ByteaOID)
		r.null(pgtype.Int8OID)
	}
	r.int4(int32(p.Expand))
	r.end()
	return nil
}

const repeatsSQL = `
SELECT k.i, d.request_id, d.expires_at <= (extract(epoch FROM now()) * 1000000)::bigint
FROM unnest($1::uuid[], $2::bytea[], $3::int[]) k(door, hash, i)
CROSS JOIN LATERAL (SELECT * FROM dedupe_keys WHERE incoming_id = k.door AND hash = k.hash LIMIT 1) d`

const forgetExpiredSQL = `
DELETE FROM dedupe_keys WHERE incoming_id = ANY($1::uuid[]) AND hash = ANY($2::bytea[]) AND expires_at <= (extract(epoch FROM now()) * 1000000)::bigint`

// repeats looks up, in a new statement, which requests were accepted first. A key that
// has expired is forgotten, and its request reported with no first one: the same request
// sent again is stored.
func (s *Store) repeats(ctx context.Context, b *hook.AcceptBatch, lost []hook.ID) (map[int]hook.ID, error) {
	isLost := make(map[hook.ID]bool, len(lost))
	for _, id := range lost {
		isLost[id] = true
	}
	params := newPgParams()
	defer params.free()
	doors, hashes, index := params.uuids(), params.byteas(), params.int4s()
	out := make(map[int]hook.ID, len(lost))
	var expiredDoors []hook.ID
	var expiredHashes [][]byte
	for i, r := range b.Requests {
		if isLost[r.Request.ID] {
			doors.uuid(r.Request.Incoming)
			hashes.bytes(r.Dedupe.Hash[:])
			index.int4(int32(i))
			out[i] = hook.NoID // gone meanwhile, if it is not found
		}
	}
	err := s.hotDo(ctx, func(conn *pgxpool.Conn) error {
		return s.hotQuery(ctx, conn, "repeats", repeatsSQL, func(v [][]byte) error {
			i := int(readInt4(v[0]))
			r := b.Requests[i]
			switch first := readUUID(v[1]); {
			case first == r.Request.ID: // stored by a run whose outcome was unknown
				delete(out, i)
			case readBool(v[2]):
				expiredDoors = append(expiredDoors, r.Request.Incoming)
				expiredHashes = append(expiredHashes, r.Dedupe.Hash[:])
			default:
				out[i] = first
			}
			return nil
		}, params)
	})
	if err == nil && len(expiredDoors) > 0 {
		_, err = s.hot.Exec(ctx, forgetExpiredSQL, expiredDoors, expiredHashes)
	}
	return out, err
}

// acceptRequests stores the requests of a batch, and reports which are repeats.
func (s *Store) acceptRequests(tx *sqliteTx, b *hook.AcceptBatch, now int64) (repeats map[int]hook.ID, err error) {
	var rows, expansions []any
	first := firstEvents(b)
	for i, p := range b.Requests {
		q := p.Request
		if p.Dedupe != nil {
			holder, err := tx.takeDedupeKey(q, p.Dedupe, now)
			if err != nil {
				return nil, err
			}
			if holder != q.ID {
				if repeats == nil {
					repeats = make(map[int]hook.ID)
				}
				repeats[i] = holder
				continue
			}
		}
		values, err := s.requestValues(q, first[q.ID])
		if err != nil {
			return nil, err
		}
		rows = append(rows, values...)
		if p.Expand > 0 {
			expansions = append(expansions, q.ID[:], q.Workspace[:], q.Incoming[:], int64(p.Expand), int64(0))
		}
	}
	return repeats, errors.Join(tx.insertRows(insertRequests, requestWidth, rows), tx.insertRows(insertExpansions, 5, expansions))
}

// takeDedupeKey claims a key for a request and returns the request that has it.
func (t *sqliteTx) takeDedupeKey(q *hook.Request, d *hook.DedupeKey, now int64) (first hook.ID, err error) {
	if _, err := t.exec(`INSERT INTO dedupe_keys (incoming_id, hash, request_id, expires_at) VALUES (?,?,?,?)
		ON CONFLICT (incoming_id, hash) DO UPDATE SET request_id = excluded.request_id, expires_at = excluded.expires_at
		WHERE dedupe_keys.expires_at <= ?`, q.Incoming[:], d.Hash[:], q.ID[:], micros(d.Until), now); err != nil {
		return hook.NoID, err
	}
	var id []byte
	err = t.one("SELECT request_id FROM dedupe_keys WHERE incoming_id = ? AND hash = ?", []any{q.Incoming[:], d.Hash[:]}, &id)
	return readUUID(id), err
}
