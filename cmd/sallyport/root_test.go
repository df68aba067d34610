package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// execute runs a command line to its end, as main would.
func execute(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, process{args: args, stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"version", "--version"} {
		code, out, errs := execute(t.Context(), arg)
		if code != exitOK || !strings.HasPrefix(out, "sallyport "+version+" (") || strings.Count(out, "\n") != 1 || errs != "" {
			t.Errorf("%s: %d %q %q", arg, code, out, errs)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--help"}, {"help"}} {
		code, out, errs := execute(t.Context(), args...)
		if code != exitOK || errs != "" {
			t.Errorf("%v: %d %q", args, code, errs)
		}
		for _, want := range []string{
			"\nRun:\n", "\nManage:\n", "\nTry:\n", "receive ", "version ",
			"`sallyport serve --help` lists all", "0 ok, 1 error, 2 usage, 3 pending migrations",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%v: %q is not in\n%s", args, want, out)
			}
		}
	}
}

func TestHelpOfACommand(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"keys create", "keys list", "keys revoke", "keys rotate-data", "backup"} {
		words := strings.Fields(name)
		_, want, _ := execute(t.Context(), append(words, "--help")...)
		code, out, errs := execute(t.Context(), append([]string{"help"}, words...)...)
		if code != exitOK || out != want || errs != "" {
			t.Errorf("help %s: %d %q, want %q %q", name, code, out, want, errs)
		}
		if !strings.Contains(out, "SALLYPORT_DATABASE_URL") || !strings.Contains(out, "sallyport "+name) {
			t.Errorf("%s: the help does not say of which database\n%s", name, out)
		}
	}
}

func TestEveryCommandHasAGroup(t *testing.T) {
	t.Parallel()
	for _, cmd := range newRoot(process{}).Commands() {
		if cmd.GroupID == "" && !cmd.Hidden {
			t.Errorf("%s is in no group of the help", cmd.Name())
		}
		if cmd.Short == "" && !cmd.Hidden {
			t.Errorf("%s says nothing about itself", cmd.Name())
		}
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for why, c := range map[string]struct {
		args []string
		want string
	}{
		"unknown command":        {[]string{"reveice"}, `unknown command "reveice"; did you mean receive?`},
		"help for nothing":       {[]string{"help", "keys", "make"}, `there is no command "keys make"`},
		"unknown flag":           {[]string{"receive", "--statsu", "1"}, "unknown flag: --statsu"},
		"value that is none":     {[]string{"receive", "--status", "ok"}, "--status"},
		"status out of range":    {[]string{"receive", "--status", "99"}, "99 is not a status"},
		"duration without unit":  {[]string{"receive", "--delay", "5"}, "--delay"},
		"port out of range":      {[]string{"receive", "--port", "65536"}, "65536"},
		"header without a colon": {[]string{"receive", "--header", "nothing"}, `"nothing" is not of the form`},
		"unknown source":         {[]string{"import", "hook0", "x.json"}, `"hook0" is none of adnanh, etlworks, svix, convoy`},
		"no file to import":      {[]string{"import", "svix"}, "sallyport import svix endpoints.json"},
		"which export":           {[]string{"export"}, "--set NAME, or --all"},
		"a profile for nobody":   {[]string{"listen", "--profile", "github"}, "--profile and --secret go with --forward"},
		"argument":               {[]string{"version", "1"}, `takes no argument, but got "1"`},
	} {
		code, out, errs := execute(t.Context(), c.args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, " --help\n") {
			t.Errorf("%s: %d %q %q", why, code, out, errs)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	failure := errors.New("why")
	for code, err := range map[int]error{exitOK: nil, exitError: failure, exitUsage: usageError(failure), exitPending: pendingError(failure)} {
		var errs bytes.Buffer
		root := newRoot(process{})
		root.AddCommand(&cobra.Command{Use: "fail", RunE: func(*cobra.Command, []string) error { return err }})
		if got := finish(t.Context(), root, process{args: []string{"fail"}, stdout: &errs, stderr: &errs}); got != code {
			t.Errorf("%v ends with %d, want %d", err, got, code)
		}
		if err != nil && !strings.HasPrefix(errs.String(), "sallyport: why\n") {
			t.Errorf("%v is told as %q", err, errs.String())
		}
	}
}
