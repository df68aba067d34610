package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// storeSettings are what a command needs that only opens the database.
var storeSettings = []string{"SALLYPORT_DATA_DIR", "SALLYPORT_DATABASE_URL", "SALLYPORT_LOG_LEVEL", "SALLYPORT_LOG_FORMAT"}

func newMigrate(p process) *cobra.Command {
	status := false
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this version's schema",
		Long: `Bring the database to this version's schema. serve does so by itself on SQLite and on an
empty Postgres; on a used Postgres it refuses until this command was run, or --migrate given.
On Postgres nodes of the previous version may go on while it runs and after, until they are replaced;
--status says when not.

` + config.Help(storeSettings...),
		GroupID: groupRun,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, s, err := openForCommand(cmd, p, !status)
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			if status {
				return printStatus(cmd.Context(), s, p)
			}
			if !cfg.Postgres() {
				lock := &node{cfg: cfg}
				if err := lock.lockData(); err != nil {
					return err
				}
				defer func() { _ = lock.lock.Unlock() }()
			}
			if err := s.Migrate(cmd.Context()); err != nil {
				return err
			}
			return printStatus(cmd.Context(), s, p)
		},
	}
	config.AddFlags(cmd.Flags(), storeSettings...)
	cmd.Flags().BoolVar(&status, "status", false, "only say what is pending; exit code 3 if anything is")
	return cmd
}

func printStatus(ctx context.Context, s *store.Store, p process) error {
	current, want, _, err := s.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	if current > want {
		return &store.NewerSchemaError{Current: current, Want: want}
	}
	if current < want {
		pending, err := s.PendingMigrations(ctx)
		if err != nil {
			return err
		}
		for _, m := range pending {
			fmt.Fprintln(p.stdout, m.Name)
		}
		return pendingError(errors.New(pendingText(current, want, pending)))
	}
	fmt.Fprintf(p.stdout, "schema %d, nothing pending\n", current)
	return nil
}

// pendingText says what an upgrade means for the nodes that run.
func pendingText(current, want int, pending []store.Migration) string {
	demands := "expand only, safe while old nodes run"
	for _, m := range pending {
		if m.Contract != "" {
			demands = fmt.Sprintf("%s contracts: %s, so stop older nodes first", m.Name, m.Contract)
		}
	}
	return fmt.Sprintf("schema %d, this binary wants %d: %d pending (%s)", current, want, len(pending), demands)
}

// openForCommand reads settings and opens the database for a short visit beside a
// running serve: it takes no lock, registers no node and claims nothing.
// Only with create may it make a SQLite database: a mistyped directory must not leave one behind.
func openForCommand(cmd *cobra.Command, p process, create bool) (config.Config, *store.Store, error) {
	cfg, err := config.Load(p.environ, config.FromFlags(cmd.Flags()))
	if err != nil {
		return cfg, nil, usageError(err)
	}
	if !cfg.Postgres() {
		if create {
			err = os.MkdirAll(cfg.DataDir, 0o700)
		} else if _, err = os.Stat(filepath.Join(cfg.DataDir, "sallyport.db")); errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("there is no database in %s: start `sallyport serve` once, or name its directory with --data-dir", cfg.DataDir)
		}
		if err != nil {
			return cfg, nil, err
		}
	}
	s, err := openStore(cmd.Context(), cfg, hook.NewIDs(), newLogger(cfg, p))
	if err != nil {
		return cfg, nil, err
	}
	return cfg, s, nil
}

// mustBeCurrent refuses a database whose schema is not this binary's.
func mustBeCurrent(ctx context.Context, s *store.Store) error {
	current, want, empty, err := s.MigrationStatus(ctx)
	switch {
	case err != nil:
		return err
	case empty:
		return errors.New("the database is empty: start `sallyport serve` once")
	case current > want:
		return &store.NewerSchemaError{Current: current, Want: want}
	case current < want:
		return pendingError(fmt.Errorf("schema %d, this binary wants %d: run `sallyport migrate`", current, want))
	}
	return nil
}
