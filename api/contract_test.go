package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"sallyport/api/spec"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func TestContractIsValid(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(gen.Contract)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEveryOperationHasItsRoles(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for path, item := range spec.Document().Paths.Map() {
		for method, op := range item.Operations() {
			known[op.OperationID] = true
			open := op.Security != nil && (len(*op.Security) == 0 || len((*op.Security)[0]) == 0) && op.OperationID != "GetMetrics"
			if _, granted := access[op.OperationID]; granted == open {
				t.Errorf("%s (%s %s): security in the contract and roles in access.go do not fit", op.OperationID, method, path)
			}
		}
	}
	for id := range access {
		if !known[id] {
			t.Errorf("%s has roles but is not in the contract", id)
		}
	}
}

// Every field and parameter says what it is and shows an example.
func TestContractExplainsItself(t *testing.T) {
	t.Parallel()
	doc := spec.Document()
	for name, s := range doc.Components.Schemas {
		explains(t, name, s, true)
	}
	for name, p := range doc.Components.Parameters {
		if p.Value.Description == "" || p.Value.Example == nil {
			t.Errorf("parameter %s lacks a description or an example", name)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Summary == "" || op.Description == "" {
				t.Errorf("%s %s lacks a summary or a description", method, path)
			}
			for _, p := range op.Parameters {
				if p.Value.Description == "" || p.Value.Example == nil {
					t.Errorf("%s %s: parameter %s lacks a description or an example", method, path, p.Value.Name)
				}
			}
			if op.RequestBody != nil {
				for media, content := range op.RequestBody.Value.Content {
					if content.Example == nil {
						t.Errorf("%s %s: body %s lacks an example", method, path, media)
					}
				}
			}
		}
	}
}

func explains(t *testing.T, at string, ref *openapi3.SchemaRef, top bool) {
	t.Helper()
	s := ref.Value
	composed := len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) > 0
	if s.Description == "" && !strings.Contains(at, "allOf") {
		t.Errorf("%s lacks a description", at)
	}
	if !top && ref.Ref == "" && len(s.Examples) == 0 && !composed && len(s.Properties) == 0 && (s.Type == nil || !s.Type.Is("array")) {
		t.Errorf("%s lacks an example", at)
	}
	if !top && ref.Ref != "" {
		return
	}
	for name, p := range s.Properties {
		explains(t, at+"."+name, p, false)
	}
	if s.Items != nil {
		explains(t, at+"[]", s.Items, false)
	}
	for _, r := range s.AllOf {
		explains(t, at+".allOf", r, false)
	}
}

// Examples that a field shows are good ones.
func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	doc := spec.Document()
	for name, ref := range doc.Components.Schemas {
		for field, p := range ref.Value.Properties {
			for _, e := range p.Value.Examples {
				if err := p.Value.VisitJSON(e); err != nil {
					t.Errorf("%s.%s: %v", name, field, err)
				}
			}
		}
		for _, e := range ref.Value.Examples {
			if err := ref.Value.VisitJSON(e); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil {
				continue
			}
			for _, content := range op.RequestBody.Value.Content {
				if err := content.Schema.Value.VisitJSON(content.Example); err != nil {
					t.Errorf("%s %s: %v", method, path, err)
				}
			}
		}
	}
}

// Codes that the contract promises for a field are among those that are documented.
func TestFaultCodesAreDocumented(t *testing.T) {
	t.Parallel()
	var known []string
	for _, f := range faultCodes {
		known = append(known, f.Code)
	}
	done := map[*openapi3.Schema]bool{}
	var visit func(ref *openapi3.SchemaRef)
	visit = func(ref *openapi3.SchemaRef) {
		if ref == nil || done[ref.Value] {
			return
		}
		done[ref.Value] = true
		for _, key := range []string{"x-problem-code", "x-problem-when-empty"} {
			if code, ok := ref.Value.Extensions[key].(string); ok && !slices.Contains(known, code) {
				t.Errorf("%s is not documented", code)
			}
		}
		for _, p := range ref.Value.Properties {
			visit(p)
		}
		visit(ref.Value.Items)
	}
	for _, ref := range spec.Document().Components.Schemas {
		visit(ref)
	}
	described := spec.Document().Components.Schemas["Fault"].Value.Properties["code"].Value.Description
	for _, code := range known {
		if !strings.Contains(described, "`"+code+"`") {
			t.Errorf("the contract does not name %s", code)
		}
	}
}

// Every problem code stands in the description of an answer with its status.
func TestProblemCodesAreInTheContract(t *testing.T) {
	t.Parallel()
	for _, p := range problems {
		found := false
		for _, r := range spec.Document().Components.Responses {
			found = found || r.Value.Description != nil && strings.Contains(*r.Value.Description, "`"+string(p.Code)+"`")
		}
		if !found {
			t.Errorf("%s (%d) is in no answer's description", p.Code, p.Status)
		}
	}
	if md := ProblemsMarkdown(); !strings.Contains(md, "| 409 | `event_id_reused` |") {
		t.Error(md)
	}
}

// TestProblemCodesAreListed: clients that are generated from the contract know every code.
func TestProblemCodesAreListed(t *testing.T) {
	t.Parallel()
	var want, got []string
	for i := range problems {
		want = append(want, string(problems[i].Code))
	}
	for _, code := range spec.Document().Components.Schemas["ProblemCode"].Value.Enum {
		text, _ := code.(string)
		got = append(got, text)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("ProblemCode in openapi.yaml lists\n%v\nthe edge answers\n%v", got, want)
	}
}

// What the contract says of our own events is what the catalogue shows of them.
func TestSamplesOfOwnEventsKeepTheContract(t *testing.T) {
	t.Parallel()
	for _, name := range hook.OperationalTypes {
		x := &hook.EventType{Name: name}
		x.Describe()
		var sample map[string]any
		if err := json.Unmarshal(x.Sample, &sample); err != nil {
			t.Fatal(err)
		}
		ref := spec.Document().Components.Schemas[strings.ReplaceAll(name, ".", "")]
		if ref == nil {
			t.Fatalf("the contract does not describe %s", name)
		}
		if err := ref.Value.VisitJSON(sample); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for field := range sample {
			if ref.Value.Properties[field] == nil {
				t.Errorf("%s: the contract does not know %s", name, field)
			}
		}
	}
}
