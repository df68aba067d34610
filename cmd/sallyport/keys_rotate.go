package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/hook"
	"sallyport/internal/store"
	"sallyport/internal/vault"
)

// rotating is the store as the vault changes its keys: with a line in the audit log.
type rotating struct {
	*store.Store
	what string
}

func (r rotating) ReplaceSetting(ctx context.Context, key string, known, value []byte) (bool, error) {
	return r.Store.ReplaceSetting(ctx, key, known, value,
		&hook.AuditEntry{Action: hook.AuditRotateSecret, Kind: hook.AuditInstallation, Name: r.what})
}

// withKeyset runs f on a database of this binary's schema.
func withKeyset(cmd *cobra.Command, p process, f func(context.Context, config.Config, *store.Store) error) (err error) {
	asCommand(cmd)
	cfg, s, err := openForCommand(cmd, p, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := mustBeCurrent(cmd.Context(), s); err != nil {
		return err
	}
	return explained(cfg, f(cmd.Context(), cfg, s))
}

func newKeysRotateMaster(p process) *cobra.Command {
	var newFile, out string
	var generate bool
	cmd := &cobra.Command{
		Use:   "rotate-master --new-key-file FILE | --generate --out FILE",
		Short: "Change the encryption key (SALLYPORT_ENCRYPTION_KEY)",
		Long: `Change the encryption key. The secrets in the database stay sealed with keys of their own, which are in the database, too,
wrapped by the encryption key: these are wrapped anew, in one transaction. Nodes that run go on, and need the new key when
they start the next time; a start with the old one is refused. The present key is read as serve reads it. No key is printed.

` + config.Help(vaultSettings...),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if generate == (newFile != "") || generate != (out != "") {
				return usageError(errors.New("give either --new-key-file FILE with the new key, or --generate --out FILE to have one made"))
			}
			return withKeyset(cmd, p, func(ctx context.Context, cfg config.Config, s *store.Store) error {
				return rotateMaster(ctx, cfg, s, p, newFile, out)
			})
		},
	}
	config.AddFlags(cmd.Flags(), "SALLYPORT_ENCRYPTION_KEY") // the others are of keys
	cmd.Flags().StringVar(&newFile, "new-key-file", "", "file with the new key, 32 bytes as 64 hex digits or base64")
	cmd.Flags().BoolVar(&generate, "generate", false, "make a new key and write it to the file of --out")
	cmd.Flags().StringVar(&out, "out", "", "file to write the new key to; it must not be there yet")
	return cmd
}

func rotateMaster(ctx context.Context, cfg config.Config, s *store.Store, p process, newFile, out string) error {
	if _, err := vault.Check(ctx, s, cfg.MasterKey(), cfg.DataDir); err != nil {
		return err // before a key is made
	}
	if out != "" {
		// On disk before it is needed: whatever happens next, the key that opens the database is in a file.
		if err := writeNewKey(out); err != nil {
			return err
		}
		newFile = out
	}
	fresh, err := config.ReadKeyFile(newFile)
	if err != nil {
		return err
	}
	if info, err := os.Stat(newFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(p.stderr, "sallyport: others may read %s: chmod 600 it\n", newFile)
	}
	if err := vault.RotateMaster(ctx, rotating{s, "encryption key"}, cfg.MasterKey(), cfg.DataDir, fresh); err != nil {
		return err
	}
	path, err := filepath.Abs(newFile)
	if err != nil {
		path = newFile
	}
	fmt.Fprintf(p.stdout, "The encryption key is now that of %s.\n", path)
	fmt.Fprintf(p.stdout, "Nodes that run go on. Before the next start give every node SALLYPORT_ENCRYPTION_KEY_FILE=%s (it wins over %s).\n", path, keyFile(cfg))
	fmt.Fprintln(p.stdout, "Backups made before need the key that was: keep it as long as them.")
	return nil
}

// writeNewKey makes a key in a new file that only its owner reads, and has it on disk.
func writeNewKey(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already; a key is not overwritten", path)
	}
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	rand.Read(key)
	_, err = file.WriteString(hex.EncodeToString(key) + "\n")
	return errors.Join(err, file.Sync(), file.Close(), syncDir(filepath.Dir(path)))
}

func newKeysRotateData(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-data",
		Short: "Seal with a new data key from now on",
		Long: `Seal secrets with a new data key from now on. The keys before stay in the database, wrapped by the encryption key, for what
they sealed; a secret is sealed with the new one when it is written again. Nodes that run read what the new key sealed,
and seal with it after their next start. After rotate-master restart every node first: one that runs with the encryption key
before cannot read what the new data key seals.

` + config.Help(vaultSettings...),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeyset(cmd, p, func(ctx context.Context, cfg config.Config, s *store.Store) error {
				if err := vault.RotateData(ctx, rotating{s, "data key"}, cfg.MasterKey(), cfg.DataDir); err != nil {
					return err
				}
				fmt.Fprintln(p.stdout, "There is a new data key. Nodes seal with it from their next start; nothing else is to be done.")
				return nil
			})
		},
	}
	config.AddFlags(cmd.Flags(), "SALLYPORT_ENCRYPTION_KEY") // the others are of keys
	return cmd
}
