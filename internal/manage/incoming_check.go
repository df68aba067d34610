package manage

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
)

const (
	maxPreProcessors = 50
	maxPattern       = 4000
	maxTolerance     = 7 * 24 * time.Hour
)

// checkTypes are the types of pre-processors with what is read of each.
var checkTypes = map[string]func(r *incomingReader, o *object, p *hook.PreProcessor){
	"header":    (*incomingReader).headerCheck,
	"query":     (*incomingReader).queryCheck,
	"body":      (*incomingReader).bodyCheck,
	"basicAuth": (*incomingReader).basicAuthCheck,
	"bearer":    (*incomingReader).bearerCheck,
	"apiKey":    (*incomingReader).apiKeyCheck,
	"ip":        (*incomingReader).ipCheck,
	"schema":    (*incomingReader).schemaCheck,
	"condition": (*incomingReader).conditionCheck,
	"signature": (*incomingReader).signatureCheck,
}

var checkNames = []string{"header", "query", "body", "basicAuth", "bearer", "apiKey", "ip", "schema", "condition", "signature"}

// checkFields are the fields of all types together. A null in one that the type does not
// have says nothing.
var checkFields = []string{
	"header", "parameter", "path", "equals", "matches", "username", "secrets", "allow", "schema", "condition", "preset",
	"verification", "tolerance", "handshake",
}

// preProcessors reads the checks that a request must pass.
func (r *incomingReader) preProcessors() []hook.PreProcessor {
	list := r.list("preProcessors", maxPreProcessors)
	names := r.names(list, "check")
	var out []hook.PreProcessor
	for i, o := range list {
		p := hook.PreProcessor{Type: o.oneOf("type", "", checkNames...)}
		o.need("type")
		o.ignore("name")
		if p.Type == "" { // nobody knows which fields it has
			continue
		}
		checkTypes[p.Type](r, o, &p)
		for _, f := range checkFields {
			if isNull(o.fields[f]) {
				o.ignore(f)
			}
		}
		o.done()
		if p.Name = names[i]; p.Name == "" {
			p.Name = unusedName(names, p.Type, 1)
			names[i] = p.Name
		}
		out = append(out, p)
	}
	return out
}

// names reads the names of the parts of a list, "" where there is none. They are unique.
func (r *incomingReader) names(list []*object, noun string) []string {
	out := make([]string, len(list))
	for i, o := range list {
		name := o.text("name", "", 1, hook.MaxCode)
		if name != "" && slices.Contains(out, name) {
			o.fault(o.at("name"), "invalid_format", "another %s is called %q", noun, name)
			continue
		}
		out[i] = name
	}
	return out
}

// unusedName makes a name of a word: itself, or with the first number from n on that is
// not taken. The number 1 is not said.
func unusedName(taken []string, word string, n int) string {
	for ; ; n++ {
		name := word
		if n > 1 {
			name += "-" + strconv.Itoa(n)
		}
		if !slices.Contains(taken, name) {
			return name
		}
	}
}

