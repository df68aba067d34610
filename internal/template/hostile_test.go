package template

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func repeat(s string, n int) string { return strings.Repeat(s, n) }

// hostile are templates made to crash, hang or fill memory. None may do so; those in the first group
// must be refused.
var hostile = []struct{ name, source string }{
	{"source too large", repeat("x", maxSource+1)},
	{"brackets", "{{ " + repeat("(", 20000) + "1" + repeat(")", 20000) + " }}"},
	{"lists", "{{ " + repeat("[", 20000) + repeat("]", 20000) + " }}"},
	{"unclosed brackets", "{{ " + repeat("(", 60000)},
	{"nots", "{{ " + repeat("not ", 12000) + "1 }}"},
	{"signs", "{{ " + repeat("- ", 30000) + "1 }}"},
	{"powers", "{{ 1" + repeat(" ** 1", 10000) + " }}"},
	{"ternaries", "{{ " + repeat("a ? b : ", 8000) + "c }}"},
	{"ternaries to the left", "{{ " + repeat("a ?: ", 8000) + "c }}"},
	{"attributes", "{{ a" + repeat(".b", 30000) + " }}"},
	{"filters", "{{ a" + repeat("|e", 30000) + " }}"},
	{"sums", "{{ 1" + repeat("+1", 30000) + " }}"},
	{"ifs", repeat("{% if 1 %}", 5000) + repeat("{% endif %}", 1000)},
	{"fors", repeat("{% for i in 1..9 %}", 2000) + repeat("{% endfor %}", 1000)},
	{"elseifs", "{% if 0 %}" + repeat("{% elseif 0 %}", 4000) + "{% endif %}"},
	{"interpolations", "{{ " + repeat(`"#{`, 10000) + " }}"},
	{"arrows", "{{ [1]|map(" + repeat("x => ", 10000) + "1) }}"},
	{"nested loops", "{% for a in 1..9999 %}{% for b in 1..9999 %}{% for c in 1..9999 %}{% endfor %}{% endfor %}{% endfor %}"},
	{"busy loop", "{% set r = 1..50000 %}{% for a in r %}{% for b in r %}{{ b }}{% endfor %}{% endfor %}"},
	{"doubling text", "{% set s = 'x' %}{% for i in 1..60 %}{% set s = s ~ s %}{% endfor %}"},
	{"doubling lists", "{% set s = [1] %}{% for i in 1..60 %}{% set s = s|merge(s) %}{% endfor %}"},
	{"doubling nests", "{% set s = [1] %}{% for i in 1..60 %}{% set s = [s, s] %}{% endfor %}{{ s|json_encode }}"},
	{"comparing nests", "{% set s = [1] %}{% set t = [1] %}{% for i in 1..60 %}{% set s = [s, s] %}{% set t = [t, t] %}{% endfor %}{{ s == t }}"},
	{"printing", "{% for i in 1..9999 %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}"},
	{"huge range", "{{ range(1, 1000000000)|length }}"},
	{"huge float range", "{{ range(0, 1, 0.0000001)|length }}"},
	{"wide format", "{{ '%999999999d'|format(1) }}"},
	{"many wide formats", "{{ '" + repeat("%9999d", 5000) + "'|format(" + repeat("1,", 4999) + "1) }}"},
	{"decimals", "{{ 1|number_format(1000000) }}"},
	{"thousands", "{% set x = 1e+300|number_format(2, '.', 'x'|format) %}{% for i in 1..9999 %}{% set x = x ~ x %}{% endfor %}"},
	{"recursing macro", "{% macro m() %}{{ _self.m() }}{% endmacro %}{{ _self.m() }}"},
	{"recursing block", "{% block b %}{{ block('b') }}{% endblock %}"},
	{"two macros", "{% macro a() %}{{ _self.b() }}{{ _self.b() }}{% endmacro %}{% macro b() %}{{ _self.a() }}{{ _self.a() }}{% endmacro %}{{ _self.a() }}"},
	{"capturing", "{% for i in 1..9999 %}{% set s %}{{ s }}{{ s }}x{% endset %}{% endfor %}"},
	{"sorting", "{{ (1..50000)|sort((a, b) => b <=> a)|length }}"},
	{"reducing", "{{ (1..50000)|reduce((c, v) => c ~ v, '')|length }}"},
	{"mapping maps", "{{ (1..999)|map(x => (1..999)|map(y => y * x)) }}"},
	{"joining", "{% set s = (1..9999)|join('xxxxxxxxxxxxxxxxxxxxxxxxxxxx') %}{% for i in 1..999 %}{% set t = (1..999)|join(s) %}{% endfor %}"},
	{"replacing", "{% set s = 'a' %}{% for i in 1..30 %}{% set s = s|replace({a: 'aaaa'}) %}{% endfor %}"},
	{"splitting", "{% set s = (1..9999)|join %}{% for i in 1..9999 %}{% set t = s|split('') %}{% endfor %}"},
	{"batching", "{{ [1]|batch(1000000000, 'x')|length }}"},
	{"escaping", "{% set s = '<' %}{% for i in 1..40 %}{% set s = s|e|e('html_attr') %}{% endfor %}"},
	{"backtracking", "{% for i in 1..99 %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' matches '/^(a+)+$/' }}{% endfor %}"},
	{"dates", "{% for i in 1..50000 %}{{ ('+' ~ i ~ ' weekdays')|date }}{% endfor %}"},
	{"contexts", "{% set x = 1 %}{% for i in 1..9999 %}{% set x = _context %}{% set x = [x, x] %}{% endfor %}{{ _context|json_encode }}"},
}

