package storetest

import (
	"testing"

	"sallyport/internal/hook"
)

// hold is one value for the whole installation: who holds what is on hold changes nothing.
func hold(t *testing.T, open Opener) {
	w := setup(t, open)
	ask := func(want hook.Hold) {
		t.Helper()
		if h, err := w.Hold(t.Context()); err != nil || h.On != want.On || !h.Since.Equal(want.Since) {
			t.Fatalf("hold is %+v, %v; want %+v", h, err, want)
		}
	}
	set := func(on bool) hook.Hold {
		t.Helper()
		h, err := w.SetHold(t.Context(), on)
		if err != nil || h.On != on {
			t.Fatalf("set to %v: %+v, %v", on, h, err)
		}
		return h
	}
	ask(hook.Hold{})
	if h := set(false); !h.Since.IsZero() {
		t.Errorf("released what was never held: since %v", h.Since)
	}
	first := set(true)
	if first.Since.IsZero() {
		t.Error("on hold since never")
	}
	ask(first)
	if again := set(true); !again.Since.Equal(first.Since) {
		t.Errorf("held again: since %v, want %v", again.Since, first.Since)
	}
	ask(set(false))
	w.tells(t, hook.AuditFilter{Scope: hook.AuditOfInstallation, Kinds: []hook.AuditKind{hook.AuditInstallation}}, "hold installation  0>0 ", "release installation  0>0 ")
}
