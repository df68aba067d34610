package inbound

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// A token that a sender puts into the body proves who calls; it is kept for a later verdict
// only, and neither shown nor given to anybody.
func TestTokensInBodies(t *testing.T) {
	w := start(t)
	w.action("a")
	w.door(func(x *hook.IncomingWebhook) {
		x.Secrets = []hook.NamedSecret{{Name: "p", Value: `a-"pass"-code-0123456789`}}
		x.PreProcessors = []hook.PreProcessor{{Name: "figma", Type: "signature", Preset: "figma", Secrets: []string{"p"}}}
		x.Routes = []hook.Route{{Name: "primary", Action: "a"}}
	})
	const sent = `{"passcode":"a-\"pass\"-code-0123456789","n":1}`
	answer, call := w.call(func(c *hook.DoorCall) { c.Body = &body{bytes: []byte(sent)} })
	if answer.Problem != nil {
		t.Fatal(answer.Problem)
	}
	a := w.admitted[0]
	for where, text := range map[string]string{"the request": string(a.Request.Body.Bytes), "the event": string(a.Events[0].Entity)} {
		if strings.Contains(text, "pass\\\"") || !strings.Contains(text, hook.HiddenMark) {
			t.Errorf("%s has %s", where, text)
		}
	}
	if got := string(restoreBody(a.Request)); got != sent {
		t.Errorf("restored %s", got)
	}
	if verdict, reason, _, err := w.d.Verify(context.Background(), hook.Principal{Workspace: w.ws}, call.ID); err != nil || verdict != hook.VerdictAccepted {
		t.Errorf("verified %s %s, %v", verdict, reason, err)
	}
	w.call(func(c *hook.DoorCall) { c.Body = &body{bytes: []byte(`{"passcode":"another-secret-of-somebody"}`)} })
	if r := w.refused(1)[0]; strings.Contains(string(r.Body.Bytes), "another-secret") {
		t.Errorf("the refused call shows %s", r.Body.Bytes)
	}
}

// A refused call that is released is what its sender's own retry repeats.
func TestReleaseTakesTheDedupeKey(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) {
		x.Hash = "right"
		x.Dedupe = &hook.Dedupe{Key: "{{ request.rawBody }}", Window: time.Hour, OnDuplicate: hook.DuplicateAccept}
	})
	_, call := w.call(func(c *hook.DoorCall) { c.RawQuery = "hash=s3cr3t" })
	w.refused(1)
	mended := *w.doors[0]
	mended.Version, mended.Hash = 2, "s3cr3t"
	w.doors[0] = &mended
	who := hook.Principal{Workspace: w.ws}
	if _, err := w.d.Replay(context.Background(), who, call.ID, w.ids.New()); err != nil || w.admitted[0].Dedupe == nil {
		t.Fatalf("released without a key: %v", err)
	}
	w.admit = func(*hook.Admission) (hook.ID, error) { return w.ids.New(), nil }
	if _, err := w.d.Replay(context.Background(), who, call.ID, w.ids.New()); hook.KindOf(err) != hook.KindInvalidState {
		t.Errorf("released although its sender was let in meanwhile: %v", err)
	}
}
