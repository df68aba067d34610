package manage

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"sallyport/internal/hook"
)

// Form of API keys. Generated ones are sp_ and the base64url of 32 random bytes and
// their CRC-32, so that a mistyped one is refused without a look-up; given ones, from
// a vault, are any 32 to 256 visible ASCII characters.
const (
	keyPrefix    = "sp_"
	keyRandom    = 32
	generatedLen = len(keyPrefix) + (keyRandom+4)*4/3
	minKey       = 32
	maxKey       = 256
	shownOfKey   = 7 // of a generated one; of a given one 4
)

// NewKey generates an API key.
func NewKey() hook.Sensitive {
	b := make([]byte, keyRandom, keyRandom+4)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process rather than return an error
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return hook.Sensitive(keyPrefix + base64.RawURLEncoding.EncodeToString(b))
}

// LooksLikeKey reports whether s can be an API key at all.
func LooksLikeKey(s string) bool {
	if !strings.HasPrefix(s, keyPrefix) {
		return validKey(s)
	}
	if len(s) != generatedLen {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(s[len(keyPrefix):])
	return err == nil && binary.BigEndian.Uint32(b[keyRandom:]) == crc32.ChecksumIEEE(b[:keyRandom])
}

// validKey reports whether s has the form of a given key: something that fits a Bearer
// header.
func validKey(s string) bool {
	return len(s) >= minKey && len(s) <= maxKey && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// HashKey is what the store keeps of a key. Keys are random, so a fast hash is enough.
func HashKey(key hook.Sensitive) [32]byte { return sha256.Sum256([]byte(key)) }

// prefixOf is what is shown of a key, to recognise it.
func prefixOf(key hook.Sensitive) string {
	if s := string(key); len(s) == generatedLen && LooksLikeKey(s) && strings.HasPrefix(s, keyPrefix) {
		return s[:shownOfKey]
	}
	return string(key)[:4]
}
