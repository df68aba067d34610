package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/hook"
)

// Groups of the commands in `sallyport --help`, by what somebody wants to do.
const (
	groupRun    = "run"
	groupManage = "manage"
	groupTry    = "try"
)

// The help lists commands in the order of commands, not of the alphabet.
func init() { cobra.EnableCommandSorting = false }

// newRoot is the command line. A command is made by a function of its own file, which sets its
// GroupID.
func newRoot(p process) *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "Sends events as signed webhooks, receives the calls of others, and records all of it",
		Long: `Sallyport sends events as signed webhooks, checks and answers the calls of others, runs
the actions they lead to, and records all of it.

Settings: flags, SALLYPORT_* variables; ` + "`sallyport serve --help`" + ` lists all with defaults.
A .env file is not read.

Exit codes: 0 ok, 1 error, 2 usage, 3 pending migrations; plan: 0 same, 1 differences, 2 error.`,
		// Errors are printed by run, once, and usage only when somebody asks for it.
		SilenceErrors: true,
		SilenceUsage:  true,
		// With this and RunE an unknown command is a fault of usage, like an unknown flag.
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			problem := fmt.Sprintf("unknown command %q", args[0])
			cmd.SuggestionsMinimumDistance = 2
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				problem += "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return usageError(fmt.Errorf("%s", problem))
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupManage, Title: "Manage:"},
		&cobra.Group{ID: groupTry, Title: "Try:"},
	)
	root.AddCommand(commands(p)...)
	root.SetHelpCommand(newHelp(root))
	root.Version = version + buildDetails()
	root.SetVersionTemplate("sallyport {{.Version}}\n")
	root.SetCompletionCommandGroupID(groupTry)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	return root
}

// newHelp is what those type who do not know of --help.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Say what a command does and takes, as its --help does",
		GroupID: groupTry,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usageError(fmt.Errorf("there is no command %q", strings.Join(args, " ")))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// commands lists the commands there are, in the order of the help.
func commands(p process) []*cobra.Command {
	return []*cobra.Command{
		newServe(p),
		newMigrate(p),
		newBackup(p),
		newRestore(p),
		newKeys(p),
		newPlan(p),
		newApply(p),
		newExport(p),
		newDelete(p),
		newImport(p),
		newListen(p),
		newTrigger(p),
		newReceive(p),
		newBench(p),
		newBenchEcho(p),
		newDoctor(p),
		newVersion(p),
	}
}

// noArgs refuses arguments: a value whose flag was forgotten must not pass unseen.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(fmt.Errorf("%s takes no argument, but got %q", cmd.Name(), args[0]))
	}
	return nil
}

// asCommand puts the command on record, in the audit log, as who changes what it changes.
func asCommand(cmd *cobra.Command) {
	cmd.SetContext(hook.WithActor(cmd.Context(), hook.Actor{Kind: hook.ActorCLI, Command: cmd.CommandPath()}))
}
