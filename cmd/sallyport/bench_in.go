package main

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // as the callers of such doors do
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"sallyport/internal/config"
)

// benchStep are the figures of one step of a run.
type benchStep struct {
	Name        string  `json:"name"`
	Seconds     float64 `json:"seconds"`
	Answered    int64   `json:"answered"` // 2xx
	Refused     int64   `json:"refused"`
	PerSecond   float64 `json:"perSecond"`
	P50         float64 `json:"p50Ms"`
	P99         float64 `json:"p99Ms"`
	ServerCPU   float64 `json:"serverCpuUsPerRequest"`
	PostgresCPU float64 `json:"postgresCpuUsPerRequest"`
	// What came to the receiver. DeliveredPerSecond is over the time from the start to the last arrival.
	Delivered          int64   `json:"delivered,omitempty"` // first arrivals
	DeliveredPerSecond float64 `json:"deliveredPerSecond,omitempty"`
	EndToEndP50        float64 `json:"endToEndP50Ms,omitempty"`
	EndToEndP99        float64 `json:"endToEndP99Ms,omitempty"`
}

// benchInResult are the figures of a run.
type benchInResult struct {
	Engine       string      `json:"engine"`
	Callers      int         `json:"callers"`
	PayloadBytes int         `json:"payloadBytes"`
	Steps        []benchStep `json:"steps"`
	// EchoRatio is accept only over the mean of the bare echo before and after.
	EchoRatio  float64 `json:"echoRatio"`
	Answered   int64   `json:"answered"`    // 2xx, by the doors
	Lost       int64   `json:"lost"`        // of these, not in the database
	Twice      int64   `json:"storedTwice"` // calls, or what was published for them
	Missing    int64   `json:"notDelivered"`
	Duplicates int64   `json:"duplicates"` // at the receiver
	ServerMB   float64 `json:"serverPssMB"`
	PostgresMB float64 `json:"postgresPssMB"`
}

// benchRate is the rate of the steady step unless one is given.
const benchRate = 500

// inboundBench is a run under way.
type inboundBench struct {
	o      benchOptions
	server *benched
	echo   *benched
	seen   *arrivals
	next   int64 // number of the next call
	doors  []*load
	routed int64 // calls answered 2xx by the door with a route
	result benchInResult
}

