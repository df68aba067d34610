package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"sallyport/internal/template"
)

// document renders JSON: a JSON value of the configuration whose texts are templates, or one
// template whose text is JSON.
type document struct {
	field string
	whole bool // the event's entity, byte for byte
	root  node
	text  bool // the root is a template for JSON text
}

// document reads a field that is JSON. Left out, it is the item as it came.
func (s *settings) document(name string) *document {
	d := &document{field: s.field(name)}
	raw := s.raw(name)
	if raw == nil {
		d.whole = true
		return d
	}
	d.root = s.b.node(d.field, raw)
	if leaf, ok := d.root.(*leaf); ok {
		d.text = true
		d.whole = isItem(leaf.source)
	}
	return d
}

// isItem reports whether a template is no more than the event's entity.
func isItem(source string) bool {
	inner := strings.Join(strings.Fields(source), "")
	return inner == "{{item}}" || inner == "{{event.entity}}" || inner == "{{item|json_encode|raw}}" || inner == "{{item|json_encode}}"
}

// render returns the JSON; nil if it is the item and the event has none.
func (d *document) render(c *call) ([]byte, error) {
	if d.whole {
		return c.scene.event.Entity, nil
	}
	if !d.text {
		return d.root.render(c)
	}
	l := d.root.(*leaf)
	if l.expression != nil {
		v, err := l.eval(c)
		if err != nil {
			return nil, err
		}
		if s, ok := v.(string); ok {
			return checkJSON(d.field, s)
		}
		return encode(d.field, v)
	}
	s, err := l.text.render(c)
	if err != nil {
		return nil, err
	}
	return checkJSON(d.field, s)
}

// checkJSON makes sure that rendered text is one JSON value.
func checkJSON(field, s string) ([]byte, error) {
	text := []byte(strings.TrimSpace(s))
	if len(text) == 0 {
		return nil, bad(field, "the template renders nothing, which is not JSON")
	}
	if json.Valid(text) {
		return text, nil
	}
	line, column := 1, 1
	var v any
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, &v); errors.As(err, &syntax) {
		before := text[:max(0, min(int(syntax.Offset)-1, len(text)))]
		line = 1 + bytes.Count(before, []byte("\n"))
		column = 1 + len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:])))
	}
	return nil, bad(field, "what the template renders is not JSON at line %d, column %d", line, column)
}

func encode(field string, v any) ([]byte, error) {
	out, err := template.EncodeJSON(v)
	if err != nil {
		return nil, badAt(field, err)
	}
	return out, nil
}

// node is a part of a document.
type node interface {
	render(c *call) ([]byte, error)
}

// constant is JSON without templates.
type constant []byte

func (n constant) render(*call) ([]byte, error) { return n, nil }

// leaf is text of a document. One that is exactly one expression keeps the type of its value.
type leaf struct {
	*text
	expression *template.Expression
	number     bool // the source is a JSON number
}

// eval gives the value of a leaf that is one expression.
func (n *leaf) eval(c *call) (any, error) {
	v, err := n.expression.Eval(c.values, c.scene.options())
	if err != nil {
		// The whole template fails likewise, and knows the place in what was written.
		if _, whole := n.text.render(c); whole != nil {
			return nil, whole
		}
		return nil, badAt(n.field, err)
	}
	return v, nil
}

func (n *leaf) render(c *call) ([]byte, error) {
	if n.expression != nil {
		v, err := n.eval(c)
		if err != nil {
			return nil, err
		}
		return encode(n.field, v)
	}
	s, err := n.text.render(c)
	if err != nil {
		return nil, err
	}
	return jsonText(strings.ToValidUTF8(s, "\uFFFD")), nil
}

type objectNode struct {
	names [][]byte // as JSON
	nodes []node
}

func (n *objectNode) render(c *call) ([]byte, error) {
	b := []byte{'{'}
	for i, name := range n.names {
		if i > 0 {
			b = append(b, ',')
		}
		part, err := n.nodes[i].render(c)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), part...)
	}
	return append(b, '}'), nil
}

type listNode []node

func (n listNode) render(c *call) ([]byte, error) {
	b := []byte{'['}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		part, err := n[i].render(c)
		if err != nil {
			return nil, err
		}
		b = append(b, part...)
	}
	return append(b, ']'), nil
}

// node compiles JSON of the configuration.
func (b *builder) node(field string, raw json.RawMessage) node {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	n, err := b.read(field, d, 0)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return n
		}
	}
	b.fault(field, "invalid_format", "is not JSON, or nested more than 100 levels")
	return constant("null")
}

// maxDocumentDepth bounds documents in configurations.
const maxDocumentDepth = 100

var errDepth = errors.New("nested too deeply")

func (b *builder) read(field string, d *json.Decoder, depth int) (node, error) {
	if depth > maxDocumentDepth {
		return nil, errDepth
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			list := listNode{}
			for d.More() {
				n, err := b.read(element(field, len(list)), d, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, n)
			}
			_, err = d.Token()
			return list, err
		}
		o := &objectNode{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			n, err := b.read(field+"."+name.(string), d, depth+1)
			if err != nil {
				return nil, err
			}
			o.names, o.nodes = append(o.names, jsonText(name.(string))), append(o.nodes, n)
		}
		_, err = d.Token()
		return o, err
	case string:
		l := &leaf{text: b.text(field, t)}
		if l.template != nil {
			l.expression = expression(t)
		}
		return l, nil
	case json.Number:
		return constant(t.String()), nil
	case bool:
		if t {
			return constant("true"), nil
		}
		return constant("false"), nil
	}
	return constant("null"), nil
}
