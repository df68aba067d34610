package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/hook"
)

// ApplyRecord makes one change of a record in a transaction of its own.
func ApplyRecord(ctx context.Context, s *Store, c *hook.RecordChange, now time.Time) (fresh bool, err error) {
	if s.engine == Postgres {
		err = pgx.BeginFunc(ctx, s.hot, func(tx pgx.Tx) (err error) {
			fresh, err = applyRecordPG(ctx, tx, c, micros(now))
			return err
		})
		return fresh, err
	}
	err = s.sqliteTx(ctx, func(tx *sqliteTx) (err error) {
		fresh, err = tx.applyRecord(c, micros(now))
		return err
	})
	return fresh, err
}

// SetUnacceptedBytes sets how much the bodies of what was not accepted take at most.
func SetUnacceptedBytes(s *Store, n int64) { s.unacceptedBytes = n }
