package template

import (
	"regexp"
	"strings"
)

// builtin is a filter, function or test. Its first parameter is the subject, for filters and tests.
type builtin struct {
	params   []param
	variadic bool // any number more
	native   bool // a PHP function itself: refuses more arguments than it has parameters
	fn       func(r *run, a args) any
}

type param struct {
	name     string
	optional bool
}

// args are the evaluated arguments; absent stands for one that was left out.
type args []any

type absent struct{}

func (a args) has(i int) bool {
	if i >= len(a) {
		return false
	}
	_, left := a[i].(absent)
	return !left
}

// at is the argument or, if it was left out, what stands in for it.
func (a args) at(i int, otherwise any) any {
	if a.has(i) {
		return a[i]
	}
	return otherwise
}

// define makes a builtin from the names of its parameters: "?" behind a name makes it optional, "*" stands
// for any number, a leading "!" for a function of PHP's own.
func define(signature string, fn func(r *run, a args) any) *builtin {
	b := &builtin{fn: fn}
	for _, word := range strings.Fields(signature) {
		switch {
		case word == "*":
			b.variadic = true
		case word == "!":
			b.native = true
		default:
			b.params = append(b.params, param{strings.TrimSuffix(word, "?"), strings.HasSuffix(word, "?")})
		}
	}
	return b
}

func (b *builtin) required() int {
	n := 0
	for _, p := range b.params {
		if !p.optional {
			n++
		}
	}
	return n
}

var camel = regexp.MustCompile(`([A-Z]+)([A-Z][a-z])|([a-z\d])([A-Z])`)

func normalName(s string) string {
	return strings.ToLower(camel.ReplaceAllString(s, "${1}${3}_${2}${4}"))
}

// bind puts arguments into the places of parameters. Names that do not fit are faults of the
// syntax; a wrong number without names shows only when the template is rendered, as in Twig.
func bind(b *builtin, kind string, subject expr, a arguments, pos int) []expr {
	var list []expr
	if subject != nil {
		list = append(list, subject)
	}
	list = append(list, a.positional...)
	if len(a.named) == 0 {
		return list
	}
	given := map[string]bool{}
	for _, n := range a.named {
		at := -1
		for i, p := range b.params {
			if normalName(p.name) == normalName(n.name) && (subject == nil || i > 0) {
				at = i
			}
		}
		switch {
		case at < 0 && b.variadic:
			list = append(list, n.value)
			continue
		case at < 0:
			panic(syntaxError(n.pos, "Unknown argument %q for %s", n.name, kind))
		case at < len(list) && list[at] != nil, given[normalName(n.name)]:
			panic(syntaxError(n.pos, "Argument %q is defined twice for %s", n.name, kind))
		}
		given[normalName(n.name)] = true
		for len(list) <= at {
			list = append(list, nil)
		}
		list[at] = n.value
	}
	for i, p := range b.params {
		if !p.optional && (i >= len(list) || list[i] == nil) {
			panic(syntaxError(pos, "Value for argument %q is required for %s", p.name, kind))
		}
	}
	return list
}

func (e *callExpr) eval(r *run) any {
	r.step(1)
	a := make(args, len(e.args))
	for i, arg := range e.args {
		if arg == nil {
			a[i] = absent{}
		} else {
			a[i] = arg.eval(r)
		}
	}
	r.pos = e.pos
	if need := e.def.required(); len(a) < need {
		fail("Too few arguments: %d passed and at least %d expected", len(a), need)
	}
	if e.def.native && !e.def.variadic && len(a) > len(e.def.params) {
		fail("Too many arguments: %d passed and at most %d expected", len(a), len(e.def.params))
	}
	return e.def.fn(r, a)
}
