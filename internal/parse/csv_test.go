package parse

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

func TestTables(t *testing.T) {
	t.Parallel()
	skip := func(c *hook.Parser) { c.OnItemError = hook.OnItemErrorSkip }
	for name, c := range map[string]struct {
		conf func(*hook.Parser)
		body string
		want []string
	}{
		"a byte order mark is no part of the first name":    {nil, "\ufeffsku,qty\nA,1", []string{`{"sku":"A","qty":"1"}`}},
		"UTF-16 as spreadsheets write it":                   {nil, "\xff\xfea\x00;\x00b\x00\n\x001\x00;\x002\x00", []string{`{"a":"1","b":"2"}`}},
		"CRLF, CR and LF end lines":                         {nil, "a,b\r\n1,2\r3,4\n5,6", []string{`{"a":"1","b":"2"}`, `{"a":"3","b":"4"}`, `{"a":"5","b":"6"}`}},
		"empty lines and lines of blanks count for nothing": {nil, "\r\n\na,b\n\n1,2\n  \t\n\r\n3,4\n \n", []string{`{"a":"1","b":"2"}`, `{"a":"3","b":"4"}`}},
		"an empty field in enclosures is a row":             {nil, "a\n\"\"\n\n\"x\"\n", []string{`{"a":""}`, `{"a":"x"}`}},
		"enclosed line ends, delimiters and enclosures":     {nil, "a,b\n\"1\r\n,\"\"x\"\"\",2\n", []string{`{"a":"1\r\n,\"x\"","b":"2"}`}},
		"an enclosure inside a field is a character":        {nil, "a,b\n5\" disk,x\"y\"\n", []string{`{"a":"5\" disk","b":"x\"y\""}`}},
		"blanks around an enclosed field go, others stay":   {nil, "a, b\n \"1\" ,  2 \n", []string{`{"a":"1","b":"  2 "}`}},
		"the delimiter is found out: semicolon":             {nil, "\"a,b\";c\n1,5;2\n", []string{`{"a,b":"1,5","c":"2"}`}},
		"the delimiter is found out: tab":                   {nil, "a\tb\n\t2\n", []string{`{"a":"","b":"2"}`}},
		"the delimiter is found out: bar":                   {nil, "a|b\n1|2\n", []string{`{"a":"1","b":"2"}`}},
		"sep= sets the delimiter":                           {nil, "sep=;\r\na,b;c\r\n1;2\r\n", []string{`{"a,b":"1","c":"2"}`}},
		"sep= does not overrule the configuration":          {func(c *hook.Parser) { c.Delimiter = "," }, "SEP=;\na;b,c\n1,2\n", []string{`{"a;b":"1","c":"2"}`}},
		"names that are empty or there twice":               {nil, "sku,,sku,sku_2,\nA,1,B,C\n", []string{`{"sku":"A","column_2":"1","sku_3":"B","sku_2":"C"}`}},
		"delimiters beyond the last column":                 {nil, "a;b;\n1;2\n3;4;;;\n", []string{`{"a":"1","b":"2"}`, `{"a":"3","b":"4"}`}},
		"a row of empty fields is a row":                    {nil, "a;b\n;\n", []string{`{"a":"","b":""}`}},
		"a header row alone has no items":                   {nil, "a;b\n", nil},
		"no header row, names configured": {func(c *hook.Parser) { c.Header, c.Columns = false, []string{"x", "y"} }, "1;2\n3;4\n",
			[]string{`{"x":"1","y":"2"}`, `{"x":"3","y":"4"}`}},
		"no header row and no names":                         {func(c *hook.Parser) { c.Header = false }, "1;2\n3;4\n", []string{`{"column_1":"1","column_2":"2"}`, `{"column_1":"3","column_2":"4"}`}},
		"no header row, and the first row is broken":         {func(c *hook.Parser) { c.Header, c.OnItemError = false, hook.OnItemErrorSkip }, "\"1\"x;2;3\n1;2\n", []string{`{"column_1":"1","column_2":"2"}`}},
		"no header row and nothing":                          {func(c *hook.Parser) { c.Header = false }, "", nil},
		"configured names go before those of the header row": {func(c *hook.Parser) { c.Columns = []string{"x"} }, "a;b\n1;2\n", []string{`{"x":"1","b":"2"}`}},
		"an escape character":                                {func(c *hook.Parser) { c.Escape = `\` }, `a;b` + "\n" + `"x\"y""z\\";"C:\new\"` + "\n" + `"` + "\n", []string{`{"a":"x\"y\"z\\","b":"C:\\new\"\n"}`}},
		"an escape character outside of enclosures is one":   {func(c *hook.Parser) { c.Escape = `\` }, "a;b\nC:\\;\\x\n", []string{`{"a":"C:\\","b":"\\x"}`}},
		"an enclosure that is escaped by itself":             {func(c *hook.Parser) { c.Enclosure, c.Escape = "'", "'" }, "a,b\n'it''s',\"x\n", []string{`{"a":"it's","b":"\"x"}`}},
		"no enclosures at all":                               {func(c *hook.Parser) { c.Enclosure = "none" }, "a,b\n\"1,2\"\n", []string{`{"a":"\"1","b":"2\""}`}},
		"a delimiter beyond ASCII":                           {func(c *hook.Parser) { c.Delimiter = "§" }, "a§b\n1\u00a5§2\n", []string{`{"a":"1¥","b":"2"}`}},
		"an old code page":                                   {func(c *hook.Parser) { c.Encoding = "cp850" }, "a\n\x84\n", []string{`{"a":"ä"}`}},
		"zero bytes are characters":                          {nil, "a,b\n\x00,1\n", []string{`{"a":"\u0000","b":"1"}`}},
		"the end of a text of DOS is no row":                 {nil, "a,b\r\n1,2\r\n\x1a", []string{`{"a":"1","b":"2"}`}},
		"one item of the whole":                              {func(c *hook.Parser) { c.Split = false }, "a\n1\n2\n", []string{`[{"a":"1"},{"a":"2"}]`}},
		"rows that an expression selects":                    {func(c *hook.Parser) { c.Items = "[?qty != '0']" }, "sku,qty\nA,0\nB,2\n", []string{`{"sku":"B","qty":"2"}`}},
		"broken rows are left out":                           {skip, "a,b\n1\n2,3,4\n\"x\"y,1\n\xff,1\n5,6\n", []string{`{"a":"5","b":"6"}`}},
		"a stray enclosure takes no rows along":              {skip, "a,b\n1,2\n\"3,4\n5,6\n7,8\n", []string{`{"a":"1","b":"2"}`, `{"a":"5","b":"6"}`, `{"a":"7","b":"8"}`}},
		"a stray enclosure that meets another":               {skip, "a,b\n\"1,2\n3,4\n\"5\",6\n7,8\n", []string{`{"a":"3","b":"4"}`, `{"a":"5","b":"6"}`, `{"a":"7","b":"8"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, func(cf *hook.Parser) {
				cf.Type = hook.ParserCSV
				if c.conf != nil {
					c.conf(cf)
				}
			})
			r, err := p.Parse(Input{Body: []byte(c.body)})
			if err != nil {
				t.Fatal(err)
			}
			if got := items(t, r); !slices.Equal(got, c.want) {
				t.Errorf("items\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestBrokenTables(t *testing.T) {
	t.Parallel()
	wide := strings.Repeat("n", 1000)
	for name, c := range map[string]struct {
		conf   func(*hook.Parser)
		body   string
		kind   hook.Kind
		detail string
		line   int
	}{
		"a row with too few fields":  {nil, "a,b\n1,2\n\n3\n", hook.KindMalformedBody, "row 2 cannot be read: it has 1 field", 4},
		"a row with too many fields": {nil, "a,b\n\"1\n1\",2\n3,4,5\n", hook.KindMalformedBody, "row 2 cannot be read: it has 3 fields", 4},
		"an enclosure without end":   {nil, "a,b\n1,\"2\n3,4\n", hook.KindMalformedBody, "field 2 is never closed", 2},
		"text behind an enclosure":   {nil, "a,b\n\"1\"x,2\n", hook.KindMalformedBody, "text after the closing", 2},
		"a row that is not UTF-8":    {nil, "a,b\n1,2\n\xe9,2\n", hook.KindMalformedBody, "windows-1252", 3},
		"a header that is not UTF-8": {func(c *hook.Parser) { c.OnItemError = hook.OnItemErrorSkip }, "\xe9,b\n1,2\n", hook.KindMalformedBody, "header row", 1},
		"fields without end":         {nil, "a\n1\n" + strings.Repeat(",", 20_000), hook.KindMalformedBody, "row 2 cannot be read: it has more than 16384 fields", 3},
		"nothing":                    {nil, "\r\n", hook.KindMalformedBody, "is empty", 0},
		"columns without end":        {nil, strings.Repeat("a,", 20_000) + "a\n", hook.KindMalformedBody, "more than 16384 fields", 1},
		"rows that become much more": {func(c *hook.Parser) { c.MaxItems = 1_000_000 }, strings.Repeat(wide+",", 1000) + "x\n" + strings.Repeat(strings.Repeat(",", 1000)+"\n", 1000), hook.KindTooLarge, "larger than 256 MiB", 0},
		"a selection of too much":    {func(c *hook.Parser) { c.Items = "[*].[@,@,@,@,@,@,@,@,@,@]" }, "a\n" + strings.Repeat(strings.Repeat("x", 100_000)+"\n", 300), hook.KindTooLarge, "larger than 256 MiB", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, func(cf *hook.Parser) {
				cf.Type, cf.Delimiter = hook.ParserCSV, ","
				if c.conf != nil {
					c.conf(cf)
				}
			})
			_, err := p.Parse(Input{Body: []byte(c.body)})
			var e *hook.Error
			if !errors.As(err, &e) {
				t.Fatalf("err = %v", err)
			}
			if e.Kind != c.kind || !strings.Contains(e.Detail, c.detail) || e.Line != c.line {
				t.Errorf("%s %q on line %d, want %s %q on line %d", e.Kind, e.Detail, e.Line, c.kind, c.detail, c.line)
			}
		})
	}
}

func TestSkippedRowsAreTold(t *testing.T) {
	t.Parallel()
	p := compile(t, func(c *hook.Parser) { c.Type, c.Delimiter, c.OnItemError = hook.ParserCSV, ",", hook.OnItemErrorSkip })
	r, err := p.Parse(Input{Body: []byte("a,b\n" + strings.Repeat("1,2\n\n3\n", 300))})
	if err != nil {
		t.Fatal(err)
	}
	if r.Count != 300 || r.SkippedCount != 300 || len(r.Skipped) != 100 {
		t.Errorf("%d items, %d skipped, %d told", r.Count, r.SkippedCount, len(r.Skipped))
	}
	if s := r.Skipped[1]; s.Row != 4 || s.Line != 7 || !strings.Contains(s.Reason, "1 field") {
		t.Errorf("the second one is %+v", s)
	}
	items(t, r)
}

// Rows that each make the reader look for an end far away must not cost the square of the
// body: a blank that escapes opens a field at the beginning of a row, and none anywhere else.
func TestBrokenRowsAreNotReadForEver(t *testing.T) {
	t.Parallel()
	p := compile(t, func(c *hook.Parser) {
		c.Type, c.Delimiter, c.Escape, c.OnItemError = hook.ParserCSV, ",", " ", hook.OnItemErrorSkip
	})
	_, err := p.Parse(Input{Body: []byte("a\n" + strings.Repeat(" \"\n", 1_000_000))})
	if hook.KindOf(err) != hook.KindMalformedBody || !strings.Contains(err.Error(), "too many broken rows") {
		t.Errorf("err = %v", err)
	}
}

// Tables written and read back by Python's csv module, in several dialects.
func TestCSVVectors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/csv/*.csv")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".csv") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var rows []json.RawMessage
			if err := json.Unmarshal(want, &rows); err != nil {
				t.Fatal(err)
			}
			r, err := compile(t, func(c *hook.Parser) {
				c.Type = hook.ParserCSV
				if strings.Contains(file, "windows-1252") {
					c.Encoding = "windows-1252"
				}
			}).Parse(Input{Body: body})
			if err != nil {
				t.Fatal(err)
			}
			got := items(t, r)
			if len(got) != len(rows) {
				t.Fatalf("%d rows, want %d", len(got), len(rows))
			}
			for i := range rows {
				if got[i] != string(rows[i]) {
					t.Errorf("row %d\n got %s\nwant %s", i+1, got[i], rows[i])
				}
			}
		})
	}
}