// benchIn measures calls of an incoming webhook.
func benchIn(ctx context.Context, dir string, o benchOptions, cfg config.Config, p process) error {
	seen, err := newArrivals(1, maxBenchRequests)
	if err != nil {
		return err
	}
	defer seen.close()
	server, err := startBenched(ctx, dir, o, cfg, p)
	if err != nil {
		return err
	}
	defer server.kill()
	echo := &benched{}
	if err := echo.start(ctx, p, "/readyz", func(addr string) (args, env []string) {
		return []string{"bench-echo", "--addr", addr}, nil
	}); err != nil {
		return err
	}
	defer echo.kill()
	b := &inboundBench{o: o, server: server, echo: echo, seen: seen, result: benchInResult{
		Engine: engineOf(cfg), Callers: o.publishers, PayloadBytes: o.payload,
	}}
	if err := b.configure(ctx); err != nil {
		return err
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	if err := errors.Join(server.stop(), echo.stop()); err != nil {
		return err
	}
	if b.result.Lost, b.result.Twice, err = b.audit(ctx, dir, cfg); err != nil {
		return err
	}
	if err := b.result.print(p.stdout, o); err != nil {
		return err
	}
	return b.result.broken()
}

// Of the doors that are called, one has a route.
const (
	doorPlain  = "bench-plain"
	doorRouted = "bench-routed"
	benchSalt  = "your-string-here"
	benchHash  = "{{ (secrets.salt ~ 'now'|date('Y-m-d_H-i'))|md5 }}"
	benchType  = "bench.published"
)

func (b *inboundBench) configure(ctx context.Context) error {
	door := func(code string) map[string]any {
		return map[string]any{"code": code, "hash": benchHash, "secrets": []any{map[string]any{"name": "salt", "value": benchSalt}}}
	}
	routed := door(doorRouted)
	routed["routes"] = []any{map[string]any{"name": "primary", "action": "bench-publish"}}
	for _, c := range []struct {
		path string
		doc  map[string]any
	}{
		{"/v1/webhooks", map[string]any{"name": "bench", "url": "http://" + b.seen.addr() + "/0", "generateSecret": true, "eventTypes": []string{benchType}}},
		{"/v1/actions", map[string]any{"code": "bench-publish", "type": "publishEvent", "config": map[string]any{"type": benchType, "entityId": "{{ item.call }}"}}},
		{"/v1/incoming-webhooks", door(doorPlain)},
		{"/v1/incoming-webhooks", routed},
	} {
		if err := b.server.call(ctx, "POST", c.path, c.doc); err != nil {
			return err
		}
	}
	return nil
}

// run makes the steps.
func (b *inboundBench) run(ctx context.Context) error {
	rate := b.o.rate
	if rate == 0 {
		rate = benchRate
	}
	// First what is to be like any hour of a day: later the database tidies up after a flood.
	b.step(ctx, "steady", b.server, doorPlain, rate)
	b.step(ctx, "steady out", b.server, doorRouted, rate)
	before := b.step(ctx, "bare echo", b.echo, doorPlain, 0)
	accepted := b.step(ctx, "accept only", b.server, doorPlain, 0)
	after := b.step(ctx, "bare echo", b.echo, doorPlain, 0)
	b.step(ctx, "in to out", b.server, doorRouted, 0)
	if echo := (before.PerSecond + after.PerSecond) / 2; echo > 0 {
		b.result.EchoRatio = accepted.PerSecond / echo
	}
	b.result.Missing = max(0, b.routed-b.seen.first.Load())
	b.result.Duplicates = b.seen.again.Load()
	u := b.server.usage()
	b.result.ServerMB, b.result.PostgresMB = u.serverMB, u.postgresMB
	return ctx.Err()
}

// step makes calls for the duration, and waits for what they led to.
func (b *inboundBench) step(ctx context.Context, name string, to *benched, door string, rate int) benchStep {
	o := b.o
	o.rate = rate
	l := newLoad(o, to.addr, b.next, maxBenchRequests-int(b.next))
	l.request = calling(to.addr, door, o.payload)
	arrived := b.seen.first.Load()
	before := to.usage()
	l.run(ctx, b.seen.started)
	if to == b.server {
		b.doors = append(b.doors, l)
		b.next += l.begunCount()
		b.result.Answered += l.accepted.Load()
	}
	if door == doorRouted {
		b.routed += l.accepted.Load()
		b.seen.wait(ctx, b.routed, o.patience)
	}
	after := to.usage()

	s := benchStep{
		Name: name, Seconds: l.ended.Sub(l.started).Seconds(), Answered: l.accepted.Load(), Refused: l.refused.Load(),
		P50: l.quantile(0.5), P99: l.quantile(0.99),
	}
	s.PerSecond = float64(s.Answered) / s.Seconds
	if s.Answered > 0 {
		s.ServerCPU = float64((after.server - before.server).Microseconds()) / float64(s.Answered)
		s.PostgresCPU = float64((after.postgres - before.postgres).Microseconds()) / float64(s.Answered)
	}
	if door == doorRouted {
		last, took := l.endToEnd(b.seen)
		s.Delivered = b.seen.first.Load() - arrived
		if len(took) > 0 {
			s.DeliveredPerSecond = float64(s.Delivered) / (time.Duration(last) - l.started.Sub(b.seen.started)).Seconds()
			s.EndToEndP50, s.EndToEndP99 = quantile(took, 0.5), quantile(took, 0.99)
		}
	}
	b.result.Steps = append(b.result.Steps, s)
	return s
}

// Where the body of a call has its number, which is as long in all of them.
const (
	callHead   = `{"call":"`
	callDigits = 10
)

// calling writes calls of a door with the hash of the minute, as the sender of a flow would:
// made once, and again when the minute is over.
func calling(addr, door string, payload int) func() func(buf []byte, n int64) []byte {
	return func() func([]byte, int64) []byte {
		filler := bytes.Repeat([]byte("x"), max(0, payload-len(callHead)-callDigits-len(`","text":""}`)))
		tail := append(append([]byte(`","text":"`), filler...), `"}`...)
		length := strconv.Itoa(len(callHead) + callDigits + len(tail))
		var head []byte
		var minute int64
		return func(buf []byte, n int64) []byte {
			now := time.Now().UTC()
			if m := now.Unix() / 60; m != minute {
				minute = m
				sum := md5.Sum([]byte(benchSalt + now.Format("2006-01-02_15-04"))) //nolint:gosec // see above
				head = []byte("POST /in/" + door + "?hash=" + hex.EncodeToString(sum[:]) + " HTTP/1.1\r\nHost: " + addr +
					"\r\nUser-Agent: sallyport-bench\r\nContent-Type: application/json\r\nContent-Length: " + length + "\r\n\r\n" + callHead)
			}
			buf = append(buf, head...)
			buf = fmt.Appendf(buf, "%0*d", callDigits, n)
			return append(buf, tail...)
		}
	}
}

func (r *benchInResult) broken() error {
	switch {
	case r.Lost > 0:
		return fmt.Errorf("%d calls that were answered 2xx are not in the database", r.Lost)
	case r.Twice > 0:
		return fmt.Errorf("%d calls were stored, or published, twice", r.Twice)
	case r.Missing > 0:
		return fmt.Errorf("%d calls that were answered 2xx did not arrive at the receiver", r.Missing)
	}
	return nil
}

func (r *benchInResult) print(w io.Writer, o benchOptions) error {
	if o.json {
		return json.NewEncoder(w).Encode(r)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %d callers, %d bytes, hash checked\n", r.Engine, r.Callers, r.PayloadBytes)
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %-12s%d in %.1f s = %.0f/s   p50 %.2f ms   p99 %.2f ms   refused %d\n", s.Name, s.Answered, s.Seconds, s.PerSecond, s.P50, s.P99, s.Refused)
		if s.Delivered > 0 {
			fmt.Fprintf(&b, "    delivered %d = %.0f/s   end to end p50 %.2f ms   p99 %.2f ms\n", s.Delivered, s.DeliveredPerSecond, s.EndToEndP50, s.EndToEndP99)
		}
		fmt.Fprintf(&b, "    CPU       server %.0f us, postgres %.0f us per request\n", s.ServerCPU, s.PostgresCPU)
	}
	fmt.Fprintf(&b, "  accept only is %.2f of the bare echo\n", r.EchoRatio)
	fmt.Fprintf(&b, "  stored      %d of %d answered 2xx   twice %d   not delivered %d   duplicates at the receiver %d\n",
		r.Answered-r.Lost, r.Answered, r.Twice, r.Missing, r.Duplicates)
	fmt.Fprintf(&b, "  memory      server %.0f MB, postgres %.0f MB (PSS)\n", r.ServerMB, r.PostgresMB)
	_, err := w.Write(b.Bytes())
	return err
}
