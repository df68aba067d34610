package profile

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
	"sallyport/internal/signature"
)

// Defaults is what a profile means for a webhook's configuration.
type Defaults struct {
	Name          string
	IncludeEntity bool // unless said otherwise
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
		IncludeEntity: def.entity != entityOff,
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

// ReservedAlways reports whether no request of ours may have a custom header of this name,
// whatever its profile.
func ReservedAlways(header string) bool {
	name := strings.ToLower(header)
	return slices.ContainsFunc(alwaysReserved, func(r string) bool { return matches(r, name) })
}

func isReserved(def *definition, header string) bool {
	name := strings.ToLower(header)
	return ReservedAlways(header) ||
		slices.ContainsFunc(def.reserved, func(r string) bool { return matches(r, name) })
}

// matches reports whether a lowercase name is reserved by an entry.
func matches(reserved, name string) bool {
	return name == reserved || strings.HasSuffix(reserved, "-") && strings.HasPrefix(name, reserved)
}

// Check returns the faults in what this package makes of a webhook: an unknown profile, a
// method or content type that the profile cannot send, custom headers that are reserved or
// that HTTP does not allow, and a described signature that cannot be computed.
func Check(w *hook.WebhookSpec) []hook.Fault {
	d, ok := DefaultsOf(cmp.Or(w.Profile, "default"))
	if !ok {
		return []hook.Fault{{Field: "profile", Code: "invalid_format", Detail: "use one of " + strings.Join(Names(), ", ")}}
	}
	var faults []hook.Fault
	fault := func(field, code, detail string) {
		faults = append(faults, hook.Fault{Field: field, Code: code, Detail: detail})
	}
	if w.Method != "" && !slices.Contains(Methods(), w.Method) {
		fault("method", "invalid_format", "use one of "+strings.Join(Methods(), ", "))
	}
	if w.ContentType != "" && !d.AcceptsContentType(w.ContentType) {
		fault("contentType", "invalid_format", "profile "+d.Name+" cannot send this type; use "+d.ContentType)
	}
	for i, h := range w.Headers {
		field := "headers[" + strconv.Itoa(i) + "]"
		switch {
		case h.Name == "":
			fault(field+".name", "required", "name the header")
		case !httpguts.ValidHeaderFieldName(h.Name):
			fault(field+".name", "invalid_format", "not a header name")
		case d.Reserved(h.Name):
			fault(field+".name", "reserved_header", h.Name+" is set by Sallyport or by the connection")
		case w.BasicAuth != nil && strings.EqualFold(h.Name, "Authorization"):
			fault(field+".name", "reserved_header", "Authorization is set by basicAuth; use one of them")
		case w.Signature != nil && strings.EqualFold(h.Name, w.Signature.Header):
			fault(field+".name", "reserved_header", h.Name+" carries the signature")
		}
		if !httpguts.ValidHeaderFieldValue(string(h.Value)) {
			fault(field+".value", "invalid_format", "a header value has no line breaks or control characters")
		}
	}
	if w.Signature == nil {
		return faults
	}
	_, wrong := signature.Custom(*w.Signature)
	faults = append(faults, wrong...)
	if d.taken(w.Signature.Header) {
		fault("signature.header", "reserved_header", w.Signature.Header+" already says something else")
	}
	return faults
}

// taken reports whether a described signature would collide with another header of ours.
func (d Defaults) taken(header string) bool {
	same := func(f field) bool { return strings.EqualFold(f.name, header) }
	return slices.ContainsFunc(alwaysReserved, func(r string) bool { return matches(r, strings.ToLower(header)) }) ||
		slices.ContainsFunc(d.def.headers, same) ||
		strings.EqualFold(header, "Authorization") || strings.EqualFold(header, "User-Agent")
}
