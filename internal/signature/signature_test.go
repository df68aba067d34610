package signature_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/signature"
)

// The expected values were computed with openssl, the first one is the published vector of
// Standard Webhooks.
const (
	plainSecret = "my-secret-of-24-characters!"
	newerSecret = "newer-secret-24-characters"
	whsec       = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	body        = `{"a":1}`
)

var at = time.Unix(1614265330, 999e6)

func secret(value string) hook.Secret {
	return hook.Secret{Value: hook.Sensitive(value), Hint: hook.Hint(value)}
}

func until(s hook.Secret, t time.Time) hook.Secret {
	s.ExpiresAt = &t
	return s
}

func TestSign(t *testing.T) {
	t.Parallel()
	one := []hook.Secret{secret(plainSecret)}
	rotating := []hook.Secret{until(secret(plainSecret), at.Add(time.Hour)), secret(newerSecret)}
	rotated := []hook.Secret{until(secret(plainSecret), at), secret(newerSecret)}
	bare := signature.Plain
	bare.Algorithm = signature.SHA512
	for name, c := range map[string]struct {
		scheme  signature.Scheme
		secrets []hook.Secret
		id      string
		body    string
		value   string
		next    string
	}{
		"published Standard Webhooks vector": {signature.Standard, []hook.Secret{secret(whsec)},
			"msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", ""},
		"a secret without whsec_ is used as it is": {signature.Standard, one, "evt_1", body,
			"v1,Dy06NYuLl+wBESE3pin/g09gYqHZb10shsviYcATrZQ=", ""},
		"standard carries both in rotation, newest first": {signature.Standard, rotating, "evt_1", body,
			"v1,IIFn6GwlhOEGlqhAA7tUdnLwbJOoXdxL4xNzm+jGY90= v1,Dy06NYuLl+wBESE3pin/g09gYqHZb10shsviYcATrZQ=", ""},
		"standard drops a secret at the moment it expires": {signature.Standard, rotated, "evt_1", body,
			"v1,IIFn6GwlhOEGlqhAA7tUdnLwbJOoXdxL4xNzm+jGY90=", ""},
		"plain hex": {signature.Plain, one, "", body,
			"aa4f1b130900ae1fd36a733cbbd07f3e4b3d905001a5924a54bda04cfa5ca1bf", ""},
		"plain hex uses a whsec_ secret literally": {signature.Plain, []hook.Secret{secret(whsec)}, "", body,
			"45ec03b2b33403c8043a90de06bedad0827183927115fd7e448ef97eeb13c5be", ""},
		"one value: the oldest, and the newest as next": {signature.Plain, rotating, "", body,
			"aa4f1b130900ae1fd36a733cbbd07f3e4b3d905001a5924a54bda04cfa5ca1bf",
			"58d41051ba1e206ecb5a692d24276d1ea52187e1c1b24ae9c023c86c395e7f14"},
		"one value after the overlap": {signature.Plain, rotated, "", body,
			"58d41051ba1e206ecb5a692d24276d1ea52187e1c1b24ae9c023c86c395e7f14", ""},
		"sha1":   {signature.Etlworks, one, "", body, "a196fb56a214ff262158960e87c6b68ae9f3c73c", ""},
		"sha512": {bare, one, "", body, "e348ca5db41185168061b4437c79cf0e3209c6373ec79981ad2ee2f4a5e758b9ed0035c0135fc260d51f770a40d96572b6c35f932bc7dcb8529db7d5ad6391b5", ""},
		"github": {signature.GitHub, one, "", body, "sha256=aa4f1b130900ae1fd36a733cbbd07f3e4b3d905001a5924a54bda04cfa5ca1bf", ""},
		"stripe": {signature.Stripe, one, "", body, "t=1614265330,v1=cd088c3597781632bb26ad51a52626183c873148af395bee5c21d8a11a20ecf0", ""},
		"stripe in rotation": {signature.Stripe, rotating, "", body, "t=1614265330,v1=221dc87bef33fd2924ff41cc1d008912bcb77eb88c0643f290a26b55abb27943" +
			",v1=cd088c3597781632bb26ad51a52626183c873148af395bee5c21d8a11a20ecf0", ""},
		"shopify": {signature.Shopify, []hook.Secret{secret("alumio-shared")}, "", `{"products":[{"sku":"A-1","qty":3}]}`,
			"PaK0boIlJK2hcyJumeoWhTWIqQDs+uVpzNjO+sd3Tgs=", ""},
		"a described scheme": {custom(t, hook.CustomSignature{Algorithm: "hmac-sha512", Header: "X-Sig", Encoding: "base64",
			Prefix: "v9:", Content: "{timestamp}|{id}|{body}|end"}), one, "evt_1", body,
			"v9:MbBUf6LINclE05yem2sCMxEqXmt8FpKXn8ft0RvoHPWdTIEUAxgAuKqb0ILp8wWCqQcYM84ByQT9t/2NcMWc8g==", ""},
		"no secret, no signature":            {signature.Standard, nil, "evt_1", body, "", ""},
		"only expired secrets, no signature": {signature.Plain, []hook.Secret{until(secret(plainSecret), at)}, "", body, "", ""},
	} {
		signer, err := signature.New(c.scheme, c.secrets)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for round := range 3 { // the second and third use restored HMAC states
			value, next := signer.Sign(at, c.id, []byte(c.body))
			if value != c.value || next != c.next {
				t.Errorf("%s, round %d:\n got %q, next %q\nwant %q, next %q", name, round, value, next, c.value, c.next)
			}
		}
	}
}