// expected reads what a text must be: exactly one of equals and matches.
func (o *object) expected(p *hook.PreProcessor) {
	equals, matches := o.has("equals") && !o.isNull("equals"), o.has("matches") && !o.isNull("matches")
	switch {
	case equals && matches:
		o.fault(o.at("matches"), "invalid_format", "say equals or matches, not both")
	case equals:
		s := o.text("equals", "", 0, maxPattern)
		p.Equals = &s
	case matches:
		p.Matches = o.text("matches", "", 1, maxPattern)
		if _, err := regexp.Compile(p.Matches); err != nil {
			o.fault(o.at("matches"), "invalid_format", "is no regular expression (RE2): %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	default:
		o.fault(o.at("equals"), "required", "say what it must be: equals or matches")
	}
}

func (o *object) headerName(name string) string {
	s := o.text(name, "", 1, maxHeaderName)
	if s != "" && !httpguts.ValidHeaderFieldName(s) {
		o.fault(o.at(name), "invalid_format", "%q is no header name", clip(s))
	}
	return s
}

func (r *incomingReader) headerCheck(o *object, p *hook.PreProcessor) {
	p.Header = o.headerName("header")
	o.need("header")
	o.expected(p)
}

func (r *incomingReader) queryCheck(o *object, p *hook.PreProcessor) {
	if !o.isNull("parameter") {
		p.Parameter = o.text("parameter", "", 1, maxHeaderName)
	}
	o.expected(p)
	if p.Equals != nil && p.Parameter == "" {
		o.fault(o.at("parameter"), "required", "say which parameter must equal it; matches without a parameter looks at the whole URI")
	}
}

func (r *incomingReader) bodyCheck(o *object, p *hook.PreProcessor) {
	if !o.isNull("path") {
		p.Path = o.text("path", "", 1, maxPattern)
	}
	if p.Path != "" {
		for _, f := range r.s.rules.CheckParser(hook.Parser{Type: "json", Items: p.Path, Split: true}) {
			o.fault(o.at("path"), f.Code, "%s", f.Detail)
		}
	}
	o.expected(p)
}

// credentials reads the names of secrets any of which fits.
func (r *incomingReader) credentials(o *object, p *hook.PreProcessor) {
	o.need("secrets")
	p.Secrets = o.secretNames("secrets", r.next.Secrets)
}

func (r *incomingReader) basicAuthCheck(o *object, p *hook.PreProcessor) {
	p.Username = o.text("username", "", 1, maxUsername)
	o.need("username")
	if strings.Contains(p.Username, ":") {
		o.fault(o.at("username"), "invalid_format", "must not contain a colon")
	}
	r.credentials(o, p)
}

func (r *incomingReader) bearerCheck(o *object, p *hook.PreProcessor) { r.credentials(o, p) }

func (r *incomingReader) apiKeyCheck(o *object, p *hook.PreProcessor) {
	if !o.isNull("header") {
		p.Header = o.headerName("header")
	}
	if !o.isNull("parameter") {
		p.Parameter = o.text("parameter", "", 1, maxHeaderName)
	}
	switch {
	case p.Header != "" && p.Parameter != "":
		o.fault(o.at("parameter"), "invalid_format", "say header or parameter, not both")
	case p.Header == "" && p.Parameter == "" && !o.told[o.at("header")] && !o.told[o.at("parameter")]:
		o.fault(o.at("header"), "required", "say which header carries the key, or which query parameter")
	}
	r.credentials(o, p)
}

func (r *incomingReader) ipCheck(o *object, p *hook.PreProcessor) {
	o.need("allow")
	var empty bool
	if p.Allow, empty = o.addresses("allow", true); empty {
		o.fault(o.at("allow"), "required", "must not be empty")
	}
}

func (r *incomingReader) schemaCheck(o *object, p *hook.PreProcessor) {
	o.need("schema")
	if p.Schema = o.json("schema", maxSchema); p.Schema != nil {
		o.checkSchema(o.at("schema"), p.Schema)
	} else {
		o.fault(o.at("schema"), "required", "is needed")
	}
}

func (r *incomingReader) conditionCheck(o *object, p *hook.PreProcessor) {
	if p.Condition = r.s.condition(o, "condition", r.next.Secrets); p.Condition == "" {
		o.fault(o.at("condition"), "required", "is needed")
	}
}

func (r *incomingReader) signatureCheck(o *object, p *hook.PreProcessor) {
	if !o.isNull("preset") {
		p.Preset = o.text("preset", "", 1, 100)
	}
	p.Signature = o.jsonObject("verification")
	switch {
	case p.Preset != "" && p.Signature != nil:
		o.fault(o.at("preset"), "invalid_format", "say preset, or describe the verification, not both")
	case p.Preset == "" && p.Signature == nil:
		o.fault(o.at("preset"), "required", "name a preset (GET /v1/presets lists them), or describe the signature in the field verification")
	}
	if o.has("tolerance") && !o.isNull("tolerance") {
		d := o.duration("tolerance", 0, 0, maxTolerance)
		p.Tolerance = &d
	}
	r.credentials(o, p)
	if o.has("handshake") && !o.isNull("handshake") {
		p.Handshake = o.secretNames("handshake", r.next.Secrets)
	}
	values := valuesOf(r.next.Secrets)
	for _, name := range slices.Concat(p.Secrets, p.Handshake) {
		if v, _ := values(name); v == "" { // told where the secret is, or is not
			values = nil
			break
		}
	}
	o.below(o.path+".", r.s.rules.CheckSignature(*p, values))
}
