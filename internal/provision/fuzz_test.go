package provision

import (
	"encoding/json"
	"testing"
)

// Whatever a file has in it, reading it ends, and what is read is JSON.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{walk, "set: a\nwebhooks: [{code: a, url: \"${A:-${B}}\"}]", "x: &a [*a]", "<<: {a: b}", "{\"set\": \"a\"}", "set: !!binary aa", "? [a]\n: b", "set: 0x1F", "- - - -"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	c := newChecker(f)
	f.Fuzz(func(t *testing.T, text string, asJSON bool) {
		name := "a.yaml"
		if asJSON {
			name = "a.json"
		}
		set, err := c.Load([]Source{{Name: name, Text: []byte(text)}}, func(string) (string, bool) { return "value\n: x", true }, Everything)
		if err != nil {
			_ = err.Error()
			return
		}
		for _, i := range set.Items {
			body, err := i.body(set.Name)
			if err == nil && !json.Valid(body) {
				t.Errorf("%q becomes %q", text, body)
			}
		}
	})
}
