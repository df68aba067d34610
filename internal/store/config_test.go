package store_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
	"sallyport/internal/testkit"
)

func TestConfigSQLite(t *testing.T) {
	t.Parallel()
	storetest.Config(t, openSQLite, dump)
}

func TestConfigPostgres(t *testing.T) {
	t.Parallel()
	storetest.Config(t, openPostgres, dump)
}

func openSQLite(t *testing.T) *store.Store {
	t.Helper()
	return open(t, store.Config{DataDir: t.TempDir()})
}

// openPostgres opens a store on a fresh copy of a migrated database.
func openPostgres(t *testing.T) *store.Store {
	t.Helper()
	return open(t, store.Config{DatabaseURL: testkit.PostgresTemplate(t, "schema", func(url string) error {
		s, err := store.Open(context.Background(), store.Config{DatabaseURL: url})
		if err != nil {
			return err
		}
		_, err = s.Prepare(context.Background(), false)
		return errors.Join(err, s.Close())
	})})
}

// open opens and prepares a store that is closed with the test.
func open(t *testing.T, c store.Config) *store.Store {
	t.Helper()
	c.Holds = func(filter string, e *hook.Event) (bool, error) { // yes, no, or what cannot be evaluated
		if filter == "error" || e.Type == "" {
			return false, errors.New("it cannot be evaluated")
		}
		return filter == "yes", nil
	}
	c.Describe = storetest.Describe
	c.IDWindow = 7 * 24 * time.Hour
	s, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s.Patience(time.Minute)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	if _, err := s.Prepare(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	return s
}

// SQLite 3.7.0 to 3.51.2 can corrupt the file (sqlite.org/wal.html#walresetbug).
func TestSQLiteIsNotTheCorruptingOne(t *testing.T) {
	t.Parallel()
	v, err := open(t, store.Config{DataDir: t.TempDir()}).EngineVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.SplitN(v+".0.0", ".", 4)[:3] {
		p, err := strconv.Atoi(part)
		if err != nil {
			t.Fatalf("version %q: %v", v, err)
		}
		n = n*1000 + p
	}
	if n < 3_051_003 {
		t.Errorf("sqlite_version() = %s; want 3.51.3 or later", v)
	}
}
