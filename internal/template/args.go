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
// for any number of them, a leading "!" for a function of PHP's own.
func define(signature string, fn func(r *run, a args) any) *builtin {
	b := &builtin{fn: fn}
	for _, word := range strings.Fields(signature) {
		switch {
		case word == "!":
			b.native = true
		case strings.HasSuffix(word, "*"):
			b.variadic = true
			b.params = append(b.params, param{strings.TrimSuffix(word, "*"), true})
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
	// As in Twig: of a name given twice the last counts, and an optional parameter left out at the end stays out.
	rest := map[string]namedArgument{}
	for _, n := range a.named {
		rest[normalName(n.name)] = n
	}
	for i, p := range b.params {
		n, named := rest[normalName(p.name)]
		switch placed := i < len(list); {
		case named && (subject == nil || i > 0):
			if placed {
				panic(syntaxError(n.pos, "Argument %q is defined twice for %s", n.name, kind))
			}
			list = append(append(list, make([]expr, i-len(list))...), n.value)
			delete(rest, normalName(p.name))
		case !placed && !p.optional:
			panic(syntaxError(pos, "Value for argument %q is required for %s", p.name, kind))
		}
	}
	for _, n := range a.named {
		if _, unknown := rest[normalName(n.name)]; unknown {
			panic(syntaxError(n.pos, "Unknown argument %q for %s", n.name, kind))
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
