package tail

import (
	"context"
	"slices"
	"strings"
	"time"

	"sallyport/internal/hook"
)

// patience is how long a look that does not want to wait does so for transactions beside
// what was stored before it.
const patience = time.Second

// beginning is how long it may take to find out where now is.
const beginning = 10 * time.Second

// Stream is somebody's place in a log. Not for use by several goroutines; Close it.
type Stream struct {
	t     *Tail
	w     *watched
	query hook.StreamQuery
	at    hook.Position
	head  int64 // what was there when it was opened
	read  int64 // up to here nothing is left
	since time.Time

	displaced chan struct{} // closed when it has to give way
}

// Open begins a stream. Errors: KindNotFound for a webhook, KindInvalidCursor and
// KindCursorExpired, KindUnavailable for too many, KindShuttingDown.
func (t *Tail) Open(ctx context.Context, q hook.StreamQuery) (*Stream, error) {
	s := &Stream{t: t, query: q, displaced: make(chan struct{})}
	if err := t.follow(s); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends it.
func (s *Stream) Close() { s.t.leave(s) }

// At is where it is.
func (s *Stream) At() hook.Position { return s.at }

func (s *Stream) begin(ctx context.Context) error {
	if _, err := s.webhook(ctx); err != nil {
		return err
	}
	ws := s.query.Workspace
	heads, err := s.t.log.LogHeads(ctx, []hook.ID{ws})
	if err != nil {
		return err
	}
	s.head, s.read = heads.Last[ws], -1
	if s.query.From != nil {
		s.at = *s.query.From
		return s.t.log.CheckPosition(ctx, ws, s.at)
	}
	if s.query.Since.IsZero() {
		settled, err := s.settled(ctx)
		if err == nil {
			s.at, err = s.t.log.LogEnd(ctx, ws, settled)
		}
		return err
	}
	// A row below that place that is yet to be committed began before it, and so is older.
	s.since = s.query.Since
	s.at, err = s.t.log.LogStart(ctx, ws, s.since, s.head)
	return err
}

// settled waits until what was there when the stream was opened is settled: what comes from
// then on may have its place below it.
func (s *Stream) settled(ctx context.Context) (int64, error) {
	timer := time.NewTimer(beginning)
	defer timer.Stop()
	for {
		settled, known, changed := s.t.state(s.w)
		if known && settled >= s.head {
			return settled, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return 0, &hook.Error{Kind: hook.KindUnavailable, RetryAfter: time.Second,
				Detail: "a transaction that stores events has been open for long, so that it cannot be told where now is; begin with since, or try again"}
		case <-s.t.stopped:
			return 0, errStopping()
		case <-s.displaced:
			return 0, errDisplaced()
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Next returns the next events as soon as there are any, at most limit and about maxBytes;
// after a while, or when ctx ends, a page without. With no time to wait it still waits up to
// a second for what had been stored when the stream was opened. Errors are Open's; after
// one, close it.
func (s *Stream) Next(ctx context.Context, wait time.Duration, limit, maxBytes int) (hook.StreamPage, error) {
	began := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-s.t.stopped:
			return hook.StreamPage{Next: s.at}, errStopping()
		case <-s.displaced:
			return hook.StreamPage{Next: s.at}, errDisplaced()
		default:
		}
		settled, known, changed := s.t.state(s.w)
		if known && settled < s.at.Seq { // time was turned back, or this is where we are told so
			if err := s.t.log.CheckPosition(ctx, s.query.Workspace, s.at); err != nil {
				return hook.StreamPage{Next: s.at}, err
			}
		}
		if known && settled > s.read {
			page, more, err := s.page(ctx, settled, limit, maxBytes)
			if err != nil || len(page.Events) > 0 {
				return page, err
			}
			if !more {
				s.read = settled
			}
			if more && ctx.Err() == nil && time.Since(began) < max(wait, patience) {
				continue
			}
		}
		due := timer.C
		if time.Since(began) >= wait {
			left := patience - time.Since(began)
			if (known && settled >= s.head) || left <= 0 {
				return hook.StreamPage{Next: s.at}, nil
			}
			timer.Reset(left)
		}
		select {
		case <-changed:
		case <-due:
		case <-s.t.stopped:
		case <-s.displaced:
		case <-ctx.Done():
			return hook.StreamPage{Next: s.at}, nil
		}
	}
}

// page reads what is next, and leaves out what was not asked for.
func (s *Stream) page(ctx context.Context, settled int64, limit, maxBytes int) (page hook.StreamPage, more bool, err error) {
	page.Next = s.at
	w, err := s.webhook(ctx)
	if err != nil {
		return page, false, err
	}
	got, err := s.t.log.LogPage(ctx, s.query.Workspace, s.at, settled, limit, maxBytes, func(eventType string) bool {
		return selects(s.query.EventTypes, eventType) && (w == nil || selects(w.EventTypes, eventType))
	})
	if err != nil {
		return page, false, err
	}
	for _, e := range got.Events {
		if e.Logged.Before(s.since) && e.AcceptedAt().Before(s.since) {
			continue
		}
		if w != nil && e.Source.Kind == hook.SourceIncoming {
			continue // an item of a door goes to its routes, never to webhooks
		}
		if w != nil && w.Filter != "" {
			// One that cannot be evaluated sends nothing.
			if holds, err := s.t.cfg.Holds(w.Filter, &e.Event); err != nil || !holds {
				continue
			}
		}
		page.Events = append(page.Events, e)
	}
	s.at, page.Next = got.Next, got.Next
	return page, got.Read > 0, nil
}

// selects reports whether patterns, if there are any, select an event type.
func selects(patterns []string, eventType string) bool {
	operational := hook.IsOperational(eventType)
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return hook.MatchType(p, eventType, operational) })
}

// webhook is the one that is followed as it is now, nil if none is.
func (s *Stream) webhook(ctx context.Context) (*hook.Webhook, error) {
	v, err := s.t.catalog.View(ctx, s.query.Workspace)
	if err != nil || s.query.Webhook == "" {
		return nil, err
	}
	for _, w := range v.Webhooks {
		if strings.EqualFold(w.Code, s.query.Webhook) || w.ID.String() == s.query.Webhook {
			return w, nil
		}
	}
	return nil, hook.NotFound("webhook", s.query.Webhook)
}
