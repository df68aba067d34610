package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" //nolint:gosec // served only on SALLYPORT_PPROF_ADDR, which must be loopback
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sallyport/api"
	"sallyport/internal/action"
	"sallyport/internal/config"
	"sallyport/internal/obs"
	"sallyport/internal/send"
	"sallyport/internal/store"
)

func newServe(p process) *cobra.Command {
	check := false
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Serve the API and deliver webhooks",
		Long:    "Serve the API and deliver webhooks, on SQLite in ./data or on a Postgres.\n\n" + config.Help(),
		GroupID: groupRun,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(p.environ, config.FromFlags(cmd.Flags()))
			if err != nil {
				return usageError(err)
			}
			if check {
				for _, w := range cfg.Warnings {
					fmt.Fprintf(p.stderr, "sallyport: %s\n", w)
				}
				if err := checkFiles(cfg); err != nil {
					return usageError(err)
				}
				fmt.Fprintln(p.stdout, "the settings are in order")
				return nil
			}
			return serve(cmd.Context(), cfg, p)
		},
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&check, "check", false, "check the settings and exit")
	return cmd
}

// checkFiles reads the files that settings name, as a start does.
func checkFiles(cfg config.Config) error {
	var errs []error
	note := func(settings string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", settings, err))
		}
	}
	_, err := loadPresets(cfg.PresetsDir)
	errs = append(errs, err) // it names its setting
	if cfg.Commands != "" {
		_, err := action.LoadCommands(cfg.Commands)
		note("SALLYPORT_COMMANDS", err)
	}
	if cfg.TLS() {
		_, err := loadCertificate(cfg.TLSCert, cfg.TLSKey, slog.New(slog.DiscardHandler))
		note(tlsSettings, err)
	}
	return errors.Join(errs...)
}

// tlsSettings are named together where a certificate cannot be loaded.
const tlsSettings = "SALLYPORT_TLS_CERT and SALLYPORT_TLS_KEY"

// Limits of the listeners. There is no limit on the time of a whole request here: slow
// bodies are cut by those who read them.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	// bodyTimeout bounds how long a caller of the API may take to send its request.
	bodyTimeout = time.Minute
)

// gcPercent lets the heap grow to five times what is live before it is collected. What
// is live is some 10 MB, whatever the load: at the default of 100 a collection would run
// every few hundred events, and take a fifth of the server's CPU.
const gcPercent = 400

// serve runs a node until ctx ends.
func serve(ctx context.Context, cfg config.Config, p process) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := newLogger(cfg, p)
	obs.Libraries(log)
	for _, w := range cfg.Warnings {
		log.WarnContext(ctx, "settings", "warning", w)
	}
	var pair *certificate
	if cfg.TLS() {
		var err error
		if pair, err = loadCertificate(cfg.TLSCert, cfg.TLSKey, log); err != nil {
			return fmt.Errorf("%s: %w", tlsSettings, err)
		}
		onHangup(ctx, pair)
	}
	go api.ReadContract() // the database is opened meanwhile
	metrics := obs.NewMetrics(version)
	n, err := openNode(ctx, cfg, log, metrics)
	if err != nil {
		var pending *store.PendingMigrationsError
		if errors.As(err, &pending) {
			return pendingError(err)
		}
		return err
	}
	defer func() {
		if err := n.close(); err != nil {
			log.ErrorContext(ctx, "closing", "error", err)
		}
	}()
	// The ports first: one that is taken must be known before a key is made.
	public, err := n.listen(cfg.Addr)
	if err != nil {
		return portError(cfg.Addr, "SALLYPORT_ADDR", err)
	}
	defer closeQuietly(public)
	var admin net.Listener
	if cfg.AdminAddr != "" {
		if admin, err = n.listen(cfg.AdminAddr); err != nil {
			return portError(cfg.AdminAddr, "SALLYPORT_ADMIN_ADDR", err)
		}
		defer closeQuietly(admin)
	}
	if err := n.bootstrap(ctx); err != nil {
		return err
	}
	edge, err := n.edge(public, admin)
	if err != nil {
		return err
	}
	if cfg.PprofAddr != "" {
		if err := servePprof(ctx, cfg.PprofAddr, log); err != nil {
			return err
		}
	}
	// Last: from here on its heartbeats are expected.
	if err := n.start(ctx); err != nil {
		return err
	}

	f := &front{log: log, failed: make(chan error, 2)}
	if admin != nil {
		f.serve(public, edge.Public(), pair)
		f.serve(admin, edge.Handler(), pair)
	} else {
		f.serve(public, edge.Handler(), pair)
	}
	n.announce(ctx, public, admin, p)
	return n.work(ctx, f)
}

