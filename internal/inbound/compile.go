package inbound

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/parse"
	"sallyport/internal/preset"
)

// door is an incoming webhook made ready to judge calls. It belongs to one version of its
// configuration and does not change.
type door struct {
	*hook.IncomingWebhook
	allow   []netip.Prefix
	hash    *hasher
	checks  []check
	signed  []*preset.Verifier // those of the checks
	methods []string           // that are let in
	shaking []string           // let in for handshakes only
	parser  *parse.Parser
	groups  []group
	dedupe  *hook.Dedupe
	hide    hidden
	fault   error // it cannot be made ready: nothing passes
}

// group is the routes that share one way of making items, and so their events.
type group struct {
	parser    *parse.Parser
	transform string
	routes    []hook.Route
}

// door returns the compiled form of an incoming webhook, kept as long as the same version
// comes.
func (d *Doors) door(w *hook.IncomingWebhook) *door {
	if v, ok := d.compiled.Load(w.ID); ok && v.(*door).IncomingWebhook == w {
		return v.(*door)
	}
	x := d.compile(w)
	d.compiled.Store(w.ID, x)
	return x
}

func (d *Doors) compile(w *hook.IncomingWebhook) *door {
	x := &door{IncomingWebhook: w, hash: newHasher(w, d.templates), dedupe: w.Dedupe, methods: w.Methods}
	if len(x.methods) == 0 {
		x.methods = []string{http.MethodPost}
	}
	for _, entry := range w.IPAllowList {
		p, err := prefix(entry)
		if err != nil {
			x.fault = err
			return x
		}
		x.allow = append(x.allow, p)
	}
	if x.hash != nil {
		x.hide.add(x.hash.place.In, x.hash.place.Name)
	}
	for i := range w.PreProcessors {
		c, err := d.newCheck(x, &w.PreProcessors[i])
		if err != nil {
			x.fault = fmt.Errorf("pre-processor %s: %w", w.PreProcessors[i].Name, err)
			return x
		}
		x.checks = append(x.checks, c)
	}
	for _, v := range x.signed {
		for _, m := range v.HandshakeMethods() {
			if !slices.Contains(x.methods, m) {
				x.shaking = append(x.shaking, m)
			}
		}
	}
	x.fault = x.group()
	return x
}

// group sorts the routes by what their items are made with, in the order of the routes. A
// door without any has one group: what was accepted is an event in any case.
func (x *door) group() error {
	compile := func(p hook.Parser) (*parse.Parser, error) {
		c, faults := parse.Compile(p)
		return c, hook.Invalid(faults)
	}
	own, err := compile(x.Parser)
	if err != nil {
		return fmt.Errorf("parser: %w", err)
	}
	x.parser = own
	type key struct {
		parser    string
		transform string
	}
	index := map[key]int{}
	for _, r := range x.Routes {
		k := key{transform: r.Transform}
		parser := own
		if r.Parser != nil && !reflect.DeepEqual(*r.Parser, x.Parser) {
			k.parser = fmt.Sprintf("%#v", *r.Parser)
			if parser, err = compile(*r.Parser); err != nil {
				return fmt.Errorf("parser of route %s: %w", r.Name, err)
			}
		}
		i, ok := index[k]
		if !ok {
			i = len(x.groups)
			index[k] = i
			x.groups = append(x.groups, group{parser: parser, transform: r.Transform})
		}
		x.groups[i].routes = append(x.groups[i].routes, r)
	}
	if len(x.groups) == 0 {
		x.groups = []group{{parser: own}}
	}
	return nil
}

// prefix reads an address or a CIDR. IPv4-mapped addresses count as IPv4.
func prefix(entry string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(entry); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96), nil
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(entry)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a CIDR", entry)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	a = a.Unmap()
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// check is one pre-processor made ready. It returns the refusal, nil to let pass.
type check struct {
	name string
	run  func(j *judged) *refusal
}

