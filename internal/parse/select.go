package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/jmespath-community/go-jmespath/pkg/interpreter"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"

	"sallyport/internal/hook"
)

// query is a compiled JMESPath expression. The library reads and interprets it; what it
// gets wrong for us (maps of Go have no order, nothing is bounded) is put right by calls
// to functions of ours, put into the tree of the expression.
type query struct{ tree parsing.ASTNode }

// Names of our functions, which nobody can write in an expression.
const (
	callMembers = "*members" // the values of an object, in its order
	callVisit   = "*visit"   // its argument, of which each element will be looked at
)

var defaultFunctions = interpreter.NewFunctionCaller(functions.GetDefaultFunctions()...)

var functionNames = func() map[string]bool {
	names := make(map[string]bool)
	for _, f := range functions.GetDefaultFunctions() {
		names[f.Name] = true
	}
	return names
}()

func compileQuery(expression string) (q *query, err error) {
	defer func() {
		if p := recover(); p != nil {
			q, err = nil, fmt.Errorf("%q is not JMESPath", clip(expression))
		}
	}()
	tree, err := parsing.NewParser().Parse(expression)
	if err != nil {
		var syntax parsing.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("%q is not JMESPath: %s at character %d", clip(expression), strings.TrimPrefix(syntax.Error(), "SyntaxError: "), syntax.Offset+1)
		}
		return nil, fmt.Errorf("%q is not JMESPath: %w", clip(expression), err)
	}
	if tree, err = rewrite(tree); err != nil {
		return nil, err
	}
	return &query{tree: tree}, nil
}

func call(name string, arg parsing.ASTNode) parsing.ASTNode {
	return parsing.ASTNode{NodeType: parsing.ASTFunctionExpression, Value: name, Children: []parsing.ASTNode{arg}}
}

// rewrite puts our calls into the tree and finds functions that do not exist.
func rewrite(n parsing.ASTNode) (parsing.ASTNode, error) {
	children := slices.Clone(n.Children)
	for i := range children {
		var err error
		if children[i], err = rewrite(children[i]); err != nil {
			return n, err
		}
	}
	n.Children = children
	switch n.NodeType { //nolint:exhaustive // the other kinds stay as they are
	case parsing.ASTFunctionExpression:
		if name, _ := n.Value.(string); !functionNames[name] {
			return n, fmt.Errorf("JMESPath has no function %s()", clip(name))
		}
	case parsing.ASTValueProjection:
		n.NodeType = parsing.ASTProjection
		n.Children[0] = call(callVisit, call(callMembers, n.Children[0]))
	case parsing.ASTProjection:
		// The library knows the slice of a string by the shape of the tree, which must stay.
		if left := &n.Children[0]; left.NodeType == parsing.ASTIndexExpression && len(left.Children) > 1 && left.Children[1].NodeType == parsing.ASTSlice {
			left.Children[0] = call(callVisit, left.Children[0])
		} else {
			*left = call(callVisit, *left)
		}
	case parsing.ASTFilterProjection, parsing.ASTFlatten:
		n.Children[0] = call(callVisit, n.Children[0])
	}
	return n, nil
}

var bracketed = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*|"(?:[^"\\]|\\.)*")\s*\[`)

// listNames are the names that an expression follows with a bracket: it takes them for lists.
func listNames(expression string) map[string]bool {
	names := make(map[string]bool)
	for _, m := range bracketed.FindAllStringSubmatch(expression, -1) {
		name := m[1]
		if name[0] == '"' && json.Unmarshal([]byte(m[1]), &name) != nil {
			continue
		}
		names[name] = true
	}
	return names
}

// selected is the result of an items expression over a JSON document.
func (p *Parser) selected(body []byte) (*Result, error) {
	found, doc, err := p.query.search(body)
	if err != nil {
		return nil, err
	}
	items := []any{found}
	if list, ok := found.([]any); ok && p.conf.Split {
		items = list
	} else if found == nil {
		items = nil
	}
	if err := p.bounded(len(items)); err != nil {
		return nil, err
	}
	total := 0
	var scratch []byte
	for _, item := range items {
		if s, ok := doc.origin(item); ok {
			total += s.to - s.from
		} else {
			if scratch, err = doc.append(scratch[:0], item); err != nil {
				return nil, err
			}
			total += len(scratch)
		}
		if total > maxOutput {
			return nil, tooMuch()
		}
	}
	return &Result{
		Count: len(items),
		body:  func() []byte { return body },
		each: func(from, to int, yield func(int, json.RawMessage) bool) {
			for i := from; i < to; i++ {
				text, _ := doc.append(nil, items[i]) // tried above
				if s, ok := doc.origin(items[i]); ok {
					text = body[s.from:s.to:s.to]
				}
				if !yield(i, text) {
					return
				}
			}
		},
	}, nil
}

