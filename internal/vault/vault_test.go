package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/vault"
)

// memory is a KeysetStore; calls of several goroutines see one another's values as nodes of one
// database do.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	// read, if set, is called between the look whether there is a keyset and its answer.
	read func()
}

func (m *memory) Setting(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	value := m.values[key]
	m.mu.Unlock()
	if m.read != nil {
		m.read()
	}
	return value, nil
}

func (m *memory) PutSettingIfAbsent(_ context.Context, key string, value []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = map[string][]byte{}
	}
	if _, ok := m.values[key]; !ok {
		m.values[key] = value
	}
	return m.values[key], nil
}

func (m *memory) all() []byte {
	var all []byte
	for _, value := range m.values {
		all = append(all, value...)
	}
	return all
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func open(t *testing.T, store vault.KeysetStore, given []byte, dir string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.Context(), store, given, dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	store := &memory{}
	v := open(t, store, key(1), "")
	const place = "ws|webhook_secrets|7|value"
	sealed, err := v.Seal([]byte("planted"), place)
	if err != nil || bytes.Contains(sealed, []byte("planted")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	again, err := v.Seal([]byte("planted"), place)
	if err != nil || bytes.Equal(sealed, again) {
		t.Error("the same plaintext makes the same ciphertext, which tells that two secrets are equal")
	}
	// After a restart, and on another node, the same key opens it.
	for _, v := range []*vault.Vault{v, open(t, store, key(1), "")} {
		if plain, err := v.Open(sealed, place); err != nil || string(plain) != "planted" {
			t.Errorf("%q, %v", plain, err)
		}
		if plain, err := v.Open(sealed, "ws|webhook_secrets|8|value"); !errors.Is(err, vault.ErrOpen) {
			t.Errorf("opened in another row: %q, %v", plain, err)
		}
		for i := range sealed {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			if plain, err := v.Open(changed, place); !errors.Is(err, vault.ErrOpen) {
				t.Errorf("opened with byte %d changed: %q, %v", i, plain, err)
			}
		}
	}
	if bytes.Contains(store.all(), key(1)[:8]) {
		t.Error("the master key is in the database")
	}
	empty, err := v.Seal(nil, place)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := v.Open(empty, place); err != nil || len(plain) != 0 {
		t.Errorf("nothing sealed opens as %q, %v", plain, err)
	}
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	store := &memory{}
	open(t, store, key(1), "")
	_, err := vault.Open(t.Context(), store, key(2), "")
	if !errors.Is(err, vault.ErrKeyMismatch) || !strings.Contains(err.Error(), "encryption key does not match this database") {
		t.Errorf("%v", err)
	}
	if _, err := vault.Open(t.Context(), &memory{}, key(1)[:31], ""); err == nil {
		t.Error("a short key is accepted")
	}
}

func TestDamagedKeyset(t *testing.T) {
	t.Parallel()
	store := &memory{}
	open(t, store, key(1), "")
	for name, value := range store.values {
		for _, damaged := range [][]byte{{}, value[:40], append(bytes.Clone(value[:len(value)-1]), value[len(value)-1]^1), append([]byte{9}, value[1:]...)} {
			_, err := vault.Open(t.Context(), &memory{values: map[string][]byte{name: damaged}}, key(1), "")
			if !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("%d bytes: %v", len(damaged), err)
			}
		}
	}
}

func TestGeneratedKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	store := &memory{}
	first := open(t, store, nil, dir)
	path := filepath.Join(dir, "encryption.key")
	if !first.Generated || first.KeyFile != path {
		t.Errorf("Generated = %v, KeyFile = %q", first.Generated, first.KeyFile)
	}
	stat, err := os.Stat(path)
	if err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", stat.Mode(), err)
	}
	sealed, err := first.Seal([]byte("x"), "place")
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, store, nil, dir)
	if second.Generated {
		t.Error("a second start generated a key")
	}
	if _, err := second.Open(sealed, "place"); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory has %v, %v", entries, err)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = vault.Open(t.Context(), store, nil, dir)
	if !errors.Is(err, vault.ErrKeyMissing) || !strings.Contains(err.Error(), path) {
		t.Errorf("a lost key: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a lost key was replaced by another")
	}

	if err := os.WriteFile(path, []byte("not a key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = vault.Open(t.Context(), store, nil, dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is no key: %v", err)
	}
}

func TestGivenKeyWritesNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if v := open(t, &memory{}, key(1), dir); v.Generated || v.KeyFile != "" {
		t.Errorf("Generated = %v, KeyFile = %q", v.Generated, v.KeyFile)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}

// Nodes that start at once on an empty database agree when they have the same key; of those
// without one, one wins and the others refuse, and leave no key behind that opens nothing.
func TestStartAtOnce(t *testing.T) {
	t.Parallel()
	start := func(given []byte) (winners []*vault.Vault, losers []error, files int) {
		const nodes = 4
		var together sync.WaitGroup
		together.Add(nodes)
		store := &memory{read: func() { together.Done(); together.Wait() }}
		parent := t.TempDir()
		var mu sync.Mutex
		var done sync.WaitGroup
		for i := range nodes {
			done.Go(func() {
				v, err := vault.Open(t.Context(), store, given, filepath.Join(parent, string(rune('a'+i))))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					losers = append(losers, err)
				} else {
					winners = append(winners, v)
				}
			})
		}
		done.Wait()
		keys, err := filepath.Glob(filepath.Join(parent, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return winners, losers, len(keys)
	}

	winners, losers, _ := start(key(1))
	if len(losers) > 0 {
		t.Fatalf("with the same key: %v", losers)
	}
	sealed, err := winners[0].Seal([]byte("x"), "place")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range winners {
		if _, err := v.Open(sealed, "place"); err != nil {
			t.Error(err)
		}
	}

	winners, losers, files := start(nil)
	if len(winners) != 1 || len(losers) != 3 || files != 1 {
		t.Errorf("without a key: %d started, %d key files, %v", len(winners), files, losers)
	}
	for _, err := range losers {
		if !errors.Is(err, vault.ErrKeyMismatch) {
			t.Error(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	v, err := vault.Open(b.Context(), &memory{}, key(1), "")
	if err != nil {
		b.Fatal(err)
	}
	sealed, err := v.Seal(bytes.Repeat([]byte("s"), 64), "place")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.Open(sealed, "place"); err != nil {
			b.Fatal(err)
		}
	}
}
