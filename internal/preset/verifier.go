package preset

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/signature"
)

// Algorithms of a verification. Hashes over the secret and the content are not among them:
// who has seen one such signature can append to the content and sign it.
const (
	HMACSHA1   = signature.SHA1
	HMACSHA256 = signature.SHA256
	HMACSHA512 = signature.SHA512
	Ed25519    = "ed25519"
	ECDSAP256  = "ecdsa-p256" // ASN.1 signature of the SHA-256
	RSASHA256  = "rsa-sha256" // PKCS #1 v1.5
	Token      = "token"      // the secret itself; protects nothing but the door
)

// Encodings of a signature. Of a token there is none.
const (
	Hex       = signature.Hex // either case
	Base64    = signature.Base64
	Base64URL = "base64url"
)

// Kinds of keys.
const (
	KeyUTF8     = "utf8"
	KeyBase64   = "base64"
	KeyHex      = "hex"
	KeyStandard = "whsec"
)

// Units of a timestamp.
const (
	Seconds      = "s"
	Milliseconds = "ms"
	RFC3339      = "rfc3339"
	HTTPDate     = "http-date"
)

var hashes = map[string]func() hash.Hash{HMACSHA1: sha1.New, HMACSHA256: sha256.New, HMACSHA512: sha512.New}

// DefaultTolerance is how far the time of signing may be from now where nothing else is said.
const DefaultTolerance = 5 * time.Minute

// A header is sent by strangers: these bound what one request can make us compute.
const (
	maxLines   = 4    // of the header with the signature; each may carry its own time
	maxEntries = 16   // of one line; senders in rotation have two or three
	maxEntry   = 2048 // bytes; RSA with 8192 bits has 1366 in base64
)

// check is a verification made ready: its texts parsed, its keys made.
type check struct {
	hook.Verification
	content   []part
	keys      []*key
	tolerance time.Duration
	place     string // of the signature, for details
	open      bool   // strangers have challenges signed with the same secret
	late      bool   // the time is read from a body that is signed as a whole: not before that is known
}

// Verify reports whether the request is signed by one of the secrets: nil, or an error that
// is one of ErrMissing, ErrMismatch and ErrExpired of package signature, with a detail for
// the log. The detail never has the expected signature. ErrExpired means that the signature
// matches and is old.
func (v *Verifier) Verify(r *Request) error {
	if v == nil || len(v.checks) == 0 {
		return fmt.Errorf("%w: there is no secret to check it with", signature.ErrMismatch)
	}
	var verdict error
	for i := range v.checks {
		err := v.checks[i].verify(r)
		if err == nil {
			return nil
		}
		if rank(err) > rank(verdict) {
			verdict = err
		}
	}
	return verdict
}

// rank orders verdicts: of several descriptions the one that came furthest explains most.
func rank(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, signature.ErrMissing):
		return 1
	case errors.Is(err, signature.ErrMismatch):
		return 2
	}
	return 3
}

func missing(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{signature.ErrMissing}, args...)...)
}

func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{signature.ErrMismatch}, args...)...)
}

func (c *check) verify(r *Request) error {
	lines, err := c.lines(r)
	if err != nil {
		return err
	}
	s := &source{Request: r, idHeader: c.IDHeader}
	if c.BodySHA256Query != "" {
		if s.digested, err = c.verifyDigest(r); err != nil {
			return err
		}
	}
	if s.stamp, err = c.outerStamp(r); err != nil {
		return err
	}
	var verdict error
	for _, line := range lines {
		err := c.verifyLine(s, line)
		if err == nil {
			return nil
		}
		if rank(err) > rank(verdict) {
			verdict = err
		}
	}
	return verdict
}

// lines are the values that may hold signatures.
func (c *check) lines(r *Request) ([]string, error) {
	var lines []string
	switch {
	case c.Header != "":
		lines = r.Header[c.Header]
	case c.Query != "":
		lines = r.queryValues(c.Query)
	default:
		value, err := r.Field(c.BodyField)
		if err != nil {
			return nil, missing("%s %w", c.place, err)
		}
		return []string{value}, nil
	}
	if len(lines) == 0 {
		return nil, missing("%s is absent", c.place)
	}
	return lines[:min(len(lines), maxLines)], nil
}

