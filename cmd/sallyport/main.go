// Command sallyport serves Sallyport and has the tools around it. It is the only place that
// knows every room of the house: each says what it needs as an interface, and here they are
// joined.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// The first signal asks for a graceful stop; from then on the next one ends us at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, process{args: os.Args[1:], environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}))
}

// process is what a command has from outside, so that a test can hand it something else.
type process struct {
	args    []string
	environ []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
}

// Exit codes, on which scripts rely.
const (
	exitOK      = 0
	exitError   = 1
	exitUsage   = 2 // flags, arguments and settings
	exitPending = 3 // the database needs `sallyport migrate` first
)

// codedError is an error that ends the process with a code of its own. Where err is nil, the
// code is the message: the command has printed what there is to say.
type codedError struct {
	code  int
	err   error
	usage bool // the help would have helped
}

func (e *codedError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codedError) Unwrap() error { return e.err }

// usageError marks an error as the caller's: the command line or a setting is wrong.
func usageError(err error) error { return &codedError{code: exitUsage, err: err, usage: true} }

// pendingError marks an error as a database that must be migrated first.
func pendingError(err error) error { return &codedError{code: exitPending, err: err} }

// run is main without the process around it.
func run(ctx context.Context, p process) int { return finish(ctx, newRoot(p), p) }

// finish executes the command line and returns the exit code. A command's error is printed
// here, and only here.
func finish(ctx context.Context, root *cobra.Command, p process) int {
	root.SetArgs(p.args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var coded *codedError
	if !errors.As(err, &coded) {
		coded = &codedError{code: exitError, err: err}
	}
	if coded.err != nil {
		fmt.Fprintf(p.stderr, "sallyport: %v\n", err)
	}
	if coded.usage {
		fmt.Fprintf(p.stderr, "See %s --help\n", command.CommandPath())
	}
	return coded.code
}
