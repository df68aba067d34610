package alert

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/hook"
)

// Mail is one operational event to be told to people.
type Mail struct {
	Event     *hook.Event
	Workspace string // its code; "" if it is not known
	BaseURL   string // where the API is, without a slash at its end
	At        time.Time
	GivenUp   int // deliveries of the target that were given up within the last hour; Delivery.Exhausted only
}

// Target returns the target of an exhausted delivery, NoID for any other event.
func Target(e *hook.Event) hook.ID {
	var x hook.ExhaustedEntity
	if e.Type != hook.TypeDeliveryExhausted || json.Unmarshal(e.Entity, &x) != nil {
		return hook.NoID
	}
	return x.Target.ID
}

// Compose writes the mail as plain text. An event that it does not know is shown as it is.
func (m Mail) Compose() (subject, text string) {
	w := &writer{m: m}
	var what string
	switch m.Event.Type {
	case hook.TypeWebhookSuspended:
		what = told(w, w.suspended)
	case hook.TypeWebhookResumed:
		what = told(w, w.resumed)
	case hook.TypeWebhookRecovered:
		what = told(w, w.recovered)
	case hook.TypeDeliveryExhausted:
		what = told(w, w.exhausted)
	case hook.TypeIncomingRefusing:
		what = told(w, w.refusing)
	}
	if what == "" {
		what = m.Event.Type
		w.line("%s", m.Event.Entity)
	}
	w.line("")
	w.line("Event %s of %s (%s), told once to everybody whom the workspace or the", m.Event.ID, at(m.Event.Timestamp), m.Event.Type)
	w.line("installation names for alert mail.")
	return "[Sallyport] " + w.place() + what, w.b.String()
}

// told reads the event's entity and has it written; "" if it cannot be read.
func told[T any](w *writer, write func(T) string) string {
	var x T
	if json.Unmarshal(w.m.Event.Entity, &x) != nil {
		return ""
	}
	return write(x)
}

type writer struct {
	m Mail
	b strings.Builder
}

// line writes a line. What others wrote cannot begin another.
func (w *writer) line(format string, args ...any) {
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	w.b.WriteString(line + "\n")
}

// place names a workspace other than the one that there always is.
func (w *writer) place() string {
	if w.m.Workspace == "" || w.m.Workspace == hook.DefaultWorkspace {
		return ""
	}
	return w.m.Workspace + ": "
}

func (w *writer) fact(name, value string) {
	if value != "" {
		w.line("  %-14s %s", name, value)
	}
}

// try is what came of the last attempt.
func (w *writer) try(t hook.LastTry) {
	said := t.Error
	if said == "" && t.Status > 0 {
		said = fmt.Sprintf("status %d", t.Status)
	}
	if said != "" && t.Class != hook.ClassNone {
		said += " (" + string(t.Class) + ")"
	}
	w.fact("Last attempt", said)
}

// commands writes what can be pasted into a shell, after what it is for.
func (w *writer) commands(title string, calls ...string) {
	w.line("")
	w.line("%s", title)
	for _, c := range calls {
		w.line("  %s", c)
	}
}

// call is a command that calls the API.
func (w *writer) call(options, path string, args ...any) string {
	header := `-H "Authorization: Bearer $SALLYPORT_KEY"`
	if w.place() != "" {
		header += ` -H "Sallyport-Workspace: ` + w.m.Workspace + `"`
	}
	if options != "" {
		header += " " + options
	}
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = url.PathEscape(s)
		}
	}
	return "curl -sS --fail-with-body " + header + ` "` + w.m.BaseURL + fmt.Sprintf(path, args...) + `"`
}

func (w *writer) suspended(x hook.SuspendedEntity) string {
	why := "its receiver answered 410 Gone"
	if x.Reason == hook.SuspendedFailing {
		why = fmt.Sprintf("its receiver has only failed since %s", at(deref(x.FailingSince, x.Since)))
	}
	w.line("Nothing more is sent to the webhook %s (%s): %s.", x.Webhook.Name, x.Webhook.Code, why)
	w.line("New events make no deliveries for it; what was waiting is held.")
	w.line("")
	w.fact("Suspended", at(x.Since))
	if x.FailingSince != nil {
		w.fact("Failing since", at(*x.FailingSince))
	}
	w.fact("Failures", fmt.Sprintf("%d in a row", x.Failures))
	w.try(x.LastTry)
	w.commands("Look at it:",
		w.call("", "/v1/webhooks/%s", x.Webhook.Code),
		w.call("", "/v1/webhooks/%s/health", x.Webhook.Code),
		w.call("", "/v1/webhooks/%s/deliveries?limit=5", x.Webhook.Code))
	w.commands("Once its receiver works, try it:", w.call("-X POST", "/v1/webhooks/%s/test", x.Webhook.Code))
	w.commands("Then let go what is held, and have delivered what it missed:",
		w.call(`--json '{"replay":"missed"}'`, "/v1/webhooks/%s/resume", x.Webhook.Code))
	return fmt.Sprintf("webhook %s is suspended (%s)", x.Webhook.Code, x.Reason)
}

