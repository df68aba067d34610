package action

import (
	"context"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
)

// httpRequest sends an HTTP request.
type httpRequest struct {
	method      *text
	url         *text
	headers     []header
	body        *document // JSON: the item, or a document of the configuration
	unsaid      bool      // no body is configured: the item, for methods that have one
	raw         *text     // any text instead; nil: body
	contentType *text
	user        *text
	password    *text
	bearer      *text
	success     []string
}

type header struct {
	name   string
	value  *text
	secret bool
}

// methods that a request may have.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

const useSecrets = "put the value into the action's secrets and write {{ secrets.name }} here; configuration is shown, secrets are not"

func newHTTPRequest(o *settings) runner {
	r := &httpRequest{method: o.text("method"), url: o.required("url", "name the URL to call"), contentType: o.text("contentType")}
	if m := r.method; m != nil && m.template == nil && !slices.Contains(methods, strings.ToUpper(strings.TrimSpace(m.source))) {
		o.b.fault(m.field, "invalid_format", "use one of "+strings.Join(methods, ", "))
	}
	if r.url != nil && r.url.source != "" {
		checkURL(o.b, r.url)
	}
	r.readHeaders(o)
	r.readAuth(o)
	r.readBody(o)
	r.success = o.texts("successCodes")
	for i, code := range r.success {
		if !validCode(code) {
			o.b.fault(element(o.field("successCodes"), i), "invalid_format", "is neither a status such as 204 nor a class such as 2xx")
		}
	}
	if o.fields["successCodes"] != nil && len(r.success) == 0 && string(o.fields["successCodes"]) == "[]" {
		o.b.fault(o.field("successCodes"), "required", "list at least one, such as 2xx, or leave it out")
	}
	return r
}

// checkURL looks at as much of a URL as is no template.
func checkURL(b *builder, t *text) {
	source := strings.TrimSpace(t.source)
	fixed, _, dynamic := strings.Cut(source, "{{")
	if !dynamic {
		fixed, _, dynamic = strings.Cut(source, "{%")
	}
	if dynamic {
		scheme, rest, ok := strings.Cut(fixed, "://")
		switch {
		case !ok:
			return // the beginning itself is a template
		case scheme != "http" && scheme != "https":
			b.fault(t.field, "invalid_url", "must begin with http:// or https://")
		case strings.Contains(authority(rest), "@"):
			b.fault(t.field, "invalid_url", "must not hold credentials; use basicAuth")
		}
		return
	}
	if text := urlFault(source); text != "" {
		b.fault(t.field, "invalid_url", text)
	}
}

func authority(rest string) string {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[:i]
	}
	return rest
}

// urlFault says what is wrong with a URL; "" if nothing is.
func urlFault(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "cannot be read as a URL" // err would show it
	case u.Scheme != "http" && u.Scheme != "https":
		return "must begin with http:// or https://"
	case u.Hostname() == "":
		return "has no host"
	case u.User != nil:
		return "must not hold credentials; use basicAuth"
	}
	return ""
}

