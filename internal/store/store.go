// Package store keeps everything: configuration through GORM, the pipeline's hot
// statements as raw SQL. It is the truth of the installation, on SQLite or Postgres
// with the same promises. Rows are private; only nouns of package hook leave it.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	gormpostgres "gorm.io/driver/postgres"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // the pure Go driver "sqlite"

	"sallyport/internal/hook"
)

// Engines.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Config says where the data lives.
type Config struct {
	DatabaseURL string        // postgres://...; "" is SQLite in DataDir
	DataDir     string        // of sallyport.db; made when missing, readable by its owner only
	MaxConns    int           // of the API's Postgres pool; 0: 10
	IDWindow    time.Duration // how long a client's event id is remembered at least
	IDs         *hook.IDs     // nil: a generator of its own
	Logger      *slog.Logger  // nil: slog.Default()
	// Holds evaluates a webhook's filter, to tell why there is no delivery; nil leaves filters out of account.
	Holds func(filter string, e *hook.Event) (bool, error)
	// Describe puts a change of configuration into words for the audit log; nil leaves them
	// out. What was changed by whom is on record anyway.
	Describe func(before, after hook.Audited) (hook.AuditDescription, error)
	// Alerts says who is mailed about workspaces that do not say so themselves.
	Alerts hook.Alerts
}

// Store is an open database. Methods may be called at once by many goroutines.
type Store struct {
	engine string
	ids    *hook.IDs
	log    *slog.Logger
	sealer atomic.Pointer[sealerBox]
	holds  func(filter string, e *hook.Event) (bool, error)
	alerts hook.Alerts

	describe func(before, after hook.Audited) (hook.AuditDescription, error)

	w *gorm.DB // writes; on SQLite one connection
	r *gorm.DB // reads; on Postgres the same pool

	sqlw *sql.DB // SQLite's writer, nil on Postgres
	sqlr *sql.DB // SQLite's readers, nil on Postgres

	api     *pgxpool.Pool // Postgres: behind w and r, nil on SQLite
	hot     *pgxpool.Pool // Postgres: the pipeline's, with pinned plans, nil on SQLite
	hotGorm *gorm.DB      // over hot

	oids atomic.Pointer[pipelineOIDs]

	idWindow        time.Duration
	unacceptedBytes int64         // a constant but for tests
	writeTimeout    time.Duration // a constant but for tests
	searchTimeout   time.Duration // a constant but for tests

	logged  chan struct{} // see Logged
	stmts   sqliteStmts   // of sqlw
	walPath string        // of SQLite's write-ahead log

	migrateDB func() (*sql.DB, func(), error) // a pool for schema changes, without statement timeout
}

// Numbers of connections. The hot pool serves two writers, the claim loop, the
// heartbeat and the audit; more would only split batches. SQLite readers work from
// the page cache, so a few are enough.
const (
	defaultMaxConns = 10
	hotConns        = 6
	sqliteReaders   = 4
	busyTimeout     = "busy_timeout(5000)" // milliseconds
)

// idleInTransaction ends transactions of a stopped process, so that it cannot block
// the burial of its own node row.
const idleInTransaction = "10s"

// apiStatementTimeout bounds a runaway read; an open snapshot makes claims slow.
const apiStatementTimeout = "30s"

