package preset

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// handshake is a hook.Handshake made ready.
type handshake struct {
	hook.Handshake
	body    []part
	headers []headerPart
	content []part // of the HMAC
	key     *key   // for the HMAC: the first secret's
	secrets [][sha256.Size]byte
	named   bool // its own secrets were given
}

type headerPart struct {
	name  string
	parts []part
}

// Answer is what the sender of a handshake wants to hear. Besides ContentType it must go out
// with Headers, among them X-Content-Type-Options: it repeats what a stranger sent.
type Answer struct {
	Status      int
	ContentType string
	Headers     http.Header
	Body        []byte
}

const (
	// maxHandshake bounds the bodies that are searched for a handshake; the largest known
	// is below 4 KiB.
	maxHandshake = 64 << 10
	// maxAnswer bounds what is repeated to a stranger.
	maxAnswer = 4 << 10
	// maxChallenge bounds what is signed for a stranger.
	maxChallenge = 512
)

// HandshakeMethods lists the methods that handshakes come with, for which the door must be
// open although its configuration does not name them: such a request is a handshake or refused.
func (v *Verifier) HandshakeMethods() []string {
	var methods []string
	if v == nil {
		return nil
	}
	for _, h := range v.handshakes {
		if !slices.Contains(methods, h.Method) {
			methods = append(methods, h.Method)
		}
	}
	return methods
}

// Handshake returns the answer if the request is a handshake, and nil if it is none. An
// error, of the same kinds as Verify's, means that it is one and not to be trusted.
func (v *Verifier) Handshake(r *Request) (*Answer, error) {
	if v == nil {
		return nil, nil
	}
	for i := range v.handshakes {
		h := &v.handshakes[i]
		if !h.applies(r) {
			continue
		}
		for _, w := range h.When {
			if w.Secret {
				if err := h.verifySecret(r, w); err != nil {
					return nil, err
				}
			}
		}
		if h.Signed {
			if err := v.Verify(r); err != nil {
				return nil, err
			}
		}
		return h.answer(r)
	}
	return nil, nil
}

// applies reports whether all conditions hold but for the secret.
func (h *handshake) applies(r *Request) bool {
	if h.Method != r.Method {
		return false
	}
	for _, w := range h.When {
		if w.Body == "" && !w.Secret && !holds(r, w) {
			return false
		}
	}
	// Bodies last: they are parsed for it, and most requests are no handshakes.
	for _, w := range h.When {
		if w.Body == "" || w.Secret {
			continue
		}
		if len(r.Body) > maxHandshake || w.Equals != "" && !bytes.Contains(r.Body, []byte(w.Equals)) || !holds(r, w) {
			return false
		}
	}
	return true
}

func holds(r *Request, w hook.HandshakeCondition) bool {
	value, err := value(r, w)
	switch {
	case w.Absent:
		return err != nil
	case err != nil:
		return false
	}
	return w.Equals == "" || value == w.Equals
}

func value(r *Request, w hook.HandshakeCondition) (string, error) {
	switch {
	case w.Header != "":
		return one(r.Header[http.CanonicalHeaderKey(w.Header)])
	case w.Query != "":
		return one(r.queryValues(w.Query))
	}
	return r.Field(w.Body)
}

func (h *handshake) verifySecret(r *Request, w hook.HandshakeCondition) error {
	if !h.named {
		return mismatch("the handshake has a secret of its own; name it in the field handshake")
	}
	got, err := value(r, w)
	if err != nil {
		return missing("the handshake's secret %w", err)
	}
	sum := sha256.Sum256([]byte(got))
	for _, s := range h.secrets {
		if hmac.Equal(sum[:], s[:]) {
			return nil
		}
	}
	return mismatch("the handshake came with another secret")
}

// open reports that anybody who asks gets something signed with the secret. Then challenges
// and requests are kept apart by their form: no challenge is signed that could be a request,
// and no request taken that could be a challenge.
func (h *handshake) open() bool { return h.HMAC != nil && !h.Signed }

// isChallenge reports that text is what senders have signed in handshakes: random bytes in
// base64 or hex.
func isChallenge(text string) bool {
	plain := strings.TrimRight(text, "=")
	return plain != "" && len(text) <= maxChallenge && strings.IndexFunc(plain, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_+/", r))
	}) < 0
}

func (h *handshake) answer(r *Request) (*Answer, error) {
	s := &source{Request: r}
	if h.HMAC != nil {
		if h.key == nil {
			return nil, mismatch("there is no secret to answer the handshake with")
		}
		content, err := s.bytes(h.content)
		if err != nil {
			return nil, missing("%w", err)
		}
		if h.open() && !isChallenge(string(content)) {
			return nil, mismatch("the challenge is none: it could be a request that somebody wants to have signed")
		}
		mac := h.key.mac()
		defer h.key.macs.Put(mac)
		mac.Write(content)
		if sum := mac.Sum(nil); h.HMAC.Encoding == Base64 {
			s.hmac = base64.StdEncoding.EncodeToString(sum)
		} else {
			s.hmac = hex.EncodeToString(sum)
		}
	}
	a := &Answer{Status: cmp.Or(h.Status, http.StatusOK), ContentType: h.ContentType, Headers: http.Header{}}
	a.Headers.Set("X-Content-Type-Options", "nosniff")
	for _, p := range h.body {
		text, err := s.text(p)
		if err != nil {
			return nil, missing("%w", err)
		}
		if p.kind != literal && h.ContentType == typeJSON {
			text = escaped(text)
		}
		a.Body = append(a.Body, text...)
	}
	for _, hp := range h.headers {
		var b []byte
		for _, p := range hp.parts {
			text, err := s.text(p)
			if err != nil {
				return nil, missing("%w", err)
			}
			b = append(b, text...)
		}
		a.Headers.Set(hp.name, string(b))
	}
	if len(a.Body) > maxAnswer {
		return nil, mismatch("the handshake asks for an answer of more than %d bytes", maxAnswer)
	}
	return a, nil
}

const (
	typeJSON = "application/json"
	typeText = "text/plain; charset=utf-8"
)

// escaped is text as it stands between the quotes of a JSON string.
func escaped(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}
