// Package apitest holds answers of the API, and what receivers get, against the
// contract, and remembers them so that a test can look for secrets in all of them.
package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"sallyport/api/spec"
)

// Reporter is told what breaks the contract; a *testing.T is one.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Validator validates every answer that goes through its transports. It is safe for
// concurrent use.
type Validator struct {
	reporter Reporter

	mu      sync.Mutex
	answers []Answer
}

// Answer is one recorded exchange.
type Answer struct {
	Method    string
	Path      string
	Operation string // operationId, "" for a path outside of the contract
	Status    int
	Header    http.Header
	Body      []byte
}

// New makes a validator.
func New(r Reporter) *Validator { return &Validator{reporter: r} }

// Transport sends by base, http.DefaultTransport if nil, and validates what comes back.
func (v *Validator) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{v: v, base: base}
}

// Client is a client with that transport. It follows no redirects: there are none.
func (v *Validator) Client() *http.Client {
	return &http.Client{Transport: v.Transport(nil), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type transport struct {
	v    *Validator
	base http.RoundTripper
}

// RoundTrip sends and validates.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	t.v.Check(r, res, body)
	return res, nil
}

// Check validates one answer and records it.
func (v *Validator) Check(r *http.Request, res *http.Response, body []byte) {
	op, path := find(r.Method, r.URL)
	a := Answer{Method: r.Method, Path: path, Status: res.StatusCode, Header: res.Header.Clone(), Body: body}
	var faults []string
	if op != nil {
		a.Operation = op.OperationID
		faults = checkAnswer(op, r, res, body)
	} else if res.StatusCode >= 400 {
		faults = checkProblem(r, res, body)
	}
	for _, f := range faults {
		v.reporter.Helper()
		v.reporter.Errorf("contract: %s %s answered %d: %s\n%s", r.Method, r.URL.Path, res.StatusCode, f, abridged(body))
	}
	v.mu.Lock()
	v.answers = append(v.answers, a)
	v.mu.Unlock()
}

// Answers returns what was recorded so far.
func (v *Validator) Answers() []Answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.answers)
}

// Leaks lists the answers that contain one of the secrets in a header or in the body,
// but for the once-only answers that the caller excuses. excuse may be nil.
func (v *Validator) Leaks(secrets []string, excuse func(Answer) bool) (leaks []string) {
	for _, a := range v.Answers() {
		if excuse != nil && excuse(a) {
			continue
		}
		everything := string(a.Body) + "\n" + fmt.Sprint(a.Header)
		for i, s := range secrets {
			if s != "" && strings.Contains(everything, s) {
				leaks = append(leaks, fmt.Sprintf("secret %d in %s %s (%s, %d)", i, a.Method, a.Path, a.Operation, a.Status))
			}
		}
	}
	return leaks
}

// Codes lists the problem codes seen, sorted, each once.
func (v *Validator) Codes() []string {
	seen := map[string]bool{}
	for _, a := range v.Answers() {
		var p struct{ Code string }
		if a.Status >= 400 && json.Unmarshal(a.Body, &p) == nil && p.Code != "" {
			seen[p.Code] = true
		}
	}
	codes := make([]string, 0, len(seen))
	for c := range seen {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	return codes
}

func abridged(b []byte) string {
	if len(b) > 2000 {
		return string(b[:2000]) + "…"
	}
	return string(b)
}

// find matches a path of the contract, literal segments first.
func find(method string, u *url.URL) (*openapi3.Operation, string) {
	full := u.EscapedPath()
	path := full
	if rest, below := strings.CutPrefix(path, "/w/"); below {
		// Doors stand below their workspace, too.
		_, rest, _ = strings.Cut(rest, "/")
		path = "/" + rest
	}
	var (
		best *openapi3.Operation
		most = -1
	)
	for pattern, item := range spec.Document().Paths.Map() {
		if n := match(pattern, path); n > most {
			if op := item.GetOperation(method); op != nil {
				best, most = op, n
			}
		}
	}
	return best, full
}

// match returns how many segments are literally the same, -1 if they do not match.
func match(pattern, path string) int {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return -1
	}
	same := 0
	for i := range want {
		switch {
		case strings.HasPrefix(want[i], "{") && got[i] != "":
		case want[i] == got[i]:
			same++
		default:
			return -1
		}
	}
	return same
}

