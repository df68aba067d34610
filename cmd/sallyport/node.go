package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"sallyport/internal/action"
	"sallyport/internal/catalog"
	"sallyport/internal/config"
	"sallyport/internal/dispatch"
	"sallyport/internal/hook"
	"sallyport/internal/inbound"
	"sallyport/internal/manage"
	"sallyport/internal/obs"
	"sallyport/internal/preset"
	"sallyport/internal/publish"
	"sallyport/internal/replay"
	"sallyport/internal/send"
	"sallyport/internal/stats"
	"sallyport/internal/store"
	"sallyport/internal/tail"
	"sallyport/internal/vault"
)

// node is one running Sallyport: every room, joined.
type node struct {
	cfg     config.Config
	log     *slog.Logger
	ids     *hook.IDs
	lock    *flock.Flock // of the data directory; nil beside another node on Postgres
	fresh   bool         // the database was empty
	vault   *vault.Vault
	store   *store.Store
	metrics *obs.Metrics
	tally   stats.Tally
	gauge   *stats.Gauge
	stats   *stats.Service
	catalog *catalog.Catalog
	manage  *manage.Service
	send    *send.Sender
	actions *action.Executor
	publish *publish.Publisher
	worker  *dispatch.Dispatcher
	presets *preset.Table
	replays *replay.Runner
	tail    *tail.Tail
	doors   *inbound.Doors // from when the base URL is known
	apiURL  string         // where the API is, likewise
	disk    diskGuard

	mu    sync.Mutex
	addrs []netip.AddrPort // of our own listeners
	skip  chan struct{}    // a target was deleted
	keys  manage.Bootstrapped
}

// retentionEvery is how often old deliveries are looked for.
const retentionEvery = 10 * time.Minute

// boundsEvery is how often refused requests are bounded: a flood of them fills much in ten
// minutes.
const boundsEvery = time.Minute

