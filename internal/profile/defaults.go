package profile

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
)

// Defaults is what a profile means for a webhook's configuration.
type Defaults struct {
	Name          string
	Description   string
	IncludeEntity bool // unless said otherwise
	EntityAlways  bool // includeEntity has no effect: the format is nothing without it
	ContentType   string
	SuccessCodes  []string
	MinSecret     int      // characters of a new secret
	EventTypes    []string // catalogue that comes with the profile, nil for none
	def           *definition
}

// DefaultsOf returns what a profile means, and whether there is one of that name. The
// caller owns the result.
func DefaultsOf(name string) (Defaults, bool) {
	def := lookup(name)
	if def == nil {
		return Defaults{}, false
	}
	return Defaults{
		Name:          def.name,
		Description:   def.description,
		IncludeEntity: def.entity != entityOff,
		EntityAlways:  def.entity == entityAlways,
		ContentType:   def.contentType,
		SuccessCodes:  slices.Clone(def.successes),
		MinSecret:     def.minSecret,
		EventTypes:    slices.Clone(def.catalogue),
		def:           def,
	}, true
}

// Names lists the profiles, default first.
func Names() []string {
	names := make([]string, len(definitions))
	for i := range definitions {
		names[i] = definitions[i].name
	}
	return names
}

// Methods are the request methods of webhooks. GET and DELETE carry headers only.
func Methods() []string { return []string{"POST", "PUT", "PATCH", "GET", "DELETE"} }

// AcceptsContentType reports whether the profile can send this type: any JSON type, and the
// form type where the profile has a form mode.
func (d Defaults) AcceptsContentType(contentType string) bool {
	t := mediaType(contentType)
	switch {
	case strings.IndexFunc(contentType, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
		return false
	case d.def.fixedType:
		return t == d.def.contentType || t == typeJSON
	case t == typeForm:
		return d.def.form != nil
	}
	return t == typeJSON || t == "text/json" || strings.HasSuffix(t, "+json")
}

// Reserved reports whether a custom header of this name cannot be set: it is ours, belongs
// to the connection, or would make Go's HTTP client send a request twice by itself.
func (d Defaults) Reserved(header string) bool { return isReserved(d.def, header) }

// alwaysReserved are names in lowercase; those ending in "-" reserve all that begin so.
var alwaysReserved = []string{
	"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive",
	"upgrade", "te", "trailer", "expect", "http2-settings", "proxy-",
	"idempotency-key", "x-idempotency-key", // net/http re-sends requests that carry one
	"sallyport-",
}

func isReserved(def *definition, header string) bool {
	name := strings.ToLower(header)
	matches := func(r string) bool { return name == r || strings.HasSuffix(r, "-") && strings.HasPrefix(name, r) }
	return slices.ContainsFunc(alwaysReserved, matches) || slices.ContainsFunc(def.reserved, matches)
}

// CheckHeaders returns the faults of a webhook's custom headers: reserved names, names and
// values that HTTP does not allow, and an Authorization beside basic authentication or a
// name that the described signature uses.
func CheckHeaders(w *hook.WebhookSpec) []hook.Fault {
	name := w.Profile
	if name == "" {
		name = "default"
	}
	def := lookup(name)
	if def == nil {
		return nil
	}
	var faults []hook.Fault
	for i, h := range w.Headers {
		field := "headers[" + strconv.Itoa(i) + "]"
		switch {
		case h.Name == "":
			faults = append(faults, hook.Fault{Field: field + ".name", Code: "required", Detail: "name the header"})
		case !httpguts.ValidHeaderFieldName(h.Name):
			faults = append(faults, hook.Fault{Field: field + ".name", Code: "invalid_format", Detail: "not a header name"})
		case isReserved(def, h.Name):
			faults = append(faults, hook.Fault{Field: field + ".name", Code: "reserved_header", Detail: h.Name + " is set by Sallyport or by the connection"})
		case w.BasicAuth != nil && strings.EqualFold(h.Name, "Authorization"):
			faults = append(faults, hook.Fault{Field: field + ".name", Code: "reserved_header", Detail: "Authorization is set by basicAuth; use one of them"})
		case w.Signature != nil && strings.EqualFold(h.Name, w.Signature.Header):
			faults = append(faults, hook.Fault{Field: field + ".name", Code: "reserved_header", Detail: h.Name + " carries the signature"})
		}
		if !httpguts.ValidHeaderFieldValue(string(h.Value)) {
			faults = append(faults, hook.Fault{Field: field + ".value", Code: "invalid_format", Detail: "a header value has no line breaks or control characters"})
		}
	}
	return faults
}
