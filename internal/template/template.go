package template

import (
	"container/list"
	"strings"
	"sync"
	"time"
)

// Options are what a rendering gets besides its values.
type Options struct {
	// Now is the clock: "now" and every relative date count from it. Zero is the present.
	Now time.Time
	// Zone is the default time zone, an IANA name; empty is UTC. See [ValidZone].
	Zone string
}

// ValidZone says whether Options.Zone may be this.
func ValidZone(name string) bool {
	_, ok := findZone(name)
	return ok
}

// compiled is what a source became. It is never changed after.
type compiled struct {
	source string
	main   *program
	value  expr
	macros map[string]*macro
	blocks map[string]*block
	reads  map[string][]string // of its variables, by name
}

// Template is a compiled template, safe for concurrent use.
type Template struct{ compiled *compiled }

// Expression is a compiled expression without braces, as filters and conditions are; safe for concurrent use.
type Expression struct{ compiled *compiled }

// Compile reads a template. Sources compiled lately are found again without reading. The error is an *Error
// of kind Syntax or Limit.
func Compile(source string) (*Template, error) {
	c, err := cached("t" + source)
	if err != nil {
		return nil, err
	}
	return &Template{c}, nil
}

// CompileExpression reads a bare expression, such as event.entity.total > 100. Errors as of Compile.
func CompileExpression(source string) (*Expression, error) {
	c, err := cached("e" + source)
	if err != nil {
		return nil, err
	}
	return &Expression{c}, nil
}

// Reads returns the members that the template reads of a variable by names written in it, as
// in secrets.erp or secrets['erp'], in their order and maybe repeated; not those of names that
// are computed, nor those for which it says what is to be if there is none, as in secrets.erp ?? 'x'.
func (t *Template) Reads(variable string) []string { return t.compiled.reads[variable] }

// Reads is as of Template.
func (e *Expression) Reads(variable string) []string { return e.compiled.reads[variable] }

// Render evaluates the template with these values (nil for none). The error is an *Error of kind Runtime
// or Limit; there is no output with one.
func (t *Template) Render(values *Array, o Options) (string, error) {
	var out string
	err := t.compiled.run(values, o, func(r *run) {
		r.execute(t.compiled.main)
		out = string(r.out)
	})
	return out, err
}

// Eval gives the value of the expression: nil, a bool, int64, float64, string, *Array, or something else
// for what is none of these, such as a date. Errors as of Render.
func (e *Expression) Eval(values *Array, o Options) (any, error) {
	var v any
	err := e.compiled.run(values, o, func(r *run) { v = e.compiled.value.eval(r) })
	return v, err
}

// True says whether the expression is true as Twig's if tag sees it. Errors as of Render.
func (e *Expression) True(values *Array, o Options) (bool, error) {
	v, err := e.Eval(values, o)
	return err == nil && truth(v), err
}

// noValues stands for none; nothing is ever put into it, for a rendering copies what it changes.
var noValues = &Array{}

func (c *compiled) run(values *Array, o Options, do func(r *run)) (err error) {
	z := utc
	if o.Zone != "" && o.Zone != "UTC" {
		var ok bool
		if z, ok = findZone(o.Zone); !ok {
			return &Error{Kind: Runtime, Message: "unknown time zone " + o.Zone}
		}
	}
	if values == nil {
		values = noValues
	}
	started := time.Now()
	if o.Now.IsZero() {
		o.Now = started
	}
	r := &run{program: c, now: o.Now, zone: z, deadline: started.Add(maxTime), looked: started, vars: values}
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(failure)
			if !ok {
				f = failure{kind: Runtime, message: "the template cannot be evaluated", pos: -1}
			}
			if f.pos < 0 {
				f.pos = r.pos
			}
			err = f.at(c.source)
		}
	}()
	do(r)
	return nil
}

// compile reads a source; kind is 't' for a template, 'e' for an expression.
func compile(kind byte, source string) (c *compiled, err error) {
	if len(source) > maxSource {
		return nil, &Error{Kind: Limit, Message: "the template is larger than 64 KiB"}
	}
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(failure)
			if !ok {
				f = failure{kind: Syntax, message: "the template cannot be compiled", pos: -1}
			}
			c, err = nil, f.at(source)
		}
	}()
	c = &compiled{source: source}
	if kind == 'e' {
		p := newParser(lexExpression(source))
		c.value = p.expression(0)
		p.expect(tokEOF, "", "")
		c.macros, c.blocks, c.reads = p.macros, p.blocks, p.outside()
		return c, nil
	}
	p := newParser(lex(source))
	body := p.template()
	c.macros, c.blocks, c.reads = p.macros, p.blocks, p.outside()
	c.main = lower(body)
	for _, m := range p.macros {
		m.program, m.body = lower(m.body), nil
	}
	for _, b := range p.blocks {
		b.program, b.body = lower(b.body), nil
	}
	return c, nil
}

// The cache keeps the sources used last: hash templates, filters and bodies are few and come again.
const (
	maxCached      = 512
	maxCachedBytes = 4 << 20
)

var cache struct {
	sync.Mutex
	order list.List // of *cacheEntry, the last used first
	m     map[string]*list.Element
	bytes int
}

type cacheEntry struct {
	key      string
	compiled *compiled
}

func cached(key string) (*compiled, error) {
	cache.Lock()
	if e, ok := cache.m[key]; ok {
		cache.order.MoveToFront(e)
		cache.Unlock()
		return e.Value.(*cacheEntry).compiled, nil
	}
	cache.Unlock()
	c, err := compile(key[0], key[1:])
	if err != nil {
		return nil, err
	}
	cache.Lock()
	defer cache.Unlock()
	if e, ok := cache.m[key]; ok {
		return e.Value.(*cacheEntry).compiled, nil
	}
	if cache.m == nil {
		cache.m = map[string]*list.Element{}
	}
	cache.m[key] = cache.order.PushFront(&cacheEntry{key, c})
	cache.bytes += len(key)
	for cache.order.Len() > maxCached || cache.bytes > maxCachedBytes {
		oldest := cache.order.Back()
		entry := cache.order.Remove(oldest).(*cacheEntry)
		delete(cache.m, entry.key)
		cache.bytes -= len(entry.key)
	}
	return c, nil
}
