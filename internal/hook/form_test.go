package hook_test

import (
	"strings"
	"testing"

	"sallyport/internal/hook"
)

func TestForms(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("a", n) }
	for name, c := range map[string]struct {
		is      func(string) bool
		yes, no []string
	}{
		"codes": {hook.IsCode, []string{"a", "ERP_Stock-2", long(64)}, []string{"", "a.b", "a b", "ä", "a:b", long(65)}},
		"event ids": {hook.IsEventID[string], []string{"ord-7_paid:1", long(128)},
			[]string{"", "a.b", "a/b", "a b", "ä", long(129)}},
		"event types": {hook.IsEventType[string], []string{"a", "order.paid", "a:b/c-d_e.F", long(128)},
			[]string{"", ".", "a.", ".a", "a..b", "order.*", "a b", "ä", "a\n", long(129)}},
		"event patterns": {hook.IsEventPattern, []string{"*", "order.paid", "order.*", "a.b.*", long(128) + ".*"},
			[]string{"", ".*", "order*", "*.paid", "order.*.paid", "order.**", "**", long(131)}},
		"entity ids that are texts": {hook.IsEntityIDText, []string{"A 7", "ä", "a\u0085b", strings.Repeat("ä", 512)},
			[]string{"", "a\x00", "a\n", "a\x7f", "\xff", strings.Repeat("ä", 513)}},
		"entity ids that are numbers": {hook.IsEntityIDNumber[string], []string{"0", "-7", "12345678901234567890", strings.Repeat("9", 38)},
			[]string{"", "-", "07", "-07", "1.0", "1e3", "+1", strings.Repeat("9", 39)}},
		"entity URLs": {hook.IsEntityURL[string], []string{"https://shop.example.com/orders/7?a=b:c", "urn:x", "a+b.c-1:x", "x:" + long(2046)},
			[]string{"", "x", "x:", ":x", "1x:y", "a b:c", "https://a b", "https://ä", "a_b:c", "x:" + long(2047)}},
	} {
		for _, s := range c.yes {
			if !c.is(s) {
				t.Errorf("%s: %q is none", name, s)
			}
		}
		for _, s := range c.no {
			if c.is(s) {
				t.Errorf("%s: %q is one", name, s)
			}
		}
	}
}
