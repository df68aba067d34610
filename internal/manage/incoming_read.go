package manage

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
)

// Bounds and defaults of incoming webhooks, as of the contract.
const (
	defaultZone          = "UTC"
	defaultHashTolerance = 30 * time.Second
	maxHashTolerance     = 5 * time.Minute
	defaultHashName      = "hash"
	defaultBody          = 1 << 20
	maxBody              = 25 << 20
	defaultBodyTimeout   = time.Minute
	maxBodyTimeout       = 30 * time.Minute
	defaultAnswerTimeout = 5 * time.Second
	minAnswerTimeout     = 100 * time.Millisecond
	maxAnswerTimeout     = 25 * time.Second
	defaultWindow        = 24 * time.Hour
	maxWindow            = 30 * 24 * time.Hour
	maxAddresses         = 1000
)

// doorMethods are those a door may take.
var doorMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// doorDefaults are what a profile decides of fields left out.
type doorDefaults struct {
	tolerance time.Duration
	mode      string
	status    int
	refusal   string
}

func doorDefaultsOf(profile string) doorDefaults {
	if profile == hook.DoorAtroCore {
		return doorDefaults{0, hook.ResponseWait, http.StatusOK, hook.RefusalUniform}
	}
	return doorDefaults{defaultHashTolerance, hook.ResponseNow, http.StatusAccepted, hook.RefusalPrecise}
}

// incomingReader reads one document.
type incomingReader struct {
	*object
	s     *Service
	scene hook.IncomingScene
	d     doorDefaults
	next  *hook.IncomingWebhook
}

// readIncoming makes the next state of an incoming webhook of a document: configuration
// replaced, the hash and secrets that it does not mention kept.
func (s *Service) readIncoming(doc []byte, ref string, scene hook.IncomingScene) (*hook.IncomingWebhook, error) {
	o, err := readDocument(doc)
	if err != nil {
		return nil, err
	}
	r := &incomingReader{object: o, s: s, scene: scene, next: &hook.IncomingWebhook{}}
	if cur := scene.Current; cur != nil {
		r.next.Secrets, r.next.Hash = cur.Secrets, cur.Hash
	}
	who := identify(o, ref, scene.Current)
	r.next.Name = who.name
	w := &r.next.IncomingSpec
	w.Profile = r.oneOf("profile", hook.DoorDefault, hook.DoorDefault, hook.DoorAtroCore, hook.DoorAlumio)
	r.d = doorDefaultsOf(w.Profile)
	w.Description = r.text("description", "", 0, maxDescription)
	w.Enabled = r.flag("enabled", true)
	w.Metadata = r.metadata()
	w.Methods = r.methods()
	w.IPAllowList, _ = r.addresses("ipAllowList", w.Profile != hook.DoorAtroCore)
	r.next.Secrets = r.namedSecrets(r.next.Secrets)
	r.hash()
	w.PreProcessors = r.preProcessors()
	w.Parser = hook.DefaultParser()
	if p := r.parser(r.object, "parser"); p != nil {
		w.Parser = *p
	}
	w.Routes = r.routes()
	w.PostProcessors = r.postProcessors()
	w.Dedupe = r.dedupe()
	r.limits()
	w.Response = r.response()
	w.Refusal = r.oneOf("refusal", r.d.refusal, hook.RefusalPrecise, hook.RefusalUniform)
	o.ignore("url", "example", "hashConfigured", "state", "warnings", "version", "createdAt", "updatedAt")
	o.done()
	if err := hook.Invalid(o.faults); err != nil {
		return nil, err
	}
	if err := who.settle(scene.Scene, "incoming webhook"); err != nil {
		return nil, err
	}
	w.Code = who.code
	return r.next, nil
}

func (r *incomingReader) methods() []string {
	if !r.has("methods") {
		return []string{http.MethodPost}
	}
	var out []string
	n, ok := r.texts("methods", len(doorMethods), func(at, m string) {
		switch {
		case !slices.Contains(doorMethods, m):
			r.fault(at, "invalid_format", "%q is not one of %s", clip(m), strings.Join(doorMethods, ", "))
		case !slices.Contains(out, m):
			out = append(out, m)
		}
	})
	if ok && n == 0 {
		r.fault("methods", "required", "must not be empty; leave it out for POST")
	}
	return out
}

