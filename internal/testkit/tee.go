package testkit

import (
	"bytes"
	"context"
	"net"
	"sync"
)

// teeConn keeps what was read from a connection since the last request on it, because
// net/http shows neither the exact names of headers nor their order.
type teeConn struct {
	net.Conn
	mu   sync.Mutex
	read []byte
}

type teeKey struct{}

// withTee is an http.Server's ConnContext: it lets a handler find its connection.
func withTee(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, teeKey{}, conn)
}

func (c *teeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.read = append(c.read, p[:n]...)
	c.mu.Unlock()
	return n, err
}

// head returns the head of the request that is being handled.
func (c *teeConn) head() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, _, _ := bytes.Cut(c.read, []byte("\r\n\r\n"))
	return bytes.Clone(head)
}

// skipBody forgets the request that has just been read whole. What comes next on the
// connection is the next request: Go's client, like any that does not pipeline, sends it
// only after the answer.
func (c *teeConn) skipBody() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = nil
}

// teeListener hands out connections that remember what was read from them.
type teeListener struct{ net.Listener }

func (l teeListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &teeConn{Conn: conn}, nil
}
