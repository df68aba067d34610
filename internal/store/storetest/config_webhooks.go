package storetest

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// spec is a webhook in which every field says something.
func spec(code string) hook.WebhookSpec {
	return hook.WebhookSpec{
		Code: code, Name: "Name of " + code, Description: "two\nlines", URL: "https://x.example/?a=<1>&b=2", URLSecret: true, Method: "PUT",
		ContentType: "application/json", Profile: "default",
		Signature:  &hook.CustomSignature{Algorithm: "hmac-sha1", Header: "X-Sig", Encoding: "hex", Prefix: "sha1=", Content: "{id}.{body}"},
		EventTypes: []string{"order.*", "x"}, IncludeEntity: true, Enabled: true,
		BasicAuth: &hook.BasicAuth{Username: "erp", Password: "pässword"},
		Headers: []hook.Header{
			{Name: "X-Token", Value: "header-secret", Secret: true}, {Name: "X-Team", Value: "erp"},
		},
		MaxAttempts: 7, Retry: hook.Retry{Exponential: &hook.Exponential{Initial: time.Second, Factor: 1.5, Max: time.Hour}, Jitter: 0.25},
		Timeout: 3 * time.Second, SuccessCodes: []string{"200", "4xx"}, MaxInFlight: 3, RateLimit: &hook.RateLimit{Requests: 5, Per: time.Minute},
		Ordering: "none", Metadata: map[string]string{"managed-by": "ci", "weird \"key\"": "it's 100%"},
	}
}

func (w *world) create(t *testing.T, change func(*hook.Webhook)) *hook.Webhook {
	t.Helper()
	return w.edit(t, "", func(next *hook.Webhook) {
		next.WebhookSpec = spec("a")
		change(next)
	})
}

func (w *world) edit(t *testing.T, ref string, change func(*hook.Webhook)) *hook.Webhook {
	t.Helper()
	x, err := w.EditWebhook(t.Context(), w.ws.ID, ref, false, editing(change))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func editing(change func(*hook.Webhook)) func(hook.WebhookScene) (*hook.Webhook, error) {
	return func(scene hook.WebhookScene) (*hook.Webhook, error) {
		next := &hook.Webhook{StateSince: scene.Now}
		if scene.Current != nil {
			*next = *scene.Current
		}
		change(next)
		return next, nil
	}
}

func webhookRoundTrip(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	end := time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond)
	made := w.create(t, func(x *hook.Webhook) {
		x.Secrets = []hook.Secret{{Value: "the-old-secret-0123456789", ExpiresAt: &end, CreatedAt: end}, {Value: "short-one", CreatedAt: end}}
		x.Paused, x.Suspended = true, hook.SuspendedGone
		x.MissingSince = x.StateSince.Add(-time.Hour)
	})
	full, err := w.LoadTarget(ctx, w.ws.ID, made.ID)
	if err != nil || !reflect.DeepEqual(full, made) {
		t.Fatalf("read   %+v\nwrote %+v\n%v", full, made, err)
	}
	if made.Number != 1 || made.Version != 1 || made.Secrets[0].Hint != "…6789" || made.Secrets[0].Short || !made.Secrets[1].Short {
		t.Errorf("made %+v", made)
	}
	// What is shown has no values.
	shown, err := w.Webhook(ctx, w.ws.ID, "A")
	if err != nil || shown.Secrets[0].Value != "" || shown.BasicAuth.Password != "" || shown.Headers[0].Value != "" || shown.Headers[1].Value != "erp" || len(shown.Secrets) != 2 {
		t.Fatalf("shown %#v, %v", shown, err)
	}
	// The other forms, and nothing at all.
	forms := []hook.Retry{
		{Schedule: []time.Duration{time.Second, time.Minute}, Jitter: 0.1},
		{Linear: &hook.Linear{Interval: time.Minute}},
	}
	for _, r := range forms {
		made = w.edit(t, "a", func(x *hook.Webhook) {
			x.Retry, x.Signature, x.BasicAuth, x.RateLimit, x.Headers, x.MaxInFlight = r, nil, nil, nil, nil, 0
			x.Secrets = x.Secrets[len(x.Secrets)-1:]
			x.Metadata = map[string]string{}
		})
		if full, err = w.LoadTarget(ctx, w.ws.ID, made.ID); err != nil || !reflect.DeepEqual(full, made) {
			t.Fatalf("read   %+v\nwrote %+v\n%v", full, made, err)
		}
	}
	// A secret keeps its row, and one whose time is over is not there.
	id := full.Secrets[0].ID
	past := time.Now().Add(-time.Second).UTC().Truncate(time.Millisecond)
	w.edit(t, "a", func(x *hook.Webhook) {
		x.Secrets = append([]hook.Secret{{Value: "over", ExpiresAt: &past, CreatedAt: past}}, x.Secrets...)
	})
	if full, err = w.LoadTarget(ctx, w.ws.ID, made.ID); err != nil || len(full.Secrets) != 1 || full.Secrets[0].ID != id {
		t.Fatalf("secrets %+v, %v", full.Secrets, err)
	}
}

