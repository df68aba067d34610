package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"sallyport/internal/config"
	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// restoreToPostgres copies a backup of SQLite into the empty Postgres database of the settings.
func restoreToPostgres(ctx context.Context, cfg config.Config, p process, file string, force bool) error {
	if ours, err := isSQLite(file); err != nil {
		return err
	} else if !ours {
		return errors.New(postgresRestore)
	}
	to, err := openStore(ctx, cfg, hook.NewIDs(), newLogger(cfg, p))
	if err != nil {
		return err
	}
	return errors.Join(copyToPostgres(ctx, cfg, p, file, force, to), to.Close())
}

func copyToPostgres(ctx context.Context, cfg config.Config, p process, file string, force bool, to *store.Store) error {
	return inStage(ctx, cfg, p, file, force, func(stage string, contents store.Contents) error {
		from, err := store.Open(ctx, store.Config{DataDir: stage, IDs: hook.NewIDs(), Logger: newLogger(cfg, p)})
		if err != nil {
			return err
		}
		defer func() { _ = from.Close() }() // of a copy that is thrown away
		// The backup may be of an older version; both are then of this one's.
		if _, err := from.Prepare(ctx, true); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := to.Prepare(ctx, false); err != nil {
			return err
		}
		err = from.CopyTo(ctx, to, func(table string, rows int64) {
			if rows > 0 {
				fmt.Fprintf(p.stderr, "%9d  %s\n", rows, table)
			}
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "restored %s into Postgres: %s\n", file, describe(contents))
		fmt.Fprintln(p.stdout, beginOnHold)
		return nil
	})
}

// isSQLite reports that a file begins as SQLite's do.
func isSQLite(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // it was only read
	magic := []byte("SQLite format 3\x00")
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(f, begin); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.Equal(begin, magic), nil
}