func custom(t *testing.T, c hook.CustomSignature) signature.Scheme {
	t.Helper()
	s, faults := signature.Custom(c)
	if len(faults) > 0 {
		t.Fatalf("Custom: %v", faults)
	}
	return s
}

func TestSignConcurrently(t *testing.T) {
	t.Parallel()
	signer, err := signature.New(signature.Standard, []hook.Secret{until(secret(plainSecret), at.Add(time.Hour)), secret(newerSecret)})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := signer.Sign(at, "evt_1", []byte(body))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if got, _ := signer.Sign(at, "evt_1", []byte(body)); got != want {
					t.Errorf("Sign = %q, want %q", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := signature.New(signature.Scheme{Algorithm: "md5"}, nil); err == nil {
		t.Error("an unknown algorithm was accepted")
	}
	_, err := signature.New(signature.Standard, []hook.Secret{secret("whsec_not*base64*at-all")})
	if err == nil || strings.Contains(err.Error(), "not*base64") {
		t.Errorf("a broken whsec_ secret: %v, want an error that does not show it", err)
	}
	if _, err := signature.New(signature.Plain, []hook.Secret{secret("whsec_not*base64*at-all")}); err != nil {
		t.Errorf("plain schemes do not decode: %v", err)
	}
}

func TestCustom(t *testing.T) {
	t.Parallel()
	s, faults := signature.Custom(hook.CustomSignature{Header: "X-Sig"})
	if len(faults) > 0 || s.Algorithm != signature.SHA256 || s.Encoding != signature.Hex || s.Content != "{body}" {
		t.Errorf("defaults: %+v, %v", s, faults)
	}
	for name, c := range map[string]struct {
		custom hook.CustomSignature
		field  string
	}{
		"no header":           {hook.CustomSignature{}, "signature.header"},
		"header with a space": {hook.CustomSignature{Header: "X Sig"}, "signature.header"},
		"header with a break": {hook.CustomSignature{Header: "X\r\nSig"}, "signature.header"},
		"algorithm":           {hook.CustomSignature{Header: "X-Sig", Algorithm: "md5"}, "signature.algorithm"},
		"encoding":            {hook.CustomSignature{Header: "X-Sig", Encoding: "base32"}, "signature.encoding"},
		"prefix with a break": {hook.CustomSignature{Header: "X-Sig", Prefix: "a\n"}, "signature.prefix"},
		"unknown placeholder": {hook.CustomSignature{Header: "X-Sig", Content: "{boby}"}, "signature.content"},
		"body not protected":  {hook.CustomSignature{Header: "X-Sig", Content: "{id}"}, "signature.content"},
	} {
		_, faults := signature.Custom(c.custom)
		if len(faults) != 1 || faults[0].Field != c.field {
			t.Errorf("%s: %v, want one fault of %s", name, faults, c.field)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const old = "v1,Dy06NYuLl+wBESE3pin/g09gYqHZb10shsviYcATrZQ="
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	standard := func(value string) http.Header {
		return header("webhook-id", "evt_1", "webhook-timestamp", "1614265330", "webhook-signature", value)
	}
	for name, c := range map[string]struct {
		scheme signature.Scheme
		secret string
		header http.Header
		now    time.Time
		want   error
	}{
		"one good":                      {signature.Standard, plainSecret, standard(old), at, nil},
		"second of two":                 {signature.Standard, plainSecret, standard("v1,AAAA " + old), at, nil},
		"other versions are skipped":    {signature.Standard, plainSecret, standard("v1a,zzz " + old), at, nil},
		"a v2 with our bytes is not v1": {signature.Standard, plainSecret, standard("v2" + old[2:]), at, signature.ErrMismatch},
		"wrong secret":                  {signature.Standard, newerSecret, standard(old), at, signature.ErrMismatch},
		"five minutes late":             {signature.Standard, plainSecret, standard(old), at.Add(5 * time.Minute), signature.ErrExpired},
		"within five minutes":           {signature.Standard, plainSecret, standard(old), at.Add(4 * time.Minute), nil},
		"from the future":               {signature.Standard, plainSecret, standard(old), at.Add(-6 * time.Minute), signature.ErrExpired},
		"no signature":                  {signature.Standard, plainSecret, header("webhook-id", "evt_1"), at, signature.ErrMissing},
		"no timestamp":                  {signature.Standard, plainSecret, header("webhook-id", "evt_1", "webhook-signature", old), at, signature.ErrMissing},
		"empty signature":               {signature.Standard, plainSecret, standard(""), at, signature.ErrMismatch},
		"hex": {signature.Plain, plainSecret,
			header("X-Signature", "aa4f1b130900ae1fd36a733cbbd07f3e4b3d905001a5924a54bda04cfa5ca1bf"), at, nil},
		"uppercase hex": {signature.Plain, plainSecret,
			header("X-Signature", "AA4F1B130900AE1FD36A733CBBD07F3E4B3D905001A5924A54BDA04CFA5CA1BF"), at, nil},
		"hex of SHA-1": {signature.Etlworks, plainSecret,
			header("X-Etl-Webhook-Signature", "a196fb56a214ff262158960e87c6b68ae9f3c73c"), at, nil},
		"the newest secret stands in -Next": {signature.Plain, newerSecret,
			header("X-Signature", "aa", "X-Signature-Next", "58d41051ba1e206ecb5a692d24276d1ea52187e1c1b24ae9c023c86c395e7f14"), at, nil},
		"a prefix is required": {signature.GitHub, plainSecret,
			header("X-Hub-Signature-256", "aa4f1b130900ae1fd36a733cbbd07f3e4b3d905001a5924a54bda04cfa5ca1bf"), at, signature.ErrMismatch},
		"stripe": {signature.Stripe, newerSecret,
			header("Stripe-Signature", "t=1614265330,v1=00,v1=221dc87bef33fd2924ff41cc1d008912bcb77eb88c0643f290a26b55abb27943"), at, nil},
		"stripe too old": {signature.Stripe, newerSecret,
			header("Stripe-Signature", "t=1614265330,v1=221dc87bef33fd2924ff41cc1d008912bcb77eb88c0643f290a26b55abb27943"), at.Add(time.Hour), signature.ErrExpired},
		"stripe without its time": {signature.Stripe, newerSecret,
			header("Stripe-Signature", "v1=221dc87bef33fd2924ff41cc1d008912bcb77eb88c0643f290a26b55abb27943"), at, signature.ErrMissing},
	} {
		err := signature.Verify(c.scheme, c.secret, c.header, []byte(body), c.now, 5*time.Minute)
		if !errors.Is(err, c.want) || (c.want == nil && err != nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := signature.Verify(signature.Standard, plainSecret, standard(old), []byte(body+" "), at, time.Minute); !errors.Is(err, signature.ErrMismatch) {
		t.Errorf("a changed body: %v", err)
	}
}

func TestVerifyAll(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	for _, s := range []signature.Scheme{signature.Standard, signature.Plain} {
		signer, err := signature.New(s, []hook.Secret{secret(plainSecret)})
		if err != nil {
			t.Fatal(err)
		}
		value, _ := signer.Sign(at, "evt_1", []byte(body))
		h.Set(s.Header, value)
	}
	h.Set("webhook-id", "evt_1")
	h.Set("webhook-timestamp", "1614265330")
	found := signature.VerifyAll(plainSecret, h, []byte(body), at, time.Minute)
	if len(found) != 2 || found[0].Err != nil || found[1].Err != nil || found[0].Header != "webhook-signature" {
		t.Errorf("VerifyAll = %v, want both good", found)
	}
	if found := signature.VerifyAll(plainSecret, http.Header{}, nil, at, time.Minute); len(found) != 0 {
		t.Errorf("an unsigned request has findings: %v", found)
	}
}

func BenchmarkSign(b *testing.B) {
	kilobyte := []byte(strings.Repeat("x", 1024))
	for _, s := range []signature.Scheme{signature.Plain, signature.Standard, signature.Etlworks} {
		b.Run(s.Header, func(b *testing.B) {
			signer, err := signature.New(s, []hook.Secret{secret(plainSecret)})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				signer.Sign(at, "019a0b0c-0000-7000-8000-000000000000", kilobyte)
			}
		})
	}
}
