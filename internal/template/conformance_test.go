package template

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"
)

// conformanceCase is a line of testdata/conformance.jsonl: what Twig 3.5.1 on PHP 8.2 makes of a template.
type conformanceCase struct {
	ID       string          `json:"id"`
	Template string          `json:"template"`
	Context  json.RawMessage `json:"context"`
	Now      string          `json:"now"`
	Timezone string          `json:"timezone"`
	Output   *string         `json:"output"`
	Error    string          `json:"error"`
	Message  string          `json:"error_message"`
}

func loadConformance(t testing.TB) []conformanceCase {
	t.Helper()
	f, err := os.Open("testdata/conformance.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []conformanceCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c conformanceCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

// run renders the case and says what is wrong, or nothing.
func (c conformanceCase) run() string {
	now, err := time.Parse("2006-01-02 15:04:05.999999", c.Now)
	if err != nil {
		return err.Error()
	}
	values, err := DecodeJSON(c.Context)
	if err != nil {
		return err.Error()
	}
	out, kind := "", "none"
	tpl, err := Compile(c.Template)
	if err == nil {
		out, err = tpl.Render(values.(*Array), Options{Now: now, Zone: c.Timezone})
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return "an error of another type: " + err.Error()
		}
		kind = string(e.Kind)
	}
	switch {
	case c.Output != nil && err != nil:
		return fmt.Sprintf("want %q, got %s error %v", *c.Output, kind, err)
	case c.Output != nil && out != *c.Output:
		return fmt.Sprintf("want %q, got %q", *c.Output, out)
	case c.Output == nil && err == nil:
		return fmt.Sprintf("want %s error (%s), got %q", c.Error, c.Message, out)
	case c.Output == nil && kind != c.Error:
		return fmt.Sprintf("want %s error (%s), got %s (%v)", c.Error, c.Message, kind, err)
	}
	return ""
}

// conformanceWanted is the share of lines that must agree with Twig.
const conformanceWanted = 0.99

func TestConformanceWithTwig(t *testing.T) {
	t.Parallel()
	type score struct{ passed, all int }
	scores := map[string]*score{}
	total := score{}
	for _, c := range loadConformance(t) {
		group, _, _ := strings.Cut(c.ID, "-")
		if scores[group] == nil {
			scores[group] = &score{}
		}
		scores[group].all++
		total.all++
		if reason := c.run(); reason != "" {
			t.Logf("%s: %s: %s", c.ID, c.Template, reason)
			continue
		}
		scores[group].passed++
		total.passed++
	}
	groups := make([]string, 0, len(scores))
	for g := range scores {
		groups = append(groups, g)
	}
	sort.Strings(groups)
	for _, g := range groups {
		t.Logf("%-8s %3d of %3d", g, scores[g].passed, scores[g].all)
	}
	t.Logf("together %3d of %3d", total.passed, total.all)
	if total.all < 700 || float64(total.passed) < conformanceWanted*float64(total.all) {
		t.Errorf("%d of %d lines agree with Twig, want at least %.0f %%", total.passed, total.all, conformanceWanted*100)
	}
}
