package preset_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
)

// FuzzVerify looks for panics, and for requests that pass without the secret: whatever comes
// in, a verifier with a secret that nobody has must refuse it, and no answer to a handshake
// may be long.
func FuzzVerify(f *testing.F) {
	for _, v := range vectors(f) {
		var headers []string
		for _, h := range v.Headers {
			headers = append(headers, h[0]+": "+h[1])
		}
		f.Add(v.Preset, v.Method, v.URL, strings.Join(headers, "\n"), v.Body64)
	}
	f.Add("meta", "GET", "https://h.example/in/x?hub.mode=subscribe&hub.verify_token=%zz&hub.challenge=1", "", []byte(nil))
	f.Add("zoom", "POST", "https://h.example/in/x", "", []byte(`{"event":"endpoint.url_validation","payload":[{"plainToken":null}]}`))
	f.Add("mailgun", "POST", "https://h.example", "Content-Type: multipart/form-data", []byte("--\r\n\r\n"))
	verifiers := map[string]*preset.Verifier{}
	for _, p := range preset.Builtin().All() {
		// Made of what other returns for the preset's first vector: a key of the right kind.
		for _, v := range vectors(f) {
			if v.Preset == p.Name && verifiers[p.Name] == nil {
				own := []string{"9e0f31b6c2f44d0b8d1d7b0b3c1c2d5a"}
				if p.HandshakeSecret == nil {
					own = nil
				}
				verifiers[p.Name] = compile(f, hook.PreProcessor{Preset: p.Name, Secrets: []string{strange(v)}, Handshake: own})
			}
		}
	}
	f.Fuzz(func(t *testing.T, name, method, address, headers string, body []byte) {
		verifier := verifiers[name]
		if verifier == nil {
			return
		}
		r := &preset.Request{Method: method, URL: address, Header: http.Header{}, Body: body, Now: time.Unix(handshakeTime, 0)}
		if u, err := url.Parse(address); err == nil {
			r.RawQuery = u.RawQuery
		}
		for line := range strings.SplitSeq(headers, "\n") {
			if key, value, ok := strings.Cut(line, ": "); ok {
				r.Header.Add(key, value)
			}
		}
		if err := verifier.Verify(r); err == nil {
			t.Errorf("%s accepts a request without its secret", name)
		}
		if a, err := verifier.Handshake(r); err == nil && a != nil && len(a.Body) > 4096 {
			t.Errorf("%s repeats %d bytes", name, len(a.Body))
		}
	})
}

// strange is a secret of the vector's kind that the fuzzer's seeds were not made with.
func strange(v vector) string {
	switch preset.Builtin().Get(v.Preset).Verifications[0].Algorithm {
	case preset.ECDSAP256, preset.RSASHA256, preset.Ed25519:
		return other(v)
	case preset.Token:
		return "9e0f31b6c2f44d0b8d1d7b0b3c1c2d5a"
	}
	if preset.Builtin().Get(v.Preset).Verifications[0].Key == preset.KeyUTF8 {
		return "9e0f31b6c2f44d0b8d1d7b0b3c1c2d5a"
	}
	return other(v)
}
