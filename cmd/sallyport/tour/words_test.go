package tour

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/api/spec"
)

// TestWords holds the tables of types on the page against the contract: each type has its row
// under its heading, and no other.
func TestWords(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	schemas := spec.Document().Components.Schemas
	for heading, enum := range map[string][]any{
		"Checks":  schemas["PreProcessor"].Value.Properties["type"].Value.Enum,
		"Parsers": schemas["Parser"].Value.Properties["type"].Value.Enum,
		"Actions": schemas["ActionType"].Value.Enum,
	} {
		_, section, found := strings.Cut(string(content), "\n### "+heading+"\n")
		if !found {
			t.Fatalf("the page has no %s", heading)
		}
		section, _, _ = strings.Cut(section, "\n##")
		var want []string
		for _, word := range enum {
			if text, ok := word.(string); ok {
				want = append(want, text)
			}
		}
		got := firstColumn(section)
		slices.Sort(got)
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: the page has %v, the contract %v", heading, got, want)
		}
	}
}

var word = regexp.MustCompile("`([A-Za-z]+)`")

// firstColumn lists the words in the first column of a section's tables.
func firstColumn(section string) []string {
	var words []string
	for line := range strings.Lines(section) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(line, "| ") {
			for _, m := range word.FindAllStringSubmatch(cell, -1) {
				words = append(words, m[1])
			}
		}
	}
	return words
}
