package publish

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

// doorView is a workspace with one door whose route goes to one action.
func (b *bench) doorView(version int64, change func(*hook.Action)) *hook.View {
	w := &hook.IncomingWebhook{ID: hook.FirstID(time.Unix(1, 0)), Workspace: b.workspace, Version: 1}
	w.Code, w.Enabled, w.Routes = "erp", true, []hook.Route{{Name: "primary", Action: "book"}}
	a := &hook.Action{ID: hook.FirstID(time.Unix(2, 0)), Workspace: b.workspace, Version: 1}
	a.Code, a.Enabled = "book", true
	if change != nil {
		change(a)
	}
	return hook.NewView(hook.Snapshot{
		Workspace: hook.Workspace{ID: b.workspace}, Version: version, Incoming: []*hook.IncomingWebhook{w}, Actions: []*hook.Action{a},
	})
}

func (b *bench) admission(v *hook.View) *hook.Admission {
	e := hook.AdmittedEvent{Entity: []byte(`{}`)}
	if t := v.Action("book"); t.State == hook.TargetActive {
		e.Routed = []hook.Routed{{Target: t}}
	}
	return &hook.Admission{Request: &hook.Request{ID: b.ids.New(), Workspace: b.workspace}, Door: v.Door("erp"), Events: []hook.AdmittedEvent{e}}
}

// An action that was enabled before the call came, on another node, is one that the call
// runs: it is judged anew by the configuration that the store has.
func TestAdmissionSeesActionsEnabledElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		old := b.doorView(1, func(a *hook.Action) { a.Enabled = false })
		b.catalog.copied[b.workspace] = old
		b.catalog.stored[b.workspace] = b.doorView(2, func(a *hook.Action) { a.Version = 2 })
		b.store.accept = func(_ int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
			if batch.Versions[b.workspace] != 2 {
				return hook.AcceptResult{Stale: []hook.ID{b.workspace}}, nil
			}
			return hook.AcceptResult{}, nil
		}
		if _, err := b.p.Admit(t.Context(), old, b.admission(old)); !errors.Is(err, hook.ErrChanged) {
			t.Fatalf("admitted with %v by a configuration in which the action was disabled", err)
		}
	})
}

// A change elsewhere in the workspace does not have a call judged anew.
func TestAdmissionKeepsItsVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		old := b.doorView(1, nil)
		b.catalog.copied[b.workspace] = b.doorView(2, nil)
		if _, err := b.p.Admit(t.Context(), old, b.admission(old)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(b.dispatch.handed) != 1 {
			t.Errorf("%d deliveries were handed over, want 1", len(b.dispatch.handed))
		}
	})
}

// Whoever was told that the store is slow waits for nothing: its deliveries are not watched.
func TestNobodyWatchesForACallerThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		v := b.doorView(1, nil)
		b.catalog.copied[b.workspace] = v
		b.store.accept = func(int, *hook.AcceptBatch) (hook.AcceptResult, error) {
			time.Sleep(2 * DefaultConfig().Patience)
			return hook.AcceptResult{}, nil
		}
		a := b.admission(v)
		a.Watch = func(*hook.Finish) {}
		if _, err := b.p.Admit(t.Context(), v, a); hook.KindOf(err) != hook.KindUnavailable {
			t.Fatalf("answered %v", err)
		}
		b.p.Unwatch(a)
		time.Sleep(3 * DefaultConfig().Patience)
		synctest.Wait()
		if len(b.dispatch.handed) != 1 || len(b.dispatch.watched) != 0 {
			t.Errorf("%d deliveries were handed over, %d are watched", len(b.dispatch.handed), len(b.dispatch.watched))
		}
	})
}
