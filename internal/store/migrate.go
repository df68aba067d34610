package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// migrationLock is the Postgres advisory lock under which the schema changes; the
// number is arbitrary but must never change.
const migrationLock int64 = 0x73616c6c79 // "sally"

// PendingMigrationsError says that the database is in use and older than this binary.
type PendingMigrationsError struct {
	Current, Want int
}

func (e *PendingMigrationsError) Error() string {
	return fmt.Sprintf("the database has schema %d and this binary wants %d; run %s, or start with --migrate", e.Current, e.Want, e.Command())
}

// Command is what to run.
func (*PendingMigrationsError) Command() string { return "sallyport migrate" }

// NewerSchemaError says that the database was migrated by a newer binary.
type NewerSchemaError struct {
	Current, Want int
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the database has schema %d but this binary knows only %d; start a newer sallyport", e.Current, e.Want)
}

// Migration is a step of the schema.
type Migration struct {
	Number int
	Name   string // of its file, without the ending
	// Contract is what it demands if it does not only expand, such as "nothing older than
	// schema 9 runs"; "" if nodes of the previous version may go on beside it.
	Contract string
}

// PendingMigrations lists what Migrate would apply, in its order. Nothing is changed.
func (s *Store) PendingMigrations(ctx context.Context) ([]Migration, error) {
	current, _, _, err := s.MigrationStatus(ctx)
	if err != nil {
		return nil, err
	}
	dir := "migrations/" + s.engine
	files, err := migrations.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var pending []Migration
	for _, f := range files { // ReadDir sorts by name, and the names begin with the number
		number, err := goose.NumericComponent(f.Name())
		if err != nil {
			return nil, err
		}
		if int(number) <= current {
			continue
		}
		text, err := migrations.ReadFile(dir + "/" + f.Name())
		if err != nil {
			return nil, err
		}
		pending = append(pending, Migration{Number: int(number), Name: strings.TrimSuffix(f.Name(), ".sql"), Contract: contractOf(text)})
	}
	return pending, nil
}

var contractMark = regexp.MustCompile(`(?m)^-- contract: (nothing older than schema \d+ runs)$`)

func contractOf(migration []byte) string {
	if m := contractMark.FindSubmatch(migration); m != nil {
		return string(m[1])
	}
	return ""
}

// Prepare makes the schema ready or says why not. An empty database is migrated, as is
// every SQLite file; a used Postgres with pending migrations only if allow is set, else
// the error is a *PendingMigrationsError. A schema newer than the binary is refused
// with a *NewerSchemaError. Several nodes may call it at once. It reports whether the
// database was empty before.
func (s *Store) Prepare(ctx context.Context, allow bool) (fresh bool, err error) {
	// First without the lock, so that an ordinary start needs no session-level feature.
	current, want, _, err := s.MigrationStatus(ctx)
	if err != nil || current == want {
		return false, err
	}
	err = s.migrating(ctx, func(db *sql.DB) error {
		current, want, empty, err := s.migrationStatus(ctx, db)
		switch {
		case err != nil:
			return err
		case current > want:
			return &NewerSchemaError{current, want}
		case current < want && !empty && !allow && s.engine == Postgres:
			return &PendingMigrationsError{current, want}
		}
		fresh = empty
		return s.up(ctx, db)
	})
	return fresh, err
}

// Migrate applies what is pending. Several processes may call it at once: one works,
// the others wait for it.
func (s *Store) Migrate(ctx context.Context) error {
	return s.migrating(ctx, func(db *sql.DB) error {
		current, want, _, err := s.migrationStatus(ctx, db)
		if err != nil {
			return err
		}
		if current > want {
			return &NewerSchemaError{current, want}
		}
		return s.up(ctx, db)
	})
}

// MigrationStatus returns the schema's number and the one that this binary wants. empty
// means that there is no table at all. Nothing is changed.
func (s *Store) MigrationStatus(ctx context.Context) (current, want int, empty bool, err error) {
	if s.engine == SQLite {
		return s.migrationStatus(ctx, s.sqlw)
	}
	db, done, err := s.migrateDB()
	if err != nil {
		return 0, 0, false, err
	}
	defer done()
	return s.migrationStatus(ctx, db)
}

func (s *Store) migrationStatus(ctx context.Context, db *sql.DB) (current, want int, empty bool, err error) {
	p, err := s.provider(db)
	if err != nil {
		return 0, 0, false, err
	}
	sources := p.ListSources()
	want = int(sources[len(sources)-1].Version)
	q := "SELECT count(*), count(CASE WHEN name = 'goose_db_version' THEN 1 END) FROM sqlite_master WHERE type = 'table'"
	if s.engine == Postgres {
		q = `SELECT count(*), count(CASE WHEN c.relname = 'goose_db_version' THEN 1 END) FROM pg_class c
			WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`
	}
	var tables, versions int
	if err := db.QueryRowContext(ctx, q).Scan(&tables, &versions); err != nil {
		return 0, 0, false, fmt.Errorf("reading the schema's number: %w", translate(err))
	}
	if versions > 0 {
		err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&current)
		if err != nil {
			return 0, 0, false, fmt.Errorf("reading the schema's number: %w", translate(err))
		}
	}
	return current, want, tables == 0, nil
}

// migrating runs fn while no other process migrates.
func (s *Store) migrating(ctx context.Context, fn func(db *sql.DB) error) (err error) {
	db, done, err := s.migrateDB()
	if err != nil {
		return err
	}
	defer done()
	if s.engine == SQLite {
		return fn(db) // the data directory's lock keeps other processes away
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrating: %w", translate(err))
	}
	// Closing the session's pool (done) frees the lock whatever happens.
	defer func() { err = errors.Join(err, conn.Close()) }()
	// Asked for again and again: a statement that waits has a snapshot, and whoever has the
	// lock may be making an index concurrently, which waits for all older snapshots.
	for mine := false; ; {
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", migrationLock).Scan(&mine); err != nil {
			return fmt.Errorf("waiting for another node that migrates: %w", translate(err))
		}
		if mine {
			return fn(db)
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *Store) up(ctx context.Context, db *sql.DB) error {
	p, err := s.provider(db)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", translate(err))
	}
	return nil
}

func (s *Store) provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+s.engine)
	if err != nil {
		return nil, err
	}
	dialect := goose.DialectSQLite3
	if s.engine == Postgres {
		dialect = goose.DialectPostgres
	}
	return goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)))
}
