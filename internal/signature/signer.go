package signature

import (
	"crypto/hmac"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// Signer signs with one scheme and the secrets of one webhook. It is made once per version
// of the webhook, because keying an HMAC costs two blocks of hashing and several allocations.
// Safe for concurrent use.
type Signer struct {
	scheme  Scheme
	content []part
	lead    []part
	keys    []*key // oldest first
}

// New prepares a signer. Secrets come oldest first, as a webhook keeps them; without any
// the signer signs nothing.
func New(s Scheme, secrets []hook.Secret) (*Signer, error) {
	newHash := newHash(s.Algorithm)
	if newHash == nil {
		return nil, fmt.Errorf("signature: unknown algorithm %q", s.Algorithm)
	}
	content, err := parse(s.Content)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	lead, err := parse(s.Lead)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	signer := &Signer{scheme: s, content: content, lead: lead}
	for _, secret := range secrets {
		bytes, err := s.key(secret.Value)
		if err != nil {
			return nil, fmt.Errorf("signature: secret %s: %w", secret.Hint, err)
		}
		signer.keys = append(signer.keys, newKey(newHash, bytes, secret))
	}
	return signer, nil
}

// Header is the name of the header that carries the signature.
func (s *Signer) Header() string { return s.scheme.Header }

// Sign returns the value of the header for a request made at a moment, and what belongs in
// the header with NextSuffix. Both are empty when there is nothing to put there. id is the
// event's id.
func (s *Signer) Sign(at time.Time, id string, body []byte) (value, next string) {
	var oldest, newest *key
	live := 0
	for _, k := range s.keys {
		if k.live(at) {
			if oldest == nil {
				oldest = k
			}
			newest = k
			live++
		}
	}
	if live == 0 {
		return "", ""
	}
	w := newest.get()
	defer newest.put(w)
	unix := at.Unix()
	w.out = appendText(w.out[:0], s.lead, id, unix)
	if s.scheme.Join == "" {
		start := len(w.out)
		w.out = s.append(w.out, oldest, w, unix, id, body)
		value = string(w.out)
		if live > 1 {
			w.out = s.append(w.out[:start], newest, w, unix, id, body)
			next = string(w.out)
		}
		return value, next
	}
	first := true
	for i := len(s.keys) - 1; i >= 0; i-- {
		k := s.keys[i]
		if !k.live(at) {
			continue
		}
		if !first {
			w.out = append(w.out, s.scheme.Join...)
		}
		first = false
		w.out = s.append(w.out, k, w, unix, id, body)
	}
	return string(w.out), ""
}

// append appends the prefix and one signature. held is the newest key's working state,
// already taken from its pool.
func (s *Signer) append(dst []byte, k *key, held *work, unix int64, id string, body []byte) []byte {
	w := held
	if w.of != k {
		w = k.get()
		defer k.put(w)
	}
	w.mac.Reset()
	text := w.text[:0]
	for _, p := range s.content {
		if p.kind != partBody {
			text = appendPart(text, p, id, unix)
			continue
		}
		if len(text) > 0 {
			w.mac.Write(text)
			text = text[:0]
		}
		w.mac.Write(body)
	}
	if len(text) > 0 {
		w.mac.Write(text)
	}
	w.text = text
	dst = append(dst, s.scheme.Prefix...)
	return s.scheme.appendEncoded(dst, w.mac.Sum(w.sum[:0]))
}

func appendText(dst []byte, parts []part, id string, unix int64) []byte {
	for _, p := range parts {
		dst = appendPart(dst, p, id, unix)
	}
	return dst
}

func appendPart(dst []byte, p part, id string, unix int64) []byte {
	switch p.kind {
	case partID:
		return append(dst, id...)
	case partTimestamp:
		return strconv.AppendInt(dst, unix, 10)
	case partLiteral:
		return append(dst, p.literal...)
	}
	return dst
}

// key is one secret with its keyed HMAC states, kept for the next request: restoring one is
// a copy, making one allocates two hashes and runs the key through both.
type key struct {
	expires *time.Time
	pool    sync.Pool // *work
}

// work is what one signature in the making needs.
type work struct {
	of   *key
	mac  hash.Hash
	sum  [64]byte
	text []byte
	out  []byte
}

func newKey(newHash func() hash.Hash, bytes []byte, secret hook.Secret) *key {
	k := &key{expires: secret.ExpiresAt}
	k.pool.New = func() any { return &work{of: k, mac: hmac.New(newHash, bytes)} }
	return k
}

func (k *key) get() *work  { return k.pool.Get().(*work) }
func (k *key) put(w *work) { k.pool.Put(w) }

func (k *key) live(at time.Time) bool { return k.expires == nil || at.Before(*k.expires) }
