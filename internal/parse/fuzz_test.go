package parse

import (
	"encoding/json"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

// fuzz parses what the fuzzer made up and checks what is promised of every result.
func fuzz(t *testing.T, c hook.Parser, in Input) {
	if len(in.Body) > 1<<16 || len(c.Items) > 256 {
		t.Skip()
	}
	p, faults := Compile(c)
	if len(faults) > 0 {
		return
	}
	before := string(in.Body)
	r, err := p.Parse(in)
	if string(in.Body) != before {
		t.Fatal("the body was changed")
	}
	if err != nil {
		switch k := hook.KindOf(err); k {
		case hook.KindMalformedBody, hook.KindTooManyItems, hook.KindTooLarge, hook.KindUnsupportedMedia:
		default:
			t.Fatalf("kind %s of %v", k, err)
		}
		return
	}
	if r.Count > p.Conf().MaxItems {
		t.Fatalf("%d items", r.Count)
	}
	if !json.Valid(r.BodyJSON()) {
		t.Fatalf("body %q", r.BodyJSON())
	}
	n, last := 0, ""
	for i, item := range r.Items(0, -1) {
		if i != n {
			t.Fatalf("item %d has index %d", n, i)
		}
		if !json.Valid(item) {
			t.Fatalf("item %d %q", i, item)
		}
		n, last = n+1, string(item)
	}
	if n != r.Count {
		t.Fatalf("%d items, Count %d", n, r.Count)
	}
	// The same body has the same items each time, also from the middle.
	again, err := p.Parse(in)
	if err != nil || again.Count != n {
		t.Fatalf("again: %v", err)
	}
	for i, item := range again.Items(n-1, n) {
		if i != n-1 || string(item) != last {
			t.Fatalf("item %d is %q, was %q", i, item, last)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, body := range []string{`{"a":[1.10,{"b":"\u00e9"}]}`, `[1,[],{},"]",null]`, `{"a":{"b":[{"c":1},{"c":1.0}]},"a":2}`, "\xef\xbb\xbf[]", "[\"\xff\"]", "{}\x00", strings.Repeat("[", 600), "\xff\xfe{\x00}\x00", "-0e1"} {
		for _, items := range []string{"", "a[*]", "a.b[].c", "*.*", "sort_by(a, &b)", "{x: a, y: keys(@)}", "[?a > `1`]", "let $x = a in [$x, $]", "to_string(@)", "group_by(a, &b)", "a[::-1]"} {
			f.Add([]byte(body), items, true)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, items string, split bool) {
		c := hook.DefaultParser()
		c.Type, c.Items, c.Split = hook.ParserJSON, items, split
		fuzz(t, c, Input{Body: body})
		// Without an expression nothing is ever re-encoded.
		if p, faults := Compile(c); len(faults) == 0 && items == "" && !split {
			if r, err := p.Parse(Input{Body: body}); err == nil && r.Count != 1 {
				t.Fatalf("%d items of the whole", r.Count)
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	for _, body := range []string{"sku;qty\nA-1;3\n", "a,b\r\n\"1\"\"x\",2\r\n", "sep=|\na|b\n", "a\tb\n\"\\\"\"\t2", "\xef\xbb\xbfa,a,,\n1,2,3,\n\n", "a\n\"", "\xff\xfea\x00\n\x00", "a;b\n1;2;3\n\xe9;2\n", "\r\r\n \t\n"} {
		f.Add([]byte(body), "", "", `\`, "", true, true)
		f.Add([]byte(body), ";", "'", "'", "windows-1252", false, false)
		f.Add([]byte(body), "§", "none", "", "utf-16", true, false)
	}
	f.Fuzz(func(t *testing.T, body []byte, delimiter, enclosure, escape, encoding string, header, skip bool) {
		c := hook.DefaultParser()
		c.Type, c.Delimiter, c.Enclosure, c.Escape, c.Encoding, c.Header = hook.ParserCSV, delimiter, enclosure, escape, encoding, header
		if skip {
			c.OnItemError = hook.OnItemErrorSkip
		}
		fuzz(t, c, Input{Body: body})
	})
}

func FuzzXML(f *testing.F) {
	for _, body := range []string{orders, "<a/>", "<a b='1' xmlns:c='d'><c:e>1</c:e><!-- x -->2<![CDATA[3]]></a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<?xml version='1.0' encoding='windows-1252'?><a>\x80</a>", "<a><b><c></a>", "<a:/>", "<:a/>", "<a>\x00</a>"} {
		for _, items := range []string{"", "//*", "/a/b", "a.b[*]", "//@*", "//text()", "//b[last()]", "/a/b | /a", "//b[position()=1]/..", "/a//b[not(@c)]"} {
			f.Add([]byte(body), items)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, items string) {
		c := hook.DefaultParser()
		c.Type, c.Items = hook.ParserXML, items
		fuzz(t, c, Input{Body: body})
	})
}

func FuzzAuto(f *testing.F) {
	for _, contentType := range []string{"", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/csv; charset=windows-1252", "text/xml", "text/plain; charset=utf-16", "image/png", "a/b; c=\""} {
		f.Add(contentType, "a=1&a=%C3%A9&hash=x", []byte("--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x\"\r\n\r\n1\r\n--b--"))
		f.Add(contentType, "%", []byte("a=1&b[c]=%ff"))
		f.Add(contentType, "", []byte(`{"a":1}`))
	}
	f.Fuzz(func(t *testing.T, contentType, query string, body []byte) {
		fuzz(t, hook.DefaultParser(), Input{ContentType: contentType, RawQuery: query, Body: body})
	})
}

func FuzzDecompress(f *testing.F) {
	f.Add("gzip", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00"))
	f.Add("deflate", []byte("\x78\x9c\x4b\x04\x00\x00\x62\x00\x62"))
	f.Add("deflate", []byte("\x4b\x04\x00"))
	f.Add("identity", []byte("a"))
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		const limit = 1000
		r, err := Decompress(encoding, strings.NewReader(string(body)), limit)
		total := 0
		for buf := make([]byte, 300); err == nil; {
			var n int
			n, err = r.Read(buf)
			total += n
		}
		if total > limit {
			t.Fatalf("%d bytes came out", total)
		}
		if k := hook.KindOf(err); err.Error() != "EOF" && k != hook.KindMalformedBody && k != hook.KindTooLarge && k != hook.KindUnsupportedCoding {
			t.Fatalf("err = %v", err)
		}
	})
}
