package send

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
	"sallyport/internal/signature"
)

// target is a webhook made ready to be sent to. It belongs to one *hook.Webhook, which does
// not change.
type target struct {
	webhook  *hook.Webhook
	compiled *profile.Compiled
	request  *http.Request // what all its requests have in common
	text     string        // the URL without its fragment, which is not sent
	host     string        // value of the Host header
	success  []span
	secrets  []string // to be redacted, longest first
	err      error
}

// span is an inclusive range of status codes.
type span struct{ from, to int }

func newTarget(w *hook.Webhook, userAgent string) *target {
	t := &target{webhook: w, compiled: profile.Compile(w, userAgent), secrets: secretsOf(w)}
	t.err = errors.Join(t.compiled.Err(), t.readURL(w.Method, w.URL), checkHeaders(w.Headers))
	codes := w.SuccessCodes
	if len(codes) == 0 {
		d, _ := profile.DefaultsOf(cmp.Or(w.Profile, "default"))
		codes = d.SuccessCodes
	}
	t.success = spansOf(codes)
	return t
}

func (t *target) readURL(method, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("the URL cannot be read") // err would show it
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the URL must begin with http:// or https://, not %q", u.Scheme)
	case u.Host == "" || u.Hostname() == "":
		return errors.New("the URL has no host")
	case u.User != nil:
		return errors.New("the URL holds credentials; use basicAuth")
	}
	u.Fragment, u.RawFragment = "", ""
	t.text, _, _ = strings.Cut(text, "#")
	u.RawQuery = escapeQuery(u.RawQuery) // not in the text, where secrets are looked for as they are
	t.host = u.Host
	t.request = &http.Request{Method: cmp.Or(method, http.MethodPost), URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if ascii, err := httpguts.PunycodeHostPort(u.Host); err == nil {
		t.host = ascii
	}
	return nil
}

// escapeQuery encodes what cannot stand in a request's first line. It comes from templates
// that put a value there as it is; net/http would send it so.
func escapeQuery(query string) string {
	var b strings.Builder
	for _, c := range []byte(query) {
		if c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// checkHeaders looks for what net/http would refuse; saving refuses it too.
func checkHeaders(headers []hook.Header) error {
	for _, h := range headers {
		if !httpguts.ValidHeaderFieldName(h.Name) {
			return fmt.Errorf("custom header %q has an impossible name", h.Name)
		}
		if !httpguts.ValidHeaderFieldValue(string(h.Value)) {
			return fmt.Errorf("custom header %q has an impossible value", h.Name)
		}
	}
	return nil
}

func spansOf(codes []string) []span {
	var list []span
	for _, c := range codes {
		if s, ok := parseSpan(c); ok {
			list = append(list, s)
		}
	}
	return list
}

// parseSpan reads "2xx" or "204".
func parseSpan(code string) (span, bool) {
	if len(code) != 3 {
		return span{}, false
	}
	if class, ok := strings.CutSuffix(strings.ToLower(code), "xx"); ok {
		code = class + "00"
		n, err := strconv.Atoi(code)
		return span{n, n + 99}, err == nil && n >= 100
	}
	n, err := strconv.Atoi(code)
	return span{n, n}, err == nil && n >= 100
}

func (t *target) succeeded(status int) bool {
	return slices.ContainsFunc(t.success, func(s span) bool { return s.from <= status && status <= s.to })
}

// secretsOf lists the values that must not be recorded.
func secretsOf(w *hook.Webhook) []string {
	var list []string
	add := func(s string) { list = append(list, s) }
	for _, s := range w.Secrets {
		add(string(s.Value))
		if encoded, ok := strings.CutPrefix(string(s.Value), signature.StandardPrefix); ok {
			add(encoded)
		}
	}
	if w.BasicAuth != nil {
		add(string(w.BasicAuth.Password))
		add(base64.StdEncoding.EncodeToString([]byte(w.BasicAuth.Username + ":" + string(w.BasicAuth.Password))))
	}
	for _, h := range w.Headers {
		if !h.Secret {
			continue
		}
		value := strings.TrimSpace(string(h.Value))
		add(value)
		if i := strings.LastIndexByte(value, ' '); i >= 0 {
			add(value[i+1:])
		}
	}
	return longestFirst(list)
}
