package template

import "strings"

// parser follows Twig\Parser and Twig\ExpressionParser.
type parser struct {
	tokens []token
	at     int
	depth  int

	macros    map[string]*macro
	blocks    map[string]*block
	scopes    []imports // of the template and of the block or macro the parser is in
	inBlock   int
	loopSeen  bool
	escape    []string // strategies of the autoescape tags around, "" for off
	extending bool

	reads    map[string][]string // members that are read of variables, where the name of the member stands there
	assigned map[string]bool     // variables that the template makes itself
}

func newParser(tokens []token) *parser {
	return &parser{tokens: tokens, macros: map[string]*macro{}, blocks: map[string]*block{},
		scopes: []imports{newImports()}, reads: map[string][]string{}, assigned: map[string]bool{}}
}

// imports are what import and from tags made known, in the template or within one block or macro.
type imports struct {
	modules map[string]bool   // names that stand for this template itself
	macros  map[string]string // functions that are macros of this template
}

func newImports() imports {
	return imports{modules: map[string]bool{"_self": true}, macros: map[string]string{}}
}

func (p *parser) scope() imports { return p.scopes[len(p.scopes)-1] }

// inScope parses a body that sees the template's imports and its own, but none of what is between.
func (p *parser) inScope(ends string) []stmt {
	p.scopes = append(p.scopes, newImports())
	body := p.body(ends)
	p.scopes = p.scopes[:len(p.scopes)-1]
	return body
}

// isModule says whether an expression stands for this template, whose macros its attributes are.
func (p *parser) isModule(e expr) bool {
	n, ok := e.(*nameExpr)
	return ok && (p.scope().modules[n.key.text] || p.scopes[0].modules[n.key.text])
}

// macro finds the macro that a function name was imported for.
func (p *parser) macro(function string) (string, bool) {
	if name, ok := p.scope().macros[function]; ok {
		return name, true
	}
	name, ok := p.scopes[0].macros[function]
	return name, ok
}

// read notes that a member of a variable is read, unless the template says itself what is to
// be if there is none.
func (p *parser) read(object, key expr) {
	variable, ok := object.(*nameExpr)
	t := p.current()
	guarded := t.is(tokOperator, "??") || t.is(tokOperator, "is") || t.is(tokOperator, "is not") ||
		t.is(tokPunctuation, "|") && p.look(1).text == "default"
	if !ok || guarded {
		return
	}
	if c, ok := key.(constExpr); ok {
		if name, ok := c.value.(string); ok {
			p.reads[variable.key.text] = append(p.reads[variable.key.text], name)
		}
	}
}

// outside is what is read of variables that the template does not make itself.
func (p *parser) outside() map[string][]string {
	for name := range p.assigned {
		delete(p.reads, name)
	}
	return p.reads
}

func (p *parser) current() *token { return &p.tokens[p.at] }

func (p *parser) look(n int) *token {
	if p.at+n >= len(p.tokens) {
		return &p.tokens[len(p.tokens)-1]
	}
	return &p.tokens[p.at+n]
}

func (p *parser) next() *token {
	t := &p.tokens[p.at]
	if p.at < len(p.tokens)-1 {
		p.at++
	} else if t.kind == tokEOF {
		panic(syntaxError(t.pos, "Unexpected end of template"))
	}
	return t
}

func (t *token) is(kind tokenKind, text string) bool { return t.kind == kind && t.text == text }

func (p *parser) punct(text string) bool { return p.current().is(tokPunctuation, text) }

