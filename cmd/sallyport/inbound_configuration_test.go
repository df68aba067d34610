package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/api/apitest"
)

// send makes a call, holds the answer against the contract and returns it.
func (i *installation) send(t *testing.T, v *apitest.Validator, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+i.key)
	w := httptest.NewRecorder()
	i.handler.ServeHTTP(w, r)
	res := w.Result()
	v.Check(r, res, w.Body.Bytes())
	if res.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, w.Body)
	}
	return w
}

// fullDoor says something in every field.
const fullDoor = `{"code":"erp-stock","name":"ERP Stock","description":"d","enabled":true,"methods":["POST","GET"],"profile":"default",
 "ipAllowList":["203.0.113.0/24","2001:db8::/32"],"hash":"{{ (secrets.erp ~ 'now'|date('Y-m-d_H-i'))|md5 }}","hashTimezone":"Europe/Berlin","hashTolerance":"1m",
 "hashIn":{"in":"header","name":"X-Hash"},"secrets":[{"name":"erp","value":"planted-door-secret"},{"name":"gh","value":"planted-signing-secret-of-a-sender"}],
 "preProcessors":[{"name":"token","type":"header","header":"X-Token","matches":"^abc$"},{"type":"query","parameter":"a","equals":""},{"type":"body","path":"a.b","equals":"c"},
  {"type":"basicAuth","username":"erp","secrets":["erp"]},{"type":"bearer","secrets":["erp","gh"]},{"type":"apiKey","header":"X-Key","secrets":["erp"]},
  {"type":"ip","allow":["203.0.113.9"]},{"type":"schema","schema":{"type":"object","required":["sku"]}},{"type":"condition","condition":"request.method == 'POST'"},
  {"name":"gh","type":"signature","preset":"github","secrets":["gh"]},
  {"name":"own","type":"signature","verification":{"algorithm":"hmac-sha512","header":"X-Sig","content":"{timestamp}.{body}","timestampHeader":"X-Time","tolerance":"10m"},"secrets":["gh"],"tolerance":"2m"}],
 "parser":{"type":"csv","delimiter":";","enclosure":"\"","escape":"\\","header":true,"encoding":"windows-1252","split":true,"maxItems":500,"onItemError":"skip"},
 "routes":[{"name":"primary","action":"book-stock"},{"action":"book-stock","condition":"item.quantity > 0","parser":{"type":"json","items":"rows[*]"},"transform":"{\"a\": 1}"}],
 "postProcessors":[{"type":"publishEvent","config":{"type":"stock.received","entityId":"{{ request.id }}"}},{"type":"action","action":"book-stock"}],
 "dedupe":{"key":"{{ request.rawBody|sha256 }}","window":"1h","onDuplicate":"refuse"},"rateLimit":{"requests":10,"per":"1s"},"maxBodyBytes":1000,"bodyTimeout":"90s",
 "logging":"metadata","response":{"mode":"wait","status":200,"headers":[{"name":"Content-Type","value":"text/plain"}],"body":"OK","timeout":"10s"},"refusal":"uniform",
 "metadata":{"managed-by":"billing-ci"}}`

// What GET answers can be sent back, and changes nothing; no value of a secret is in it.
func TestDoorsAndActionsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	i, v := install(t), apitest.New(t)
	i.send(t, v, http.MethodPost, "/v1/actions", `{"code":"book-stock","type":"httpRequest","config":{"url":"https://erp.example.com/{{ secrets.erp }}"},"condition":"item.a","secrets":[{"name":"erp","value":"planted-action-secret"}]}`)
	i.send(t, v, http.MethodPost, "/v1/incoming-webhooks", fullDoor)
	i.send(t, v, http.MethodPost, "/v1/incoming-webhooks", `{"name":"Bare"}`)
	i.send(t, v, http.MethodPost, "/v1/incoming-webhooks", `{"name":"Products","profile":"atrocore"}`)
	for _, path := range []string{"/v1/actions/book-stock", "/v1/incoming-webhooks/erp-stock", "/v1/incoming-webhooks/bare", "/v1/incoming-webhooks/products"} {
		read := i.send(t, v, http.MethodGet, path, "").Body.String()
		again := i.send(t, v, http.MethodPut, path, read)
		if got := again.Header().Get("Sallyport-Result"); got != "unchanged" || again.Body.String() != read {
			t.Errorf("%s is %s by what was read (%s):\n%s\n%s", path, got, again.Header().Get("Sallyport-Changed"), read, again.Body)
		}
	}
	i.send(t, v, http.MethodGet, "/v1/incoming-webhooks", "")
	i.send(t, v, http.MethodGet, "/v1/actions", "")
	secrets := []string{"planted-door-secret", "planted-signing-secret-of-a-sender", "planted-action-secret"}
	for _, leak := range v.Leaks(secrets, nil) {
		t.Error(leak)
	}
}

func TestPresetsFitTheContract(t *testing.T) {
	t.Parallel()
	i, v := install(t), apitest.New(t)
	i.send(t, v, http.MethodGet, "/v1/presets", "")
	i.send(t, v, http.MethodGet, "/v1/presets/github", "")
}
