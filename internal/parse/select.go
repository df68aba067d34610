package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
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
		return nil, nil, malformed("parser.items cannot be evaluated over this body: %s", clip(err.Error()))
	}
	return found, doc, nil
}

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

// document is a JSON document decoded for the library, which remembers where everything
// came from: lists and objects by their identity, numbers by their value.
type document struct {
	data    []byte
	origins map[uintptr]origin
	digits  map[uint64]string // of numbers: floating point does not give them back
	clashes map[uint64]bool   // different numbers that are one and the same in floating point
	count   int
	kept    []any // values of repeated keys: while they live nothing else gets their identity
}

type origin struct {
	span
	size int
}

// maxValues bounds a document that is decoded: each value takes some hundred bytes.
const maxValues = 2_000_000

func (d *document) decode() (any, error) {
	d.origins = make(map[uintptr]origin)
	d.digits = make(map[uint64]string)
	d.clashes = make(map[uint64]bool)
	v, _ := d.value(skipBlank(d.data, 0))
	if d.count > maxValues {
		return nil, hook.Errorf(hook.KindTooLarge, "the body has more than %d values, too many to select from; send it in parts", maxValues)
	}
	return v, nil
}

// value decodes the value at i and returns where it ends.
func (d *document) value(i int) (any, int) {
	if d.count++; d.count > maxValues {
		return nil, len(d.data)
	}
	switch d.data[i] {
	case '{':
		return d.object(i)
	case '[':
		return d.list(i)
	case '"':
		return d.text(i)
	}
	end := skipValue(d.data, i)
	switch d.data[i] {
	case 't':
		return true, end
	case 'f':
		return false, end
	case 'n':
		return nil, end
	}
	return d.number(string(d.data[i:end])), end
}

func (d *document) text(i int) (string, int) {
	end := skipString(d.data, i)
	raw := d.data[i+1 : end-1]
	if !slices.Contains(raw, '\\') {
		return string(raw), end
	}
	var s string
	_ = json.Unmarshal(d.data[i:end], &s) // checked before
	return s, end
}

func (d *document) object(start int) (any, int) {
	m := make(map[string]any)
	i := skipBlank(d.data, start+1)
	for i < len(d.data) && d.data[i] != '}' {
		key, end := d.text(i)
		i = skipBlank(d.data, skipBlank(d.data, end)+1) // the colon
		if old, ok := m[key]; ok {
			d.kept = append(d.kept, old)
		}
		m[key], i = d.value(i)
		if i = skipBlank(d.data, i); i < len(d.data) && d.data[i] == ',' {
			i = skipBlank(d.data, i+1)
		}
	}
	d.origins[identity(m)] = origin{span{start, i + 1}, len(m)}
	return m, i + 1
}

func (d *document) list(start int) (any, int) {
	list := []any{}
	i := skipBlank(d.data, start+1)
	for i < len(d.data) && d.data[i] != ']' {
		var v any
		v, i = d.value(i)
		list = append(list, v)
		if i = skipBlank(d.data, i); i < len(d.data) && d.data[i] == ',' {
			i = skipBlank(d.data, i+1)
		}
	}
	if len(list) > 0 { // empty ones are all the same to Go
		d.origins[identity(list)] = origin{span{start, i + 1}, len(list)}
	}
	return list, i + 1
}

func identity(v any) uintptr { return reflect.ValueOf(v).Pointer() }

// origin is where a list or object stood in the document, if it is one of its own.
func (d *document) origin(v any) (span, bool) {
	var size int
	switch v := v.(type) {
	case map[string]any:
		size = len(v)
	case []any:
		if size = len(v); size == 0 {
			return span{}, false
		}
	default:
		return span{}, false
	}
	o, ok := d.origins[identity(v)]
	return o.span, ok && o.size == size
}

// number decodes a number and remembers its digits, the shortest ones if it is there as 1
// and as 1.0.
func (d *document) number(literal string) float64 {
	f, _ := strconv.ParseFloat(literal, 64) // beyond its range: infinite, which compares well
	bits := math.Float64bits(f)
	known, ok := d.digits[bits]
	if ok && known != literal && !sameNumber(known, literal) {
		d.clashes[bits] = true
	}
	if !ok || len(literal) < len(known) {
		d.digits[bits] = literal
	}
	return f
}

// sameNumber compares two literals that have the same value in floating point.
func sameNumber(a, b string) bool {
	da, ea := scientific(a)
	db, eb := scientific(b)
	return da == db && ea == eb
}

// scientific splits a literal into its digits, without zeros around them, and the power of
// ten of the last one.
func scientific(s string) (digits string, exponent string) {
	mantissa, power := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n > 1<<30 || n < -1<<30 {
			return s, "" // only equal to itself
		}
		mantissa, power = s[:i], n
	}
	sign := ""
	if rest, ok := strings.CutPrefix(mantissa, "-"); ok {
		sign, mantissa = "-", rest
	}
	before, after, _ := strings.Cut(mantissa, ".")
	power -= len(after)
	all := strings.TrimLeft(before+after, "0")
	short := strings.TrimRight(all, "0")
	if short == "" {
		return sign, ""
	}
	return sign + short, strconv.Itoa(power + len(all) - len(short))
}

// keys are an object's in the order of the document, or of the alphabet if it is none of its own.
func (d *document) keys(m map[string]any) []string {
	s, ok := d.origin(m)
	if !ok {
		names := make([]string, 0, len(m))
		for k := range m {
			names = append(names, k)
		}
		slices.Sort(names)
		return names
	}
	names := make([]string, 0, len(m))
	seen := make(map[string]bool, len(m))
	i := skipBlank(d.data, s.from+1)
	for d.data[i] != '}' {
		key, end := d.text(i)
		if !seen[key] {
			seen[key] = true
			names = append(names, key)
		}
		i = skipBlank(d.data, skipBlank(d.data, end)+1)
		if i = skipBlank(d.data, skipValue(d.data, i)); d.data[i] == ',' {
			i = skipBlank(d.data, i+1)
		}
	}
	return names
}

func (d *document) members(m map[string]any) []any {
	out := make([]any, 0, len(m))
	for _, k := range d.keys(m) {
		out = append(out, m[k])
	}
	return out
}

// append writes what an expression has selected or made.
func (d *document) append(dst []byte, v any) ([]byte, error) {
	if s, ok := d.origin(v); ok {
		return append(dst, d.data[s.from:s.to]...), nil
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return appendString(dst, v), nil
	case float64:
		return d.appendNumber(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = d.append(dst, e); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, k := range d.keys(v) {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = d.append(append(appendString(dst, k), ':'), v[k]); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return dst, malformed("parser.items gives something that is not JSON over this body")
}

func (d *document) appendNumber(dst []byte, f float64) ([]byte, error) {
	bits := math.Float64bits(f)
	if d.clashes[bits] {
		return dst, malformed("parser.items selects the number %s, which a computer cannot tell from another one in the body; select the object that holds it", d.digits[bits])
	}
	if literal, ok := d.digits[bits]; ok {
		return append(dst, literal...), nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...), nil
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64), nil
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
}
