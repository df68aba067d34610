package publish

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"sallyport/internal/hook"
)

// schemas keeps the compiled JSON Schemas of event types, a version each.
type schemas struct {
	mu sync.Mutex
	m  map[hook.ID]*compiled
}

type compiled struct {
	version int64
	schema  *Schema
	err     error
	noted   time.Time // when a mismatch was last in the log
}

func newSchemas() *schemas { return &schemas{m: map[hook.ID]*compiled{}} }

// maxSchemas bounds the cache; it is simply emptied when full.
const maxSchemas = 4096

// noteEvery is how often the log tells of events that break the schema of one type.
const noteEvery = time.Minute

// check holds an entity against its type's schema. In mode reject the error says what is
// wrong; in mode warn warnings do, and first tells that the log should, too.
func (s *schemas) check(t *hook.EventType, entity []byte) (warnings []hook.Fault, first bool, err error) {
	if t.Mode == hook.SchemaOff || len(t.Schema) == 0 {
		return nil, false, nil
	}
	c := s.of(t)
	if c.err != nil {
		return nil, false, fmt.Errorf("schema of event type %s: %w", t.Name, c.err)
	}
	e := &hook.Error{Kind: hook.KindSchemaMismatch, Field: "entity"}
	if entity == nil {
		e.Field, e.Detail = "", "events of type "+t.Name+" need an entity"
	} else if e.Faults, e.Err = c.schema.Mismatches(entity, "entity"); e.Err != nil {
		e.Detail = "entity is not JSON that a schema can be held against"
	} else if len(e.Faults) > 0 {
		e.Detail = "entity does not match the schema of " + t.Name
	} else {
		return nil, false, nil
	}
	if t.Mode == hook.SchemaReject {
		return nil, false, e
	}
	if len(e.Faults) == 0 {
		e.Faults = []hook.Fault{{Field: "entity", Code: string(e.Kind), Detail: e.Detail}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(c.noted) >= noteEvery {
		c.noted, first = now, true
	}
	return e.Faults, first, nil
}

func (s *schemas) of(t *hook.EventType) *compiled {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.m[t.ID]; c != nil && c.version == t.Version {
		return c
	}
	if len(s.m) >= maxSchemas {
		clear(s.m)
	}
	c := &compiled{version: t.Version}
	c.schema, c.err = CompileSchema(t.Schema)
	s.m[t.ID] = c
	return c
}

// Schema is a compiled JSON Schema.
type Schema struct{ schema *jsonschema.Schema }

// CompileSchema compiles a JSON Schema (2020-12 unless it says otherwise). References
// may point within it only: nothing is fetched, neither files nor URLs.
func CompileSchema(schema []byte) (*Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(refuse{})
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	compiled, err := c.Compile("schema.json")
	return &Schema{compiled}, err
}

type refuse struct{}

// Load refuses: a schema must not make us read files or fetch URLs.
func (refuse) Load(url string) (any, error) {
	return nil, fmt.Errorf("references outside the schema are not followed: %s", url)
}

const (
	// maxMismatches and maxDetail bound what is said about a document: half a million
	// elements of a list can be wrong, and what is wrong can be quoted.
	maxMismatches = 100
	maxDetail     = 200

	// largeDocument is from how many bytes on documents wait for their turn, two at a time:
	// the validator keeps some 200 bytes for each mismatch, and 1 MiB has room for 500,000.
	largeDocument = 128 << 10
)

var turns = make(chan struct{}, 2)

// english words the mismatches.
var english = sync.OnceValue(func() *message.Printer { return message.NewPrinter(language.English) })

// Mismatches holds a document, which callers know as root, against the schema and returns
// what is wrong with it, at most a hundred faults. The error is for what is not JSON.
func (s *Schema) Mismatches(document []byte, root string) ([]hook.Fault, error) {
	if len(document) >= largeDocument {
		turns <- struct{}{}
		defer func() { <-turns }()
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	var v *jsonschema.ValidationError
	if err := s.schema.Validate(doc); err == nil || !errors.As(err, &v) {
		return nil, err
	}
	return appendMismatches(nil, v, root), nil
}

// appendMismatches appends the faults of an error and of what it consists of. What only
// groups others says nothing by itself.
func appendMismatches(faults []hook.Fault, v *jsonschema.ValidationError, root string) []hook.Fault {
	if len(faults) == maxMismatches {
		return faults
	}
	switch v.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
	default:
		faults = append(faults, hook.Fault{Field: fieldAt(root, v.InstanceLocation), Code: string(hook.KindSchemaMismatch), Detail: clip(v.ErrorKind.LocalizedString(english()))})
	}
	for _, cause := range v.Causes {
		faults = appendMismatches(faults, cause, root)
	}
	return faults
}

// fieldAt writes a place in a document as callers think of it: entity.lines[0].sku.
func fieldAt(root string, steps []string) string {
	field := root
	for _, step := range steps {
		if _, err := strconv.ParseUint(step, 10, 32); err == nil {
			field += "[" + step + "]"
		} else {
			field += "." + clip(step)
		}
	}
	return field
}

func clip(s string) string {
	if utf8.RuneCountInString(s) <= maxDetail {
		return s
	}
	return strings.ToValidUTF8(string([]rune(s)[:maxDetail]), "") + "…"
}
