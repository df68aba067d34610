package preset

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Request is what hit a door. URL is the public URL as the sender used it: base URL, path
// and raw query. What is parsed, is parsed once and only if a verification asks for it.
// Not safe for concurrent use.
type Request struct {
	Method   string
	URL      string
	Header   http.Header
	RawQuery string
	Body     []byte
	Now      time.Time
	// Render renders content that is a template; nil: none can be.
	Render func(source string) (string, error)

	query  url.Values
	media  string
	params map[string]string
	form   url.Values
	formed bool
}

var (
	errAbsent    = errors.New("is absent")
	errAmbiguous = errors.New("is there more than once with different values")
)

// one returns the value that all values are.
func one(values []string) (string, error) {
	if len(values) == 0 {
		return "", errAbsent
	}
	for _, v := range values[1:] {
		if v != values[0] {
			return "", errAmbiguous
		}
	}
	return values[0], nil
}

func (r *Request) queryValues(name string) []string {
	if r.query == nil {
		// Pairs that cannot be decoded are left out; the others are there.
		r.query, _ = url.ParseQuery(r.RawQuery)
		if r.query == nil {
			r.query = url.Values{}
		}
	}
	return r.query[name]
}

// mediaType is the body's, "" if the request does not say.
func (r *Request) mediaType() string {
	if r.media == "" {
		r.media, r.params, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	}
	return r.media
}

// formValues are the fields of a form body, nil if the body is none. Files are left out.
func (r *Request) formValues() url.Values {
	if r.formed {
		return r.form
	}
	r.formed = true
	switch r.mediaType() {
	case "application/x-www-form-urlencoded":
		r.form, _ = url.ParseQuery(string(r.Body))
	case "multipart/form-data":
		r.form = url.Values{}
		parts := multipart.NewReader(bytes.NewReader(r.Body), r.params["boundary"])
		for range maxFields {
			part, err := parts.NextPart()
			if err != nil {
				break
			}
			if part.FileName() != "" {
				continue
			}
			value, err := io.ReadAll(part)
			if err != nil {
				break
			}
			r.form.Add(part.FormName(), string(value))
		}
	}
	return r.form
}

// maxFields bounds how many parts of a multipart body are looked at for a signature.
const maxFields = 1000

// Field returns the text of a field of the body. In JSON, strings are decoded and other
// values are as they were written.
func (r *Request) Field(path string) (string, error) {
	if form := r.formValues(); form != nil {
		return one(form[path])
	}
	raw := json.RawMessage(r.Body)
	for name := range strings.SplitSeq(path, ".") {
		raw = bytes.TrimLeft(raw, " \t\r\n")
		if len(raw) == 0 {
			return "", errAbsent
		}
		switch raw[0] {
		case '{':
			var object map[string]json.RawMessage
			if json.Unmarshal(raw, &object) != nil {
				return "", errAbsent
			}
			next, ok := object[name]
			if !ok {
				return "", errAbsent
			}
			raw = next
		case '[':
			var list []json.RawMessage
			index, err := strconv.Atoi(name)
			if err != nil || json.Unmarshal(raw, &list) != nil || index < 0 || index >= len(list) {
				return "", errAbsent
			}
			raw = list[index]
		default:
			return "", errAbsent
		}
	}
	if raw[0] != '"' {
		return string(raw), nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", errAbsent
	}
	return text, nil
}