func versions(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	last := w.version(t)
	bumped := func(what string, want bool) {
		t.Helper()
		v := w.version(t)
		if (v == last+1) != want || !want && v != last {
			t.Errorf("%s: version went from %d to %d", what, last, v)
		}
		last = v
	}
	w.create(t, func(*hook.Webhook) {})
	bumped("creating", true)
	w.edit(t, "a", func(x *hook.Webhook) { x.Paused = true })
	bumped("pausing", true)
	if x, err := w.EditWebhook(ctx, w.ws.ID, "a", false, func(hook.WebhookScene) (*hook.Webhook, error) { return nil, nil }); err != nil || x.Version != 2 {
		t.Fatalf("unchanged: %+v, %v", x, err)
	}
	bumped("nothing", false)
	if x, err := w.EditWebhook(ctx, w.ws.ID, "a", true, editing(func(x *hook.Webhook) { x.Name = "dry" })); err != nil || x.Name != "dry" {
		t.Fatalf("dry: %+v, %v", x, err)
	}
	bumped("a dry run", false)
	if x, err := w.Webhook(ctx, w.ws.ID, "a"); err != nil || x.Name == "dry" || x.Version != 2 {
		t.Fatalf("after a dry run: %+v, %v", x, err)
	}
	if _, err := w.EditWebhook(ctx, w.ws.ID, "a", false, func(hook.WebhookScene) (*hook.Webhook, error) { return nil, errUnexpected }); !errors.Is(err, errUnexpected) {
		t.Fatalf("refused: %v", err)
	}
	bumped("a refusal", false)
	w.key(t, w.ws.ID, "k", "k")
	bumped("an API key", true)
	w.edit(t, "a", func(x *hook.Webhook) { now := time.Now(); x.DeletedAt = &now })
	bumped("deleting", true)
	all, err := w.ConfigVersions(ctx, []hook.ID{w.ws.ID, hook.NoID, w.ID()})
	if err != nil || len(all) != 2 {
		t.Errorf("versions = %v, %v", all, err)
	}
}

func webhookLists(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	var made []*hook.Webhook
	for i := range 5 {
		made = append(made, w.create(t, func(x *hook.Webhook) {
			x.WebhookSpec = spec("w" + strconv.Itoa(i))
			x.Metadata["even"] = strconv.FormatBool(i%2 == 0)
		}))
	}
	codes := func(f hook.ListFilter, p hook.Page) (string, bool) {
		t.Helper()
		list, more, err := w.Webhooks(ctx, w.ws.ID, f, p)
		if err != nil {
			t.Fatal(err)
		}
		s := ""
		for _, x := range list {
			s += x.Code
			if len(x.Secrets) != 0 || x.BasicAuth.Password != "" || x.Headers[1].Value != "erp" {
				t.Errorf("listed %#v", x)
			}
		}
		return s, more
	}
	for _, c := range []struct {
		why  string
		f    hook.ListFilter
		p    hook.Page
		want string
		more bool
	}{
		{"newest first", hook.ListFilter{}, hook.Page{Limit: 5}, "w4w3w2w1w0", false},
		{"first page", hook.ListFilter{}, hook.Page{Limit: 2}, "w4w3", true},
		{"next page", hook.ListFilter{}, hook.Page{Limit: 2, After: made[3].ID}, "w2w1", true},
		{"last page", hook.ListFilter{}, hook.Page{Limit: 2, After: made[1].ID}, "w0", false},
		{"oldest first", hook.ListFilter{}, hook.Page{Limit: 2, Asc: true, After: made[0].ID}, "w1w2", true},
		{"by metadata", hook.ListFilter{Metadata: map[string]string{"even": "true"}}, hook.Page{Limit: 9}, "w4w2w0", false},
		{"all of metadata", hook.ListFilter{Metadata: map[string]string{"even": "true", `weird "key"`: "it's 100%"}}, hook.Page{Limit: 9}, "w4w2w0", false},
		{"not all of metadata", hook.ListFilter{Metadata: map[string]string{"even": "true", "managed-by": "me"}}, hook.Page{Limit: 9}, "", false},
		{"since is inclusive", hook.ListFilter{Since: made[4].CreatedAt}, hook.Page{Limit: 9}, since(made, 4), false},
		{"until is exclusive", hook.ListFilter{Until: made[0].CreatedAt}, hook.Page{Limit: 9}, "", false},
	} {
		if got, more := codes(c.f, c.p); got != c.want || more != c.more {
			t.Errorf("%s: %q, more %v; want %q, %v", c.why, got, more, c.want, c.more)
		}
	}
}

