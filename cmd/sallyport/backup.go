package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/store"
	"sallyport/internal/vault"
)

// vaultSettings are what a command needs that also looks at the encryption key.
var vaultSettings = append([]string{"SALLYPORT_ENCRYPTION_KEY"}, storeSettings...)

func newBackup(p process) *cobra.Command {
	var out string
	var force bool
	cmd := &cobra.Command{
		Use:   "backup --out FILE",
		Short: "Copy the SQLite database into a file, also while it is in use",
		Long: `Copy the SQLite database into a file, also beside a running serve: every event that was answered 202
when it began is in the copy. The encryption key is not. On Postgres it says what to do instead.

` + config.Help(vaultSettings...),
		GroupID: groupRun,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError(errors.New("name the file to write: --out backup.db"))
			}
			return backup(cmd, p, out, force)
		},
	}
	config.AddFlags(cmd.Flags(), vaultSettings...)
	cmd.Flags().StringVar(&out, "out", "", "file to write; it appears when it is whole")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	return cmd
}

const postgresBackup = `the database is a Postgres, which has tools of its own for this:
  pg_dump -Fc "$SALLYPORT_DATABASE_URL" > sallyport.dump
Keep the encryption key apart from it; README, "Backup", goes on from there`

func backup(cmd *cobra.Command, p process, out string, force bool) (err error) {
	cfg, err := config.Load(p.environ, config.FromFlags(cmd.Flags()))
	if err != nil {
		return usageError(err)
	}
	if cfg.Postgres() {
		return errors.New(postgresBackup)
	}
	if _, err := os.Lstat(out); err == nil && !force {
		return fmt.Errorf("%s is there already; name another file, or give --force to replace it", out)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cfg, s, err := openForCommand(cmd, p, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// Of whatever schema: before an upgrade is when a backup is wanted.
	schema, _, empty, err := s.MigrationStatus(cmd.Context())
	if err != nil {
		return err
	}
	if empty {
		return errors.New("the database is empty: there is nothing to copy")
	}
	if err := notItself(out, cfg.DataDir); err != nil {
		return err
	}
	if err := notOurs(out, cfg.DataDir); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // gone already if all went well
	began := time.Now()
	if err := s.Backup(cmd.Context(), file.Name(), showProgress(p, "copying", began)); err != nil {
		return errors.Join(err, file.Close())
	}
	info, err := file.Stat()
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), out); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(out)); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s: %s, schema %d, complete as of %s\n", out, roundSize(info.Size()), schema, began.UTC().Format(time.RFC3339))
	fmt.Fprintf(p.stdout, "The encryption key is not in it. Keep %s apart from it: without the key nobody reads the secrets in the copy.\n", keyPlace(cfg))
	return nil
}

// keyPlace says where the encryption key is.
func keyPlace(cfg config.Config) string {
	if cfg.EncryptionKey != "" {
		return "the value of SALLYPORT_ENCRYPTION_KEY"
	}
	return keyFile(cfg)
}

// rightKey says which of the keys that somebody may have is the one of a database.
const rightKey = "the key of the last `sallyport keys rotate-master`, or if there was none, the one that the database began with"

// explained says of a key that does not fit which one it is, and which would.
func explained(cfg config.Config, err error) error {
	if !errors.Is(err, vault.ErrKeyMismatch) {
		return err
	}
	return fmt.Errorf("%w: it is %s; give %s", err, keyPlace(cfg), rightKey)
}

// keyFile is where the encryption key lies if no setting gives one.
func keyFile(cfg config.Config) string {
	path := filepath.Join(cfg.DataDir, "encryption.key")
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}

// ours are the files of a data directory that only serve and keys write, beside the database.
var ours = []string{"sallyport.db", "sallyport.db-wal", "sallyport.db-shm", "sallyport.db-journal", "encryption.key", "admin.key", "instance", "lock"}

// notOurs refuses to write in the place of one of them, whether it is there just now or not: a log
// that is none of its database's damages that, and without the key the secrets are lost.
func notOurs(path, dataDir string) error {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	own, err := os.Stat(dataDir)
	if err != nil {
		return err
	}
	if name := filepath.Base(path); os.SameFile(dir, own) && slices.Contains(ours, name) {
		return fmt.Errorf("%s is a file of the data directory's own; name another", path)
	}
	return nil
}

// notItself refuses a file that is the database in use.
func notItself(path, dataDir string) error {
	a, errA := os.Stat(path)
	b, errB := os.Stat(filepath.Join(dataDir, "sallyport.db"))
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return fmt.Errorf("%s is the database itself", path)
	}
	return nil
}

// showProgress says now and then how far a long copy is, to whoever looks at the errors.
func showProgress(p process, doing string, began time.Time) func(done, most int64) {
	return func(done, most int64) {
		if time.Since(began) > 2*time.Second {
			fmt.Fprintf(p.stderr, "%s: %s of at most %s\n", doing, roundSize(done), roundSize(most))
		}
	}
}

// roundSize writes a size for people, to a tenth of its unit.
func roundSize(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// syncDir makes the entries of a directory survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(cmp.Or(dir, "."))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// describe says what is in a database.
func describe(c store.Contents) string {
	return fmt.Sprintf("%d workspaces, %d events, %d deliveries that wait", c.Workspaces, c.Events, c.Waiting)
}
