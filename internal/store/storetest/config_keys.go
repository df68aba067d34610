package storetest

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func (w *world) key(t *testing.T, workspace hook.ID, code, value string) *hook.APIKey {
	t.Helper()
	k, err := w.EditAPIKey(t.Context(), workspace, "", false, func(hook.APIKeyScene) (*hook.APIKey, error) {
		return &hook.APIKey{
			Code: code, Name: "Name of " + code, Role: hook.RoleViewer, Platform: workspace == hook.NoID, Prefix: "sp_1234",
			Hash: sha256.Sum256([]byte(value)), Metadata: map[string]string{"m": "1"},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func apiKeys(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	mine, root := w.key(t, w.ws.ID, "ci", "a"), w.key(t, hook.NoID, "ci", "b")
	got, code, err := w.KeyByHash(ctx, sha256.Sum256([]byte("a")))
	if err != nil || got.ID != mine.ID || code != "default" || got.Role != hook.RoleViewer || got.Prefix != "sp_1234" || got.Metadata["m"] != "1" || got.Hash != mine.Hash {
		t.Fatalf("by hash: %+v, %q, %v", got, code, err)
	}
	if got, code, err := w.KeyByHash(ctx, sha256.Sum256([]byte("b"))); err != nil || got.ID != root.ID || !got.Platform || code != "" {
		t.Fatalf("platform key by hash: %+v, %q, %v", got, code, err)
	}
	_, _, err = w.KeyByHash(ctx, sha256.Sum256([]byte("c")))
	mustKind(t, err, hook.KindNotFound)

	// A hash belongs to one key of the whole installation.
	_, err = w.EditAPIKey(ctx, w.ws.ID, "CI", false, func(scene hook.APIKeyScene) (*hook.APIKey, error) {
		if id, err := scene.HashOwner(root.Hash); err != nil || id != root.ID {
			t.Errorf("owner of the hash = %v, %v", id, err)
		}
		if id, err := scene.CodeOwner("cI"); err != nil || id != mine.ID {
			t.Errorf("owner of the code = %v, %v", id, err)
		}
		next := *scene.Current
		end := scene.Now.Add(time.Hour)
		next.ExpiresAt, next.Role = &end, hook.RoleAdmin
		return &next, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	k, err := w.APIKey(ctx, w.ws.ID, mine.ID.String())
	if err != nil || k.Version != 2 || k.ExpiresAt == nil || k.Role != hook.RoleAdmin || !k.CreatedAt.Equal(mine.CreatedAt) {
		t.Fatalf("edited: %+v, %v", k, err)
	}
	used := time.Now().UTC().Truncate(time.Millisecond)
	if err := w.TouchKeys(ctx, map[hook.ID]time.Time{mine.ID: used, root.ID: used}); err != nil {
		t.Fatal(err)
	}
	if err := w.TouchKeys(ctx, map[hook.ID]time.Time{mine.ID: used.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if k, err := w.APIKey(ctx, w.ws.ID, "ci"); err != nil || k.LastUsedAt == nil || !k.LastUsedAt.Equal(used) || k.Version != 2 {
		t.Fatalf("touched: %+v, %v", k, err)
	}
	list, more, err := w.APIKeys(ctx, []hook.ID{w.ws.ID, hook.NoID}, hook.ListFilter{}, hook.Page{Limit: 1, Asc: true})
	if err != nil || !more || len(list) != 1 || list[0].ID != mine.ID {
		t.Fatalf("first page: %v, %v, %v", list, more, err)
	}
	list, more, err = w.APIKeys(ctx, []hook.ID{w.ws.ID, hook.NoID}, hook.ListFilter{}, hook.Page{Limit: 1, Asc: true, After: mine.ID})
	if err != nil || more || len(list) != 1 || list[0].ID != root.ID {
		t.Fatalf("second page: %v, %v, %v", list, more, err)
	}
	if err := w.DeleteAPIKey(ctx, w.ws.ID, "ci", func(*hook.APIKey) error { return errUnexpected }); err == nil {
		t.Fatal("an objection is not heard")
	}
	if err := w.DeleteAPIKey(ctx, w.ws.ID, "ci", func(*hook.APIKey) error { return nil }); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.KeyByHash(ctx, mine.Hash)
	mustKind(t, err, hook.KindNotFound)
	mustKind(t, w.DeleteAPIKey(ctx, w.ws.ID, "ci", func(*hook.APIKey) error { return nil }), hook.KindNotFound)
	mustKind(t, w.DeleteAPIKey(ctx, w.ws.ID, root.ID.String(), func(*hook.APIKey) error { return nil }), hook.KindNotFound)
}

func eventTypes(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	made, err := w.EditEventType(ctx, w.ws.ID, "", false, func(hook.EventTypeScene) (*hook.EventType, error) {
		return &hook.EventType{
			Name: "order.paid", Description: "Paid.", Schema: []byte(`{"type":"object"}`), Mode: hook.SchemaWarn,
			Sample: []byte(`{"z":1,"a":"é"}`), Archived: true, Metadata: map[string]string{"a": "b"},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.EventType(ctx, w.ws.ID, "order.paid")
	if err != nil || got.ID != made.ID || got.Description != "Paid." || string(got.Schema) != `{"type":"object"}` || got.Mode != hook.SchemaWarn ||
		string(got.Sample) != `{"z":1,"a":"é"}` || !got.Archived || got.Metadata["a"] != "b" || got.Operational || got.Version != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	_, err = w.EventType(ctx, w.ws.ID, "ORDER.PAID")
	mustKind(t, err, hook.KindNotFound)
	before := w.version(t)
	if err := w.AddEventTypes(ctx, w.ws.ID, []string{"order.sent", "order.paid", "order.sent"}); err != nil {
		t.Fatal(err)
	}
	if v := w.version(t); v != before+1 {
		t.Errorf("version went from %d to %d", before, v)
	}
	if err := w.AddEventTypes(ctx, w.ws.ID, []string{"order.sent"}); err != nil || w.version(t) != before+1 {
		t.Errorf("adding what is there bumped the version: %v", err)
	}
	if got, err := w.EventType(ctx, w.ws.ID, "order.paid"); err != nil || got.Version != 1 || !got.Archived {
		t.Errorf("adding changed what was there: %+v, %v", got, err)
	}
	sent, err := w.EventType(ctx, w.ws.ID, "order.sent")
	if err != nil || sent.Mode != hook.SchemaReject || sent.LastPublishedAt != nil || sent.Schema != nil {
		t.Fatalf("added: %+v, %v", sent, err)
	}
	at := time.Now().UTC().Truncate(time.Millisecond)
	if err := w.TouchTypes(ctx, map[hook.ID]time.Time{sent.ID: at}); err != nil {
		t.Fatal(err)
	}
	if sent, err = w.EventType(ctx, w.ws.ID, sent.ID.String()); err != nil || !sent.LastPublishedAt.Equal(at) || sent.Version != 1 {
		t.Fatalf("touched: %+v, %v", sent, err)
	}
	names, err := w.TypeNames(ctx, w.ws.ID)
	want := append([]string{"order.paid", "order.sent"}, hook.OperationalTypes...)
	slices.Sort(want)
	if err != nil || !slices.Equal(names, want) {
		t.Fatalf("names = %q, %v", names, err)
	}
	list, _, err := w.EventTypes(ctx, w.ws.ID, hook.ListFilter{Metadata: map[string]string{"a": "b"}}, hook.Page{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Name != "order.paid" {
		t.Fatalf("list = %v, %v", list, err)
	}
	if op, err := w.EventType(ctx, w.ws.ID, hook.TypeWebhookSuspended); err != nil || !op.Operational {
		t.Fatalf("operational type: %+v, %v", op, err)
	}
	if err := w.DeleteEventType(ctx, w.ws.ID, "order.paid", func(*hook.EventType) error { return nil }); err != nil {
		t.Fatal(err)
	}
	_, err = w.EventType(ctx, w.ws.ID, "order.paid")
	mustKind(t, err, hook.KindNotFound)
	mustKind(t, w.AddEventTypes(ctx, w.ID(), []string{"x"}), hook.KindNotFound)
}

// ID makes an id that nothing has.
func (w *world) ID() hook.ID { return hook.NewIDs().New() }

// version is the workspace's configuration version.
func (w *world) version(t *testing.T) int64 {
	t.Helper()
	v, err := w.ConfigVersions(t.Context(), []hook.ID{w.ws.ID})
	if err != nil || len(v) != 1 {
		t.Fatalf("versions = %v, %v", v, err)
	}
	return v[w.ws.ID]
}

func idempotency(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	x := w.Idempotency()
	scope := hook.IdempotencyScope{Workspace: w.ws.ID, Key: w.ID(), Method: "POST", Path: "/v1/webhooks", Value: "key \xff"}
	body, other := sha256.Sum256([]byte("body")), sha256.Sum256([]byte("other"))
	if a, err := x.Begin(ctx, scope, body); a != nil || err != nil {
		t.Fatalf("first: %v, %v", a, err)
	}
	_, err := x.Begin(ctx, scope, body)
	mustKind(t, err, hook.KindIdempotencyBusy)
	_, err = x.Begin(ctx, scope, other)
	mustKind(t, err, hook.KindIdempotencyReused)
	if err := x.Abandon(ctx, scope); err != nil {
		t.Fatal(err)
	}
	if a, err := x.Begin(ctx, scope, other); a != nil || err != nil {
		t.Fatalf("after abandoning: %v, %v", a, err)
	}
	want := hook.Answer{Status: 201, Header: [][2]string{{"Location", "/v1/x"}}, Body: []byte("\x00\xff body")}
	if err := x.Complete(ctx, scope, want); err != nil {
		t.Fatal(err)
	}
	if err := x.Abandon(ctx, scope); err != nil {
		t.Fatal(err)
	}
	a, err := x.Begin(ctx, scope, other)
	if err != nil || a == nil || a.Status != 201 || len(a.Header) != 1 || a.Header[0] != want.Header[0] || string(a.Body) != string(want.Body) {
		t.Fatalf("replayed: %+v, %v", a, err)
	}
	_, err = x.Begin(ctx, scope, body)
	mustKind(t, err, hook.KindIdempotencyReused)
	for _, s := range []hook.IdempotencyScope{
		{Workspace: scope.Workspace, Key: scope.Key, Method: "POST", Path: "/v1/webhooksk", Value: strings.TrimPrefix(scope.Value, "k")},
		{Workspace: scope.Workspace, Key: w.ID(), Method: "POST", Path: scope.Path, Value: scope.Value},
		{Workspace: w.ID(), Key: scope.Key, Method: "POST", Path: scope.Path, Value: scope.Value},
	} {
		if a, err := x.Begin(ctx, s, body); a != nil || err != nil {
			t.Errorf("another scope: %v, %v", a, err)
		}
	}
}

// hash is what the store keeps of a key.
func (w *world) hash(key string) [32]byte { return sha256.Sum256([]byte(key)) }
