package template

type assoc int

const (
	left assoc = iota
	right
)

type binaryOp struct {
	precedence int
	assoc      assoc
	apply      func(r *run, a, b any) any // nil for those with a syntax of their own
}

// binaryOps is Twig 3's table of precedences.
var binaryOps map[string]binaryOp

func init() {
	binaryOps = map[string]binaryOp{
		"or": {10, left, nil}, "and": {15, left, nil},
		"b-or": {16, left, opBitOr}, "b-xor": {17, left, opBitXor}, "b-and": {18, left, opBitAnd},
		"==": {20, left, opEqual}, "!=": {20, left, opNotEqual}, "<=>": {20, left, opSpaceship},
		"<": {20, left, opLess}, ">": {20, left, opGreater}, ">=": {20, left, opGreaterEqual}, "<=": {20, left, opLessEqual},
		"not in": {20, left, opNotIn}, "in": {20, left, opIn}, "matches": {20, left, opMatches},
		"starts with": {20, left, opStartsWith}, "ends with": {20, left, opEndsWith},
		"has some": {20, left, opHasSome}, "has every": {20, left, opHasEvery},
		"..": {25, left, opRange}, "+": {30, left, opAdd}, "-": {30, left, opSub},
		"~": {40, left, nil}, "*": {60, left, opMul}, "/": {60, left, opDiv}, "//": {60, left, opFloorDiv}, "%": {60, left, opMod},
		"is": {100, left, nil}, "is not": {100, left, nil},
		"**": {200, right, opPow}, "??": {300, right, nil},
	}
}

const (
	precedenceNot  = 50
	precedenceSign = 500
)

func (p *parser) expression(precedence int) expr { return p.expressionOrArrow(precedence, false) }

func (p *parser) expressionOrArrow(precedence int, allowArrow bool) expr {
	p.enter()
	defer p.leave()
	if allowArrow {
		if e := p.arrow(); e != nil {
			return e
		}
	}
	e := p.operand()
	for links := 0; ; links++ {
		t := p.current()
		if t.kind != tokOperator {
			break
		}
		op, ok := binaryOps[t.text]
		if !ok || op.precedence < precedence {
			break
		}
		p.chain(links)
		p.next()
		switch t.text {
		case "is":
			e = p.test(e)
			continue
		case "is not":
			e = &unaryExpr{op: opNot, operand: p.test(e), pos: t.pos}
			continue
		}
		rightPrecedence := op.precedence
		if op.assoc == left {
			rightPrecedence++
		}
		e = p.binary(t, op, e, p.expressionOrArrow(rightPrecedence, true))
	}
	if precedence == 0 {
		return p.conditional(e)
	}
	return e
}

// chain bounds what nests to the left without nesting in the source.
func (p *parser) chain(links int) {
	if links >= maxChain {
		panic(failure{kind: Limit, message: "the expression is too long", pos: p.current().pos})
	}
}

func (p *parser) binary(t *token, op binaryOp, a, b expr) expr {
	switch t.text {
	case "and", "or":
		return &logicExpr{or: t.text == "or", left: a, right: b}
	case "~":
		if c, ok := a.(*concatExpr); ok {
			c.parts = append(c.parts, b)
			return c
		}
		return &concatExpr{parts: []expr{a, b}}
	case "??":
		mustBeSimple(a, t.pos)
		return &coalesceExpr{a, b}
	}
	switch t.text {
	case "**":
		return power(a, b, t.pos)
	case "//":
		return &unaryExpr{op: opInt, operand: &binaryExpr{op: opFloorDiv, left: a, right: b, pos: t.pos}, pos: t.pos}
	}
	return &binaryExpr{op: op.apply, left: a, right: b, pos: t.pos}
}

// power is a ** b. Twig compiles a sign, a negation and the cast of // without brackets, so that PHP's
// precedence applies, where they come after it: (-a) ** b is -(a ** b).
func power(a, b expr, pos int) expr {
	if e, ok := a.(*unaryExpr); ok {
		return &unaryExpr{op: e.op, operand: power(e.operand, b, pos), pos: e.pos}
	}
	return &binaryExpr{op: opPow, left: a, right: b, pos: pos}
}

