package nearest_test

import (
	"strings"
	"testing"

	"sallyport/internal/nearest"
)

func TestName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s     string
		names []string
		want  string
	}{
		"a letter left out":                      {"entiyId", []string{"entity", "entityId", "entityUrl"}, "entityId"},
		"two letters swapped":                    {"tpye", []string{"id", "type"}, "type"},
		"another case":                           {"ENTITYURL", []string{"entityUrl"}, "entityUrl"},
		"of two equally near ones the first":     {"order.pa", []string{"order.paid", "order.part"}, "order.paid"},
		"the nearer one, wherever it stands":     {"order.parts", []string{"order.paid", "order.part"}, "order.part"},
		"more than a third would have to change": {"colour", []string{"timestamp", "entity"}, ""},
		"nothing of a short name would be left":  {"x", []string{"y"}, ""},
		"nothing to choose from":                 {"id", nil, ""},
		"far longer than any name":               {strings.Repeat("x", 1<<20), []string{"id"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := nearest.Name(c.s, c.names); got != c.want {
				t.Errorf("Name(%.20q) = %q, want %q", c.s, got, c.want)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	names := []string{"kitten"}
	// kitten to sitting: s for k, i for e, and g added.
	if got := nearest.Within(3, "sitting", names); got != "kitten" {
		t.Errorf("within 3: %q", got)
	}
	if got := nearest.Within(2, "sitting", names); got != "" {
		t.Errorf("within 2: %q", got)
	}
}
