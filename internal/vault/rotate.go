package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// RotateStore is what changing keys needs of the store.
type RotateStore interface {
	KeysetStore
	// ReplaceSetting stores a value in place of the known one, whole or not at all, and
	// reports whether it did: not, if it was another by then.
	ReplaceSetting(ctx context.Context, key string, known, value []byte) (bool, error)
}

// ErrRaced means that somebody else changed the keys at the same moment.
var ErrRaced = errors.New("somebody else changed the encryption key at the same moment; nothing was done")

// RotateMaster wraps the keyset with another master key: from then on a start needs that one.
// What is sealed stays as it is, and whoever has the vault open goes on. old is the key
// given, else that of dataDir, as for Open.
func RotateMaster(ctx context.Context, store RotateStore, old []byte, dataDir string, fresh []byte) error {
	return change(ctx, store, old, dataDir, func(handle *keyset.Handle, master []byte) ([]byte, error) {
		if bytes.Equal(master, fresh) {
			return nil, errors.New("the new encryption key is the present one")
		}
		return wrapped(handle, fresh)
	})
}

// RotateData adds a key to the keyset, with which everything is sealed from then on. What was
// sealed before stays readable, and is sealed anew when it is written again.
func RotateData(ctx context.Context, store RotateStore, master []byte, dataDir string) error {
	return change(ctx, store, master, dataDir, func(handle *keyset.Handle, master []byte) ([]byte, error) {
		keys := keyset.NewManagerFromHandle(handle)
		id, err := keys.Add(aead.AES256GCMKeyTemplate())
		if err != nil {
			return nil, fmt.Errorf("generating a key: %w", err)
		}
		if err := keys.SetPrimary(id); err != nil {
			return nil, err
		}
		if handle, err = keys.Handle(); err != nil {
			return nil, err
		}
		return wrapped(handle, master)
	})
}

func change(ctx context.Context, store RotateStore, given []byte, dataDir string, to func(*keyset.Handle, []byte) ([]byte, error)) error {
	stored, err := store.Setting(ctx, settingName)
	if err != nil {
		return fmt.Errorf("reading the keyset: %w", err)
	}
	if stored == nil {
		return errors.New("this database has no encryption key yet: start `sallyport serve` once")
	}
	master := given
	if master == nil {
		path := keyPath(dataDir)
		if master, err = readKey(path); err != nil {
			return err
		}
		if master == nil {
			return fmt.Errorf("%w %s", ErrKeyMissing, path)
		}
	}
	handle, err := unwrap(stored, master)
	if err != nil {
		return err
	}
	value, err := to(handle, master)
	if err != nil {
		return err
	}
	replaced, err := store.ReplaceSetting(ctx, settingName, stored, value)
	if err == nil && !replaced {
		err = ErrRaced
	}
	return err
}
