package api

import (
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"sallyport/api/spec"
)

// operation is what the contract says about one operation.
type operation struct {
	id     string
	method string
	path   string
	query  map[string]*openapi3.Parameter
	names  []string // of query, sorted
	header map[string]*openapi3.Parameter
	inPath map[string]*openapi3.Parameter
	body   *openapi3.Schema // nil: it takes none
	needed bool             // whether a body is required
	media  []string         // content types of the body
	// byPosition: not a list but a log, with cursors of its own
	byPosition bool
	byKey      bool // a list whose rows are told apart by a key instead of an id
}

// contract is openapi.yaml, made ready to check requests against.
type contract struct {
	doc        *openapi3.T
	operations map[string]*operation
}

// ReadContract makes what New needs and is the same for all servers, for those who have something
// else to do meanwhile: it takes longer than the rest of a start.
func ReadContract() { theContract() }

// theContract is made once.
var theContract = sync.OnceValue(func() *contract {
	doc := spec.Document()
	c := &contract{doc: doc, operations: map[string]*operation{}}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			o := &operation{
				id: op.OperationID, method: method, path: path,
				query: map[string]*openapi3.Parameter{}, header: map[string]*openapi3.Parameter{}, inPath: map[string]*openapi3.Parameter{},
			}
			for _, ref := range append(slices.Clone(item.Parameters), op.Parameters...) {
				switch p := ref.Value; p.In {
				case openapi3.ParameterInQuery:
					o.query[p.Name] = p
					o.names = append(o.names, p.Name)
				case openapi3.ParameterInHeader:
					o.header[http.CanonicalHeaderKey(p.Name)] = p
				case openapi3.ParameterInPath:
					o.inPath[p.Name] = p
				}
			}
			sort.Strings(o.names)
			o.byPosition = op.Extensions["x-paged-by"] == "log"
			o.byKey = op.Extensions["x-paged-by"] == "key"
			if op.RequestBody != nil {
				o.needed = op.RequestBody.Value.Required
				for media, m := range op.RequestBody.Value.Content {
					o.media = append(o.media, media)
					o.body = m.Schema.Value
				}
				sort.Strings(o.media)
			}
			c.operations[o.id] = o
		}
	}
	return c
})

// mediaType is the content type without parameters, in lower case.
func mediaType(header string) string {
	t, _, _ := strings.Cut(header, ";")
	return strings.ToLower(strings.TrimSpace(t))
}