// search evaluates the expression over a valid document.
func (q *query) search(body []byte) (found any, doc *document, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &hook.Error{Kind: hook.KindMalformedBody, Detail: "parser.items cannot be evaluated over this body", Err: fmt.Errorf("%v", p)}
		}
	}()
	doc = &document{data: body}
	root, err := doc.decode()
	if err != nil {
		return nil, nil, err
	}
	c := &caller{doc: doc, left: maxVisits}
	found, err = interpreter.NewInterpreter(root, c, nil).Execute(q.tree, root)
	runtime.KeepAlive(root)
	runtime.KeepAlive(doc.kept)
	doc.kept = nil
	switch {
	case c.left < 0: // of which the library may not have told
		return nil, nil, errTooLong
	case err != nil:
		return nil, nil, malformed("parser.items cannot be evaluated over this body: %s", clip(libraryType.ReplaceAllString(err.Error(), "$1")))
	}
	return found, doc, nil
}

// libraryType is how the library spells the types that a function takes.
var libraryType = regexp.MustCompile(`\[\]functions\.JpType\{([^}]*)\}`)

// Bounds of an evaluation: elements looked at, again each time an expression goes
// through the same list, and the largest text a function may make.
const (
	maxVisits = 20_000_000
	maxText   = 64 << 20
)

var errTooLong = hook.Errorf(hook.KindTooLarge, "parser.items takes too many steps over this body; send it in parts, or have a simpler expression")

// caller calls the functions of one evaluation.
type caller struct {
	doc  *document
	left int
}

// CallFunction is what the interpreter wants.
func (c *caller) CallFunction(name string, args []any) (any, error) {
	c.left--
	for _, a := range args {
		switch a := a.(type) {
		case []any:
			c.left -= len(a)
		case string:
			c.left -= len(a) / 64
		}
	}
	if c.left < 0 {
		return nil, errTooLong
	}
	switch name {
	case callVisit:
		return args[0], nil
	case callMembers:
		m, ok := args[0].(map[string]any)
		if !ok {
			return nil, nil
		}
		return c.doc.members(m), nil
	case "sort_by":
		// The library sorts in place: what it is given must be a list of its own.
		if list, ok := args[0].([]any); ok && len(args) > 1 {
			args = append([]any{slices.Clone(list)}, args[1:]...)
		}
	case "to_string":
		if _, ok := args[0].(string); !ok && len(args) == 1 {
			text, err := c.doc.append(nil, args[0])
			return string(text), err
		}
	case "keys", "values", "items":
		if m, ok := args[0].(map[string]any); ok && len(args) == 1 {
			return c.ordered(name, m), nil
		}
	case "pad_left", "pad_right", "replace", "join":
		if growth(name, args) > maxText {
			c.left = -1
			return nil, errTooLong
		}
	}
	return defaultFunctions.CallFunction(name, args)
}

func (c *caller) ordered(name string, m map[string]any) []any {
	if name == "values" {
		return c.doc.members(m)
	}
	out := []any{}
	for _, key := range c.doc.keys(m) {
		if name == "keys" {
			out = append(out, key)
		} else {
			out = append(out, []any{key, m[key]})
		}
	}
	return out
}

// growth is about how large a text the function will make.
func growth(name string, args []any) float64 {
	text := func(i int) string {
		if i >= len(args) {
			return ""
		}
		s, _ := args[i].(string)
		return s
	}
	switch name {
	case "replace":
		return float64(len(text(0))+1) * float64(len(text(2))+1) / float64(max(len(text(1)), 1))
	case "join":
		if len(args) < 2 {
			return 0
		}
		list, _ := args[1].([]any)
		return float64(len(text(0))) * float64(len(list))
	}
	if len(args) < 2 {
		return 0
	}
	width, _ := args[1].(float64)
	return width
}
