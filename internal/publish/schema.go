package publish

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport/internal/hook"
)

// schemas keeps the compiled JSON Schemas of event types, a version each.
type schemas struct {
	mu sync.Mutex
	m  map[hook.ID]*compiled
}

type compiled struct {
	version int64
	schema  *jsonschema.Schema
	err     error
}

func newSchemas() *schemas { return &schemas{m: map[hook.ID]*compiled{}} }

// maxSchemas bounds the cache; it is simply emptied when full.
const maxSchemas = 4096

// check holds an entity against its type's schema; nil unless the type's mode is
// reject.
func (s *schemas) check(t *hook.EventType, entity []byte) error {
	if t.Mode != hook.SchemaReject || len(t.Schema) == 0 {
		return nil
	}
	c := s.of(t)
	if c.err != nil {
		return fmt.Errorf("schema of event type %s: %w", t.Name, c.err)
	}
	if entity == nil {
		return hook.Errorf(hook.KindSchemaMismatch, "events of type %s need an entity", t.Name)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(entity))
	if err != nil {
		return &hook.Error{Kind: hook.KindSchemaMismatch, Field: "entity", Detail: "entity is not JSON that a schema can be held against", Err: err}
	}
	if err := c.schema.Validate(doc); err != nil {
		e := &hook.Error{Kind: hook.KindSchemaMismatch, Field: "entity", Detail: "entity does not match the schema of " + t.Name}
		var v *jsonschema.ValidationError
		if errors.As(err, &v) {
			for _, u := range v.BasicOutput().Errors {
				if u.Error == nil {
					continue
				}
				e.Faults = append(e.Faults, hook.Fault{Field: fieldAt(u.InstanceLocation), Code: "schema_mismatch", Detail: u.Error.String()})
			}
		}
		return e
	}
	return nil
}

// fieldAt writes a JSON Pointer into the entity as callers think of it: /lines/0/sku is
// entity.lines[0].sku.
func fieldAt(pointer string) string {
	field := "entity"
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if _, err := strconv.ParseUint(step, 10, 32); err == nil {
			field += "[" + step + "]"
		} else if step != "" {
			field += "." + strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		}
	}
	return field
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

// CompileSchema compiles a JSON Schema (2020-12 unless it says otherwise). References
// may point within it only: nothing is fetched, neither files nor URLs.
func CompileSchema(schema []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(refuse{})
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
}

type refuse struct{}

// Load refuses: a schema must not make us read files or fetch URLs.
func (refuse) Load(url string) (any, error) {
	return nil, fmt.Errorf("references outside the schema are not followed: %s", url)
}
