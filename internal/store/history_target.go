package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// historyTarget is what deliveries show of what they are for, deleted or not. Of an
// action or a door's post-processors it has what a webhook has, too.
type historyTarget struct {
	hook.Webhook
	kind        hook.TargetKind
	breakerOpen bool
}

// waitsFor says why a delivery does not move that waits for the target while that is sent
// to. What is due at a target with limits waits for them, as far as rows can tell.
func (t *historyTarget) waitsFor(due bool) hook.Reason {
	switch {
	case t.breakerOpen:
		return hook.ReasonBreakerOpen
	case !due:
		return hook.ReasonRetryScheduled
	case t.RateLimit != nil:
		return hook.ReasonRateLimited
	case t.MaxInFlight > 0:
		return hook.ReasonMaxInFlight
	}
	return hook.ReasonQueued
}

// historyTargets reads the targets of a page of deliveries.
func (s *Store) historyTargets(tx *gorm.DB, ids []hook.ID) (map[hook.ID]historyTarget, error) {
	out := make(map[hook.ID]historyTarget, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	for _, kind := range []struct {
		query string
		scan  func(*sql.Rows, *historyTarget) error
	}{{targetSQL, scanTarget}, {actionTargetSQL, scanActionTarget}, {incomingTargetSQL, scanIncomingTarget}, {alertTargetSQL, scanIncomingTarget}} {
		in := s.among("w.id", ids)
		rows, err := list(tx, kind.scan, kind.query+in.sql, in.args...)
		if err != nil {
			return nil, err
		}
		for _, t := range rows {
			out[t.ID] = t
		}
		ids = slices.DeleteFunc(ids, func(id hook.ID) bool { _, found := out[id]; return found })
		if len(ids) == 0 {
			break
		}
	}
	return out, nil
}

const targetSQL = `SELECT w.id, w.code, w.name, w.enabled, w.paused, w.suspended, w.state_since, w.config,
	w.created_at, w.deleted_at, coalesce(h.breaker, 0) FROM webhooks w LEFT JOIN target_health h ON h.target_id = w.id WHERE `

func scanTarget(rows *sql.Rows, t *historyTarget) error {
	var config string
	var since, created int64
	var deleted *int64
	var breaker int16
	err := rows.Scan((*rowID)(&t.ID), &t.Code, &t.Name, &t.Enabled, &t.Paused, &t.Suspended, &since, &config, &created, &deleted, &breaker)
	if err != nil {
		return err
	}
	t.StateSince, t.CreatedAt, t.DeletedAt = fromMicros(since), fromMicros(created), fromMicrosPtr(deleted)
	t.kind, t.breakerOpen = hook.TargetWebhook, breaker != breakerClosed
	var c webhookConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("webhook %s: configuration: %w", t.ID, err)
	}
	t.EventTypes, t.Filter, t.MaxAttempts, t.MaxInFlight = c.EventTypes, c.Filter, c.MaxAttempts, c.MaxInFlight
	if c.RateRequests > 0 {
		t.RateLimit = &hook.RateLimit{Requests: c.RateRequests, Per: c.RatePer}
	}
	return nil
}

const actionTargetSQL = `SELECT w.id, w.code, w.name, w.enabled, w.config, w.deleted_at, coalesce(h.breaker, 0)
	FROM actions w LEFT JOIN target_health h ON h.target_id = w.id WHERE `

func scanActionTarget(rows *sql.Rows, t *historyTarget) error {
	var config string
	var deleted *int64
	var breaker int16
	if err := rows.Scan((*rowID)(&t.ID), &t.Code, &t.Name, &t.Enabled, &config, &deleted, &breaker); err != nil {
		return err
	}
	t.kind, t.DeletedAt, t.breakerOpen = hook.TargetAction, fromMicrosPtr(deleted), breaker != breakerClosed
	var c actionConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("action %s: configuration: %w", t.ID, err)
	}
	t.MaxAttempts = c.MaxAttempts
	return nil
}

const incomingTargetSQL = "SELECT w.id, w.code, w.name, w.deleted_at FROM incoming_webhooks w WHERE "

func scanIncomingTarget(rows *sql.Rows, t *historyTarget) error {
	var deleted *int64
	if err := rows.Scan((*rowID)(&t.ID), &t.Code, &t.Name, &deleted); err != nil {
		return err
	}
	// Its post-processors run whether or not it is enabled.
	t.kind, t.Enabled, t.DeletedAt, t.MaxAttempts = hook.TargetIncoming, true, fromMicrosPtr(deleted), hook.PostAttempts
	return nil
}

// alertTargetSQL is as incomingTargetSQL: alert mail goes out while there is a workspace.
const alertTargetSQL = "SELECT w.id, w.code, w.name, w.deleted_at FROM alert_mails w WHERE "

// heldFor is the reason shown for what waits for an inactive target.
var heldFor = map[hook.TargetState]hook.Reason{
	hook.TargetPaused:    hook.ReasonPaused,
	hook.TargetSuspended: hook.ReasonSuspended,
	hook.TargetDisabled:  hook.ReasonDisabled,
}
