package store_test

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"sallyport/internal/store"
)

// column is a column as Postgres has it.
type tableColumn struct {
	name, kind string
	notNull    bool
}

// columnsOf has the columns of each table of ours.
func columnsOf(t *testing.T, pg *sql.DB) map[string][]tableColumn {
	t.Helper()
	rows, err := pg.QueryContext(t.Context(), `SELECT c.relname, a.attname, t.typname, a.attnotnull
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'goose_db_version' AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY c.relname, a.attnum`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	tables := map[string][]tableColumn{}
	for rows.Next() {
		var table string
		var c tableColumn
		if err := rows.Scan(&table, &c.name, &c.kind, &c.notNull); err != nil {
			t.Fatal(err)
		}
		tables[table] = append(tables[table], c)
	}
	if err := rows.Err(); err != nil || len(tables) < 30 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	return tables
}

// sample is a value as it lies in SQLite, and its text in Postgres.
func sample(t *testing.T, c tableColumn, full bool, n int) (value any, text string) {
	t.Helper()
	if !full && !c.notNull {
		return nil, "NULL"
	}
	a, b := uuid.New(), uuid.New()
	switch c.kind {
	case "uuid":
		return a[:], a.String()
	case "_uuid":
		if !full {
			return []byte{}, "{}"
		}
		return slices.Concat(a[:], b[:]), "{" + a.String() + "," + b.String() + "}"
	case "bool":
		if !full {
			return 0, "false"
		}
		return 1, "true"
	case "timestamptz":
		at := int64(1_795_659_180_123_456 + n)
		return at, fmt.Sprint(at)
	case "int2", "int4", "int8":
		return n, fmt.Sprint(n)
	case "bytea":
		if !full {
			return []byte{}, `\x`
		}
		return []byte{0, 0xff, '"', byte(n)}, `\x` + hex.EncodeToString([]byte{0, 0xff, '"', byte(n)})
	case "jsonb":
		return fmt.Sprintf(`{"n": [%d, "ü\""]}`, n), fmt.Sprintf(`{"n": [%d, "ü\""]}`, n)
	case "text":
		if !full {
			return "", ""
		}
		return fmt.Sprintf("ü\t\"%d", n), fmt.Sprintf("ü\t\"%d", n)
	}
	t.Fatalf("%s is a %s, which the copy does not know", c.name, c.kind)
	return nil, ""
}

// fill puts two rows into each table of a SQLite database, one full and one as empty as it may
// be, and returns them as contents does.
func fill(t *testing.T, lite *sql.DB, tables map[string][]tableColumn) map[string][]string {
	t.Helper()
	want, n := map[string][]string{}, 100
	for table, columns := range tables {
		for _, full := range []bool{true, false} {
			var names, marks, texts []string
			var values []any
			for _, c := range columns {
				n++
				value, text := sample(t, c, full, n)
				names, marks, values, texts = append(names, `"`+c.name+`"`), append(marks, "?"), append(values, value), append(texts, text)
			}
			q := "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
			if _, err := lite.ExecContext(t.Context(), q, values...); err != nil {
				t.Fatalf("%s: %v", table, err)
			}
			want[table] = append(want[table], strings.Join(texts, "|"))
		}
	}
	return want
}

// contents has the rows of each table of a Postgres database as texts.
func contents(t *testing.T, pg *sql.DB, tables map[string][]tableColumn) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	for table, columns := range tables {
		var parts []string
		for _, c := range columns {
			part := `"` + c.name + `"::text`
			if c.kind == "timestamptz" {
				part = `(extract(epoch FROM "` + c.name + `") * 1000000)::bigint::text`
			}
			parts = append(parts, "coalesce("+part+", 'NULL')")
		}
		rows, err := pg.QueryContext(t.Context(), "SELECT concat_ws('|', "+strings.Join(parts, ", ")+") FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				t.Fatal(err)
			}
			got[table] = append(got[table], row)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestCopyToPostgres(t *testing.T) {
	t.Parallel()
	from, lite := worldSQLite(t)
	to, pg := worldPostgres(t)
	tables := columnsOf(t, pg)
	if _, err := lite.ExecContext(t.Context(), "DELETE FROM config_versions"); err != nil {
		t.Fatal(err)
	}
	want := fill(t, lite, tables)
	fresh := contents(t, pg, tables)

	// A row that does not fit: nothing is copied, and nothing is in the way of the next try.
	if _, err := lite.ExecContext(t.Context(), "UPDATE requests SET events = 3000000000 WHERE code <> ''"); err != nil {
		t.Fatal(err)
	}
	if err := from.CopyTo(t.Context(), to, func(string, int64) {}); err == nil || !strings.Contains(err.Error(), "copying requests") {
		t.Errorf("a number that is too large: %v", err)
	}
	same(t, contents(t, pg, tables), fresh)
	if _, err := lite.ExecContext(t.Context(), "UPDATE requests SET events = 7 WHERE code <> ''"); err != nil {
		t.Fatal(err)
	}
	for i, c := range tables["requests"] {
		if c.name == "events" {
			fields := strings.Split(want["requests"][0], "|")
			fields[i] = "7"
			want["requests"][0] = strings.Join(fields, "|")
		}
	}

	told := map[string]int64{}
	if err := from.CopyTo(t.Context(), to, func(table string, rows int64) { told[table] = rows }); err != nil {
		t.Fatal(err)
	}
	same(t, contents(t, pg, tables), want)
	if len(told) != len(tables) || told["deliveries"] != 2 {
		t.Errorf("told of %v", told)
	}
	// Numbers go on, and what is stored from now on is seen by the streams.
	var last, next int64
	if err := lite.QueryRowContext(t.Context(), "SELECT max(seq) FROM event_log").Scan(&last); err != nil {
		t.Fatal(err)
	}
	id := uuid.New()
	if _, err := pg.ExecContext(t.Context(), `INSERT INTO events (workspace_id, key, type, occurred_at, source_kind, matched) VALUES ($1, $2, 'a', 0, 0, 0)`, uuid.New(), id); err != nil {
		t.Fatal(err)
	}
	if err := pg.QueryRowContext(t.Context(), "SELECT seq FROM event_log WHERE $1 = ANY (keys)", id).Scan(&next); err != nil || next != last+1 {
		t.Errorf("the next number of the log is %d after %d (%v)", next, last, err)
	}

	var used *store.UsedDatabaseError
	if err := from.CopyTo(t.Context(), to, func(string, int64) {}); !errors.As(err, &used) {
		t.Errorf("into a database in use: %v", err)
	}
	if err := to.CopyTo(t.Context(), from, nil); err == nil {
		t.Error("copied the other way round")
	}
}

func same(t *testing.T, got, want map[string][]string) {
	t.Helper()
	for table := range want {
		slices.Sort(got[table])
		slices.Sort(want[table])
		if !slices.Equal(got[table], want[table]) {
			t.Errorf("%s has\n%q, want\n%q", table, got[table], want[table])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d tables have rows, want %d", len(got), len(want))
	}
}
