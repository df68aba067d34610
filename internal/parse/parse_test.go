package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/encoding/charmap"

	"sallyport/internal/hook"
)

// conf is the default configuration with changes.
func conf(change func(*hook.Parser)) hook.Parser {
	c := hook.DefaultParser()
	if change != nil {
		change(&c)
	}
	return c
}

func compile(t testing.TB, change func(*hook.Parser)) *Parser {
	t.Helper()
	p, faults := Compile(conf(change))
	if len(faults) > 0 {
		t.Fatalf("Compile: %v", faults)
	}
	return p
}

// items are all items of a result, each of them checked.
func items(t testing.TB, r *Result) []string {
	t.Helper()
	var all []string
	for i, item := range r.Items(0, -1) {
		if i != len(all) {
			t.Fatalf("item %d has index %d", len(all), i)
		}
		if !json.Valid(item) {
			t.Fatalf("item %d is not JSON: %q", i, item)
		}
		all = append(all, string(item))
	}
	if len(all) != r.Count {
		t.Fatalf("there are %d items, Count is %d", len(all), r.Count)
	}
	if !json.Valid(r.BodyJSON()) {
		t.Fatalf("the body is not JSON: %.200q", r.BodyJSON())
	}
	return all
}

func typed(kind string) func(*hook.Parser) {
	return func(c *hook.Parser) { c.Type = kind }
}

func selecting(kind string, expression string) func(*hook.Parser) {
	return func(c *hook.Parser) { c.Type, c.Items = kind, expression }
}

