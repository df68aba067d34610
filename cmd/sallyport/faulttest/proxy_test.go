package faulttest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// proxy stands between the program and Postgres, knows its protocol as far as needed
// (Postgres documentation, "Message Formats"), and fails in chosen ways.
type proxy struct {
	t        testing.TB
	url      string // of the database, through the proxy
	backend  string
	listener net.Listener

	mu      sync.Mutex
	conns   map[net.Conn]bool // of clients
	refuses bool
	hanging chan struct{} // closed when it goes on; nil: it does
	cut     func(statement string) cut
	cuts    map[string]int // done, by statement
	held    chan struct{}  // has one for each statement that is held
	letGo   chan struct{}  // closed to let them go
}

// cut says what to do when a statement is executed.
type cut int

const (
	pass        cut = iota
	beforeReply     // the connection ends as soon as the statement was passed on
	afterCommit     // it ends when the server's answer is there, which the client does not get
	hold            // the statement reaches the server only after letGo
)

// intercept puts a proxy before a database.
func intercept(t testing.TB, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, backend: u.Host, conns: map[net.Conn]bool{}, cuts: map[string]int{}, held: make(chan struct{}, 16), letGo: make(chan struct{})}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u.Host = p.listener.Addr().String()
	p.url = u.String()
	go func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.goOn()
		p.refuse(true)
	})
	return p
}

// cutting sets who is cut; nil: nobody.
func (p *proxy) cutting(f func(statement string) cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = f
}

// done is how often a statement was cut.
func (p *proxy) done(statement string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts[statement]
}

// refuse ends all connections and takes no new ones, as a server that stopped at once.
func (p *proxy) refuse(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = yes
	if yes {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

// hang passes nothing on until goOn, and ends nothing.
func (p *proxy) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hanging = make(chan struct{})
}

func (p *proxy) goOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hanging != nil {
		close(p.hanging)
		p.hanging = nil
	}
}

// await returns when the proxy does not hang.
func (p *proxy) await() {
	for {
		p.mu.Lock()
		hanging := p.hanging
		p.mu.Unlock()
		if hanging == nil {
			return
		}
		<-hanging
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	refuses := p.refuses
	p.conns[client] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, client)
		p.mu.Unlock()
	}()
	if refuses {
		return
	}
	p.await()
	server, err := net.Dial("tcp", p.backend)
	if err != nil {
		return
	}
	defer server.Close()
	s := &session{proxy: p, client: client, server: server, answered: make(chan struct{}, 1)}
	go s.answers()
	s.requests()
}

// session is one connection.
type session struct {
	*proxy
	client, server net.Conn
	mu             sync.Mutex
	withhold       bool // the next answer is the last thing that happens
	answered       chan struct{}
}

// requests passes the client's messages on and recognises executions: Bind ('B') names
// the prepared statement, Sync ('S') makes it one transaction, unless a Query ('Q') began
// one. The commit of such a transaction is the statement "commit of" its last one of the
// pipeline's.
func (s *session) requests() {
	in := bufio.NewReaderSize(s.client, 64<<10)
	var head [5]byte
	if _, err := io.ReadFull(in, head[:4]); err != nil { // start-up: a length without a type
		return
	}
	rest := make([]byte, binary.BigEndian.Uint32(head[:4])-4)
	if _, err := io.ReadFull(in, rest); err != nil {
		return
	}
	if _, err := s.server.Write(append(head[:4:4], rest...)); err != nil {
		return
	}
	statement, last := "", ""
	var out []byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		if head[0] == 'B' {
			if _, after, ok := bytes.Cut(body, []byte{0}); ok {
				name, _, _ := bytes.Cut(after, []byte{0})
				statement = string(name)
			}
		}
		out = append(append(out, head[:]...), body...)
		what := pass
		if head[0] == 'Q' {
			switch text, _, _ := bytes.Cut(body, []byte{0}); string(text) {
			case "begin":
				last = ""
			case "commit":
				if last != "" {
					statement = "commit of " + last
				}
			}
		}
		if (head[0] == 'S' || head[0] == 'Q') && statement != "" {
			if !strings.HasPrefix(statement, "stmtcache") { // the driver's name for what has none
				last = statement
			}
			s.proxy.mu.Lock()
			if s.cut != nil {
				what = s.cut(statement)
			}
			if what != pass {
				s.cuts[statement]++
			}
			s.proxy.mu.Unlock()
			statement = ""
		}
		if what == hold {
			s.held <- struct{}{}
			<-s.letGo
		}
		if what == afterCommit {
			s.mu.Lock()
			s.withhold = true
			s.mu.Unlock()
		}
		if in.Buffered() == 0 || what != pass {
			s.await()
			if _, err := s.server.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		switch what {
		case pass, hold:
		case beforeReply:
			return
		case afterCommit:
			<-s.answered
			return
		}
	}
}

// answers passes the server's messages on, unless they are withheld.
func (s *session) answers() {
	defer s.client.Close()
	defer close(s.answered)
	buf := make([]byte, 64<<10)
	for {
		n, err := s.server.Read(buf)
		if err != nil {
			return
		}
		s.await()
		s.mu.Lock()
		withhold := s.withhold
		s.mu.Unlock()
		if withhold {
			// ReadyForQuery ends an answer: 'Z', length 5, state.
			if n >= 6 && bytes.Equal(buf[n-6:n-1], []byte{'Z', 0, 0, 0, 5}) {
				return
			}
			continue
		}
		if _, err := s.client.Write(buf[:n]); err != nil {
			return
		}
	}
}
