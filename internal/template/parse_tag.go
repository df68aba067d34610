package template

import (
	"slices"
	"strings"
)

// tags are the statements of Twig, each parsed from behind its name.
var tags map[string]func(p *parser, pos int) stmt

func init() {
	tags = map[string]func(p *parser, pos int) stmt{
		"if": (*parser).ifTag, "for": (*parser).forTag, "set": (*parser).setTag, "do": (*parser).doTag,
		"with": (*parser).withTag, "apply": (*parser).applyTag, "block": (*parser).blockTag,
		"macro": (*parser).macroTag, "import": (*parser).importTag, "from": (*parser).fromTag,
		"include": (*parser).includeTag, "embed": (*parser).embedTag, "extends": (*parser).extendsTag,
		"use": (*parser).useTag, "autoescape": (*parser).autoescapeTag, "flush": (*parser).flushTag,
		"deprecated": (*parser).deprecatedTag,
	}
}

func (p *parser) ifTag(pos int) stmt {
	s := &ifStmt{}
	test := p.expression(0)
	p.endTag()
	ends := "elseif else endif"
	for {
		body := p.body(ends)
		if test != nil {
			s.branches = append(s.branches, ifBranch{test, body})
		} else {
			s.other = body
		}
		switch p.next().text {
		case "elseif":
			test = p.expression(0)
			p.endTag()
			if len(s.branches) >= maxChain {
				panic(failure{kind: Limit, message: "too many branches", pos: pos})
			}
		case "else":
			test, ends = nil, "endif"
			p.endTag()
		default:
			p.endTag()
			return s
		}
	}
}

func (p *parser) assignment() []Key {
	var targets []Key
	for {
		t := p.current()
		if t.kind == tokOperator && nameLength(t.text) == len(t.text) {
			p.next()
		} else {
			t = p.expect(tokName, "", "Only variables can be assigned to")
		}
		switch strings.ToLower(t.text) {
		case "true", "false", "none", "null":
			panic(syntaxError(t.pos, "You cannot assign a value to %q", t.text))
		}
		targets = append(targets, textKey(t.text))
		p.assigned[t.text] = true
		if !p.accept(tokPunctuation, ",") {
			return targets
		}
	}
}

func (p *parser) forTag(pos int) stmt {
	targets := p.assignment()
	p.expect(tokOperator, "in", "")
	s := &forStmt{key: textKey("_key"), value: targets[0], seq: p.expression(0), pos: pos}
	if len(targets) > 1 {
		s.key, s.value = targets[0], targets[1]
	}
	p.endTag()
	outer := p.loopSeen
	p.loopSeen = false
	s.body = p.body("else endfor")
	if p.next().text == "else" {
		p.endTag()
		s.hasElse = true
		s.other = p.body("endfor")
		p.next()
	}
	s.withLoop = p.loopSeen
	p.loopSeen = p.loopSeen || outer
	p.endTag()
	return s
}

func (p *parser) setTag(pos int) stmt {
	names := p.assignment()
	if p.accept(tokOperator, "=") {
		values := []expr{p.expression(0)}
		for p.accept(tokPunctuation, ",") {
			values = append(values, p.expression(0))
		}
		p.endTag()
		if len(names) != len(values) {
			panic(syntaxError(pos, "When using set, you must have the same number of variables and assignments"))
		}
		if len(names) == 1 {
			name, value := names[0], values[0]
			return leafStmt{func(r *run) { r.set(name, value.eval(r)) }}
		}
		return leafStmt{func(r *run) {
			results := make([]any, len(values))
			for i, v := range values {
				results[i] = v.eval(r)
			}
			for i, name := range names {
				r.set(name, results[i])
			}
		}}
	}
	if len(names) > 1 {
		panic(syntaxError(pos, "When using set with a block, you cannot have a multi-target"))
	}
	p.endTag()
	body := p.body("endset")
	p.next()
	p.endTag()
	return &wrapStmt{before: (*run).capture, body: body, after: func(r *run) { r.set(names[0], newMarkup(r.captured())) }}
}

func (p *parser) doTag(int) stmt {
	e := p.expression(0)
	p.endTag()
	return leafStmt{func(r *run) { e.eval(r) }}
}

func (p *parser) deprecatedTag(int) stmt {
	p.expression(0)
	p.endTag()
	return nil
}

