package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"
)

// PreviousBinary builds the program that the present one must be able to run beside, as
// internal/store/migrations/previous names it, and returns its path. It is built once for
// each commit and user, and kept.
func PreviousBinary(t testing.TB) string {
	t.Helper()
	path, err := buildPrevious()
	if err != nil {
		t.Fatalf("building the previous program: %v", err)
	}
	return path
}

var buildPrevious = sync.OnceValues(func() (string, error) {
	ctx := context.Background()
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	commit, err := previousCommit(filepath.Join(root, "internal/store/migrations/previous"))
	if err != nil {
		return "", err
	}
	parent := filepath.Join(os.TempDir(), fmt.Sprintf("sallyport-test-%d", os.Getuid()))
	if err := privateDir(parent); err != nil {
		return "", err
	}
	dir := filepath.Join(parent, "previous-"+commit[:12])
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Close()
	path := filepath.Join(dir, "sallyport")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if gitIn(root, "cat-file", "-e", commit+"^{commit}").Run() != nil { // a clone without history
		if said, err := gitIn(root, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", commit).CombinedOutput(); err != nil {
			return "", fmt.Errorf("commit %s is not in this clone, and could not be fetched: %w\n%s", commit, err, said)
		}
	}
	sources, err := os.MkdirTemp(dir, "sources-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(sources) //nolint:errcheck // a leftover is in the way of nobody
	archive := filepath.Join(sources, "sources.tar")
	if said, err := gitIn(root, "archive", "-o", archive, commit).CombinedOutput(); err != nil {
		return "", fmt.Errorf("git archive: %w\n%s", err, said)
	}
	if said, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", sources).CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w\n%s", err, said)
	}
	// Under another name first: what is there under its own is whole.
	made := filepath.Join(sources, "made")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", made, "./cmd/sallyport")
	cmd.Dir, cmd.Env = sources, append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, said)
	}
	return path, os.Rename(made, path)
})

// gitIn runs git in a directory, also in a tree that belongs to another user.
func gitIn(dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "git", append([]string{"-c", "safe.directory=*", "-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0") // nobody is there to answer
	return cmd
}

// previousCommit reads the file: after comments a line with the schema and the commit.
func previousCommit(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && len(fields[1]) == 40 {
			return fields[1], nil
		}
	}
	return "", errors.New(file + " names no commit")
}
