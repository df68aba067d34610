package manage

import (
	"slices"

	"sallyport/internal/hook"
)

// webhookDocument is what a PUT would have to say to change nothing. Secret values are
// left out, which keeps them.
func webhookDocument(w *hook.Webhook) map[string]any {
	doc := map[string]any{
		"name": w.Name, "description": w.Description, "url": w.URL, "urlSecret": w.URLSecret, "method": w.Method,
		"contentType": w.ContentType, "profile": w.Profile, "eventTypes": w.EventTypes, "includeEntity": w.IncludeEntity,
		"enabled": w.Enabled, "maxAttempts": w.MaxAttempts, "retry": retryDocument(w.Retry),
		"timeout": hook.FormatDuration(w.Timeout), "successCodes": w.SuccessCodes, "ordering": w.Ordering, "metadata": w.Metadata,
	}
	if w.Filter != "" {
		doc["filter"] = w.Filter
	}
	if g := w.Signature; g != nil {
		doc["signature"] = map[string]any{"algorithm": g.Algorithm, "header": g.Header, "encoding": g.Encoding, "prefix": g.Prefix, "content": g.Content}
	}
	if w.BasicAuth != nil {
		doc["basicAuth"] = map[string]any{"username": w.BasicAuth.Username}
	}
	headers := []map[string]any{}
	for _, h := range w.Headers {
		x := map[string]any{"name": h.Name, "secret": h.Secret}
		if !h.Secret {
			x["value"] = string(h.Value)
		}
		headers = append(headers, x)
	}
	doc["headers"] = headers
	if w.MaxInFlight > 0 {
		doc["maxInFlight"] = w.MaxInFlight
	}
	if w.RateLimit != nil {
		doc["rateLimit"] = map[string]any{"requests": w.RateLimit.Requests, "per": hook.FormatDuration(w.RateLimit.Per)}
	}
	return doc
}

func patchedWebhook(w *hook.Webhook, patch []byte) ([]byte, error) {
	o, err := readDocument(patch)
	if err != nil {
		return nil, err
	}
	doc := webhookDocument(w)
	doc["retry"] = retryBase(w.Retry, o.raw("retry"))
	return patched(doc, patch, "url", "secret", "basicAuth.password", "eventTypes")
}

// webhookChanges names the fields in which two states of a webhook differ.
func webhookChanges(a, b *hook.Webhook) []string {
	return changes(slices.Concat([]field{
		same("name", a.Name == b.Name),
		same("description", a.Description == b.Description),
		same("url", a.URL == b.URL),
		same("urlSecret", a.URLSecret == b.URLSecret),
		same("method", a.Method == b.Method),
		same("contentType", a.ContentType == b.ContentType),
		same("profile", a.Profile == b.Profile),
		same("signature", samePtr(a.Signature, b.Signature)),
		same("eventTypes", slices.Equal(a.EventTypes, b.EventTypes)),
		same("filter", a.Filter == b.Filter),
		same("includeEntity", a.IncludeEntity == b.IncludeEntity),
		same("enabled", a.Enabled == b.Enabled),
		same("secret", sameSecrets(a.Secrets, b.Secrets)),
		basicAuthChange(a.BasicAuth, b.BasicAuth),
	}, headerChanges(a.Headers, b.Headers), []field{
		same("maxAttempts", a.MaxAttempts == b.MaxAttempts),
		same("retry", sameRetry(a.Retry, b.Retry)),
		same("timeout", a.Timeout == b.Timeout),
		same("successCodes", slices.Equal(a.SuccessCodes, b.SuccessCodes)),
		same("maxInFlight", a.MaxInFlight == b.MaxInFlight),
		same("rateLimit", samePtr(a.RateLimit, b.RateLimit)),
		same("ordering", a.Ordering == b.Ordering),
		same("metadata", sameMetadata(a.Metadata, b.Metadata)),
		same("state", a.Suspended == b.Suspended && a.Paused == b.Paused),
	})...)
}

func sameSecrets(a, b []hook.Secret) bool {
	return slices.EqualFunc(a, b, func(x, y hook.Secret) bool {
		return x.ID == y.ID && x.Value == y.Value && samePtr(x.ExpiresAt, y.ExpiresAt)
	})
}
