// Package catalog keeps the configuration of workspaces in memory as immutable views,
// and knows who holds which API key. The store's versions decide what is current: a
// view is only a copy, checked by every accept and every half second.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// Store is the part of the store that the catalog copies.
type Store interface {
	LoadSnapshot(ctx context.Context, workspace hook.ID) (hook.Snapshot, error)
	ConfigVersions(ctx context.Context, scopes []hook.ID) (map[hook.ID]int64, error)
	Workspace(ctx context.Context, ref string) (*hook.Workspace, error)
	// KeyByHash returns the key and the code of its workspace, "" for a platform key.
	KeyByHash(ctx context.Context, hash [32]byte) (hook.APIKey, string, error)
	// TouchKeys remembers when keys were used last.
	TouchKeys(ctx context.Context, used map[hook.ID]time.Time) error
}

// Poll is how often a node looks for configuration that others changed: within a
// second they act on it, and this leaves room for the reload. Publishing does not
// depend on it.
const Poll = 500 * time.Millisecond

// loadTimeout bounds one reading of a workspace.
const loadTimeout = 15 * time.Second

// maxCodes bounds how many names of workspaces are remembered; callers choose how to spell
// them.
const maxCodes = 10_000

// Catalog is the copy. Use New; Run keeps it current.
type Catalog struct {
	store Store
	log   *slog.Logger
	now   func() time.Time

	// OnChange is called after a view was replaced. Set it before Run.
	OnChange func(old, new *hook.View)

	mu      sync.RWMutex
	views   map[hook.ID]*hook.View
	codes   map[string]hook.ID
	install int64
	keys    map[[32]byte]*keyEntry
	unknown map[[32]byte]time.Time
	used    map[hook.ID]time.Time
	loading map[hook.ID]*load
}

type load struct {
	done chan struct{}
	view *hook.View
	err  error
}

// New makes an empty catalog.
func New(s Store, log *slog.Logger) *Catalog {
	return &Catalog{
		store: s, log: log, now: time.Now,
		OnChange: func(_, _ *hook.View) {},
		views:    map[hook.ID]*hook.View{}, codes: map[string]hook.ID{},
		keys: map[[32]byte]*keyEntry{}, unknown: map[[32]byte]time.Time{}, used: map[hook.ID]time.Time{},
		loading: map[hook.ID]*load{},
	}
}

// Run keeps the copies current until ctx ends.
func (c *Catalog) Run(ctx context.Context) error {
	poll := time.NewTicker(Poll)
	defer poll.Stop()
	touch := time.NewTicker(touchEvery)
	defer touch.Stop()
	for {
		select {
		case <-ctx.Done():
			c.touch(context.WithoutCancel(ctx))
			return nil
		case <-touch.C:
			c.touch(ctx)
		case <-poll.C:
			if err := c.Sync(ctx); err != nil && ctx.Err() == nil {
				c.log.WarnContext(ctx, "configuration.sync", "error", err)
			}
		}
	}
}

// Sync reloads every copied workspace whose version in the store is another.
func (c *Catalog) Sync(ctx context.Context) error {
	c.mu.RLock()
	scopes := make([]hook.ID, 1, len(c.views)+1) // the installation is the nil id
	for id := range c.views {
		scopes = append(scopes, id)
	}
	c.mu.RUnlock()
	versions, err := c.store.ConfigVersions(ctx, scopes)
	if err != nil {
		return err
	}
	c.setInstall(versions[hook.NoID])
	var errs []error
	for _, id := range scopes[1:] {
		v := c.Cached(id)
		if now, ok := versions[id]; v != nil && (!ok || now != v.Version) {
			errs = append(errs, c.Refresh(ctx, id))
		}
	}
	return errors.Join(errs...)
}

// setInstall notes the version of the installation's own configuration; another one
// means that any platform key may have changed.
func (c *Catalog) setInstall(version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.install == version {
		return
	}
	c.install = version
	clear(c.codes)
	c.forgetKeys(hook.NoID)
}

// InstallVersion is the version of the installation's configuration as copied; it
// covers platform keys.
func (c *Catalog) InstallVersion() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.install
}

