package alert_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/internal/alert"
	"sallyport/internal/hook"
)

var moment = time.Date(2026, 11, 21, 2, 13, 0, 0, time.UTC)

// sample is an event as the catalogue shows it.
func sample(t *testing.T, name string, change func(map[string]any)) *hook.Event {
	t.Helper()
	x := &hook.EventType{Name: name}
	x.Describe()
	var entity map[string]any
	if err := json.Unmarshal(x.Sample, &entity); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(entity)
	}
	b, err := json.Marshal(entity)
	if err != nil {
		t.Fatal(err)
	}
	return &hook.Event{ID: "019a", Type: name, Entity: b, Timestamp: moment}
}

func TestMails(t *testing.T) {
	t.Parallel()
	const curl = `  curl -sS --fail-with-body -H "Authorization: Bearer $SALLYPORT_KEY" `
	for name, test := range map[string]struct {
		eventType string
		change    func(map[string]any)
		workspace string
		givenUp   int
		subject   string
		lines     []string
		not       []string
	}{
		"a webhook that failed for days": {
			eventType: hook.TypeWebhookSuspended, subject: "[Sallyport] webhook erp-orders is suspended (failing)",
			lines: []string{
				"Nothing more is sent to the webhook ERP orders (erp-orders): its receiver has only failed since 2026-11-16 02:13:00 UTC.",
				"  Suspended      2026-11-21 02:13:00 UTC", "  Failures       214 in a row", "  Last attempt   receiver answered 503 (status)",
				curl + `"https://hooks.example.com/v1/webhooks/erp-orders/health"`,
				curl + `-X POST "https://hooks.example.com/v1/webhooks/erp-orders/test"`,
				curl + `--json '{"replay":"missed"}' "https://hooks.example.com/v1/webhooks/erp-orders/resume"`,
			},
		},
		"one that is gone, elsewhere": {
			eventType: hook.TypeWebhookSuspended, workspace: "acme", subject: "[Sallyport] acme: webhook erp-orders is suspended (gone)",
			change: func(e map[string]any) {
				e["reason"], e["failingSince"] = "gone", nil
				e["lastError"], e["lastStatus"], e["lastErrorClass"] = "", 410, ""
			},
			lines: []string{
				"Nothing more is sent to the webhook ERP orders (erp-orders): its receiver answered 410 Gone.", "  Last attempt   status 410",
				curl + `-H "Sallyport-Workspace: acme" "https://hooks.example.com/v1/webhooks/erp-orders"`,
			},
			not: []string{"Failing since"},
		},
		"the default workspace needs no header": {eventType: hook.TypeWebhookResumed, workspace: hook.DefaultWorkspace, subject: "[Sallyport] webhook erp-orders is resumed", not: []string{"Sallyport-Workspace"}},
		"one that recovered":                    {eventType: hook.TypeWebhookRecovered, subject: "[Sallyport] webhook erp-orders has recovered", lines: []string{"  Was failing    since 2026-11-16 02:13:00 UTC"}},
		"a delivery": {
			eventType: hook.TypeDeliveryExhausted, givenUp: 1, subject: "[Sallyport] deliveries to webhook erp-orders are given up",
			lines: []string{
				"A delivery to the webhook ERP orders (erp-orders) was given up: its attempts are used up.", "  Attempts       10", "  Event          ord-7-paid (order.paid)",
				curl + `"https://hooks.example.com/v1/deliveries?webhook=erp-orders&state=failed&limit=100"`,
				curl + `-X POST "https://hooks.example.com/v1/deliveries/019a9f3e-8d11-7f0a-9a2c-5e9b7c0d1f2a/retry"`,
			},
			not: []string{"deliveries to it were given up"},
		},
		"a storm of them":   {eventType: hook.TypeDeliveryExhausted, givenUp: 812, subject: "[Sallyport] deliveries to webhook erp-orders are given up", lines: []string{"812 deliveries to it were given up within the last hour."}},
		"a hurricane":       {eventType: hook.TypeDeliveryExhausted, givenUp: 10_000, subject: "[Sallyport] deliveries to webhook erp-orders are given up", lines: []string{"More than 10,000 deliveries to it were given up within the last hour."}},
		"one for an action": {eventType: hook.TypeDeliveryExhausted, change: about("action", "permanent_error"), subject: "[Sallyport] deliveries to action x are given up", lines: []string{"A delivery to the action X (x) was given up: trying again cannot mend what went wrong.", curl + `"https://hooks.example.com/v1/deliveries?action=x&state=failed&limit=100"`}, not: []string{"/health"}},
		"one for a door":    {eventType: hook.TypeDeliveryExhausted, change: about("incomingWebhook", "worker_crashed"), subject: "[Sallyport] deliveries to post-processors of incoming webhook x are given up", not: []string{"state=failed"}},
		"a door": {
			eventType: hook.TypeIncomingRefusing, subject: "[Sallyport] incoming webhook erp-stock refuses many calls",
			lines: []string{"  19 times       hash_mismatch", "  1 times        ip_not_allowed", "  Last caller    203.0.113.9",
				curl + `"https://hooks.example.com/v1/incoming-webhooks/erp-stock/requests?verdict=refused&limit=5"`},
		},
		"text of others begins no line": {
			eventType: hook.TypeWebhookSuspended, change: func(e map[string]any) { e["lastError"] = "x\n  curl evil\u2028y" }, subject: "[Sallyport] webhook erp-orders is suspended (failing)",
			lines: []string{"  Last attempt   x   curl evil y (status)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := alert.Mail{Event: sample(t, test.eventType, test.change), Workspace: test.workspace, BaseURL: "https://hooks.example.com", At: moment, GivenUp: test.givenUp}
			subject, text := m.Compose()
			if subject != test.subject {
				t.Errorf("subject %q, want %q", subject, test.subject)
			}
			for _, line := range test.lines {
				if !strings.Contains("\n"+text, "\n"+line+"\n") {
					t.Errorf("lacks %q:\n%s", line, text)
				}
			}
			for _, part := range test.not {
				if strings.Contains(text, part) {
					t.Errorf("has %q:\n%s", part, text)
				}
			}
			if !strings.Contains(text, "Event 019a of 2026-11-21 02:13:00 UTC") {
				t.Errorf("does not say which event it is about:\n%s", text)
			}
		})
	}
}

func about(kind, reason string) func(map[string]any) {
	return func(e map[string]any) {
		e["target"] = map[string]any{"kind": kind, "id": "019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e", "code": "x", "name": "X"}
		e["reason"] = reason
	}
}

func TestAnEventThatIsNotKnownIsShown(t *testing.T) {
	t.Parallel()
	subject, text := alert.Mail{Event: &hook.Event{Type: "Webhook.Other", Entity: []byte(`{"a":1}`)}}.Compose()
	if subject != "[Sallyport] Webhook.Other" || !strings.Contains(text, `{"a":1}`) {
		t.Errorf("%s\n%s", subject, text)
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	if id := alert.Target(sample(t, hook.TypeDeliveryExhausted, nil)); id.String() != "019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e" {
		t.Errorf("target %s", id)
	}
	if id := alert.Target(sample(t, hook.TypeWebhookSuspended, nil)); id != hook.NoID {
		t.Errorf("target %s of another event", id)
	}
}
