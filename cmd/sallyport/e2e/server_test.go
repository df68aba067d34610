package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/api/apitest"
	"sallyport/internal/testkit"
)

// patience is how long a test waits for what must come: far longer than any of it takes on a
// busy machine with the race detector on.
const patience = 60 * time.Second

// longPatience is for a start or a stop, and for a command that makes calls by the hundred.
const longPatience = 5 * patience

// server is the real program, running.
type server struct {
	engine    string
	url       string
	dir       string // data directory
	database  string // URL of the Postgres, "" on SQLite
	adminKey  string
	validator *apitest.Validator
	planted   *planted
	client    *http.Client

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // how, once done is closed

	mu   sync.Mutex
	logs bytes.Buffer
}

// engines are the databases that everything here runs on.
var engines = []string{"sqlite", "postgres"}

// start runs the program on a fresh database until the test ends. settings are variables,
// NAME=value, beside those that every test wants.
func start(t testing.TB, engine string, settings ...string) *server {
	t.Helper()
	s := prepare(t, engine)
	s.launch(settings...)
	s.awaitReady()
	return s
}

// prepare makes everything but the process.
func prepare(t testing.TB, engine string) *server {
	t.Helper()
	s := &server{engine: engine, dir: t.TempDir(), t: t, done: make(chan struct{}), planted: &planted{}}
	if engine == "postgres" {
		s.database = testkit.EmptyPostgres(t)
	}
	s.adminKey = s.planted.given("e2e-admin-key-" + random(24))
	s.validator = apitest.New(t)
	base := &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}
	t.Cleanup(base.CloseIdleConnections)
	s.client = &http.Client{
		Transport:     s.validator.Transport(s.planted.watch(base)),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	return s
}

// launch starts the process and waits until it says where it listens.
func (s *server) launch(settings ...string) {
	s.t.Helper()
	s.cmd = exec.CommandContext(context.Background(), testkit.Binary(s.t), "serve")
	s.cmd.Dir = s.dir
	// What a variable of the caller sets must not decide a test.
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir,
		"SALLYPORT_ADDR=127.0.0.1:0", "SALLYPORT_DATA_DIR=" + filepath.Join(s.dir, "data"),
		"SALLYPORT_ADMIN_KEY=" + s.adminKey, "SALLYPORT_LOG_FORMAT=json", "SALLYPORT_LOG_LEVEL=debug",
	}, settings...)
	if s.database != "" {
		s.cmd.Env = append(s.cmd.Env, "SALLYPORT_DATABASE_URL="+s.database)
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stdout = writerFunc(s.note)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	listening := make(chan string, 1)
	go func() {
		s.read(stderr, listening)
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	s.t.Cleanup(func() { s.kill() })
	select {
	case s.url = <-listening:
	case <-s.done:
		s.t.Fatalf("serve ended at once: %v\n%s", s.err, s.said())
	case <-time.After(longPatience):
		s.t.Fatalf("serve does not say where it listens:\n%s", s.said())
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func (s *server) note(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs.Write(b)
}

// said is everything that the program printed so far.
func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.String()
}

// read keeps the log and tells of the line that has the address.
func (s *server) read(r io.Reader, listening chan<- string) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		s.note(line)
		var entry struct{ Msg, URL string }
		if json.Unmarshal(line, &entry) == nil && strings.HasSuffix(entry.Msg, "listening") && entry.URL != "" {
			listening <- entry.URL
		}
		if err != nil {
			return
		}
	}
}

// awaitReady returns once the node takes calls.
func (s *server) awaitReady() {
	s.t.Helper()
	eventually(s.t, "the node to be ready", func() bool {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		res, err := s.client.Do(req)
		if err != nil {
			s.t.Fatalf("asking whether it is ready: %v\n%s", err, s.said())
		}
		return res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
}

// terminate asks for a graceful stop.
func (s *server) terminate() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
}

// stop ends the program as an operator does, and wants it to end well.
func (s *server) stop() {
	s.t.Helper()
	s.terminate()
	select {
	case <-s.done:
	case <-time.After(longPatience):
		s.t.Fatalf("serve does not stop:\n%s", s.said())
	}
	if s.err != nil {
		s.t.Errorf("serve stopped with %v:\n%s", s.err, s.said())
	}
}

// kill ends what a test has left running.
func (s *server) kill() {
	select {
	case <-s.done:
		return
	default:
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
	<-s.done
}

// eventually waits until a condition holds that only asking again can tell.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
