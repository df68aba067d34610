package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/provision"
)

func newExport(p process) *cobra.Command {
	var flags remoteFlags
	var e provision.Export
	var as string
	kinds := make([]string, 0, 4)
	for _, k := range provision.Kinds() {
		kinds = append(kinds, k.Field)
	}
	cmd := &cobra.Command{
		Use:   "export {--set NAME | --all} [KIND...]",
		Short: "Write the configuration as a file for plan and apply",
		Long: `Writes the configuration of a running Sallyport to standard output, as a file for plan and apply. In the
place of each secret, which the server does not tell, there is a variable; a comment lists them. Given
the secrets, applying the file changes nothing.

--set writes what a set manages. --all writes everything; applying that makes it one set, called as --as
says, and takes over what other sets manage only with --take-over.

Kinds, all unless named: ` + strings.Join(kinds, ", ") + `

` + remoteHelp,
		Example: `  sallyport export --all --as shop > shop.yaml
  sallyport export --set billing-ci webhooks > webhooks.yaml`,
		GroupID: groupManage,
		Args: func(_ *cobra.Command, args []string) error {
			for _, name := range args {
				k := provision.KindNamed(name)
				if k == nil {
					return usageError(fmt.Errorf("%q is none of the kinds %s", name, strings.Join(kinds, ", ")))
				}
				e.Kinds = append(e.Kinds, k)
			}
			if e.All == (e.Set != "") {
				return usageError(errors.New("say which: --set NAME, or --all"))
			}
			if as != "" && !e.All {
				return usageError(errors.New("--as goes with --all"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := provisionSchema()
			if err != nil {
				return err
			}
			checker, err := provision.NewChecker(schema)
			if err != nil {
				return err
			}
			r, err := flags.open(p)
			if err != nil {
				return err
			}
			var info struct{ Workspace string }
			if _, err := r.json(cmd.Context(), remoteRequest{method: "GET", path: "/v1/info"}, &info); err != nil {
				return err
			}
			e.Workspace = info.Workspace
			if e.All {
				if e.Set = as; as == "" {
					e.Set = e.Workspace
				}
			}
			text, objects, err := e.Write(cmd.Context(), provisionServer{r}, checker)
			if err != nil {
				return err
			}
			if objects == 0 {
				fmt.Fprintln(p.stderr, "sallyport: the file is empty:", e.Nothing())
			}
			_, err = p.stdout.Write(text)
			return err
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().StringVar(&e.Set, "set", "", "name of the set")
	cmd.Flags().BoolVar(&e.All, "all", false, "everything, whatever set it is of")
	cmd.Flags().StringVar(&as, "as", "", "with --all: what the set of the file is called (default: as the workspace)")
	return cmd
}