// Open connects. It neither creates nor checks the schema: call Prepare.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{ids: c.IDs, log: c.Logger, holds: c.Holds, describe: c.Describe, alerts: c.Alerts, idWindow: c.IDWindow, unacceptedBytes: unacceptedBytes, writeTimeout: writeTimeout,
		searchTimeout: searchTimeout, logged: make(chan struct{}, 1)}
	if s.ids == nil {
		s.ids = hook.NewIDs()
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	var err error
	if c.DatabaseURL == "" {
		s.engine = SQLite
		err = s.openSQLite(ctx, c)
	} else {
		s.engine = Postgres
		err = s.openPostgres(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openSQLite(ctx context.Context, c Config) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(c.DataDir, "sallyport.db"))
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	// SQLite would make the file readable by everybody.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	s.walPath = path + "-wal"
	if err := f.Close(); err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	// busy_timeout matters for other processes only (keys, backup): within this one
	// all writes go through one connection. FULL, because NORMAL may lose the last
	// commits at power loss.
	if s.sqlw, err = openSQLiteFile(ctx, path, 1, busyTimeout, "journal_mode(WAL)",
		"synchronous(FULL)", "foreign_keys(1)", "wal_autocheckpoint(4000)"); err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	if s.sqlr, err = openSQLiteFile(ctx, path, sqliteReaders, busyTimeout, "query_only(1)"); err != nil {
		return fmt.Errorf("opening %s for reading: %w", path, err)
	}
	if s.w, err = gorm.Open(gormsqlite.New(gormsqlite.Config{DriverName: "sqlite", Conn: s.sqlw}), s.preparing()); err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	if s.r, err = gorm.Open(gormsqlite.New(gormsqlite.Config{DriverName: "sqlite", Conn: s.sqlr}), s.preparing()); err != nil {
		return fmt.Errorf("opening %s for reading: %w", path, err)
	}
	s.migrateDB = func() (*sql.DB, func(), error) { return s.sqlw, func() {}, nil }
	return nil
}

func openSQLiteFile(ctx context.Context, path string, conns int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (s *Store) openPostgres(ctx context.Context, c Config) error {
	api, err := postgresPool(c.DatabaseURL, map[string]string{"statement_timeout": apiStatementTimeout})
	if err != nil {
		return err
	}
	api.MaxConns = defaultMaxConns
	if c.MaxConns > 0 {
		api.MaxConns = int32(min(c.MaxConns, 1000))
	}
	// Without these a statement planned while its table was small or not yet analysed
	// scans it whole, and stays so for a while.
	hot, err := postgresPool(c.DatabaseURL, map[string]string{
		"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
		// The plan does not depend on what is in the arrays; making it costs more than
		// running it for one row.
		"plan_cache_mode": "force_generic_plan",
	})
	if err != nil {
		return err
	}
	hot.MaxConns = hotConns
	hot.ConnConfig.OnNotice = warnings.put
	migrate, err := postgresPool(c.DatabaseURL, nil)
	if err != nil {
		return err
	}
	if s.api, err = pgxpool.NewWithConfig(ctx, api); err != nil {
		return translate(err)
	}
	if err = s.api.Ping(ctx); err != nil {
		return fmt.Errorf("connecting to Postgres: %w", translate(err))
	}
	if s.hot, err = pgxpool.NewWithConfig(ctx, hot); err != nil {
		return translate(err)
	}
	// No PrepareStmt here: pgx already keeps prepared statements per connection, and
	// database/sql over a pool would prepare anew for every connection it borrows.
	s.w, err = gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: stdlib.OpenDBFromPool(s.api)}), s.gormConfig())
	if err != nil {
		return translate(err)
	}
	s.r = s.w
	s.hotGorm, err = gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: stdlib.OpenDBFromPool(s.hot)}), s.gormConfig())
	if err != nil {
		return translate(err)
	}
	s.migrateDB = func() (*sql.DB, func(), error) {
		db := stdlib.OpenDB(*migrate.ConnConfig)
		return db, func() { _ = db.Close() }, nil
	}
	return nil
}

func postgresPool(databaseURL string, params map[string]string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		// The driver's text may quote the URL, and with it a password.
		return nil, errors.New("the database URL is not a Postgres URL such as postgres://user:password@host:5432/name")
	}
	dial(&config.ConnConfig.Config)
	p := config.ConnConfig.RuntimeParams
	if p["application_name"] == "" {
		p["application_name"] = "sallyport"
	}
	p["idle_in_transaction_session_timeout"] = idleInTransaction
	// A scan that enable_seqscan=off cannot avoid looks dear enough to be compiled: 60 ms
	// for a table of three rows.
	p["jit"] = "off"
	for k, v := range params {
		p[k] = v
	}
	return config, nil
}

// sqliteStatements bounds the prepared statements of one pool, least used go first: lists of
// ids and filters make ever new texts, and each costs some 10 kB per connection.
const sqliteStatements = 256

// preparing is gormConfig for pools whose driver keeps no prepared statements by itself.
func (s *Store) preparing() *gorm.Config {
	c := s.gormConfig()
	c.PrepareStmt, c.PrepareStmtMaxSize = true, sqliteStatements
	return c
}

func (s *Store) gormConfig() *gorm.Config {
	return &gorm.Config{
		SkipDefaultTransaction: true, // every use stands in write or read
		// Never SELECT *: prepared, it fails once a newer version has added a column.
		QueryFields:          true,
		TranslateError:       true,
		DisableAutomaticPing: true,
		Logger: logger.NewSlogLogger(s.log, logger.Config{
			LogLevel:                  logger.Silent, // errors are returned, and logged once by who cannot return them
			ParameterizedQueries:      true,          // values may be payloads or secrets
			IgnoreRecordNotFoundError: true,
		}),
	}
}

// Close ends all connections. Calls under way fail.
func (s *Store) Close() error {
	var errs []error
	if s.hot != nil {
		s.hot.Close()
	}
	if s.api != nil {
		if s.w != nil {
			if db, err := s.w.DB(); err == nil {
				errs = append(errs, db.Close())
			}
		}
		s.api.Close()
	}
	if s.sqlr != nil {
		errs = append(errs, s.sqlr.Close())
	}
	if s.sqlw != nil {
		errs = append(errs, s.sqlw.Close()) // the last one checkpoints
	}
	return errors.Join(errs...)
}

// Engine returns SQLite or Postgres.
func (s *Store) Engine() string { return s.engine }

// EngineVersion returns the database's own version, such as 3.53.0 or 15.18.
func (s *Store) EngineVersion(ctx context.Context) (string, error) {
	q := "SELECT sqlite_version()"
	if s.engine == Postgres {
		q = "SHOW server_version"
	}
	var v string
	if err := s.r.WithContext(ctx).Raw(q).Scan(&v).Error; err != nil {
		return "", translate(err)
	}
	v, _, _ = strings.Cut(v, " ")
	return v, nil
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return translate(s.r.WithContext(ctx).Exec("SELECT 1").Error)
}

// now is the time stamped on configuration: milliseconds, as the API shows them, so
// that what was read equals what was written.
func (s *Store) now() time.Time { return s.ids.Now().UTC().Truncate(time.Millisecond) }