// since lists, newest first, the codes of those made not before the nth: several may
// have been made in one millisecond.
func since(made []*hook.Webhook, n int) string {
	s := ""
	for i := len(made) - 1; i >= 0; i-- {
		if !made[i].CreatedAt.Before(made[n].CreatedAt) {
			s += made[i].Code
		}
	}
	return s
}

func races(t *testing.T, open Opener) {
	w := setup(t, open)
	const n = 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	created, updated := 0, 0
	for range n {
		wg.Go(func() {
			made := false
			x, err := w.EditWebhook(t.Context(), w.ws.ID, "same", false, func(scene hook.WebhookScene) (*hook.Webhook, error) {
				made = scene.Current == nil
				if !made {
					next := *scene.Current
					next.MaxAttempts++
					return &next, nil
				}
				if id, err := scene.CodeOwner("SAME"); err != nil || id != hook.NoID {
					t.Errorf("owner of a free code: %v, %v", id, err)
				}
				next := &hook.Webhook{WebhookSpec: spec("same"), StateSince: scene.Now}
				next.MaxAttempts = 1
				return next, nil
			})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if made {
				created++
			} else {
				updated++
			}
			if x.Version != int64(x.MaxAttempts) {
				t.Errorf("version %d after %d changes", x.Version, x.MaxAttempts)
			}
		})
	}
	// The value of a key is unique beyond workspaces, which are locked one by one.
	other, err := w.EditWorkspace(t.Context(), "", false, func(hook.WorkspaceScene) (*hook.Workspace, error) {
		return &hook.Workspace{Code: "other", Name: "Other"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for i := range n {
		wg.Go(func() {
			ws := w.ws.ID
			if i%2 == 0 {
				ws = other.ID
			}
			_, err := w.EditAPIKey(t.Context(), ws, "", false, func(scene hook.APIKeyScene) (*hook.APIKey, error) {
				if id, err := scene.HashOwner([32]byte{7}); err != nil || id != hook.NoID {
					return nil, errors.Join(err, errUnexpected)
				}
				return &hook.APIKey{Code: "k" + strconv.Itoa(i), Hash: [32]byte{7}}, nil
			})
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, errUnexpected) {
				taken++
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if created != 1 || updated != n-1 || taken != n-1 {
		t.Errorf("%d created, %d updated, %d found the key taken", created, updated, taken)
	}
}

func snapshot(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	a := w.create(t, func(x *hook.Webhook) { x.Secrets = []hook.Secret{{Value: "a-signing-secret-012345678"}} })
	w.create(t, func(x *hook.Webhook) { x.WebhookSpec = spec("b"); now := time.Now(); x.DeletedAt = &now })
	c := w.create(t, func(x *hook.Webhook) {
		x.WebhookSpec = spec("c")
		x.Secrets = []hook.Secret{{Value: "c-signing-secret-012345678"}}
	})
	if err := w.AddEventTypes(ctx, w.ws.ID, []string{"order.paid"}); err != nil {
		t.Fatal(err)
	}
	s, err := w.LoadSnapshot(ctx, w.ws.ID)
	if err != nil {
		t.Fatal(err)
	}
	if s.Workspace.ID != w.ws.ID || s.Version != w.version(t) || len(s.Webhooks) != 2 || len(s.Types) != 1+len(hook.OperationalTypes) || s.Types["order.paid"] == nil {
		t.Fatalf("snapshot %+v", s)
	}
	for i, want := range []*hook.Webhook{a, c} {
		got := s.Webhooks[i]
		if got.ID != want.ID || len(got.Secrets) != 1 || got.Secrets[0].Value != want.Secrets[0].Value || got.BasicAuth.Password != "pässword" || got.Headers[0].Value != "header-secret" {
			t.Errorf("webhook %d: %+v", i, got)
		}
	}
	if c.Number != 3 {
		t.Errorf("number %d", c.Number)
	}
	_, err = w.LoadSnapshot(ctx, w.ID())
	mustKind(t, err, hook.KindNotFound)
	// Another key cannot open it: the ciphertext is bound to its place and to the key.
	w.SetSealer(newSealer(t))
	if _, err := w.LoadSnapshot(ctx, w.ws.ID); err == nil {
		t.Error("another key opened the secrets")
	}
}

func tombstones(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	a := w.create(t, func(x *hook.Webhook) { x.Secrets = []hook.Secret{{Value: "a-signing-secret-012345678"}} })
	now := time.Now().UTC().Truncate(time.Millisecond)
	w.edit(t, "a", func(x *hook.Webhook) { x.DeletedAt = &now })
	_, err := w.Webhook(ctx, w.ws.ID, a.ID.String())
	mustKind(t, err, hook.KindNotFound)
	dead, err := w.LoadTarget(ctx, w.ws.ID, a.ID)
	if err != nil || dead.Name != a.Name || dead.DeletedAt == nil || dead.State() != hook.TargetDisabled || len(dead.Secrets) != 0 || dead.BasicAuth.Password != "" {
		t.Fatalf("tombstone %+v, %v", dead, err)
	}
	_, err = w.LoadTarget(ctx, w.ID(), a.ID)
	mustKind(t, err, hook.KindNotFound)
	b := w.create(t, func(*hook.Webhook) {}) // code and name are free
	if b.ID == a.ID || b.Number != 2 {
		t.Errorf("made anew: %v, number %d", b.ID, b.Number)
	}
	if n, err := w.Sweep(ctx, 100); err != nil || n != 0 {
		t.Errorf("swept %d, %v: too early", n, err)
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	w.edit(t, "a", func(x *hook.Webhook) { x.DeletedAt = &yesterday })
	if n, err := w.Sweep(ctx, 100); err != nil || n != 1 {
		t.Errorf("swept %d, %v", n, err)
	}
	_, err = w.LoadTarget(ctx, w.ws.ID, b.ID)
	mustKind(t, err, hook.KindNotFound)
}

func sweepWorkspace(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	acme, err := w.EditWorkspace(ctx, "", false, func(hook.WorkspaceScene) (*hook.Workspace, error) {
		return &hook.Workspace{Code: "acme", Name: "Acme"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	in := &world{w.Store, acme}
	hooked := in.create(t, func(x *hook.Webhook) { x.Secrets = []hook.Secret{{Value: "a-signing-secret-012345678"}} })
	in.key(t, acme.ID, "k", "of acme")
	act, door := in.action(t, "", func(*hook.Action) {}), in.door(t, "", func(*hook.IncomingWebhook) {})
	stays := w.create(t, func(*hook.Webhook) {})
	all := func() int64 {
		v, err := w.ConfigVersions(ctx, []hook.ID{hook.NoID})
		if err != nil {
			t.Fatal(err)
		}
		return v[hook.NoID]
	}
	before, one := all(), in.version(t)
	if _, _, err := w.DeleteWorkspace(ctx, "acme", func(*hook.Workspace) error { return errUnexpected }); !errors.Is(err, errUnexpected) {
		t.Fatalf("objection: %v", err)
	}
	id, targets, err := w.DeleteWorkspace(ctx, "acme", func(*hook.Workspace) error { return nil })
	if err != nil || id != acme.ID || !slices.Equal(targets, []hook.ID{hooked.ID, act.ID, door.ID}) {
		t.Fatalf("deleted %v, %v, %v", id, targets, err)
	}
	if all() != before+1 || in.version(t) != one+1 {
		t.Error("versions were not bumped")
	}
	_, err = w.Workspace(ctx, "acme")
	mustKind(t, err, hook.KindNotFound)
	_, err = w.LoadSnapshot(ctx, acme.ID)
	mustKind(t, err, hook.KindNotFound)
	_, _, err = w.KeyByHash(ctx, in.hash("of acme"))
	mustKind(t, err, hook.KindNotFound)
	_, err = w.EditWebhook(ctx, acme.ID, "", false, editing(func(x *hook.Webhook) { x.WebhookSpec = spec("late") }))
	mustKind(t, err, hook.KindNotFound)
	if again, err := w.EditWorkspace(ctx, "", false, func(hook.WorkspaceScene) (*hook.Workspace, error) {
		return &hook.Workspace{Code: "Acme", Name: "Acme"}, nil
	}); err != nil || again.ID == acme.ID {
		t.Fatalf("the code is not free: %v", err)
	}
	steps := 0
	for {
		n, err := w.Sweep(ctx, 2)
		if err != nil || n > 2 {
			t.Fatalf("swept %d, %v", n, err)
		}
		if n == 0 {
			break
		}
		steps++
	}
	if steps < 2 {
		t.Errorf("swept in %d steps", steps)
	}
	if v, err := w.ConfigVersions(ctx, []hook.ID{acme.ID}); err != nil || len(v) != 0 {
		t.Errorf("left behind: %v, %v", v, err)
	}
	if x, err := w.LoadTarget(ctx, w.ws.ID, stays.ID); err != nil || x.Headers[0].Value != "header-secret" {
		t.Errorf("swept too much: %v", err)
	}
}
