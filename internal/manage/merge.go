package manage

import (
	"bytes"
	"encoding/json"
	"slices"

	"sallyport/internal/hook"
)

// patched applies a JSON Merge Patch (RFC 7396) to a document. Fields in keepNull stay
// null instead of going away, because for them null is a fault to be told, not a wish.
func patched(base any, patch []byte, keepNull ...string) ([]byte, error) {
	if _, err := readDocument(patch); err != nil {
		return nil, err // not an object
	}
	b, err := encode(base)
	if err != nil {
		return nil, err
	}
	merged, err := mergeObject(b, patch, "", keepNull)
	if err != nil {
		return nil, hook.Errorf(hook.KindMalformedJSON, "the body is not JSON")
	}
	return merged, nil
}

func mergeObject(base, patch json.RawMessage, path string, keepNull []string) (json.RawMessage, error) {
	var p map[string]json.RawMessage
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, err
	}
	b := map[string]json.RawMessage{}
	if len(base) > 0 && base[0] == '{' {
		if err := json.Unmarshal(base, &b); err != nil {
			return nil, err
		}
	}
	for name, value := range p {
		at := name
		if path != "" {
			at = path + "." + name
		}
		switch {
		case isNull(value) && !slices.Contains(keepNull, at):
			delete(b, name)
		case value[0] == '{':
			merged, err := mergeObject(b[name], value, at, keepNull)
			if err != nil {
				return nil, err
			}
			b[name] = merged
		default:
			b[name] = value
		}
	}
	return encode(b)
}

// encode is json.Marshal that leaves the spelling of strings alone.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
