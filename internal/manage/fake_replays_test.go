package manage_test

import (
	"context"
	"slices"

	"sallyport/internal/hook"
)

func (s *fakeStore) AddReplay(_ context.Context, r *hook.Replay) error {
	r.ID, r.State = s.ids.New(), hook.ReplayRunning
	s.replays = append(s.replays, r)
	return nil
}

func (s *fakeStore) findReplay(workspace, id hook.ID) (*hook.Replay, error) {
	i := slices.IndexFunc(s.replays, func(r *hook.Replay) bool { return r.Workspace == workspace && r.ID == id })
	if i < 0 {
		return nil, hook.NotFound("replay", id.String())
	}
	return s.replays[i], nil
}

func (s *fakeStore) Replay(_ context.Context, workspace, id hook.ID) (hook.ReplayView, error) {
	r, err := s.findReplay(workspace, id)
	if err != nil {
		return hook.ReplayView{}, err
	}
	return hook.ReplayView{Replay: *r}, nil
}

func (s *fakeStore) Replays(_ context.Context, f hook.ReplayFilter, _ hook.Page) (out []hook.ReplayView, more bool, err error) {
	for _, r := range s.replays {
		if r.Workspace == f.Workspace {
			out = append(out, hook.ReplayView{Replay: *r})
		}
	}
	return out, false, nil
}

func (s *fakeStore) EditReplay(_ context.Context, workspace, id hook.ID, decide func(hook.ReplayState) (hook.ReplayState, hook.ReplayReason, error)) error {
	r, err := s.findReplay(workspace, id)
	if err != nil {
		return err
	}
	state, reason, err := decide(r.State)
	if err == nil && state != "" {
		r.State, r.Reason = state, reason
	}
	return err
}
