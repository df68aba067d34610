package catalog

import (
	"context"
	"crypto/sha256"
	"time"

	"sallyport/internal/hook"
)

const (
	// Sizes of the copies, in entries.
	maxKeys    = 10_000
	maxUnknown = 4_096
	// unknownFor is how long a key is remembered not to exist: short, since it may be
	// created through another node at any time.
	unknownFor = time.Second
	// touchEvery is how often the store is told which keys were used.
	touchEvery = time.Minute
)

type keyEntry struct {
	key           hook.APIKey
	workspaceCode string
}

// Authenticate finds out whose key this is: KindUnauthorized if nobody's, and
// KindKeyExpired. The Principal's workspace is the key's; for a platform key the
// caller decides it.
func (c *Catalog) Authenticate(ctx context.Context, key string) (hook.Principal, error) {
	h := sha256.Sum256([]byte(key))
	c.mu.RLock()
	e, until := c.keys[h], c.unknown[h]
	c.mu.RUnlock()
	now := c.now()
	if e == nil {
		if now.Before(until) {
			return hook.Principal{}, errNoSuchKey
		}
		found, err := c.find(ctx, h)
		if err != nil {
			return hook.Principal{}, err
		}
		e = found
	}
	if e.key.ExpiresAt != nil && !now.Before(*e.key.ExpiresAt) {
		return hook.Principal{}, hook.Errorf(hook.KindKeyExpired, "this API key expired at %s", e.key.ExpiresAt.UTC().Format(time.RFC3339))
	}
	c.use(e.key.ID, now)
	return hook.Principal{Key: e.key.ID, KeyHash: h, KeyCode: e.key.Code, KeyName: e.key.Name, Role: e.key.Role, Platform: e.key.Platform, Workspace: e.key.Workspace, WorkspaceCode: e.workspaceCode}, nil
}

var errNoSuchKey = hook.Errorf(hook.KindUnauthorized, "this API key is not known; send Authorization: Bearer <key>")

func (c *Catalog) find(ctx context.Context, h [32]byte) (*keyEntry, error) {
	// The view first: a change of the key after it bumps its version.
	install := c.InstallVersion()
	key, code, err := c.store.KeyByHash(ctx, h)
	if hook.KindOf(err) == hook.KindNotFound {
		c.mu.Lock()
		if len(c.unknown) >= maxUnknown {
			clear(c.unknown)
		}
		c.unknown[h] = c.now().Add(unknownFor)
		c.mu.Unlock()
		return nil, errNoSuchKey
	}
	if err != nil {
		return nil, err
	}
	e := &keyEntry{key: key, workspaceCode: code}
	if key.Workspace != hook.NoID {
		before, err := c.View(ctx, key.Workspace)
		if err != nil {
			return nil, err
		}
		// Read again under a view that was there before, or a revocation in between
		// would be missed until the next change.
		if key, code, err = c.store.KeyByHash(ctx, h); err != nil {
			return nil, err
		}
		e = &keyEntry{key: key, workspaceCode: code}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.views[key.Workspace] == before {
			c.remember(h, e)
		}
		return e, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.install == install {
		c.remember(h, e)
	}
	return e, nil
}

func (c *Catalog) remember(h [32]byte, e *keyEntry) {
	if len(c.keys) >= maxKeys {
		clear(c.keys)
	}
	c.keys[h] = e
}

// forgetKeys drops what is known of the keys of one scope, and which keys do not exist.
func (c *Catalog) forgetKeys(workspace hook.ID) {
	clear(c.unknown)
	for h, k := range c.keys {
		if k.key.Workspace == workspace {
			delete(c.keys, h)
		}
	}
}

// Valid reports whether the principal's key still stands, now that its scope was
// refreshed.
func (c *Catalog) Valid(ctx context.Context, p hook.Principal) (bool, error) {
	c.mu.RLock()
	e := c.keys[p.KeyHash]
	c.mu.RUnlock()
	if e == nil {
		var err error
		if e, err = c.find(ctx, p.KeyHash); hook.KindOf(err) == hook.KindUnauthorized {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return e.key.ExpiresAt == nil || c.now().Before(*e.key.ExpiresAt), nil
}

// use notes the time a key was used, in whole minutes at most once each.
func (c *Catalog) use(key hook.ID, now time.Time) {
	c.mu.RLock()
	last := c.used[key]
	c.mu.RUnlock()
	if now.Sub(last) < touchEvery/2 {
		return
	}
	c.mu.Lock()
	c.used[key] = now
	c.mu.Unlock()
}

func (c *Catalog) touch(ctx context.Context) {
	c.mu.Lock()
	used := c.used
	c.used = make(map[hook.ID]time.Time, len(used))
	c.mu.Unlock()
	if len(used) == 0 {
		return
	}
	if err := c.store.TouchKeys(ctx, used); err != nil {
		c.log.WarnContext(ctx, "keys.touch", "error", err)
	}
}
