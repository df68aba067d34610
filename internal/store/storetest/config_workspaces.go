package storetest

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func settings(t *testing.T, open Opener) {
	s := open(t)
	ctx := t.Context()
	if v, err := s.Setting(ctx, "k"); err != nil || v != nil {
		t.Fatalf("absent setting = %q, %v", v, err)
	}
	for _, value := range []string{"first", "second"} {
		if v, err := s.PutSettingIfAbsent(ctx, "k", []byte(value)); err != nil || !bytes.Equal(v, []byte("first")) {
			t.Fatalf("put if absent %q = %q, %v; want first", value, v, err)
		}
	}
	if err := s.PutSetting(ctx, "k", []byte("third")); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Setting(ctx, "k"); err != nil || string(v) != "third" {
		t.Fatalf("setting = %q, %v; want third", v, err)
	}
	done := &hook.AuditEntry{Action: hook.AuditRotateSecret, Kind: hook.AuditInstallation, Name: "k"}
	for _, c := range []struct {
		known, is string
		replaces  bool
	}{{"first", "third", false}, {"third", "fourth", true}, {"third", "fourth", false}} {
		replaced, err := s.ReplaceSetting(ctx, "k", []byte(c.known), []byte("fourth"), done)
		if err != nil || replaced != c.replaces {
			t.Fatalf("replacing %s: %v, %v", c.known, replaced, err)
		}
		if v, err := s.Setting(ctx, "k"); err != nil || string(v) != c.is {
			t.Fatalf("after replacing %s it is %q, %v; want %s", c.known, v, err, c.is)
		}
	}
	log, _, err := s.AuditLog(ctx, hook.AuditFilter{Scope: hook.AuditOfInstallation}, hook.Page{Limit: 10})
	if err != nil || len(log) != 1 || log[0].Name != "k" {
		t.Fatalf("on record: %v, %v", log, err)
	}
}

func workspaces(t *testing.T, open Opener) {
	s := open(t)
	ctx := t.Context()
	// Several nodes start at once.
	var wg sync.WaitGroup
	ids := make([]hook.ID, 4)
	for i := range ids {
		wg.Go(func() {
			w, err := s.EnsureDefaultWorkspace(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = w.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || id == hook.NoID {
			t.Fatalf("default workspaces = %v; want one", ids)
		}
	}
	def, err := s.Workspace(ctx, "DEFAULT")
	if err != nil || def.ID != ids[0] || def.Version != 1 || def.CreatedAt.IsZero() {
		t.Fatalf("default workspace = %+v, %v", def, err)
	}
	if _, err := s.Workspace(ctx, "acme"); hook.KindOf(err) != hook.KindNotFound {
		t.Fatalf("unknown workspace: %v", err)
	}
	versions := func() (int64, int64) {
		v, err := s.ConfigVersions(ctx, []hook.ID{hook.NoID, def.ID})
		if err != nil {
			t.Fatal(err)
		}
		return v[hook.NoID], v[def.ID]
	}
	all, one := versions()
	edit := func(dry bool) *hook.Workspace {
		w, err := s.EditWorkspace(ctx, def.ID.String(), dry, func(scene hook.WorkspaceScene) (*hook.Workspace, error) {
			next := *scene.Current
			next.Name, next.Strict, next.Retention = "Main", true, 48*time.Hour
			next.Limits = hook.Limits{EventsPerSecond: 5, PendingDeliveries: 7}
			next.Metadata = map[string]string{"team": "a \"b\""}
			return &next, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	edit(true)
	if w, _ := s.Workspace(ctx, "default"); w.Name != "Default" {
		t.Fatalf("a dry run changed the name to %q", w.Name)
	}
	want := edit(false)
	got, err := s.Workspace(ctx, "default")
	if err != nil || got.Name != "Main" || !got.Strict || got.Retention != 48*time.Hour || got.Limits != want.Limits ||
		got.Metadata["team"] != `a "b"` || got.Version != 2 || !got.UpdatedAt.Equal(want.UpdatedAt) {
		t.Fatalf("edited workspace = %+v, %v; want %+v", got, err, want)
	}
	if all2, one2 := versions(); all2 != all+1 || one2 != one+1 {
		t.Fatalf("versions went from %d, %d to %d, %d", all, one, all2, one2)
	}
	boom := errors.New("boom")
	if _, err := s.EditWorkspace(ctx, "default", false, func(hook.WorkspaceScene) (*hook.Workspace, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Fatalf("error of the decision = %v", err)
	}
	if all2, one2 := versions(); all2 != all+1 || one2 != one+1 {
		t.Fatalf("a refused edit bumped versions to %d, %d", all2, one2)
	}
	list, more, err := s.Workspaces(ctx, hook.WorkspaceFilter{ListFilter: hook.ListFilter{Metadata: map[string]string{"team": `a "b"`}}}, hook.Page{Limit: 1})
	if err != nil || more || len(list) != 1 || list[0].ID != def.ID {
		t.Fatalf("list by metadata = %v, %v, %v", list, more, err)
	}
	list, _, err = s.Workspaces(ctx, hook.WorkspaceFilter{ListFilter: hook.ListFilter{Metadata: map[string]string{"team": "x"}}}, hook.Page{Limit: 1})
	if err != nil || len(list) != 0 {
		t.Fatalf("list by other metadata = %v, %v", list, err)
	}
}
