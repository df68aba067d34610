package manage

import (
	"bytes"
	"errors"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// noLoader keeps schemas from fetching files and URLs through $ref.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, errors.New("a schema may only refer to itself")
}

// checkSchema notes what keeps a JSON Schema from being used.
func (r *reader) checkSchema(field string, schema []byte) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		r.fault(field, "invalid_format", "is not JSON")
		return
	}
	if _, ok := doc.(map[string]any); !ok {
		r.fault(field, "invalid_format", "must be an object, a JSON Schema")
		return
	}
	const self = "sallyport:schema"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	if err := c.AddResource(self, doc); err != nil {
		r.fault(field, "invalid_format", "is not a JSON Schema: %v", err)
		return
	}
	if _, err := c.Compile(self); err != nil {
		r.fault(field, "invalid_format", "is not a JSON Schema: %s", schemaFault(err))
	}
}

// schemaFault says in one line what keeps a schema from being one.
func schemaFault(err error) string {
	var (
		invalid *jsonschema.SchemaValidationError
		v       *jsonschema.ValidationError
	)
	if !errors.As(err, &invalid) || !errors.As(invalid.Err, &v) {
		return err.Error()
	}
	for len(v.Causes) > 0 {
		v = v.Causes[0]
	}
	return "/" + strings.Join(v.InstanceLocation, "/") + ": " + clip(v.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
}
