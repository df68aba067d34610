package manage_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/hook"
	"sallyport/internal/manage"
)

func TestKeyForm(t *testing.T) {
	t.Parallel()
	k := string(manage.NewKey())
	if !manage.LooksLikeKey(k) || !strings.HasPrefix(k, "sp_") || k == string(manage.NewKey()) {
		t.Errorf("generated %d characters", len(k))
	}
	flipped := []byte(k)
	flipped[10] ^= 1
	for why, s := range map[string]string{
		"one character changed": string(flipped),
		"cut":                   k[:len(k)-1],
		"longer":                k + "A",
		"empty":                 "",
		"too short":             strings.Repeat("x", 31),
		"too long":              strings.Repeat("x", 257),
		"a space":               strings.Repeat("x", 31) + " ",
		"not ASCII":             strings.Repeat("x", 31) + "ä",
		"ours by prefix only":   "sp_" + strings.Repeat("x", 40),
	} {
		if manage.LooksLikeKey(s) {
			t.Errorf("%s: taken for a key", why)
		}
	}
	if !manage.LooksLikeKey(strings.Repeat("x", 32)) {
		t.Error("32 characters from a vault are refused")
	}
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	r, err := w.CreateAPIKey(ctx, w.own(), []byte(`{"name":"Billing","role":"publisher"}`))
	if err != nil || r.Code != "billing" || !manage.LooksLikeKey(string(r.Key)) || r.Hash != manage.HashKey(r.Key) ||
		r.Prefix != string(r.Key)[:7] || r.Platform || r.Workspace != w.ws.ID {
		t.Fatalf("created %+v, %v", r, err)
	}
	vault := strings.Repeat("v", 32)
	put := func(doc string) hook.APIKeyResult {
		t.Helper()
		r, err := w.PutAPIKey(ctx, w.own(), "ci", []byte(doc), hook.Write{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	doc := `{"role":"publisher","key":"` + vault + `"}`
	if r := put(doc); r.Change != hook.Created || r.Key != "" || r.Hash != manage.HashKey(hook.Sensitive(vault)) || r.Prefix != "vvvv" {
		t.Errorf("put %+v", r)
	}
	if r := put(doc); r.Change != hook.Unchanged {
		t.Errorf("put twice: %s", r.Change)
	}
	if r := put(`{"role":"viewer"}`); r.Change != hook.Updated || !slices.Equal(r.Changed, []string{"role"}) || r.Hash != manage.HashKey(hook.Sensitive(vault)) {
		t.Errorf("the key was not kept: %v", r.Changed)
	}
	if r := put(`{"role":"viewer","key":"` + strings.Repeat("w", 40) + `","expiresAt":"2027-01-01T00:00:00+01:00"}`); !slices.Equal(r.Changed, []string{"key", "expiresAt"}) {
		t.Errorf("changed %v", r.Changed)
	}
	p, err := w.PatchAPIKey(ctx, w.own(), "ci", []byte(`{"expiresAt":null,"name":"CI"}`), hook.Write{})
	if err != nil || !slices.Equal(p.Changed, []string{"name", "expiresAt"}) || p.ExpiresAt != nil {
		t.Errorf("patched %+v, %v", p, err)
	}
	for doc, want := range map[string]string{
		`{"role":"viewer","key":null}`:                    "key empty_secret",
		`{"role":"viewer","key":""}`:                      "key empty_secret",
		`{"role":"viewer","key":"short"}`:                 "key too_short",
		`{"role":"viewer","key":"sp_` + vault + `"}`:      "key invalid_format",
		`{"role":"viewer","key":"` + string(r.Key) + `"}`: "key invalid_format",
		`{"role":"owner"}`:                                "role invalid_format",
		`{}`:                                              "role required",
		`{"role":"viewer","expiresAt":"tomorrow"}`:        "expiresAt invalid_format",
	} {
		_, err := w.PutAPIKey(ctx, w.own(), "ci", []byte(doc), hook.Write{})
		wantFaults(t, err, want)
	}
	_, err = w.CreateAPIKey(ctx, w.own(), []byte(`{"name":"Root","role":"admin","platform":true}`))
	wantKind(t, err, hook.KindForbidden)
	root, err := w.CreateAPIKey(ctx, w.admin, []byte(`{"name":"Root","role":"admin","platform":true}`))
	if err != nil || root.Workspace != hook.NoID || !root.Platform {
		t.Fatalf("platform key %+v, %v", root, err)
	}
	// Only platform keys see platform keys.
	_, err = w.GetAPIKey(ctx, w.own(), root.ID.String())
	wantKind(t, err, hook.KindNotFound)
	wantKind(t, w.DeleteAPIKey(ctx, w.own(), "root", hook.Guard{}), hook.KindNotFound)
	_, err = w.PatchAPIKey(ctx, w.own(), "root", []byte(`{"name":"x"}`), hook.Write{})
	wantKind(t, err, hook.KindNotFound)
	_, err = w.PatchAPIKey(ctx, w.admin, "root", []byte(`{"platform":false}`), hook.Write{})
	wantFaults(t, err, "platform invalid_format")
	if list, _, err := w.ListAPIKeys(ctx, w.own(), hook.ListFilter{}, hook.Page{Limit: 10}); err != nil || len(list) != 2 {
		t.Errorf("%d keys of the workspace, %v", len(list), err)
	}
	if list, _, err := w.ListAPIKeys(ctx, w.admin, hook.ListFilter{}, hook.Page{Limit: 10}); err != nil || len(list) != 3 {
		t.Errorf("%d keys for the platform, %v", len(list), err)
	}
	if err := w.DeleteAPIKey(ctx, w.admin, "root", hook.Guard{IfMatch: `"1"`}); err != nil {
		t.Error(err)
	}
	wantKind(t, w.DeleteAPIKey(ctx, w.admin, "root", hook.Guard{}), hook.KindNotFound)
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	file := filepath.Join(t.TempDir(), "admin.key")
	first, err := w.Bootstrap(ctx, "", file)
	if err != nil || first.Key == "" || first.KeyFile != file {
		t.Fatalf("first start: %+v, %v", first, err)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != string(first.Key)+"\n" {
		t.Fatalf("key file of %d bytes, %v", len(text), err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	k := w.store.keys[0]
	if !k.Platform || k.Role != hook.RoleAdmin || k.Hash != manage.HashKey(first.Key) {
		t.Errorf("key %+v", k)
	}
	if again, err := w.Bootstrap(ctx, "", file); err != nil || again.Key != "" || len(w.store.keys) != 1 {
		t.Errorf("second start: %d keys, %v", len(w.store.keys), err)
	}
	// A start that was cut off goes on with the key that lies in the file.
	delete(w.store.settings, "bootstrap.done")
	if again, err := w.Bootstrap(ctx, "", file); err != nil || again.Key != "" || w.store.settings["bootstrap.done"] == nil {
		t.Errorf("cut off before the last step: %v", err)
	}
	delete(w.store.settings, "bootstrap.done")
	w.store.keys = nil
	if again, err := w.Bootstrap(ctx, "", file); err != nil || again.Key != first.Key || len(w.store.keys) != 1 {
		t.Errorf("cut off after the file: %d keys, %v", len(w.store.keys), err)
	}
	given := hook.Sensitive(strings.Repeat("g", 32))
	for range 2 {
		if b, err := w.Bootstrap(ctx, given, file); err != nil || b.Key != "" || len(w.store.keys) != 1 || w.store.keys[0].Hash != manage.HashKey(given) {
			t.Errorf("given key: %d keys, %v", len(w.store.keys), err)
		}
	}
	// Who deletes it on purpose does not get another one.
	if err := w.DeleteAPIKey(ctx, w.admin, "bootstrap", hook.Guard{}); err != nil {
		t.Fatal(err)
	}
	if b, err := w.Bootstrap(ctx, "", file); err != nil || b.Key != "" || len(w.store.keys) != 0 {
		t.Errorf("after its deletion: %d keys, %v", len(w.store.keys), err)
	}
	if _, err := w.Bootstrap(ctx, "too-short", file); err == nil {
		t.Error("a short admin key is taken")
	}
}
