package catalog

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

// shelf is a store in memory. Loads may be held up, to look at what waits for them.
type shelf struct {
	mu       sync.Mutex
	versions map[hook.ID]int64
	keys     map[[32]byte]hook.APIKey
	used     map[hook.ID]time.Time
	loads    int
	asked    int // for keys
	hold     chan struct{}
}

func (s *shelf) LoadSnapshot(ctx context.Context, workspace hook.ID) (hook.Snapshot, error) {
	s.mu.Lock()
	s.loads++
	v, ok := s.versions[workspace]
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return hook.Snapshot{}, ctx.Err()
		}
	}
	if !ok {
		return hook.Snapshot{}, hook.Errorf(hook.KindNotFound, "no such workspace")
	}
	return hook.Snapshot{Workspace: hook.Workspace{ID: workspace, Code: "main"}, Version: v}, nil
}

func (s *shelf) ConfigVersions(_ context.Context, scopes []hook.ID) (map[hook.ID]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[hook.ID]int64{}
	for _, id := range scopes {
		if v, ok := s.versions[id]; ok {
			found[id] = v
		}
	}
	return found, nil
}

func (s *shelf) Workspace(_ context.Context, ref string) (*hook.Workspace, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.versions {
		if id != hook.NoID && (ref == "main" || ref == id.String()) {
			return &hook.Workspace{ID: id, Code: "main"}, nil
		}
	}
	return nil, hook.NoWorkspace(ref)
}

func (s *shelf) KeyByHash(_ context.Context, hash [32]byte) (hook.APIKey, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	k, ok := s.keys[hash]
	if !ok {
		return hook.APIKey{}, "", hook.Errorf(hook.KindNotFound, "no such key")
	}
	if k.Platform {
		return k, "", nil
	}
	return k, "main", nil
}

func (s *shelf) TouchKeys(_ context.Context, used map[hook.ID]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = used
	return nil
}

// change does something to the store and says so in the scope's version.
func (s *shelf) change(scope hook.ID, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.versions[scope]++
}

type world struct {
	*Catalog
	store *shelf
	ids   *hook.IDs
	ws    hook.ID
}

func setup() *world {
	w := &world{ids: hook.NewIDs()}
	w.ws = w.ids.New()
	w.store = &shelf{versions: map[hook.ID]int64{hook.NoID: 1, w.ws: 1}, keys: map[[32]byte]hook.APIKey{}}
	w.Catalog = New(w.store, slog.New(slog.DiscardHandler))
	return w
}

// key lays a key into the store.
func (w *world) key(value string, scope hook.ID, expires *time.Time) hook.APIKey {
	k := hook.APIKey{ID: w.ids.New(), Workspace: scope, Platform: scope == hook.NoID, Role: hook.RoleAdmin, ExpiresAt: expires}
	w.store.change(scope, func() { w.store.keys[sha256.Sum256([]byte(value))] = k })
	return k
}

