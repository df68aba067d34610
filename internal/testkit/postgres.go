package testkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// EnvDatabaseURL names a Postgres to test on, with a user who may create databases. Without
// it the tests of this user share one throwaway cluster; see Cluster.
const EnvDatabaseURL = "SALLYPORT_TEST_DATABASE_URL"

// EmptyPostgres creates an empty database for this test alone and returns its URL. The
// database is dropped when the test ends, with whoever is still connected.
func EmptyPostgres(t testing.TB) string {
	t.Helper()
	return createDatabase(t, "")
}

// PostgresTemplate is EmptyPostgres with a copy of a template: a database that migrate fills
// once per test binary and key, and that every further call copies in some 30 ms. migrate must
// have closed its connections when it returns.
func PostgresTemplate(t testing.TB, key string, migrate func(url string) error) string {
	t.Helper()
	made, _ := templates.LoadOrStore(key, &template{})
	name, err := made.(*template).get(migrate)
	if err != nil {
		t.Fatalf("making the template database %q: %v", key, err)
	}
	return createDatabase(t, name)
}

// templates holds a *template for each key of PostgresTemplate. The databases go when the
// throwaway cluster goes; on a server that was given, the next run drops those of runs that
// have ended.
var templates sync.Map

type template struct {
	once sync.Once
	name string
	err  error
}

func (m *template) get(migrate func(url string) error) (string, error) {
	m.once.Do(func() {
		m.name = newName("template")
		admin, err := server()
		if err != nil {
			m.err = err
			return
		}
		if _, m.err = admin.pool.Exec(context.Background(), "CREATE DATABASE "+m.name); m.err != nil {
			return
		}
		if m.err = migrate(admin.url(m.name)); m.err != nil {
			return
		}
		// Whoever connected to a template would make every copy wait.
		_, m.err = admin.pool.Exec(context.Background(), "ALTER DATABASE "+m.name+" WITH ALLOW_CONNECTIONS false")
	})
	return m.name, m.err
}

// postgres is the server that the tests of this process use.
type postgres struct {
	base *url.URL
	pool *pgxpool.Pool
}

// server connects to the given server or to the shared cluster, once per process.
var server = sync.OnceValues(func() (*postgres, error) {
	address := os.Getenv(EnvDatabaseURL)
	if address == "" {
		var err error
		if address, err = joinCluster(); err != nil {
			return nil, err
		}
	}
	base, err := url.Parse(address)
	if err != nil || base.Scheme == "" {
		return nil, fmt.Errorf("%s is not a postgres:// URL", EnvDatabaseURL)
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", EnvDatabaseURL, err)
	}
	// Creating and dropping databases is the server's work; more at once would not be faster.
	config.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the test server: %w", err)
	}
	p := &postgres{base: base, pool: pool}
	if err := p.dropLeftovers(); err != nil {
		return nil, fmt.Errorf("dropping what earlier runs left: %w", err)
	}
	return p, nil
})

// url is the address of one database of the server.
func (p *postgres) url(database string) string {
	u := *p.base
	u.Path = "/" + database
	return u.String()
}

// namePrefix begins the name of every database of the tests; then follow the second of its
// creation and a random part.
const namePrefix = "sallyport_test"

func newName(kind string) string {
	return fmt.Sprintf("%s_%s_%d_%s", namePrefix, kind, time.Now().Unix(), strings.ToLower(rand.Text()[:10]))
}

// leftoverAge is far beyond the longest test run, so that nobody's database is dropped under him.
const leftoverAge = 6 * time.Hour

// dropLeftovers drops the databases of runs that were killed, and the templates of those that
// ended, once they are old enough that no run can still use them.
func (p *postgres) dropLeftovers() error {
	ctx := context.Background()
	rows, err := p.pool.Query(ctx, "SELECT datname FROM pg_database WHERE datname LIKE $1", namePrefix+`\_%`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		var kind, random string
		var second int64
		fields := strings.NewReplacer("_", " ").Replace(strings.TrimPrefix(name, namePrefix+"_"))
		if _, err := fmt.Sscan(fields, &kind, &second, &random); err != nil || time.Since(time.Unix(second, 0)) < leftoverAge {
			continue
		}
		// Another process may be dropping the same one: IF EXISTS.
		if _, err := p.pool.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

func createDatabase(t testing.TB, template string) string {
	t.Helper()
	p, err := server()
	if err != nil {
		t.Fatalf("no Postgres to test on: %v", err)
	}
	name := newName("db")
	statement := "CREATE DATABASE " + name
	if template != "" {
		statement += " TEMPLATE " + template
	}
	if _, err := p.pool.Exec(t.Context(), statement); err != nil {
		t.Fatalf("creating a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := p.drop(name); err != nil {
			t.Errorf("dropping the test database: %v", err)
		}
	})
	return p.url(name)
}

const objectInUse = "55006" // Postgres documentation, appendix A

// drop removes a database with whoever is connected. They are told to go, and have five seconds
// for it, which may be too few on a busy machine.
func (p *postgres) drop(name string) error {
	for deadline := time.Now().Add(waitLimit); ; {
		_, err := p.pool.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != objectInUse || time.Now().After(deadline) {
			return err
		}
	}
}
