package manage

import (
	"encoding/json"
	"slices"

	"sallyport/internal/hook"
)

// actionDocument is what a PUT would have to say to change nothing.
func actionDocument(a *hook.Action) map[string]any {
	doc := map[string]any{
		"name": a.Name, "description": a.Description, "type": string(a.Type), "config": json.RawMessage(a.Config), "enabled": a.Enabled,
		"maxAttempts": a.MaxAttempts, "retry": retryDocument(a.Retry), "timeout": hook.FormatDuration(a.Timeout),
		"secrets": namesDocument(a.Secrets), "metadata": a.Metadata,
	}
	if a.Condition != "" {
		doc["condition"] = a.Condition
	}
	return doc
}

func patchedAction(a *hook.Action, patch []byte) ([]byte, error) {
	o, err := readDocument(patch)
	if err != nil {
		return nil, err
	}
	doc := actionDocument(a)
	doc["retry"] = retryBase(a.Retry, o.raw("retry"))
	return patched(doc, patch, "type", "secrets")
}

// actionChanges names the fields in which two states of an action differ.
func actionChanges(a, b *hook.Action) []string {
	return changes(slices.Concat([]field{
		same("name", a.Name == b.Name),
		same("description", a.Description == b.Description),
		same("config", sameJSON(a.Config, b.Config)),
		same("condition", a.Condition == b.Condition),
		same("enabled", a.Enabled == b.Enabled),
		same("maxAttempts", a.MaxAttempts == b.MaxAttempts),
		same("retry", sameRetry(a.Retry, b.Retry)),
		same("timeout", a.Timeout == b.Timeout),
	}, namedChanges(a.Secrets, b.Secrets), []field{
		same("metadata", sameMetadata(a.Metadata, b.Metadata)),
	})...)
}