// work runs the node behind its listeners until ctx ends or either of them fails, and stops both.
func (n *node) work(ctx context.Context, f *front) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	worked := make(chan error, 1)
	go func() { worked <- n.run(working) }()

	var err error
	select {
	case <-ctx.Done():
	case err = <-f.failed:
	case err = <-worked:
		worked <- nil
	}
	n.log.InfoContext(ctx, "stopping", "grace", n.cfg.ShutdownGrace.String())
	end := time.Now().Add(n.cfg.ShutdownGrace) // one grace for callers and attempts alike
	n.worker.EndBy(end)
	n.tail.Stop() // streams would take the whole grace
	grace, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	err = errors.Join(err, f.shutdown(grace))
	stop()
	err = errors.Join(err, <-worked)
	n.log.InfoContext(ctx, "stopped")
	return err
}

// front is the servers of a node's listeners.
type front struct {
	log     *slog.Logger
	servers []*http.Server
	serving sync.WaitGroup
	failed  chan error // why one ended by itself
}

// serve answers on a listener, over TLS if there is a certificate.
func (f *front) serve(l net.Listener, h http.Handler, pair *certificate) {
	s := newServer(h, f.log)
	f.servers = append(f.servers, s)
	f.serving.Go(func() {
		var err error
		if pair != nil {
			s.TLSConfig.GetCertificate = pair.get
			err = s.ServeTLS(l, "", "")
		} else {
			err = s.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			f.failed <- err
		}
	})
}

// shutdown lets callers end until ctx does, and cuts off the rest.
func (f *front) shutdown(ctx context.Context) error {
	var err error
	for _, s := range f.servers {
		if s.Shutdown(ctx) != nil {
			err = errors.Join(err, s.Close())
		}
	}
	f.serving.Wait()
	return err
}

// newServer makes a server with the limits of all our listeners.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

// edge joins the HTTP edge with the rooms. admin is nil if everything is on one port.
func (n *node) edge(public, admin net.Listener) (*api.Server, error) {
	base := n.cfg.PublicURL(public.Addr())
	n.doors = n.newDoors(base)
	n.apiURL = base
	if admin != nil {
		own := n.cfg
		own.BaseURL = "" // is the public listener's
		n.apiURL = own.PublicURL(admin.Addr())
	}
	return api.New(api.Options{
		Version: version, BaseURL: base, TrustedProxies: n.cfg.TrustedProxies,
		MaxEventBytes: int(n.cfg.EventMaxBytes), MaxBatchBytes: int(n.cfg.BatchMaxBytes), MaxBatchItems: n.cfg.BatchMaxItems,
		Hold: n.worker.Held, Ready: n.ready, Metrics: n.metrics.Handler(n.log), NewID: n.ids.New, Observe: n.observe, Curl: send.Curl, Schema: provisionSchema, Log: n.log,
	}, api.Services{
		Gate: gate{n}, Manager: n.manage, Stats: n.stats, Publisher: publisher{n}, History: n.store, Operator: operator{n}, Holder: holder{n},
		Tester: tester{n}, Templates: renderer{}, Idempotency: n.store.Idempotency(),
		Requests: n.store, Presets: n.presets, Doors: replayingDoors{n.doors, n}, Records: recordKeeper{n}, RecordWriter: recordKeeper{n}, ActionTester: actionTester{n}, AuditLog: n.store, Streams: streams{n.tail},
	})
}

// observe counts an answer under its route: an unknown path is one operation.
func (n *node) observe(method, route string, status int, took time.Duration) {
	n.metrics.HTTPRequest(method+" "+route, status, took)
}

// ready reports why the node cannot take calls now.
func (n *node) ready(ctx context.Context) error {
	if n.worker.Node() == 0 {
		return errors.New("this node is joining")
	}
	return n.store.Ping(ctx)
}

// portError says which setting helps.
func portError(addr, setting string, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	next := ":8081"
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if n, err := strconv.Atoi(port); err == nil && n < 65535 {
			next = net.JoinHostPort(host, strconv.Itoa(n+1))
		}
	}
	return fmt.Errorf("%s is in use; set %s=%s", addr, setting, next)
}

// servePprof serves profiles on a loopback address until ctx ends.
func servePprof(ctx context.Context, addr string, log *slog.Logger) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return portError(addr, "SALLYPORT_PPROF_ADDR", err)
	}
	s := newServer(http.DefaultServeMux, log)
	s.ReadTimeout = 0
	go func() { _ = s.Serve(l) }()
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return nil
}

func closeQuietly(l net.Listener) { _ = l.Close() } // closed already by the server as a rule
