package template

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/flosch/pongo2/v6"
)

// This file is the only one that knows pongo2, which executes the skeleton of a template: what comes after
// what, branches and loops. The skeleton calls back into a rendering by number:
//
//	{{ d(3) }}                                  do action 3: print, set, begin or end a capture
//	{% if t(0) %}...{% elif t(1) %}...          is test 0 true
//	{% for q in i(0) %}...{% empty %}...        begin loop 0, its first action steps it
//
// So what pongo2 and Twig understand differently (values, operators, filters, scopes, escaping) never
// meets pongo2, and neither does any text of the user: its lexer, which is where it can be made to hang or to
// overflow the stack, reads nothing but the above.

// program is a body ready to run: of a template, a block or a macro.
type program struct {
	skeleton *pongo2.Template
	actions  [][]func(r *run)
	tests    []expr
	loops    []*forStmt
}

// noTemplates is a loader without anything to load.
type noTemplates struct{}

func (noTemplates) Abs(_, name string) string { return name }

func (noTemplates) Get(string) (io.Reader, error) {
	return nil, errors.New("there are no other templates")
}

// pongo is the set our skeletons are parsed in. All tags and filters that we do not use are banned; the
// mutex is there because parsing writes to the set.
var pongo struct {
	sync.Mutex
	set *pongo2.TemplateSet
}

// bannedTags are all tags of pongo2 6.0.0 but if and for.
var bannedTags = []string{"autoescape", "block", "comment", "cycle", "extends", "filter", "firstof", "ifchanged",
	"ifequal", "ifnotequal", "import", "include", "lorem", "macro", "now", "set", "spaceless", "ssi", "templatetag",
	"widthratio", "with"}

func init() {
	pongo.set = pongo2.NewSet("skeletons", noTemplates{})
	for _, tag := range bannedTags {
		if err := pongo.set.BanTag(tag); err != nil {
			panic(err) // another version of pongo2 than the one this list is of
		}
	}
}

// lower turns statements into a program.
func lower(body []stmt) *program {
	l := &lowering{p: &program{}}
	l.body(body)
	l.flush()
	pongo.Lock()
	defer pongo.Unlock()
	skeleton, err := pongo.set.FromString(l.text.String())
	if err != nil {
		panic(failure{kind: Syntax, message: "the template cannot be compiled", pos: -1})
	}
	l.p.skeleton = skeleton
	return l.p
}

type lowering struct {
	p       *program
	text    strings.Builder
	pending []func(r *run)
}

func (l *lowering) do(f func(r *run)) {
	if f != nil {
		l.pending = append(l.pending, f)
	}
}

// flush writes the actions that follow each other without a decision as one call.
func (l *lowering) flush() {
	if len(l.pending) == 0 {
		return
	}
	l.text.WriteString("{{ d(" + strconv.Itoa(len(l.p.actions)) + ") }}")
	l.p.actions = append(l.p.actions, l.pending)
	l.pending = nil
}

func (l *lowering) tag(text string) {
	l.flush()
	l.text.WriteString(text)
}

func (l *lowering) body(list []stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case textStmt:
			l.do(func(r *run) { r.write(s.text) })
		case leafStmt:
			l.do(s.do)
		case *wrapStmt:
			l.do(s.before)
			l.body(s.body)
			l.do(s.after)
		case *ifStmt:
			l.branches(s)
		case *forStmt:
			l.loop(s)
		}
	}
}

func (l *lowering) branches(s *ifStmt) {
	word := "if"
	for _, b := range s.branches {
		l.tag("{% " + word + " t(" + strconv.Itoa(len(l.p.tests)) + ") %}")
		l.p.tests = append(l.p.tests, b.test)
		l.body(b.body)
		word = "elif"
	}
	if len(s.other) > 0 {
		l.tag("{% else %}")
		l.body(s.other)
	}
	l.tag("{% endif %}")
}

func (l *lowering) loop(s *forStmt) {
	l.tag("{% for q in i(" + strconv.Itoa(len(l.p.loops)) + ") %}")
	l.p.loops = append(l.p.loops, s)
	l.do((*run).nextItem)
	l.body(s.body)
	if s.hasElse {
		l.tag("{% empty %}")
		l.body(s.other)
	}
	l.tag("{% endfor %}")
	l.do((*run).endLoop)
}

