package parse

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"

	"sallyport/internal/hook"
)

// maxNodes bounds the tree of an XML document: each node takes some hundred bytes.
const maxNodes = 1_000_000

// node is an element, or text if it has no name; the root of a document is neither.
type node struct {
	name     string // as written, prefix included
	text     string
	attrs    []attr
	children []*node
	parent   *node
	index    int // among its parent's children
}

type attr struct{ name, value string }

// declares reports whether the attribute only declares a namespace.
func (a attr) declares() bool { return a.name == "xmlns" || strings.HasPrefix(a.name, "xmlns:") }

var declaredEncoding = regexp.MustCompile(`^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']`)

// xml reads a document.
func (p *Parser) xml(in *input) (*Result, error) {
	c, body, err := p.charset(in, func() (charset, error) { return prologue(in.Body) })
	if err != nil {
		return nil, err
	}
	text, err := c.decode(body)
	if err != nil {
		return nil, err
	}
	root, err := readXML(text)
	if err != nil {
		return nil, err
	}
	form := jsonForm{lists: p.lists}
	if p.path != nil {
		return p.pathItems(root, form)
	}
	if p.query != nil {
		return p.selected(form.append(nil, root))
	}
	return whole(func() []byte { return form.append(nil, root) }), nil
}

// prologue finds the encoding that a document declares.
func prologue(body []byte) (charset, error) {
	m := declaredEncoding.FindSubmatch(body[:min(len(body), 1024)])
	if m == nil {
		return utf8Charset, nil
	}
	name := string(m[1])
	// One that says so in bytes that we can read was a text in memory before: it is UTF-8 now.
	if strings.HasPrefix(strings.ToLower(name), "utf-16") {
		return utf8Charset, nil
	}
	c, ok := charsetOf(name)
	if !ok {
		return c, malformed("the XML declares the encoding %q, which is not known; send UTF-8, or set parser.encoding", clip(name))
	}
	return c, nil
}

// xmlReader builds the tree.
type xmlReader struct {
	decoder *xml.Decoder
	root    *node
	at      *node
	depth   int
	count   int
	names   map[string]string // names are many times the same
}

// readXML reads UTF-8 into a tree. It does not resolve namespaces and loads nothing.
func readXML(text []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // decoded before
	root := &node{}
	r := &xmlReader{decoder: d, root: root, at: root, names: make(map[string]string)}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, r.fault("the body is not XML: %s", xmlMessage(err))
		}
		if err := r.token(token); err != nil {
			return nil, err
		}
	}
	switch {
	case r.at != root:
		return nil, r.fault("the body is not XML: it ends within the element %s", clip(r.at.name))
	case len(root.children) == 0:
		return nil, malformed("the body has no XML element")
	}
	return root, nil
}

func xmlMessage(err error) string {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Msg
	}
	return clip(err.Error())
}

func (r *xmlReader) fault(format string, args ...any) error {
	line, column := r.decoder.InputPos()
	var e *hook.Error
	if !errors.As(malformed(format, args...), &e) {
		return nil
	}
	e.Line, e.Column = line, column
	e.Detail = hook.Errorf(e.Kind, "%s (line %d, column %d)", e.Detail, line, column).Detail
	return e
}

func (r *xmlReader) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return r.open(t)
	case xml.EndElement:
		if name := r.name(t.Name); r.at == r.root || name != r.at.name {
			return r.fault("the body is not XML: </%s> closes nothing that is open", clip(name))
		}
		r.at.close()
		r.at = r.at.parent
		r.depth--
	case xml.CharData:
		if r.at == r.root {
			if len(bytes.TrimSpace(t)) > 0 {
				return r.fault("the body is not XML: there is text outside of the root element")
			}
			return nil
		}
		return r.add(&node{text: string(t)})
	case xml.Directive:
		if bytes.Contains(bytes.ToUpper(t), []byte("ENTITY")) {
			return r.fault("the XML declares entities, which is not allowed; send their text instead")
		}
	}
	return nil
}

