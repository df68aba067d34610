// Package storetest is one suite for both engines. Each part takes a function that
// opens a fresh, prepared store, so that every test has its own world.
package storetest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"testing"

	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// Opener opens a fresh store with the whole schema; it is closed with the test.
type Opener func(t *testing.T) *store.Store

// Config runs the suite of the configuration half. dump returns every value of every
// table, for the search for plaintext.
func Config(t *testing.T, open Opener, dump func(t *testing.T, s *store.Store) []byte) {
	for name, test := range map[string]func(*testing.T, Opener){
		"settings":                          settings,
		"hold":                              hold,
		"workspaces":                        workspaces,
		"API keys":                          apiKeys,
		"event types":                       eventTypes,
		"webhooks come back as they were":   webhookRoundTrip,
		"every change bumps the version":    versions,
		"webhook lists":                     webhookLists,
		"one winner of a race":              races,
		"snapshot":                          snapshot,
		"tombstones":                        tombstones,
		"actions come back as they were":    actionRoundTrip,
		"doors come back as they were":      doorRoundTrip,
		"doors in snapshots":                doorsInSnapshots,
		"users of actions":                  usersOfActions,
		"idempotency":                       idempotency,
		"deleted workspaces are swept away": sweepWorkspace,
		"changes are on record":             auditOfChanges,
		"a change and its record are one":   auditIsPartOfTheChange,
		"whose record it is":                auditScopes,
		"pages of the record are bounded":   auditPagesAreBounded,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open) })
	}
	t.Run("no secret lies in clear", func(t *testing.T) { t.Parallel(); plaintext(t, open, dump) })
}

// world is a store with a sealer and a workspace.
type world struct {
	*store.Store
	ws *hook.Workspace
}

func setup(t *testing.T, open Opener) *world {
	t.Helper()
	s := open(t)
	s.SetSealer(newSealer(t))
	ws, err := s.EnsureDefaultWorkspace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &world{s, ws}
}

// sealer is AES-GCM with a key of its own.
type sealer struct{ cipher.AEAD }

func newSealer(t *testing.T) sealer {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return sealer{gcm}
}

func (s sealer) Seal(plain []byte, ad string) ([]byte, error) {
	return s.AEAD.Seal(nil, nil, plain, []byte(ad)), nil
}

func (s sealer) Open(sealed []byte, ad string) ([]byte, error) {
	return s.AEAD.Open(nil, nil, sealed, []byte(ad))
}

func mustKind(t *testing.T, err error, kind hook.Kind) {
	t.Helper()
	if hook.KindOf(err) != kind {
		t.Fatalf("error = %v; want %s", err, kind)
	}
}

var errUnexpected = errors.New("unexpected")

// plaintext plants secrets wherever one may be written and looks for them in the rows.
func plaintext(t *testing.T, open Opener, dump func(*testing.T, *store.Store) []byte) {
	w := setup(t, open)
	ctx := t.Context()
	planted := []string{"planted-signing-secret-1", "planted-signing-secret-2", "planted-password", "planted-header-value", "planted-answer", "planted-api-key-of-32-characters!", "planted-hash", "planted-named-of-door", "planted-named-of-action"}
	w.create(t, func(x *hook.Webhook) {
		x.Secrets = []hook.Secret{{Value: hook.Sensitive(planted[0])}, {Value: hook.Sensitive(planted[1])}}
		x.BasicAuth = &hook.BasicAuth{Username: "shown-user", Password: hook.Sensitive(planted[2])}
		x.Headers = []hook.Header{{Name: "X-Token", Value: hook.Sensitive(planted[3]), Secret: true}, {Name: "X-Plain", Value: "shown-header"}}
	})
	scope := hook.IdempotencyScope{Workspace: w.ws.ID, Method: "POST", Path: "/v1/webhooks", Value: "k"}
	if _, err := w.Idempotency().Begin(ctx, scope, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Idempotency().Complete(ctx, scope, hook.Answer{Status: 201, Body: []byte(planted[4])}); err != nil {
		t.Fatal(err)
	}
	w.key(t, w.ws.ID, "k", planted[5])
	w.door(t, "", func(d *hook.IncomingWebhook) {
		d.Hash, d.Secrets = hook.Sensitive(planted[6]), []hook.NamedSecret{{Name: "n", Value: hook.Sensitive(planted[7])}}
	})
	w.action(t, "", func(a *hook.Action) { a.Secrets = []hook.NamedSecret{{Name: "n", Value: hook.Sensitive(planted[8])}} })
	all := dump(t, w.Store)
	for _, s := range []string{"shown-user", "shown-header"} {
		if !bytes.Contains(all, []byte(s)) {
			t.Fatalf("the dump does not show %q: it proves nothing", s)
		}
	}
	for _, s := range planted {
		if bytes.Contains(all, []byte(s)) {
			t.Errorf("%q lies in the database in clear", s)
		}
	}
}
