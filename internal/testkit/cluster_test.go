package testkit

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// A server that lives is not replaced because it refuses somebody for a moment: others use it.
func TestBusyClusterIsWaitedFor(t *testing.T) {
	t.Parallel()
	p, err := server()
	if err != nil {
		t.Fatal(err)
	}
	door, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Close() })
	asked := make(chan int, 100)
	go func() {
		for n := 1; ; n++ {
			c, err := door.Accept()
			if err != nil {
				return
			}
			asked <- n
			if n < 3 {
				c.Close()
				continue
			}
			go func() {
				defer c.Close()
				s, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.base.Host)
				if err != nil {
					return
				}
				defer s.Close()
				go io.Copy(s, c)
				io.Copy(c, s)
			}()
		}
	}()
	address, err := url.Parse(p.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	address.Host = door.Addr().String()
	dir := t.TempDir()
	info := clusterInfo{URL: address.String(), PID: os.Getpid()}
	if answers(t.Context(), dir, info) {
		t.Error("one that does not live is said to answer")
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), fmt.Appendf(nil, "%d\n", info.PID), 0o600); err != nil {
		t.Fatal(err)
	}
	if !answers(t.Context(), dir, info) || len(asked) < 3 {
		t.Errorf("it was given up after %d attempts", len(asked))
	}
}
