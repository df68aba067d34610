package store_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"testing"

	"sallyport/internal/store"
)

// dump returns every value of every table as text, bytes as they are.
func dump(t *testing.T, s *store.Store) []byte {
	t.Helper()
	db := store.RawReader(s)
	tables := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if s.Engine() == store.Postgres {
		tables = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
	}
	var out bytes.Buffer
	for _, table := range column(t, db, tables) {
		rows, err := db.QueryContext(t.Context(), fmt.Sprintf("SELECT * FROM %q", table))
		if err != nil {
			t.Fatal(err)
		}
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				fmt.Fprintf(&out, "%s.%s=%s\n", table, names[i], v)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
