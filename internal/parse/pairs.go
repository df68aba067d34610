package parse

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// maxPairs is how many names and values a query or form may have, and maxParts how many
// parts a multipart body: more than any form has, and little enough to hold.
const (
	maxPairs = 20_000
	maxParts = 1_000
)

// pairs is a JSON object in the making: names in the order of their first appearance, the
// values of each as JSON.
type pairs struct {
	names  []string
	values map[string][][]byte
}

func (p *pairs) add(name string, value []byte) {
	if p.values == nil {
		p.values = make(map[string][][]byte)
	}
	if _, ok := p.values[name]; !ok {
		p.names = append(p.names, name)
	}
	p.values[name] = append(p.values[name], value)
}

// json writes the object. A name that is repeated has a list.
func (p *pairs) json() []byte {
	out := []byte{'{'}
	for i, name := range p.names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, name), ':')
		values := p.values[name]
		if len(values) > 1 {
			out = append(append(append(out, '['), bytes.Join(values, []byte{','})...), ']')
		} else {
			out = append(out, values[0]...)
		}
	}
	return append(out, '}')
}

// queryObject reads the parameters of the URL.
func (p *Parser) queryObject(in *input) ([]byte, error) {
	c := utf8Charset
	if p.encoding != nil {
		c = *p.encoding
	}
	return urlEncoded("the query", in.RawQuery, c)
}

// form reads a body of application/x-www-form-urlencoded.
func (p *Parser) form(in *input) ([]byte, error) {
	c, body, err := p.charset(in, nil)
	if err != nil {
		return nil, err
	}
	return urlEncoded("the form", string(bytes.TrimRight(body, "\r\n")), c)
}

func urlEncoded(what, raw string, c charset) ([]byte, error) {
	var out pairs
	count := 0
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if count++; count > maxPairs {
			return nil, malformed("%s has more than %d fields; send JSON instead", what, maxPairs)
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := unescape(what, name, c)
		if err != nil {
			return nil, err
		}
		if value, err = unescape(what, value, c); err != nil {
			return nil, err
		}
		out.add(name, appendString(nil, value))
	}
	return out.json(), nil
}

func unescape(what, s string, c charset) (string, error) {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return "", malformed("%s has a percent sign that begins no escape, in %q; write it as %%25", what, clip(s))
	}
	if c.codec != nil {
		text, err := c.decode([]byte(plain))
		return string(text), err
	}
	if !utf8.ValidString(plain) {
		return "", malformed("%s is not UTF-8, in %q; set parser.encoding to what it is written in (windows-1252, for example)", what, clip(s))
	}
	return plain, nil
}

// multipart reads a body of multipart/form-data.
func (p *Parser) multipart(in *input) ([]byte, error) {
	if !strings.HasPrefix(in.mediaType, "multipart/") {
		e := hook.Errorf(hook.KindUnsupportedMedia, "the content type is %q; this door reads multipart/form-data", clip(in.mediaType))
		e.Field = "Content-Type"
		return nil, e
	}
	if in.params["boundary"] == "" {
		return nil, malformed("the Content-Type has no boundary parameter; let the HTTP library set it")
	}
	var out pairs
	r := multipart.NewReader(bytes.NewReader(in.Body), in.params["boundary"])
	for n := 1; ; n++ {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) && (n > 1 || empty(in.Body, in.params["boundary"])) {
			return out.json(), nil
		}
		if err != nil {
			return nil, &hook.Error{Kind: hook.KindMalformedBody, Err: err,
				Detail: "part " + strconv.Itoa(n) + " of the multipart body cannot be read: the boundary line or the part's headers are missing or cut"}
		}
		if n > maxParts {
			return nil, malformed("the body has more than %d parts", maxParts)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, &hook.Error{Kind: hook.KindMalformedBody, Err: err,
				Detail: "part " + strconv.Itoa(n) + " of the multipart body does not end; the body was cut"}
		}
		value, err := p.part(part, data)
		if err != nil {
			return nil, err
		}
		out.add(strings.ToValidUTF8(part.FormName(), "\uFFFD"), value)
	}
}

// empty reports whether a multipart body in which no part was found has none: it is nothing,
// or closed at once. Of parts with another boundary the reader finds none either.
func empty(body []byte, boundary string) bool {
	return len(bytes.TrimSpace(body)) == 0 || bytes.Contains(body, []byte("--"+boundary+"--"))
}

// part is the JSON of one part: a string, or of what is a file, or neither text nor JSON,
// its description.
func (p *Parser) part(part *multipart.Part, data []byte) ([]byte, error) {
	contentType := part.Header.Get("Content-Type")
	media, params := mediaType(contentType)
	file := strings.ToValidUTF8(part.FileName(), "\uFFFD")
	if file != "" || !isText(media) {
		return blob(file, contentType, data), nil
	}
	c := utf8Charset
	if p.encoding != nil {
		c = *p.encoding
	} else if known, ok := charsetOf(params["charset"]); ok {
		c = known
	}
	text, err := c.decode(data)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, malformed("the field %q is not UTF-8; set parser.encoding to what it is written in (windows-1252, for example)", clip(part.FormName()))
	}
	return appendString(nil, text), nil
}

func isText(media string) bool {
	return media == "" || strings.HasPrefix(media, "text/") || isJSON(media) || isXML(media)
}

// blob describes bytes that are no text to us.
func blob(file, contentType string, data []byte) []byte {
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(data))+len(file)+len(contentType)+64)
	out = append(out, '{')
	if file != "" {
		out = append(appendString(append(out, `"filename":`...), file), ',')
	}
	out = appendString(append(out, `"contentType":`...), contentType)
	out = strconv.AppendInt(append(out, `,"size":`...), int64(len(data)), 10)
	out = base64.StdEncoding.AppendEncode(append(out, `,"base64":"`...), data)
	return append(out, `"}`...)
}