// LiteralHost returns the host that a configuration of type httpRequest names without a
// template, "" if there is none.
func LiteralHost(config []byte) string {
	b := builder{}
	r, ok := b.build(hook.ActionHTTPRequest, config).(*httpRequest)
	if !ok || r.url == nil {
		return ""
	}
	source := strings.TrimSpace(r.url.source)
	_, rest, ok := strings.Cut(source, "://")
	if !ok || strings.Contains(authority(rest), "{") || len(authority(rest)) == len(rest) && isTemplate(source) {
		return ""
	}
	u, err := url.Parse("http://" + authority(rest))
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (r *httpRequest) readHeaders(o *settings) {
	for i, raw := range o.list("headers") {
		h := o.b.open(element(o.field("headers"), i), raw)
		if h == nil {
			continue
		}
		name := h.literal("name")
		value := h.text("value")
		secret := sensitiveHeader(name)
		switch string(h.raw("secret")) {
		case "true":
			secret = true
		case "false":
			secret = false
		case "":
		default:
			o.b.fault(h.field("secret"), "invalid_format", "must be true or false")
		}
		h.done()
		switch {
		case name == "":
			o.b.fault(h.field("name"), "required", "name the header")
		case !httpguts.ValidHeaderFieldName(name):
			o.b.fault(h.field("name"), "invalid_format", "is not a header name")
		case profile.ReservedAlways(name) && !strings.EqualFold(name, "Content-Type") && !strings.EqualFold(name, "Content-Encoding"):
			o.b.fault(h.field("name"), "reserved_header", name+" is set by Sallyport or by the connection")
		}
		switch {
		case value == nil:
			o.b.fault(h.field("value"), "required", "say what the header's value is")
			continue
		case secret && !strings.Contains(value.source, "secrets"):
			o.b.fault(h.field("value"), "invalid_format", useSecrets+", or say secret: false")
		case value.template == nil && !httpguts.ValidHeaderFieldValue(value.source):
			o.b.fault(h.field("value"), "invalid_format", "a header value has no line breaks or control characters")
		}
		r.headers = append(r.headers, header{name: name, value: value, secret: secret})
	}
}

// sensitiveHeader reports whether a header of this name carries a credential, usually.
func sensitiveHeader(name string) bool {
	name = strings.ToLower(name)
	if name == "authorization" || name == "cookie" {
		return true
	}
	for _, part := range []string{"token", "key", "secret", "password"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

func (r *httpRequest) readAuth(o *settings) {
	hasAuthorization := slices.ContainsFunc(r.headers, func(h header) bool { return strings.EqualFold(h.name, "Authorization") })
	if raw := o.raw("basicAuth"); raw != nil {
		if auth := o.b.open(o.field("basicAuth"), raw); auth != nil {
			r.user = auth.required("username", "name the user")
			r.password = auth.required("password", "write {{ secrets.name }}")
			if t := r.user; t != nil && t.template == nil && strings.Contains(t.source, ":") {
				o.b.fault(t.field, "invalid_format", "a user name has no colon")
			}
			if t := r.password; t != nil && t.source != "" && !strings.Contains(t.source, "secrets") {
				o.b.fault(t.field, "invalid_format", useSecrets)
			}
			auth.done()
			if hasAuthorization {
				o.b.fault(o.field("basicAuth"), "reserved_header", "the header Authorization is among headers, too; use one of them")
			}
		}
	}
	if r.bearer = o.text("bearer"); r.bearer != nil {
		if !strings.Contains(r.bearer.source, "secrets") {
			o.b.fault(r.bearer.field, "invalid_format", useSecrets)
		}
		if hasAuthorization || r.user != nil {
			o.b.fault(r.bearer.field, "reserved_header", "the header Authorization is set already; use one of bearer, basicAuth and headers")
		}
	}
}

// readBody reads the body. A string is a template for any text, everything else a JSON
// document; left out it is the item, for methods that have a body.
func (r *httpRequest) readBody(o *settings) {
	if raw := o.fields["body"]; len(raw) > 0 && raw[0] == '"' {
		if r.raw = o.text("body"); r.raw != nil && !isItem(r.raw.source) {
			return
		}
		r.raw = nil
	}
	if string(o.fields["body"]) == "null" { // none, on purpose
		o.raw("body")
		r.raw = &text{field: o.field("body")}
		return
	}
	r.body, r.unsaid = o.document("body"), o.fields["body"] == nil
}

func validCode(code string) bool {
	if len(code) != 3 || code[0] < '1' || code[0] > '5' {
		return false
	}
	if strings.EqualFold(code[1:], "xx") {
		return true
	}
	_, err := strconv.ParseUint(code, 10, 16)
	return err == nil
}

func (r *httpRequest) run(ctx context.Context, c *call, a *hook.Attempt) {
	q, err := r.render(c)
	if err != nil {
		c.x.failed(ctx, a, err)
		return
	}
	if c.x.cfg.HTTP == nil {
		fail(a, hook.ClassInternal, true, "requests cannot be sent here")
		return
	}
	// The exchange has a clock of its own, so that its record says how far it came.
	// In tenths of a second: what is left is told when it was not enough.
	if q.Timeout = (c.place.timeout - c.x.cfg.Now().Sub(c.scene.now)).Round(100 * time.Millisecond); q.Timeout <= 0 {
		q.Timeout = time.Millisecond
	}
	started := a.StartedAt
	*a = c.x.cfg.HTTP.Exchange(c.outer, q)
	a.StartedAt = started
}

func (r *httpRequest) render(c *call) (HTTPRequest, error) {
	q := HTTPRequest{SuccessCodes: r.success, Secrets: c.hidden}
	method, err := r.method.trimmed(c)
	if err != nil {
		return q, err
	}
	if q.Method = strings.ToUpper(method); q.Method == "" {
		q.Method = "POST"
	}
	if !slices.Contains(methods, q.Method) {
		return q, bad(r.method.field, "%q is none of %s", shortened(method), strings.Join(methods, ", "))
	}
	if q.URL, err = r.url.trimmed(c); err != nil {
		return q, err
	}
	if text := urlFault(q.URL); text != "" {
		return q, bad(r.url.field, "%s", text)
	}
	if err := r.renderHeaders(c, &q); err != nil {
		return q, err
	}
	return q, r.renderBody(c, &q)
}

func (r *httpRequest) renderHeaders(c *call, q *HTTPRequest) error {
	for _, h := range r.headers {
		value, err := h.value.trimmed(c)
		if err != nil {
			return err
		}
		if !httpguts.ValidHeaderFieldValue(value) {
			return bad(h.value.field, "a header value has no line breaks or control characters")
		}
		q.Headers = append(q.Headers, HTTPHeader{Name: h.name, Value: value, Secret: h.secret})
	}
	switch {
	case r.user != nil:
		user, err := r.user.render(c)
		if err != nil {
			return err
		}
		password, err := r.password.render(c)
		if err != nil {
			return err
		}
		credentials := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		q.Headers = append(q.Headers, HTTPHeader{Name: "Authorization", Value: "Basic " + credentials, Secret: true})
		q.Secrets = append(slices.Clone(q.Secrets), credentials)
	case r.bearer != nil:
		token, err := r.bearer.trimmed(c)
		if err != nil {
			return err
		}
		if !httpguts.ValidHeaderFieldValue(token) {
			return bad(r.bearer.field, "a token has no line breaks or control characters")
		}
		q.Headers = append(q.Headers, HTTPHeader{Name: "Authorization", Value: "Bearer " + token, Secret: true})
	}
	// An action is a hop: what it calls may be one of our own doors.
	q.Headers = append(q.Headers, HTTPHeader{Name: "Sallyport-Hops", Value: strconv.Itoa(c.scene.event.Hops + 1)})
	return nil
}

func (r *httpRequest) renderBody(c *call, q *HTTPRequest) error {
	var err error
	switch {
	case r.raw != nil:
		var s string
		s, err = r.raw.render(c)
		q.Body = []byte(s)
	case r.unsaid && (q.Method == "GET" || q.Method == "HEAD" || q.Method == "DELETE" || q.Method == "OPTIONS"):
		return nil
	default:
		q.Body, err = r.body.render(c)
	}
	if err != nil || len(q.Body) == 0 {
		return err
	}
	contentType, err := r.contentType.trimmed(c)
	if err != nil {
		return err
	}
	if contentType == "" {
		if slices.ContainsFunc(r.headers, func(h header) bool { return strings.EqualFold(h.name, "Content-Type") }) {
			return nil
		}
		contentType = "application/json"
	}
	if !httpguts.ValidHeaderFieldValue(contentType) {
		return bad(r.contentType.field, "a content type has no line breaks or control characters")
	}
	q.Headers = append(q.Headers, HTTPHeader{Name: "Content-Type", Value: contentType})
	return nil
}
