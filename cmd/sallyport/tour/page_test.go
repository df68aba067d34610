// Package tour holds README.md against the product: it runs every block of commands on that page
// as a newcomer would, on the real binary and both engines, and compares what they show.
package tour

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the project's directory.
var root = filepath.Join("..", "..", "..")

// block is a fenced block of the page. The comment above it, which a reader does not see, says
// what the test does with it:
//
//	tour: terminal N            type this into terminal N
//	tour: terminal N, again     the same, until it shows what the next block says
//	tour: shows                 what the block before shows, "…" standing for anything
//	tour: shows in terminal N   what is to be seen there now
//	hash: FILE                  a program of api/docs/guides
//	try: POST PATH              what is created by this call of the API
//	preset: NAME.json           a file of SALLYPORT_PRESETS_DIR
//	commands                    a file for SALLYPORT_COMMANDS
//	first aid                   a query on the database
//	backup: ENGINE              makes a backup beside the server
//	restore: ENGINE             restores it and serves; move: on the other engine
//	release                     lets go what is on hold
type block struct {
	mark     string
	language string
	text     string
	line     int
}

var mark = regexp.MustCompile(`^<!-- (.*) -->$`)

// page reads the blocks of README.md. One that nothing is done with is a promise that nobody
// holds, so there must be none but the picture.
func page(t *testing.T) []block {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	lines := strings.Split(string(content), "\n")
	for i := 0; i < len(lines); i++ {
		language, opens := strings.CutPrefix(lines[i], "```")
		if !opens {
			continue
		}
		b := block{language: language, line: i + 1}
		if m := mark.FindStringSubmatch(lines[max(i-1, 0)]); m != nil {
			b.mark = m[1]
		}
		for i++; i < len(lines) && lines[i] != "```"; i++ {
			b.text += lines[i] + "\n"
		}
		if b.mark == "" && language != "mermaid" {
			t.Errorf("README.md:%d: nothing says how this block is tried", b.line)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence    = regexp.MustCompile("(?ms)^```.*?^```$")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	noAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinks follows the links of the page to its own headings and to files of the project.
func TestLinks(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := fence.ReplaceAllString(string(content), "")
	anchors, inside := map[string]bool{}, 0
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		anchor := strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		if anchors[anchor] {
			t.Errorf("two headings are %q: a link leads to the first", m[1])
		}
		anchors[anchor] = true
	}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		target := m[1]
		anchor, own := strings.CutPrefix(target, "#")
		switch {
		case own && !anchors[anchor]:
			t.Errorf("no heading is %s", target)
		case own:
			inside++
		case !strings.Contains(target, "://"):
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Error(err)
			}
		}
	}
	if inside < 30 {
		t.Errorf("%d links lead to headings: is there still a list of what is where?", inside)
	}
}

// pattern makes what a page shows into an expression: "…" is any text within a line, and on a
// line of its own any lines.
func pattern(shown string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("(?m)")
	for i, line := range strings.Split(strings.TrimSuffix(shown, "\n"), "\n") {
		if line == "…" {
			b.WriteString(`(?:.*\n)*?`)
			continue
		}
		if i == 0 {
			b.WriteString("^")
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\n`)
	}
	return regexp.MustCompile(b.String())
}

func TestPattern(t *testing.T) {
	t.Parallel()
	p := pattern("a … c\n…\n(end)\n")
	for text, want := range map[string]bool{
		"a b c\n(end)\n": true, "before\na b b c\nx\ny\n(end)\n": true, "a b c\nend\n": false, "xa b c\n(end)\n": false, "a b c\n(end) more\n": false,
	} {
		if p.MatchString(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
