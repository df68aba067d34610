package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	webhooks   int
	publishers int
	payload    int
	duration   time.Duration
	rate       int
	patience   time.Duration
	json       bool
	pprof      string
}

func newBench(p process) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: events accepted and delivered, latency, CPU, memory",
		Long: `Measure this machine. Load generator, receiver and server (a process of its own) share it; every
accepted event must arrive, or the command fails. Without SALLYPORT_DATABASE_URL the server runs on
SQLite in a temporary directory; a Postgres must be given an empty database of its own.

Publishers work in a closed loop, each with one request under way, or at a fixed --rate. Latencies:
publish is request to 202; end to end is the start of the publish to the arrival at the receiver.`,
		GroupID: groupTry,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(p.environ, config.FromFlags(cmd.Flags()))
			if err != nil {
				return usageError(err)
			}
			return bench(cmd.Context(), o, cfg, p)
		},
	}
	config.AddFlags(cmd.Flags(), "SALLYPORT_DATABASE_URL")
	f := cmd.Flags()
	f.IntVar(&o.webhooks, "webhooks", 1, "webhooks that every event goes to")
	f.IntVar(&o.publishers, "publishers", 32, "publishers at once")
	f.IntVar(&o.payload, "payload", 1024, "bytes of each entity")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "how long to publish")
	f.IntVar(&o.rate, "rate", 0, "events per second, all publishers together; 0 is as fast as they can")
	f.DurationVar(&o.patience, "patience", 2*time.Minute, "how long to wait for the last delivery")
	f.BoolVar(&o.json, "json", false, "print the figures as one JSON object")
	f.StringVar(&o.pprof, "pprof-addr", "", "loopback address where the server serves profiles meanwhile")
	return cmd
}

// benchResult are the figures of a run.
type benchResult struct {
	Engine            string  `json:"engine"`
	Webhooks          int     `json:"webhooks"`
	Publishers        int     `json:"publishers"`
	PayloadBytes      int     `json:"payloadBytes"`
	Seconds           float64 `json:"seconds"`     // of publishing
	LastArrival       float64 `json:"lastArrival"` // seconds after the start
	Accepted          int64   `json:"accepted"`
	Refused           int64   `json:"refused"`
	Delivered         int64   `json:"delivered"` // first arrivals
	Duplicates        int64   `json:"duplicates"`
	Lost              int64   `json:"lost"`
	AcceptedPerSecond float64 `json:"acceptedPerSecond"`
	// DeliveredPerSecond is over the whole time from the start to the last arrival.
	DeliveredPerSecond float64 `json:"deliveredPerSecond"`
	PublishP50         float64 `json:"publishP50Ms"`
	PublishP99         float64 `json:"publishP99Ms"`
	EndToEndP50        float64 `json:"endToEndP50Ms"`
	EndToEndP99        float64 `json:"endToEndP99Ms"`
	ServerCPU          float64 `json:"serverCpuUsPerDelivery"`
	PostgresCPU        float64 `json:"postgresCpuUsPerDelivery"`
	ServerMB           float64 `json:"serverPssMB"`
	PostgresMB         float64 `json:"postgresPssMB"`
}

