package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// UsedDatabaseError says that a database that should be empty has rows.
type UsedDatabaseError struct {
	Table string
}

func (e *UsedDatabaseError) Error() string {
	return fmt.Sprintf("the database is in use: there are rows in %q; take an empty one", e.Table)
}

// moved is a table of both engines.
type moved struct {
	name    string
	columns []string
	types   []string // Postgres's names of them, such as int8, uuid, _uuid
}

// ungiven are tables with a row from the schema itself, which the copy brings as well.
const ungiven = "config_versions"

// CopyTo copies all of a SQLite database that nobody else uses into a Postgres one, with the
// same ids and the same sealed secrets: all of it, or on an error nothing. Both have this
// binary's schema, and the Postgres nothing else, or the error is a *UsedDatabaseError. Nodes
// that start meanwhile wait for the end. progress is told of each table.
func (s *Store) CopyTo(ctx context.Context, to *Store, progress func(table string, rows int64)) error {
	if s.engine != SQLite || to.engine != Postgres {
		return errors.New("only from SQLite to Postgres is copied so")
	}
	db, done, err := to.migrateDB() // without a statement's timeout
	if err != nil {
		return err
	}
	defer done()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("copying: %w", translate(err))
	}
	defer func() { _ = conn.Close() }()
	return conn.Raw(func(c any) error {
		pg := c.(*stdlib.Conn).Conn()
		err := pgx.BeginFunc(ctx, pg, func(tx pgx.Tx) error { return s.copyAll(ctx, tx, progress) })
		if err != nil {
			return translate(err)
		}
		// What was never counted is planned as if it were small.
		_, err = pg.Exec(ctx, "ANALYZE")
		return translate(err)
	})
}

func (s *Store) copyAll(ctx context.Context, tx pgx.Tx, progress func(table string, rows int64)) error {
	tables, err := tablesOf(ctx, tx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		name := pgx.Identifier{t.name}.Sanitize()
		// A table's own triggers have done their work when the rows were stored.
		if _, err := tx.Exec(ctx, "LOCK TABLE "+name+" IN ACCESS EXCLUSIVE MODE; ALTER TABLE "+name+" DISABLE TRIGGER USER"); err != nil {
			return err
		}
		var used bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+name+")").Scan(&used); err != nil {
			return err
		}
		if used && t.name != ungiven {
			return &UsedDatabaseError{Table: t.name}
		}
	}
	if _, err := tx.Exec(ctx, "DELETE FROM "+ungiven); err != nil {
		return err
	}
	for _, t := range tables {
		rows, err := s.copyTable(ctx, tx, t)
		if err != nil {
			return fmt.Errorf("copying %s: %w", t.name, err)
		}
		progress(t.name, rows)
		if _, err := tx.Exec(ctx, "ALTER TABLE "+pgx.Identifier{t.name}.Sanitize()+" ENABLE TRIGGER USER"); err != nil {
			return err
		}
	}
	return s.copySequences(ctx, tx)
}

// tablesOf lists the tables with their columns, but for that of the schema's number.
func tablesOf(ctx context.Context, tx pgx.Tx) ([]moved, error) {
	rows, err := tx.Query(ctx, `SELECT c.relname, a.attname, t.typname
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
			AND c.relname <> 'goose_db_version' AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY c.relname, a.attnum`)
	if err != nil {
		return nil, err
	}
	var tables []moved
	var table, column, kind string
	_, err = pgx.ForEachRow(rows, []any{&table, &column, &kind}, func() error {
		if len(tables) == 0 || tables[len(tables)-1].name != table {
			tables = append(tables, moved{name: table})
		}
		t := &tables[len(tables)-1]
		t.columns, t.types = append(t.columns, column), append(t.types, kind)
		return nil
	})
	return tables, err
}

func (s *Store) copyTable(ctx context.Context, tx pgx.Tx, t moved) (int64, error) {
	quoted := make([]string, len(t.columns))
	for i, c := range t.columns {
		quoted[i] = pgx.Identifier{c}.Sanitize()
	}
	rows, err := s.sqlr.QueryContext(ctx, "SELECT "+strings.Join(quoted, ", ")+" FROM "+pgx.Identifier{t.name}.Sanitize())
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	values := make([]any, len(t.columns))
	into := make([]any, len(t.columns))
	for i := range values {
		into[i] = &values[i]
	}
	n, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err()
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]any, len(values))
		for i, v := range values {
			if row[i], err = asPostgres(v, t.types[i]); err != nil {
				return nil, fmt.Errorf("column %s: %w", t.columns[i], err)
			}
		}
		return row, nil
	}))
	return n, err
}

// asPostgres makes what SQLite has of a value what a Postgres column of this type takes.
// Integers, texts and bytes are the same on both.
func asPostgres(v any, kind string) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch kind {
	case "uuid":
		var id rowID
		err := id.Scan(v)
		return [16]byte(id), err
	case "_uuid":
		b, ok := v.([]byte)
		if !ok || len(b)%16 != 0 {
			return nil, fmt.Errorf("%T of %d bytes is no list of ids", v, len(b))
		}
		ids := make([][16]byte, len(b)/16)
		for i := range ids {
			copy(ids[i][:], b[i*16:])
		}
		return ids, nil
	case "bool", "timestamptz":
		n, ok := v.(int64)
		if !ok {
			return nil, fmt.Errorf("%T is no whole number", v)
		}
		if kind == "bool" {
			return n != 0, nil
		}
		return time.UnixMicro(n), nil
	case "bytea":
		switch v := v.(type) {
		case string:
			return []byte(v), nil
		case []byte:
			if v == nil { // how the driver says that there are none; NULL is another nil
				return []byte{}, nil
			}
		}
	case "text", "jsonb":
		if b, ok := v.([]byte); ok {
			return string(b), nil
		}
	}
	return v, nil
}

// copySequences lets numbers go on where SQLite's end: none is used again.
func (s *Store) copySequences(ctx context.Context, tx pgx.Tx) error {
	for table, column := range map[string]string{"nodes": "id", "event_log": "seq"} {
		var last int64
		err := s.sqlr.QueryRowContext(ctx, "SELECT seq FROM sqlite_sequence WHERE name = ?", table).Scan(&last)
		if errors.Is(err, sql.ErrNoRows) || err == nil && last == 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("copying the last number of %s: %w", table, err)
		}
		if _, err := tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence($1, $2), $3)", table, column, last); err != nil {
			return fmt.Errorf("copying the last number of %s: %w", table, err)
		}
	}
	return nil
}
