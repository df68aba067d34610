package signature

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/hook"
)

// Verdicts of a check.
var (
	ErrMissing  = errors.New("the request carries no such signature")
	ErrMismatch = errors.New("the signature does not match")
	ErrExpired  = errors.New("the signature's time is too far from now")
)

// Verify checks one scheme. For one-value formats the header with NextSuffix serves as
// well. The id is taken from webhook-id, and the timestamp from the signature's own lead,
// else from webhook-timestamp; only schemes that sign a timestamp look at the tolerance.
func Verify(s Scheme, secret string, h http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	values := h.Values(s.Header)
	if s.Join == "" {
		values = append(values[:len(values):len(values)], h.Values(s.Header+NextSuffix)...)
	}
	if len(values) == 0 {
		return ErrMissing
	}
	newHash := newHash(s.Algorithm)
	if newHash == nil {
		return fmt.Errorf("unknown algorithm %q", s.Algorithm)
	}
	content, err := parse(s.Content)
	if err != nil {
		return err
	}
	key, err := s.key(hook.Sensitive(secret))
	if err != nil {
		return err
	}
	var unix int64
	if covers(content, partTimestamp) {
		stamp := h.Get("webhook-timestamp")
		if lead, _, ok := strings.Cut(s.Lead, "{timestamp}"); ok {
			stamp = entry(values[0], s.Join, lead)
		}
		if unix, err = strconv.ParseInt(stamp, 10, 64); err != nil {
			return fmt.Errorf("%w: no readable timestamp", ErrMissing)
		}
		if off := now.Sub(time.Unix(unix, 0)); tolerance > 0 && (off > tolerance || off < -tolerance) {
			return fmt.Errorf("%w: %s", ErrExpired, off.Truncate(time.Second))
		}
	}
	mac := hmac.New(newHash, key)
	for _, p := range content {
		if p.kind == partBody {
			mac.Write(body)
		} else {
			mac.Write(appendPart(nil, p, h.Get("webhook-id"), unix))
		}
	}
	want := mac.Sum(nil)
	for _, value := range values {
		candidates := []string{value}
		if s.Join != "" {
			candidates = strings.Split(value, s.Join)
		}
		for _, c := range candidates {
			encoded, ok := strings.CutPrefix(strings.TrimSpace(c), s.Prefix)
			if ok && hmac.Equal(want, s.decode(encoded)) {
				return nil
			}
		}
	}
	return ErrMismatch
}

// Finding is the verdict on one signature header of a request.
type Finding struct {
	Header string
	Err    error // nil: it matches
}

// VerifyAll checks every known signature that the request carries, in the order of Known.
// None found means that the request is not signed, which is for the caller to refuse.
func VerifyAll(secret string, h http.Header, body []byte, now time.Time, tolerance time.Duration) []Finding {
	var found []Finding
	for _, s := range Known() {
		if err := Verify(s, secret, h, body, now, tolerance); !errors.Is(err, ErrMissing) {
			found = append(found, Finding{Header: s.Header, Err: err})
		}
	}
	return found
}

// entry returns what follows prefix in the entry of value that begins with it.
func entry(value, join, prefix string) string {
	for e := range strings.SplitSeq(value, join) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(e), prefix); ok {
			return rest
		}
	}
	return ""
}

func (s Scheme) decode(encoded string) []byte {
	var sum []byte
	var err error
	if s.Encoding == Base64 {
		sum, err = base64.StdEncoding.DecodeString(encoded)
	} else {
		sum, err = hex.DecodeString(encoded)
	}
	if err != nil {
		return nil
	}
	return sum
}
