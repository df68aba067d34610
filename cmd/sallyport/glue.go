package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"sallyport/api"
	"sallyport/internal/hook"
	"sallyport/internal/inbound"
	"sallyport/internal/manage"
	"sallyport/internal/obs"
	"sallyport/internal/publish"
	"sallyport/internal/send"
	"sallyport/internal/stats"
	"sallyport/internal/tail"
)

// Small adapters: what one room offers in the words another asks for.

// owner acts on what the worker finds out.
type owner struct{ n *node }

func (o owner) Suspend(ctx context.Context, workspace, webhook hook.ID, reason string, t hook.Trouble) (bool, error) {
	return o.n.manage.Suspend(ctx, workspace, webhook, reason, t)
}

func (o owner) Announce(ctx context.Context, workspace hook.ID, n hook.Notice) {
	o.n.tell(ctx, workspace, n)
}

func (owner) Holds(filter string, e *hook.Event) (bool, error) { return conditions{}.holds(filter, e) }

// egress judges hosts when configuration is saved.
type egress struct{ g *send.Guard }

func (e egress) RefusesHost(host string) error { return e.g.CheckHost(host) }

// pipeline tells the worker what configuration changed.
type pipeline struct{ n *node }

func (p pipeline) Held(ctx context.Context, _, target hook.ID) (int, error) {
	return p.n.store.HeldCount(ctx, target)
}

func (p pipeline) TargetDeleted(_, _ hook.ID) {
	select {
	case p.n.skip <- struct{}{}:
	default:
	}
}

// ConfigChanged makes this node act at once; the others see the version within a
// second, and every publish before that.
func (p pipeline) ConfigChanged(workspace hook.ID) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.n.catalog.Refresh(ctx, workspace); err != nil {
		p.n.log.Warn("configuration.refresh", "error", err)
	}
}

func (p pipeline) CountReplay(ctx context.Context, workspace hook.ID, spec *hook.ReplaySpec) (hook.ReplayCount, error) {
	return p.n.replays.Count(ctx, workspace, spec)
}

func (p pipeline) ReplayChanged(id hook.ID, state hook.ReplayState) {
	p.n.log.Info("replay.changed", "replay_id", id, "state", state)
	if state == hook.ReplayCancelled {
		p.n.metrics.ReplayState(string(state))
	}
	p.n.replays.Kick()
}

// nobody stands for the worker where none runs: a running one sees the change of the
// configuration's version.
type nobody struct{}

func (nobody) Held(context.Context, hook.ID, hook.ID) (int, error) { return 0, nil }
func (nobody) TargetDeleted(hook.ID, hook.ID)                      {}
func (nobody) ConfigChanged(hook.ID)                               {}
func (nobody) ReplayChanged(hook.ID, hook.ReplayState)             {}

func (nobody) CountReplay(context.Context, hook.ID, *hook.ReplaySpec) (hook.ReplayCount, error) {
	return hook.ReplayCount{}, errors.New("nothing is replayed here")
}

// meters count what the rooms do, for Prometheus and by workspace.
type meters struct {
	*obs.Metrics
	*stats.Tally
}

func (n *node) meters() meters { return meters{n.metrics, &n.tally} }

// gate says who calls the API.
type gate struct{ n *node }

func (g gate) Authenticate(ctx context.Context, key, workspace string) (hook.Principal, error) {
	if !manage.LooksLikeKey(key) {
		return hook.Principal{}, hook.Errorf(hook.KindUnauthorized, "this is no API key of Sallyport; send Authorization: Bearer <key>")
	}
	p, err := g.n.catalog.Authenticate(ctx, key)
	if err != nil {
		return p, err
	}
	if !p.Platform {
		if workspace != "" && workspace != p.WorkspaceCode && workspace != p.Workspace.String() {
			return p, hook.Errorf(hook.KindWorkspaceDenied, "this key belongs to another workspace than %q", workspace)
		}
		return p, nil
	}
	if workspace == "" {
		workspace = hook.DefaultWorkspace
	}
	p.Workspace, p.WorkspaceCode, err = g.n.catalog.WorkspaceID(ctx, workspace)
	return p, err
}

// publisher accepts events of the API.
type publisher struct{ n *node }

func (p publisher) Publish(ctx context.Context, who hook.Principal, request hook.ID, events []hook.NewEvent) ([]hook.Receipt, error) {
	return p.n.publish.Publish(ctx, who.Workspace, publish.Origin{
		Principal: who, Source: hook.Source{Kind: hook.SourceAPI, ID: who.Key, RequestID: request},
	}, events)
}

// streams follows events.
type streams struct{ t *tail.Tail }