// mustBeSimple refuses what Twig's defined test (and so ??) cannot look at.
func mustBeSimple(e expr, pos int) {
	switch e := e.(type) {
	case *nameExpr, *attrExpr, constExpr, *arrayExpr, *macroExpr, *blockExpr:
		return
	case *callExpr:
		if e.def == functions["constant"] {
			return
		}
	}
	panic(syntaxError(pos, `The "defined" test only works with simple variables`))
}

func (p *parser) conditional(e expr) expr {
	for links := 0; p.accept(tokPunctuation, "?"); links++ {
		p.chain(links)
		if p.accept(tokPunctuation, ":") {
			e = &elvisExpr{e, p.expression(0)}
			continue
		}
		yes := p.expression(0)
		var no expr = constExpr{""}
		if p.accept(tokPunctuation, ":") {
			no = p.expression(0)
		}
		e = &condExpr{e, yes, no}
	}
	return e
}

// arrow parses v => e and (k, v) => e, or nothing.
func (p *parser) arrow() expr {
	var params []Key
	if p.look(1).kind == tokArrow {
		params = append(params, textKey(p.expect(tokName, "", "").text))
		p.expect(tokArrow, "", "")
	} else {
		if !p.punct("(") {
			return nil
		}
		i := 1
		for {
			i++
			if !p.look(i).is(tokPunctuation, ",") {
				break
			}
			i++
		}
		if !p.look(i).is(tokPunctuation, ")") || p.look(i+1).kind != tokArrow {
			return nil
		}
		p.next()
		for {
			params = append(params, textKey(p.expect(tokName, "", "").text))
			if !p.accept(tokPunctuation, ",") {
				break
			}
		}
		p.expect(tokPunctuation, ")", "")
		p.expect(tokArrow, "", "")
	}
	return &arrowExpr{params: params, body: p.expression(0)}
}

func (p *parser) operand() expr {
	p.enter()
	defer p.leave()
	t := p.current()
	if t.kind == tokOperator {
		switch t.text {
		case "not":
			p.next()
			return p.postfix(&unaryExpr{op: opNot, operand: p.expression(precedenceNot), pos: t.pos})
		case "-":
			p.next()
			return p.postfix(&unaryExpr{op: opMinus, operand: p.expression(precedenceSign), pos: t.pos})
		case "+":
			p.next()
			return p.postfix(&unaryExpr{op: opPlus, operand: p.expression(precedenceSign), pos: t.pos})
		}
	}
	if p.accept(tokPunctuation, "(") {
		e := p.expression(0)
		p.expect(tokPunctuation, ")", "An opened parenthesis is not properly closed")
		if c, ok := e.(*concatExpr); ok {
			e = &concatExpr{parts: []expr{c}} // brackets end a chain of ~
		}
		return p.postfix(e)
	}
	return p.primary()
}

func (p *parser) primary() expr {
	t := p.current()
	var e expr
	switch t.kind {
	case tokName:
		p.next()
		switch t.text {
		case "true", "TRUE":
			e = constExpr{true}
		case "false", "FALSE":
			e = constExpr{false}
		case "none", "NONE", "null", "NULL":
			e = constExpr{nil}
		default:
			if p.punct("(") {
				e = p.call(t)
			} else {
				e = p.name(t)
			}
		}
	case tokNumber:
		p.next()
		e = constExpr{t.value}
	case tokString, tokInterpolationStart:
		e = p.stringExpr()
	case tokOperator:
		if nameLength(t.text) == len(t.text) {
			p.next()
			e = p.name(t)
			break
		}
		if t.text == "-" || t.text == "+" {
			p.next()
			if t.text == "-" {
				e = &unaryExpr{op: opMinus, operand: p.primary(), pos: t.pos}
			} else {
				e = &unaryExpr{op: opPlus, operand: p.primary(), pos: t.pos}
			}
			break
		}
		panic(p.unexpected(t))
	default:
		switch {
		case t.is(tokPunctuation, "["):
			e = p.list()
		case t.is(tokPunctuation, "{"):
			e = p.hash()
		default:
			panic(p.unexpected(t))
		}
	}
	return p.postfix(e)
}

func (p *parser) name(t *token) expr {
	if t.text == "loop" {
		p.loopSeen = true
	}
	return &nameExpr{key: textKey(t.text), pos: t.pos}
}

