package testkit

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
)

// Where FreeAddr looks: below the ports that systems give away by themselves, so that no
// listener on port 0 and no connection going out takes one between our look and its use, nor
// while a server that had it starts anew.
const (
	firstPort = 20000
	ports     = 10000
)

// Ports are given in turn, from anywhere on: a server that many tests share may still try to
// send to what an ended test listened at, which must not reach the next.
var lastPort = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(rand.Uint32N(ports)) //nolint:gosec // chance, not secrets
	return &n
}()

// FreeAddr returns an address on loopback for a program that must be told where to listen. It
// is the test's until its end, whatever other tests and other test processes ask for: who has
// the UDP port of a number has its TCP port.
func FreeAddr(t testing.TB) string {
	t.Helper()
	var config net.ListenConfig
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+int(lastPort.Add(1)%ports)))
		ours, err := config.ListenPacket(context.Background(), "udp", addr)
		if err != nil {
			continue
		}
		l, err := config.Listen(context.Background(), "tcp", addr)
		if err != nil {
			ours.Close()
			continue
		}
		l.Close()                          // nobody connected
		t.Cleanup(func() { ours.Close() }) // nothing was sent
		return addr
	}
	t.Fatal("no port is free")
	return ""
}
