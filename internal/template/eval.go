package template

import (
	"strings"
	"time"
)

// run is one rendering.
type run struct {
	program  *compiled
	now      time.Time
	zone     zone
	deadline time.Time
	looked   time.Time     // at the clock
	forgiven time.Duration // of what it stood still

	vars  *Array   // the variables in sight
	owned bool     // whether vars is ours to change
	saved []*Array // of with tags
	holes []any    // of apply tags
	out   []byte
	marks []int // where captures began
	loops []loopFrame
	level int

	pos, steps, sinceClock, memory int
}

func (r *run) write(s string) {
	if len(r.out)+len(s) > maxOutput {
		limit("the output is larger than 256 KiB")
	}
	r.out = append(r.out, s...)
}

func (r *run) capture() { r.marks = append(r.marks, len(r.out)) }

func (r *run) captured() string {
	n := len(r.marks) - 1
	from := r.marks[n]
	r.marks = r.marks[:n]
	r.charge(len(r.out) - from)
	s := string(r.out[from:])
	r.out = r.out[:from]
	return s
}

// own makes the variables changeable.
func (r *run) own() {
	if !r.owned {
		r.chargeElements(r.vars.Len())
		r.vars, r.owned = r.vars.clone(), true
	}
}

func (r *run) set(k Key, v any) {
	r.own()
	r.vars.put(k, v)
}

// deeper counts calls that may recurse; the caller undoes it with r.level--.
func (r *run) deeper() {
	if r.level++; r.level > maxDepth {
		limit("the template calls itself too deeply")
	}
}

func (e constExpr) eval(*run) any { return e.value }

func (e *nameExpr) eval(r *run) any {
	r.step(1)
	if v, ok := r.vars.get(e.key); ok {
		return v
	}
	switch e.key.text {
	case "_context":
		r.owned = false
		return r.vars
	case "_self":
		return "template"
	case "_charset":
		return "UTF-8"
	}
	return nil
}

func (e *nameExpr) defined(r *run) bool {
	if _, ok := r.vars.get(e.key); ok {
		return true
	}
	return e.key.text == "_context" || e.key.text == "_self" || e.key.text == "_charset"
}

func (e *arrayExpr) eval(r *run) any {
	r.chargeElements(len(e.items))
	a := &Array{vals: make([]any, 0, len(e.items))}
	for _, item := range e.items {
		if item.key == nil {
			a.push(item.value.eval(r))
			continue
		}
		k := r.arrayKey(item.key.eval(r))
		a.put(k, item.value.eval(r))
	}
	return a
}

// arrayKey is PHP's conversion of a value to a key.
func (r *run) arrayKey(v any) Key {
	switch v := v.(type) {
	case int64:
		return intKey(v)
	case float64:
		return intKey(floatToInt(v))
	case bigInt:
		return textKey(v.digits)
	case bool:
		if v {
			return intKey(1)
		}
		return intKey(0)
	case nil:
		return textKey("")
	case string:
		return textKey(v)
	}
	fail("Illegal offset type")
	return Key{}
}

func (e *concatExpr) eval(r *run) any {
	if len(e.parts) == 1 {
		return e.parts[0].eval(r)
	}
	r.step(1)
	if len(e.parts) == 2 {
		a := r.str(e.parts[0].eval(r))
		b := r.str(e.parts[1].eval(r))
		r.charge(len(a) + len(b))
		return a + b
	}
	var buf strings.Builder
	for _, p := range e.parts {
		s := r.str(p.eval(r))
		if buf.Len()+len(s) > maxString {
			limit("a value of the template grows too large")
		}
		buf.WriteString(s)
	}
	r.charge(buf.Len())
	return buf.String()
}

func (e *binaryExpr) eval(r *run) any {
	r.step(1)
	a := e.left.eval(r)
	b := e.right.eval(r)
	r.pos = e.pos
	return e.op(r, a, b)
}

func (e *unaryExpr) eval(r *run) any {
	r.step(1)
	v := e.operand.eval(r)
	r.pos = e.pos
	return e.op(r, v)
}

func (e *logicExpr) eval(r *run) any {
	r.step(1)
	if truth(e.left.eval(r)) == e.or {
		return e.or
	}
	return truth(e.right.eval(r))
}

func (e *condExpr) eval(r *run) any {
	r.step(1)
	if truth(e.test.eval(r)) {
		return e.yes.eval(r)
	}
	return e.no.eval(r)
}

func (e *elvisExpr) eval(r *run) any {
	r.step(1)
	if v := e.value.eval(r); truth(v) {
		return v
	}
	return e.no.eval(r)
}

func (e *coalesceExpr) eval(r *run) any {
	r.step(1)
	if isDefined(r, e.value) {
		if v := e.value.eval(r); v != nil {
			return v
		}
	}
	return e.no.eval(r)
}

func (e *definedExpr) eval(r *run) any { return isDefined(r, e.value) }

