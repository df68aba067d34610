package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The load generator and the receiver speak just enough HTTP/1.1 by hand, as load
// tools do: what they burn on a shared machine the server lacks.

// load publishes.
type load struct {
	o        benchOptions
	server   *benched
	started  time.Time
	ended    time.Time
	next     atomic.Int64
	accepted atomic.Int64
	refused  atomic.Int64
	begun    []int64 // by event, nanoseconds after started; 0: not accepted
	took     [][]int64
	max      int
}

func newLoad(o benchOptions, s *benched, maxEvents int) *load {
	return &load{o: o, server: s, begun: make([]int64, maxEvents), took: make([][]int64, o.publishers), max: maxEvents}
}

// run publishes for the duration.
func (l *load) run(ctx context.Context, seen *arrivals) {
	ctx, cancel := context.WithTimeout(ctx, l.o.duration)
	defer cancel()
	l.started = time.Now()
	seen.begin(l.started)
	var wg sync.WaitGroup
	for i := range l.o.publishers {
		wg.Go(func() { l.took[i] = l.publish(ctx, i) })
	}
	wg.Wait()
	l.ended = time.Now()
}

// publish is one publisher: one request after the other on one connection.
func (l *load) publish(ctx context.Context, publisher int) (took []int64) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", l.server.addr)
	if err != nil {
		l.refused.Add(1)
		return nil
	}
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	filler := bytes.Repeat([]byte("x"), max(0, l.o.payload-len(`{"text":""}`)))
	var buf, body []byte
	head := []byte("POST /v1/events HTTP/1.1\r\nHost: " + l.server.addr + "\r\nAuthorization: Bearer " + l.server.key +
		"\r\nContent-Type: application/json\r\nContent-Length: ")
	var pace <-chan time.Time
	if l.o.rate > 0 {
		each := time.Duration(float64(l.o.publishers) / float64(l.o.rate) * float64(time.Second))
		// Spread over the interval, so that publishers do not come in bursts.
		time.Sleep(each * time.Duration(publisher) / time.Duration(l.o.publishers))
		t := time.NewTicker(each)
		defer t.Stop()
		pace = t.C
	}
	for ctx.Err() == nil {
		if pace != nil {
			select {
			case <-pace:
			case <-ctx.Done():
				return took
			}
		}
		n := l.next.Add(1)
		if n >= int64(l.max) {
			return took
		}
		body = append(body[:0], `{"type":"bench.event","entityId":`...)
		body = strconv.AppendInt(body, n, 10)
		body = append(body, `,"entity":{"text":"`...)
		body = append(body, filler...)
		body = append(body, `"}}`...)
		buf = append(buf[:0], head...)
		buf = strconv.AppendInt(buf, int64(len(body)), 10)
		buf = append(buf, "\r\n\r\n"...)
		buf = append(buf, body...)
		begun := time.Since(l.started).Nanoseconds()
		atomic.StoreInt64(&l.begun[n], begun)
		if _, err := c.Write(buf); err != nil {
			l.refused.Add(1)
			return took
		}
		status, err := readAnswer(r)
		if err != nil {
			l.refused.Add(1)
			return took
		}
		if status != 202 {
			l.refused.Add(1)
			continue
		}
		l.accepted.Add(1)
		took = append(took, time.Since(l.started).Nanoseconds()-begun)
	}
	return took
}

// readAnswer reads one response with a Content-Length.
func readAnswer(r *bufio.Reader) (status int, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("not HTTP: %q", line)
	}
	status, err = strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, err
	}
	length := 0
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := headerValue(line, "content-length:"); ok {
			if length, err = strconv.Atoi(v); err != nil {
				return 0, err
			}
		}
	}
	_, err = r.Discard(length)
	return status, err
}

// headerValue returns the value if the line is this header; name in lower case with
// its colon.
func headerValue(line []byte, name string) (string, bool) {
	if len(line) < len(name) {
		return "", false
	}
	for i := range len(name) {
		c := line[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return "", false
		}
	}
	return string(bytes.TrimSpace(line[len(name):])), true
}

// arrivals is the receiver: it answers 200 and remembers when each event came first
// to each webhook.
type arrivals struct {
	l       net.Listener
	started atomic.Pointer[time.Time]
	at      [][]int64 // by webhook, by event: nanoseconds after the start
	first   atomic.Int64
	again   atomic.Int64
}

func newArrivals(webhooks, maxEvents int) (*arrivals, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &arrivals{l: l, at: make([][]int64, webhooks)}
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

func (a *arrivals) addr() string          { return a.l.Addr().String() }
func (a *arrivals) close()                { _ = a.l.Close() }
func (a *arrivals) begin(start time.Time) { a.started.Store(&start) }

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
		if start := a.started.Load(); start != nil && event >= 0 && event < len(a.at[webhook]) {
			if atomic.CompareAndSwapInt64(&a.at[webhook][event], 0, time.Since(*start).Nanoseconds()) {
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

// result works the figures out.
func (l *load) result(o benchOptions, seen *arrivals) benchResult {
	r := benchResult{
		Webhooks: o.webhooks, Publishers: o.publishers, PayloadBytes: o.payload, Seconds: l.ended.Sub(l.started).Seconds(),
		Accepted: l.accepted.Load(), Refused: l.refused.Load(), Delivered: seen.first.Load(), Duplicates: seen.again.Load(),
	}
	r.Lost = max(0, r.Accepted*int64(o.webhooks)-r.Delivered)
	var publish, endToEnd []int64
	for _, t := range l.took {
		publish = append(publish, t...)
	}
	var last int64
	for _, at := range seen.at {
		for event, ns := range at {
			if ns > 0 {
				last = max(last, ns)
				endToEnd = append(endToEnd, ns-l.begun[event])
			}
		}
	}
	r.LastArrival = float64(last) / 1e9
	r.AcceptedPerSecond = float64(r.Accepted) / r.Seconds
	if last > 0 {
		r.DeliveredPerSecond = float64(r.Delivered) / r.LastArrival
	}
	r.PublishP50, r.PublishP99 = quantile(publish, 0.5), quantile(publish, 0.99)
	r.EndToEndP50, r.EndToEndP99 = quantile(endToEnd, 0.5), quantile(endToEnd, 0.99)
	return r
}
