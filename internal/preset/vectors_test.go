package preset_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
	"sallyport/internal/signature"
)

// vector is a request that the preset must accept; testdata/vectors.py says where they come from.
type vector struct {
	Preset    string
	Secrets   []string
	Method    string
	URL       string
	Headers   [][2]string
	Body64    []byte
	Now       int64
	Age       int64
	Published string
	Note      string
}

func (v vector) String() string {
	return strings.TrimSpace(v.Preset + " " + v.Published + " " + v.Note)
}

func (v vector) request() *preset.Request {
	r := &preset.Request{Method: v.Method, URL: v.URL, Header: http.Header{}, Body: v.Body64, Now: time.Unix(v.Now, 0)}
	if u, err := url.Parse(v.URL); err == nil {
		r.RawQuery = u.RawQuery
	}
	for _, h := range v.Headers {
		r.Header.Add(h[0], h[1])
	}
	return r
}

func vectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// compile makes a verifier whose secrets are the values themselves.
func compile(t testing.TB, c hook.PreProcessor) *preset.Verifier {
	t.Helper()
	v, faults := preset.Builtin().Compile(c, asNamed)
	if len(faults) > 0 {
		t.Fatalf("%s: %v", c.Preset, faults)
	}
	return v
}

func asNamed(name string) (hook.Sensitive, bool) { return hook.Sensitive(name), true }

func TestEveryPresetHasVectors(t *testing.T) {
	t.Parallel()
	tested := map[string]bool{}
	for _, v := range vectors(t) {
		tested[v.Preset] = true
	}
	for _, p := range preset.Builtin().All() {
		if !tested[p.Name] {
			t.Errorf("preset %s has no vector", p.Name)
		}
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		verifier := compile(t, hook.PreProcessor{Preset: v.Preset, Secrets: v.Secrets})
		for range 2 { // the second time with states from the pool
			if err := verifier.Verify(v.request()); err != nil {
				t.Errorf("%v: %v", v, err)
			}
		}
		rotating := compile(t, hook.PreProcessor{Preset: v.Preset, Secrets: append([]string{other(v)}, v.Secrets...)})
		if err := rotating.Verify(v.request()); err != nil {
			t.Errorf("%v: with another secret before the right one: %v", v, err)
		}
	}
}

// other is a secret of the same kind that made none of the signatures.
func other(v vector) string {
	s := v.Secrets[0]
	p := preset.Builtin().Get(v.Preset)
	switch p.Verifications[0].Algorithm {
	case preset.Ed25519:
		return strings.Repeat("ab", 32)
	case preset.ECDSAP256: // the key of SendGrid's example, or where that is the right one, another
		const published = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
		if s != published {
			return published
		}
		return otherP256
	case preset.RSASHA256:
		return otherRSA
	}
	switch {
	case strings.HasPrefix(s, "whpk_"):
		return "whpk_" + "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="
	case p.Verifications[0].Key == preset.KeyBase64:
		return "b3RoZXI="
	case p.Verifications[0].Key == preset.KeyHex:
		return "00ff"
	case p.Verifications[0].Key == preset.KeyStandard:
		return "whsec_b3RoZXI="
	}
	return s + "x"
}

// Public keys made by openssl, whose private keys are nowhere.
const (
	otherP256 = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJorLSc3iyOzJ4RuJ368P+qE7vxHj
OWcBSuiFIJTinKV4fmxbFKrjdhCfDvsRKIHNKhfNTJ/pOuM6Fgagc/gq0g==
-----END PUBLIC KEY-----
`
	otherRSA = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA32uNbC2dOGlGcplI0x5d
JLeRANGKt0UfCTzKRZ1gAZlJjArxy7addsFcI1hSzQ8cEy+8Os/EFeXT/qeez9Fr
ZuGGc+cAYeFM0FqIB7ueJIItkzJTvTwPGZ7GwIbJjgAgKLUY1wlgF99NQTTDoWBU
YbGlSF1b7HvQucDEVRz5Uecqyw4dQ6NLI0Ot0De4ryMKDN0jV82VQrQE2AeGR4b/
MQSDlTaONFRreviR2Jta+sbT5Hc/l8GztSL5f/roHfMcTwlBUWWIopJhipSzrrfg
BfmzhcbgzVy52kblcUzlcPMrPO5gYMTh9ZLw2IxpoCjTcLimzlCw4khqxVDodK2g
tQIDAQAB
-----END PUBLIC KEY-----
`
)

func TestTamperedVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		verifier := compile(t, hook.PreProcessor{Preset: v.Preset, Secrets: v.Secrets})
		refused := func(what string, verifier *preset.Verifier, r *preset.Request, want ...error) {
			t.Helper()
			err := verifier.Verify(r)
			if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
				t.Errorf("%v: %s: %v, want %v", v, what, err, want)
			}
			if err != nil {
				assertNoSecret(t, v, err.Error())
			}
		}

		refused("another secret", compile(t, hook.PreProcessor{Preset: v.Preset, Secrets: []string{other(v)}}), v.request(), signature.ErrMismatch)
		refused("no verifier", nil, v.request(), signature.ErrMismatch)

		if !strings.Contains(v.Note, "the body is not signed") && !strings.Contains(v.Note, "token") {
			r := v.request()
			r.Body = append(bytes.Clone(r.Body), ' ')
			refused("a longer body", verifier, r, signature.ErrMismatch, signature.ErrMissing)
			if len(v.Body64) > 0 {
				r = v.request()
				r.Body = bytes.Clone(r.Body)
				r.Body[len(r.Body)/2] ^= 1
				refused("a changed body", verifier, r, signature.ErrMismatch, signature.ErrMissing)
				r = v.request()
				r.Body = nil
				refused("no body", verifier, r, signature.ErrMismatch, signature.ErrMissing)
			}
		}
		carriers := 0
		for _, place := range preset.Builtin().Get(v.Preset).Verifications {
			name := http.CanonicalHeaderKey(place.Header)
			value := v.request().Header.Get(name)
			if value == "" {
				continue
			}
			carriers++
			r := v.request()
			r.Header.Del(name)
			refused("no signature", verifier, r, signature.ErrMissing)
			r = v.request()
			r.Header.Set(name, "")
			refused("an empty signature", verifier, r, signature.ErrMissing, signature.ErrMismatch)
			if !strings.Contains(v.Note, "rotation") && !strings.Contains(v.Note, "two signatures") {
				for _, i := range []int{len(value) / 2, len(value) * 3 / 4} {
					changed := []byte(value)
					changed[i] = 'A' + (changed[i]-'A'+1)&31%26
					r = v.request()
					r.Header.Set(name, string(changed))
					refused("a changed signature", verifier, r, signature.ErrMismatch, signature.ErrMissing)
				}
			}
			r = v.request()
			r.Header[name] = []string{"nonsense", value}
			if err := verifier.Verify(r); err != nil {
				t.Errorf("%v: a second header line that does not match: %v", v, err)
			}
		}
		if v.Age > 0 {
			aged := func(seconds int64) *preset.Request {
				r := v.request()
				r.Now = r.Now.Add(time.Duration(seconds) * time.Second)
				return r
			}
			refused("too old", verifier, aged(v.Age), signature.ErrExpired)
			refused("too far ahead", verifier, aged(-v.Age), signature.ErrExpired)
			for _, seconds := range []int64{v.Age - 2, 2 - v.Age} {
				if err := verifier.Verify(aged(seconds)); err != nil {
					t.Errorf("%v: within tolerance: %v", v, err)
				}
			}
			zero := time.Duration(0)
			if err := compile(t, hook.PreProcessor{Preset: v.Preset, Secrets: v.Secrets, Tolerance: &zero}).Verify(aged(1e6)); err != nil {
				t.Errorf("%v: with tolerance 0s the time is not looked at: %v", v, err)
			}
		}
	}
}

// assertNoSecret fails if a detail shows a secret or what the signature should have been.
func assertNoSecret(t *testing.T, v vector, detail string) {
	t.Helper()
	for _, s := range v.Secrets {
		if strings.Contains(detail, s) {
			t.Errorf("%v: the detail shows the secret: %s", v, detail)
		}
	}
	for _, place := range preset.Builtin().Get(v.Preset).Verifications {
		value := v.request().Header.Get(place.Header)
		if len(value) > 40 && strings.Contains(detail, value[len(value)-30:]) {
			t.Errorf("%v: the detail shows the signature: %s", v, detail)
		}
	}
}
