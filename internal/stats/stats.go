package stats

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sallyport/internal/hook"
)

// Store is the part of the store that remembers what nodes did.
type Store interface {
	// Rates are of the last minute; those of workspaces in which nothing happened are left out.
	Rates(ctx context.Context, workspaces []hook.ID) (map[hook.ID]hook.Rates, error)
	Running(ctx context.Context, workspaces []hook.ID) (map[hook.ID]int, error)
	// FailedCount counts dead letters, up to most.
	FailedCount(ctx context.Context, workspace hook.ID, most int) (int, error)
	// TargetStats completes queues, in their order.
	TargetStats(ctx context.Context, queues []hook.TargetQueue) ([]hook.TargetStat, error)
	// Workspaces lists them in the order of creation.
	Workspaces(ctx context.Context, f hook.WorkspaceFilter, p hook.Page) (list []*hook.Workspace, more bool, err error)
}

// Service answers how workspaces fare.
type Service struct {
	store Store
	gauge *Gauge
}

// New joins the parts.
func New(s Store, g *Gauge) *Service { return &Service{s, g} }

// Of returns how one workspace fares.
func (s *Service) Of(ctx context.Context, workspace hook.ID) (hook.Stats, error) {
	out := hook.Stats{}
	all, err := s.Workspaces(ctx, []hook.ID{workspace})
	if err != nil {
		return out, err
	}
	out.WorkspaceStats = all[workspace]
	q, _, err := s.gauge.Queue(ctx)
	if err != nil {
		return out, err
	}
	if out.Failed, err = s.store.FailedCount(ctx, workspace, hook.MaxFailedCount); err != nil {
		return out, err
	}
	top := topOf(&q, hook.TopTargets, func(t *hook.TargetQueue) bool { return t.Workspace == workspace })
	if len(top) > 0 {
		out.Top, err = s.store.TargetStats(ctx, top)
	}
	return out, err
}

// Backlogs returns how much waits in each workspace where something does.
func (s *Service) Backlogs(ctx context.Context) (map[hook.ID]*hook.Backlog, error) {
	_, backlogs, err := s.gauge.Queue(ctx)
	return backlogs, err
}

// Targets returns what waits for each target for which something does.
func (s *Service) Targets(ctx context.Context) ([]hook.TargetQueue, error) {
	q, _, err := s.gauge.Queue(ctx)
	return q.Targets, err
}

// Largest returns the targets of the installation with the most waiting.
func (s *Service) Largest(ctx context.Context, n int) ([]hook.TargetStat, error) {
	q, _, err := s.gauge.Queue(ctx)
	if err != nil {
		return nil, err
	}
	top := topOf(&q, n, func(*hook.TargetQueue) bool { return true })
	if len(top) == 0 {
		return nil, nil
	}
	return s.store.TargetStats(ctx, top)
}

// topOf picks the targets with the most waiting, those that are sent to first.
func topOf(q *hook.Queue, n int, among func(*hook.TargetQueue) bool) []hook.TargetQueue {
	var top []hook.TargetQueue
	for i := range q.Targets {
		if t := &q.Targets[i]; t.Waiting > 0 && among(t) {
			top = append(top, *t)
		}
	}
	slices.SortFunc(top, func(a, b hook.TargetQueue) int {
		if a.Active != b.Active {
			if a.Active {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), slices.Compare(a.Target[:], b.Target[:]))
	})
	return top[:min(len(top), n)]
}

// Workspaces returns how some workspaces fare.
func (s *Service) Workspaces(ctx context.Context, ids []hook.ID) (map[hook.ID]hook.WorkspaceStats, error) {
	q, backlogs, err := s.gauge.Queue(ctx)
	if err != nil {
		return nil, err
	}
	rates, err := s.store.Rates(ctx, ids)
	if err != nil {
		return nil, err
	}
	running, err := s.store.Running(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[hook.ID]hook.WorkspaceStats, len(ids))
	for _, id := range ids {
		st := hook.WorkspaceStats{Backlog: hook.Backlog{Workspace: id, Exact: true}, Rates: rates[id], Running: running[id], AsOf: q.At}
		if b := backlogs[id]; b != nil {
			st.Backlog = *b
		}
		// Nodes say what they have in hand every other second; what is claimed is known better.
		st.Running = max(st.Running, st.Claimed)
		out[id] = st
	}
	return out, nil
}

// ranking is how much of a list by backlog is read at a time.
const ranking = 500

// Ranked lists workspaces by how much waits in them or for how long: those with the most
// first, or last when the page asks for ascending order. Those in which nothing waits are
// told apart by their creation, newest first. There is one page: the order changes while
// somebody reads it.
func (s *Service) Ranked(ctx context.Context, f hook.WorkspaceFilter, p hook.Page) ([]*hook.Workspace, error) {
	q, backlogs, err := s.gauge.Queue(ctx)
	if err != nil {
		return nil, err
	}
	value := func(id hook.ID) int64 {
		b := backlogs[id]
		switch {
		case b == nil:
			return 0
		case f.Sort == hook.SortPending:
			return int64(b.Pending)
		case b.OldestDue == nil:
			return 0
		}
		return int64(max(time.Microsecond, q.At.Sub(*b.OldestDue)))
	}
	var busy []hook.ID
	for id := range backlogs {
		if value(id) > 0 {
			busy = append(busy, id)
		}
	}
	slices.SortFunc(busy, func(a, b hook.ID) int {
		order := cmp.Compare(value(b), value(a))
		if p.Asc {
			order = -order
		}
		return cmp.Or(order, slices.Compare(a[:], b[:]))
	})
	var out []*hook.Workspace
	first, then := s.ranked, s.calm
	if p.Asc {
		first, then = then, first
	}
	if err := first(ctx, f, busy, p.Limit, &out); err != nil {
		return nil, err
	}
	if err := then(ctx, f, busy, p.Limit, &out); err != nil {
		return nil, err
	}
	return out, nil
}

// ranked adds workspaces in the order of their ids, until there are enough.
func (s *Service) ranked(ctx context.Context, f hook.WorkspaceFilter, ids []hook.ID, limit int, out *[]*hook.Workspace) error {
	for part := range slices.Chunk(ids, ranking) {
		if len(*out) >= limit {
			return nil
		}
		f.IDs = part
		rows, _, err := s.store.Workspaces(ctx, f, hook.Page{Limit: ranking})
		if err != nil {
			return err
		}
		at := make(map[hook.ID]*hook.Workspace, len(rows))
		for _, w := range rows {
			at[w.ID] = w
		}
		for _, id := range part {
			if w := at[id]; w != nil && len(*out) < limit {
				*out = append(*out, w)
			}
		}
	}
	return nil
}

// calm adds workspaces other than these, newest first, until there are enough.
func (s *Service) calm(ctx context.Context, f hook.WorkspaceFilter, but []hook.ID, limit int, out *[]*hook.Workspace) error {
	busy := make(map[hook.ID]bool, len(but))
	for _, id := range but {
		busy[id] = true
	}
	page := hook.Page{Limit: ranking}
	for more := true; more && len(*out) < limit; {
		var rows []*hook.Workspace
		var err error
		if rows, more, err = s.store.Workspaces(ctx, f, page); err != nil {
			return err
		}
		for _, w := range rows {
			page.After = w.ID
			if !busy[w.ID] && len(*out) < limit {
				*out = append(*out, w)
			}
		}
	}
	return nil
}
