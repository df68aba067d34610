package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"sallyport/internal/hook"
)

// remote is a running Sallyport as a command reaches it: an address, a key, a workspace.
type remote struct {
	base      *url.URL
	key       hook.Sensitive
	keyFrom   string // where the key was found, for errors
	workspace string // "" is the key's own, default for a platform key
	client    *http.Client
}

// remoteFlags are the flags of a command that calls a running Sallyport.
type remoteFlags struct{ url, keyFile, workspace string }

// remoteHelp explains them, for the long help of a command.
const remoteHelp = `Where and as whom (a flag wins over its variable):

  --url, SALLYPORT_URL              the installation (default http://localhost:8080)
  --workspace, SALLYPORT_WORKSPACE  code of the workspace (default: the key's own)
  SALLYPORT_KEY                     the API key; there is no flag, since others see the process list
  --key-file, SALLYPORT_KEY_FILE    a file with the key (default ./data/admin.key)
`

const defaultURL = "http://localhost:8080"

// add gives a command the flags. They are hidden from the usual list, as remoteHelp has them.
func (f *remoteFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", "", "where the installation is")
	flags.StringVar(&f.keyFile, "key-file", "", "file with the API key")
	flags.StringVar(&f.workspace, "workspace", "", "code of the workspace")
	for _, name := range []string{"url", "key-file", "workspace"} {
		flags.Lookup(name).Hidden = true
	}
}

// open finds the address and the key; it calls nobody. Its errors are faults of usage.
func (f *remoteFlags) open(p process) (*remote, error) {
	env := func(name string) string { return lookup(p.environ, name) }
	from, address := "--url", f.url
	if address == "" {
		from, address = "SALLYPORT_URL", cmp.Or(env("SALLYPORT_URL"), defaultURL)
	}
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, usageError(fmt.Errorf("%s must be such as https://hooks.example.com, without user and query", from))
	}
	base.Path = strings.TrimRight(base.Path, "/")
	r := &remote{base: base, workspace: cmp.Or(f.workspace, env("SALLYPORT_WORKSPACE"))}
	if err := r.findKey(f.keyFile, env); err != nil {
		return nil, usageError(err)
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: 16,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		// A run of a command that somebody waits for is the longest that a call takes.
		ResponseHeaderTimeout: 2 * time.Minute,
	}
	r.client = &http.Client{
		Transport: transport,
		// A redirect would turn a PUT into a GET, or carry the key elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

// lookup returns the value of an environment variable; an empty one counts as not set.
func lookup(environ []string, name string) string {
	value := ""
	for _, entry := range environ {
		if n, v, ok := strings.Cut(entry, "="); ok && n == name {
			value = v // as everywhere, the last one counts
		}
	}
	return value
}

// findKey looks for the key in the order of remoteHelp.
func (r *remote) findKey(flag string, env func(string) string) error {
	file := flag
	if file == "" {
		if key := env("SALLYPORT_KEY"); key != "" {
			if env("SALLYPORT_KEY_FILE") != "" {
				return errors.New("SALLYPORT_KEY and SALLYPORT_KEY_FILE are both set: which one?")
			}
			r.key, r.keyFrom = hook.Sensitive(strings.TrimSpace(key)), "SALLYPORT_KEY"
			return r.checkKey()
		}
		file = env("SALLYPORT_KEY_FILE")
	}
	wanted := file != ""
	if !wanted {
		file = filepath.Join(cmp.Or(env("SALLYPORT_DATA_DIR"), "./data"), "admin.key")
	}
	content, err := os.ReadFile(file)
	switch {
	case err == nil:
	case wanted:
		return fmt.Errorf("the file with the API key: %w", err)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("an API key is needed: set SALLYPORT_KEY or SALLYPORT_KEY_FILE (there is no %s)", file)
	default:
		return fmt.Errorf("an API key is needed: set SALLYPORT_KEY or SALLYPORT_KEY_FILE (%w)", err)
	}
	r.key, r.keyFrom = hook.Sensitive(strings.TrimSpace(string(content))), file
	return r.checkKey()
}

// checkKey refuses what cannot stand in a header, before it does so with the key in its error.
func (r *remote) checkKey() error {
	if r.key == "" {
		return fmt.Errorf("%s is empty", r.keyFrom)
	}
	if strings.ContainsFunc(string(r.key), func(c rune) bool { return c <= ' ' || c > '~' }) {
		return fmt.Errorf("%s has something else than an API key in it", r.keyFrom)
	}
	return nil
}

// remoteRequest is one call of the API.
type remoteRequest struct {
	method string
	path   string // below the base, escaped, with its query
	header http.Header
	body   []byte // JSON; nil is none
}

// patientTries is how often a call is made that is told to come later.
const patientTries = 5

// do makes a call, and returns its answer if that is a success or 304; the caller closes it. A
// problem is a *problemError. Calls that are told to wait (429, 503) are made again, but
// for those that could have done something twice.
func (r *remote) do(ctx context.Context, q remoteRequest) (*http.Response, error) {
	for try := 1; ; try++ {
		res, err := r.once(ctx, q)
		if err != nil {
			return nil, err
		}
		if res.StatusCode < 300 || res.StatusCode == http.StatusNotModified {
			return res, nil
		}
		problem := r.problem(q, res)
		again := q.method != http.MethodPost && (res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable)
		if !again || try == patientTries {
			return nil, problem
		}
		if err := pause(ctx, waitFor(res)); err != nil {
			return nil, err
		}
	}
}

// waitFor is what Retry-After says, in bounds in which somebody still waits for a command.
func waitFor(res *http.Response) time.Duration {
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil {
		return time.Second
	}
	return min(max(time.Duration(seconds)*time.Second, 100*time.Millisecond), 30*time.Second)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once makes a call, whatever the answer.
func (r *remote) once(ctx context.Context, q remoteRequest) (*http.Response, error) {
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, r.base.String()+q.path, body)
	if err != nil {
		return nil, err
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	if q.body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+string(r.key))
	req.Header.Set("User-Agent", "sallyport/"+version)
	if r.workspace != "" {
		req.Header.Set("Sallyport-Workspace", r.workspace)
	}
	res, err := r.client.Do(req)
	var failed *url.Error
	switch {
	case err == nil:
		return res, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &failed):
		err = failed.Err // it repeats method and URL
	}
	return nil, fmt.Errorf("cannot reach %s: %w; is it running? (--url, SALLYPORT_URL)", r.base, err)
}