func (r *xmlReader) name(n xml.Name) string {
	name := n.Local
	if n.Space != "" {
		name = n.Space + ":" + n.Local
	}
	if known, ok := r.names[name]; ok {
		return known
	}
	name = strings.Clone(name)
	r.names[name] = name
	return name
}

func (r *xmlReader) open(t xml.StartElement) error {
	if r.at == r.root && len(r.root.children) > 0 {
		return r.fault("the body is not XML: there is a second root element")
	}
	if r.depth++; r.depth > maxDepth {
		return r.fault("the XML is nested more than %d levels deep", maxDepth)
	}
	n := &node{name: r.name(t.Name)}
	var seen map[string]bool
	if len(t.Attr) > 1 {
		seen = make(map[string]bool, len(t.Attr))
	}
	for _, a := range t.Attr {
		name := r.name(a.Name)
		if seen[name] {
			return r.fault("the body is not XML: %s has the attribute %s twice", clip(n.name), clip(name))
		}
		if seen != nil {
			seen[name] = true
		}
		n.attrs = append(n.attrs, attr{name, a.Value})
	}
	r.count += len(n.attrs)
	if err := r.add(n); err != nil {
		return err
	}
	r.at = n
	return nil
}

func (r *xmlReader) add(n *node) error {
	if r.count++; r.count > maxNodes {
		return hook.Errorf(hook.KindTooLarge, "the XML has more than %d elements, attributes and texts; send it in parts", maxNodes)
	}
	n.parent, n.index = r.at, len(r.at.children)
	r.at.children = append(r.at.children, n)
	return nil
}

// close drops the blanks between an element's elements.
func (n *node) close() {
	if !n.hasElements() {
		return
	}
	kept := n.children[:0]
	for _, c := range n.children {
		if c.name != "" || strings.TrimSpace(c.text) != "" {
			c.index = len(kept)
			kept = append(kept, c)
		}
	}
	clear(n.children[len(kept):])
	n.children = kept
}

func (n *node) hasElements() bool {
	for _, c := range n.children {
		if c.name != "" {
			return true
		}
	}
	return false
}

// appendText adds the text of the node and all below it.
func (n *node) appendText(dst []byte) []byte {
	dst = append(dst, n.text...)
	for _, c := range n.children {
		dst = c.appendText(dst)
	}
	return dst
}

// jsonForm writes XML as JSON.
type jsonForm struct{ lists map[string]bool }

// append writes the value of a node: of the root {"name": …}, of an element its text or an
// object, of text a string.
func (f jsonForm) append(dst []byte, n *node) []byte {
	if n.parent != nil && (n.name == "" || !n.hasElements() && !n.hasAttrs()) {
		return appendString(dst, n.appendText(nil))
	}
	dst = append(dst, '{')
	comma := false
	for _, a := range n.attrs {
		if a.declares() {
			continue
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = appendString(append(appendString(dst, "@"+a.name), ':'), a.value)
	}
	var text []byte
	for _, group := range n.groups() {
		if group[0].name == "" {
			for _, c := range group {
				text = append(text, c.text...)
			}
			continue
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = f.member(dst, group)
	}
	if text = bytes.TrimSpace(text); len(text) > 0 {
		if comma {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `"#text":`...), text)
	}
	return append(dst, '}')
}

// member writes the children of one name.
func (f jsonForm) member(dst []byte, group []*node) []byte {
	name := group[0].name
	dst = append(appendString(dst, name), ':')
	if len(group) == 1 && !f.lists[name] {
		return f.append(dst, group[0])
	}
	dst = append(dst, '[')
	for i, c := range group {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.append(dst, c)
	}
	return append(dst, ']')
}

func (n *node) hasAttrs() bool {
	for _, a := range n.attrs {
		if !a.declares() {
			return true
		}
	}
	return false
}

// groups puts children of the same name together, in the order of their first appearance.
func (n *node) groups() [][]*node {
	var groups [][]*node
	index := make(map[string]int)
	for _, c := range n.children {
		i, ok := index[c.name]
		if !ok {
			i = len(groups)
			index[c.name] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}
