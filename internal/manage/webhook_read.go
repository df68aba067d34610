package manage

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
)

// Bounds and defaults of webhooks, as of the contract.
const (
	defaultMethod   = "POST"
	defaultProfile  = "default"
	defaultOrdering = "none"
	defaultAttempts = 10
	maxAttempts     = 50
	defaultTimeout  = 15 * time.Second
	minTimeout      = time.Second
	maxTimeout      = time.Minute
	maxInFlight     = 10_000
	defaultPer      = time.Second
	minPer          = 100 * time.Millisecond
	maxPer          = 24 * time.Hour
	maxURL          = 2048
	maxEventTypes   = 200
	maxSuccessCodes = 20
	maxHeaders      = 50
	maxHeaderName   = 100
	maxHeaderValue  = 4096
	maxUsername     = 200
	maxPassword     = 500
	maxContent      = 1000
	maxFilter       = 64 << 10
)

var (
	contentTypePattern = regexp.MustCompile(`^(application/x-www-form-urlencoded|application/([A-Za-z0-9.!#$&^_-]+\+)?json)(;.*)?$`)
	successPattern     = regexp.MustCompile(`^([1245]xx|[1245][0-9]{2})$`)
)

// webhookReader reads one document; d are the defaults of its profile.
type webhookReader struct {
	*object
	s     *Service
	scene hook.WebhookScene
	d     profile.Defaults
	next  *hook.Webhook
}

// readWebhook makes the next state of a webhook of a document: configuration replaced,
// secrets that it does not mention and operational state kept. generate reports the
// wish for a generated secret.
func (s *Service) readWebhook(doc []byte, ref string, scene hook.WebhookScene) (next *hook.Webhook, generate bool, err error) {
	o, err := readDocument(doc)
	if err != nil {
		return nil, false, err
	}
	r := &webhookReader{object: o, s: s, scene: scene, next: &hook.Webhook{}}
	if cur := scene.Current; cur != nil {
		r.next.Secrets = slices.Clone(cur.Secrets)
		r.next.Paused, r.next.Suspended = cur.Paused, cur.Suspended
	}
	who := identify(o, ref, scene.Current)
	r.next.Name = who.name
	r.configuration()
	r.delivery()
	r.secret()
	generate = o.flag("generateSecret", false)
	o.ignore("number", "paused", "secrets", "state", "stateReason", "stateSince", "warnings", "version", "createdAt", "updatedAt")
	o.done()
	r.checkProfile()
	if err := hook.Invalid(o.faults); err != nil {
		return nil, false, err
	}
	if err := who.settle(scene.Scene, "webhook"); err != nil {
		return nil, false, err
	}
	r.next.Code = who.code
	return r.next, generate, nameFree(scene.Scene, r.next.Name, "webhook", who.id)
}

// configuration reads who is told about what.
func (r *webhookReader) configuration() {
	w := &r.next.WebhookSpec
	w.Profile = r.text("profile", defaultProfile, 1, 100)
	var known bool
	if r.d, known = profile.DefaultsOf(w.Profile); !known { // a fault of checkProfile
		r.d.MinSecret = minSecret
	}
	w.Description = r.text("description", "", 0, maxDescription)
	w.URL = r.url()
	w.URLSecret = r.flag("urlSecret", false)
	w.Method = r.oneOf("method", defaultMethod, profile.Methods()...)
	w.ContentType = r.text("contentType", r.d.ContentType, 1, 100)
	if w.ContentType != "" && !contentTypePattern.MatchString(w.ContentType) {
		r.fault("contentType", "invalid_format", "%q is neither JSON nor a form; use application/json or application/x-www-form-urlencoded", clip(w.ContentType))
	}
	w.EventTypes = r.eventTypes()
	w.IncludeEntity = r.flag("includeEntity", r.d.IncludeEntity)
	w.Enabled = r.flag("enabled", true)
	w.Metadata = r.metadata()
	if r.has("filter") && !r.isNull("filter") {
		w.Filter = r.filter()
	}
	if g := r.objectOrNull("signature"); g != nil {
		w.Signature = &hook.CustomSignature{
			Algorithm: g.oneOf("algorithm", "", "hmac-sha1", "hmac-sha256", "hmac-sha512"),
			Header:    g.text("header", "", 1, maxHeaderName),
			Encoding:  g.oneOf("encoding", "hex", "hex", "base64"),
			Prefix:    g.text("prefix", "", 0, 100),
			Content:   g.text("content", "{body}", 1, maxContent),
		}
		if h := w.Signature.Header; h != "" && !httpguts.ValidHeaderFieldName(h) {
			g.fault(g.at("header"), "invalid_format", "%q is no header name", h)
		}
		g.need("algorithm", "header")
		g.done()
	}
}

