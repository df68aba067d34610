package preset

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

type kind uint8

const (
	literal kind = iota
	body
	timestamp
	id
	method
	fullURL
	urlOtherPort
	urlDecoded
	queryParameter
	header
	bodyField
	form
	ownHMAC // in answers to handshakes
	twig    // a template that the caller renders
)

// part is a piece of content: literal text, or what stands for a placeholder.
type part struct {
	kind kind
	text []byte // of a literal
	name string // of a parameter, header or field
}

// placeholders without a name behind a colon, and those that need one.
var (
	plain = map[string]kind{"body": body, "timestamp": timestamp, "id": id, "method": method, "url": fullURL,
		"url:port": urlOtherPort, "url:decoded": urlDecoded, "form": form, "hmac": ownHMAC}
	named = map[string]kind{"query": queryParameter, "header": header, "body": bodyField}
)

const known = "{body}, {timestamp}, {id}, {method}, {url}, {url:port}, {url:decoded}, {form}, {query:NAME}, {header:NAME} or {body:PATH}"

// parse splits text at its placeholders. A brace that no letter follows is text, so that JSON
// can be written; an unknown word in braces is an error: it is a typing mistake that would
// go unnoticed until every request is refused.
//
// Text with the delimiters of Twig is a template as a whole.
func parse(text string) ([]part, error) {
	if strings.Contains(text, "{{") || strings.Contains(text, "{%") {
		return []part{{kind: twig, text: []byte(text)}}, nil
	}
	var parts []part
	start := 0
	flush := func(end int) {
		if end > start {
			parts = append(parts, part{text: []byte(text[start:end])})
		}
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '{' || i+1 == len(text) || !isLetter(text[i+1]) {
			continue
		}
		length := strings.IndexAny(text[i+1:], "{}")
		if length < 0 || text[i+1+length] == '{' {
			return nil, fmt.Errorf("%q has no closing brace", text[i:])
		}
		word := text[i+1 : i+1+length]
		p, err := placeholder(word)
		if err != nil {
			return nil, err
		}
		flush(i)
		parts = append(parts, p)
		i += length + 1
		start = i + 1
	}
	flush(len(text))
	return parts, nil
}

func placeholder(word string) (part, error) {
	if k, ok := plain[word]; ok {
		return part{kind: k}, nil
	}
	if kindName, name, ok := strings.Cut(word, ":"); ok && name != "" {
		if k, ok := named[kindName]; ok {
			if k == header {
				name = http.CanonicalHeaderKey(name)
			}
			return part{kind: k, name: name}, nil
		}
	}
	return part{}, fmt.Errorf("unknown placeholder {%s}; use %s", word, known)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func has(parts []part, kinds ...kind) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return slices.Contains(kinds, p.kind) })
}

// source is the request that content is made of, with what its verification found out.
type source struct {
	*Request
	idHeader string
	stamp    string
	digested bool // the body agrees with its digest in the URL, so it is not signed as a form
	hmac     string
}

// text returns what stands for a placeholder. The error says what the request lacks.
func (s *source) text(p part) (string, error) {
	var value string
	var err error
	var what string
	switch p.kind {
	case timestamp:
		return s.stamp, nil
	case method:
		return s.Method, nil
	case fullURL:
		return s.URL, nil
	case urlOtherPort:
		return otherPort(s.URL), nil
	case urlDecoded:
		return decodeSome(s.URL), nil
	case ownHMAC:
		return s.hmac, nil
	case twig:
		if s.Render == nil {
			return "", errors.New("templates cannot be rendered here")
		}
		rendered, err := s.Render(string(p.text))
		if err != nil {
			return "", fmt.Errorf("the signed content cannot be rendered: %w", err)
		}
		return rendered, nil
	case id:
		what = "header " + s.idHeader
		value, err = one(s.Header[s.idHeader])
	case header:
		what = "header " + p.name
		value, err = one(s.Header[p.name])
	case queryParameter:
		what = "query parameter " + p.name
		value, err = one(s.queryValues(p.name))
	case bodyField:
		what = "body field " + p.name
		value, err = s.Field(p.name)
	case form:
		if s.digested {
			return "", nil
		}
		return s.sortedForm()
	default:
		return string(p.text), nil
	}
	if err != nil {
		return "", fmt.Errorf("the signed %s %w", what, err)
	}
	return value, nil
}

// write hands the content to a hash piece by piece.
func (s *source) write(to interface{ Write([]byte) (int, error) }, parts []part) error {
	for _, p := range parts {
		switch p.kind {
		case literal:
			to.Write(p.text) //nolint:errcheck // hashes and buffers do not fail
		case body:
			to.Write(s.Body) //nolint:errcheck // as above
		default:
			text, err := s.text(p)
			if err != nil {
				return err
			}
			to.Write([]byte(text)) //nolint:errcheck // as above
		}
	}
	return nil
}

// bytes is the content as a whole, for algorithms that do not work piece by piece.
func (s *source) bytes(parts []part) ([]byte, error) {
	if len(parts) == 1 && parts[0].kind == body {
		return s.Body, nil
	}
	var b bytes.Buffer
	if err := s.write(&b, parts); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// sortedForm is each key with each of its different values, both sorted, as Twilio signs
// them. A body that is no form would go unsigned: it is an error.
func (r *Request) sortedForm() (string, error) {
	if len(r.Body) == 0 {
		return "", nil
	}
	if r.mediaType() != "application/x-www-form-urlencoded" {
		return "", errors.New("the body is no form, so the signature does not cover it")
	}
	values := r.formValues()
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, key := range keys {
		sorted := slices.Clone(values[key])
		slices.Sort(sorted)
		for _, value := range slices.Compact(sorted) {
			b.WriteString(key)
			b.WriteString(value)
		}
	}
	return b.String(), nil
}

// otherPort adds the scheme's own port to a URL, or removes the port that is there: some
// senders sign it and some do not.
func otherPort(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	scheme, rest, _ := strings.Cut(address, "://")
	tail := rest[strings.Index(rest, u.Host)+len(u.Host):]
	switch {
	case u.Port() != "":
		return scheme + "://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + tail
	case scheme == "https":
		return scheme + "://" + u.Host + ":443" + tail
	}
	return scheme + "://" + u.Host + ":80" + tail
}

// The escapes that HubSpot undoes before it signs a URL.
var undone = strings.NewReplacer("%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'",
	"%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";",
	"%3a", ":", "%2f", "/", "%3f", "?", "%2a", "*", "%2c", ",", "%3b", ";")

func decodeSome(address string) string { return undone.Replace(address) }
