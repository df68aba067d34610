package manage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

// wholeDoor is a document in which every field is right.
const wholeDoor = `{"code":"d","name":"Door","description":"x","enabled":true,"methods":["GET"],"profile":"default","ipAllowList":["::1"],
	"hash":"static","hashTimezone":"UTC","hashTolerance":"1m","hashIn":{"in":"header","name":"X-Hash"},"secrets":[{"name":"a","value":"value-of-a"}],
	"preProcessors":[{"type":"header","header":"X-A","equals":"b"},{"type":"query","parameter":"p","matches":"b"},{"type":"body","path":"a","matches":"b"},
		{"type":"basicAuth","username":"u","secrets":["a"]},{"type":"bearer","secrets":["a"]},{"type":"apiKey","header":"X-Key","secrets":["a"]},
		{"type":"ip","allow":["10.0.0.0/8"]},{"type":"schema","schema":{"type":"object"}},{"type":"condition","condition":"item.a"},
		{"name":"s","type":"signature","preset":"github","secrets":["a"],"tolerance":"5m","handshake":["a"]},
		{"type":"signature","verification":{"header":"X"},"secrets":["a"]}],
	"parser":{"type":"csv","delimiter":";","enclosure":"'","escape":"\\","header":true,"columns":["a"],"encoding":"utf-8","items":"a","split":true,"maxItems":5,"onItemError":"skip"},
	"routes":[{"name":"primary","action":"book-stock","condition":"item.a","parser":{"type":"json"},"transform":"{{ item }}"}],
	"postProcessors":[{"type":"publishEvent","config":{"type":"a"}},{"type":"action","action":"book-stock"}],
	"dedupe":{"key":"k","window":"1h","onDuplicate":"refuse"},"rateLimit":{"requests":5,"per":"1s"},"maxBodyBytes":1,"bodyTimeout":"1m","logging":"all",
	"response":{"mode":"wait","status":200,"headers":[{"name":"X-A","value":"b"}],"body":"OK","timeout":"5s"},"refusal":"uniform","metadata":{"a":"b"}}`

// wrongValues fit hardly anywhere.
var wrongValues = []string{`null`, `7`, `-1`, `1e999`, `"x\u0001"`, `""`, `true`, `[]`, `[null]`, `[[]]`, `{}`, `{"x":{}}`, `[{}]`, `"` + strings.Repeat("{{", 99) + `"`}

// TestAnythingInPlaceOfAnything puts wrong values into each place of a whole document:
// each is taken, or refused by a fault that names the place or something that refers to it.
func TestAnythingInPlaceOfAnything(t *testing.T) {
	t.Parallel()
	var doc any
	if err := json.Unmarshal([]byte(wholeDoor), &doc); err != nil {
		t.Fatal(err)
	}
	var places []string
	var walk func(v any, at string, set func(any))
	try := func(at string, set func(any), value string) {
		set(json.RawMessage(value))
		text, err := json.Marshal(doc)
		if err != nil {
			return // a number that cannot be written either
		}
		w := setup(t)
		w.action(t, bookStock)
		_, err = w.CreateIncomingWebhook(t.Context(), w.admin, text)
		var e *hook.Error
		switch {
		case err == nil:
			// Left as it is, or emptied: what was stored can be read and put again.
			d := w.store.doors[0]
			if r, err := w.PatchIncomingWebhook(t.Context(), w.admin, d.Code, []byte(`{}`), hook.Write{}); err != nil || r.Change != hook.Unchanged {
				t.Errorf("%s = %.40s was taken, and then: %v, %v %v", at, value, err, r.Change, r.Changed)
			}
		case !errors.As(err, &e) || e.Kind != hook.KindInvalid || len(e.Faults) == 0:
			t.Errorf("%s = %.40s: %v", at, value, err)
		default:
			about := false
			for _, f := range e.Faults {
				parent, _, _ := strings.Cut(at, "[")
				parent, _, _ = strings.Cut(parent, ".")
				about = about || strings.HasPrefix(f.Field, parent) || parent == "secrets" && strings.Contains(f.Field, "ecrets[") || parent == "profile"
			}
			if !about {
				t.Errorf("%s = %.40s: faults elsewhere: %v", at, value, e.Faults)
			}
		}
	}
	walk = func(v any, at string, set func(any)) {
		places = append(places, at)
		for _, value := range wrongValues {
			try(at, set, value)
		}
		set(v)
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(x, strings.TrimPrefix(at+"."+k, "."), func(y any) { v[k] = y })
			}
		case []any:
			for i, x := range v {
				walk(x, fmt.Sprintf("%s[%d]", at, i), func(y any) { v[i] = y })
			}
		}
	}
	for k, v := range doc.(map[string]any) {
		walk(v, k, func(y any) { doc.(map[string]any)[k] = y })
	}
	if len(places) < 100 {
		t.Errorf("only %d places", len(places))
	}
}
