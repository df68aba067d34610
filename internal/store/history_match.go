package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// Why a webhook has no delivery of an event.
const (
	missDisabled     = "disabled"
	missSuspended    = "suspended"
	missEventType    = "event_type"
	missFilter       = "filter"
	missCreatedLater = "created_later"
)

// Whether a match was recorded when the event was accepted, or is worked out.
const (
	matchRecorded = "recorded"
	matchNow      = "now"
)

// Matches tells for every webhook of the workspace, in the order they were created, the
// delivery that an event became there or why it became none. The reason is worked out
// from today's configuration: what it was then is not kept. Deleted webhooks are listed
// only if they have a delivery.
func (s *Store) Matches(ctx context.Context, workspace hook.ID, event string) ([]hook.MatchView, error) {
	var out []hook.MatchView
	err := s.search(ctx, func(tx *gorm.DB) error {
		e, err := s.findEvent(tx, workspace, event)
		if err != nil {
			return err
		}
		targets, err := list(tx, scanTarget, targetSQL+"w.workspace_id = ? ORDER BY w.id", rowID(workspace))
		if err != nil {
			return err
		}
		ids, err := list(tx, scanID, "SELECT d.id FROM deliveries d WHERE d.event_key = ?", rowID(e.Key))
		if err != nil {
			return err
		}
		var views []hook.DeliveryView
		if len(ids) > 0 {
			if views, err = s.deliveryViews(tx, ids, hook.Page{}, workspace); err != nil {
				return err
			}
		}
		for i := range targets {
			t := &targets[i].Webhook
			m := hook.MatchView{Webhook: t.ID, Code: t.Code, Name: t.Name, Evaluated: matchNow}
			if d := deliveryFor(views, t.ID); d != nil {
				m.Matched, m.Delivery, m.Evaluated = true, d, matchRecorded
			} else if t.DeletedAt != nil {
				continue
			} else {
				m.Reason, m.Detail = s.missReason(t, &e)
			}
			out = append(out, m)
		}
		return nil
	})
	return out, err
}

// deliveryFor picks the newest delivery to a target, a test send only if there is no
// other. views are newest first.
func deliveryFor(views []hook.DeliveryView, target hook.ID) *hook.DeliveryView {
	to := func(test bool) func(hook.DeliveryView) bool {
		return func(v hook.DeliveryView) bool { return v.Target == target && v.Test == test }
	}
	i := slices.IndexFunc(views, to(false))
	if i < 0 {
		i = slices.IndexFunc(views, to(true))
	}
	if i < 0 {
		return nil
	}
	return &views[i]
}

// missReason says why there is no delivery, first what no change of state could have
// mended. The reason is "" if today's configuration would have made one: the detail
// then says that the webhook was another one when the event came, or that the delivery
// is older than what is kept.
func (s *Store) missReason(w *hook.Webhook, e *hook.Event) (reason, detail string) {
	accepted := e.AcceptedAt()
	matches := slices.ContainsFunc(w.EventTypes, func(pattern string) bool {
		return hook.MatchType(pattern, e.Type, hook.IsOperational(e.Type))
	})
	since := w.StateSince.Format(time.RFC3339)
	switch state := w.State(); {
	case w.CreatedAt.After(accepted):
		return missCreatedLater, "created " + w.CreatedAt.Format(time.RFC3339) + ", after the event was accepted"
	case !matches:
		return missEventType, fmt.Sprintf("%s is not among %q", e.Type, w.EventTypes)
	case s.refuses(w, e):
		return missFilter, w.Filter + " was false"
	case state == hook.TargetDisabled:
		return missDisabled, "disabled since " + since
	case state == hook.TargetSuspended:
		return missSuspended, fmt.Sprintf("suspended (%s) since %s", w.Suspended, since)
	case w.StateSince.After(accepted):
		return "", "its state changed at " + since + ", after the event was accepted; it would receive such an event now"
	}
	return "", "it would receive such an event now; it did not when the event was accepted, or the delivery is no longer kept"
}

// refuses reports that the webhook's filter says no to the event. One that cannot be
// evaluated does not: it makes a delivery, a skipped one.
func (s *Store) refuses(w *hook.Webhook, e *hook.Event) bool {
	if w.Filter == "" || s.holds == nil {
		return false
	}
	holds, err := s.holds(w.Filter, e)
	return err == nil && !holds
}
