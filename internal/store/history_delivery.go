package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// Deliveries lists deliveries of a workspace in the order they were created, newest
// first unless asked otherwise, with the last attempt of each in short, and reports
// whether more follow.
func (s *Store) Deliveries(ctx context.Context, f hook.DeliveryFilter, p hook.Page) ([]hook.DeliveryView, bool, error) {
	var out []hook.DeliveryView
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		out, err = s.deliveries(tx, f, p)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	out, more := paged(out, p)
	return out, more, nil
}

// EventDeliveries is Deliveries of one event; it is an error if there is no such event.
func (s *Store) EventDeliveries(ctx context.Context, workspace hook.ID, event string, states []hook.State, p hook.Page) ([]hook.DeliveryView, bool, error) {
	var out []hook.DeliveryView
	err := s.search(ctx, func(tx *gorm.DB) error {
		keys, err := s.eventKeys(tx, workspace, []string{event})
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return hook.NotFound("event", event)
		}
		out, err = s.deliveries(tx, hook.DeliveryFilter{Workspace: workspace, EventIDs: []string{event}, States: states}, p)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	out, more := paged(out, p)
	return out, more, nil
}

// Delivery returns a delivery with its latest attempts, 100 at most, oldest first and with bodies.
func (s *Store) Delivery(ctx context.Context, workspace, id hook.ID) (hook.DeliveryView, []hook.Attempt, error) {
	var view hook.DeliveryView
	var attempts []hook.Attempt
	err := s.search(ctx, func(tx *gorm.DB) error {
		views, err := s.deliveryViews(tx, []hook.ID{id}, hook.Page{}, workspace)
		if err != nil {
			return err
		}
		if len(views) == 0 {
			return hook.NotFound("delivery", id.String())
		}
		view = views[0]
		attempts, err = s.wholeAttempts(tx, &view.Delivery, "1 = 1")
		return err
	})
	return view, attempts, err
}

func (s *Store) deliveries(tx *gorm.DB, f hook.DeliveryFilter, p hook.Page) ([]hook.DeliveryView, error) {
	q := deliverySearch{s: s, f: f, p: p, states: f.States, span: spanOf(f.Since, f.Until, p)}
	ids, err := q.page(tx)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return s.deliveryViews(tx, ids, p, f.Workspace)
}

// deliveryRow is a row of deliveries with what waits for it in due.
type deliveryRow struct {
	hook.Delivery
	due    *time.Time
	heldBy *int64
}

// deliveryViews joins deliveries with their events, targets and last attempts, in the
// order of the page. It takes a handful of look-ups by key instead of one statement
// with five joins, whose plan nobody could foresee.
func (s *Store) deliveryViews(tx *gorm.DB, ids []hook.ID, p hook.Page, workspace hook.ID) ([]hook.DeliveryView, error) {
	rows, err := s.deliveryRows(tx, ids, workspace)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids = ids[:0:0]
	var keys, targetIDs []hook.ID
	for _, r := range rows {
		ids = append(ids, r.ID)
		keys = append(keys, r.EventKey)
		targetIDs = append(targetIDs, r.Target)
	}
	events, err := s.eventsByKey(tx, workspace, distinct(keys), "NULL")
	if err != nil {
		return nil, err
	}
	targets, err := s.historyTargets(tx, distinct(targetIDs))
	if err != nil {
		return nil, err
	}
	attempts, err := s.attemptSummaries(tx, ids)
	if err != nil {
		return nil, err
	}
	hold, err := holdOf(tx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b deliveryRow) int {
		if p.Asc {
			return compareIDs(a.ID, b.ID)
		}
		return compareIDs(b.ID, a.ID)
	})
	out := make([]hook.DeliveryView, len(rows))
	for i, r := range rows {
		event := events[r.EventKey]
		out[i] = hook.DeliveryView{Delivery: r.Delivery, EventID: event.ID, EventType: event.Type, EntityID: event.EntityID}
		out[i].RequestID = event.Source.RequestID
		target, known := targets[r.Target]
		showTarget(&out[i], r, target, known, s.ids.Now(), hold.On)
		showAttempts(&out[i], attempts[r.ID])
	}
	return out, nil
}

func (s *Store) deliveryRows(tx *gorm.DB, ids []hook.ID, workspace hook.ID) ([]deliveryRow, error) {
	in := s.among("d.id", ids)
	return list(tx, scanDelivery, `SELECT d.id, d.workspace_id, d.event_key, d.target_kind, d.target_id, d.state, d.reason, d.attempts,
		d.base, d.test, d.replay_id, d.step, d.finished_at, `+s.clock("u.due_at")+`, u.held_by
		FROM deliveries d LEFT JOIN due u ON u.delivery_id = d.id WHERE d.workspace_id = ? AND `+in.sql,
		append([]any{rowID(workspace)}, in.args...)...)
}

func scanDelivery(rows *sql.Rows, r *deliveryRow) error {
	var kind, state, reason int16
	var finished, due *int64
	d := &r.Delivery
	err := rows.Scan((*rowID)(&d.ID), (*rowID)(&d.Workspace), (*rowID)(&d.EventKey), &kind, (*rowID)(&d.Target), &state, &reason,
		&d.Attempts, &d.Base, &d.Test, (*rowID)(&d.ReplayID), &d.Step, &finished, &due, &r.heldBy)
	if err != nil {
		return err
	}
	d.TargetKind, d.State, d.Reason = targetKindCodes.from(kind), stateCodes.from(state), reasonCodes.from(reason)
	if finished != nil {
		d.FinishedAt = fromMicros(*finished)
	}
	r.due = fromMicrosPtr(due)
	return nil
}

// showTarget fills in the target and the state as it is shown.
func showTarget(v *hook.DeliveryView, r deliveryRow, t historyTarget, known bool, now time.Time, hold bool) {
	v.TargetCode, v.TargetName, v.Claimed = t.Code, t.Name, r.heldBy != nil
	if t.MaxAttempts > 0 {
		// Numbers go on when an operator's retry starts a fresh budget.
		v.MaxAttempts = r.Base + t.MaxAttempts
		if r.Test { // sent once, and once more each time somebody retries it
			v.MaxAttempts = r.Base + 1
		}
	}
	facts := stateFacts{claimed: v.Claimed, active: !known || t.State() == hook.TargetActive}
	v.State = facts.state(r.State)
	switch {
	case v.State == hook.StateHeld:
		v.Reason = heldFor[t.State()]
	case v.State == hook.StatePending && hold:
		// No time is known for the next attempt: somebody must release it first.
		v.Reason = hook.ReasonHold
	case v.State == hook.StatePending:
		v.NextAttemptAt, v.Reason = r.due, t.waitsFor(r.due != nil && !r.due.After(now))
	}
}

func distinct(ids []hook.ID) []hook.ID {
	slices.SortFunc(ids, compareIDs)
	return slices.Compact(ids)
}
