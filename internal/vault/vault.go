// Package vault encrypts secrets at rest: under a keyset that lies in the database, which in
// turn is wrapped by the master key that does not. So changing the master key rewraps one row.
package vault

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

var (
	// ErrKeyMismatch means that the master key is not the one of this database: that of the last
	// rotation, or the one that it began with.
	ErrKeyMismatch = errors.New("encryption key does not match this database")
	// ErrKeyMissing means that the database has secrets and nobody gave the key to them.
	ErrKeyMissing = errors.New("this database has an encryption key, which is neither in SALLYPORT_ENCRYPTION_KEY nor in")
	// ErrCorrupt means that what lies in the database is not what the vault put there.
	ErrCorrupt = errors.New("the keyset in the database is damaged")
	// ErrOpen means that a ciphertext was changed, or taken from another place.
	ErrOpen = errors.New("the ciphertext was not made for this place with this database's key")
)

// KeysetStore is the part of the store that the vault needs: values of the whole installation.
type KeysetStore interface {
	// Setting returns a value, nil if there is none.
	Setting(ctx context.Context, key string) ([]byte, error)
	// PutSettingIfAbsent stores a value unless there is one, and returns the one that is stored
	// then, so that of several nodes that start at once all get the same.
	PutSettingIfAbsent(ctx context.Context, key string, value []byte) ([]byte, error)
}

// Vault seals and opens. It may be used by several goroutines.
type Vault struct {
	// KeyFile is where the master key was read from or written to; empty if it was given.
	KeyFile string
	// Generated is true if this start made the master key: worth telling, since who loses it
	// loses all secrets, and every further node needs it.
	Generated bool

	store KeysetStore
	check []byte    // of the master key
	wrap  tink.AEAD // made of it
	open  atomic.Pointer[opened]
	mu    sync.Mutex // of those that read the keyset anew
}

// opened is a keyset as it lay in the database, and what it opens.
type opened struct {
	stored []byte
	aead   tink.AEAD
}

// Open opens the vault of a database with the master key given (32 bytes), else with that of
// the file encryption.key in dataDir. If there is neither and the database has none yet, it
// generates one into that file. It returns ErrKeyMismatch or ErrKeyMissing otherwise.
func Open(ctx context.Context, store KeysetStore, given []byte, dataDir string) (*Vault, error) {
	stored, err := store.Setting(ctx, settingName)
	if err != nil {
		return nil, fmt.Errorf("reading the keyset: %w", err)
	}
	v := &Vault{}
	master := given
	if master == nil {
		v.KeyFile = keyPath(dataDir)
		master, err = readKey(v.KeyFile)
		switch {
		case err != nil:
			return nil, err
		case master == nil && stored != nil:
			return nil, fmt.Errorf("%w %s", ErrKeyMissing, v.KeyFile)
		case master == nil:
			// The file comes first: a keyset without its key would be worse than a key without use.
			if master, v.Generated, err = generateKey(v.KeyFile); err != nil {
				return nil, err
			}
		}
	}
	if stored == nil {
		fresh, err := newKeyset(master)
		if err != nil {
			return nil, err
		}
		if stored, err = store.PutSettingIfAbsent(ctx, settingName, fresh); err != nil {
			return nil, fmt.Errorf("storing the keyset: %w", err)
		}
	}
	if err := v.unlock(store, stored, master); err != nil {
		if v.Generated && errors.Is(err, ErrKeyMismatch) {
			// Another node was first. Our key is nobody's, and must not be taken for this database's.
			return nil, errors.Join(fmt.Errorf("another node made one at the same moment: %w", err), removeKey(v.KeyFile))
		}
		return nil, err
	}
	return v, nil
}

// unlock opens the keyset with the master key, and keeps what it takes to open its successor.
func (v *Vault) unlock(store KeysetStore, stored, master []byte) error {
	handle, err := unwrap(stored, master)
	if err != nil {
		return err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return err
	}
	if v.wrap, err = wrapper(master); err != nil {
		return err
	}
	v.store, v.check = store, checkValue(master)
	v.open.Store(&opened{stored: stored, aead: primitive})
	return nil
}