// addresses reads a list of addresses and, if they may be, networks. empty reports that it
// is a list of none.
func (o *object) addresses(name string, networks bool) (out []string, empty bool) {
	n, ok := o.texts(name, maxAddresses, func(at, s string) {
		a, err := netip.ParseAddr(s)
		_, network := netip.ParsePrefix(s)
		switch {
		case err == nil && a.Zone() == "", networks && network == nil:
			out = append(out, s)
		case network == nil:
			o.fault(at, "invalid_cidr", "%q is a network, and this profile takes single addresses only; use profile default for networks", clip(s))
		case networks:
			o.fault(at, "invalid_cidr", "%q is neither an address nor a network such as 203.0.113.0/24 or 2001:db8::/32", clip(s))
		default:
			o.fault(at, "invalid_cidr", "%q is not an address such as 203.0.113.7 or 2001:db8::7, without a port", clip(s))
		}
	})
	return out, ok && n == 0
}

// limits reads what bounds a request and what is kept of it.
func (r *incomingReader) limits() {
	w := &r.next.IncomingSpec
	if l := r.objectOrNull("rateLimit"); l != nil {
		w.RateLimit = &hook.RateLimit{Requests: l.integer("requests", 0, 1, maxRate), Per: l.duration("per", defaultPer, minPer, maxPer)}
		l.need("requests")
		l.done()
	}
	w.MaxBodyBytes = int64(r.integer("maxBodyBytes", defaultBody, 1, maxBody))
	w.BodyTimeout = r.duration("bodyTimeout", defaultBodyTimeout, minTimeout, maxBodyTimeout)
	w.Logging = r.oneOf("logging", hook.LoggingAll, hook.LoggingAll, hook.LoggingMetadata)
}

// dedupe reads how repeats are recognised; null is not at all. Left out, it is as the
// sender of the first preset that says so repeats requests.
func (r *incomingReader) dedupe() *hook.Dedupe {
	if r.isNull("dedupe") {
		return nil
	}
	o := r.object.object("dedupe")
	if o == nil {
		for _, p := range r.next.PreProcessors {
			if p.Preset == "" {
				continue
			}
			if key := r.s.rules.DedupeKey(p.Preset); key != "" {
				return &hook.Dedupe{Key: key, Window: defaultWindow, OnDuplicate: hook.DuplicateAccept}
			}
		}
		return nil
	}
	d := &hook.Dedupe{
		Key:         r.s.template(o, "key", r.next.Secrets),
		Window:      o.duration("window", defaultWindow, time.Second, maxWindow),
		OnDuplicate: o.oneOf("onDuplicate", hook.DuplicateAccept, hook.DuplicateAccept, hook.DuplicateRefuse),
	}
	if d.Key == "" {
		o.fault(o.at("key"), "required", "is needed: a template whose output repeats share, such as {{ request.rawBody|sha256 }}")
	}
	o.done()
	return d
}

// reservedAnswers are headers of answers that the server makes itself.
var reservedAnswers = []string{"content-length", "transfer-encoding", "connection", "date", "trailer", "upgrade", "keep-alive", "x-request-id", "cache-control"}

// response reads what an accepted request is answered.
func (r *incomingReader) response() hook.DoorResponse {
	out := hook.DoorResponse{Mode: r.d.mode, Status: r.d.status, Timeout: defaultAnswerTimeout}
	o := r.object.object("response")
	if o == nil {
		return out
	}
	out.Mode = o.oneOf("mode", r.d.mode, hook.ResponseNow, hook.ResponseWait)
	// Something refused or failed has an answer of its own.
	out.Status = o.integer("status", r.d.status, http.StatusOK, 399)
	out.Timeout = o.duration("timeout", defaultAnswerTimeout, minAnswerTimeout, maxAnswerTimeout)
	if o.has("body") && !o.isNull("body") {
		body := r.s.template(o, "body", r.next.Secrets)
		out.Body = &body
	}
	for _, h := range o.list("headers", maxHeaders) {
		x := hook.Header{Name: h.text("name", "", 1, maxHeaderName), Value: h.headerValue(false)}
		h.need("name", "value")
		switch {
		case x.Name == "":
		case !httpguts.ValidHeaderFieldName(x.Name):
			h.fault(h.at("name"), "invalid_format", "%q is no header name", x.Name)
		case slices.Contains(reservedAnswers, strings.ToLower(x.Name)):
			h.fault(h.at("name"), "reserved_header", "%s is the server's to set", x.Name)
		}
		h.ignore("secret")
		h.done()
		out.Headers = append(out.Headers, x)
	}
	o.done()
	return out
}
