package parse

import (
	"encoding/json"
	"iter"
	"mime"
	"strings"
	"sync"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// maxOutput bounds the JSON of all items together: a table with long column names and
// empty fields, or an expression that selects nested elements, could make much of little.
const maxOutput = 256 << 20

// maxSkipped is how many of the items that were left out are told with their reason.
const maxSkipped = 100

// Input is what there is to parse. Body must not change while its Result is in use.
type Input struct {
	ContentType string
	RawQuery    string // without the question mark
	Body        []byte // decompressed
}

type input struct {
	Input
	mediaType string
	params    map[string]string
}

// Skipped is an item that was left out.
type Skipped struct {
	Row    int // of the data, from 1
	Line   int // of the body, from 1
	Reason string
}

// Result is a parsed body. It is safe for concurrent use.
type Result struct {
	Kind         string    // what the body was read as, never auto
	Count        int       // of items
	Skipped      []Skipped // the first hundred that were left out
	SkippedCount int

	body func() []byte
	each func(from, to int, yield func(int, json.RawMessage) bool)
}

// BodyJSON is the whole parsed body, the request.body of templates. It is made at the
// first call and kept: of a large table it costs several times the table.
func (r *Result) BodyJSON() json.RawMessage { return r.body() }

// Items goes through the items from ≤ index < to with their indexes; to < 0 means all that
// follow. The same body has the same items under the same indexes each time it is parsed.
// Each is made when it is its turn, and may share memory with the body.
func (r *Result) Items(from, to int) iter.Seq2[int, json.RawMessage] {
	if to < 0 || to > r.Count {
		to = r.Count
	}
	from = max(from, 0)
	return func(yield func(int, json.RawMessage) bool) {
		if from < to {
			r.each(from, to, yield)
		}
	}
}

// Parse checks the body and counts its items without making them. What is wrong with it is
// told as a hook.Error of KindMalformedBody, KindTooManyItems, KindTooLarge or
// KindUnsupportedMedia.
func (p *Parser) Parse(input Input) (*Result, error) {
	in := p.prepare(input)
	kind := p.kind(in)
	r, err := p.read(in, kind)
	if err != nil {
		return nil, err
	}
	r.Kind = kind
	return r, nil
}

func (p *Parser) prepare(i Input) *input {
	in := &input{Input: i}
	in.mediaType, in.params = mediaType(i.ContentType)
	return in
}

// mediaType reads a Content-Type as far as it can be read.
func mediaType(header string) (string, map[string]string) {
	if header == "application/json" { // most calls
		return header, nil
	}
	media, params, err := mime.ParseMediaType(header)
	if err != nil {
		media, _, _ = strings.Cut(header, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	return media, params
}

func isJSON(media string) bool {
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

func isXML(media string) bool {
	return media == "application/xml" || media == "text/xml" || strings.HasSuffix(media, "+xml")
}

// kind is what the body is read as.
func (p *Parser) kind(in *input) string {
	if p.conf.Type != hook.ParserAuto {
		return p.conf.Type
	}
	media := in.mediaType
	switch {
	case len(in.Body) == 0:
		return hook.ParserQuery
	case media == "":
		if body, ok := plain(in.Body); ok && json.Valid(body) {
			return hook.ParserJSON
		} else if ok {
			return hook.ParserText
		}
		return hook.ParserBinary
	case isJSON(media):
		return hook.ParserJSON
	case isXML(media):
		return hook.ParserXML
	case media == "application/x-www-form-urlencoded":
		if body := trimJSON(in.Body); len(body) > 0 && (body[0] == '{' || body[0] == '[') && json.Valid(body) {
			return hook.ParserJSON
		}
		return hook.ParserForm
	case media == "multipart/form-data":
		return hook.ParserMultipart
	case media == "text/csv", media == "application/csv", media == "text/comma-separated-values", media == "text/tab-separated-values":
		return hook.ParserCSV
	case strings.HasPrefix(media, "text/"):
		return hook.ParserText
	}
	return hook.ParserBinary
}

// plain is the text of a body that does not say what it is, if it looks like text.
func plain(body []byte) ([]byte, bool) {
	c, mark := marked(body)
	text, err := c.decode(body[mark:])
	return text, err == nil && utf8.Valid(text)
}

func (p *Parser) read(in *input, kind string) (*Result, error) {
	var body []byte
	var err error
	switch kind {
	case hook.ParserCSV:
		return p.csv(in)
	case hook.ParserXML:
		return p.xml(in)
	case hook.ParserQuery:
		body, err = p.queryObject(in)
	case hook.ParserForm:
		body, err = p.form(in)
	case hook.ParserMultipart:
		body, err = p.multipart(in)
	case hook.ParserJSON:
		if body, err = p.jsonText(in); err != nil {
			return nil, err
		}
		if err := checkJSON(body); err != nil {
			return nil, err
		}
		body = trimJSON(body)
		if p.query == nil && p.conf.Split && body[0] == '[' {
			return p.list(body)
		}
	case hook.ParserText:
		var text []byte
		if text, err = p.text(in); err == nil {
			body = appendString(nil, text)
		}
	default:
		body = blob("", in.ContentType, in.Body)
	}
	if err != nil {
		return nil, err
	}
	if p.query != nil && kind != hook.ParserText && kind != hook.ParserBinary {
		return p.selected(body)
	}
	return single(body), nil
}

// jsonText is the JSON document as UTF-8. JSON that is UTF-8 stays so whatever the charset
// parameter says, which JSON does not have.
func (p *Parser) jsonText(in *input) ([]byte, error) {
	if _, mark := marked(in.Body); mark == 0 && p.encoding == nil && utf8.Valid(in.Body) {
		return in.Body, nil
	}
	c, body, err := p.charset(in, nil)
	if err != nil {
		return nil, err
	}
	return c.decode(body)
}

func (p *Parser) text(in *input) ([]byte, error) {
	c, body, err := p.charset(in, nil)
	if err != nil {
		return nil, err
	}
	text, err := c.decode(body)
	if err == nil && !utf8.Valid(text) {
		err = invalidUTF8(text, "the body")
	}
	return text, err
}

// single is the result that has one item, which is there already.
func single(body []byte) *Result {
	return &Result{
		Count: 1, body: func() []byte { return body },
		each: func(_, _ int, yield func(int, json.RawMessage) bool) { yield(0, body) },
	}
}

// whole is the result that has one item, which is made when it is asked for.
func whole(body func() []byte) *Result {
	body = sync.OnceValue(body)
	return &Result{Count: 1, body: body, each: func(_, _ int, yield func(int, json.RawMessage) bool) { yield(0, body()) }}
}

// list is the result of a JSON list.
func (p *Parser) list(body []byte) (*Result, error) {
	spans := elements(body, p.conf.MaxItems)
	if err := p.bounded(len(spans)); err != nil {
		return nil, err
	}
	return &Result{
		Count: len(spans),
		body:  func() []byte { return body },
		each: func(from, to int, yield func(int, json.RawMessage) bool) {
			for i := from; i < to; i++ {
				if s := spans[i]; !yield(i, body[s.from:s.to:s.to]) {
					return
				}
			}
		},
	}, nil
}

// bounded refuses too many items.
func (p *Parser) bounded(count int) error {
	if count <= p.conf.MaxItems {
		return nil
	}
	e := hook.Errorf(hook.KindTooManyItems, "the body has more than %d items; send fewer at a time, or raise parser.maxItems", p.conf.MaxItems)
	e.Field = "parser.maxItems"
	return e
}

// tooMuch is the error of items that are larger than maxOutput together.
func tooMuch() error {
	return hook.Errorf(hook.KindTooLarge, "the items made of the body are larger than %d MiB together; send it in parts", maxOutput>>20)
}
