package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/gen"
	"sallyport/internal/obs"
	"sallyport/internal/provision"
)

// provisionSchema is the JSON Schema of provisioning files, made of the contract in the binary.
var provisionSchema = sync.OnceValues(func() ([]byte, error) { return provision.Schema(gen.Contract) })

// filesHelp explains the files, for the long help of the commands that read them.
const filesHelp = `Files are YAML or JSON, several make one set:

  # yaml-language-server: $schema=http://localhost:8080/schema/provision.json
  set: billing-ci                             # what it makes is marked metadata managed-by=billing-ci
  workspace: ${SALLYPORT_WORKSPACE:-default}  # optional
  eventTypes:       [...]
  actions:          [...]
  incomingWebhooks: [...]
  webhooks:
    - {code: erp-orders, url: "${RECEIVER_BASE:?}/hooks", eventTypes: ["order.*"], secret: "${ERP_SECRET:?}"}

The objects have the fields of the API; one left out has its default. In texts, ${NAME} is a variable of
the environment, an error where it is unset or empty; ${NAME:-default} has a default; $$ is a dollar.
`

// provisionFlags are the flags of the commands that read files.
type provisionFlags struct {
	remoteFlags

	files    []string
	takeOver bool
	quiet    bool
}

func (f *provisionFlags) add(flags *pflag.FlagSet) {
	f.remoteFlags.add(flags)
	flags.StringArrayVarP(&f.files, "file", "f", nil, "file, directory of files, or - for standard input; may be repeated")
	flags.BoolVar(&f.takeOver, "take-over", false, "take objects that another set manages")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
}

// load reads the files and finds the server.
func (f *provisionFlags) load(p process, wanted provision.Wanted) (provisionServer, *provision.Set, error) {
	none := provisionServer{}
	if len(f.files) == 0 {
		return none, nil, usageError(errors.New("name a file with -f (a directory, or - for standard input)"))
	}
	var sources []provision.Source
	for _, name := range f.files {
		found, err := readSources(p, name)
		if err != nil {
			return none, nil, usageError(err)
		}
		sources = append(sources, found...)
	}
	schema, err := provisionSchema()
	if err != nil {
		return none, nil, err
	}
	checker, err := provision.NewChecker(schema)
	if err != nil {
		return none, nil, err
	}
	set, err := checker.Load(sources, provision.Environ(p.environ), wanted)
	if err != nil {
		return none, nil, err
	}
	remote, err := f.open(p)
	if err != nil {
		return none, nil, err
	}
	switch {
	case set.Workspace == "":
		set.Workspace = remote.workspace
	case remote.workspace == "" || f.workspace == "":
		remote.workspace = set.Workspace // the file says more than a variable around it
	case remote.workspace != set.Workspace:
		return none, nil, usageError(fmt.Errorf("the files are for the workspace %q, --workspace is %q", set.Workspace, remote.workspace))
	}
	return provisionServer{remote}, set, nil
}

// sourceEndings are what files of a directory must end with to be read.
var sourceEndings = []string{".yaml", ".yml", ".json"}

// readSources reads a file, all files below a directory, or standard input.
func readSources(p process, name string) ([]provision.Source, error) {
	if name == "-" {
		text, err := io.ReadAll(p.stdin)
		return []provision.Source{{Name: "stdin", Text: text}}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		text, err := os.ReadFile(name)
		return []provision.Source{{Name: name, Text: text}}, err
	}
	var sources []provision.Source
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(entry.Name(), ".") && path != name
		switch {
		case err != nil:
			return err
		case entry.IsDir() && hidden:
			return filepath.SkipDir
		case entry.IsDir() || hidden || !slices.Contains(sourceEndings, strings.ToLower(filepath.Ext(path))):
			return nil
		}
		text, err := os.ReadFile(path)
		sources = append(sources, provision.Source{Name: path, Text: text})
		return err
	})
	if err == nil && len(sources) == 0 {
		err = fmt.Errorf("%s has no file that ends with %s", name, strings.Join(sourceEndings, ", "))
	}
	return sources, err
}

// progress tells somebody who waits at a terminal how far the comparing is.
func (f *provisionFlags) progress(p process) func(done, all int) {
	if f.quiet || !isTerminal(p.stderr) {
		return nil
	}
	return func(done, all int) {
		fmt.Fprintf(p.stderr, "\rcomparing %d of %d", done, all)
		if done == all {
			fmt.Fprint(p.stderr, "\r\033[K")
		}
	}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && obs.Terminal(f)
}

// confirm asks at the terminal. Where there is none, nobody could answer.
func confirm(p process, question, otherwise string) error {
	if !isTerminal(p.stdin) || !isTerminal(p.stderr) {
		return usageError(fmt.Errorf("there is no terminal to ask at; say --yes to %s", otherwise))
	}
	fmt.Fprintf(p.stderr, "%s [y/N] ", question)
	line, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done")
}

// hiding takes values of variables out of an error.
func hiding(set *provision.Set, err error) error {
	if err == nil || set == nil {
		return err
	}
	var coded *codedError
	if errors.As(err, &coded) {
		return err
	}
	return &hiddenError{set: set, err: err}
}

// hiddenError is an error in which values of variables show as their names.
type hiddenError struct {
	set *provision.Set
	err error
}

func (e *hiddenError) Error() string { return e.set.Hide(e.err.Error()) }
func (e *hiddenError) Unwrap() error { return e.err }

