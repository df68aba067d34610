package provision

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	env := Environ([]string{"A=one", "B=two: {x}", "EMPTY=", "LATER=1", "LATER=2"})
	for text, want := range map[string]string{
		"plain": "plain", "${A}": "one", "x-${A}-${B}-y": "x-one-two: {x}-y", "${A:-d}": "one", "${NONE:-d}": "d", "${EMPTY:-d}": "d", "${NONE:-}": "",
		"${A:?why}": "one", "$$": "$", "$$A": "$A", "$${A}": "${A}", "^a$": "^a$", "^a$|^b$": "^a$|^b$", "$5": "$5", "#/$defs/x": "#/$defs/x",
		"${NONE:-${A}}": "one", "${NONE:-${NEITHER:-z}}!": "z!", "${NONE:-a}b}": "ab}", "${LATER}": "2", "$$$$${A}": "$$one", "$$$${A}": "$${A}", "{{ a|replace({'$': ''}) }}": "{{ a|replace({'$': ''}) }}",
	} {
		got, found, err := expand(text, env)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
		if has := strings.Contains(strings.ReplaceAll(text, "$$", ""), "${"); found != has {
			t.Errorf("%s: variables were found: %v", text, found)
		}
	}
	for text, want := range map[string]string{
		"${NONE}": "NONE is not set", "${EMPTY}": "EMPTY is empty", "${NONE:?the ERP's key}": "NONE is not set: the ERP's key", "${EMPTY:?why}": "EMPTY is empty: why",
		"$A": "write ${A}, or $$A", "${A": "${ without its }", "${}": "${} cannot be read", "${A-b}": "cannot be read", "${A:=b}": "cannot be read", "${1}": "cannot be read",
		"${NONE}${NEITHER}": "NONE is not set\nNEITHER is not set", "${NONE:-${NEITHER}}": "NEITHER is not set",
	} {
		if _, _, err := expand(text, env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestEscapedTextsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", "$", "$$", "$A", "${A}", "a$b", "^x$", "$${A", "cost: $5", "#/$defs/x", "$a b", "$$$"} {
		got, found, err := expand(escape(text), func(string) (string, bool) { return "expanded", true })
		if err != nil || got != text || found {
			t.Errorf("%q comes back as %q, %v", text, got, err)
		}
	}
}
