package profile

import (
	"encoding/base64"
	"fmt"
	"mime"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/signature"
)

// Compiled is a webhook made ready to render events for: all that stays the same between
// its deliveries is done. It belongs to one version of the webhook. Safe for concurrent use.
type Compiled struct {
	method        string
	hasBody       bool
	body          []segment
	form          bool
	php           bool
	includeEntity bool
	id            string // of the webhook
	number        string
	origin        string
	plan          []planned
	signers       []*signature.Signer
	fixed         int // bytes of body text that do not depend on the event
	err           error
}

// planned is a header in the order of the wire.
type planned struct {
	name   string
	kind   plannedKind
	value  string // of a static one
	secret bool
	source source
	signer int
}

type plannedKind uint8

const (
	isStatic plannedKind = iota
	isSource
	isSignature
	isNext
)

// DefaultUserAgent is sent when Compile is given none.
const DefaultUserAgent = "Sallyport"

// Compile prepares a webhook for rendering. It never fails, so that one faulty webhook does
// not keep the others from a snapshot: what is wrong, Err says and Render returns. w must
// not change afterwards. userAgent is Sallyport/<version>; a custom header replaces it.
func Compile(w *hook.Webhook, userAgent string) *Compiled {
	if userAgent == "" {
		userAgent = DefaultUserAgent
	}
	name := w.Profile
	if name == "" {
		name = "default"
	}
	def := lookup(name)
	if def == nil {
		return &Compiled{err: fmt.Errorf("unknown profile %q", w.Profile)}
	}
	c := &Compiled{
		method:        w.Method,
		php:           def.php,
		includeEntity: w.IncludeEntity || def.entity == entityAlways,
		id:            w.ID.String(),
		number:        strconv.FormatInt(w.Number, 10),
		origin:        "/workspaces/" + w.Workspace.String(),
	}
	if c.method == "" {
		c.method = "POST"
	}
	c.hasBody = HasBody(c.method)
	contentType := def.contentTypeOf(w.ContentType)
	if c.hasBody {
		c.body, c.form = def.json, false
		if mediaType(contentType) == typeForm {
			if def.form == nil {
				c.err = fmt.Errorf("profile %s has no form mode", def.name)
				return c
			}
			c.body, c.form = def.form, true
		}
		for _, s := range c.body {
			c.fixed += len(s.text)
		}
	}
	c.err = c.signWith(def, w)
	c.planHeaders(def, w, contentType, userAgent)
	return c
}

// Err returns why nothing can be rendered, or nil.
func (c *Compiled) Err() error { return c.err }

// HasBody reports whether requests of a method carry a body here.
func HasBody(method string) bool { return method == "POST" || method == "PUT" || method == "PATCH" }

func (d *definition) contentTypeOf(wanted string) string {
	if wanted == "" || d.fixedType && mediaType(wanted) != d.contentType {
		return d.contentType
	}
	return wanted
}

// mediaType returns the media type without its parameters, "" if it is none.
func mediaType(contentType string) string {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return t
}

// signWith prepares the signatures: the described one replaces the profile's.
func (c *Compiled) signWith(def *definition, w *hook.Webhook) error {
	if !c.hasBody && def.unsigned && w.Signature == nil {
		return nil
	}
	schemes := def.schemes
	if w.Signature != nil {
		custom, faults := signature.Custom(*w.Signature)
		if err := hook.Invalid(faults); err != nil {
			return err
		}
		schemes = []signature.Scheme{custom}
	}
	if len(w.Secrets) == 0 {
		return nil
	}
	for _, s := range schemes {
		signer, err := signature.New(s, w.Secrets)
		if err != nil {
			return err
		}
		c.signers = append(c.signers, signer)
	}
	return nil
}

// planHeaders lists the headers in the order in which net/http writes them over HTTP/1.1:
// User-Agent, then by name. Precedence: what the profile says about the event, then the
// customer's, then constants of the profile. Reserved names of the customer are ignored;
// saving refuses them.
func (c *Compiled) planHeaders(def *definition, w *hook.Webhook, contentType, userAgent string) {
	for _, h := range def.headers {
		c.plan = append(c.plan, planned{name: h.name, kind: isSource, source: h.value})
	}
	c.plan = append(c.plan, planned{name: "Sallyport-Hops", kind: isSource, source: hops})
	for i, s := range c.signers {
		c.plan = append(c.plan,
			planned{name: s.Header(), kind: isSignature, signer: i},
			planned{name: s.Header() + signature.NextSuffix, kind: isNext, signer: i})
	}
	if c.hasBody {
		c.plan = append(c.plan, planned{name: "Content-Type", value: contentType})
	}
	if a := w.BasicAuth; a != nil {
		credentials := base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + string(a.Password)))
		c.plan = append(c.plan, planned{name: "Authorization", value: "Basic " + credentials, secret: true})
	}
	ours := len(c.plan)
	agent := planned{name: "User-Agent", value: userAgent}
	for _, h := range w.Headers {
		value := strings.TrimSpace(string(h.Value))
		switch {
		case strings.EqualFold(h.Name, agent.name):
			agent.value, agent.secret = value, h.Secret
		case isReserved(def, h.Name) || slices.ContainsFunc(c.plan[:ours], func(p planned) bool { return strings.EqualFold(p.name, h.Name) }):
		default:
			c.plan = append(c.plan, planned{name: h.Name, value: value, secret: h.Secret})
		}
	}
	for _, s := range def.static {
		if !slices.ContainsFunc(c.plan, func(p planned) bool { return strings.EqualFold(p.name, s.name) }) {
			c.plan = append(c.plan, planned{name: s.name, value: s.value})
		}
	}
	sort.SliceStable(c.plan, func(i, j int) bool { return c.plan[i].name < c.plan[j].name })
	c.plan = slices.Insert(c.plan, 0, agent)
}
