package template

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func at(s string) time.Time {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		panic(err)
	}
	return t
}

func mustRender(t testing.TB, source string, values *Array, o Options) string {
	t.Helper()
	tpl, err := Compile(source)
	if err != nil {
		t.Fatalf("compiling %s: %v", source, err)
	}
	out, err := tpl.Render(values, o)
	if err != nil {
		t.Fatalf("rendering %s: %v", source, err)
	}
	return out
}

const hashTemplate = `{{ ('your-string-here' ~ 'now'|date('Y-m-d_H-i'))|md5 }}`

// TestHashOfTheMinute has the vectors of AtroCore's documentation, worked out with PHP.
func TestHashOfTheMinute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ now, zone, want string }{
		{"2026-11-21 20:56:00", "UTC", "42258c7070df515e22fb9912cfae6a80"},
		{"2026-11-21 20:56:59", "UTC", "42258c7070df515e22fb9912cfae6a80"},
		{"2026-11-21 20:57:00", "UTC", "994ef995720b7e2c2408bb9407bfcdcf"},
		{"2024-02-29 23:59:00", "UTC", "3e31af54a3d88fb6de0183bb707a75a8"},
		{"2024-03-01 00:00:00", "UTC", "e7d12dbb1e1dc96a82df4c968337ec00"},
		{"2024-02-29 22:59:00", "Europe/Berlin", "3e31af54a3d88fb6de0183bb707a75a8"},
		{"2024-03-01 05:00:00", "America/New_York", "e7d12dbb1e1dc96a82df4c968337ec00"},
	} {
		if got := mustRender(t, hashTemplate, nil, Options{Now: at(c.now), Zone: c.zone}); got != c.want {
			t.Errorf("at %s in %s: %s, want %s", c.now, c.zone, got, c.want)
		}
	}
}

