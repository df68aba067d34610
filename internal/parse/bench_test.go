package parse

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

// The table of an ERP: counting is what a caller waits for, expanding what the worker does.
func BenchmarkTable(b *testing.B) {
	const rows = 40_000
	body := erp(rows)
	p := erpParser(b)
	b.Run("count", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Parse(Input{Body: body}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	r, err := p.Parse(Input{Body: body})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("items", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for range r.Items(0, -1) {
			}
		}
		b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

func BenchmarkJSON(b *testing.B) {
	var list strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&list, `,{"sku":"A-%05d","qty":%d,"price":%d.10,"tags":["a","b"]}`, i, i%7, i%100)
	}
	whole := []byte(`[` + list.String()[1:] + `]`)
	for name, c := range map[string]struct {
		items string
		body  []byte
	}{
		"list of 10,000":      {"", whole},
		"selection of 10,000": {"products[*]", []byte(`{"products":` + string(whole) + `}`)},
		"one of 1 KB":         {"", whole[1:1025][:strings.LastIndex(string(whole[1:1025]), "},")+1]},
	} {
		if name == "one of 1 KB" {
			c.body = []byte(`{"rows":[` + string(c.body) + `]}`)
		}
		b.Run(name, func(b *testing.B) {
			p := compile(b, selecting(hook.ParserJSON, c.items))
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Parse(Input{ContentType: "application/json", Body: c.body}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkXML(b *testing.B) {
	body := []byte("<orders>" + strings.Repeat("<order id='1'><sku>A-1</sku><qty>3</qty></order>\n", 10_000) + "</orders>")
	p := compile(b, selecting(hook.ParserXML, "/orders/order"))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(Input{Body: body}); err != nil {
			b.Fatal(err)
		}
	}
}
