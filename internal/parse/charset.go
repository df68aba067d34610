package parse

import (
	"bytes"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"

	"sallyport/internal/hook"
)

// charset is an encoding of text; codec is nil for UTF-8.
type charset struct {
	name  string
	codec encoding.Encoding
}

var utf8Charset = charset{name: "utf-8"}

// charsetOf finds an encoding by its WHATWG name (there iso-8859-1 is windows-1252, as it is
// in practice), else by its IANA name (IBM850 and others from before the web).
func charsetOf(name string) (charset, bool) {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	// Old names that Windows programs give to code pages, which neither register has.
	if number, ok := strings.CutPrefix(name, "cp"); ok && !strings.HasPrefix(name, "cp125") {
		name = "ibm" + number
	}
	if e, err := htmlindex.Get(name); err == nil {
		canonical, _ := htmlindex.Name(e)
		switch canonical {
		case "utf-8":
			return utf8Charset, true
		case "replacement": // by definition decodes to nothing
			return charset{}, false
		}
		return charset{name: canonical, codec: e}, true
	}
	if e, err := ianaindex.IANA.Encoding(name); err == nil && e != nil {
		return charset{name: name, codec: e}, true
	}
	return charset{}, false
}

// marked finds the byte order mark that data begins with.
func marked(data []byte) (c charset, mark int) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return utf8Charset, 3
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return charset{"utf-16le", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)}, 2
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return charset{"utf-16be", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)}, 2
	}
	return utf8Charset, 0
}

// decode makes UTF-8 of the bytes. Those of UTF-8 itself are left as they are, valid or
// not; what another encoding does not know becomes U+FFFD.
func (c charset) decode(data []byte) ([]byte, error) {
	if c.codec == nil {
		return data, nil
	}
	out, err := c.codec.NewDecoder().Bytes(data)
	if err != nil {
		return nil, &hook.Error{Kind: hook.KindMalformedBody, Detail: "the body cannot be read as " + c.name, Err: err}
	}
	return out, nil
}

// charset decides what the text of a body is written in: a byte order mark is right where
// there is one, then counts what was configured, then the charset parameter, then fallback.
func (p *Parser) charset(in *input, fallback func() (charset, error)) (charset, []byte, error) {
	if c, mark := marked(in.Body); mark > 0 {
		return c, in.Body[mark:], nil
	}
	if p.encoding != nil {
		return *p.encoding, in.Body, nil
	}
	if name := in.params["charset"]; name != "" {
		c, ok := charsetOf(name)
		if !ok {
			e := hook.Errorf(hook.KindUnsupportedMedia, "the charset %q is not known; send UTF-8, or set parser.encoding", clip(name))
			e.Field = "Content-Type"
			return c, nil, e
		}
		return c, in.Body, nil
	}
	if fallback != nil {
		c, err := fallback()
		return c, in.Body, err
	}
	return utf8Charset, in.Body, nil
}

// clip keeps what callers sent from filling our messages.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