// harmless are as odd, but may well be answered.
var harmless = []string{
	"{{ '+99999999999999 years'|date }}", "{{ '-9999999999999 weekdays'|date }}", "{{ '@999999999999999999'|date }}",
	"{{ '999999999999999999999'|date }}", "{{ 'now'|date_modify('+9999999999999 fridays') }}", "{{ date('9999999999-01-01') }}",
	"{{ 9223372036854775807 * 9223372036854775807 }}", "{{ -9223372036854775807 - 2 }}", "{{ (-9223372036854775807 - 1) // -1 }}",
	"{{ (-9223372036854775807 - 1) % -1 }}", "{{ 1 % 0 }}", "{{ 0 ** -1 }}", "{{ [] < {} }}", "{{ 'x'|slice(-99999999999, 99999999999) }}",
	"{{ [1,2]|slice(9223372036854775807, -9223372036854775807)|join }}", "{{ 'a'|round(99999999) }}", "{{ 5|round(-400) }}",
	"{{ cycle([], 1) }}", "{{ cycle([1], -5) }}", "{{ _context._context._context }}", "{{ _self }}", "{% set loop = 1 %}{% for loop in [1] %}{{ loop }}{% endfor %}",
	"{{ date().setDate(99999999999, 99999999999, 99999999999)|date }}", "{{ date().setTimestamp(99999999999999999)|date('c') }}",
	"{{ date('@-99999999999999').diff(date()).days }}", "{{ '\xff\xfe'|upper }}{{ '\xff'|title }}{{ '\xff'|reverse|length }}{{ '\xff'|json_encode }}",
	"{{ constant('PHP_VERSION') }}", "{{ include('/etc/passwd') }}", "{{ source('/etc/passwd') }}", "{% include '/etc/passwd' %}", "{% import '/etc/passwd' as x %}",
	"{{ 'now'|date('c', '../../etc/passwd') }}", "{{ 'now'|date('c', 'Local') }}", "{{ 'now'|date('c', '') }}",
	"{% ssi '/etc/passwd' %}", "{% comment %}{% endcomment foo %}", "{% lorem 9999 %}", "{{ x|filter(system) }}", "{{ ['id']|map('system') }}",
	"{{ [1]|sort('strcmp') }}", "{{ [1, 2] has some 'x' }}", "{{ attribute([1], []) }}", "{{ {(a): 1, ([]): 2} }}",
	"{% macro m(a = m) %}{% endmacro %}", "{% block a %}{% block a %}{% endblock %}{% endblock %}", "{% extends x %}{% extends y %}",
}

func TestHostileTemplatesEnd(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			var err error
			quickest := time.Hour
			for range 5 { // a machine with much to do may be slow once
				runtime.ReadMemStats(&before)
				started := time.Now()
				var tpl *Template
				if tpl, err = Compile(c.source); err == nil {
					_, err = tpl.Render(nil, Options{})
				}
				runtime.ReadMemStats(&after)
				if quickest = min(quickest, time.Since(started)); quickest <= 2*time.Second {
					break
				}
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("it was answered: %v", err)
			}
			if quickest > 2*time.Second {
				t.Errorf("it took %s: %v", quickest, err)
			}
			if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 256 {
				t.Errorf("it made %d MiB: %v", made, err)
			}
		})
	}
}