func (s streams) Open(ctx context.Context, q hook.StreamQuery) (api.Stream, error) {
	stream, err := s.t.Open(ctx, q)
	if err != nil {
		return nil, err // not a nil *tail.Stream in an interface
	}
	return stream, nil
}

// operator moves deliveries by hand.
type operator struct{ n *node }

func (o operator) Retry(ctx context.Context, workspace, delivery hook.ID) error {
	target, err := o.n.store.RetryDelivery(ctx, workspace, delivery)
	if err == nil {
		o.n.worker.Waiting(&hook.Target{ID: target, Workspace: workspace})
	}
	return err
}

func (o operator) Skip(ctx context.Context, workspace, delivery hook.ID) error {
	return o.n.store.SkipDelivery(ctx, workspace, delivery)
}

// holder stops and starts all sending.
type holder struct{ n *node }

func (h holder) SetHold(ctx context.Context, _ hook.Principal, on bool) (hook.Hold, error) {
	held, err := h.n.store.SetHold(ctx, on)
	if err != nil {
		return held, err
	}
	return held, h.n.worker.LookAtHold(ctx)
}

// tester sends samples.
type tester struct{ n *node }

func (t tester) Test(ctx context.Context, p hook.Principal, webhook hook.ID, eventType string, request hook.ID) (*hook.Attempt, error) {
	v, err := t.n.catalog.View(ctx, p.Workspace)
	if err != nil {
		return nil, err
	}
	target := v.Targets[webhook]
	if target == nil {
		return nil, hook.NotFound("webhook", webhook.String())
	}
	e := sample(v, target, eventType)
	a, err := t.n.worker.Test(ctx, target, e, hook.Source{Kind: hook.SourceAPI, ID: p.Key, RequestID: request})
	return &a, err
}

// sample makes a test event: of the type asked for, else the first that the webhook
// names exactly, else one that only says that it is a test.
func sample(v *hook.View, t *hook.Target, eventType string) hook.NewEvent {
	if eventType == "" {
		eventType = "webhook.test"
		for _, pattern := range t.Webhook.EventTypes {
			if !strings.HasSuffix(pattern, "*") {
				eventType = pattern
				break
			}
		}
	}
	e := hook.NewEvent{Type: eventType, EntityID: hook.EntityID{Text: "1", Number: true}, Entity: []byte(`{"test":true}`)}
	if et := v.Types[eventType]; et != nil && len(et.Sample) > 0 {
		e.Entity = et.Sample
	}
	return e
}

// diskGuard stops accepting before the disk of SQLite is full, and logs when it begins and ends
// to do so.
type diskGuard struct {
	log  *slog.Logger
	mu   sync.Mutex
	full error
}

func (g *diskGuard) room() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.full
}

// look notes whether there is room now.
func (g *diskGuard) look(dir string, least int64) {
	free, err := freeBytes(dir)
	var full error
	if err == nil && free < uint64(max(0, least)) {
		full = &hook.Error{Kind: hook.KindStorageFull, RetryAfter: 30 * time.Second,
			Detail: "less disk space is free than SALLYPORT_MIN_FREE_DISK asks for; free some, or lower it"}
	}
	g.mu.Lock()
	was := g.full
	g.full = full
	g.mu.Unlock()
	switch {
	case full != nil && was == nil:
		g.log.Warn("storage.full", "free_bytes", free, "least_bytes", least, "note", "publishing and doors answer 503 until there is room")
	case full == nil && was != nil:
		g.log.Info("storage.room", "free_bytes", free)
	}
}

// run looks every other second.
func (g *diskGuard) run(ctx context.Context, dir string, least int64) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			g.look(dir, least)
		}
	}
}

func trimmed(b []byte) string { return strings.TrimSpace(string(b)) }

// audit puts on record what was done already, in no transaction that could hold the row.
func (n *node) audit(ctx context.Context, e *hook.AuditEntry) {
	if err := n.store.Audit(context.WithoutCancel(ctx), e); err != nil {
		n.log.ErrorContext(ctx, "audit", "action", e.Action, "kind", e.Kind, "resource", e.Resource, "request_id", hook.ActorOf(ctx).RequestID, "error", err)
	}
}

// replayingDoors puts replays on record. Calls are accepted many in one statement, which
// has no place for more; the new call has the id of the API's call, which tells of it, too.
type replayingDoors struct {
	*inbound.Doors
	n *node
}

func (d replayingDoors) Replay(ctx context.Context, p hook.Principal, id, call hook.ID) (*hook.Request, error) {
	r, err := d.Doors.Replay(ctx, p, id, call)
	if err == nil {
		d.n.audit(ctx, &hook.AuditEntry{Workspace: p.Workspace, Action: hook.AuditReplay, Kind: hook.AuditRequest, Resource: id, Code: r.Code})
	}
	return r, err
}
