package replay

import (
	"bytes"
	"context"
	"slices"
	"time"

	"sallyport/internal/hook"
)

const (
	// readMost is how many rows one read looks at.
	readMost = 1000
	// scanFor is how long the reading for one piece goes on if little is found.
	scanFor = 500 * time.Millisecond
	// entityBytes of events are in memory at once, for filters.
	entityBytes = 4 << 20
	// retentionMargin keeps away from what retention may be about to remove.
	retentionMargin = time.Minute
)

// scanner decides, piece by piece, what a replay does. It changes nothing.
type scanner struct {
	*Runner
	workspace hook.ID
	spec      *hook.ReplaySpec
	yield     float64 // deliveries that an event came to last; 0: not known
}

// piece is a decided part of the work.
type piece struct {
	hook.ReplayPiece
	targets map[hook.ID]bool // that get something
	most    int
}

func (p *piece) full() bool { return p.Deliveries() >= p.most }

func (p *piece) again(d *hook.ReplayDelivery) {
	p.Again = append(p.Again, d.ID)
	p.targets[d.Target] = true
}

// next decides the piece that begins at a place, with about most deliveries.
func (s *scanner) next(ctx context.Context, v *hook.View, at hook.ReplayCursor, most int) (*piece, error) {
	p := &piece{most: most, targets: map[hook.ID]bool{}}
	p.Version, p.States, p.Fresh, p.Cursor = v.Version, s.spec.States, s.spec.FreshIDs, at
	began := time.Now()
	for !p.Last && !p.full() && time.Since(began) < scanFor {
		var err error
		if s.spec.ByEvent() {
			err = s.events(ctx, v, p, began)
		} else {
			err = s.deliveries(ctx, v, p)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// deliveries goes on through the deliveries of one target.
func (s *scanner) deliveries(ctx context.Context, v *hook.View, p *piece) error {
	target, ok := s.targetFrom(v, p.Cursor.Target)
	if !ok {
		p.Last = true
		return nil
	}
	at := p.Cursor.At
	if target != p.Cursor.Target {
		at = hook.NoID
	}
	rows, next, more, err := s.store.ReplayDeliveries(ctx, s.spec, target, at, readMost)
	if err != nil {
		return err
	}
	for i := range rows {
		if p.full() {
			p.Cursor = hook.ReplayCursor{Target: target, At: rows[i].ID}
			return nil
		}
		d := &rows[i]
		if !d.Test && s.spec.Wants(d.Type) && slices.Contains(s.spec.States, d.State) {
			p.again(d)
		}
	}
	switch {
	case more:
		p.Cursor = hook.ReplayCursor{Target: target, At: next}
	case s.spec.Target != hook.NoID:
		p.Last = true
	default:
		p.Cursor = hook.ReplayCursor{Target: after(target)}
	}
	return nil
}

// targetFrom is the first target of the replay with no smaller id.
func (s *scanner) targetFrom(v *hook.View, from hook.ID) (hook.ID, bool) {
	if s.spec.Target != hook.NoID {
		return s.spec.Target, true
	}
	var first hook.ID
	for _, w := range v.Webhooks {
		if bytes.Compare(w.ID[:], from[:]) >= 0 && (first == hook.NoID || bytes.Compare(w.ID[:], first[:]) < 0) {
			first = w.ID
		}
	}
	return first, first != hook.NoID
}

// after is the next id there can be.
func after(id hook.ID) hook.ID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

// events goes on through the events of the window.
func (s *scanner) events(ctx context.Context, v *hook.View, p *piece, began time.Time) error {
	rows, next, more, err := s.store.ReplayEvents(ctx, s.workspace, s.spec, p.Cursor.At, s.eventsMost(v, p))
	if err != nil {
		return err
	}
	b := batch{scanner: s, view: v, rows: rows, floor: s.floor(v)}
	for i := range rows {
		// Filters may take a second for one event.
		if p.full() || time.Since(began) > 2*scanFor {
			p.Cursor.At = rows[i].Key
			s.yield = float64(p.Deliveries()) / float64(max(1, i))
			return nil
		}
		if err := b.decide(ctx, i, p); err != nil {
			return err
		}
	}
	p.Cursor.At, p.Last = next, !more
	s.yield = float64(p.Deliveries()) / float64(max(1, len(rows)))
	return nil
}

// eventsMost is how many events to read: about as many as fill the piece, going by the last
// ones, and with many webhooks, of which each may have a delivery, no more than fit into
// memory.
func (s *scanner) eventsMost(v *hook.View, p *piece) int {
	each := 1
	if s.spec.Target == hook.NoID {
		each += len(v.Webhooks)
	}
	most := readMost
	if s.yield > 0 {
		most = int(float64(p.most-p.Deliveries())/s.yield) + 1
	}
	return max(1, min(readMost, most, 8*readMost/each))
}

// floor is the key below which a delivery that is not there may have been removed, so that
// nobody can say that it is missing.
func (s *scanner) floor(v *hook.View) hook.ID {
	kept := v.Workspace.Retention
	if kept == 0 {
		kept = s.cfg.Retention
	}
	if kept == 0 {
		return hook.NoID
	}
	return hook.FirstID(s.cfg.Now().Add(retentionMargin - kept))
}

// batch is a read of events under decision.
type batch struct {
	*scanner
	view   *hook.View
	rows   []hook.ReplayEvent
	floor  hook.ID
	loaded int // entities of rows before this were read, if needed
	entity map[hook.ID][]byte
}

// decide adds what is to be done about one event.
func (b *batch) decide(ctx context.Context, i int, p *piece) error {
	e := &b.rows[i]
	if !b.spec.Wants(e.Type) || slices.ContainsFunc(e.Deliveries, func(d hook.ReplayDelivery) bool { return d.Test }) {
		return nil
	}
	for j := range e.Deliveries {
		d := &e.Deliveries[j]
		switch {
		case b.view.Targets[d.Target] == nil: // deleted
		case slices.Contains(b.spec.States, d.State):
			p.again(d)
		case b.spec.Include == hook.ReplayAll && !d.State.Final():
			p.Skipped++
		}
	}
	missing := b.missing(e)
	if len(missing) == 0 {
		return nil
	}
	if err := b.load(ctx, i); err != nil {
		return err
	}
	e.Entity = b.entity[e.Key]
	passed, failed := b.match.Passing(missing, &e.Event)
	for j, t := range passed {
		n := hook.ReplayNew{ID: hook.ReplayDeliveryID(e.Key, t.ID), Event: e.Key, Target: t.ID}
		if failed != nil && failed[j] {
			n.Skipped = hook.ReasonConditionError
		} else {
			p.targets[t.ID] = true
		}
		p.New = append(p.New, n)
	}
	return nil
}

// missing are the targets that would get such an event now, filters aside, and have no
// delivery of it. Items of doors go to routes, never to webhooks; what Sallyport tells of
// itself is news, of which whom it is about is not told.
func (b *batch) missing(e *hook.ReplayEvent) []*hook.Target {
	if !b.spec.Missed() || e.Source.Kind == hook.SourceIncoming || e.Source.Kind == hook.SourceSystem || bytes.Compare(e.Key[:], b.floor[:]) < 0 {
		return nil
	}
	var out []*hook.Target
	for _, t := range b.view.Match(e.Type) {
		if b.spec.Target != hook.NoID && t.ID != b.spec.Target {
			continue
		}
		if !slices.ContainsFunc(e.Deliveries, func(d hook.ReplayDelivery) bool { return d.Target == t.ID }) {
			out = append(out, t)
		}
	}
	return out
}

// load reads entities from an event on, as many as may be in memory at once, if a filter
// may ask for them.
func (b *batch) load(ctx context.Context, i int) error {
	if i < b.loaded || !b.filtered() {
		return nil
	}
	var keys []hook.ID
	for size := 0; i < len(b.rows) && (len(keys) == 0 || size+b.rows[i].EntityBytes <= entityBytes); i++ {
		keys = append(keys, b.rows[i].Key)
		size += b.rows[i].EntityBytes
	}
	b.loaded = i
	var err error
	b.entity, err = b.store.ReplayEntities(ctx, b.workspace, keys)
	return err
}

func (b *batch) filtered() bool {
	if t := b.view.Targets[b.spec.Target]; t != nil {
		return t.Filter != ""
	}
	return slices.ContainsFunc(b.view.Webhooks, func(w *hook.Webhook) bool { return w.Filter != "" })
}