// outerStamp is the time of signing where it does not stand in the signature's own value.
func (c *check) outerStamp(r *Request) (string, error) {
	switch {
	case c.TimestampHeader != "":
		stamp, err := one(r.Header[c.TimestampHeader])
		if err != nil {
			return "", missing("header %s with the time of signing %w", c.TimestampHeader, err)
		}
		return stamp, nil
	case c.TimestampField != "" && !c.late:
		return c.bodyStamp(r)
	}
	return "", nil
}

func (c *check) bodyStamp(r *Request) (string, error) {
	stamp, err := r.Field(c.TimestampField)
	if err != nil {
		return "", missing("body field %s with the time of signing %w", c.TimestampField, err)
	}
	return stamp, nil
}

func (c *check) verifyLine(s *source, line string) error {
	entries := make([]string, 0, 4)
	stamped := c.TimestampPrefix == ""
	if c.Separator == "" {
		if rest, ok := strings.CutPrefix(line, c.Prefix); ok {
			entries = append(entries, rest)
		}
	} else {
		for entry := range strings.SplitSeq(line, c.Separator) {
			entry = strings.TrimSpace(entry)
			if rest, ok := strings.CutPrefix(entry, c.Prefix); ok {
				if len(entries) < maxEntries {
					entries = append(entries, rest)
				}
			} else if c.TimestampPrefix != "" {
				if rest, ok := strings.CutPrefix(entry, c.TimestampPrefix); ok {
					if stamped && s.stamp != rest {
						return mismatch("%s has several times", c.place)
					}
					s.stamp, stamped = rest, true
				}
			}
		}
	}
	if len(entries) == 0 {
		return missing("%s has no entry that begins with %q", c.place, c.Prefix)
	}
	if !stamped {
		return missing("%s has no entry that begins with %q", c.place, c.TimestampPrefix)
	}
	if err := c.match(s, entries); err != nil {
		return err
	}
	return c.inTime(s)
}

// inTime is asked last, so that a request said to be too old is known to be genuine.
func (c *check) inTime(s *source) error {
	if c.tolerance == 0 {
		return nil
	}
	stamp := s.stamp
	if c.late {
		var err error
		if stamp, err = c.bodyStamp(s.Request); err != nil {
			return err
		}
	}
	signed, err := parseTime(stamp, c.TimestampUnit)
	if err != nil {
		return missing("the time of signing cannot be read; it should be %s", unitNames[c.TimestampUnit])
	}
	off := s.Now.Sub(signed)
	switch {
	case off > c.tolerance:
		return fmt.Errorf("%w: it matches, but was made %s ago; at most %s are accepted", signature.ErrExpired, off.Truncate(time.Millisecond), c.tolerance)
	case off < -c.tolerance:
		return fmt.Errorf("%w: it matches, but its time is %s ahead of this clock; at most %s are accepted", signature.ErrExpired, (-off).Truncate(time.Millisecond), c.tolerance)
	}
	return nil
}

var unitNames = map[string]string{Seconds: "Unix seconds", Milliseconds: "Unix milliseconds", RFC3339: "an RFC 3339 time",
	HTTPDate: "a date as in HTTP headers"}

func parseTime(stamp, unit string) (time.Time, error) {
	switch unit {
	case RFC3339:
		return time.Parse(time.RFC3339Nano, stamp)
	case HTTPDate:
		return time.Parse(http.TimeFormat, stamp)
	}
	// Fifteen digits of milliseconds reach past every year that time can subtract.
	if len(stamp) == 0 || len(stamp) > 15 || strings.Trim(stamp, "0123456789") != "" {
		return time.Time{}, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(stamp, 10, 64)
	if unit == Milliseconds {
		return time.UnixMilli(n), err
	}
	return time.Unix(n, 0), err
}

// verifyDigest compares the body with the digest that the signed URL has of it, and reports
// whether there is one. There must be, unless the body is signed as a form.
func (c *check) verifyDigest(r *Request) (bool, error) {
	value, err := one(r.queryValues(c.BodySHA256Query))
	switch {
	case errors.Is(err, errAbsent) && has(c.content, form):
		return false, nil
	case err != nil:
		return false, missing("query parameter %s %w", c.BodySHA256Query, err)
	}
	sum := sha256.Sum256(r.Body)
	if digest, err := hex.DecodeString(value); err != nil || !hmac.Equal(digest, sum[:]) {
		return false, mismatch("the body is not the one that query parameter %s was made of", c.BodySHA256Query)
	}
	return true, nil
}
