package store

import (
	"strings"

	"sallyport/internal/hook"
)

// targetTables are the tables of what a delivery can be for, by its kind. They have the
// columns id, workspace_id, code, name, config, enabled, created_at and deleted_at in common.
var targetTables = []struct {
	kind    hook.TargetKind
	table   string
	deleted hook.Reason // of deliveries whose target was deleted
	sent    string      // condition on a row w that it is sent to
}{
	{hook.TargetWebhook, "webhooks", hook.ReasonWebhookDeleted, "w.enabled AND NOT w.paused AND w.suspended = '' AND w.deleted_at IS NULL"},
	{hook.TargetAction, "actions", hook.ReasonActionDeleted, "w.enabled AND w.deleted_at IS NULL"},
	// What a door accepted is finished also when the door was disabled meanwhile.
	{hook.TargetIncoming, "incoming_webhooks", hook.ReasonWebhookDeleted, "w.deleted_at IS NULL"},
	{hook.TargetAlert, "alert_mails", hook.ReasonWebhookDeleted, "w.deleted_at IS NULL"}, // a view of workspaces
}

// eachTarget joins a statement for every table of targets, in which %t stands for the
// table and %s for the condition that a row w is sent to.
func eachTarget(between, statement string) string {
	parts := make([]string, len(targetTables))
	for i, t := range targetTables {
		parts[i] = strings.NewReplacer("%t", t.table, "%s", t.sent).Replace(statement)
	}
	return strings.Join(parts, between)
}

// ofTargets is the union of a query over the tables of targets of a kind, or of all.
func ofTargets(kind hook.TargetKind, query string) string {
	for _, t := range targetTables {
		if t.kind == kind {
			return strings.ReplaceAll(query, "%t", t.table)
		}
	}
	return eachTarget(" UNION ALL ", query)
}