// nothing is what the skeleton's calls print: output goes past pongo2 into the rendering.
var nothing = pongo2.AsSafeValue("")

// execute runs a program in the current rendering. Failures pass through pongo2 as panics.
func (r *run) execute(p *program) {
	err := p.skeleton.ExecuteWriterUnbuffered(pongo2.Context{
		"d": func(n int) *pongo2.Value {
			r.step(1)
			for _, action := range p.actions[n] {
				action(r)
			}
			return nothing
		},
		"t": func(n int) bool {
			r.step(1)
			return truth(p.tests[n].eval(r))
		},
		"i": func(n int) []struct{} { return make([]struct{}, r.beginLoop(p.loops[n])) },
	}, io.Discard)
	if err != nil {
		fail("the template cannot be executed: %s", err)
	}
}

// loopFrame is a running for tag.
type loopFrame struct {
	loop   *forStmt
	seq    *Array
	at     int
	parent *Array // the variables outside
}

var (
	keyParent = textKey("_parent")
	keySeq    = textKey("_seq")
	keyLoop   = textKey("loop")
	keyDone   = textKey("_iterated")
)

// beginLoop prepares the variables as Twig does: the outer ones stay reachable as _parent.
func (r *run) beginLoop(s *forStmt) int {
	value := s.seq.eval(r)
	r.pos = s.pos
	seq, _ := value.(*Array)
	outer := r.vars
	r.chargeElements(outer.Len() + seq.Len())
	r.vars, r.owned = outer.clone(), true
	r.vars.put(keyParent, outer)
	r.vars.put(keySeq, value)
	if s.hasElse {
		r.vars.put(keyDone, false)
	}
	r.loops = append(r.loops, loopFrame{loop: s, seq: seq, parent: outer})
	if s.withLoop && s.hasElse && seq.Len() == 0 {
		r.vars.put(keyLoop, loopVariable(outer, 0, 0))
	}
	return seq.Len()
}

// loopVariable is loop at index i of n, within the variables outside.
func loopVariable(parent *Array, i, n int) *Array {
	loop := &Array{}
	loop.put(textKey("parent"), parent)
	loop.put(textKey("index0"), int64(i))
	loop.put(textKey("index"), int64(i+1))
	loop.put(textKey("first"), i == 0)
	loop.put(textKey("revindex0"), int64(n-1-i))
	loop.put(textKey("revindex"), int64(n-i))
	loop.put(textKey("length"), int64(n))
	loop.put(textKey("last"), i == n-1)
	return loop
}

func (r *run) nextItem() {
	f := &r.loops[len(r.loops)-1]
	r.own()
	i, n := f.at, f.seq.Len()
	f.at++
	if f.loop.hasElse {
		r.vars.put(keyDone, true)
	}
	if f.loop.withLoop {
		r.chargeElements(8)
		r.vars.put(keyLoop, loopVariable(f.parent, i, n))
	}
	r.vars.put(f.loop.value, f.seq.vals[i])
	r.vars.put(f.loop.key, f.seq.keyAt(i).value())
}

// endLoop keeps what the loop changed of the variables that were there before, and forgets the others.
func (r *run) endLoop() {
	f := r.loops[len(r.loops)-1]
	r.loops = r.loops[:len(r.loops)-1]
	hidden := map[Key]bool{keyParent: true, keySeq: true, keyDone: true, keyLoop: true, f.loop.key: true, f.loop.value: true}
	r.chargeElements(r.vars.Len() + f.parent.Len())
	result := &Array{}
	for i, v := range r.vars.vals {
		if k := r.vars.keyAt(i); f.parent.find(k) >= 0 && !hidden[k] {
			result.put(k, v)
		}
	}
	for i, v := range f.parent.vals {
		if k := f.parent.keyAt(i); result.find(k) < 0 {
			result.put(k, v)
		}
	}
	r.vars, r.owned = result, true
}
