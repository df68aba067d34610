package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"sallyport/internal/hook"
)

const recordColumns = "r.workspace_id, r.collection, r.key, r.document, r.version, r.created_at, r.updated_at"

func scanRecord(rows *sql.Rows, r *hook.Record) error {
	var created, updated int64
	err := rows.Scan((*rowID)(&r.Workspace), &r.Collection, &r.Key, &r.Document, &r.Version, &created, &updated)
	r.CreatedAt, r.UpdatedAt = fromMicros(created), fromMicros(updated)
	return err
}

// Record returns one record, nil if there is none.
func (s *Store) Record(ctx context.Context, workspace hook.ID, collection, key string) (*hook.Record, error) {
	if !isText(collection) || !isText(key) {
		return nil, nil
	}
	rows, err := list(s.r.WithContext(ctx), scanRecord, "SELECT "+recordColumns+" FROM records r WHERE r.workspace_id = ? AND r.collection = ? AND r.key = ?",
		rowID(workspace), collection, key)
	if err != nil || len(rows) == 0 {
		return nil, translate(err)
	}
	return &rows[0], nil
}

// Records lists the records of a collection whose key begins with prefix in the order of
// the keys' bytes, those after the key after unless that is "", and reports whether more
// follow.
func (s *Store) Records(ctx context.Context, workspace hook.ID, collection, prefix, after string, limit int, asc bool) ([]*hook.Record, bool, error) {
	if !isText(collection) || !isText(prefix) || !isText(after) {
		return nil, false, nil
	}
	where := conditions{}
	where.add("r.workspace_id = ? AND r.collection = ?", rowID(workspace), collection)
	if prefix != "" {
		where.add("r.key >= ?", prefix)
		if end := afterPrefix(prefix); end != "" {
			where.add("r.key < ?", end)
		}
	}
	if after != "" && asc {
		where.add("r.key > ?", after)
	} else if after != "" {
		where.add("r.key < ?", after)
	}
	var rows []*hook.Record
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		rows, err = list(tx, func(rows *sql.Rows, to **hook.Record) error { *to = new(hook.Record); return scanRecord(rows, *to) },
			"SELECT "+recordColumns+" FROM records r WHERE "+where.String()+" ORDER BY r.key "+direction(hook.Page{Asc: asc})+" LIMIT ?",
			append(where.args, limit+1)...)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return rows[:min(len(rows), limit)], len(rows) > limit, nil
}

// isText reports that Postgres takes s for text. Nothing else was ever stored, and asking
// for it would be an error.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// afterPrefix is the smallest text above all that begins with prefix, "" if there is none.
func afterPrefix(prefix string) string {
	for prefix != "" {
		last, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case last == utf8.MaxRune:
		case last == 0xD7FF: // what follows is no text
			return prefix + "\uE000"
		default:
			return prefix + string(last+1)
		}
	}
	return ""
}

// Collections lists a workspace's collections by name, with how many records they have.
func (s *Store) Collections(ctx context.Context, workspace hook.ID) ([]hook.Collection, error) {
	var out []hook.Collection
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		out, err = list(tx, func(rows *sql.Rows, c *hook.Collection) error { return rows.Scan(&c.Name, &c.Records) },
			"SELECT r.collection, count(*) FROM records r WHERE r.workspace_id = ? GROUP BY r.collection ORDER BY r.collection", rowID(workspace))
		return err
	})
	return out, err
}

// The statements of a change of a record. Each concerns one row if the record is as the
// change expects it, else none.
const (
	recordInsert = `INSERT INTO records (document, created_at, updated_at, version, workspace_id, collection, key)
		VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING`
	recordUpdate = `UPDATE records SET document = ?, version = version + 1, updated_at = ?
		WHERE workspace_id = ? AND collection = ? AND key = ? AND version = ? AND created_at = ?`
	recordDelete = `DELETE FROM records
		WHERE workspace_id = ? AND collection = ? AND key = ? AND version = ? AND created_at = ?`
	recordAbsent = "SELECT count(*) FROM records WHERE workspace_id = ? AND collection = ? AND key = ?"
)

// recordStatement chooses among them.
func recordStatement(c *hook.RecordChange, now int64) (query string, args []any) {
	key := []any{c.Workspace[:], c.Collection, c.Key}
	switch {
	case c.Document == nil && c.Expect == 0:
		return recordAbsent, key
	case c.Document == nil:
		return recordDelete, append(key, c.Expect, micros(c.Made))
	case c.Expect == 0:
		return recordInsert, append([]any{c.Document, now, now}, key...)
	}
	return recordUpdate, append(append([]any{c.Document, now}, key...), c.Expect, micros(c.Made))
}

// numbered writes the parameters of a statement as Postgres has them.
func numbered(query string) string {
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// applyRecord makes a change if the record still is as it expects it. now is in
// microseconds. It reports false if the record is not, and then changes nothing.
func (t *sqliteTx) applyRecord(c *hook.RecordChange, now int64) (fresh bool, err error) {
	query, args := recordStatement(c, now)
	if query == recordAbsent {
		var n int
		err := t.one(query, args, &n)
		return n == 0, err
	}
	n, err := t.exec(query, args...)
	return n == 1, err
}

// applyRecordPG is applyRecord in a transaction on Postgres. It waits for others that
// change the same record; changes of several are made in one order, so that two
// transactions do not wait for each other.
func applyRecordPG(ctx context.Context, tx pgx.Tx, c *hook.RecordChange, now int64) (fresh bool, err error) {
	query, args := recordStatement(c, now)
	if query == recordAbsent {
		var n int
		err := tx.QueryRow(ctx, numbered(query), args...).Scan(&n)
		return n == 0, err
	}
	tag, err := tx.Exec(ctx, numbered(query), args...)
	return tag.RowsAffected() == 1, err
}
