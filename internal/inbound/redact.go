package inbound

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// redact takes credentials out of a call's headers and query. Headers of one name keep the
// order of their values; that of different names is lost before we see them.
func (h *hidden) redact(c *hook.DoorCall) (headers []hook.HeaderField, rawQuery string, out []hook.HiddenValue) {
	headers = make([]hook.HeaderField, 0, len(c.Header)+1)
	names := make([]string, 0, 32) // more than most calls have
	for name := range c.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range c.Header[name] {
			if h.header(name) {
				out = append(out, hook.HiddenValue{In: "header", Name: name, Value: hook.Sensitive(v)})
				headers = append(headers, hook.HeaderField{Name: name, Redacted: true})
				continue
			}
			headers = append(headers, hook.HeaderField{Name: name, Value: v})
		}
	}
	rawQuery = c.RawQuery
	if len(h.query) == 0 || rawQuery == "" {
		return headers, rawQuery, out
	}
	pairs := strings.Split(rawQuery, "&")
	for i, pair := range pairs {
		raw, value, _ := strings.Cut(pair, "=")
		if name := unescape(raw); h.query[name] || h.query[bracketless(name)] {
			out = append(out, hook.HiddenValue{In: "query", Name: raw, Value: hook.Sensitive(value)})
			pairs[i] = raw + "=" + hook.HiddenMark
		}
	}
	return headers, strings.Join(pairs, "&"), out
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
		if v.In == "header" {
			headers = append(headers, v)
		} else {
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
