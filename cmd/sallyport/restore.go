package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/hook"
	"sallyport/internal/store"
	"sallyport/internal/vault"
)

func newRestore(p process) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the SQLite database, or into an empty Postgres",
		Long: `Put a backup in the place of the SQLite database, which is kept aside. It refuses while a serve runs on the
data directory, and a file that is damaged, of a newer schema, or of another encryption key than the one that
serve would use.

With the URL of an empty Postgres database it copies the SQLite backup into that, all of it or nothing: this is how
an installation moves from SQLite to Postgres. Of a dump of Postgres it says what to do instead.

What waited when the backup was made is sent again by whoever serves it: begin with sallyport serve --hold.

` + config.Help(vaultSettings...),
		GroupID: groupRun,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(errors.New("name the backup: sallyport restore backup.db"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(p.environ, config.FromFlags(cmd.Flags()))
			if err != nil {
				return usageError(err)
			}
			if cfg.Postgres() {
				return restoreToPostgres(cmd.Context(), cfg, p, args[0], force)
			}
			return restore(cmd.Context(), cfg, p, args[0], force)
		},
	}
	config.AddFlags(cmd.Flags(), vaultSettings...)
	cmd.Flags().BoolVar(&force, "force", false, "restore although the encryption key at hand is not the backup's")
	return cmd
}

const postgresRestore = `only a backup of SQLite is copied into a Postgres, which has tools of its own for its dumps. Into an empty database:
  pg_restore --no-owner --exit-on-error -d "$SALLYPORT_DATABASE_URL" sallyport.dump
  sallyport serve --hold
with the encryption key of the installation that it is from; README, "Backup", has the whole of it`

// restore puts the database in file in the place of the one in the data directory. Until the
// last step, a rename, the old one is in its place.
func restore(ctx context.Context, cfg config.Config, p process, file string, force bool) error {
	return inStage(ctx, cfg, p, file, force, func(stage string, contents store.Contents) error {
		staged := filepath.Join(stage, "sallyport.db")
		if err := giveToOwner(cfg.DataDir, staged, filepath.Join(cfg.DataDir, "lock")); err != nil {
			return err
		}
		aside, err := swap(ctx, cfg, p, staged)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "restored %s: %s\n", file, describe(contents))
		if aside != "" {
			fmt.Fprintf(p.stdout, "The database that was there is kept as %s.\n", aside)
		}
		fmt.Fprintln(p.stdout, beginOnHold)
		return nil
	})
}

const beginOnHold = "Start with `sallyport serve --hold`: it sends nothing until you have looked, and POST /v1/dispatch/release."

// inStage gives f a directory of the data directory with a copy of the backup, once that was
// found to be whole, and removes it in the end. Meanwhile nobody serves the data directory.
func inStage(ctx context.Context, cfg config.Config, p process, file string, force bool, f func(stage string, contents store.Contents) error) (err error) {
	if err := whole(file, cfg.DataDir); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	n := &node{cfg: cfg}
	n.cfg.DatabaseURL = "" // nodes on Postgres may share a directory; this needs it alone
	if err := n.lockData(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.lock.Unlock()) }()
	// What is checked is what is put in place: a copy, which nobody else knows.
	stage, err := stageIn(cfg.DataDir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage) //nolint:errcheck // the next restore removes it
	if err := copyFile(file, filepath.Join(stage, "sallyport.db"), showProgress(p, "copying", time.Now())); err != nil {
		return err
	}
	contents, err := inspect(ctx, cfg, p, file, stage, force)
	if err != nil {
		return err
	}
	return f(stage, contents)
}

// whole refuses what cannot be a backup before anything is touched.
func whole(file, dataDir string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", file)
	}
	if err := notItself(file, dataDir); err != nil {
		return err
	}
	if wal, err := os.Stat(file + "-wal"); err == nil && wal.Size() > 0 {
		return fmt.Errorf("beside %s lies its -wal: it is a database in use, or a copy of half of one; make a backup with `sallyport backup`", file)
	}
	return nil
}

// stagePrefix is what nobody calls a file of his own: what begins so is removed.
const stagePrefix = ".sallyport-restore-"

// stageIn makes a directory on the data directory's file system, and removes those that
// earlier restores left when they were killed.
func stageIn(dataDir string) (string, error) {
	entries, err := os.ReadDir(dataDir)
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), stagePrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dataDir, e.Name())))
		}
	}
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(dataDir, stagePrefix+"*") // mode 0700
}

// inspect refuses a copy that is damaged, none of ours, too new, or of another key.
func inspect(ctx context.Context, cfg config.Config, p process, file, stage string, force bool) (c store.Contents, err error) {
	s, err := store.Open(ctx, store.Config{DataDir: stage, IDs: hook.NewIDs(), Logger: newLogger(cfg, p)})
	if err != nil {
		return c, fmt.Errorf("%s is no database: %w", file, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.CheckIntegrity(ctx); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	current, want, _, err := s.MigrationStatus(ctx)
	switch {
	case err != nil:
		return c, fmt.Errorf("%s: %w", file, err)
	case current == 0:
		return c, fmt.Errorf("%s is no database of Sallyport", file)
	case current > want:
		return c, fmt.Errorf("%s: %w", file, &store.NewerSchemaError{Current: current, Want: want})
	}
	if _, err := vault.Check(ctx, s, cfg.MasterKey(), cfg.DataDir); err != nil {
		if !force {
			return c, fmt.Errorf("%s: %w; give its key as SALLYPORT_ENCRYPTION_KEY or in %s, or restore with --force and bring the key before serve", file, err, keyFile(cfg))
		}
		fmt.Fprintf(p.stderr, "sallyport: %v; serve will refuse until it has the right one\n", err)
	}
	if c, err = s.Contents(ctx); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// swap puts the staged database in place and returns where the old one went, "" if there was
// none.
func swap(ctx context.Context, cfg config.Config, p process, staged string) (aside string, err error) {
	path := filepath.Join(cfg.DataDir, "sallyport.db")
	if _, err := os.Stat(path); err == nil {
		// Its log goes into it, so that it is whole in one file. If it is too broken for that, the
		// log is kept beside it.
		if s, err := store.Open(ctx, store.Config{DataDir: cfg.DataDir, IDs: hook.NewIDs(), Logger: newLogger(cfg, p)}); err == nil {
			_ = s.Close()
		}
		aside = path + ".before-restore-" + time.Now().UTC().Format("20060102T150405.000Z")
		// A link, so that there is a database in its place at any moment; not every file system has them.
		if err := os.Link(path, aside); err != nil {
			if err := os.Rename(path, aside); err != nil {
				return "", fmt.Errorf("keeping the old database: %w", err)
			}
		}
		// A log that was not this database's must not be found beside it.
		for _, part := range []string{"-wal", "-shm"} {
			if err := os.Rename(path+part, aside+part); err != nil && !errors.Is(err, os.ErrNotExist) {
				return "", fmt.Errorf("keeping the old database: %w", err)
			}
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err := os.Rename(staged, path); err != nil {
		return "", err
	}
	return aside, syncDir(cfg.DataDir)
}

// copyFile copies a file to a new one that only its owner reads, and has it on disk.
func copyFile(from, to string, progress func(done, most int64)) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	shown := time.Now()
	for done := int64(0); err == nil; {
		var n int64
		n, err = io.CopyN(out, in, 8<<20)
		if done += n; time.Since(shown) > time.Second {
			shown = time.Now()
			progress(done, info.Size())
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, out.Sync(), out.Close())
}
