package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/store"
	"sallyport/internal/testkit"
)

func TestMigrationsHaveTheSameNumbersOnBothEngines(t *testing.T) {
	t.Parallel()
	var names [2][]string
	for i, engine := range []string{store.SQLite, store.Postgres} {
		files, err := os.ReadDir(filepath.Join("migrations", engine))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			names[i] = append(names[i], f.Name())
		}
	}
	if !slices.Equal(names[0], names[1]) {
		t.Errorf("SQLite has %v, Postgres %v", names[0], names[1])
	}
}

func TestNodesThatStartAtOnceOnAnEmptyPostgresMigrateItOnce(t *testing.T) {
	t.Parallel()
	url := testkit.EmptyPostgres(t)
	var wg sync.WaitGroup
	fresh := make([]bool, 3)
	for i := range fresh {
		wg.Go(func() {
			s, err := store.Open(t.Context(), store.Config{DatabaseURL: url})
			if err != nil {
				t.Error(err)
				return
			}
			if fresh[i], err = s.Prepare(t.Context(), false); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(slices.DeleteFunc(fresh, func(f bool) bool { return !f })); n != 1 {
		t.Errorf("%d nodes found the database empty, want 1", n)
	}
}

func TestPrepareRefusesUsedOlderAndNewerPostgres(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := testkit.EmptyPostgres(t)
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(ctx)
	if _, err := db.Exec(ctx, "CREATE TABLE used (x int)"); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, store.Config{DatabaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })

	_, err = s.Prepare(ctx, false)
	var pending *store.PendingMigrationsError
	if !errors.As(err, &pending) || pending.Current != 0 || pending.Want == 0 || pending.Command() != "sallyport migrate" {
		t.Fatalf("used database: %v", err)
	}
	if current, want, empty, err := s.MigrationStatus(ctx); err != nil || current != 0 || want != pending.Want || empty {
		t.Fatalf("status = %d, %d, %v, %v", current, want, empty, err)
	}
	if fresh, err := s.Prepare(ctx, true); err != nil || fresh {
		t.Fatalf("allowed: %v, %v", fresh, err)
	}
	if err := s.Migrate(ctx); err != nil {
		t.Fatalf("nothing to migrate: %v", err)
	}
	if _, err := db.Exec(ctx, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, true)"); err != nil {
		t.Fatal(err)
	}
	var newer *store.NewerSchemaError
	if _, err := s.Prepare(ctx, true); !errors.As(err, &newer) || newer.Current != 9000 {
		t.Fatalf("newer database: %v", err)
	}
	if err := s.Migrate(ctx); !errors.As(err, &newer) {
		t.Fatalf("migrating a newer database: %v", err)
	}
}
