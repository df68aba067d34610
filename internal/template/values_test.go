package template_test

import (
	"testing"

	"sallyport/internal/template"
)

func TestFoldedNamesAreFoundInAnyCase(t *testing.T) {
	t.Parallel()
	headers := template.NewFolded().Set("X-GitHub-Event", "push").Set("Host", "a").Set("host", "b")
	values := template.NewMap().Set("headers", headers)
	for source, want := range map[string]string{
		`{{ headers['X-GitHub-Event'] }}`:                        "push",
		`{{ headers['x-github-event'] }}`:                        "push",
		`{{ headers.HOST }}`:                                     "b",
		`{{ headers['X-Other'] is defined ? 'y' : 'n' }}`:        "n",
		`{{ headers['X-GITHUB-Event'] is defined ? 'y' : 'n' }}`: "y",
		`{{ headers|keys|join(',') }}`:                           "X-GitHub-Event,Host",
		`{{ headers|length }}`:                                   "2",
	} {
		tpl, err := template.Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Render(values, template.Options{}); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", source, got, err, want)
		}
	}
}

func TestEncodeJSONKeepsWhatCameIn(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `[]`, `{"a":{},"b":[],"0":"é/<"}`, `{"0":1,"1":2}`, `[1,2.5,true,null,"x"]`, `12345678901234567890`, `"\n"`,
	} {
		v, err := template.DecodeJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := template.EncodeJSON(v); err != nil || string(got) != text {
			t.Errorf("%s comes back as %s, %v", text, got, err)
		}
	}
	if got, err := template.EncodeJSON("\xff"); err == nil {
		t.Errorf("text that is not UTF-8 became %s", got)
	}
}
