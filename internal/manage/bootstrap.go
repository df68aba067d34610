package manage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/hook"
)

// bootstrapDone is the setting that says that a first key was made once: who deletes it
// later on purpose does not get a new one.
const bootstrapDone = "bootstrap.done"

// bootstrapCode is the code of the first platform key.
const bootstrapCode = "bootstrap"

// Bootstrapped says what Bootstrap did.
type Bootstrapped struct {
	Key     hook.Sensitive // newly generated, else ""
	KeyFile string         // where Key was written, else ""
}

// Bootstrap makes what must exist from the start: the default workspace and a first
// platform key of role admin. A given key (SALLYPORT_ADMIN_KEY) becomes that key, also
// later; without one, the first start generates one into keyFile, readable by its owner
// only, because logs are shipped. Several nodes may call it at once.
func (s *Service) Bootstrap(ctx context.Context, given hook.Sensitive, keyFile string) (Bootstrapped, error) {
	var out Bootstrapped
	if _, err := s.store.EnsureDefaultWorkspace(ctx); err != nil {
		return out, fmt.Errorf("default workspace: %w", err)
	}
	if given != "" {
		if !LooksLikeKey(string(given)) {
			return out, fmt.Errorf("the admin key must be %d to %d visible ASCII characters without spaces, and its checksum right if it begins with %s", minKey, maxKey, keyPrefix)
		}
		if err := s.setFirstKey(ctx, given, true); err != nil {
			return out, fmt.Errorf("admin key: %w", err)
		}
		_, err := s.store.PutSettingIfAbsent(ctx, bootstrapDone, []byte("given"))
		return out, err
	}
	done, err := s.store.Setting(ctx, bootstrapDone)
	if err != nil || done != nil {
		return out, err
	}
	_, err = s.store.APIKey(ctx, hook.NoID, bootstrapCode)
	if err == nil { // a start was cut off after the last step but one
		_, err := s.store.PutSettingIfAbsent(ctx, bootstrapDone, []byte("generated"))
		return out, err
	}
	if hook.KindOf(err) != hook.KindNotFound {
		return out, fmt.Errorf("admin key: %w", err)
	}
	// First the file, then the row: a start that is cut off in between leaves a key that
	// opens nothing yet, and the next start takes it.
	key := keyInFile(keyFile)
	if key == "" {
		key = NewKey()
	}
	if err := writeKeyFile(keyFile, key); err != nil {
		return out, fmt.Errorf("admin key: %w", err)
	}
	if err := s.setFirstKey(ctx, key, false); err != nil {
		if errors.Is(err, errOtherFirstKey) {
			return out, os.Remove(keyFile) // another node was faster, its file is elsewhere
		}
		return out, fmt.Errorf("admin key: %w", err)
	}
	if _, err := s.store.PutSettingIfAbsent(ctx, bootstrapDone, []byte("generated")); err != nil {
		return out, err
	}
	out.Key, out.KeyFile = key, keyFile
	return out, nil
}

var errOtherFirstKey = errors.New("there is a first key already")

func (s *Service) setFirstKey(ctx context.Context, key hook.Sensitive, replace bool) error {
	_, err := s.store.EditAPIKey(ctx, hook.NoID, bootstrapCode, false, func(scene hook.APIKeyScene) (*hook.APIKey, error) {
		cur, hash := scene.Current, HashKey(key)
		if cur != nil && (cur.Hash == hash && cur.Role == hook.RoleAdmin && cur.ExpiresAt == nil) {
			return nil, nil
		}
		if cur != nil && !replace {
			return nil, errOtherFirstKey
		}
		owner, err := scene.HashOwner(hash)
		if err != nil {
			return nil, err
		}
		if owner != hook.NoID && (cur == nil || cur.ID != owner) {
			return nil, errors.New("its value belongs to another API key; choose another")
		}
		next := &hook.APIKey{
			Code: bootstrapCode, Name: "Bootstrap", Role: hook.RoleAdmin, Platform: true,
			Hash: hash, Prefix: prefixOf(key), Metadata: map[string]string{},
		}
		if cur != nil {
			next.Name, next.Metadata = cur.Name, cur.Metadata
		}
		return next, nil
	})
	if err == nil {
		s.pipeline.ConfigChanged(hook.NoID)
	}
	return err
}

// keyInFile returns a generated key that lies there already, "" if none does.
func keyInFile(path string) hook.Sensitive {
	b, err := os.ReadFile(path) //nolint:gosec // the path is a setting of the operator
	if key := strings.TrimSpace(string(b)); err == nil && strings.HasPrefix(key, keyPrefix) && LooksLikeKey(key) {
		return hook.Sensitive(key)
	}
	return ""
}

// writeKeyFile replaces the file whole, so that no other mode and no half key is seen.
func writeKeyFile(path string, key hook.Sensitive) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".admin.key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after the rename
	_, err = f.WriteString(string(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
