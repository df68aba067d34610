package inbound

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
)

// redact takes credentials out of a call's headers and query: those that are hidden by name,
// and those that hold one of the secrets. Headers of one name keep the order of their values;
// that of different names is lost before we see them.
func (h *hidden) redact(c *hook.DoorCall, secrets []hook.NamedSecret) (headers []hook.HeaderField, rawQuery string, out []hook.HiddenValue) {
	headers = make([]hook.HeaderField, 0, len(c.Header)+1)
	names := make([]string, 0, 32) // more than most calls have
	for name := range c.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range c.Header[name] {
			if h.header(name) || holds(v, secrets) {
				out = append(out, hook.HiddenValue{In: "header", Name: name, Value: hook.Sensitive(v)})
				headers = append(headers, hook.HeaderField{Name: name, Redacted: true})
				continue
			}
			headers = append(headers, hook.HeaderField{Name: name, Value: v})
		}
	}
	rawQuery = c.RawQuery
	if len(h.query) == 0 && len(secrets) == 0 || rawQuery == "" {
		return headers, rawQuery, out
	}
	pairs := strings.Split(rawQuery, "&")
	for i, pair := range pairs {
		raw, value, _ := strings.Cut(pair, "=")
		if name := unescape(raw); h.query[name] || h.query[bracketless(name)] || holds(unescape(value), secrets) {
			out = append(out, hook.HiddenValue{In: "query", Name: raw, Value: hook.Sensitive(value)})
			pairs[i] = raw + "=" + hook.HiddenMark
		}
	}
	return headers, strings.Join(pairs, "&"), out
}

// shortestHidden is how long a secret must be to be looked for wherever it may stand: shorter
// ones stand in too many places.
const shortestHidden = 8

// holds reports whether a text has one of the secrets in it.
func holds(text string, secrets []hook.NamedSecret) bool {
	for i := range secrets {
		if v := string(secrets[i].Value); len(v) >= shortestHidden && strings.Contains(text, v) {
			return true
		}
	}
	return false
}

// stored is the request as it will be kept. A condition may have compared any header or
// parameter with a secret, so that those that hold one are hidden now that the checks are made.
func (j *judged) stored() hook.Request {
	r := *j.recorded()
	secrets := j.door.Secrets
	shown := holds(unescape(r.RawQuery), secrets)
	for i := range r.Headers {
		shown = shown || holds(r.Headers[i].Value, secrets)
	}
	if shown {
		r.Headers, r.RawQuery, r.Hidden = j.door.hide.redact(j.call, secrets)
		r.Hidden = append(r.Hidden, j.secrets...)
	}
	return r
}

// redactBody takes credentials out of a body: wherever the value of a field that carries one
// stands in it.
func (h *hidden) redactBody(c *hook.DoorCall, raw []byte) (body []byte, out []hook.HiddenValue) {
	if len(h.body) == 0 || len(raw) == 0 {
		return raw, nil
	}
	r := preset.Request{Method: c.Method, Header: c.Header, Body: raw}
	body = raw
	for _, field := range h.body {
		value, err := r.Field(field)
		if err != nil || value == "" || value == hook.HiddenMark {
			continue
		}
		out = append(out, hook.HiddenValue{In: "body", Name: field, Value: hook.Sensitive(value)})
		for _, spelling := range spellings(value) {
			body = bytes.ReplaceAll(body, []byte(spelling), []byte(hook.HiddenMark))
		}
	}
	return body, out
}

// withoutSecrets is what went wrong with a template without the values of secrets, which
// errors may quote.
func withoutSecrets(text string, secrets []hook.NamedSecret) string {
	for _, s := range secrets {
		if s.Value != "" {
			text = strings.ReplaceAll(text, string(s.Value), hook.HiddenMark)
		}
	}
	return text
}

// spellings are how a value may stand in JSON and in a form; the first is that of JSON.
func spellings(value string) []string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(value) // text always can be
	quoted := strings.TrimSuffix(b.String(), "\n")
	return []string{quoted[1 : len(quoted)-1], value, url.QueryEscape(value)}
}

// restoreBody puts credentials back into the body of a recorded request.
func restoreBody(r *hook.Request) []byte {
	body := r.Body.Bytes
	for _, v := range r.Hidden {
		if v.In != "body" {
			continue
		}
		spelling := url.QueryEscape(string(v.Value))
		if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
			spelling = spellings(string(v.Value))[0]
		}
		body = bytes.Replace(body, []byte(hook.HiddenMark), []byte(spelling), 1)
	}
	return body
}

// bracketless is the name of a list in PHP's spelling: hash[] is hash.
func bracketless(name string) string {
	base, _, _ := strings.Cut(name, "[")
	return base
}

// restore is the call that was recorded, with its credentials, for a later verdict. Its
// path is the public one, also where the base URL has a path.
func restore(r *hook.Request, origin string) *hook.DoorCall {
	c := &hook.DoorCall{ID: r.ID, Code: r.Code, Method: r.Method, Path: r.Path, Header: http.Header{}, Hops: r.Hops, Forwarded: r.ForwardedBy}
	var headers, query []hook.HiddenValue
	for _, v := range r.Hidden {
		switch v.In {
		case "header":
			headers = append(headers, v)
		case "query":
			query = append(query, v)
		}
	}
	for _, h := range r.Headers {
		value := h.Value
		if h.Redacted && len(headers) > 0 {
			value, headers = string(headers[0].Value), headers[1:]
		}
		c.Header[h.Name] = append(c.Header[h.Name], value)
	}
	pairs := strings.Split(r.RawQuery, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if value == hook.HiddenMark && len(query) > 0 && query[0].Name == name {
			pairs[i] = name + "=" + string(query[0].Value)
			query = query[1:]
		}
	}
	c.RawQuery = strings.Join(pairs, "&")
	c.URL = publicURL(origin, c.Path, c.RawQuery)
	return c
}

func publicURL(origin, path, rawQuery string) string {
	if rawQuery == "" {
		return origin + path
	}
	return origin + path + "?" + rawQuery
}
