package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// arrivals is the receiver: it answers 200 and remembers when each event came first
// to each webhook.
type arrivals struct {
	l       net.Listener
	started time.Time
	at      [][]int64 // by webhook, by event: nanoseconds after started
	first   atomic.Int64
	again   atomic.Int64
}

func newArrivals(webhooks, maxEvents int) (*arrivals, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &arrivals{l: l, started: time.Now(), at: make([][]int64, webhooks)}
	for i := range a.at {
		a.at[i] = make([]int64, maxEvents)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go a.serve(c)
		}
	}()
	return a, nil
}

func (a *arrivals) addr() string { return a.l.Addr().String() }
func (a *arrivals) close()       { _ = a.l.Close() }

// wait returns when so many first arrivals have come and their outcomes are stored.
func (a *arrivals) wait(ctx context.Context, arrivals int64, patience time.Duration) {
	deadline := time.Now().Add(patience)
	for a.first.Load() < arrivals && time.Now().Before(deadline) && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	// Outcomes are stored a moment after the arrivals.
	time.Sleep(200 * time.Millisecond)
}

func (a *arrivals) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReaderSize(c, 16<<10)
	ok := []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		webhook := 0
		if fields := bytes.Fields(line); len(fields) == 3 {
			webhook, _ = strconv.Atoi(string(fields[1][1:])) // a foreign path counts as the first
		}
		length, event := 0, -1
		for {
			if line, err = r.ReadSlice('\n'); err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
			if v, is := headerValue(line, "content-length:"); is {
				length, _ = strconv.Atoi(v)
			} else if v, is := headerValue(line, "x-webhook-entity-id:"); is {
				event, _ = strconv.Atoi(v)
			}
		}
		if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
			return
		}
		if event >= 0 && event < len(a.at[webhook]) {
			if atomic.CompareAndSwapInt64(&a.at[webhook][event], 0, time.Since(a.started).Nanoseconds()) {
				a.first.Add(1)
			} else {
				a.again.Add(1)
			}
		}
		if _, err := c.Write(ok); err != nil {
			return
		}
	}
}