// newCheck makes a pre-processor ready.
func (d *Doors) newCheck(x *door, p *hook.PreProcessor) (check, error) {
	c := check{name: p.Name}
	var err error
	switch p.Type {
	case "header":
		x.hide.guess("header", p.Header)
		c.run, err = matching(p, "the header "+p.Header, func(j *judged) (string, bool, error) {
			values := j.call.Header.Values(p.Header)
			if len(values) > 1 {
				return "", false, fmt.Errorf("the header %s is there more than once", p.Header)
			}
			return strings.Join(values, ""), len(values) == 1, nil
		})
	case "query":
		x.hide.guess("query", p.Parameter)
		what := "the query parameter " + p.Parameter
		if p.Parameter == "" {
			what = "the query"
		}
		c.run, err = matching(p, what, func(j *judged) (string, bool, error) {
			if p.Parameter == "" {
				return j.call.Path + "?" + j.call.RawQuery, true, nil
			}
			return j.parameter(p.Parameter)
		})
	case "body":
		c.run, err = d.bodyCheck(p)
	case "basicAuth":
		x.hide.add("header", "Authorization")
		c.run, err = basicAuth(p, x.secrets(p.Secrets))
	case "bearer":
		x.hide.add("header", "Authorization")
		c.run, err = carried(x.secrets(p.Secrets), "the bearer token", func(j *judged) (string, bool, error) {
			scheme, token, _ := strings.Cut(j.call.Header.Get("Authorization"), " ")
			return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer"), nil
		})
	case "apiKey":
		if p.Parameter != "" {
			x.hide.add("query", p.Parameter)
		} else {
			x.hide.add("header", p.Header)
		}
		c.run, err = carried(x.secrets(p.Secrets), "the API key", func(j *judged) (string, bool, error) {
			if p.Parameter != "" {
				return j.parameter(p.Parameter)
			}
			return j.call.Header.Get(p.Header), j.call.Header.Get(p.Header) != "", nil
		})
	case "ip":
		c.run, err = ipCheck(p)
	case "schema":
		c.run, err = d.schemaCheck(p)
	case "condition":
		c.run = d.conditionCheck(p)
	case "signature":
		c.run, err = d.signatureCheck(x, p)
	default:
		err = fmt.Errorf("there is no type %q", p.Type)
	}
	return c, err
}

// secrets are the values of the door's secrets of these names, as hashes to be compared in
// constant time.
func (x *door) secrets(names []string) [][sha256.Size]byte {
	var out [][sha256.Size]byte
	for _, n := range names {
		if v, ok := x.secret(n); ok && v != "" {
			out = append(out, sha256.Sum256([]byte(v)))
		}
	}
	return out
}

func (x *door) secret(name string) (hook.Sensitive, bool) {
	for _, s := range x.IncomingWebhook.Secrets {
		if s.Name == name {
			return s.Value, true
		}
	}
	return "", false
}

// hidden says which values of a request are credentials.
type hidden struct {
	headers map[string]bool // canonical
	query   map[string]bool
	body    []string // fields
}

// alwaysHidden are headers that carry credentials whatever the door checks.
var alwaysHidden = []string{"Authorization", "Proxy-Authorization", "Cookie"}

// secretName is a name that says of itself that its value is a secret.
var secretName = regexp.MustCompile(`(?i)token|secret|password|signature|api-?key|auth`)

func (h *hidden) add(in, name string) {
	if name == "" {
		return
	}
	if in == "body" {
		h.body = append(h.body, name)
		return
	}
	if in == "header" {
		if h.headers == nil {
			h.headers = map[string]bool{}
		}
		h.headers[http.CanonicalHeaderKey(name)] = true
		return
	}
	if h.query == nil {
		h.query = map[string]bool{}
	}
	h.query[name] = true
}

// guess adds a name that sounds like a credential: a check may as well look at what is none.
func (h *hidden) guess(in, name string) {
	if secretName.MatchString(name) {
		h.add(in, name)
	}
}

func (h *hidden) header(canonical string) bool {
	return slices.Contains(alwaysHidden, canonical) || h.headers[canonical]
}
