package replay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"sallyport/internal/hook"
)

// work is one replay in this node's hands.
type work struct {
	*Runner
	rp   *hook.Replay
	node hook.NodeID

	noted  time.Time // when the store last said that the replay is ours
	paced  time.Time // when the next piece may begin
	recent []added   // not in Config.Waiting yet
}

type added struct {
	at time.Time
	n  int
}

// gaugeAge is how old what Config.Waiting says may be.
const gaugeAge = 4 * time.Second

// run works until the replay has ended, is not ours any more, or ctx ends: then the next
// node sees it left by one that is gone.
func (w *work) run(ctx context.Context) {
	if w.rp.Cursor == (hook.ReplayCursor{}) && w.rp.Done == 0 {
		w.metrics.ReplayState("started")
	}
	w.log.InfoContext(ctx, "replay.taken", "replay_id", w.rp.ID, "include", w.rp.Include, "done", w.rp.Done)
	err := w.pieces(ctx)
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, hook.ErrFenced):
		w.log.InfoContext(ctx, "replay.let_go", "replay_id", w.rp.ID, "done", w.rp.Done)
	default:
		w.log.WarnContext(ctx, "replay.failed", "replay_id", w.rp.ID, "failures", w.rp.Failures+1, "error", err)
		if w.rp.Failures+1 >= failuresMost {
			err = w.end(ctx, hook.ReplayErrored, hook.ReplayInternalFailure)
		} else {
			err = w.store.LeaveReplay(ctx, w.node, w.rp.ID, min(30*time.Second, time.Second<<w.rp.Failures))
		}
		if err != nil && !errors.Is(err, hook.ErrFenced) && ctx.Err() == nil {
			w.log.WarnContext(ctx, "replay.leave", "replay_id", w.rp.ID, "error", err)
		}
	}
}

