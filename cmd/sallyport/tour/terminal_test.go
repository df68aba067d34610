package tour

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// patience is how long a person would look at a terminal; the first build takes most of it.
const patience = 10 * time.Minute

// screen keeps what was printed and tells who waits for it.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced when text grows or ends
	ended   bool
}

func newScreen() *screen { return &screen{changed: make(chan struct{})} }

// fill reads until the other side is gone. Terminals end lines with CR LF.
func (s *screen) fill(r io.Reader) {
	part := make([]byte, 4096)
	for {
		n, err := r.Read(part)
		s.mu.Lock()
		s.text.Write(bytes.ReplaceAll(part[:n], []byte("\r"), nil))
		s.ended = err != nil
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wait returns the text up to the end of what it waited for, which it takes from the screen.
func (s *screen) wait(want *regexp.Regexp) (string, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		at := want.FindIndex(s.text.Bytes())
		if at != nil {
			text := string(s.text.Next(at[1]))
			s.mu.Unlock()
			return text, nil
		}
		text, changed, ended := s.text.String(), s.changed, s.ended
		s.mu.Unlock()
		if ended {
			return "", fmt.Errorf("ended, and does not show\n%s\nbut\n%s", want, text)
		}
		select {
		case <-changed:
		case <-deadline.C:
			return "", fmt.Errorf("does not show\n%s\nbut\n%s", want, text)
		}
	}
}

// shows is what is on the screen.
func (s *screen) shows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// window is a terminal in which one command runs until Ctrl-C.
type window struct {
	*screen
	cmd  *exec.Cmd
	tty  *os.File
	done chan struct{}
}

func open(t *testing.T, dir string, env []string, command string) *window {
	t.Helper()
	w := &window{screen: newScreen(), cmd: exec.Command("bash", "-c", command), done: make(chan struct{})}
	w.cmd.Dir, w.cmd.Env = dir, env
	var err error
	if w.tty, err = pty.Start(w.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		w.fill(w.tty)
		_ = w.cmd.Wait() // what Ctrl-C makes of the exit code is make's affair
	}()
	return w
}

// interrupt types Ctrl-C and waits for the end.
func (w *window) interrupt(t *testing.T) {
	t.Helper()
	if _, err := w.tty.WriteString("\x03"); err != nil {
		t.Error(err)
	}
	select {
	case <-w.done:
	case <-time.After(time.Minute):
		t.Errorf("Ctrl-C does not end it:\n%s", w.shows())
		_ = w.cmd.Process.Kill()
		<-w.done
	}
	_ = w.tty.Close()
}

// shell is a bash that keeps its variables from block to block.
type shell struct {
	*screen
	cmd *exec.Cmd
	in  io.WriteCloser
}

// end stands after the output of a block, with what failed in it.
var end = regexp.MustCompile("\x1e(.*)\x1e\n")

func openShell(t *testing.T, dir string, env []string) *shell {
	t.Helper()
	s := &shell{screen: newScreen(), cmd: exec.Command("bash")}
	s.cmd.Dir, s.cmd.Env = dir, env
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.fill(out)
	t.Cleanup(func() {
		_ = s.in.Close()
		_ = s.cmd.Wait()
	})
	s.run(t, `set -E -o pipefail; trap 'failed="$failed$BASH_COMMAND; "' ERR`)
	return s
}

// run types the commands and returns what they showed, and what of them failed.
func (s *shell) run(t *testing.T, commands string) (shown, failed string) {
	t.Helper()
	if _, err := io.WriteString(s.in, "failed=\n"+commands+"\n"+`printf '\036%s\036\n' "$failed"`+"\n"); err != nil {
		t.Fatal(err)
	}
	shown, err := s.wait(end)
	if err != nil {
		t.Fatal(err)
	}
	failed = end.FindStringSubmatch(shown)[1]
	return shown[:strings.Index(shown, "\x1e")], failed
}
