package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The load generator and the receiver speak just enough HTTP/1.1 by hand, as load
// tools do: what they burn on a shared machine the server lacks.

// maxBenchRequests bounds what is remembered of the requests of a run.
const maxBenchRequests = 4_000_000

// load makes requests, which are numbered from first on.
type load struct {
	o    benchOptions
	addr string
	// request makes a publisher's own function that appends a request.
	request  func() func(buf []byte, n int64) []byte
	started  time.Time
	ended    time.Time
	first    int64
	next     atomic.Int64 // of begun
	accepted atomic.Int64
	refused  atomic.Int64
	begun    []int64 // by number less first, nanoseconds after an epoch
	answered []bool  // with a 2xx
	took     [][]int64
}

func newLoad(o benchOptions, addr string, first int64, most int) *load {
	return &load{o: o, addr: addr, first: first, begun: make([]int64, most), answered: make([]bool, most), took: make([][]int64, o.publishers)}
}

// run makes requests for the duration.
func (l *load) run(ctx context.Context, epoch time.Time) {
	ctx, cancel := context.WithTimeout(ctx, l.o.duration)
	defer cancel()
	l.started = time.Now()
	var wg sync.WaitGroup
	for i := range l.o.publishers {
		wg.Go(func() { l.took[i] = l.publish(ctx, i, epoch) })
	}
	wg.Wait()
	l.ended = time.Now()
}

// publish is one publisher: one request after the other on one connection.
func (l *load) publish(ctx context.Context, publisher int, epoch time.Time) (took []int64) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", l.addr)
	if err != nil {
		l.refused.Add(1)
		return nil
	}
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	request := l.request()
	var buf []byte
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
		n := l.next.Add(1) - 1
		if n >= int64(len(l.begun)) {
			return took
		}
		buf = request(buf[:0], l.first+n)
		begun := time.Since(epoch).Nanoseconds()
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
		if status < 200 || status > 299 {
			l.refused.Add(1)
			continue
		}
		l.answered[n] = true
		l.accepted.Add(1)
		took = append(took, time.Since(epoch).Nanoseconds()-begun)
	}
	return took
}

// quantile of the time to the answer.
func (l *load) quantile(q float64) float64 {
	var all []int64
	for _, t := range l.took {
		all = append(all, t...)
	}
	return quantile(all, q)
}

// begunCount is how many requests were begun.
func (l *load) begunCount() int64 { return min(l.next.Load(), int64(len(l.begun))) }

// endToEnd is how long after their requests the events arrived, and when the last did.
func (l *load) endToEnd(seen *arrivals) (last int64, took []int64) {
	for _, at := range seen.at {
		for n := range l.begunCount() {
			if ns := atomic.LoadInt64(&at[l.first+n]); ns > 0 {
				last = max(last, ns)
				took = append(took, ns-l.begun[n])
			}
		}
	}
	return last, took
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
