package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAMistypedDirectoryStaysAway(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nothing")
	for _, args := range [][]string{{"keys", "list"}, {"keys", "create"}, {"migrate", "--status"}} {
		code, _, errs := execute(t.Context(), append(args, "--data-dir", dir)...)
		if code != exitError || !strings.Contains(errs, "there is no database in "+dir) {
			t.Errorf("%v: %d %q", args, code, errs)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v made the directory: %v", args, err)
		}
	}
}

func TestKeysUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`--role: "boss" is not admin, operator, publisher or viewer`: {"--role", "boss"},
		"--expires: ": {"--expires", "soon"},
	} {
		code, _, errs := execute(t.Context(), append([]string{"keys", "create", "--data-dir", t.TempDir()}, args...)...)
		if code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %q", args, code, errs)
		}
	}
}