func (p *parser) flushTag(int) stmt {
	p.endTag()
	return nil
}

func (p *parser) withTag(pos int) stmt {
	var vars expr
	only := false
	if p.current().kind != tokBlockEnd {
		vars = p.expression(0)
		only = p.accept(tokName, "only")
	}
	p.endTag()
	body := p.body("endwith")
	p.next()
	p.endTag()
	return &wrapStmt{
		before: func(r *run) {
			scope := r.vars
			if vars != nil {
				r.pos = pos
				given, ok := vars.eval(r).(*Array)
				if !ok {
					fail(`Variables passed to the "with" tag must be a hash`)
				}
				r.saved = append(r.saved, scope)
				if only {
					scope = &Array{}
				}
				scope = scope.clone()
				for i := range given.vals {
					scope.put(given.keyAt(i), given.vals[i])
				}
				r.chargeElements(scope.Len())
			} else {
				r.saved = append(r.saved, scope)
			}
			r.vars, r.owned = scope, vars != nil
		},
		body: body,
		after: func(r *run) {
			n := len(r.saved) - 1
			r.vars, r.saved, r.owned = r.saved[n], r.saved[:n], false
		},
	}
}

func (p *parser) applyTag(pos int) stmt {
	subject := &holeExpr{}
	var e expr = subject
	for links := 0; ; links++ {
		p.chain(links)
		e = p.filter(e)
		if !p.accept(tokPunctuation, "|") {
			break
		}
	}
	p.endTag()
	body := p.body("endapply")
	p.next()
	p.endTag()
	output := p.print(e).(leafStmt)
	return &wrapStmt{before: (*run).capture, body: body, after: func(r *run) {
		r.holes = append(r.holes, newMarkup(r.captured()))
		output.do(r)
		r.holes = r.holes[:len(r.holes)-1]
	}}
}

// holeExpr is what an apply tag has captured.
type holeExpr struct{}

func (*holeExpr) eval(r *run) any { return r.holes[len(r.holes)-1] }

func (p *parser) blockTag(pos int) stmt {
	name := p.expect(tokName, "", "").text
	if _, taken := p.blocks[name]; taken {
		panic(syntaxError(pos, "The block %q has already been defined", name))
	}
	b := &block{}
	p.blocks[name] = b
	if p.current().kind == tokBlockEnd {
		p.endTag()
		p.inBlock++
		b.body = p.inScope("endblock")
		p.inBlock--
		p.next()
		if t := p.current(); t.kind == tokName {
			p.next()
			if t.text != name {
				panic(syntaxError(t.pos, "Expected endblock for block %q (but %q given)", name, t.text))
			}
		}
	} else {
		b.body = []stmt{p.print(p.expression(0))}
	}
	p.endTag()
	return leafStmt{func(r *run) { r.runBlock(b) }}
}

func (p *parser) macroTag(pos int) stmt {
	name := p.expect(tokName, "", "").text
	m := &macro{}
	p.expect(tokPunctuation, "(", "A list of arguments must begin with an opening parenthesis")
	for !p.punct(")") {
		if len(m.params) > 0 {
			p.expect(tokPunctuation, ",", "Arguments must be separated by a comma")
			if p.punct(")") {
				break
			}
		}
		t := p.expect(tokName, "", "")
		if t.text == "varargs" {
			panic(syntaxError(t.pos, "The argument %q cannot be defined: it is reserved for further arguments", t.text))
		}
		param := textKey(t.text)
		var value expr = constExpr{nil}
		if p.accept(tokOperator, "=") {
			at := p.current().pos
			value = p.primary()
			if !isConstant(value) {
				panic(syntaxError(at, "A default value for an argument must be a constant (a boolean, a string, a number, or an array)"))
			}
		}
		if at := slices.Index(m.params, param); at >= 0 {
			m.defaults[at] = value // the same one again
			continue
		}
		m.params, m.defaults = append(m.params, param), append(m.defaults, value)
	}
	p.expect(tokPunctuation, ")", "")
	p.endTag()
	p.macros[name] = m
	inBlock, escape := p.inBlock, p.escape
	p.inBlock, p.escape = 0, nil // a macro is no part of the tags around it
	m.body = p.inScope("endmacro")
	p.inBlock, p.escape = inBlock, escape
	p.next()
	if t := p.current(); t.kind == tokName {
		p.next()
		if t.text != name {
			panic(syntaxError(t.pos, "Expected endmacro for macro %q (but %q given)", name, t.text))
		}
	}
	p.endTag()
	return nil
}

