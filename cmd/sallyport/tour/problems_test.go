package tour

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/api"
	"sallyport/internal/preset"
)

// TestProblems holds the list of codes on the page against the edge's table, and TestPresets
// that of the senders against their files. To bring them up to date:
// UPDATE_README=1 go test ./cmd/sallyport/tour -run 'Problems|Presets'
func TestProblems(t *testing.T) { //nolint:paralleltest // it may write the page, as may the next
	generated(t, "problems", api.ProblemsMarkdown())
}

func TestPresets(t *testing.T) { //nolint:paralleltest // as above
	presets := preset.Builtin().All()
	var b strings.Builder
	fmt.Fprintf(&b, "<details><summary>%d come with the binary</summary>\n\n", len(presets))
	for _, p := range presets {
		fmt.Fprintf(&b, "- `%s`: [%s](%s)\n", p.Name, p.Title, p.Documentation)
	}
	b.WriteString("\n</details>\n")
	generated(t, "presets", b.String())
}

// generated holds what stands on the page between two marks against what it is made of.
func generated(t *testing.T, name, want string) {
	t.Helper()
	begin, finish := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->"
	path := filepath.Join(root, "README.md")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), begin)
	got, after, ended := strings.Cut(rest, finish)
	if !begun || !ended {
		t.Fatalf("README.md lacks the lines %s and %s", begin, finish)
	}
	if got == want {
		return
	}
	if os.Getenv("UPDATE_README") == "" {
		t.Fatalf("the %s in README.md are not those of the code; run: UPDATE_README=1 go test ./cmd/sallyport/tour -run 'Problems|Presets'", name)
	}
	if err := os.WriteFile(path, []byte(before+begin+want+finish+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