func TestItems(t *testing.T) {
	t.Parallel()
	multi := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../x.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\xff\x00\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=windows-1252\r\n\r\n\xe9\r\n--b--\r\n"
	for name, c := range map[string]struct {
		conf func(*hook.Parser)
		in   Input
		kind string
		want []string
		body string // "" is the only item
	}{
		// U4 and U8 of the systems' acceptance facts.
		"U4: a path to a list makes an item of each element": {
			conf: selecting(hook.ParserJSON, "products[*]"),
			in:   Input{ContentType: "application/json", Body: []byte(`{"products":[{"sku":"A-1","qty":3},{"sku":"A-2","qty":4},{"sku":"A-3","qty":5}]}`)},
			kind: hook.ParserJSON, want: []string{`{"sku":"A-1","qty":3}`, `{"sku":"A-2","qty":4}`, `{"sku":"A-3","qty":5}`},
			body: `{"products":[{"sku":"A-1","qty":3},{"sku":"A-2","qty":4},{"sku":"A-3","qty":5}]}`,
		},
		"U8: rows of a CSV are keyed by its header row": {
			conf: func(c *hook.Parser) { c.Type, c.Delimiter = hook.ParserCSV, ";" },
			in:   Input{Body: []byte("sku;qty\nA-1;3\nA-2;4\n")},
			kind: hook.ParserCSV, want: []string{`{"sku":"A-1","qty":"3"}`, `{"sku":"A-2","qty":"4"}`},
			body: `[{"sku":"A-1","qty":"3"},{"sku":"A-2","qty":"4"}]`,
		},

		"a request without a body is its query": {
			in:   Input{RawQuery: "temp=81"},
			kind: hook.ParserQuery, want: []string{`{"temp":"81"}`},
		},
		"names in a query are literal, repeated ones are lists, order stays": {
			in:   Input{RawQuery: "z=1&a[b]=%C3%A9+%2B&z=2&flag&&=x&hash=1"},
			kind: hook.ParserQuery, want: []string{`{"z":["1","2"],"a[b]":"é +","flag":"","":"x","hash":"1"}`},
		},
		"a query is there although the body is another thing": {
			conf: typed(hook.ParserQuery),
			in:   Input{ContentType: "application/json", RawQuery: "a=1", Body: []byte("{")},
			kind: hook.ParserQuery, want: []string{`{"a":"1"}`},
		},
		"nothing at all is an empty object": {kind: hook.ParserQuery, want: []string{`{}`}},

		"JSON keeps its bytes": {
			in:   Input{ContentType: "application/json; charset=utf-8", Body: []byte("\n {\"b\":1.10, \"a\":[1e400 ,12345678901234567890],\"a\":\"\\u00e9é\\/\"} \n")},
			kind: hook.ParserJSON, want: []string{`{"b":1.10, "a":[1e400 ,12345678901234567890],"a":"\u00e9é\/"}`},
		},
		"a list in JSON is split, scalars too": {
			in:   Input{ContentType: "application/vnd.shop.v1+json", Body: []byte(`[ {"a":1.10 } ,1e400, "x,]\"" ,null,[1,[2]],true ]`)},
			kind: hook.ParserJSON, want: []string{`{"a":1.10 }`, `1e400`, `"x,]\""`, `null`, `[1,[2]]`, `true`},
			body: `[ {"a":1.10 } ,1e400, "x,]\"" ,null,[1,[2]],true ]`,
		},
		"an empty list has no items": {in: Input{ContentType: "application/json", Body: []byte(` [ ] `)}, kind: hook.ParserJSON, body: `[ ]`},
		"a list is one item without split": {
			conf: func(c *hook.Parser) { c.Split = false },
			in:   Input{ContentType: "application/json", Body: []byte(`[1,2]`)},
			kind: hook.ParserJSON, want: []string{`[1,2]`},
		},
		"JSON with a byte order mark": {
			in:   Input{ContentType: "application/json", Body: []byte("\xef\xbb\xbf[1]")},
			kind: hook.ParserJSON, want: []string{`1`}, body: `[1]`,
		},
		"JSON in UTF-16": {
			in:   Input{ContentType: "application/json", Body: []byte("\xff\xfe{\x00}\x00")},
			kind: hook.ParserJSON, want: []string{`{}`},
		},
		"JSON that is not UTF-8 is what its charset says": {
			in:   Input{ContentType: "application/json; charset=ISO-8859-1", Body: []byte("{\"a\":\"\xe9\"}")},
			kind: hook.ParserJSON, want: []string{`{"a":"é"}`},
		},
		"JSON that is UTF-8 is UTF-8 whatever its charset says": {
			in:   Input{ContentType: "application/json; charset=ISO-8859-1", Body: []byte(`{"a":"é"}`)},
			kind: hook.ParserJSON, want: []string{`{"a":"é"}`},
		},
		"no content type, but JSON":         {in: Input{Body: []byte(`{"a":1}`)}, kind: hook.ParserJSON, want: []string{`{"a":1}`}},
		"no content type, but text":         {in: Input{Body: []byte("a \"b\"\n")}, kind: hook.ParserText, want: []string{`"a \"b\"\n"`}},
		"no content type, and no text":      {in: Input{Body: []byte("\xff\x01")}, kind: hook.ParserBinary, want: []string{`{"contentType":"","size":2,"base64":"/wE="}`}},
		"a content type that nobody knows":  {in: Input{ContentType: "image/png", Body: []byte("\x89PNG")}, kind: hook.ParserBinary, want: []string{`{"contentType":"image/png","size":4,"base64":"iVBORw=="}`}},
		"text in another encoding":          {in: Input{ContentType: "text/plain; charset=windows-1252", Body: []byte("\x80 5")}, kind: hook.ParserText, want: []string{`"€ 5"`}},
		"text with control characters":      {in: Input{ContentType: "text/plain", Body: []byte("a\x00\x1f<&\u2028")}, kind: hook.ParserText, want: []string{"\"a\\u0000\\u001f<&\u2028\""}},
		"a content type that is misspelled": {in: Input{ContentType: "Application/JSON; ;", Body: []byte("{}")}, kind: hook.ParserJSON, want: []string{`{}`}},

		"a form": {
			in:   Input{ContentType: "application/x-www-form-urlencoded", RawQuery: "x=1", Body: []byte("b=2&a=1&b=&text=%7B%22a%22%3A1%7D\r\n")},
			kind: hook.ParserForm, want: []string{`{"b":["2",""],"a":"1","text":"{\"a\":1}"}`},
		},
		"a form in another encoding": {
			in:   Input{ContentType: "application/x-www-form-urlencoded; charset=windows-1252", Body: []byte("a=%80&b=\xe9")},
			kind: hook.ParserForm, want: []string{`{"a":"€","b":"é"}`},
		},
		"JSON that curl -d calls a form": {
			in:   Input{ContentType: "application/x-www-form-urlencoded", Body: []byte(`{"a":1}`)},
			kind: hook.ParserJSON, want: []string{`{"a":1}`},
		},
		"multipart with fields and a file": {
			in:   Input{ContentType: "multipart/form-data; boundary=b", Body: []byte(multi)},
			kind: hook.ParserMultipart,
			want: []string{`{"a":["1","é"],"f":{"filename":"x.bin","contentType":"application/octet-stream","size":2,"base64":"/wA="}}`},
		},
		"items of a form": {
			conf: selecting(hook.ParserForm, "sku"),
			in:   Input{Body: []byte("sku=A&sku=B&x=1")},
			kind: hook.ParserForm, want: []string{`"A"`, `"B"`}, body: `{"sku":["A","B"],"x":"1"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := compile(t, c.conf).Parse(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind != c.kind {
				t.Errorf("read as %s, want %s", r.Kind, c.kind)
			}
			if got := items(t, r); !slices.Equal(got, c.want) {
				t.Errorf("items\n got %q\nwant %q", got, c.want)
			}
			want := c.body
			if want == "" {
				want = c.want[0]
			}
			if got := string(r.BodyJSON()); got != want {
				t.Errorf("body\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	const body = `{ "a":{"b":[{"c":[ {"n":1.10} ,2]},{"c":[12345678901234567890, 1e400]},{}]},
		"rows":[{"id":9,"on":true, "id":7},{"id":8,"on":false},{"id":1,"on":true,"x":"\u00e9" }],
		"map":{"z":{"v":1.0},"m":{"v":2},"z2":null,"a":{"v":3}}, "one":{"k":[ ]}, "n": null, "t":"a\tb"}`
	for name, c := range map[string]struct {
		items string
		want  []string
	}{
		"flattened lists":                        {"a.b[].c[]", []string{`{"n":1.10}`, `2`, `12345678901234567890`, `1e400`}},
		"a filter":                               {"rows[?on]", []string{`{"id":9,"on":true, "id":7}`, `{"id":1,"on":true,"x":"\u00e9" }`}},
		"a filter that compares, last key wins":  {"rows[?id < `8`]", []string{`{"id":9,"on":true, "id":7}`, `{"id":1,"on":true,"x":"\u00e9" }`}},
		"a slice":                                {"rows[1:]", []string{`{"id":8,"on":false}`, `{"id":1,"on":true,"x":"\u00e9" }`}},
		"sorted":                                 {"sort_by(rows, &id)[*].id", []string{`1`, `7`, `8`}},
		"sorting does not change what was sent":  {"[sort_by(rows, &id)[0].id, rows]", []string{`1`, `[{"id":9,"on":true, "id":7},{"id":8,"on":false},{"id":1,"on":true,"x":"\u00e9" }]`}},
		"an object is one item":                  {"one", []string{`{"k":[ ]}`}},
		"values of an object in its order":       {"map.*", []string{`{"v":1.0}`, `{"v":2}`, `{"v":3}`}},
		"values of an object by function":        {"values(map)[*].v", []string{`1`, `2`, `3`}},
		"keys of an object":                      {"keys(map)", []string{`"z"`, `"m"`, `"z2"`, `"a"`}},
		"items of an object":                     {"items(one)", []string{`["k",[]]`}},
		"a multi-select has nodes as they were":  {"rows[0:1].{z: @, a: on}", []string{`{"a":true,"z":{"id":9,"on":true, "id":7}}`}},
		"computed numbers":                       {"[length(rows), sum(rows[*].id)]", []string{`3`, `16`}},
		"numbers as text keep their digits":      {"a.b[].c[?@ > `1`][].to_string(@)", []string{`"2"`, `"12345678901234567890"`, `"1e400"`}},
		"a scalar with an escape":                {"t", []string{`"a\tb"`}},
		"nothing found makes no item":            {"no.such[*]", nil},
		"null makes no item":                     {"n", nil},
		"an empty list makes no item":            {"one.k", nil},
		"a list where an object is makes none":   {"one[*]", nil},
		"the whole document":                     {"@", []string{body}},
		"a pipe":                                 {"rows[*] | [0]", []string{`{"id":9,"on":true, "id":7}`}},
		"a literal":                              {"`{\"b\":1,\"a\":2}`", []string{`{"a":2,"b":1}`}},
		"slices of strings are no projections":   {"t[0:1]", []string{`"a"`}},
		"a projection of objects within objects": {"a.b[*].c | [0]", []string{`{"n":1.10}`, `2`}},
		"an object of lists":                     {"{rows: a.b[*].c}", []string{`{"rows":[[ {"n":1.10} ,2],[12345678901234567890, 1e400]]}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := compile(t, selecting(hook.ParserJSON, c.items)).Parse(Input{Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			if got := items(t, r); !slices.Equal(got, c.want) {
				t.Errorf("items\n got %q\nwant %q", got, c.want)
			}
		})
	}

	t.Run("without split the selection is one item", func(t *testing.T) {
		t.Parallel()
		p := compile(t, func(c *hook.Parser) { c.Items, c.Split = "rows[?on].id", false })
		r, err := p.Parse(Input{Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		if got := items(t, r); !slices.Equal(got, []string{`[7,1]`}) {
			t.Errorf("items = %q", got)
		}
	})
	t.Run("numbers that floating point cannot tell apart are not mixed up", func(t *testing.T) {
		t.Parallel()
		p := compile(t, selecting(hook.ParserJSON, "[*].id"))
		_, err := p.Parse(Input{Body: []byte(`[{"id":12345678901234567890},{"id":12345678901234567891}]`)})
		if hook.KindOf(err) != hook.KindMalformedBody {
			t.Errorf("err = %v", err)
		}
		r, err := p.Parse(Input{Body: []byte(`[{"id":1.10},{"id":1.1},{"id":0.11e1},{"id":-0}]`)})
		if err != nil {
			t.Fatal(err)
		}
		if got := items(t, r); !slices.Equal(got, []string{`1.1`, `1.1`, `1.1`, `-0`}) {
			t.Errorf("items = %q", got)
		}
	})
}

// U5: two configurations read the same body, each on its own.
func TestParsersDoNotShareTheBody(t *testing.T) {
	t.Parallel()
	raw := []byte("{\"products\":[{\"sku\":\"A-1\",\"qty\":3}],\"x\":\"a;b\"}")
	kept := string(raw)
	in := Input{ContentType: "application/json", Body: raw}
	first, err := compile(t, selecting(hook.ParserJSON, "products[*]")).Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compile(t, typed(hook.ParserXML)).Parse(in); hook.KindOf(err) != hook.KindMalformedBody {
		t.Errorf("XML of JSON: %v", err)
	}
	none, err := compile(t, selecting(hook.ParserJSON, "products[?qty > `3`]")).Parse(in)
	if err != nil || none.Count != 0 {
		t.Errorf("a filter that lets nothing through: %d items, %v", none.Count, err)
	}
	text, err := compile(t, typed(hook.ParserText)).Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := items(t, first); !slices.Equal(got, []string{`{"sku":"A-1","qty":3}`}) {
		t.Errorf("items = %q", got)
	}
	if got, _ := json.Marshal(kept); string(text.BodyJSON()) != string(got) {
		t.Errorf("text = %s", text.BodyJSON())
	}
	if string(raw) != kept {
		t.Error("the body was changed")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf   func(*hook.Parser)
		in     Input
		kind   hook.Kind
		detail string
		line   int
		column int
	}{
		"JSON that breaks":                 {typed(hook.ParserJSON), Input{Body: []byte("{\n \"é\":x}")}, hook.KindMalformedBody, "invalid character 'x'", 2, 6},
		"JSON that ends":                   {typed(hook.ParserJSON), Input{Body: []byte(`{"a":`)}, hook.KindMalformedBody, "unexpected end", 1, 6},
		"JSON with more behind it":         {typed(hook.ParserJSON), Input{Body: []byte(`{}{}`)}, hook.KindMalformedBody, "after top-level value", 1, 3},
		"JSON that is empty":               {typed(hook.ParserJSON), Input{Body: []byte(" \n")}, hook.KindMalformedBody, "is empty", 0, 0},
		"JSON with a zero byte":            {typed(hook.ParserJSON), Input{Body: []byte("{}\x00")}, hook.KindMalformedBody, `'\x00'`, 1, 3},
		"JSON that is not UTF-8":           {typed(hook.ParserJSON), Input{Body: []byte("[\n\"\xff\"]")}, hook.KindMalformedBody, "not UTF-8", 2, 2},
		"JSON that is deep":                {typed(hook.ParserJSON), Input{Body: []byte(strings.Repeat("[", 513) + strings.Repeat("]", 513))}, hook.KindMalformedBody, "512 levels", 1, 513},
		"JSON that is too deep to check":   {typed(hook.ParserJSON), Input{Body: []byte(strings.Repeat("[", 1<<20))}, hook.KindMalformedBody, "not JSON", 1, 10001},
		"too many elements":                {func(c *hook.Parser) { c.MaxItems = 2 }, Input{ContentType: "application/json", Body: []byte(`[1,2,3]`)}, hook.KindTooManyItems, "more than 2 items", 0, 0},
		"too many selected":                {func(c *hook.Parser) { c.Items, c.MaxItems = "a", 2 }, Input{ContentType: "application/json", Body: []byte(`{"a":[1,2,3]}`)}, hook.KindTooManyItems, "more than 2 items", 0, 0},
		"too many rows":                    {func(c *hook.Parser) { c.Type, c.MaxItems = hook.ParserCSV, 2 }, Input{Body: []byte("a\n1\n2\n3\n")}, hook.KindTooManyItems, "more than 2 items", 0, 0},
		"a query with a stray percent":     {nil, Input{RawQuery: "a=100%"}, hook.KindMalformedBody, "%25", 0, 0},
		"a query that is not UTF-8":        {nil, Input{RawQuery: "a=%FF"}, hook.KindMalformedBody, "not UTF-8", 0, 0},
		"a form with too many fields":      {typed(hook.ParserForm), Input{Body: []byte(strings.Repeat("a&", 20_001))}, hook.KindMalformedBody, "20000 fields", 0, 0},
		"multipart that is none":           {typed(hook.ParserMultipart), Input{ContentType: "application/json", Body: []byte("{}")}, hook.KindUnsupportedMedia, "application/json", 0, 0},
		"multipart without boundary":       {nil, Input{ContentType: "multipart/form-data", Body: []byte("x")}, hook.KindMalformedBody, "boundary", 0, 0},
		"multipart that was cut":           {nil, Input{ContentType: "multipart/form-data; boundary=b", Body: []byte("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1")}, hook.KindMalformedBody, "cut", 0, 0},
		"multipart of another boundary":    {nil, Input{ContentType: "multipart/form-data; boundary=x", Body: []byte("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\n")}, hook.KindMalformedBody, "boundary", 0, 0},
		"multipart that is JSON":           {nil, Input{ContentType: "multipart/form-data; boundary=x", Body: []byte(`{"a":1}`)}, hook.KindMalformedBody, "boundary", 0, 0},
		"multipart with too many parts":    {nil, Input{ContentType: "multipart/form-data; boundary=b", Body: []byte(strings.Repeat("--b\r\n\r\n\r\n", 1001) + "--b--")}, hook.KindMalformedBody, "1000 parts", 0, 0},
		"a charset that nobody knows":      {nil, Input{ContentType: "text/plain; charset=klingon", Body: []byte("x")}, hook.KindUnsupportedMedia, "klingon", 0, 0},
		"text that is not UTF-8":           {nil, Input{ContentType: "text/plain", Body: []byte("a\nb\xff")}, hook.KindMalformedBody, "parser.encoding", 2, 2},
		"items of the wrong type":          {selecting(hook.ParserJSON, "sort_by(a, &n)"), Input{Body: []byte(`{"a":5}`)}, hook.KindMalformedBody, `invalid type for: 5, expected: "array"`, 0, 0},
		"items that cannot be evaluated":   {selecting(hook.ParserJSON, "sum(a)"), Input{Body: []byte(`{"a":["x"]}`)}, hook.KindMalformedBody, "parser.items", 0, 0},
		"a selection that goes in circles": {selecting(hook.ParserJSON, "a[*].{x: $.a[*].x}"), Input{Body: []byte(`{"a":[1` + strings.Repeat(",1", 20_000) + `]}`)}, hook.KindTooLarge, "too many steps", 0, 0},
		"a selection that fills memory":    {selecting(hook.ParserJSON, "pad_left(a, b)"), Input{Body: []byte(`{"a":"x","b":100000000000}`)}, hook.KindTooLarge, "too many steps", 0, 0},
		"a replacement that fills memory":  {selecting(hook.ParserJSON, "replace(a, 'x', a)"), Input{Body: []byte(`{"a":"` + strings.Repeat("x", 1<<16) + `"}`)}, hook.KindTooLarge, "too many steps", 0, 0},
		"more values than can be decoded":  {selecting(hook.ParserJSON, "a"), Input{Body: []byte(`[0` + strings.Repeat(",0", 2_000_000) + `]`)}, hook.KindTooLarge, "values", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compile(t, c.conf).Parse(c.in)
			var e *hook.Error
			if !errors.As(err, &e) {
				t.Fatalf("err = %v", err)
			}
			if e.Kind != c.kind || !strings.Contains(e.Detail, c.detail) || e.Line != c.line || e.Column != c.column {
				t.Errorf("%s %q at %d:%d, want %s %q at %d:%d", e.Kind, e.Detail, e.Line, e.Column, c.kind, c.detail, c.line, c.column)
			}
		})
	}
}

func TestConfigurationsAreCheckedWhenSaved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf   hook.Parser
		fields string
	}{
		"the default is right":              {hook.DefaultParser(), ""},
		"the zero value is, too":            {hook.Parser{}, ""},
		"the contract's example":            {hook.Parser{Type: "csv", Delimiter: ";", Enclosure: `"`, Escape: `\`, Header: true, Encoding: "windows-1252", Split: true, MaxItems: 10000, OnItemError: "refuse"}, ""},
		"a tab in words":                    {hook.Parser{Delimiter: `\t`}, ""},
		"an old code page":                  {hook.Parser{Encoding: "cp850"}, ""},
		"everything wrong":                  {hook.Parser{Type: "yaml", Encoding: "klingon", MaxItems: -1, OnItemError: "ignore"}, "type encoding maxItems onItemError"},
		"too many items":                    {hook.Parser{MaxItems: 1_000_001}, "maxItems"},
		"CSV options for JSON":              {hook.Parser{Type: "json", Delimiter: ";", Enclosure: "'", Escape: `\`, Columns: []string{"a"}}, "columns delimiter enclosure escape"},
		"delimiters of two characters":      {hook.Parser{Delimiter: ";;", Enclosure: "ab", Escape: "\n"}, "delimiter enclosure escape"},
		"one character for two things":      {hook.Parser{Delimiter: "'", Enclosure: "'", Escape: "'"}, "enclosure escape"},
		"columns without name or twice":     {hook.Parser{Columns: []string{"a", " ", "a"}}, "columns[1] columns[2]"},
		"JMESPath that is none":             {hook.Parser{Type: "json", Items: "a["}, "items"},
		"JMESPath with an unknown function": {hook.Parser{Type: "json", Items: "a[*].nope(@)"}, "items"},
		"an XPath":                          {hook.Parser{Type: "xml", Items: "/a/b[@id='1']"}, ""},
		"an XPath that is none":             {hook.Parser{Type: "xml", Items: "/a["}, "items"},
		"an XPath that selects no nodes":    {hook.Parser{Type: "xml", Items: "/a/b = 1"}, "items"},
		"an XPath for JSON":                 {hook.Parser{Type: "json", Items: "/a/b"}, "items"},
		"an XPath for anything":             {hook.Parser{Items: "/a/b"}, "items"},
		"items of text":                     {hook.Parser{Type: "text", Items: "a"}, "items"},
		"an expression without end":         {hook.Parser{Items: strings.Repeat("a.", 4000)}, "items"},
		"a deep expression":                 {hook.Parser{Items: strings.Repeat("(", 4000)}, "items"},
		"an encoding of bytes":              {hook.Parser{Type: "binary", Encoding: "utf-8"}, "encoding"},
		"an encoding that decodes nothing":  {hook.Parser{Encoding: "iso-2022-kr"}, "encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, faults := Compile(c.conf)
			var fields []string
			for _, f := range faults {
				fields = append(fields, f.Field)
				if f.Code == "" || f.Detail == "" {
					t.Errorf("fault %+v", f)
				}
			}
			if got := strings.Join(fields, " "); got != c.fields {
				t.Errorf("faults %v", faults)
			}
			if (p == nil) != (len(faults) > 0) {
				t.Errorf("parser %v with faults %v", p, faults)
			}
		})
	}
}

// What an ERP sends: 40,000 rows of Windows-1252, two encodings' worth of line ends.
func erp(rows int) []byte {
	var b strings.Builder
	b.WriteString("sku;Bezeichnung;Menge;Preis;Lager\r\n")
	for i := range rows {
		fmt.Fprintf(&b, "A-%05d;\"Größe \"\"%d\"\"; blau\";%d;1,50 €;Süd\r\n", i, i%50, i%7)
	}
	out, err := charmap.Windows1252.NewEncoder().String(b.String())
	if err != nil {
		panic(err)
	}
	return []byte(out)
}

func erpParser(t testing.TB) *Parser {
	return compile(t, func(c *hook.Parser) {
		c.Type, c.Delimiter, c.Encoding, c.MaxItems = hook.ParserCSV, ";", "windows-1252", 40_000
	})
}

func TestFortyThousandRows(t *testing.T) {
	t.Parallel()
	r, err := erpParser(t).Parse(Input{ContentType: "text/csv", Body: erp(40_000)})
	if err != nil {
		t.Fatal(err)
	}
	all := items(t, r)
	if len(all) != 40_000 {
		t.Fatalf("%d items", len(all))
	}
	want := `{"sku":"A-39999","Bezeichnung":"Größe \"49\"; blau","Menge":"1","Preis":"1,50 €","Lager":"Süd"}`
	if all[39_999] != want {
		t.Errorf("last item\n got %s\nwant %s", all[39_999], want)
	}
	// Pieces are the same as the whole, wherever they begin.
	for _, from := range []int{0, 1, 255, 256, 500, 20_000, 39_999} {
		n := from
		for i, item := range r.Items(from, from+500) {
			if i != n || string(item) != all[i] {
				t.Fatalf("item %d of the piece from %d is %d: %s", n, from, i, item)
			}
			n++
		}
		if want := min(from+500, 40_000); n != want {
			t.Errorf("the piece from %d ends at %d", from, n)
		}
	}
	var whole []json.RawMessage
	if err := json.Unmarshal(r.BodyJSON(), &whole); err != nil || len(whole) != 40_000 || string(whole[39_999]) != want {
		t.Errorf("body: %d rows, %v", len(whole), err)
	}
}

func TestParsersAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	for kind, c := range map[string]struct{ items, body string }{
		hook.ParserJSON: {"sort_by([a, `[{\"n\":2},{\"n\":1}]`][], &n)", `{"a":[{"n":3}]}`},
		hook.ParserXML:  {"//b[position() > 1][../@x='1']", "<a x='1'><b/><b>2</b></a>"},
		hook.ParserCSV:  {"", "a,b\n1,\"2\"\"\"\n"},
	} {
		p := compile(t, selecting(kind, c.items))
		shared, err := p.Parse(Input{Body: []byte(c.body)})
		if err != nil {
			t.Fatal(err)
		}
		want := items(t, shared)
		if len(want) == 0 {
			t.Fatalf("%s: no items", kind)
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				own, err := p.Parse(Input{Body: []byte(c.body)})
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range []*Result{own, shared} {
					for i, item := range r.Items(0, -1) {
						if string(item) != want[i] {
							t.Errorf("%s: item %d is %s", kind, i, item)
						}
					}
					if string(r.BodyJSON()) != string(shared.BodyJSON()) {
						t.Errorf("%s: body %s", kind, r.BodyJSON())
					}
				}
			})
		}
		all.Wait()
	}
}