// Cached returns the view of a workspace if there is a copy.
func (c *Catalog) Cached(workspace hook.ID) *hook.View {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.views[workspace]
}

// View returns the view of a workspace, loading it if there is no copy.
func (c *Catalog) View(ctx context.Context, workspace hook.ID) (*hook.View, error) {
	if v := c.Cached(workspace); v != nil {
		return v, nil
	}
	return c.load(ctx, workspace)
}

// Target returns a target as it is configured now, nil if it or its workspace is gone
// or not loaded.
func (c *Catalog) Target(workspace, target hook.ID) *hook.Target {
	if v := c.Cached(workspace); v != nil {
		return v.Targets[target]
	}
	return nil
}

// Refresh replaces the copy of a workspace. The nil id is the installation.
func (c *Catalog) Refresh(ctx context.Context, workspace hook.ID) error {
	if workspace == hook.NoID {
		versions, err := c.store.ConfigVersions(ctx, []hook.ID{hook.NoID})
		if err == nil {
			c.setInstall(versions[hook.NoID])
		}
		return err
	}
	_, err := c.load(ctx, workspace)
	if hook.KindOf(err) == hook.KindNotFound {
		c.mu.Lock()
		old := c.views[workspace]
		delete(c.views, workspace)
		c.forgetKeys(workspace)
		c.mu.Unlock()
		if old != nil {
			c.OnChange(old, nil)
		}
		return nil
	}
	return err
}

// Current returns the view of a workspace as the store has it now.
func (c *Catalog) Current(ctx context.Context, workspace hook.ID) (*hook.View, error) {
	versions, err := c.store.ConfigVersions(ctx, []hook.ID{workspace})
	if err != nil {
		return nil, err
	}
	if v := c.Cached(workspace); v != nil && v.Version == versions[workspace] {
		return v, nil
	}
	return c.load(ctx, workspace)
}

// load reads one workspace. Callers at the same time share one reading, but only one
// that began after they asked: they may know of a change that an earlier one missed.
func (c *Catalog) load(ctx context.Context, workspace hook.ID) (*hook.View, error) {
	c.mu.Lock()
	if running := c.loading[workspace]; running != nil {
		c.mu.Unlock()
		select {
		case <-running.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		c.mu.Lock()
	}
	l := c.loading[workspace]
	mine := l == nil
	if mine {
		l = &load{done: make(chan struct{})}
		c.loading[workspace] = l
	}
	c.mu.Unlock()
	if !mine {
		select {
		case <-l.done:
			return l.view, l.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}

	// Others share this reading: it must not end with whoever began it.
	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
	defer cancel()
	snapshot, err := c.store.LoadSnapshot(reading, workspace)
	var old *hook.View
	changed := false
	if err == nil {
		l.view = hook.NewView(snapshot)
	} else {
		l.err = fmt.Errorf("loading the configuration of workspace %s: %w", workspace, err)
	}
	c.mu.Lock()
	if err == nil {
		old = c.views[workspace]
		// Any other version, also an older one: a failover may have turned time back. Loads
		// of a workspace come one after the other, so this one is the latest.
		if changed = old == nil || old.Version != l.view.Version; changed {
			c.views[workspace] = l.view
			c.forgetKeys(workspace)
		} else {
			l.view = old // what is there is as new
		}
	}
	delete(c.loading, workspace)
	c.mu.Unlock()
	close(l.done)
	if changed {
		c.OnChange(old, l.view)
	}
	return l.view, l.err
}

// WorkspaceID returns the id of a workspace by its code or id.
func (c *Catalog) WorkspaceID(ctx context.Context, ref string) (hook.ID, string, error) {
	c.mu.RLock()
	id, ok := c.codes[ref]
	v := c.views[id]
	c.mu.RUnlock()
	if ok && v != nil {
		return id, v.Workspace.Code, nil
	}
	w, err := c.store.Workspace(ctx, ref)
	if err != nil {
		return hook.NoID, "", err
	}
	if _, err := c.View(ctx, w.ID); err != nil {
		return hook.NoID, "", err
	}
	c.mu.Lock()
	if len(c.codes) < maxCodes {
		c.codes[ref] = w.ID
	}
	c.mu.Unlock()
	return w.ID, w.Code, nil
}
