package send

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
)

// recordRequest notes a request as net/http writes it over HTTP/1.1. Over HTTP/2 names are
// lowercase and Host is :authority.
func recordRequest(t *target, r profile.Rendered, keep int) *hook.SentRequest {
	headers := make([]hook.HeaderField, 0, len(r.Header)+3)
	headers = append(headers, hook.HeaderField{Name: "Host", Value: t.host})
	for i, f := range r.Header {
		switch {
		case f.Secret:
			headers = append(headers, hook.HeaderField{Name: f.Name, Redacted: true})
		case i > 0 || f.Value != "": // an empty User-Agent is not sent
			headers = append(headers, hook.HeaderField{Name: f.Name, Value: f.Value})
		}
		if i == 0 && len(r.Body) > 0 {
			headers = append(headers, hook.HeaderField{Name: "Content-Length", Value: strconv.Itoa(len(r.Body))})
		}
	}
	if len(r.Body) == 0 {
		headers = append(headers, hook.HeaderField{Name: "Connection", Value: "close"})
	}
	sent := &hook.SentRequest{
		Method: r.Method, URL: t.text, Headers: headers, EntityAt: r.EntityAt,
		Body: hook.Body{Bytes: r.Body, Size: int64(len(r.Body))},
	}
	if len(r.Body) > keep {
		sum := sha256.Sum256(r.Body)
		sent.Body.Bytes, sent.Body.Truncated, sent.Body.SHA256 = r.Body[:keep:keep], true, sum[:]
		sent.EntityAt = -1 // what is left of the entity is not all of it
	}
	return sent
}

// wireHeader makes the map that net/http sends. Keys keep their spelling: they are assigned,
// not set.
func wireHeader(fields []profile.Field) http.Header {
	h := make(http.Header, len(fields))
	values := make([]string, len(fields))
	for i, f := range fields {
		if old, ok := h[f.Name]; ok {
			h[f.Name] = append(old, f.Value)
			continue
		}
		values[i] = f.Value
		h[f.Name] = values[i : i+1 : i+1]
	}
	return h
}

// recordHeaders notes an answer's headers by name, as net/http spells them; values of one
// name keep their order. What is not UTF-8 in them becomes U+FFFD.
func recordHeaders(t *target, h http.Header) []hook.HeaderField {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	fields := make([]hook.HeaderField, 0, n)
	for name, values := range h {
		for _, v := range values {
			fields = append(fields, hook.HeaderField{Name: name, Value: hook.Storable(t.redact(v))})
		}
	}
	slices.SortStableFunc(fields, func(a, b hook.HeaderField) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

func (t *target) redact(s string) string {
	return hook.Redact(s, t.secrets)
}

func (t *target) redactBytes(b []byte) []byte {
	for _, secret := range t.secrets {
		if bytes.Contains(b, []byte(secret)) {
			b = bytes.ReplaceAll(b, []byte(secret), []byte(hook.HiddenMark))
		}
	}
	return b
}

// buffers are for the part of an answer that is read but not kept.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// readBody reads an answer's body: at most limit bytes, of which it keeps at most keep. The
// error is the reader's; what was read until then is returned. Size counts what was read,
// the SHA-256 covers it when not all of it is kept.
func (t *target) readBody(body io.Reader, length int64, limit, keep int64) (hook.Body, error) {
	// A secret that crosses the end of what is kept must be found too.
	slack := int64(0)
	if len(t.secrets) > 0 {
		slack = int64(len(t.secrets[0]))
	}
	head, err := readUpTo(body, length, min(keep+slack, limit))
	out := hook.Body{Size: int64(len(head))}
	var sum hash.Hash
	if err == nil { // there may be more
		sum = sha256.New()
		sum.Write(head)
		out.Size, out.Truncated, err = skip(body, sum, out.Size, limit)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	out.Bytes = t.redactBytes(head)
	if int64(len(out.Bytes)) > keep {
		out.Bytes = out.Bytes[:keep:keep]
		out.Truncated = true
	}
	if out.Size > int64(len(head)) {
		out.Truncated = true
	}
	if out.Truncated {
		if sum == nil {
			sum = sha256.New()
			sum.Write(head)
		}
		out.SHA256 = sum.Sum(nil)
	}
	return out, err
}

// skip reads on from size to limit into the hash only, and one byte further to see whether
// there would be more.
func skip(body io.Reader, sum hash.Hash, size, limit int64) (read int64, more bool, err error) {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for err == nil && size < limit {
		var n int
		n, err = body.Read(buf[:min(int64(len(buf)), limit-size)])
		sum.Write(buf[:n])
		size += int64(n)
	}
	for err == nil {
		var n int
		if n, err = body.Read(buf[:1]); n > 0 {
			return size, true, nil
		}
	}
	return size, false, err
}

// readUpTo reads at most limit bytes into a slice that fits the expected length. The error
// is nil only if limit was reached before the end was seen.
func readUpTo(r io.Reader, length, limit int64) ([]byte, error) {
	// A declared length is only a claim: a receiver that drips must not hold memory for it.
	size := int64(512)
	if length >= 0 {
		size = min(length+1, 4096) // one more to see the end
	}
	buf := make([]byte, 0, min(size, limit))
	for int64(len(buf)) < limit {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, int(min(int64(cap(buf)), limit-int64(len(buf)))))
		}
		n, err := r.Read(buf[len(buf):min(int64(cap(buf)), limit)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}