func newPlan(p process) *cobra.Command {
	var flags provisionFlags
	var options provision.Options
	var values, asJSON bool
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Say what apply would change",
		Long: `Compares files with what a running Sallyport has, and says what apply would change. The
server compares, secrets included, and writes nothing; values of secrets are never shown.

Exit codes: 0 all is as the files say, 1 there are differences, 2 an error.

` + filesHelp + "\n" + remoteHelp,
		Example: `  sallyport plan -f hooks.yaml
  + webhooks/erp-orders                   # would be created
  ~ webhooks/crm         url, secret      # these fields would change
  - webhooks/old                          # would be deleted (with --prune)
  = 27 unchanged`,
		GroupID: groupManage,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := flags.plan(cmd.Context(), p, options)
			if err != nil {
				return planError(err)
			}
			if asJSON {
				err = plan.PrintJSON(p.stdout)
			} else {
				plan.Print(p.stdout, values)
			}
			if err == nil && !plan.Same() {
				return &codedError{code: exitDifferences}
			}
			return planError(err)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().BoolVar(&options.Prune, "prune", false, "count what the set manages and its files do not have as to be deleted")
	cmd.Flags().BoolVar(&values, "diff", false, "show the values, too, but for secrets and what comes from the environment")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// Exit codes of plan, as of diff: an error must not pass for a difference.
const (
	exitDifferences = 1
	exitPlanError   = 2
)

// planError makes an error end with plan's code for errors.
func planError(err error) error {
	var coded *codedError
	if err == nil || errors.As(err, &coded) && coded.code == exitPlanError {
		return err
	}
	return &codedError{code: exitPlanError, err: err}
}

// plan reads the files and compares.
func (f *provisionFlags) plan(ctx context.Context, p process, o provision.Options) (*provision.Plan, error) {
	server, set, err := f.load(p, provision.Everything)
	if err != nil {
		return nil, err
	}
	o.TakeOver, o.Told = f.takeOver, f.progress(p)
	plan, err := provision.MakePlan(ctx, server, set, o)
	return plan, hiding(set, err)
}

func newApply(p process) *cobra.Command {
	var flags provisionFlags
	var options provision.Options
	var yes, values, schema bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the configuration what files say",
		Long: `Makes the configuration of a running Sallyport what files say: shows the plan, asks, and makes the
changes in the order of event types, actions, incoming webhooks, webhooks. Applying a second time changes
nothing. It stops at the first error and says what was done and what was not; applying again goes on
from there. What somebody else changes meanwhile is not overwritten.

With --prune, what carries the set's metadata managed-by and is not in the files is deleted, and
nothing else is. Files without a single object delete nothing: a generator may have failed.

Exit codes: 0 ok, 1 error, 2 usage.

` + filesHelp + "\n" + remoteHelp,
		Example: `  sallyport apply -f hooks.yaml
  sallyport apply -f hooks/ --prune --yes     # in CI
  sallyport apply --schema > provision.schema.json`,
		GroupID: groupManage,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if schema {
				text, err := provisionSchema()
				_, _ = p.stdout.Write(text)
				return err
			}
			server, set, err := flags.load(p, provision.Everything)
			if err != nil {
				return err
			}
			options.TakeOver, options.Told = flags.takeOver, flags.progress(p)
			plan, err := provision.MakePlan(cmd.Context(), server, set, options)
			if err != nil {
				return hiding(set, err)
			}
			return carryOut(cmd.Context(), p, server, plan, yes, values)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().BoolVar(&options.Prune, "prune", false, "delete what the set manages and its files do not have")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&values, "diff", false, "show the values, too, but for secrets and what comes from the environment")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of the files, for editors")
	return cmd
}

// carryOut shows a plan, asks, and makes its changes.
func carryOut(ctx context.Context, p process, server provision.Server, plan *provision.Plan, yes, values bool) error {
	if plan.Same() {
		plan.Print(p.stdout, values)
		return nil
	}
	todo := len(plan.Changes) - plan.Count(provision.Unchanged)
	if !yes {
		plan.Print(p.stdout, values)
		what := "this change"
		if todo > 1 {
			what = fmt.Sprintf("these %d changes", todo)
		}
		if err := confirm(p, "Make "+what+"?", "make these changes without being asked"); err != nil {
			return err
		}
	}
	err := provision.Apply(ctx, server, plan, func(c *provision.Change) {
		if fmt.Fprintln(p.stdout, c.Line()); values && yes { // who was asked has seen them
			c.PrintValues(p.stdout)
		}
	})
	if err != nil {
		return hiding(plan.Set, err)
	}
	fmt.Fprintf(p.stdout, "%d created, %d updated, %d deleted, %d unchanged\n",
		plan.Count(provision.Create), plan.Count(provision.Update), plan.Count(provision.Delete), plan.Count(provision.Unchanged))
	return nil
}

func newDelete(p process) *cobra.Command {
	var flags provisionFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete -f FILE",
		Short: "Delete what files name",
		Long: `Deletes the objects that files name, webhooks first and event types last. What is gone already is no
error. Only names count: variables elsewhere in the files need not be set.

` + remoteHelp,
		GroupID: groupManage,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, set, err := flags.load(p, provision.NamesOnly)
			if err != nil {
				return err
			}
			plan, err := provision.PlanDelete(cmd.Context(), server, set, provision.Options{TakeOver: flags.takeOver})
			if err != nil {
				return err
			}
			return carryOut(cmd.Context(), p, server, plan, yes, false)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
