package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/hook"
)

// Diagnosis is what somebody wants to know of a database before he trusts it.
type Diagnosis struct {
	Version string
	Latency time.Duration // of one round trip, the best of five
	Skew    time.Duration // how far the database's clock is ahead of ours; 0 on SQLite, which has ours
	Newest  time.Time     // when the newest event was accepted; zero if there is none
	Hold    hook.Hold
	Nodes   []NodeSeen

	Postgres *PostgresDiagnosis // nil on SQLite
}

// NodeSeen is a process that registered and has not left.
type NodeSeen struct {
	Name   string
	Silent time.Duration // since its last heartbeat
}

// PostgresDiagnosis is how a Postgres is set and how it fares.
type PostgresDiagnosis struct {
	Fsync, FullPageWrites   string
	SynchronousCommit       string
	SynchronousStandbyNames string
	InRecovery              bool // it is a standby
	Connections             int
	MaxConnections          int
	// OldestTransaction is how long the oldest open transaction of any session has held back the
	// removal of dead rows; 0 if there is none but ours. Holder says whose it is.
	OldestTransaction time.Duration
	Holder            string
}

// Diagnose looks. The schema must be there; nothing is changed.
func (s *Store) Diagnose(ctx context.Context) (*Diagnosis, error) {
	d := &Diagnosis{Latency: time.Hour}
	var err error
	if d.Version, err = s.EngineVersion(ctx); err != nil {
		return nil, err
	}
	for range 5 {
		began := time.Now()
		if err := s.Ping(ctx); err != nil {
			return nil, err
		}
		d.Latency = min(d.Latency, time.Since(began))
	}
	if d.Hold, err = s.Hold(ctx); err != nil {
		return nil, err
	}
	if s.engine == Postgres {
		if d.Postgres, d.Skew, err = s.diagnosePostgres(ctx); err != nil {
			return nil, err
		}
	}
	db, err := s.r.DB()
	if err != nil {
		return nil, err
	}
	var newest rowID
	err = db.QueryRowContext(ctx, "SELECT key FROM events ORDER BY key DESC LIMIT 1").Scan(&newest)
	if err == nil {
		d.Newest = hook.TimeOf(hook.ID(newest))
	} else if !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("looking for the newest event: %w", translate(err))
	}
	if d.Nodes, err = s.nodesSeen(ctx, db); err != nil {
		return nil, fmt.Errorf("listing the nodes: %w", translate(err))
	}
	return d, nil
}

func (s *Store) nodesSeen(ctx context.Context, db *sql.DB) ([]NodeSeen, error) {
	now := "?"
	args := []any{micros(time.Now())}
	if s.engine == Postgres {
		now, args = s.clock("clock_timestamp()"), nil
	}
	rows, err := db.QueryContext(ctx, "SELECT name, "+now+" - "+s.clock("beat_at")+" FROM nodes ORDER BY id", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []NodeSeen
	for rows.Next() {
		var n NodeSeen
		var silent int64
		if err := rows.Scan(&n.Name, &silent); err != nil {
			return nil, err
		}
		n.Silent = time.Duration(silent) * time.Microsecond
		out = append(out, n)
	}
	return out, rows.Err()
}

func (s *Store) diagnosePostgres(ctx context.Context) (*PostgresDiagnosis, time.Duration, error) {
	p := &PostgresDiagnosis{}
	var now time.Time
	sent := time.Now()
	if err := s.api.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		return nil, 0, fmt.Errorf("reading the database's clock: %w", translate(err))
	}
	skew := now.Sub(sent.Add(time.Since(sent) / 2))
	err := s.api.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
		current_setting('synchronous_standby_names'), pg_is_in_recovery(), (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
		current_setting('max_connections')::int`).Scan(&p.Fsync, &p.FullPageWrites, &p.SynchronousCommit, &p.SynchronousStandbyNames,
		&p.InRecovery, &p.Connections, &p.MaxConnections)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the database's settings: %w", translate(err))
	}
	// Of other users' sessions an ordinary role sees neither start nor text, but their xmin's owner.
	var seconds float64
	err = s.api.QueryRow(ctx, `SELECT coalesce(extract(epoch FROM clock_timestamp() - x.since), 0)::float8, x.holder FROM (
		SELECT xact_start AS since, 'process ' || pid || ' (' || coalesce(nullif(application_name, ''), usename, 'unnamed') || ', ' || coalesce(state, '?') || ')' AS holder
			FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()
		UNION ALL SELECT prepared, 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()) x
		ORDER BY x.since LIMIT 1`).Scan(&seconds, &p.Holder)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, fmt.Errorf("looking for old transactions: %w", translate(err))
	}
	p.OldestTransaction = time.Duration(seconds * float64(time.Second))
	return p, skew, nil
}
