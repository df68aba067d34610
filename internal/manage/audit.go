package manage

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/hook"
)

// Describe puts a change of configuration into words for the audit log: what was before
// and is after as the API shows it, but without any secret value, hash or URL that is a
// credential, whoever may read those, and without what the server derives from the rest.
// It can be PUT again, which keeps the secrets that are there then.
func Describe(before, after hook.Audited) (hook.AuditDescription, error) {
	subject := after
	if subject == nil {
		subject = before
	}
	switch subject.(type) {
	case *hook.Workspace:
		return described(before, after, shownWorkspace, workspaceChanges)
	case *hook.APIKey:
		return described(before, after, shownKey, keyChanges)
	case *hook.EventType:
		return described(before, after, shownType, eventTypeChanges)
	case *hook.Webhook:
		return described(before, after, shownWebhook, webhookChanges)
	case *hook.IncomingWebhook:
		return described(before, after, shownIncoming, incomingChanges)
	case *hook.Action:
		return described(before, after, shownAction, actionChanges)
	case *hook.Record:
		return described(before, after, shownRecord, func(_, _ *hook.Record) []string { return []string{"document"} })
	}
	return hook.AuditDescription{}, fmt.Errorf("no words for the change of a %T", subject)
}

func described[N any](before, after hook.Audited, show func(*N) map[string]any, changes func(a, b *N) []string) (d hook.AuditDescription, err error) {
	a, b := nounOf[N](before), nounOf[N](after)
	if a != nil && b != nil {
		d.Changed = changes(a, b)
	}
	if a != nil {
		if d.Before, err = encode(show(a)); err != nil {
			return d, err
		}
	}
	if b != nil {
		d.After, err = encode(show(b))
	}
	return d, err
}

// nounOf is nil for what is not there, and for a tombstone.
func nounOf[N any](of hook.Audited) *N {
	if of == nil || of.AuditSubject().Deleted {
		return nil
	}
	n, _ := of.(any).(*N)
	return n
}

func shownWorkspace(w *hook.Workspace) map[string]any {
	doc := workspaceDocument(w)
	doc["code"] = w.Code
	return doc
}

func shownKey(k *hook.APIKey) map[string]any {
	doc := keyDocument(k)
	doc["code"], doc["platform"], doc["prefix"] = k.Code, k.Platform, k.Prefix
	if k.ExpiresAt != nil {
		doc["expiresAt"] = milliseconds(*k.ExpiresAt)
	}
	return doc
}

func shownType(t *hook.EventType) map[string]any {
	doc := eventTypeDocument(t)
	doc["name"] = t.Name
	for name, raw := range map[string][]byte{"schema": t.Schema, "sample": t.Sample} {
		if raw != nil {
			doc[name] = json.RawMessage(raw)
		}
	}
	return doc
}

func shownWebhook(w *hook.Webhook) map[string]any {
	doc := webhookDocument(w)
	doc["code"], doc["paused"], doc["state"] = w.Code, w.Paused, w.State()
	put(doc, "stateReason", w.Suspended)
	if w.URLSecret {
		delete(doc, "url") // masked it could be sent back, and be taken for one
	}
	secrets := []map[string]any{}
	for _, s := range w.Secrets {
		x := map[string]any{"id": s.ID, "hint": s.Hint, "createdAt": milliseconds(s.CreatedAt)}
		if s.ExpiresAt != nil {
			x["expiresAt"] = milliseconds(*s.ExpiresAt)
		}
		secrets = append(secrets, x)
	}
	doc["secrets"] = secrets
	return doc
}

func shownIncoming(w *hook.IncomingWebhook) map[string]any {
	doc := incomingDocument(w)
	doc["code"], doc["hashConfigured"], doc["secrets"] = w.Code, w.Hash != "", shownSecrets(w.Secrets)
	return doc
}

func shownAction(a *hook.Action) map[string]any {
	doc := actionDocument(a)
	doc["code"], doc["secrets"] = a.Code, shownSecrets(a.Secrets)
	return doc
}

// shownRecord tells of a record without its document: that is data, not configuration, and
// who deletes a person's data must not find it in the log for a year.
func shownRecord(r *hook.Record) map[string]any {
	return map[string]any{"collection": r.Collection, "key": r.Key, "documentBytes": len(r.Document)}
}

func shownSecrets(secrets []hook.NamedSecret) []map[string]any {
	out := namesDocument(secrets)
	for i, s := range secrets {
		out[i]["hint"] = s.Hint
	}
	return out
}

// milliseconds is a time as the API writes it.
func milliseconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// What of a list of headers or secrets changed. Where it is values only that nobody sees,
// they are named one by one: nothing else would tell which.

func headerChanges(a, b []hook.Header) []field {
	if slices.Equal(a, b) {
		return nil
	}
	var out []field
	if len(a) == len(b) {
		for i := range a {
			if a[i] == b[i] {
				continue
			}
			if a[i].Name != b[i].Name || !a[i].Secret || !b[i].Secret {
				return []field{same("headers", false)}
			}
			out = append(out, same(fmt.Sprintf("headers[%d].value", i), false))
		}
		return out
	}
	return []field{same("headers", false)}
}

func basicAuthChange(a, b *hook.BasicAuth) field {
	name := "basicAuth"
	if a != nil && b != nil && a.Username == b.Username {
		name += ".password"
	}
	return same(name, samePtr(a, b))
}

func namedChanges(a, b []hook.NamedSecret) []field {
	if sameNamed(a, b) {
		return nil
	}
	if !slices.EqualFunc(a, b, func(x, y hook.NamedSecret) bool { return x.Name == y.Name }) {
		return []field{same("secrets", false)}
	}
	var out []field
	for i := range a {
		out = append(out, same(fmt.Sprintf("secrets[%d].value", i), a[i].Value == b[i].Value))
	}
	return out
}