// Check reports, as an error of Open's, whether the key that Open would use opens the vault of a
// database. It makes and changes nothing. source is where the key is from: a file, or "" if it was given.
func Check(ctx context.Context, store KeysetStore, given []byte, dataDir string) (source string, err error) {
	stored, err := store.Setting(ctx, settingName)
	if err != nil {
		return "", fmt.Errorf("reading the keyset: %w", err)
	}
	master := given
	if master == nil {
		source = keyPath(dataDir)
		if master, err = readKey(source); err != nil {
			return source, err
		}
		if master == nil && stored != nil {
			return source, fmt.Errorf("%w %s", ErrKeyMissing, source)
		}
	}
	if stored == nil {
		return source, nil
	}
	_, err = unwrap(stored, master)
	return source, err
}

// Seal encrypts plain for the place that ad names, workspace|table|row|field, so that a
// ciphertext moved elsewhere does not open there.
func (v *Vault) Seal(plain []byte, ad string) ([]byte, error) {
	return v.open.Load().aead.Encrypt(plain, []byte(ad))
}

// Open decrypts what Seal made for the same place, or returns ErrOpen.
func (v *Vault) Open(ciphertext []byte, ad string) ([]byte, error) {
	now := v.open.Load()
	plain, err := now.aead.Decrypt(ciphertext, []byte(ad))
	if err != nil && v.renewed(now) {
		plain, err = v.open.Load().aead.Decrypt(ciphertext, []byte(ad))
	}
	if err != nil {
		// The library's text would say no more.
		return nil, ErrOpen
	}
	return plain, nil
}

// renewTime bounds the look for a newer keyset.
const renewTime = 5 * time.Second

// renewed reports that the database has another keyset than known, and takes it: somebody may
// have given it a new key to seal with, and another node sealed with it.
func (v *Vault) renewed(known *opened) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open.Load() != known {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), renewTime)
	defer cancel()
	stored, err := v.store.Setting(ctx, settingName)
	if err != nil || bytes.Equal(stored, known.stored) {
		return false
	}
	handle, err := read(stored, v.check, v.wrap)
	if err != nil {
		return false // of another master key: the next start brings it
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return false
	}
	v.open.Store(&opened{stored: stored, aead: primitive})
	return true
}

// settingName is the key of the one value that the vault has in the database: a version byte,
// the check value of the master key, and the keyset wrapped by it. One value, so that it is
// there whole or not at all.
const (
	settingName  = "vault.keyset"
	version      = 1
	checkText    = "sallyport master key check"
	wrapText     = "sallyport keyset wrapping"
	masterLength = 32
	prefixLength = 1 + sha256.Size
)

// checkValue lets a start tell a wrong master key from a damaged keyset.
func checkValue(master []byte) []byte {
	mac := hmac.New(sha256.New, master)
	mac.Write([]byte(checkText))
	return mac.Sum(nil)
}

// wrapper is the AEAD that wraps the keyset. Its key is derived, so that the master key itself
// serves only one algorithm.
func wrapper(master []byte) (tink.AEAD, error) {
	if len(master) != masterLength {
		return nil, fmt.Errorf("the master key has %d bytes, not %d", len(master), masterLength)
	}
	key, err := hkdf.Key(sha256.New, master, nil, wrapText, masterLength)
	if err != nil {
		return nil, err
	}
	return subtle.NewAESGCM(key)
}

// newKeyset makes the value of settingName with a fresh AES-256-GCM key.
func newKeyset(master []byte) ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("generating a keyset: %w", err)
	}
	return wrapped(handle, master)
}

// wrapped makes the value of settingName.
func wrapped(handle *keyset.Handle, master []byte) ([]byte, error) {
	wrap, err := wrapper(master)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteByte(version)
	out.Write(checkValue(master))
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), wrap, []byte(settingName)); err != nil {
		return nil, fmt.Errorf("wrapping the keyset: %w", err)
	}
	return out.Bytes(), nil
}

// unwrap opens the value of settingName.
func unwrap(stored, master []byte) (*keyset.Handle, error) {
	wrap, err := wrapper(master)
	if err != nil {
		return nil, err
	}
	return read(stored, checkValue(master), wrap)
}

// read is unwrap with what is made of the master key.
func read(stored, check []byte, wrap tink.AEAD) (*keyset.Handle, error) {
	if len(stored) <= prefixLength || stored[0] != version {
		return nil, ErrCorrupt
	}
	if !hmac.Equal(stored[1:prefixLength], check) {
		return nil, ErrKeyMismatch
	}
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(stored[prefixLength:])), wrap, []byte(settingName))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return handle, nil
}
