package manage

import (
	"context"
	"time"

	"sallyport/internal/hook"
)

// Bounds of a workspace's settings.
const (
	minRetention = time.Hour
	// minAuditRetention leaves time to find out who did what, also to whoever shortened it.
	minAuditRetention = 7 * 24 * time.Hour
	maxRetention      = 3650 * 24 * time.Hour
	maxRate           = 1_000_000
	maxPending        = 1_000_000_000
)

// CreateWorkspace makes a tenant.
func (s *Service) CreateWorkspace(ctx context.Context, p hook.Principal, doc []byte) (hook.WorkspaceResult, error) {
	return s.editWorkspace(ctx, p, "", hook.Write{}, whole[*hook.Workspace](nil, "", doc))
}

// PutWorkspace creates or replaces a workspace.
func (s *Service) PutWorkspace(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.WorkspaceResult, error) {
	return s.editWorkspace(ctx, p, ref, w, whole[*hook.Workspace](hook.NoWorkspace(ref), ref, doc))
}

// PatchWorkspace changes parts of a workspace.
func (s *Service) PatchWorkspace(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.WorkspaceResult, error) {
	return s.editWorkspace(ctx, p, ref, w, merged(hook.NoWorkspace(ref), func(cur *hook.Workspace) ([]byte, error) {
		return patched(workspaceDocument(cur), doc)
	}))
}

func workspaceDocument(w *hook.Workspace) map[string]any {
	doc := map[string]any{"name": w.Name, "strict": w.Strict, "metadata": w.Metadata}
	if w.Retention > 0 {
		doc["retention"] = hook.FormatDuration(w.Retention)
	}
	if w.AuditRetention > 0 {
		doc["auditRetention"] = hook.FormatDuration(w.AuditRetention)
	}
	limits := map[string]any{}
	if w.Limits.EventsPerSecond > 0 {
		limits["eventsPerSecond"] = w.Limits.EventsPerSecond
	}
	if w.Limits.PendingDeliveries > 0 {
		limits["pendingDeliveries"] = w.Limits.PendingDeliveries
	}
	doc["limits"] = limits
	if w.Alerts != nil {
		doc["alerts"] = map[string]any{"emails": w.Alerts.Emails, "eventTypes": w.Alerts.EventTypes}
	}
	return doc
}

func (s *Service) editWorkspace(ctx context.Context, p hook.Principal, ref string, w hook.Write, document document[*hook.Workspace]) (hook.WorkspaceResult, error) {
	if err := platformOnly(p); err != nil {
		return hook.WorkspaceResult{}, err
	}
	var res hook.WorkspaceResult
	var err error
	res.Workspace, err = s.store.EditWorkspace(ctx, ref, w.DryRun, func(scene hook.WorkspaceScene) (next *hook.Workspace, err error) {
		next, res.Change, res.Changed, err = edit[*hook.Workspace]{
			guard: w.Guard, document: document, changes: workspaceChanges,
			read: func(doc []byte) (*hook.Workspace, error) { return readWorkspace(doc, ref, scene, s.rules.SendsMail()) },
		}.decide(scene.Current)
		return next, err
	})
	if err != nil {
		return hook.WorkspaceResult{}, err
	}
	if !w.DryRun && res.Change != hook.Unchanged {
		s.pipeline.ConfigChanged(hook.NoID)
		s.pipeline.ConfigChanged(res.ID)
	}
	return res, nil
}

func workspaceChanges(a, b *hook.Workspace) []string {
	return changes(
		same("name", a.Name == b.Name),
		same("strict", a.Strict == b.Strict),
		same("retention", a.Retention == b.Retention),
		same("auditRetention", a.AuditRetention == b.AuditRetention),
		same("limits", a.Limits == b.Limits),
		same("alerts", a.Alerts.Equal(b.Alerts)),
		same("metadata", sameMetadata(a.Metadata, b.Metadata)),
	)
}

func readWorkspace(doc []byte, ref string, scene hook.WorkspaceScene, mails bool) (*hook.Workspace, error) {
	o, err := readDocument(doc)
	if err != nil {
		return nil, err
	}
	who := identify(o, ref, scene.Current)
	next := &hook.Workspace{Name: who.name, Strict: o.flag("strict", false), Metadata: o.metadata()}
	if !o.isNull("retention") {
		next.Retention = o.duration("retention", 0, minRetention, maxRetention)
	}
	if !o.isNull("auditRetention") {
		next.AuditRetention = o.duration("auditRetention", 0, minAuditRetention, maxRetention)
	}
	if l := o.object("limits"); l != nil {
		next.Limits = hook.Limits{
			EventsPerSecond:   l.optional("eventsPerSecond", 1, maxRate),
			PendingDeliveries: l.optional("pendingDeliveries", 1, maxPending),
		}
		l.done()
	}
	next.Alerts = o.alerts("alerts", mails)
	o.ignore("version", "createdAt", "updatedAt")
	o.done()
	if err := hook.Invalid(o.faults); err != nil {
		return nil, err
	}
	if err := who.settle(scene.Scene, "workspace"); err != nil {
		return nil, err
	}
	next.Code = who.code
	return next, nil
}

// optional reads a whole number; absent and null are 0.
func (o *object) optional(name string, lo, hi int) int {
	if o.isNull(name) {
		return 0
	}
	return o.integer(name, 0, lo, hi)
}

// GetWorkspace returns a workspace.
func (s *Service) GetWorkspace(ctx context.Context, p hook.Principal, ref string) (*hook.Workspace, error) {
	if err := platformOnly(p); err != nil {
		return nil, err
	}
	return s.store.Workspace(ctx, ref)
}

// ListWorkspaces lists them by creation or by code, and reports whether more follow.
func (s *Service) ListWorkspaces(ctx context.Context, p hook.Principal, f hook.WorkspaceFilter, page hook.Page) (list []*hook.Workspace, more bool, err error) {
	if err := platformOnly(p); err != nil {
		return nil, false, err
	}
	return s.store.Workspaces(ctx, f, page)
}

// DeleteWorkspace deletes a tenant and everything in it; confirm must repeat its code.
// Nothing of it can be reached afterwards, the rows go in the background.
func (s *Service) DeleteWorkspace(ctx context.Context, p hook.Principal, ref, confirm string, g hook.Guard) error {
	if err := platformOnly(p); err != nil {
		return err
	}
	id, targets, err := s.store.DeleteWorkspace(ctx, ref, func(w *hook.Workspace) error {
		if err := Guarded(g, w.Version); err != nil {
			return err
		}
		if w.Code == hook.DefaultWorkspace {
			return hook.Errorf(hook.KindInvalidState, "the workspace %q cannot be deleted", w.Code)
		}
		if confirm != w.Code {
			e := hook.Errorf(hook.KindInvalidParameter, "to delete the workspace and everything in it, repeat its code: ?confirm=%s", w.Code)
			e.Field = "confirm"
			return e
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.pipeline.ConfigChanged(hook.NoID)
	s.pipeline.ConfigChanged(id)
	for _, w := range targets {
		s.pipeline.TargetDeleted(id, w)
	}
	return nil
}

func platformOnly(p hook.Principal) error {
	if p.Platform {
		return nil
	}
	return hook.Errorf(hook.KindForbidden, "only platform keys may do this")
}
