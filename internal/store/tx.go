package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"
)

// writeTries bounds how often a transaction is run that lost against another one.
const writeTries = 5

// writeTimeout bounds a transaction on SQLite. Of all who write while another process has the
// file, each tries for busyTimeout in its turn, and nobody who called the API waits for all of
// them. Postgres has apiStatementTimeout.
const writeTimeout = 20 * time.Second

// write runs fn in one transaction and commits it if fn returns nil. fn may run more
// than once, after a deadlock or a serialisation failure, so it must not change
// anything but the database before its last statement. Nothing slow belongs in it: on
// SQLite it holds the only writer, and is given up after writeTimeout, with the wait for it.
func (s *Store) write(ctx context.Context, fn func(tx *gorm.DB) error) error {
	if s.engine == SQLite {
		limited, cancel := context.WithTimeout(ctx, s.writeTimeout)
		defer cancel()
		err := s.w.WithContext(limited).Transaction(fn)
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			return translate(context.DeadlineExceeded) // the driver's own error is an interruption
		}
		return translate(err)
	}
	for try := 1; ; try++ {
		err := s.w.WithContext(ctx).Transaction(fn)
		if err == nil {
			return nil
		}
		if try == writeTries || !lostRace(err) {
			return translate(err)
		}
	}
}

// read runs fn on one consistent snapshot. The transaction is always rolled back, so
// that a stray write fails its test.
func (s *Store) read(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return s.readOn(ctx, s.r, fn)
}

// pipelineRead is read for what accepting and sending cannot do without: on Postgres it does
// not wait behind the API's reads for a connection.
func (s *Store) pipelineRead(ctx context.Context, fn func(tx *gorm.DB) error) error {
	if s.engine == Postgres {
		return s.readOn(ctx, s.hotGorm, fn)
	}
	return s.read(ctx, fn)
}

func (s *Store) readOn(ctx context.Context, db *gorm.DB, fn func(tx *gorm.DB) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if s.engine == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errRollback
	}, opts)
	if errors.Is(err, errRollback) {
		return nil
	}
	return translate(err)
}

// errRollback ends a transaction whose work was not wanted.
var errRollback = errors.New("rollback")
