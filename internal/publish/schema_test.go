package publish

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"sallyport/internal/hook"
)

func TestMismatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		schema, document string
		want             []string // field: beginning of the detail
	}{
		"what matches":         {`{"type":"string"}`, `"a"`, nil},
		"behind references":    {`{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","properties":{"n":{"type":"integer"}}}}}`, `{"n":"x"}`, []string{"entity.n: got string"}},
		"one of several forms": {`{"anyOf":[{"type":"string"},{"type":"array"}]}`, `1`, []string{"entity: 'anyOf' failed", "entity: got number, want string", "entity: got number, want array"}},
		"places":               {`{"properties":{"lines":{"items":{"required":["a/b"],"properties":{"~":{"const":1}}}}}}`, `{"lines":[{"a/b":1},{"~":2}]}`, []string{"entity.lines[1]: missing property 'a/b'", "entity.lines[1].~: value must be"}},
	} {
		s, err := CompileSchema([]byte(c.schema))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		faults, err := s.Mismatches([]byte(c.document), "entity")
		if err != nil || len(faults) != len(c.want) {
			t.Errorf("%s: %v, %v; want %q", name, faults, err, c.want)
			continue
		}
		for _, want := range c.want {
			if !slices.ContainsFunc(faults, func(f hook.Fault) bool {
				return f.Code == "schema_mismatch" && strings.HasPrefix(f.Field+": "+f.Detail, want)
			}) {
				t.Errorf("%s: %v; want %q", name, faults, want)
			}
		}
	}
}

// A document of 1 MiB can be wrong in half a million places, and what is wrong with it can be
// as long as it is itself.
func TestMismatchesAreBounded(t *testing.T) {
	t.Parallel()
	s, err := CompileSchema([]byte(`{"type":"array","items":{"type":"string","pattern":"^a*$","maxLength":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range []string{
		"[" + strings.Repeat("1,", 500_000) + "1]",
		`["` + strings.Repeat("ä", 500_000) + `"]`,
	} {
		faults, err := s.Mismatches([]byte(document), "entity")
		if err != nil || len(faults) == 0 || len(faults) > 100 {
			t.Fatalf("%d faults, %v", len(faults), err)
		}
		for _, f := range faults {
			if n := utf8.RuneCountInString(f.Detail); n > 201 || !utf8.ValidString(f.Detail) {
				t.Fatalf("a detail of %d characters: %.300s", n, f.Detail)
			}
		}
	}
	if _, err := s.Mismatches([]byte(`[1`), "entity"); err == nil {
		t.Error("half a document was held against the schema")
	}
}

// In mode warn every receipt tells of a mismatch, the log once a minute for each type.
func TestMismatchesAreNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchemas()
		one := &hook.EventType{ID: hook.NewIDs().New(), Name: "a", Version: 1, Mode: hook.SchemaWarn, Schema: []byte(`{"type":"string"}`)}
		other := *one
		other.ID = hook.NewIDs().New()
		noted := 0
		for range 125 {
			for _, typ := range []*hook.EventType{one, &other} {
				warnings, first, err := s.check(typ, []byte(`1`))
				if err != nil || len(warnings) != 1 {
					t.Fatalf("%v, %v", warnings, err)
				}
				if first {
					noted++
				}
			}
			time.Sleep(time.Second)
		}
		if noted != 6 {
			t.Errorf("the log tells of it %d times in 125 seconds of two types, want 6", noted)
		}
		if warnings, first, err := s.check(one, []byte(`"a"`)); len(warnings) > 0 || first || err != nil {
			t.Errorf("what matches: %v, %v, %v", warnings, first, err)
		}
	})
}
