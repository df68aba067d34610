package api

import (
	"strings"
	"testing"

	"sallyport/internal/hook"
)

var oneKB = []byte(`{"id":"ord-7-paid","type":"order.paid","entityId":7,"entity":{"total":12,"lines":[` +
	strings.TrimSuffix(strings.Repeat(`{"sku":"A-1","name":"Größe ✓","price":12.5,"tags":["a","b"],"gift":false,"note":null},`, 10), ",") +
	`]},"entityUrl":"https://shop.example.com/orders/7","timestamp":"2026-11-21T02:13:00.207Z"}`)

func BenchmarkParseEvent(b *testing.B) {
	b.SetBytes(int64(len(oneKB)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseEvent(oneKB); err != nil {
			b.Fatal(err)
		}
	}
}

func TestEntityIsTheBytesReceived(t *testing.T) {
	t.Parallel()
	for _, entity := range []string{
		`{ "a" : 1.50e+3 , "a":2,"b":[ ] }`, "null", `"é\u0000\ud83d\ude00"`, "[1,\n2]", "-0.0", `{"":{"x":{}}}`, "true",
	} {
		ev, err := parseEvent([]byte(`{"type":"t","entity": ` + entity + ` }`))
		if err != nil {
			t.Errorf("%s: %v", entity, err)
		} else if string(ev.Entity) != entity {
			t.Errorf("%s became %s", entity, ev.Entity)
		}
	}
}

func TestEntityIDKeepsItsLiteral(t *testing.T) {
	t.Parallel()
	for literal, want := range map[string]hook.EntityID{
		"7":                                      {Text: "7", Number: true},
		"-0":                                     {Text: "-0", Number: true},
		"12345678901234567890":                   {Text: "12345678901234567890", Number: true},
		"99999999999999999999999999999999999999": {Text: "99999999999999999999999999999999999999", Number: true},
		`"7"`:                                    {Text: "7"},
		`"\u00e9\/"`:                             {Text: "é/"},
		"null":                                   {},
	} {
		ev, err := parseEvent([]byte(`{"type":"t","entityId":` + literal + `}`))
		if err != nil {
			t.Errorf("%s: %v", literal, err)
		} else if ev.EntityID != want {
			t.Errorf("%s: got %+v, want %+v", literal, ev.EntityID, want)
		}
	}
}