// filter reads a condition, which must be one that can be evaluated.
func (r *webhookReader) filter() string {
	text := r.text("filter", "", 1, maxFilter)
	if text == "" {
		return ""
	}
	if err := r.s.rules.Check(text); err != nil {
		r.fault("filter", "template_syntax", "%v", err)
	}
	return text
}

// need notes required fields that are absent.
func (o *object) need(names ...string) {
	for _, n := range names {
		if !o.has(n) {
			o.fault(o.at(n), "required", "is needed")
		}
	}
}

// delivery reads how it is sent.
func (r *webhookReader) delivery() {
	w := &r.next.WebhookSpec
	w.MaxAttempts = r.integer("maxAttempts", defaultAttempts, 1, maxAttempts)
	w.Retry = r.retry()
	w.Timeout = r.duration("timeout", defaultTimeout, minTimeout, maxTimeout)
	w.SuccessCodes = r.successCodes()
	w.MaxInFlight = r.optional("maxInFlight", 1, maxInFlight)
	w.Ordering = r.oneOf("ordering", defaultOrdering, defaultOrdering)
	if l := r.objectOrNull("rateLimit"); l != nil {
		w.RateLimit = &hook.RateLimit{Requests: l.integer("requests", 0, 1, maxRate), Per: l.duration("per", defaultPer, minPer, maxPer)}
		l.need("requests")
		l.done()
	}
	w.BasicAuth = r.basicAuth()
	w.Headers = r.headers()
}

// checkProfile notes what the profile has against it. Of an unknown one it says so, and
// what no profile would take.
func (r *webhookReader) checkProfile() {
	spec := r.next.WebhookSpec
	faults := profile.Check(&spec)
	if r.d.Name == "" {
		spec.Profile, spec.ContentType = defaultProfile, ""
		faults = append(faults, slices.DeleteFunc(profile.Check(&spec), func(f hook.Fault) bool { return f.Code == "reserved_header" })...)
	}
	for _, f := range faults {
		r.fault(f.Field, f.Code, "%s", f.Detail)
	}
}

func (r *webhookReader) url() string {
	if !r.has("url") {
		r.fault("url", "required", "say where requests go")
		return ""
	}
	s := r.text("url", "", 1, maxURL)
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case strings.ContainsFunc(s, func(c rune) bool { return c > '~' }):
		r.fault("url", "invalid_url", "must be ASCII: names of hosts as xn--..., everything else percent-encoded")
	case err != nil || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' }):
		r.fault("url", "invalid_url", "is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		r.fault("url", "invalid_url", "must begin with http:// or https://")
	case u.Hostname() == "" || !validPort(u):
		r.fault("url", "invalid_url", "has no valid host and port")
	case u.User != nil:
		r.fault("url", "invalid_url", "must not contain a user or password; use basicAuth")
	case u.Fragment != "" || strings.Contains(s, "#"):
		r.fault("url", "invalid_url", "must not have a fragment (#...): it would not be sent")
	default:
		if err := r.s.egress.RefusesHost(u.Hostname()); err != nil {
			r.fault("url", "url_not_allowed", "%v", err)
		}
	}
	return s
}

func validPort(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n < 1<<16
}

func (r *webhookReader) eventTypes() []string {
	all := []string{"*"}
	if !r.has("eventTypes") {
		return all
	}
	if r.isNull("eventTypes") {
		r.fault("eventTypes", "empty_event_types", `is null; leave it out or say ["*"] for all`)
		return all
	}
	known := typeNames(r.scene.Types)
	strict := r.scene.Workspace.Strict && r.d.Name != "" // a profile has types of its own
	var out []string
	n, ok := r.texts("eventTypes", maxEventTypes, func(at, t string) {
		switch {
		case !r.pattern(at, t):
		case strict && unknownType(t, known, r.d.EventTypes):
			r.fault(at, "unknown_event_type", "%q is not in the catalogue of this strict workspace%s", t, meant(t, known, r.d.EventTypes))
		case !slices.Contains(out, t):
			out = append(out, t)
		}
	})
	if ok && n == 0 {
		r.fault("eventTypes", "empty_event_types", `is empty; leave it out or say ["*"] for all`)
	}
	return out
}

func (r *webhookReader) successCodes() []string {
	if !r.has("successCodes") {
		return r.d.SuccessCodes
	}
	var out []string
	n, ok := r.texts("successCodes", maxSuccessCodes, func(at, c string) {
		if !successPattern.MatchString(c) {
			r.fault(at, "invalid_format", "%q is not a status such as 204 or a class such as 2xx; 3xx is always a failure", clip(c))
		}
		out = append(out, c)
	})
	if ok && n == 0 {
		r.fault("successCodes", "required", "must not be empty; leave it out for the default")
	}
	return out
}
