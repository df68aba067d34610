package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/antchfx/xpath"

	"sallyport/internal/hook"
)

// path is a compiled XPath expression.
type path struct{ expr *xpath.Expr }

func compilePath(expression string) (*path, error) {
	expr, err := xpath.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("%q is not XPath: %w", clip(expression), err)
	}
	root, err := readXML([]byte("<a><b>1</b></a>"))
	if err != nil {
		return nil, err
	}
	_, nodes, err := (&path{expr}).evaluate(root)
	if err != nil || !nodes {
		return nil, fmt.Errorf("the XPath %q does not select nodes", clip(expression))
	}
	return &path{expr}, nil
}

// found is a node that was selected, or one of its attributes.
type found struct {
	node *node
	attr int // -1: the node itself
}

func (f found) append(dst []byte, form jsonForm) []byte {
	if f.attr >= 0 {
		return appendString(dst, f.node.attrs[f.attr].value)
	}
	return form.append(dst, f.node)
}

// evaluate tells whether the expression selects nodes at all.
func (p *path) evaluate(root *node) (it *xpath.NodeIterator, nodes bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = pathPanic(r)
		}
	}()
	it, nodes = p.expr.Evaluate(&navigator{node: root, root: root, attr: -1, steps: new(int)}).(*xpath.NodeIterator)
	return it, nodes, nil
}

// find selects at most most+1 different nodes.
func (p *path) find(root *node, most int) (all []found, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = pathPanic(r)
		}
	}()
	seen := make(map[found]bool)
	it := p.expr.Select(&navigator{node: root, root: root, attr: -1, steps: new(int)})
	for len(all) <= most && it.MoveNext() {
		n, ok := it.Current().(*navigator)
		if !ok {
			continue
		}
		if f := (found{n.node, n.attr}); !seen[f] {
			seen[f] = true
			all = append(all, f)
		}
	}
	return all, nil
}

func pathPanic(r any) error {
	if err, ok := r.(error); ok && errors.Is(err, errTooLong) {
		return err
	}
	return &hook.Error{Kind: hook.KindMalformedBody, Detail: "parser.items cannot be evaluated over this body", Err: fmt.Errorf("%v", r)}
}

// pathItems is the result of an XPath expression.
func (p *Parser) pathItems(root *node, form jsonForm) (*Result, error) {
	most := p.conf.MaxItems
	if !p.conf.Split {
		most = maxNodes
	}
	all, err := p.path.find(root, most)
	if err != nil {
		return nil, err
	}
	if p.conf.Split {
		if err := p.bounded(len(all)); err != nil {
			return nil, err
		}
	}
	total := 0
	var scratch []byte
	for _, f := range all {
		scratch = f.append(scratch[:0], form)
		if total += len(scratch) + 1; total > maxOutput {
			return nil, tooMuch()
		}
	}
	body := whole(func() []byte { return form.append(nil, root) }).body
	if !p.conf.Split && len(all) > 0 {
		one := whole(func() []byte { return listOf(all, form, total) })
		one.body = body
		return one, nil
	}
	return &Result{Count: len(all), body: body, each: func(from, to int, yield func(int, json.RawMessage) bool) {
		for i := from; i < to; i++ {
			if !yield(i, all[i].append(nil, form)) {
				return
			}
		}
	}}, nil
}

func listOf(all []found, form jsonForm, size int) []byte {
	out := append(make([]byte, 0, size+2), '[')
	for i, f := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = f.append(out, form)
	}
	return append(out, ']')
}

// maxSteps bounds an evaluation: a second or two.
const maxSteps = 30_000_000

// navigator walks the tree for the XPath library. It panics with errTooLong when all copies of it
// have taken too many steps: the library has no other way to be stopped.
type navigator struct {
	root, node *node
	attr       int // of node, -1: the node itself
	steps      *int
}

func (n *navigator) step(cost int) {
	if *n.steps += cost; *n.steps > maxSteps {
		panic(errTooLong)
	}
}

func (n *navigator) full() string {
	if n.attr >= 0 {
		return n.node.attrs[n.attr].name
	}
	return n.node.name
}

// NodeType is the kind of the node.
func (n *navigator) NodeType() xpath.NodeType {
	switch {
	case n.attr >= 0:
		return xpath.AttributeNode
	case n.node.parent == nil:
		return xpath.RootNode
	case n.node.name == "":
		return xpath.TextNode
	}
	return xpath.ElementNode
}

// LocalName is the name without its prefix.
func (n *navigator) LocalName() string {
	n.step(1)
	name := n.full()
	return name[strings.IndexByte(name, ':')+1:]
}

// Prefix is the name's prefix as written.
func (n *navigator) Prefix() string {
	name := n.full()
	return name[:max(strings.IndexByte(name, ':'), 0)]
}

// Value is the text.
func (n *navigator) Value() string {
	if n.attr >= 0 {
		return n.node.attrs[n.attr].value
	}
	text := string(n.node.appendText(nil))
	n.step(1 + len(text)/8)
	return text
}

// Copy is another navigator at the same place.
func (n *navigator) Copy() xpath.NodeNavigator {
	n.step(1)
	c := *n
	return &c
}

// MoveToRoot goes to the document.
func (n *navigator) MoveToRoot() { n.node, n.attr = n.root, -1 }

// MoveToParent goes up.
func (n *navigator) MoveToParent() bool {
	n.step(1)
	if n.attr >= 0 {
		n.attr = -1
		return true
	}
	if n.node.parent == nil {
		return false
	}
	n.node = n.node.parent
	return true
}

// MoveToNextAttribute goes to the next one that is no declaration.
func (n *navigator) MoveToNextAttribute() bool {
	n.step(1)
	for i := n.attr + 1; i < len(n.node.attrs); i++ {
		if !n.node.attrs[i].declares() {
			n.attr = i
			return true
		}
	}
	return false
}

// MoveToChild goes down.
func (n *navigator) MoveToChild() bool {
	n.step(1)
	if n.attr >= 0 || len(n.node.children) == 0 {
		return false
	}
	n.node = n.node.children[0]
	return true
}

func (n *navigator) sibling(index int) bool {
	n.step(1)
	if n.attr >= 0 || n.node.parent == nil || index < 0 || index >= len(n.node.parent.children) {
		return false
	}
	n.node = n.node.parent.children[index]
	return true
}

// MoveToFirst goes to the first sibling, if this is not it.
func (n *navigator) MoveToFirst() bool { return n.node.index > 0 && n.sibling(0) }

// MoveToNext goes to the next sibling.
func (n *navigator) MoveToNext() bool { return n.sibling(n.node.index + 1) }

// MoveToPrevious goes to the sibling before.
func (n *navigator) MoveToPrevious() bool { return n.sibling(n.node.index - 1) }

// MoveTo goes where another one is.
func (n *navigator) MoveTo(other xpath.NodeNavigator) bool {
	o, ok := other.(*navigator)
	if !ok || o.root != n.root {
		return false
	}
	n.node, n.attr = o.node, o.attr
	return true
}
