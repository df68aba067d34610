package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/vault"
)

// ReplaceSetting is what the store does in one transaction.
func (m *memory) ReplaceSetting(_ context.Context, key string, known, value []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.values[key], known) {
		return false, nil
	}
	m.values[key] = value
	return true, nil
}

func TestRotateMaster(t *testing.T) {
	t.Parallel()
	store, dir := &memory{}, filepath.Join(t.TempDir(), "data")
	running := open(t, store, nil, dir)
	sealed, err := running.Seal([]byte("planted"), "place")
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(store.all())
	for why, err := range map[string]error{
		"of the wrong key": vault.RotateMaster(t.Context(), store, key(7), dir, key(2)),
		"without a key":    vault.RotateMaster(t.Context(), store, nil, t.TempDir(), key(2)),
		"to a short key":   vault.RotateMaster(t.Context(), store, nil, dir, []byte("short")),
		"of nothing":       vault.RotateMaster(t.Context(), &memory{}, key(1), dir, key(2)),
	} {
		if err == nil || !bytes.Equal(before, store.all()) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if err := vault.RotateMaster(t.Context(), store, nil, dir, key(2)); err != nil {
		t.Fatal(err)
	}
	// Who runs goes on, who starts needs the new key, and the old one is told apart.
	if plain, err := running.Open(sealed, "place"); err != nil || string(plain) != "planted" {
		t.Errorf("%q, %v", plain, err)
	}
	later, err := running.Seal([]byte("later"), "place")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(t.Context(), store, nil, dir); !errors.Is(err, vault.ErrKeyMismatch) {
		t.Errorf("the old key: %v", err)
	}
	fresh := open(t, store, key(2), dir)
	for _, c := range [][]byte{sealed, later} {
		if _, err := fresh.Open(c, "place"); err != nil {
			t.Error(err)
		}
	}
	if err := vault.RotateMaster(t.Context(), store, key(2), dir, key(2)); err == nil || !strings.Contains(err.Error(), "present one") {
		t.Errorf("the same key again: %v", err)
	}
}

func TestRotateData(t *testing.T) {
	t.Parallel()
	store := &memory{}
	running := open(t, store, key(1), "")
	old, err := running.Seal([]byte("old"), "place")
	if err != nil {
		t.Fatal(err)
	}
	if err := vault.RotateData(t.Context(), store, key(1), ""); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, store, key(1), "")
	sealed, err := fresh.Seal([]byte("new"), "place")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old[:5], sealed[:5]) { // the library's mark of the key
		t.Error("it seals with the old key")
	}
	// Who runs learns of the new key when it meets it, and who is new knows the old.
	for i, v := range []*vault.Vault{running, fresh} {
		for c, want := range map[string]string{string(old): "old", string(sealed): "new"} {
			if plain, err := v.Open([]byte(c), "place"); err != nil || string(plain) != want {
				t.Errorf("%d: %q, %v; want %s", i, plain, err, want)
			}
		}
	}
	if _, err := running.Open(sealed, "elsewhere"); !errors.Is(err, vault.ErrOpen) {
		t.Errorf("moved: %v", err)
	}
	// After both kinds of rotation a running vault cannot follow, and says so instead of guessing.
	if err := errors.Join(vault.RotateMaster(t.Context(), store, key(1), "", key(2)), vault.RotateData(t.Context(), store, key(2), "")); err != nil {
		t.Fatal(err)
	}
	if sealed, err = open(t, store, key(2), "").Seal([]byte("newest"), "place"); err != nil {
		t.Fatal(err)
	}
	if _, err := running.Open(sealed, "place"); !errors.Is(err, vault.ErrOpen) {
		t.Errorf("under another master key: %v", err)
	}
}

// Of two who rotate at once one wins, and the other changes nothing.
func TestRotationsAtOnce(t *testing.T) {
	t.Parallel()
	store := &memory{}
	open(t, store, key(1), "")
	raced := false
	store.read = func() {
		store.read = nil
		if err := vault.RotateMaster(t.Context(), store, key(1), "", key(2)); err != nil {
			t.Error(err)
		}
		raced = true
	}
	if err := vault.RotateMaster(t.Context(), store, key(1), "", key(3)); !errors.Is(err, vault.ErrRaced) || !raced {
		t.Errorf("the loser: %v", err)
	}
	open(t, store, key(2), "")
}

func TestCheckMakesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := &memory{}
	if _, err := vault.Check(t.Context(), store, nil, dir); err != nil {
		t.Errorf("an empty database: %v", err)
	}
	open(t, store, key(1), "")
	if _, err := vault.Check(t.Context(), store, key(1), dir); err != nil {
		t.Errorf("the key: %v", err)
	}
	if _, err := vault.Check(t.Context(), store, key(2), dir); !errors.Is(err, vault.ErrKeyMismatch) {
		t.Errorf("another key: %v", err)
	}
	if _, err := vault.Check(t.Context(), store, nil, dir); !errors.Is(err, vault.ErrKeyMissing) {
		t.Errorf("no key: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}
