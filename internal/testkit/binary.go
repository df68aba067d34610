package testkit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"
)

// EnvRace builds the program of Binary with the race detector; `make test` sets it.
const EnvRace = "SALLYPORT_TEST_RACE"

// Binary builds cmd/sallyport, once per test process, and returns the path of a copy that stays
// what it is for the whole test, whatever is built meanwhile.
func Binary(t testing.TB) string {
	t.Helper()
	built, err := build()
	if err != nil {
		t.Fatalf("building cmd/sallyport: %v", err)
	}
	path := filepath.Join(t.TempDir(), "sallyport")
	if err := linkOrCopy(built, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// build keeps what it builds below the directory of testkit: linking takes seconds, and the go
// command leaves out what would come to the same.
var build = sync.OnceValues(func() (string, error) {
	ctx := context.Background()
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	if err := noteSources(root); err != nil {
		return "", err
	}
	parent := filepath.Join(os.TempDir(), fmt.Sprintf("sallyport-test-%d", os.Getuid()))
	if err := privateDir(parent); err != nil {
		return "", err
	}
	args := []string{"build", "-o"}
	kind := "plain"
	if os.Getenv(EnvRace) != "" {
		kind = "race"
	}
	// One per working tree: two trees of one user must not take each other's program.
	tree := sha256.Sum256([]byte(root))
	dir := filepath.Join(parent, fmt.Sprintf("bin-%s-%x", kind, tree[:6]))
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Close()
	path := filepath.Join(dir, "sallyport")
	args = append(args, path)
	if kind == "race" {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/sallyport")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as users get it
	if kind == "race" {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, said)
	}
	return path, nil
})

// noteSources reads every directory that the program may be made of. `go test` remembers what a
// test opens, and takes a remembered result only if that is unchanged; of what a go command
// started by the test reads it would know nothing, and call a test passed that never saw the
// change.
func noteSources(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || path == root {
			return err
		}
		switch name := entry.Name(); {
		case strings.HasPrefix(name, "."), name == "node_modules", name == "bin", name == "data", name == "dist", name == "testdata":
			return filepath.SkipDir
		}
		return nil
	})
}

func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