// TestVectors are templates run through AtroCore's Twig at 2026-11-21 20:56:59 UTC, but for those where its own
// filters differ (its md5 refuses numbers).
func TestVectors(t *testing.T) {
	t.Parallel()
	values := NewMap().Set("config", NewMap().Set("siteUrl", "https://pim.example.com"))
	for source, want := range map[string]string{
		`{{ 'your-string-here' ~ 'now'|date('Y-m-d_H-i')|md5 }}`:         `your-string-here83562b760f3d1db58960ba7dc2c94751`,
		`{# {{ ('your-string-here' ~ 'now'|date('Y-m-d_H-i'))|md5 }} #}`: ``,
		`{{ null }}`:         ``,
		`{{ undefinedVar }}`: ``,
		`{{ md5('abc') }}`:   `900150983cd24fb0d6963f7d28e17f72`,
		`{{ (5 ~ '')|md5 }}`: `e4da3b7fbbce2345d7772b0674a318d5`,
		`{% set t = 'now'|date('U') %}{{ ('k' ~ (t // 300))|md5 }}`:               `70292601204837e83ff006f5b22707eb`,
		`{{ 'now'|date('Y-m-d_H-i', 'Europe/Paris') }}`:                           `2026-11-21_21-56`,
		`{{ 'now'|date_modify('+1 minute')|date('Y-m-d_H-i') }}`:                  `2026-11-21_20-57`,
		`{{ 'a&b' ~ config.siteUrl }}`:                                            `a&bhttps://pim.example.com`,
		`{{ {a:1}|json_encode }}`:                                                 `{"a":1}`,
		`{{ 'now'|date('D, d M Y H:i:s N jS z t L B G g h A v e T P O c r U') }}`: `Sat, 21 Nov 2026 20:56:59 6 21st 324 30 0 914 20 8 08 PM 000 UTC UTC +00:00 +0000 2026-11-21T20:56:59+00:00 Sat, 21 Nov 2026 20:56:59 +0000 1795294619`,
		`{{ 'abc'|sha512|slice(0, 16) }} {{ 'abc'|crc32 }} {{ 'abc'|hash('crc32') }} {{ 'abc'|hash('sha3-256')|slice(0, 8) }}`: `ddaf35a193617aba 352441c2 73bb8c64 3a985da7`,
		`{{ 'what do ya want for nothing?'|hash_hmac('sha256', 'Jefe') }}`:                                                     `5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843`,
		`{{ sha256('abc')|slice(0, 8) }}{{ bin2hex('a') }}{{ hex2bin('62') }}{{ base64_decode(base64_encode('x')) }}`:          `ba7816bf61bx`,
	} {
		if got := mustRender(t, source, values, Options{Now: at("2026-11-21 20:56:59")}); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func TestUUIDsDiffer(t *testing.T) {
	t.Parallel()
	out := mustRender(t, `{{ uuid() }} {{ uuid() }}`, nil, Options{})
	a, b, _ := strings.Cut(out, " ")
	if len(a) != 36 || a == b || a[14] != '7' {
		t.Errorf("got %q", out)
	}
}

func TestWhatTwigDoesBesideTheCorpus(t *testing.T) {
	t.Parallel()
	values, err := DecodeJSON([]byte(`{"a":{"z":1,"b":[10,20]},"big":12345678901234567890,"f":1.50,"html":"<b>","0":"zero"}`))
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		`{% macro m(a, b = 2) %}{{ a }}{{ b }}{{ varargs|length }}{% endmacro %}{{ _self.m(1) }} {{ _self.m(1, 3, 4) }} {{ _self.m() }}`: `120 131 20`,
		`{% import _self as x %}{% macro m() %}hi{% endmacro %}{{ x.m() }}`:                                                              `hi`,
		`{% from _self import m as n %}{% macro m(v) %}<{{ v }}>{% endmacro %}{{ n('q') }}`:                                              `<q>`,
		`{% block a %}x{% endblock %}{{ block('a') }}{{ block('b') is defined ? 1 : 0 }}`:                                                `xx0`,
		`{% autoescape %}{{ html }}{{ html|raw }}{{ html|e('js') }}{% endautoescape %}{{ html }}`:                                        `&lt;b&gt;<b>\u003Cb\u003E` + `<b>`,
		`{{ big }} {{ big|json_encode }} {{ f }} {{ big > 5 ? 'y' : 'n' }}`:                                                              `12345678901234567890 12345678901234567890 1.5 y`,
		`{% for k, v in a %}{{ loop.index }}{{ k }}{% for x in v %}{{ loop.parent.loop.index }}{{ x }}{% endfor %}{% endfor %}`:          `1z2b210220`,
		`{% for i in 1..3 %}{% set y = i %}{% endfor %}[{{ y }}]`:                                                                        `[]`,
		`{% set y = 0 %}{% for y in 1..3 %}{% endfor %}{{ y }}`:                                                                          `0`,
		`{% with {q: 1} %}{% set r = 2 %}{{ q }}{{ r }}{% endwith %}{{ q }}{{ r }}`:                                                      `12`,
		`{{ [1, 2] has some v => v > 1 }}{{ [1, 2] has every v => v > 1 }}`:                                                              `1`,
		`{{ "a#{1 + 1}b#{'c'}" }}`:                                                                                `a2bc`,
		`{{ {(1 + 1): 'x', a}|keys|join(',') }}`:                                                                  `2,a`,
		`{% if a.b[1] == 20 and not (a.q is defined) %}ok{% endif %}`:                                             `ok`,
		`{{ _context|keys|join }}`:                                                                                `abigfhtml0`,
		`{{ 'x' is same as('x') }}{{ a is iterable }}{{ 5 is divisible by(5) }}`:                                  `111`,
		`{{ date('2025-01-31').modify('+1 month').format('Y-m-d') }}`:                                             `2025-03-03`,
		`{% apply upper|lower|replace({a: 'o'}) %}Ah{% endapply %}`:                                               `oh`,
		`{{ (a.b ?? [])|map(x => x + 1)|join('-') }}`:                                                             `11-21`,
		`{%~ if true ~%}  x{%~ endif %}`:                                                                          `x`,
		`{{ '%s is %05.1f%%'|format('x', 3.14159) }}`:                                                             `x is 003.1%`,
		`{{ 'é' matches '/^.$/u' }}{{ 'é' matches '/^.$/' }}{{ 'ab' matches '/(?<=a)b/' }}`:                       `101`,
		`{% include 'nope' ignore missing %}ok`:                                                                   `ok`,
		`{{ -2 ** 2 }} {{ 2 ** 3 ** 0 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 1 + 2 ~ 3 }}`:                              `-4 2 3 -4 24`,
		`{{ 'é'|convert_encoding('ISO-8859-1', 'UTF-8')|bin2hex }}{{ undef|map(x => x)|length }}`:                 `e90`,
		`{{ {a: '/é'}|json_encode(constant('JSON_UNESCAPED_SLASHES') b-or constant('JSON_UNESCAPED_UNICODE')) }}`: `{"a":"/é"}`,
		`{{ 'now'|date(constant('DATE_ATOM')) }}{{ constant('NOPE') is defined ? 1 : 0 }}{{ source('x', true) }}`: `2025-03-14T15:09:26+00:000`,
		`{{ null ?? undef ?? 'x' }}{{ a.q.r ?? 'y' }}{{ undef|default('z') }}`:                                    `xyz`,
	} {
		if got := mustRender(t, source, values.(*Array), Options{Now: at("2025-03-14 15:09:26")}); got != want {
			t.Errorf("%s\n got %q\nwant %q", source, got, want)
		}
	}
}

func TestErrorsNameTheirPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source       string
		kind         ErrorKind
		line, column int
	}{
		{"a\n  {{ 'x'|nofilter }}", Syntax, 2, 10},
		{"{{ 'é' ~ }}", Syntax, 1, 9},
		{"{% if true %}", Syntax, 1, 14},
		{"{% macro m(a) %}{% endmacro %}{{ _self.m(a=1) }}", Syntax, 1, 43},
		{"x\n{{ 1 / 0 }}", Runtime, 2, 6},
		{"{{ 'x!'|date }}", Runtime, 1, 9},
		{"{{ range(1, 100000)|length }}", Limit, 1, 4},
	} {
		tpl, err := Compile(c.source)
		if err == nil {
			_, err = tpl.Render(nil, Options{})
		}
		var e *Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.Line != c.line || e.Column != c.column {
			t.Errorf("%q: %#v, want %s at %d:%d", c.source, err, c.kind, c.line, c.column)
		}
	}
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	event := NewMap().Set("event", NewMap().Set("type", "order.paid").
		Set("entity", NewMap().Set("status", "paid").Set("total", 129.9)))
	for source, want := range map[string]bool{
		`event.entity.status == 'paid' and event.entity.total > 100`: true,
		`event.entity.total > 1000`:                                  false,
		`event.type starts with 'order.'`:                            true,
		`event.nothing.at.all`:                                       false,
		"event.entity.status in ['paid',\n 'open']":                  true,
		`"#{event.type}" matches '/^order\\./'`:                      true,
	} {
		e, err := CompileExpression(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := e.True(event, Options{}); err != nil || got != want {
			t.Errorf("%s is %v, %v", source, got, err)
		}
	}
	for _, source := range []string{"", "  ", "{{ event.type }}", "a b", "a }}", "a == ", "(a", `"#{a"`, "a %} b"} {
		if _, err := CompileExpression(source); err == nil {
			t.Errorf("%q was taken for an expression", source)
		}
	}
}

