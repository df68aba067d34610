// Package spec reads the contract for those that hold requests or answers against it.
package spec

import (
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"sallyport/gen"
)

// Document is openapi.yaml. It is shared: do not change it.
var Document = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(gen.Contract)
	if err != nil { // the tests know that it can be read
		panic(fmt.Errorf("reading openapi.yaml: %w", err))
	}
	done := map[*openapi3.Schema]bool{}
	for _, ref := range doc.Components.Schemas {
		allowNull(ref, done)
	}
	return doc
})

// allowNull lets null through where a schema names no type. The validator follows
// OpenAPI 3.0 there, in which any type does not include null.
func allowNull(ref *openapi3.SchemaRef, done map[*openapi3.Schema]bool) {
	if ref == nil || ref.Value == nil || done[ref.Value] {
		return
	}
	s := ref.Value
	done[s] = true
	if s.Type == nil && len(s.AnyOf)+len(s.AllOf)+len(s.OneOf) == 0 {
		s.Nullable = true
	}
	for _, p := range s.Properties {
		allowNull(p, done)
	}
	allowNull(s.Items, done)
	allowNull(s.AdditionalProperties.Schema, done)
	for _, list := range []openapi3.SchemaRefs{s.AnyOf, s.AllOf, s.OneOf} {
		for _, r := range list {
			allowNull(r, done)
		}
	}
}
