package preset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// match reports whether one of the entries is a signature by one of the keys.
func (c *check) match(s *source, entries []string) error {
	if c.Algorithm == Token {
		for _, entry := range entries {
			// Of the same length whatever was sent, so that comparing takes the same time.
			sum := sha256.Sum256([]byte(entry))
			for _, k := range c.keys {
				if hmac.Equal(sum[:], k.token[:]) {
					return nil
				}
			}
		}
		return mismatch("%s is not the token", c.place)
	}
	decoded := make([][]byte, 0, 4)
	for _, entry := range entries {
		if sum := c.decode(entry); sum != nil {
			decoded = append(decoded, sum)
		}
	}
	if len(decoded) == 0 {
		return mismatch("%s is not a signature in %s", c.place, c.Encoding)
	}
	if c.open {
		content, err := s.bytes(c.content)
		if err != nil {
			return missing("%w", err)
		}
		if isChallenge(string(content)) {
			return mismatch("what is signed looks like the challenge of a handshake, for which anybody gets a signature")
		}
	}
	if hashes[c.Algorithm] != nil {
		for _, k := range c.keys {
			mac := k.mac()
			if err := s.write(mac, c.content); err != nil {
				return missing("%w", err)
			}
			var sum [sha512.Size]byte
			want := mac.Sum(sum[:0])
			k.macs.Put(mac)
			for _, d := range decoded {
				if hmac.Equal(want, d) {
					return nil
				}
			}
		}
	} else {
		content, err := s.bytes(c.content)
		if err != nil {
			return missing("%w", err)
		}
		digest := sha256.Sum256(content)
		for _, k := range c.keys {
			for _, d := range decoded {
				if k.signed(content, digest[:], d) {
					return nil
				}
			}
		}
	}
	if len(c.keys) > 1 {
		return mismatch("%s was made with none of the %d secrets, or of other content", c.place, len(c.keys))
	}
	return mismatch("%s was made with another secret, or of other content", c.place)
}

func (k *key) signed(content, digest, sum []byte) bool {
	switch {
	case k.edwards != nil:
		return ed25519.Verify(k.edwards, content, sum)
	case k.ecdsa != nil:
		return ecdsa.VerifyASN1(k.ecdsa, digest, sum)
	case k.rsa != nil:
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest, sum) == nil
	}
	return false
}

// decode returns the bytes of a signature, nil if it is none in this encoding.
func (c *check) decode(entry string) []byte {
	if entry == "" || len(entry) > maxEntry {
		return nil
	}
	var sum []byte
	var err error
	switch c.Encoding {
	case Base64:
		sum, err = decodeBase64(entry)
	case Base64URL:
		sum, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(entry, "="))
	default:
		sum, err = hex.DecodeString(entry)
	}
	if err != nil {
		return nil
	}
	return sum
}
