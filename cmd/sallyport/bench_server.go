package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sallyport/internal/config"
)

// benched is a server under test.
type benched struct {
	cmd  *exec.Cmd
	addr string
	key  string
	// postmaster of the Postgres, 0 if it is not on this machine
	postmaster int
	done       chan struct{} // closed when the process has ended, as err says
	err        error
	gone       atomic.Bool
}

// startBenched starts a server and waits until it is ready.
func startBenched(ctx context.Context, dir string, o benchOptions, cfg config.Config, p process) (*benched, error) {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails
	b := &benched{key: hex.EncodeToString(random)}
	if cfg.Postgres() {
		var err error
		if b.postmaster, err = findPostmaster(ctx, string(cfg.DatabaseURL)); err != nil {
			return nil, err
		}
	}
	return b, b.start(ctx, p, "/readyz", func(addr string) (args, env []string) {
		return []string{"serve"}, []string{
			"SALLYPORT_ADDR=" + addr, "SALLYPORT_DATA_DIR=" + filepath.Join(dir, "data"), "SALLYPORT_ADMIN_KEY=" + b.key,
			"SALLYPORT_EGRESS_ALLOW=127.0.0.0/8", "SALLYPORT_DATABASE_URL=" + string(cfg.DatabaseURL), "SALLYPORT_PPROF_ADDR=" + o.pprof,
		}
	})
}

// start runs this program once more, as a server at a free address, until ready answers.
func (b *benched) start(ctx context.Context, p process, ready string, as func(addr string) (args, env []string)) error {
	for attempt := 1; ; attempt++ {
		err := b.startOnce(ctx, p, ready, as)
		// Somebody may have taken the address between our look and the server's.
		if err == nil || attempt == 5 || !strings.Contains(err.Error(), b.addr) || !strings.Contains(err.Error(), "in use") {
			return err
		}
	}
}

// readyTime is how long a server may take to be ready, on a slow and busy machine.
const readyTime = 2 * time.Minute

func (b *benched) startOnce(ctx context.Context, p process, ready string, as func(addr string) (args, env []string)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.addr, b.done = l.Addr().String(), make(chan struct{})
	if err := l.Close(); err != nil {
		return err
	}
	args, env := as(b.addr)
	// Not ended with ctx: it is to stop in its own time and to say how that went.
	b.cmd = exec.CommandContext(context.WithoutCancel(ctx), self, args...)
	b.cmd.Env = append(slices.DeleteFunc(slices.Clone(p.environ), func(e string) bool {
		return strings.HasPrefix(e, "SALLYPORT_") && !strings.HasPrefix(e, "SALLYPORT_LOG")
	}), env...)
	var log bytes.Buffer
	b.cmd.Stderr = &log
	if err := b.cmd.Start(); err != nil {
		return err
	}
	go func() {
		b.err = b.cmd.Wait()
		close(b.done)
	}()
	for deadline := time.Now().Add(readyTime); time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			b.kill()
			return ctx.Err()
		case <-b.done:
			return fmt.Errorf("the server ended: %v\n%s", b.cmd.ProcessState, log.String())
		case <-time.After(50 * time.Millisecond):
		}
		res, err := http.Get("http://" + b.addr + ready) //nolint:noctx // our own
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	b.kill()
	return fmt.Errorf("the server did not become ready\n%s", log.String())
}

func (b *benched) call(ctx context.Context, method, path string, doc any) error {
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+b.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	return err
}

func (b *benched) stop() error {
	if err := b.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	b.gone.Store(true)
	<-b.done
	return b.err
}

func (b *benched) kill() {
	if !b.gone.Swap(true) {
		_ = b.cmd.Process.Kill()
		<-b.done
	}
}