// json makes a call and decodes its answer into a value, unless that is nil.
func (r *remote) json(ctx context.Context, q remoteRequest, into any) (http.Header, error) {
	res, err := r.do(ctx, q)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: reading the answer: %w", q.method, q.path, err)
	}
	if into == nil || res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified {
		return res.Header, nil
	}
	if err := json.Unmarshal(content, into); err != nil {
		path, _, _ := strings.Cut(q.path, "?")
		return nil, fmt.Errorf("%s %s: %s answers something else than JSON (%w): is it a Sallyport, or a proxy before it?", q.method, path, r.base, err)
	}
	return res.Header, nil
}

// problemError is what the API answers instead (RFC 9457).
type problemError struct {
	Status    int            `json:"status"`
	Code      string         `json:"code"`
	Title     string         `json:"title"`
	Detail    string         `json:"detail"`
	Field     string         `json:"field"`
	RequestID string         `json:"requestId"`
	Errors    []problemFault `json:"errors"`
	UsedBy    []string       `json:"usedBy"`
	Owner     string         `json:"owner"`

	call string // what was asked
	hint string // what to do about it here
}

type problemFault struct {
	Pointer string `json:"pointer"`
	Field   string `json:"field"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

func (p *problemError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d %s: %s", p.call, p.Status, p.Code, cmp.Or(p.Detail, p.Title))
	if p.hint != "" {
		b.WriteString(" (" + p.hint + ")")
	}
	for _, f := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s (%s)", cmp.Or(f.Field, "body"), f.Detail, f.Code)
	}
	if p.RequestID != "" && p.Status >= 500 {
		fmt.Fprintf(&b, "\n  request id %s, which the server's log has", p.RequestID)
	}
	return b.String()
}

// maxProblem bounds what is read of an answer that says why not.
const maxProblem = 1 << 20

// problem makes an error of an answer, and closes it.
func (r *remote) problem(q remoteRequest, res *http.Response) error {
	defer res.Body.Close()
	path, _, _ := strings.Cut(q.path, "?")
	p := &problemError{call: q.method + " " + path}
	content, _ := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	switch err := json.Unmarshal(content, p); {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return fmt.Errorf("%s redirects to %q; give --url or SALLYPORT_URL the address that answers itself", r.base, res.Header.Get("Location"))
	case err != nil || p.Code == "":
		return fmt.Errorf("%s: %s answers %s and no problem document: is it a Sallyport, or a proxy before it?", p.call, r.base, res.Status)
	}
	p.Status = res.StatusCode
	if res.StatusCode == http.StatusUnauthorized {
		p.hint = "the key is from " + r.keyFrom
	}
	return p
}
