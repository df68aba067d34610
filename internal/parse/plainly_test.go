package parse

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzPlainlyJSON: what passes is JSON, and JSON that is not nested deeply passes.
func FuzzPlainlyJSON(f *testing.F) {
	for _, s := range []string{
		``, ` `, `null`, ` true `, `false`, `nul`, `truex`, `"a"`, `"a`, `"\"`, `"\u12aF"`, `"\u12g0"`, `"\x"`, "\"\t\"", "\"\x7f\"", `"é"`, `0`, `-0`, `01`, `-`,
		`1.`, `.5`, `1.5e+10`, `1e`, `1E-`, `1e5x`, `+1`, `[]`, `[1,]`, `[,1]`, `[1 2]`, `[`, `[1`, `{}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`,
		`{ "a" : [ 1 , { "b" : null } ] , "a" : "" }`, `{"a":1}{`, `{"a":1}}`, `[[[[]]]]`, `{"a":1`, `{"a"`, `{"a":`, "\ufeff1",
		strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 63) + strings.Repeat("]", 63), strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, want := plainlyJSON(data), json.Valid(data)
		if got && !want {
			t.Fatalf("%q passes and is no JSON", data)
		}
		if !got && want && strings.Count(string(data), "[")+strings.Count(string(data), "{") < 64 {
			t.Fatalf("%q is JSON and does not pass", data)
		}
	})
}

func BenchmarkCheckJSON(b *testing.B) {
	for name, doc := range map[string]string{
		"text":   `{"call":"0000000001","text":"` + strings.Repeat("x", 990) + `"}`,
		"fields": `{"items":[` + strings.TrimSuffix(strings.Repeat(`{"sku":"A-1","qty":3,"price":1.25,"stocked":true},`, 20), ",") + `]}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if err := checkJSON([]byte(doc)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+" by the library", func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if !json.Valid([]byte(doc)) {
					b.Fatal("no JSON")
				}
			}
		})
	}
}
