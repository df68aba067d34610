package preset

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"

	"sallyport/internal/hook"
	"sallyport/internal/signature"
)

// key is one secret made ready to check signatures with. Of the fields those of the
// algorithm's family are set.
type key struct {
	macs    sync.Pool // hash.Hash, keyed
	token   [sha256.Size]byte
	edwards ed25519.PublicKey
	ecdsa   *ecdsa.PublicKey
	rsa     *rsa.PublicKey
}

// errEmpty refuses secrets that everybody knows.
var errEmpty = errors.New("is empty: with an empty secret everybody could sign")

// newKey makes a key of a secret. The error says what to do about the secret, and never shows it.
func newKey(v *hook.Verification, secret hook.Sensitive) (*key, error) {
	text := string(secret)
	if strings.TrimSpace(text) == "" {
		return nil, errEmpty
	}
	k := &key{}
	switch v.Algorithm {
	case Token:
		k.token = sha256.Sum256([]byte(text))
		return k, nil
	case Ed25519, ECDSAP256, RSASHA256:
		return k, k.setPublic(v.Algorithm, strings.TrimSpace(text))
	}
	bytes, err := keyBytes(v.Key, text)
	if err != nil {
		return nil, err
	}
	newHash := hashes[v.Algorithm]
	k.macs.New = func() any { return hmac.New(newHash, bytes) }
	return k, nil
}

func (k *key) mac() hash.Hash {
	mac := k.macs.Get().(hash.Hash)
	mac.Reset()
	return mac
}

func keyBytes(how, text string) ([]byte, error) {
	if strings.HasPrefix(text, publicPrefix) || strings.Contains(text, "PUBLIC KEY-----") {
		return nil, errors.New("is a public key, which everybody knows; an HMAC needs the secret that only the sender has")
	}
	var bytes []byte
	var err error
	switch how {
	case KeyUTF8:
		return []byte(text), nil
	case KeyBase64:
		bytes, err = decodeBase64(text)
	case KeyHex:
		bytes, err = hex.DecodeString(text)
	case KeyStandard:
		// Some senders show the version of the scheme before the secret.
		bytes, err = signature.StandardKey(strings.TrimPrefix(text, "v1,"))
	default:
		err = fmt.Errorf("unknown kind of key %q", how)
	}
	switch {
	case err != nil && how == KeyStandard:
		return nil, fmt.Errorf("cannot be read: %w; copy it whole from the sender", err)
	case err != nil:
		return nil, fmt.Errorf("is not %s, as this sender's are; copy it whole from the sender", how)
	case len(bytes) == 0:
		return nil, errEmpty
	}
	return bytes, nil
}

// publicPrefix begins ed25519 public keys in the form of Standard Webhooks.
const publicPrefix = "whpk_"

// setPublic reads a public key: PEM, base64 DER, or for ed25519 the 32 bytes.
func (k *key) setPublic(algorithm, text string) error {
	want := map[string]string{
		Ed25519:   "an ed25519 public key: 64 hex digits, base64 or PEM",
		ECDSAP256: "an ECDSA public key on the curve P-256: PEM, or base64 as the sender shows it",
		RSASHA256: "an RSA public key of at least 2048 bits: PEM, or base64 as the sender shows it",
	}[algorithm]
	if strings.Contains(text, "PRIVATE KEY-----") {
		return errors.New("is a private key; only the sender needs that. Give " + want)
	}
	var der []byte
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der = block.Bytes
	} else if raw, err := hex.DecodeString(text); err == nil && len(raw) == ed25519.PublicKeySize {
		der = raw
	} else if raw, err := decodeBase64(strings.TrimPrefix(text, publicPrefix)); err == nil {
		der = raw
	} else {
		return errors.New("is not " + want)
	}
	if algorithm == Ed25519 && len(der) == ed25519.PublicKeySize {
		k.edwards = der
		return nil
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if parsed, err = x509.ParsePKCS1PublicKey(der); err != nil {
			return errors.New("is not " + want)
		}
	}
	switch public := parsed.(type) {
	case ed25519.PublicKey:
		if algorithm == Ed25519 {
			k.edwards = public
			return nil
		}
	case *ecdsa.PublicKey:
		if algorithm == ECDSAP256 && public.Curve == elliptic.P256() {
			k.ecdsa = public
			return nil
		}
	case *rsa.PublicKey:
		if algorithm == RSASHA256 && public.N.BitLen() >= 2048 {
			k.rsa = public
			return nil
		}
	}
	return errors.New("is a public key of another kind; give " + want)
}

// decodeBase64 takes the standard alphabet, padded or not, on one line or several.
func decodeBase64(text string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=\r\n"))
}