func (p *parser) stringExpr() expr {
	var parts []expr
	canBeString := true
	for {
		t := p.current()
		if canBeString && t.kind == tokString {
			p.next()
			parts = append(parts, constExpr{t.text})
			canBeString = false
		} else if t.kind == tokInterpolationStart {
			p.next()
			parts = append(parts, p.expression(0))
			p.expect(tokInterpolationEnd, "", "")
			canBeString = true
		} else {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &concatExpr{parts: []expr{&concatExpr{parts: parts}}}
}

func (p *parser) list() expr {
	p.expect(tokPunctuation, "[", "")
	a := &arrayExpr{}
	for !p.punct("]") {
		if len(a.items) > 0 {
			p.expect(tokPunctuation, ",", "An array element must be followed by a comma")
			if p.punct("]") {
				break
			}
		}
		a.items = append(a.items, arrayItem{value: p.expression(0)})
	}
	p.expect(tokPunctuation, "]", "An opened array is not properly closed")
	return a
}

func (p *parser) hash() expr {
	p.expect(tokPunctuation, "{", "")
	a := &arrayExpr{}
	for !p.punct("}") {
		if len(a.items) > 0 {
			p.expect(tokPunctuation, ",", "A hash value must be followed by a comma")
			if p.punct("}") {
				break
			}
		}
		t := p.current()
		var key expr
		switch {
		case t.kind == tokName:
			p.next()
			key = constExpr{t.text}
			if p.punct(",") || p.punct("}") {
				a.items = append(a.items, arrayItem{key, p.name(t)})
				continue
			}
		case t.kind == tokString:
			p.next()
			key = constExpr{t.text}
		case t.kind == tokNumber:
			p.next()
			key = constExpr{t.value}
		case t.is(tokPunctuation, "("):
			key = p.expression(0)
		default:
			panic(syntaxError(t.pos, "A hash key must be a quoted string, a number, a name, or an expression enclosed in "+
				"parentheses (unexpected %s)", t.spell()))
		}
		p.expect(tokPunctuation, ":", "A hash key must be followed by a colon (:)")
		a.items = append(a.items, arrayItem{key, p.expression(0)})
	}
	p.expect(tokPunctuation, "}", "An opened hash is not properly closed")
	return a
}

func (p *parser) postfix(e expr) expr {
	for links := 0; ; links++ {
		t := p.current()
		if t.kind != tokPunctuation || t.text != "." && t.text != "[" && t.text != "|" {
			return e
		}
		p.chain(links)
		p.next()
		switch t.text {
		case ".":
			e = p.attribute(e, t.pos)
		case "[":
			e = p.subscript(e, t.pos)
		case "|":
			e = p.filter(e)
		}
	}
}

func (p *parser) attribute(object expr, pos int) expr {
	t := p.current()
	isName := t.kind == tokName || t.kind == tokOperator && nameLength(t.text) == len(t.text)
	if !isName && t.kind != tokNumber {
		panic(syntaxError(t.pos, "Expected name or number, got value %q of type %s", t.text, t.kind.describe()))
	}
	p.next()
	var key any = t.text
	if t.kind == tokNumber {
		key = t.value
	}
	e := &attrExpr{object: object, key: constExpr{key}, pos: pos}
	p.read(object, e.key)
	if p.punct("(") {
		args := p.arguments(false, false).positional
		if p.isModule(object) {
			return &macroExpr{name: t.text, args: args, pos: pos}
		}
		e.method, e.args = true, args
	} else if p.isModule(object) {
		return &macroExpr{name: t.text, pos: pos}
	}
	return e
}

func (p *parser) subscript(object expr, pos int) expr {
	var key expr = constExpr{int64(0)}
	slice := p.punct(":")
	if !slice {
		key = p.expression(0)
	}
	if p.accept(tokPunctuation, ":") {
		slice = true
	}
	if !slice {
		p.expect(tokPunctuation, "]", "")
		p.read(object, key)
		return &attrExpr{object: object, key: key, subscript: true, pos: pos}
	}
	var length expr = constExpr{nil}
	if !p.punct("]") {
		length = p.expression(0)
	}
	p.expect(tokPunctuation, "]", "")
	return &callExpr{def: filters["slice"], args: []expr{object, key, length}, pos: pos}
}
