package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	direction  string
	webhooks   int
	publishers int
	payload    int
	duration   time.Duration
	rate       int
	patience   time.Duration
	json       bool
	pprof      string
}

// Directions of bench.
const (
	benchDirectionOut = "out"
	benchDirectionIn  = "in"
)

func newBench(p process) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: events accepted and delivered, calls let in, latency, CPU, memory",
		Long: `Measure this machine. Load generator, receiver and server (a process of its own) share it; every
accepted event must arrive, or the command fails. Without SALLYPORT_DATABASE_URL the server runs on
SQLite in a temporary directory; a Postgres must be given an empty database of its own.

--direction out: publishers work in a closed loop, each with one request under way, or at a fixed
--rate. Latencies: publish is request to 202; end to end is the start of the publish to the arrival at
the receiver.

--direction in: as many callers POST JSON to an incoming webhook whose hash changes every minute, each
step for --duration:
  steady       --rate calls per second (500 unless given); the hash is checked, request and event
               are stored, then it is answered; no route
  steady out   the same with a route to an action that publishes each event, which goes to the receiver
  bare echo    an echo handler that does nothing, in a process of its own, for comparison
  accept only  as steady, as fast as the callers can
  bare echo    again: what the machine did meanwhile shows
  in to out    as steady out, as fast as the callers can
Then the database is read: every call that was answered 2xx must be in it, and nothing twice.`,
		GroupID: groupTry,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(p.environ, config.FromFlags(cmd.Flags()))
			if err != nil {
				return usageError(err)
			}
			switch {
			case o.direction != benchDirectionIn && o.direction != benchDirectionOut:
				return usageError(fmt.Errorf("--direction is out or in, but got %q", o.direction))
			case o.webhooks < 1 || o.publishers < 1 || o.rate < 0:
				return usageError(errors.New("--webhooks and --publishers are at least 1, and --rate at least 0"))
			case o.direction == benchDirectionIn && o.webhooks != 1:
				return usageError(errors.New("--webhooks is for --direction out"))
			}
			return bench(cmd.Context(), o, cfg, p)
		},
	}
	config.AddFlags(cmd.Flags(), "SALLYPORT_DATABASE_URL")
	f := cmd.Flags()
	f.StringVar(&o.direction, "direction", benchDirectionOut, "what to measure: out (events to webhooks) or in (calls of an incoming webhook)")
	f.IntVar(&o.webhooks, "webhooks", 1, "webhooks that every event goes to")
	f.IntVar(&o.publishers, "publishers", 32, "publishers, or callers, at once")
	f.IntVar(&o.payload, "payload", 1024, "bytes of each entity, or body")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "how long to publish, or each step takes")
	f.IntVar(&o.rate, "rate", 0, "requests per second, all publishers together; 0 is as fast as they can")
	f.DurationVar(&o.patience, "patience", 2*time.Minute, "how long to wait for the last delivery")
	f.BoolVar(&o.json, "json", false, "print the figures as one JSON object")
	f.StringVar(&o.pprof, "pprof-addr", "", "loopback address where the server serves profiles meanwhile")
	return cmd
}

// bench measures one direction.
func bench(ctx context.Context, o benchOptions, cfg config.Config, p process) (err error) {
	dir, err := os.MkdirTemp("", "sallyport-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	run := benchOut
	if o.direction == benchDirectionIn {
		run = benchIn
	}
	return run(ctx, dir, o, cfg, p)
}

func engineOf(cfg config.Config) string {
	if cfg.Postgres() {
		return "postgres"
	}
	return "sqlite"
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