func (w *writer) resumed(x hook.ResumedEntity) string {
	w.line("The webhook %s (%s) is sent to again: somebody ended its suspension.", x.Webhook.Name, x.Webhook.Code)
	w.line("")
	w.fact("Was suspended", fmt.Sprintf("since %s (%s)", at(x.SuspendedSince), x.Reason))
	w.commands("Look at it:", w.call("", "/v1/webhooks/%s/health", x.Webhook.Code))
	return fmt.Sprintf("webhook %s is resumed", x.Webhook.Code)
}

func (w *writer) recovered(x hook.RecoveredEntity) string {
	w.line("The webhook %s (%s) works again: a delivery succeeded. There is nothing to do.", x.Webhook.Name, x.Webhook.Code)
	w.line("")
	if x.FailingSince != nil {
		w.fact("Was failing", "since "+at(*x.FailingSince))
	}
	w.fact("Failures", fmt.Sprintf("%d in a row", x.Failures))
	w.commands("Look at it:", w.call("", "/v1/webhooks/%s/health", x.Webhook.Code))
	return fmt.Sprintf("webhook %s has recovered", x.Webhook.Code)
}

// kinds of targets in words and in the API's paths and parameters.
var kinds = map[hook.TargetKind]struct{ word, path, parameter string }{
	hook.TargetWebhook:  {"webhook", "webhooks", "webhook"},
	hook.TargetAction:   {"action", "actions", "action"},
	hook.TargetIncoming: {"post-processors of incoming webhook", "incoming-webhooks", "incomingWebhook"},
}

func (w *writer) exhausted(x hook.ExhaustedEntity) string {
	k := kinds[x.Target.Kind]
	why := "its attempts are used up"
	switch x.Reason {
	case hook.ReasonPermanentError:
		why = "trying again cannot mend what went wrong"
	case hook.ReasonWorkerCrashed:
		why = "it ended the process that worked on it, again and again"
	default:
	}
	w.line("A delivery to the %s %s (%s) was given up: %s.", k.word, x.Target.Name, x.Target.Code, why)
	switch {
	case w.m.GivenUp >= 10_000:
		w.line("More than 10,000 deliveries to it were given up within the last hour.")
	case w.m.GivenUp > 1:
		w.line("%d deliveries to it were given up within the last hour.", w.m.GivenUp)
	}
	w.line("The next mail about this target comes after an hour at the earliest.")
	w.line("")
	w.fact("Event", x.Event+" ("+x.EventType+")")
	w.fact("Accepted", at(x.CreatedAt))
	w.fact("Attempts", fmt.Sprint(x.Attempts))
	w.try(x.LastTry)
	calls := []string{w.call("", "/v1/deliveries/%s", x.Delivery.String())}
	switch x.Target.Kind {
	case hook.TargetWebhook, hook.TargetAction:
		calls = append(calls, w.call("", "/v1/deliveries?"+k.parameter+"=%s&state=failed&limit=100", x.Target.Code))
	case hook.TargetIncoming, hook.TargetAlert: // the list has no parameter for them
	}
	if x.Target.Kind == hook.TargetWebhook {
		calls = append(calls, w.call("", "/v1/webhooks/%s/health", x.Target.Code))
	}
	w.commands("Look at it, and at others that failed:", calls...)
	w.commands("Try it again, with a fresh budget of attempts:", w.call("-X POST", "/v1/deliveries/%s/retry", x.Delivery.String()))
	return fmt.Sprintf("deliveries to %s %s are given up", k.word, x.Target.Code)
}

func (w *writer) refusing(x hook.RefusingEntity) string {
	w.line("The incoming webhook %s (%s) refuses many calls: %d since %s.", x.Door.Name, x.Door.Code, x.Refused, at(x.Since))
	w.line("A sender may have the wrong secret or address, or somebody tries the door.")
	w.line("The next mail about this door comes after an hour at the earliest.")
	w.line("")
	reasons := slices.SortedFunc(maps.Keys(x.Reasons), func(a, b string) int {
		if n := x.Reasons[b] - x.Reasons[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for _, r := range reasons {
		w.fact(fmt.Sprintf("%d times", x.Reasons[r]), r)
	}
	w.fact("Last caller", x.LastAddress)
	w.commands("Look at what was refused, and why:",
		w.call("", "/v1/incoming-webhooks/%s/requests?verdict=refused&limit=5", x.Door.Code),
		w.call("", "/v1/incoming-webhooks/%s", x.Door.Code))
	w.line("A refused call that should have passed can be run once its door is mended:")
	w.line("POST /v1/requests/{id}/verify says whether it would pass now, /replay runs it.")
	return fmt.Sprintf("incoming webhook %s refuses many calls", x.Door.Code)
}

// at is a time as people read it.
func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func deref(t *time.Time, otherwise time.Time) time.Time {
	if t != nil {
		return *t
	}
	return otherwise
}
