package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// init turns a copy of the test binary into the keeper: no other program is sure to be there.
func init() {
	dir := os.Getenv(envKeeper)
	if dir == "" {
		return
	}
	if err := keep(dir); err != nil {
		fmt.Fprintln(os.Stderr, "keeper of the test cluster:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// ensureKeeper starts a keeper unless one is there. The caller holds start.lock.
func ensureKeeper(dir string) error {
	lock := flock.New(filepath.Join(dir, "keeper.lock"))
	free, err := lock.TryLock()
	if err != nil || !free {
		return err
	}
	if err := lock.Close(); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	output, err := os.OpenFile(filepath.Join(dir, "keeper.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	// Not the context of any test: it outlives them all. Output of its own, because `go test`
	// waits until nobody holds that of the test binary.
	keeper := exec.CommandContext(context.Background(), program)
	keeper.Env = append(os.Environ(), envKeeper+"="+dir)
	keeper.Stdout, keeper.Stderr = output, output
	keeper.Dir = os.TempDir()
	keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for the tests
	if err := keeper.Start(); err != nil {
		return fmt.Errorf("starting the keeper: %w", err)
	}
	go keeper.Wait() //nolint:errcheck // it ends long after us; only the zombie is ours to avoid
	return nil
}

// keep waits until nobody has used the cluster for a while, then stops it and removes its files.
func keep(dir string) error {
	keeper := flock.New(filepath.Join(dir, "keeper.lock"))
	if got, err := keeper.TryLock(); err != nil || !got {
		return err // somebody else is the keeper
	}
	defer keeper.Close()
	ctx := context.Background()
	idleSince := time.Now()
	runPID, _ := strconv.Atoi(os.Getenv(envRunPID))
	for ticker := time.NewTicker(200 * time.Millisecond); ; <-ticker.C {
		// A whole run says when it is over, so its end needs no patience.
		patience := keeperPatience
		if runPID > 0 {
			if patience = 0; alive(runPID) {
				idleSince = time.Now()
				continue
			}
		}
		users := flock.New(filepath.Join(dir, "users.lock"))
		alone, err := users.TryLock()
		if err != nil {
			return err
		}
		if !alone {
			idleSince = time.Now()
			continue
		}
		if time.Since(idleSince) < patience {
			if err := users.Close(); err != nil {
				return err
			}
			continue
		}
		// With users.lock held nobody can join until the files are gone.
		stopCluster(ctx, dir)
		err = removeCluster(dir)
		// First the role, then the cluster: who joins next must find the role free.
		return errors.Join(err, keeper.Close(), users.Close())
	}
}

// stopCluster stops the server that cluster.json names, whoever is connected.
// There may be none.
func stopCluster(ctx context.Context, dir string) {
	info, err := readCluster(dir)
	if err != nil || info.PID <= 1 {
		return
	}
	// The number may have passed to another process since; the file of a living server says whose it is.
	if pid, err := serverPID(dir); err != nil || pid != info.PID {
		return
	}
	if syscall.Kill(info.PID, syscall.SIGINT) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for ticker := time.NewTicker(10 * time.Millisecond); alive(info.PID); {
		select {
		case <-ctx.Done():
			syscall.Kill(info.PID, syscall.SIGKILL) //nolint:errcheck // gone already is as good
			return
		case <-ticker.C:
		}
	}
}

// alive reports whether a process with this number exists.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func ownedByUs(stat os.FileInfo) bool {
	s, ok := stat.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}

// clusterUser is whom the server runs as; the zero value is the user of this process.
type clusterUser struct {
	credential *syscall.Credential
}

// unprivilegedUser finds somebody for root to run the server as.
func unprivilegedUser() (clusterUser, error) {
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return clusterUser{credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
		}
	}
	return clusterUser{}, errors.New("there is neither a user postgres nor nobody, and Postgres does not run as root")
}

func (u clusterUser) own(path string) error {
	if u.credential == nil {
		return nil
	}
	return os.Chown(path, int(u.credential.Uid), int(u.credential.Gid))
}

// command runs a program of Postgres as the cluster's user and returns what it said if it fails.
func (u clusterUser) command(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = os.TempDir() // our own may be closed to that user
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if u.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: u.credential}
	}
	// A file, not a pipe: the server keeps its parent's output open for as long as it lives.
	output, err := os.CreateTemp("", "sallyport-test-*")
	if err != nil {
		return err
	}
	defer os.Remove(output.Name())
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(output.Name())
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, said)
	}
	return nil
}
