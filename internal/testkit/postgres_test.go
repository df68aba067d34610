package testkit_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/testkit"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestEmptyPostgres(t *testing.T) {
	t.Parallel()
	one, other := testkit.EmptyPostgres(t), testkit.EmptyPostgres(t)
	if one == other {
		t.Fatalf("two databases have one URL, %s", one)
	}
	conn := connect(t, one)
	if _, err := conn.Exec(t.Context(), "CREATE TABLE here (n int)"); err != nil {
		t.Fatal(err)
	}
	var found bool
	if err := connect(t, other).QueryRow(t.Context(), "SELECT to_regclass('here') IS NOT NULL").Scan(&found); err != nil || found {
		t.Errorf("a table of one database is found in another: %v, %v", found, err)
	}
	var connections int
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('max_connections')::int").Scan(&connections); err != nil || connections < 100 {
		t.Errorf("max_connections = %d, %v; the packages' tests together need more", connections, err)
	}
}

func TestPostgresTemplate(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	migrate := func(url string) error {
		runs.Add(1)
		conn, err := pgx.Connect(context.Background(), url)
		if err != nil {
			return err
		}
		_, err = conn.Exec(context.Background(), "CREATE TABLE seeded AS SELECT generate_series(1, 3) AS n")
		return errors.Join(err, conn.Close(context.Background()))
	}
	name := fmt.Sprint("seeded", time.Now().UnixNano()) // of this run of the test alone
	for range 3 {
		conn := connect(t, testkit.PostgresTemplate(t, name, migrate))
		if _, err := conn.Exec(t.Context(), "DELETE FROM seeded WHERE n = 1"); err != nil {
			t.Fatal(err)
		}
		var rows int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM seeded").Scan(&rows); err != nil || rows != 2 {
			t.Errorf("rows = %d, %v; want those of the template less the one just deleted", rows, err)
		}
	}
	if got := runs.Load(); got != 1 {
		t.Errorf("the template was migrated %d times", got)
	}
}

// The test of the tests: a database must not outlive the test that made it.
func TestPostgresIsDropped(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("a test with a connection that it forgets", func(t *testing.T) {
		url = testkit.EmptyPostgres(t)
		if _, err := pgx.Connect(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	})
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		conn.Close(t.Context())
		t.Fatal("the database is still there")
	}
}

func BenchmarkPostgresTemplate(b *testing.B) {
	migrate := func(string) error { return nil }
	for b.Loop() {
		b.Run("", func(b *testing.B) { testkit.PostgresTemplate(b, "empty", migrate) })
	}
}