// openNode opens the store and joins the rooms; nothing runs yet. Pending migrations on a used
// Postgres are a store.PendingMigrationsError unless the settings allow them.
func openNode(ctx context.Context, cfg config.Config, log *slog.Logger, metrics *obs.Metrics) (*node, error) {
	n := &node{cfg: cfg, log: log, ids: hook.NewIDs(), metrics: metrics, skip: make(chan struct{}, 1), disk: diskGuard{log: log}}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *node) open(ctx context.Context) error {
	if err := os.MkdirAll(n.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := n.lockData(); err != nil {
		return err
	}
	var err error
	if n.store, err = openStore(ctx, n.cfg, n.ids, n.log); err != nil {
		return err
	}
	if n.fresh, err = n.store.Prepare(ctx, n.cfg.Migrate); err != nil {
		return err
	}
	if n.vault, err = vault.Open(ctx, n.store, n.cfg.MasterKey(), n.cfg.DataDir); err != nil {
		return explained(n.cfg, err)
	}
	n.store.SetSealer(n.vault)
	// Beside another node on its directory we are nobody's predecessor.
	instance := uuid.NewString()
	if n.lock != nil {
		if instance, err = instanceID(n.cfg.DataDir); err != nil {
			return err
		}
	}
	guard, err := send.NewGuard(n.cfg.EgressAllow, n.ownAddrs)
	if err != nil {
		return err
	}
	if n.send, err = n.newSender(guard); err != nil {
		return err
	}
	if n.presets, err = loadPresets(n.cfg.PresetsDir); err != nil {
		return err
	}
	n.gauge = stats.NewGauge(n.store)
	n.stats = stats.New(n.store, n.gauge)
	n.catalog = catalog.New(n.store, n.log)
	if n.actions, err = n.newActions(); err != nil {
		return err
	}
	n.worker = dispatch.New(dispatch.Config{
		Instance: instance, Name: n.cfg.NodeName, Exclusive: n.lock != nil,
		Heartbeat: n.cfg.NodeHeartbeat, DeadAfter: n.cfg.NodeDeadAfter, MaxSlots: n.cfg.MaxSlots, HandOver: 64 << 20,
		Grace: n.cfg.ShutdownGrace, SuspendAfter: n.cfg.SuspendAfter, BreakAfter: n.cfg.BreakerFailures, Stopping: send.ErrStopping,
	}, n.store, n.catalog, targetSender{n.send, n.actions, alerts{n}}, owner{n}, n.meters(), n.ids, mathrand.Float64, n.log)
	n.catalog.OnChange = func(old, fresh *hook.View) {
		if fresh != nil {
			n.worker.TargetsChanged(fresh.Workspace.ID)
		} else {
			n.worker.TargetsChanged(old.Workspace.ID)
		}
	}
	n.publish = n.newPublisher()
	n.manage = manage.New(n.store, egress{guard}, rules{siteURL: cmp.Or(n.cfg.BaseURL, "http://localhost"), presets: n.presets, reach: guard.CheckHost, mails: n.cfg.SMTPURL != ""}, pipeline{n})
	n.replays = replay.New(replay.Config{Retention: n.cfg.Retention, Waiting: n.gauge.Waiting, Now: n.ids.Now},
		n.store, n.catalog, n.publish, n.worker, n.metrics, n.log)
	n.metrics.WatchQueue(n.stats)
	n.metrics.WatchSize(n.store.Size)
	n.tail = tail.New(tail.Config{MaxStreams: n.cfg.MaxStreams, Holds: conditions{}.holds}, n.store, n.catalog, n.log)
	return nil
}

func (n *node) newSender(guard *send.Guard) (*send.Sender, error) {
	var proxy *url.URL
	if n.cfg.EgressProxy != "" {
		var err error
		if proxy, err = url.Parse(n.cfg.EgressProxy); err != nil {
			return nil, fmt.Errorf("SALLYPORT_EGRESS_PROXY: %w", err)
		}
	}
	return send.New(send.Config{
		Guard: guard, IDs: n.ids, Node: n.cfg.NodeName, UserAgent: "Sallyport/" + version, ConnectTimeout: n.cfg.ConnectTimeout,
		// Many webhooks may share a host: a quarter of all slots may stay connected to one.
		IdlePerHost:  max(send.DefaultIdlePerHost, n.cfg.MaxSlots/4),
		ResponseRead: n.cfg.ResponseReadBytes, ResponseKept: n.cfg.ResponseKeepBytes, RequestKept: int(n.cfg.RequestKeepBytes), Proxy: proxy,
	}), nil
}

func (n *node) newPublisher() *publish.Publisher {
	limits := publish.DefaultConfig()
	limits.Window = n.cfg.EventIDWindow
	limits.IsDataError = store.IsDataError
	limits.Room = n.disk.room
	if !n.cfg.Postgres() {
		n.disk.look(n.cfg.DataDir, n.cfg.MinFreeDisk) // before the first publish
	}
	limits.Backlog = n.gauge.Waiting
	limits.Conditions = conditions{}
	return publish.New(limits, n.store, n.catalog, n.worker, n.meters(), n.ids, n.log)
}

func openStore(ctx context.Context, cfg config.Config, ids *hook.IDs, log *slog.Logger) (*store.Store, error) {
	return store.Open(ctx, store.Config{
		DatabaseURL: string(cfg.DatabaseURL), DataDir: cfg.DataDir, MaxConns: cfg.DBMaxConns, IDs: ids, Logger: log, IDWindow: cfg.EventIDWindow,
		Holds: conditions{}.holds, Describe: manage.Describe,
		Alerts: hook.Alerts{Emails: cfg.AlertEmails, EventTypes: hook.AlertTypes},
	})
}

// lockData takes the data directory for the life of the process. On SQLite it must:
// two processes would send everything in flight twice. On Postgres a second node
// beside the first goes without, and only waits longer for its predecessor's work.
func (n *node) lockData() error {
	path := filepath.Join(n.cfg.DataDir, "lock")
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return fmt.Errorf("locking %s: %w", path, err)
	}
	if ok {
		n.lock = l
		return os.WriteFile(path, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600)
	}
	if n.cfg.Postgres() {
		return nil
	}
	pid, _ := os.ReadFile(path)
	return fmt.Errorf("the data directory %s is in use by process %s: stop it, or set SALLYPORT_DATA_DIR to another directory", n.cfg.DataDir, trimmed(pid))
}

