package testkit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"
)

// The throwaway cluster. All test processes of one user share one Postgres, so that `go test
// ./...`, which runs many at once, starts one server and not twenty. It lives in a directory
// below os.TempDir:
//
//	start.lock     held while somebody looks whether the server runs, and starts it
//	users.lock     held shared by every process that uses the server, until it ends
//	keeper.lock    held by the keeper, a process that waits until nobody holds users.lock,
//	               then stops the server and removes its files
//	cluster.json   how to reach the server
//	data, log      the server's own; data may be a link into memory
//
// The locks end with their processes, however they end, so a killed run leaves nothing behind
// but a server that the next run takes over or its keeper stops.

const (
	// envDurable runs the tests with the durability that users have (fsync and all), for those
	// tests and measurements where it matters, in a cluster of its own.
	envDurable = "SALLYPORT_TEST_DURABLE"
	// envRunPID names the process of a whole test run; the keeper waits for its end, too.
	envRunPID = "SALLYPORT_TEST_RUN_PID"
	// envKeeper turns a test binary into the keeper of the cluster in the directory it names.
	envKeeper = "SALLYPORT_TEST_KEEPER"

	// keeperPatience is for how long nobody must have used the server before it is stopped:
	// longer than it takes to type the next go test by hand.
	keeperPatience = 30 * time.Second
	// startPatience is how long initdb and the server may take on a slow and busy machine.
	startPatience = 2 * time.Minute
)

// clusterInfo is the content of cluster.json.
type clusterInfo struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// usersLock is held by this process from its first use of the cluster to its end.
var usersLock *flock.Flock

func clusterDir() string {
	kind := "fast"
	if os.Getenv(envDurable) != "" {
		kind = "durable"
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("sallyport-test-%d", os.Getuid()), "postgres-"+kind)
}

// joinCluster returns the URL of the shared cluster, which it starts if it is not running.
func joinCluster() (string, error) {
	dir := clusterDir()
	if err := privateDir(filepath.Dir(dir)); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*startPatience)
	defer cancel()
	start := flock.New(filepath.Join(dir, "start.lock"))
	if _, err := start.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return "", fmt.Errorf("waiting for another process to start Postgres: %w", err)
	}
	defer start.Close()

	usersLock = flock.New(filepath.Join(dir, "users.lock"))
	if _, err := usersLock.TryRLockContext(ctx, 20*time.Millisecond); err != nil {
		return "", fmt.Errorf("waiting for the keeper to stop Postgres: %w", err)
	}
	info, err := readCluster(dir)
	if err != nil || !answers(ctx, dir, info) {
		if info, err = startCluster(ctx, dir); err != nil {
			return "", err
		}
	}
	if err := ensureKeeper(dir); err != nil {
		return "", err
	}
	return info.URL, nil
}

// privateDir makes the directory that holds all of testkit's files. In a shared temporary
// directory somebody else could have made it first, to have us run his files.
func privateDir(dir string) error {
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	stat, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !stat.IsDir() || stat.Mode().Perm()&0o022 != 0 || !ownedByUs(stat) {
		return fmt.Errorf("%s is not a directory that only this user can write", dir)
	}
	return nil
}

func readCluster(dir string) (clusterInfo, error) {
	var info clusterInfo
	content, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if err != nil {
		return info, err
	}
	return info, json.Unmarshal(content, &info)
}

