package manage_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// live shows the secrets of a webhook: the last character of each and when it ends.
func (w *world) live(t *testing.T, ref string) []string {
	t.Helper()
	x, err := w.store.Webhook(t.Context(), w.ws.ID, ref)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range x.Secrets {
		end := "stays"
		if s.ExpiresAt != nil {
			end = s.ExpiresAt.Sub(w.store.now).String()
		}
		v := string(s.Value)
		out = append(out, v[len(v)-1:]+" "+end)
	}
	return out
}

func (w *world) wantLive(t *testing.T, ref string, want ...string) {
	t.Helper()
	if got := w.live(t, ref); !slices.Equal(got, want) {
		t.Errorf("secrets = %q; want %q", got, want)
	}
}

func secret(n int) string { return fmt.Sprintf("a-secret-long-enough-%d%d%d", n, n, n) }

func TestPutRotatesADifferentSecret(t *testing.T) {
	t.Parallel()
	w := setup(t)
	put := func(n int, change hook.Change, changed ...string) {
		t.Helper()
		w.put(t, "a", `{"url":"`+ordersURL+`","secret":"`+secret(n)+`"}`, change, changed...)
	}
	put(1, hook.Created)
	put(1, hook.Unchanged)
	put(2, hook.Updated, "secret")
	w.wantLive(t, "a", "1 24h0m0s", "2 stays")
	put(2, hook.Unchanged)
	w.store.now = w.store.now.Add(time.Hour)
	put(3, hook.Updated, "secret")
	w.wantLive(t, "a", "1 23h0m0s", "2 24h0m0s", "3 stays") // the first keeps what it was promised
	put(4, hook.Updated, "secret")
	w.wantLive(t, "a", "2 24h0m0s", "3 24h0m0s", "4 stays") // a fourth ends the oldest
	put(3, hook.Updated, "secret")
	w.wantLive(t, "a", "2 24h0m0s", "4 24h0m0s", "3 stays") // back again, once
	w.store.now = w.store.now.Add(24 * time.Hour)
	w.wantLive(t, "a", "3 stays")
	put(3, hook.Unchanged)
	w.put(t, "a", `{"url":"`+ordersURL+`"}`, hook.Unchanged)
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.webhook(t, `{"code":"a","url":"`+ordersURL+`"}`)
	rotate := func(doc string) hook.RotateResult {
		t.Helper()
		r, err := w.RotateSecret(t.Context(), w.admin, "a", []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := rotate("")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(r.Secret), "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 || !strings.HasPrefix(string(r.Secret), "whsec_") {
		t.Errorf("generated %d bytes, %v", len(key), err)
	}
	if r.PreviousExpiresAt != nil || r.New.Value != "" || r.New.Hint != hook.Hint(string(r.Secret)) || r.New.ExpiresAt != nil || r.Webhook.Version != 2 {
		t.Errorf("first rotation: %+v", r)
	}
	r = rotate(`{"secret":"` + secret(2) + `","overlap":"48h"}`)
	if r.Secret != "" || !r.PreviousExpiresAt.Equal(w.store.now.Add(48*time.Hour)) {
		t.Errorf("given secret shown: %v; previous ends %v", r.Secret != "", r.PreviousExpiresAt)
	}
	rotate(`{"secret":"` + secret(3) + `"}`)
	if got := w.live(t, "a"); !strings.HasSuffix(got[0], "48h0m0s") || got[1] != "2 24h0m0s" {
		t.Errorf("secrets = %q", got) // not shortened
	}
	rotate(`{"secret":"` + secret(4) + `","overlap":"1h"}`)
	w.wantLive(t, "a", "2 1h0m0s", "3 1h0m0s", "4 stays") // asked for
	rotate(`{"secret":"` + secret(5) + `","overlap":"0s"}`)
	w.wantLive(t, "a", "5 stays")

	for doc, want := range map[string]string{
		`{"secret":null}`:                "secret empty_secret",
		`{"secret":"short"}`:             "secret too_short",
		`{"secret":"` + secret(5) + `"}`: "secret invalid_format",
		`{"overlap":"31d"}`:              "overlap out_of_range",
		`{"overlap":"1 day"}`:            "overlap invalid_duration",
		`{"x":1}`:                        "x unknown_field",
	} {
		_, err := w.RotateSecret(t.Context(), w.admin, "a", []byte(doc))
		wantFaults(t, err, want)
	}
	_, err = w.RotateSecret(t.Context(), w.admin, "b", nil)
	wantKind(t, err, hook.KindNotFound)
}

func TestGenerateSecretOnlyWhenThereIsNone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	doc := `{"url":"` + ordersURL + `","generateSecret":true}`
	first := w.put(t, "a", doc, hook.Created)
	if s := w.stored(t, "a"); first.Secret == "" || s.Secrets[0].Value != first.Secret {
		t.Error("the generated secret is not the stored one")
	}
	if again := w.put(t, "a", doc, hook.Unchanged); again.Secret != "" {
		t.Error("a second secret was shown")
	}
	if text := fmt.Sprintf("%v %+v %#v", first, first, first.Secret); strings.Contains(text, string(first.Secret)) {
		t.Error("a printed result shows the secret")
	}
}