func TestWithoutValues(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`{% for i in 1..3 %}{% for j in 1..i %}{{ j }}{% endfor %}{% endfor %}`:                 "112123",
		`{% for i in 1..2 %}{{ loop.parent|json_encode }}{{ loop.parent|join }}{% endfor %}`:    "[][]",
		`{% with _context %}{{ 'x' in _context ? 1 : 0 }}{{ _context|sort|join }}{% endwith %}`: "0",
	} {
		if got := mustRender(t, source, nil, Options{}); got != want {
			t.Errorf("%s gives %q", source, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	source := `{% set s = '' %}{% for i in 1..20 %}{% set s = s ~ n ~ i %}{% endfor %}{{ s|md5 }}{{ 'x' matches '/x/' }}{{ '+1 day'|date('d', 'Europe/Berlin') }}`
	want := mustRender(t, source, NewMap().Set("n", 1), Options{Now: at("2025-01-01 00:00:00")})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				tpl, err := Compile(source)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := tpl.Render(NewMap().Set("n", 1), Options{Now: at("2025-01-01 00:00:00")}); err != nil || got != want {
					t.Errorf("got %q, %v", got, err)
					return
				}
				if _, err := Compile(source + strings.Repeat(" ", time.Now().Nanosecond()%700)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestValuesGivenAreNotChanged(t *testing.T) {
	t.Parallel()
	values := NewMap().Set("a", NewList(1, 2)).Set("b", "x")
	mustRender(t, `{% set b = 2 %}{% set a = a|merge([3]) %}{% for b in a %}{% set c = b %}{% endfor %}{{ a|sort|reverse|join }}`, values.clone(), Options{})
	mustRender(t, `{% set b = 2 %}{% set c = 3 %}{% for a in [1] %}{% set b = a %}{% endfor %}`, values, Options{})
	if values.Len() != 2 || values.vals[1] != "x" || values.vals[0].(*Array).Len() != 2 {
		t.Errorf("the values became %#v", values)
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`{{ (secrets.erp ~ 'now'|date('Y'))|md5 }}{{ secrets['gh-next'] }}`:                                                                                             "erp gh-next",
		`{% if secrets.a %}{% for x in [secrets.b.c] %}{{ x }}{% endfor %}{% endif %}{{ "#{secrets.d}" }}`:                                                              "a b d",
		`{{ secrets.a ?? secrets['b'] }}{{ secrets.c|default('') }}{{ secrets['d'] is defined ? 1 : 2 }}{% if secrets.e is not null %}{% endif %}{{ secrets.f|upper }}`: "b f",
		`{{ other.erp }}{{ x.secrets.erp }}{{ secrets[name] }}{{ secrets }}`:                                                                                            "",
		`{% set secrets = {a: 1} %}{{ secrets.a }}`:                                                                                                                     "",
	} {
		tpl, err := Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(tpl.Reads("secrets"), " "); got != want {
			t.Errorf("%s reads %q, want %q", source, got, want)
		}
	}
	e, err := CompileExpression(`request.headers['x'] == secrets.token`)
	if err != nil || len(e.Reads("secrets")) != 1 || e.Reads("secrets")[0] != "token" {
		t.Errorf("the expression reads %q, %v", e.Reads("secrets"), err)
	}
}

func BenchmarkHashOfTheMinute(b *testing.B) {
	tpl, err := Compile(hashTemplate)
	if err != nil {
		b.Fatal(err)
	}
	now := at("2026-11-21 20:56:00")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tpl.Render(nil, Options{Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFilterExpression(b *testing.B) {
	e, err := CompileExpression(`event.entity.status == 'paid' and event.entity.total > 100`)
	if err != nil {
		b.Fatal(err)
	}
	event := NewMap().Set("event", NewMap().Set("entity", NewMap().Set("status", "paid").Set("total", 129.9)))
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := e.True(event, Options{}); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}
