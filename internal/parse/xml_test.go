package parse

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

const orders = `<?xml version="1.0" encoding="UTF-8"?>
<!-- from the shop -->
<!DOCTYPE orders SYSTEM "http://example.com/orders.dtd">
<o:orders xmlns:o="urn:o" xmlns="urn:d" date="2026-11-21">
  <order id="1"><sku>A-1</sku><qty> 3 </qty><note>a &lt; b<![CDATA[ & <c>]]></note></order>
  <x/>
  <order id="2"><sku>A-2</sku><sku>A-3</sku><empty></empty>tail <b>bold</b> end</order>
</o:orders>`

func TestXML(t *testing.T) {
	t.Parallel()
	const first = `{"@id":"1","sku":"A-1","qty":" 3 ","note":"a < b & <c>"}`
	const second = `{"@id":"2","sku":["A-2","A-3"],"empty":"","b":"bold","#text":"tail  end"}`
	whole := `{"o:orders":{"@date":"2026-11-21","order":[` + first + `,` + second + `],"x":""}}`
	for name, c := range map[string]struct {
		conf func(*hook.Parser)
		body string
		want []string
	}{
		"the whole document":                          {nil, orders, []string{whole}},
		"XPath selects elements":                      {selecting(hook.ParserXML, "/o:orders/order"), orders, []string{first, second}},
		"XPath with a condition":                      {selecting(hook.ParserXML, "//order[sku='A-3']"), orders, []string{second}},
		"XPath by position":                           {selecting(hook.ParserXML, "//order[last()]/sku[1]"), orders, []string{`"A-2"`}},
		"XPath selects attributes and text":           {selecting(hook.ParserXML, "//order/@id | //qty/text()"), orders, []string{`"1"`, `"2"`, `" 3 "`}},
		"XPath without regard to prefixes":            {selecting(hook.ParserXML, "/*[local-name()='orders']/order[1]"), orders, []string{first}},
		"XPath that selects nothing":                  {selecting(hook.ParserXML, "/no"), orders, nil},
		"XPath selects each node once":                {selecting(hook.ParserXML, "//b | //order/b"), orders, []string{`"bold"`}},
		"XPath without split":                         {func(c *hook.Parser) { c.Type, c.Items, c.Split = hook.ParserXML, "//sku", false }, orders, []string{`["A-1","A-2","A-3"]`}},
		"JMESPath over the JSON of it":                {selecting(hook.ParserXML, `"o:orders".order[*]`), orders, []string{first, second}},
		"JMESPath takes a single element for a list":  {selecting(hook.ParserXML, `orders.order[*]`), `<orders><order><sku>A</sku></order></orders>`, []string{`{"sku":"A"}`}},
		"JMESPath takes no element for none":          {selecting(hook.ParserXML, `orders.order[*]`), `<orders></orders>`, nil},
		"an encoding that is declared":                {nil, "<?xml version='1.0' encoding='windows-1252'?><a>\x80</a>", []string{`{"a":"€"}`}},
		"an encoding of a text in memory":             {nil, `<?xml version="1.0" encoding="utf-16"?><a>é</a>`, []string{`{"a":"é"}`}},
		"UTF-16":                                      {nil, "\xff\xfe<\x00a\x00/\x00>\x00", []string{`{"a":""}`}},
		"a comment within text":                       {nil, "<a>1<!-- -->2</a>", []string{`{"a":"12"}`}},
		"a namespace alone makes no object":           {nil, `<a xmlns="urn:x">1</a>`, []string{`{"a":"1"}`}},
		"a processing instruction within the element": {nil, `<a><?php x?>1</a>`, []string{`{"a":"1"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.conf == nil {
				c.conf = typed(hook.ParserXML)
			}
			r, err := compile(t, c.conf).Parse(Input{Body: []byte(c.body)})
			if err != nil {
				t.Fatal(err)
			}
			if got := items(t, r); !slices.Equal(got, c.want) {
				t.Errorf("items\n got %q\nwant %q", got, c.want)
			}
		})
	}
	t.Run("body is the whole document whatever is selected", func(t *testing.T) {
		t.Parallel()
		r, err := compile(t, func(c *hook.Parser) { c.Type, c.Items, c.Split = hook.ParserXML, "//sku", false }).Parse(Input{Body: []byte(orders)})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(r.BodyJSON()); got != whole {
			t.Errorf("body = %s", got)
		}
	})
}

func TestBrokenXML(t *testing.T) {
	t.Parallel()
	bomb := `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>`
	for name, c := range map[string]struct {
		items  string
		body   string
		kind   hook.Kind
		detail string
		line   int
	}{
		"nothing":                     {"", "", hook.KindMalformedBody, "no XML element", 0},
		"text":                        {"", "hello", hook.KindMalformedBody, "outside of the root", 1},
		"an element without end":      {"", "<a>\n<b>", hook.KindMalformedBody, "within the element b", 2},
		"an end without beginning":    {"", "<a>\n</b></a>", hook.KindMalformedBody, "closes nothing", 2},
		"two roots":                   {"", "<a/><b/>", hook.KindMalformedBody, "second root", 1},
		"an attribute twice":          {"", `<a x="1" x="2"/>`, hook.KindMalformedBody, "twice", 1},
		"an entity bomb":              {"", bomb, hook.KindMalformedBody, "declares entities", 1},
		"an external entity":          {"", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, hook.KindMalformedBody, "declares entities", 1},
		"an unknown entity":           {"", `<a>&x;</a>`, hook.KindMalformedBody, "entity", 1},
		"a zero byte":                 {"", "<a>\x00</a>", hook.KindMalformedBody, "illegal character", 1},
		"not UTF-8":                   {"", "<a>\xff</a>", hook.KindMalformedBody, "UTF-8", 1},
		"an unknown encoding":         {"", `<?xml version="1.0" encoding="klingon"?><a/>`, hook.KindMalformedBody, "klingon", 0},
		"elements without end":        {"", strings.Repeat("<a>", 600), hook.KindMalformedBody, "512 levels", 1},
		"elements without number":     {"", "<a>" + strings.Repeat("<b/>", 1_000_000) + "</a>", hook.KindTooLarge, "1000000 elements", 0},
		"an XPath that goes on":       {"//b[last()]", "<a>" + strings.Repeat("<b/>", 50_000) + "</a>", hook.KindTooLarge, "too many steps", 0},
		"an XPath that selects all":   {"//*", "<a>" + strings.Repeat("<b/>", 20_000) + "</a>", hook.KindTooManyItems, "10000 items", 0},
		"an XPath of nested elements": {"//b", strings.Repeat("<b>", 500) + strings.Repeat("x", 1<<20) + strings.Repeat("</b>", 500), hook.KindTooLarge, "larger than 256 MiB", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compile(t, selecting(hook.ParserXML, c.items)).Parse(Input{Body: []byte(c.body)})
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
