package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// caller calls the API with one key. Every answer is held against the contract on its way.
type caller struct {
	t         *testing.T
	s         *server
	key       string
	id        string // of the key
	workspace string // sent as Sallyport-Workspace unless empty
}

// answer is what came back.
type answer struct {
	t      *testing.T
	asked  string
	status int
	header http.Header
	body   []byte
	value  any // of the body, once it was looked at
}

// call makes a call. body is nil, a text sent as it is, or what is encoded as JSON. headers are
// name, value, name, value; an empty value leaves the header out.
func (c *caller) call(method, path string, body any, headers ...string) *answer {
	c.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	case io.Reader:
		reader = b
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.s.url+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if c.workspace != "" {
		req.Header.Set("Sallyport-Workspace", c.workspace)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := c.s.client.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &answer{t: c.t, asked: method + " " + path, status: res.StatusCode, header: res.Header, body: got}
}

func (c *caller) get(path string, headers ...string) *answer {
	c.t.Helper()
	return c.call(http.MethodGet, path, nil, headers...)
}

func (c *caller) post(path string, body any, headers ...string) *answer {
	c.t.Helper()
	return c.call(http.MethodPost, path, body, headers...)
}

func (c *caller) put(path string, body any, headers ...string) *answer {
	c.t.Helper()
	return c.call(http.MethodPut, path, body, headers...)
}

func (c *caller) patch(path string, body any, headers ...string) *answer {
	c.t.Helper()
	return c.call(http.MethodPatch, path, body, append([]string{"Content-Type", "application/merge-patch+json"}, headers...)...)
}

func (c *caller) delete(path string, headers ...string) *answer {
	c.t.Helper()
	return c.call(http.MethodDelete, path, nil, headers...)
}

// in is the same caller in another test.
func (c *caller) in(t *testing.T) *caller {
	other := *c
	other.t = t
	return &other
}

// want fails the test unless the answer has this status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s answered %d, want %d\n%s", a.asked, a.status, status, a.body)
	}
	return a
}

// problem fails the test unless the answer is this problem.
func (a *answer) problem(status int, code string) *answer {
	a.t.Helper()
	if a.want(status); a.text("code") != code {
		a.t.Fatalf("%s answered %s, want %s\n%s", a.asked, a.text("code"), code, a.body)
	}
	return a
}

// fault fails the test unless the problem lists this fault.
func (a *answer) fault(pointer, code string) *answer {
	a.t.Helper()
	a.problem(http.StatusUnprocessableEntity, "validation_failed")
	faults, _ := a.at("errors").([]any)
	for _, f := range faults {
		if m, ok := f.(map[string]any); ok && m["pointer"] == pointer && m["code"] == code {
			return a
		}
	}
	a.t.Fatalf("%s does not list %s at %s\n%s", a.asked, code, pointer, a.body)
	return a
}

// says fails the test unless the problem's detail, or that of one of its faults, has this text.
func (a *answer) says(text string) *answer {
	a.t.Helper()
	all := a.text("detail")
	faults, _ := a.at("errors").([]any)
	for _, f := range faults {
		if m, ok := f.(map[string]any); ok {
			detail, _ := m["detail"].(string)
			all += "\n" + detail
		}
	}
	if !strings.Contains(all, text) {
		a.t.Fatalf("%s does not say %q\n%s", a.asked, text, a.body)
	}
	return a
}

// at is the value at a place such as data.0.id, nil if there is none. Numbers are json.Number.
func (a *answer) at(path string) any {
	a.t.Helper()
	if a.value == nil { // decoded once: lists have hundreds of rows
		d := json.NewDecoder(bytes.NewReader(a.body))
		d.UseNumber()
		if err := d.Decode(&a.value); err != nil {
			a.t.Fatalf("%s did not answer JSON: %v\n%s", a.asked, err, a.body)
		}
	}
	return at(a.value, path)
}

func at(v any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch c := v.(type) {
		case map[string]any:
			v = c[step]
		case []any:
			i, err := strconv.Atoi(step)
			if i < 0 && err == nil {
				i += len(c)
			}
			if err != nil || i < 0 || i >= len(c) {
				return nil
			}
			v = c[i]
		default:
			return nil
		}
	}
	return v
}

// text is the value at a place as text: of a string its content, "" for null and nothing.
func (a *answer) text(path string) string {
	a.t.Helper()
	switch v := a.at(path).(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		encoded, err := json.Marshal(v)
		if err != nil {
			a.t.Fatal(err)
		}
		return string(encoded)
	}
}

// number is the whole number at a place.
func (a *answer) number(path string) int {
	a.t.Helper()
	n, err := strconv.Atoi(a.text(path))
	if err != nil {
		a.t.Fatalf("%s: %s is %q, not a whole number\n%s", a.asked, path, a.text(path), a.body)
	}
	return n
}

// has fails the test unless the value at each place, as text, is the one given:
// place, value, place, value.
func (a *answer) has(pairs ...string) *answer {
	a.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := a.text(pairs[i]); got != pairs[i+1] {
			a.t.Errorf("%s: %s is %q, want %q\n%s", a.asked, pairs[i], got, pairs[i+1], a.body)
		}
	}
	return a
}

// heads fails the test unless each header is the one given, "" for none.
func (a *answer) heads(pairs ...string) *answer {
	a.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := a.header.Get(pairs[i]); got != pairs[i+1] {
			a.t.Errorf("%s: header %s is %q, want %q", a.asked, pairs[i], got, pairs[i+1])
		}
	}
	return a
}

// list is the value of a field of every row of a list.
func (a *answer) list(field string) []string {
	a.t.Helper()
	rows, ok := a.at("data").([]any)
	if !ok {
		a.t.Fatalf("%s did not answer a list\n%s", a.asked, a.body)
	}
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = a.text("data." + strconv.Itoa(i) + "." + field)
	}
	return out
}

// at0 is the answer as an object.
func (a *answer) at0() doc {
	a.t.Helper()
	var d doc
	if err := json.Unmarshal(a.body, &d); err != nil {
		a.t.Fatalf("%s did not answer an object: %v", a.asked, err)
	}
	return d
}

// keyOf is the id of a caller's own key.
func keyOf(c *caller) string { return c.id }

// basicAuth reads the credentials of a request as it was received.
func basicAuth(h http.Header) (user, password string, ok bool) {
	return (&http.Request{Header: h}).BasicAuth()
}
