package action_test

import (
	"fmt"
	"slices"
	"testing"

	"sallyport/internal/action"
	"sallyport/internal/hook"
)

func TestCheckConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   hook.ActionType
		config string
		want   []string // field code, in any order
	}{
		{hook.ActionPublishEvent, `{"type":"a.b","entityId":"{{ item.id }}","entity":{"x":["{{ item }}"]},"entityUrl":"https://x"}`, nil},
		{hook.ActionPublishEvent, `{}`, []string{"config.type required"}},
		{hook.ActionPublishEvent, `[]`, []string{"config invalid_format"}},
		{hook.ActionPublishEvent, `{"type":"a b","entityid":1}`, []string{"config.type invalid_format", "config.entityid unknown_field"}},
		{hook.ActionPublishEvent, `{"type":"a","entityId":1.5}`, []string{"config.entityId invalid_format"}},
		{hook.ActionPublishEvent, `{"type":"a","entity":{"x":["{{ item. }}"]}}`, []string{"config.entity.x[0] template_syntax"}},
		{hook.ActionUpsertRecord, `{"collection":"stock","key":"{{ item.sku }}","document":{"a":1}}`, nil},
		{hook.ActionUpsertRecord, `{"collection":"a/b","document":[1]}`, []string{"config.collection invalid_format", "config.key required", "config.document invalid_format"}},
		{hook.ActionDeleteRecord, `{"collection":"stock","key":"k","document":{}}`, []string{"config.document unknown_field"}},
		{hook.ActionSet, `{"actions":["a","b"]}`, nil},
		{hook.ActionSet, `{"actions":[]}`, []string{"config.actions required"}},
		{hook.ActionSet, `{"actions":"a"}`, []string{"config.actions invalid_format", "config.actions required"}},
		{hook.ActionSet, `{"actions":["a b"],"action":"x"}`, []string{"config.actions[0] invalid_format", "config.action unknown_field"}},
		{hook.ActionHTTPRequest, `{"method":"POST","url":"https://erp.example.com/x","headers":[],"body":"{{ item|json_encode|raw }}","successCodes":["2xx"]}`, nil},
		{hook.ActionHTTPRequest, `{"url":"https://{{ item.host }}/x","method":"{{ item.m }}"}`, nil},
		{hook.ActionHTTPRequest, `{}`, []string{"config.url required"}},
		{hook.ActionHTTPRequest, `{"url":"https://u:p@erp.example.com/{{ item.x }}"}`, []string{"config.url invalid_url"}},
		{hook.ActionHTTPRequest, `{"url":"https://u:p@erp.example.com/"}`, []string{"config.url invalid_url"}},
		{hook.ActionHTTPRequest, `{"url":"ftp://x/","method":"FETCH","successCodes":["2x",204]}`, []string{"config.url invalid_url", "config.method invalid_format", "config.successCodes[0] invalid_format", "config.successCodes[1] invalid_format"}},
		{hook.ActionHTTPRequest, `{"url":"https://x/","headers":[{"name":"Authorization","value":"Bearer abc"}]}`, []string{"config.headers[0].value invalid_format"}},
		{hook.ActionHTTPRequest, `{"url":"https://x/","headers":[{"name":"Authorization","value":"Bearer {{ secrets.t }}"}]}`, nil},
		{hook.ActionHTTPRequest, `{"url":"https://x/","headers":[{"name":"X-Key-Kind","value":"a","secret":false}]}`, nil},
		{hook.ActionHTTPRequest, `{"url":"https://x/","headers":[{"name":"Host","value":"a"},{"name":"a b","value":"a"},{"value":"a"},{"name":"X"},{"name":"Sallyport-Hops","value":"1"},{"name":"X","value":"a\nb","vlaue":1}]}`, []string{
			"config.headers[0].name reserved_header", "config.headers[1].name invalid_format", "config.headers[2].name required", "config.headers[3].value required",
			"config.headers[4].name reserved_header", "config.headers[5].value invalid_format", "config.headers[5].vlaue unknown_field",
		}},
		{hook.ActionHTTPRequest, `{"url":"https://x/","basicAuth":{"username":"a:b","password":"plain"}}`, []string{"config.basicAuth.username invalid_format", "config.basicAuth.password invalid_format"}},
		{hook.ActionHTTPRequest, `{"url":"https://x/","bearer":"{{ secrets.t }}","basicAuth":{"username":"a","password":"{{ secrets.p }}"}}`, []string{"config.bearer reserved_header"}},
		{hook.ActionHTTPRequest, `{"url":"https://x/{{ secrets.typo }}","bearer":"{{ secrets['tt'] }}","body":{"a":["{{ secrets.t ~ secrets.q }}"]}}`, []string{
			"config.url invalid_format", "config.bearer invalid_format", "config.body.a[0] invalid_format"}},
		{hook.ActionPublishEvent, `{"type":"a","entity":"{% set secrets = {q: 1} %}{{ secrets.q }}"}`, nil},
		{"fly", `{}`, []string{"type invalid_format"}},
	} {
		var got []string
		for _, f := range action.CheckConfig(c.kind, []byte(c.config), []string{"t", "p"}) {
			got = append(got, f.Field+" "+f.Code)
			if f.Detail == "" {
				t.Errorf("%s %s: %s says nothing", c.kind, c.config, f.Field)
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s %s\n got %q\nwant %q", c.kind, c.config, got, c.want)
		}
	}
}

func TestFaultsSayWhereAndWhatWasMeant(t *testing.T) {
	t.Parallel()
	faults := action.CheckConfig(hook.ActionPublishEvent, []byte(`{"type":"a","entityid":"x","entity":"{{ item }}\n {{ item. }}"}`), nil)
	got := map[string]string{}
	for _, f := range faults {
		got[f.Field] = f.Detail
	}
	if got["config.entityid"] != "is not a field here; did you mean entityId?" {
		t.Errorf("%v", got)
	}
	if detail := got["config.entity"]; len(detail) == 0 || detail[len(detail)-len("(line 2, column 10)"):] != "(line 2, column 10)" {
		t.Errorf("%v", got)
	}
}

func TestLiteralHost(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://127.0.0.1:8080/x": "127.0.0.1", "https://[::1]/": "::1", "https://erp.example.com/{{ item.x }}": "erp.example.com",
		"https://{{ item.host }}/": "", "https://erp.{{ item.host }}": "", "{{ item.url }}": "",
	} {
		if got := action.LiteralHost([]byte(`{"url":"` + url + `"}`)); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
