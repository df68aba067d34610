package vault

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keyPath is where the master key of a data directory lies.
func keyPath(dataDir string) string { return filepath.Join(dataDir, "encryption.key") }

// readKey returns the key in a file, nil if there is no such file.
func readKey(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the encryption key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(content)))
	if err != nil || len(key) != masterLength {
		return nil, fmt.Errorf("%s does not hold an encryption key of 64 hex digits", path)
	}
	return key, nil
}

// generateKey writes a new key into a file that only its owner can read, and reports whether
// it is ours: if another process was faster, its key is returned. The file is whole and on
// disk, or not there.
func generateKey(path string) (key []byte, ours bool, err error) {
	key = make([]byte, masterLength)
	rand.Read(key)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("making the data directory: %w", err)
	}
	file, err := os.CreateTemp(dir, ".encryption.key-*") // mode 0600
	if err != nil {
		return nil, false, fmt.Errorf("writing the encryption key: %w", err)
	}
	defer os.Remove(file.Name()) //nolint:errcheck // a leftover of this name is never read
	_, err = file.WriteString(hex.EncodeToString(key) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, false, fmt.Errorf("writing the encryption key: %w", err)
	}
	// A link, unlike a rename, does not replace what somebody else has put there.
	err = os.Link(file.Name(), path)
	if errors.Is(err, os.ErrExist) {
		key, err = readKey(path)
		return key, false, err
	}
	if err = errors.Join(err, syncDir(dir)); err != nil {
		return nil, false, fmt.Errorf("writing the encryption key: %w", err)
	}
	return key, true, nil
}

func removeKey(path string) error {
	return errors.Join(os.Remove(path), syncDir(filepath.Dir(path)))
}

// syncDir makes the entries of a directory survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