func wantKind(t *testing.T, err error, want hook.Kind) {
	t.Helper()
	if got := hook.KindOf(err); err == nil || got != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What another node changed is known after one Poll, and told once.
func TestSyncFollowsTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup()
		var told []int64
		w.OnChange = func(_, now *hook.View) {
			if now == nil {
				told = append(told, 0)
				return
			}
			told = append(told, now.Version)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		if _, err := w.View(ctx, w.ws); err != nil {
			t.Fatal(err)
		}
		w.store.change(w.ws, func() {})
		time.Sleep(10*Poll + Poll/2)
		synctest.Wait()
		if v := w.Cached(w.ws); v.Version != 2 || w.store.loads != 2 {
			t.Errorf("version %d after %d loads, want 2 after 2", v.Version, w.store.loads)
		}
		w.store.mu.Lock()
		delete(w.store.versions, w.ws)
		w.store.mu.Unlock()
		time.Sleep(Poll)
		synctest.Wait()
		if w.Cached(w.ws) != nil {
			t.Error("a deleted workspace is still there")
		}
		if len(told) != 3 || told[0] != 1 || told[1] != 2 || told[2] != 0 {
			t.Errorf("told of %v, want 1, 2 and the end", told)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// Callers share a load, but not one that began before they asked: it may have missed the
// change that they know of.
// A failover to a standby that lagged may take the last change of the configuration back.
func TestAnOlderVersionIsFollowed(t *testing.T) {
	t.Parallel()
	ws := hook.NewIDs().New()
	s := &shelf{versions: map[hook.ID]int64{ws: 8}}
	c := New(s, slog.New(slog.DiscardHandler))
	if v, err := c.View(t.Context(), ws); err != nil || v.Version != 8 {
		t.Fatalf("view = %+v, %v", v, err)
	}
	s.mu.Lock()
	s.versions[ws] = 7
	s.mu.Unlock()
	if err := c.Refresh(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if v := c.Cached(ws); v.Version != 7 {
		t.Errorf("version %d is kept, the store has 7: every accept would be stale", v.Version)
	}
}

func TestLoadsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup()
		first, second := make(chan struct{}), make(chan struct{})
		w.store.hold = first
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := w.View(t.Context(), w.ws); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // it has read version 1
		w.store.change(w.ws, func() { w.store.hold = second })
		for range 20 {
			all.Go(func() {
				if err := w.Refresh(t.Context(), w.ws); err != nil {
					t.Error(err)
				}
				if v := w.Cached(w.ws); v.Version != 2 {
					t.Errorf("version %d after a refresh, want 2", v.Version)
				}
			})
		}
		synctest.Wait()
		close(first)
		synctest.Wait()
		close(second)
		all.Wait()
		if w.store.loads != 2 {
			t.Errorf("%d loads for 21 callers, want one of each version", w.store.loads)
		}
	})
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup()
		ctx := t.Context()
		later := time.Now().Add(time.Hour)
		mine, platform := w.key("mine", w.ws, &later), w.key("platform", hook.NoID, nil)
		if err := w.Refresh(ctx, hook.NoID); err != nil {
			t.Fatal(err)
		}
		p, err := w.Authenticate(ctx, "mine")
		if err != nil || p.Key != mine.ID || p.Workspace != w.ws || p.WorkspaceCode != "main" || p.Platform {
			t.Fatalf("%+v, %v", p, err)
		}
		all, err := w.Authenticate(ctx, "platform")
		if err != nil || all.Key != platform.ID || !all.Platform || all.Workspace != hook.NoID {
			t.Fatalf("%+v, %v", all, err)
		}
		asked := w.store.asked
		for range 10 {
			_, err1 := w.Authenticate(ctx, "mine")
			_, err2 := w.Authenticate(ctx, "platform")
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
		}
		if w.store.asked != asked {
			t.Errorf("a known key was looked up %d times more", w.store.asked-asked)
		}

		// Unknown ones are remembered too, but for a second only.
		asked = w.store.asked
		for range 10 {
			_, err = w.Authenticate(ctx, "new")
			wantKind(t, err, hook.KindUnauthorized)
		}
		if w.store.asked != asked+1 {
			t.Errorf("an unknown key was looked up %d times", w.store.asked-asked)
		}
		w.key("new", w.ws, nil)
		time.Sleep(unknownFor)
		if _, err = w.Authenticate(ctx, "new"); err != nil {
			t.Errorf("a second later: %v", err)
		}

		// Revoked, it is nobody's once the scope was refreshed.
		w.store.change(w.ws, func() { delete(w.store.keys, p.KeyHash) })
		w.store.change(hook.NoID, func() { delete(w.store.keys, all.KeyHash) })
		for _, scope := range []hook.ID{w.ws, hook.NoID} {
			if err := w.Refresh(ctx, scope); err != nil {
				t.Fatal(err)
			}
		}
		for value, p := range map[string]hook.Principal{"mine": p, "platform": all} {
			_, err = w.Authenticate(ctx, value)
			wantKind(t, err, hook.KindUnauthorized)
			if ok, err := w.Valid(ctx, p); ok || err != nil {
				t.Errorf("%s is valid: %v, %v", value, ok, err)
			}
		}
	})
}

// An expiry needs no change of configuration to count.
func TestKeysExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup()
		end := time.Now().Add(time.Hour)
		w.key("mine", w.ws, &end)
		p, err := w.Authenticate(t.Context(), "mine")
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := w.Valid(t.Context(), p); !ok || err != nil {
			t.Errorf("valid: %v, %v", ok, err)
		}
		time.Sleep(time.Hour)
		_, err = w.Authenticate(t.Context(), "mine")
		wantKind(t, err, hook.KindKeyExpired)
		if ok, err := w.Valid(t.Context(), p); ok || err != nil {
			t.Errorf("valid at its end: %v, %v", ok, err)
		}
	})
}

// The store hears of use within a minute, and of the last at the end.
func TestUseIsToldToTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup()
		k := w.key("mine", w.ws, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		at := time.Now()
		if _, err := w.Authenticate(ctx, "mine"); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if got := w.store.used[k.ID]; !got.Equal(at) {
			t.Errorf("used at %v, want %v", got, at)
		}
	})
}