func TestOddTemplatesDoNotCrash(t *testing.T) {
	t.Parallel()
	for _, source := range harmless {
		tpl, err := Compile(source)
		if err == nil {
			_, err = tpl.Render(NewMap().Set("a", "x"), Options{})
		}
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("%s: %v", source, err)
		}
		if e != nil && strings.Contains(e.Message, "cannot be") {
			t.Errorf("%s panicked inside: %v", source, err)
		}
		if e != nil && strings.Contains(fmt.Sprint(e), "root:") {
			t.Errorf("%s read a file", source)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for i, c := range append(loadConformance(f, "conformance.jsonl"), loadConformance(f, "beyond.jsonl")...) {
		if i%9 == 0 {
			f.Add(c.Template, string(c.Context))
		}
	}
	for _, source := range harmless {
		f.Add(source, `{"a":[1,{"b":null}]}`)
	}
	f.Fuzz(func(t *testing.T, source, context string) {
		values, err := DecodeJSON([]byte(context))
		if err != nil {
			values = nil
		}
		given, _ := values.(*Array)
		watch := time.AfterFunc(5*time.Second, func() { panic(fmt.Sprintf("hangs: %q with %q", source, context)) })
		defer watch.Stop()
		for kind := range 2 {
			var err error
			if kind == 0 {
				var tpl *Template
				if tpl, err = Compile(source); err == nil {
					_, err = tpl.Render(given, Options{Now: at("2025-03-14 15:09:26")})
				}
			} else {
				var e *Expression
				if e, err = CompileExpression(source); err == nil {
					_, err = e.True(given, Options{Now: at("2025-03-14 15:09:26")})
				}
			}
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("an error of another type: %v", err)
			}
			if e != nil && strings.Contains(e.Message, "cannot be") {
				t.Fatalf("a panic inside: %v", err)
			}
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{"now", "+1 month", "last day of feb 2024", "2025-W03-2", "first monday of next month 10:00", "@-5.5", "10/Oct/2000:13:55:36 -0700"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseDate(s)
		if err != nil {
			return
		}
		r := &run{deadline: time.Now().Add(time.Minute)}
		now := dateOf(at("2025-03-14 15:09:26"), utc)
		for _, d := range []*dateValue{p.resolve(now), p.modify(now)} {
			if r.format(d, "c r e T u") == "" || d.usec < 0 || d.usec >= 1_000_000 {
				t.Errorf("%q is %+v", s, d)
			}
		}
	})
}

// A rendering that stood still has not used its time up; one that did so for ever has.
func TestStandingStillDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, standingStill) // where the time is what is said here, and nothing more
}

func standingStill(t *testing.T) {
	const own = maxTime / 2
	for stood, late := range map[time.Duration]bool{0: false, maxTime: false, maxForgiven: false, maxForgiven + maxTime: true, time.Hour: true} {
		began := time.Now().Add(-own - stood)
		r := &run{deadline: began.Add(maxTime), looked: began.Add(own)}
		if got := r.late(); got != late {
			t.Errorf("after %s of its own and %s of others it is late: %v", own, stood, got)
		}
	}
	// A match may work for longer than a slice, and stand still besides.
	const match = regexTime + regexTick
	for took, want := range map[time.Duration]time.Duration{slice: slice, match: match, match + 1: match, maxTime: match, maxForgiven: match, maxForgiven + match + 5: match + 5} {
		began := time.Now().Add(-took)
		r := &run{deadline: began.Add(maxTime), looked: began}
		r.lateAfter(match)
		if spent := maxTime - time.Until(r.deadline); spent != want {
			t.Errorf("a match that took %s counts as %s, want %s", took, spent, want)
		}
	}
	tpl, err := Compile("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := tpl.compiled.run(nil, Options{}, func(r *run) {
		r.looked = r.looked.Add(-maxForgiven) // as if it had stood still before it first looked at the clock
		r.deadline = r.looked.Add(maxTime)
		if r.late() {
			t.Error("a rendering that stood still at its beginning has used its time up")
		}
	}); err != nil {
		t.Error(err)
	}
	r := &run{deadline: time.Now().Add(-1)}
	if !r.late() {
		t.Error("a rendering whose time is over goes on")
	}
}
