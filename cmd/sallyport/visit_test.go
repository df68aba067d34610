package main

import (
	"database/sql"
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

// A command of an older release must not advise what cannot help.
func TestNewerDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if code, _, errs := execute(t.Context(), "migrate", "--data-dir", dir); code != exitOK {
		t.Fatal(errs)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"keys", "list"}, {"migrate", "--status"}, {"serve", "--addr", "127.0.0.1:0"}} {
		code, _, errs := execute(t.Context(), append(args, "--data-dir", dir)...)
		if code != exitError || !strings.Contains(errs, "start a newer sallyport") {
			t.Errorf("%v: %d %q", args, code, errs)
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