func isDefined(r *run, e expr) bool {
	r.step(1)
	switch e := e.(type) {
	case *nameExpr:
		return e.defined(r)
	case *attrExpr:
		if !isDefined(r, e.object) {
			return false
		}
		return e.defined(r, e.object.eval(r))
	case *macroExpr:
		_, ok := r.program.macros[e.name]
		return ok
	case *blockExpr:
		_, ok := r.program.blocks[r.str(e.name.eval(r))]
		return ok
	case *callExpr:
		if e.def == functions["constant"] && len(e.args) > 0 && e.args[0] != nil {
			_, ok := constants[r.str(e.args[0].eval(r))]
			return ok
		}
	}
	return true
}

func (e *attrExpr) lookup(r *run) (any, *Array, any) {
	object := e.object.eval(r)
	key := e.key.eval(r)
	r.pos = e.pos
	a, _ := object.(*Array)
	return object, a, key
}

func (e *attrExpr) eval(r *run) any {
	r.step(1)
	object, array, key := e.lookup(r)
	if array != nil {
		if e.method {
			return nil
		}
		v, _ := array.get(r.arrayKey(key))
		return v
	}
	if e.subscript {
		return nil
	}
	switch o := object.(type) {
	case *dateValue, *intervalValue, *zoneValue, *markup:
		list := make(args, len(e.args))
		for i, arg := range e.args {
			list[i] = arg.eval(r)
		}
		r.pos = e.pos
		v, _ := member(r, o, r.str(key), list, false)
		return v
	}
	return nil
}

func (e *attrExpr) defined(r *run, object any) bool {
	key := e.key.eval(r)
	switch o := object.(type) {
	case *Array:
		if e.method {
			return false
		}
		_, ok := o.get(r.arrayKey(key))
		return ok
	case *dateValue, *intervalValue, *zoneValue, *markup:
		if e.subscript {
			return false
		}
		_, ok := member(r, o, r.str(key), nil, true)
		return ok
	}
	return false
}

// closure is an arrow function with the variables in sight where it stands.
type closure struct {
	arrow *arrowExpr
	vars  *Array
}

func (e *arrowExpr) eval(r *run) any {
	r.chargeElements(r.vars.Len())
	return &closure{arrow: e, vars: r.vars.clone()}
}

func (r *run) call(f any, values ...any) any {
	c, ok := f.(*closure)
	if !ok {
		fail("A callable is expected: an arrow function")
	}
	if len(c.arrow.params) > len(values) {
		fail("Too few arguments for the arrow function: %d passed and %d expected", len(values), len(c.arrow.params))
	}
	r.step(1)
	r.deeper()
	vars, owned := r.vars, r.owned
	r.vars, r.owned = c.vars, true
	for i, p := range c.arrow.params {
		c.vars.put(p, values[i])
	}
	v := c.arrow.body.eval(r)
	r.vars, r.owned = vars, owned
	r.level--
	return v
}

func (e *macroExpr) eval(r *run) any {
	m, ok := r.program.macros[e.name]
	if !ok {
		r.pos = e.pos
		fail("Macro %q is not defined in template", e.name)
	}
	scope := &Array{}
	rest := &Array{}
	for i, arg := range e.args {
		v := arg.eval(r)
		if i < len(m.params) {
			scope.put(m.params[i], v)
		} else {
			rest.push(v)
		}
	}
	for i, p := range m.params {
		if i < len(e.args) {
			continue
		}
		scope.put(p, m.defaults[i].eval(r))
	}
	scope.put(textKey("varargs"), rest)
	r.pos = e.pos
	r.chargeElements(scope.Len())
	return r.inside(m.program, scope)
}

func (e *blockExpr) eval(r *run) any {
	name := r.str(e.name.eval(r))
	r.pos = e.pos
	b, ok := r.program.blocks[name]
	if e.others != nil {
		r.foreign(e.others.eval(r))
	}
	if !ok {
		fail("Block %q on template does not exist", name)
	}
	r.capture()
	r.runBlock(b)
	return r.captured()
}

// inside runs a program with variables of its own and returns what it wrote.
func (r *run) inside(p *program, vars *Array) any {
	r.deeper()
	r.capture()
	before, owned := r.vars, r.owned
	r.vars, r.owned = vars, true
	r.execute(p)
	r.vars, r.owned = before, owned
	r.level--
	return newMarkup(r.captured())
}

func (r *run) runBlock(b *block) {
	r.deeper()
	before := r.vars
	r.owned = false
	r.execute(b.program)
	r.vars, r.owned = before, false
	r.level--
}

func (e *foreignExpr) eval(r *run) any {
	var name any
	if e.name != nil {
		name = e.name.eval(r)
	}
	r.pos = e.pos
	if e.ignoreMissing {
		return ""
	}
	r.foreign(name)
	return nil
}

func (r *run) foreign(name any) {
	if list, ok := name.(*Array); ok && list.Len() > 0 {
		name = list.vals[0]
	}
	if _, ok := name.(*Array); ok {
		fail("Template is not defined")
	}
	fail("Template %q is not defined", r.str(name))
}
