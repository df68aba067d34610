package template

import "strings"

// What is called in an expression: filters, tests, functions, and their arguments.

func (p *parser) filter(subject expr) expr {
	t := p.expect(tokName, "", "")
	var args arguments
	if p.punct("(") {
		args = p.arguments(true, true)
	}
	def, ok := filters[t.text]
	if !ok {
		panic(syntaxError(t.pos, "Unknown %q filter%s", t.text, didYouMean(t.text, filters)))
	}
	if (t.text == "nl2br" || t.text == "spaceless") && !isSafe(subject, "html") {
		subject = autoescape(subject, "html") // everywhere, not only within autoescape
	}
	return &callExpr{def: def, args: bind(def, "filter", subject, args, t.pos), pos: t.pos}
}

func (p *parser) test(subject expr) expr {
	t := p.expect(tokName, "", "")
	name := t.text
	def, ok := tests[name]
	if !ok && p.current().kind == tokName {
		name += " " + p.current().text
		if def, ok = tests[name]; ok {
			p.next()
		}
	}
	if !ok {
		panic(syntaxError(t.pos, "Unknown %q test", t.text))
	}
	var args arguments
	if p.punct("(") {
		args = p.arguments(true, false)
	} else if def.required() > 1 {
		args.positional = []expr{p.primary()}
	}
	if name == "defined" {
		mustBeSimple(subject, t.pos)
		return &definedExpr{subject}
	}
	e := &callExpr{def: def, args: bind(def, "test", subject, args, t.pos), pos: t.pos}
	if need := def.required(); len(e.args) < need {
		panic(syntaxError(t.pos, "The test %q needs an argument", name))
	}
	return e
}

func (p *parser) call(t *token) expr {
	switch t.text {
	case "parent":
		p.arguments(false, false)
		if p.inBlock == 0 {
			panic(syntaxError(t.pos, `Calling "parent" outside a block is forbidden`))
		}
		if p.extending {
			return &foreignExpr{name: constExpr{"parent"}, pos: t.pos}
		}
		panic(syntaxError(t.pos, `Calling "parent" on a template that does not extend nor "use" another template is forbidden`))
	case "block":
		args := p.arguments(false, false).positional
		if len(args) == 0 {
			panic(syntaxError(t.pos, `The "block" function takes one argument (the block name)`))
		}
		e := &blockExpr{name: args[0], pos: t.pos}
		if len(args) > 1 {
			e.others = args[1]
		}
		return e
	case "attribute":
		args := p.arguments(false, false).positional
		if len(args) < 2 {
			panic(syntaxError(t.pos, `The "attribute" function takes at least two arguments (the variable and the attributes)`))
		}
		e := &attrExpr{object: args[0], key: args[1], pos: t.pos}
		if len(args) > 2 {
			list, ok := args[2].(*arrayExpr)
			if !ok {
				panic(syntaxError(t.pos, `The arguments of "attribute" must be an array`))
			}
			for _, item := range list.items {
				e.args = append(e.args, item.value)
			}
		}
		return e
	case "include", "source":
		args := p.arguments(true, false)
		e := &foreignExpr{pos: t.pos}
		if len(args.positional) > 0 {
			e.name = args.positional[0]
		}
		if named, ok := args.byName()["template"]; ok && e.name == nil {
			e.name = named
		}
		ignore := args.byName()["ignore_missing"]
		if at := map[string]int{"include": 3, "source": 1}[t.text]; len(args.positional) > at {
			ignore = args.positional[at]
		}
		if c, ok := ignore.(constExpr); ok && c.value == true {
			e.ignoreMissing = true
		}
		return e
	}
	if name, ok := p.macro(t.text); ok {
		return &macroExpr{name: name, args: p.arguments(false, false).positional, pos: t.pos}
	}
	args := p.arguments(true, false)
	def, ok := functions[t.text]
	if !ok {
		panic(syntaxError(t.pos, "Unknown %q function%s", t.text, didYouMean(t.text, functions)))
	}
	return &callExpr{def: def, args: bind(def, "function", nil, args, t.pos), pos: t.pos}
}

type arguments struct {
	positional []expr
	named      []namedArgument
}

type namedArgument struct {
	name  string
	value expr
	pos   int
}

func (a arguments) byName() map[string]expr {
	if len(a.named) == 0 {
		return nil
	}
	m := make(map[string]expr, len(a.named))
	for _, n := range a.named {
		m[n.name] = n.value
	}
	return m
}

func (p *parser) arguments(named, allowArrow bool) arguments {
	var a arguments
	p.expect(tokPunctuation, "(", "A list of arguments must begin with an opening parenthesis")
	for first := true; !p.punct(")"); first = false {
		if !first {
			p.expect(tokPunctuation, ",", "Arguments must be separated by a comma")
			if p.punct(")") {
				break
			}
		}
		pos := p.current().pos
		value := p.expressionOrArrow(0, allowArrow)
		if named && p.current().is(tokOperator, "=") {
			p.next()
			name, ok := value.(*nameExpr)
			if !ok {
				panic(syntaxError(pos, "A parameter name must be a string"))
			}
			a.named = append(a.named, namedArgument{name.key.text, p.expressionOrArrow(0, allowArrow), pos})
			continue
		}
		if len(a.named) > 0 {
			panic(syntaxError(pos, "Positional arguments cannot be used after named arguments"))
		}
		a.positional = append(a.positional, value)
	}
	p.expect(tokPunctuation, ")", "A list of arguments must be closed by a parenthesis")
	return a
}

// didYouMean names the registered word nearest to a misspelt one.
func didYouMean[V any](name string, known map[string]V) string {
	best := ""
	for k := range known {
		if (strings.Contains(name, k) || strings.Contains(k, name)) && (best == "" || len(k) < len(best) || len(k) == len(best) && k < best) {
			best = k
		}
	}
	if best == "" {
		return ""
	}
	return `. Did you mean "` + best + `"?`
}
