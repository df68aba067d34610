package testkit

import (
	"os"
	"syscall"
	"testing"
)

// Script writes a program of the shell that can be run at once. What somebody may write cannot
// be run ("text file busy"), and a test beside this one that starts a program hands all open
// files to its child for a moment.
func Script(t testing.TB, path, body string) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700) //nolint:gosec // it is to be run
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}