func TestDeleteSecret(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.webhook(t, `{"code":"a","url":"`+ordersURL+`","secret":"`+secret(1)+`"}`)
	w.put(t, "a", `{"url":"`+ordersURL+`","secret":"`+secret(2)+`"}`, hook.Updated, "secret")
	old := w.stored(t, "a").Secrets[0].ID
	if err := w.DeleteSecret(t.Context(), w.admin, "a", old); err != nil {
		t.Fatal(err)
	}
	w.wantLive(t, "a", "2 stays")
	wantKind(t, w.DeleteSecret(t.Context(), w.admin, "a", old), hook.KindNotFound)
	if err := w.DeleteSecret(t.Context(), w.admin, "a", hook.NoID); err != nil {
		t.Fatal(err)
	}
	w.wantLive(t, "a")
	wantKind(t, w.DeleteSecret(t.Context(), w.admin, "a", hook.NoID), hook.KindNotFound)
}

// Who takes back a rotation by ending the new secret must not find requests unsigned a day later.
func TestDeleteTheCurrentSecret(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for n := range 3 {
		w.put(t, "a", `{"url":"`+ordersURL+`","secret":"`+secret(n+1)+`"}`, map[bool]hook.Change{true: hook.Created, false: hook.Updated}[n == 0], map[bool][]string{false: {"secret"}}[n == 0]...)
	}
	w.wantLive(t, "a", "1 24h0m0s", "2 24h0m0s", "3 stays")
	end := func(n int) {
		t.Helper()
		if err := w.DeleteSecret(t.Context(), w.admin, "a", w.stored(t, "a").Secrets[n].ID); err != nil {
			t.Fatal(err)
		}
	}
	end(2)
	w.wantLive(t, "a", "1 24h0m0s", "2 stays")
	end(0)
	w.wantLive(t, "a", "2 stays")
	// One that does not sign any more stays ended.
	w.put(t, "a", `{"url":"`+ordersURL+`","secret":"`+secret(4)+`"}`, hook.Updated, "secret")
	w.store.now = w.store.now.Add(25 * time.Hour)
	end(1)
	w.wantLive(t, "a")
}

func TestSecretHeaders(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.put(t, "a", `{"url":"`+ordersURL+`","headers":[{"name":"X-Token","value":"one-one-one"},{"name":"X-Plain","value":"v","secret":true},{"name":"X-Key","value":"open","secret":false}]}`, hook.Created)
	s := w.stored(t, "a")
	if !s.Headers[0].Secret || !s.Headers[1].Secret || s.Headers[2].Secret {
		t.Errorf("secret = %v %v %v", s.Headers[0].Secret, s.Headers[1].Secret, s.Headers[2].Secret)
	}
	// Kept when the value is left out, found by name without regard to case or place.
	w.put(t, "a", `{"url":"`+ordersURL+`","headers":[{"name":"X-Key","value":"open","secret":false},{"name":"x-token"}]}`, hook.Updated, "headers")
	if s := w.stored(t, "a"); len(s.Headers) != 2 || s.Headers[1].Value != "one-one-one" {
		t.Errorf("headers = %d", len(s.Headers))
	}
	// A secret value does not become visible by a flag.
	_, err := w.PutWebhook(t.Context(), w.admin, "a", []byte(`{"url":"`+ordersURL+`","headers":[{"name":"X-Token","secret":false}]}`), hook.Write{})
	wantFaults(t, err, "headers[0].value required")
	w.put(t, "a", `{"url":"`+ordersURL+`","headers":[{"name":"X-Key","value":"open","secret":false},{"name":"x-token","value":"two-two-two"}]}`, hook.Updated, "headers[1].value")
}
