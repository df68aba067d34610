package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/provision/importer"
)

// importSources are the systems whose files can be imported.
var importSources = []struct {
	name, short string
	files       string // of arguments
	most        int
	run         func(files [][]byte, set string) (*importer.Result, error)
}{
	{"adnanh", "hooks.json or hooks.yaml of adnanh/webhook", "hooks.json", 1, func(f [][]byte, set string) (*importer.Result, error) { return importer.Adnanh(f[0], set) }},
	{"etlworks", "webhooks of Etlworks, as GET /rest/v1/webhooks answers them", "webhooks.json", 1, func(f [][]byte, set string) (*importer.Result, error) { return importer.Etlworks(f[0], set) }},
	{"svix", "endpoints of Svix, as GET /api/v1/app/{app}/endpoint/ lists them", "endpoints.json", 1, func(f [][]byte, set string) (*importer.Result, error) { return importer.Svix(f[0], set) }},
	{"convoy", "endpoints and subscriptions of Convoy, as its API lists them", "endpoints.json [subscriptions.json]", 2, func(f [][]byte, set string) (*importer.Result, error) {
		return importer.Convoy(f[0], append(f, nil)[1], set)
	}},
}

func newImport(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Make a file for plan and apply of another system's configuration",
		Long: `Makes a file for plan and apply of the configuration of another system, and writes it to standard output.
What has no equivalent is told on standard error and at the head of the file; nothing is dropped in silence,
and what would then be open to more than it was is imported disabled. Secrets become variables; --secrets
writes their values, as far as the source has them, to a file that a shell can read:

  sallyport import etlworks webhooks.json --secrets secrets.env > hooks.yaml
  set -a; . ./secrets.env; set +a
  sallyport plan -f hooks.yaml`,
		GroupID: groupManage,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			names := make([]string, len(importSources))
			for i, s := range importSources {
				names[i] = s.name
			}
			return usageError(fmt.Errorf("%q is none of %s", args[0], strings.Join(names, ", ")))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, source := range importSources {
		var set, secrets, commands string
		one := &cobra.Command{
			Use:   source.name + " " + source.files,
			Short: "Import " + source.short,
			Args: func(_ *cobra.Command, args []string) error {
				if len(args) < 1 || len(args) > source.most {
					return usageError(fmt.Errorf("name the file: sallyport import %s %s (- is standard input)", source.name, source.files))
				}
				return nil
			},
			RunE: func(_ *cobra.Command, args []string) error {
				var files [][]byte
				for _, name := range args {
					text, err := readArgument(p, name)
					if err != nil {
						return usageError(err)
					}
					files = append(files, text)
				}
				result, err := source.run(files, set)
				if err != nil {
					return err
				}
				return printImport(p, result, secrets, commands)
			},
		}
		one.Flags().StringVar(&set, "set", source.name, "name of the set that the file describes")
		one.Flags().StringVar(&secrets, "secrets", "", "file to write the values of the secrets to, as NAME='value' lines")
		if source.name == "adnanh" {
			one.Flags().StringVar(&commands, "commands", "", "file to write the declarations of commands to, for SALLYPORT_COMMANDS")
		}
		cmd.AddCommand(one)
	}
	return cmd
}

func readArgument(p process, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(p.stdin)
	}
	return os.ReadFile(name)
}

func printImport(p process, r *importer.Result, secrets, commands string) error {
	for _, w := range r.Warnings {
		fmt.Fprintf(p.stderr, "sallyport: %s\n", w)
	}
	if secrets != "" {
		var b strings.Builder
		for _, s := range r.Secrets {
			if s.Value == "" {
				fmt.Fprintf(&b, "# %s: %s\n", s.Name, s.For)
				continue
			}
			fmt.Fprintf(&b, "%s='%s'\n", s.Name, strings.ReplaceAll(s.Value, "'", `'\''`))
		}
		if err := writeNew(secrets, b.String(), 0o600); err != nil {
			return err
		}
	}
	if commands != "" && r.Commands != nil {
		if err := writeNew(commands, string(r.Commands), 0o644); err != nil {
			return err
		}
	}
	_, err := p.stdout.Write(r.File)
	return err
}

// writeNew writes a file that is not there yet.
func writeNew(path, text string, mode os.FileMode) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already; remove it, or name another", path)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