// instanceID names the data directory, so that a restarted process is known as the
// successor of the one that died.
func instanceID(dir string) (string, error) {
	path := filepath.Join(dir, "instance")
	b, err := os.ReadFile(path)
	if err == nil {
		return trimmed(b), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	id := uuid.NewString()
	return id, os.WriteFile(path, []byte(id+"\n"), 0o600)
}

// bootstrap makes what a first start needs: the default workspace and a key.
func (n *node) bootstrap(ctx context.Context) error {
	var err error
	n.keys, err = n.manage.Bootstrap(ctx, n.cfg.AdminKey, filepath.Join(n.cfg.DataDir, "admin.key"))
	return err
}

// start registers the node, so that events can be accepted. A hold is stored before: the
// worker looks for one before it takes anything.
func (n *node) start(ctx context.Context) error {
	if n.cfg.Hold {
		if _, err := n.store.SetHold(hook.WithActor(ctx, hook.Actor{Kind: hook.ActorCLI, Command: "sallyport serve --hold"}), true); err != nil {
			return fmt.Errorf("SALLYPORT_HOLD: %w", err)
		}
	}
	return n.worker.Start(ctx)
}

// run works until ctx ends and then stops in reverse: the caller has closed the
// listeners by then, so nothing new arrives; what was queued is stored, attempts end,
// outcomes are stored, the node leaves.
func (n *node) run(ctx context.Context) error {
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSide()
	var sides sync.WaitGroup
	beside := func(name string, run func(context.Context) error) {
		sides.Go(func() {
			if err := run(side); err != nil {
				n.log.ErrorContext(side, "part.failed", "part", name, "error", err)
			}
		})
	}
	beside("catalog", n.catalog.Run)
	beside("queue", n.gauge.Run)
	beside("tally", func(ctx context.Context) error { return n.tally.Run(ctx, n.store, n.worker, n.log) })
	beside("retention", func(ctx context.Context) error { return n.store.RunRetention(ctx, retentionEvery, n.cfg.Retention) })
	beside("audit", func(ctx context.Context) error {
		return n.store.RunAuditRetention(ctx, retentionEvery, n.cfg.AuditRetention)
	})
	beside("bounds", func(ctx context.Context) error { return n.store.RunBounds(ctx, boundsEvery, n.cfg.Retention) })
	beside("skip", n.skipDeleted)
	beside("replays", n.replays.Run)
	beside("tail", n.tail.Run)
	if n.doors != nil {
		beside("doors", n.doors.Run)
	}
	beside("upkeep", n.store.RunUpkeep)
	if !n.cfg.Postgres() {
		beside("disk", func(ctx context.Context) error { return n.disk.run(ctx, n.cfg.DataDir, n.cfg.MinFreeDisk) })
	}

	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	worked := make(chan error, 1)
	go func() { worked <- n.worker.Run(working) }()

	err := n.publish.Run(ctx)
	stopWorking()
	err = errors.Join(err, <-worked)
	stopSide()
	sides.Wait()
	return err
}

func (n *node) close() error {
	var errs []error
	if n.send != nil {
		n.send.Close()
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Unlock())
	}
	return errors.Join(errs...)
}

// skipDeleted gives up what still waits for deleted targets.
func (n *node) skipDeleted(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		targets, err := n.store.DeletedTargets(ctx)
		for _, t := range targets {
			for skipped := 1; skipped > 0 && err == nil && ctx.Err() == nil; {
				skipped, err = n.store.SkipTarget(ctx, t, 5000)
			}
		}
		if err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "target.skip", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.skip:
		}
	}
}

// listen opens a listener and remembers its address, so that no webhook can be pointed
// at ourselves by accident.
func (n *node) listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		n.mu.Lock()
		n.addrs = append(n.addrs, a.AddrPort())
		n.mu.Unlock()
	}
	return l, nil
}

func (n *node) ownAddrs() []netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addrs
}