func (p *parser) accept(kind tokenKind, text string) bool {
	if p.current().is(kind, text) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(kind tokenKind, text, why string) *token {
	t := p.current()
	if t.kind != kind || text != "" && t.text != text {
		if why != "" {
			why += ". "
		}
		with := ""
		if text != "" {
			with = ` with value "` + text + `"`
		}
		panic(syntaxError(t.pos, `%sUnexpected %s (%q expected%s)`, why, t.spell(), kind.describe(), with))
	}
	if t.kind == tokEOF {
		return t
	}
	return p.next()
}

func (t *token) spell() string {
	s := `token "` + t.kind.describe() + `"`
	if t.text != "" {
		s += ` of value "` + t.text + `"`
	}
	return s
}

func (p *parser) unexpected(t *token) failure {
	return syntaxError(t.pos, "Unexpected %s", t.spell())
}

// enter counts a level of nesting; its result undoes it.
func (p *parser) enter() {
	if p.depth++; p.depth > maxNesting*2 {
		panic(failure{kind: Limit, message: "the template is nested too deeply", pos: p.current().pos})
	}
}

func (p *parser) leave() { p.depth-- }

// template parses all tokens.
func (p *parser) template() []stmt {
	body := p.body("")
	return body
}

// body parses statements until one of the tags in ends (separated by spaces) stands behind a "{%", which
// it consumes, or to the end of the template if there are none.
func (p *parser) body(ends string) []stmt {
	p.enter()
	defer p.leave()
	var list []stmt
	for {
		t := p.current()
		switch t.kind {
		case tokEOF:
			if ends != "" {
				panic(syntaxError(t.pos, "Unexpected end of template"))
			}
			return list
		case tokText:
			p.next()
			list = append(list, textStmt{t.text})
		case tokVarStart:
			p.next()
			e := p.expression(0)
			p.expect(tokVarEnd, "", "")
			list = append(list, p.print(e))
		case tokBlockStart:
			p.next()
			name := p.current()
			if name.kind != tokName {
				panic(syntaxError(name.pos, "A block must start with a tag name"))
			}
			if ends != "" && contains(ends, name.text) {
				return list
			}
			parse, ok := tags[name.text]
			if !ok {
				if ends != "" {
					panic(syntaxError(name.pos, "Unexpected %q tag (expecting a closing tag: %s)", name.text,
						strings.ReplaceAll(ends, " ", " or ")))
				}
				panic(syntaxError(name.pos, "Unknown %q tag", name.text))
			}
			p.next()
			if s := parse(p, name.pos); s != nil {
				list = append(list, s)
			}
		default:
			panic(p.unexpected(t))
		}
	}
}

func contains(words, word string) bool {
	for _, w := range strings.Split(words, " ") {
		if w == word {
			return true
		}
	}
	return false
}

// print writes an expression, escaped where an autoescape tag asks for it.
func (p *parser) print(e expr) stmt {
	if n := len(p.escape); n > 0 && p.escape[n-1] != "" {
		e = escaped(e, p.escape[n-1])
	}
	return leafStmt{func(r *run) { r.write(r.str(e.eval(r))) }}
}

// escaped is Twig's escaping of what is printed: of a condition of which one side is safe, the other one.
func escaped(e expr, strategy string) expr {
	if isSafe(e, strategy) {
		return e
	}
	yes, no := sides(e)
	if yes == nil || isSafe(*yes, strategy) == isSafe(*no, strategy) {
		return autoescape(e, strategy)
	}
	switch e := e.(type) {
	case *condExpr:
		return &condExpr{e.test, escaped(e.yes, strategy), escaped(e.no, strategy)}
	case *elvisExpr:
		return &condExpr{e.value, escaped(e.value, strategy), escaped(e.no, strategy)}
	case *coalesceExpr:
		given := &logicExpr{left: &definedExpr{e.value}, right: &unaryExpr{op: opNot, operand: &callExpr{def: tests["null"], args: []expr{e.value}}}}
		return &condExpr{given, escaped(e.value, strategy), escaped(e.no, strategy)}
	}
	return e
}

// sides are what a conditional expression may give, nil if it is none.
func sides(e expr) (yes, no *expr) {
	switch e := e.(type) {
	case *condExpr:
		return &e.yes, &e.no
	case *elvisExpr:
		return &e.value, &e.no
	case *coalesceExpr:
		return &e.value, &e.no
	}
	return nil, nil
}

func autoescape(e expr, strategy string) expr {
	return &callExpr{def: filters["escape"], args: []expr{e, constExpr{strategy}, constExpr{nil}, constExpr{true}}}
}

// isSafe is Twig's static analysis of what autoescape leaves alone.
func isSafe(e expr, strategy string) bool {
	if yes, no := sides(e); yes != nil {
		return isSafe(*yes, strategy) && isSafe(*no, strategy)
	}
	switch e := e.(type) {
	case constExpr, *macroExpr, *blockExpr, *foreignExpr:
		return true
	case *callExpr:
		switch e.def {
		case filters["raw"]:
			return true
		case filters["escape"]:
			if len(e.args) < 2 {
				return strategy == "html"
			}
			c, ok := e.args[1].(constExpr)
			return ok && (c.value == strategy || c.value == "html_attr" && strategy == "html")
		case filters["nl2br"], filters["spaceless"]:
			return strategy == "html"
		}
	}
	return false
}

func (p *parser) endTag() { p.expect(tokBlockEnd, "", "") }
