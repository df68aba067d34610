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
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sallyport/api"
	"sallyport/internal/config"
	"sallyport/internal/obs"
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

// Limits of the listeners. There is no limit on the time of a whole request here: slow
// bodies are cut by those who read them.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	// bodyTimeout bounds how long a caller of the API may take to send its request.
	bodyTimeout = time.Minute
)

// serve runs a node until ctx ends.
func serve(ctx context.Context, cfg config.Config, p process) error {
	log := obs.Logger(p.stderr, cfg.LogLevel, cfg.LogFormat == config.LogJSON)
	for _, w := range cfg.Warnings {
		log.Warn("settings", "warning", w)
	}
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
			log.Error("closing", "error", err)
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
	if err := n.start(ctx); err != nil {
		return err
	}
	edge, err := n.edge(public)
	if err != nil {
		return err
	}
	if cfg.PprofAddr != "" {
		if err := servePprof(ctx, cfg.PprofAddr, log); err != nil {
			return err
		}
	}

	main := edge.Handler()
	servers := []*http.Server{}
	var serving sync.WaitGroup
	failed := make(chan error, 2)
	listen := func(l net.Listener, h http.Handler) {
		s := newServer(h, log)
		servers = append(servers, s)
		serving.Go(func() {
			var err error
			if cfg.TLS() {
				err = s.ServeTLS(l, cfg.TLSCert, cfg.TLSKey)
			} else {
				err = s.Serve(l)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	if admin != nil {
		listen(public, edge.Public())
		listen(admin, main)
	} else {
		listen(public, main)
	}
	n.announce(ctx, public, admin, p)

	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	worked := make(chan error, 1)
	go func() { worked <- n.run(working) }()

	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-worked:
		worked <- nil
	}
	log.Info("stopping", "grace", cfg.ShutdownGrace.String())
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownGrace)
	defer cancel()
	for _, s := range servers {
		if serr := s.Shutdown(grace); serr != nil {
			err = errors.Join(err, s.Close())
		}
	}
	serving.Wait()
	stop()
	err = errors.Join(err, <-worked)
	log.Info("stopped")
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

// edge joins the HTTP edge with the rooms.
func (n *node) edge(public net.Listener) (*api.Server, error) {
	return api.New(api.Options{
		Version: version, BaseURL: n.cfg.PublicURL(public.Addr()), TrustedProxies: n.cfg.TrustedProxies,
		MaxEventBytes: int(n.cfg.EventMaxBytes), MaxBatchBytes: int(n.cfg.BatchMaxBytes), MaxBatchItems: n.cfg.BatchMaxItems,
		Ready: n.ready, Metrics: n.metrics.Handler(n.log), NewID: n.ids.New, Observe: n.observe, Log: n.log,
	}, api.Services{
		Gate: gate{n}, Manager: n.manage, Publisher: publisher{n}, History: n.store, Operator: operator{n},
		Tester: tester{n}, Idempotency: n.store.Idempotency(),
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
	host, port, splitErr := net.SplitHostPort(addr)
	next := ":8081"
	if splitErr == nil && port == "8081" {
		next = net.JoinHostPort(host, "8082")
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

// announce says what runs: a few lines to a person, else one log line for each fact.
// The key is shown to a terminal only: logs are shipped.
func (n *node) announce(ctx context.Context, public, admin net.Listener, p process) {
	base := n.cfg.PublicURL(public.Addr())
	api := base
	if admin != nil {
		api = "http://" + admin.Addr().String()
	}
	database := n.store.Engine() + " " + n.cfg.DataDir + "/sallyport.db"
	if n.cfg.Postgres() {
		database = n.cfg.RedactedDatabase()
	}
	state := ""
	if current, _, _, err := n.store.MigrationStatus(ctx); err == nil {
		state = fmt.Sprintf("schema %d", current)
		if n.fresh {
			state = "new, " + state
		}
	}
	sends := "public addresses only; for this machine: SALLYPORT_EGRESS_ALLOW=127.0.0.0/8"
	if len(n.cfg.EgressAllow) > 0 {
		sends = fmt.Sprintf("public addresses and %v", n.cfg.EgressAllow)
	}
	if f, ok := p.stdout.(*os.File); ok && obs.Terminal(f) {
		fmt.Fprintf(f, "sallyport %s\n", version)
		fmt.Fprintf(f, "  listening   %-30s docs %s/docs   contract %s/openapi.yaml\n", api, api, api)
		fmt.Fprintf(f, "  database    %s (%s)\n", database, state)
		fmt.Fprintf(f, "  sends to    %s\n", sends)
		switch {
		case n.keys.Key != "":
			fmt.Fprintf(f, "  admin key   %s (new; also in %s)", string(n.keys.Key), n.keys.KeyFile)
		case n.cfg.AdminKey != "":
			fmt.Fprint(f, "  admin key   as in SALLYPORT_ADMIN_KEY")
		default:
			fmt.Fprint(f, "  admin key   made before; lost it: sallyport keys create --role admin --platform")
		}
		fmt.Fprint(f, "            next: README, \"Five minutes\"\n")
		return
	}
	n.log.Info("listening", "url", api, "docs", api+"/docs", "version", version)
	n.log.Info("database", "engine", n.store.Engine(), "at", database, "state", state)
	n.log.Info("sends_to", "what", sends)
	if n.keys.Key != "" {
		n.log.Info("admin_key", "new", true, "file", n.keys.KeyFile)
	}
	if n.vault.Generated {
		n.log.Warn("encryption_key", "new", true, "file", n.vault.KeyFile,
			"note", "keep a copy apart from the database; every further node needs it as SALLYPORT_ENCRYPTION_KEY")
	}
}