func isConstant(e expr) bool {
	switch e := e.(type) {
	case constExpr:
		return true
	case *unaryExpr:
		return isConstant(e.operand)
	case *arrayExpr:
		for _, item := range e.items {
			if item.key != nil && !isConstant(item.key) || !isConstant(item.value) {
				return false
			}
		}
		return true
	}
	return false
}

// foreign is a statement that needs another template.
func foreign(name expr, ignoreMissing bool, pos int) stmt {
	e := &foreignExpr{name: name, ignoreMissing: ignoreMissing, pos: pos}
	return leafStmt{func(r *run) { e.eval(r) }}
}

func isSelf(e expr) bool {
	n, ok := e.(*nameExpr)
	return ok && n.key.text == "_self"
}

func (p *parser) importTag(pos int) stmt {
	from := p.expression(0)
	p.expect(tokName, "as", "")
	name := p.expect(tokName, "", "").text
	p.endTag()
	p.scope().modules[name] = true
	if isSelf(from) {
		return nil
	}
	return foreign(from, false, pos)
}

func (p *parser) fromTag(pos int) stmt {
	from := p.expression(0)
	p.expect(tokName, "import", "")
	aliases := map[string]string{} // of a macro named twice, the last
	for {
		name := p.expect(tokName, "", "").text
		alias := name
		if p.accept(tokName, "as") {
			alias = p.expect(tokName, "", "").text
		}
		aliases[name] = alias
		if !p.accept(tokPunctuation, ",") {
			break
		}
	}
	p.endTag()
	for name, alias := range aliases {
		p.scope().macros[alias] = name
	}
	if isSelf(from) {
		return nil
	}
	return foreign(from, false, pos)
}

func (p *parser) includeArguments() bool {
	ignore := false
	if p.accept(tokName, "ignore") {
		p.expect(tokName, "missing", "")
		ignore = true
	}
	if p.accept(tokName, "with") {
		p.expression(0)
	}
	p.accept(tokName, "only")
	p.endTag()
	return ignore
}

func (p *parser) includeTag(pos int) stmt {
	name := p.expression(0)
	return foreign(name, p.includeArguments(), pos)
}

func (p *parser) embedTag(pos int) stmt {
	name := p.expression(0)
	ignore := p.includeArguments()
	blocks := p.blocks
	p.blocks = map[string]*block{}
	p.body("endembed")
	p.blocks = blocks
	p.next()
	p.endTag()
	return foreign(name, ignore, pos)
}

func (p *parser) extendsTag(pos int) stmt {
	if p.inBlock > 0 {
		panic(syntaxError(pos, `Cannot use "extend" in a block`))
	}
	if p.extending {
		panic(syntaxError(pos, "Multiple extends tags are forbidden"))
	}
	p.extending = true
	name := p.expression(0)
	p.endTag()
	return foreign(name, false, pos)
}

func (p *parser) useTag(pos int) stmt {
	name := p.expression(0)
	if _, ok := name.(constExpr); !ok {
		panic(syntaxError(pos, `The template references in a "use" statement must be a string`))
	}
	if p.accept(tokName, "with") {
		for {
			p.expect(tokName, "", "")
			if p.accept(tokName, "as") {
				p.expect(tokName, "", "")
			}
			if !p.accept(tokPunctuation, ",") {
				break
			}
		}
	}
	p.endTag()
	return foreign(name, false, pos)
}

func (p *parser) autoescapeTag(pos int) stmt {
	strategy := "html"
	if p.current().kind != tokBlockEnd {
		c, ok := p.expression(0).(constExpr)
		if !ok {
			panic(syntaxError(pos, "An escaping strategy must be a string or false"))
		}
		strategy, _ = c.value.(string)
	}
	p.endTag()
	p.escape = append(p.escape, strategy)
	body := p.body("endautoescape")
	p.escape = p.escape[:len(p.escape)-1]
	p.next()
	p.endTag()
	return &wrapStmt{body: body}
}