// pieces does piece after piece. A panic is an error of this replay's: nobody else's work
// ends with it.
func (w *work) pieces(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := w.begin(ctx); err != nil {
		return err
	}
	s := scanner{Runner: w.Runner, workspace: w.rp.Workspace, spec: &w.rp.ReplaySpec}
	for {
		v, ended, err := w.view(ctx)
		if err != nil || ended {
			return err
		}
		most, err := w.most(ctx, v)
		if err != nil {
			return err
		}
		if most == 0 {
			continue
		}
		p, err := s.next(ctx, v, w.rp.Cursor, most)
		if err != nil {
			return err
		}
		p.Replay = w.rp.ID
		if err := w.gate(ctx, v, p); err != nil {
			return err
		}
		done, err := w.storePiece(ctx, &p.ReplayPiece)
		if errors.Is(err, hook.ErrChanged) {
			if err := w.catalog.Refresh(ctx, w.rp.Workspace); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		w.stored(v, p, done)
		if p.Last {
			w.ended(ctx, hook.ReplaySucceeded)
			return nil
		}
	}
}

// storePiece does a piece when it has its turn.
func (w *work) storePiece(ctx context.Context, p *hook.ReplayPiece) (hook.ReplayDone, error) {
	select {
	case w.storing <- struct{}{}:
		defer func() { <-w.storing }()
	case <-ctx.Done():
		return hook.ReplayDone{}, ctx.Err()
	}
	return w.store.ReplayPiece(ctx, w.node, p)
}

// begin counts, and waits until what is to be looked at is all visible; once.
func (w *work) begin(ctx context.Context) error {
	if w.rp.Cursor != (hook.ReplayCursor{}) {
		return nil
	}
	if w.rp.Total == nil {
		n, err := w.count(ctx, w.rp.Workspace, &w.rp.ReplaySpec, countFor)
		if hook.KindOf(err) == hook.KindNotFound { // view says what that means
			return nil
		}
		if err != nil {
			return err
		}
		if n.Complete {
			if err := w.store.CountedReplay(ctx, w.node, w.rp.ID, n.Total); err != nil {
				return err
			}
		}
	}
	for w.rp.Missed() {
		settled, err := w.store.ReplaySettled(ctx, *w.rp.StartedAt)
		if err != nil || settled {
			return err
		}
		if err := w.wait(ctx, 50*time.Millisecond, hook.ReplaySettling); err != nil {
			return err
		}
	}
	return nil
}

// view is the configuration to decide by, once the replay's target can take part. It ends
// the replay if the target is gone.
func (w *work) view(ctx context.Context) (v *hook.View, ended bool, err error) {
	for {
		v, err = w.catalog.View(ctx, w.rp.Workspace)
		if hook.KindOf(err) == hook.KindNotFound {
			return nil, true, w.end(ctx, hook.ReplayCancelled, hook.ReplayWebhookDeleted)
		}
		if err != nil {
			return nil, false, err
		}
		if w.rp.Target == hook.NoID {
			return v, false, nil
		}
		t := v.Targets[w.rp.Target]
		if t == nil {
			reason := hook.ReplayWebhookDeleted
			if w.rp.TargetKind == hook.TargetAction {
				reason = hook.ReplayActionDeleted
			}
			return nil, true, w.end(ctx, hook.ReplayCancelled, reason)
		}
		if !w.rp.Missed() || t.Webhook == nil || t.Webhook.Receives() {
			return v, false, nil
		}
		// It would pass over what is missed.
		reason := hook.ReplayDisabled
		if t.State == hook.TargetSuspended {
			reason = hook.ReplaySuspended
		}
		if err := w.wait(ctx, 250*time.Millisecond, reason); err != nil {
			return nil, false, err
		}
	}
}

// most is how many deliveries the next piece may have; 0: look again. It waits for the
// pace, and while the workspace's limit is half used up.
func (w *work) most(ctx context.Context, v *hook.View) (int, error) {
	most := pieceMost
	if rate := w.rp.Rate; rate > 0 {
		most = max(1, min(pieceMost, rate/4)) // four a second
		if left := time.Until(w.paced); left > 0 {
			return 0, w.wait(ctx, min(left, time.Second), hook.ReplayNoReason)
		}
	}
	limit := v.Workspace.Limits.PendingDeliveries
	if limit == 0 || w.cfg.Waiting == nil {
		return most, nil
	}
	room := max(1, limit/2) - w.cfg.Waiting(w.rp.Workspace)
	now := time.Now()
	for len(w.recent) > 0 && now.Sub(w.recent[0].at) > gaugeAge {
		w.recent = w.recent[1:]
	}
	for _, a := range w.recent {
		room -= a.n
	}
	if room <= 0 {
		return 0, w.wait(ctx, 250*time.Millisecond, hook.ReplayPendingLimit)
	}
	return min(most, room), nil
}

// gate waits while enough is due at one of a piece's targets. Those that are not sent to
// now do not count: what waits there keeps nothing back.
func (w *work) gate(ctx context.Context, v *hook.View, p *piece) error {
	var flowing []hook.ID
	for id := range p.targets {
		if t := v.Targets[id]; t != nil && t.State == hook.TargetActive {
			flowing = append(flowing, id)
		}
	}
	pause := 10 * time.Millisecond
	for len(flowing) > 0 {
		n, err := w.store.Backlog(ctx, flowing, backlogMost)
		if err != nil || n < backlogMost {
			return err
		}
		if err := w.wait(ctx, pause, hook.ReplayBacklog); err != nil {
			return err
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
	return nil
}

// stored notes what a piece did.
func (w *work) stored(v *hook.View, p *piece, done hook.ReplayDone) {
	n := done.Again + done.New
	w.rp.Cursor, w.rp.Failures = p.Cursor, 0
	w.rp.Done += n
	w.rp.Skipped += done.Skipped
	now := time.Now()
	w.noted = now
	if n > 0 {
		w.recent = append(w.recent, added{now, n})
		w.metrics.Replayed(done.Again, done.New)
	}
	if w.rp.Rate > 0 {
		if w.paced.Before(now) {
			w.paced = now
		}
		w.paced = w.paced.Add(time.Duration(n) * time.Second / time.Duration(w.rp.Rate))
	}
	for _, id := range done.Woken {
		if t := v.Targets[id]; t != nil {
			w.worker.Waiting(t)
		}
	}
}

// wait rests. Once a second it asks whether the replay is still this node's, and says why
// it does not move: a rest of a moment is nobody's business.
func (w *work) wait(ctx context.Context, d time.Duration, reason hook.ReplayReason) error {
	if w.noted.IsZero() {
		w.noted = time.Now()
	}
	if time.Since(w.noted) > time.Second {
		if err := w.store.NoteReplay(ctx, w.node, w.rp.ID, reason); err != nil {
			return err
		}
		w.noted = time.Now()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (w *work) end(ctx context.Context, state hook.ReplayState, reason hook.ReplayReason) error {
	err := w.store.EndReplay(ctx, w.node, w.rp.ID, state, reason)
	if err == nil {
		w.ended(ctx, state)
	}
	return err
}

func (w *work) ended(ctx context.Context, state hook.ReplayState) {
	w.metrics.ReplayState(string(state))
	w.log.InfoContext(ctx, "replay.ended", "replay_id", w.rp.ID, "state", state, "done", w.rp.Done, "skipped", w.rp.Skipped,
		"took", w.cfg.Now().Sub(*w.rp.StartedAt).Round(time.Millisecond).String())
}
