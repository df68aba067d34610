package dispatch

import (
	"context"
	"encoding/json"
	"time"

	"sallyport/internal/hook"
)

// noticeTime bounds what is done after an outcome beside the deliveries.
const noticeTime = 30 * time.Second

// suspend stops sending to a webhook and tells of it, once of all nodes.
func (d *Dispatcher) suspend(workspace, target hook.ID, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	first, err := d.owner.Suspend(ctx, workspace, target, reason)
	if err != nil {
		d.log.WarnContext(ctx, "webhook.suspend", "target_id", target, "error", err)
		return
	}
	if !first {
		return
	}
	d.log.InfoContext(ctx, "webhook.suspended", "target_id", target, "reason", reason)
	d.announce(ctx, workspace, hook.TypeWebhookSuspended, target, map[string]any{"webhookId": target, "reason": reason})
}

// announceExhausted tells that a delivery failed for good.
func (d *Dispatcher) announceExhausted(f *hook.Finish) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	del := &f.Job.Delivery
	d.announce(ctx, del.Workspace, hook.TypeDeliveryExhausted, del.ID, map[string]any{
		"deliveryId": del.ID, string(del.TargetKind) + "Id": del.Target, "eventId": f.Job.Event.ID, "eventType": f.Job.Event.Type,
		"attempts": f.Attempts, "reason": f.Reason,
	})
}

// announceRecovered tells that a webhook answers again after its breaker had opened.
func (d *Dispatcher) announceRecovered(t *hook.Target) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	d.announce(ctx, t.Workspace, hook.TypeWebhookRecovered, t.ID, map[string]any{"webhookId": t.ID})
}

// announce publishes an operational event if any webhook of the workspace names its
// type; nobody else is told, so nothing is stored.
func (d *Dispatcher) announce(ctx context.Context, workspace hook.ID, eventType string, entity hook.ID, data map[string]any) {
	v, err := d.catalog.View(ctx, workspace)
	if err != nil || len(v.Match(eventType)) == 0 {
		return
	}
	body, err := json.Marshal(data)
	if err != nil {
		d.log.ErrorContext(ctx, "announce", "error", err)
		return
	}
	d.owner.Announce(ctx, workspace, hook.NewEvent{Type: eventType, EntityID: hook.EntityID{Text: entity.String()}, Entity: body})
}