// answers reports that the server can be used. One that lives and does not answer, because the
// machine is busy or all its connections are taken for a moment, is waited for: to replace it
// would end the tests that use it.
func answers(ctx context.Context, dir string, info clusterInfo) bool {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for again := time.NewTicker(50 * time.Millisecond); ; {
		if ping(ctx, info.URL) == nil {
			return true
		}
		if pid, err := serverPID(dir); err != nil || pid != info.PID || !alive(pid) {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
}

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// startCluster makes a cluster from nothing: nothing of an earlier one is worth keeping.
func startCluster(ctx context.Context, dir string) (clusterInfo, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return clusterInfo{}, err
	}
	run := clusterUser{}
	if os.Getuid() == 0 {
		// Postgres refuses to run as root.
		if run, err = unprivilegedUser(); err != nil {
			return clusterInfo{}, err
		}
	}
	data, log := filepath.Join(dir, "data"), filepath.Join(dir, "log")
	stopCluster(ctx, dir)
	if err := removeCluster(dir); err != nil {
		return clusterInfo{}, err
	}
	if data, err = makeData(data); err != nil {
		return clusterInfo{}, err
	}
	// The directory of the cluster belongs to whom the server runs as.
	if err := errors.Join(os.WriteFile(log, nil, 0o600), run.own(data), run.own(log)); err != nil {
		return clusterInfo{}, err
	}

	// A password, because on a shared machine everybody can reach a port on loopback, and the
	// superuser of a cluster can run programs.
	password := rand.Text()
	passwordFile := filepath.Join(dir, "password")
	if err := errors.Join(os.WriteFile(passwordFile, []byte(password+"\n"), 0o600), run.own(passwordFile)); err != nil {
		return clusterInfo{}, err
	}
	defer os.Remove(passwordFile)
	if err := run.command(ctx, filepath.Join(bin, "initdb"), "--pgdata="+data, "--username=postgres",
		// Plain on loopback: SCRAM would cost each of thousands of connections 5 ms.
		"--auth=password", "--pwfile="+passwordFile,
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"); err != nil {
		return clusterInfo{}, err
	}

	for attempt := 1; ; attempt++ {
		info, err := launch(ctx, bin, dir, password, run)
		// Another process may have taken the port between our look and the server's.
		if err == nil || attempt == 5 {
			return info, err
		}
	}
}

// memoryEnough is how much must be free in a file system in memory for the data to go there.
const memoryEnough = 4 << 30

// makeData makes the data directory and returns where it really is. The cluster of the fast
// kind lies in memory if there is room: copying a template creates 300 files, which takes 15 ms
// there and 100 to 200 ms on a disk.
func makeData(data string) (string, error) {
	if os.Getenv(envDurable) == "" && freeBytes(memoryDir) >= memoryEnough {
		memory, err := os.MkdirTemp(memoryDir, fmt.Sprintf("sallyport-test-%d-", os.Getuid()))
		if err == nil {
			return memory, os.Symlink(memory, data)
		}
	}
	return data, os.Mkdir(data, 0o700)
}

// removeCluster removes the files of a server that has stopped.
func removeCluster(dir string) error {
	data := filepath.Join(dir, "data")
	var err error
	if memory, linkErr := os.Readlink(data); linkErr == nil && filepath.Dir(memory) == memoryDir {
		err = os.RemoveAll(memory)
	}
	return errors.Join(err, os.RemoveAll(data), os.RemoveAll(filepath.Join(dir, "log")), os.RemoveAll(filepath.Join(dir, "cluster.json")))
}

// launch starts the server of an initialised cluster on a free port and waits until it answers.
func launch(ctx context.Context, bin, dir, password string, run clusterUser) (clusterInfo, error) {
	port, err := freePort(ctx)
	if err != nil {
		return clusterInfo{}, err
	}
	settings := map[string]string{
		"port":                    strconv.Itoa(port),
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "", // a socket in a long temporary directory may exceed 107 characters
		"max_connections":         "400",
		"shared_buffers":          "128MB",
		"log_min_messages":        "fatal",
		"log_statement":           "none",
		"timezone":                "UTC",
	}
	if os.Getenv(envDurable) == "" {
		// Tests kill our processes, not the server, so its files need not outlive a power cut.
		// synchronous_commit stays on: with it off, what a commit promises would not be tested.
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
	}
	var options []string
	for name, value := range settings {
		options = append(options, fmt.Sprintf("-c %s='%s'", name, value))
	}
	log := filepath.Join(dir, "log")
	if err := run.command(ctx, filepath.Join(bin, "pg_ctl"), "start", "--wait", "--silent",
		"--pgdata="+filepath.Join(dir, "data"), "--log="+log,
		fmt.Sprintf("--timeout=%d", int(startPatience.Seconds())), "--options="+strings.Join(options, " ")); err != nil {
		content, _ := os.ReadFile(log)
		return clusterInfo{}, fmt.Errorf("%w\n%s", err, content)
	}
	pid, err := serverPID(dir)
	if err != nil {
		return clusterInfo{}, err
	}
	info := clusterInfo{URL: fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/postgres?sslmode=disable", password, port), PID: pid}
	if err := ping(ctx, info.URL); err != nil {
		return clusterInfo{}, fmt.Errorf("the new Postgres does not answer: %w", err)
	}
	content, err := json.Marshal(info)
	if err != nil {
		return clusterInfo{}, err
	}
	return info, os.WriteFile(filepath.Join(dir, "cluster.json"), content, 0o600)
}

// serverPID reads the number of the running server's process from its own file.
func serverPID(dir string) (int, error) {
	content, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
}

// freePort asks the system for a port that nobody uses at this moment.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// postgresPrograms returns the directory of initdb, pg_ctl and postgres: that of PATH, else
// the newest of the places where packages put them. .ci/setup looks in the same places.
func postgresPrograms() (string, error) {
	places := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // PGDG on Fedora and RHEL
		"/usr/libexec/postgresql*",  // Alpine
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for i := len(found) - 1; i >= 0; i-- {
			places = append(places, found[i])
		}
	}
	for _, dir := range places {
		complete := true
		for _, program := range []string{"initdb", "pg_ctl", "postgres"} {
			if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
				complete = false
				break
			}
		}
		if complete {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no Postgres programs found: run .ci/setup, or set %s", EnvDatabaseURL)
}
