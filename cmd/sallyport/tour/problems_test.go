package tour

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/api"
)

// TestProblems holds the list of codes on the page against the edge's table. To bring it up to
// date: UPDATE_README=1 go test ./cmd/sallyport/tour -run Problems
func TestProblems(t *testing.T) {
	t.Parallel()
	const begin, finish = "<!-- problems:begin -->\n", "<!-- problems:end -->"
	path := filepath.Join(root, "README.md")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), begin)
	table, after, ended := strings.Cut(rest, finish)
	if !begun || !ended {
		t.Fatalf("README.md lacks the lines %s and %s", begin, finish)
	}
	if table == api.ProblemsMarkdown() {
		return
	}
	if os.Getenv("UPDATE_README") == "" {
		t.Fatal("the problem codes in README.md are not those of the code; run: UPDATE_README=1 go test ./cmd/sallyport/tour -run Problems")
	}
	if err := os.WriteFile(path, []byte(before+begin+api.ProblemsMarkdown()+finish+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