func bench(ctx context.Context, o benchOptions, cfg config.Config, p process) (err error) {
	dir, err := os.MkdirTemp("", "sallyport-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	maxEvents := 4_000_000
	if o.rate > 0 {
		maxEvents = int(float64(o.rate)*o.duration.Seconds()*1.2) + 1000
	}
	seen, err := newArrivals(o.webhooks, maxEvents)
	if err != nil {
		return err
	}
	defer seen.close()

	server, err := startBenched(ctx, dir, o, cfg, p)
	if err != nil {
		return err
	}
	defer server.kill()
	for i := range o.webhooks {
		doc := map[string]any{"name": fmt.Sprintf("bench %d", i), "url": fmt.Sprintf("http://%s/%d", seen.addr(), i), "generateSecret": true}
		if err := server.call(ctx, "POST", "/v1/webhooks", doc); err != nil {
			return err
		}
	}

	load := newLoad(o, server, maxEvents)
	before := server.usage()
	load.run(ctx, seen)
	deadline := time.Now().Add(o.patience)
	for seen.first.Load() < load.accepted.Load()*int64(o.webhooks) && time.Now().Before(deadline) && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	// Outcomes are stored a moment after the arrivals.
	time.Sleep(200 * time.Millisecond)
	after := server.usage()

	r := load.result(o, seen)
	r.Engine = "sqlite"
	if cfg.Postgres() {
		r.Engine = "postgres"
	}
	if r.Delivered > 0 {
		r.ServerCPU = float64((after.server - before.server).Microseconds()) / float64(r.Delivered)
		r.PostgresCPU = float64((after.postgres - before.postgres).Microseconds()) / float64(r.Delivered)
	}
	r.ServerMB, r.PostgresMB = after.serverMB, after.postgresMB
	if err := server.stop(); err != nil {
		return err
	}
	if err := printBench(p.stdout, o, r); err != nil {
		return err
	}
	if r.Lost > 0 {
		return fmt.Errorf("%d accepted deliveries did not arrive", r.Lost)
	}
	return nil
}

func printBench(w io.Writer, o benchOptions, r benchResult) error {
	if o.json {
		return json.NewEncoder(w).Encode(r)
	}
	mode := "closed loop"
	if o.rate > 0 {
		mode = fmt.Sprintf("%d events/s", o.rate)
	}
	_, err := fmt.Fprintf(w, `%s, %d webhooks per event, %d publishers (%s), %d bytes
  accepted    %d events in %.1f s = %.0f/s   refused %d
  delivered   %d in %.1f s = %.0f/s   lost %d   duplicates %d
  publish     p50 %.2f ms   p99 %.2f ms
  end to end  p50 %.2f ms   p99 %.2f ms
  CPU         server %.0f us, postgres %.0f us per delivery
  memory      server %.0f MB, postgres %.0f MB (PSS)
`, r.Engine, r.Webhooks, r.Publishers, mode, r.PayloadBytes, r.Accepted, r.Seconds, r.AcceptedPerSecond, r.Refused,
		r.Delivered, r.LastArrival, r.DeliveredPerSecond, r.Lost, r.Duplicates, r.PublishP50, r.PublishP99, r.EndToEndP50, r.EndToEndP99,
		r.ServerCPU, r.PostgresCPU, r.ServerMB, r.PostgresMB)
	return err
}

// quantile of unsorted nanoseconds, in milliseconds; sorts them.
func quantile(ns []int64, q float64) float64 {
	if len(ns) == 0 {
		return 0
	}
	slices.Sort(ns)
	i := min(len(ns)-1, int(math.Ceil(q*float64(len(ns))))-1)
	return float64(ns[max(0, i)]) / 1e6
}

// benched is the server under test.
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

func startBenched(ctx context.Context, dir string, o benchOptions, cfg config.Config, p process) (*benched, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails
	b := &benched{addr: addr, key: hex.EncodeToString(random), done: make(chan struct{})}
	if cfg.Postgres() {
		if b.postmaster, err = findPostmaster(ctx, string(cfg.DatabaseURL)); err != nil {
			return nil, err
		}
	}
	// Not ended with ctx: it is to stop in its own time and to say how that went.
	b.cmd = exec.CommandContext(context.WithoutCancel(ctx), self, "serve")
	b.cmd.Env = append(slices.DeleteFunc(slices.Clone(p.environ), func(e string) bool {
		return strings.HasPrefix(e, "SALLYPORT_") && !strings.HasPrefix(e, "SALLYPORT_LOG")
	}),
		"SALLYPORT_ADDR="+addr, "SALLYPORT_DATA_DIR="+filepath.Join(dir, "data"), "SALLYPORT_ADMIN_KEY="+b.key,
		"SALLYPORT_EGRESS_ALLOW=127.0.0.0/8", "SALLYPORT_DATABASE_URL="+string(cfg.DatabaseURL), "SALLYPORT_PPROF_ADDR="+o.pprof)
	var log bytes.Buffer
	b.cmd.Stderr = &log
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		b.err = b.cmd.Wait()
		close(b.done)
	}()
	for range 600 {
		select {
		case <-b.done:
			return nil, fmt.Errorf("the server ended: %v\n%s", b.cmd.ProcessState, log.String())
		case <-time.After(50 * time.Millisecond):
		}
		res, err := http.Get("http://" + addr + "/readyz") //nolint:noctx // our own
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return b, ctx.Err()
			}
		}
	}
	b.kill()
	return nil, fmt.Errorf("the server did not become ready\n%s", log.String())
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
