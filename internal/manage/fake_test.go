package manage_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/manage"
)

// world is a service over a store in memory, with a clock that stands.
type world struct {
	*manage.Service
	store *fakeStore
	pipe  *fakePipeline
	ws    *hook.Workspace
	admin hook.Principal // platform
}

func setup(t *testing.T) *world {
	t.Helper()
	s := &fakeStore{
		ids: hook.NewIDs(), now: time.Date(2026, 11, 21, 2, 13, 0, 0, time.UTC), settings: map[string][]byte{},
		versions: map[hook.ID]int{},
	}
	pipe := &fakePipeline{held: map[hook.ID]int{}}
	w := &world{Service: manage.New(s, fakeEgress{}, fakeRules{}, pipe), store: s, pipe: pipe}
	var err error
	if w.ws, err = s.EnsureDefaultWorkspace(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.admin = hook.Principal{Role: hook.RoleAdmin, Platform: true, Workspace: w.ws.ID, WorkspaceCode: w.ws.Code}
	return w
}

// own is an admin of the workspace, without the platform.
func (w *world) own() hook.Principal {
	p := w.admin
	p.Platform = false
	return p
}

// webhook creates one, which must succeed.
func (w *world) webhook(t *testing.T, doc string) hook.WebhookResult {
	t.Helper()
	r, err := w.CreateWebhook(t.Context(), w.admin, []byte(doc))
	if err != nil {
		t.Fatalf("creating %s: %v", doc, err)
	}
	return r
}

// wantChange fails the test unless a write did this to these fields.
func wantChange(t *testing.T, write string, err error, got hook.Change, gotFields []string, want hook.Change, wantFields []string) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", write, err)
	}
	if got != want || !slices.Equal(gotFields, wantFields) {
		t.Fatalf("%s: %s %v; want %s %v", write, got, gotFields, want, wantFields)
	}
}

// put replaces one, which must succeed, and checks what is said to have changed.
func (w *world) put(t *testing.T, ref, doc string, change hook.Change, changed ...string) hook.WebhookResult {
	t.Helper()
	r, err := w.PutWebhook(t.Context(), w.admin, ref, []byte(doc), hook.Write{})
	wantChange(t, "putting "+doc, err, r.Change, r.Changed, change, changed)
	return r
}

func (w *world) patch(t *testing.T, ref, doc string, change hook.Change, changed ...string) hook.WebhookResult {
	t.Helper()
	r, err := w.PatchWebhook(t.Context(), w.admin, ref, []byte(doc), hook.Write{})
	wantChange(t, "patching "+doc, err, r.Change, r.Changed, change, changed)
	return r
}

// stored is the webhook as the store has it, values in clear.
func (w *world) stored(t *testing.T, ref string) *hook.Webhook {
	t.Helper()
	x := w.store.findWebhook(w.ws.ID, ref)
	if x == nil {
		t.Fatalf("no webhook %q", ref)
	}
	return x
}

// faults returns "field code" of a validation error, sorted.
func faults(t *testing.T, err error) []string {
	t.Helper()
	var e *hook.Error
	if !errors.As(err, &e) || e.Kind != hook.KindInvalid {
		t.Fatalf("error = %v; want validation_failed", err)
	}
	var out []string
	for _, f := range e.Faults {
		if f.Detail == "" {
			t.Errorf("fault %s %s has no detail", f.Field, f.Code)
		}
		out = append(out, f.Field+" "+f.Code)
	}
	slices.Sort(out)
	return out
}

