package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"gorm.io/gorm"
)

// Backup writes a consistent copy of a SQLite database into a file that is empty or not
// there, beside whoever works on the database: everything that was committed when it began is
// in it. progress is told now and then of the bytes written, and about how many there will
// be at most. The copy may not have reached the disk yet.
func (s *Store) Backup(ctx context.Context, path string, progress func(done, most int64)) error {
	if s.engine != SQLite {
		return errors.New("only SQLite is copied so")
	}
	var pages, size int64
	if err := s.sqlr.QueryRowContext(ctx, "SELECT (SELECT page_count FROM pragma_page_count()), (SELECT page_size FROM pragma_page_size())").Scan(&pages, &size); err != nil {
		return fmt.Errorf("reading the database's size: %w", translate(err))
	}
	done := make(chan error, 1)
	go func() {
		// One read transaction, and no old pages: the copy is as small as it can be.
		_, err := s.sqlw.ExecContext(ctx, "VACUUM INTO ?", path)
		done <- err
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("copying the database: %w", translate(err))
			}
			return nil
		case <-tick.C:
			if info, err := os.Stat(path); err == nil && progress != nil {
				progress(info.Size(), pages*size)
			}
		}
	}
}

// CheckIntegrity reads a whole SQLite database and reports what is wrong with it.
func (s *Store) CheckIntegrity(ctx context.Context) error {
	if s.engine != SQLite {
		return errors.New("only SQLite is checked so")
	}
	var fault string
	if err := s.sqlr.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&fault); err != nil {
		return fmt.Errorf("checking the database: %w", translate(err))
	}
	if fault != "ok" {
		return fmt.Errorf("the database is damaged: %s", fault)
	}
	rows, err := s.sqlr.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return fmt.Errorf("checking the database: %w", translate(err))
	}
	defer rows.Close()
	if rows.Next() {
		return errors.New("the database is damaged: rows refer to others that are not there")
	}
	return rows.Err()
}

// Contents is how much there is in a database, for people.
type Contents struct {
	Workspaces, Events int
	Waiting            int // deliveries that are sent as soon as somebody serves
}

// Contents counts.
func (s *Store) Contents(ctx context.Context) (c Contents, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`SELECT (SELECT count(*) FROM workspaces) AS workspaces, (SELECT count(*) FROM events) AS events,
			(SELECT count(*) FROM due) + (SELECT count(*) FROM deliveries WHERE state = 0) AS waiting`).Scan(&c).Error
	})
	return c, err
}
