package manage

import (
	"context"
	"fmt"
	"strings"

	"sallyport/internal/hook"
)

// CreateAction makes an action.
func (s *Service) CreateAction(ctx context.Context, p hook.Principal, doc []byte) (hook.ActionResult, error) {
	return s.editAction(ctx, p, "", hook.Write{}, whole[*hook.Action](nil, "", doc))
}

// PutAction creates or replaces an action: a field left out becomes its default. Secrets
// left out are kept.
func (s *Service) PutAction(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.ActionResult, error) {
	return s.editAction(ctx, p, ref, w, whole[*hook.Action](hook.NotFound("action", ref), ref, doc))
}

// PatchAction changes parts of an action.
func (s *Service) PatchAction(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.ActionResult, error) {
	return s.editAction(ctx, p, ref, w, merged(hook.NotFound("action", ref), func(cur *hook.Action) ([]byte, error) {
		return patchedAction(cur, doc)
	}))
}

func (s *Service) editAction(ctx context.Context, p hook.Principal, ref string, w hook.Write, document document[*hook.Action]) (hook.ActionResult, error) {
	var res hook.ActionResult
	saved, err := s.store.EditAction(ctx, p.Workspace, ref, w.DryRun, func(scene hook.ActionScene) (next *hook.Action, err error) {
		next, res.Change, res.Changed, err = edit[*hook.Action]{
			guard: w.Guard, document: document, changes: actionChanges,
			read: func(doc []byte) (*hook.Action, error) { return s.readAction(doc, ref, scene) },
		}.decide(scene.Current)
		return next, err
	})
	if err != nil {
		return hook.ActionResult{}, err
	}
	if !w.DryRun && res.Change != hook.Unchanged {
		s.pipeline.ConfigChanged(p.Workspace)
	}
	res.ActionView = actionView(saved)
	return res, nil
}

// GetAction returns an action.
func (s *Service) GetAction(ctx context.Context, p hook.Principal, ref string) (hook.ActionView, error) {
	a, err := s.store.Action(ctx, p.Workspace, ref)
	if err != nil {
		return hook.ActionView{}, err
	}
	return actionView(a), nil
}

// ListActions lists actions, and reports whether more follow.
func (s *Service) ListActions(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []hook.ActionView, more bool, err error) {
	rows, more, err := s.store.Actions(ctx, p.Workspace, f, page)
	if err != nil {
		return nil, false, err
	}
	list = make([]hook.ActionView, len(rows))
	for i, a := range rows {
		list[i] = actionView(a)
	}
	return list, more, nil
}

// DeleteAction deletes an action that nothing refers to: nothing runs from then on, open
// deliveries are skipped in the background, the history stays readable, the code is free.
func (s *Service) DeleteAction(ctx context.Context, p hook.Principal, ref string, g hook.Guard) error {
	a, err := s.store.EditAction(ctx, p.Workspace, ref, false, func(scene hook.ActionScene) (*hook.Action, error) {
		if scene.Current == nil {
			return nil, hook.NotFound("action", ref)
		}
		if err := Guarded(g, scene.Current.Version); err != nil {
			return nil, err
		}
		if n := len(scene.UsedBy); n > 0 {
			others := ""
			if n > 1 {
				others = fmt.Sprintf(" and %d more", n-1)
			}
			e := hook.Errorf(hook.KindInUse, "the action %q is used by %s%s; take it out there first", scene.Current.Code, scene.UsedBy[0], others)
			e.UsedBy = scene.UsedBy
			return nil, e
		}
		next := *scene.Current
		next.Secrets, next.DeletedAt = nil, &scene.Now
		return &next, nil
	})
	if err != nil {
		return err
	}
	s.pipeline.ConfigChanged(p.Workspace)
	s.pipeline.TargetDeleted(p.Workspace, a.ID)
	return nil
}

// actionView is what may leave: without secret values.
func actionView(a *hook.Action) hook.ActionView {
	c := *a
	c.Secrets = withoutValues(a.Secrets)
	return hook.ActionView{Action: &c, Warnings: []string{}}
}

// actionNamed finds an action by code or id among those of a scene.
func actionNamed(actions map[string]*hook.Action, ref string) *hook.Action {
	if a := actions[strings.ToLower(ref)]; a != nil {
		return a
	}
	for _, a := range actions {
		if strings.EqualFold(a.ID.String(), ref) {
			return a
		}
	}
	return nil
}