func wantFaults(t *testing.T, err error, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := faults(t, err); !slices.Equal(got, want) {
		t.Errorf("faults:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func wantKind(t *testing.T, err error, kind hook.Kind) *hook.Error {
	t.Helper()
	if hook.KindOf(err) != kind {
		t.Fatalf("error = %v; want %s", err, kind)
	}
	var e *hook.Error
	errors.As(err, &e)
	return e
}

// fakeConditions takes every expression but those with braces.
type fakeConditions struct{}

func (fakeConditions) Check(expression string) error {
	if strings.Contains(expression, "{{") {
		return errors.New("no braces")
	}
	return nil
}

type fakeEgress struct{}

func (fakeEgress) RefusesHost(host string) error {
	a, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && (a.IsPrivate() || a.IsLoopback()) {
		return errors.New(host + " is not a public address")
	}
	return nil
}

type fakePipeline struct {
	held    map[hook.ID]int
	deleted []hook.ID
	changed []hook.ID
	counted *hook.ReplaySpec
	moved   []hook.ReplayState // replays
}

func (p *fakePipeline) CountReplay(_ context.Context, _ hook.ID, spec *hook.ReplaySpec) (hook.ReplayCount, error) {
	p.counted = spec
	return hook.ReplayCount{Total: 812, Complete: true}, nil
}

func (p *fakePipeline) ReplayChanged(_ hook.ID, state hook.ReplayState) {
	p.moved = append(p.moved, state)
}

func (p *fakePipeline) Held(_ context.Context, _, target hook.ID) (int, error) {
	return p.held[target], nil
}
func (p *fakePipeline) TargetDeleted(_, target hook.ID) { p.deleted = append(p.deleted, target) }
func (p *fakePipeline) ConfigChanged(workspace hook.ID) { p.changed = append(p.changed, workspace) }

// fakeStore keeps nouns in memory and runs every decision twice, as a transaction that
// lost a race would.
type fakeStore struct {
	mu         sync.Mutex
	ids        *hook.IDs
	now        time.Time
	told       []hook.Notice
	settings   map[string][]byte
	versions   map[hook.ID]int // changes of each scope
	workspaces []*hook.Workspace
	keys       []*hook.APIKey
	types      []*hook.EventType
	webhooks   []*hook.Webhook
	actions    []*hook.Action
	doors      []*hook.IncomingWebhook
	replays    []*hook.Replay
}

func (s *fakeStore) Setting(_ context.Context, key string) ([]byte, error) {
	return s.settings[key], nil
}

func (s *fakeStore) PutSettingIfAbsent(_ context.Context, key string, value []byte) ([]byte, error) {
	if _, ok := s.settings[key]; !ok {
		s.settings[key] = value
	}
	return s.settings[key], nil
}

func pick[T any](list []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

func named(ref string, id hook.ID, code string) bool {
	return ref == id.String() || !hook.IsID(ref) && strings.EqualFold(ref, code)
}

func (s *fakeStore) Workspace(_ context.Context, ref string) (*hook.Workspace, error) {
	w := pick(s.workspaces, func(w *hook.Workspace) bool { return named(ref, w.ID, w.Code) })
	if w == nil {
		return nil, hook.NotFound("workspace", ref)
	}
	return w, nil
}

func (s *fakeStore) Workspaces(context.Context, hook.WorkspaceFilter, hook.Page) ([]*hook.Workspace, bool, error) {
	return s.workspaces, false, nil
}

func (s *fakeStore) scene(workspace hook.ID) hook.Scene {
	w := pick(s.workspaces, func(w *hook.Workspace) bool { return w.ID == workspace })
	scene := hook.Scene{Now: s.now}
	if w != nil {
		scene.Workspace = *w
	}
	return scene
}

func twice[S, T any](scene S, decide func(S) (*T, error)) (*T, error) {
	if _, err := decide(scene); err != nil {
		return nil, err
	}
	return decide(scene)
}

func idOf[T any](x *T, id func(*T) hook.ID) hook.ID {
	if x == nil {
		return hook.NoID
	}
	return id(x)
}

func (s *fakeStore) EditWorkspace(ctx context.Context, ref string, dry bool, decide func(hook.WorkspaceScene) (*hook.Workspace, error)) (*hook.Workspace, error) {
	scene := hook.WorkspaceScene{Scene: s.scene(hook.NoID)}
	scene.CodeOwner = func(code string) (hook.ID, error) {
		return idOf(pick(s.workspaces, func(w *hook.Workspace) bool { return strings.EqualFold(w.Code, code) }), func(w *hook.Workspace) hook.ID { return w.ID }), nil
	}
	if ref != "" {
		if w, err := s.Workspace(ctx, ref); err == nil {
			c := *w
			scene.Current = &c
		}
	}
	next, err := twice(scene, decide)
	if err != nil || next == nil {
		return scene.Current, err
	}
	next.UpdatedAt = s.now
	if cur := scene.Current; cur != nil {
		next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
	} else {
		next.ID, next.CreatedAt, next.Version = s.ids.New(), s.now, 1
	}
	if !dry {
		s.versions[hook.NoID]++
		s.workspaces = append(slices.DeleteFunc(s.workspaces, func(w *hook.Workspace) bool { return w.ID == next.ID }), next)
	}
	return next, nil
}

func (s *fakeStore) EnsureDefaultWorkspace(ctx context.Context) (*hook.Workspace, error) {
	return s.EditWorkspace(ctx, hook.DefaultWorkspace, false, func(scene hook.WorkspaceScene) (*hook.Workspace, error) {
		if scene.Current != nil {
			return nil, nil
		}
		return &hook.Workspace{Code: hook.DefaultWorkspace, Name: "Default", Metadata: map[string]string{}}, nil
	})
}

func (s *fakeStore) DeleteWorkspace(ctx context.Context, ref string, check func(*hook.Workspace) error) (hook.ID, []hook.ID, error) {
	w, err := s.Workspace(ctx, ref)
	if err == nil {
		err = check(w)
	}
	if err != nil {
		return hook.NoID, nil, err
	}
	s.workspaces = slices.DeleteFunc(s.workspaces, func(x *hook.Workspace) bool { return x.ID == w.ID })
	var ids []hook.ID
	for _, x := range s.webhooks {
		if x.Workspace == w.ID {
			ids = append(ids, x.ID)
		}
	}
	return w.ID, ids, nil
}

func (s *fakeStore) APIKey(_ context.Context, workspace hook.ID, ref string) (*hook.APIKey, error) {
	k := pick(s.keys, func(k *hook.APIKey) bool { return k.Workspace == workspace && named(ref, k.ID, k.Code) })
	if k == nil {
		return nil, hook.NotFound("API key", ref)
	}
	return k, nil
}

func (s *fakeStore) APIKeys(_ context.Context, workspaces []hook.ID, _ hook.ListFilter, _ hook.Page) ([]*hook.APIKey, bool, error) {
	var out []*hook.APIKey
	for _, k := range s.keys {
		if slices.Contains(workspaces, k.Workspace) {
			out = append(out, k)
		}
	}
	return out, false, nil
}

func (s *fakeStore) EditAPIKey(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.APIKeyScene) (*hook.APIKey, error)) (*hook.APIKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keyID := func(k *hook.APIKey) hook.ID { return k.ID }
	scene := hook.APIKeyScene{Scene: s.scene(workspace), HashOwner: func(h [32]byte) (hook.ID, error) {
		return idOf(pick(s.keys, func(k *hook.APIKey) bool { return k.Hash == h }), keyID), nil
	}}
	scene.CodeOwner = func(code string) (hook.ID, error) {
		return idOf(pick(s.keys, func(k *hook.APIKey) bool { return k.Workspace == workspace && strings.EqualFold(k.Code, code) }), keyID), nil
	}
	if ref != "" {
		if k, err := s.APIKey(ctx, workspace, ref); err == nil {
			c := *k
			scene.Current = &c
		}
	}
	next, err := twice(scene, decide)
	if err != nil || next == nil {
		return scene.Current, err
	}
	next.Workspace, next.UpdatedAt = workspace, s.now
	if cur := scene.Current; cur != nil {
		next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
	} else {
		next.ID, next.CreatedAt, next.Version = s.ids.New(), s.now, 1
	}
	if !dry {
		s.versions[workspace]++
		s.keys = append(slices.DeleteFunc(s.keys, func(k *hook.APIKey) bool { return k.ID == next.ID }), next)
	}
	return next, nil
}

func (s *fakeStore) DeleteAPIKey(ctx context.Context, workspace hook.ID, ref string, check func(*hook.APIKey) error) error {
	k, err := s.APIKey(ctx, workspace, ref)
	if err == nil {
		err = check(k)
	}
	if err == nil {
		s.keys = slices.DeleteFunc(s.keys, func(x *hook.APIKey) bool { return x.ID == k.ID })
	}
	return err
}

func (s *fakeStore) EventType(_ context.Context, workspace hook.ID, ref string) (*hook.EventType, error) {
	t := pick(s.types, func(t *hook.EventType) bool {
		return t.Workspace == workspace && (t.Name == ref || t.ID.String() == ref)
	})
	if t == nil {
		return nil, hook.NotFound("event type", ref)
	}
	return t, nil
}

func (s *fakeStore) EventTypes(context.Context, hook.ID, hook.ListFilter, hook.Page) ([]*hook.EventType, bool, error) {
	return s.types, false, nil
}

func (s *fakeStore) TypeNames(context.Context, hook.ID) ([]string, error) {
	var names []string
	for _, t := range s.types {
		names = append(names, t.Name)
	}
	return names, nil
}

func (s *fakeStore) EditEventType(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.EventTypeScene) (*hook.EventType, error)) (*hook.EventType, error) {
	scene := hook.EventTypeScene{Scene: s.scene(workspace)}
	scene.NameOwner = func(name string) (hook.ID, error) {
		return idOf(pick(s.types, func(t *hook.EventType) bool { return t.Name == name }), func(t *hook.EventType) hook.ID { return t.ID }), nil
	}
	if ref != "" {
		if t, err := s.EventType(ctx, workspace, ref); err == nil {
			c := *t
			scene.Current = &c
		}
	}
	next, err := twice(scene, decide)
	if err != nil || next == nil {
		return scene.Current, err
	}
	next.Workspace, next.UpdatedAt = workspace, s.now
	if cur := scene.Current; cur != nil {
		next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
	} else {
		next.ID, next.CreatedAt, next.Version = s.ids.New(), s.now, 1
	}
	if !dry {
		s.versions[workspace]++
		s.types = append(slices.DeleteFunc(s.types, func(t *hook.EventType) bool { return t.ID == next.ID }), next)
	}
	return next, nil
}

func (s *fakeStore) DeleteEventType(ctx context.Context, workspace hook.ID, ref string, check func(*hook.EventType) error) error {
	t, err := s.EventType(ctx, workspace, ref)
	if err == nil {
		err = check(t)
	}
	if err == nil {
		s.types = slices.DeleteFunc(s.types, func(x *hook.EventType) bool { return x.ID == t.ID })
	}
	return err
}