func checkAnswer(op *openapi3.Operation, r *http.Request, res *http.Response, body []byte) (faults []string) {
	documented := op.Responses.Status(res.StatusCode)
	if documented == nil {
		documented = op.Responses.Default()
	}
	// Doors may have another form for an error.
	if res.StatusCode >= 400 && (documented == nil || len(documented.Value.Content) < 2 || !documents(documented, res)) {
		faults = append(faults, checkProblem(r, res, body)...)
	}
	if documented == nil {
		return append(faults, "the status is not in the contract")
	}
	for name, h := range documented.Value.Headers {
		for _, value := range res.Header.Values(name) {
			var typed any = value
			if h.Value.Schema.Value.Type.Is("integer") {
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					faults = append(faults, fmt.Sprintf("header %s is %q, not a number", name, value))
					continue
				}
				typed = n
			}
			if err := h.Value.Schema.Value.VisitJSON(typed); err != nil {
				faults = append(faults, fmt.Sprintf("header %s: %v", name, err))
			}
		}
	}
	if res.Header.Get("X-Request-Id") == "" {
		faults = append(faults, "there is no X-Request-Id")
	}
	if len(documented.Value.Content) == 0 || r.Method == http.MethodHead {
		if len(body) > 0 {
			faults = append(faults, "there is a body, which the contract does not know")
		}
		return faults
	}
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil {
		return append(faults, fmt.Sprintf("content type %q: %v", res.Header.Get("Content-Type"), err))
	}
	content := documented.Value.Content.Get(media)
	if content == nil {
		return append(faults, fmt.Sprintf("the content type %s is not in the contract", media))
	}
	if strings.HasSuffix(media, "json") {
		faults = append(faults, checkJSON(content.Schema.Value, body)...)
	}
	return faults
}

// documents reports whether the contract knows another form than a problem for an answer.
func documents(documented *openapi3.ResponseRef, res *http.Response) bool {
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && media != "application/problem+json" && documented.Value.Content.Get(media) != nil
}

// checkProblem holds an error against RFC 9457 and the promises about all errors.
func checkProblem(r *http.Request, res *http.Response, body []byte) (faults []string) {
	if r.Method == http.MethodHead || res.Header.Get("Content-Type") == "application/json" && r.URL.Path == "/readyz" {
		return nil
	}
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		return []string{"an error came as " + strconv.Quote(got)}
	}
	var p struct {
		Status    int
		RequestID string
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return []string{err.Error()}
	}
	if p.Status != res.StatusCode {
		faults = append(faults, fmt.Sprintf("the body says %d", p.Status))
	}
	// What is replayed names the call that it answered first.
	if p.RequestID != res.Header.Get("X-Request-Id") && res.Header.Get("Idempotent-Replayed") != "true" {
		faults = append(faults, "requestId is not X-Request-Id")
	}
	for status, header := range map[int]string{401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"} {
		if res.StatusCode == status && res.Header.Get(header) == "" {
			faults = append(faults, "there is no "+header)
		}
	}
	return append(faults, checkJSON(spec.Document().Components.Schemas["Problem"].Value, body)...)
}

// checkJSON validates a body and reports members that the contract does not know.
func checkJSON(schema *openapi3.Schema, body []byte) (faults []string) {
	var value any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return []string{err.Error()}
	}
	if err := schema.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		faults = append(faults, err.Error())
	}
	return append(faults, undeclared(schema, value, "")...)
}

// undeclared lists members that no schema names: what slipped into an answer.
func undeclared(schema *openapi3.Schema, value any, at string) (faults []string) {
	switch v := value.(type) {
	case []any:
		for _, branch := range branches(schema) {
			if branch.Items != nil {
				for i, e := range v {
					faults = append(faults, undeclared(branch.Items.Value, e, at+"/"+strconv.Itoa(i))...)
				}
			}
		}
	case map[string]any:
		for name, e := range v {
			found, open := member(schema, name)
			switch {
			case found != nil:
				faults = append(faults, undeclared(found, e, at+"/"+name)...)
			case !open:
				faults = append(faults, at+"/"+name+" is not in the contract")
			}
		}
	}
	return faults
}

// branches are the schema and what it is composed of.
func branches(s *openapi3.Schema) []*openapi3.Schema {
	all := []*openapi3.Schema{s}
	for _, list := range []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf} {
		for _, r := range list {
			all = append(all, branches(r.Value)...)
		}
	}
	return all
}

// member finds a property's schema; open says that any name is fine.
func member(s *openapi3.Schema, name string) (found *openapi3.Schema, open bool) {
	properties := 0
	for _, b := range branches(s) {
		if p := b.Properties[name]; p != nil {
			return p.Value, false
		}
		if b.AdditionalProperties.Schema != nil {
			return b.AdditionalProperties.Schema.Value, false
		}
		properties += len(b.Properties)
	}
	return nil, properties == 0
}
