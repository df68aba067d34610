package template

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// FuzzDecodeJSON: the quick reader and the library's decoder make the same of a document.
func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{
		``, `null`, ` true `, `"a\u00e9\ud83d\ude00\ud83d\"\\\/"`, "\"\xff\"", "\"\xff\\n\"", `-0`, `1e400`, `12345678901234567890`, `1.50`, `[]`, `{}`, `[ 1 , "a" , [ ] , { } ]`,
		`{"a":1,"b":{"c":[true,false,null]},"a":2}`, `{ "0" : 1 , "x" : "" , "1" : [ ] }`, `[1,2`, `1 2`, `{"a" 1}`, `{"\u0061":1,"a":2}`, `"\\"`, `{"a\"b":"\\\""}`,
		strings.Repeat("[", 512) + strings.Repeat("]", 512), strings.Repeat("[", 514) + strings.Repeat("]", 514),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := DecodeJSON(data)
		want, wantErr := decodeSlowly(data)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", data, err, wantErr)
		}
		if err != nil && !json.Valid(data) && err.Error() != wantErr.Error() {
			t.Fatalf("%q: %v, want %v", data, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, want %#v", data, got, want)
		}
	})
}

func BenchmarkDecodeJSON(b *testing.B) {
	doc := []byte(`{"order":7,"customer":{"id":42,"name":"Müller"},"lines":[{"sku":"A-1","qty":3},{"sku":"B-2","qty":1.5}],"text":"` + strings.Repeat("x", 850) + `"}`)
	for name, decode := range map[string]func([]byte) (any, error){"quick": DecodeJSON, "slow": decodeSlowly} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
