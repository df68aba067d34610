package store

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"
)

const (
	upkeepEvery = 5 * time.Second
	// walLook is how often the log's size is looked at: large events under load make it
	// grow by some 50 MB a second while readers overlap.
	walLook = 250 * time.Millisecond
	// walTruncate is the size from which the log is cut back: a reader that stayed open
	// for long kept checkpoints from starting it anew.
	walTruncate = 64 << 20
	// walPatience is how long cutting it waits for readers, and so all who write for it: a
	// moment, and when that is in vain twice as long, up to the most. Whoever reads for longer
	// is let alone, as a backup is, and only asked for a moment every now and then.
	walPatience     = 100 * time.Millisecond
	walPatienceMost = 1600 * time.Millisecond
)

// Size is how many bytes the database takes: on SQLite the file and its log.
func (s *Store) Size(ctx context.Context) (int64, error) {
	var n int64
	if s.engine == Postgres {
		err := s.r.WithContext(ctx).Raw("SELECT pg_database_size(current_database())").Scan(&n).Error
		return n, translate(err)
	}
	if err := s.r.WithContext(ctx).Raw("SELECT p.page_count * s.page_size FROM pragma_page_count() p, pragma_page_size() s").Scan(&n).Error; err != nil {
		return 0, translate(err)
	}
	if info, err := os.Stat(s.walPath); err == nil { // there is none before the first write
		n += info.Size()
	}
	return n, nil
}

// RunUpkeep keeps SQLite's write-ahead log short until ctx ends: a checkpoint that
// waits for nobody when the log grew, and one that cuts it when it has become large. While
// somebody reads for long, as a backup does, that cannot be, and nobody must wait for it.
// Postgres looks after itself.
func (s *Store) RunUpkeep(ctx context.Context) error {
	if s.engine == Postgres {
		return nil
	}
	tick := time.NewTicker(walLook)
	defer tick.Stop()
	var before int64
	var passive, rest time.Time
	patience, long := walPatience, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		info, err := os.Stat(s.walPath)
		if err != nil {
			continue // there is none before the first write
		}
		mode := "PASSIVE"
		switch size := info.Size(); {
		case size > walTruncate && time.Now().After(rest):
			mode = "TRUNCATE"
		case size == before || time.Since(passive) < upkeepEvery:
			continue
		default:
			before, passive = size, time.Now()
		}
		blocked, err := s.checkpoint(ctx, mode, patience)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sqlite.checkpoint", "mode", mode, "error", err)
		}
		switch {
		case mode == "PASSIVE":
		case !blocked && err == nil:
			patience, long = walPatience, false
		case long || patience >= walPatienceMost:
			patience, long, rest = walPatience, true, time.Now().Add(upkeepEvery)
		default:
			patience *= 2
		}
	}
}

// checkpoint brings the log into the database and reports whether readers were in the way.
// It has the only connection that writes, and so waits for them with little patience.
func (s *Store) checkpoint(ctx context.Context, mode string, patience time.Duration) (blocked bool, err error) {
	conn, err := s.sqlw.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		_, rerr := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA "+busyTimeout)
		err = errors.Join(err, rerr, conn.Close())
	}()
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout("+strconv.Itoa(int(patience.Milliseconds()))+")"); err != nil {
		return false, err
	}
	var pages, done int
	err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&blocked, &pages, &done)
	return blocked, err
}
