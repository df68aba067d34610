package main

import (
	"crypto/md5" //nolint:gosec // what callers of the product we follow compute
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
)

func TestRulesRenderAHash(t *testing.T) {
	t.Parallel()
	r := rules{siteURL: "https://pim.example.com", presets: preset.Builtin()}
	secrets := []hook.NamedSecret{{Name: "erp", Value: "your-string-here"}, {Name: "gh-next", Value: "x"}}
	if out, err := r.RenderHash("{{ secrets.erp ~ secrets['gh-next'] ~ config.siteUrl }}", "UTC", secrets); err != nil || out != "your-string-herexhttps://pim.example.com" {
		t.Errorf("rendered %q, %v", out, err)
	}
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	hashed := func() string {
		sum := md5.Sum([]byte("your-string-here" + time.Now().In(zone).Format("2006-01-02_15-04"))) //nolint:gosec // as above
		return hex.EncodeToString(sum[:])
	}
	before := hashed()
	out, err := r.RenderHash("{{ (secrets.erp ~ 'now'|date('Y-m-d_H-i'))|md5 }}", "Asia/Tokyo", secrets)
	if err != nil || out != before && out != hashed() { // the minute may have changed meanwhile
		t.Errorf("rendered %q, %v; want %q", out, err, before)
	}
	// What the originals took for no check at all renders as it does there.
	for source, want := range map[string]string{"{{ null }}": "", "{# {{ ('x')|md5 }} #}": "", "{{ 0 }}": "0", "{{ undefinedVar }}": ""} {
		if out, err := r.RenderHash(source, "UTC", nil); err != nil || out != want {
			t.Errorf("%s rendered %q, %v; want %q", source, out, err, want)
		}
	}
	// A secret that is not there is not nothing: everybody could compute what is left.
	for _, source := range []string{"{{ (secrets.typo ~ 'now'|date('Y-m-d_H-i'))|md5 }}", "{{ (secrets['typo'] ~ 'x')|sha256 }}"} {
		out, err := r.RenderHash(source, "UTC", secrets)
		if hook.KindOf(err) != hook.KindTemplateRuntime || !strings.Contains(err.Error(), `no secret named "typo"`) {
			t.Errorf("%s rendered %q, %v", source, out, err)
		}
	}
	// It does not see the request.
	if out, err := r.RenderHash("{{ request.query.hash }}", "UTC", nil); err != nil || out != "" {
		t.Errorf("a request's hash rendered %q, %v", out, err)
	}
}

func TestRulesNameThePlace(t *testing.T) {
	t.Parallel()
	r := rules{presets: preset.Builtin()}
	for what, err := range map[string]error{
		"template": r.CheckTemplate("{{ 'a'|date( }}"), "filter": r.CheckTemplate("{{ 'a'|nosuchfilter }}"), "condition": r.Check("item.a >"),
	} {
		if e, ok := err.(*hook.Error); !ok || e.Kind != hook.KindTemplateSyntax || e.Line != 1 || e.Column == 0 || e.Detail == "" { //nolint:errorlint // as it is used
			t.Errorf("%s: %#v", what, err)
		}
	}
	if err := r.Check(" {{ item.a > 1 }}"); err == nil || !strings.Contains(err.Error(), "leave the braces out") {
		t.Errorf("a condition in braces: %v", err)
	}
	if err := r.CheckTemplate("{{ item|json_encode|raw }}"); err != nil {
		t.Errorf("a good template: %v", err)
	}
	if !r.KnowsZone("Europe/Berlin") || r.KnowsZone("Mars/Base") {
		t.Error("zones")
	}
}

func TestRulesOfPartsNameTheirFields(t *testing.T) {
	t.Parallel()
	r := rules{presets: preset.Builtin()}
	secret := func(name string) (hook.Sensitive, bool) { return "a-secret-long-enough-for-all", name == "gh" }
	fields := func(faults []hook.Fault) (out []string) {
		for _, f := range faults {
			out = append(out, f.Field+" "+f.Code)
		}
		slices.Sort(out)
		return out
	}
	for _, c := range []struct {
		got  []hook.Fault
		want []string
	}{
		{r.CheckSignature(hook.PreProcessor{Type: "signature", Preset: "github", Secrets: []string{"gh"}}, secret), nil},
		{r.CheckSignature(hook.PreProcessor{Type: "signature", Preset: "githib", Secrets: []string{"gh"}}, secret), []string{"preset invalid_format"}},
		{r.CheckSignature(hook.PreProcessor{Type: "signature", Signature: []byte(`{"algorithm":"hmac-md5","header":"X-S"}`), Secrets: []string{"gh"}}, secret),
			[]string{"verification.algorithm invalid_format"}},
		{r.CheckSignature(hook.PreProcessor{Type: "signature", Signature: []byte(`{"header":"X-S","prefix":"sha256="}`), Secrets: []string{"gh"}}, secret), nil},
		{r.CheckParser(hook.DefaultParser()), nil},
		{r.CheckParser(hook.Parser{Type: "json", Items: "rows[", Split: true}), []string{"items invalid_format"}},
		{r.CheckAction(hook.ActionHTTPRequest, []byte(`{"url":"https://x.example","body":"{{ item|json_encode|raw }}"}`), nil), nil},
		{r.CheckAction(hook.ActionHTTPRequest, []byte(`{"body":"{{ item|"}`), nil), []string{"config.body template_syntax", "config.url required"}},
		{r.CheckAction(hook.ActionHTTPRequest, []byte(`{"url":"https://x.example","bearer":"{{ secrets.erp }}"}`), []string{"crm"}), []string{"config.bearer invalid_format"}},
	} {
		if got := fields(c.got); !slices.Equal(got, c.want) {
			t.Errorf("faults %q; want %q", got, c.want)
		}
	}
	if r.DedupeKey("github") == "" || r.DedupeKey("nope") != "" {
		t.Error("dedupe keys")
	}
}
