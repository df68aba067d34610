package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestHistorySQLite(t *testing.T) {
	t.Parallel()
	storetest.History(t, worldSQLite)
}

// worldSQLite opens a store in a fresh directory, and a connection beside it.
func worldSQLite(t *testing.T) (*store.Store, *sql.DB) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, store.Config{DataDir: dir})
	return s, plain(t, "sqlite", "file:"+filepath.Join(dir, "sallyport.db")+"?_pragma=busy_timeout(5000)&_txlock=immediate")
}

func TestHistoryPostgres(t *testing.T) {
	t.Parallel()
	storetest.History(t, worldPostgres)
}

// worldPostgres opens a store on a fresh copy of a migrated database, and a connection
// beside it.
func worldPostgres(t *testing.T) (*store.Store, *sql.DB) {
	t.Helper()
	url := migratedPostgres(t)
	return open(t, store.Config{DatabaseURL: url}), plain(t, "pgx", url)
}

func plain(t *testing.T, driver, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return db
}
