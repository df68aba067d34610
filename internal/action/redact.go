package action

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// spellings lists the texts under which secrets could appear in a record, longest first.
func spellings(secrets []hook.NamedSecret) []string {
	var list []string
	for _, s := range secrets {
		value := string(s.Value)
		if len(value) < hook.MinHidden {
			continue
		}
		quoted := string(jsonText(value))
		quoted = quoted[1 : len(quoted)-1]
		list = append(list, value, quoted, strings.ReplaceAll(quoted, "/", `\/`), url.QueryEscape(value), url.PathEscape(value),
			base64.StdEncoding.EncodeToString([]byte(value)))
	}
	slices.SortFunc(list, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(list)
}

// redact takes secrets out of text that will be recorded.
func (c *compiled) redact(text string) string { return hook.Redact(text, c.hidden) }
